/**
 * Addition, multiplication, division, square root, comparison and the small
 * operations on 80-bit numbers.
 *
 * Measured (Deno 2.9.6, an AMD EPYC shared with other work), ns an operation on
 * normal numbers: add 17 to 21, mul 36 to 43, div 50, sqrt 53, compare 15; sine
 * 300, arctangent 370, log2 250. Half of add and mul is calls that V8 does not
 * inline; float80_kernel.ts is the fast form of what is hot.
 * @module
 */

import {
  below,
  BIAS,
  C0,
  C1,
  C2,
  C3,
  classify,
  DE,
  DENORMAL,
  DENORMAL_OPERAND,
  Float80Core,
  IE,
  INFINITE,
  mulHigh,
  NORMAL,
  NOT_WRITTEN,
  QNAN,
  UNSUPPORTED,
  ZE,
  ZERO,
} from "./float80_core.ts";

const MIN = -0x8000_0000;
const TWO32 = 0x1_0000_0000;

/** Arithmetic on slots; see {@link Float80Core} for how numbers lie there. */
export class Float80Arith extends Float80Core {
  /** `dst = a + b`. */
  add(dst: number, a: number, b: number, cw: number): number {
    return this.sum(dst, a, b, 0, cw);
  }

  /** `dst = a - b`. */
  sub(dst: number, a: number, b: number, cw: number): number {
    return this.sum(dst, a, b, 0x8000, cw);
  }

  /** Adds, the sign of `b` being flipped by `flip`. */
  private sum(
    dst: number,
    a: number,
    b: number,
    flip: number,
    cw: number,
  ): number {
    const w = this.w, i = a >> 2, j = b >> 2;
    const ah = w[i + 1], ase = w[i + 2], bh = w[j + 1], bse = w[j + 2] ^ flip;
    const ea = ase & 0x7fff, eb = bse & 0x7fff;
    // Both normal: integer bits set, exponents in 1..0x7ffe.
    if (
      (ah & bh) < 0 && ((ea - 1) | (eb - 1)) >= 0 &&
      ea !== 0x7fff && eb !== 0x7fff && cw < DENORMAL_OPERAND
    ) {
      if (ea >= eb) {
        return this.sumOrdered(
          dst,
          ase & 0x8000,
          ea,
          ah,
          w[i],
          (ase ^ bse) & 0x8000,
          ea - eb,
          bh,
          w[j],
          cw,
        );
      }
      return this.sumOrdered(
        dst,
        bse & 0x8000,
        eb,
        bh,
        w[j],
        (ase ^ bse) & 0x8000,
        eb - ea,
        ah,
        w[i],
        cw,
      );
    }
    return this.sumSlow(dst, a, b, flip, cw);
  }

