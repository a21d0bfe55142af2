/**
 * The entries of one CPU's software TLBs, in the memory that translated code
 * reads: several TLBs of data, each with a victim for every entry, and as many
 * of fetches.
 *
 * An entry holds, for reading and for writing, the address of its page and the
 * host offset of the page. Translated code computes `t = address ^ tag` and
 * takes the fast path when `t <= 4096 - width` (unsigned): that one comparison
 * says that the page matches and that the access does not cross it, and `t` is
 * already the offset in the page. An entry refuses an access by a tag of a page
 * that its index cannot hold: *not present*, MMIO, a page with translated code,
 * and so on, all look the same to the fast path, and the MMU tells them apart.
 *
 * @module
 */

import {
  OFF_FETCH_PHYSICAL,
  OFF_FETCH_TLBS,
  OFF_TLB,
  OFF_TLB_PHYSICAL,
  TAG_CODE,
  TLB_COUNT,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_READ,
  TLB_WRITE,
} from "../exec/layout.ts";

/** An entry lets no store through. */
export const STORES_NONE = 0;
/** An entry lets stores through to the memory. */
export const STORES_DIRECT = 1;
/** The page has translated code: stores are for the slow path, which finds it by {@linkcode Tlb.findCode}. */
export const STORES_CODE = 2;

/** The bits of all TLBs. */
export const ALL_MMUS = (1 << TLB_COUNT) - 1;

const PAGE = 4096;
/** Entries of all TLBs of data. */
const ENTRIES = TLB_COUNT * TLB_ENTRIES;
/** With their victims. */
const SLOTS = 2 * ENTRIES;
/** With the entries of the TLBs of fetches, which have the numbers behind. */
const ALL_SLOTS = SLOTS + ENTRIES;
/** In `#filled`: the entry or its victim was filled with a local translation. */
const FILLED_LOCAL = 1;
/** The same with a global one. */
const FILLED_GLOBAL = 2;
/** In the word of the physical page number: the translation is global. */
const IS_GLOBAL = 0x80000000 | 0;
/** The largest page has 2 to this power bytes. */
const LARGE_SHIFT = 22;

/** The tag of an entry that refuses all accesses: of a page with another index. */
function neverTag(slot: number): number {
  return ((slot ^ 1) & (TLB_ENTRIES - 1)) << 12;
}

/** The number of the entry for an address in a TLB. */
function slotOf(address: number, mmu: number): number {
  return mmu * TLB_ENTRIES + ((address >>> 12) & (TLB_ENTRIES - 1));
}

/** The TLBs of one CPU. */
export class Tlb {
  readonly #i32: Int32Array;
  /** Byte offset of the entries of data. */
  readonly #entries: number;
  /** Word index of the entries' physical page numbers. */
  readonly #pages: number;
  /** Word index of the TLBs of fetches. */
  readonly #fetches: number;
  /** Word index of their entries' physical page numbers. */
  readonly #fetchPages: number;
  /** Bit m: since the last flush, fetches by TLB m filled in translations that are not global. */
  #localFetches = 0;
  /**
   * Entries that may hold a translation that is local (and, second, global), or
   * whose victims may: to flush in time proportional to what goes. An entry and
   * its victim are one here, because WebAssembly swaps them and does not say so.
   * Those of the TLBs of fetches have the numbers behind. With one list for
   * both, the kernel's global pages took an eighth of the time of a guest that
   * switches address spaces 7,000 times a second.
   */
  readonly #local = new Int32Array(2 * ENTRIES);
  #localCount = 0;
  readonly #global = new Int32Array(2 * ENTRIES);
  #globalCount = 0;
  /** Which entries are among those. */
  readonly #filled = new Uint8Array(2 * ENTRIES);
  /** For each physical page below 4 GiB, whether it was ever among data. */
  readonly #wasData = new Uint8Array(1 << 20);
  /** For each 4 MiB: whether the TLBs may hold parts of a large page. */
  readonly #large = new Uint8Array(1 << 32 - LARGE_SHIFT);

