/**
 * Floating point of SSE, SSE2 and SSE3 (SDM volume 1, chapters 10-12), natively
 * as translate_sse_checks.ts explains.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { IrBuilder } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import type { Insn } from "./decode.ts";
import { SSE_HELPERS, type SseName } from "./sse_helpers.ts";
import { SCRATCH32, XMM } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import {
  checkPendingX87,
  enterMmx,
  first,
  lanes,
  LOW_THEN_HIGH,
  lowLow,
  pattern,
  readQ,
  readW,
  readWd,
  readWq,
  setMm,
  shuffle,
  zero,
} from "./translate_simd.ts";
import {
  and,
  both,
  compute,
  DOUBLE,
  exactProduct,
  exactQuotient,
  exactSum,
  extract,
  type Format,
  isFinite,
  isZero,
  type Native,
  notDenormal,
  notNan,
  notTiny,
  or,
  replace,
  SINGLE,
  sop,
  vop,
} from "./translate_sse_checks.ts";
import { SSE_MOVES } from "./translate_sse_moves.ts";

/** An operation on vectors in a format, native. */
export type Operate = (
  b: IrBuilder,
  f: Format,
  x: Value,
  y: Value,
  isScalar: boolean,
) => Native;

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

/**
 * A packed instruction as a function of its operands; `isFirst`: they are the
 * first halves of 256 bits.
 */
export type Packed = (
  t: Translator,
  x: Value,
  y: Value,
  isFirst: boolean,
) => Value;

const packed: Record<string, Packed> = {};
/** The packed instructions of two operands, by mnemonic. */
export const PACKED: Readonly<Record<string, Packed>> = packed;

/** The four instructions of an operation: packed and scalar, single and double. */
function fourForms(
  name: string,
  operate: Operate,
): Record<string, Translate> {
  const make = (f: Format, isScalar: boolean, suffix: string): Translate => {
    const helper = SSE_HELPERS[(name + suffix) as SseName];
    const run: Packed = (t, x, y, isFirst) =>
      compute(
        t,
        helper,
        x,
        y,
        f,
        isScalar,
        () => operate(t.b, f, x, y, isScalar),
        isFirst,
      );
    if (!isScalar) packed[name + suffix] = run;
    return (t, i) => {
      const y = source(t, i, f, isScalar);
      t.b.set(XMM[i.reg], run(t, first(t, i), y, false));
    };
  };
  return {
    [name + "ps"]: make(SINGLE, false, "ps"),
    [name + "pd"]: make(DOUBLE, false, "pd"),
    [name + "ss"]: make(SINGLE, true, "ss"),
    [name + "sd"]: make(DOUBLE, true, "sd"),
  };
}

/** `op` of the vectors, or of lane 0 with the rest of `x`. */
function apply(
  b: IrBuilder,
  f: Format,
  op: string,
  x: Value,
  y: Value,
  isScalar: boolean,
): Value {
  if (!isScalar) return b.op(vop(f, op), x, y);
  const s = b.op(sop(f, op), b.op(extract(f), x), b.op(extract(f), y));
  return b.op(replace(f), x, s);
}

/** Check: neither operand is denormal. */
const noDenormals = (b: IrBuilder, f: Format, x: Value, y: Value): Value =>
  x === y
    ? notDenormal(b, f, x)
    : both(b, notDenormal(b, f, x), notDenormal(b, f, y));

/** Check for sums: a tiny sum is exact. */
const sumOk = (b: IrBuilder, f: Format, x: Value, y: Value, r: Value): Value =>
  both(b, noDenormals(b, f, x, y), isFinite(b, f, r));

/** Sums and differences. */
export const sum = (op: "add" | "sub"): Operate => (b, f, x, y, isScalar) => {
  const r = apply(b, f, op, x, y, isScalar);
  return {
    r,
    ok: sumOk(b, f, x, y, r),
    exact: () => exactSum(b, f, op, x, y, r),
  };
};

/** Products. */
export const product: Operate = (b, f, x, y, isScalar) => {
  const r = apply(b, f, "mul", x, y, isScalar);
  // A small product is exact where a factor is zero.
  const zeros = or(b, isZero(b, f, x), isZero(b, f, y));
  const ok = both(
    b,
    sumOk(b, f, x, y, r),
    or(b, notTiny(b, f, r), zeros),
  );
  return { r, ok, exact: () => exactProduct(b, f, x, y) };
};

