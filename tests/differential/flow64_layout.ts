/**
 * Where the parts of a 64-bit flow program stand: some of it is known to
 * `native/flow64_supervisor.asm`.
 *
 * @module
 */

export const PAGE = 4096;
/** Of the code, and of each part of the data. */
export const PAGES = 4;
/** With the page behind, of which only the first bytes are used, and the stack's. */
export const TABLE_PAGES = 5;

/** RAM by physical address: below and above the hole, and beyond what has code addresses (`HighCode`). */
export const BANKS: readonly {
  readonly base: number;
  readonly size: number;
}[] = [
  { base: 0, size: 0x800000 },
  { base: 0xb0000000, size: 0x800000 },
  { base: 0x1_2000_0000, size: 0x800000 },
  { base: 0x1_5f00_0000, size: 0x800000 },
];
/** The first page tables: the two PML4s. Others follow. */
export const TABLES_AT = 0x10000;
export const TABLES_END = 0xa0000;
export const SYSTEM = 0x100000;
/** Frames of data, in each bank but the last. */
export const DATA_IN_BANK = 0x200000;
/** The code, in each bank. */
export const CODE_IN_BANK = 0x400000;
/** Pages of a device, which are among the data. */
export const DEVICE = 0xd000_0000;
/** The physical addresses of the code's versions. */
export const VERSION_AT: readonly number[] = BANKS.map((b) =>
  b.base + CODE_IN_BANK
);

/**
 * Linear addresses of the code. Most share entries of the TLBs, and the low
 * halves of their addresses; one lies across 4 GiB, one ends where canonical
 * addresses do.
 */
export const VIEWS: readonly bigint[] = [
  0x5555_0040_0000n,
  0x7fff_0040_0000n,
  -0x7fc0_0000n,
  0x2_ffff_e000n,
  0x7fff_ffff_b000n,
  0x0840_0000n,
];
/** The same of data, whose fourth page has counters, tables of jumps and the stack behind them. */
export const DATA: readonly bigint[] = [
  0x5555_4140_0000n,
  -0x36ff_ffc0_0000n,
  0xffff_e000n,
  0x0a40_0000n,
];
/** By which register programs reach each; the last one by its address. */
export const DATA_BASE = [15, 14, 13, -1];
/** In the first part of data: counters and tables. */
export const TABLES = 3 * PAGE;
export const STACK_OFFSET: bigint = BigInt(5 * PAGE - 64);
export const STACK: bigint = DATA[0] + STACK_OFFSET;

export const KERNEL = -0x6543_2a20_0000n;
/** Where the supervisor sees the page tables. */
export const WINDOW: bigint = KERNEL + 0x10_0000n;
export const SYSTEM_PAGES = 12;
export const OP_POSITION = 0x4000,
  EVENTS = 0x4008,
  START = 0x4010,
  COUNT = 0x4020,
  OPS = 0x5000,
  LOG = 0x6000,
  ENTRIES = 0xa000;

export const P = 1n,
  RW = 2n,
  US = 4n,
  A = 0x20n,
  D = 0x40n,
  PS = 0x80n,
  G = 0x100n,
  XD = 1n << 63n;
/** The bits of an entry's address. */
export const FRAME = 0x000f_ffff_ffff_f000n;
export const IRQ_VECTOR = 0x20;

/** A program, its versions and its page tables. */
export interface FlowProgram64 {
  /** The code pages of both versions; those in banks with odd numbers are the second. */
  readonly code: readonly [Uint8Array, Uint8Array];
  /** The page of counters and tables. */
  readonly tables: Uint8Array;
  /** Offsets in the code of words that may become anything. */
  readonly values: readonly number[];
  /** The ring of operations: entry's linear address, AND, XOR, flush. */
  readonly ops: BigUint64Array;
  /** Entries of the page tables: physical address and value. */
  readonly entries: readonly (readonly [number, bigint])[];
  /** Those that a page fault repairs, by their linear addresses. */
  readonly repaired: readonly bigint[];
  /** CR4. */
  readonly cr4: number;
  /** RIP of the start, and RSP after an exception. */
  readonly start: bigint;
  readonly stack: bigint;
  /** Whether it is a 32-bit program, and the base of its CS. */
  readonly compatibility: boolean;
  readonly base: number;
  /** Whether interrupts have a stack of their own (IST), as they must at level 0. */
  readonly ist: boolean;
  /** Level. */
  readonly cpl: 0 | 3;
  /** The general registers, low halves. */
  readonly registers: readonly number[];
}
