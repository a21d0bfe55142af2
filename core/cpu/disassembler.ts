/**
 * What a CPU plugin offers for listings of guest code.
 *
 * @module
 */

/** Puts guest code and mode keys in words. */
export interface Disassembler {
  /**
   * The text of the instruction whose bytes begin at `code[start]`, at the
   * program counter `pcLo` in the static mode `key`.
   */
  insn(
    code: Uint8Array,
    start: number,
    pcLo: number,
    key: number,
  ): string;
  /** A static mode key in a few words. */
  mode(key: number): string;
}