const quotient: Operate = (b, f, x, y, isScalar) => {
  const r = apply(b, f, "div", x, y, isScalar);
  const ok = both(
    b,
    sumOk(b, f, x, y, r),
    or(b, notTiny(b, f, r), isZero(b, f, x)),
  );
  return { r, ok, exact: () => exactQuotient(b, f, x, y, r) };
};

const root: Operate = (b, f, x, y, isScalar) => {
  const r = isScalar
    ? b.op(replace(f), x, b.op(sop(f, "sqrt"), b.op(extract(f), y)))
    : b.op(vop(f, "sqrt"), y);
  // The result is NaN for negative operands, infinite for infinity.
  const ok = both(b, notDenormal(b, f, y), isFinite(b, f, r));
  return { r, ok, exact: () => exactQuotient(b, f, y, r, r) };
};

/** Check for comparisons: no NaN, no denormal. */
const comparable = (b: IrBuilder, f: Format, x: Value, y: Value): Value =>
  both(
    b,
    noDenormals(b, f, x, y),
    and(b, notNan(b, f, x), notNan(b, f, y)),
  );

/** MIN: x < y ? x : y, which is pmin(y, x). */
const choice = (op: "pmin" | "pmax"): Operate => (b, f, x, y, isScalar) => {
  let r = b.op(vop(f, op), y, x);
  if (isScalar) r = b.op(replace(f), x, b.op(extract(f), r));
  return { r, ok: comparable(b, f, x, y) };
};

