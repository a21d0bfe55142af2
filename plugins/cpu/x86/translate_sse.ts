/**
 * SSE, SSE2 and SSE3 apart from the integer instructions: moves, shuffles and
 * floating point (SDM volume 1, chapters 10-12).
 *
 * Floating point runs natively when MXCSR is in its default mode (everything
 * masked, round to nearest, no DAZ, no FTZ) and PE has been raised before, by
 * this scheme: compute with the vector unit; test, with a few vector compares,
 * that nothing but PE can have been raised, that is, that operands are normal
 * or zero and the result neither overflowed nor underflowed; if the test fails,
 * call a helper that computes result and flags anew in software. So the flags
 * are exact, and no NaN that a guest can see was made by WebAssembly, whose NaN
 * payloads are not defined. While PE is still clear, the helper is called
 * always; it sets PE at the first inexact result, which changes the mode key.
 * In any other mode the helper is called always and may raise #XM.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { IrBuilder } from "../../../core/ir/builder.ts";
import { Op, type OpName } from "../../../core/ir/ops.ts";
import type { Insn } from "./decode.ts";
import { type Computation, SSE_HELPERS, type SseName } from "./sse_helpers.ts";
import {
  GPR,
  KEY_MXCSR_DEFAULT,
  KEY_MXCSR_PE,
  MXCSR,
  SCRATCH128,
  SCRATCH32,
  XMM,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import {
  type Binary,
  checkPendingX87,
  enterMmx,
  lanes,
  pattern,
  readQ,
  readW,
  readWd,
  readWq,
  setMm,
  shuffle,
  sse,
  zero,
} from "./translate_simd.ts";

const FAST = KEY_MXCSR_DEFAULT | KEY_MXCSR_PE;

/** Result and test of a native computation. */
interface Native {
  /** The result. */
  r: Value;
  /** Not 0 when a flag other than PE may have to be raised, or the result is not reliable. */
  bad: Value;
}

/**
 * Computes from a destination operand `x` and a source operand `y`; the result
 * is a vector, or for `result` SCRATCH32[0] an i32.
 */
function compute(
  t: Translator,
  helper: Computation,
  x: Value,
  y: Value,
  native: () => Native,
  result = SCRATCH128[0],
): Value {
  const b = t.b;
  b.set(SCRATCH128[1], x);
  b.set(SCRATCH128[2], y);
  if ((t.key & FAST) === FAST) {
    const { r, bad } = native();
    b.set(result, r);
    if (!b.isConst(bad)) b.callIf(bad, helper.masked);
  } else {
    b.call(
      (t.key & KEY_MXCSR_DEFAULT) !== 0 ? helper.masked : helper.unmasked,
    );
  }
  return b.get(result);
}

// Formats and shapes.

/** A floating-point format in vectors. */
interface Format {
  readonly shape: "f32x4" | "f64x2";
  readonly scalar: "f32" | "f64";
  /** All lanes in a bit mask. */
  readonly all: number;
  /** Bit patterns as bytes: smallest normal number, infinity, sign. */
  readonly min: number[];
  readonly infinity: number[];
  readonly sign: number[];
}
const SINGLE: Format = {
  shape: "f32x4",
  scalar: "f32",
  all: 15,
  min: [0, 0, 0x80, 0],
  infinity: [0, 0, 0x80, 0x7f],
  sign: [0, 0, 0, 0x80],
};
const DOUBLE: Format = {
  shape: "f64x2",
  scalar: "f64",
  all: 3,
  min: [0, 0, 0, 0, 0, 0, 0x10, 0],
  infinity: [0, 0, 0, 0, 0, 0, 0xf0, 0x7f],
  sign: [0, 0, 0, 0, 0, 0, 0, 0x80],
};

const vop = (f: Format, name: string): number =>
  Op[`${f.shape}.${name}` as OpName];
const sop = (f: Format, name: string): number =>
  Op[`${f.scalar}.${name}` as OpName];
const extract = (f: Format): number =>
  Op[`${f.shape}.extract_lane.0` as OpName];
const replace = (f: Format): number =>
  Op[`${f.shape}.replace_lane.0` as OpName];

const and = (b: IrBuilder, x: Value, y: Value): Value =>
  b.op(Op["v128.and"], x, y);
const or = (b: IrBuilder, x: Value, y: Value): Value =>
  b.op(Op["v128.or"], x, y);

