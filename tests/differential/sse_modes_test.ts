/**
 * SSE arithmetic against the host CPU in each of the ways in which it is
 * translated: natively with PE set, natively with PE clear, and by helpers.
 */

import { assertEquals } from "@std/assert";
import { differences } from "./compare.ts";
import { type Case, Generator } from "./generate.ts";
import { Oracle } from "./oracle.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";
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

for (const [name, mxcsr] of Object.entries(MODES)) {
  Deno.test({
    name: `SSE as the host has it, ${name}`,
    ignore: typeof oracle === "string",
    fn: async () => {
      const seed = seedFrom(0x55e);
      const generator = new Generator(new Prng(seed), ["sse"], 2);
      const cases: Case[] = [];
      while (cases.length < casesFrom(1500)) {
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
  name: "remove the SSE oracle",
  fn: () => Deno.removeSync(directory, { recursive: true }),
});
