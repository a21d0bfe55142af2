/**
 * The built-in BIOS as a device: its ROM where a PC has it, and the trap ports.
 *
 * @module
 */

import type {
  Device,
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import type { StateRecord } from "../../../core/state/state.ts";
import { BuiltinBios } from "./bios.ts";
import { BIOS_PROPERTIES, type BiosConfig } from "./config.ts";
import { ROM_BASE, ROM_BYTES } from "./layout.ts";
import { TRAP_PORT, TRAP_PORTS } from "./rom.ts";

/** The ROM's second place: it ends at 4 GiB. */
const TOP_BASE = 2 ** 32 - ROM_BYTES;

/** The ROM and the BIOS behind it. */
export class BiosDevice implements Device {
  readonly #bios: BuiltinBios;

  /** The BIOS with its ROM in place. */
  constructor(config: BiosConfig, context: DeviceContext) {
    const low = context.memory("low").bytes;
    low.set(BuiltinBios.image);
    context.memory("top").bytes.set(BuiltinBios.image);
    this.#bios = new BuiltinBios(config, context, {
      writeRom: (offset, bytes) => low.set(bytes, offset),
      wake: context.output("irq"),
    });
    context.io("trap", this.#bios.ports);
  }

  /** Nobody waits any more. */
  reset(): void {
    this.#bios.reset();
  }

  /** The BIOS's state. */
  save(): StateRecord {
    return this.#bios.save();
  }

  /** Go on; drives are asked again. */
  load(record: StateRecord): void {
    this.#bios.load(record);
  }
}

/** The `bios` plugin. */
const plugin: DevicePlugin<BiosConfig> = {
  type: "device",
  name: "bios",
  version: "1.0.0",
  description: "The built-in BIOS of a PC",
  config: { type: "object", properties: BIOS_PROPERTIES },
  regions: {
    low: { space: "memory", size: ROM_BYTES, kind: "rom", at: ROM_BASE },
    top: { space: "memory", size: ROM_BYTES, kind: "rom", at: TOP_BASE },
    trap: { space: "ports", size: TRAP_PORTS, at: TRAP_PORT },
  },
  outputs: ["irq"],
  collects: ["boot-drives"],
  usesPorts: true,
  create: (config, context) => new BiosDevice(config, context),
};
export default plugin;
