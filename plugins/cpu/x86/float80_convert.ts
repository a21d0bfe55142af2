/**
 * Conversions between 80-bit numbers and binary32, binary64, two's complement
 * integers and packed BCD, and the constants.
 * @module
 */

import {
  below,
  BIAS,
  C1,
  classify,
  DE,
  DENORMAL_OPERAND,
  IE,
  INFINITE,
  mulHigh,
  NOT_WRITTEN,
  OE,
  PE,
  QNAN,
  roundsUp,
  SNAN,
  UE,
  UNSUPPORTED,
  ZERO,
} from "./float80_core.ts";
import { Float80Arith } from "./float80_arith.ts";

const MIN = -0x8000_0000;

/** Loads, stores and constants. */
export class Float80Convert extends Float80Arith {
  /**
   * Widens a binary32 as an operand (FADD m32 and its kin): raises nothing and
   * keeps a signalling NaN. Gives DENORMAL_OPERAND, to be or-ed into the
   * control word of the operation, or 0.
   */
  rawF32(dst: number, src: number): number {
    const bits = this.w[src >> 2];
    const sign = (bits >>> 16) & 0x8000;
    const e = (bits >>> 23) & 0xff, f = bits << 8;
    if (e === 0) {
      if (f << 1 === 0) {
        this.put(dst, sign, 0, 0);
        return 0;
      }
      const s = Math.clz32(f);
      this.put(dst, sign | (BIAS - 126 - s), f << s, 0);
      return DENORMAL_OPERAND;
    }
    this.put(dst, sign | (e === 0xff ? 0x7fff : e + BIAS - 127), f | MIN, 0);
    return 0;
  }

  /** Widens a binary64 as an operand; see {@link rawF32}. */
  rawF64(dst: number, src: number): number {
    const hi = this.w[(src >> 2) + 1], lo = this.w[src >> 2];
    const sign = (hi >>> 16) & 0x8000;
    const e = (hi >>> 20) & 0x7ff;
    const fh = (hi & 0xf_ffff) << 11 | lo >>> 21, fl = lo << 11;
    if (e === 0) {
      if ((fh | fl) === 0) {
        this.put(dst, sign, 0, 0);
        return 0;
      }
      this.normalize(fh, fl, BIAS - 1022);
      const n = this.n;
      this.put(dst, sign | n[2], n[0], n[1]);
      return DENORMAL_OPERAND;
    }
    this.put(
      dst,
      sign | (e === 0x7ff ? 0x7fff : e + BIAS - 1023),
      fh | MIN,
      fl,
    );
    return 0;
  }

  /**
   * FLD m32: quiets a signalling NaN (IE), reports a denormal (DE). An
   * unmasked DE comes with the value written, as hardware has it.
   */
  loadF32(dst: number, src: number, cw: number): number {
    const bits = this.w[src >> 2];
    if ((bits & 0x7fc0_0000) === 0x7f80_0000 && (bits & 0x3f_ffff) !== 0) {
      if ((cw & IE) === 0) return IE | NOT_WRITTEN;
      this.rawF32(dst, src);
      this.w[(dst >> 2) + 1] |= 0x4000_0000;
      return IE;
    }
    return this.rawF32(dst, src) !== 0 ? DE : 0;
  }

  /** FLD m64; see {@link loadF32}. */
  loadF64(dst: number, src: number, cw: number): number {
    const hi = this.w[(src >> 2) + 1], lo = this.w[src >> 2];
    if (
      (hi & 0x7ff8_0000) === 0x7ff0_0000 && ((hi & 0x7_ffff) | lo) !== 0
    ) {
      if ((cw & IE) === 0) return IE | NOT_WRITTEN;
      this.rawF64(dst, src);
      this.w[(dst >> 2) + 1] |= 0x4000_0000;
      return IE;
    }
    return this.rawF64(dst, src) !== 0 ? DE : 0;
  }

  /** FILD m16 (also the operand of FIADD and its kin). */
  loadI16(dst: number, src: number): void {
    this.putInteger(dst, this.w[src >> 2] << 16 >> 16);
  }

  /** FILD m32. */
  loadI32(dst: number, src: number): void {
    this.putInteger(dst, this.w[src >> 2]);
  }

