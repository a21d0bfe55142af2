/**
 * The 80-bit extended-precision core: where numbers live, rounding, and what
 * becomes of NaNs and invalid operands (Intel SDM volume 1, chapters 4.8, 4.9
 * and 8).
 *
 * A number is a 16-byte slot: the significand with its explicit integer bit in
 * bytes 0-7, sign and exponent in bytes 8-9; the rest is ignored when read and
 * written as zero. Slots and integer or binary32/64 operands are aligned to
 * four bytes.
 * @module
 */

/** Invalid operation: flags stand where the x87 status word has them. */
export const IE = 0x01;
/** Denormal operand. */
export const DE = 0x02;
/** Division by zero. */
export const ZE = 0x04;
/** Overflow. */
export const OE = 0x08;
/** Underflow. */
export const UE = 0x10;
/** Inexact result (precision). */
export const PE = 0x20;
/** Condition code C0. */
export const C0 = 0x0100;
/** Condition code C1: the last rounding was upward. */
export const C1 = 0x0200;
/** Condition code C2. */
export const C2 = 0x0400;
/** Condition code C3. */
export const C3 = 0x4000;
/**
 * In a returned value: an unmasked exception kept the destination from being
 * written, and the instruction neither pushes nor pops.
 */
export const NOT_WRITTEN = 0x1_0000;
/**
 * To be or-ed into the control word of an operation one of whose operands came
 * from a denormal binary32 or binary64 (`rawF32` and `rawF64` return it): the
 * widened operand itself does not show it any more.
 */
export const DENORMAL_OPERAND = 0x1_0000;

/** Exponent bias of the extended format. */
export const BIAS = 0x3fff;

// Classes of operands; everything from QNAN on needs the NaN rules.
/** Class: zero. */
export const ZERO = 0;
/** Class: denormal or pseudo-denormal. */
export const DENORMAL = 1;
/** Class: normal. */
export const NORMAL = 2;
/** Class: infinity. */
export const INFINITE = 3;
/** Class: quiet NaN. */
export const QNAN = 4;
/** Class: signalling NaN. */
export const SNAN = 5;
/** Class: pseudo-NaN, pseudo-infinity or unnormal. */
export const UNSUPPORTED = 6;

const MIN = -0x8000_0000;

/** Class of an operand from the words of its slot. */
export function classify(hi: number, lo: number, se: number): number {
  const exponent = se & 0x7fff;
  if (exponent === 0) return (hi | lo) === 0 ? ZERO : DENORMAL;
  if (hi >= 0) return UNSUPPORTED;
  if (exponent !== 0x7fff) return NORMAL;
  if (((hi & 0x7fff_ffff) | lo) === 0) return INFINITE;
  return (hi & 0x4000_0000) !== 0 ? QNAN : SNAN;
}

/** High half of the product of two unsigned 32-bit numbers. */
export function mulHigh(a: number, b: number): number {
  const al = a & 0xffff, ah = a >>> 16, bl = b & 0xffff, bh = b >>> 16;
  const t = (Math.imul(ah, bl) + (Math.imul(al, bl) >>> 16)) | 0;
  const u = (Math.imul(al, bh) + (t & 0xffff)) | 0;
  return (Math.imul(ah, bh) + (t >>> 16) + (u >>> 16)) | 0;
}

/** Is the unsigned 64-bit number a below b? */
export function below(ah: number, al: number, bh: number, bl: number): boolean {
  return ah === bh ? al >>> 0 < bl >>> 0 : ah >>> 0 < bh >>> 0;
}

/** Does a rounding of `x` (the bits cut off, top bit = one half) go up? */
export function roundsUp(
  x: number,
  odd: number,
  sign: number,
  cw: number,
): boolean {
  if (x === 0) return false;
  switch (cw & 0xc00) {
    case 0x000:
      return x < 0 && (x !== MIN || odd !== 0);
    case 0x400:
      return sign !== 0;
    case 0x800:
      return sign === 0;
  }
  return false;
}

/** Storage, rounding and NaN rules under every x87 operation. */
export class Float80Core {
  /** The buffer as 32-bit words. */
  protected readonly w: Int32Array;
  /** The buffer as bytes. */
  protected readonly bytes: Uint8Array;
  /** Result of {@link normalize}: high word, low word, exponent. */
  protected readonly n: Int32Array = new Int32Array(4);

  /** Operates on the slots of this buffer. */
  constructor(buffer: ArrayBufferLike) {
    this.w = new Int32Array(buffer, 0, buffer.byteLength / 4);
    this.bytes = new Uint8Array(buffer);
  }

