/**
 * The auxiliary word of an instruction (`aux` of `Frontend.restore`): what only
 * the translator knew of it, for when one of its accesses faults.
 *
 * Bits are cleared by what is known, so that -1 says nothing.
 *
 * @module
 */

/** CC_OP at the instruction's start; all ones when the state's is right. */
export const AUX_CC_OP = 0xff;
/** A page fault of its loads is not to be reported as one of a store. */
export const AUX_NOT_MODIFIES = 0x100;
/** Its accesses are not to the stack segment, so that an address that is not canonical raises #GP. */
export const AUX_NOT_STACK = 0x200;
/** What it stores (PUSH and CALL with an operand in memory) is not of the stack segment. */
export const AUX_NOT_PUSH = 0x400;
/** What it loads (POP with an operand in memory) is not of the stack segment. */
export const AUX_NOT_POP = 0x800;
/** The segments that it accesses do not all begin at 0 and have 4 GiB, or that was not asked, as in 64-bit mode. */
export const AUX_NOT_FLAT = 0x1000;
/** It has no operand of 32 bytes, which two accesses make. */
export const AUX_NOT_WIDE = 0x2000;
