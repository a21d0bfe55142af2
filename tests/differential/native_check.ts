/**
 * The check of the native differential tests: cases run on the host CPU and in
 * Rhea, and what differs is minimised and reported by form.
 *
 * @module
 */

import { assert } from "@std/assert";
import { minimise } from "./compare.ts";
import type { Case, Piece } from "./generate.ts";
import { isIntel } from "./host_cpu.ts";
import { disassemble, type Oracle } from "./oracle.ts";
import { casesFrom, freshSeed, seedFrom } from "./prng.ts";
import type { CaseRecord } from "./record.ts";

/** Failures reported one by one, each of another form; the rest is counted. */
const REPORTED = 12;

/** What the check needs of a record. */
type Common<R> =
  & Pick<
    CaseRecord,
    | "bytes"
    | "code"
    | "codeLength"
    | "codeOffset"
    | "eflags"
    | "setFxDefaults"
  >
  & { clone(): R };

/** What a mode's records are made with and compared by. */
export interface Mode<R extends Common<R>> {
  /** The host CPU. */
  readonly oracle: Oracle<R>;
  /** Rhea. */
  readonly subject: { run(test: R): R };
  /** objdump's name of the machine. */
  readonly machine: string;
  /** Address of the first instruction. */
  start(record: R): number | bigint;
  /** Writes instructions into a record. */
  place(record: R, pieces: readonly Piece[], offset: number): void;
  /** The differences, one a line. */
  differences(c: Case<R>, expected: R, actual: R): string[];
  /** The form that is to blame. */
  blame(c: Case<R>, expected: R): string;
  /** A case, for a reader. */
  describe(c: Case<R>): string;
}

/** A source of cases. */
export interface Cases<R> {
  /** The next case. */
  next(): Case<R>;
}

/** Runs `count` cases (or `RHEA_CASES`) from `generator(seed)` (`freshSeed`); throws if any differs. */
export async function check<R extends Common<R>>(
  mode: Mode<R>,
  count: number,
  generator: (seed: number) => Cases<R>,
): Promise<void> {
  const { oracle, subject } = mode;
  // What is rare, and the CPU's choice, is for those who can look at it: of CPUs
  // of Intel `host_cpu.ts` does not have all of that, and most new seeds met
  // something (tests/README.md).
  const seed = isIntel ? seedFrom(1) : freshSeed(1);
  const source = generator(seed);
  const cases = Array.from({ length: casesFrom(count) }, () => source.next());
  const expected = await oracle.run(cases.map((c) => c.record));
  const failures = new Map<string, { first: Case<R>; count: number }>();
  cases.forEach((c, i) => {
    const actual = subject.run(c.record);
    if (mode.differences(c, expected[i], actual).length === 0) return;
    const form = mode.blame(c, expected[i]);
    const known = failures.get(form);
    if (known === undefined) failures.set(form, { first: c, count: 1 });
    else known.count++;
  });
  if (failures.size === 0) return;
  const report: string[] = [];
  const fails = async (c: Case<R>): Promise<boolean> => {
    const [e] = await oracle.run([c.record]);
    return mode.differences(c, e, subject.run(c.record)).length > 0;
  };
  for (const [form, { first, count }] of [...failures].slice(0, REPORTED)) {
    const c = await minimise(first, mode.place, fails);
    const [e] = await oracle.run([c.record]);
    report.push(
      `--- case ${c.index}, ${form} (${count} cases)`,
      mode.describe(c),
      await disassemble(
        c.record.code.subarray(0, c.record.codeLength),
        mode.start(c.record),
        mode.machine,
      ),
      ...mode.differences(c, e, subject.run(c.record)),
    );
  }
  const total = [...failures.values()].reduce((n, f) => n + f.count, 0);
  report.push(
    `all forms that fail: ${
      [...failures].map(([f, x]) => `${f} (${x.count})`).join(", ")
    }`,
  );
  assert(
    false,
    `${total} of ${cases.length} cases differ; RHEA_SEED=${seed}\n${
      report.join("\n")
    }`,
  );
}
