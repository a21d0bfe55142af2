/**
 * The SHA extensions (SDM volume 2; FIPS 180-4 for the functions' names).
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { IrBuilder } from "../../../core/ir/builder.ts";
import { Op, type OpName } from "../../../core/ir/ops.ts";
import { XMM } from "./state.ts";
import type { Translate } from "./translate.ts";
import {
  type Binary,
  lanes,
  readWUnaligned,
  shuffle,
  zero,
} from "./translate_simd.ts";

/**
 * `op Vdq, Wdq`. AMD's CPUs and QEMU take an operand at any address, whatever
 * the manual's class of exceptions says.
 */
const onVectors = (f: Binary): Translate => (t, i) => {
  const y = readWUnaligned(t, i);
  t.b.set(XMM[i.reg], f(t.b, t.b.get(XMM[i.reg]), y, i.imm));
};

/** The words of a vector, the lowest first. */
const words = (b: IrBuilder, v: Value): Value[] =>
  [0, 1, 2, 3].map((n) => b.op(Op[`i32x4.extract_lane.${n}` as OpName], v));

/** The reverse of {@linkcode words}. */
function vector(b: IrBuilder, parts: readonly Value[]): Value {
  return parts.reduce(
    (v, part, n) =>
      n === 0 ? v : b.op(Op[`i32x4.replace_lane.${n}` as OpName], v, part),
    b.op(Op["i32x4.splat"], parts[0]),
  );
}

const rotl = (b: IrBuilder, v: Value, n: number): Value =>
  b.op(Op["i32.rotl"], v, b.i32(n));
const xor3 = (b: IrBuilder, x: Value, y: Value, z: Value): Value =>
  b.xor(b.xor(x, y), z);
/** Bits of `y` where `x` has ones, of `z` elsewhere. */
const choose = (b: IrBuilder, x: Value, y: Value, z: Value): Value =>
  b.xor(b.and(x, b.xor(y, z)), z);
/** Bits that two of three have. */
const majority = (b: IrBuilder, x: Value, y: Value, z: Value): Value =>
  b.or(b.and(x, y), b.and(z, b.or(x, y)));

/** The words of a vector, all rotated to the left. */
const rotate = (b: IrBuilder, v: Value, n: number): Value =>
  b.op(
    Op["v128.or"],
    b.op(Op["i32x4.shl"], v, b.i32(n)),
    b.op(Op["i32x4.shr_u"], v, b.i32(32 - n)),
  );
const vxor = (b: IrBuilder, x: Value, y: Value): Value =>
  b.op(Op["v128.xor"], x, y);
const vadd = (b: IrBuilder, x: Value, y: Value): Value =>
  b.op(Op["i32x4.add"], x, y);

// SHA-1. The highest lane has the first word.

const K1 = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6];

/** Four rounds: A to D in the destination, the next words, with E in the first, in the source. */
const sha1rnds4: Translate = (t, i) => {
  const b = t.b;
  const f = [choose, xor3, majority, xor3][i.imm & 3];
  const key = b.i32(K1[i.imm & 3]);
  const w = words(b, readWUnaligned(t, i));
  let [d, c, s, a] = words(b, b.get(XMM[i.reg]));
  let e: Value = 0;
  for (let n = 0; n < 4; n++) {
    const sum = b.add(
      b.add(f(b, s, c, d), rotl(b, a, 5)),
      b.add(w[3 - n], key),
    );
    const next = e === 0 ? sum : b.add(sum, e);
    [a, s, c, d, e] = [next, a, rotl(b, s, 30), c, d];
  }
  b.set(XMM[i.reg], vector(b, [d, c, s, a]));
};

/** E of the next rounds from the A of four rounds ago, added to the first word. */
const sha1nexte: Binary = (b, x, y) => {
  const e = rotl(b, b.op(Op["i32x4.extract_lane.3"], x), 30);
  const first = b.op(Op["i32x4.extract_lane.3"], y);
  return b.op(Op["i32x4.replace_lane.3"], y, b.add(first, e));
};

const sha1msg1: Binary = (b, x, y) =>
  vxor(b, x, shuffle(b, y, x, lanes(4, [2, 3, 4, 5])));

/** The last of the four words depends on the first. */
const sha1msg2: Binary = (b, x, y) => {
  const known = shuffle(b, zero(b), y, lanes(4, [0, 4, 5, 6]));
  const r = rotate(b, vxor(b, x, known), 1);
  // What the lowest lane lacks: the highest, rotated once more.
  const first = b.op(Op["i32x4.extract_lane.3"], r);
  const last = b.op(Op["i32x4.extract_lane.0"], r);
  return b.op(
    Op["i32x4.replace_lane.0"],
    r,
    b.xor(last, rotl(b, first, 1)),
  );
};

// SHA-256.

/** Two rounds: C D G H in the destination (C highest), A B E F in the source, two words with their constants in XMM0. */
const sha256rnds2: Translate = (t, i) => {
  const b = t.b;
  let [f, e, s, a] = words(b, readWUnaligned(t, i));
  let [h, g, d, c] = words(b, b.get(XMM[i.reg]));
  const w = words(b, b.get(XMM[0]));
  for (let n = 0; n < 2; n++) {
    const big1 = xor3(b, rotl(b, e, 26), rotl(b, e, 21), rotl(b, e, 7));
    const big0 = xor3(b, rotl(b, a, 30), rotl(b, a, 19), rotl(b, a, 10));
    const t1 = b.add(
      b.add(h, w[n]),
      b.add(choose(b, e, f, g), big1),
    );
    const t2 = b.add(big0, majority(b, a, s, c));
    [a, s, c, d, e, f, g, h] = [b.add(t1, t2), a, s, c, b.add(d, t1), e, f, g];
  }
  b.set(XMM[i.reg], vector(b, [f, e, s, a]));
};

const sha256msg1: Binary = (b, x, y) => {
  const next = shuffle(b, x, y, lanes(4, [1, 2, 3, 4]));
  const sigma = vxor(
    b,
    vxor(b, rotate(b, next, 25), rotate(b, next, 14)),
    b.op(Op["i32x4.shr_u"], next, b.i32(3)),
  );
  return vadd(b, x, sigma);
};

/** The upper two words depend on the lower two. */
const sha256msg2: Binary = (b, x, y) => {
  const sigma = (v: Value): Value =>
    vxor(
      b,
      vxor(b, rotate(b, v, 15), rotate(b, v, 13)),
      b.op(Op["i32x4.shr_u"], v, b.i32(10)),
    );
  const low = vadd(b, x, sigma(shuffle(b, y, zero(b), lanes(4, [2, 3, 4, 4]))));
  return vadd(b, low, sigma(shuffle(b, zero(b), low, lanes(4, [0, 0, 4, 5]))));
};

/** SHA instructions, by mnemonic. */
export const SHA: Readonly<Record<string, Translate>> = {
  sha1rnds4,
  sha1nexte: onVectors(sha1nexte),
  sha1msg1: onVectors(sha1msg1),
  sha1msg2: onVectors(sha1msg2),
  sha256rnds2,
  sha256msg1: onVectors(sha256msg1),
  sha256msg2: onVectors(sha256msg2),
};
