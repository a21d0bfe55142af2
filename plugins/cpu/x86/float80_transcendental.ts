/**
 * F2XM1, FYL2X, FYL2XP1, FPATAN, FPTAN, FSIN, FCOS and FSINCOS, evaluated in
 * double-double arithmetic and rounded once: nearly always the correctly
 * rounded result, which real units give to within an ulp.
 * @module
 */

import {
  below,
  BIAS,
  C1,
  C2,
  DE,
  INFINITE,
  NOT_WRITTEN,
  PE,
  QNAN,
  ZE,
  ZERO,
} from "./float80_core.ts";
import { denormalFlag } from "./float80_arith.ts";
import { Float80Remainder } from "./float80_remainder.ts";
import {
  LOW,
  twoSum,
  wideAdd,
  wideDiv,
  wideHorner,
  wideMul,
} from "./float80_wide.ts";

const MIN = -0x8000_0000;
const TWO32 = 0x1_0000_0000;

// Constants as high and low part.
const LN2_H = 0.6931471805599453, LN2_L = 2.3190468138462996e-17;
const LOG2E_H = 1.4426950408889634, LOG2E_L = 2.0355273740931033e-17;
const PI_H = 3.141592653589793, PI_L = 1.2246467991473532e-16;

/** What the operations use of tables; made at first use. */
interface Tables {
  /** 2^(k/32), k = -32..32. */
  readonly power: Float64Array;
  /** log2(k/64), k = 45..91, at index k. */
  readonly log: Float64Array;
  /** atan(k/64), k = 0..64. */
  readonly atan: Float64Array;
  /** (2^x - 1)/x = sum ln(2)^(k+1)/(k+1)! x^k. */
  readonly powerSeries: Float64Array;
  /** atanh(z)/z in z^2. */
  readonly atanhSeries: Float64Array;
  /** atan(z)/z in z^2. */
  readonly atanSeries: Float64Array;
  /** sin(z)/z in z^2. */
  readonly sinSeries: Float64Array;
  /** cos(z) in z^2. */
  readonly cosSeries: Float64Array;
}

let tables: Tables | undefined;

function makeTables(): Tables {
  const series = (
    length: number,
    term: (k: number) => number,
  ): Float64Array => {
    const c = new Float64Array(2 * length);
    for (let k = 0; k < length; k++) {
      c[2 * k] = term(k);
      c[2 * k + 1] = LOW[0];
    }
    return c;
  };
  // Terms that follow from the one before it.
  let h = 1, l = 0;
  const powerTerm = (k: number): number => {
    h = wideMul(k === 0 ? 1 : h, k === 0 ? 0 : l, LN2_H, LN2_L);
    h = wideDiv(h, LOW[0], k + 1, 0);
    l = LOW[0];
    return h;
  };
  const factorial = (first: number) => (k: number): number => {
    h = k === 0 ? 1 : wideDiv(-h, -l, (2 * k + first - 1) * (2 * k + first), 0);
    l = k === 0 ? 0 : LOW[0];
    LOW[0] = l;
    return h;
  };
  const atanhSeries = series(16, (k) => wideDiv(1, 0, 2 * k + 1, 0));
  const atanSeries = series(
    16,
    (k) => wideDiv(k & 1 ? -1 : 1, 0, 2 * k + 1, 0),
  );
  const longPower = series(28, powerTerm);
  const power = new Float64Array(2 * 65);
  for (let k = -32; k <= 32; k++) {
    h = wideHorner(longPower, k / 32, 0, 0);
    h = wideMul(h, LOW[0], k / 32, 0);
    power[2 * (k + 32)] = wideAdd(h, LOW[0], 1, 0);
    power[2 * (k + 32) + 1] = LOW[0];
  }
  const at = (c: Float64Array, zh: number, zl: number): number => {
    const qh = wideMul(zh, zl, zh, zl);
    const s = wideHorner(c, qh, LOW[0], 0);
    return wideMul(s, LOW[0], zh, zl);
  };
  const log = new Float64Array(2 * 92);
  for (const step of [1, -1]) {
    // log2((k + step)/k) = step * 2 atanh(1/(2 k + step)) / ln 2
    for (let k = 64; k + step >= 45 && k + step <= 91; k += step) {
      h = at(atanhSeries, wideDiv(1, 0, 2 * k + step, 0), LOW[0]);
      h = wideMul(2 * step * h, 2 * step * LOW[0], LOG2E_H, LOG2E_L);
      log[2 * (k + step)] = wideAdd(log[2 * k], log[2 * k + 1], h, LOW[0]);
      log[2 * (k + step) + 1] = LOW[0];
    }
  }
  const atan = new Float64Array(2 * 65);
  for (let k = 0; k < 64; k++) {
    // atan((k+1)/64) - atan(k/64) = atan(64 / (4096 + k (k + 1)))
    h = at(atanSeries, wideDiv(64, 0, 4096 + k * (k + 1), 0), LOW[0]);
    atan[2 * k + 2] = wideAdd(atan[2 * k], atan[2 * k + 1], h, LOW[0]);
    atan[2 * k + 3] = LOW[0];
  }
  return {
    power,
    log,
    atan,
    powerSeries: longPower.slice(0, 2 * 11),
    atanhSeries: atanhSeries.slice(0, 2 * 7),
    atanSeries: atanSeries.slice(0, 2 * 8),
    sinSeries: series(14, factorial(1)),
    cosSeries: series(15, factorial(0)),
  };
}

