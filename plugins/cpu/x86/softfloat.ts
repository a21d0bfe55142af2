/**
 * Scalar binary32 and binary64 arithmetic as SSE has it (Intel SDM volume 1,
 * chapter 11 and table 4-7): the exact result and the exact exception flags
 * for every MXCSR. It is what stands behind SSE instructions when native
 * arithmetic does not tell enough: another rounding mode, unmasked exceptions,
 * DAZ, FTZ, or flags to be known.
 *
 * Operands and results are little-endian numbers at byte offsets of the given
 * buffer, aligned to their size. A result is always written, the one of the
 * masked response, and the flags come back in MXCSR's order; the caller passes
 * them, or-ed over the elements of a vector, through {@link settle} and
 * commits the result only if no unmasked exception is left.
 *
 * Everyday operands go through native binary64 arithmetic with an error-free
 * transformation that tells whether the result is exact (10 to 20 ns); all
 * others through the 80-bit core, rounded to odd there and once more to the
 * format.
 * @module
 */

import { DE, Float80, IE, NOT_WRITTEN, OE, PE, UE, ZE } from "./float80.ts";

/** MXCSR: denormals are zeros. */
const DAZ = 0x40;
/** MXCSR: flush to zero. */
const FTZ = 0x8000;
/** MXCSR: rounding control and FTZ. */
const RC_FTZ = 0xe000;

/** Smallest normal numbers. */
const MIN_F32 = 2 ** -126;
const MIN_F64 = 2 ** -1022;
const MAX_F32 = 3.4028234663852886e38;
/** Within these, products, quotients and roots and their errors are exact. */
const LOW_F64 = 2 ** -900;
const HIGH_F64 = 2 ** 900;
const SPLIT = 134217729; // 2^27 + 1

// Operations of the 80-bit core.
const ADD = 0, SUB = 1, MUL = 2, DIV = 3, SQRT = 4;

// Slots of the working buffer.
const A = 0, B = 16, R = 32, M = 48;

/** Predicates of CMPSS (0-7) and VCMPSS (0-31). */
export type Predicate = number;
/**
 * By the low four bits of a predicate, for which relations it holds: bit 0 less,
 * 1 equal, 2 greater, 3 unordered (SDM volume 2, CMPPD, table 3-1).
 */
const HOLDS = [2, 1, 3, 8, 13, 14, 12, 7, 10, 9, 11, 0, 5, 6, 4, 15];

/**
 * The flags that a (vector) operation leaves in MXCSR, from the or-ed flags of
 * its elements: an unmasked exception found before computing (invalid, divide,
 * denormal) keeps those found after computing from being reported.
 */
export function settle(flags: number, mxcsr: number): number {
  return (flags & 7 & ~(mxcsr >>> 7)) !== 0 ? flags & 7 : flags;
}

/** Is a * b exactly p, where p is the rounded product? */
function isProduct(p: number, a: number, b: number): boolean {
  let t = a * SPLIT;
  const a1 = t - (t - a), a0 = a - a1;
  t = b * SPLIT;
  const b1 = t - (t - b), b0 = b - b1;
  return ((a1 * b1 - p) + a1 * b0 + a0 * b1) + a0 * b0 === 0;
}

/** Scalar SSE arithmetic over a buffer. */
export class SoftFloat {
  /** The buffer as words. */
  private readonly w: Int32Array;
  /** The buffer as binary32. */
  private readonly f32: Float32Array;
  /** The buffer as binary64. */
  private readonly f64: Float64Array;
  /** Working slots. */
  private readonly own: ArrayBuffer = new ArrayBuffer(64);
  /** Working slots as words. */
  private readonly ow: Int32Array = new Int32Array(this.own);
  /** Arithmetic on the working slots. */
  private readonly core: Float80 = new Float80(this.own);

  /** Operates on numbers in this buffer. */
  constructor(buffer: ArrayBufferLike) {
    const words = buffer.byteLength / 4;
    this.w = new Int32Array(buffer, 0, words);
    this.f32 = new Float32Array(buffer, 0, words);
    this.f64 = new Float64Array(buffer, 0, words / 2);
  }

