/**
 * The 256-bit registers of a local APIC (IRR, ISR, TMR): a set of vectors, as
 * eight words of the shared memory, or of a state record.
 *
 * @module
 */

/** Words of a set. */
const WORDS = 8;

/** The empty set, for a state record. */
export function noVectors(): number[] {
  return new Array(WORDS).fill(0);
}

/** Whether a vector is in the set. */
export function hasVector(set: Int32Array, vector: number): boolean {
  return (set[vector >> 5] >> (vector & 31) & 1) !== 0;
}

/** Put a vector in, or take it out. */
export function putVector(set: Int32Array, vector: number, on: boolean): void {
  const bit = 1 << (vector & 31);
  if (on) set[vector >> 5] |= bit;
  else set[vector >> 5] &= ~bit;
}

/** The highest vector of the set, or -1. */
export function highestVector(set: Int32Array): number {
  for (let word = WORDS - 1; word >= 0; word--) {
    if (set[word] !== 0) return word << 5 | 31 - Math.clz32(set[word]);
  }
  return -1;
}
