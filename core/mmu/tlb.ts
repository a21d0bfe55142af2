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
 * Code with addresses of 64 bits has TLBs of its own, *wide* ones, whose tags
 * have 64 bits. An address is then the signed number that it is.
 *
 * @module
 */

import {
  FETCH_ENTRY_BYTES,
  OFF_FETCH_PHYSICAL,
  OFF_FETCH_TLBS,
  OFF_TLB,
  OFF_TLB_PHYSICAL,
  OFF_WIDE_FETCH_TLBS,
  OFF_WIDE_TLB,
  TAG_CODE,
  TLB_COUNT,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_READ,
  TLB_WRITE,
  WIDE_ENTRY_BYTES,
  WIDE_FETCH_ENTRY_BYTES,
  WIDE_FETCH_HOST,
  WIDE_FETCH_PAGE,
  WIDE_HOST,
  WIDE_PAGE,
} from "../exec/layout.ts";

/** An entry lets no store through. */
export const STORES_NONE = 0;
/** An entry lets stores through to the memory. */
export const STORES_DIRECT = 1;
/** The page has translated code: stores are for the slow path, which finds it by {@linkcode Tlb.findCode}. */
export const STORES_CODE = 2;

/** Of a page that is watched: to read is refused. */
export const REFUSES_READ = 1;
/** To write is refused. */
export const REFUSES_WRITE = 2;

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
/** Large pages have up to 2 to this power bytes. */
const LARGE_SHIFT = 22;
/** Bytes of a huge page. */
const HUGE = 2 ** 30;
/** Huge pages are told apart by their addresses modulo so many. */
const HUGE_PAGES = 256;
/** From the word of a tag's low half to that of its high half, in wide entries. */
const TAG_HIGH = 1;

/** Words that {@linkcode Tlb.take} takes. */
export const TAKEN_WORDS: number = (WIDE_ENTRY_BYTES >> 2) + 1;

/** The tag of an entry that refuses all accesses: of a page with another index. */
function neverTag(slot: number): number {
  return ((slot ^ 1) & (TLB_ENTRIES - 1)) << 12;
}

/** The number of the entry for an address in a TLB. */
function slotOf(address: number, mmu: number): number {
  return mmu * TLB_ENTRIES + ((address >>> 12) & (TLB_ENTRIES - 1));
}

/** The high half of a wide address. */
function highOf(address: number): number {
  return Math.floor(address / 0x1_0000_0000) | 0;
}

/** The TLBs of one CPU, those with tags of 32 bits or the wide ones. */
export class Tlb {
  readonly #i32: Int32Array;
  readonly #wide: boolean;
  /** Word index of the entries of data. */
  readonly #entries: number;
  /** Words of an entry, to the power of two. */
  readonly #entryShift: number;
  /** Word in an entry of the page's host offset; in those of 32 bits it stands behind each tag. */
  readonly #host: number;
  /** Word index of the first entry's physical page number, and distance of the others', to the power of two. */
  readonly #pages: number;
  readonly #pageShift: number;
  /** Word index of the TLBs of fetches. */
  readonly #fetches: number;
  readonly #fetchShift: number;
  readonly #fetchHost: number;
  /** Word index of their entries' physical page numbers. */
  readonly #fetchPages: number;
  readonly #fetchPageShift: number;
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
  /** For each physical page below 8 GiB, whether it was ever among data. */
  readonly #wasData = new Uint8Array(1 << 21);
  /** For each 4 MiB: whether the TLBs may hold parts of a large page. */
  readonly #large = new Uint8Array(1 << 32 - LARGE_SHIFT);
  /** The same of huge pages. */
  readonly #huge = new Uint8Array(HUGE_PAGES);

