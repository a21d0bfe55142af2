/**
 * Measures bare-metal guests: from the line `BEGIN name` to the line
 * `END name checksum`, and from the start of the process to the first of them.
 *
 * @module
 */

import { type Bits, buildGuest, type Guest } from "./guests.ts";
import { Result, type Sample } from "./results.ts";
import { busiestThread, Session, SessionError } from "./session.ts";
import { BARE_MEGABYTES, type Command, type TargetMap } from "./targets.ts";

/** No guest takes this long in a target that works. */
const LIMIT_MS = 120_000;
/** The guest that does nothing. */
const START = "start";

/** Builds one guest and measures it on all targets, interleaved. */
export async function measureBare(
  name: string,
  targets: TargetMap,
  rounds: number,
  directory: string,
  bits: Bits = 32,
): Promise<Result> {
  const guest = await buildGuest(name, directory, bits);
  const result = new Result("bare", name, BARE_MEGABYTES << 20);
  await interleave(result, guest, targets, rounds, async (session) => {
    const begin = await session.until(/^BEGIN \S+\r?\n/m, LIMIT_MS);
    const end = await session.until(/^END \S+ (\S+)\r?\n/m, LIMIT_MS);
    return {
      wall: end.wall - begin.wall,
      cpu: busiestThread(end, begin),
      peak: session.peakMemory,
      checksum: end.match[1],
    };
  });
  return result;
}

/** Measures the time from the start of the process to the guest's first line. */
export async function measureStart(
  targets: TargetMap,
  rounds: number,
  directory: string,
  bits: Bits = 32,
): Promise<Result> {
  const guest = await buildGuest(START, directory, bits);
  const begin = async (session: Session): Promise<Sample> => {
    const stamp = await session.until(/^BEGIN \S+\r?\n/m, LIMIT_MS);
    return {
      wall: stamp.wall,
      cpu: busiestThread(stamp),
      peak: session.peakMemory,
    };
  };
  // Once without being counted: it fills caches, Deno's among them.
  const warmUp = new Result("start", START, 0);
  await interleave(warmUp, guest, targets, 1, begin);
  const result = new Result("start", START, BARE_MEGABYTES << 20);
  await interleave(result, guest, targets, rounds, begin);
  return result;
}

/** Measures a guest on all targets in turn, again and again. */
async function interleave(
  result: Result,
  guest: Guest,
  targets: TargetMap,
  rounds: number,
  measure: (session: Session) => Promise<Sample>,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const [name, target] of targets) {
      if (result.failed(name)) continue;
      const command = target.bare(guest);
      if (command === undefined) continue;
      const sample = await attempt(command, measure);
      if (typeof sample === "string") result.fail(name, sample);
      else result.add(name, sample);
    }
  }
}

/** A sample, or why there is none. */
async function attempt(
  command: Command,
  measure: (session: Session) => Promise<Sample>,
): Promise<Sample | string> {
  try {
    await using session = new Session(command);
    return await measure(session);
  } catch (error) {
    if (error instanceof SessionError) return error.message;
    throw error;
  }
}
