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
  ["strings", ["strings"], 1500, 3],
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

Deno.test({
  name: "a gather's address is a sum of 64 bits",
  ignore: typeof oracle === "string",
  fn: async () => {
    // VPGATHERQQ XMM0, [RBX + XMM1 * 8], XMM2; and with FS and 67
    const codes = [[], [0x64, 0x67], [0x64]].map((prefixes) => [
      ...prefixes,
      ...[0xc4, 0xe2, 0xe9, 0x91, 0x04, 0xcb],
    ]);
    const at = BigInt(DATA + 0x100);
    const cases = codes.flatMap((bytes) =>
      [
        [at, 0x20000000_00000001n],
        [at, 0xe0000000_00000002n],
        [at | 1n << 63n, 0x10000000_00000003n],
        [-0x2000n, BigInt(DATA + 0x4000) >> 3n],
        [at | 1n << 62n, 4n], // beyond
      ].map(([base, index], n) => {
        const r = new CaseRecord64();
        r.data.forEach((_, i) => r.data[i] = i * 7);
        r.setGpr(3, base);
        const lanes = new BigUint64Array([index, index + 1n, -1n, -1n]);
        r.xmm(1).set(new Uint8Array(lanes.buffer, 0, 16));
        r.xmm(2).set(new Uint8Array(lanes.buffer, 16, 16));
        const piece = {
          bytes,
          form: "",
          undefinedBefore: 0,
          undefinedAfter: 0,
        };
        place64(r, [piece], 0);
        return { index: n, pieces: [piece], record: r };
      })
    );
    const expected = await (oracle as Oracle<CaseRecord64>).run(
      cases.map((c) => c.record),
    );
    const subject = new RheaSubject64("interp");
    const found = cases.map((c, n) =>
      differences64(c, expected[n], subject.run(c.record))
    );
    assertEquals(found, cases.map(() => []));
    assertEquals(new Set(expected.map((r) => r.vector)).has(3), true);
  },
});
