/**
 * What a CPU plugin offers for listings of guest code.
 *
 * @module
 */

/** One instruction of a listing. */
export interface DisassembledInsn {
  /** Its length in bytes, at least 1. */
  readonly length: number;
  /** Its text. */
  readonly text: string;
}

/** Puts guest code and mode keys in words. */
export interface Disassembler {
  /**
   * The instruction whose bytes begin at `code[start]`, at the program counter
   * `pcLo` in the static mode `key`.
   */
  insn(
    code: Uint8Array,
    start: number,
    pcLo: number,
    key: number,
  ): DisassembledInsn;
  /** A static mode key in a few words. */
  mode(key: number): string;
}
