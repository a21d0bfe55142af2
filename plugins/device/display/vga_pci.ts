/**
 * The VGA on the PCI bus: 1234:1111, as QEMU's `VGA` is. Base address register 0
 * is the frame buffer, 2 the registers, which are also where a VGA has them.
 *
 * The command register does not hide the VGA's own addresses: a kernel may start
 * without firmware that would turn them on.
 *
 * Source: QEMU, "Standard VGA" (`docs/specs/standard-vga.rst`).
 *
 * @module
 */

import { type PciPlace, pciPlaceSchema } from "../../../core/bus/pci.ts";
import { PciFunction, type PciState } from "../../../core/bus/pci_function.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import { edid } from "./edid.ts";
import { VGA_SCHEMA, type VgaConfig, vgaRegions } from "./vga_core.ts";
import {
  VGA_BACKENDS,
  VGA_EVENTS,
  VGA_PROVIDES,
  VgaOnBus,
} from "./vga_on_bus.ts";
import type { VgaState } from "./vga_state.ts";

/** The registers' region: EDID, the ports from 3C0h on, the VBE, extensions. */
const MMIO_BYTES = 0x1000;
const PORTS = 0x400;
const PORTS_END = 0x420;
const DISPI = 0x500;
const DISPI_END = 0x516;
/** The extensions' size in bytes, and the byte order: always little-endian. */
const QEXT = 0x600;
const QEXT_BYTES = 8;
const QEXT_ENDIAN = 0x604;
const LITTLE_ENDIAN_ORDER = 0x1e;

/** Configuration of the device. */
export interface VgaPciConfig extends VgaConfig, PciPlace {
  /** Pixels of the monitor's preferred mode. */
  readonly xres: number;
  /** Its lines. */
  readonly yres: number;
}

interface VgaPciState {
  vga: VgaState;
  pci: PciState;
}

/** A VGA on the PCI bus. */
export class VgaPci extends VgaOnBus implements Device {
  readonly #name: string;
  readonly #pci: PciFunction;
  readonly #edid: Uint8Array;
  #state: VgaPciState;

  /** A VGA after power-on. */
  constructor(config: VgaPciConfig, context: DeviceContext) {
    super(config, context);
    this.#name = context.name;
    this.#edid = edid(config.xres, config.yres);
    context.io("mmio", {
      widths: [1, 2],
      read: (offset, width) =>
        width === 2
          ? this.#read16(offset)
          : offset >= DISPI && offset < DISPI_END
          ? this.#read16(offset & ~1) >> 8 * (offset & 1)
          : this.#read8(offset),
      write: (offset, width, value) => this.#write(offset, width, value),
    });
    this.#pci = new PciFunction(context, config, {
      vendor: 0x1234,
      device: 0x1111,
      // With the extensions.
      revision: 2,
      classCode: 0x030000,
      subsystemVendor: 0x1af4,
      subsystem: 0x1100,
      bars: [
        {
          index: 0,
          kind: "memory",
          prefetchable: true,
          region: "framebuffer",
          size: config.memory,
        },
        { index: 2, kind: "memory", region: "mmio", size: MMIO_BYTES },
      ],
    }, () => this.core.touch());
    this.#state = { vga: this.core.state, pci: this.#pci.fresh() };
    this.#pci.adopt(this.#state.pci);
  }

  #read8(offset: number): number {
    if (offset < this.#edid.length) return this.#edid[offset];
    if (offset >= PORTS && offset < PORTS_END) {
      return this.core.readPort(offset - PORTS);
    }
    if (offset >= QEXT && offset < QEXT + QEXT_BYTES) {
      if (offset >= QEXT_ENDIAN) return LITTLE_ENDIAN_ORDER;
      return offset === QEXT ? QEXT_BYTES : 0;
    }
    return 0;
  }

  #read16(offset: number): number {
    if (offset >= DISPI && offset < DISPI_END) {
      return this.core.readVbe(offset - DISPI >> 1);
    }
    return this.#read8(offset) | this.#read8(offset + 1) << 8;
  }

  #write(offset: number, width: number, value: number): void {
    if (offset >= PORTS && offset < PORTS_END) {
      // The index is the low byte: it comes first.
      this.core.writePort(offset - PORTS, value & 0xff);
      if (width === 2) this.core.writePort(offset + 1 - PORTS, value >> 8);
    } else if (offset >= DISPI && offset < DISPI_END) {
      const index = offset - DISPI >> 1;
      if (width === 2) return this.core.writeVbe(index, value);
      const shift = 8 * (offset & 1);
      const other = this.core.readVbe(index) & 0xff00 >> shift;
      this.core.writeVbe(index, other | value << shift);
    }
  }

  /** Power-on; without the configuration `blank` mode 3 is set. */
  reset(): void {
    this.core.reset();
    this.#adopt({ vga: this.core.state, pci: this.#pci.fresh() });
  }

  #adopt(state: VgaPciState): void {
    this.#state = state;
    this.core.adopt(state.vga);
    this.#pci.adopt(state.pci);
  }

  /** The registers. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The registers. */
  load(record: StateRecord): void {
    const fresh = { vga: this.core.fresh(), pci: this.#pci.fresh() };
    this.#adopt(loadState(fresh, record, this.#name));
  }
}

/** The `vga-pci` plugin. */
const plugin: DevicePlugin<VgaPciConfig> = {
  type: "device",
  name: "vga-pci",
  version: "1.0.0",
  description: "A VGA with the Bochs VBE on the PCI bus, 1234:1111",
  config: {
    type: "object",
    properties: {
      ...pciPlaceSchema(2, 0),
      ...VGA_SCHEMA,
      xres: {
        type: "integer",
        description: "Pixels of the preferred mode that the EDID tells",
        minimum: 640,
        maximum: 1920,
        default: 1280,
      },
      yres: {
        type: "integer",
        description: "Lines of the preferred mode",
        minimum: 480,
        maximum: 1200,
        default: 800,
      },
    },
  },
  declare: (config) => ({
    regions: {
      ...vgaRegions(config),
      mmio: { space: "memory", size: MMIO_BYTES, movable: true },
    },
  }),
  events: VGA_EVENTS,
  backends: VGA_BACKENDS,
  uses: { bus: "pci-bus" },
  provides: VGA_PROVIDES,
  create: (config, context) => new VgaPci(config, context),
};
export default plugin;