/** Lanes that are zero. */
const isZero = (b: IrBuilder, f: Format, x: Value): Value =>
  b.op(vop(f, "eq"), x, zero(b));
/** Lanes that are normal or infinite, or zero, but neither denormal nor NaN; `zeros` is {@linkcode isZero}. */
const ordinary = (b: IrBuilder, f: Format, x: Value, zeros: Value): Value =>
  or(
    b,
    b.op(vop(f, "ge"), b.op(vop(f, "abs"), x), pattern(b, ...f.min)),
    zeros,
  );
/** Lanes of a magnitude that are finite. */
const isFinite = (b: IrBuilder, f: Format, magnitude: Value): Value =>
  b.op(vop(f, "lt"), magnitude, pattern(b, ...f.infinity));
/** Lanes of a magnitude that are above the smallest normal number: no result that was tiny before rounding. */
const isLarge = (b: IrBuilder, f: Format, magnitude: Value): Value =>
  b.op(vop(f, "gt"), magnitude, pattern(b, ...f.min));

/** Not 0 unless all those lanes of a comparison are true. */
function notAll(b: IrBuilder, f: Format, ok: Value, mask: number): Value {
  const bits = b.op(
    f.shape === "f32x4" ? Op["i32x4.bitmask"] : Op["i64x2.bitmask"],
    ok,
  );
  if (mask === f.all) return b.ne(bits, b.i32(mask));
  if (mask === 1) return b.eqz(b.and(bits, b.i32(1)));
  return b.ne(b.and(bits, b.i32(mask)), b.i32(mask));
}

// Two operands.

/** What an arithmetic operation needs besides its ops. */
interface Arithmetic {
  /** Helpers by suffix: `add` + `ps`. */
  readonly name: "add" | "sub" | "mul" | "div" | "min" | "max";
  /** Lanes in which a result at or below the smallest normal number is exact: given those where the operands are zero; absent: all. */
  readonly exact?: (
    b: IrBuilder,
    zeroX: Value,
    zeroY: Value,
  ) => Value;
  /** The operation selects an operand: the result needs no test. */
  readonly selects?: boolean;
}

/** The four instructions of an operation: packed and scalar, single and double. */
function arithmetic(a: Arithmetic): Record<string, Translate> {
  const make = (f: Format, isScalar: boolean, suffix: string): Translate => {
    const helper = SSE_HELPERS[(a.name + suffix) as SseName];
    const native = (b: IrBuilder, x: Value, y: Value): Native => {
      let r: Value;
      if (a.selects) {
        // MIN: x < y ? x : y, which is pmin(y, x).
        r = b.op(vop(f, a.name === "min" ? "pmin" : "pmax"), y, x);
        if (isScalar) r = b.op(replace(f), x, b.op(extract(f), r));
      } else if (isScalar) {
        const s = b.op(
          sop(f, a.name),
          b.op(extract(f), x),
          b.op(extract(f), y),
        );
        r = b.op(replace(f), x, s);
      } else {
        r = b.op(vop(f, a.name), x, y);
      }
      const zeroX = isZero(b, f, x), zeroY = isZero(b, f, y);
      let ok = and(b, ordinary(b, f, x, zeroX), ordinary(b, f, y, zeroY));
      if (!a.selects) {
        const magnitude = b.op(vop(f, "abs"), r);
        ok = and(b, ok, isFinite(b, f, magnitude));
        if (a.exact !== undefined) {
          ok = and(
            b,
            ok,
            or(b, isLarge(b, f, magnitude), a.exact(b, zeroX, zeroY)),
          );
        }
      }
      return { r, bad: notAll(b, f, ok, isScalar ? 1 : f.all) };
    };
    return (t, i) => {
      const b = t.b;
      const y = source(t, i, f, isScalar);
      const x = b.get(XMM[i.reg]);
      b.set(XMM[i.reg], compute(t, helper, x, y, () => native(b, x, y)));
    };
  };
  return fourForms(a.name, make);
}

function fourForms(
  name: string,
  make: (f: Format, isScalar: boolean, suffix: string) => Translate,
): Record<string, Translate> {
  return {
    [name + "ps"]: make(SINGLE, false, "ps"),
    [name + "pd"]: make(DOUBLE, false, "pd"),
    [name + "ss"]: make(SINGLE, true, "ss"),
    [name + "sd"]: make(DOUBLE, true, "sd"),
  };
}

