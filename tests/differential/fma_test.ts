/**
 * Fused multiply-adds against the host CPU where it is hard: products and
 * addends that nearly cancel, results halfway between two numbers, at the border
 * of the denormal and of the infinite ones; all forms, all modes of MXCSR.
 */

import { assertEquals } from "@std/assert";
import { placeCode } from "./generate.ts";
import { Oracle } from "./oracle.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";
import { CaseRecord } from "./record.ts";
import { RheaSubject } from "./rhea.ts";

const directory = await Deno.makeTempDir();
const oracle = await Oracle.build(directory);
if (typeof oracle === "string") console.log(`FMA: skipped, ${oracle}`);

const scratch = new DataView(new ArrayBuffer(8));

/** A number next to `x`, `steps` away among those of the width. */
function beside(width: number, x: number, steps: number): number {
  if (width === 4) {
    scratch.setFloat32(0, x);
    scratch.setInt32(0, scratch.getInt32(0) + steps | 0);
    return scratch.getFloat32(0);
  }
  scratch.setFloat64(0, x);
  scratch.setBigInt64(0, scratch.getBigInt64(0) + BigInt(steps));
  return scratch.getFloat64(0);
}

/** A number with few or many bits, of an exponent near `exponent`. */
function number(p: Prng, exponent: number): number {
  const m = p.oneIn(3)
    ? 1 + p.below(16) / 16
    : 1 + p.u32() / 2 ** 32 + p.u32() / 2 ** 52;
  return (p.oneIn(2) ? -m : m) * 2 ** (exponent + p.below(5) - 2);
}

/**
 * A product halfway between two numbers, and an addend that says which it is,
 * so small that a sum of 53 bits has lost it.
 */
function halfway(p: Prng, width: number): [number, number, number] {
  const [m, n] = width === 4 ? [11, 12] : [26, 26];
  const odd = (bits: number): number => 2 ** bits + p.below(2 ** bits) | 1;
  const scale = 2 ** (p.below(61) - 30);
  const a = odd(m) * (p.oneIn(2) ? scale : -scale), b = odd(n);
  const small = a * b * 2 ** -((width === 4 ? 54 : 108) + p.below(30));
  return [a, b, Math.fround(p.oneIn(2) ? small : -small)];
}

/** Factors and an addend. */
function triple(p: Prng, width: number): [number, number, number] {
  if (p.oneIn(4)) return halfway(p, width);
  const round = width === 4 ? Math.fround : (x: number): number => x;
  const [least, most] = width === 4 ? [-126, 127] : [-1022, 1023];
  // Where the product is to be.
  const aim = p.pick([0, 0, least, least - 24, least - 50, most, most - 1]);
  const first = Math.trunc(aim / 2) + p.below(41) - 20;
  const a = round(number(p, first)), b = round(number(p, aim - first));
  const far = p.below(120) - 60;
  let c: number;
  switch (p.below(5)) {
    case 0: // nearly cancels
      c = beside(width, round(-a * b), p.below(5) - 2);
      break;
    case 1: // half a unit or so of the product
      c = round(a * b * 2 ** -(width === 4 ? 24 : 53)) *
        p.pick([1, -1, 0.5, 2]);
      break;
    case 2:
      c = p.pick([0, -0, 2 ** least, 1, Infinity, NaN]);
      break;
    default:
      c = round(number(p, Math.max(least, Math.min(most - 3, aim + far))));
  }
  return [a, b, c];
}

interface Case {
  readonly record: CaseRecord;
  readonly name: string;
}

function make(p: Prng): Case {
  const record = new CaseRecord();
  const wide = p.oneIn(2);
  const width = wide ? 8 : 4;
  const group = p.pick([0x90, 0xa0, 0xb0]), low = 6 + p.below(10);
  // 132: destination * source + vvvv; 213: vvvv * destination + source; 231: vvvv * source + destination.
  const places = group === 0x90
    ? [0, 2, 1]
    : group === 0xa0
    ? [1, 0, 2]
    : [1, 2, 0];
  for (let lane = 0; lane < 32 / width; lane++) {
    triple(p, width).forEach((x, k) => {
      const half = lane * width < 16
        ? record.xmm(places[k])
        : record.ymmh(places[k]);
      const view = new DataView(half.buffer, half.byteOffset);
      const at = (lane * width) % 16;
      if (wide) view.setFloat64(at, x, true);
      else view.setFloat32(at, x, true);
    });
  }
  record.mxcsr = p.oneIn(2)
    ? 0x1f80 | (p.oneIn(2) ? 0x20 : 0)
    : (p.oneIn(4) ? p.below(64) << 7 : 0x1f80) | p.below(4) << 13 |
      (p.oneIn(4) ? 0x8000 : 0) | (p.oneIn(4) ? 0x40 : 0);
  const long = p.oneIn(2) ? 4 : 0;
  const bytes = [0xc4, 0xe2, (wide ? 0x80 : 0) | 0x70 | long | 1];
  bytes.push(group | low, 0xc2);
  const name = bytes.map((x) => x.toString(16).padStart(2, "0")).join(" ");
  const piece = { bytes, form: name, undefinedBefore: 0, undefinedAfter: 0 };
  placeCode(record, [piece], 0);
  return { name, record };
}

const hex = (b: Uint8Array): string =>
  Array.from(b).reverse().map((x) => x.toString(16).padStart(2, "0")).join("");

for (const accel of ["interp", "jit"] as const) {
  Deno.test({
    name: `fused multiply-adds are those of the host: ${accel}`,
    ignore: typeof oracle === "string",
    fn: async () => {
      const seed = seedFrom(1), p = new Prng(seed);
      const cases = Array.from({ length: casesFrom(3000) }, () => make(p));
      const expected = await (oracle as Oracle).run(cases.map((c) => c.record));
      const subject = new RheaSubject(accel);
      const wrong: string[] = [];
      cases.forEach(({ name, record }, n) => {
        const show = (r: CaseRecord): string =>
          `${r.vector} ${r.mxcsr.toString(16)} ${hex(r.ymmh(0))} ${
            hex(r.xmm(0))
          }`;
        const mine = show(subject.run(record)), theirs = show(expected[n]);
        if (mine === theirs) return;
        const operands = [0, 1, 2].map((k) =>
          `${hex(record.ymmh(k))} ${hex(record.xmm(k))}`
        );
        wrong.push(
          `${name}, mxcsr ${
            record.mxcsr.toString(16)
          }: ${theirs}, got ${mine}; ${operands.join("; ")}`,
        );
      });
      assertEquals(wrong.slice(0, 10), [], `RHEA_SEED=${seed}`);
    },
  });
}

Deno.test({
  name: "remove the oracle",
  fn: () => Deno.removeSync(directory, { recursive: true }),
});
