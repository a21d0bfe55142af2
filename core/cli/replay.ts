/**
 * The flag `--replay`.
 *
 * @module
 */

import type { Machine, RunResult } from "../machine/machine.ts";
import type { LoadOptions } from "../machine/options.ts";
import type { JsonObject } from "../machine/schema_types.ts";
import { openRecording } from "../replay/session.ts";

/** What is run in place of a machine file. */
export interface Replayed {
  /** The machine's definition. */
  readonly definition: JsonObject;
  /** What the recording adds to the options. */
  readonly options: Pick<LoadOptions, "replay" | "noReboot">;
}

/** Read a recording; throws a `ReplayError`. */
export async function openReplay(path: string): Promise<Replayed> {
  const replay = await openRecording(path);
  const { definition, noReboot } = replay.header;
  return { definition, options: { replay, noReboot } };
}

/** What to tell the user of a replay's end. */
export function describeReplay(
  machine: Machine,
  { reason }: RunResult,
  { replay }: LoadOptions,
): string | undefined {
  if (reason !== "stop" || replay === undefined) return undefined;
  const { instructions } = machine.cpu;
  const end = replay.isTruncated ? "breaks off" : "ends";
  return `the recording ${end} here, after ${instructions} instructions`;
}
