/**
 * Where the parts of a flow program stand: `native/flow_supervisor.asm` knows some of it.
 *
 * @module
 */

export const PAGE = 4096;
export const RAM = 0xc00000;
/** Of the code, and of each part of the data. */
export const PAGES = 4;
/** With the page behind, of which only the first bytes are used, and the stack's. */
export const TABLE_PAGES = 5;

// Linear addresses: 16 MiB apart, so that they share entries of the TLBs.
export const CODE = 0x08000000;
export const ALIAS = 0x09000000;
/** In the same page table, so many pages further: a third view of the code. */
export const THIRD_VIEW = 8;
export const DATA = 0x0a000000;
/** Linear address and physical page tables by number: code, another view of it, three of data. */
export const SLOTS = 5;
/** Counters and tables of jumps: the fourth page of data. */
export const TABLES = DATA + 3 * PAGE;
export const STACK = DATA + 5 * PAGE - 64;
export const KERNEL = 0xc0000000;
export const OPS = 0x4000,
  OP_POSITION = 0x4ff0,
  EVENTS = 0x4ff4,
  START = 0x4ff8;
/** The page tables, for the supervisor. */
export const WINDOW = 0xc0010000;

// Physical addresses.
export const DIRECTORIES = 0x10000;
export const PAGE_TABLES = 0x12000;
/** Code's page table in the second address space. */
export const OTHER_CODE = 5;
export const KERNEL_TABLE = 0x18000;
export const SYSTEM = 0x20000;
export const DATA_AT = 0x40000;
export const VERSION_AT = [0x400000, 0x800000];
export const SWITCH_VERSION = 0xc00000;

export const P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100;
export const IRQ_VECTOR = 0x20;
export const IRQ_EVENTS = [0x80, 0x81];

/** A program, its versions and its page tables. */
export interface FlowProgram {
  /** The code pages of both versions. */
  readonly code: readonly [Uint8Array, Uint8Array];
  /** The page of counters and tables. */
  readonly tables: Uint8Array;
  /** The ring of operations. */
  readonly ops: Uint32Array;
  /** Entries of the page tables: physical address and value. */
  readonly entries: readonly (readonly [number, number])[];
  /** CR4. */
  readonly cr4: number;
  /** Base of the user's code segment; if it is not 0, there is only level 3. */
  readonly base: number;
  /** Level at the start. */
  readonly cpl: 0 | 3;
  /** The general registers. */
  readonly registers: readonly number[];
}
