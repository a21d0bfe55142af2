/**
 * The flash chips that a PC's firmware is in, `pflash-cfi01`: the first ends at
 * 4 GiB, where the CPU's first instruction is, the second (the variables of
 * UEFI) ends where the first begins, and the last 128 KiB of the first are seen
 * once more below 1 MiB. QEMU's `hw/i386/pc_sysfw.c` has the same.
 *
 * A chip's bytes are memory that the guest runs and reads at full speed until
 * it writes a command; then its registers answer instead, and after the command
 * that ends this the bytes again. They are the image's: what the guest programs
 * is written to it.
 *
 * @module
 */

import { type BlockBackend, readInto } from "../../../core/backend/block.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
  RegionSpec,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import { type ChipState, FlashChip, freshChip, SECTOR_BYTES } from "./cfi01.ts";

/** Where the first chip ends. */
const TOP_END = 2 ** 32;
/** All chips together: above it PCI functions and interrupt controllers begin. */
const LIMIT = 8 * 1024 * 1024;
/** Where the copy that real mode reaches ends, and the most that it has. */
const LOW_END = 1024 * 1024;
const LOW_BYTES = 128 * 1024;
/** The chips, from the top down. */
const CHIPS = ["flash0", "flash1"] as const;

interface PflashState {
  /** The chips that are there. */
  chips: ChipState[];
}

/** The chips of a machine. */
export class Pflash implements Device {
  readonly #name: string;
  readonly #chips: FlashChip[] = [];

  private constructor(name: string) {
    this.#name = name;
  }

  /** The chips, with what their images have. Rejects when one does not fit. */
  static async create(context: DeviceContext): Promise<Pflash> {
    const device = new Pflash(context.name);
    let end = TOP_END;
    for (const role of CHIPS) {
      const backend = context.block(role);
      if (backend === undefined) continue;
      const { size } = backend;
      if (size === 0 || size % SECTOR_BYTES !== 0) {
        throw new Error(
          `the image of "${role}" has ${size} bytes, expected a multiple of 4K`,
        );
      }
      if (size > end - (TOP_END - LIMIT)) {
        throw new Error(
          `the image of "${role}" has ${size} bytes: all together have ` +
            `${LIMIT / 1024 / 1024}M at most`,
        );
      }
      const base = end - size;
      device.#chips.push(await placeChip(context, role, backend, base));
      if (end === TOP_END) await placeLow(context, backend);
      end = base;
    }
    return device;
  }

  /** The bytes can be read. */
  reset(): void {
    for (const chip of this.#chips) chip.adopt(freshChip());
  }

  /** The registers: the bytes are memory, and the image's. */
  save(): StateRecord {
    return saveState({ chips: this.#chips.map(({ state }) => state) });
  }

  /** The registers: the bytes are memory, and the image's. */
  load(record: StateRecord): void {
    const template: PflashState = { chips: this.#chips.map(freshChip) };
    const { chips } = loadState(template, record, this.#name);
    this.#chips.forEach((chip, i) => chip.adopt(chips[i]));
  }
}

async function placeChip(
  context: DeviceContext,
  role: string,
  backend: BlockBackend,
  base: number,
): Promise<FlashChip> {
  const memory = context.memory(role);
  const mover = context.mover(role);
  const bytes = memory.bytes.subarray(0, backend.size);
  await readInto(backend, 0, bytes);
  const chip = new FlashChip({
    bytes,
    backend,
    write: (offset, from) => memory.write(offset, from),
    show: (isArray) => mover.map(base, isArray ? "rom" : "io", bytes.length),
    unknown: (command) =>
      context.log.guest("unknown command", `0x${command.toString(16)}`),
    failed: (error) =>
      context.log.warn(
        `what was written to "${role}" is not in its image: ` +
          `${error instanceof Error ? error.message : error}`,
      ),
  });
  context.io(role, {
    read: (offset, width) => chip.read(offset, width),
    write: (offset, width, value) => chip.write(offset, width, value),
  });
  mover.map(base, "rom", bytes.length);
  return chip;
}

/** The copy that real mode reaches; programming does not change it. */
async function placeLow(
  context: DeviceContext,
  backend: BlockBackend,
): Promise<void> {
  const size = Math.min(backend.size, LOW_BYTES);
  const bytes = context.memory("low").bytes.subarray(0, size);
  await readInto(backend, backend.size - size, bytes);
  context.mover("low").map(LOW_END - size, "rom", size);
}

const chip: RegionSpec = {
  space: "memory",
  size: LIMIT,
  kind: "rom",
  movable: true,
  shadows: true,
};

/** The `pflash-cfi01` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "pflash-cfi01",
  version: "1.0.0",
  description: "Flash chips with the firmware and its variables",
  regions: { flash0: chip, flash1: chip, low: { ...chip, size: LOW_BYTES } },
  backends: {
    flash0: { type: "block", optional: true },
    flash1: { type: "block", optional: true },
  },
  create: (_config, context) => Pflash.create(context),
};
export default plugin;
