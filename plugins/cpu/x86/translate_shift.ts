/**
 * Shifts and rotates.
 *
 * Counts are taken modulo 32, of 64-bit operands modulo 64. A count of 0 changes
 * no flag; where the count is only known at run time the flags are selected.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import { CC_BITS, CC_ROL, CC_ROR, CC_SAR, CC_SHL } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";

const I64_OR = Op["i64.or"], I64_SHL = Op["i64.shl"], I64_SHR = Op["i64.shr_u"];
const EXTEND_U = Op["i64.extend_i32_u"], WRAP = Op["i32.wrap_i64"];

/** The count operand `k`, modulo 32, or 64 for operands of that size. */
function countOf(t: Translator, k: number): Value {
  return t.b.and(t.read(k), t.b.i32(t.size(0) === 8 ? 63 : 31));
}

/** Whether a count is known to be 0. All that is done then is that a register of 32 bits loses its high half. */
function isNothing(t: Translator, count: Value, v: Value): boolean {
  if (!t.b.isConst(count) || t.b.constOf(count) !== 0) return false;
  if (t.long && !t.isMemory && t.size(0) === 4) t.write(0, v);
  return true;
}

/** Notes the flags of a shift that are only changed when `count` is not 0. */
function shiftFlags(
  t: Translator,
  op: number,
  size: number,
  r: Value,
  last: Value,
  count: Value,
): void {
  if (t.b.isConst(count)) t.setFlags(op, size, r, last);
  else t.setFlagsIf(count, op, size, r, last);
}

/** SHL, SHR, SAR. */
function shift(op: number, flags: number, signed: boolean): Translate {
  return (t) => {
    const b = t.b;
    const size = t.size(0);
    const v = t.read(0);
    const count = countOf(t, 1);
    if (isNothing(t, count, v)) return;
    const x = signed ? t.sext(size, v) : v;
    const r = b.typed(op, x, count);
    const last = b.typed(op, x, b.sub(count, b.i32(1)));
    t.write(0, r);
    shiftFlags(t, flags, size, r, last, count);
  };
}

/** Bit `n` of `v` as 0 or 1. */
function bit(t: Translator, v: Value, n: number): Value {
  return t.b.and(t.b.shrU(v, t.b.i32(n)), t.b.i32(1));
}

/** The two bits at each end of a rotated value, where they are in 32 bits. */
function outerBits(t: Translator, size: number, v: Value): Value {
  if (size !== 8) return v;
  const b = t.b;
  const high = b.and(b.low(b.shrU(v, b.i64(32))), b.i32(0xc0000000));
  return b.or(high, b.and(b.low(v), b.i32(3)));
}

/** ROL and ROR. Narrow operands are repeated to fill 32 bits, and rotate there. */
function rotate(left: boolean): Translate {
  const op = Op[left ? "i32.rotl" : "i32.rotr"];
  return (t) => {
    const b = t.b;
    const size = t.size(0);
    let v = t.read(0);
    const count = countOf(t, 1);
    if (isNothing(t, count, v)) return;
    if (size === 1) v = b.mul(v, b.i32(0x01010101));
    else if (size === 2) v = b.or(v, b.shl(v, b.i32(16)));
    const r = b.typed(op, v, count);
    t.write(0, r);
    t.override(left ? CC_ROL : CC_ROR, outerBits(t, size, r), count);
  };
}

/**
 * RCL and RCR of 64 bits by a count below 64: what comes round is the carry and
 * what was above or below it. Shifts by 64 do nothing in WebAssembly, so they
 * are done in two.
 */
function rotateCarry64(
  t: Translator,
  v: Value,
  count: Value,
  left: boolean,
): void {
  const b = t.b;
  const carry = b.zext32(t.carry());
  const n = b.zext32(count);
  const one = b.i64(1);
  const there = (x: Value, k: Value): Value =>
    left ? b.shl(x, k) : b.shrU(x, k);
  const back = (x: Value, k: Value): Value => left ? b.shrU(x, k) : b.shl(x, k);
  // One less than the count, for a count of 0 any.
  const less = b.sub(n, one);
  const placed = left ? b.shl(carry, less) : there(
    b.shl(carry, b.i64(63)),
    less,
  );
  const around = back(back(v, one), b.sub(b.i64(63), n));
  const moved = b.or(b.or(there(v, n), placed), back(around, one));
  const r = b.select(count, moved, v);
  const last = left ? b.shrU(v, b.sub(b.i64(64), n)) : b.shrU(v, less);
  const carryOut = b.and(b.low(last), b.i32(1));
  t.write(0, r);
  const top = b.low(b.shrU(r, b.i64(63)));
  const next = b.and(b.low(b.shrU(r, b.i64(62))), b.i32(1));
  const overflow = b.xor(top, left ? carryOut : next);
  t.override(CC_BITS, b.or(carryOut, b.shl(overflow, b.i32(11))), count);
}