  /** ADDSS. */
  add32(dst: number, a: number, b: number, mxcsr: number): number {
    const f = this.f32, x = f[a >> 2], y = f[b >> 2], s = x + y;
    const m = Math.abs(s);
    if (
      (mxcsr & RC_FTZ) === 0 && m >= MIN_F32 && m < MAX_F32 &&
      Math.abs(x) >= MIN_F32 && Math.abs(y) >= MIN_F32
    ) {
      const r = Math.fround(s), t = s - x;
      f[dst >> 2] = r;
      return r === s && (x - (s - t)) + (y - t) === 0 ? 0 : PE;
    }
    return this.binary32(ADD, dst, a, b, mxcsr);
  }

  /** SUBSS. */
  sub32(dst: number, a: number, b: number, mxcsr: number): number {
    const f = this.f32, x = f[a >> 2], y = -f[b >> 2], s = x + y;
    const m = Math.abs(s);
    if (
      (mxcsr & RC_FTZ) === 0 && m >= MIN_F32 && m < MAX_F32 &&
      Math.abs(x) >= MIN_F32 && Math.abs(y) >= MIN_F32
    ) {
      const r = Math.fround(s), t = s - x;
      f[dst >> 2] = r;
      return r === s && (x - (s - t)) + (y - t) === 0 ? 0 : PE;
    }
    return this.binary32(SUB, dst, a, b, mxcsr);
  }

  /** MULSS. */
  mul32(dst: number, a: number, b: number, mxcsr: number): number {
    const f = this.f32, x = f[a >> 2], y = f[b >> 2], p = x * y;
    const m = Math.abs(p);
    if (
      (mxcsr & RC_FTZ) === 0 && m >= MIN_F32 && m < MAX_F32 &&
      Math.abs(x) >= MIN_F32 && Math.abs(y) >= MIN_F32
    ) {
      const r = Math.fround(p);
      f[dst >> 2] = r;
      return r === p ? 0 : PE;
    }
    return this.binary32(MUL, dst, a, b, mxcsr);
  }

  /** DIVSS. */
  div32(dst: number, a: number, b: number, mxcsr: number): number {
    const f = this.f32, x = f[a >> 2], y = f[b >> 2], q = x / y;
    const m = Math.abs(q);
    if (
      (mxcsr & RC_FTZ) === 0 && m >= MIN_F32 && m < MAX_F32 &&
      Math.abs(x) >= MIN_F32 && Math.abs(y) >= MIN_F32
    ) {
      const r = Math.fround(q);
      f[dst >> 2] = r;
      return r * y === x ? 0 : PE;
    }
    return this.binary32(DIV, dst, a, b, mxcsr);
  }

  /** SQRTSS. */
  sqrt32(dst: number, src: number, mxcsr: number): number {
    const f = this.f32, x = f[src >> 2];
    if ((mxcsr & RC_FTZ) === 0 && x >= MIN_F32 && x <= MAX_F32) {
      const r = Math.fround(Math.sqrt(x));
      f[dst >> 2] = r;
      return r * r === x ? 0 : PE;
    }
    return this.binary32(SQRT, dst, src, src, mxcsr);
  }

  /** ADDSD. */
  add64(dst: number, a: number, b: number, mxcsr: number): number {
    const f = this.f64, x = f[a >> 3], y = f[b >> 3], s = x + y;
    const m = Math.abs(s);
    if (
      (mxcsr & RC_FTZ) === 0 && m >= MIN_F64 && m < HIGH_F64 &&
      Math.abs(x) >= MIN_F64 && Math.abs(y) >= MIN_F64
    ) {
      const t = s - x;
      f[dst >> 3] = s;
      return (x - (s - t)) + (y - t) === 0 ? 0 : PE;
    }
    return this.binary64(ADD, dst, a, b, mxcsr);
  }

