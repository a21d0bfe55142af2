/**
 * SSSE3, written once for both register sets (SDM volume 1, 12.6).
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { IrBuilder } from "../../../core/ir/builder.ts";
import { Op, type OpName } from "../../../core/ir/ops.ts";
import { MM, XMM } from "./state.ts";
import type { Translate } from "./translate.ts";
import { waiting } from "./translate_mmx.ts";
import {
  type Binary,
  both,
  enterMmx,
  lanes,
  pattern,
  readQ,
  readW,
  setMm,
  shuffle,
  withBinary,
  zero,
} from "./translate_simd.ts";

/** A byte with bit 7 set gives 0, any other chooses by its low bits (`last`: the last index). */
const choose = (last: number): Binary => (b, x, y) =>
  b.op(
    Op["i8x16.swizzle"],
    x,
    b.op(Op["v128.and"], y, pattern(b, 0x80 | last)),
  );

/**
 * An operation on neighbours: those of the destination, then those of the
 * source. The MMX form has half as many of each, in the low halves.
 */
function horizontal(op: OpName, width: 2 | 4): Translate {
  const make = (bytes: number): Binary => {
    const n = bytes / width;
    const even = [], odd = [];
    for (let k = 0; k < n; k++) {
      const from = k < n / 2 ? 2 * k : 16 / width + 2 * k - n;
      even.push(from);
      odd.push(from + 1);
    }
    // The upper half of an MMX result is of no account.
    const times = 16 / bytes;
    const left = new Array(times).fill(lanes(width, even)).flat();
    const right = new Array(times).fill(lanes(width, odd)).flat();
    return (b, x, y) =>
      b.op(Op[op], shuffle(b, x, y, left), shuffle(b, x, y, right));
  };
  return both(make(8), make(16));
}

/** Unsigned bytes of the destination times signed ones of the source, neighbours added with saturation. */
const pmaddubsw: Binary = (b, x, y) => {
  const eight = b.i32(8);
  const product = (p: Value, q: Value): Value => b.op(Op["i16x8.mul"], p, q);
  const even = product(
    b.op(Op["v128.and"], x, pattern(b, 0xff, 0)),
    b.op(Op["i16x8.shr_s"], b.op(Op["i16x8.shl"], y, eight), eight),
  );
  const odd = product(
    b.op(Op["i16x8.shr_u"], x, eight),
    b.op(Op["i16x8.shr_s"], y, eight),
  );
  return b.op(Op["i16x8.add_sat_s"], even, odd);
};

/** WebAssembly's operation saturates -1 times -1, which here is -1. */
const pmulhrsw: Binary = (b, x, y) => {
  const least = pattern(b, 0, 0x80);
  const isLeast = (v: Value): Value => b.op(Op["i16x8.eq"], v, least);
  return b.op(
    Op["v128.xor"],
    b.op(Op["i16x8.q15mulr_sat_s"], x, y),
    b.op(Op["v128.and"], isLeast(x), isLeast(y)),
  );
};

type Shape = "i8x16" | "i16x8" | "i32x4";

/** The destination's lanes, negated where the source's are negative, 0 where they are 0. */
const sign = (shape: Shape): Binary => (b, x, y) => {
  const negative = b.op(Op[`${shape}.gt_s`], zero(b), y);
  const signed = b.op(
    Op[`${shape}.sub`],
    b.op(Op["v128.xor"], x, negative),
    negative,
  );
  return b.op(Op["v128.andnot"], signed, b.op(Op[`${shape}.eq`], y, zero(b)));
};

const absolute = (shape: Shape): Binary => (b, _x, y) =>
  b.op(Op[`${shape}.abs`], y);

/** `bytes` bytes of the source and above it the destination, from byte `count` on. */
function align(
  b: IrBuilder,
  x: Value,
  y: Value,
  bytes: 8 | 16,
  count: number,
): Value {
  if (count >= 2 * bytes) return zero(b);
  const indices = Array.from({ length: 16 }, (_, k) => (k % bytes) + count);
  if (count > bytes) {
    // Zeros behind the destination.
    return shuffle(b, x, zero(b), indices.map((n) => Math.min(n - bytes, 16)));
  }
  return shuffle(b, y, x, indices.map((n) => n < bytes ? n : 16 + n - bytes));
}

const palignr: Translate = withBinary((t, i) => {
  const b = t.b;
  if (i.has66 !== 0) {
    const y = readW(t, i);
    b.set(XMM[i.reg], align(b, b.get(XMM[i.reg]), y, 16, i.imm));
    return;
  }
  const y = readQ(t, i);
  // The zeros behind an MMX register are those of a vector.
  const x = b.op(Op["i64x2.replace_lane.1"], b.get(MM[i.reg & 7]), b.i64(0, 0));
  const r = align(b, x, y, 8, i.imm);
  enterMmx(t);
  setMm(t, i.reg & 7, r);
}, (b, x, y, imm) => align(b, x, y, 16, imm));

const TABLE: Readonly<Record<string, Translate>> = {
  pshufb: both(choose(7), choose(15)),
  phaddw: horizontal("i16x8.add", 2),
  phaddd: horizontal("i32x4.add", 4),
  phaddsw: horizontal("i16x8.add_sat_s", 2),
  phsubw: horizontal("i16x8.sub", 2),
  phsubd: horizontal("i32x4.sub", 4),
  phsubsw: horizontal("i16x8.sub_sat_s", 2),
  pmaddubsw: both(pmaddubsw),
  pmulhrsw: both(pmulhrsw),
  psignb: both(sign("i8x16")),
  psignw: both(sign("i16x8")),
  psignd: both(sign("i32x4")),
  pabsb: both(absolute("i8x16")),
  pabsw: both(absolute("i16x8")),
  pabsd: both(absolute("i32x4")),
  palignr,
};

/** SSSE3 instructions, by mnemonic. */
export const SSSE3: Readonly<Record<string, Translate>> = Object.fromEntries(
  Object.entries(TABLE).map(([name, f]) => [name, waiting(f)]),
);
