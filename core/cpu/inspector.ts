/**
 * What a CPU plugin offers for people who look at its CPUs: what the human
 * monitor prints of registers and page tables. It is loaded when somebody
 * looks, and everything here is called while the CPU is between instructions.
 *
 * @module
 */

/** Physical memory without the side effects of devices. */
export interface PhysicalReader {
  /** Read RAM and ROM; gives back how many bytes from the first could be read. */
  (address: number, into: Uint8Array): number;
}

/** An instruction in words. */
export interface ListedInstruction {
  /** Its length in bytes, at least 1. */
  readonly length: number;
  /** Its text. */
  readonly text: string;
}

/** Puts the instruction at the start of `code` in words, which stands at a linear address. */
export type InstructionLister = (
  code: Uint8Array,
  address: bigint,
) => ListedInstruction;

/** A note of a core file. */
export interface CoreNote {
  /** Whose it is, in ASCII. */
  readonly name: string;
  /** Its type, among those of that name. */
  readonly type: number;
  /** What it says. */
  readonly data: Uint8Array;
}

/** What ELF core files say of a CPU. */
export interface CoreFormat {
  /** Bits of the code that it executes now, or of its system. */
  readonly bits: 32 | 64;
  /** ELF's `e_machine` of files of that many bits. */
  machine(bits: 32 | 64): number;
  /** The notes about it, as CPU of this number: each CPU has as many. */
  notes(cpu: number, bits: 32 | 64): readonly CoreNote[];
}

/** Looks at one CPU. */
export interface CpuInspector {
  /** Bits of a linear address as they are printed: 32 or 64. */
  readonly addressBits: 32 | 64;
  /** The linear address of the next instruction. */
  readonly pc: bigint;
  /** Whether it waits for an interrupt. */
  readonly isHalted: boolean;
  /** All registers, in lines. */
  registers(): Iterable<string>;
  /** The names that {@linkcode CpuInspector.register} knows. */
  readonly registerNames: readonly string[];
  /** A register's value by its name; undefined when there is none of that name. */
  register(name: string): bigint | undefined;
  /** The physical address of a linear one; undefined when nothing is mapped there. */
  translate(linear: bigint): bigint | undefined;
  /**
   * A line for each range of linear addresses that is mapped in one way. The
   * tables are the guest's: there may be very many lines, and it ends by
   * itself when there are too many tables.
   */
  mappings(): Iterable<string>;
  /** A line for each page that is mapped. */
  pages(): Iterable<string>;
  /** What puts code of the CPU's present mode in words. */
  lister(): Promise<InstructionLister>;
  /** Bytes of the longest instruction. */
  readonly longestInstruction: number;
  /** For core files; absent where the plugin knows none. */
  readonly core?: CoreFormat;
}