  /** Writes a slot. */
  protected put(dst: number, se: number, hi: number, lo: number): void {
    const w = this.w, i = dst >> 2;
    w[i] = lo;
    w[i + 1] = hi;
    w[i + 2] = se;
    w[i + 3] = 0;
  }

  /** Class of the number in a slot. */
  protected classAt(src: number): number {
    const w = this.w, i = src >> 2;
    return classify(w[i + 1], w[i], w[i + 2]);
  }

  /** The invalid-operation response: the QNaN indefinite when masked. */
  protected invalid(dst: number, cw: number): number {
    if ((cw & IE) === 0) return IE | NOT_WRITTEN;
    this.put(dst, 0xffff, -0x4000_0000, 0);
    return IE;
  }

  /** The response of a one-operand operation to a NaN or unsupported one. */
  protected nan1(dst: number, src: number, cw: number): number {
    const w = this.w, i = src >> 2;
    const hi = w[i + 1], lo = w[i], se = w[i + 2] & 0xffff;
    const c = classify(hi, lo, se);
    if (c === UNSUPPORTED) return this.invalid(dst, cw);
    if (c === SNAN && (cw & IE) === 0) return IE | NOT_WRITTEN;
    this.put(dst, se, hi | 0x4000_0000, lo);
    return c === SNAN ? IE : 0;
  }

  /**
   * The response of a two-operand operation of which one operand at least is a
   * NaN or unsupported (SDM table 4-7): the NaN with the larger significand,
   * of equal ones the positive, made quiet.
   */
  protected nan2(dst: number, a: number, b: number, cw: number): number {
    const w = this.w, i = a >> 2, j = b >> 2;
    let hi = w[i + 1], lo = w[i], se = w[i + 2] & 0xffff;
    const bh = w[j + 1], bl = w[j], bse = w[j + 2] & 0xffff;
    const ca = classify(hi, lo, se), cb = classify(bh, bl, bse);
    if (ca === UNSUPPORTED || cb === UNSUPPORTED) return this.invalid(dst, cw);
    const flags = ca === SNAN || cb === SNAN ? IE : 0;
    if (flags !== 0 && (cw & IE) === 0) return IE | NOT_WRITTEN;
    let second = ca < QNAN;
    if (!second && cb >= QNAN) {
      second = hi === bh && lo === bl ? se > bse : below(hi, lo, bh, bl);
    }
    if (second) {
      hi = bh;
      lo = bl;
      se = bse;
    }
    this.put(dst, se, hi | 0x4000_0000, lo);
    return flags;
  }

  /** Leaves a finite nonzero operand with its integer bit set in `n`. */
  protected normalize(hi: number, lo: number, exponent: number): void {
    const n = this.n;
    let e = exponent === 0 ? 1 : exponent;
    if (hi === 0) {
      hi = lo;
      lo = 0;
      e -= 32;
    }
    const s = Math.clz32(hi);
    if (s !== 0) {
      hi = (hi << s) | (lo >>> (32 - s));
      lo <<= s;
      e -= s;
    }
    n[0] = hi;
    n[1] = lo;
    n[2] = e;
  }

  /**
   * Rounds a nonzero number of exponent e <= BIAS + 63 to an integer, whose
   * magnitude is left in `n` (high word, low word); gives PE and C1.
   */
  protected cut(
    hi: number,
    lo: number,
    e: number,
    sign: number,
    cw: number,
  ): number {
    let x = 0, s = BIAS + 63 - e;
    if (s > 65) {
      hi = lo = 0;
      x = 1;
    } else {
      while (s > 0) {
        const k = s < 31 ? s : 31;
        const sticky = x << (32 - k) !== 0 ? 1 : 0;
        x = (x >>> k) | (lo << (32 - k)) | sticky;
        lo = (lo >>> k) | (hi << (32 - k));
        hi >>>= k;
        s -= k;
      }
    }
    let flags = 0;
    if (x !== 0) {
      flags = PE;
      if (roundsUp(x, lo & 1, sign, cw)) {
        flags = PE | C1;
        lo = (lo + 1) | 0;
        if (lo === 0) hi = (hi + 1) | 0;
      }
    }
    this.n[0] = hi;
    this.n[1] = lo;
    return flags;
  }

