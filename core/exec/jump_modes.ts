/**
 * The jump cache as the dispatcher sees it: which mode its entries belong to,
 * what a flush makes of them, and how one is entered.
 *
 * Entries carry a tag that stands for a mode until the next flush of its jumps;
 * a flush gives new tags, and nothing has to be cleared.
 *
 * @module
 */

import type { Frontend } from "../cpu/frontend.ts";
import type { Block } from "../translate/block_cache.ts";
import { jumpHash } from "./jump_cache.ts";
import {
  FETCH_TLB_BYTES,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY_BYTES,
  JUMP_PAGES_BYTES,
  JUMP_PC,
  JUMP_RECORD,
  JUMP_TAG,
  OFF_FETCH_TLB,
  OFF_FETCH_TLBS,
  OFF_JUMP_CACHE,
  OFF_JUMP_KEY,
  OFF_JUMP_MARK,
  OFF_JUMP_PAGES,
  OFF_JUMP_TAG,
  OFF_LOOKUP,
  OFF_RELOCATABLE,
  OFF_WIDE_FETCH_TLBS,
  TABLE_LOOKUP,
  TABLE_LOOKUP_WIDE,
  TLB_COUNT,
  WIDE_FETCH_TLB_BYTES,
} from "./layout.ts";

/** What the modes of a CPU's jumps are kept with. */
export interface JumpModesParts {
  /** The ISA. */
  readonly frontend: Frontend;
  /** The shared memory, as bytes. */
  readonly u8: Uint8Array;
  /** The shared memory, as words. */
  readonly i32: Int32Array;
  /** Offset of the CPU's area. */
  readonly base: number;
  /** Tags there are before the jump cache is cleared and they begin anew. */
  readonly maxTags: number;
}

/** The modes of one CPU's jump cache. */
export class JumpModes {
  readonly #frontend: Frontend;
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #base: number;
  readonly #maxTags: number;
  /** For each TLB: flushes of the jumps of its modes. Their low bytes mark pages. */
  readonly #generations: number[] = new Array(TLB_COUNT).fill(1);
  /** For each TLB: the tags of its modes' jumps, by mode key. */
  readonly #tags: Map<number, number>[] = Array.from(
    { length: TLB_COUNT },
    () => new Map(),
  );
  #lastTag = 0;
  /** For each TLB: the last of its modes, and its tag; 0: not known any more. */
  readonly #modes = Array.from(
    { length: TLB_COUNT },
    () => ({ key: 0, tag: 0, relocatable: 0, wide: false }),
  );

  /** Makes those of a CPU. */
  constructor(parts: JumpModesParts) {
    this.#frontend = parts.frontend;
    this.#u8 = parts.u8;
    this.#i32 = parts.i32;
    this.#base = parts.base;
    this.#maxTags = parts.maxTags;
  }

  /** The CPU is in another mode, maybe: translated code is told which. */
  keyChanged(): void {
    const mmu = this.#frontend.fetchMmu();
    const key = this.#frontend.key();
    const mode = this.#modes[mmu];
    if (mode.key !== key || mode.tag === 0) {
      let tag = this.#tags[mmu].get(key);
      if (tag === undefined) {
        if (this.#lastTag === this.#maxTags) this.#clear();
        this.#tags[mmu].set(key, tag = ++this.#lastTag);
      }
      mode.key = key;
      mode.tag = tag;
      mode.relocatable = this.#frontend.relocatable(key) ? -1 : 0;
      mode.wide = this.#frontend.wide(key);
    }
    const i32 = this.#i32;
    const base = this.#base;
    i32[(base + OFF_JUMP_KEY) >> 2] = key;
    i32[(base + OFF_RELOCATABLE) >> 2] = mode.relocatable;
    i32[(base + OFF_JUMP_TAG) >> 2] = mode.tag;
    i32[(base + OFF_JUMP_MARK) >> 2] = this.#generations[mmu] & 0xff;
    i32[(base + OFF_FETCH_TLB) >> 2] = mode.wide
      ? OFF_WIDE_FETCH_TLBS + mmu * WIDE_FETCH_TLB_BYTES
      : OFF_FETCH_TLBS + mmu * FETCH_TLB_BYTES;
    i32[(base + OFF_LOOKUP) >> 2] = mode.wide
      ? TABLE_LOOKUP_WIDE
      : TABLE_LOOKUP;
  }

  /** Offset of the bytes of a TLB's pages that have entries. */
  #pages(mmu: number): number {
    return this.#base + OFF_JUMP_PAGES + mmu * JUMP_PAGES_BYTES;
  }

  /**
   * Translations of one page (its address) or of all (-1) have changed, for the
   * fetches of these TLBs (bits): jumps there are forgotten.
   */
  flush(address: number, mmus: number): void {
    const page = (address >>> 12) & 0xfff;
    for (let m = 0; m < TLB_COUNT; m++) {
      if ((mmus & (1 << m)) === 0) continue;
      const mark = this.#generations[m] & 0xff;
      if (address >= 0 && this.#u8[this.#pages(m) + page] !== mark) continue;
      this.#generations[m]++;
      this.#tags[m].clear();
      this.#modes[m].tag = 0;
      this.keyChanged();
    }
  }

  /** The records are gone, to which entries lead that are stale as well. */
  clear(): void {
    this.#clear();
    this.keyChanged();
  }

  /** The tags are used up: nothing that carries an old one may stay. */
  #clear(): void {
    const from = (this.#base + OFF_JUMP_CACHE) >> 2;
    const words = (JUMP_CACHE_ENTRIES * JUMP_CACHE_ENTRY_BYTES) >> 2;
    this.#i32.fill(0, from, from + words);
    for (const tags of this.#tags) tags.clear();
    for (const mode of this.#modes) mode.tag = 0;
    this.#lastTag = 0;
  }

  /** Enters the block at a program counter; what stood in its place moves to the second way. */
  enter(block: Block, lo: number, hi: number): void {
    const first = this.#base + OFF_JUMP_CACHE + jumpHash(lo);
    const at = first >> 2;
    const second = (first ^ JUMP_CACHE_ENTRY_BYTES) >> 2;
    const i32 = this.#i32;
    const tag = i32[(this.#base + OFF_JUMP_TAG) >> 2];
    // The neighbour is somebody's first way as well: only its newest tenant
    // stays, which for two that alternate is enough.
    if (i32[at + (JUMP_TAG >> 2)] === tag) {
      i32.copyWithin(second, at, at + (JUMP_CACHE_ENTRY_BYTES >> 2));
    }
    const linear = this.#frontend.linear(lo, hi);
    const mmu = this.#frontend.fetchMmu();
    const pages = this.#pages(mmu);
    const mark = this.#generations[mmu] & 0xff;
    this.#u8[pages + ((linear >>> 12) & 0xfff)] = mark;
    // A block across two pages depends on both.
    if (block.secondPage >= 0) {
      this.#u8[pages + (((linear >>> 12) + 1) & 0xfff)] = mark;
    }
    i32[at + (JUMP_PC >> 2)] = lo;
    i32[at + (JUMP_PC >> 2) + 1] = hi;
    i32[at + (JUMP_TAG >> 2)] = tag;
    i32[at + (JUMP_RECORD >> 2)] = block.record;
  }
}
