/**
 * Measures Rhea against v86, QEMU's TCG and native code on the same guests in
 * one run, interleaved: bare-metal guests, the start of the emulator, and
 * Linux. Prints medians and ratios, judges them against the project's aims,
 * and writes everything as JSON. Time is taken from outside, between the
 * guest's `BEGIN` and `END` lines on the serial port.
 *
 *   deno task bench [--rounds=3] [--only=bare,boot,gzip] [--json=FILE]
 *                   [--targets=jit,interp,jit@FOLDER,v86,tcg,native]
 *                   [--bits=64]
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { dirname, fromFileUrl, join } from "@std/path";
import { GuestError } from "../../core/cli/guest.ts";
import { measureBare, measureStart } from "./bare.ts";
import { BENCHMARKS, BENCHMARKS_64, type Bits } from "./guests.ts";
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
const START = "start";

const USAGE = `deno task bench [--rounds=3] [--only=bare,boot,gzip]
  [--json=FILE] [--targets=jit,interp,jit@FOLDER,v86,tcg,native] [--bits=64]
tests/README.md says more`;

/** The user asked for what there is not: one line that says what there is. */
class UsageError extends Error {}

/** The names behind `--only`, or an error about the first unknown one. */
function select(
  only: string | undefined,
  bare: readonly string[],
): ReadonlySet<string> {
  // What `--only` takes besides names.
  const sets: Readonly<Record<string, readonly string[]>> = {
    bare,
    linux: LINUX_BENCHMARKS,
  };
  const all = [START, ...Object.values(sets).flat()];
  if (only === undefined) return new Set(all);
  return new Set(
    only.split(",").flatMap((word) => {
      if (Object.hasOwn(sets, word)) return sets[word];
      if (all.includes(word)) return [word];
      throw new UsageError(
        `There is no benchmark "${word}"; there are ${all.join(", ")} and ` +
          `the sets ${Object.keys(sets).join(", ")}`,
      );
    }),
  );
}

/** The targets behind `--targets`, or an error about the first unknown one. */
function selectTargets(list: string, bits: Bits): TargetMap {
  return new Map(
    list.split(",").map((name) => {
      const target = findTarget(name, bits);
      if (target !== undefined) return [name, target];
      throw new UsageError(
        `There is no target "${name}"; there are ${TARGET_NAMES}`,
      );
    }),
  );
}

async function main(): Promise<boolean> {
  const args = parseArgs(Deno.args, {
    boolean: ["help"],
    string: ["rounds", "only", "targets", "json", "bits"],
    unknown: (word: string) => {
      throw new UsageError(`There is no option "${word}":\n${USAGE}`);
    },
    default: {
      rounds: "3",
      bits: "32",
    },
  });
  if (args.help) {
    console.log(USAGE);
    return true;
  }
  if (args.bits !== "32" && args.bits !== "64") {
    throw new UsageError(`--bits is 32 or 64, not ${args.bits}`);
  }
  const bits: Bits = args.bits === "64" ? 64 : 32;
  const bare = bits === 64 ? BENCHMARKS_64 : BENCHMARKS;
  const file = bits === 64 ? "bench64.json" : "bench.json";
  const jsonPath = args.json ?? join(ROOT, ".cache", file);
  const rounds = Number(args.rounds);
  if (!(Number.isInteger(rounds) && rounds > 0)) {
    throw new UsageError(`--rounds is a number from 1 on, not ${args.rounds}`);
  }
  const chosen = select(args.only as string | undefined, bare);
  const targets = selectTargets(
    args.targets ?? DEFAULT_TARGETS[bits].join(","),
    bits,
  );
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
    for (const name of bare) {
      if (!chosen.has(name)) continue;
      report(await measureBare(name, targets, rounds, directory, bits));
    }
    if (chosen.has(START)) {
      report(await measureStart(targets, rounds, directory, bits));
    }
    if (LINUX_BENCHMARKS.some((name) => chosen.has(name))) {
      try {
        (await measureLinux(chosen, targets, rounds, bits)).forEach(report);
      } catch (error) {
        if (!(error instanceof GuestError)) throw error;
        console.log(`linux: ${error.message}`);
        complete = false;
      }
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  const verdicts = judge(results, names, bits);
  console.log(`\n${verdictLines(verdicts)}`);
  const json = JSON.stringify(toJson(results, names, verdicts), null, 2);
  await Deno.mkdir(dirname(jsonPath), { recursive: true });
  await Deno.writeTextFile(jsonPath, `${json}\n`);
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
