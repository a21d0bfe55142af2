/**
 * What a VGA is on any bus: its core, and the screens of that.
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
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import { type VgaConfig, VgaCore } from "./vga_core.ts";

/** What a VGA's plugin stands on. */
export const VGA_BACKENDS: NonNullable<DevicePlugin["backends"]> = {
  display: { type: "display", optional: true },
};
/** What it tells of. */
export const VGA_EVENTS: NonNullable<DevicePlugin["events"]> = {
  mode: {
    description:
      "What there is to be seen is of another kind (`content`: nothing, text, graphics, vbe) or size, in dots and scan lines; while the guest sets a mode, also what comes between. `depth`: bits a dot, 0 for text",
    data: {
      content: "string",
      width: "number",
      height: "number",
      depth: "number",
    },
  },
};
/** What it provides. */
export const VGA_PROVIDES: readonly string[] = [
  "text-source",
  "picture-source",
];

/** A VGA on a bus, which has its state. */
export abstract class VgaOnBus implements TextSource, PictureSource {
  /** What is the same on each bus. */
  protected readonly core: VgaCore;

  /** A VGA after power-on. */
  constructor(config: VgaConfig, context: DeviceContext) {
    this.core = new VgaCore(config, context);
  }

  /** See `TextSource`. */
  text(): TextScreen | undefined {
    return this.core.text();
  }

  /** See `TextSource`. */
  watch(changed: () => void): void {
    this.core.watch(changed);
  }

  /** See `PictureSource`. */
  look(since: number): Picture {
    return this.core.look(since);
  }

  /** See `PictureSource`. */
  watchPicture(changed: () => void): void {
    this.core.watchPicture(changed);
  }
}
