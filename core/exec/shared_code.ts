/**
 * What the engines of several CPUs know together: which guest memory any of
 * them has translated. Each engine translates for itself; a store by one CPU
 * has to be told to all that have made code of what it changes.
 *
 * So a page with code of any engine is protected in the TLBs of all, and the
 * masks by which translated code lets stores beside the code pass
 * (`OFF_CODE_MASKS`) are in each CPU's area the union of what each engine's
 * block cache keeps in `OFF_OWN_CODE_MASKS`. Bits that are set for too long do
 * no harm but to send a store the slow way. The CPUs run in one thread, one at
 * a time: only the one that stores can be in the midst of a block.
 *
 * @module
 */

import type { SoftMmu } from "../mmu/soft_mmu.ts";
import type { Block, BlockCache } from "../translate/block_cache.ts";
import {
  CODE_MASK_BYTES,
  CODE_MASKS,
  OFF_CODE_MASKS,
  OFF_OWN_CODE_MASKS,
} from "./layout.ts";

const PAGE = 4096;
/** Words of a page's mask. */
const MASK_WORDS = CODE_MASK_BYTES >> 2;

/** An engine as the others see it. */
export interface CodeOwner {
  /** Byte offset of its CPU's area. */
  readonly base: number;
  /** The shared memory, as signed words. */
  readonly i32: Int32Array;
  /** What it has translated. */
  readonly cache: Pick<BlockCache, "hasCode" | "invalidate">;
  /** Its TLBs. */
  readonly mmu: Pick<SoftMmu, "protect">;
}

/** The translated code of all engines of a machine. */
export class SharedCode {
  readonly #owners: CodeOwner[] = [];
  /**
   * Pages that are protected everywhere: those on which code was made since
   * they were last found to have none.
   */
  readonly #pages = new Set<number>();

  /** Another engine. */
  join(owner: CodeOwner): void {
    this.#owners.push(owner);
  }

  /** Whether any engine has code on a physical page. A TLB that was told no may let stores pass. */
  readonly hasCode = (page: number): boolean => {
    const owners = this.#owners;
    for (let i = 0; i < owners.length; i++) {
      if (owners[i].cache.hasCode(page)) return true;
    }
    this.#pages.delete(page);
    return false;
  };

  /** An engine has made a block, or taken one back. */
  made(owner: CodeOwner, block: Block): void {
    this.#protect(owner, Math.floor(block.physical / PAGE));
    if (block.secondPage >= 0) {
      this.#protect(owner, Math.floor(block.secondPage / PAGE));
    }
  }

  #protect(owner: CodeOwner, page: number): void {
    if (!this.#pages.has(page)) {
      this.#pages.add(page);
      for (const other of this.#owners) {
        if (other !== owner) other.mmu.protect(page);
      }
    }
    this.#unite(page % CODE_MASKS * MASK_WORDS, MASK_WORDS);
  }

  /** A CPU is about to store: the other engines forget what they made of it. */
  written(owner: CodeOwner, physical: number, length: number): void {
    const owners = this.#owners;
    for (let i = 0; i < owners.length; i++) {
      const other = owners[i];
      if (other !== owner) other.cache.invalidate(physical, length);
    }
    this.changed(physical, length);
  }

  /** Engines have forgotten blocks made of these bytes. */
  changed(physical: number, length: number): void {
    const last = Math.floor((physical + length - 1) / PAGE);
    for (let page = Math.floor(physical / PAGE); page <= last; page++) {
      this.#unite(page % CODE_MASKS * MASK_WORDS, MASK_WORDS);
    }
  }

  /** An engine has forgotten all its blocks. */
  flushed(): void {
    this.#unite(0, CODE_MASKS * MASK_WORDS);
  }

  /** Bring so many words of all areas' masks up to date. */
  #unite(first: number, words: number): void {
    const owners = this.#owners;
    for (let word = first; word < first + words; word++) {
      let union = 0;
      for (let i = 0; i < owners.length; i++) {
        const { base, i32 } = owners[i];
        union |= i32[((base + OFF_OWN_CODE_MASKS) >> 2) + word];
      }
      for (let i = 0; i < owners.length; i++) {
        const { base, i32 } = owners[i];
        i32[((base + OFF_CODE_MASKS) >> 2) + word] = union;
      }
    }
  }
}
