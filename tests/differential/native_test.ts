import { blame, describe, differences } from "./compare.ts";
import { Generator, placeCode } from "./generate.ts";
import { check } from "./native_check.ts";
import { Oracle } from "./oracle.ts";
import { Prng } from "./prng.ts";
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
          {
            oracle: oracle as Oracle,
            subject: subject!,
            machine: "i386",
            start: (r) => CODE + r.codeOffset,
            place: placeCode,
            differences,
            blame,
            describe,
          },
          count,
          (seed) => new Generator(new Prng(seed), groups, maxInsns),
        ),
    });
  }
}
