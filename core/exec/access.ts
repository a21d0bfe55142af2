/**
 * The WebAssembly of a guest memory access: the inlined TLB hit and the call
 * of the slow path. Both executors emit it from here.
 *
 * @module
 */

import { LOADS, type OpInfo } from "../ir/ops.ts";
import { F32, F64, I32, I64, type Type, WASM_TYPES } from "../ir/types.ts";
import type { Emitter } from "../wasm/emitter.ts";
import * as W from "../wasm/opcodes.ts";
import {
  CODE_MASK_BYTES,
  CODE_MASKS,
  OFF_BUDGET,
  OFF_CODE_MASKS,
  OFF_TLB,
  OFF_TLB_PHYSICAL,
  OFF_VALUE,
  OFF_WIDE_TLB,
  REC_COUNT,
  TAG_CODE,
  TLB_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_READ,
  TLB_WRITE,
  VICTIM_BYTES,
  WIDE_ENTRY_BYTES,
  WIDE_HOST,
  WIDE_PAGE,
  WIDE_TLB_BYTES,
  WIDE_VICTIM_BYTES,
} from "./layout.ts";

const I32_WRAP_I64 = 0xa7,
  I64_GT_U = 0x56,
  I64_XOR = 0x85,
  F64_CONVERT_I64_S = 0xb9;

/** Emits a load from the slot at `offset` of the pushed base. */
export function emitSlotLoad(e: Emitter, type: Type, offset: number): void {
  switch (type) {
    case I32:
      return e.mem(W.I32_LOAD, offset, 2);
    case I64:
      return e.mem(W.I64_LOAD, offset, 3);
    case F32:
      return e.mem(W.F32_LOAD, offset, 2);
    case F64:
      return e.mem(W.F64_LOAD, offset, 3);
    default:
      return e.simdMem(W.V128_LOAD, offset);
  }
}

/** Emits a store to the slot at `offset` of the base pushed before the value. */
export function emitSlotStore(e: Emitter, type: Type, offset: number): void {
  switch (type) {
    case I32:
      return e.mem(W.I32_STORE, offset, 2);
    case I64:
      return e.mem(W.I64_STORE, offset, 3);
    case F32:
      return e.mem(W.F32_STORE, offset, 2);
    case F64:
      return e.mem(W.F64_STORE, offset, 3);
    default:
      return e.simdMem(W.V128_STORE, offset);
  }
}

/** Emits the memory instruction of a `ld*` or `st*` operation. */
export function emitRawAccess(e: Emitter, op: OpInfo, offset: number): void {
  for (const byte of op.wasm) e.u8(byte);
  e.u32(0); // guest accesses may be unaligned
  e.u32(offset);
}

/** The locals an access works with. */
export interface AccessLocals {
  /** The CPU's base: the function's parameter. */
  readonly cpu: number;
  /**
   * The CPU's base where it is known: `entry` then is relative to it, and
   * constant offsets contain it.
   */
  readonly base?: number;
  /** i32, or i64 of a wide access: the guest address. */
  readonly address: number;
  /** i32: the TLB entry. */
  readonly entry: number;
  /** i64, where tag and host offset are loaded at once: those. */
  readonly pair?: number;
  /** i32: the host offset. */
  readonly host: number;
  /** i64, of a wide access: the offset in the page. Such accesses have no pair. */
  readonly wide?: number;
}

/** Whether an access has an address of 64 bits. */
export function isWide(op: OpInfo): boolean {
  return op.args[0] === I64;
}

/** Offset of the TLBs for accesses of a kind. */
export function tlbOffset(wide: boolean): number {
  return wide ? OFF_WIDE_TLB : OFF_TLB;
}

/** Bytes of one of them. */
export function tlbBytes(wide: boolean): number {
  return wide ? WIDE_TLB_BYTES : TLB_BYTES;
}

/**
 * With the guest address in `locals.address`: pushes the base from which
 * `entry` fields are loaded (pushTlb adds the TLB's offset) and leaves the
 * offset in the page in `locals.host`. Then pushes whether the access misses.
 */
