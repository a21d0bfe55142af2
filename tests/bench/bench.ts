/**
 * Measures Rhea against v86, QEMU's TCG and native code on the same guests in
 * one run, interleaved: bare-metal guests, the start of the emulator, and
 * Linux. Prints medians and ratios, judges them against the project's aims,
 * and writes everything as JSON. Time is taken from outside, between the
 * guest's `BEGIN` and `END` lines on the serial port.
 *
 *   deno task bench [--rounds=3] [--only=bare,boot,gzip] [--json=FILE]
 *                   [--targets=jit,interp,jit@FOLDER,v86,tcg,native]
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { dirname, fromFileUrl, join } from "@std/path";
import { GuestError } from "../../core/cli/guest.ts";
import { measureBare, measureStart } from "./bare.ts";
import { BENCHMARKS } from "./guests.ts";
import { LINUX_BENCHMARKS, measureLinux } from "./linux.ts";
import { header, judge, row, toJson, verdictLines } from "./report.ts";
import type { Result } from "./results.ts";
import {
  DEFAULT_TARGETS,
  findTarget,
  TARGET_NAMES,
  type TargetMap,
} from "./targets.ts";

const ROOT = fromFileUrl(new URL("../..", import.meta.url));
/** What `--only` takes besides names. */
const SETS: Readonly<Record<string, readonly string[]>> = {
  bare: BENCHMARKS,
  linux: LINUX_BENCHMARKS,
};
const START = "start";

/** The user asked for what there is not: one line that says what there is. */
class UsageError extends Error {}

/** The names behind `--only`, or an error about the first unknown one. */
function select(only: string | undefined): ReadonlySet<string> {
  const all = [START, ...Object.values(SETS).flat()];
  if (only === undefined) return new Set(all);
  return new Set(
    only.split(",").flatMap((word) => {
      if (word in SETS) return SETS[word];
      if (all.includes(word)) return [word];
      throw new UsageError(
        `There is no benchmark "${word}"; there are ${all.join(", ")} and ` +
          `the sets ${Object.keys(SETS).join(", ")}`,
      );
    }),
  );
}

/** The targets behind `--targets`, or an error about the first unknown one. */
function selectTargets(list: string): TargetMap {
  return new Map(
    list.split(",").map((name) => {
      const target = findTarget(name);
      if (target !== undefined) return [name, target];
      throw new UsageError(
        `There is no target "${name}"; there are ${TARGET_NAMES}`,
      );
    }),
  );
}

async function main(): Promise<boolean> {
  const args = parseArgs(Deno.args, {
    string: ["rounds", "only", "targets", "json"],
    default: {
      rounds: "3",
      targets: DEFAULT_TARGETS.join(","),
      json: join(ROOT, ".cache/bench.json"),
    },
  });
  const rounds = Number(args.rounds);
  if (!(Number.isInteger(rounds) && rounds > 0)) {
    throw new UsageError(`--rounds is a number from 1 on, not ${args.rounds}`);
  }
  const chosen = select(args.only as string | undefined);
  const targets = selectTargets(args.targets as string);
  const names = [...targets.keys()];
  const results: Result[] = [];
  const report = (result: Result): void => {
    results.push(result);
    console.log(row(result, names));
  };
  let complete = true;
  const directory = await Deno.makeTempDir();
  console.log(header(names));
  try {
    for (const name of BENCHMARKS) {
      if (!chosen.has(name)) continue;
      report(await measureBare(name, targets, rounds, directory));
    }
    if (chosen.has(START)) {
      report(await measureStart(targets, rounds, directory));
    }
    if (LINUX_BENCHMARKS.some((name) => chosen.has(name))) {
      try {
        (await measureLinux(chosen, targets, rounds)).forEach(report);
      } catch (error) {
        if (!(error instanceof GuestError)) throw error;
        console.log(`linux: ${error.message}`);
        complete = false;
      }
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  const verdicts = judge(results, names);
  console.log(`\n${verdictLines(verdicts)}`);
  const json = JSON.stringify(toJson(results, names, verdicts), null, 2);
  await Deno.mkdir(dirname(args.json as string), { recursive: true });
  await Deno.writeTextFile(args.json as string, `${json}\n`);
  return complete && results.every(({ good }) => good);
}

if (import.meta.main) {
  try {
    Deno.exit(await main() ? 0 : 1);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(error.message);
    Deno.exit(2);
  }
}