  /** FILD m64. */
  loadI64(dst: number, src: number): void {
    let hi = this.w[(src >> 2) + 1], lo = this.w[src >> 2];
    const sign = hi < 0 ? 0x8000 : 0;
    if (sign !== 0) {
      lo = -lo | 0;
      hi = lo === 0 ? -hi | 0 : ~hi;
    }
    if ((hi | lo) === 0) {
      this.put(dst, 0, 0, 0);
      return;
    }
    this.normalize(hi, lo, BIAS + 63);
    const n = this.n;
    this.put(dst, sign | n[2], n[0], n[1]);
  }

  /** FBLD: ten bytes of packed BCD. */
  loadBcd(dst: number, src: number): void {
    const bytes = this.bytes;
    const sign = (bytes[src + 9] & 0x80) << 8;
    // Nine digits in each half.
    let high = 0, low = bytes[src + 4] & 15;
    for (let k = 8; k > 4; k--) high = high * 100 + bcd(bytes[src + k]);
    high = high * 10 + (bytes[src + 4] >> 4);
    for (let k = 3; k >= 0; k--) low = low * 100 + bcd(bytes[src + k]);
    const p = Math.imul(high, 1_000_000_000);
    const lo = (p + low) | 0;
    const carry = lo >>> 0 < p >>> 0 ? 1 : 0;
    const hi = (mulHigh(high, 1_000_000_000) + carry) | 0;
    if ((hi | lo) === 0) {
      this.put(dst, sign, 0, 0);
      return;
    }
    this.normalize(hi, lo, BIAS + 63);
    const n = this.n;
    this.put(dst, sign | n[2], n[0], n[1]);
  }

  /** FST m32. NOT_WRITTEN: nothing stored, nothing to pop. */
  storeF32(dst: number, src: number, cw: number): number {
    return this.narrow(dst, src, cw, 24, 0xff);
  }

  /** FST m64. NOT_WRITTEN: nothing stored, nothing to pop. */
  storeF64(dst: number, src: number, cw: number): number {
    return this.narrow(dst, src, cw, 53, 0x7ff);
  }

  /** Stores in a format of p bits, p at most 32 or above it. */
  private narrow(
    dst: number,
    src: number,
    cw: number,
    p: number,
    maxExponent: number,
  ): number {
    const w = this.w, i = src >> 2;
    const se = w[i + 2] & 0xffff, negative = (se & 0x8000) << 16;
    let hi = w[i + 1], lo = w[i];
    const c = classify(hi, lo, se);
    if (c >= INFINITE || c === ZERO) {
      let flags = 0, top = 0;
      if (c === UNSUPPORTED || c === SNAN) {
        flags = IE;
        if ((cw & IE) === 0) return IE | NOT_WRITTEN;
      }
      if (c === UNSUPPORTED) {
        this.pack(dst, p, MIN, maxExponent, 3 << 30, 0);
        return flags;
      }
      if (c !== ZERO) top = maxExponent;
      if (c >= QNAN) hi |= 0x4000_0000;
      this.pack(dst, p, negative, top, hi, lo);
      return flags;
    }
    const n = this.n;
    this.normalize(hi, lo, se & 0x7fff);
    hi = n[0];
    lo = n[1];
    const bias = maxExponent >> 1;
    let e = n[2] - BIAS + bias, x = 0, flags = 0;
    // What is cut off with unbounded exponent decides about tininess.
    const cutAt = 64 - p;
    if (e <= 0) {
      let tiny = true;
      if (e === 0) {
        const ones = p === 24
          ? hi >>> 8 === 0xff_ffff
          : hi === -1 && lo >>> 11 === 0x1f_ffff;
        const cut = p === 24 ? hi << 24 | lo >>> 8 | (lo & 255) : lo << 21;
        tiny = !ones || !roundsUp(cut, 1, negative, cw);
      }
      if (tiny && (cw & UE) === 0) return UE | NOT_WRITTEN;
      if (tiny) flags = UE;
    }
    let s = cutAt + (e <= 0 ? 1 - e : 0);
    if (s > 66) {
      hi = lo = s = 0;
      x = 1;
    }
    while (s > 0) {
      const k = s < 31 ? s : 31;
      const sticky = x << (32 - k) !== 0 ? 1 : 0;
      x = (x >>> k) | (lo << (32 - k)) | sticky;
      lo = (lo >>> k) | (hi << (32 - k));
      hi >>>= k;
      s -= k;
    }
    if (x === 0) {
      flags = 0; // masked underflow is only reported when inexact
    } else {
      flags |= PE;
      if (roundsUp(x, lo & 1, negative, cw)) {
        flags |= C1;
        lo = (lo + 1) | 0;
        if (lo === 0) hi = (hi + 1) | 0;
      }
    }
    // The integer bit, or a carry into it, adds to the exponent field.
    if (e < 1) e = 1;
    const field = p === 24 ? e - 1 + (lo >>> 23) : e - 1 + (hi >>> 20);
    if (field >= maxExponent) {
      if ((cw & OE) === 0) return OE | NOT_WRITTEN;
      const rc = cw & 0xc00;
      const toInfinity = rc === 0 || rc === (negative !== 0 ? 0x400 : 0x800);
      if (toInfinity) this.pack(dst, p, negative, maxExponent, 0, 0);
      else this.pack(dst, p, negative, maxExponent - 1, -1, -1);
      return OE | PE | (toInfinity ? C1 : 0);
    }
    if (p === 24) {
      w[dst >> 2] = negative | ((e - 1) << 23) + lo;
    } else {
      w[(dst >> 2) + 1] = negative | ((e - 1) << 20) + hi;
      w[dst >> 2] = lo;
    }
    return flags;
  }

