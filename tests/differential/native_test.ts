import { assert } from "@std/assert";
import { blame, describe, differences, minimise } from "./compare.ts";
import { type Case, Generator } from "./generate.ts";
import { disassemble, Oracle } from "./oracle.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";
import { CODE } from "./record.ts";
import { RheaSubject } from "./rhea.ts";

const directory = await Deno.makeTempDir();
const oracle = await Oracle.build(directory);
if (typeof oracle === "string") {
  console.log(`native differential is skipped: ${oracle}`);
}
globalThis.addEventListener("unload", () => {
  try {
    Deno.removeSync(directory, { recursive: true });
  } catch { /* it is in the temporary folder */ }
});

/** Failures reported one by one, each of another form; the rest is counted. */
const REPORTED = 12;

/** What is generated: groups, cases, and instructions in a case at most. */
const SUITES: [string, string[], number, number][] = [
  ["integer, single instructions", ["integer"], 3000, 1],
  ["integer, sequences", ["integer"], 1500, 8],
  ["x87", ["x87"], 1500, 5],
  ["MMX", ["mmx", "mmx", "mmx", "x87"], 1000, 4],
  ["SSE", ["sse"], 2500, 3],
  ["VEX", ["vex"], 4000, 3],
  ["VEX and SSE", ["vex", "vex", "sse", "integer"], 1500, 8],
  ["SSSE3 on MMX", ["ssse3", "ssse3", "mmx"], 500, 3],
  ["SSE4", ["sse4"], 1500, 2],
  ["AES, PCLMULQDQ, SHA", ["crypto"], 500, 3],
  ["counts, CRC32, MOVBE, ADX", ["extensions"], 1000, 2],
  [
    "everything",
    [
      "integer",
      "x87",
      "mmx",
      "sse",
      "vex",
      "ssse3",
      "sse4",
      "crypto",
      "extensions",
    ],
    1500,
    12,
  ],
];

async function check(
  subject: RheaSubject,
  groups: string[],
  count: number,
  maxInsns: number,
  seed: number,
): Promise<void> {
  const native = oracle as Oracle;
  const generator = new Generator(new Prng(seed), groups, maxInsns);
  const cases = Array.from({ length: count }, () => generator.next());
  const expected = await native.run(cases.map((c) => c.record));
  const failures = new Map<string, { first: Case; count: number }>();
  cases.forEach((c, i) => {
    const actual = subject.run(c.record);
    if (differences(c, expected[i], actual).length === 0) return;
    const form = blame(c, expected[i]);
    const known = failures.get(form);
    if (known === undefined) failures.set(form, { first: c, count: 1 });
    else known.count++;
  });
  if (failures.size === 0) return;
  const report: string[] = [];
  const fails = async (c: Case): Promise<boolean> => {
    const [e] = await native.run([c.record]);
    return differences(c, e, subject.run(c.record)).length > 0;
  };
  for (const [form, { first, count }] of [...failures].slice(0, REPORTED)) {
    const c = await minimise(first, fails);
    const [e] = await native.run([c.record]);
    const code = c.record.code.subarray(0, c.record.codeLength);
    report.push(
      `--- case ${c.index}, ${form} (${count} cases)`,
      describe(c),
      await disassemble(code, CODE + c.record.codeOffset),
      ...differences(c, e, subject.run(c.record)),
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
    `${total} of ${count} cases differ; RHEA_SEED=${seed}\n${
      report.join("\n")
    }`,
  );
}

for (const accel of ["interp", "jit"] as const) {
  const subject = typeof oracle === "string"
    ? undefined
    : new RheaSubject(accel, 1);
  for (const [title, groups, count, maxInsns] of SUITES) {
    Deno.test({
      name: `native x86 against ${accel}: ${title}`,
      ignore: subject === undefined,
      fn: () =>
        check(
          subject!,
          groups,
          casesFrom(count),
          maxInsns,
          seedFrom(1),
        ),
    });
  }
}
