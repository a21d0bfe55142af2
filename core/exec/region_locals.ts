/**
 * The locals and labels that every region's function has.
 *
 * @module
 */

import { I32, I64, type Type } from "../ir/types.ts";

/**
 * Locals. HOST, ENTRY, ADDRESS, WIDE (an address of 64 bits) and PAIR are
 * scratch, PC64 a target on its way out.
 */
export const CPU = 0,
  BUDGET = 1,
  LINK = 2,
  RECORD = 3,
  FAULT = 4,
  REASON = 5,
  ADDRESS = 6,
  ENTRY = 7,
  HOST = 8,
  PC64 = 9,
  PAIR = 10,
  WIDE = 11;
/** The types of those, in order. */
export const FIXED_LOCALS: readonly Type[] = [
  ...new Array(PC64).fill(I32),
  I64,
  I64,
  I64,
];
/** Their names in dumps. */
export const FIXED_NAMES: readonly string[] =
  "cpu budget link record fault reason address entry host pc64 pair wide"
    .split(" ");

/** Labels of the function's epilogues, and of structured control flow above 0. */
export const L_FAULT_LOAD = -8,
  L_DONE = -9,
  L_LOOKUP = -7,
  L_LINK = -1,
  L_EXIT = -2,
  L_BUDGET = -3,
  L_FAULT_SPILLED = -5,
  L_ANY = -6,
  L_NO_CASE = -10,
  L_WARM = -11,
  L_WARMING = -12,
  L_FORBIDDEN = -13,
  L_REFUSED = -14,
  L_CASES = -100,
  L_SLOW = -200;