  /** Writes a binary32 or binary64 from its parts, the significand chopped. */
  private pack(
    dst: number,
    p: number,
    sign: number,
    e: number,
    hi: number,
    lo: number,
  ): void {
    const w = this.w, i = dst >> 2;
    hi &= 0x7fff_ffff;
    if (p === 24) {
      w[i] = sign | e << 23 | hi >>> 8;
    } else {
      w[i] = lo >>> 11 | hi << 21;
      w[i + 1] = sign | e << 20 | hi >>> 11;
    }
  }

  /**
   * Rounds to an integer of at most 64 bits, left in `n` (high, low word,
   * two's complement). Out of the range of `bits` bits: IE.
   */
  private integer(src: number, cw: number, bits: number): number {
    const w = this.w, i = src >> 2, n = this.n;
    const hi = w[i + 1], lo = w[i], se = w[i + 2] & 0xffff;
    const c = classify(hi, lo, se), e = se & 0x7fff;
    n[0] = 0;
    n[1] = 0;
    if (c === ZERO) return 0;
    if (c >= INFINITE || e > BIAS + 63) return IE;
    const flags = this.cut(hi, lo, e, se & 0x8000, cw);
    const limitHigh = bits === 64 ? MIN : 0;
    const limitLow = bits === 64 ? 0 : 1 << (bits - 1);
    if (se >= 0x8000) {
      if (below(limitHigh, limitLow, n[0], n[1])) return IE;
      n[1] = -n[1];
      n[0] = n[1] === 0 ? -n[0] : ~n[0];
    } else if (!below(n[0], n[1], limitHigh, limitLow)) return IE;
    return flags;
  }

  /** FIST m16; FISTTP with `cw | 0xc00`. Writes two bytes. */
  storeI16(dst: number, src: number, cw: number): number {
    const flags = this.integer(src, cw, 16);
    if (flags === IE && (cw & IE) === 0) return IE | NOT_WRITTEN;
    const value = flags === IE ? 0x8000 : this.n[1];
    this.bytes[dst] = value;
    this.bytes[dst + 1] = value >> 8;
    return flags;
  }

  /** FIST m32; FISTTP with `cw | 0xc00`. */
  storeI32(dst: number, src: number, cw: number): number {
    const flags = this.integer(src, cw, 32);
    if (flags === IE && (cw & IE) === 0) return IE | NOT_WRITTEN;
    this.w[dst >> 2] = flags === IE ? MIN : this.n[1];
    return flags;
  }