export function emitLookup(
  e: Emitter,
  locals: AccessLocals,
  width: number,
  isStore: boolean,
  tlbOffset: number,
  pushTlb?: () => void,
): void {
  const isWide = locals.wide !== undefined;
  const entryBytes = isWide ? WIDE_ENTRY_BYTES : TLB_ENTRY_BYTES;
  // The entry's address: (address >>> 12 & index mask) * entry size.
  e.localGet(locals.address);
  if (isWide) e.u8(I32_WRAP_I64);
  e.i32Const(12 - Math.log2(entryBytes));
  e.u8(W.I32_SHR_U);
  e.i32Const((TLB_ENTRIES - 1) * entryBytes);
  e.u8(W.I32_AND);
  if (locals.base === undefined) {
    e.localGet(locals.cpu);
    e.u8(W.I32_ADD);
  }
  if (pushTlb !== undefined) {
    pushTlb();
    e.u8(W.I32_ADD);
  }
  if (locals.pair === undefined) e.localTee(locals.entry);
  const tag = (locals.base ?? 0) + tlbOffset + tagOf(isStore);
  if (isWide) {
    e.mem(W.I64_LOAD, tag, 3);
    e.localGet(locals.address);
    e.u8(I64_XOR);
    e.localTee(locals.wide!);
    e.i64Const(4096 - width, 0);
    e.u8(I64_GT_U);
    return;
  }
  if (locals.pair === undefined) e.mem(W.I32_LOAD, tag, 2);
  else {
    e.mem(W.I64_LOAD, tag, 3);
    e.localTee(locals.pair);
    e.u8(I32_WRAP_I64);
  }
  e.localGet(locals.address);
  e.u8(W.I32_XOR);
  e.localTee(locals.host);
  e.i32Const(4096 - width);
  e.u8(W.I32_GT_U);
}

/** Adds the page's host offset to `locals.host`, pushed. */
export function emitHost(
  e: Emitter,
  locals: AccessLocals,
  tlbOffset: number,
  isStore: boolean,
): void {
  if (locals.wide === undefined) e.localGet(locals.host);
  else {
    e.localGet(locals.wide);
    e.u8(I32_WRAP_I64);
  }
  emitPage(e, locals, tlbOffset, isStore);
  e.u8(W.I32_ADD);
}

/** After a lookup that hit: pushes the page's host offset. */
function emitPage(
  e: Emitter,
  locals: AccessLocals,
  tlbOffset: number,
  isStore: boolean,
): void {
  if (locals.wide !== undefined) {
    e.localGet(locals.entry);
    e.mem(W.I32_LOAD, (locals.base ?? 0) + tlbOffset + WIDE_HOST, 2);
    return;
  }
  if (locals.pair === undefined) {
    e.localGet(locals.entry);
    e.mem(
      W.I32_LOAD,
      (locals.base ?? 0) + tlbOffset + tagOf(isStore) + TLB_HOST,
      2,
    );
    return;
  }
  e.localGet(locals.pair);
  e.i64Const(32, 0);
  e.u8(0x88); // i64.shr_u
  e.u8(I32_WRAP_I64);
}

function tagOf(isStore: boolean): number {
  return isStore ? TLB_WRITE : TLB_READ;
}

/** Emits the store of a value to the value slot, from which the slow path takes it. */
export function emitValueStore(
  e: Emitter,
  op: OpInfo,
  cpu: number,
  pushValue: () => void,
): void {
  e.localGet(cpu);
  pushValue();
  emitRawAccess(e, op, OFF_VALUE);
}

/**
 * Emits the body of the function that finds what a load needs that missed in a
 * region: (cpu, address, width | mmu << 8, budget) -> (host, budget). It looks
 * the TLB up first, because regions also come here when another access missed.
 * `host` is 0 at a fault. `wide`: the address has 64 bits, and the import gets
 * it as an f64.
 */
export function emitLoadMiss(
  e: Emitter,
  slowImport: number,
  wide: boolean,
): void {
  emitMiss(e, false, slowImport, wide);
}

/**
 * Emits the body of the function that does the same for a store, the value
 * being in the value slot: (cpu, address, width | mmu << 8 |
 * runningTag << 16, budget) -> (result, budget). The result is `STORE_DONE`, `STORE_FAULT`,
 * `STORE_MODIFIES`, or above those the host offset to store to.
 */
export function emitStoreMiss(
  e: Emitter,
  slowImport: number,
  wide: boolean,
): void {
  emitMiss(e, true, slowImport, wide);
}

/** The locals of a miss function, and what pushes the access's width. */
interface MissLocals extends AccessLocals {
  readonly swap: number;
  readonly width: () => void;
}

/**
 * With the address's difference from a tag pushed (i32, or i64 of a wide
 * access): leaves it in its local and pushes whether the access fits.
 */