/** Source operand: Wdq for packed, Wd or Wq for scalar instructions. */
function source(
  t: Translator,
  i: Insn,
  f: Format,
  isScalar: boolean,
): Value {
  if (!isScalar) return readW(t, i);
  return f === SINGLE ? readWd(t, i) : readWq(t, i);
}

/** SQRT: only the source operand counts. */
function squareRoot(f: Format, isScalar: boolean, suffix: string): Translate {
  const helper = SSE_HELPERS[("sqrt" + suffix) as SseName];
  return (t, i) => {
    const b = t.b;
    const y = source(t, i, f, isScalar);
    const x = isScalar ? b.get(XMM[i.reg]) : y;
    const r = compute(t, helper, x, y, () => {
      const r = isScalar
        ? b.op(replace(f), x, b.op(sop(f, "sqrt"), b.op(extract(f), y)))
        : b.op(vop(f, "sqrt"), y);
      // The result is NaN for negative operands, infinite for infinity.
      const ok = and(
        b,
        ordinary(b, f, y, isZero(b, f, y)),
        isFinite(b, f, b.op(vop(f, "abs"), r)),
      );
      return { r, bad: notAll(b, f, ok, isScalar ? 1 : f.all) };
    });
    b.set(XMM[i.reg], r);
  };
}

/** HADD, HSUB, ADDSUB: sums of lanes that `arrange` puts against each other; `alternate` subtracts in the even lanes only. */
function horizontal(
  f: Format,
  name: SseName,
  op: "add" | "sub",
  arrange?: readonly [readonly number[], readonly number[]],
): Translate {
  const helper = SSE_HELPERS[name];
  const width = f === SINGLE ? 4 : 8;
  const left = arrange && lanes(width, arrange[0]);
  const right = arrange && lanes(width, arrange[1]);
  return (t, i) => {
    const b = t.b;
    const y = readW(t, i);
    const x = b.get(XMM[i.reg]);
    const r = compute(t, helper, x, y, () => {
      let p = x, q = y;
      if (left !== undefined && right !== undefined) {
        p = shuffle(b, x, y, left);
        q = shuffle(b, x, y, right);
      } else {
        // ADDSUB: even lanes subtract.
        const even = [...f.sign, ...new Array(width).fill(0)];
        q = b.op(Op["v128.xor"], y, pattern(b, ...even));
      }
      const r = b.op(vop(f, op), p, q);
      let ok = and(
        b,
        ordinary(b, f, p, isZero(b, f, p)),
        ordinary(b, f, q, isZero(b, f, q)),
      );
      ok = and(b, ok, isFinite(b, f, b.op(vop(f, "abs"), r)));
      return { r, bad: notAll(b, f, ok, f.all) };
    });
    b.set(XMM[i.reg], r);
  };
}

// Comparison.

/** The eight predicates of CMPccPS as ops; every second half is the negation. */
const PREDICATES = ["eq", "lt", "le", "unord", "ne", "nlt", "nle", "ord"];

function compareLanes(
  b: IrBuilder,
  f: Format,
  predicate: number,
  x: Value,
  y: Value,
): Value {
  const not = (v: Value): Value => b.op(Op["v128.not"], v);
  const eq = (v: Value): Value => b.op(vop(f, "eq"), v, v);
  switch (PREDICATES[predicate]) {
    case "nlt":
      return not(b.op(vop(f, "lt"), x, y));
    case "nle":
      return not(b.op(vop(f, "le"), x, y));
    case "ord":
      return and(b, eq(x), eq(y));
    case "unord":
      return not(and(b, eq(x), eq(y)));
  }
  return b.op(vop(f, PREDICATES[predicate]), x, y);
}

/** CMPPS and its kin: the predicate is the immediate. */
function compare(f: Format, isScalar: boolean, suffix: string): Translate {
  const helper = SSE_HELPERS[("cmp" + suffix) as SseName];
  return (t, i) => {
    const b = t.b;
    const predicate = i.imm & 7;
    const y = source(t, i, f, isScalar);
    const x = b.get(XMM[i.reg]);
    b.set(SCRATCH32[1], b.i32(predicate));
    const r = compute(t, helper, x, y, () => {
      let r = compareLanes(b, f, predicate, x, y);
      if (isScalar) r = b.op(replace(f), x, b.op(extract(f), r));
      const ok = and(
        b,
        ordinary(b, f, x, isZero(b, f, x)),
        ordinary(b, f, y, isZero(b, f, y)),
      );
      return { r, bad: notAll(b, f, ok, isScalar ? 1 : f.all) };
    });
    b.set(XMM[i.reg], r);
  };
}