  /** FISTP m64; FISTTP with `cw | 0xc00`. */
  storeI64(dst: number, src: number, cw: number): number {
    const flags = this.integer(src, cw, 64);
    if (flags === IE && (cw & IE) === 0) return IE | NOT_WRITTEN;
    const w = this.w, i = dst >> 2;
    w[i] = flags === IE ? 0 : this.n[1];
    w[i + 1] = flags === IE ? MIN : this.n[0];
    return flags;
  }

  /** FBSTP: ten bytes of packed BCD. */
  storeBcd(dst: number, src: number, cw: number): number {
    const w = this.w, i = src >> 2, n = this.n, bytes = this.bytes;
    const hi = w[i + 1], lo = w[i], se = w[i + 2] & 0xffff;
    const c = classify(hi, lo, se), e = se & 0x7fff;
    let flags = 0;
    n[0] = 0;
    n[1] = 0;
    if (c >= INFINITE || e >= BIAS + 60) flags = IE;
    else if (c !== ZERO) flags = this.cut(hi, lo, e, se & 0x8000, cw);
    // 10^18 - 1 is the largest.
    if (!below(n[0], n[1], 0x0de0_b6b3, 0xa764_0000 | 0)) flags = IE;
    if (flags === IE) {
      if ((cw & IE) === 0) return IE | NOT_WRITTEN;
      for (let k = 0; k < 7; k++) bytes[dst + k] = 0;
      bytes[dst + 7] = 0xc0;
      bytes[dst + 8] = 0xff;
      bytes[dst + 9] = 0xff;
      return IE;
    }
    const value = (n[0] >>> 0) * 0x1_0000_0000 + (n[1] >>> 0);
    let high = Math.floor(value / 1_000_000_000);
    let low = (n[1] - Math.imul(high, 1_000_000_000)) | 0;
    if (low < 0) {
      high--;
      low += 1_000_000_000;
    } else if (low >= 1_000_000_000) {
      high++;
      low -= 1_000_000_000;
    }
    for (let k = 0; k < 4; k++) {
      bytes[dst + k] = toBcd(low % 100);
      low = Math.floor(low / 100);
    }
    bytes[dst + 4] = low | (high % 10) << 4;
    high = Math.floor(high / 10);
    for (let k = 5; k < 9; k++) {
      bytes[dst + k] = toBcd(high % 100);
      high = Math.floor(high / 100);
    }
    bytes[dst + 9] = (se & 0x8000) >> 8;
    return flags;
  }

  /** FLD1. */
  one(dst: number): void {
    this.put(dst, BIAS, MIN, 0);
  }

  /** FLDZ. */
  zero(dst: number): void {
    this.put(dst, 0, 0, 0);
  }

  /** FLDL2T: log2(10). */
  log2Ten(dst: number, cw: number): void {
    const up = (cw & 0xc00) === 0x800;
    this.put(dst, 0x4000, 0xd49a_784b | 0, 0xcd1b_8afe | (up ? 1 : 0));
  }

  /** FLDL2E: log2(e). */
  log2E(dst: number, cw: number): void {
    this.put(dst, 0x3fff, 0xb8aa_3b29 | 0, 0x5c17_f0bc - chopped(cw));
  }

  /** FLDPI. */
  pi(dst: number, cw: number): void {
    this.put(dst, 0x4000, 0xc90f_daa2 | 0, 0x2168_c235 - chopped(cw));
  }

  /** FLDLG2: log10(2). */
  log10Two(dst: number, cw: number): void {
    this.put(dst, 0x3ffd, 0x9a20_9a84 | 0, 0xfbcf_f799 - chopped(cw));
  }

  /** FLDLN2: ln(2). */
  lnTwo(dst: number, cw: number): void {
    this.put(dst, 0x3ffe, 0xb172_17f7 | 0, 0xd1cf_79ac - chopped(cw));
  }
}

/** 1 when the rounding control cuts a positive constant off. */
function chopped(cw: number): number {
  return (cw & 0x400) !== 0 ? 1 : 0;
}

/** Value of two BCD digits. */
function bcd(byte: number): number {
  return (byte >> 4) * 10 + (byte & 15);
}

/** Two BCD digits of a value below 100. */
function toBcd(value: number): number {
  const tens = Math.floor(value / 10);
  return tens << 4 | (value - tens * 10);
}
