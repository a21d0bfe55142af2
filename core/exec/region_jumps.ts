/**
 * How control leaves the blocks of a region: to another block of it, through a
 * link cell, or through the jump cache.
 *
 * @module
 */

import type { Frontend } from "../cpu/frontend.ts";
import {
  type IrBlock,
  TERM_BRANCH,
  TERM_EXIT,
  TERM_INDIRECT,
  TERM_JUMP,
  type Value,
} from "../ir/block.ts";
import { I32, I64 } from "../ir/types.ts";
import type { SoftMmu } from "../mmu/soft_mmu.ts";
import type { Block, BlockCache } from "../translate/block_cache.ts";
import type { Emitter } from "../wasm/emitter.ts";
import type { FunctionBody } from "../wasm/function_body.ts";
import * as W from "../wasm/opcodes.ts";
import { perfectHash } from "../wasm/perfect_hash.ts";
import {
  emitGuestPc,
  emitJumpHash,
  emitJumpMatch,
  emitSetPcBase,
} from "./jump_cache.ts";
import {
  CELL_BYTES,
  CELL_PC_HI,
  CELL_PC_LO,
  FETCH_ENTRY_BYTES,
  FETCH_TLB_BYTES,
  JUMP_RECORD,
  OFF_FETCH_TLBS,
  OFF_JUMP_CACHE,
  OFF_PC_BASE,
  OFF_TARGET,
  OFF_WIDE_FETCH_TLBS,
  REC_SELF,
  TLB_ENTRIES,
  WIDE_FETCH_ENTRY_BYTES,
  WIDE_FETCH_HOST,
  WIDE_FETCH_TLB_BYTES,
} from "./layout.ts";
import {
  CPU,
  ENTRY,
  FAULT,
  HOST,
  L_ANY,
  L_CASES,
  L_EXIT,
  L_LINK,
  L_LOOKUP,
  L_NO_CASE,
  LINK,
  PC64,
  REASON,
} from "./region_locals.ts";

const I64_ADD = 0x7c;

/** Up to so many targets of a computed jump are compared one by one. */
const FEW_TARGETS = 3;

/** What the jumps of a region are emitted with. */
export interface RegionJumpsParts {
  /** The function. */
  readonly f: FunctionBody;
  /** The ISA. */
  readonly frontend: Frontend;
  /** Where pages are in the shared memory. */
  readonly mmu: SoftMmu;
  /** The blocks. */
  readonly cache: BlockCache;
  /** The shared memory, as words: link cells. */
  readonly i32: Int32Array;
  /** Offset of the CPU's area. */
  readonly base: number;
  /** Pushes a value of the block that is being emitted. */
  readonly push: (v: Value) => void;
}

/** Emits the ends of a region's blocks. */
export class RegionJumps {
  readonly #f: FunctionBody;
  readonly #e: Emitter;
  readonly #frontend: Frontend;
  readonly #mmu: SoftMmu;
  readonly #cache: BlockCache;
  readonly #i32: Int32Array;
  readonly #base: number;
  readonly #push: (v: Value) => void;
  #blocks: readonly Block[] = [];
  #pcs: readonly number[] = [];
  #relocatable = false;
  /** Program counters have 64 bits. */
  #wide = false;
  #targets: readonly (readonly number[])[] = [];

  /** Makes what emits into `parts.f`. */
  constructor(parts: RegionJumpsParts) {
    this.#f = parts.f;
    this.#e = parts.f.e;
    this.#frontend = parts.frontend;
    this.#mmu = parts.mmu;
    this.#cache = parts.cache;
    this.#i32 = parts.i32;
    this.#base = parts.base;
    this.#push = parts.push;
  }

  /**
   * Starts a region: its blocks, where they are (as `FormedRegion` has it), and
   * each one's successors in it, -1 for outside.
   */
  start(
    blocks: readonly Block[],
    pcs: readonly number[],
    targets: readonly (readonly number[])[],
  ): void {
    this.#blocks = blocks;
    this.#pcs = pcs;
    this.#targets = targets;
    this.#relocatable = this.#frontend.relocatable(blocks[0].key);
    this.#wide = this.#frontend.wide(blocks[0].key);
  }

