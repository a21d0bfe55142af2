/**
 * The plugins that ship with Rhea, by type and name. Modules are imported when
 * a machine asks for them.
 *
 * @module
 */

import type { PluginTable } from "../core/machine/registry.ts";

/** The shipped plugins. */
export const PLUGINS: PluginTable = {
  cpu: {},
  device: {
    i8259: () => import("../plugins/device/intc/i8259.ts"),
    i8254: () => import("../plugins/device/timer/i8254.ts"),
  },
  char: {
    memory: () => import("../plugins/char/memory.ts"),
  },
  loader: {},
};
