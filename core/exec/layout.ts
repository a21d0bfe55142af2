/**
 * What stands where in a CPU's area of the shared memory, and in the arena.
 * Offsets are in bytes from the CPU's base; code reaches all of it by constant
 * offsets from its one parameter.
 *
 * @module
 */

/** Remaining instructions of the slice; negative: leave at the next block. */
export const OFF_BUDGET = 0x00;
/** Address of the word that held the record control went to. */
export const OFF_LINK = 0x04;
/** At `EXIT_BUDGET` and `EXIT_HOT`: the record of the block that was not entered. */
export const OFF_RECORD = 0x08;
/** At a fault exit: the bytecode address, or a region's fault index. */
export const OFF_FAULT = 0x0c;
/** At a fault or budget exit: 0 from the interpreter, else the number of the region. */
export const OFF_FAULT_REGION = 0x10;
/** At `EXIT_TRAP`: the code. */
export const OFF_TRAP = 0x14;
/** The present mode key. */
export const OFF_JUMP_KEY = 0x18;
/**
 * What entries of the jump cache that are valid in the present mode carry: a
 * number that stands for the mode key until the next flush of its jumps.
 */
export const OFF_JUMP_TAG = 0x1c;
/** At `EXIT_INDIRECT`: the target's program counter, i64. */
export const OFF_TARGET = 0x20;
/** What {@linkcode refillWord} packs. */
export interface RefillWord {
  /** From the lowest byte of the cluster to the first access: below 256. */
  readonly distance: number;
  /** Bytes of the cluster: below 256. */
  readonly bytes: number;
  /** Whether the first access is a store. */
  readonly isFirstStore: boolean;
  /** Whether any is. */
  readonly isStore: boolean;
  /** Which TLB. */
  readonly mmu: number;
}

/** Smallest answer of `SoftMmu.refill` to a region that is a host offset. */
export const REFILLED = 4;

/** What `SoftMmu.refill` is to do, in one word. */
export function refillWord(
  { distance, bytes, isFirstStore, isStore, mmu }: RefillWord,
): number {
  return distance | bytes << 8 | Number(isFirstStore) << 16 |
    Number(isStore) << 17 | mmu << 18;
}

/** A word that always holds 0: the base of constant addresses. */
export const OFF_ZERO = 0x28;
/** The word through which the dispatcher enters a record. */
export const OFF_ENTER = 0x2c;
/** A value that crosses the slow path: 16 bytes. */
export const OFF_VALUE = 0x30;
/** Offset of the TLB of fetches that the present mode uses. */
export const OFF_FETCH_TLB = 0x40;
/** Host offset of the block index: see {@linkcode INDEX_BUCKETS}. */
export const OFF_INDEX = 0x44;
/** Of the present mode's TLB, what `OFF_JUMP_PAGES` holds for pages in use. */
export const OFF_JUMP_MARK = 0x48;
/** All ones if the present mode's code is relocatable, else 0. */
export const OFF_RELOCATABLE = 0x50;
/**
 * Code whose addresses are physical ones may read and write 4 KiB from each
 * address of a window on: its first address, and how many addresses there are
 * ({@linkcode FlatPages}).
 */
export const OFF_FLAT_WINDOW = 0x54;
/** Behind it: how many addresses; 0: there is no window. */
export const OFF_FLAT_WINDOW_SIZE = 0x58;
/**
 * What to add to the low half of a program counter as translated code has it to
 * get the guest's; where program counters have 64 bits, an i64 to add to all of
 * it. Blocks of relocatable code (`Frontend.relocatable`) have the physical
 * address in its place, so that one translation serves wherever a process has
 * the page; in other modes this is 0. It is a global's slot: a frontend reads it
 * where an instruction needs its own address. Whoever goes to a block on another
 * page sets it.
 */
export const OFF_PC_BASE = 0x60;
/** Table index of the function that finds a computed jump's target in the present mode. */
export const OFF_LOOKUP = 0x5c;
/** 1: the CPU has halted and waits for an event. */
export const OFF_HALTED = 0x68;
/** Instructions executed before the current run, since the engine was made: an f64. */
export const OFF_INSTRUCTIONS = 0x70;
/** First temp slot of the interpreter. */
export const OFF_TEMPS = 0x1000;
/** End of the temp slots. */
export const OFF_TEMPS_END = 0x8000;
/**
 * For each TLB, one byte for each linear page modulo 4096: the low byte of the generation in
 * which an entry of it was last made in the jump cache. Only if that is the
 * present one has a flush of the page to forget the jump cache. A flush of any other page leaves the jump cache alone; a Linux
 * kernel flushes pages of data by the ten thousand while it starts.
 */