/** COMISS and its kin. */
function compareFlags(f: Format, name: SseName): Translate {
  const helper = SSE_HELPERS[name];
  return (t, i) => {
    const b = t.b;
    const y = source(t, i, f, true);
    const x = b.get(XMM[i.reg]);
    const flags = compute(
      t,
      helper,
      x,
      y,
      () => {
        const p = b.op(extract(f), x), q = b.op(extract(f), y);
        const unordered = b.or(
          b.op(sop(f, "ne"), p, p),
          b.op(sop(f, "ne"), q, q),
        );
        const below = b.or(b.op(sop(f, "lt"), p, q), unordered);
        const equal = b.or(b.op(sop(f, "eq"), p, q), unordered);
        const r = b.or(
          b.or(below, b.shl(unordered, b.i32(2))),
          b.shl(equal, b.i32(6)),
        );
        const ok = and(
          b,
          ordinary(b, f, x, isZero(b, f, x)),
          ordinary(b, f, y, isZero(b, f, y)),
        );
        return { r, bad: notAll(b, f, ok, 1) };
      },
      SCRATCH32[0],
    );
    t.setArithFlags(flags);
  };
}

// Conversion.

/** Magnitudes below 2^31 convert without the invalid-operation exception. */
const TWO31_SINGLE = [0, 0, 0, 0x4f];
const TWO31_DOUBLE = [0, 0, 0, 0, 0, 0, 0xe0, 0x41];

/** Not 0 unless the numbers in those lanes of `y` convert to i32. */
function notI32(b: IrBuilder, f: Format, y: Value, mask: number): Value {
  const bound = f === SINGLE ? TWO31_SINGLE : TWO31_DOUBLE;
  const ok = b.op(
    vop(f, "lt"),
    b.op(vop(f, "abs"), y),
    pattern(b, ...bound),
  );
  return notAll(b, f, ok, mask);
}

/** To integers in a vector: `truncate` or round to nearest even. */
function toIntegers(
  t: Translator,
  f: Format,
  name: SseName,
  y: Value,
  mask: number,
): Value {
  const b = t.b;
  return compute(t, SSE_HELPERS[name], y, y, () => {
    const rounded = name.startsWith("cvtt") ? y : b.op(vop(f, "nearest"), y);
    const r = b.op(
      f === SINGLE
        ? Op["i32x4.trunc_sat_f32x4_s"]
        : Op["i32x4.trunc_sat_f64x2_s_zero"],
      rounded,
    );
    return { r, bad: notI32(b, f, rounded, mask) };
  });
}

/** CVT(T)PS2DQ, CVT(T)PD2DQ. */
function toIntegersW(f: Format, name: SseName): Translate {
  return (t, i) =>
    t.b.set(XMM[i.reg], toIntegers(t, f, name, readW(t, i), f.all));
}

/** CVT(T)PS2PI, CVT(T)PD2PI: to an MMX register. */
function toIntegersMm(f: Format, name: SseName): Translate {
  return (t, i) => {
    checkPendingX87(t);
    const y = f === SINGLE ? readWq(t, i) : readW(t, i);
    enterMmx(t); // as hardware does even when #XM follows
    setMm(t, i.reg, toIntegers(t, f, name, y, 3));
  };
}

/** CVT(T)SS2SI, CVT(T)SD2SI. */
function toGeneral(f: Format, name: SseName): Translate {
  return (t, i) => {
    const b = t.b;
    const y = source(t, i, f, true);
    const r = compute(
      t,
      SSE_HELPERS[name],
      y,
      y,
      () => {
        let s = b.op(extract(f), y);
        if (!name.startsWith("cvtt")) s = b.op(sop(f, "nearest"), s);
        const r = b.op(
          f === SINGLE ? Op["i32.trunc_sat_f32_s"] : Op["i32.trunc_sat_f64_s"],
          s,
        );
        const bound = f === SINGLE
          ? b.f32Bits(0x4f000000)
          : b.f64Bits(0, 0x41e00000);
        const ok = b.op(sop(f, "lt"), b.op(sop(f, "abs"), s), bound);
        return { r, bad: b.eqz(ok) };
      },
      SCRATCH32[0],
    );
    b.set(GPR[i.reg], r);
  };
}