/** The transcendental instructions. */
export class Float80Transcendental extends Float80Remainder {
  /** Significand in [1, 2) of an operand, high part. */
  private mh = 0;
  /** Its low part. */
  private ml = 0;
  /** Its unbiased exponent. */
  private me = 0;
  /** Reduced angle, high part. */
  private rh = 0;
  /** Its low part. */
  private rl = 0;
  /** Its quadrant. */
  private quadrant = 0;
  /** To look at the bits of a binary64. */
  private readonly f64: Float64Array = new Float64Array(1);
  /** Its words. */
  private readonly f64w: Int32Array = new Int32Array(this.f64.buffer);
  /** The tables: made when the first of the instructions is executed. */
  private get tables(): Tables {
    return tables ??= makeTables();
  }

  /** Takes a finite nonzero operand apart into mh + ml and me. */
  private unpack(src: number): void {
    const w = this.w, i = src >> 2, n = this.n;
    this.normalize(w[i + 1], w[i], w[i + 2] & 0x7fff);
    this.mh = twoSum((n[0] >>> 0) * 2 ** -31, (n[1] >>> 0) * 2 ** -63);
    this.ml = LOW[0];
    this.me = n[2] - BIAS;
  }

  /** Rounds and writes (h + l) * 2^e, which is taken to be inexact. */
  private putWide(
    dst: number,
    h: number,
    l: number,
    e: number,
    cw: number,
  ): number {
    let sign = 0;
    if (h < 0) {
      sign = 0x8000;
      h = -h;
      l = -l;
    }
    const f64 = this.f64, f64w = this.f64w;
    f64[0] = h;
    let k = (f64w[1] >>> 20) - 1023;
    if (h === 2 ** k && l < 0) k--; // just below a power of two
    // 2^k may be out of range where 2^-k is not, and the reverse.
    f64w[0] = 0;
    f64w[1] = (1023 - k) << 20;
    const unit = f64[0];
    h *= unit;
    l *= unit;
    // h + l in [1, 2): two 32-bit words and 32 bits more.
    const scaled = h * 2 ** 31;
    let hi = Math.floor(scaled);
    // The high part ends above the last bit of lo, so these are exact.
    const low = l * 2 ** 63, whole = Math.floor(low);
    let lo = (scaled - hi) * TWO32 + whole;
    const x = Math.min(Math.floor((low - whole) * TWO32), 0xffff_ffff) | 1;
    if (lo < 0) {
      lo += TWO32;
      hi--;
    } else if (lo >= TWO32) {
      lo -= TWO32;
      hi++;
    }
    const exponent = e + k + BIAS;
    return this.round(dst, sign, exponent, hi | 0, lo | 0, x, cw | 0x300);
  }