/** RCL and RCR: a rotate of one bit more than the operand has, in 64 bits. */
function rotateCarry(left: boolean): Translate {
  return (t) => {
    const b = t.b;
    const size = t.size(0);
    const bits = 8 * size;
    const v = t.read(0);
    const count = countOf(t, 1);
    if (isNothing(t, count, v)) return;
    if (size === 8) return rotateCarry64(t, v, count, left);
    const n = size === 4
      ? count
      : b.isConst(count)
      ? b.i32(b.constOf(count) % (bits + 1))
      : b.op(Op["i32.rem_u"], count, b.i32(bits + 1));
    const x = b.op(
      I64_OR,
      b.op(EXTEND_U, v),
      b.op(I64_SHL, b.op(EXTEND_U, t.carry()), b.i64(bits)),
    );
    const there = b.op(EXTEND_U, n);
    const back = b.op(EXTEND_U, b.sub(b.i32(bits + 1), n));
    const wide = b.op(
      I64_OR,
      b.op(left ? I64_SHL : I64_SHR, x, there),
      b.op(left ? I64_SHR : I64_SHL, x, back),
    );
    const r = t.zext(size, b.op(WRAP, wide));
    const carry = b.and(
      b.op(WRAP, b.op(I64_SHR, wide, b.i64(bits))),
      b.i32(1),
    );
    t.write(0, r);
    const top = bit(t, r, bits - 1);
    const overflow = left ? b.xor(top, carry) : b.xor(top, bit(t, r, bits - 2));
    t.override(CC_BITS, b.or(carry, b.shl(overflow, b.i32(11))), count);
  };
}

/**
 * SHLD and SHRD. For 16 bits the operands stand as dst:src:dst, which is what
 * counts above 16 shift in (the manual leaves it undefined).
 */
function shiftDouble(left: boolean): Translate {
  return (t) => {
    const b = t.b;
    const size = t.size(0);
    const dst = t.read(0), src = t.read(1);
    const count = countOf(t, 2);
    if (isNothing(t, count, dst)) return;
    if (size === 8) {
      const n = b.zext32(count);
      const by = (n: Value): Value => {
        // By 64 in two steps: that many of the other operand come in.
        const rest = b.sub(b.i64(63), n);
        const one = b.i64(1);
        return left
          ? b.or(b.shl(dst, n), b.shrU(b.shrU(src, one), rest))
          : b.or(b.shrU(dst, n), b.shl(b.shl(src, one), rest));
      };
      const r = by(n);
      t.write(0, r);
      const last = by(b.sub(n, b.i64(1)));
      return shiftFlags(t, left ? CC_SHL : CC_SAR, size, r, last, count);
    }
    const wide = (v: Value, at: number): Value =>
      at === 0
        ? b.op(EXTEND_U, v)
        : b.op(I64_SHL, b.op(EXTEND_U, v), b.i64(at));
    let x: Value;
    if (size === 2) {
      x = b.op(
        I64_OR,
        wide(dst, 32),
        wide(b.or(b.shl(src, b.i32(16)), dst), 0),
      );
    } else {
      x = left
        ? b.op(I64_OR, wide(dst, 32), wide(src, 0))
        : b.op(I64_OR, wide(src, 32), wide(dst, 0));
    }
    const by = (n: Value): Value => {
      const n64 = b.op(EXTEND_U, b.and(n, b.i32(31)));
      return left
        ? b.op(WRAP, b.op(I64_SHR, b.op(I64_SHL, x, n64), b.i64(32)))
        : b.op(WRAP, b.op(I64_SHR, x, n64));
    };
    const r = by(count);
    const last = by(b.sub(count, b.i32(1)));
    t.write(0, r);
    shiftFlags(t, left ? CC_SHL : CC_SAR, size, r, last, count);
  };
}

/** Shifts and rotates. */
export const SHIFT: Readonly<Record<string, Translate>> = {
  shl: shift(Op["i32.shl"], CC_SHL, false),
  shr: shift(Op["i32.shr_u"], CC_SAR, false),
  sar: shift(Op["i32.shr_s"], CC_SAR, true),
  rol: rotate(true),
  ror: rotate(false),
  rcl: rotateCarry(true),
  rcr: rotateCarry(false),
  shld: shiftDouble(true),
  shrd: shiftDouble(false),
};