  /** SUBSD. */
  sub64(dst: number, a: number, b: number, mxcsr: number): number {
    const f = this.f64, x = f[a >> 3], y = -f[b >> 3], s = x + y;
    const m = Math.abs(s);
    if (
      (mxcsr & RC_FTZ) === 0 && m >= MIN_F64 && m < HIGH_F64 &&
      Math.abs(x) >= MIN_F64 && Math.abs(y) >= MIN_F64
    ) {
      const t = s - x;
      f[dst >> 3] = s;
      return (x - (s - t)) + (y - t) === 0 ? 0 : PE;
    }
    return this.binary64(SUB, dst, a, b, mxcsr);
  }

  /** MULSD. */
  mul64(dst: number, a: number, b: number, mxcsr: number): number {
    const f = this.f64, x = f[a >> 3], y = f[b >> 3], p = x * y;
    const m = Math.abs(p);
    if (
      (mxcsr & RC_FTZ) === 0 && m > LOW_F64 && m < HIGH_F64 &&
      Math.abs(x) > MIN_F64 && Math.abs(x) < HIGH_F64 &&
      Math.abs(y) > MIN_F64 && Math.abs(y) < HIGH_F64
    ) {
      f[dst >> 3] = p;
      return isProduct(p, x, y) ? 0 : PE;
    }
    return this.binary64(MUL, dst, a, b, mxcsr);
  }

  /** DIVSD. */
  div64(dst: number, a: number, b: number, mxcsr: number): number {
    const f = this.f64, x = f[a >> 3], y = f[b >> 3], q = x / y;
    const m = Math.abs(q);
    if (
      (mxcsr & RC_FTZ) === 0 && m > LOW_F64 && m < HIGH_F64 &&
      Math.abs(x) > LOW_F64 && Math.abs(x) < HIGH_F64 &&
      Math.abs(y) > LOW_F64 && Math.abs(y) < HIGH_F64
    ) {
      f[dst >> 3] = q;
      return q * y === x && isProduct(x, q, y) ? 0 : PE;
    }
    return this.binary64(DIV, dst, a, b, mxcsr);
  }

  /** SQRTSD. */
  sqrt64(dst: number, src: number, mxcsr: number): number {
    const f = this.f64, x = f[src >> 3];
    if ((mxcsr & RC_FTZ) === 0 && x > LOW_F64 && x < HIGH_F64) {
      const r = Math.sqrt(x);
      f[dst >> 3] = r;
      return r * r === x && isProduct(x, r, r) ? 0 : PE;
    }
    return this.binary64(SQRT, dst, src, src, mxcsr);
  }

  /**
   * Rounds a number that was rounded to odd to 64 bits, as the parts of an
   * 80-bit one, to binary32 (width 4) or binary64 at dst.
   */
  deliverOdd(
    width: number,
    dst: number,
    lo: number,
    hi: number,
    signExponent: number,
    mxcsr: number,
  ): number {
    const ow = this.ow;
    ow[R >> 2] = lo;
    ow[(R >> 2) + 1] = hi;
    ow[(R >> 2) + 2] = signExponent;
    return width === 4
      ? this.deliver32(dst, mxcsr)
      : this.deliver64(dst, mxcsr);
  }

  /**
   * Takes a binary32 into the working slot; DE if it is denormal. With DAZ it
   * becomes zero instead.
   */
  private take32(slot: number, src: number, mxcsr: number): number {
    const bits = this.w[src >> 2];
    if ((bits & 0x7f80_0000) === 0 && (mxcsr & DAZ) !== 0) {
      this.ow[M >> 2] = bits & 0x8000_0000;
    } else this.ow[M >> 2] = bits;
    return this.core.rawF32(slot, M) !== 0 ? DE : 0;
  }

  /** Takes a binary64 into the working slot; see {@link take32}. */
  private take64(slot: number, src: number, mxcsr: number): number {
    const hi = this.w[(src >> 2) + 1], lo = this.w[src >> 2], ow = this.ow;
    if ((hi & 0x7ff0_0000) === 0 && (mxcsr & DAZ) !== 0) {
      ow[M >> 2] = 0;
      ow[(M >> 2) + 1] = hi & 0x8000_0000;
    } else {
      ow[M >> 2] = lo;
      ow[(M >> 2) + 1] = hi;
    }
    return this.core.rawF64(slot, M) !== 0 ? DE : 0;
  }