  /** The TLBs of the CPU whose area is at `base` of `memory`, empty. */
  constructor(memory: ArrayBufferLike, base: number, wide = false) {
    this.#i32 = new Int32Array(memory);
    this.#wide = wide;
    const entryBytes = wide ? WIDE_ENTRY_BYTES : TLB_ENTRY_BYTES;
    const fetchBytes = wide ? WIDE_FETCH_ENTRY_BYTES : FETCH_ENTRY_BYTES;
    const words = Math.log2(4);
    this.#entries = (base + (wide ? OFF_WIDE_TLB : OFF_TLB)) >> 2;
    this.#entryShift = Math.log2(entryBytes) - words;
    this.#host = WIDE_HOST >> 2;
    this.#pages = wide
      ? this.#entries + (WIDE_PAGE >> 2)
      : (base + OFF_TLB_PHYSICAL) >> 2;
    this.#pageShift = wide ? this.#entryShift : 0;
    this.#fetches = (base + (wide ? OFF_WIDE_FETCH_TLBS : OFF_FETCH_TLBS)) >> 2;
    this.#fetchShift = Math.log2(fetchBytes) - words;
    this.#fetchHost = wide ? WIDE_FETCH_HOST >> 2 : 1;
    this.#fetchPages = wide
      ? this.#fetches + (WIDE_FETCH_PAGE >> 2)
      : (base + OFF_FETCH_PHYSICAL) >> 2;
    this.#fetchPageShift = wide ? this.#fetchShift : 0;
    for (let slot = 0; slot < ALL_SLOTS; slot++) this.#clear(slot);
  }