function emitFits(e: Emitter, { host, wide, width }: MissLocals): void {
  if (wide === undefined) {
    e.localTee(host);
    e.i32Const(4096);
    width();
    e.u8(W.I32_SUB);
    e.u8(W.I32_GT_U);
  } else {
    e.localTee(wide);
    e.i32Const(4096);
    width();
    e.u8(W.I32_SUB);
    e.u8(W.I64_EXTEND_I32_U);
    e.u8(I64_GT_U);
  }
  e.u8(W.I32_EQZ);
}

/** Pushes the address's difference from the tag at `offset` of the entry, less `flip`. */
function emitDifference(
  e: Emitter,
  { address, entry, wide }: MissLocals,
  offset: number,
  flip = 0,
): void {
  e.localGet(entry);
  if (wide === undefined) {
    e.mem(W.I32_LOAD, offset, 2);
    e.localGet(address);
    e.u8(W.I32_XOR);
    if (flip === 0) return;
    e.i32Const(flip);
    e.u8(W.I32_XOR);
  } else {
    e.mem(W.I64_LOAD, offset, 3);
    e.localGet(address);
    e.u8(I64_XOR);
    if (flip === 0) return;
    e.i64Const(flip, 0);
    e.u8(I64_XOR);
  }
}

function emitMiss(
  e: Emitter,
  isStore: boolean,
  slowImport: number,
  isWide: boolean,
): void {
  const [cpu, address, what, budget, entry, host] = [0, 1, 2, 3, 4, 5];
  const width = (): void => {
    e.localGet(what);
    e.i32Const(0xff);
    e.u8(W.I32_AND);
  };
  const mmu = (): void => {
    e.localGet(what);
    e.i32Const(8);
    e.u8(W.I32_SHR_U);
    e.i32Const(0xff);
    e.u8(W.I32_AND);
  };
  e.u32(2);
  e.u32(2);
  e.u8(0x7f);
  e.u32(2);
  e.u8(0x7e);
  const wide = isWide ? 7 : undefined;
  const locals = { cpu, address, entry, host, wide, swap: 6, width };
  const tlb = tlbOffset(isWide);
  // The width is not a constant here: the comparison below is the real one.
  emitLookup(e, locals, 0, isStore, tlb, () => {
    mmu();
    e.i32Const(Math.log2(tlbBytes(isWide)));
    e.u8(W.I32_SHL);
  });
  e.u8(W.DROP);
  e.localGet(wide ?? host);
  emitFits(e, locals);
  e.u8(W.IF);
  e.u8(W.VOID);
  emitHost(e, locals, tlb, isStore);
  e.localGet(budget);
  e.u8(W.RETURN);
  e.u8(W.END);
  emitVictim(e, isStore, () => {
    emitHost(e, locals, tlb, isStore);
    e.localGet(budget);
    e.u8(W.RETURN);
  }, locals);
  if (isStore) emitStoreBesideCode(e, locals, budget);
  e.localGet(cpu);
  e.localGet(budget);
  e.mem(W.I32_STORE, OFF_BUDGET, 2);
  e.localGet(address);
  if (isWide) e.u8(F64_CONVERT_I64_S);
  width();
  if (isStore) {
    e.localGet(what);
    e.i32Const(8);
    e.u8(W.I32_SHR_U);
  } else mmu();
  e.u8(W.CALL);
  e.u32(slowImport);
  e.localGet(cpu);
  e.mem(W.I32_LOAD, OFF_BUDGET, 2);
}

/** Pushes the address, less `OFF_TLB_PHYSICAL`, of the word of the narrow entry's physical page: one for each 16 bytes. */
function emitPageWord(e: Emitter, { cpu, entry }: MissLocals): void {
  e.localGet(entry);
  e.localGet(cpu);
  e.u8(W.I32_SUB);
  e.i32Const(2);
  e.u8(W.I32_SHR_U);
  e.localGet(cpu);
  e.u8(W.I32_ADD);
}

/**
 * If the page of the TLB entry in `entry` may be written and holds translated
 * code, but none in the granules that a store of `width` touches: returns the
 * host offset, and `budget`.
 */