/** HADD, HSUB, ADDSUB: sums of lanes that `arrange` puts against each other; without it even lanes subtract. */
function horizontal(
  f: Format,
  name: SseName,
  op: "add" | "sub",
  arrange?: readonly [readonly number[], readonly number[]],
): Translate {
  const helper = SSE_HELPERS[name];
  const left = arrange && lanes(f.width, arrange[0]);
  const right = arrange && lanes(f.width, arrange[1]);
  const even = [...f.sign, ...new Array(f.width).fill(0)];
  const run: Packed = (t, x, y, isFirst) => {
    const b = t.b;
    return compute(t, helper, x, y, f, false, () => {
      if (left !== undefined && right !== undefined) {
        const p = shuffle(b, x, y, left), q = shuffle(b, x, y, right);
        return sum(op)(b, f, p, q, false);
      }
      const q = b.op(Op["v128.xor"], y, pattern(b, ...even));
      return sum("add")(b, f, x, q, false);
    }, isFirst);
  };
  packed[name] = run;
  return (t, i) => {
    const y = readW(t, i);
    t.b.set(XMM[i.reg], run(t, first(t, i), y, false));
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
  // The other predicates of VCMPPS differ from these only for NaNs.
  if ((predicate & 15) === 11) return zero(b);
  if ((predicate & 15) === 15) return not(zero(b));
  predicate &= 7;
  const ordered = (): Value => and(b, notNan(b, f, x), notNan(b, f, y));
  switch (PREDICATES[predicate]) {
    case "nlt":
      return not(b.op(vop(f, "lt"), x, y));
    case "nle":
      return not(b.op(vop(f, "le"), x, y));
    case "ord":
      return ordered();
    case "unord":
      return not(ordered());
  }
  return b.op(vop(f, PREDICATES[predicate]), x, y);
}

/** CMPPS and its kin: the predicate is the immediate. */
function compare(f: Format, isScalar: boolean, name: SseName): Translate {
  const helper = SSE_HELPERS[name];
  const run: Packed = (t, x, y, isFirst) => {
    const b = t.b, i = t.insn;
    const predicate = i.imm & (i.vex ? 31 : 7);
    b.set(SCRATCH32[1], b.i32(predicate));
    return compute(t, helper, x, y, f, isScalar, () => {
      let r = compareLanes(b, f, predicate, x, y);
      if (isScalar) r = b.op(replace(f), x, b.op(extract(f), r));
      return { r, ok: comparable(b, f, x, y) };
    }, isFirst);
  };
  if (!isScalar) packed[name] = run;
  return (t, i) => {
    const y = source(t, i, f, isScalar);
    t.b.set(XMM[i.reg], run(t, first(t, i), y, false));
  };
}

/** COMISS and its kin. */
function compareFlags(f: Format, name: SseName): Translate {
  const helper = SSE_HELPERS[name];
  return (t, i) => {
    const b = t.b;
    const y = source(t, i, f, true);
    const x = b.get(XMM[i.reg]);
    const flags = compute(t, helper, x, y, f, true, () => {
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
      return { r, ok: comparable(b, f, x, y) };
    });
    t.setArithFlags(flags);
  };
}

// Conversion.

/** Magnitudes below 2^31 convert without the invalid-operation exception. */
const TWO31_SINGLE = [0, 0, 0, 0x4f];
const TWO31_DOUBLE = [0, 0, 0, 0, 0, 0, 0xe0, 0x41];

/** Check: the numbers convert to i32. */
const fitsI32 = (b: IrBuilder, f: Format, y: Value): Value =>
  b.op(
    vop(f, "lt"),
    b.op(vop(f, "abs"), y),
    pattern(b, ...(f === SINGLE ? TWO31_SINGLE : TWO31_DOUBLE)),
  );

/** To integers in a vector: truncate (`cvtt`) or round to nearest even. */
function toIntegers(
  t: Translator,
  f: Format,
  name: SseName,
  y: Value,
  isFirst = false,
): Value {
  const b = t.b;
  return compute(t, SSE_HELPERS[name], y, y, f, false, () => {
    const rounded = name.startsWith("cvtt") ? y : b.op(vop(f, "nearest"), y);
    const r = b.op(
      f === SINGLE
        ? Op["i32x4.trunc_sat_f32x4_s"]
        : Op["i32x4.trunc_sat_f64x2_s_zero"],
      rounded,
    );
    const back = f === SINGLE
      ? Op["f32x4.convert_i32x4_s"]
      : Op["f64x2.convert_low_i32x4_s"];
    return {
      r,
      ok: fitsI32(b, f, rounded),
      exact: () => b.op(vop(f, "eq"), b.op(back, r), y),
    };
  }, isFirst);
}

/** CVT(T)PS2DQ, CVT(T)PD2DQ. */
function toIntegersW(f: Format, name: SseName): Translate {
  packed[name] = (t, _x, y, isFirst) => toIntegers(t, f, name, y, isFirst);
  return (t, i) => t.b.set(XMM[i.reg], toIntegers(t, f, name, readW(t, i)));
}

/** CVT(T)PS2PI, CVT(T)PD2PI: to an MMX register. */
function toIntegersMm(f: Format, name: SseName): Translate {
  return (t, i) => {
    checkPendingX87(t);
    let y = f === SINGLE ? readWq(t, i) : readW(t, i);
    // Only two lanes count: have them twice.
    if (f === SINGLE) y = lowLow(t.b, y, y);
    enterMmx(t); // as hardware does even when #XM follows
    setMm(t, i.reg & 7, toIntegers(t, f, name, y));
  };
}

/** Check: integers of 64 bits whose value has at most so many. */
function areShortIntegers(b: IrBuilder, y: Value, bits: number): Value {
  const bias = new Array(8).fill(0);
  bias[bits >> 3] = 1 << (bits & 7);
  return b.op(
    Op["i64x2.eq"],
    b.op(
      Op["i64x2.shr_u"],
      b.op(Op["i64x2.add"], y, pattern(b, ...bias)),
      b.i32(bits + 1),
    ),
    b.op(Op["v128.xor"], y, y),
  );
}

/** CVTSI2SD from 64 bits. */
function cvtsi2sd64(t: Translator, i: Insn): void {
  const b = t.b;
  const e = t.read(i.vex ? 2 : 1);
  const x = first(t, i);
  const y = b.op(Op["i64x2.splat"], e);
  const r = compute(t, SSE_HELPERS.cvtsi2sd64, x, y, DOUBLE, true, () => ({
    r: b.op(replace(DOUBLE), x, b.op(Op["f64.convert_i64_s"], e)),
    exact: () => areShortIntegers(b, y, 53),
  }));
  b.set(XMM[i.reg], r);
}

/** CVTSI2SS from 64 bits. */
function cvtsi2ss64(t: Translator, i: Insn): void {
  const b = t.b;
  const e = t.read(i.vex ? 2 : 1);
  const x = first(t, i);
  const y = b.op(Op["i64x2.splat"], e);
  const r = compute(t, SSE_HELPERS.cvtsi2ss64, x, y, SINGLE, true, () => ({
    r: b.op(replace(SINGLE), x, b.op(Op["f32.convert_i64_s"], e)),
    exact: () => areShortIntegers(b, y, 24),
  }));
  b.set(XMM[i.reg], r);
}

/** Magnitudes below 2^63. */
const TWO63_SINGLE = [0, 0, 0, 0x5f];
const TWO63_DOUBLE = [0, 0, 0, 0, 0, 0, 0xe0, 0x43];

/** CVT(T)SS2SI, CVT(T)SD2SI to 64 bits. */
function toGeneral64(
  t: Translator,
  i: Insn,
  f: Format,
  name: SseName,
): void {
  const b = t.b;
  const y = source(t, i, f, true);
  const r = compute(t, SSE_HELPERS[name], y, y, f, true, () => {
    const whole = name.startsWith("cvtt") ? y : b.op(vop(f, "nearest"), y);
    const s = b.op(extract(f), whole);
    const d = f === SINGLE ? b.op(Op["f64.promote_f32"], s) : s;
    const r = b.op(Op["i64.trunc_sat_f64_s"], d);
    const limit = f === SINGLE ? TWO63_SINGLE : TWO63_DOUBLE;
    const back = b.op(
      vop(f, "splat"),
      b.op(sop(f, "convert_i64_s"), r),
    );
    return {
      r: b.op(Op["i64x2.splat"], r),
      ok: b.op(vop(f, "lt"), b.op(vop(f, "abs"), whole), pattern(b, ...limit)),
      exact: () => b.op(vop(f, "eq"), back, y),
    };
  });
  t.setReg(8, i.reg, b.op(Op["i64x2.extract_lane.0"], r));
}

/** CVT(T)SS2SI, CVT(T)SD2SI. */
function toGeneral(
  f: Format,
  name: SseName & `cvt${string}si`,
): Translate {
  const truncate = name.startsWith("cvtt");
  return (t, i) => {
    const b = t.b;
    if (t.size(0) === 8) return toGeneral64(t, i, f, `${name}64` as SseName);
    const y = source(t, i, f, true);
    const r = compute(t, SSE_HELPERS[name], y, y, f, true, () => {
      const whole = truncate ? y : b.op(vop(f, "nearest"), y);
      const s = b.op(extract(f), whole);
      const r = b.op(
        f === SINGLE ? Op["i32.trunc_sat_f32_s"] : Op["i32.trunc_sat_f64_s"],
        s,
      );
      const back = f === SINGLE
        ? b.op(Op["f32x4.convert_i32x4_s"], b.op(Op["i32x4.splat"], r))
        : b.op(
          Op["f64x2.convert_low_i32x4_s"],
          b.op(Op["i32x4.splat"], r),
        );
      return {
        r,
        ok: fitsI32(b, f, whole),
        exact: () => b.op(vop(f, "eq"), back, y),
      };
    });
    t.setReg(4, i.reg, r);
  };
}

const cvtsi2sd: Translate = (t, i) => {
  const b = t.b;
  if (t.size(i.vex ? 2 : 1) === 8) return cvtsi2sd64(t, i);
  const r = b.op(Op["f64.convert_i32_s"], t.read(i.vex ? 2 : 1));
  b.set(XMM[i.reg], b.op(replace(DOUBLE), first(t, i), r));
};

/** Check: the integers have at most 24 bits. */
const areSmall = (b: IrBuilder, y: Value): Value =>
  b.op(
    Op["i32x4.eq"],
    b.op(
      Op["i32x4.shr_u"],
      b.op(Op["i32x4.add"], y, pattern(b, 0, 0, 0, 1)),
      b.i32(25),
    ),
    b.op(Op["v128.xor"], y, y),
  );

const cvtsi2ss: Translate = (t, i) => {
  const b = t.b;
  if (t.size(i.vex ? 2 : 1) === 8) return cvtsi2ss64(t, i);
  const e = t.read(i.vex ? 2 : 1);
  const x = first(t, i);
  const y = b.op(Op["i32x4.splat"], e);
  const r = compute(t, SSE_HELPERS.cvtsi2ss, x, y, SINGLE, true, () => ({
    r: b.op(replace(SINGLE), x, b.op(Op["f32.convert_i32_s"], e)),
    exact: () => areSmall(b, y),
  }));
  b.set(XMM[i.reg], r);
};

packed.cvtdq2ps = (t, _x, y, isFirst) =>
  compute(t, SSE_HELPERS.cvtdq2ps, y, y, SINGLE, false, () => ({
    r: t.b.op(Op["f32x4.convert_i32x4_s"], y),
    exact: () => areSmall(t.b, y),
  }), isFirst);
const cvtdq2ps: Translate = (t, i) => {
  const y = readW(t, i);
  t.b.set(XMM[i.reg], packed.cvtdq2ps(t, y, y, false));
};

const cvtpi2ps: Translate = (t, i) => {
  const b = t.b;
  // Only a register operand makes this an MMX instruction.
  if (i.mod === 3) checkPendingX87(t);
  const q = readQ(t, i);
  if (i.mod === 3) enterMmx(t);
  const x = b.get(XMM[i.reg]);
  const y = lowLow(b, q, q);
  const r = compute(t, SSE_HELPERS.cvtpi2ps, x, y, SINGLE, false, () => ({
    r: shuffle(b, b.op(Op["f32x4.convert_i32x4_s"], y), x, LOW_THEN_HIGH),
    exact: () => areSmall(b, y),
  }));
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

// The two singles of the low half.
packed.cvtps2pd = (t, _x, q, isFirst) => {
  const b = t.b;
  const y = lowLow(b, q, q);
  return compute(t, SSE_HELPERS.cvtps2pd, y, y, SINGLE, false, () => ({
    r: b.op(Op["f64x2.promote_low_f32x4"], y),
    ok: comparable(b, SINGLE, y, y),
  }), isFirst);
};
const cvtps2pd: Translate = (t, i) => {
  const q = readWq(t, i);
  t.b.set(XMM[i.reg], packed.cvtps2pd(t, q, q, false));
};

const cvtss2sd: Translate = (t, i) => {
  const b = t.b;
  const y = readWd(t, i);
  const x = first(t, i);
  const r = compute(t, SSE_HELPERS.cvtss2sd, x, y, SINGLE, true, () => ({
    r: b.op(
      replace(DOUBLE),
      x,
      b.op(Op["f64.promote_f32"], b.op(extract(SINGLE), y)),
    ),
    ok: comparable(b, SINGLE, y, y),
  }));
  b.set(XMM[i.reg], r);
};

/** 2^-126, the smallest normal single. */
const MIN_SINGLE = [0, 0, 0, 0, 0, 0, 0x10, 0x38];

/**
 * Check: doubles become singles with nothing but PE: zero, or a result between
 * the smallest normal number and infinity. `r` is the result as doubles.
 */
function narrows(b: IrBuilder, y: Value, r: Value): Value {
  const large = b.op(
    Op["f64x2.gt"],
    b.op(Op["f64x2.abs"], r),
    pattern(b, ...MIN_SINGLE),
  );
  return and(b, or(b, large, isZero(b, DOUBLE, y)), isFinite(b, DOUBLE, r));
}

packed.cvtpd2ps = (t, _x, y, isFirst) => {
  const b = t.b;
  return compute(t, SSE_HELPERS.cvtpd2ps, y, y, DOUBLE, false, () => {
    const r = b.op(Op["f32x4.demote_f64x2_zero"], y);
    const wide = b.op(Op["f64x2.promote_low_f32x4"], r);
    return {
      r,
      ok: narrows(b, y, wide),
      exact: () => b.op(Op["f64x2.eq"], wide, y),
    };
  }, isFirst);
};
const cvtpd2ps: Translate = (t, i) => {
  const y = readW(t, i);
  t.b.set(XMM[i.reg], packed.cvtpd2ps(t, y, y, false));
};

const cvtsd2ss: Translate = (t, i) => {
  const b = t.b;
  const y = readWq(t, i);
  const x = first(t, i);
  const r = compute(t, SSE_HELPERS.cvtsd2ss, x, y, DOUBLE, true, () => {
    const s = b.op(Op["f32.demote_f64"], b.op(extract(DOUBLE), y));
    const wide = b.op(Op["f64x2.splat"], b.op(Op["f64.promote_f32"], s));
    return {
      r: b.op(replace(SINGLE), x, s),
      ok: narrows(b, y, wide),
      exact: () => b.op(Op["f64x2.eq"], wide, y),
    };
  });
  b.set(XMM[i.reg], r);
};

/** SSE, SSE2 and SSE3 instructions, by mnemonic. */
export const SSE: Readonly<Record<string, Translate>> = {
  ...SSE_MOVES,
  ...fourForms("add", sum("add")),
  ...fourForms("sub", sum("sub")),
  ...fourForms("mul", product),
  ...fourForms("div", quotient),
  ...fourForms("sqrt", root),
  ...fourForms("min", choice("pmin")),
  ...fourForms("max", choice("pmax")),
  cmpps: compare(SINGLE, false, "cmpps"),
  cmppd: compare(DOUBLE, false, "cmppd"),
  cmpss: compare(SINGLE, true, "cmpss"),
  cmpsd: compare(DOUBLE, true, "cmpsd"),
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
};
