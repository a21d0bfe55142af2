/**
 * Double-double arithmetic (about 104 bits) for the transcendental operations:
 * a number is the unevaluated sum of two binary64, |low| <= ulp(high) / 2.
 * Functions give the high part and leave the low part in {@link LOW}.[0].
 * After Dekker (1971) and Knuth's two-sum.
 * @module
 */

/** Where every function leaves the low part of its result. */
export const LOW: Float64Array = new Float64Array(1);

const SPLIT = 134217729; // 2^27 + 1

/** The exact sum of two binary64. */
export function twoSum(a: number, b: number): number {
  const s = a + b, t = s - a;
  LOW[0] = (a - (s - t)) + (b - t);
  return s;
}

/** a + b. */
export function wideAdd(
  ah: number,
  al: number,
  bh: number,
  bl: number,
): number {
  const s = ah + bh, t = s - ah;
  const e = (ah - (s - t)) + (bh - t);
  const u = al + bl, v = u - al;
  const f = (al - (u - v)) + (bl - v);
  const c = e + u, h = s + c;
  const d = f + (c - (h - s));
  const r = h + d;
  LOW[0] = d - (r - h);
  return r;
}

/** a * b. */
export function wideMul(
  ah: number,
  al: number,
  bh: number,
  bl: number,
): number {
  const p = ah * bh;
  let t = ah * SPLIT;
  const a1 = t - (t - ah), a0 = ah - a1;
  t = bh * SPLIT;
  const b1 = t - (t - bh), b0 = bh - b1;
  const e = ((a1 * b1 - p) + a1 * b0 + a0 * b1) + a0 * b0;
  const c = e + (ah * bl + al * bh);
  const r = p + c;
  LOW[0] = c - (r - p);
  return r;
}

/** a / b. */
export function wideDiv(
  ah: number,
  al: number,
  bh: number,
  bl: number,
): number {
  const q = ah / bh;
  let h = wideMul(q, 0, bh, bl);
  let rh = wideAdd(ah, al, -h, -LOW[0]);
  const rl = LOW[0], q2 = rh / bh;
  h = wideMul(q2, 0, bh, bl);
  rh = wideAdd(rh, rl, -h, -LOW[0]);
  const q3 = rh / bh;
  const s = q + q2;
  return twoSum(s, (q2 - (s - q)) + q3);
}

/**
 * Sum of `coefficients[k] * z^k` (pairs high, low) by Horner's rule. The last
 * `plain` coefficients are evaluated in binary64: their share is small enough.
 */
export function wideHorner(
  coefficients: Float64Array,
  zh: number,
  zl: number,
  plain: number,
): number {
  let k = coefficients.length - 2;
  let h = coefficients[k], l = coefficients[k + 1];
  for (; plain > 1; plain--) {
    k -= 2;
    h = coefficients[k] + h * zh;
    l = 0;
  }
  while (k > 0) {
    k -= 2;
    h = wideMul(h, l, zh, zl);
    h = wideAdd(coefficients[k], coefficients[k + 1], h, LOW[0]);
    l = LOW[0];
  }
  LOW[0] = l;
  return h;
}
