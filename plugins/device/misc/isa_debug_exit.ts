/**
 * A port that ends the run: writing v ends Rhea with status `(v << 1) | 1`, so
 * that a guest's test can say how it went. The same port as QEMU's device of
 * this name; there is no hardware like it.
 *
 * @module
 */

import type {
  Device,
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import type { StateRecord } from "../../../core/state/state.ts";

/** The exit port. */
export class IsaDebugExit implements Device {
  /** The port. */
  constructor(context: DeviceContext) {
    context.io("port", {
      read: () => 0,
      write: (_offset, _width, value) => {
        // The host's exit status has eight bits.
        context.exit((value << 1 | 1) & 0xff);
      },
    });
  }

  /** There is no state. */
  reset(): void {}

  /** There is no state. */
  save(): StateRecord {
    return {};
  }

  /** There is no state. */
  load(_record: StateRecord): void {}
}

/** The `isa-debug-exit` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "isa-debug-exit",
  version: "1.0.0",
  description: "Ends the run with status (value << 1) | 1",
  regions: { port: { space: "ports", size: 4, at: 0xf4 } },
  exits: true,
  create: (_config, context) => new IsaDebugExit(context),
};
export default plugin;
