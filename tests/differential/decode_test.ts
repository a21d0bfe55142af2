/**
 * Whether instructions have the same length as on the host, and the same of
 * them are undefined, in code of 16, 32 and 64 bits. By default some of the
 * cases, chosen at random; `RHEA_DECODE=all`: every one (15 million, some
 * ten minutes), and how many cases each known difference has.
 */

import { assert, assertEquals } from "@std/assert";
import { caseOf, type Space, spaces } from "./decode_cases.ts";
import { explain } from "./decode_differences.ts";
import { DecodeOracle } from "./decode_oracle.ts";
import { type Bits, DecodeSubject } from "./decode_subject.ts";
import { casesFrom, freshSeed, Prng } from "./prng.ts";

const directory = await Deno.makeTempDir();
const oracle = await DecodeOracle.build(directory);
if (typeof oracle === "string") {
  console.log(`decoding: skipped, ${oracle}`);
}

const isAll = Deno.env.get("RHEA_DECODE") === "all";
/** Cases that the oracle gets at a time. */
const BATCH = 20_000;
/** Differences that are reported. */
const REPORTED = 20;

function* batches(space: Space, p: Prng): Generator<Uint8Array[]> {
  const count = isAll ? space.size : Math.min(casesFrom(2000), space.size);
  for (let from = 0; from < count; from += BATCH) {
    yield Array.from(
      { length: Math.min(BATCH, count - from) },
      (_, i) => caseOf(space, isAll ? from + i : p.below(space.size)),
    );
  }
}

function hostFeatures(): ReadonlySet<string> {
  const text = Deno.readTextFileSync("/proc/cpuinfo");
  return new Set(/^flags\s*: (.*)$/m.exec(text)?.[1].split(" "));
}

async function compare(bits: Bits): Promise<void> {
  const seed = freshSeed(), p = new Prng(seed);
  const subject = new DecodeSubject(bits);
  const features = hostFeatures();
  const wrong: string[] = [];
  const known = new Map<string, number>();
  let compared = 0;
  for (const space of spaces(bits)) {
    for (const cases of batches(space, p)) {
      const found = cases.map((code) => subject.judge(code));
      const expected = await (oracle as DecodeOracle).run(
        bits,
        cases,
        found.map((x) => x.undefined ? 15 : x.length),
      );
      compared += cases.length;
      cases.forEach((code, n) => {
        const here = found[n], host = expected[n];
        const isUndefined = host.vector === 6;
        // An undefined instruction has no length.
        if (
          here.undefined === isUndefined &&
          (isUndefined || here.length === host.length)
        ) return;
        const why = explain(bits, code, here, host, features);
        if (why !== undefined) {
          known.set(why, (known.get(why) ?? 0) + 1);
          return;
        }
        const bytes = Array.from(code, (x) => x.toString(16).padStart(2, "0"));
        wrong.push(
          `${space.name}: ${bytes.join(" ")}: on the host ${
            isUndefined ? "undefined" : `${host.length} bytes`
          } (vector ${host.vector}), here ${
            here.undefined ? "undefined" : `${here.length} bytes`
          } (${here.name})`,
        );
      });
    }
  }
  if (isAll) {
    for (const [why, count] of known) console.log(`${count} cases: ${why}`);
  }
  assert(compared > 0);
  assertEquals(
    wrong.slice(0, REPORTED),
    [],
    `${wrong.length} of ${compared} cases differ; RHEA_SEED=${seed}`,
  );
}

for (const bits of [16, 32, 64] as const) {
  Deno.test({
    name: `code of ${bits} bits is decoded as on the host`,
    ignore: typeof oracle === "string",
    fn: () => compare(bits),
  });
}

Deno.test({
  name: "remove the oracle",
  fn: () => Deno.removeSync(directory, { recursive: true }),
});