  /**
   * Rounds and writes a result: a normalized significand, 32 more bits `x`
   * (whose lowest is sticky), a biased exponent of any size, by the precision
   * and rounding control and the masks of `cw`.
   */
  protected round(
    dst: number,
    sign: number,
    e: number,
    hi: number,
    lo: number,
    x: number,
    cw: number,
  ): number {
    if ((cw & 0xf00) !== 0x300 || e <= 0 || e >= 0x7ffe) {
      return this.roundSlow(dst, sign, e, hi, lo, x, cw);
    }
    let flags = 0;
    if (x !== 0) {
      flags = PE;
      if (x < 0 && (x !== MIN || (lo & 1) !== 0)) {
        flags = PE | C1;
        lo = (lo + 1) | 0;
        if (lo === 0) {
          hi = (hi + 1) | 0;
          if (hi === 0) {
            hi = MIN;
            e++;
          }
        }
      }
    }
    const w = this.w, i = dst >> 2;
    w[i] = lo;
    w[i + 1] = hi;
    w[i + 2] = sign | e;
    w[i + 3] = 0;
    return flags;
  }

  /** {@link round} for every case. */
  private roundSlow(
    dst: number,
    sign: number,
    e: number,
    hi: number,
    lo: number,
    x: number,
    cw: number,
  ): number {
    const pc = cw & 0x300;
    let flags = 0;
    if (e <= 0) {
      // Tiny is judged after a rounding with unbounded exponent.
      let ones = (hi & lo) === -1, cut = x, odd = lo & 1;
      if (pc === 0x200) {
        ones = hi === -1 && lo >>> 11 === 0x1f_ffff;
        cut = (lo << 21) | (x !== 0 ? 1 : 0);
        odd = lo & 0x800;
      } else if (pc === 0) {
        ones = hi >>> 8 === 0xff_ffff;
        cut = (hi << 24) | (lo >>> 8) | ((lo << 24 | x) !== 0 ? 1 : 0);
        odd = hi & 0x100;
      }
      const tiny = e < 0 || !ones || !roundsUp(cut, odd, sign, cw);
      if (tiny && (cw & UE) === 0) {
        flags = UE;
        e += 24576;
        if (e <= 0) { // FSCALE can be that far off
          this.put(dst, sign, 0, 0);
          return UE | PE;
        }
      } else {
        // Gradual underflow: shift right by 1 - e.
        let s = 1 - e;
        if (s > 96) {
          hi = lo = s = 0;
          x = 1;
        }
        while (s >= 32) {
          x = lo | (x !== 0 ? 1 : 0);
          lo = hi;
          hi = 0;
          s -= 32;
        }
        if (s !== 0) {
          x = (x >>> s) | (lo << (32 - s)) | (x << (32 - s) !== 0 ? 1 : 0);
          lo = (lo >>> s) | (hi << (32 - s));
          hi >>>= s;
        }
        e = 0;
        if (tiny) flags = UE;
      }
    }
    // Fold what the precision control cuts off into x.
    let odd = lo & 1;
    if (pc === 0x200) {
      x = (lo << 21) | (x >>> 11) | (x << 21 !== 0 ? 1 : 0);
      odd = lo & 0x800;
      lo &= ~0x7ff;
    } else if (pc === 0) {
      x = (hi << 24) | (lo >>> 8) | ((lo << 24 | x) !== 0 ? 1 : 0);
      odd = hi & 0x100;
      hi &= ~0xff;
      lo = 0;
    }
    if (x !== 0) {
      flags |= PE;
      if (roundsUp(x, odd, sign, cw)) {
        flags |= C1;
        let carry = true;
        if (pc !== 0) {
          lo = (lo + (pc === 0x200 ? 0x800 : 1)) | 0;
          carry = lo === 0;
        }
        if (carry) {
          hi = (hi + (pc === 0 ? 0x100 : 1)) | 0;
          if (hi === 0) {
            hi = MIN;
            e++;
          }
        }
      }
    } else if (e === 0 && (cw & UE) !== 0) {
      flags &= ~UE; // masked underflow is only reported when inexact
    }
    if (e === 0 && hi < 0) e = 1;
    if (e >= 0x7fff) {
      if ((cw & OE) === 0) {
        flags |= OE;
        e -= 24576;
        if (e >= 0x7fff) {
          this.put(dst, sign | 0x7fff, MIN, 0);
          return OE | PE | C1;
        }
      } else {
        flags |= OE | PE;
        const rc = cw & 0xc00;
        if (
          rc === 0 || (rc === 0x400 ? sign !== 0 : rc === 0x800 && sign === 0)
        ) {
          flags |= C1;
          e = 0x7fff;
          hi = MIN;
          lo = 0;
        } else {
          flags &= ~C1;
          e = 0x7ffe;
          hi = pc === 0 ? ~0xff : -1;
          lo = pc === 0 ? 0 : pc === 0x200 ? ~0x7ff : -1;
        }
      }
    }
    this.put(dst, sign | e, hi, lo);
    return flags;
  }
}