export const OFF_JUMP_PAGES = 0x8000;
/** Bytes of those of one TLB. */
export const JUMP_PAGES_BYTES = 4096;
/** TLBs: one after another, by MMU index. */
export const OFF_TLB = 0x10000;
/**
 * Entries of a TLB. They cover 16 MiB: with 1024 a Linux kernel's decompressor
 * missed 380,000 times.
 */
export const TLB_ENTRIES = 4096;
/** Bytes of a TLB entry. Small, because those of a large working set compete for the host's cache. */
export const TLB_ENTRY_BYTES = 16;
/** Bytes of one TLB. */
export const TLB_BYTES: number = TLB_ENTRIES * TLB_ENTRY_BYTES;
/** Number of TLBs. */
export const TLB_COUNT = 2;
/**
 * Behind the TLBs, one more for each: what a new translation drove out of its
 * entry. Translated code looks only in the first ones; what it misses there is
 * swapped in from here without leaving WebAssembly. (Where two pages that a
 * loop uses share an entry, gzip took 1.3 times as long.)
 */
export const VICTIM_BYTES: number = TLB_COUNT * TLB_BYTES;
/** In a TLB entry: the page's address if it may be read. */
export const TLB_READ = 0;
/**
 * In a TLB entry: the page's address if it may be written; with
 * {@linkcode TAG_CODE} flipped if it holds translated code.
 */
export const TLB_WRITE = 8;
/** A bit of the entry's index, so that such a tag matches no access. */
export const TAG_CODE: number = TLB_ENTRIES << 11;
/**
 * Behind each tag: host offset of the page. Tag and offset are loaded as one
 * i64, because V8 checks the bounds of every access.
 */
export const TLB_HOST = 4;
/** Jump cache. */
export const OFF_JUMP_CACHE = 0x50000;
/** Physical page number of each TLB entry, victims included: a word each. */
export const OFF_TLB_PHYSICAL = 0x90000;
/**
 * The TLBs of fetches, by MMU index, with as many entries: the page's address
 * and its host offset, together an i64. They are apart, so that data does not
 * drive code out.
 */
export const OFF_FETCH_TLBS = 0xa0000;
/** Bytes of an entry. */
export const FETCH_ENTRY_BYTES = 8;
/** Bytes of one TLB of fetches. */
export const FETCH_TLB_BYTES: number = TLB_ENTRIES * FETCH_ENTRY_BYTES;
/** Physical page number of each entry of those: a word each. */
export const OFF_FETCH_PHYSICAL = 0xb0000;
/**
 * Which granules of 64 bytes of a page hold translated code: an i64 for each
 * physical page, modulo {@linkcode CODE_MASKS}; pages that share one get the
 * union. What a store to a page with code looks at.
 */
export const OFF_CODE_MASKS = 0xc0000;
/** Number of those: 64 MiB of guest memory without sharing. */
export const CODE_MASKS = 16384;
/** Bytes of one. */
export const CODE_MASK_BYTES = 8;
/** A page of ones: what is read where nothing answers. */
export const OFF_ONES = 0xe0000;
/**
 * Behind the rest: what code whose addresses are physical ones may do with each
 * physical page below 4 GiB, a byte each (`FlatPages`).
 */
export const OFF_FLAT_PAGES = 0x100000;
/** Of a page and the next one: may be read. */
export const FLAT_READ = 1;
/** May be written as well. */
export const FLAT_WRITE = 2;
/**
 * The TLBs that code with addresses of 64 bits looks into, by MMU index. (Code
 * with 32 bits keeps its own, whose entries are half the size.)
 */
export const OFF_WIDE_TLB = 0x200000;
/** Bytes of an entry: reading and writing each an i64 tag as in the others, then {@linkcode WIDE_HOST}, {@linkcode WIDE_PAGE}. */
export const WIDE_ENTRY_BYTES = 32;
/** Bytes of one of those TLBs. */
export const WIDE_TLB_BYTES: number = TLB_ENTRIES * WIDE_ENTRY_BYTES;
/** From an entry to its victim. */
export const WIDE_VICTIM_BYTES: number = TLB_COUNT * WIDE_TLB_BYTES;
/** In an entry: the host offset of the page. */
export const WIDE_HOST = 16;
/** In an entry: physical page number, and whether the translation is global. */
export const WIDE_PAGE = 20;
/** The TLBs of fetches of such code. */
export const OFF_WIDE_FETCH_TLBS = 0x280000;
/** Bytes of an entry: the page's address, an i64; its host offset; its physical page number. */
export const WIDE_FETCH_ENTRY_BYTES = 16;
/** In an entry: the host offset. */
export const WIDE_FETCH_HOST = 8;
/** In an entry: the physical page number. */
export const WIDE_FETCH_PAGE = 12;
/** Bytes of one of those. */
export const WIDE_FETCH_TLB_BYTES: number = TLB_ENTRIES *
  WIDE_FETCH_ENTRY_BYTES;