  /** F2XM1: `dst = 2^src - 1`, for -1 <= src <= 1; others come back as is. */
  exp2Minus1(dst: number, src: number, cw: number): number {
    const w = this.w, i = src >> 2, c = this.classAt(src);
    if (c >= QNAN) return this.nan1(dst, src, cw);
    const se = w[i + 2] & 0xffff;
    if (c === ZERO) {
      this.put(dst, se, 0, 0);
      return 0;
    }
    if (c === INFINITE) {
      if (se < 0x8000) this.put(dst, se, MIN, 0);
      else this.put(dst, 0x8000 | BIAS, MIN, 0);
      return 0;
    }
    const flags = denormalFlag(c, c, cw);
    if (flags > DE) return flags;
    if ((se & 0x7fff) >= BIAS) {
      if (se === (0x8000 | BIAS) && w[i + 1] === MIN && w[i] === 0) {
        this.put(dst, 0x8000 | (BIAS - 1), MIN, 0);
      } else this.put(dst, se, w[i + 1], w[i]);
      return flags | PE;
    }
    this.unpack(src);
    const s = se < 0x8000 ? 1 : -1;
    let h = this.mh * s, l = this.ml * s;
    if (this.me < -70) {
      h = wideMul(h, l, LN2_H, LN2_L);
      return flags | this.putWide(dst, h, LOW[0], this.me, cw);
    }
    const unit = 2 ** this.me;
    h *= unit;
    l *= unit;
    // 2^(c + r) - 1 = (2^c - 1) + 2^c (2^r - 1), c = k/32.
    const k = Math.round(h * 32), power = this.tables.power;
    h = wideAdd(h, l, -k / 32, 0);
    l = LOW[0];
    let ph = wideHorner(this.tables.powerSeries, h, l, 5);
    ph = wideMul(ph, LOW[0], h, l);
    let pl = LOW[0];
    if (k !== 0) {
      const th = power[2 * (k + 32)], tl = power[2 * (k + 32) + 1];
      ph = wideMul(ph, pl, th, tl);
      pl = LOW[0];
      const ch = wideAdd(th, tl, -1, 0);
      ph = wideAdd(ch, LOW[0], ph, pl);
      pl = LOW[0];
    }
    return flags | this.putWide(dst, ph, pl, 0, cw);
  }

  /** log2 of (k/64 + dh + dl) * 2^e, wide; d is small beside k/64. */
  private log2(e: number, k: number, dh: number, dl: number): number {
    // z = d / (2 c + d)
    const nh = wideAdd(k / 32, 0, dh, dl);
    const zh = wideDiv(dh, dl, nh, LOW[0]), zl = LOW[0];
    const qh = wideMul(zh, zl, zh, zl);
    let h = wideHorner(this.tables.atanhSeries, qh, LOW[0], 3);
    h = wideMul(h, LOW[0], 2 * zh, 2 * zl);
    h = wideMul(h, LOW[0], LOG2E_H, LOG2E_L);
    const log = this.tables.log;
    if (k !== 64) h = wideAdd(log[2 * k], log[2 * k + 1], h, LOW[0]);
    if (e !== 0) h = wideAdd(e, 0, h, LOW[0]);
    return h;
  }

