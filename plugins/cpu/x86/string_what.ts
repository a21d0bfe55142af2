/**
 * The word that says what a repeated string instruction is to do, and the one
 * that says what was done: between translated code, the functions in
 * WebAssembly (string_kernel.ts, string_compare.ts) and the helpers in
 * TypeScript (strings.ts, long_strings.ts).
 *
 * @module
 */

/** Elements that one call of a repeated string instruction does at most. */
export const MAX_ELEMENTS = 0x4000;

// The argument that says what to do, for the functions and for the helpers:
// in the low half the number of elements, at most `MAX_ELEMENTS`; above it
// log2 of the element size in bits 16 and 17, the segment of the source in bits
// 20-22, and these.

/** Where the size stands. */
export const REP_LOG_SHIFT = 16;
/** Where the segment of the source stands. */
export const REP_SEGMENT_SHIFT = 20;
/** 16-bit addresses. */
export const REP_ADDR16 = 1 << 24;
/** In 64-bit mode: 32-bit addresses. */
export const REP_ADDR32: number = REP_ADDR16;
/** REPNE instead of REPE (CMPS, SCAS). */
export const REP_NOT_EQUAL = 1 << 25;
/** One element only: single-stepping. */
export const REP_SINGLE = 1 << 26;
/** Accesses go through TLB 1. */
export const REP_USER = 1 << 27;
/** Downwards: DF is set. */
export const REP_DOWN = 1 << 28;
/** Flat segments and 32-bit addresses, or 64-bit mode: what those functions can do. */
export const REP_FLAT = 1 << 29;

/**
 * In the result: the helper is to go on. Otherwise the low half of the result is
 * the number of elements done, and above it stand the flags of the last
 * comparison (CMPS, SCAS).
 */
export const REP_SLOW: number = 0x80000000 | 0;
/** Where the flags stand in the result. */
export const REP_FLAGS_SHIFT = 16;
