/**
 * All that `info` shows.
 *
 * @module
 */

import type { Command } from "./command.ts";
import { INFO_FIXED } from "./fixed_commands.ts";
import { INFO_BACKENDS } from "./info_backends.ts";
import { INFO_CPU } from "./info_cpu.ts";
import { INFO_DEVICES } from "./info_devices.ts";
import { INFO_MACHINE } from "./info_machine.ts";
import { INFO_SNAPSHOTS } from "./snapshot_commands.ts";
import { INFO_TRACE_EVENTS } from "./trace_events.ts";

/** The subcommands of `info`. */
export const INFO_COMMANDS: readonly Command[] = [
  ...INFO_MACHINE,
  ...INFO_CPU,
  ...INFO_DEVICES,
  ...INFO_BACKENDS,
  ...INFO_SNAPSHOTS,
  ...INFO_FIXED,
  INFO_TRACE_EVENTS,
];
