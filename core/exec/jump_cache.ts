/**
 * How translated code finds the block at a computed program counter: the jump
 * cache (by program counter and mode, inline), and behind it the block index
 * (by physical address, in a function of its own).
 *
 * @module
 */

import { EXIT_INDIRECT } from "../cpu/frontend.ts";
import { I32, I64, WASM_TYPES } from "../ir/types.ts";
import type { Emitter } from "../wasm/emitter.ts";
import * as W from "../wasm/opcodes.ts";
import {
  CELL_PC_HI,
  CELL_PC_LO,
  FETCH_ENTRY_BYTES,
  FETCH_TLB_BYTES,
  INDEX_BYTES,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_BYTES,
  JUMP_PAGES_BYTES,
  JUMP_PC,
  JUMP_RECORD,
  JUMP_TAG,
  OFF_FETCH_PHYSICAL,
  OFF_FETCH_TLB,
  OFF_FETCH_TLBS,
  OFF_INDEX,
  OFF_JUMP_CACHE,
  OFF_JUMP_KEY,
  OFF_JUMP_MARK,
  OFF_JUMP_PAGES,
  OFF_JUMP_TAG,
  OFF_LINK,
  OFF_PC_BASE,
  OFF_RELOCATABLE,
  OFF_TARGET,
  OFF_WIDE_FETCH_TLBS,
  REC_KEY,
  REC_NEXT,
  REC_PC_HI,
  REC_PC_LO,
  REC_PHYSICAL,
  REC_TABLE,
  TABLE_LOOKUP,
  TABLE_LOOKUP_WIDE,
  TLB_ENTRIES,
  WIDE_FETCH_ENTRY_BYTES,
  WIDE_FETCH_PAGE,
  WIDE_FETCH_TLB_BYTES,
} from "./layout.ts";

const I32_MUL = 0x6c,
  I32_LT_U = 0x49,
  I32_STORE8 = 0x3a,
  I32_WRAP_I64 = 0xa7,
  I64_SHL = 0x86,
  I64_OR = 0x84,
  I64_XOR = 0x85,
  I64_ADD = 0x7c,
  I64_SUB = 0x7d,
  I64_LT_U = 0x54,
  F64_CONVERT_I64_S = 0xb9;

/**
 * Knuth's multiplicative hash: its top bits depend on all bits of the program
 * counter. (Page xor offset, as QEMU hashes, missed half a million times in the
 * decompressor of a Linux kernel, where a few pages of code share offsets.)
 */
const JUMP_HASH = 0x9e3779b1 | 0;
const JUMP_SHIFT = 32 - Math.log2(JUMP_CACHE_ENTRIES * JUMP_CACHE_ENTRY_BYTES);
const JUMP_MASK = (JUMP_CACHE_ENTRIES - 1) * JUMP_CACHE_ENTRY_BYTES;

/** Emits the jump cache's hash of the i32 that `pushLow` pushes, as an entry's offset. */
export function emitJumpHash(e: Emitter, pushLow: () => void): void {
  pushLow();
  e.i32Const(JUMP_HASH);
  e.u8(I32_MUL);
  e.i32Const(JUMP_SHIFT);
  e.u8(W.I32_SHR_U);
  e.i32Const(JUMP_MASK);
  e.u8(W.I32_AND);
}

/** The jump cache's hash, as {@linkcode emitJumpHash} computes it. */
export function jumpHash(lo: number): number {
  return (Math.imul(lo, JUMP_HASH) >>> JUMP_SHIFT) & JUMP_MASK;
}

/** Any odd number that spreads the few bits of a key. */
const KEY_HASH = 0x85ebca6b | 0;
/** Another one, for the pages at which the same code stands. */
const PC_HASH = 0xc2b2ae35 | 0;
const INDEX_SHIFT = 32 - Math.log2(INDEX_BYTES);
/**
 * A page's buckets stand together, one for 8 bytes of code: what is jumped to
 * next is often near, and its bucket then in the same line of the host's cache.
 * (Scattered buckets missed it each time: 500 forks took 1.03.)
 */