  /** The TLBs of the CPU whose area is at `base` of `memory`, empty. */
  constructor(memory: ArrayBufferLike, base: number) {
    this.#i32 = new Int32Array(memory);
    this.#entries = base + OFF_TLB;
    this.#pages = (base + OFF_TLB_PHYSICAL) >> 2;
    this.#fetches = (base + OFF_FETCH_TLBS) >> 2;
    this.#fetchPages = (base + OFF_FETCH_PHYSICAL) >> 2;
    for (let slot = 0; slot < ALL_SLOTS; slot++) this.#clear(slot);
  }

  /** Word index of the slot's four words. */
  #word(slot: number): number {
    return (this.#entries + slot * TLB_ENTRY_BYTES) >> 2;
  }

  /**
   * Host offset for an access of `width` bytes, or 0 if the entry does not
   * serve it; `kind` is `TLB_READ` or `TLB_WRITE`.
   */
  find(address: number, width: number, mmu: number, kind: number): number {
    const e = this.#word(slotOf(address, mmu)) + (kind >> 2);
    const t = (address ^ this.#i32[e]) >>> 0;
    return t <= PAGE - width ? (this.#i32[e + (TLB_HOST >> 2)] >>> 0) + t : 0;
  }

  /** Host offset of a byte in a page whose stores are refused for its code, else 0. */
  findCode(address: number, mmu: number): number {
    const e = this.#word(slotOf(address, mmu)) + (TLB_WRITE >> 2);
    const t = (address ^ this.#i32[e] ^ TAG_CODE) >>> 0;
    return t < PAGE ? (this.#i32[e + (TLB_HOST >> 2)] >>> 0) + t : 0;
  }

  /** The physical page number of the entry that serves an address. */
  page(address: number, mmu: number): number {
    return this.#i32[this.#pages + slotOf(address, mmu)] & ~IS_GLOBAL;
  }

  /** Whether an entry of fetches serves an address. */
  hasFetch(address: number, mmu: number): boolean {
    const at = this.#fetches + 2 * slotOf(address, mmu);
    return ((address ^ this.#i32[at]) >>> 0) < PAGE;
  }

  /** Whether an entry of fetches of any TLB serves an address. */
  isFetched(address: number): boolean {
    for (let mmu = 0; mmu < TLB_COUNT; mmu++) {
      if (this.hasFetch(address, mmu)) return true;
    }
    return false;
  }

  /** The host offset of the page of the entry of fetches that serves an address. */
  fetchHost(address: number, mmu: number): number {
    return this.#i32[this.#fetches + 2 * slotOf(address, mmu) + 1] >>> 0;
  }

  /** The physical page number of the entry of fetches that serves an address. */
  fetchPage(address: number, mmu: number): number {
    return this.#i32[this.#fetchPages + slotOf(address, mmu)] & ~IS_GLOBAL;
  }

  /** Enters a translation of data. Another page in its place becomes its victim. */
  fill(
    address: number,
    mmu: number,
    page: number,
    isGlobal: boolean,
    host: number,
    isReadable: boolean,
    stores: number,
  ): void {
    const i32 = this.#i32;
    const slot = slotOf(address, mmu);
    const tag = address & ~0xfff;
    const never = neverTag(slot);
    const e = this.#word(slot);
    this.#evict(slot, tag);
    i32[e + (TLB_READ >> 2)] = isReadable ? tag : never;
    i32[e + (TLB_WRITE >> 2)] = stores === STORES_NONE
      ? never
      : stores === STORES_CODE
      ? tag ^ TAG_CODE
      : tag;
    i32[e + ((TLB_READ + TLB_HOST) >> 2)] = host;
    i32[e + ((TLB_WRITE + TLB_HOST) >> 2)] = host;
    i32[this.#pages + slot] = isGlobal ? page | IS_GLOBAL : page;
    this.#note(slot, isGlobal);
    this.#wasData[page] = 1;
  }

  /** Enters a translation of fetches. One that is not executable is as none. */
  fillFetch(
    address: number,
    mmu: number,
    page: number,
    isGlobal: boolean,
    host: number,
    isExecutable: boolean,
  ): void {
    const i32 = this.#i32;
    const slot = slotOf(address, mmu);
    const at = this.#fetches + 2 * slot;
    i32[at] = isExecutable ? address & ~0xfff : neverTag(slot);
    i32[at + 1] = host;
    i32[this.#fetchPages + slot] = isGlobal ? page | IS_GLOBAL : page;
    this.#note(ENTRIES + slot, isGlobal);
    if (!isGlobal) this.#localFetches |= 1 << mmu;
  }

  /** The page of an address is a part of a large one. */
  noteLarge(address: number): void {
    this.#large[address >>> LARGE_SHIFT] = 1;
  }

  /** Whether there may be entries of a large page around an address. */
  hasLarge(address: number): boolean {
    return this.#large[address >>> LARGE_SHIFT] !== 0;
  }

  /** Remembers that an entry holds a translation. */
  #note(entry: number, isGlobal: boolean): void {
    const kind = isGlobal ? FILLED_GLOBAL : FILLED_LOCAL;
    if ((this.#filled[entry] & kind) !== 0) return;
    this.#filled[entry] |= kind;
    if (isGlobal) this.#global[this.#globalCount++] = entry;
    else this.#local[this.#localCount++] = entry;
  }

  /**
   * Before a slot takes the page at `tag`: another page in it becomes its
   * victim. A victim that is this page, as it was before, is no more.
   */
  #evict(slot: number, tag: number): void {
    const i32 = this.#i32;
    const e = this.#word(slot);
    const to = slot + ENTRIES;
    const v = this.#word(to);
    if (i32[v + (TLB_READ >> 2)] === tag) this.#clear(to);
    const old = i32[e + (TLB_READ >> 2)];
    const index = slot & (TLB_ENTRIES - 1);
    // Those that may be neither read nor written are not worth keeping.
    if (old === tag || ((old >>> 12) & (TLB_ENTRIES - 1)) !== index) return;
    i32.copyWithin(v, e, e + (TLB_ENTRY_BYTES >> 2));
    i32[this.#pages + to] = i32[this.#pages + slot];
  }

  /**
   * Swaps an entry with its victim if that serves the access; `kind` is
   * `TLB_READ` or `TLB_WRITE`. Returns the page's host offset, else 0.
   */
  swapVictim(address: number, mmu: number, kind: number): number {
    const i32 = this.#i32;
    const slot = slotOf(address, mmu);
    const to = slot + ENTRIES;
    const v = this.#word(to);
    const tag = i32[v + (kind >> 2)];
    if (((address ^ tag) >>> 0) >= PAGE) return 0;
    const e = this.#word(slot);
    for (let i = 0; i < TLB_ENTRY_BYTES >> 2; i++) this.#swap(e + i, v + i);
    this.#swap(this.#pages + slot, this.#pages + to);
    return i32[e + ((TLB_READ + TLB_HOST) >> 2)] >>> 0;
  }

  #swap(a: number, b: number): void {
    const t = this.#i32[a];
    this.#i32[a] = this.#i32[b];
    this.#i32[b] = t;
  }

  /**
   * Forgets all translations, or all that are not global. Returns which TLBs of
   * fetches lost some (bits).
   */
  flush(keepGlobal: boolean): number {
    for (let i = 0; i < this.#localCount; i++) {
      const entry = this.#local[i];
      this.#filled[entry] &= ~FILLED_LOCAL;
      this.#clearEntry(entry, keepGlobal);
    }
    this.#localCount = 0;
    const mmus = keepGlobal ? this.#localFetches : ALL_MMUS;
    this.#localFetches = 0;
    if (keepGlobal) return mmus;
    this.#large.fill(0);
    for (let i = 0; i < this.#globalCount; i++) {
      const entry = this.#global[i];
      this.#filled[entry] = 0;
      this.#clearEntry(entry, false);
    }
    this.#globalCount = 0;
    return mmus;
  }

  /** Forgets the page of an address in all TLBs, if it is none that {@linkcode Tlb.hasLarge} tells of. */
  flushPage(address: number): void {
    const index = (address >>> 12) & (TLB_ENTRIES - 1);
    for (let slot = index; slot < ALL_SLOTS; slot += TLB_ENTRIES) {
      this.#clear(slot);
    }
  }

  /** Forgets the page of an address in the TLBs of data. */
  forget(address: number): void {
    const index = (address >>> 12) & (TLB_ENTRIES - 1);
    const tag = address & ~0xfff;
    for (let slot = index; slot < SLOTS; slot += TLB_ENTRIES) {
      const e = this.#word(slot);
      if (this.#i32[e + (TLB_READ >> 2)] === tag) this.#clear(slot);
    }
  }

  /** Forgets what an entry and its victim hold, unless it is global and to be kept. */
  #clearEntry(entry: number, keepGlobal: boolean): void {
    const i32 = this.#i32;
    if (entry >= ENTRIES) {
      const fetch = entry - ENTRIES;
      const owner = i32[this.#fetchPages + fetch];
      if (!keepGlobal || (owner & IS_GLOBAL) === 0) this.#clear(SLOTS + fetch);
      return;
    }
    for (let slot = entry; slot < SLOTS; slot += ENTRIES) {
      const owner = i32[this.#pages + slot];
      if (!keepGlobal || (owner & IS_GLOBAL) === 0) this.#clear(slot);
    }
  }

  /** Makes a slot match nothing: its tags are those of a page with another index. */
  #clear(slot: number): void {
    const never = neverTag(slot);
    if (slot >= SLOTS) {
      this.#i32[this.#fetches + 2 * (slot - SLOTS)] = never;
      return;
    }
    const e = this.#word(slot);
    this.#i32[e + (TLB_READ >> 2)] = never;
    this.#i32[e + (TLB_WRITE >> 2)] = never;
  }

  /** A physical page got its first code: entries that let stores through to it do so no more. */
  protect(page: number): void {
    // Most pages with code are nothing else: a search of all entries for each
    // took a thirtieth of the time to translate.
    if (this.#wasData[page] === 0) return;
    this.#eachSlot(page, page + 1, (slot, at) => {
      const index = (this.#i32[at] >>> 12) & (TLB_ENTRIES - 1);
      if (index === (slot & (TLB_ENTRIES - 1))) this.#i32[at] ^= TAG_CODE;
    });
  }

  /** Refuses stores to the physical pages from `first` to before `end`, whatever lets them through otherwise. */
  refuseStores(first: number, end: number): void {
    this.#eachSlot(first, end, (slot, at) => {
      this.#i32[at] = neverTag(slot);
    });
  }

  /** The slots of data that hold one of these physical pages, and where their tags for writing are. */
  #eachSlot(
    first: number,
    end: number,
    visit: (slot: number, at: number) => void,
  ): void {
    const visitEntry = (entry: number) => {
      if (entry >= ENTRIES) return;
      for (let slot = entry; slot < SLOTS; slot += ENTRIES) {
        const page = this.#i32[this.#pages + slot] & ~IS_GLOBAL;
        if (page < first || page >= end) continue;
        visit(slot, this.#word(slot) + (TLB_WRITE >> 2));
      }
    };
    for (let i = 0; i < this.#localCount; i++) visitEntry(this.#local[i]);
    for (let i = 0; i < this.#globalCount; i++) {
      const entry = this.#global[i];
      // One that is among both has been seen.
      if (this.#filled[entry] === FILLED_GLOBAL) visitEntry(entry);
    }
  }
}
