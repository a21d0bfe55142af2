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
import { OBJECTS } from "./commands/objects.ts";
import { RUN_STATE } from "./commands/run_state.ts";
import { SNAPSHOTS } from "./commands/snapshots.ts";

/** All commands by name. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [
    ...CONTROL,
    ...RUN_STATE,
    ...HARDWARE,
    ...BLOCK,
    ...DISPLAY,
    ...OBJECTS,
    ...SNAPSHOTS,
    ...DUMP,
    ...FIXED,
  ].map((command) => [command.name, command]),
);
