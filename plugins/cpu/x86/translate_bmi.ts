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
  const r = b.and(b.xor(t.read(1), b.i32(-1)), e);
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
  const mask = b.sub(b.shl(b.i32(1), count), b.i32(1));
  return b.select(b.ltU(count, b.i32(32)), b.and(v, mask), v);
}

const bextr: Translate = (t) => {
  const b = t.b;
  const v = t.read(1), control = t.read(2);
  const start = b.zext8(control);
  const length = b.zext8(b.shrU(control, b.i32(8)));
  const inside = b.ltU(start, b.i32(32));
  const shifted = b.select(inside, b.shrU(v, start), b.i32(0));
  const r = lowBits(t, shifted, length);
  t.write(0, r);
  t.setFlags(CC_LOGIC, t.size(0), r);
};

const bzhi: Translate = (t) => {
  const b = t.b;
  const v = t.read(1), count = b.zext8(t.read(2));
  const r = lowBits(t, v, count);
  t.write(0, r);
  flags(t, r, b.ltU(b.i32(31), count));
};

const mulx: Translate = (t) => {
  const b = t.b;
  const e = t.read(2);
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
    t.write(0, f(t, v, t.read(2)));
  };

const rorx: Translate = (t) => {
  const b = t.b;
  t.write(0, b.op(Op["i32.rotr"], t.read(1), b.i32(t.insn.imm & 31)));
};

/** The functions, by the names that the instruction table uses. */
export const BMI: Readonly<Record<string, Translate>> = {
  andn,
  bextr,
  bzhi,
  mulx,
  rorx,
  blsr: lowest(({ b }, v) => b.and(v, b.sub(v, b.i32(1))), true),
  blsmsk: lowest(({ b }, v) => b.xor(v, b.sub(v, b.i32(1))), true),
  blsi: lowest(({ b }, v) => b.and(v, b.sub(b.i32(0), v)), false),
  pdep: (t) => {
    const e = t.read(2);
    t.write(0, t.b.call(PDEP, t.read(1), e));
  },
  pext: (t) => {
    const e = t.read(2);
    t.write(0, t.b.call(PEXT, t.read(1), e));
  },
  shlx: shift(({ b }, v, n) => b.shl(v, n)),
  shrx: shift(({ b }, v, n) => b.shrU(v, n)),
  sarx: shift(({ b }, v, n) => b.shrS(v, n)),
};
