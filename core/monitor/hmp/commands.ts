/**
 * All commands of the monitor.
 *
 * @module
 */

import type { Command } from "./command.ts";
import { CONTROL_COMMANDS } from "./control_commands.ts";
import { DEBUG_COMMANDS } from "./debug_commands.ts";
import { FIXED_COMMANDS } from "./fixed_commands.ts";
import { INPUT_COMMANDS } from "./input_commands.ts";
import { MEDIA_COMMANDS } from "./media_commands.ts";
import { MEMORY_COMMANDS } from "./memory_commands.ts";
import { NET_COMMANDS } from "./net_commands.ts";
import { REFUSED_COMMANDS } from "./refused_commands.ts";
import { SNAPSHOT_COMMANDS } from "./snapshot_commands.ts";
import { TRACE_EVENT } from "./trace_events.ts";

/** `help` and `info` are done by the monitor itself. */
const OWN_COMMANDS: readonly Command[] = [
  {
    name: "help|?",
    args: "name:S?",
    params: "[cmd]",
    help: "show the help",
    run: () => {},
  },
  {
    name: "info",
    args: "name:S?",
    params: "[subcommand]",
    help: "show various information about the system state",
    run: () => {},
  },
];

/** The commands. */
export const COMMANDS: readonly Command[] = [
  ...OWN_COMMANDS,
  ...CONTROL_COMMANDS,
  ...MEMORY_COMMANDS,
  ...INPUT_COMMANDS,
  ...MEDIA_COMMANDS,
  ...NET_COMMANDS,
  ...DEBUG_COMMANDS,
  ...SNAPSHOT_COMMANDS,
  ...FIXED_COMMANDS,
  ...REFUSED_COMMANDS,
  TRACE_EVENT,
];