  /** FYL2X: `dst = y * log2(x)`. */
  yLog2X(dst: number, x: number, y: number, cw: number): number {
    const w = this.w, i = x >> 2, j = y >> 2;
    const cx = this.classAt(x), cy = this.classAt(y);
    if (cx >= QNAN || cy >= QNAN) return this.nan2(dst, x, y, cw);
    const xse = w[i + 2] & 0xffff, sign = w[j + 2] & 0x8000;
    if (cx === ZERO) {
      if (cy === ZERO) return this.invalid(dst, cw);
      if (cy !== INFINITE && (cw & ZE) === 0) return ZE | NOT_WRITTEN;
      this.put(dst, (sign ^ 0x8000) | 0x7fff, MIN, 0);
      return cy === INFINITE ? 0 : ZE;
    }
    const one = xse === BIAS && w[i + 1] === MIN && w[i] === 0;
    if (
      xse >= 0x8000 || cx === INFINITE && cy === ZERO ||
      one && cy === INFINITE
    ) {
      return this.invalid(dst, cw);
    }
    const flags = denormalFlag(cx, cy, cw);
    if (flags > DE) return flags;
    const flip = xse < BIAS ? 0x8000 : 0;
    if (cx === INFINITE || cy === INFINITE) {
      this.put(dst, (sign ^ flip) | 0x7fff, MIN, 0);
      return flags;
    }
    if (one || cy === ZERO) {
      this.put(dst, sign ^ flip, 0, 0);
      return flags;
    }
    this.unpack(x);
    let h = this.mh, l = this.ml, e = this.me;
    if (h > Math.SQRT2) {
      h /= 2;
      l /= 2;
      e++;
    }
    const k = Math.round(h * 64);
    const dh = twoSum(h - k / 64, l);
    h = this.log2(e, k, dh, LOW[0]);
    l = LOW[0];
    return flags | this.putProduct(dst, y, h, l, cw);
  }

  /** Writes y * (h + l). */
  private putProduct(
    dst: number,
    y: number,
    h: number,
    l: number,
    cw: number,
  ): number {
    this.unpack(y);
    const s = (this.w[(y >> 2) + 2] & 0x8000) !== 0 ? -1 : 1;
    h = wideMul(h, l, this.mh * s, this.ml * s);
    return this.putWide(dst, h, LOW[0], this.me, cw);
  }

  /** FYL2XP1: `dst = y * log2(x + 1)`. */
  yLog2XPlus1(dst: number, x: number, y: number, cw: number): number {
    const w = this.w, i = x >> 2, j = y >> 2;
    const cx = this.classAt(x), cy = this.classAt(y);
    if (cx >= QNAN || cy >= QNAN) return this.nan2(dst, x, y, cw);
    const xse = w[i + 2] & 0xffff, sx = xse & 0x8000;
    const sign = w[j + 2] & 0x8000;
    if (
      cx === INFINITE && (sx !== 0 || cy === ZERO) ||
      cx === ZERO && cy === INFINITE
    ) {
      return this.invalid(dst, cw);
    }
    const flags = denormalFlag(cx, cy, cw);
    if (flags > DE) return flags;
    if (cx === INFINITE || cy === INFINITE) {
      this.put(dst, (sign ^ sx) | 0x7fff, MIN, 0);
      return flags;
    }
    if (cx === ZERO || cy === ZERO) {
      this.put(dst, sign ^ sx, 0, 0);
      return flags;
    }
    if (sx !== 0 && (xse & 0x7fff) >= BIAS) {
      // 1 + x <= 0 is outside the domain; hardware gives x back.
      this.put(dst, xse, w[i + 1], w[i]);
      return flags | PE;
    }
    this.unpack(x);
    const s = sx !== 0 ? -1 : 1;
    let h = this.mh * s, l = this.ml * s;
    if (this.me < -70) {
      // log2(1 + x) = x / ln 2
      const e = this.me;
      h = wideMul(h, l, LOG2E_H, LOG2E_L);
      l = LOW[0];
      this.unpack(y);
      const t = sign !== 0 ? -1 : 1;
      h = wideMul(h, l, this.mh * t, this.ml * t);
      return flags | this.putWide(dst, h, LOW[0], this.me + e, cw);
    }
    let e = 0, k = 64;
    if (this.me < 120) {
      const unit = 2 ** this.me;
      h *= unit;
      l *= unit;
      // Beyond the documented domain the sum is normalized first.
      const sum = 1 + h;
      if (sum > Math.SQRT2 || sum < Math.SQRT1_2) {
        h = wideAdd(1, 0, h, l);
        l = LOW[0];
        this.f64[0] = h;
        e = (this.f64w[1] >>> 20) - 1023;
        if (h > Math.SQRT2 * 2 ** e) e++;
        h *= 2 ** -e;
        l *= 2 ** -e;
        k = Math.round(h * 64);
        h = twoSum(h - k / 64, l);
        l = LOW[0];
      } else {
        k = Math.round(sum * 64);
        h = wideAdd((64 - k) / 64, 0, h, l);
        l = LOW[0];
      }
    } else {
      e = this.me;
      if (h > Math.SQRT2) {
        h /= 2;
        l /= 2;
        e++;
      }
      k = Math.round(h * 64);
      h = twoSum(h - k / 64, l);
      l = LOW[0];
    }
    h = this.log2(e, k, h, l);
    return flags | this.putProduct(dst, y, h, LOW[0], cw);
  }

