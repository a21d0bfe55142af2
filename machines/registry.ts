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
    "debugcon": () => import("../plugins/device/misc/debugcon.ts"),
    "i8042": () => import("../plugins/device/input/i8042.ts"),
    "i8254": () => import("../plugins/device/timer/i8254.ts"),
    "i8259": () => import("../plugins/device/intc/i8259.ts"),
    "isa-debug-exit": () => import("../plugins/device/misc/isa_debug_exit.ts"),
    "mc146818": () => import("../plugins/device/rtc/mc146818.ts"),
    "ns16550a": () => import("../plugins/device/serial/ns16550a.ts"),
    "port92": () => import("../plugins/device/misc/port92.ts"),
  },
  char: {
    memory: () => import("../plugins/char/memory.ts"),
  },
  loader: {},
};
