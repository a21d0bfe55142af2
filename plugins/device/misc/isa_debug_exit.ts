/**
 * A port that ends the run: writing v ends Rhea with status `(v << 1) | 1`, so
 * that a guest's test can say how it went. The same port as QEMU's device of
 * this name; there is no hardware like it.
 *
 * @module
 */

import type {
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import { StatelessDevice } from "../../../core/machine/stateless_device.ts";

/** The exit port. */
export class IsaDebugExit extends StatelessDevice {
  /** The port. */
  constructor(context: DeviceContext) {
    super(context.name);
    context.io("port", {
      read: () => 0,
      write: (_offset, _width, value) => {
        // The host's exit status has eight bits.
        context.exit((value << 1 | 1) & 0xff);
      },
    });
  }
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
