import { assertEquals } from "@std/assert";
import { blame64, describe64, differences64 } from "./compare64.ts";
import { Generator64, place64 } from "./generate64.ts";
import { check } from "./native_check.ts";
import { Oracle } from "./oracle.ts";
import { Prng } from "./prng.ts";
import { DATA, PAGES } from "./record.ts";
import { CaseRecord64 } from "./record64.ts";
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
  ["VEX", ["vex"], 3000, 3],
  ["VEX and SSE", ["vex", "vex", "sse", "integer"], 1000, 8],
  ["counts, CRC32, MOVBE, ADX", ["extensions"], 600, 2],
  [
    "everything",
    ["integer", "long", "x87", "mmx", "sse", "sse4", "extensions", "vex"],
    1000,
    12,
  ],
];

for (const accel of ["interp", "jit"] as const) {
  const subject = typeof oracle === "string"
    ? undefined
    : new RheaSubject64(accel, 1);
  for (const [title, groups, count, maxInsns] of SUITES) {
    Deno.test({
      name: `native x86-64 against ${accel}: ${title}`,
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

Deno.test("ENTER's frames across two pages: each is written once", () => {
  const [interp, jit] = (["interp", "jit"] as const).map((accel) => {
    const cpu = new RheaSubject64(accel, 1);
    return [1, 100, 130, 0xa8, 250].map((above) => {
      const r = new CaseRecord64();
      r.data.forEach((_, i) => r.data[i] = i * 7);
      const rsp = BigInt(DATA + PAGES / 2 + above);
      r.setGpr(4, rsp);
      r.setGpr(5, rsp - 9n); // reads what it has written in part
      const bytes = [0xc8, 0, 0, 31];
      place64(
        r,
        [{ bytes, form: "", undefinedBefore: 0, undefinedAfter: 0 }],
        0,
      );
      return cpu.run(r).data;
    });
  });
  assertEquals(jit, interp);
});
