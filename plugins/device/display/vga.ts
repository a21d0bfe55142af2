/**
 * The VGA on the ISA bus, its frame buffer at E0000000h as Bochs has it.
 *
 * @module
 */

import type {
  Picture,
  PictureSource,
  TextScreen,
  TextSource,
} from "../../../core/backend/display.ts";
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
import { VGA_SCHEMA, type VgaConfig, VgaCore, vgaRegions } from "./vga_core.ts";

/** Where the frame buffer is; RAM there hides it. */
const FRAMEBUFFER = 0xe0000000;

/** Configuration of the device. */
export interface IsaVgaConfig extends VgaConfig {
  /** The frame buffer is there: where PCI has its functions, it is in the way. */
  readonly framebuffer: boolean;
}

/** A VGA on the ISA bus. */
export class Vga implements Device, TextSource, PictureSource {
  readonly #name: string;
  readonly #core: VgaCore;

  /** A VGA after power-on. */
  constructor(config: IsaVgaConfig, context: DeviceContext) {
    this.#name = context.name;
    this.#core = new VgaCore(config, context);
    if (config.framebuffer) context.mover("framebuffer").map(FRAMEBUFFER);
  }

  /** See `TextSource`. */
  text(): TextScreen | undefined {
    return this.#core.text();
  }

  /** See `TextSource`. */
  watch(changed: () => void): void {
    this.#core.watch(changed);
  }

  /** See `PictureSource`. */
  look(since: number): Picture {
    return this.#core.look(since);
  }

  /** See `PictureSource`. */
  watchPicture(changed: () => void): void {
    this.#core.watchPicture(changed);
  }

  /** Power-on; without the configuration `blank` mode 3 is set. */
  reset(): void {
    this.#core.reset();
  }

  /** The registers. */
  save(): StateRecord {
    return saveState(this.#core.state);
  }

  /** The registers. */
  load(record: StateRecord): void {
    this.#core.adopt(loadState(this.#core.fresh(), record, this.#name));
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
        description: "Map the frame buffer at E0000000h",
        default: false,
      },
    },
  },
  declare: (config) => ({ regions: vgaRegions(config) }),
  backends: { display: { type: "display", optional: true } },
  provides: ["text-source", "picture-source"],
  create: (config, context) => new Vga(config, context),
};
export default plugin;
