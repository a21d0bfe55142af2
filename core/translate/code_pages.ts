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
  /** The blocks that start in each granule, linked by `nextNear`. */
  readonly starts: (Block | undefined)[] = new Array(GRANULES).fill(undefined);
  /** The blocks that start on the page before. */
  crossing: Block[] = [];
  /** How many blocks have bytes on the page. */
  live = 0;
  /** How many of those have bytes in each granule. */
  readonly granules = new Uint16Array(GRANULES);
  /** No block goes on for more granules after the one it starts in. */
  reach = 0;
}

/** Whether a block has bytes from `start` to `end`. */
function touches(b: Block, start: number, end: number): boolean {
  if (b.secondPage < 0) {
    return b.physical < end && b.physical + b.byteLength > start;
  }
  const first = PAGE - (b.physical % PAGE);
  return (b.physical < end && b.physical + first > start) ||
    (b.secondPage < end && b.secondPage + b.byteLength - first > start);
}

/** The pages that hold translated code. */
export class CodePages {
  readonly #pages = new Map<number, CodePage>();
  readonly #i32: Int32Array;
  readonly #masks: number;
  /** What `add` gives. */
  readonly #fresh: number[] = [];
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

  /**
   * Enters a block. Returns the pages that were not watched before: only until
   * the next call.
   */
  add(b: Block): readonly number[] {
    const fresh = this.#fresh;
    if (fresh.length > 0) fresh.length = 0;
    const first = Math.floor(b.physical / PAGE);
    const from = b.physical % PAGE;
    const p = this.#add(first, from, Math.min(from + b.byteLength, PAGE));
    const start = from >> GRANULE_SHIFT;
    b.nextNear = p.starts[start];
    p.starts[start] = b;
    const reach = ((from + b.byteLength - 1) >> GRANULE_SHIFT) - start;
    if (reach > p.reach) p.reach = reach;
    if (b.secondPage >= 0) {
      const rest = from + b.byteLength - PAGE;
      this.#add(b.secondPage / PAGE, 0, rest).crossing.push(b);
    }
    return fresh;
  }

  #add(page: number, from: number, to: number): CodePage {
    let p = this.#pages.get(page);
    if (p === undefined) {
      this.#pages.set(page, p = new CodePage());
      this.#users[page % CODE_MASKS]++;
      this.#fresh.push(page);
    }
    p.live++;
    const last = (to - 1) >> GRANULE_SHIFT;
    for (let g = from >> GRANULE_SHIFT; g <= last; g++) {
      if (p.granules[g]++ === 0) this.#i32[this.#word(page, g)] |= 1 << g;
    }
    return p;
  }

  /** A block has become invalid. */
  remove(b: Block): void {
    const from = b.physical % PAGE;
    const first = Math.floor(b.physical / PAGE);
    const p = this.#remove(first, from, Math.min(from + b.byteLength, PAGE));
    const start = from >> GRANULE_SHIFT;
    let before = p.starts[start];
    if (before === b) p.starts[start] = b.nextNear;
    else {
      while (before !== undefined && before.nextNear !== b) {
        before = before.nextNear;
      }
      if (before !== undefined) before.nextNear = b.nextNear;
    }
    b.nextNear = undefined;
    if (b.secondPage >= 0) {
      const rest = from + b.byteLength - PAGE;
      const second = this.#remove(b.secondPage / PAGE, 0, rest);
      second.crossing = second.crossing.filter((x) => x !== b);
    }
  }

  #remove(page: number, from: number, to: number): CodePage {
    const p = this.#pages.get(page)!;
    p.live--;
    const last = (to - 1) >> GRANULE_SHIFT;
    for (let g = from >> GRANULE_SHIFT; g <= last; g++) {
      if (--p.granules[g] === 0 && !this.#shares(page, g)) {
        this.#i32[this.#word(page, g)] &= ~(1 << g);
      }
    }
    return p;
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
   * Puts the blocks that have bytes from `start` to `end` (physical, on one
   * page) into `into`, from its beginning. Returns how many there are.
   */
  touched(start: number, end: number, into: Block[]): number {
    const page = Math.floor(start / PAGE);
    const p = this.#pages.get(page);
    if (p === undefined) return 0;
    const first = (start % PAGE) >> GRANULE_SHIFT;
    const last = (end - 1) % PAGE >> GRANULE_SHIFT;
    let g = first;
    while (g <= last && p.granules[g] === 0) g++;
    if (g > last) return 0;
    let n = 0;
    for (g = Math.max(first - p.reach, 0); g <= last; g++) {
      for (let b = p.starts[g]; b !== undefined; b = b.nextNear) {
        if (touches(b, start, end)) into[n++] = b;
      }
    }
    for (const b of p.crossing) if (touches(b, start, end)) into[n++] = b;
    return n;
  }
}