/** Source operand Ed as i32. */
function readE(t: Translator, i: Insn): Value {
  return i.mod === 3 ? t.b.get(GPR[i.rm]) : t.load(Op["ld32"], i);
}

const cvtsi2sd: Translate = (t, i) => {
  const b = t.b;
  const r = b.op(Op["f64.convert_i32_s"], readE(t, i));
  b.set(XMM[i.reg], b.op(replace(DOUBLE), b.get(XMM[i.reg]), r));
};

/** Nothing but PE can come of an integer made a single. */
const never = (b: IrBuilder, r: Value): Native => ({ r, bad: b.i32(0) });

const cvtsi2ss: Translate = (t, i) => {
  const b = t.b;
  const e = readE(t, i);
  const x = b.get(XMM[i.reg]);
  const y = b.op(Op["i32x4.splat"], e);
  const r = compute(
    t,
    SSE_HELPERS.cvtsi2ss,
    x,
    y,
    () =>
      never(
        b,
        b.op(replace(SINGLE), x, b.op(Op["f32.convert_i32_s"], e)),
      ),
  );
  b.set(XMM[i.reg], r);
};

const cvtdq2ps: Translate = (t, i) => {
  const b = t.b;
  const y = readW(t, i);
  const r = compute(
    t,
    SSE_HELPERS.cvtdq2ps,
    y,
    y,
    () => never(b, b.op(Op["f32x4.convert_i32x4_s"], y)),
  );
  b.set(XMM[i.reg], r);
};

const cvtpi2ps: Translate = (t, i) => {
  const b = t.b;
  // Only a register operand makes this an MMX instruction.
  if (i.mod === 3) checkPendingX87(t);
  const y = readQ(t, i);
  if (i.mod === 3) enterMmx(t);
  const x = b.get(XMM[i.reg]);
  const r = compute(
    t,
    SSE_HELPERS.cvtpi2ps,
    x,
    y,
    () =>
      never(
        b,
        shuffle(
          b,
          b.op(Op["f32x4.convert_i32x4_s"], y),
          x,
          LOW_THEN_HIGH,
        ),
      ),
  );
  b.set(XMM[i.reg], r);
};

const cvtdq2pd: Translate = (t, i) =>
  t.b.set(
    XMM[i.reg],
    t.b.op(Op["f64x2.convert_low_i32x4_s"], readWq(t, i)),
  );

const cvtpi2pd: Translate = (t, i) => {
  if (i.mod === 3) checkPendingX87(t);
  const y = readQ(t, i);
  if (i.mod === 3) enterMmx(t);
  t.b.set(XMM[i.reg], t.b.op(Op["f64x2.convert_low_i32x4_s"], y));
};

const cvtps2pd: Translate = (t, i) => {
  const b = t.b;
  const y = readWq(t, i);
  const r = compute(t, SSE_HELPERS.cvtps2pd, y, y, () => ({
    r: b.op(Op["f64x2.promote_low_f32x4"], y),
    bad: notAll(
      b,
      SINGLE,
      ordinary(b, SINGLE, y, isZero(b, SINGLE, y)),
      3,
    ),
  }));
  b.set(XMM[i.reg], r);
};

const cvtss2sd: Translate = (t, i) => {
  const b = t.b;
  const y = readWd(t, i);
  const x = b.get(XMM[i.reg]);
  const r = compute(t, SSE_HELPERS.cvtss2sd, x, y, () => ({
    r: b.op(
      replace(DOUBLE),
      x,
      b.op(Op["f64.promote_f32"], b.op(extract(SINGLE), y)),
    ),
    bad: notAll(
      b,
      SINGLE,
      ordinary(b, SINGLE, y, isZero(b, SINGLE, y)),
      1,
    ),
  }));
  b.set(XMM[i.reg], r);
};

/**
 * Doubles that become singles with nothing but PE: zero, or a result between
 * the smallest normal number and infinity. `r` is the result as doubles.
 */
