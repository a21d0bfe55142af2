/**
 * All commands.
 *
 * @module
 */

import type { Command } from "./command.ts";
import { BLOCK } from "./commands/block.ts";
import { CONTROL } from "./commands/control.ts";
import { DISPLAY } from "./commands/display.ts";
import { DUMP } from "./commands/dump.ts";
import { FIXED } from "./commands/fixed.ts";
import { HARDWARE } from "./commands/hardware.ts";
import { MIGRATION } from "./commands/migration.ts";
import { NET } from "./commands/net.ts";
import { NODES } from "./commands/nodes.ts";
import { OBJECTS } from "./commands/objects.ts";
import { REFUSALS } from "./commands/refusals.ts";
import { RUN_STATE } from "./commands/run_state.ts";
import { SNAPSHOTS } from "./commands/snapshots.ts";
import { TRACE } from "./commands/trace.ts";

/** All commands by name. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [
    ...CONTROL,
    ...RUN_STATE,
    ...HARDWARE,
    ...BLOCK,
    ...NODES,
    ...NET,
    ...MIGRATION,
    ...DISPLAY,
    ...OBJECTS,
    ...SNAPSHOTS,
    ...DUMP,
    ...TRACE,
    ...FIXED,
    ...REFUSALS,
  ].map((command) => [command.name, command]),
);
