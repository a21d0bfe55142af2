/**
 * BMI1 and BMI2: bit manipulation on general registers with a VEX prefix (SDM
 * volume 1, 5.1.16). AF and PF are left undefined by them.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import { define } from "./helpers.ts";
import { CC_LOGIC } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";

/** PDEP of 32 bits: the low bits of `source` at the places that `mask` has. */
function deposit(source: number, mask: number): number {
  let r = 0;
  for (let m = mask; m !== 0; m &= m - 1) {
    if ((source & 1) !== 0) r |= m & -m;
    source >>>= 1;
  }
  return r;
}

/** PEXT of 32 bits: the bits of `source` at the places that `mask` has, side by side. */
function extract(source: number, mask: number): number {
  let r = 0, to = 1;
  for (let m = mask; m !== 0; m &= m - 1) {
    if ((source & m & -m) !== 0) r |= to;
    to <<= 1;
  }
  return r;
}

const pure = (
  name: string,
  f: (source: number, mask: number) => number,
): Helper => define(name, 2, { reads: [], writes: [], pure: true }, () => f);
const PDEP = pure("pdep", deposit);
const PEXT = pure("pext", extract);

/** ZF and SF by the result, this carry, no overflow. */
function flags(t: Translator, result: Value, carry: Value): void {
  t.setFlags(CC_LOGIC, t.size(0), result);
  t.setCarry(carry);
}

const andn: Translate = (t) => {
  const b = t.b;
  const e = t.read(2);
  const r = b.and(b.xor(t.read(1), t.constant(t.size(0), -1)), e);
  t.write(0, r);
  t.setFlags(CC_LOGIC, t.size(0), r);
};

/** BLSR, BLSMSK, BLSI: what becomes of the lowest bit that is set. */
function lowest(
  f: (t: Translator, v: Value) => Value,
  carryIfZero: boolean,
): Translate {
  return (t) => {
    const v = t.read(1);
    const r = f(t, v);
    t.write(0, r);
    const isZero = t.b.eqz(v);
    flags(t, r, carryIfZero ? isZero : t.b.eqz(isZero));
  };
}

/** `v` without the bits from `count` on; all of it if there are fewer. */
function lowBits(t: Translator, v: Value, count: Value): Value {
  const b = t.b;
  const size = t.size(0), one = t.constant(size, 1);
  const mask = b.sub(b.shl(one, count), one);
  return b.select(b.ltU(count, b.i32(8 * size)), b.and(v, mask), v);
}

const bextr: Translate = (t) => {
  const b = t.b;
  const v = t.read(1), control = b.low(t.read(2)), size = t.size(0);
  const start = b.zext8(control);
  const length = b.zext8(b.shrU(control, b.i32(8)));
  const inside = b.ltU(start, b.i32(8 * size));
  const shifted = b.select(inside, b.shrU(v, start), t.constant(size, 0));
  const r = lowBits(t, shifted, length);
  t.write(0, r);
  t.setFlags(CC_LOGIC, t.size(0), r);
};

const bzhi: Translate = (t) => {
  const b = t.b;
  const v = t.read(1), count = b.zext8(b.low(t.read(2)));
  const r = lowBits(t, v, count);
  t.write(0, r);
  flags(t, r, b.ltU(b.i32(8 * t.size(0) - 1), count));
};

const mulx: Translate = (t) => {
  const b = t.b;
  const e = t.read(2);
  if (t.size(0) === 8) {
    const d = t.reg(8, 2);
    t.write(1, b.mul(d, e));
    return t.write(0, t.productHigh(false, d, e));
  }
  const wide = (v: Value): Value => b.op(Op["i64.extend_i32_u"], v);
  const product = b.op(Op["i64.mul"], wide(t.reg(4, 2)), wide(e));
  t.write(1, b.op(Op["i32.wrap_i64"], product));
  // Where both destinations are one register it has the high half.
  const high = b.op(Op["i64.shr_u"], product, b.i64(32));
  t.write(0, b.op(Op["i32.wrap_i64"], high));
};

/** SHLX, SHRX, SARX: shifts that leave the flags alone. */
const shift =
  (f: (t: Translator, v: Value, count: Value) => Value): Translate => (t) => {
    const v = t.read(1);
    t.write(0, f(t, v, t.b.low(t.read(2))));
  };

const rorx: Translate = (t) => {
  const b = t.b;
  const count = b.i32(t.insn.imm & (8 * t.size(0) - 1));
  t.write(0, b.typed(Op["i32.rotr"], t.read(1), count));
};

/** The upper half of an i64. */
const upper = (t: Translator, v: Value): Value => t.b.shrU(v, t.b.i32(32));

/**
 * PDEP, PEXT. Of 64 bits by halves: `halves` gives the results of both and where
 * the upper one goes, from how many bits the mask's lower half has.
 */
function spread(
  helper: Helper,
  halves: (
    t: Translator,
    v: Value,
    mask: Value,
    count: Value,
  ) => [Value, Value, Value],
): Translate {
  return (t) => {
    const b = t.b;
    const mask = t.read(2), v = t.read(1);
    if (t.size(0) !== 8) return t.write(0, b.call(helper, v, mask));
    const count = b.op(Op["i32.popcnt"], b.low(mask));
    const [low, high, place] = halves(t, v, mask, count);
    t.write(0, b.or(b.zext32(low), b.shl(b.zext32(high), place)));
  };
}

/** The functions, by the names that the instruction table uses. */
export const BMI: Readonly<Record<string, Translate>> = {
  andn,
  bextr,
  bzhi,
  mulx,
  rorx,
  blsr: lowest(({ b }, v) => b.and(v, b.sub(v, b.like(v, 1))), true),
  blsmsk: lowest(({ b }, v) => b.xor(v, b.sub(v, b.like(v, 1))), true),
  blsi: lowest(({ b }, v) => b.and(v, b.sub(b.like(v, 0), v)), false),
  pdep: spread(PDEP, (t, v, mask, count) => {
    const b = t.b;
    const high = b.call(PDEP, b.low(b.shrU(v, count)), b.low(upper(t, mask)));
    return [b.call(PDEP, b.low(v), b.low(mask)), high, b.i32(32)];
  }),
  pext: spread(PEXT, (t, v, mask, count) => {
    const b = t.b;
    const high = b.call(PEXT, b.low(upper(t, v)), b.low(upper(t, mask)));
    return [b.call(PEXT, b.low(v), b.low(mask)), high, count];
  }),
  shlx: shift(({ b }, v, n) => b.shl(v, n)),
  shrx: shift(({ b }, v, n) => b.shrU(v, n)),
  sarx: shift(({ b }, v, n) => b.shrS(v, n)),
};
