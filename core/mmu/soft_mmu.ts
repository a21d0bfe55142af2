/**
 * The software TLB's slow path: everything that is not a hit on plain memory.
 *
 * A TLB entry holds, for reading, writing and executing, the address of its
 * page, and the host offset of the page. Translated code computes
 * `t = address ^ tag` and takes the fast path when `t <= 4096 - width`
 * (unsigned): that one comparison says that the page matches and that the
 * access does not cross it, and `t` is already the offset in the page. An entry
 * refuses an access by a tag of a page that its index cannot hold: *not
 * present*, MMIO, a page with translated code, and so on, all look the same to
 * the fast path and are told apart here.
 *
 * @module
 */

import type { PageRun } from "../bus/address_space.ts";
import {
  type Access,
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_WRITE,
  type Frontend,
  GUEST_FAULT,
  GUEST_MODIFIED,
  type Mmu,
  PERM_EXECUTE,
  PERM_GLOBAL,
  PERM_READ,
  PERM_WRITE,
} from "../cpu/frontend.ts";
import { FlatPages } from "./flat_pages.ts";
import { type WriteWatch, WriteWatches } from "./write_watches.ts";
import {
  OFF_FETCH_PHYSICAL,
  OFF_FETCH_TLBS,
  OFF_ONES,
  OFF_TLB,
  OFF_TLB_PHYSICAL,
  OFF_VALUE,
  TAG_CODE,
  TLB_COUNT,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_HOST,
  TLB_READ,
  TLB_WRITE,
} from "../exec/layout.ts";

/** What the MMU needs of the physical address space. */
export interface PhysicalSpace {
  /** What the 4 KiB page with this number is. */
  lookupPage(
    page: number,
  ): {
    kind: "ram" | "rom" | "io" | "none";
    hostOffset: number;
    writable: boolean;
  };
  /** The runs of pages that are RAM. */
  ramRuns(): readonly PageRun[];
  /** Reads `width` (1, 2, 4) bytes, unsigned. */
  read(address: number, width: 1 | 2 | 4): number;
  /** Writes `width` bytes. */
  write(address: number, width: 1 | 2 | 4, value: number): void;
}

/** What the MMU tells the block cache. */
export interface CodeWatcher {
  /** Whether the physical page holds translated code. */
  hasCode(page: number): boolean;
  /**
   * Bytes are about to be written: forget the blocks made from them. Returns
   * true if that hits the block that is running, whose `runningTag` is
   * `running` (0: not known).
   */
  written(physical: number, length: number, running: number): boolean;
}

/** Answer of {@linkcode SoftMmu.slowStore}: done. */
export const STORE_DONE = 0;
/** Answer of {@linkcode SoftMmu.slowStore}: guest fault. */
export const STORE_FAULT = 1;
/** Answer of {@linkcode SoftMmu.slowStore}: not done, it would change the running code. */
export const STORE_MODIFIES = 2;

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
/** The bits of all TLBs. */
const ALL_MMUS = (1 << TLB_COUNT) - 1;
/** In the word of the physical page number: the translation is global. */
const IS_GLOBAL = 0x80000000 | 0;
/** The largest page has 2 to this power bytes. */
const LARGE_SHIFT = 22;

/** The tag of an entry that refuses all accesses: of a page with another index. */
function neverTag(slot: number): number {
  return ((slot ^ 1) & (TLB_ENTRIES - 1)) << 12;
}

/** The softMMU of one CPU. */
export class SoftMmu implements Mmu {
  /** TLB misses that walked the page tables. */
  walks = 0;
  /** Slow accesses of any kind. */
  slow = 0;
  /** Flushes. */
  flushes = 0;
  readonly #frontend: Frontend;
  readonly #space: PhysicalSpace;
  readonly #base: number;
  readonly #u8: Uint8Array;
  readonly #view: DataView;
  readonly #i32: Int32Array;
  readonly #tlb: number;
  /** Word index of the entries' physical page numbers. */
  readonly #pages: number;
  /** Word index of the TLBs of fetches. */
  readonly #fetches: number;
  /** Word index of their entries' physical page numbers. */
  readonly #fetchPages: number;
  readonly #value: number;
  readonly #watches = new WriteWatches();
  #mask = 0xffffffff;
  #code: CodeWatcher = { hasCode: () => false, written: () => false };
  /** Called when translations changed, so that jumps are looked up again. */
  #onFlush: (address: number, mmus: number) => void = () => {};
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
  /** What code without paging may do with pages. */
  readonly flat: FlatPages;
  /**
   * The pages of devices that were last read and written, which the TLBs do not
   * hold: linear address plus number of the TLB, or -1; and physical address.
   * With it, an access to a device takes two thirds of the time.
   */
  #ioRead = -1;
  #ioReadPage = 0;
  #ioWrite = -1;
  #ioWritePage = 0;
  /** Physical address of the last translation. */
  #physical = 0;
  /** Host offset of the last translation's page, or -1 if it is not memory. */
  #host = -1;