function narrows(b: IrBuilder, y: Value, r: Value): Value {
  const magnitude = b.op(Op["f64x2.abs"], r);
  const large = b.op(
    Op["f64x2.gt"],
    magnitude,
    pattern(b, 0, 0, 0, 0, 0, 0, 0x10, 0x38), // 2^-126
  );
  return or(
    b,
    and(b, large, isFinite(b, DOUBLE, magnitude)),
    isZero(b, DOUBLE, y),
  );
}

const cvtpd2ps: Translate = (t, i) => {
  const b = t.b;
  const y = readW(t, i);
  const r = compute(t, SSE_HELPERS.cvtpd2ps, y, y, () => {
    const r = b.op(Op["f32x4.demote_f64x2_zero"], y);
    const ok = narrows(b, y, b.op(Op["f64x2.promote_low_f32x4"], r));
    return { r, bad: notAll(b, DOUBLE, ok, 3) };
  });
  b.set(XMM[i.reg], r);
};

const cvtsd2ss: Translate = (t, i) => {
  const b = t.b;
  const y = readWq(t, i);
  const x = b.get(XMM[i.reg]);
  const r = compute(t, SSE_HELPERS.cvtsd2ss, x, y, () => {
    const s = b.op(Op["f32.demote_f64"], b.op(extract(DOUBLE), y));
    const wide = b.op(Op["f64x2.splat"], b.op(Op["f64.promote_f32"], s));
    return {
      r: b.op(replace(SINGLE), x, s),
      bad: notAll(b, DOUBLE, narrows(b, y, wide), 1),
    };
  });
  b.set(XMM[i.reg], r);
};

// Approximations. They raise nothing, take denormals for zeros and flush tiny
// results. Hardware promises a relative error of 1.5 * 2^-12 and no bits.

const SIGN_SINGLE = SINGLE.sign;
const ONES_SINGLE = [0, 0, 0x80, 0x3f];

/** Denormals become zeros of the same sign. */
function withoutDenormals(b: IrBuilder, y: Value): Value {
  const large = b.op(
    Op["f32x4.ge"],
    b.op(Op["f32x4.abs"], y),
    pattern(b, ...SINGLE.min),
  );
  return b.op(
    Op["v128.bitselect"],
    y,
    and(b, y, pattern(b, ...SIGN_SINGLE)),
    large,
  );
}

/** The NaNs of `y`, quiet, in place of their lanes of `r`. */
function passNans(b: IrBuilder, y: Value, r: Value): Value {
  return b.op(
    Op["v128.bitselect"],
    or(b, y, pattern(b, 0, 0, 0x40, 0)),
    r,
    b.op(Op["f32x4.ne"], y, y),
  );
}

const rcp: Binary = (b, _x, y) => {
  const r = b.op(
    Op["f32x4.div"],
    pattern(b, ...ONES_SINGLE),
    withoutDenormals(b, y),
  );
  return passNans(b, y, withoutDenormals(b, r));
};

const rsqrt: Binary = (b, _x, y) => {
  const d = withoutDenormals(b, y);
  const r = b.op(
    Op["f32x4.div"],
    pattern(b, ...ONES_SINGLE),
    b.op(Op["f32x4.sqrt"], d),
  );
  const indefinite = b.op(
    Op["v128.bitselect"],
    pattern(b, 0, 0, 0xc0, 0xff),
    r,
    b.op(Op["f32x4.lt"], d, zero(b)),
  );
  return passNans(b, y, indefinite);
};

function approximateScalar(f: Binary): Translate {
  return (t, i) => {
    const b = t.b;
    const y = readWd(t, i);
    const x = b.get(XMM[i.reg]);
    b.set(XMM[i.reg], shuffle(b, f(b, x, y), x, FIRST_SINGLE));
  };
}

// Moves and shuffles.

/** The first single of one vector, the rest of another. */
const FIRST_SINGLE = lanes(4, [0, 5, 6, 7]);
/** The low half of one vector, the high half of another. */
const LOW_THEN_HIGH = lanes(8, [0, 3]);

/** Low halves of two vectors. */
const lowLow: Binary = (b, x, y) => shuffle(b, x, y, lanes(8, [0, 2]));