  /** Word index of a slot of data. */
  #word(slot: number): number {
    return this.#entries + (slot << this.#entryShift);
  }

  /** Word index of the physical page number of a slot of data. */
  #pageWord(slot: number): number {
    return this.#pages + (slot << this.#pageShift);
  }

  /** Word index of an entry of fetches. */
  #fetchWord(slot: number): number {
    return this.#fetches + (slot << this.#fetchShift);
  }

  /** Word index of the physical page number of an entry of fetches. */
  #fetchPageWord(slot: number): number {
    return this.#fetchPages + (slot << this.#fetchPageShift);
  }

  /** Whether the tag at a word is that of the same 4 GiB as an address. */
  #isHigh(word: number, address: number): boolean {
    return !this.#wide || this.#i32[word + TAG_HIGH] === highOf(address);
  }

  /** Writes the tag at a word: that of an address's page, with `flip` flipped. */
  #setTag(word: number, address: number, flip = 0): void {
    this.#i32[word] = address & ~0xfff ^ flip;
    if (this.#wide) this.#i32[word + TAG_HIGH] = highOf(address);
  }

  /** Writes a tag that refuses all accesses of a slot. */
  #setNever(word: number, slot: number): void {
    this.#i32[word] = neverTag(slot);
    if (this.#wide) this.#i32[word + TAG_HIGH] = 0;
  }

  /** The host offset of the page whose tag is at a word, in the entry at `e`. */
  #hostAt(e: number, tag: number): number {
    return this.#i32[this.#wide ? e + this.#host : tag + (TLB_HOST >> 2)] >>> 0;
  }

  /**
   * Host offset for an access of `width` bytes, or 0 if the entry does not
   * serve it; `kind` is `TLB_READ` or `TLB_WRITE`.
   */
  find(address: number, width: number, mmu: number, kind: number): number {
    const e = this.#word(slotOf(address, mmu));
    const tag = e + (kind >> 2);
    const t = (address ^ this.#i32[tag]) >>> 0;
    return t <= PAGE - width && this.#isHigh(tag, address)
      ? this.#hostAt(e, tag) + t
      : 0;
  }

  /** Host offset of a byte in a page whose stores are refused for its code, else 0. */
  findCode(address: number, mmu: number): number {
    const e = this.#word(slotOf(address, mmu));
    const tag = e + (TLB_WRITE >> 2);
    const t = (address ^ this.#i32[tag] ^ TAG_CODE) >>> 0;
    return t < PAGE && this.#isHigh(tag, address)
      ? this.#hostAt(e, tag) + t
      : 0;
  }

  /** The physical page number of the entry that serves an address. */
  page(address: number, mmu: number): number {
    return this.#i32[this.#pageWord(slotOf(address, mmu))] & ~IS_GLOBAL;
  }

  /** Whether an entry of fetches serves an address. */
  hasFetch(address: number, mmu: number): boolean {
    const at = this.#fetchWord(slotOf(address, mmu));
    return ((address ^ this.#i32[at]) >>> 0) < PAGE &&
      this.#isHigh(at, address);
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
    const at = this.#fetchWord(slotOf(address, mmu)) + this.#fetchHost;
    return this.#i32[at] >>> 0;
  }

  /** The physical page number of the entry of fetches that serves an address. */
  fetchPage(address: number, mmu: number): number {
    return this.#i32[this.#fetchPageWord(slotOf(address, mmu))] & ~IS_GLOBAL;
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
    const e = this.#word(slot);
    const [read, write] = [e + (TLB_READ >> 2), e + (TLB_WRITE >> 2)];
    this.#evict(slot, address);
    if (isReadable) this.#setTag(read, address);
    else this.#setNever(read, slot);
    if (stores === STORES_NONE) this.#setNever(write, slot);
    else this.#setTag(write, address, stores === STORES_CODE ? TAG_CODE : 0);
    if (this.#wide) i32[e + this.#host] = host;
    else {
      i32[read + (TLB_HOST >> 2)] = host;
      i32[write + (TLB_HOST >> 2)] = host;
    }
    i32[this.#pageWord(slot)] = isGlobal ? page | IS_GLOBAL : page;
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
    const at = this.#fetchWord(slot);
    if (isExecutable) this.#setTag(at, address);
    else this.#setNever(at, slot);
    i32[at + this.#fetchHost] = host;
    i32[this.#fetchPageWord(slot)] = isGlobal ? page | IS_GLOBAL : page;
    this.#note(ENTRIES + slot, isGlobal);
    if (!isGlobal) this.#localFetches |= 1 << mmu;
  }

  /** The page of an address is a part of a large one or, of a huge one. */
  noteLarge(address: number, isHuge: boolean): void {
    // Of a wide address the low half will do: it says "maybe".
    if (isHuge) this.#huge[Math.floor(address / HUGE) & (HUGE_PAGES - 1)] = 1;
    else this.#large[address >>> LARGE_SHIFT] = 1;
  }

  /** Whether there may be entries of a large or huge page around an address. */
  hasLarge(address: number): boolean {
    return this.#large[address >>> LARGE_SHIFT] !== 0 ||
      this.#huge[Math.floor(address / HUGE) & (HUGE_PAGES - 1)] !== 0;
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
   * Before a slot takes the page of an address: another page in it becomes its
   * victim. A victim that is this page, as it was before, is no more.
   */
  #evict(slot: number, address: number): void {
    const i32 = this.#i32;
    const tag = address & ~0xfff;
    const e = this.#word(slot);
    const to = slot + ENTRIES;
    const v = this.#word(to);
    const read = TLB_READ >> 2;
    if (i32[v + read] === tag && this.#isHigh(v + read, address)) {
      this.#clear(to);
    }
    const old = i32[e + read];
    const index = slot & (TLB_ENTRIES - 1);
    // Those that may be neither read nor written are not worth keeping.
    if (
      old === tag && this.#isHigh(e + read, address) ||
      ((old >>> 12) & (TLB_ENTRIES - 1)) !== index
    ) return;
    i32.copyWithin(v, e, e + (1 << this.#entryShift));
    i32[this.#pageWord(to)] = i32[this.#pageWord(slot)];
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
    const tag = v + (kind >> 2);
    if (
      ((address ^ i32[tag]) >>> 0) >= PAGE || !this.#isHigh(tag, address)
    ) return 0;
    const e = this.#word(slot);
    for (let i = 0; i < 1 << this.#entryShift; i++) this.#swap(e + i, v + i);
    // In a wide entry it has been swapped.
    if (!this.#wide) this.#swap(this.#pageWord(slot), this.#pageWord(to));
    return this.#hostAt(e, e + (TLB_READ >> 2));
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
    this.#huge.fill(0);
    for (let i = 0; i < this.#globalCount; i++) {
      const entry = this.#global[i];
      this.#filled[entry] = 0;
      this.#clearEntry(entry, false);
    }
    this.#globalCount = 0;
    return mmus;
  }

  /** Whether an address is one that only the wide TLBs have. */
  #isNone(address: number): boolean {
    return !this.#wide && (address < -0x80000000 || address > 0xffffffff);
  }

  /** Forgets the page of an address in all TLBs, if it is none that {@linkcode Tlb.hasLarge} tells of. */
  flushPage(address: number): void {
    if (this.#isNone(address)) return;
    const i32 = this.#i32;
    const index = (address >>> 12) & (TLB_ENTRIES - 1);
    const tag = address & ~0xfff;
    for (let slot = index; slot < SLOTS; slot += TLB_ENTRIES) {
      const e = this.#word(slot);
      if (
        i32[e + (TLB_READ >> 2)] === tag ||
        (i32[e + (TLB_WRITE >> 2)] & ~TAG_CODE) === (tag & ~TAG_CODE)
      ) this.#clear(slot);
    }
    for (let slot = index; slot < ENTRIES; slot += TLB_ENTRIES) {
      if (i32[this.#fetchWord(slot)] === tag) this.#clear(SLOTS + slot);
    }
  }

  /** Forgets the page of an address in the TLBs of data. */
  forget(address: number): void {
    if (this.#isNone(address)) return;
    const index = (address >>> 12) & (TLB_ENTRIES - 1);
    const tag = address & ~0xfff;
    for (let slot = index; slot < SLOTS; slot += TLB_ENTRIES) {
      const read = this.#word(slot) + (TLB_READ >> 2);
      if (this.#i32[read] === tag && this.#isHigh(read, address)) {
        this.#clear(slot);
      }
    }
  }

  /**
   * Takes a translation of data for TLB 0 out, if there is one: its words are
   * in `into` from `at` on.
   */
  take(address: number, into: Int32Array, at: number): boolean {
    const i32 = this.#i32;
    const slot = slotOf(address, 0);
    const e = this.#word(slot);
    if (
      i32[e + (TLB_READ >> 2)] !== (address & ~0xfff) ||
      !this.#isHigh(e + (TLB_READ >> 2), address)
    ) return false;
    const words = 1 << this.#entryShift;
    for (let i = 0; i < words; i++) into[at + i] = i32[e + i];
    into[at + words] = i32[this.#pageWord(slot)];
    this.#clear(slot);
    return true;
  }

  /**
   * Puts back what {@linkcode Tlb.take} took, unless its place is in use; all
   * translations must mean what they did then.
   */
  putBack(address: number, from: Int32Array, at: number): boolean {
    const i32 = this.#i32;
    const slot = slotOf(address, 0);
    const e = this.#word(slot);
    const never = neverTag(slot);
    if (
      i32[e + (TLB_READ >> 2)] !== never || i32[e + (TLB_WRITE >> 2)] !== never
    ) return false;
    const words = 1 << this.#entryShift;
    for (let i = 0; i < words; i++) i32[e + i] = from[at + i];
    i32[this.#pageWord(slot)] = from[at + words];
    return true;
  }

  /** Forgets what an entry and its victim hold, unless it is global and to be kept. */
  #clearEntry(entry: number, keepGlobal: boolean): void {
    const i32 = this.#i32;
    if (entry >= ENTRIES) {
      const fetch = entry - ENTRIES;
      const owner = i32[this.#fetchPageWord(fetch)];
      if (!keepGlobal || (owner & IS_GLOBAL) === 0) this.#clear(SLOTS + fetch);
      return;
    }
    for (let slot = entry; slot < SLOTS; slot += ENTRIES) {
      const owner = i32[this.#pageWord(slot)];
      if (!keepGlobal || (owner & IS_GLOBAL) === 0) this.#clear(slot);
    }
  }

  /** Makes a slot match nothing: its tags are those of a page with another index. */
  #clear(slot: number): void {
    if (slot >= SLOTS) {
      this.#setNever(this.#fetchWord(slot - SLOTS), slot);
      return;
    }
    const e = this.#word(slot);
    this.#setNever(e + (TLB_READ >> 2), slot);
    this.#setNever(e + (TLB_WRITE >> 2), slot);
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
    this.#eachSlot(first, end, (slot, at) => this.#setNever(at, slot));
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
        const page = this.#i32[this.#pageWord(slot)] & ~IS_GLOBAL;
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
