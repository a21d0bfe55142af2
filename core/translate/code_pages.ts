/**
 * Which bytes of guest memory were translated: by page, and within a page by
 * granules of 64 bytes. A store to a page with code changes nothing that was
 * translated if its granules hold none; translated code sees that for itself,
 * by masks in the CPU's area, and goes on.
 *
 * @module
 */

import { CODE_MASK_BYTES, CODE_MASKS } from "../exec/layout.ts";
import type { Block } from "./block_cache.ts";

const PAGE = 4096;
/** Pages that may hold translated code: those below 4 GiB. */
const PAGES = 1 << 20;
/** 64 granules a page: a bit each in an i64. */
const GRANULE_SHIFT = 6;
const GRANULES = PAGE >> GRANULE_SHIFT;

/** A page with translated code. */
class CodePage {
  /** Blocks with bytes on it, and some that are valid no more. */
  blocks: Block[] = [];
  /** How many of those are valid. */
  live = 0;
  /** How many of those have bytes in each granule. */
  readonly granules = new Uint16Array(GRANULES);
}

/** The pages that hold translated code. */
export class CodePages {
  readonly #pages = new Map<number, CodePage>();
  readonly #i32: Int32Array;
  readonly #masks: number;
  /** How many of the pages use each mask. */
  readonly #users = new Uint16Array(CODE_MASKS);

  /** No pages; their masks are the {@linkcode CODE_MASKS} from offset `masks` of the shared memory. */
  constructor(i32: Int32Array, masks: number) {
    this.#i32 = i32;
    this.#masks = masks >> 2;
    this.clear();
  }

  /** Forgets all pages. */
  clear(): void {
    this.#pages.clear();
    this.#users.fill(0);
    const words = CODE_MASKS * CODE_MASK_BYTES >> 2;
    this.#i32.fill(0, this.#masks, this.#masks + words);
  }

  /**
   * Whether a page is to be watched. One whose code is all gone is not, from
   * now on, until `add` says so again.
   */
  has(page: number): boolean {
    const p = this.#pages.get(page);
    if (p === undefined) return false;
    if (p.live > 0) return true;
    this.#pages.delete(page);
    this.#users[page % CODE_MASKS]--;
    return false;
  }

  /** Enters a block. Returns the pages that were not watched before. */
  add(b: Block): number[] {
    const fresh: number[] = [];
    const first = Math.floor(b.physical / PAGE);
    const from = b.physical % PAGE;
    this.#add(b, first, from, Math.min(from + b.byteLength, PAGE), fresh);
    if (b.secondPage >= 0) {
      const rest = from + b.byteLength - PAGE;
      this.#add(b, b.secondPage / PAGE, 0, rest, fresh);
    }
    return fresh;
  }

  #add(
    b: Block,
    page: number,
    from: number,
    to: number,
    fresh: number[],
  ): void {
    let p = this.#pages.get(page);
    if (p === undefined) {
      this.#pages.set(page, p = new CodePage());
      this.#users[page % CODE_MASKS]++;
      fresh.push(page);
    }
    if (p.blocks.length > 2 * p.live + GRANULES) {
      p.blocks = p.blocks.filter((x) => x.valid);
    }
    p.blocks.push(b);
    p.live++;
    const last = (to - 1) >> GRANULE_SHIFT;
    for (let g = from >> GRANULE_SHIFT; g <= last; g++) {
      if (p.granules[g]++ === 0) this.#i32[this.#word(page, g)] |= 1 << g;
    }
  }

  /** A block has become invalid. */
  remove(b: Block): void {
    const from = b.physical % PAGE;
    const first = Math.floor(b.physical / PAGE);
    this.#remove(first, from, Math.min(from + b.byteLength, PAGE));
    if (b.secondPage >= 0) {
      this.#remove(b.secondPage / PAGE, 0, from + b.byteLength - PAGE);
    }
  }

  #remove(page: number, from: number, to: number): void {
    const p = this.#pages.get(page)!;
    p.live--;
    const last = (to - 1) >> GRANULE_SHIFT;
    for (let g = from >> GRANULE_SHIFT; g <= last; g++) {
      if (--p.granules[g] === 0 && !this.#shares(page, g)) {
        this.#i32[this.#word(page, g)] &= ~(1 << g);
      }
    }
  }

  /** The word of a page's mask with the bit of a granule. */
  #word(page: number, granule: number): number {
    const mask = (page % CODE_MASKS) * CODE_MASK_BYTES >> 2;
    return this.#masks + mask + (granule >> 5);
  }

  /** Whether another page with the same mask has code in this granule. */
  #shares(page: number, granule: number): boolean {
    if (this.#users[page % CODE_MASKS] === 1) return false;
    for (let at = page % CODE_MASKS; at < PAGES; at += CODE_MASKS) {
      const p = this.#pages.get(at);
      if (p !== undefined && p.granules[granule] > 0) return true;
    }
    return false;
  }

  /**
   * The blocks of a page of which some may have bytes in `from` to `to` (of
   * the page); undefined if none has.
   */
  near(page: number, from: number, to: number): Block[] | undefined {
    const p = this.#pages.get(page);
    if (p === undefined) return undefined;
    const last = (to - 1) >> GRANULE_SHIFT;
    let g = from >> GRANULE_SHIFT;
    while (g <= last && p.granules[g] === 0) g++;
    return g <= last ? p.blocks : undefined;
  }
}
