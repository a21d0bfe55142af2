/**
 * FPREM and FPREM1.
 * @module
 */

import {
  below,
  BIAS,
  C0,
  C1,
  C2,
  C3,
  DE,
  INFINITE,
  QNAN,
  ZERO,
} from "./float80_core.ts";
import { denormalFlag } from "./float80_arith.ts";
import { Float80Convert } from "./float80_convert.ts";

/** Partial remainders. */
export class Float80Remainder extends Float80Convert {
  /**
   * FPREM: `dst = a - q * b`, q the truncated quotient; its low bits come back
   * as C0 (4), C3 (2) and C1 (1). C2: the reduction is not complete.
   */
  remainder(dst: number, a: number, b: number, cw: number): number {
    return this.reduce(dst, a, b, cw, false);
  }

  /** FPREM1: as {@link remainder}, but q is rounded to nearest even. */
  remainderNearest(dst: number, a: number, b: number, cw: number): number {
    return this.reduce(dst, a, b, cw, true);
  }

  /** Both remainders. */
  private reduce(
    dst: number,
    a: number,
    b: number,
    cw: number,
    nearest: boolean,
  ): number {
    const w = this.w, i = a >> 2, j = b >> 2;
    const ca = this.classAt(a), cb = this.classAt(b);
    if (ca >= QNAN || cb >= QNAN) return this.nan2(dst, a, b, cw);
    if (ca === INFINITE || cb === ZERO) return this.invalid(dst, cw);
    const flags = denormalFlag(ca, cb, cw);
    if (flags > DE) return flags;
    const ase = w[i + 2] & 0xffff;
    if (ca === ZERO) {
      this.put(dst, ase, 0, 0);
      return flags;
    }
    const n = this.n;
    let sign = ase & 0x8000;
    this.normalize(w[i + 1], w[i], ase & 0x7fff);
    let rh = n[0], rl = n[1], e = n[2];
    if (cb === INFINITE) {
      return flags | this.round(dst, sign, e, rh, rl, 0, cw | 0x300);
    }
    this.normalize(w[j + 1], w[j], w[j + 2] & 0x7fff);
    const bh = n[0], bl = n[1], eb = n[2];
    const d = e - eb;
    // Far apart, 32 to 63 quotient bits are done at once.
    const partial = d >= 64;
    const steps = partial ? 32 + (d & 31) : d;
    let q = 0, over = false;
    for (let k = steps; k >= 0; k--) {
      q <<= 1;
      if (over || !below(rh, rl, bh, bl)) {
        const lo = (rl - bl) | 0;
        rh = (rh - bh - (((~rl & bl) | ((~rl | bl) & lo)) >>> 31)) | 0;
        rl = lo;
        q |= 1;
      }
      if (k > 0) {
        over = rh < 0;
        rh = (rh << 1) | (rl >>> 31);
        rl <<= 1;
      }
    }
    if (d >= 0) e = eb + d - steps;
    if (partial) {
      return flags | C2 | this.putRest(dst, sign, ase, e, rh, rl, cw);
    }
    if (nearest && d >= -1) {
      // Above half the divisor, or at half with q odd: the other side.
      const over2 = d < 0 ? 0 : rh >>> 31;
      const th = d < 0 ? rh : (rh << 1) | (rl >>> 31);
      const tl = d < 0 ? rl : rl << 1;
      const half = th === bh && tl === bl && over2 === 0;
      if (half ? (q & 1) !== 0 : over2 !== 0 || below(bh, bl, th, tl)) {
        // b - r, or with d = -1 (r in half units) 2 b - r.
        const th = d < 0 ? (bh << 1) | (bl >>> 31) : bh;
        const tl = d < 0 ? bl << 1 : bl;
        const lo = (tl - rl) | 0;
        rh = (th - rh - (((~tl & rl) | ((~tl | rl) & lo)) >>> 31)) | 0;
        rl = lo;
        sign ^= 0x8000;
        q++;
      }
    }
    return flags | this.putRest(dst, sign, ase, e, rh, rl, cw) |
      ((q & 4) !== 0 ? C0 : 0) | ((q & 2) !== 0 ? C3 : 0) |
      ((q & 1) !== 0 ? C1 : 0);
  }

  /** Writes a remainder, whose sign is that of the operand when it is zero. */
  private putRest(
    dst: number,
    sign: number,
    ase: number,
    e: number,
    hi: number,
    lo: number,
    cw: number,
  ): number {
    if ((hi | lo) === 0) {
      this.put(dst, ase & 0x8000, 0, 0);
      return 0;
    }
    this.normalize(hi, lo, BIAS);
    const n = this.n;
    return this.round(dst, sign, e + n[2] - BIAS, n[0], n[1], 0, cw | 0x300);
  }
}
