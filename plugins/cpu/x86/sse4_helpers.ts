/**
 * The helpers of SSE4.1's floating point: rounding to integers and dot
 * products, in any mode of MXCSR (SDM volume 2, ROUNDPS, DPPS).
 *
 * @module
 */

import {
  type Computation,
  computation,
  RESULT,
  type Run,
  type Unit,
  W_PREDICATE,
  X,
  Y,
} from "./sse_helpers.ts";

const IE = 1, PE = 0x20;
const DAZ = 0x40;
/** Where the rounding control stands in MXCSR. */
const RC_SHIFT = 13;
/** ROUNDPS' immediate: rounding by MXCSR, no PE. */
export const ROUND_BY_MXCSR = 4, ROUND_SILENT = 8;
/** Doubles from here on are integers. */
const INTEGRAL = 2 ** 52;

/** To an integer as the rounding control says: to nearest even, down, up, towards 0. The sign stays. */
function toInteger(x: number, control: number): number {
  const m = Math.abs(x);
  if (m >= INTEGRAL) return x;
  switch (control) {
    case 1:
      return Math.floor(x);
    case 2:
      return Math.ceil(x);
    case 3:
      return Math.trunc(x);
  }
  const r = (m + INTEGRAL) - INTEGRAL;
  return x < 0 || Object.is(x, -0) ? -r : r;
}

/** One number of ROUNDPS and its kin, `width` bytes at offsets of the state. */
function roundLane(
  u: Unit,
  width: number,
  to: number,
  from: number,
  mxcsr: number,
): number {
  const s = u.s, imm = s[W_PREDICATE], single = width === 4;
  const top = (from + width - 4) >> 2, high = s[top];
  const infinity = single ? 0x7f80_0000 : 0x7ff0_0000;
  const quiet = single ? 0x40_0000 : 0x8_0000;
  const magnitude = high & 0x7fff_ffff;
  const w = to >> 2, low = s[from >> 2];
  s[w] = low; // of a single, all of it
  const isNan = magnitude > infinity ||
    !single && magnitude === infinity && low !== 0;
  if (isNan) {
    s[(to + width - 4) >> 2] = high | quiet;
    return (high & quiet) === 0 ? IE : 0;
  }
  const { stateF32, stateF64 } = u.cpu;
  const x = (high & infinity) === 0 && (mxcsr & DAZ) !== 0
    ? high < 0 ? -0 : 0
    : single
    ? stateF32[from >> 2]
    : stateF64[from >> 3];
  const control = (imm & ROUND_BY_MXCSR) !== 0 ? mxcsr >> RC_SHIFT : imm;
  const r = toInteger(x, control & 3);
  if (single) stateF32[w] = r;
  else stateF64[to >> 3] = r;
  return r === x || (imm & ROUND_SILENT) !== 0 ? 0 : PE;
}

function round(width: number, scalar: boolean): Run {
  const end = scalar ? width : 16;
  return (u, mxcsr) => {
    let raised = 0;
    if (scalar) u.keep();
    for (let k = 0; k < end; k += width) {
      raised |= roundLane(u, width, RESULT + k, Y + k, mxcsr);
    }
    return raised;
  };
}

/** Adds to the number at byte `to` of the result the one at byte `from`. */
function addResult(
  u: Unit,
  width: number,
  to: number,
  from: number,
  mxcsr: number,
): number {
  const at = u.base + RESULT;
  return width === 4
    ? u.f.add32(at + to, at + to, at + from, mxcsr)
    : u.f.add64(at + to, at + to, at + from, mxcsr);
}

/**
 * DPPS, DPPD: products of the lanes that the immediate's upper half names (0 of
 * the others), their sum in the lanes that its lower half names.
 */
function dotProduct(width: number): Run {
  const count = 16 / width;
  return (u, mxcsr) => {
    const { base, s } = u;
    const imm = s[W_PREDICATE];
    const unmasked = ~(mxcsr >> 7) & 0x3f;
    let raised = 0;
    s.fill(0, RESULT >> 2, (RESULT + 16) >> 2);
    for (let n = 0; n < count; n++) {
      if ((imm >> 4 + n & 1) === 0) continue;
      const to = base + RESULT + n * width;
      const x = base + X + n * width, y = base + Y + n * width;
      raised |= width === 4
        ? u.f.mul32(to, x, y, mxcsr)
        : u.f.mul64(to, x, y, mxcsr);
    }
    if ((raised & unmasked) !== 0) return raised;
    raised |= addResult(u, width, 0, width, mxcsr);
    if (width === 4) {
      raised |= addResult(u, 4, 8, 12, mxcsr);
      if ((raised & unmasked) !== 0) return raised;
      raised |= addResult(u, 4, 0, 8, mxcsr);
    }
    const low = s[RESULT >> 2], high = s[(RESULT >> 2) + 1];
    for (let n = 0; n < count; n++) {
      const w = (RESULT + n * width) >> 2, on = (imm >> n & 1) !== 0;
      s[w] = on ? low : 0;
      if (width === 8) s[w + 1] = on ? high : 0;
    }
    return raised;
  };
}

/** The helpers, by mnemonic. The immediate is in SCRATCH32[1]. */
export const SSE4_HELPERS: Readonly<
  Record<
    "roundps" | "roundpd" | "roundss" | "roundsd" | "dpps" | "dppd",
    Computation
  >
> = {
  roundps: computation("roundps", round(4, false)),
  roundpd: computation("roundpd", round(8, false)),
  roundss: computation("roundss", round(4, true)),
  roundsd: computation("roundsd", round(8, true)),
  dpps: computation("dpps", dotProduct(4)),
  dppd: computation("dppd", dotProduct(8)),
};