function emitStoreBesideCode(
  e: Emitter,
  locals: MissLocals,
  budget: number,
): void {
  const { cpu, entry, host, swap: mask, wide, width } = locals;
  const tlb = tlbOffset(wide !== undefined);
  emitDifference(e, locals, tlb + TLB_WRITE, TAG_CODE);
  emitFits(e, locals);
  e.u8(W.IF);
  e.u8(W.VOID);
  if (wide === undefined) {
    emitPageWord(e, locals);
    e.mem(W.I32_LOAD, OFF_TLB_PHYSICAL, 2);
  } else {
    e.localGet(wide);
    e.u8(I32_WRAP_I64);
    e.localSet(host);
    e.localGet(entry);
    e.mem(W.I32_LOAD, tlb + WIDE_PAGE, 2);
  }
  e.i32Const(CODE_MASKS - 1);
  e.u8(W.I32_AND);
  e.i32Const(Math.log2(CODE_MASK_BYTES));
  e.u8(W.I32_SHL);
  e.localGet(cpu);
  e.u8(W.I32_ADD);
  e.mem(W.I64_LOAD, OFF_CODE_MASKS, 3);
  e.localSet(mask);
  // The first and the last byte: an access is smaller than a granule.
  const granule = (push: () => void): void => {
    e.localGet(mask);
    push();
    e.i32Const(6);
    e.u8(W.I32_SHR_U);
    e.u8(0xad); // i64.extend_i32_u
    e.u8(0x88); // i64.shr_u
  };
  granule(() => e.localGet(host));
  granule(() => {
    e.localGet(host);
    width();
    e.u8(W.I32_ADD);
    e.i32Const(1);
    e.u8(W.I32_SUB);
  });
  e.u8(0x84); // i64.or
  e.u8(I32_WRAP_I64);
  e.i32Const(1);
  e.u8(W.I32_AND);
  e.u8(W.I32_EQZ);
  e.u8(W.IF);
  e.u8(W.VOID);
  emitHost(e, locals, tlb, true);
  e.localGet(budget);
  e.u8(W.RETURN);
  e.u8(W.END);
  e.u8(W.END);
}

/**
 * If the victim of the TLB entry in `entry` serves the access: swaps the two,
 * leaves the offset in the page in its local, and emits what `found` does.
 */
function emitVictim(
  e: Emitter,
  isStore: boolean,
  found: () => void,
  locals: MissLocals,
): void {
  const { entry, swap, wide } = locals;
  const isWide = wide !== undefined;
  const tlb = tlbOffset(isWide);
  const far = isWide ? WIDE_VICTIM_BYTES : VICTIM_BYTES;
  emitDifference(e, locals, tlb + far + tagOf(isStore));
  emitFits(e, locals);
  e.u8(W.IF);
  e.u8(W.VOID);
  // Two i64, `far` apart; all that a wide entry has are three.
  for (let at = 0; at < (isWide ? 24 : TLB_ENTRY_BYTES); at += 8) {
    e.localGet(entry);
    e.mem(W.I64_LOAD, tlb + at, 3);
    e.localSet(swap);
    e.localGet(entry);
    e.localGet(entry);
    e.mem(W.I64_LOAD, tlb + at + far, 3);
    e.mem(W.I64_STORE, tlb + at, 3);
    e.localGet(entry);
    e.localGet(swap);
    e.mem(W.I64_STORE, tlb + at + far, 3);
  }
  if (!isWide) {
    const victim = OFF_TLB_PHYSICAL + VICTIM_BYTES / 4;
    emitPageWord(e, locals);
    e.mem(W.I32_LOAD, OFF_TLB_PHYSICAL, 2);
    e.u8(0xad); // i64.extend_i32_u
    e.localSet(swap);
    emitPageWord(e, locals);
    emitPageWord(e, locals);
    e.mem(W.I32_LOAD, victim, 2);
    e.mem(W.I32_STORE, OFF_TLB_PHYSICAL, 2);
    emitPageWord(e, locals);
    e.localGet(swap);
    e.mem(0x3e, victim, 2); // i64.store32
  }
  found();
  e.u8(W.END);
}

/**
 * Emits the body of the function that regions call after each pass through the
 * version of a section in which accesses are calls: (cpu, record of the
 * region's entry, budget) -> budget. It takes the record's count down, and
 * calls `narrow` with the record when that has come to 0.
 */
