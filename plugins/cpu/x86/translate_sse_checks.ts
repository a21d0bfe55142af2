/**
 * How native SSE arithmetic is kept exact.
 *
 * Floating point runs on the host's vector unit while MXCSR is in its default
 * mode (everything masked, round to nearest, no DAZ, no FTZ), by this scheme:
 * compute; test, with a few vector operations, that operands and result are of
 * a kind for which nothing but PE can have been raised; if the test fails, call
 * a helper that computes result and flags anew in software. So the flags are
 * exact, and no NaN that a guest can see was made by WebAssembly, whose NaN
 * payloads are not defined. PE is sticky: once it is set (which is in the mode
 * key) rounding needs no record. While it is clear, the test includes a proof
 * that nothing was rounded, and the helper sets PE when something was. In any
 * other mode the helper is called always, and may raise #XM.
 *
 * A *check* is a vector in which each lane is not 0 if all is well there. Its
 * lanes are all ones or small numbers, so that checks are joined by the minimum
 * of their 16-bit parts. They avoid vector constants, which are dear.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { IrBuilder } from "../../../core/ir/builder.ts";
import { Op, type OpName } from "../../../core/ir/ops.ts";
import type { Global } from "../../../core/ir/types.ts";
import type { Computation } from "./sse_helpers.ts";
import {
  KEY_MXCSR_DEFAULT,
  KEY_MXCSR_PE,
  SCRATCH128,
  SCRATCH32,
} from "./state.ts";
import type { Translator } from "./translate.ts";
import { pattern, zero } from "./translate_simd.ts";

/** A floating-point format in vectors. */
export interface Format {
  /** The vector type in the names of operations. */
  readonly shape: "f32x4" | "f64x2";
  /** The vector of integers of the same width. */
  readonly integers: "i32x4" | "i64x2";
  /** The scalar type. */
  readonly scalar: "f32" | "f64";
  /** Bytes of a lane. */
  readonly width: 4 | 8;
  /** Bits of the fraction. */
  readonly fraction: 23 | 52;
  /** As bytes: the sign. */
  readonly sign: readonly number[];
  /** As bytes: the lower part of the fraction. Numbers where it is 0 have an exact product. */
  readonly low: readonly number[];
}

/** Single precision. */
export const SINGLE: Format = {
  shape: "f32x4",
  integers: "i32x4",
  scalar: "f32",
  width: 4,
  fraction: 23,
  sign: [0, 0, 0, 0x80],
  low: [0xff, 0x0f, 0, 0],
};

/** Double precision. */
export const DOUBLE: Format = {
  shape: "f64x2",
  integers: "i64x2",
  scalar: "f64",
  width: 8,
  fraction: 52,
  sign: [0, 0, 0, 0, 0, 0, 0, 0x80],
  low: [0xff, 0xff, 0xff, 0x07, 0, 0, 0, 0],
};

/** The vector operation of that name. */
export const vop = (f: Format, name: string): number =>
  Op[`${f.shape}.${name}` as OpName];
/** The operation of that name on vectors of integers as wide as the format. */
const iop = (f: Format, name: string): number =>
  Op[`${f.integers}.${name}` as OpName];
/** The scalar operation of that name. */
export const sop = (f: Format, name: string): number =>
  Op[`${f.scalar}.${name}` as OpName];
/** Gives the number in lane 0. */
export const extract = (f: Format): number => vop(f, "extract_lane.0");
/** Replaces the number in lane 0. */
export const replace = (f: Format): number => vop(f, "replace_lane.0");

/** `x & y` */
export const and = (b: IrBuilder, x: Value, y: Value): Value =>
  b.op(Op["v128.and"], x, y);
/** `x | y`; of checks: one is enough. */
export const or = (b: IrBuilder, x: Value, y: Value): Value =>
  b.op(Op["v128.or"], x, y);

/** Both checks. */
export const both = (b: IrBuilder, x: Value, y: Value): Value =>
  b.op(Op["i16x8.min_u"], x, y);

/** Check: zero. */
export const isZero = (b: IrBuilder, f: Format, x: Value): Value =>
  b.op(vop(f, "eq"), x, zero(b));

/** Check: not denormal. (Powers of two at the border count as denormal too.) */
export const notDenormal = (b: IrBuilder, f: Format, x: Value): Value =>
  b.op(
    iop(f, "shr_u"),
    b.op(
      iop(f, "add"),
      b.op(iop(f, "shl"), x, b.i32(1)),
      pattern(b, 0xff), // minus one: zero becomes the greatest
    ),
    b.i32(f.fraction + 1),
  );