const PLACE_MASK = 0xff8;
const PLACE_SHIFT = 1;
const INDEX_MASK = INDEX_BYTES - (4096 >> PLACE_SHIFT);

/**
 * The offset of a block's bucket in the block index, by its physical address,
 * program counter (of relocatable code the same) and mode key. (Without the
 * key, the modes in which a kernel runs the same code drove each other out:
 * half of a fork's jumps.)
 */
export function indexHash(
  physical: number,
  pcLo: number,
  key: number,
): number {
  const sum = (physical >>> 12) + Math.imul(pcLo - physical, PC_HASH) +
    Math.imul(key, KEY_HASH);
  return (Math.imul(sum | 0, JUMP_HASH) >>> INDEX_SHIFT) & INDEX_MASK |
    (physical & PLACE_MASK) >>> PLACE_SHIFT;
}

/**
 * Pushes whether the jump cache entry at the address in local `entry` (the
 * entry's offset plus the CPU's base, or without it if `base` gives it) is the
 * one for the program counter in `pc64` in the present mode.
 */
export function emitJumpMatch(
  e: Emitter,
  cpu: number,
  entry: number,
  pc64: number,
  base = 0,
): void {
  e.localGet(entry);
  e.mem(W.I64_LOAD, base + OFF_JUMP_CACHE + JUMP_PC, 3);
  e.localGet(pc64);
  e.u8(W.I64_EQ);
  emitTagMatch(e, cpu, entry, base);
}

/** With a truth value pushed: is it so and the entry of the present mode? */
function emitTagMatch(
  e: Emitter,
  cpu: number,
  entry: number,
  base = 0,
): void {
  e.localGet(entry);
  e.mem(W.I32_LOAD, base + OFF_JUMP_CACHE + JUMP_TAG, 2);
  e.localGet(cpu);
  e.mem(W.I32_LOAD, OFF_JUMP_TAG, 2);
  e.u8(W.I32_EQ);
  e.u8(W.I32_AND);
}

/**
 * Emits what follows a jump that goes to a record on whatever page: sets the
 * base of its program counters. `pushPc` pushes the low half of the guest's, or
 * where they have 64 bits (`wide`) all of it; `pushRecord` the record.
 */
export function emitSetPcBase(
  e: Emitter,
  cpu: number,
  wide: boolean,
  pushPc: () => void,
  pushRecord: () => void,
): void {
  e.localGet(cpu);
  pushPc();
  pushRecord();
  if (wide) {
    // Both halves are there, one behind the other.
    e.mem(W.I64_LOAD, REC_PC_LO, 2);
    e.u8(I64_SUB);
    e.mem(W.I64_STORE, OFF_PC_BASE, 3);
    return;
  }
  e.mem(W.I32_LOAD, REC_PC_LO, 2);
  e.u8(W.I32_SUB);
  e.mem(W.I32_STORE, OFF_PC_BASE, 2);
}

/**
 * With a linear address (of a wide one the low half) pushed: the address of the
 * entry that serves it in the present TLB of fetches.
 */
export function emitFetchEntry(e: Emitter, cpu: number, wide: boolean): void {
  const bytes = wide ? WIDE_FETCH_ENTRY_BYTES : FETCH_ENTRY_BYTES;
  e.i32Const(12 - Math.log2(bytes));
  e.u8(W.I32_SHR_U);
  e.i32Const((TLB_ENTRIES - 1) * bytes);
  e.u8(W.I32_AND);
  e.localGet(cpu);
  e.u8(W.I32_ADD);
  e.localGet(cpu);
  e.mem(W.I32_LOAD, OFF_FETCH_TLB, 2);
  e.u8(W.I32_ADD);
}

