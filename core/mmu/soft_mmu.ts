/**
 * The softMMU: everything that is not a hit of a TLB entry on plain memory.
 *
 * Translated code looks into the entries itself ({@linkcode Tlb}) and comes
 * here when one does not serve it: for a walk of the page tables, a device, an
 * access across two pages, a store to a page with translated code. The helpers
 * of instructions that are not translated access memory through here too.
 *
 * @module
 */

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
import type { AccessGuard } from "./access_guard.ts";
import { ConditionalTranslations } from "./conditional.ts";
import { FlatPages } from "./flat_pages.ts";
import { HighCode } from "./high_code.ts";
import { PhysicalAccess, type PhysicalSpace } from "./physical_access.ts";
import {
  ALL_MMUS,
  REFUSES_READ,
  STORES_CODE,
  STORES_DIRECT,
  STORES_NONE,
  Tlb,
} from "./tlb.ts";
import { WriteWatches } from "./write_watches.ts";
import {
  CODE_MASK_BYTES,
  CODE_MASKS,
  OFF_CODE_MASKS,
  OFF_ONES,
  OFF_VALUE,
  TLB_READ,
  TLB_WRITE,
} from "../exec/layout.ts";

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
const FOUR_GIB = 2 ** 32;

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
  readonly #i32: Int32Array;
  readonly #view: DataView;
  /** Of addresses of 32 bits. */
  readonly #tlb: Tlb;
  /** Of wide ones; made when they are first used. */
  #wideTlb: Tlb | undefined;
  /** Which of them helpers' accesses look into. */
  #data: Tlb;
  readonly #memory: ArrayBufferLike;
  readonly #physicalAccess: PhysicalAccess;
  /**
   * Asked before an instruction reaches a device: whether it is to fault
   * instead, as it will be begun again at a time when it may.
   */
  defers: () => boolean = () => false;
  readonly #value: number;
  readonly #watches = new WriteWatches();
  readonly #conditional = new ConditionalTranslations();
  readonly #high: HighCode;
  #guard: AccessGuard | undefined;
  /** An access was refused, as its instruction must be run alone (`AccessGuard`). */
  retries = false;
  /** Is told of each translation for a fetch: a linear address and the code page. */
  onFetch: ((address: number, codePage: number) => void) | undefined;
  #mask = 0xffffffff;
  /** Linear addresses are wide. */
  #wide = false;
  #code: CodeWatcher = { hasCode: () => false, written: () => false };
  /** Called when translations changed, so that jumps are looked up again. */
  #onFlush: (address: number, mmus: number) => void = () => {};
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
    this.#memory = memory;
    this.#tlb = new Tlb(memory, base);
    this.#data = this.#tlb;
    this.#physicalAccess = new PhysicalAccess(space, memory);
    this.#value = base + OFF_VALUE;
    this.#high = new HighCode(space);
    this.flat = new FlatPages(this.#u8, base, {
      lookupPage: (page) => space.lookupPage(page),
      ramRuns: () => space.ramRuns(),
      hasCode: (page) => this.#code.hasCode(page) || this.#isWatched(page),
      refuses: (page) => this.#guard?.refuses(page * PAGE, page) ?? 0,
      refusedRuns: () => this.#guard?.pages() ?? [],
    });
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
      hasCode: (page) => code.hasCode(this.#high.codePage(page)),
      written: (physical, length, running) => {
        this.noteWrite(physical, length);
        return code.written(this.#high.code(physical), length, running);
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
    this.#conditional.forget();
    this.#tlb.refuseStores(watch.first, watch.end);
    this.#wideTlb?.refuseStores(watch.first, watch.end);
    const { hostOffset } = this.#space.lookupPage(watch.first);
    if (hostOffset - watch.first * PAGE !== this.flat.delta) return;
    for (let page = watch.first; page < watch.end; page++) {
      this.flat.protect(page);
    }
  }

  /** Who guards accesses, while something is watched. */
  get guard(): AccessGuard | undefined {
    return this.#guard;
  }

  set guard(guard: AccessGuard | undefined) {
    this.#guard = guard;
    this.flat.refusalsChanged();
    this.flush(false);
  }

  /** Asks the guard about an access: false if it is refused now. */
  #isAllowed(
    tlb: Tlb,
    address: number,
    width: number,
    mmu: number,
    isWrite: boolean,
  ): boolean {
    const guard = this.#guard!;
    for (let done = 0; done < width;) {
      const at = done === 0 ? address : this.#after(tlb, address, done);
      const n = Math.min(width - done, PAGE - (at & 0xfff));
      const physical = guard.hasPhysical ? this.#peek(at, mmu) : -1;
      if (!guard.allows(at, physical, n, isWrite)) {
        this.retries = true;
        return false;
      }
      done += n;
    }
    return true;
  }

  /** Physical address of a linear one, which the guest cannot tell; -1 if there is none. */
  #peek(address: number, mmu: number): number {
    if (!this.#frontend.walk(address, ACCESS_READ, mmu, true)) return -1;
    const walked = this.#frontend.pageWalk.physical;
    const page = walked >= FOUR_GIB ? walked : (walked & this.#mask) >>> 0;
    return page + (address & 0xfff);
  }

  /**
   * Physical address of a linear one, whatever the privilege, without a fault
   * or an accessed bit; -1 if nothing is mapped there.
   */
  peek(address: number): number {
    const supervisor = this.#peek(address, 0);
    return supervisor >= 0 ? supervisor : this.#peek(address, 1);
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

  setWide(wide: boolean): void {
    if (this.#wide === wide) return;
    this.#wide = wide;
    this.#data = wide ? this.#wides() : this.#tlb;
    this.flush(false);
  }

  #wides(): Tlb {
    return this.#wideTlb ??= new Tlb(this.#memory, this.#base, true);
  }

  /** A helper's address as the number that {@linkcode Mmu} says. */
  #linear(address: number): number {
    return this.#wide ? address : address >>> 0;
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
    this.#physicalAccess.forget();
    this.flat.suspend();
    this.flush(false);
    // What was watched may be elsewhere: whoever watches looks again.
    for (const { changed } of this.#watches.take(0, Infinity)) changed();
  }

  flush(keepGlobal: boolean): void {
    this.flushes++;
    this.#frontend.forgetTables?.();
    this.#conditional.forget();
    this.#ioRead = this.#ioWrite = -1;
    const mmus = this.#tlb.flush(keepGlobal) |
      (this.#wideTlb?.flush(keepGlobal) ?? 0);
    if (mmus !== 0) this.#onFlush(-1, mmus);
  }

  flushPage(address: number): void {
    if (
      this.#tlb.hasLarge(address) || this.#wideTlb?.hasLarge(address) === true
    ) {
      this.flush(false);
      return;
    }
    this.#frontend.forgetTables?.();
    this.#conditional.forget();
    this.#ioRead = this.#ioWrite = -1;
    this.#tlb.flushPage(address);
    this.#wideTlb?.flushPage(address);
    this.#onFlush(address >>> 0, ALL_MMUS);
  }

  forgetPage(address: number): void {
    if (
      this.#tlb.isFetched(address) || this.#wideTlb?.isFetched(address) === true
    ) {
      this.flushPage(address);
      return;
    }
    this.#frontend.forgetTables?.();
    this.#conditional.forget();
    this.#ioRead = this.#ioWrite = -1;
    this.#tlb.forget(address);
    this.#wideTlb?.forget(address);
  }

  noteConditional(address: number): void {
    this.#conditional.note(address);
  }

  endConditional(): void {
    this.#ioRead = this.#ioWrite = -1;
    const other = this.#wide ? this.#tlb : this.#wideTlb;
    if (!this.#conditional.end(this.#data, other)) this.flush(false);
  }

  beginConditional(): boolean {
    return this.#conditional.begin(this.#data);
  }

  /**
   * A page of code addresses got its first translated code: stores to it must
   * come here from now on.
   */
  protect(codePage: number): void {
    const page = this.#high.physicalPage(codePage);
    this.#conditional.forget();
    this.flat.protect(page);
    this.#tlb.protect(page);
    this.#wideTlb?.protect(page);
  }

  /**
   * Translates an address for an access and fills a TLB. Returns false after
   * a fault. On success `#physical` and `#host` hold the result.
   */
  #translate(
    tlb: Tlb,
    address: number,
    access: Access,
    mmu: number,
  ): boolean {
    const f = this.#frontend;
    if (access !== ACCESS_EXECUTE) {
      const kind = access === ACCESS_WRITE ? TLB_WRITE : TLB_READ;
      const host = tlb.swapVictim(address, mmu, kind);
      if (host !== 0) {
        this.#host = host;
        this.#physical = tlb.page(address, mmu) * PAGE + (address & 0xfff);
        return true;
      }
    }
    this.walks++;
    if (!f.walk(address, access, mmu, false)) return false;
    const walk = f.pageWalk;
    // A20 masks bit 20 of what comes out of the page tables.
    const physical = walk.physical > 0xffffffff
      ? walk.physical
      : (walk.physical & this.#mask) >>> 0;
    const page = Math.floor(physical / PAGE);
    const p = walk.permissions;
    if (walk.large === true || walk.huge === true) {
      tlb.noteLarge(address, walk.huge === true);
    }
    this.#physical = physical + (address & 0xfff);
    const ram = this.#physicalAccess.ramOf(physical);
    const host = ram >= 0 ? ram : this.#hostOfOther(physical, access);
    this.#host = host;
    if (host >= 0) {
      const isGlobal = (p & PERM_GLOBAL) !== 0;
      if (access === ACCESS_EXECUTE) {
        // Translated code knows 32 bits of the address it jumps to.
        const code = this.#high.codePage(page);
        const executable = (p & PERM_EXECUTE) !== 0 && code < FOUR_GIB / PAGE;
        tlb.fillFetch(address, mmu, code, isGlobal, host, executable);
        this.onFetch?.(address, code);
        return true;
      }
      const writable = ram >= 0 && (p & PERM_WRITE) !== 0 &&
        !this.#isWatched(page);
      const stores = !writable
        ? STORES_NONE
        : this.#code.hasCode(page)
        ? STORES_CODE
        : STORES_DIRECT;
      const readable = (p & PERM_READ) !== 0;
      if (this.#guard !== undefined) {
        this.#fillGuarded(tlb, address, mmu, isGlobal, readable, stores);
      } else tlb.fill(address, mmu, page, isGlobal, host, readable, stores);
      if (this.#mask >>> 0 === 0xffffffff && f.flat(f.key())) {
        this.flat.enter(page);
      }
    }
    return true;
  }

  /** Enters a translation of data but for what is refused. */
  #fillGuarded(
    tlb: Tlb,
    address: number,
    mmu: number,
    isGlobal: boolean,
    readable: boolean,
    stores: number,
  ): void {
    const page = Math.floor(this.#physical / PAGE);
    const refused = this.#guard!.refuses(address, page);
    if (refused !== 0) stores = STORES_NONE;
    if ((refused & REFUSES_READ) !== 0) readable = false;
    tlb.fill(address, mmu, page, isGlobal, this.#host, readable, stores);
  }

  /** Host offset of a page that is no RAM, or -1 where a device answers. */
  #hostOfOther(physical: number, access: Access): number {
    const { kind, hostOffset } = this.#space.lookupPage(physical / PAGE);
    if (kind === "rom") return hostOffset;
    // A page on which nothing answers reads as ones from memory. (A kernel that
    // looks for firmware tables without firmware reads 100,000 times.)
    return kind === "none" && access === ACCESS_READ
      ? this.#base + OFF_ONES
      : -1;
  }

  /**
   * The code address ({@linkcode HighCode}) for an instruction fetch in the
   * present mode; -1 after a fault. From 4 GiB on nobody tells when it changes.
   */
  fetch(address: number, mmu: number): number {
    const f = this.#frontend;
    const wide = f.wide(f.key());
    const tlb = wide ? this.#wides() : this.#tlb;
    if (!wide) address = address >>> 0;
    if (tlb.hasFetch(address, mmu)) {
      this.#host = tlb.fetchHost(address, mmu);
      return tlb.fetchPage(address, mmu) * PAGE + (address & 0xfff);
    }
    if (!this.#translate(tlb, address, ACCESS_EXECUTE, mmu)) return -1;
    return this.#high.code(this.#physical);
  }

  /**
   * The code address that an instruction fetch would have, if it is memory and
   * below 4 GiB; else -1. The guest cannot tell: no fault, no accessed bit.
   */
  peekFetch(address: number, mmu: number): number {
    const f = this.#frontend;
    const wide = f.wide(f.key());
    if (!wide) address = address >>> 0;
    const code = this.#peekCodePage(wide, address, mmu);
    return code < 0 || code >= FOUR_GIB || this.hostOf(code) < 0
      ? -1
      : code + (address & 0xfff);
  }

  #peekCodePage(wide: boolean, address: number, mmu: number): number {
    // The tables may say something else by now, as long as nothing is flushed.
    const tlb = wide ? this.#wides() : this.#tlb;
    if (tlb.hasFetch(address, mmu)) return tlb.fetchPage(address, mmu) * PAGE;
    const f = this.#frontend;
    if (!f.walk(address, ACCESS_EXECUTE, mmu, true)) return -1;
    const walked = f.pageWalk.physical;
    const physical = walked >= FOUR_GIB ? walked : (walked & this.#mask) >>> 0;
    return this.#high.code(physical);
  }

  /** Host offset of the page that {@linkcode SoftMmu.fetch} last translated, or -1 if it is not memory. */
  get fetchHost(): number {
    return this.#host;
  }

  /**
   * Fills the entry for a cluster of accesses whose lowest byte is at `low`, as
   * its first access would (`refillWord`): the host offset of that byte if one
   * lookup serves them all now, 1 after a fault of the first access, 3 if it
   * does not, 4 if it never will (a device, or stores to a page with code).
   */
  refill(low: number, what: number): number {
    return this.#refill(this.#tlb, low, (low + (what & 0xff)) >>> 0, what);
  }

  /** As {@linkcode SoftMmu.refill}, for a wide address. */
  refillWide(low: number, what: number): number {
    return this.#refill(this.#wides(), low, low + (what & 0xff), what);
  }

  #refill(tlb: Tlb, low: number, first: number, what: number): number {
    const isFirstStore = (what & 1 << 16) !== 0;
    const kind = (what & 1 << 17) !== 0 ? TLB_WRITE : TLB_READ;
    const mmu = what >>> 18;
    let isMemory = true;
    const firstKind = isFirstStore ? TLB_WRITE : TLB_READ;
    const access = isFirstStore ? ACCESS_WRITE : ACCESS_READ;
    if (tlb.find(first, 1, mmu, firstKind) === 0) {
      if (!this.#translate(tlb, first, access, mmu)) {
        // Where addresses end, it matters how long the access is.
        const next = this.#after(tlb, first, PAGE - (first & 0xfff));
        return this.#frontend.isEnd?.(next) === true ? 3 : 1;
      }
      isMemory = this.#host >= 0;
    }
    if (kind === TLB_WRITE && isMemory && !this.#watches.isEmpty) {
      // The store comes now: a cluster is not to be given up for a watch.
      const page = tlb.page(first, mmu);
      if (this.#watches.has(page)) {
        this.noteWrite(page * PAGE, 1);
        if (!this.#translate(tlb, first, access, mmu)) return 1;
      }
    }
    const host = tlb.find(low, (what >>> 8) & 0xff, mmu, kind);
    if (host !== 0) return host | 0;
    return isMemory && tlb.findCode(first, mmu) === 0 ? 3 : 4;
  }

  /**
   * A load of `width` bytes that missed: returns the host offset where the
   * bytes can be read (the memory itself, or the value slot), or 0 after a
   * fault. Called by translated code.
   */
  slowLoad(address: number, width: number, mmu: number): number {
    return this.#slowLoad(this.#tlb, address >>> 0, width, mmu);
  }

  /** As {@linkcode SoftMmu.slowLoad}, for a wide address. */
  slowLoadWide(address: number, width: number, mmu: number): number {
    return this.#slowLoad(this.#wides(), address, width, mmu);
  }

  #slowLoad(tlb: Tlb, address: number, width: number, mmu: number): number {
    this.slow++;
    if (
      this.#guard !== undefined &&
      !this.#isAllowed(tlb, address, width, mmu, false)
    ) return 0;
    const offset = address & 0xfff;
    if (offset + width <= PAGE) {
      const page = address - offset + mmu;
      if (page !== this.#ioRead) {
        if (!this.#translate(tlb, address, ACCESS_READ, mmu)) return 0;
        if (this.#host >= 0) return this.#host + offset;
        this.#ioRead = page;
        this.#ioReadPage = this.#physical - offset;
      }
      if (this.defers()) return 0;
      this.#physicalAccess.readIo(
        this.#ioReadPage + offset,
        this.#value,
        width,
      );
      return this.#value;
    }
    // Across two pages: both are checked before any byte is read.
    const first = PAGE - offset;
    const second = this.#after(tlb, address, first);
    if (!this.#translate(tlb, address, ACCESS_READ, mmu)) {
      return this.#faultAcross(second, false);
    }
    const h0 = this.#host;
    const p0 = this.#physical;
    if (!this.#translate(tlb, second, ACCESS_READ, mmu)) {
      return this.#faultAcross(second, false);
    }
    const h1 = this.#host;
    const p1 = this.#physical;
    if ((h0 < 0 || h1 < 0) && this.defers()) return 0;
    this.#physicalAccess.readBytes(h0, p0, this.#value, first);
    this.#physicalAccess.readBytes(h1, p1, this.#value + first, width - first);
    return this.#value;
  }

  /**
   * A store that missed; its value stands in the value slot. Called by
   * translated code. `from` is the number of the TLB and, 8 bits further up,
   * the `runningTag` of the block that stores, 0 if that is not known. Returns
   * {@linkcode STORE_DONE}, {@linkcode STORE_FAULT} or
   * {@linkcode STORE_MODIFIES}.
   */
  slowStore(address: number, width: number, from: number): number {
    return this.#slowStore(this.#tlb, address >>> 0, width, from);
  }

  /** As {@linkcode SoftMmu.slowStore}, for a wide address. */
  slowStoreWide(address: number, width: number, from: number): number {
    return this.#slowStore(this.#wides(), address, width, from);
  }

  /** An access that goes on at `second`, on another page, has faulted. */
  #faultAcross(second: number, isStore: boolean): 0 {
    const f = this.#frontend;
    if (f.isEnd?.(second) === true) f.recordEnd?.(isStore);
    return 0;
  }

  /** The address so many bytes further. */
  #after(tlb: Tlb, address: number, bytes: number): number {
    return tlb === this.#tlb ? (address + bytes) >>> 0 : address + bytes;
  }

  #slowStore(tlb: Tlb, address: number, width: number, from: number): number {
    this.slow++;
    const mmu = from & 0xff;
    const running = from >>> 8;
    if (
      this.#guard !== undefined &&
      !this.#isAllowed(tlb, address, width, mmu, true)
    ) return STORE_MODIFIES;
    const offset = address & 0xfff;
    if (offset + width <= PAGE) {
      if (address - offset + mmu === this.#ioWrite) {
        if (this.defers()) return STORE_FAULT;
        this.#physicalAccess.writeIo(
          this.#ioWritePage + offset,
          this.#value,
          width,
        );
        return STORE_DONE;
      }
      const code = tlb.findCode(address, mmu);
      if (code !== 0) {
        const physical = tlb.page(address, mmu) * PAGE + offset;
        return this.#storeToCode(physical, code, width, running);
      }
      if (!this.#translate(tlb, address, ACCESS_WRITE, mmu)) return STORE_FAULT;
      const physical = this.#physical;
      if (this.#host < 0) {
        this.#ioWrite = address - offset + mmu;
        this.#ioWritePage = physical - offset;
        if (this.defers()) return STORE_FAULT;
        this.#physicalAccess.writeIo(physical, this.#value, width);
        return STORE_DONE;
      }
      // A page without code, as most are: nothing to ask.
      if (tlb.find(address, 1, mmu, TLB_WRITE) !== 0) {
        this.#copyValue(this.#host + offset, width);
        return STORE_DONE;
      }
      if (this.#physicalAccess.ramOf(physical) < 0) {
        // ROM: of a flash chip this is a command.
        if (this.defers()) return STORE_FAULT;
        this.#physicalAccess.writeIo(physical, this.#value, width);
        return STORE_DONE;
      }
      return this.#storeToCode(physical, this.#host + offset, width, running);
    }
    const first = PAGE - offset;
    const second = this.#after(tlb, address, first);
    if (!this.#translate(tlb, address, ACCESS_WRITE, mmu)) {
      this.#faultAcross(second, true);
      return STORE_FAULT;
    }
    const p0 = this.#physical;
    if (!this.#translate(tlb, second, ACCESS_WRITE, mmu)) {
      this.#faultAcross(second, true);
      return STORE_FAULT;
    }
    const p1 = this.#physical;
    const access = this.#physicalAccess;
    if ((access.ramOf(p0) < 0 || access.ramOf(p1) < 0) && this.defers()) {
      return STORE_FAULT;
    }
    const rest = width - first;
    const hit0 = this.#code.written(p0, first, running);
    const hit1 = this.#code.written(p1, rest, running);
    if (hit0 || hit1) return STORE_MODIFIES;
    access.writeBytes(p0, this.#value, first);
    access.writeBytes(p1, this.#value + first, rest);
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

  /** Host offset for a read of `width` bytes; throws the guest's fault. */
  #load(address: number, width: number, mmu: number): number {
    const tlb = this.#data;
    const found = tlb.find(address, width, mmu, TLB_READ);
    if (found !== 0) return found;
    const host = this.#slowLoad(tlb, this.#linear(address), width, mmu);
    if (host === 0) throw this.retries ? GUEST_MODIFIED : GUEST_FAULT;
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

  read64(address: number, to: Int32Array, mmu: number): void {
    const host = this.#load(address, 8, mmu);
    to[0] = this.#view.getInt32(host, true);
    to[1] = this.#view.getInt32(host + 4, true);
  }

  #finishStore(address: number, width: number, mmu: number): void {
    const r = this.#slowStore(this.#data, this.#linear(address), width, mmu);
    if (r === STORE_FAULT) throw GUEST_FAULT;
    if (r === STORE_MODIFIES) throw GUEST_MODIFIED;
  }

  write8(address: number, value: number, mmu: number): void {
    const host = this.#data.find(address, 1, mmu, TLB_WRITE);
    if (host !== 0) {
      this.#u8[host] = value;
      return;
    }
    this.#u8[this.#value] = value;
    this.#finishStore(address, 1, mmu);
  }

  write16(address: number, value: number, mmu: number): void {
    const host = this.#data.find(address, 2, mmu, TLB_WRITE);
    if (host !== 0) {
      this.#view.setUint16(host, value, true);
      return;
    }
    this.#view.setUint16(this.#value, value, true);
    this.#finishStore(address, 2, mmu);
  }

  write32(address: number, value: number, mmu: number): void {
    const host = this.#data.find(address, 4, mmu, TLB_WRITE);
    if (host !== 0) {
      this.#view.setInt32(host, value, true);
      return;
    }
    this.#view.setInt32(this.#value, value, true);
    this.#finishStore(address, 4, mmu);
  }

  write64(address: number, from: Int32Array, mmu: number): void {
    const host = this.#data.find(address, 8, mmu, TLB_WRITE);
    const to = host !== 0 ? host : this.#value;
    this.#view.setInt32(to, from[0], true);
    this.#view.setInt32(to + 4, from[1], true);
    if (host === 0) this.#finishStore(address, 8, mmu);
  }

  probe(address: number, size: number, access: Access, mmu: number): void {
    const kind = access === ACCESS_WRITE ? TLB_WRITE : TLB_READ;
    const tlb = this.#data;
    let at = this.#linear(address);
    let left = size;
    if (this.#guard !== undefined) this.#guardProbe(at, size, mmu);
    while (left > 0) {
      if (tlb.find(at, 1, mmu, kind) === 0) {
        if (!this.#translate(tlb, at, access, mmu)) {
          const first = PAGE - (at & 0xfff);
          const isAcross = left !== size || left > first;
          const second = left === size ? this.#after(tlb, at, first) : at;
          if (isAcross) this.#faultAcross(second, access === ACCESS_WRITE);
          throw GUEST_FAULT;
        }
      }
      const n = PAGE - (at & 0xfff);
      left -= n;
      at = this.#after(tlb, at, n);
    }
  }

  /** A helper that is about to access all of these bytes may have to be run alone. */
  #guardProbe(address: number, size: number, mmu: number): void {
    const guard = this.#guard!;
    for (let done = 0; done < size;) {
      const at = address + done;
      const n = Math.min(size - done, PAGE - (at & 0xfff));
      const physical = guard.hasPhysical ? this.#peek(at, mmu) : -1;
      if (guard.refusesProbe(at, physical, n)) {
        this.retries = true;
        throw GUEST_MODIFIED;
      }
      done += n;
    }
  }

  direct(address: number, access: Access, mmu: number): number {
    address = this.#linear(address);
    const tlb = this.#data;
    const kind = access === ACCESS_WRITE ? TLB_WRITE : TLB_READ;
    const found = tlb.find(address, 1, mmu, kind);
    if (found !== 0) return found;
    if (!this.#frontend.walk(address, access, mmu, true)) return -1;
    if (!this.#translate(tlb, address, access, mmu)) return -1;
    const host = tlb.find(address, 1, mmu, kind);
    return host !== 0 ? host : -1;
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
    const host = this.#data.findCode(address, mmu);
    if (host === 0) return -1;
    const u8 = this.#u8;
    let same = 0;
    if (from >= 0) {
      while (same < length && u8[host + same] === u8[from + same]) same++;
    }
    if (same < length) {
      const physical = this.#data.page(address, mmu) * PAGE + (address & 0xfff);
      if (this.#code.written(physical, length, 0)) throw GUEST_MODIFIED;
    }
    return host;
  }

  readPhysical32(physical: number): number {
    return this.#physicalAccess.read32(physical);
  }

  writePhysical32(physical: number, value: number): void {
    const host = this.#physicalAccess.ramOf(physical);
    if (host < 0) return this.#physicalAccess.write32(physical, value);
    // Accessed and dirty bits: tables are seldom on pages with code.
    if (this.#mayHaveCode(physical) || !this.#watches.isEmpty) {
      this.#code.written(physical, 4, 0);
    }
    this.#i32[host >>> 2] = value;
  }

  /** Whether there may be translated code on the page of a physical address. */
  #mayHaveCode(physical: number): boolean {
    const mask = (physical / PAGE & (CODE_MASKS - 1)) * CODE_MASK_BYTES;
    const word = (this.#base + OFF_CODE_MASKS + mask) >> 2;
    return (this.#i32[word] | this.#i32[word + 1]) !== 0;
  }

  /** The code address of a physical address, by which blocks are known. */
  codeAddress(physical: number): number {
    return this.#high.code(physical);
  }

  /** The physical address of a code address. */
  physicalOf(code: number): number {
    return this.#high.physical(code);
  }

  /** One byte of code that is not in memory: what the bus gives. */
  readCode(code: number): number {
    return this.#physicalAccess.read8(this.#high.physical(code));
  }

  /** Host offset of a page of code addresses that is memory, or -1. */
  hostOf(code: number): number {
    return this.#physicalAccess.hostOf(this.#high.physical(code));
  }

  /** Byte offset of the CPU's area: for tests and messages. */
  get base(): number {
    return this.#base;
  }
}
