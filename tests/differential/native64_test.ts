import { blame64, describe64, differences64 } from "./compare64.ts";
import { Generator64, place64 } from "./generate64.ts";
import { check } from "./native_check.ts";
import { Oracle } from "./oracle.ts";
import { Prng } from "./prng.ts";
import type { CaseRecord64 } from "./record64.ts";
import { RheaSubject64 } from "./rhea64.ts";

const directory = await Deno.makeTempDir();
const oracle = await Oracle.build64(directory);
if (typeof oracle === "string") {
  console.log(`native 64-bit differential is skipped: ${oracle}`);
}
globalThis.addEventListener("unload", () => {
  try {
    Deno.removeSync(directory, { recursive: true });
  } catch { /* it is in the temporary folder */ }
});

/** What is generated: groups, cases, and instructions in a case at most. */
const SUITES: [string, string[], number, number][] = [
  ["integer, single instructions", ["integer"], 3500, 1],
  ["integer, sequences", ["integer", "long"], 1500, 8],
  ["x87", ["x87"], 600, 5],
  ["MMX", ["mmx", "mmx", "mmx", "x87"], 600, 4],
  ["SSE", ["sse", "sse", "conversions"], 2000, 3],
  ["SSSE3, SSE4, AES, SHA", ["sse4"], 1000, 2],
  ["counts, CRC32, MOVBE, ADX", ["extensions"], 600, 2],
  [
    "everything",
    ["integer", "long", "x87", "mmx", "sse", "sse4", "extensions"],
    1000,
    12,
  ],
];

/** The same at the end of the largest memory. */
const FULL: typeof SUITES = [[
  "everything",
  ["integer", "long", "x87", "mmx", "sse", "conversions", "sse4"],
  600,
  6,
]];

const SUBJECTS = [
  ["interp", "", SUITES],
  ["jit", "", SUITES],
  ["interp", " at 4 GiB", FULL],
  ["jit", " at 4 GiB", FULL],
] as const;
for (const [accel, where, suites] of SUBJECTS) {
  const subject = typeof oracle === "string"
    ? undefined
    : new RheaSubject64(accel, 1, where !== "");
  for (const [title, groups, count, maxInsns] of suites) {
    Deno.test({
      name: `native x86-64 against ${accel}${where}: ${title}`,
      ignore: subject === undefined,
      fn: () =>
        check(
          {
            oracle: oracle as Oracle<CaseRecord64>,
            subject: subject!,
            machine: "i386:x86-64",
            start: (r) => r.rip,
            place: place64,
            differences: differences64,
            blame: blame64,
            describe: describe64,
          },
          count,
          (seed) => new Generator64(new Prng(seed), groups, maxInsns),
        ),
    });
  }
}
