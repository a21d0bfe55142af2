/**
 * The VGA on the ISA bus, its frame buffer at E0000000h as Bochs has it; or
 * none, and no VBE.
 *
 * @module
 */

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
import { VGA_SCHEMA, type VgaConfig, vgaRegions } from "./vga_core.ts";
import {
  VGA_BACKENDS,
  VGA_EVENTS,
  VGA_PROVIDES,
  VgaOnBus,
} from "./vga_on_bus.ts";

/** Where the frame buffer is; RAM there hides it. */
const FRAMEBUFFER = 0xe0000000;

/** Configuration of the device. */
export interface IsaVgaConfig extends VgaConfig {
  /**
   * The frame buffer is there, and with it the VBE: where PCI has its functions,
   * it is in the way.
   */
  readonly framebuffer: boolean;
}

/** A VGA on the ISA bus. */
export class Vga extends VgaOnBus implements Device {
  readonly #name: string;

  /** A VGA after power-on. */
  constructor(config: IsaVgaConfig, context: DeviceContext) {
    super(config, context);
    this.#name = context.name;
    if (config.framebuffer) context.mover("framebuffer").map(FRAMEBUFFER);
  }

  /** Power-on; without the configuration `blank` mode 3 is set. */
  reset(): void {
    this.core.reset();
  }

  /** The registers. */
  save(): StateRecord {
    return saveState(this.core.state);
  }

  /** The registers. */
  load(record: StateRecord): void {
    this.core.adopt(loadState(this.core.fresh(), record, this.#name));
  }
}

/** The `vga` plugin. */
const plugin: DevicePlugin<IsaVgaConfig> = {
  type: "device",
  name: "vga",
  version: "2.0.0",
  description: "A VGA with the Bochs VBE",
  config: {
    type: "object",
    properties: {
      ...VGA_SCHEMA,
      framebuffer: {
        type: "boolean",
        description: "Have the VBE, its frame buffer at E0000000h",
        default: false,
      },
    },
  },
  declare: (config) => {
    const regions = vgaRegions(config);
    if (config.framebuffer) return { regions };
    // Who finds the VBE draws to the frame buffer: it is nowhere by itself.
    const { at: _, ...dispi } = regions.dispi;
    return { regions: { ...regions, dispi } };
  },
  events: VGA_EVENTS,
  backends: VGA_BACKENDS,
  provides: VGA_PROVIDES,
  create: (config, context) => new Vga(config, context),
};
export default plugin;