  /** Is it a NaN? */
  private isNan32(src: number): boolean {
    return (this.w[src >> 2] & 0x7fff_ffff) > 0x7f80_0000;
  }

  /** IE for a signalling NaN. */
  private signals32(src: number): number {
    const bits = this.w[src >> 2];
    return (bits & 0x7fff_ffff) > 0x7f80_0000 && (bits & 0x40_0000) === 0
      ? IE
      : 0;
  }

  /** Is it a NaN? */
  private isNan64(src: number): boolean {
    const hi = this.w[(src >> 2) + 1] & 0x7fff_ffff;
    return hi > 0x7ff0_0000 || hi === 0x7ff0_0000 && this.w[src >> 2] !== 0;
  }

  /** IE for a signalling NaN. */
  private signals64(src: number): number {
    return this.isNan64(src) && (this.w[(src >> 2) + 1] & 0x8_0000) === 0
      ? IE
      : 0;
  }

  /** The general case of the binary32 operations. */
  private binary32(
    op: number,
    dst: number,
    a: number,
    b: number,
    mxcsr: number,
  ): number {
    const w = this.w;
    if (this.isNan32(a) || this.isNan32(b)) {
      const flags = this.signals32(a) | this.signals32(b);
      w[dst >> 2] = w[(this.isNan32(a) ? a : b) >> 2] | 0x40_0000;
      return flags;
    }
    const denormal = this.take32(A, a, mxcsr) | this.take32(B, b, mxcsr);
    const flags = this.compute(op, mxcsr);
    if ((flags & IE) !== 0) {
      w[dst >> 2] = 0xffc0_0000 | 0;
      return IE;
    }
    if ((flags & ZE) !== 0) {
      this.core.storeF32(M, R, 0x33f);
      w[dst >> 2] = this.ow[M >> 2];
      return ZE;
    }
    return denormal | this.deliver32(dst, mxcsr);
  }

  /** The general case of the binary64 operations. */
  private binary64(
    op: number,
    dst: number,
    a: number,
    b: number,
    mxcsr: number,
  ): number {
    const w = this.w, i = dst >> 2;
    if (this.isNan64(a) || this.isNan64(b)) {
      const flags = this.signals64(a) | this.signals64(b);
      const j = (this.isNan64(a) ? a : b) >> 2;
      const lo = w[j], hi = w[j + 1];
      w[i] = lo;
      w[i + 1] = hi | 0x8_0000;
      return flags;
    }
    const denormal = this.take64(A, a, mxcsr) | this.take64(B, b, mxcsr);
    const flags = this.compute(op, mxcsr);
    if ((flags & IE) !== 0) {
      w[i] = 0;
      w[i + 1] = 0xfff8_0000 | 0;
      return IE;
    }
    if ((flags & ZE) !== 0) {
      this.core.storeF64(M, R, 0x33f);
      w[i] = this.ow[M >> 2];
      w[i + 1] = this.ow[(M >> 2) + 1];
      return ZE;
    }
    return denormal | this.deliver64(dst, mxcsr);
  }

  /** R = A op B rounded to odd; gives IE, ZE or PE. */
  private compute(op: number, mxcsr: number): number {
    const cw = 0xf3f, f = this.core, ow = this.ow; // chop to 64 bits
    let flags = 0;
    switch (op) {
      case 0:
        flags = f.add(R, A, B, cw);
        break;
      case 1:
        flags = f.sub(R, A, B, cw);
        break;
      case 2:
        flags = f.mul(R, A, B, cw);
        break;
      case 3:
        flags = f.div(R, A, B, cw);
        break;
      default:
        flags = f.sqrt(R, A, cw);
    }
    const r = R >> 2;
    if ((flags & PE) !== 0) ow[r] |= 1;
    else if (
      op <= SUB && (ow[r] | ow[r + 1]) === 0 && (mxcsr & 0x6000) === 0x2000
    ) {
      // The sign of an exact zero when rounding down.
      flags = op === ADD ? f.add(R, A, B, 0x73f) : f.sub(R, A, B, 0x73f);
    }
    return flags;
  }

  /** x87 control word with MXCSR's rounding; O and U are to be told. */
  private control(mxcsr: number): number {
    return 0x300 | (0x3f & ~(OE | UE)) | (mxcsr >>> 3 & 0xc00);
  }

