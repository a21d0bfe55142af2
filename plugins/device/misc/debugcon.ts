/**
 * The debug console of Bochs and QEMU: what is written to port E9h goes to a
 * char backend; reading gives E9h, by which firmware knows that it is there.
 *
 * @module
 */

import { OutputBatch } from "../../../core/backend/output_batch.ts";
import type {
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import { StatelessDevice } from "../../../core/machine/stateless_device.ts";

/** What a read gives. */
const SIGNATURE = 0xe9;

/** The debug console. */
export class DebugConsole extends StatelessDevice {
  /** A console on the backend `char`. */
  constructor(context: DeviceContext) {
    super(context.name);
    const output = new OutputBatch(context.char("char").write);
    context.io("port", {
      widths: [1],
      read: () => SIGNATURE,
      write: (_offset, _width, value) => {
        if (!output.push(value)) context.log.guest("output was dropped");
      },
    });
  }
}

/** The `debugcon` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "debugcon",
  version: "1.0.0",
  description: "Debug console at port E9h",
  regions: { port: { space: "ports", size: 1, at: 0xe9 } },
  backends: { char: { type: "char", optional: true } },
  create: (_config, context) => new DebugConsole(context),
};
export default plugin;