/** MOVSS, MOVSD: a load clears the rest of the register, a register operand leaves it. */
function moveScalar(f: Format): Translate {
  const rest = f === SINGLE ? FIRST_SINGLE : LOW_THEN_HIGH;
  return (t, i) => {
    const b = t.b;
    const store = i.opcode === 0x11;
    if (i.mod === 3) {
      const to = XMM[store ? i.rm : i.reg];
      const from = XMM[store ? i.reg : i.rm];
      return b.set(to, shuffle(b, b.get(from), b.get(to), rest));
    }
    if (store) {
      const v = b.op(
        f === SINGLE ? Op["i32x4.extract_lane.0"] : Op["i64x2.extract_lane.0"],
        b.get(XMM[i.reg]),
      );
      return t.store(f === SINGLE ? Op["st32"] : Op["st64"], i, v);
    }
    const v = t.load(f === SINGLE ? Op["ld32"] : Op["ld64"], i);
    b.set(
      XMM[i.reg],
      b.op(
        f === SINGLE ? Op["i32x4.replace_lane.0"] : Op["i64x2.replace_lane.0"],
        zero(b),
        v,
      ),
    );
  };
}

/** MOVLPS, MOVHPS and their PD twins: half a register from or to memory. */
function moveHalf(lane: 0 | 1): Translate {
  const storeOpcode = lane === 0 ? 0x13 : 0x17;
  return (t, i) => {
    const b = t.b;
    if (i.opcode === storeOpcode) {
      const op = lane === 0 ? "i64x2.extract_lane.0" : "i64x2.extract_lane.1";
      return t.store(Op["st64"], i, b.op(Op[op], b.get(XMM[i.reg])));
    }
    const op = lane === 0 ? "i64x2.replace_lane.0" : "i64x2.replace_lane.1";
    const v = t.load(Op["ld64"], i);
    b.set(XMM[i.reg], b.op(Op[op], b.get(XMM[i.reg]), v));
  };
}

const movhlps: Translate = (t, i) => {
  const b = t.b;
  b.set(
    XMM[i.reg],
    shuffle(b, b.get(XMM[i.rm]), b.get(XMM[i.reg]), lanes(8, [1, 3])),
  );
};
const movlhps: Translate = (t, i) => {
  const b = t.b;
  b.set(XMM[i.reg], lowLow(b, b.get(XMM[i.reg]), b.get(XMM[i.rm])));
};

const movddup: Translate = (t, i) => {
  const y = readWq(t, i);
  t.b.set(XMM[i.reg], lowLow(t.b, y, y));
};
const duplicate = (indices: readonly number[]): Translate =>
  sse((b, _x, y) => shuffle(b, y, y, lanes(4, indices)));

/** SHUFPS, SHUFPD: the low lanes come from the destination, the high ones from the source. */
const shufps: Translate = (t, i) => {
  const b = t.b;
  const y = readW(t, i);
  const n = i.imm;
  const indices = lanes(4, [
    n & 3,
    (n >> 2) & 3,
    4 + ((n >> 4) & 3),
    4 + ((n >> 6) & 3),
  ]);
  b.set(XMM[i.reg], shuffle(b, b.get(XMM[i.reg]), y, indices));
};
const shufpd: Translate = (t, i) => {
  const b = t.b;
  const y = readW(t, i);
  const indices = lanes(8, [i.imm & 1, 2 + ((i.imm >> 1) & 1)]);
  b.set(XMM[i.reg], shuffle(b, b.get(XMM[i.reg]), y, indices));
};
const permute = (width: number, indices: readonly number[]): Translate => {
  const bytes = lanes(width, indices);
  return sse((b, x, y) => shuffle(b, x, y, bytes));
};

const movmsk = (op: OpName): Translate => (t, i) =>
  t.b.set(GPR[i.reg], t.b.op(Op[op], t.b.get(XMM[i.rm])));

/** MOVNTI: a plain store. */
const movnti: Translate = (t, i) => t.store(Op["st32"], i, t.b.get(GPR[i.reg]));

// Control.

const stmxcsr: Translate = (t, i) => t.store(Op["st32"], i, t.b.get(MXCSR));

/** CLFLUSH faults as a load does. */
const clflush: Translate = (t, i) => {
  t.load(Op["ld8u"], i);
};

/** Fences, prefetches: memory is strongly ordered here already. */
const nothing: Translate = () => {};

const bitwise = (op: OpName): Translate => sse((b, x, y) => b.op(Op[op], x, y));
const andNot: Translate = sse((b, x, y) => b.op(Op["v128.andnot"], y, x));
const xor: Translate = sse((b, x, y) =>
  x === y ? zero(b) : b.op(Op["v128.xor"], x, y)
);