  /** Rounds R to binary32 at dst. */
  private deliver32(dst: number, mxcsr: number): number {
    const cw = this.control(mxcsr), ow = this.ow, r = R >> 2, m = M >> 2;
    let flags = this.core.storeF32(M, R, cw);
    if ((flags & NOT_WRITTEN) !== 0) {
      const unmasked = (flags & ~(mxcsr >>> 7) & (OE | UE)) !== 0;
      const inexact = ((ow[r + 1] & 0xff) | ow[r]) !== 0 ? PE : 0;
      flags = this.core.storeF32(M, R, cw | OE | UE) |
        flags & (unmasked ? OE | UE : OE);
      if (unmasked) flags = flags & ~PE | inexact;
      else if ((mxcsr & FTZ) !== 0 && (flags & OE) === 0) {
        ow[m] &= 0x8000_0000;
        flags = UE | PE;
      }
    }
    this.w[dst >> 2] = ow[m];
    return flags & 0x3f;
  }

  /** Rounds R to binary64 at dst. */
  private deliver64(dst: number, mxcsr: number): number {
    const cw = this.control(mxcsr), ow = this.ow, r = R >> 2, m = M >> 2;
    let flags = this.core.storeF64(M, R, cw);
    if ((flags & NOT_WRITTEN) !== 0) {
      const unmasked = (flags & ~(mxcsr >>> 7) & (OE | UE)) !== 0;
      const inexact = (ow[r] & 0x7ff) !== 0 ? PE : 0;
      flags = this.core.storeF64(M, R, cw | OE | UE) |
        flags & (unmasked ? OE | UE : OE);
      if (unmasked) flags = flags & ~PE | inexact;
      else if ((mxcsr & FTZ) !== 0 && (flags & OE) === 0) {
        ow[m] = 0;
        ow[m + 1] &= 0x8000_0000;
        flags = UE | PE;
      }
    }
    const w = this.w, i = dst >> 2;
    w[i] = ow[m];
    w[i + 1] = ow[m + 1];
    return flags & 0x3f;
  }

  /**
   * Compares: C0 (0x100) for less, C3 (0x4000) for equal, all of C3, C2, C0
   * for unordered, or-ed with DE. (CF, ZF and PF are these shifted right by 8.)
   */
  private relation32(a: number, b: number, mxcsr: number): number {
    if (this.isNan32(a) || this.isNan32(b)) return 0x4500;
    const denormal = this.take32(A, a, mxcsr) | this.take32(B, b, mxcsr);
    return denormal | this.core.compare(A, B, 0x33f);
  }

  /** See {@link relation32}. */
  private relation64(a: number, b: number, mxcsr: number): number {
    if (this.isNan64(a) || this.isNan64(b)) return 0x4500;
    const denormal = this.take64(A, a, mxcsr) | this.take64(B, b, mxcsr);
    return denormal | this.core.compare(A, B, 0x33f);
  }

  /**
   * COMISS: the exceptions, or-ed with ZF, PF and CF shifted left by 8 (0x4000,
   * 0x400, 0x100). Any NaN is invalid.
   */
  comi32(a: number, b: number, mxcsr: number): number {
    const r = this.relation32(a, b, mxcsr);
    return r === 0x4500 ? r | IE : r;
  }

  /** UCOMISS: as {@link comi32}, but only a signalling NaN is invalid. */
  ucomi32(a: number, b: number, mxcsr: number): number {
    return this.relation32(a, b, mxcsr) | this.signals32(a) | this.signals32(b);
  }

  /** COMISD; see {@link comi32}. */
  comi64(a: number, b: number, mxcsr: number): number {
    const r = this.relation64(a, b, mxcsr);
    return r === 0x4500 ? r | IE : r;
  }

  /** UCOMISD; see {@link ucomi32}. */
  ucomi64(a: number, b: number, mxcsr: number): number {
    return this.relation64(a, b, mxcsr) | this.signals64(a) | this.signals64(b);
  }

