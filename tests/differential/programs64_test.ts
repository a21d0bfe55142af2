/**
 * Random programs of 64-bit mode (`programs64.ts`): both executors leave behind
 * what the host CPU does.
 */

import { assert } from "@std/assert";
import { blame64, describe64, differences64 } from "./compare64.ts";
import { ProgramGenerator64 } from "./programs64.ts";
import { place64 } from "./generate64.ts";
import { check } from "./native_check.ts";
import { Oracle } from "./oracle.ts";
import { Prng } from "./prng.ts";
import type { CaseRecord64 } from "./record64.ts";
import { RheaSubject64 } from "./rhea64.ts";

const directory = await Deno.makeTempDir();
const oracle = await Oracle.build64(directory);
if (typeof oracle === "string") {
  console.log(`64-bit programs: skipped, ${oracle}`);
}

/** Executions that make a block hot (0: the interpreter), and how many programs. */
const SUBJECTS = [[0, 100], [1, 15], [10, 50], [60, 80]];

for (const [threshold, count] of SUBJECTS) {
  const title = threshold === 0 ? "interp" : `jit, threshold ${threshold}`;
  Deno.test({
    name: `random 64-bit programs against the host: ${title}`,
    ignore: typeof oracle === "string",
    fn: async () => {
      const subject = new RheaSubject64(
        threshold === 0 ? "interp" : "jit",
        threshold || 1,
      );
      await check(
        {
          oracle: oracle as Oracle<CaseRecord64>,
          subject,
          machine: "i386:x86-64",
          start: (r) => r.rip,
          place: place64,
          differences: differences64,
          blame: blame64,
          describe: describe64,
        },
        count,
        (seed) => new ProgramGenerator64(new Prng(seed)),
      );
      assert(threshold === 0 || subject.engine.stats().regions > 0);
    },
  });
}

Deno.test({
  name: "remove the oracle",
  fn: () => Deno.removeSync(directory, { recursive: true }),
});
