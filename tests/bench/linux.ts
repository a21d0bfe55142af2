/**
 * Measures Linux: one boot for each target and round, from the start of the
 * process to the shell's prompt, and then workloads in that shell.
 *
 * @module
 */

import type { Bits } from "./guests.ts";
import { makeLinux } from "./linux_guest.ts";
import { Result, type Sample } from "./results.ts";
import { busiestThread, Session, SessionError, type Stamp } from "./session.ts";
import { type Command, LINUX_MEGABYTES, type TargetMap } from "./targets.ts";

/** The time to the shell. */
const BOOT = "boot";
/** The workloads in `linux/run.sh`, in the order in which they run. */
const WORKLOADS = ["gzip", "sha256sum", "awk", "forks", "find", "tcc"] as const;
/** What Linux gives numbers of. */
export const LINUX_BENCHMARKS: readonly string[] = [BOOT, ...WORKLOADS];

/** No target takes this long, even on a busy machine. */
const BOOT_LIMIT_MS = 300_000;
const LIMIT_MS = 180_000;
const PROMPT = /\/root # /;

/** Boots all targets in turn, again and again; `chosen` are the names wanted. */
export async function measureLinux(
  chosen: ReadonlySet<string>,
  targets: TargetMap,
  rounds: number,
  bits: Bits = 32,
): Promise<Result[]> {
  const linux = await makeLinux(bits);
  const bytes = LINUX_MEGABYTES << 20;
  const results = LINUX_BENCHMARKS.filter((name) => chosen.has(name)).map(
    (name) => new Result(name === BOOT ? "boot" : "linux", name, bytes),
  );
  for (let round = 0; round < rounds; round++) {
    for (const [name, target] of targets) {
      let left = results.filter((result) => !result.failed(name));
      // What fails takes the machine with it: the rest goes on in another one.
      while (target.linux !== undefined && left.length > 0) {
        left = await measureBoot(left, name, target.linux(linux));
      }
    }
  }
  return results;
}

/** One boot and workloads until one fails; gives those that come behind it. */
async function measureBoot(
  results: readonly Result[],
  name: string,
  command: Command,
): Promise<Result[]> {
  const left = [...results];
  try {
    await using session = new Session(command);
    const shell = await session.until(PROMPT, BOOT_LIMIT_MS);
    if (left[0].name === BOOT) {
      left[0].add(name, {
        wall: shell.wall,
        cpu: busiestThread(shell),
        peak: session.peakMemory,
      });
      left.shift();
    }
    if (left.length > 0) await run(session, "prepare");
    for (; left.length > 0; left.shift()) {
      left[0].add(name, await measureWorkload(session, left[0].name));
    }
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    left.shift()!.fail(name, error.message);
  }
  return left;
}

async function measureWorkload(
  session: Session,
  name: string,
): Promise<Sample> {
  await type(session, name);
  const begin = await session.until(/^BEGIN \S+\r?\n/m, LIMIT_MS);
  const end = await session.until(/^END \S+\r?\n/m, LIMIT_MS);
  const sum = await finish(session);
  return {
    wall: end.wall - begin.wall,
    cpu: busiestThread(end, begin),
    peak: session.peakMemory,
    checksum: sum.match[1],
  };
}

async function run(session: Session, name: string): Promise<void> {
  await type(session, name);
  await finish(session);
}

async function type(session: Session, name: string): Promise<void> {
  await session.type(`/bench/run.sh ${name}\n`);
}

async function finish(session: Session): Promise<Stamp> {
  const sum = await session.until(/^SUM \S+ ([0-9a-f]{32})/m, LIMIT_MS);
  await session.until(PROMPT, LIMIT_MS);
  return sum;
}