/** SSE, SSE2 and SSE3 instructions, by mnemonic. */
export const SSE: Readonly<Record<string, Translate>> = {
  ...arithmetic({ name: "add" }),
  ...arithmetic({ name: "sub" }),
  // A small product is exact where an operand is zero.
  ...arithmetic({ name: "mul", exact: (b, x, y) => or(b, x, y) }),
  // A small quotient is exact where the dividend is zero.
  ...arithmetic({ name: "div", exact: (_b, x) => x }),
  ...arithmetic({ name: "min", selects: true }),
  ...arithmetic({ name: "max", selects: true }),
  ...fourForms("sqrt", squareRoot),
  ...fourForms("cmp", compare),
  haddps: horizontal(SINGLE, "haddps", "add", [[0, 2, 4, 6], [1, 3, 5, 7]]),
  haddpd: horizontal(DOUBLE, "haddpd", "add", [[0, 2], [1, 3]]),
  hsubps: horizontal(SINGLE, "hsubps", "sub", [[0, 2, 4, 6], [1, 3, 5, 7]]),
  hsubpd: horizontal(DOUBLE, "hsubpd", "sub", [[0, 2], [1, 3]]),
  addsubps: horizontal(SINGLE, "addsubps", "add"),
  addsubpd: horizontal(DOUBLE, "addsubpd", "add"),
  comiss: compareFlags(SINGLE, "comiss"),
  comisd: compareFlags(DOUBLE, "comisd"),
  ucomiss: compareFlags(SINGLE, "ucomiss"),
  ucomisd: compareFlags(DOUBLE, "ucomisd"),
  rcpps: sse(rcp),
  rcpss: approximateScalar(rcp),
  rsqrtps: sse(rsqrt),
  rsqrtss: approximateScalar(rsqrt),
  cvtsi2sd,
  cvtsi2ss,
  cvtdq2ps,
  cvtdq2pd,
  cvtpi2ps,
  cvtpi2pd,
  cvtps2pd,
  cvtss2sd,
  cvtpd2ps,
  cvtsd2ss,
  cvtss2si: toGeneral(SINGLE, "cvtss2si"),
  cvttss2si: toGeneral(SINGLE, "cvttss2si"),
  cvtsd2si: toGeneral(DOUBLE, "cvtsd2si"),
  cvttsd2si: toGeneral(DOUBLE, "cvttsd2si"),
  cvtps2dq: toIntegersW(SINGLE, "cvtps2dq"),
  cvttps2dq: toIntegersW(SINGLE, "cvttps2dq"),
  cvtpd2dq: toIntegersW(DOUBLE, "cvtpd2dq"),
  cvttpd2dq: toIntegersW(DOUBLE, "cvttpd2dq"),
  cvtps2pi: toIntegersMm(SINGLE, "cvtps2pi"),
  cvttps2pi: toIntegersMm(SINGLE, "cvttps2pi"),
  cvtpd2pi: toIntegersMm(DOUBLE, "cvtpd2dq"),
  cvttpd2pi: toIntegersMm(DOUBLE, "cvttpd2dq"),
  andps: bitwise("v128.and"),
  andpd: bitwise("v128.and"),
  andnps: andNot,
  andnpd: andNot,
  orps: bitwise("v128.or"),
  orpd: bitwise("v128.or"),
  xorps: xor,
  xorpd: xor,
  movss: moveScalar(SINGLE),
  movsd: moveScalar(DOUBLE),
  movlps: moveHalf(0),
  movlpd: moveHalf(0),
  movhps: moveHalf(1),
  movhpd: moveHalf(1),
  movhlps,
  movlhps,
  movddup,
  movsldup: duplicate([0, 0, 2, 2]),
  movshdup: duplicate([1, 1, 3, 3]),
  shufps,
  shufpd,
  unpcklps: permute(4, [0, 4, 1, 5]),
  unpckhps: permute(4, [2, 6, 3, 7]),
  unpcklpd: permute(8, [0, 2]),
  unpckhpd: permute(8, [1, 3]),
  movmskps: movmsk("i32x4.bitmask"),
  movmskpd: movmsk("i64x2.bitmask"),
  movnti,
  stmxcsr,
  clflush,
  lfence: nothing,
  mfence: nothing,
  sfence: nothing,
  prefetch: nothing,
};