/**
 * Where there are several CPUs: which granules hold code that this one has
 * translated; `OFF_CODE_MASKS` has the union over all CPUs.
 */
export const OFF_OWN_CODE_MASKS = 0x3c0000;
/**
 * Entries of the jump cache. A fork and exec in Linux jumps to some thousands of
 * places; with 4096 entries a tenth of its time went to the block index.
 */
export const JUMP_CACHE_ENTRIES = 16384;
/** Bytes of an entry: program counter i64, tag, record. */
export const JUMP_CACHE_ENTRY_BYTES = 16;
/** In a jump cache entry: program counter. */
export const JUMP_PC = 0;
/** In a jump cache entry: tag. */
export const JUMP_TAG = 8;
/** In a jump cache entry: record. */
export const JUMP_RECORD = 12;

/**
 * Buckets of the block index at the arena's start: a hash table of all blocks
 * on one page by physical address and mode, chained through their records, in
 * which translated code finds what a flush of the jump cache made it forget.
 * A bucket is the offset of a record, or 0.
 */
export const INDEX_BUCKETS = 131072;
/** Bytes of the block index. */
export const INDEX_BYTES: number = INDEX_BUCKETS * 4;

/**
 * Targets that the interpreter remembers of each computed jump: a ring of words
 * (low halves of program counters), written at the block's count modulo this.
 */
export const PROFILE_TARGETS = 16;
/** Bytes of a profile. */
export const PROFILE_BYTES: number = PROFILE_TARGETS * 4;

/** In a record: bytecode address, 0 when the block is not interpreted. */
export const REC_BYTECODE = 0;
/** In a record: table index to enter when there is no bytecode. */
export const REC_TABLE = 4;
/** In a record: executions left until the block is hot. */
export const REC_COUNT = 8;
/** In a record: guest instructions of the block. */
export const REC_INSNS = 12;
/** In a record: low half of the program counter, less {@linkcode OFF_PC_BASE}. */
export const REC_PC_LO = 16;
/** In a record: high half of the program counter. */
export const REC_PC_HI = 20;
/** In a record: number of the block. */
export const REC_BLOCK = 24;
/** In a record: physical address of the block; of one across two pages an address that is none of its. */
export const REC_PHYSICAL = 28;
/** In a record: mode key of the block. */
export const REC_KEY = 32;
/** In a record: the next record of its bucket in the block index, or 0. */
export const REC_NEXT = 36;
/**
 * In a record: its own address, so that regions jump to it without a link cell;
 * of a dead one, that of the record that came after it. No link cell is as far
 * from a multiple of 16.
 */
export const REC_SELF = 40;
/** In a record: host offset of the block's page; 0 if it is across two. */
export const REC_HOST = 44;
/** Bytes of a record. */
export const RECORD_BYTES = 48;

/** In a link cell: the record it leads to. */
export const CELL_RECORD = 0;
/** In a link cell: low half of the target's program counter, less the block's {@linkcode OFF_PC_BASE}. */
export const CELL_PC_LO = 4;
/** In a link cell: high half of the target's program counter. */
export const CELL_PC_HI = 8;
/** In a link cell: number of the block it belongs to. */
export const CELL_BLOCK = 12;
/** What tells a block to whom a store may modify: 16 bits that are never 0. */
export function runningTag(block: number): number {
  return (block & 0x7fff) + 1;
}
/** Bytes of a link cell. */
export const CELL_BYTES = 16;

/** Table index of the function that returns `EXIT_UNLINKED`. */
export const TABLE_UNLINKED = 0;
/** Table index of the interpreter. */
export const TABLE_INTERPRETER = 1;
/** Table index of the function that tries the jump cache's second way. */
export const TABLE_LOOKUP = 2;
/** Table index of the function that follows a link cell through the jump cache. */
export const TABLE_FAR = 3;
/** Table index of what {@linkcode TABLE_LOOKUP} is, for program counters of 64 bits. */
export const TABLE_LOOKUP_WIDE = 4;
/** Table index of what {@linkcode TABLE_FAR} is, for program counters of 64 bits. */
export const TABLE_FAR_WIDE = 5;
/** First table index of regions. */
export const TABLE_REGIONS = 6;