export function emitSlowPass(e: Emitter, narrow: number): void {
  const [cpu, record, budget, left] = [0, 1, 2, 3];
  e.u32(1);
  e.u32(1);
  e.u8(0x7f);
  e.localGet(record);
  e.localGet(record);
  e.mem(W.I32_LOAD, REC_COUNT, 2);
  e.i32Const(1);
  e.u8(W.I32_SUB);
  e.localTee(left);
  e.mem(W.I32_STORE, REC_COUNT, 2);
  e.localGet(left);
  e.u8(W.IF);
  e.u8(W.VOID);
  e.localGet(budget);
  e.u8(W.RETURN);
  e.u8(W.END);
  e.localGet(cpu);
  e.localGet(budget);
  e.mem(W.I32_STORE, OFF_BUDGET, 2);
  e.localGet(record);
  e.u8(W.CALL);
  e.u32(narrow);
  e.localGet(cpu);
  e.mem(W.I32_LOAD, OFF_BUDGET, 2);
}

/** The type of the function of {@linkcode emitSlowLoad} or {@linkcode emitSlowStore}, which has the operation's name. */
export function slowAccessType(
  op: OpInfo,
): { readonly params: number[]; readonly results: number[] } {
  const i32 = WASM_TYPES[I32];
  const address = WASM_TYPES[op.args[0]];
  if ((op.effects & LOADS) !== 0) {
    const value = WASM_TYPES[op.result as Type];
    return { params: [i32, address, i32, i32], results: [value, i32, i32] };
  }
  const value = WASM_TYPES[op.args[1]];
  return { params: [i32, address, value, i32, i32], results: [i32, i32] };
}

/** Emits the call of a miss function with these locals; leaves the budget set, and pushes its result. */
function emitCallMiss(
  e: Emitter,
  op: OpInfo,
  miss: number,
  [cpu, address, what, budget]: readonly [number, number, number, number],
): void {
  e.localGet(cpu);
  e.localGet(address);
  e.localGet(what);
  e.i32Const(8);
  e.u8(W.I32_SHL);
  e.i32Const(op.width);
  e.u8(W.I32_OR);
  e.localGet(budget);
  e.u8(W.CALL);
  e.u32(miss);
  e.localSet(budget);
}

/**
 * Emits the body of the function that does a load of a region where its lookup
 * failed: (cpu, address, mmu, budget) -> (value, budget, 1 at a fault). At a
 * fault the budget is in the CPU's area. `miss` is the function of {@linkcode
 * emitLoadMiss}.
 */
export function emitSlowLoad(e: Emitter, op: OpInfo, miss: number): void {
  const [cpu, address, mmu, budget, host] = [0, 1, 2, 3, 4];
  e.u32(1);
  e.u32(1);
  e.u8(0x7f);
  emitCallMiss(e, op, miss, [cpu, address, mmu, budget]);
  e.localTee(host);
  e.u8(W.I32_EQZ);
  e.u8(W.IF);
  e.u8(W.VOID);
  e.localGet(cpu);
  e.localGet(budget);
  e.mem(W.I32_STORE, OFF_BUDGET, 2);
  e.u8(W.END);
  // At a fault some value: the zeros below the CPU's area.
  e.localGet(host);
  emitRawAccess(e, op, 0);
  e.localGet(budget);
  e.localGet(host);
  e.u8(W.I32_EQZ);
}

/**
 * Emits the body of the function that does a store of a region where its lookup
 * failed: (cpu, address, value, mmu | runningTag << 8, budget) -> (budget, the
 * reason to leave or 0). `miss` is the function of {@linkcode emitStoreMiss}.
 */
export function emitSlowStore(e: Emitter, op: OpInfo, miss: number): void {
  const [cpu, address, value, what, budget, result] = [0, 1, 2, 3, 4, 5];
  e.u32(1);
  e.u32(1);
  e.u8(0x7f);
  emitValueStore(e, op, cpu, () => e.localGet(value));
  emitCallMiss(e, op, miss, [cpu, address, what, budget]);
  e.localTee(result);
  e.i32Const(3);
  e.u8(0x49); // i32.lt_u: done, fault or modifies
  e.u8(W.IF);
  e.u8(W.VOID);
  e.localGet(budget);
  // 1 (fault) or 2 (modifies): EXIT_FAULT is 3, EXIT_MODIFIED is 6.
  e.localGet(result);
  e.i32Const(3);
  e.u8(0x6c); // i32.mul
  e.u8(W.RETURN);
  e.u8(W.END);
  e.localGet(result);
  e.localGet(value);
  emitRawAccess(e, op, 0);
  e.localGet(budget);
  e.i32Const(0);
}
