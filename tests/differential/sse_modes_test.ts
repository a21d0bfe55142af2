/**
 * SSE arithmetic against the host CPU in each of the ways in which it is
 * translated: natively with PE set, natively with PE clear, and by helpers.
 */

import { assertEquals } from "@std/assert";
import { differences } from "./compare.ts";
import { type Case, Generator, placeCode } from "./generate.ts";
import { Oracle } from "./oracle.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";
import { CaseRecord, DATA } from "./record.ts";
import { RheaSubject } from "./rhea.ts";

/** MXCSR by what it makes of a translation. */
const MODES: Readonly<Record<string, number>> = {
  "PE set": 0x1fa0,
  "PE clear": 0x1f80,
  "rounding down, flush to zero": 0xbf80,
  "denormals are zeros, unmasked": 0x0040,
};

const directory = await Deno.makeTempDir();
const oracle = await Oracle.build(directory);
if (typeof oracle === "string") {
  console.log(`SSE modes: skipped, ${oracle}`);
}

/** Groups of forms, and how many cases of each. */
const GROUPS: readonly [string, number][] = [["sse", 1500], ["rounding", 500]];
const RUNS = Object.entries(MODES).flatMap(([mode, mxcsr]) =>
  GROUPS.map(([group, count]) => ({ mode, mxcsr, group, count }))
);

for (const { mode, mxcsr, group, count } of RUNS) {
  Deno.test({
    name: `${group} as the host has it, ${mode}`,
    ignore: typeof oracle === "string",
    fn: async () => {
      const seed = seedFrom(0x55e);
      const generator = new Generator(new Prng(seed), [group], 2);
      const cases: Case[] = [];
      while (cases.length < casesFrom(count)) {
        const c = generator.next();
        // The host's MXCSR has a bit that the emulated CPUs do not have.
        if (c.pieces.some((p) => p.form === "0f ae /2")) continue;
        c.record.mxcsr = mxcsr;
        cases.push(c);
      }
      const expected = await (oracle as Oracle).run(cases.map((c) => c.record));
      for (const accel of ["interp", "jit"] as const) {
        const subject = new RheaSubject(accel);
        cases.forEach((c, n) => {
          const found = differences(c, expected[n], subject.run(c.record));
          const forms = c.pieces.map((p) => p.form).join("; ");
          assertEquals(found, [], `case ${n} (${forms}), RHEA_SEED=${seed}`);
        });
      }
    },
  });
}

Deno.test({
  name: "MASKMOVDQU and MOVDQU with alignment checks as the host has them",
  ignore: typeof oracle === "string",
  fn: async () => {
    const AC = 0x40000;
    const cases: Case[] = [];
    for (const form of ["66 0f f7 c1", "f3 0f 7f 07"]) {
      const bytes = form.split(" ").map((x) => parseInt(x, 16));
      for (let at = 0; at <= 16; at++) {
        const record = new CaseRecord();
        record.eflags |= AC;
        record.setGpr(7, DATA + 64 + at);
        const pieces = [{ bytes, form, undefinedBefore: 0, undefinedAfter: 0 }];
        placeCode(record, pieces, 0);
        cases.push({ index: cases.length, pieces, record });
      }
    }
    const expected = await (oracle as Oracle).run(cases.map((c) => c.record));
    for (const accel of ["interp", "jit"] as const) {
      const subject = new RheaSubject(accel);
      cases.forEach((c, n) => {
        const found = differences(c, expected[n], subject.run(c.record));
        assertEquals(found, [], `${c.pieces[0].form} at ${n % 17}`);
      });
    }
  },
});

Deno.test({
  name: "remove the SSE oracle",
  fn: () => Deno.removeSync(directory, { recursive: true }),
});
