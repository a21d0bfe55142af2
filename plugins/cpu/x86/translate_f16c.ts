/**
 * F16C: conversions between half and single precision (SDM volume 1, 14.4).
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import { DE, IE, OE, PE, UE } from "./float80.ts";
import {
  type Computation,
  computation,
  RESULT,
  W_PREDICATE,
  Y,
} from "./sse_helpers.ts";
import {
  KEY_MXCSR_DEFAULT,
  SCRATCH128,
  SCRATCH32,
  XMM,
  YMMH,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import {
  checkAlignment,
  lanes,
  lowLow,
  readW,
  readWq,
  shuffle,
  zero,
} from "./translate_simd.ts";
import { probeStore, register, setRegister } from "./vex_operands.ts";

/** MXCSR: denormals are zeros; the masks of overflow and underflow. */
const DAZ = 0x40, OVERFLOW_MASK = 0x400, UNDERFLOW_MASK = 0x800;
/** In the immediate of VCVTPS2PH: rounding is MXCSR's. */
const BY_MXCSR = 4;

/** Binary32 bits of binary16 ones. NaNs become quiet. */
function widenHalf(h: number): number {
  const sign = (h & 0x8000) << 16, exponent = (h >> 10) & 31;
  const fraction = h & 0x3ff;
  if (exponent === 31) {
    const quiet = fraction !== 0 ? 0x400000 : 0;
    return sign | 0x7f800000 | fraction << 13 | quiet;
  }
  if (exponent !== 0) return sign | (exponent + 112) << 23 | fraction << 13;
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21;
  return sign | (113 - shift) << 23 | (fraction << (13 + shift)) & 0x7fffff;
}

const result = { bits: 0, flags: 0 };

/**
 * Rounds binary32 bits to binary16: the bits, and the exceptions. `rounding`:
 * 0 nearest, 1 down, 2 up, 3 towards zero.
 */
function narrowSingle(
  s: number,
  rounding: number,
  mxcsr: number,
): typeof result {
  const sign = (s >>> 16) & 0x8000;
  const exponent = (s >>> 23) & 0xff;
  const fraction = s & 0x7fffff;
  result.flags = 0;
  if (exponent === 0xff) {
    if (fraction !== 0) {
      result.bits = sign | 0x7e00 | fraction >> 13;
      result.flags = (s & 0x400000) === 0 ? IE : 0;
    } else result.bits = sign | 0x7c00;
    return result;
  }
  if (exponent === 0 && (fraction === 0 || (mxcsr & DAZ) !== 0)) {
    result.bits = sign;
    return result;
  }
  let flags = exponent === 0 ? DE : 0;
  const shift = exponent === 0 ? Math.clz32(fraction) - 8 : 0;
  const mantissa = exponent === 0 ? fraction << shift : fraction | 0x800000;
  // In units of 2^-24 * 2^(scale): bits below `drop` are rounded away.
  const half = Math.max(exponent, 1) - shift - 112;
  const up = (kept: number, rest: number, top: number): boolean => {
    if (rest === 0) return false;
    if (rounding === 0) {
      return rest > top >> 1 || rest === top >> 1 && (kept & 1) !== 0;
    }
    return rounding === 1 ? sign !== 0 : rounding === 2 && sign === 0;
  };
  const drop = half >= 1 ? 13 : Math.min(13 + 1 - half, 26);
  const unit = 2 ** drop;
  let kept = Math.floor(mantissa / unit);
  const rest = mantissa - kept * unit;
  if (up(kept, rest, unit)) kept++;
  if (rest !== 0) flags |= PE;
  if (half < 1) {
    // Tiny after rounding to 11 bits with any exponent.
    const plain = 2 ** 13;
    let full = Math.floor(mantissa / plain);
    const left = mantissa - full * plain;
    if (up(full, left, plain)) full++;
    const tiny = half < 0 || full < 0x800;
    if (tiny && (mxcsr & UNDERFLOW_MASK) === 0) {
      // Unmasked, PE is that of the result with any exponent.
      flags = flags & ~PE | UE | (left !== 0 ? PE : 0);
    } else if (tiny && rest !== 0) flags |= UE;
    result.bits = sign | kept;
  } else {
    const bits = kept + ((half - 1) << 10);
    if (bits >= 0x7c00) {
      flags |= OE | ((mxcsr & OVERFLOW_MASK) !== 0 ? PE : 0);
      const away = rounding === 0 || rounding === (sign !== 0 ? 1 : 2);
      result.bits = sign | (away ? 0x7c00 : 0x7bff);
    } else result.bits = sign | bits;
  }
  result.flags = flags;
  return result;
}