/** Check: neither infinite nor NaN. */
export const isFinite = (b: IrBuilder, f: Format, x: Value): Value =>
  notNan(b, f, b.op(vop(f, "sub"), x, x));

/** Check: not NaN. */
export const notNan = (b: IrBuilder, f: Format, x: Value): Value =>
  b.op(vop(f, "eq"), x, x);

/** Check: large enough that it was not tiny before rounding; zero is not. */
export const notTiny = (b: IrBuilder, f: Format, x: Value): Value =>
  b.op(
    iop(f, "shr_u"),
    b.op(iop(f, "shl"), x, b.i32(1)),
    b.i32(f.fraction + 2),
  );

/** Check: half the bits of the fraction of each are enough for both numbers. */
const areShort = (b: IrBuilder, f: Format, x: Value, y: Value): Value =>
  b.op(
    iop(f, "eq"),
    and(b, x === y ? x : or(b, x, y), pattern(b, ...f.low)),
    zero(b),
  );

/** Check: `r = x + y` (or `x - y`) was not rounded: Knuth's sum of two numbers leaves no rest. */
export function exactSum(
  b: IrBuilder,
  f: Format,
  op: "add" | "sub",
  x: Value,
  y: Value,
  r: Value,
): Value {
  const sub = (p: Value, q: Value): Value => b.op(vop(f, "sub"), p, q);
  const add = (p: Value, q: Value): Value => b.op(vop(f, "add"), p, q);
  const virtual = sub(r, x);
  const rest = sub(x, sub(r, virtual));
  return isZero(
    b,
    f,
    op === "add" ? add(rest, sub(y, virtual)) : sub(rest, add(y, virtual)),
  );
}

/** Check: `x * y` was not rounded. */
export const exactProduct = (
  b: IrBuilder,
  f: Format,
  x: Value,
  y: Value,
): Value => areShort(b, f, x, y);

/** Check: `r = x / y` was not rounded; for a root, `y` is `r`. */
export const exactQuotient = (
  b: IrBuilder,
  f: Format,
  x: Value,
  y: Value,
  r: Value,
): Value =>
  both(
    b,
    areShort(b, f, y, r),
    b.op(vop(f, "eq"), b.op(vop(f, "mul"), y, r), x),
  );

/** What a native computation gives. */
export interface Native {
  /** The result. */
  readonly r: Value;
  /** Check that no exception but PE was raised and that the result is right; absent: always. */
  readonly ok?: Value;
  /** Check that the result was not rounded; absent: it never is. */
  readonly exact?: () => Value;
}

/** Not 0 unless a check holds in all lanes, or in lane 0. */
function fails(
  b: IrBuilder,
  f: Format,
  check: Value,
  isScalar: boolean,
): Value {
  if (!isScalar) return b.eqz(b.op(iop(f, "all_true"), check));
  return f === SINGLE
    ? b.eqz(b.op(Op["i32x4.extract_lane.0"], check))
    : b.op(Op["i64.eqz"], b.op(Op["i64x2.extract_lane.0"], check));
}

/**
 * Computes from a destination operand `x` and a source operand `y`, natively or
 * by the helper; `f` is the format of the lanes of the checks. `isFirst`: it is
 * the first half of 256 bits, whose exceptions come with the second's.
 */
export function compute(
  t: Translator,
  helper: Computation,
  x: Value,
  y: Value,
  f: Format,
  isScalar: boolean,
  native: () => Native,
  isFirst = false,
): Value {
  const b = t.b;
  const result: Global = helper.isVector ? SCRATCH128[0] : SCRATCH32[0];
  b.set(SCRATCH128[1], x);
  b.set(SCRATCH128[2], y);
  if ((t.key & KEY_MXCSR_DEFAULT) === 0) {
    b.call(isFirst ? helper.first : helper.unmasked);
    return b.get(result);
  }
  const { r, ok, exact } = native();
  let check = ok ?? 0;
  if (exact !== undefined && (t.key & KEY_MXCSR_PE) === 0) {
    check = check === 0 ? exact() : both(b, check, exact());
  }
  if (check === 0) return r;
  b.set(result, r);
  b.callIf(fails(b, f, check, isScalar), helper.masked);
  return b.get(result);
}