  /** CMPSS: all ones or all zeros to dst. */
  cmp32(
    dst: number,
    a: number,
    b: number,
    predicate: Predicate,
    mxcsr: number,
  ): number {
    const quiet = isQuiet(predicate);
    const r = quiet ? this.ucomi32(a, b, mxcsr) : this.comi32(a, b, mxcsr);
    this.w[dst >> 2] = holds(r, predicate) ? -1 : 0;
    return r & 0x3f;
  }

  /** CMPSD: all ones or all zeros to dst. */
  cmp64(
    dst: number,
    a: number,
    b: number,
    predicate: Predicate,
    mxcsr: number,
  ): number {
    const quiet = isQuiet(predicate);
    const r = quiet ? this.ucomi64(a, b, mxcsr) : this.comi64(a, b, mxcsr);
    const w = this.w, i = dst >> 2;
    w[i] = w[i + 1] = holds(r, predicate) ? -1 : 0;
    return r & 0x3f;
  }

  /** MINSS: a if a < b, else b. */
  min32(dst: number, a: number, b: number, mxcsr: number): number {
    const r = this.comi32(a, b, mxcsr);
    return this.choose32(dst, (r & 0x4500) === 0x100 ? a : b, mxcsr, r);
  }

  /** MAXSS: a if a > b, else b. */
  max32(dst: number, a: number, b: number, mxcsr: number): number {
    const r = this.comi32(a, b, mxcsr);
    return this.choose32(dst, (r & 0x4500) === 0 ? a : b, mxcsr, r);
  }

  /** Delivers one operand of MINSS or MAXSS. */
  private choose32(
    dst: number,
    src: number,
    mxcsr: number,
    flags: number,
  ): number {
    const bits = this.w[src >> 2];
    const flush = (bits & 0x7f80_0000) === 0 && (mxcsr & DAZ) !== 0;
    this.w[dst >> 2] = flush ? bits & 0x8000_0000 : bits;
    return flags & 0x3f;
  }

  /** MINSD: a if a < b, else b. */
  min64(dst: number, a: number, b: number, mxcsr: number): number {
    const r = this.comi64(a, b, mxcsr);
    return this.choose64(dst, (r & 0x4500) === 0x100 ? a : b, mxcsr, r);
  }

  /** MAXSD: a if a > b, else b. */
  max64(dst: number, a: number, b: number, mxcsr: number): number {
    const r = this.comi64(a, b, mxcsr);
    return this.choose64(dst, (r & 0x4500) === 0 ? a : b, mxcsr, r);
  }

  /** Delivers one operand of MINSD or MAXSD. */
  private choose64(
    dst: number,
    src: number,
    mxcsr: number,
    flags: number,
  ): number {
    const w = this.w, i = dst >> 2, lo = w[src >> 2], hi = w[(src >> 2) + 1];
    const flush = (hi & 0x7ff0_0000) === 0 && (mxcsr & DAZ) !== 0;
    w[i] = flush ? 0 : lo;
    w[i + 1] = flush ? hi & 0x8000_0000 : hi;
    return flags & 0x3f;
  }

  /** CVTSS2SI and CVTPS2DQ: to 32-bit integer. */
  f32ToI32(dst: number, src: number, mxcsr: number): number {
    this.take32(A, src, mxcsr);
    return this.putI32(dst, this.control(mxcsr));
  }

  /** CVTTSS2SI and CVTTPS2DQ: to 32-bit integer, truncating. */
  f32ToI32Truncate(dst: number, src: number, mxcsr: number): number {
    this.take32(A, src, mxcsr);
    return this.putI32(dst, 0xf3f);
  }

  /** CVTSS2SI to 64-bit integer. */
  f32ToI64(dst: number, src: number, mxcsr: number): number {
    this.take32(A, src, mxcsr);
    return this.putI64(dst, this.control(mxcsr));
  }

  /** CVTTSS2SI to 64-bit integer, truncating. */
  f32ToI64Truncate(dst: number, src: number, mxcsr: number): number {
    this.take32(A, src, mxcsr);
    return this.putI64(dst, 0xf3f);
  }