  /** Adds normalized a and b, b's exponent being lower by d >= 0. */
  private sumOrdered(
    dst: number,
    sign: number,
    e: number,
    ah: number,
    al: number,
    differ: number,
    d: number,
    bh: number,
    bl: number,
    cw: number,
  ): number {
    let x = 0;
    if (d !== 0) {
      if (d < 32) {
        x = bl << (32 - d);
        bl = (bl >>> d) | (bh << (32 - d));
        bh >>>= d;
      } else if (d < 64) {
        x = bl;
        bl = bh;
        bh = 0;
        if (d !== 32) {
          x = (x >>> d) | (bl << (64 - d)) | (x << (64 - d) !== 0 ? 1 : 0);
          bl >>>= d;
        }
      } else {
        x = 1;
        if (d < 96) {
          const lost = bl | (d === 64 ? 0 : bh << (96 - d));
          x = (bh >>> d) | (lost !== 0 ? 1 : 0);
        }
        bl = 0;
        bh = 0;
      }
    }
    if (differ === 0) {
      let lo = (al + bl) | 0;
      const carry = ((al & bl) | ((al | bl) & ~lo)) >>> 31;
      let hi = (ah + bh + carry) | 0;
      if ((bh | ~hi) < 0) {
        // Carry out of bit 63 (a's top bit is set).
        x = (x >>> 1) | (x & 1) | (lo << 31);
        lo = (lo >>> 1) | (hi << 31);
        hi = (hi >>> 1) | MIN;
        e++;
      }
      return this.round(dst, sign, e, hi, lo, x, cw);
    }
    const borrow = x !== 0 ? 1 : 0;
    x = -x | 0;
    let lo = (al - bl - borrow) | 0;
    const borrow2 = ((~al & bl) | ((~al | bl) & lo)) >>> 31;
    let hi = (ah - bh - borrow2) | 0;
    if (d === 0 && ((~ah & bh) | ((~ah | bh) & hi)) < 0) {
      // |a| < |b|: negate (nothing was shifted out).
      lo = -lo | 0;
      hi = lo === 0 ? -hi | 0 : ~hi;
      sign ^= 0x8000;
    }
    if (hi >= 0) {
      if (hi === 0) {
        hi = lo;
        lo = x;
        x = 0;
        e -= 32;
        if (hi === 0) {
          if (lo === 0) { // an exact zero
            this.put(dst, (cw & 0xc00) === 0x400 ? 0x8000 : 0, 0, 0);
            return 0;
          }
          hi = lo;
          lo = 0;
          e -= 32;
        }
      }
      const s = Math.clz32(hi);
      if (s !== 0) {
        hi = (hi << s) | (lo >>> (32 - s));
        lo = (lo << s) | (x >>> (32 - s));
        x <<= s;
        e -= s;
      }
    }
    return this.round(dst, sign, e, hi, lo, x, cw);
  }

  /** {@link sum} of operands that are not both normal. */
  private sumSlow(
    dst: number,
    a: number,
    b: number,
    flip: number,
    cw: number,
  ): number {
    const w = this.w, i = a >> 2, j = b >> 2;
    const ca = this.classAt(a), cb = this.classAt(b);
    if (ca >= QNAN || cb >= QNAN) return this.nan2(dst, a, b, cw);
    const ase = w[i + 2] & 0xffff, bse = (w[j + 2] & 0xffff) ^ flip;
    const sa = ase & 0x8000, sb = bse & 0x8000;
    if (ca === INFINITE && cb === INFINITE && sa !== sb) {
      return this.invalid(dst, cw);
    }
    const flags = denormalFlag(ca, cb, cw);
    if (flags > DE) return flags;
    if (ca === INFINITE || cb === INFINITE) {
      this.put(dst, ca === INFINITE ? ase : bse, MIN, 0);
      return flags;
    }
    if (ca === ZERO && cb === ZERO) {
      const se = sa === sb ? sa : (cw & 0xc00) === 0x400 ? 0x8000 : 0;
      this.put(dst, se, 0, 0);
      return flags;
    }
    const n = this.n;
    if (ca === ZERO) {
      this.normalize(w[j + 1], w[j], bse & 0x7fff);
      return flags | this.round(dst, sb, n[2], n[0], n[1], 0, cw);
    }
    this.normalize(w[i + 1], w[i], ase & 0x7fff);
    const ah = n[0], al = n[1], ea = n[2];
    if (cb === ZERO) {
      return flags | this.round(dst, sa, ea, ah, al, 0, cw);
    }
    this.normalize(w[j + 1], w[j], bse & 0x7fff);
    const bh = n[0], bl = n[1], eb = n[2];
    return flags |
      (ea >= eb
        ? this.sumOrdered(dst, sa, ea, ah, al, sa ^ sb, ea - eb, bh, bl, cw)
        : this.sumOrdered(dst, sb, eb, bh, bl, sa ^ sb, eb - ea, ah, al, cw));
  }

  /** `dst = a * b`. */
  mul(dst: number, a: number, b: number, cw: number): number {
    const w = this.w, i = a >> 2, j = b >> 2;
    const ah = w[i + 1], ase = w[i + 2], bh = w[j + 1], bse = w[j + 2];
    const ea = ase & 0x7fff, eb = bse & 0x7fff;
    if (
      (ah & bh) < 0 && ((ea - 1) | (eb - 1)) >= 0 &&
      ea !== 0x7fff && eb !== 0x7fff && cw < DENORMAL_OPERAND
    ) {
      return this.product(
        dst,
        (ase ^ bse) & 0x8000,
        ea + eb - (BIAS - 1),
        ah,
        w[i],
        bh,
        w[j],
        cw,
      );
    }
    return this.mulSlow(dst, a, b, cw);
  }