  /** Makes the MMU of the CPU whose area is at `base` of `memory`. */
  constructor(
    frontend: Frontend,
    space: PhysicalSpace,
    memory: SharedArrayBuffer | ArrayBufferLike,
    base: number,
  ) {
    this.#frontend = frontend;
    this.#space = space;
    this.#base = base;
    this.#u8 = new Uint8Array(memory);
    this.#i32 = new Int32Array(memory);
    this.#view = new DataView(memory);
    this.#tlb = base + OFF_TLB;
    this.#pages = (base + OFF_TLB_PHYSICAL) >> 2;
    this.#fetches = (base + OFF_FETCH_TLBS) >> 2;
    this.#fetchPages = (base + OFF_FETCH_PHYSICAL) >> 2;
    this.#value = base + OFF_VALUE;
    this.flat = new FlatPages(this.#u8, base, {
      lookupPage: (page) => space.lookupPage(page),
      ramRuns: () => space.ramRuns(),
      hasCode: (page) => this.#code.hasCode(page) || this.#isWatched(page),
    });
    for (let slot = 0; slot < ALL_SLOTS; slot++) this.#clear(slot);
    this.#u8.fill(0xff, base + OFF_ONES, base + OFF_ONES + PAGE);
  }

  /**
   * Tells the MMU who keeps the translated code, and whom to tell of flushes:
   * of one page (its address) or of all (-1), and of which TLBs' fetches (bits).
   */
  connect(
    code: CodeWatcher,
    onFlush: (address: number, mmus: number) => void,
  ): void {
    this.#code = {
      hasCode: (page) => code.hasCode(page),
      written: (physical, length, running) => {
        this.noteWrite(physical, length);
        return code.written(physical, length, running);
      },
    };
    this.#onFlush = onFlush;
  }

  /**
   * Call `changed` at the next store to any of these bytes' pages that changes
   * what is there, once. The same bytes have one watcher, the last one.
   */
  watchWrites(physical: number, length: number, changed: () => void): void {
    const watch = this.#watches.arm(physical, length, changed);
    this.#eachData((entry) => this.#refuseStores(entry, watch));
    const { hostOffset } = this.#space.lookupPage(watch.first);
    if (hostOffset - watch.first * PAGE !== this.flat.delta) return;
    for (let page = watch.first; page < watch.end; page++) {
      this.flat.protect(page);
    }
  }

  /** Bytes are about to be written, by the guest or by a bus master. */
  noteWrite(physical: number, length: number): void {
    if (this.#watches.isEmpty || length === 0) return;
    const last = Math.floor((physical + length - 1) / PAGE);
    const hit = this.#watches.take(Math.floor(physical / PAGE), last);
    for (const { changed } of hit) changed();
  }

  #isWatched(page: number): boolean {
    return !this.#watches.isEmpty && this.#watches.has(page);
  }

  /** The entries of the TLBs of data that hold something. */
  #eachData(visit: (entry: number) => void): void {
    for (let i = 0; i < this.#localCount; i++) visit(this.#local[i]);
    for (let i = 0; i < this.#globalCount; i++) {
      const entry = this.#global[i];
      // One that is among both has been seen.
      if (this.#filled[entry] === FILLED_GLOBAL) visit(entry);
    }
  }

  /** Refuses stores to watched pages, whatever lets them through otherwise. */
  #refuseStores(entry: number, { first, end }: WriteWatch): void {
    if (entry >= ENTRIES) return;
    const i32 = this.#i32;
    for (let slot = entry; slot < SLOTS; slot += ENTRIES) {
      const page = i32[this.#pages + slot] & ~IS_GLOBAL;
      if (page < first || page >= end) continue;
      const e = (this.#tlb + slot * TLB_ENTRY_BYTES) >> 2;
      i32[e + (TLB_WRITE >> 2)] = neverTag(slot);
    }
  }

  setPhysicalMask(mask: number): void {
    if (this.#mask === mask) return;
    this.#mask = mask;
    // Pages are entered while the mask leaves addresses as they are.
    this.flat.clear();
    this.flush(false);
  }

  /** Code without paging is about to be compiled: opens the window that it asks for. */
  openFlat(): void {
    if (this.#mask >>> 0 === 0xffffffff) this.flat.openWindow();
  }

  /**
   * A region has no permission for the page of an address without paging, or
   * for the next one: says whether it has now.
   */
  allowFlat(address: number): boolean {
    this.openFlat();
    return this.#mask >>> 0 === 0xffffffff && this.flat.allow(address >>> 12);
  }

  /**
   * Physical addresses mean something else: forgets everything. Until all
   * translated code is forgotten too, which ends with `flat.resume`, code
   * without paging looks everything up.
   */
  remap(): void {
    this.flat.suspend();
    this.flush(false);
    // What was watched may be elsewhere: whoever watches looks again.
    for (const { changed } of this.#watches.take(0, Infinity)) changed();
  }

  flush(keepGlobal: boolean): void {
    this.flushes++;
    this.#ioRead = this.#ioWrite = -1;
    if (!keepGlobal) this.#large.fill(0);
    for (let i = 0; i < this.#localCount; i++) {
      const entry = this.#local[i];
      this.#filled[entry] &= ~FILLED_LOCAL;
      this.#clearEntry(entry, keepGlobal);
    }
    this.#localCount = 0;
    if (!keepGlobal) {
      for (let i = 0; i < this.#globalCount; i++) {
        const entry = this.#global[i];
        this.#filled[entry] = 0;
        this.#clearEntry(entry, false);
      }
      this.#globalCount = 0;
    }
    const mmus = keepGlobal ? this.#localFetches : ALL_MMUS;
    this.#localFetches = 0;
    if (mmus !== 0) this.#onFlush(-1, mmus);
  }

  flushPage(address: number): void {
    this.#ioRead = this.#ioWrite = -1;
    if (this.#large[address >>> LARGE_SHIFT] !== 0) {
      this.flush(false);
      return;
    }
    const index = (address >>> 12) & (TLB_ENTRIES - 1);
    for (let slot = index; slot < ALL_SLOTS; slot += TLB_ENTRIES) {
      this.#clear(slot);
    }
    this.#onFlush(address >>> 0, ALL_MMUS);
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
    const e = (this.#tlb + slot * TLB_ENTRY_BYTES) >> 2;
    this.#i32[e + (TLB_READ >> 2)] = never;
    this.#i32[e + (TLB_WRITE >> 2)] = never;
  }

  /**
   * A page got its first translated code: stores to it must come here from
   * now on.
   */
  protect(page: number): void {
    this.flat.protect(page);
    // Most pages with code are nothing else: a search of all entries for each
    // took a thirtieth of the time to translate.
    if (this.#wasData[page] === 0) return;
    this.#eachData((entry) => this.#protectEntry(entry, page));
  }

  #protectEntry(entry: number, page: number): void {
    if (entry >= ENTRIES) return;
    const i32 = this.#i32;
    for (let slot = entry; slot < SLOTS; slot += ENTRIES) {
      if ((i32[this.#pages + slot] & ~IS_GLOBAL) !== page) continue;
      const at = ((this.#tlb + slot * TLB_ENTRY_BYTES) >> 2) + (TLB_WRITE >> 2);
      const index = (i32[at] >>> 12) & (TLB_ENTRIES - 1);
      if (index === (slot & (TLB_ENTRIES - 1))) i32[at] ^= TAG_CODE;
    }
  }

  /**
   * Translates an address for an access and fills the TLB. Returns false after
   * a fault. On success `#physical` and `#host` hold the result.
   */
  #translate(address: number, access: Access, mmu: number): boolean {
    address = address >>> 0;
    const index = (address >>> 12) & (TLB_ENTRIES - 1);
    const slot = mmu * TLB_ENTRIES + index;
    const e = (this.#tlb + slot * TLB_ENTRY_BYTES) >> 2;
    const f = this.#frontend;
    if (access !== ACCESS_EXECUTE && this.#victim(address, access, slot)) {
      return true;
    }
    this.walks++;
    if (!f.walk(address, access, mmu, false)) return false;
    const walk = f.pageWalk;
    // A20 masks bit 20 of what comes out of the page tables.
    const physical = walk.physical > 0xffffffff
      ? walk.physical
      : (walk.physical & this.#mask) >>> 0;
    const page = Math.floor(physical / PAGE);
    const mapping = this.#space.lookupPage(page);
    const tag = address & ~0xfff;
    const never = neverTag(index);
    const p = walk.permissions;
    const i32 = this.#i32;
    if (walk.large === true) this.#large[address >>> LARGE_SHIFT] = 1;
    this.#physical = physical + (address & 0xfff);
    // A page on which nothing answers reads as ones from memory. (A kernel that
    // looks for firmware tables without firmware reads 100,000 times.)
    const isOnes = mapping.kind === "none" && access === ACCESS_READ;
    if (mapping.kind === "ram" || mapping.kind === "rom" || isOnes) {
      const host = isOnes ? this.#base + OFF_ONES : mapping.hostOffset;
      this.#host = host;
      const owner = (p & PERM_GLOBAL) !== 0 ? page | IS_GLOBAL : page;
      if (access === ACCESS_EXECUTE) {
        const at = this.#fetches + 2 * slot;
        // Translated code knows 32 bits of the physical address it jumps to.
        const executable = (p & PERM_EXECUTE) !== 0 && physical <= 0xffffffff;
        i32[at] = executable ? tag : never;
        i32[at + 1] = mapping.hostOffset;
        i32[this.#fetchPages + slot] = owner;
        this.#fill(ENTRIES + slot, owner);
        if ((p & PERM_GLOBAL) === 0) this.#localFetches |= 1 << mmu;
        return true;
      }
      this.#evict(slot, tag);
      const writable = mapping.writable && (p & PERM_WRITE) !== 0 &&
        !this.#isWatched(page);
      const forWrites = this.#code.hasCode(page) ? tag ^ TAG_CODE : tag;
      i32[e + (TLB_READ >> 2)] = (p & PERM_READ) !== 0 ? tag : never;
      i32[e + (TLB_WRITE >> 2)] = writable ? forWrites : never;
      i32[e + ((TLB_READ + TLB_HOST) >> 2)] = host;
      i32[e + ((TLB_WRITE + TLB_HOST) >> 2)] = host;
      i32[this.#pages + slot] = owner;
      this.#fill(slot, owner);
      this.#wasData[page] = 1;
      if (this.#mask >>> 0 === 0xffffffff && f.flat(f.key())) {
        this.flat.enter(page);
      }
    } else {
      this.#host = -1;
    }
    return true;
  }

  /** Remembers that an entry holds a translation, of a page by `owner`. */
  #fill(entry: number, owner: number): void {
    const kind = (owner & IS_GLOBAL) === 0 ? FILLED_LOCAL : FILLED_GLOBAL;
    if ((this.#filled[entry] & kind) !== 0) return;
    this.#filled[entry] |= kind;
    if (kind === FILLED_LOCAL) this.#local[this.#localCount++] = entry;
    else this.#global[this.#globalCount++] = entry;
  }

  /** Before a slot takes the page at `tag`: another page in it becomes its victim. */
  #evict(slot: number, tag: number): void {
    const i32 = this.#i32;
    const e = (this.#tlb + slot * TLB_ENTRY_BYTES) >> 2;
    const old = i32[e + (TLB_READ >> 2)];
    const index = slot & (TLB_ENTRIES - 1);
    // Those that may be neither read nor written are not worth keeping.
    if (old === tag || ((old >>> 12) & (TLB_ENTRIES - 1)) !== index) return;
    const to = slot + TLB_COUNT * TLB_ENTRIES;
    const v = (this.#tlb + to * TLB_ENTRY_BYTES) >> 2;
    i32.copyWithin(v, e, e + (TLB_ENTRY_BYTES >> 2));
    i32[this.#pages + to] = i32[this.#pages + slot];
  }

  /** Swaps a slot with its victim if that serves the access; sets the result. */
  #victim(address: number, access: Access, slot: number): boolean {
    const i32 = this.#i32;
    const to = slot + TLB_COUNT * TLB_ENTRIES;
    const v = (this.#tlb + to * TLB_ENTRY_BYTES) >> 2;
    const tagAt = access === ACCESS_WRITE ? TLB_WRITE : TLB_READ;
    const tag = i32[v + (tagAt >> 2)];
    if (((address ^ tag) >>> 0) >= PAGE) return false;
    const e = (this.#tlb + slot * TLB_ENTRY_BYTES) >> 2;
    for (let i = 0; i < TLB_ENTRY_BYTES >> 2; i++) this.#swap(e + i, v + i);
    this.#swap(this.#pages + slot, this.#pages + to);
    this.#host = i32[e + ((TLB_READ + TLB_HOST) >> 2)] >>> 0;
    const page = i32[this.#pages + slot] & ~IS_GLOBAL;
    this.#physical = page * PAGE + (address & 0xfff);
    return true;
  }

  #swap(a: number, b: number): void {
    const t = this.#i32[a];
    this.#i32[a] = this.#i32[b];
    this.#i32[b] = t;
  }

  /** The physical address for an instruction fetch; -1 after a fault. */
  fetch(address: number, mmu: number): number {
    address = address >>> 0;
    const slot = mmu * TLB_ENTRIES + ((address >>> 12) & (TLB_ENTRIES - 1));
    const at = this.#fetches + 2 * slot;
    if (((address ^ this.#i32[at]) >>> 0) < PAGE) {
      this.#host = this.#i32[at + 1] >>> 0;
      const page = this.#i32[this.#fetchPages + slot] & ~IS_GLOBAL;
      return page * PAGE + (address & 0xfff);
    }
    if (!this.#translate(address, ACCESS_EXECUTE, mmu)) return -1;
    return this.#physical;
  }

  /**
   * The physical address that an instruction fetch would have, if it is memory
   * below 4 GiB; else -1. The guest cannot tell: no fault, no accessed bit.
   */
  peekFetch(address: number, mmu: number): number {
    const f = this.#frontend;
    if (!f.walk(address >>> 0, ACCESS_EXECUTE, mmu, true)) return -1;
    const page = f.pageWalk.physical;
    if (page > 0xffffffff) return -1;
    const physical = (page & this.#mask) >>> 0;
    return this.hostOf(physical) < 0 ? -1 : physical + (address & 0xfff);
  }

  /** Host offset of the page that {@linkcode SoftMmu.fetch} last translated, or -1 if it is not memory. */
  get fetchHost(): number {
    return this.#host;
  }

  #entry(address: number, mmu: number): number {
    const index = (address >>> 12) & (TLB_ENTRIES - 1);
    return (this.#tlb + (mmu * TLB_ENTRIES + index) * TLB_ENTRY_BYTES) >> 2;
  }

  /**
   * Fills the entry for a cluster of accesses whose lowest byte is at `low`, as
   * its first access would (`refillWord`): the host offset of that byte if one
   * lookup serves them all now, 1 after a fault of the first access, 3 if it
   * does not, 4 if it never will (a device, or stores to a page with code).
   */
  refill(low: number, what: number): number {
    const first = (low + (what & 0xff)) >>> 0;
    const isFirstStore = (what & 1 << 16) !== 0;
    const tag = (what & 1 << 17) !== 0 ? TLB_WRITE : TLB_READ;
    const mmu = what >>> 18;
    const e = this.#entry(first, mmu);
    let isMemory = true;
    const firstTag = isFirstStore ? TLB_WRITE : TLB_READ;
    if (((first ^ this.#i32[e + (firstTag >> 2)]) >>> 0) >= PAGE) {
      const access = isFirstStore ? ACCESS_WRITE : ACCESS_READ;
      if (!this.#translate(first, access, mmu)) return 1;
      isMemory = this.#host >= 0;
    }
    if (tag === TLB_WRITE && isMemory && !this.#watches.isEmpty) {
      // The store comes now: a cluster is not to be given up for a watch.
      const slot = (e - (this.#tlb >> 2)) / (TLB_ENTRY_BYTES >> 2);
      const page = this.#i32[this.#pages + slot] & ~IS_GLOBAL;
      if (this.#watches.has(page)) {
        this.noteWrite(page * PAGE, 1);
        const access = isFirstStore ? ACCESS_WRITE : ACCESS_READ;
        if (!this.#translate(first, access, mmu)) return 1;
      }
    }
    const bytes = (what >>> 8) & 0xff;
    const found = this.#i32[e + (tag >> 2)];
    const offset = (low ^ found) >>> 0;
    if (offset <= PAGE - bytes) {
      return (this.#i32[e + ((tag + TLB_HOST) >> 2)] + offset) | 0;
    }
    // The tag of a page with code has a bit flipped.
    const hasCode = ((first ^ found ^ TAG_CODE) >>> 0) < PAGE;
    return isMemory && !hasCode ? 3 : 4;
  }

  /**
   * A load of `width` bytes that missed: returns the host offset where the
   * bytes can be read (the memory itself, or the value slot), or 0 after a
   * fault. Called by translated code.
   */
  slowLoad(address: number, width: number, mmu: number): number {
    this.slow++;
    address = address >>> 0;
    const offset = address & 0xfff;
    if (offset + width <= PAGE) {
      const page = address - offset + mmu;
      if (page !== this.#ioRead) {
        if (!this.#translate(address, ACCESS_READ, mmu)) return 0;
        if (this.#host >= 0) return this.#host + offset;
        this.#ioRead = page;
        this.#ioReadPage = this.#physical - offset;
      }
      this.#readIo(this.#ioReadPage + offset, this.#value, width);
      return this.#value;
    }
    // Across two pages: both are checked before any byte is read.
    const first = PAGE - offset;
    const second = (address + first) >>> 0;
    if (!this.#translate(address, ACCESS_READ, mmu)) return 0;
    const h0 = this.#host;
    const p0 = this.#physical;
    if (!this.#translate(second, ACCESS_READ, mmu)) return 0;
    const h1 = this.#host;
    const p1 = this.#physical;
    this.#readBytes(h0, p0, this.#value, first);
    this.#readBytes(h1, p1, this.#value + first, width - first);
    return this.#value;
  }

  #readBytes(host: number, physical: number, to: number, n: number): void {
    if (host >= 0) {
      const from = host + (physical % PAGE);
      for (let i = 0; i < n; i++) this.#u8[to + i] = this.#u8[from + i];
    } else {
      for (let i = 0; i < n; i++) {
        this.#u8[to + i] = this.#space.read(physical + i, 1);
      }
    }
  }

  #readIo(physical: number, to: number, width: number): void {
    const space = this.#space;
    switch (width) {
      case 1:
        this.#u8[to] = space.read(physical, 1);
        return;
      case 2:
        this.#view.setUint16(to, space.read(physical, 2), true);
        return;
      default:
        for (let i = 0; i < width; i += 4) {
          this.#view.setInt32(to + i, space.read(physical + i, 4), true);
        }
    }
  }

  #writeIo(physical: number, from: number, width: number): void {
    const space = this.#space;
    switch (width) {
      case 1:
        space.write(physical, 1, this.#u8[from]);
        return;
      case 2:
        space.write(physical, 2, this.#view.getUint16(from, true));
        return;
      default:
        for (let i = 0; i < width; i += 4) {
          space.write(physical + i, 4, this.#view.getUint32(from + i, true));
        }
    }
  }

  /**
   * A store that missed; its value stands in the value slot. Called by
   * translated code. `from` is the number of the TLB and, 8 bits further up,
   * the `runningTag` of the block that stores, 0 if that is not known. Returns
   * {@linkcode STORE_DONE}, {@linkcode STORE_FAULT} or
   * {@linkcode STORE_MODIFIES}.
   */
  slowStore(address: number, width: number, from: number): number {
    this.slow++;
    address = address >>> 0;
    const mmu = from & 0xff;
    const running = from >>> 8;
    const offset = address & 0xfff;
    if (offset + width <= PAGE) {
      if (address - offset + mmu === this.#ioWrite) {
        this.#writeIo(this.#ioWritePage + offset, this.#value, width);
        return STORE_DONE;
      }
      const index = (address >>> 12) & (TLB_ENTRIES - 1);
      const slot = mmu * TLB_ENTRIES + index;
      const e = (this.#tlb + slot * TLB_ENTRY_BYTES) >> 2;
      const tag = this.#i32[e + (TLB_WRITE >> 2)] ^ TAG_CODE;
      if (((address ^ tag) >>> 0) < PAGE) {
        const page = this.#i32[this.#pages + slot] & ~IS_GLOBAL;
        const host = this.#i32[e + ((TLB_WRITE + TLB_HOST) >> 2)] >>> 0;
        return this.#storeToCode(
          page * PAGE + offset,
          host + offset,
          width,
          running,
        );
      }
      if (!this.#translate(address, ACCESS_WRITE, mmu)) return STORE_FAULT;
      const physical = this.#physical;
      const page = Math.floor(physical / PAGE);
      if (this.#host < 0) {
        this.#ioWrite = address - offset + mmu;
        this.#ioWritePage = physical - offset;
        this.#writeIo(physical, this.#value, width);
        return STORE_DONE;
      }
      // A page without code, as most are: nothing to ask.
      if (((address ^ this.#i32[e + (TLB_WRITE >> 2)]) >>> 0) < PAGE) {
        this.#copyValue(this.#host + offset, width);
        return STORE_DONE;
      }
      if (!this.#isRam(page)) return STORE_DONE;
      return this.#storeToCode(physical, this.#host + offset, width, running);
    }
    const first = PAGE - offset;
    const second = (address + first) >>> 0;
    if (!this.#translate(address, ACCESS_WRITE, mmu)) return STORE_FAULT;
    const p0 = this.#physical;
    if (!this.#translate(second, ACCESS_WRITE, mmu)) return STORE_FAULT;
    const p1 = this.#physical;
    const rest = width - first;
    const hit0 = this.#code.written(p0, first, running);
    const hit1 = this.#code.written(p1, rest, running);
    if (hit0 || hit1) return STORE_MODIFIES;
    this.#writeBytes(p0, this.#value, first);
    this.#writeBytes(p1, this.#value + first, rest);
    return STORE_DONE;
  }

  /** Stores what stands in the value slot. */
  #copyValue(host: number, width: number): void {
    if (width === 4) {
      this.#view.setInt32(host, this.#view.getInt32(this.#value, true), true);
      return;
    }
    const u8 = this.#u8;
    for (let i = 0; i < width; i++) u8[host + i] = u8[this.#value + i];
  }

  /** Does a store to a page that may hold code, unless it hits the block that is running. */
  #storeToCode(
    physical: number,
    host: number,
    width: number,
    running: number,
  ): number {
    const u8 = this.#u8;
    const value = this.#value;
    this.noteWrite(physical, width);
    // Programs that write code often write what was there before.
    let i = 0;
    while (i < width && u8[host + i] === u8[value + i]) i++;
    if (i === width) return STORE_DONE;
    if (this.#code.written(physical, width, running)) return STORE_MODIFIES;
    while (i < width) {
      u8[host + i] = u8[value + i];
      i++;
    }
    return STORE_DONE;
  }

  #isRam(page: number): boolean {
    return this.#space.lookupPage(page).writable;
  }

  #writeBytes(physical: number, from: number, n: number): void {
    const mapping = this.#space.lookupPage(Math.floor(physical / PAGE));
    if (mapping.writable) {
      const to = mapping.hostOffset + (physical % PAGE);
      for (let i = 0; i < n; i++) this.#u8[to + i] = this.#u8[from + i];
    } else if (mapping.kind !== "rom") {
      for (let i = 0; i < n; i++) {
        this.#space.write(physical + i, 1, this.#u8[from + i]);
      }
    }
  }

  /** Host offset for a read of `width` bytes; throws the guest's fault. */
  #load(address: number, width: number, mmu: number): number {
    const e = this.#entry(address, mmu);
    const t = (address ^ this.#i32[e + (TLB_READ >> 2)]) >>> 0;
    if (t <= PAGE - width) {
      return (this.#i32[e + ((TLB_READ + TLB_HOST) >> 2)] >>> 0) + t;
    }
    const host = this.slowLoad(address, width, mmu);
    if (host === 0) throw GUEST_FAULT;
    return host;
  }

  read8(address: number, mmu: number): number {
    return this.#u8[this.#load(address, 1, mmu)];
  }

  read16(address: number, mmu: number): number {
    return this.#view.getUint16(this.#load(address, 2, mmu), true);
  }

  read32(address: number, mmu: number): number {
    return this.#view.getInt32(this.#load(address, 4, mmu), true);
  }

  /** Host offset for a fast write, or 0 when the slow path is needed. */
  #fastStore(address: number, width: number, mmu: number): number {
    const e = this.#entry(address, mmu);
    const t = (address ^ this.#i32[e + (TLB_WRITE >> 2)]) >>> 0;
    return t <= PAGE - width
      ? (this.#i32[e + ((TLB_WRITE + TLB_HOST) >> 2)] >>> 0) + t
      : 0;
  }

  #finishStore(address: number, width: number, mmu: number): void {
    const r = this.slowStore(address, width, mmu);
    if (r === STORE_FAULT) throw GUEST_FAULT;
    if (r === STORE_MODIFIES) throw GUEST_MODIFIED;
  }

  write8(address: number, value: number, mmu: number): void {
    const host = this.#fastStore(address, 1, mmu);
    if (host !== 0) {
      this.#u8[host] = value;
      return;
    }
    this.#u8[this.#value] = value;
    this.#finishStore(address, 1, mmu);
  }

  write16(address: number, value: number, mmu: number): void {
    const host = this.#fastStore(address, 2, mmu);
    if (host !== 0) {
      this.#view.setUint16(host, value, true);
      return;
    }
    this.#view.setUint16(this.#value, value, true);
    this.#finishStore(address, 2, mmu);
  }

  write32(address: number, value: number, mmu: number): void {
    const host = this.#fastStore(address, 4, mmu);
    if (host !== 0) {
      this.#view.setInt32(host, value, true);
      return;
    }
    this.#view.setInt32(this.#value, value, true);
    this.#finishStore(address, 4, mmu);
  }

  probe(address: number, size: number, access: Access, mmu: number): void {
    const tagAt = access === ACCESS_WRITE ? TLB_WRITE : TLB_READ;
    let at = address >>> 0;
    let left = size;
    while (left > 0) {
      const e = this.#entry(at, mmu);
      if (((at ^ this.#i32[e + (tagAt >> 2)]) >>> 0) >= PAGE) {
        if (!this.#translate(at, access, mmu)) throw GUEST_FAULT;
      }
      const n = PAGE - (at & 0xfff);
      left -= n;
      at = (at + n) >>> 0;
    }
  }

  direct(address: number, access: Access, mmu: number): number {
    address = address >>> 0;
    const tagAt = access === ACCESS_WRITE ? TLB_WRITE : TLB_READ;
    const e = this.#entry(address, mmu);
    let t = (address ^ this.#i32[e + (tagAt >> 2)]) >>> 0;
    if (t >= PAGE) {
      if (!this.#frontend.walk(address, access, mmu, true)) return -1;
      if (!this.#translate(address, access, mmu)) return -1;
      t = (address ^ this.#i32[e + (tagAt >> 2)]) >>> 0;
      if (t >= PAGE) return -1;
    }
    return (this.#i32[e + ((tagAt + TLB_HOST) >> 2)] >>> 0) + t;
  }

  directStore(
    address: number,
    length: number,
    mmu: number,
    from: number,
  ): number {
    const direct = this.direct(address, ACCESS_WRITE, mmu);
    if (direct >= 0) return direct;
    // A page with code, or no memory.
    const index = (address >>> 12) & (TLB_ENTRIES - 1);
    const e = this.#entry(address, mmu);
    const t = (address ^ this.#i32[e + (TLB_WRITE >> 2)] ^ TAG_CODE) >>> 0;
    if (t >= PAGE) return -1;
    const host = (this.#i32[e + ((TLB_WRITE + TLB_HOST) >> 2)] >>> 0) + t;
    const u8 = this.#u8;
    let same = 0;
    if (from >= 0) {
      while (same < length && u8[host + same] === u8[from + same]) same++;
    }
    if (same < length) {
      const slot = mmu * TLB_ENTRIES + index;
      const page = this.#i32[this.#pages + slot] & ~IS_GLOBAL;
      if (this.#code.written(page * PAGE + t, length, 0)) throw GUEST_MODIFIED;
    }
    return host;
  }

  readPhysical32(physical: number): number {
    const mapping = this.#space.lookupPage(Math.floor(physical / PAGE));
    if (mapping.kind === "ram" || mapping.kind === "rom") {
      return this.#i32[(mapping.hostOffset + (physical % PAGE)) >>> 2];
    }
    return this.#space.read(physical, 4) | 0;
  }

  writePhysical32(physical: number, value: number): void {
    const page = Math.floor(physical / PAGE);
    const mapping = this.#space.lookupPage(page);
    if (mapping.writable) {
      this.#code.written(physical, 4, 0);
      this.#i32[(mapping.hostOffset + (physical % PAGE)) >>> 2] = value;
    } else if (mapping.kind !== "rom") {
      this.#space.write(physical, 4, value >>> 0);
    }
  }

  /** One byte of code that is not in memory: what the bus gives. */
  readCode(physical: number): number {
    return this.#space.read(physical, 1);
  }

  /** Host offset of a physical page that is memory, or -1. */
  hostOf(physical: number): number {
    const mapping = this.#space.lookupPage(Math.floor(physical / PAGE));
    return mapping.kind === "ram" || mapping.kind === "rom"
      ? mapping.hostOffset
      : -1;
  }

  /** Byte offset of the CPU's area: for tests and messages. */
  get base(): number {
    return this.#base;
  }
}
