/**
 * Tables for AES by vector look-ups of 16 bytes, made from the field's
 * definition (FIPS 197).
 *
 * The S-box's inversion in GF(256) is done in GF(16), for which tables of 16
 * bytes are enough (M. Hamburg, Accelerating AES with Vector Permute
 * Instructions, CHES 2009). An element is `k + i s` with `k` and `i` in GF(16)
 * and `s^2 = a s + a`; its norm is `N = k^2 + a i k + a i^2`. With `j = i + k`,
 *
 *     u = 1 / (1/i + a/k) + j  and  v = 1 / (1/j + a/k) + i
 *
 * are `N / (k + a i)` and `N / (k + a i + a k)`, so that `k/N` and `i/N`, and by
 * them the inverse `(k + a i)/N + (i/N) s`, are sums of something of `1/u` and
 * something of `1/v`: a table for each. 1/0 is infinity, which added to anything
 * stays infinity: a byte for which no look-up finds anything but 0.
 *
 * @module
 */

/** What stands for infinity: an index that no table has. */
const INFINITY = 0x80;
/** The `a` of the extension: for it, `s^2 + a s + a` has no root. */
const A = 2;
/** The affine part of the S-box. */
export const AFFINE = 0x63;

/** A product modulo a polynomial over GF(2) whose highest power is `top`. */
function multiply(x: number, y: number, modulus: number, top: number): number {
  let r = 0;
  for (; y !== 0; y >>= 1) {
    if ((y & 1) !== 0) r ^= x;
    x <<= 1;
    if ((x & top) !== 0) x ^= modulus;
  }
  return r;
}

/** In GF(16), by `x^4 + x + 1`. */
const times = (x: number, y: number): number => multiply(x, y, 0x13, 0x10);

const all = (count: number, f: (n: number) => number): number[] =>
  Array.from({ length: count }, (_, n) => f(n));
/** Inverses in GF(16), 0 for 0. */
const inverse = all(16, (x) => {
  for (let y = 1; y < 16; y++) if (times(x, y) === 1) return y;
  return 0;
});

/** A product of elements `i << 4 | k`. */
function timesPair(x: number, y: number): number {
  const k = x & 15, i = x >> 4, l = y & 15, m = y >> 4;
  const square = times(A, times(i, m));
  return times(k, l) ^ square | (times(k, m) ^ times(i, l) ^ square) << 4;
}

/** The powers of what AES calls 2 as such elements: a root of AES's polynomial. */
function powersOfTwo(): number[] {
  for (let root = 2;; root++) {
    const p = [1];
    for (let n = 1; n <= 8; n++) p.push(timesPair(p[n - 1], root));
    if ((p[8] ^ p[4] ^ p[3] ^ p[1] ^ p[0]) === 0) return p;
  }
}

const powers = powersOfTwo();
/** AES's elements as those of the extension. */
const toPairs = all(256, (x) => {
  let r = 0;
  for (let n = 0; n < 8; n++) if ((x >> n & 1) !== 0) r ^= powers[n];
  return r;
});
/** The reverse of a table of all bytes. */
function reverse(table: readonly number[]): Uint8Array {
  const r = new Uint8Array(256);
  for (let x = 0; x < 256; x++) r[table[x]] = x;
  return r;
}
const fromPairs = reverse(toPairs);
/** The linear part of the S-box's affine map: FIPS 197, (5.1). */
const linear = all(256, (x) => {
  const twice = x | x << 8;
  return (twice ^ twice >> 4 ^ twice >> 5 ^ twice >> 6 ^ twice >> 7) & 0xff;
});
const fromLinear = reverse(linear);

/** The tables of one direction. */
export interface SubstitutionTables {
  /** By the low, and by the high half of a byte: what sums up to `i << 4 | k`. */
  readonly low: readonly number[];
  /** See `low`. */
  readonly high: readonly number[];
  /** By `u` and by `v`: what sums up to the result. */
  readonly u: readonly number[];
  /** See `u`. */
  readonly v: readonly number[];
}

/** `1/x`. */
export const RECIPROCAL: readonly number[] = all(
  16,
  (x) => x === 0 ? INFINITY : inverse[x],
);
/** `a/x`. */
export const A_BY: readonly number[] = all(
  16,
  (x) => x === 0 ? INFINITY : times(A, inverse[x]),
);

// With p = 1/u and q = 1/v, i/N is p/a + (p + q)/a^2.
const byA = (x: number): number => times(x, inverse[A]);
const fromU = all(16, (u) => {
  const p = inverse[u];
  return fromPairs[p | (byA(p) ^ byA(byA(p))) << 4];
});
const fromV = all(16, (v) => fromPairs[byA(byA(inverse[v])) << 4]);

/** SubBytes, but for the sum with {@linkcode AFFINE}. */
export const SUBSTITUTION: SubstitutionTables = {
  low: all(16, (n) => toPairs[n]),
  high: all(16, (n) => toPairs[n << 4]),
  u: fromU.map((x) => linear[x]),
  v: fromV.map((x) => linear[x]),
};

/** InvSubBytes. */
export const INVERSE_SUBSTITUTION: SubstitutionTables = {
  low: all(16, (n) => toPairs[fromLinear[n ^ AFFINE]]),
  high: all(16, (n) => toPairs[fromLinear[n << 4]]),
  u: fromU,
  v: fromV,
};