  /** FPATAN: `dst` = the angle of the point (x, y), in -pi..pi. */
  arctangent(dst: number, x: number, y: number, cw: number): number {
    const w = this.w, i = x >> 2, j = y >> 2;
    const cx = this.classAt(x), cy = this.classAt(y);
    if (cx >= QNAN || cy >= QNAN) return this.nan2(dst, x, y, cw);
    const left = (w[i + 2] & 0x8000) !== 0, sign = w[j + 2] & 0x8000;
    const s = sign !== 0 ? -1 : 1;
    const flags = denormalFlag(cx, cy, cw);
    if (flags > DE) return flags;
    // Angles that need no division, in units of pi/4.
    let eighths = -1;
    if (cx === INFINITE && cy === INFINITE) eighths = left ? 3 : 1;
    else if (cy === ZERO || cx === INFINITE) eighths = left ? 4 : 0;
    else if (cx === ZERO || cy === INFINITE) eighths = 2;
    if (eighths === 0) {
      this.put(dst, sign, 0, 0);
      return flags;
    }
    if (eighths > 0) {
      const c = s * eighths / 4;
      const h = wideMul(PI_H, PI_L, c, 0);
      return flags | this.putWide(dst, h, LOW[0], 0, cw);
    }
    this.unpack(x);
    const xh = this.mh, xl = this.ml, ex = this.me;
    this.unpack(y);
    const yh = this.mh, yl = this.ml;
    let d = this.me - ex;
    const steep = d > 0 || d === 0 && (yh > xh || yh === xh && yl > xl);
    // t = smaller / larger, in (0, 1]
    let h = steep ? wideDiv(xh, xl, yh, yl) : wideDiv(yh, yl, xh, xl);
    let l = LOW[0];
    if (steep) d = -d;
    if (d < -70) {
      // atan(t) = t, or nothing beside pi/2.
      if (!steep && !left) {
        return flags | this.putWide(dst, s * h, s * (l - h * 2 ** -90), d, cw);
      }
      h = 2 ** -100;
      l = 0;
    } else {
      const unit = 2 ** d;
      h *= unit;
      l *= unit;
      const k = Math.round(h * 64), c = k / 64, atan = this.tables.atan;
      if (k !== 0) {
        // (t - c) / (1 + t c)
        let nh = wideMul(h, l, c, 0);
        nh = wideAdd(1, 0, nh, LOW[0]);
        const nl = LOW[0];
        h = wideAdd(-c, 0, h, l);
        h = wideDiv(h, LOW[0], nh, nl);
        l = LOW[0];
      }
      const qh = wideMul(h, l, h, l);
      const p = wideHorner(this.tables.atanSeries, qh, LOW[0], 3);
      h = wideMul(p, LOW[0], h, l);
      l = LOW[0];
      if (k !== 0) {
        h = wideAdd(atan[2 * k], atan[2 * k + 1], h, l);
        l = LOW[0];
      }
    }
    if (steep) {
      h = wideAdd(PI_H / 2, PI_L / 2, left ? h : -h, left ? l : -l);
      l = LOW[0];
    } else if (left) {
      h = wideAdd(PI_H, PI_L, -h, -l);
      l = LOW[0];
    }
    return flags | this.putWide(dst, s * h, s * l, 0, cw);
  }

