/**
 * What PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM share: the comparison of
 * two strings of bytes or words up to IntRes2 (SDM volume 1, 14.? and volume 2,
 * chapter 4.1).
 *
 * @module
 */

import type { Helper } from "../../../core/ir/builder.ts";
import { define } from "./helpers.ts";
import { OFF_SCRATCH, SCRATCH128 } from "./state.ts";

/** The immediate: words, not bytes. */
export const WORDS = 1;
/** Signed elements. */
export const SIGNED = 2;
/** Where the aggregation stands, and what it is: any of a set, in one of some ranges, equal to its counterpart, start of a substring. */
export const AGGREGATION_SHIFT = 2,
  EQUAL_ANY = 0,
  RANGES = 1,
  EQUAL_EACH = 2,
  EQUAL_ORDERED = 3;
/** IntRes1 is inverted, if `MASKED` only for the source's elements. */
export const NEGATIVE = 0x10, MASKED = 0x20;
/** The index of the highest element; a mask of elements, not of bits. */
export const HIGHEST = 0x40, EXPANDED = 0x40;

const X = OFF_SCRATCH + 80, Y = OFF_SCRATCH + 96;

/** Elements of a vector at a byte offset of the state. */
function elements(
  state: Uint8Array,
  at: number,
  imm: number,
): Uint8Array | Int8Array | Uint16Array | Int16Array {
  const { buffer } = state, from = state.byteOffset + at;
  switch (imm & (WORDS | SIGNED)) {
    case 0:
      return new Uint8Array(buffer, from, 16);
    case WORDS:
      return new Uint16Array(buffer, from, 8);
    case SIGNED:
      return new Int8Array(buffer, from, 16);
    default:
      return new Int16Array(buffer, from, 8);
  }
}

/** IntRes1: a bit for each element of `y`. */
function aggregate(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  la: number,
  lb: number,
  imm: number,
): number {
  const n = x.length;
  let r = 0;
  for (let j = 0; j < n; j++) {
    let holds = false;
    switch (imm >> AGGREGATION_SHIFT & 3) {
      case EQUAL_ANY:
        for (let i = 0; i < la; i++) holds ||= j < lb && x[i] === y[j];
        break;
      case RANGES:
        for (let i = 0; i + 1 < la; i += 2) {
          holds ||= j < lb && y[j] >= x[i] && y[j] <= x[i + 1];
        }
        break;
      case EQUAL_EACH:
        holds = j < la && j < lb ? x[j] === y[j] : j >= la && j >= lb;
        break;
      case EQUAL_ORDERED:
        holds = true;
        for (let i = 0; i < la && j + i < n; i++) {
          holds &&= j + i < lb && x[i] === y[j + i];
        }
    }
    if (holds) r |= 1 << j;
  }
  return r;
}

/**
 * IntRes2 of the strings in SCRATCH128[1] (the destination operand) and [2]:
 * arguments are the immediate and the lengths, at most those of the vectors.
 */
export const COMPARE_STRINGS: Helper = define(
  "compare_strings",
  3,
  {
    reads: [SCRATCH128[1], SCRATCH128[2]],
    writes: [],
    pure: true,
  },
  (cpu) => (imm, la, lb) => {
    const x = elements(cpu.state8, X, imm), y = elements(cpu.state8, Y, imm);
    const r = aggregate(x, y, la, lb, imm);
    if ((imm & NEGATIVE) === 0) return r;
    const inverted = (imm & MASKED) !== 0 ? lb : x.length;
    return r ^ (1 << inverted) - 1;
  },
);
