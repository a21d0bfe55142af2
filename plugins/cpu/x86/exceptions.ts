/**
 * The exception vectors, and what else is recorded in the place of one.
 *
 * @module
 */

/** Exception vectors (SDM volume 3, table 6-1). */
export const EXC_DE = 0,
  EXC_DB = 1,
  EXC_NMI = 2,
  EXC_BP = 3,
  EXC_OF = 4,
  EXC_BR = 5,
  EXC_UD = 6,
  EXC_NM = 7,
  EXC_DF = 8,
  EXC_TS = 10,
  EXC_NP = 11,
  EXC_SS = 12,
  EXC_GP = 13,
  EXC_PF = 14,
  EXC_MF = 16,
  EXC_AC = 17,
  EXC_MC = 18,
  EXC_XM = 19;

/** Recorded to leave a block without an exception: see `Faults.leaveIfChanged`. */
export const EXC_NONE = -2;
/** Recorded to wait for an event where it is: see `Faults.waitForEvent`. */
export const EXC_WAIT = -3;
/**
 * Recorded at an access to an address that is not canonical: #SS(0) if the
 * instruction's accesses are to the stack segment, else #GP(0). The error code
 * says for the time being whether it was a store.
 */
export const EXC_NOT_CANONICAL = -4;
/**
 * Recorded over a page fault at an access past 4 GiB: #SS(0) or #GP(0) as well,
 * if the segments that the instruction accesses begin at 0; else it is the page
 * fault. (Where its pages are present it turns round: SDM volume 3, 5.3, leaves
 * both to the CPU.)
 */
export const EXC_PAST_END = -5;