  /** Multiplies normalized significands. */
  private product(
    dst: number,
    sign: number,
    e: number,
    ah: number,
    al: number,
    bh: number,
    bl: number,
    cw: number,
  ): number {
    // 128-bit product p3:p2:p1:p0.
    const p0 = Math.imul(al, bl);
    const t = mulHigh(al, bl);
    const u = Math.imul(al, bh), v = Math.imul(ah, bl);
    let p1 = (t + u) | 0;
    let carry = ((t & u) | ((t | u) & ~p1)) >>> 31;
    const s = (p1 + v) | 0;
    carry += ((p1 & v) | ((p1 | v) & ~s)) >>> 31;
    p1 = s;
    const uh = mulHigh(al, bh), vh = mulHigh(ah, bl), q = Math.imul(ah, bh);
    const r = (uh + vh) | 0;
    let carry2 = ((uh & vh) | ((uh | vh) & ~r)) >>> 31;
    const z = (r + q) | 0;
    carry2 += ((r & q) | ((r | q) & ~z)) >>> 31;
    let p2 = (z + carry) | 0;
    carry2 += (z & ~p2) >>> 31;
    let p3 = (mulHigh(ah, bh) + carry2) | 0;
    if (p3 >= 0) {
      p3 = (p3 << 1) | (p2 >>> 31);
      p2 = (p2 << 1) | (p1 >>> 31);
      p1 <<= 1;
      e--;
    }
    return this.round(dst, sign, e, p3, p2, p1 | (p0 !== 0 ? 1 : 0), cw);
  }

  /** {@link mul} of operands that are not both normal. */
  private mulSlow(dst: number, a: number, b: number, cw: number): number {
    const w = this.w, i = a >> 2, j = b >> 2;
    const ca = this.classAt(a), cb = this.classAt(b);
    if (ca >= QNAN || cb >= QNAN) return this.nan2(dst, a, b, cw);
    const sign = (w[i + 2] ^ w[j + 2]) & 0x8000;
    if (ca === INFINITE && cb === ZERO || ca === ZERO && cb === INFINITE) {
      return this.invalid(dst, cw);
    }
    const flags = denormalFlag(ca, cb, cw);
    if (flags > DE) return flags;
    if (ca === INFINITE || cb === INFINITE) {
      this.put(dst, sign | 0x7fff, MIN, 0);
      return flags;
    }
    if (ca === ZERO || cb === ZERO) {
      this.put(dst, sign, 0, 0);
      return flags;
    }
    const n = this.n;
    this.normalize(w[i + 1], w[i], w[i + 2] & 0x7fff);
    const ah = n[0], al = n[1], ea = n[2];
    this.normalize(w[j + 1], w[j], w[j + 2] & 0x7fff);
    const e = ea + n[2] - (BIAS - 1);
    return flags | this.product(dst, sign, e, ah, al, n[0], n[1], cw);
  }

  /** `dst = a / b`. */
  div(dst: number, a: number, b: number, cw: number): number {
    const w = this.w, i = a >> 2, j = b >> 2;
    const ah = w[i + 1], ase = w[i + 2], bh = w[j + 1], bse = w[j + 2];
    const ea = ase & 0x7fff, eb = bse & 0x7fff;
    if (
      (ah & bh) < 0 && ((ea - 1) | (eb - 1)) >= 0 &&
      ea !== 0x7fff && eb !== 0x7fff && cw < DENORMAL_OPERAND
    ) {
      return this.quotient(
        dst,
        (ase ^ bse) & 0x8000,
        ea - eb + BIAS,
        ah,
        w[i],
        bh,
        w[j],
        cw,
      );
    }
    return this.divSlow(dst, a, b, cw);
  }