/**
 * Pushes the guest's program counter whose low half, less the base, `pushLow`
 * pushes; `pushHigh` pushes the high half. `wide`: they have 64 bits.
 */
export function emitGuestPc(
  e: Emitter,
  cpu: number,
  wide: boolean,
  pushLow: () => void,
  pushHigh: () => void,
): void {
  pushLow();
  if (!wide) {
    e.localGet(cpu);
    e.mem(W.I32_LOAD, OFF_PC_BASE, 2);
    e.u8(W.I32_ADD);
  }
  e.u8(W.I64_EXTEND_I32_U);
  pushHigh();
  e.u8(W.I64_EXTEND_I32_U);
  e.i64Const(32, 0);
  e.u8(I64_SHL);
  e.u8(I64_OR);
  if (!wide) return;
  e.localGet(cpu);
  e.mem(W.I64_LOAD, OFF_PC_BASE, 3);
  e.u8(I64_ADD);
}

/**
 * What a link cell leads to when its block depends on a second page: the cell's
 * program counter, through the jump cache. `wide`: program counters have 64 bits.
 */
export function emitFarFunction(
  e: Emitter,
  runType: number,
  wide: boolean,
): void {
  const [CPU, CELL] = [0, 1];
  e.u32(1);
  e.u32(1);
  e.u8(WASM_TYPES[I32]);
  e.localGet(CPU);
  e.localGet(CPU);
  e.mem(W.I32_LOAD, OFF_LINK, 2);
  e.localSet(CELL);
  emitGuestPc(e, CPU, wide, () => {
    e.localGet(CELL);
    e.mem(W.I32_LOAD, CELL_PC_LO, 2);
  }, () => {
    e.localGet(CELL);
    e.mem(W.I32_LOAD, CELL_PC_HI, 2);
  });
  e.mem(W.I64_STORE, OFF_TARGET, 3);
  const low = (): void => {
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_TARGET, 2);
  };
  const all = (): void => {
    e.localGet(CPU);
    e.mem(W.I64_LOAD, OFF_TARGET, 3);
  };
  emitJumpHash(e, low);
  e.localGet(CPU);
  e.u8(W.I32_ADD);
  e.localSet(CELL);
  e.localGet(CELL);
  e.mem(W.I64_LOAD, OFF_JUMP_CACHE + JUMP_PC, 3);
  all();
  e.u8(W.I64_EQ);
  emitTagMatch(e, CPU, CELL);
  e.u8(W.IF);
  e.u8(W.VOID);
  emitSetPcBase(e, CPU, wide, wide ? all : low, () => {
    e.localGet(CELL);
    e.mem(W.I32_LOAD, OFF_JUMP_CACHE + JUMP_RECORD, 2);
  });
  e.localGet(CPU);
  e.localGet(CELL);
  e.i32Const(OFF_JUMP_CACHE + JUMP_RECORD);
  e.u8(W.I32_ADD);
  e.mem(W.I32_STORE, OFF_LINK, 2);
  e.localGet(CPU);
  e.localGet(CELL);
  e.mem(W.I32_LOAD, OFF_JUMP_CACHE + JUMP_RECORD, 2);
  e.mem(W.I32_LOAD, REC_TABLE, 2);
  e.u8(W.RETURN_CALL_INDIRECT);
  e.u32(runType);
  e.u8(0);
  e.u8(W.END);
  e.localGet(CPU);
  e.i32Const(wide ? TABLE_LOOKUP_WIDE : TABLE_LOOKUP);
  e.u8(W.RETURN_CALL_INDIRECT);
  e.u32(runType);
  e.u8(0);
}

/**
 * Where code goes when the first way of the jump cache misses: with the
 * target in OFF_TARGET, tries the second way; then translates the address by
 * the TLB, looks in the block index, and enters what it finds there into the
 * jump cache. A change of the page tables, which empties the jump cache,
 * so costs some nanoseconds a jump and not a trip to TypeScript, which only
 * walks the tables for the first jump to a page (the import `fetchMiss`).
 * `wide`: program counters have 64 bits, and the import gets them as an f64.
 */