  /**
   * Reduces an angle below 2^63 by the 66-bit pi that real units have: leaves
   * its magnitude's rest in rh + rl, -pi/4..pi/4, and the quadrant.
   */
  private reduceAngle(src: number): void {
    const w = this.w, i = src >> 2, n = this.n;
    this.normalize(w[i + 1], w[i], w[i + 2] & 0x7fff);
    // pi/2 is 3:243f_6a88:85a3_08d3 * 2^-65. The angle at the same scale:
    let r2 = n[0] >>> 30, r1 = (n[0] << 2) | (n[1] >>> 30), r0 = n[1] << 2;
    const e = n[2] - BIAS;
    let q = 0;
    if (e < -1) {
      this.rh = twoSum(
        (n[0] >>> 0) * 2 ** (e - 31),
        (n[1] >>> 0) * 2 ** (e - 63),
      );
      this.rl = LOW[0];
      this.quadrant = 0;
      return;
    }
    if (e === -1) {
      r0 = n[1] << 1;
      r1 = (n[0] << 1) | (n[1] >>> 31);
      r2 = n[0] >>> 31;
    }
    const p1 = 0x243f_6a88, p0 = 0x85a3_08d3 | 0;
    for (let k = e < 0 ? 0 : e; k >= 0; k--) {
      q <<= 1;
      if (r2 > 3 || r2 === 3 && !below(r1, r0, p1, p0)) {
        const lo = (r0 - p0) | 0;
        const b0 = ((~r0 & p0) | ((~r0 | p0) & lo)) >>> 31;
        const mid = (r1 - p1 - b0) | 0;
        r2 -= 3 + (((~r1 & p1) | ((~r1 | p1) & mid)) >>> 31);
        r1 = mid;
        r0 = lo;
        q |= 1;
      }
      if (k > 0) {
        r2 = (r2 << 1) | (r1 >>> 31);
        r1 = (r1 << 1) | (r0 >>> 31);
        r0 <<= 1;
      }
    }
    // Above pi/4: to the other side.
    let s = 1;
    const h2 = (r2 << 1) | (r1 >>> 31);
    if (
      h2 > 3 ||
      h2 === 3 && !below((r1 << 1) | (r0 >>> 31), r0 << 1, p1, p0)
    ) {
      const lo = (p0 - r0) | 0;
      const b0 = ((~p0 & r0) | ((~p0 | r0) & lo)) >>> 31;
      const mid = (p1 - r1 - b0) | 0;
      r2 = 3 - r2 - (((~p1 & r1) | ((~p1 | r1) & mid)) >>> 31);
      r1 = mid;
      r0 = lo;
      s = -1;
      q++;
    }
    const h = (r2 * TWO32 + (r1 >>> 0)) * 2 ** -33;
    this.rh = s * twoSum(h, (r0 >>> 0) * 2 ** -65);
    this.rl = s * LOW[0];
    this.quadrant = q & 3;
  }

  /** Sine (odd = 0) or cosine (odd = 1) of the reduced angle, wide. */
  private sineOrCosine(odd: number): number {
    const h = this.rh, l = this.rl, t = this.tables;
    const qh = wideMul(h, l, h, l), ql = LOW[0];
    if (odd !== 0) return wideHorner(t.cosSeries, qh, ql, 7);
    const p = wideHorner(t.sinSeries, qh, ql, 7);
    return wideMul(p, LOW[0], h, l);
  }

  /** What FSIN, FCOS and FPTAN have in common; -1: go on and compute. */
  private angleSpecial(
    dst: number,
    src: number,
    cw: number,
    atZero: number,
  ): number {
    const w = this.w, se = w[(src >> 2) + 2] & 0xffff, c = this.classAt(src);
    if (c >= QNAN) return this.nan1(dst, src, cw);
    if (c === INFINITE) return this.invalid(dst, cw);
    if (c === ZERO) {
      if (atZero !== 0) this.put(dst, BIAS, MIN, 0);
      else this.put(dst, se, 0, 0);
      return 0;
    }
    if ((se & 0x7fff) >= BIAS + 63) return C2;
    const flags = denormalFlag(c, c, cw);
    return flags > DE ? flags : -1 - flags;
  }

