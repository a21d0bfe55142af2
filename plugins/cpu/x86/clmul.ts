/**
 * PCLMULQDQ's product: of two polynomials over GF(2) with 64 terms.
 *
 * @module
 */

import type { Helper } from "../../../core/ir/builder.ts";
import { define } from "./helpers.ts";
import { OFF_SCRATCH, SCRATCH128 } from "./state.ts";

const RESULT = OFF_SCRATCH + 64, X = RESULT + 16, Y = RESULT + 32;

/** The product of `x` (two words) and `y` into four words of `to`. */
export function multiplyCarryless(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  to: Int32Array,
): void {
  to.fill(0, 0, 4);
  for (let k = 0; k < 64; k++) {
    if ((y[k >> 5] >>> (k & 31) & 1) === 0) continue;
    const at = k >> 5, n = k & 31;
    for (let w = 0; w < 2; w++) {
      to[at + w] ^= x[w] << n;
      if (n !== 0) to[at + w + 1] ^= x[w] >>> 32 - n;
    }
  }
}

/**
 * The product of a half of SCRATCH128[1] and one of [2] in SCRATCH128[0]; the
 * argument is the immediate.
 */
export const CLMUL: Helper = define(
  "clmul",
  1,
  { reads: [SCRATCH128[1], SCRATCH128[2]], writes: [SCRATCH128[0]] },
  (cpu) => (imm) => {
    const half = (at: number, n: number): Int32Array =>
      cpu.state.subarray((at >> 2) + 2 * n, (at >> 2) + 2 * n + 2);
    multiplyCarryless(
      half(X, imm & 1),
      half(Y, imm >> 4 & 1),
      cpu.state.subarray(RESULT >> 2, (RESULT >> 2) + 4),
    );
    return 0;
  },
);