  /** Pushes what to add to the low halves of the region's program counters. */
  #pushBase(): void {
    this.#e.localGet(CPU);
    this.#e.mem(W.I32_LOAD, OFF_PC_BASE, 2);
  }

  /** The same for program counters of 64 bits. */
  #pushWideBase(): void {
    this.#e.localGet(CPU);
    this.#e.mem(W.I64_LOAD, OFF_PC_BASE, 3);
  }

  /** Before the region is left in a node's block: the base becomes that of its page. */
  moveBase(node: number): void {
    const [to, from] = [this.#pcs[node], this.#blocks[node].pcLo];
    const moved = (to - from) | 0;
    if (moved === 0) return;
    const e = this.#e;
    e.localGet(CPU);
    if (this.#wide) {
      // Both are low halves below the same high one: physical addresses, of
      // which one may be 2 GiB and more beyond the other.
      this.#pushWideBase();
      e.i64Const(moved, to >>> 0 < from >>> 0 ? -1 : 0);
      e.u8(I64_ADD);
      e.mem(W.I64_STORE, OFF_PC_BASE, 3);
      return;
    }
    this.#pushBase();
    e.i32Const(moved);
    e.u8(W.I32_ADD);
    e.mem(W.I32_STORE, OFF_PC_BASE, 2);
  }

  #setLocal(local: number, value: number): void {
    this.#e.i32Const(value);
    this.#e.localSet(local);
  }

  /**
   * Emits the end of a node's block; `go(i)` emits what control goes on with at
   * its successor i.
   */
  terminator(
    node: number,
    k: IrBlock,
    go: (successor: number) => void,
  ): void {
    const e = this.#e;
    const b = this.#blocks[node];
    const targets = this.#targets[node];
    const inside = (successor: number): void => {
      this.#checkPages(node, targets[successor]);
      go(successor);
    };
    switch (k.term) {
      case TERM_JUMP:
        if (targets[0] >= 0) inside(0);
        else this.#leave(node, k.takenLo, k.takenHi, this.#cellOf(node, k));
        return;
      case TERM_BRANCH:
        this.#push(k.termValue);
        this.#f.open(W.IF, L_ANY, false);
        if (targets[0] >= 0) inside(0);
        else this.#leave(node, k.takenLo, k.takenHi, b.cells);
        e.u8(W.ELSE);
        if (targets[1] >= 0) inside(1);
        else this.#leave(node, k.otherLo, k.otherHi, b.cells + CELL_BYTES);
        this.#f.close();
        return;
      case TERM_INDIRECT:
        this.#computed(k, targets, inside);
        return;
      case TERM_EXIT:
        this.#setLocal(FAULT, 0);
        this.#setLocal(REASON, k.reason);
        this.#f.br(L_EXIT);
        return;
      default:
        throw new Error("the block was not ended");
    }
  }

  /** A computed jump: to the successors in the region that it was seen to have, or outside. */
  #computed(
    k: IrBlock,
    targets: readonly number[],
    inside: (successor: number) => void,
  ): void {
    const e = this.#e;
    const known = targets.map((_, i) => i).filter((i) => targets[i] >= 0);
    this.#push(k.termValue);
    if (k.typeOf(k.termValue) === I64) {
      e.localTee(PC64);
      e.u8(0xa7); // i32.wrap_i64
    }
    e.localSet(HOST);
    if (known.length > FEW_TARGETS) this.#switch(targets, known, inside);
    else {
      for (const i of known) {
        this.#isTarget(targets[i]);
        this.#f.open(W.IF, L_ANY, false);
        inside(i);
        this.#f.close();
      }
    }
    if (k.typeOf(k.termValue) === I32) {
      e.localGet(HOST);
      e.u8(W.I64_EXTEND_I32_U);
      if (k.pcHi !== 0) {
        e.i64Const(0, k.pcHi);
        e.u8(0x84); // i64.or
      }
      e.localSet(PC64);
    }
    // One of 64 bits may lead to a mode where they have so many.
    this.#lookup(this.#wide || k.typeOf(k.termValue) === I64);
  }

  /** Pushes whether HOST, or PC64 where they have 64 bits, is the program counter of a node. */
  #isTarget(node: number): void {
    if (this.#wide) {
      this.#e.localGet(PC64);
      this.#e.i64Const(this.#pcs[node], this.#blocks[node].pcHi);
      if (this.#relocatable) {
        this.#pushWideBase();
        this.#e.u8(I64_ADD);
      }
      this.#e.u8(W.I64_EQ);
      return;
    }
    this.#e.localGet(HOST);
    this.#e.i32Const(this.#pcs[node]);
    if (this.#relocatable) {
      this.#pushBase();
      this.#e.u8(W.I32_ADD);
    }
    this.#e.u8(0x46); // i32.eq
  }

  /**
   * By `br_table` over a hash of HOST that is perfect for the known targets.
   * Goes on behind it when HOST is none of them.
   */
  #switch(
    targets: readonly number[],
    known: readonly number[],
    inside: (successor: number) => void,
  ): void {
    const e = this.#e;
    const pcs = known.map((i) => this.#pcs[targets[i]]);
    const { factor, bits } = perfectHash(pcs);
    const labels = known.map((_, n) => L_CASES - n);
    this.#f.open(W.BLOCK, L_NO_CASE, false);
    for (const label of labels.toReversed()) {
      this.#f.open(W.BLOCK, label, false);
    }
    e.localGet(HOST);
    if (this.#relocatable) {
      this.#pushBase();
      e.u8(W.I32_SUB);
    }
    e.i32Const(factor);
    e.u8(0x6c); // i32.mul
    e.i32Const(32 - bits);
    e.u8(W.I32_SHR_U);
    const slots: number[] = new Array(1 << bits).fill(L_NO_CASE);
    pcs.forEach((pc, n) => {
      slots[Math.imul(pc, factor) >>> (32 - bits)] = labels[n];
    });
    this.#f.brTable(slots, L_NO_CASE);
    known.forEach((i) => {
      this.#f.close();
      this.#isTarget(targets[i]);
      this.#f.open(W.IF, L_ANY, false);
      inside(i);
      this.#f.close();
      this.#f.br(L_NO_CASE);
    });
    this.#f.close();
  }

  /**
   * Before control goes from one block of the region to another: leaves if a
   * page of the other one is not mapped as it was when the region was formed.
   * The pages of the block that control comes from have been looked at. A page
   * whose entry of the TLB serves another page costs a lookup each time.
   */
  #checkPages(from: number, to: number): void {
    const f = this.#frontend;
    // Of relocatable code these are relative too: bases are multiples of a page.
    const pages = (node: number): [number, number][] => {
      const b = this.#blocks[node];
      const linear = this.#pageOf(f.linear(this.#pcs[node], b.pcHi));
      const first: [number, number] = [linear, b.physical - b.physical % 4096];
      return b.secondPage < 0
        ? [first]
        : [first, [this.#pageOf(linear + 4096), b.secondPage]];
    };
    const known = pages(from);
    for (const [linear, physical] of pages(to)) {
      if (known.some(([l, p]) => l === linear && p === physical)) continue;
      this.#pushIsElsewhere(linear, this.#mmu.hostOf(physical));
      this.#f.openUnlikely(L_ANY);
      this.#target(this.#pcs[to], this.#blocks[to].pcHi);
      this.#lookup();
      this.#f.close();
    }
  }

  /** The address of an address's page. */
  #pageOf(linear: number): number {
    return this.#wide ? linear - (linear & 4095) : linear & ~4095;
  }

  /** Pushes whether the TLB of fetches does not say that a page is at `host`. */
  #pushIsElsewhere(linear: number, host: number): void {
    const e = this.#e;
    const high = Math.floor(linear / 0x1_0000_0000) | 0;
    if (this.#wide && this.#relocatable) {
      const at = this.#base + OFF_WIDE_FETCH_TLBS +
        this.#frontend.fetchMmu() * WIDE_FETCH_TLB_BYTES;
      this.#pushWideBase();
      e.i64Const(linear | 0, high);
      e.u8(I64_ADD);
      e.localTee(PC64);
      e.u8(0xa7); // i32.wrap_i64
      e.i32Const(12 - Math.log2(WIDE_FETCH_ENTRY_BYTES));
      e.u8(W.I32_SHR_U);
      e.i32Const((TLB_ENTRIES - 1) * WIDE_FETCH_ENTRY_BYTES);
      e.u8(W.I32_AND);
      e.localTee(HOST);
      e.mem(W.I64_LOAD, at, 3);
      e.localGet(PC64);
      e.u8(0x52); // i64.ne
      e.localGet(HOST);
      e.mem(W.I32_LOAD, at + WIDE_FETCH_HOST, 2);
      e.i32Const(host);
      e.u8(W.I32_NE);
      e.u8(W.I32_OR);
      return;
    }
    if (this.#wide) {
      const index = (linear >>> 12) & (TLB_ENTRIES - 1);
      const at = OFF_WIDE_FETCH_TLBS + index * WIDE_FETCH_ENTRY_BYTES +
        this.#frontend.fetchMmu() * WIDE_FETCH_TLB_BYTES;
      e.localGet(CPU);
      e.mem(W.I64_LOAD, at, 3);
      e.i64Const(linear | 0, high);
      e.u8(0x52); // i64.ne
      e.localGet(CPU);
      e.mem(W.I32_LOAD, at + WIDE_FETCH_HOST, 2);
      e.i32Const(host);
      e.u8(W.I32_NE);
      e.u8(W.I32_OR);
      return;
    }
    const tlb = OFF_FETCH_TLBS + this.#frontend.fetchMmu() * FETCH_TLB_BYTES;
    if (!this.#relocatable) {
      const index = (linear >>> 12) & (TLB_ENTRIES - 1);
      e.localGet(CPU);
      e.mem(W.I64_LOAD, tlb + index * FETCH_ENTRY_BYTES, 3);
      e.i64Const(linear, host);
      e.u8(0x52); // i64.ne
      return;
    }
    this.#pushBase();
    e.i32Const(linear);
    e.u8(W.I32_ADD);
    e.localTee(HOST);
    e.i32Const(12 - Math.log2(FETCH_ENTRY_BYTES));
    e.u8(W.I32_SHR_U);
    e.i32Const((TLB_ENTRIES - 1) * FETCH_ENTRY_BYTES);
    e.u8(W.I32_AND);
    e.mem(W.I64_LOAD, this.#base + tlb, 3);
    e.localGet(HOST);
    e.u8(W.I64_EXTEND_I32_U);
    e.i64Const(0, host);
    e.u8(0x84); // i64.or
    e.u8(0x52); // i64.ne
  }

  /** Puts the guest's program counter into PC64. */
  #target(lo: number, hi: number): void {
    const e = this.#e;
    if (!this.#relocatable) e.i64Const(lo, hi);
    else {
      emitGuestPc(
        e,
        CPU,
        this.#wide,
        () => e.i32Const(lo),
        () => e.i32Const(hi),
      );
    }
    e.localSet(PC64);
  }

  /**
   * The link cell of a jump: the block's second one when its plain translation
   * has a branch whose other side this is.
   */
  #cellOf(node: number, k: IrBlock): number {
    const b = this.#blocks[node];
    const moved = this.#pcs[node] - b.pcLo;
    const lo = (this.#i32[(b.cells + CELL_PC_LO) >> 2] + moved) | 0;
    const isTaken = lo === k.takenLo &&
      this.#i32[(b.cells + CELL_PC_HI) >> 2] === k.takenHi;
    return isTaken ? b.cells : b.cells + CELL_BYTES;
  }

  /** Leaves the region to a known program counter. */
  #leave(node: number, lo: number, hi: number, cell: number): void {
    const b = this.#blocks[node];
    if (b.isNear((lo - this.#pcs[node] + b.pcLo) | 0, hi)) {
      this.#setLocal(LINK, cell);
      this.moveBase(node);
      this.#f.br(L_LINK);
      return;
    }
    const known = this.#elsewhere(node, lo, hi);
    if (known === undefined) {
      this.#target(lo, hi);
      this.#lookup();
      return;
    }
    const linear = this.#pageOf(this.#frontend.linear(lo, hi));
    const page = known.physical - known.physical % 4096;
    this.#pushIsElsewhere(linear, this.#mmu.hostOf(page));
    this.#f.openUnlikely(L_ANY);
    this.#target(lo, hi);
    this.#toLookup();
    this.#f.close();
    this.#setLocal(LINK, known.record + REC_SELF);
    this.#f.br(L_LINK);
  }

  /**
   * The block at a program counter on another page. Control goes on to its
   * record while the page is where it is: that takes half the code of a lookup
   * in the jump cache, and leaves the cache to the jumps that need it.
   */
  #elsewhere(node: number, lo: number, hi: number): Block | undefined {
    const b = this.#blocks[node];
    if (this.#relocatable || hi !== b.pcHi) return undefined;
    const f = this.#frontend;
    const physical = this.#mmu.peekFetch(f.linear(lo, hi), f.fetchMmu());
    if (physical < 0) return undefined;
    const block = this.#cache.find(physical, lo, hi, b.key);
    return block !== undefined && block.secondPage < 0 ? block : undefined;
  }

  /** With the target in PC64: through the jump cache; `wide`: all of the base is set. */
  #lookup(wide = this.#wide): void {
    const e = this.#e;
    emitJumpHash(e, () => {
      e.localGet(PC64);
      e.u8(0xa7); // i32.wrap_i64
    });
    e.localSet(ENTRY);
    const base = this.#base;
    emitJumpMatch(e, CPU, ENTRY, PC64, base);
    this.#f.open(W.IF, L_ANY, false);
    e.localGet(ENTRY);
    e.i32Const(base + OFF_JUMP_CACHE + JUMP_RECORD);
    e.u8(W.I32_ADD);
    e.localSet(LINK);
    emitSetPcBase(e, CPU, wide, () => {
      e.localGet(PC64);
      if (!wide) e.u8(0xa7); // i32.wrap_i64
    }, () => {
      e.localGet(LINK);
      e.mem(W.I32_LOAD, 0, 2);
    });
    this.#f.br(L_LINK);
    this.#f.close();
    this.#toLookup();
  }

  /** With the target in PC64: to the function that looks further. */
  #toLookup(): void {
    const e = this.#e;
    e.localGet(CPU);
    e.localGet(PC64);
    e.mem(W.I64_STORE, OFF_TARGET, 3);
    this.#f.br(L_LOOKUP);
  }
}