  /**
   * An angle so small that it is its own sine and tangent but for a trace,
   * which points to zero (`inward`) or away from it.
   */
  private putTiny(
    dst: number,
    src: number,
    inward: boolean,
    cw: number,
  ): number {
    this.unpack(src);
    const s = (this.w[(src >> 2) + 2] & 0x8000) !== 0 ? -1 : 1;
    const trace = inward ? -(2 ** -90) : 2 ** -90;
    return this.putWide(dst, s * this.mh, s * (this.ml + trace), this.me, cw);
  }

  /** Is a finite operand its own sine? */
  private isTiny(src: number): boolean {
    return (this.w[(src >> 2) + 2] & 0x7fff) < BIAS - 45;
  }

  /** FSIN. C2: the operand is out of range and `dst` is untouched. */
  sine(dst: number, src: number, cw: number): number {
    const special = this.angleSpecial(dst, src, cw, 0);
    if (special >= 0) return special;
    return -1 - special | this.putSine(dst, src, cw);
  }

  /** Sine of a finite operand. */
  private putSine(dst: number, src: number, cw: number): number {
    if (this.isTiny(src)) return this.putTiny(dst, src, true, cw);
    const negative = (this.w[(src >> 2) + 2] & 0x8000) !== 0;
    this.reduceAngle(src);
    const q = this.quadrant, h = this.sineOrCosine(q & 1);
    const s = negative === (q & 2) > 0 ? 1 : -1;
    return this.putWide(dst, s * h, s * LOW[0], 0, cw);
  }

  /** FCOS. C2: the operand is out of range and `dst` is untouched. */
  cosine(dst: number, src: number, cw: number): number {
    const special = this.angleSpecial(dst, src, cw, 1);
    if (special >= 0) return special;
    return -1 - special | this.putCosine(dst, src, cw);
  }

  /** Cosine of a finite operand. */
  private putCosine(dst: number, src: number, cw: number): number {
    if (this.isTiny(src)) return this.putWide(dst, 1, -(2 ** -90), 0, cw);
    this.reduceAngle(src);
    const q = this.quadrant, h = this.sineOrCosine(~q & 1);
    const s = (q + 1 & 2) !== 0 ? -1 : 1;
    return this.putWide(dst, s * h, s * LOW[0], 0, cw);
  }

  /**
   * FSINCOS: the sine to `sin` (the register that held `src`), the cosine to
   * `cos` (what is pushed). C2: out of range, nothing is written or pushed.
   */
  sineCosine(sin: number, cos: number, src: number, cw: number): number {
    const special = this.angleSpecial(cos, src, cw, 1);
    if (special >= 0) {
      if ((special & (NOT_WRITTEN | C2)) === 0) {
        const c = this.classAt(src);
        if (c === ZERO) this.copy(sin, src);
        else this.copy(sin, cos);
      }
      return special;
    }
    const flags = this.putCosine(cos, src, cw) & ~C1;
    return -1 - special | flags | this.putSine(sin, src, cw);
  }

  /**
   * FPTAN: the tangent to `dst` (the register that held `src`), 1 to `push`
   * (what is pushed; the same NaN when the result is one). C2: out of range,
   * nothing is written or pushed.
   */
  tangent(dst: number, push: number, src: number, cw: number): number {
    const isNumber = this.classAt(src) < INFINITE;
    const special = this.angleSpecial(dst, src, cw, 0);
    if (special >= 0) {
      if ((special & (NOT_WRITTEN | C2)) === 0) {
        if (isNumber) this.one(push);
        else this.copy(push, dst);
      }
      return special;
    }
    this.one(push);
    const flags = -1 - special;
    if (this.isTiny(src)) return flags | this.putTiny(dst, src, false, cw);
    const negative = (this.w[(src >> 2) + 2] & 0x8000) !== 0;
    this.reduceAngle(src);
    const q = this.quadrant;
    const ch = this.sineOrCosine(1), cl = LOW[0];
    const sh = this.sineOrCosine(0), sl = LOW[0];
    let h: number;
    if ((q & 1) !== 0) h = wideDiv(-ch, -cl, sh, sl);
    else h = wideDiv(sh, sl, ch, cl);
    const s = negative ? -1 : 1;
    return flags | this.putWide(dst, s * h, s * LOW[0], 0, cw);
  }
}