  /** Divides normalized significands. */
  private quotient(
    dst: number,
    sign: number,
    e: number,
    ah: number,
    al: number,
    bh: number,
    bl: number,
    cw: number,
  ): number {
    // Numerator n2:n1:n0:0 below b * 2^64, so that the quotient is 64 bits.
    let n2 = ah, n1 = al, n0 = 0;
    if (below(ah, al, bh, bl)) {
      e--;
    } else {
      n0 = al << 31;
      n1 = (al >>> 1) | (ah << 31);
      n2 = ah >>> 1;
    }
    const b = (bh >>> 0) * TWO32 + (bl >>> 0);
    // Each digit is estimated in binary64: off by one at most.
    let hi = 0, lo = 0;
    for (let digit = 0; digit < 2; digit++) {
      const estimate = ((n2 >>> 0) * TWO32 + (n1 >>> 0)) / b * TWO32;
      let q = (estimate < 4294967295 ? estimate : 4294967295) | 0;
      // n -= q * b
      const p0 = Math.imul(q, bl), p1h = mulHigh(q, bl);
      const p1l = Math.imul(q, bh);
      const p1 = (p1h + p1l) | 0;
      const carry = ((p1h & p1l) | ((p1h | p1l) & ~p1)) >>> 31;
      const p2 = (mulHigh(q, bh) + carry) | 0;
      let r0 = (n0 - p0) | 0;
      const b0 = ((~n0 & p0) | ((~n0 | p0) & r0)) >>> 31;
      let r1 = (n1 - p1 - b0) | 0;
      const b1 = ((~n1 & p1) | ((~n1 | p1) & r1)) >>> 31;
      const r2 = (n2 - p2 - b1) | 0;
      if (r2 < 0) {
        q = (q - 1) | 0;
        const s = (r0 + bl) | 0;
        r1 = (r1 + bh + (((r0 & bl) | ((r0 | bl) & ~s)) >>> 31)) | 0;
        r0 = s;
      } else if (r2 > 0 || !below(r1, r0, bh, bl)) {
        q = (q + 1) | 0;
        const s = (r0 - bl) | 0;
        r1 = (r1 - bh - (((~r0 & bl) | ((~r0 | bl) & s)) >>> 31)) | 0;
        r0 = s;
      }
      hi = lo;
      lo = q;
      n2 = r1;
      n1 = r0;
      n0 = 0;
    }
    let x = 0;
    if ((n2 | n1) !== 0) {
      // The rest against half the divisor; a tie cannot be.
      x = n2 < 0 || !below((n2 << 1) | (n1 >>> 31), n1 << 1, bh, bl)
        ? MIN | 1
        : 1;
    }
    return this.round(dst, sign, e, hi, lo, x, cw);
  }

  /** {@link div} of operands that are not both normal. */
  private divSlow(dst: number, a: number, b: number, cw: number): number {
    const w = this.w, i = a >> 2, j = b >> 2;
    const ca = this.classAt(a), cb = this.classAt(b);
    if (ca >= QNAN || cb >= QNAN) return this.nan2(dst, a, b, cw);
    const sign = (w[i + 2] ^ w[j + 2]) & 0x8000;
    if (ca === cb && (ca === INFINITE || ca === ZERO)) {
      return this.invalid(dst, cw);
    }
    if (cb === ZERO && ca !== INFINITE) {
      if ((cw & ZE) === 0) return ZE | NOT_WRITTEN;
      this.put(dst, sign | 0x7fff, MIN, 0);
      return ZE;
    }
    const flags = denormalFlag(ca, cb, cw);
    if (flags > DE) return flags;
    if (ca === INFINITE) {
      this.put(dst, sign | 0x7fff, MIN, 0);
      return flags;
    }
    if (ca === ZERO || cb === INFINITE) {
      this.put(dst, sign, 0, 0);
      return flags;
    }
    const n = this.n;
    this.normalize(w[i + 1], w[i], w[i + 2] & 0x7fff);
    const ah = n[0], al = n[1], ea = n[2];
    this.normalize(w[j + 1], w[j], w[j + 2] & 0x7fff);
    const e = ea - n[2] + BIAS;
    return flags | this.quotient(dst, sign, e, ah, al, n[0], n[1], cw);
  }

