/**
 * Fused multiply-add: `a * b + c` rounded once, with the exceptions, for every
 * MXCSR (SDM volume 1, 14.5).
 *
 * Everyday operands go through binary64 arithmetic. For binary32 the product is
 * exact there, and the sum is rounded to odd before it is rounded to binary32.
 * For binary64 it is Boldo and Melquiond's algorithm (Emulation of a FMA and
 * correctly rounded sums: proved algorithms using rounding to odd, IEEE
 * Transactions on Computers 57, 2008). All others are computed with long
 * integers.
 *
 * @module
 */

import { DE, IE, PE } from "./float80.ts";
import type { SoftFloat } from "./softfloat.ts";

/** Signs of product and addend to change. */
export const NEGATE_PRODUCT = 1, NEGATE_ADDEND = 2;

/** MXCSR: denormals are zeros; rounding control and FTZ; rounding down. */
const DAZ = 0x40, RC_FTZ = 0xe000, RC = 0x6000, DOWN = 0x2000;
const MIN_F32 = 2 ** -126, MAX_F32 = 3.4028234663852886e38;
/** Within these, products of binary64 and their errors are exact, and so are sums with those. */
const LOW = 2 ** -400, HIGH = 2 ** 400, LOW_SUM = 2 ** -700;
const SPLIT = 134217729; // 2^27 + 1

const odd64 = new Float64Array(1);
const oddWords = new Int32Array(odd64.buffer);

/** `s`, the rounded sum of numbers whose rest is `e`, rounded to odd instead. */
function toOdd(s: number, e: number): number {
  if (e === 0) return s;
  odd64[0] = s;
  if ((oddWords[0] & 1) !== 0) return s;
  if ((e > 0) === (s > 0)) oddWords[0] |= 1;
  else if (oddWords[0]-- === 0) oddWords[1]--;
  return odd64[0];
}

/** The rest of `s = x + y` (Knuth). */
function restOfSum(s: number, x: number, y: number): number {
  const t = s - x;
  return (x - (s - t)) + (y - t);
}

/** The rest of `p = x * y` (Dekker). */
function restOfProduct(p: number, x: number, y: number): number {
  let t = x * SPLIT;
  const x1 = t - (t - x), x0 = x - x1;
  t = y * SPLIT;
  const y1 = t - (t - y), y0 = y - y1;
  return ((x1 * y1 - p) + x1 * y0 + x0 * y1) + x0 * y0;
}

/** A number as sign, integer and exponent of two. */
interface Parts {
  negative: boolean;
  mantissa: bigint;
  exponent: number;
}

/** Fused arithmetic on numbers at byte offsets of a buffer. */
export class Fused {
  readonly #soft: SoftFloat;
  readonly #w: Int32Array;
  readonly #f32: Float32Array;
  readonly #f64: Float64Array;

  /** Operates on numbers in this buffer; `soft` is over the same. */
  constructor(buffer: ArrayBufferLike, soft: SoftFloat) {
    const words = buffer.byteLength / 4;
    this.#soft = soft;
    this.#w = new Int32Array(buffer, 0, words);
    this.#f32 = new Float32Array(buffer, 0, words);
    this.#f64 = new Float64Array(buffer, 0, words / 2);
  }

  /**
   * `a * b + c` to dst, with signs changed as `negate` says, for numbers of
   * `width` bytes; gives back the exceptions.
   */
  compute(
    width: 4 | 8,
    dst: number,
    a: number,
    b: number,
    c: number,
    negate: number,
    mxcsr: number,
  ): number {
    const flags = (mxcsr & RC_FTZ) !== 0
      ? -1
      : width === 4
      ? this.#quick32(dst, a, b, c, negate)
      : this.#quick64(dst, a, b, c, negate);
    return flags >= 0 ? flags : this.#exact(width, dst, a, b, c, negate, mxcsr);
  }

