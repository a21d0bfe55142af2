/**
 * Whether instructions have the same length as on QEMU, and the same of them
 * are undefined, where the host's programs cannot look: at level 0, in code of
 * 16, 32 and 64 bits, in virtual-8086 mode and in real mode. Where QEMU and Rhea differ, the
 * host is asked about the same bytes at level 3, if that does not matter;
 * otherwise the difference is a line in `decode_system_differences.ts`.
 * `RHEA_DECODE=all`: every case, and how many each known difference has.
 */

import { assert, assertEquals } from "@std/assert";
import { decode, Insn } from "../../plugins/cpu/x86/decode.ts";
import { CASE_BYTES, caseOf, systemSpaces } from "./decode_cases.ts";
import { normalise } from "./decode_differences.ts";
import {
  DecodeGuest,
  type Guest,
  LEVEL0,
  missing,
  REAL,
  V86,
} from "./decode_guest.ts";
import { type Decoded, DecodeOracle } from "./decode_oracle.ts";
import type { Bits } from "./decode_subject.ts";
import {
  explain,
  hostDecides,
  isRunnable,
  type Where,
} from "./decode_system_differences.ts";
import { casesFrom, freshSeed, Prng } from "./prng.ts";

const why = missing();
if (why !== undefined) console.log(`decoding at level 0: skipped, ${why}`);

const isAll = Deno.env.get("RHEA_DECODE") === "all";
/** Cases at a time. */
const BATCH = 20_000;
/** Differences that are reported. */
const REPORTED = 30;

const isUndefined = (x: Decoded): boolean => x.vector === 6;
/** Whether two say the same; an undefined instruction has no length, and in real mode others may have none. */
const agree = (a: Decoded, b: Decoded, isReal: boolean): boolean =>
  isUndefined(a) === isUndefined(b) &&
  (isUndefined(a) || a.length === b.length ||
    isReal && (a.length === 0 || b.length === 0));

async function compare(guest: Guest, bits: Bits): Promise<void> {
  const seed = freshSeed(1), p = new Prng(seed);
  const pair = new DecodeGuest(guest);
  const isReal = guest === REAL;
  const where: Where = isReal ? "real" : guest === V86 ? "v86" : bits;
  const directory = await Deno.makeTempDir();
  const oracle = await DecodeOracle.build(directory);
  const insn = new Insn();
  const look = (code: Uint8Array): Insn => {
    decode(
      insn,
      code,
      0,
      code.length,
      bits === 32,
      bits === 64,
      guest === LEVEL0,
    );
    return insn;
  };
  const wrong: string[] = [];
  const known = new Map<string, number>();
  let compared = 0;
  for (const space of systemSpaces(bits)) {
    const count = isAll ? space.size : Math.min(casesFrom(700), space.size);
    for (let from = 0; from < count; from += BATCH) {
      const cases = Array.from(
        { length: Math.min(BATCH, count - from) },
        (_, i) => caseOf(space, isAll ? from + i : p.below(space.size)),
      ).filter((code) => isRunnable(look(code), normalise(bits, code), where));
      const found = await pair.run(
        bits,
        cases,
        (code) => Math.min(Math.max(look(code).length, 1), CASE_BYTES),
      );
      compared += cases.length;
      const differing = cases.flatMap((_, n) =>
        agree(found[n].qemu, found[n].rhea, isReal) ? [] : [n]
      );
      const hosts = typeof oracle === "string" ? [] : await oracle.run(
        bits,
        differing.map((n) => cases[n]),
        differing.map((n) => found[n].rhea.length),
      );
      differing.forEach((n, k) => {
        const { qemu, rhea } = found[n];
        const text = normalise(bits, cases[n]);
        const reason = hosts.length > 0 && hostDecides(text, cases[n], where) &&
            agree(hosts[k], rhea, isReal)
          ? "QEMU: the host CPU is as Rhea"
          : explain(where, text, rhea, qemu);
        if (reason !== undefined) {
          known.set(reason, (known.get(reason) ?? 0) + 1);
          return;
        }
        const say = (x: Decoded): string =>
          isUndefined(x) ? "undefined" : `${x.length} bytes (${x.vector})`;
        const bytes = Array.from(
          cases[n],
          (x) => x.toString(16).padStart(2, "0"),
        );
        wrong.push(
          `${space.name}: ${bytes.join(" ")}: ${text}: on QEMU ${say(qemu)}, ` +
            `here ${say(rhea)}, at level 3 of the host ${
              k < hosts.length ? say(hosts[k]) : "?"
            } (${look(cases[n]).row.name})`,
        );
      });
    }
  }
  await Deno.remove(directory, { recursive: true });
  if (isAll) {
    for (const [reason, n] of known) console.log(`${n} cases: ${reason}`);
  }
  assert(compared > 0);
  assertEquals(
    wrong.slice(0, REPORTED),
    [],
    `${wrong.length} of ${compared} cases differ; RHEA_SEED=${seed}`,
  );
}

for (
  const [name, guest, bits] of [
    ["level 0, code of 64 bits", LEVEL0, 64],
    ["level 0, code of 32 bits", LEVEL0, 32],
    ["level 0, code of 16 bits", LEVEL0, 16],
    ["virtual-8086 mode", V86, 16],
    ["real mode", REAL, 16],
  ] as const
) {
  Deno.test({
    name: `decoded as on QEMU: ${name}`,
    ignore: why !== undefined,
    fn: () => compare(guest, bits),
  });
}