  /** `dst = sqrt(src)`. */
  sqrt(dst: number, src: number, cw: number): number {
    const w = this.w, i = src >> 2;
    const se = w[i + 2] & 0xffff, c = this.classAt(src);
    if (c >= QNAN) return this.nan1(dst, src, cw);
    if (c === ZERO) {
      this.put(dst, se, 0, 0);
      return 0;
    }
    if (se >= 0x8000) return this.invalid(dst, cw);
    const flags = denormalFlag(c, c, cw);
    if (flags > DE) return flags;
    if (c === INFINITE) {
      this.put(dst, se, MIN, 0);
      return flags;
    }
    const n = this.n;
    this.normalize(w[i + 1], w[i], se);
    // Radicand t1:t0:t_1:0, root in [2^63, 2^64).
    let t1 = n[0], t0 = n[1], t_1 = 0;
    const odd = (n[2] - BIAS) & 1;
    if (odd === 0) {
      t_1 = t0 << 31;
      t0 = (t0 >>> 1) | (t1 << 31);
      t1 >>>= 1;
    }
    const e = ((n[2] - BIAS - odd) >> 1) + BIAS;
    // High half of the root: s1 = floor(sqrt(t1:t0)), rest r1 (33 bits).
    let s1 = Math.floor(Math.sqrt((t1 >>> 0) * TWO32 + (t0 >>> 0)));
    if (s1 > 4294967295) s1 = 4294967295;
    let square = mulHigh(s1 | 0, s1 | 0) >>> 0;
    if (below(t1, t0, square | 0, Math.imul(s1 | 0, s1 | 0))) {
      s1--;
      square = mulHigh(s1 | 0, s1 | 0) >>> 0;
    }
    let r1 = ((t1 >>> 0) - square) * TWO32 +
      ((t0 >>> 0) - (Math.imul(s1 | 0, s1 | 0) >>> 0));
    if (r1 > 2 * s1) {
      r1 -= 2 * s1 + 1;
      s1++;
    }
    // Low half: s0 with rest = (r1 * 2^32 + t_1) * 2^32 - 2 s1 s0 2^32 - s0^2.
    let s0 = Math.floor((r1 * TWO32 + (t_1 >>> 0)) / (2 * s1));
    if (s0 > 4294967295) s0 = 4294967295;
    for (;;) {
      // rest = m * 2^32 + k, with 0 <= k < 2^32; m is exact in binary64
      // because s0 is off by two at most.
      const q = s0 | 0, s = s1 | 0;
      const cross = (mulHigh(q, s) >>> 0) * 2; // of 2 s1 s0, in units of 2^32
      const crossLow = (Math.imul(q, s) >>> 0) * 2;
      const low = Math.imul(q, q) >>> 0;
      let m = (r1 - cross) * TWO32 + ((t_1 >>> 0) - crossLow) -
        (mulHigh(q, q) >>> 0);
      let k = -low;
      if (k < 0) {
        k += TWO32;
        m -= 1;
      }
      if (m < 0) {
        s0--;
        continue;
      }
      // rest > 2 s would mean that s0 + 1 fits.
      const twice = 2 * s1 + (s0 >= 0x8000_0000 ? 1 : 0);
      const twiceLow = (s0 * 2) % TWO32;
      if (m > twice || m === twice && k > twiceLow) {
        s0++;
        continue;
      }
      let x = 0;
      if (m !== 0 || k !== 0) {
        x = m > s1 || m === s1 && k > s0 ? MIN | 1 : 1;
      }
      return flags | this.round(dst, 0, e, s1 | 0, s0 | 0, x, cw);
    }
  }

  /**
   * FCOM: condition codes C3, C2, C0 of `a` against `b` (greater: none, less:
   * C0, equal: C3, unordered: all three), or-ed with the exceptions. Any NaN
   * is invalid. The codes are meant to be used even when NOT_WRITTEN is set,
   * except by FCOMI and its kin.
   */
  compare(a: number, b: number, cw: number): number {
    return this.relation(a, b, cw, QNAN);
  }

  /** FUCOM: as {@link compare}, but only a signalling NaN is invalid. */
  compareQuiet(a: number, b: number, cw: number): number {
    return this.relation(a, b, cw, QNAN + 1);
  }