  /** CVTSD2SI and CVTPD2DQ: to 32-bit integer. */
  f64ToI32(dst: number, src: number, mxcsr: number): number {
    this.take64(A, src, mxcsr);
    return this.putI32(dst, this.control(mxcsr));
  }

  /** CVTTSD2SI and CVTTPD2DQ: to 32-bit integer, truncating. */
  f64ToI32Truncate(dst: number, src: number, mxcsr: number): number {
    this.take64(A, src, mxcsr);
    return this.putI32(dst, 0xf3f);
  }

  /** CVTSD2SI to 64-bit integer. */
  f64ToI64(dst: number, src: number, mxcsr: number): number {
    this.take64(A, src, mxcsr);
    return this.putI64(dst, this.control(mxcsr));
  }

  /** CVTTSD2SI to 64-bit integer, truncating. */
  f64ToI64Truncate(dst: number, src: number, mxcsr: number): number {
    this.take64(A, src, mxcsr);
    return this.putI64(dst, 0xf3f);
  }

  /** Rounds A to an integer at dst. */
  private putI32(dst: number, cw: number): number {
    const flags = this.core.storeI32(M, A, cw);
    this.w[dst >> 2] = this.ow[M >> 2];
    return flags & 0x3f;
  }

  /** Rounds A to an integer at dst. */
  private putI64(dst: number, cw: number): number {
    const flags = this.core.storeI64(M, A, cw);
    this.w[dst >> 2] = this.ow[M >> 2];
    this.w[(dst >> 2) + 1] = this.ow[(M >> 2) + 1];
    return flags & 0x3f;
  }

  /** CVTSI2SS and CVTDQ2PS. */
  i32ToF32(dst: number, src: number, mxcsr: number): number {
    this.ow[M >> 2] = this.w[src >> 2];
    this.core.loadI32(R, M);
    return this.deliver32(dst, mxcsr);
  }

  /** CVTSI2SS from a 64-bit integer. */
  i64ToF32(dst: number, src: number, mxcsr: number): number {
    this.ow[M >> 2] = this.w[src >> 2];
    this.ow[(M >> 2) + 1] = this.w[(src >> 2) + 1];
    this.core.loadI64(R, M);
    return this.deliver32(dst, mxcsr);
  }

  /** CVTSI2SD and CVTDQ2PD: always exact. */
  i32ToF64(dst: number, src: number): void {
    this.f64[dst >> 3] = this.w[src >> 2];
  }

  /** CVTSI2SD from a 64-bit integer. */
  i64ToF64(dst: number, src: number, mxcsr: number): number {
    this.ow[M >> 2] = this.w[src >> 2];
    this.ow[(M >> 2) + 1] = this.w[(src >> 2) + 1];
    this.core.loadI64(R, M);
    return this.deliver64(dst, mxcsr);
  }

  /** CVTSS2SD and CVTPS2PD. */
  f32ToF64(dst: number, src: number, mxcsr: number): number {
    const flags = this.take32(R, src, mxcsr) | this.signals32(src);
    this.core.storeF64(M, R, 0x33f); // exact; quiets a NaN
    this.w[dst >> 2] = this.ow[M >> 2];
    this.w[(dst >> 2) + 1] = this.ow[(M >> 2) + 1];
    return flags;
  }

  /** CVTSD2SS and CVTPD2PS. */
  f64ToF32(dst: number, src: number, mxcsr: number): number {
    const flags = this.take64(R, src, mxcsr) | this.signals64(src);
    return flags | this.deliver32(dst, mxcsr);
  }
}

/**
 * Predicates for which a quiet NaN is no exception: EQ, UNORD, NEQ, ORD and
 * their kin; bit 4 turns that around.
 */
function isQuiet(predicate: number): boolean {
  const quiet = (predicate & 3) === 0 || (predicate & 3) === 3;
  return quiet !== ((predicate & 16) !== 0);
}

/** Is the predicate true of a relation? */
function holds(r: number, predicate: number): boolean {
  const relation = r & 0x4500;
  const bit = relation === 0x4500
    ? 8
    : relation === 0x4000
    ? 2
    : relation === 0x100
    ? 1
    : 4;
  return (HOLDS[predicate & 15] & bit) !== 0;
}