/** Four halves at the start of the operand. */
const WIDEN = computation("cvtph2ps", ({ s }) => {
  let raised = 0;
  for (let k = 0; k < 4; k++) {
    const h = (s[(Y >> 2) + (k >> 1)] >>> (16 * (k & 1))) & 0xffff;
    if ((h & 0x7fff) > 0x7c00 && (h & 0x200) === 0) raised = IE;
    s[(RESULT >> 2) + k] = widenHalf(h);
  }
  return raised;
});

/** To four halves at the start of the result. */
const NARROW = computation("cvtps2ph", ({ s }, mxcsr) => {
  const imm = s[W_PREDICATE];
  const rounding = (imm & BY_MXCSR) !== 0 ? (mxcsr >> 13) & 3 : imm & 3;
  let raised = 0;
  for (let k = 0; k < 4; k += 2) {
    let word = 0;
    for (let n = 0; n < 2; n++) {
      const { bits, flags } = narrowSingle(
        s[(Y >> 2) + k + n],
        rounding,
        mxcsr,
      );
      word |= bits << (16 * n);
      raised |= flags;
    }
    s[(RESULT >> 2) + (k >> 1)] = word;
  }
  s[(RESULT >> 2) + 2] = s[(RESULT >> 2) + 3] = 0;
  return raised;
});

function run(
  t: Translator,
  helper: Computation,
  y: Value,
  isFirst: boolean,
): Value {
  const b = t.b;
  b.set(SCRATCH128[2], y);
  const isDefault = (t.key & KEY_MXCSR_DEFAULT) !== 0;
  b.call(isDefault ? helper.masked : isFirst ? helper.first : helper.unmasked);
  return b.get(SCRATCH128[0]);
}

const HIGH_HIGH = lanes(8, [1, 1]);

const vcvtph2ps: Translate = (t, i) => {
  const b = t.b;
  if (i.vexL === 0) {
    const y = readWq(t, i);
    return setRegister(t, i.reg, { lo: run(t, WIDEN, y, false), hi: 0 });
  }
  const y = readW(t, i);
  const lo = run(t, WIDEN, y, true);
  const hi = run(t, WIDEN, shuffle(b, y, y, HIGH_HIGH), false);
  setRegister(t, i.reg, { lo, hi });
};

const vcvtps2ph: Translate = (t, i) => {
  const b = t.b;
  const x = register(t, i, i.reg);
  // Flags are not set where the store faults.
  if (i.mod !== 3) {
    if (i.vexL !== 0) checkAlignment(t, i, true);
    probeStore(t, i, 8 << i.vexL);
  }
  b.set(SCRATCH32[1], b.i32(i.imm));
  const lo = run(t, NARROW, x.lo, x.hi !== 0);
  const r = x.hi === 0 ? lo : lowLow(b, lo, run(t, NARROW, x.hi, false));
  if (i.mod === 3) {
    b.set(XMM[i.rm], r);
    b.set(YMMH[i.rm], zero(b));
  } else if (x.hi !== 0) t.store(Op["st128"], i, r);
  else t.store(Op["st64"], i, b.op(Op["i64x2.extract_lane.0"], r));
};

/** The functions, by the names that the instruction table uses. */
export const F16C: Readonly<Record<string, Translate>> = {
  vcvtph2ps,
  vcvtps2ph,
};