export function emitLookupFunction(
  e: Emitter,
  runType: number,
  fetchMiss: number,
  wide: boolean,
): void {
  const [CPU, ENTRY, LOW, T, FIRST, PC, LINEAR, PC64] = [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
  ];
  const fetches = wide ? OFF_WIDE_FETCH_TLBS : OFF_FETCH_TLBS;
  const fetchBytes = wide ? WIDE_FETCH_TLB_BYTES : FETCH_TLB_BYTES;
  e.u32(2);
  e.u32(6);
  e.u8(WASM_TYPES[I32]);
  e.u32(1);
  e.u8(WASM_TYPES[I64]);
  /** Leaves for the record in the word `offset` bytes behind ENTRY. */
  const go = (offset: number): void => {
    emitSetPcBase(e, CPU, wide, () => e.localGet(wide ? PC64 : LOW), () => {
      e.localGet(ENTRY);
      e.mem(W.I32_LOAD, offset, 2);
    });
    e.localGet(CPU);
    e.localGet(ENTRY);
    e.i32Const(offset);
    e.u8(W.I32_ADD);
    e.mem(W.I32_STORE, OFF_LINK, 2);
    e.localGet(CPU);
    e.localGet(ENTRY);
    e.mem(W.I32_LOAD, offset, 2);
    e.mem(W.I32_LOAD, REC_TABLE, 2);
    e.u8(W.RETURN_CALL_INDIRECT);
    e.u32(runType);
    e.u8(0);
  };
  /** Pushes whether the record in ENTRY is that of the block at T and PC in the present mode. */
  const pushIsBlock = (): void => {
    e.localGet(ENTRY);
    e.mem(W.I32_LOAD, REC_PHYSICAL, 2);
    e.localGet(T);
    e.u8(W.I32_EQ);
    e.localGet(ENTRY);
    e.mem(W.I32_LOAD, REC_PC_LO, 2);
    e.localGet(PC);
    e.u8(W.I32_EQ);
    e.u8(W.I32_AND);
    e.localGet(ENTRY);
    e.mem(W.I32_LOAD, REC_PC_HI, 2);
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_TARGET + 4, 2);
    if (wide) {
      // Of relocatable code it is a part of the base.
      e.localGet(CPU);
      e.mem(W.I32_LOAD, OFF_RELOCATABLE, 2);
      e.i32Const(-1);
      e.u8(W.I32_XOR);
      e.u8(W.I32_AND);
    }
    e.u8(W.I32_EQ);
    e.u8(W.I32_AND);
    e.localGet(ENTRY);
    e.mem(W.I32_LOAD, REC_KEY, 2);
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_JUMP_KEY, 2);
    e.u8(W.I32_EQ);
    e.u8(W.I32_AND);
  };
  /** Makes the first way's entry one of the present mode, and goes where it leads. */
  const enter = (): void => {
    e.localGet(FIRST);
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_JUMP_TAG, 2);
    e.mem(W.I32_STORE, OFF_JUMP_CACHE + JUMP_TAG, 2);
    // The page's entries have to go with the page: as JumpModes.enter has it.
    e.localGet(CPU);
    e.localGet(LINEAR);
    e.i32Const(12);
    e.u8(W.I32_SHR_U);
    e.i32Const(0xfff);
    e.u8(W.I32_AND);
    e.u8(W.I32_ADD);
    // The TLB's number, from the offset of its part for fetches.
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_FETCH_TLB, 2);
    e.i32Const(fetches);
    e.u8(W.I32_SUB);
    e.i32Const(Math.log2(fetchBytes / JUMP_PAGES_BYTES));
    e.u8(W.I32_SHR_U);
    e.u8(W.I32_ADD);
    e.localGet(CPU);
    e.mem(W.I32_LOAD8_U, OFF_JUMP_MARK, 0);
    e.mem(I32_STORE8, OFF_JUMP_PAGES, 0);
    e.localGet(FIRST);
    e.localSet(ENTRY);
    go(OFF_JUMP_CACHE + JUMP_RECORD);
  };
  e.localGet(CPU);
  e.mem(W.I64_LOAD, OFF_TARGET, 3);
  e.localTee(PC64);
  e.u8(I32_WRAP_I64);
  e.localSet(LOW);
  emitJumpHash(e, () => e.localGet(LOW));
  e.localGet(CPU);
  e.u8(W.I32_ADD);
  e.localTee(FIRST);
  // The areas are aligned, so that the neighbour is found by one bit.
  e.i32Const(JUMP_CACHE_ENTRY_BYTES);
  e.u8(W.I32_XOR);
  e.localSet(ENTRY);
  emitJumpMatch(e, CPU, ENTRY, PC64);
  e.u8(W.IF);
  e.u8(W.VOID);
  go(OFF_JUMP_CACHE + JUMP_RECORD);
  e.u8(W.END);
  // The linear address: the two halves' sum (see Frontend.linear); of a wide one
  // the low half.
  e.localGet(LOW);
  if (!wide) {
    e.localGet(CPU);
    e.mem(W.I32_LOAD, OFF_TARGET + 4, 2);
    e.u8(W.I32_ADD);
  }
  e.localTee(LINEAR);
  emitFetchEntry(e, CPU, wide);
  e.localSet(ENTRY);
  const isThere = (): void => {
    e.localGet(ENTRY);
    if (wide) {
      e.localGet(LINEAR);
      e.i32Const(4095);
      e.u8(W.I32_AND);
      e.localSet(T);
      e.mem(W.I64_LOAD, 0, 3);
      e.localGet(PC64);
      e.u8(I64_XOR);
      e.i64Const(4096, 0);
      e.u8(I64_LT_U);
      return;
    }
    e.mem(W.I32_LOAD, 0, 2);
    e.localGet(LINEAR);
    e.u8(W.I32_XOR);
    e.localTee(T);
    e.i32Const(4096);
    e.u8(I32_LT_U);
  };
  isThere();
  e.u8(W.I32_EQZ);
  e.u8(W.IF);
  e.u8(W.VOID);
  if (wide) {
    e.localGet(PC64);
    e.u8(F64_CONVERT_I64_S);
  } else e.localGet(LINEAR);
  e.u8(W.CALL);
  e.u32(fetchMiss);
  e.u8(W.END);
  isThere();
  e.u8(W.IF);
  e.u8(W.VOID);
  e.localGet(ENTRY);
  if (wide) e.mem(W.I32_LOAD, WIDE_FETCH_PAGE, 2);
  else {
    // The entry's number leads to its physical page's.
    e.localGet(CPU);
    e.u8(W.I32_SUB);
    e.i32Const(OFF_FETCH_TLBS);
    e.u8(W.I32_SUB);
    e.i32Const(Math.log2(FETCH_ENTRY_BYTES) - 2);
    e.u8(W.I32_SHR_U);
    e.localGet(CPU);
    e.u8(W.I32_ADD);
    e.mem(W.I32_LOAD, OFF_FETCH_PHYSICAL, 2);
  }
  e.i32Const(12);
  e.u8(W.I32_SHL);
  e.localGet(T);
  e.u8(W.I32_OR);
  e.localSet(T);
  // The program counter that the block has: the physical address, or the guest's.
  e.localGet(LOW);
  e.localGet(LOW);
  e.localGet(T);
  e.u8(W.I32_XOR);
  e.localGet(CPU);
  e.mem(W.I32_LOAD, OFF_RELOCATABLE, 2);
  e.u8(W.I32_AND);
  e.u8(W.I32_XOR);
  e.localSet(PC);
  // What a flush made stale in the first way may be right all the same: the
  // record tells. (It is read in any case; the block index is two lines of the
  // host's cache more.)
  e.localGet(FIRST);
  e.mem(W.I32_LOAD, OFF_JUMP_CACHE + JUMP_RECORD, 2);
  e.localSet(ENTRY);
  e.localGet(FIRST);
  e.mem(W.I64_LOAD, OFF_JUMP_CACHE + JUMP_PC, 3);
  e.localGet(PC64);
  e.u8(W.I64_EQ);
  e.u8(W.IF);
  e.u8(W.VOID);
  pushIsBlock();
  // Nothing is entered yet where there is no record.
  e.localGet(ENTRY);
  e.i32Const(0);
  e.u8(W.I32_NE);
  e.u8(W.I32_AND);
  e.u8(W.IF);
  e.u8(W.VOID);
  enter();
  e.u8(W.END);
  e.u8(W.END);
  e.localGet(T);
  e.i32Const(12);
  e.u8(W.I32_SHR_U);
  e.localGet(PC);
  e.localGet(T);
  e.u8(W.I32_SUB);
  e.i32Const(PC_HASH);
  e.u8(I32_MUL);
  e.u8(W.I32_ADD);
  e.localGet(CPU);
  e.mem(W.I32_LOAD, OFF_JUMP_KEY, 2);
  e.i32Const(KEY_HASH);
  e.u8(I32_MUL);
  e.u8(W.I32_ADD);
  e.i32Const(JUMP_HASH);
  e.u8(I32_MUL);
  e.i32Const(INDEX_SHIFT);
  e.u8(W.I32_SHR_U);
  e.i32Const(INDEX_MASK);
  e.u8(W.I32_AND);
  e.localGet(T);
  e.i32Const(PLACE_MASK);
  e.u8(W.I32_AND);
  e.i32Const(PLACE_SHIFT);
  e.u8(W.I32_SHR_U);
  e.u8(W.I32_OR);
  e.localGet(CPU);
  e.mem(W.I32_LOAD, OFF_INDEX, 2);
  e.u8(W.I32_ADD);
  e.mem(W.I32_LOAD, 0, 2);
  e.localSet(ENTRY);
  e.u8(W.BLOCK);
  e.u8(W.VOID);
  e.u8(W.LOOP);
  e.u8(W.VOID);
  e.localGet(ENTRY);
  e.u8(W.I32_EQZ);
  e.u8(W.BR_IF);
  e.u32(1);
  pushIsBlock();
  e.u8(W.IF);
  e.u8(W.VOID);
  // Into the jump cache's first way; what stood there moves to the second,
  // also when it is stale: then its tag does not match.
  for (let i = 0; i < JUMP_CACHE_ENTRY_BYTES; i += 8) {
    e.localGet(FIRST);
    e.i32Const(JUMP_CACHE_ENTRY_BYTES);
    e.u8(W.I32_XOR);
    e.localGet(FIRST);
    e.mem(W.I64_LOAD, OFF_JUMP_CACHE + i, 3);
    e.mem(W.I64_STORE, OFF_JUMP_CACHE + i, 3);
  }
  e.localGet(FIRST);
  e.localGet(PC64);
  e.mem(W.I64_STORE, OFF_JUMP_CACHE + JUMP_PC, 3);
  e.localGet(FIRST);
  e.localGet(ENTRY);
  e.mem(W.I32_STORE, OFF_JUMP_CACHE + JUMP_RECORD, 2);
  enter();
  e.u8(W.END);
  e.localGet(ENTRY);
  e.mem(W.I32_LOAD, REC_NEXT, 2);
  e.localSet(ENTRY);
  e.u8(W.BR);
  e.u32(0);
  e.u8(W.END); // loop
  e.u8(W.END); // block
  e.u8(W.END); // if
  e.i32Const(EXIT_INDIRECT);
}