  /** Everyday binary32 numbers; -1 if they are not. */
  #quick32(
    dst: number,
    a: number,
    b: number,
    c: number,
    negate: number,
  ): number {
    const f = this.#f32;
    let x = f[a >> 2];
    const y = f[b >> 2];
    let z = f[c >> 2];
    if (
      !(Math.abs(x) >= MIN_F32 && Math.abs(y) >= MIN_F32 &&
        (z === 0 || Math.abs(z) >= MIN_F32))
    ) return -1;
    if ((negate & NEGATE_PRODUCT) !== 0) x = -x;
    if ((negate & NEGATE_ADDEND) !== 0) z = -z;
    const p = x * y, s = p + z;
    const rest = restOfSum(s, p, z);
    const r = Math.fround(toOdd(s, rest));
    const m = Math.abs(r);
    if (!(m > MIN_F32 && m < MAX_F32)) return -1;
    f[dst >> 2] = r;
    return r === s && rest === 0 ? 0 : PE;
  }

  /** Everyday binary64 numbers; -1 if they are not. */
  #quick64(
    dst: number,
    a: number,
    b: number,
    c: number,
    negate: number,
  ): number {
    const f = this.#f64;
    let x = f[a >> 3];
    const y = f[b >> 3];
    let z = f[c >> 3];
    const p = Math.abs(x), q = Math.abs(y), m = Math.abs(z);
    if (!(p > LOW && p < HIGH && q > LOW && q < HIGH)) return -1;
    if (!(m === 0 || m > LOW_SUM && m < HIGH)) return -1;
    if ((negate & NEGATE_PRODUCT) !== 0) x = -x;
    if ((negate & NEGATE_ADDEND) !== 0) z = -z;
    const uh = x * y, ul = restOfProduct(uh, x, y);
    const th = z + ul, tl = restOfSum(th, z, ul);
    const vh = uh + th, vl = restOfSum(vh, uh, th);
    const s = tl + vl, rest = restOfSum(s, tl, vl);
    const w = toOdd(s, rest);
    const r = vh + w;
    if (!(Math.abs(r) > LOW_SUM)) return -1;
    f[dst >> 3] = r;
    return rest === 0 && restOfSum(r, vh, w) === 0 ? 0 : PE;
  }

  /** Is it a NaN? */
  #isNan(width: number, at: number): boolean {
    const w = this.#w, i = at >> 2;
    if (width === 4) return (w[i] & 0x7fffffff) > 0x7f800000;
    const hi = w[i + 1] & 0x7fffffff;
    return hi > 0x7ff00000 || hi === 0x7ff00000 && w[i] !== 0;
  }

  /** Is it a signalling NaN? */
  #signals(width: number, at: number): boolean {
    const w = this.#w, i = at >> 2;
    const quiet = width === 4 ? w[i] & 0x400000 : w[i + 1] & 0x80000;
    return this.#isNan(width, at) && quiet === 0;
  }

  /** Writes a number: all of one of 4 bytes is `hi`. */
  #put(width: number, dst: number, hi: number, lo: number): void {
    const i = dst >> 2;
    if (width === 4) this.#w[i] = hi;
    else {
      this.#w[i] = lo;
      this.#w[i + 1] = hi;
    }
  }

  /** The parts of a finite number; infinities have exponent `Infinity`. */
  #parts(width: number, at: number, daz: boolean): Parts {
    const w = this.#w, i = at >> 2;
    const top = width === 4 ? w[i] : w[i + 1];
    const bits = width === 4 ? 23 : 20;
    const max = width === 4 ? 0xff : 0x7ff;
    const field = (top >>> bits) & max;
    const high = top & ((1 << bits) - 1);
    let mantissa = width === 4
      ? BigInt(high)
      : BigInt(high) << 32n | BigInt(w[i] >>> 0);
    const fraction = width === 4 ? 23 : 52;
    const bias = (max >> 1) + fraction;
    if (field === 0 && daz) mantissa = 0n;
    if (field !== 0) mantissa |= 1n << BigInt(fraction);
    return {
      negative: top < 0,
      mantissa,
      exponent: field === max ? Infinity : Math.max(field, 1) - bias,
    };
  }

  /** Is it denormal? */
  #isDenormal(width: number, at: number): boolean {
    const w = this.#w, i = at >> 2;
    return width === 4
      ? (w[i] & 0x7f800000) === 0 && (w[i] & 0x7fffff) !== 0
      : (w[i + 1] & 0x7ff00000) === 0 &&
        (w[i + 1] & 0xfffff | w[i]) !== 0;
  }

  /** The first NaN of the operands, quiet. */
  #nan(width: number, dst: number, a: number, b: number, c: number): number {
    let flags = 0;
    for (const at of [a, b, c]) if (this.#signals(width, at)) flags = IE;
    const from = this.#isNan(width, a) ? a : this.#isNan(width, b) ? b : c;
    const w = this.#w, i = from >> 2;
    if (width === 4) this.#put(4, dst, w[i] | 0x400000, 0);
    else this.#put(8, dst, w[i + 1] | 0x80000, w[i]);
    return flags;
  }

  /** The default NaN. */
  #invalid(width: number, dst: number): number {
    this.#put(width, dst, (width === 4 ? 0xffc00000 : 0xfff80000) | 0, 0);
    return IE;
  }

  /** Any numbers, with long integers; the sum is rounded to odd, then to the format. */
  #exact(
    width: 4 | 8,
    dst: number,
    a: number,
    b: number,
    c: number,
    negate: number,
    mxcsr: number,
  ): number {
    if (
      this.#isNan(width, a) || this.#isNan(width, b) || this.#isNan(width, c)
    ) return this.#nan(width, dst, a, b, c);
    const daz = (mxcsr & DAZ) !== 0;
    const x = this.#parts(width, a, daz),
      y = this.#parts(width, b, daz),
      z = this.#parts(width, c, daz);
    const denormal = !daz &&
        (this.#isDenormal(width, a) || this.#isDenormal(width, b) ||
          this.#isDenormal(width, c))
      ? DE
      : 0;
    const negative = (x.negative !== y.negative) !==
      ((negate & NEGATE_PRODUCT) !== 0);
    if ((negate & NEGATE_ADDEND) !== 0) z.negative = !z.negative;
    const product = x.mantissa * y.mantissa;
    const scale = x.exponent + y.exponent;
    const infinity = (sign: boolean): number => {
      const bits = width === 4 ? 0x7f800000 : 0x7ff00000;
      this.#put(width, dst, sign ? bits | 1 << 31 : bits, 0);
      return denormal;
    };
    if (scale === Infinity) {
      if (product === 0n) return this.#invalid(width, dst);
      if (z.exponent === Infinity && z.negative !== negative) {
        return this.#invalid(width, dst);
      }
      return infinity(negative);
    }
    if (z.exponent === Infinity) return infinity(z.negative);
    const low = Math.min(scale, z.exponent);
    const p = product << BigInt(scale - low),
      q = z.mantissa << BigInt(z.exponent - low);
    const sum = (negative ? -p : p) + (z.negative ? -q : q);
    if (sum === 0n) {
      const bothZero = product === 0n && z.mantissa === 0n;
      const sign = bothZero && negative === z.negative
        ? negative
        : (mxcsr & RC) === DOWN;
      this.#put(width, dst, sign ? 1 << 31 : 0, 0);
      return denormal;
    }
    const isNegative = sum < 0n;
    let m = isNegative ? -sum : sum;
    const text = m.toString(16);
    const bits = 4 * text.length - (Math.clz32(parseInt(text[0], 16)) - 28);
    if (bits > 64) {
      const shift = BigInt(bits - 64);
      const rest = m & (1n << shift) - 1n;
      m = m >> shift | (rest !== 0n ? 1n : 0n);
    } else m <<= BigInt(64 - bits);
    const exponent = low + bits - 1 + 0x3fff;
    return denormal |
      this.#soft.deliverOdd(
        width,
        dst,
        Number(m & 0xffffffffn) | 0,
        Number(m >> 32n) | 0,
        exponent | (isNegative ? 0x8000 : 0),
        mxcsr,
      );
  }
}