  /** Compares; classes from `bad` on are invalid. */
  private relation(a: number, b: number, cw: number, bad: number): number {
    const w = this.w, i = a >> 2, j = b >> 2;
    const ah = w[i + 1], al = w[i], ase = w[i + 2] & 0xffff;
    const bh = w[j + 1], bl = w[j], bse = w[j + 2] & 0xffff;
    const ca = classify(ah, al, ase), cb = classify(bh, bl, bse);
    let flags = 0;
    if (ca !== NORMAL || cb !== NORMAL) {
      if (ca >= QNAN || cb >= QNAN) {
        if (ca < bad && cb < bad) return C3 | C2 | C0;
        return C3 | C2 | C0 | IE | ((cw & IE) === 0 ? NOT_WRITTEN : 0);
      }
      flags = denormalFlag(ca, cb, cw);
      if (ca === ZERO && cb === ZERO) return flags | C3;
      if (ca === ZERO) return flags | (bse < 0x8000 ? C0 : 0);
      if (cb === ZERO) return flags | (ase < 0x8000 ? 0 : C0);
    } else if ((cw & DENORMAL_OPERAND) !== 0) {
      flags = denormalFlag(ca, cb, cw);
    }
    if (((ase ^ bse) & 0x8000) !== 0) return flags | (ase < 0x8000 ? 0 : C0);
    // A pseudo-denormal has the value that exponent 1 gives it.
    const ea = ase & 0x7fff || 1, eb = bse & 0x7fff || 1;
    if (ea === eb && ah === bh && al === bl) return flags | C3;
    const less = ea === eb ? below(ah, al, bh, bl) : ea < eb;
    return flags | (less === ase < 0x8000 ? C0 : 0);
  }

  /** FTST: {@link compare} with zero. */
  test(a: number, cw: number): number {
    const w = this.w, se = w[(a >> 2) + 2], c = this.classAt(a);
    if (c >= QNAN) {
      return C3 | C2 | C0 | IE | ((cw & IE) === 0 ? NOT_WRITTEN : 0);
    }
    if (c === ZERO) return C3;
    return denormalFlag(c, c, cw) | ((se & 0x8000) !== 0 ? C0 : 0);
  }

  /** FXAM of a register that is not empty: C3, C2, C1 (the sign) and C0. */
  examine(src: number): number {
    const sign = (this.w[(src >> 2) + 2] & 0x8000) !== 0 ? C1 : 0;
    switch (this.classAt(src)) {
      case ZERO:
        return sign | C3;
      case DENORMAL:
        return sign | C3 | C2;
      case NORMAL:
        return sign | C2;
      case INFINITE:
        return sign | C2 | C0;
      case UNSUPPORTED:
        return sign;
    }
    return sign | C0;
  }

  /** FCHS: raises nothing, whatever the operand. */
  negate(dst: number, src: number): void {
    const w = this.w, i = src >> 2;
    this.put(dst, (w[i + 2] & 0xffff) ^ 0x8000, w[i + 1], w[i]);
  }

  /** FABS: raises nothing, whatever the operand. */
  absolute(dst: number, src: number): void {
    const w = this.w, i = src >> 2;
    this.put(dst, w[i + 2] & 0x7fff, w[i + 1], w[i]);
  }

  /** Copies a slot (FLD and FSTP of registers or 80-bit memory). */
  copy(dst: number, src: number): void {
    const w = this.w, i = src >> 2;
    this.put(dst, w[i + 2] & 0xffff, w[i + 1], w[i]);
  }

  /** FRNDINT: to an integer by the rounding control. */
  roundToInteger(dst: number, src: number, cw: number): number {
    const w = this.w, i = src >> 2;
    const hi = w[i + 1], lo = w[i];
    const se = w[i + 2] & 0xffff, c = this.classAt(src);
    if (c >= QNAN) return this.nan1(dst, src, cw);
    const e = se & 0x7fff;
    const flags = denormalFlag(c, c, cw);
    if (flags > DE) return flags;
    if (c === ZERO || e >= BIAS + 63) {
      this.put(dst, se, hi, lo);
      return flags;
    }
    const n = this.n, sign = se & 0x8000;
    const raised = flags | this.cut(hi, lo, e, sign, cw);
    if ((n[0] | n[1]) === 0) {
      this.put(dst, sign, 0, 0);
      return raised;
    }
    this.normalize(n[0], n[1], BIAS + 63);
    this.put(dst, sign | n[2], n[0], n[1]);
    return raised;
  }

