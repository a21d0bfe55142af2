/**
 * The firmware of a PC in its ROM: the image ends at 4 GiB, where the CPU's
 * first instruction is, and its last 128 KiB are seen once more below 1 MiB,
 * where real-mode code runs. On a board with a 440FX the firmware lays RAM over
 * that copy (`plugins/device/pci/i440fx.ts`).
 *
 * Without an image of the host's there is the built-in BIOS (`bios/`).
 *
 * Source: Intel 82371SB (PIIX3, 290550), "X-Bus chip select register", which
 * decodes both places; IBM PC/AT Technical Reference, "System memory map". The
 * boot order in the CMOS is that of Bochs' BIOS and SeaBIOS.
 *
 * @module
 */

import {
  ConfigError,
  type DeviceContext,
  type DeviceDeclaration,
  type DevicePlugin,
  type FileSpec,
  type RegionMemory,
} from "../../../core/machine/plugin.ts";
import type { BootOrder } from "../../../core/machine/boot_order.ts";
import type { SetupMemory } from "../../../core/machine/setup_memory.ts";
import { StatelessDevice } from "../../../core/machine/stateless_device.ts";
import { BIOS_PROPERTIES, type BiosConfig } from "./config.ts";
import { BIOS_REGIONS } from "./regions.ts";

const KIB = 1024;
/** Images are whole ROM chips' sizes. */
const IMAGE_UNIT = 64 * KIB;
/** Above it the memory of PCI devices and the interrupt controllers begin. */
const IMAGE_LIMIT = 8192 * KIB;
/** Where the image ends. */
const TOP_END = 2 ** 32;
/** Where the copy that real mode reaches ends, and the most that it has. */
const LOW_END = 1024 * KIB;
const LOW_LIMIT = 128 * KIB;
/** Where the ROMs of adapter cards are. */
const OPTION_BASE = 768 * KIB;
const OPTION_SIZE = 128 * KIB;

/**
 * CMOS: what is booted first (low half of the byte) and second, and third (high
 * half).
 */
const CMOS_ORDER = 0x3d;
const CMOS_ORDER_THIRD = 0x38;
/** What may be booted: floppy, disk, CD-ROM, network, from 1 on. */
const BOOTABLE = "acdn";

/** Configuration of the firmware. */
export interface FirmwareConfig extends BiosConfig {
  /** The image's file, or `builtin`; none when a loader starts the machine. */
  readonly image?: string;
  /** The memory below 1 MiB is RAM. */
  readonly writable: boolean;
}

/** A ROM that the machine's CPU starts in: its image is no state. */
export class FirmwareRom extends StatelessDevice implements BootOrder {
  readonly #image: Uint8Array;
  readonly #low: RegionMemory;
  readonly #setup: SetupMemory;

  /** The image in its places, and where it looks for what to start. */
  constructor(image: Uint8Array, setup: SetupMemory, context: DeviceContext) {
    super(context.name);
    this.#image = image;
    this.#setup = setup;
    context.memory("top").bytes.set(image);
    this.#low = context.memory("low");
    this.#copyLow();
  }

  /** See `BootOrder`. */
  setBootOrder(order: string): void {
    presetOrder(order, this.#setup);
  }

  #copyLow(): void {
    const { bytes } = this.#low;
    this.#low.write(0, this.#image.subarray(this.#image.length - bytes.length));
  }

  /** What the guest has written over the copy is undone. */
  override reset(): void {
    this.#copyLow();
  }
}

/** Write the boot order down where firmware looks for it. */
function presetOrder(order: string, setup: SetupMemory): void {
  const [first, second, third] = Array.from(
    { length: 3 },
    (_, i) => i < order.length ? BOOTABLE.indexOf(order[i]) + 1 : 0,
  );
  setup.preset(CMOS_ORDER, 0xff, second << 4 | first);
  setup.preset(CMOS_ORDER_THIRD, 0xf0, third << 4);
}

function declare(
  config: FirmwareConfig,
  sizes: Readonly<Record<string, number>>,
): DeviceDeclaration {
  if (config.image === undefined) return {};
  if (config.image === "builtin") return { regions: BIOS_REGIONS };
  const size = sizes.image ?? IMAGE_UNIT;
  if (size === 0 || size % IMAGE_UNIT !== 0 || size > IMAGE_LIMIT) {
    throw new ConfigError(
      "image",
      `"${config.image}" has ${size} bytes, expected a multiple of 64K up ` +
        `to ${IMAGE_LIMIT / KIB / KIB}M`,
    );
  }
  const low = Math.min(size, LOW_LIMIT);
  const space = "memory";
  return {
    regions: {
      top: { space, size, kind: "rom", at: TOP_END - size },
      ...config.writable
        ? {
          low: { space, size: low, kind: "ram", at: LOW_END - low },
          options: {
            space,
            size: OPTION_SIZE,
            kind: "ram",
            at: OPTION_BASE,
          },
        }
        : { low: { space, size: low, kind: "rom", at: LOW_END - low } },
    },
  };
}

/** The `firmware` plugin. */
const plugin: DevicePlugin<FirmwareConfig> = {
  type: "device",
  name: "firmware",
  version: "1.1.0",
  description: "The ROM with the firmware that starts the machine",
  config: {
    type: "object",
    properties: {
      image: {
        type: "string",
        format: "path",
        words: ["builtin"],
        from: "boot.firmware",
        description: "The image: a file of a multiple of 64K, or builtin",
      },
      writable: {
        type: "boolean",
        default: false,
        description:
          "The copy below 1M, and what is left there for option ROMs, is RAM: " +
          "for firmware that would lay RAM over it, on a board that cannot",
      },
      ...BIOS_PROPERTIES,
    },
  },
  files: ({ image }): Record<string, FileSpec> =>
    image === undefined || image === "builtin"
      ? {}
      : { image: { path: image } },
  // The wake-up call of the built-in BIOS: wire it to IRQ 14.
  outputs: ["irq"],
  collects: ["boot-drives", "firmware-tables"],
  provides: ["boot-order"],
  usesPorts: true,
  declare,
  uses: { setup: "setup-memory" },
  async create(config, context) {
    if (config.image === "builtin") {
      const { BiosDevice } = await import("./device.ts");
      return new BiosDevice(config, context);
    }
    const image = config.image && context.file("image");
    // No image: the sockets are empty.
    if (!image) return new StatelessDevice(context.name);
    const setup = context.collaborator<SetupMemory>("setup");
    presetOrder(config.order, setup);
    if (config.writable) context.memory("options");
    return new FirmwareRom(image, setup, context);
  },
};
export default plugin;