  /** FSCALE: `dst = a * 2^trunc(b)`. */
  scale(dst: number, a: number, b: number, cw: number): number {
    const w = this.w, i = a >> 2, j = b >> 2;
    const ca = this.classAt(a), cb = this.classAt(b);
    if (ca >= QNAN || cb >= QNAN) return this.nan2(dst, a, b, cw);
    const ase = w[i + 2] & 0xffff, bse = w[j + 2] & 0xffff;
    const sign = ase & 0x8000;
    if (cb === INFINITE) {
      if (ca === (bse < 0x8000 ? ZERO : INFINITE)) return this.invalid(dst, cw);
    }
    const flags = denormalFlag(ca, cb, cw);
    if (flags > DE) return flags;
    if (cb === INFINITE) {
      if (bse < 0x8000) this.put(dst, sign | 0x7fff, MIN, 0);
      else this.put(dst, sign, 0, 0);
      return flags;
    }
    if (ca === ZERO || ca === INFINITE) {
      this.put(dst, ase, w[i + 1], 0);
      return flags;
    }
    // More than 2^16 either way is out of every range.
    let by = 0;
    const eb = (bse & 0x7fff) - BIAS;
    if (eb >= 16) by = 0x1_0000;
    else if (eb >= 0) by = w[j + 1] >>> (31 - eb);
    if (bse >= 0x8000) by = -by;
    const n = this.n;
    this.normalize(w[i + 1], w[i], ase & 0x7fff);
    const e = n[2] + by;
    return flags | this.round(dst, sign, e, n[0], n[1], 0, cw | 0x300);
  }

  /**
   * FXTRACT: the exponent of `src` to `exponent` (the register that held it)
   * and its significand to `significand` (what is pushed).
   */
  extract(
    exponent: number,
    significand: number,
    src: number,
    cw: number,
  ): number {
    const w = this.w, i = src >> 2;
    const hi = w[i + 1], lo = w[i], se = w[i + 2] & 0xffff;
    const c = this.classAt(src);
    if (c >= QNAN) {
      const flags = this.nan1(significand, src, cw);
      if ((flags & NOT_WRITTEN) === 0) this.copy(exponent, significand);
      return flags;
    }
    if (c === ZERO) {
      if ((cw & ZE) === 0) return ZE | NOT_WRITTEN;
      this.put(significand, se, hi, lo);
      this.put(exponent, 0xffff, MIN, 0);
      return ZE;
    }
    if (c === INFINITE) {
      this.put(significand, se, hi, lo);
      this.put(exponent, 0x7fff, MIN, 0);
      return 0;
    }
    const flags = denormalFlag(c, c, cw);
    if (flags > DE) return flags;
    const n = this.n;
    this.normalize(hi, lo, se & 0x7fff);
    this.put(significand, (se & 0x8000) | BIAS, n[0], n[1]);
    this.putInteger(exponent, n[2] - BIAS);
    return flags;
  }

  /** Writes a small integer as a number. */
  protected putInteger(dst: number, value: number): void {
    if (value === 0) {
      this.put(dst, 0, 0, 0);
      return;
    }
    const magnitude = value < 0 ? -value : value;
    const s = Math.clz32(magnitude);
    const se = (value < 0 ? 0x8000 : 0) | (BIAS + 31 - s);
    this.put(dst, se, magnitude << s, 0);
  }
}

/** DE when an operand is denormal, with NOT_WRITTEN when that is unmasked. */
export function denormalFlag(ca: number, cb: number, cw: number): number {
  if (ca !== DENORMAL && cb !== DENORMAL && (cw & DENORMAL_OPERAND) === 0) {
    return 0;
  }
  return (cw & DE) === 0 ? DE | NOT_WRITTEN : DE;
}
