/**
 * The softMMU's translations: the TLBs of one CPU, filled from the frontend's
 * walks of the page tables and from the bus's pages, and emptied by flushes.
 * Some pages are entered for less than the tables allow, so that accesses come
 * to the slow path: those with translated code, and those that are watched or
 * guarded.
 *
 * @module
 */

import {
  type Access,
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_WRITE,
  type Frontend,
  PERM_EXECUTE,
  PERM_GLOBAL,
  PERM_READ,
  PERM_WRITE,
} from "../cpu/frontend.ts";
import { OFF_ONES, OFF_VALUE, TLB_READ, TLB_WRITE } from "../exec/layout.ts";
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

const PAGE = 4096;
const FOUR_GIB = 2 ** 32;

/**
 * The translations of one CPU: what fills its TLBs, what empties them, and who
 * is told.
 */
export abstract class Translations {
  /** TLB misses that walked the page tables. */
  walks = 0;
  /** Flushes. */
  flushes = 0;
  protected readonly frontend: Frontend;
  readonly #space: PhysicalSpace;
  /** Byte offset of the CPU's area. */
  readonly base: number;
  protected readonly u8: Uint8Array;
  protected readonly i32: Int32Array;
  protected readonly view: DataView;
  /** Of addresses of 32 bits. */
  protected readonly tlb: Tlb;
  /** Of wide ones; made when they are first used. */
  #wideTlb: Tlb | undefined;
  /** Which of them helpers' accesses look into. */
  protected data: Tlb;
  readonly #memory: ArrayBufferLike;
  protected readonly physicalAccess: PhysicalAccess;
  /** Where the value of a slow access stands (`OFF_VALUE`). */
  protected readonly value: number;
  protected readonly watches = new WriteWatches();
  readonly #conditional = new ConditionalTranslations();
  readonly #high: HighCode;
  #guard: AccessGuard | undefined;
  /** Is told of each translation for a fetch: a linear address and the code page. */
  onFetch: ((address: number, codePage: number) => void) | undefined;
  #mask = 0xffffffff;
  /** Linear addresses are wide. */
  protected wide = false;
  protected code: CodeWatcher = { hasCode: () => false, written: () => false };
  /** Called when translations changed, so that jumps are looked up again. */
  #onFlush: (address: number, mmus: number) => void = () => {};
  /** What code without paging may do with pages. */
  readonly flat: FlatPages;
  /**
   * The pages of devices that were last read and written, which the TLBs do not
   * hold: linear address plus number of the TLB, or -1; and physical address.
   * With it, an access to a device takes two thirds of the time.
   */
  protected ioRead = -1;
  protected ioReadPage = 0;
  protected ioWrite = -1;
  protected ioWritePage = 0;
  /** Physical address of the last translation. */
  protected physical = 0;
  /** Host offset of the last translation's page, or -1 if it is not memory. */
  protected host = -1;

  /** Makes the MMU of the CPU whose area is at `base` of `memory`. */
  constructor(
    frontend: Frontend,
    space: PhysicalSpace,
    memory: SharedArrayBuffer | ArrayBufferLike,
    base: number,
  ) {
    this.frontend = frontend;
    this.#space = space;
    this.base = base;
    this.u8 = new Uint8Array(memory);
    this.i32 = new Int32Array(memory);
    this.view = new DataView(memory);
    this.#memory = memory;
    this.tlb = new Tlb(memory, base);
    this.data = this.tlb;
    this.physicalAccess = new PhysicalAccess(space, memory);
    this.value = base + OFF_VALUE;
    this.#high = new HighCode(space);
    this.flat = new FlatPages(this.u8, base, {
      lookupPage: (page) => space.lookupPage(page),
      ramRuns: () => space.ramRuns(),
      hasCode: (page) => this.code.hasCode(page) || this.#isWatched(page),
      refuses: (page) => this.guard?.refuses(page * PAGE, page) ?? 0,
      refusedRuns: () => this.guard?.pages() ?? [],
    });
    this.u8.fill(0xff, base + OFF_ONES, base + OFF_ONES + PAGE);
  }

  /**
   * Tells the MMU who keeps the translated code, and whom to tell of flushes:
   * of one page (its address) or of all (-1), and of which TLBs' fetches (bits).
   */
  connect(
    code: CodeWatcher,
    onFlush: (address: number, mmus: number) => void,
  ): void {
    this.code = {
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
    const watch = this.watches.arm(physical, length, changed);
    this.#conditional.forget();
    this.tlb.refuseStores(watch.first, watch.end);
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

  /** Physical address of a linear one, which the guest cannot tell; -1 if there is none. */
  protected peekIn(address: number, mmu: number): number {
    if (!this.frontend.walk(address, ACCESS_READ, mmu, true)) return -1;
    const walked = this.frontend.pageWalk.physical;
    const page = walked >= FOUR_GIB ? walked : (walked & this.#mask) >>> 0;
    return page + (address & 0xfff);
  }

  /**
   * Physical address of a linear one, whatever the privilege, without a fault
   * or an accessed bit; -1 if nothing is mapped there.
   */
  peek(address: number): number {
    const supervisor = this.peekIn(address, 0);
    return supervisor >= 0 ? supervisor : this.peekIn(address, 1);
  }

  /** Bytes are about to be written, by the guest or by a bus master. */
  noteWrite(physical: number, length: number): void {
    if (this.watches.isEmpty || length === 0) return;
    const last = Math.floor((physical + length - 1) / PAGE);
    const hit = this.watches.take(Math.floor(physical / PAGE), last);
    for (const { changed } of hit) changed();
  }

  #isWatched(page: number): boolean {
    return !this.watches.isEmpty && this.watches.has(page);
  }

  setWide(wide: boolean): void {
    if (this.wide === wide) return;
    this.wide = wide;
    this.data = wide ? this.wides() : this.tlb;
    this.flush(false);
  }

  protected wides(): Tlb {
    return this.#wideTlb ??= new Tlb(this.#memory, this.base, true);
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
    this.physicalAccess.forget();
    this.flat.suspend();
    this.flush(false);
    // What was watched may be elsewhere: whoever watches looks again.
    for (const { changed } of this.watches.take(0, Infinity)) changed();
  }

  flush(keepGlobal: boolean): void {
    this.flushes++;
    this.frontend.forgetTables?.();
    this.#conditional.forget();
    this.ioRead = this.ioWrite = -1;
    const mmus = this.tlb.flush(keepGlobal) |
      (this.#wideTlb?.flush(keepGlobal) ?? 0);
    if (mmus !== 0) this.#onFlush(-1, mmus);
  }

  flushPage(address: number): void {
    if (
      this.tlb.hasLarge(address) || this.#wideTlb?.hasLarge(address) === true
    ) {
      this.flush(false);
      return;
    }
    this.frontend.forgetTables?.();
    this.#conditional.forget();
    this.ioRead = this.ioWrite = -1;
    this.tlb.flushPage(address);
    this.#wideTlb?.flushPage(address);
    this.#onFlush(address >>> 0, ALL_MMUS);
  }

  forgetPage(address: number): void {
    if (
      this.tlb.isFetched(address) || this.#wideTlb?.isFetched(address) === true
    ) {
      this.flushPage(address);
      return;
    }
    this.frontend.forgetTables?.();
    this.#conditional.forget();
    this.ioRead = this.ioWrite = -1;
    this.tlb.forget(address);
    this.#wideTlb?.forget(address);
  }

  noteConditional(address: number): void {
    this.#conditional.note(address);
  }

  endConditional(): void {
    this.ioRead = this.ioWrite = -1;
    const other = this.wide ? this.tlb : this.#wideTlb;
    if (!this.#conditional.end(this.data, other)) this.flush(false);
  }

  beginConditional(): boolean {
    return this.#conditional.begin(this.data);
  }

  /**
   * A page of code addresses got its first translated code: stores to it must
   * come here from now on.
   */
  protect(codePage: number): void {
    const page = this.#high.physicalPage(codePage);
    this.#conditional.forget();
    this.flat.protect(page);
    this.tlb.protect(page);
    this.#wideTlb?.protect(page);
  }

  /**
   * Translates an address for an access and fills a TLB. Returns false after
   * a fault. On success `#physical` and `#host` hold the result.
   */
  protected translate(
    tlb: Tlb,
    address: number,
    access: Access,
    mmu: number,
  ): boolean {
    const f = this.frontend;
    if (access !== ACCESS_EXECUTE) {
      const kind = access === ACCESS_WRITE ? TLB_WRITE : TLB_READ;
      const host = tlb.swapVictim(address, mmu, kind);
      if (host !== 0) {
        this.host = host;
        this.physical = tlb.page(address, mmu) * PAGE + (address & 0xfff);
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
    this.physical = physical + (address & 0xfff);
    const ram = this.physicalAccess.ramOf(physical);
    const host = ram >= 0 ? ram : this.#hostOfOther(physical, access);
    this.host = host;
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
        : this.code.hasCode(page)
        ? STORES_CODE
        : STORES_DIRECT;
      const readable = (p & PERM_READ) !== 0;
      if (this.guard !== undefined) {
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
    const page = Math.floor(this.physical / PAGE);
    const refused = this.guard!.refuses(address, page);
    if (refused !== 0) stores = STORES_NONE;
    if ((refused & REFUSES_READ) !== 0) readable = false;
    tlb.fill(address, mmu, page, isGlobal, this.host, readable, stores);
  }

  /** Host offset of a page that is no RAM, or -1 where a device answers. */
  #hostOfOther(physical: number, access: Access): number {
    const { kind, hostOffset } = this.#space.lookupPage(physical / PAGE);
    if (kind === "rom") return hostOffset;
    // A page on which nothing answers reads as ones from memory. (A kernel that
    // looks for firmware tables without firmware reads 100,000 times.)
    return kind === "none" && access === ACCESS_READ
      ? this.base + OFF_ONES
      : -1;
  }

  /**
   * The code address ({@linkcode HighCode}) for an instruction fetch in the
   * present mode; -1 after a fault. From 4 GiB on nobody tells when it changes.
   */
  fetch(address: number, mmu: number): number {
    const f = this.frontend;
    const wide = f.wide(f.key());
    const tlb = wide ? this.wides() : this.tlb;
    if (!wide) address = address >>> 0;
    if (tlb.hasFetch(address, mmu)) {
      this.host = tlb.fetchHost(address, mmu);
      return tlb.fetchPage(address, mmu) * PAGE + (address & 0xfff);
    }
    if (!this.translate(tlb, address, ACCESS_EXECUTE, mmu)) return -1;
    return this.#high.code(this.physical);
  }

  /**
   * The code address that an instruction fetch would have, if it is memory and
   * below 4 GiB; else -1. The guest cannot tell: no fault, no accessed bit.
   */
  peekFetch(address: number, mmu: number): number {
    const f = this.frontend;
    const wide = f.wide(f.key());
    if (!wide) address = address >>> 0;
    const code = this.#peekCodePage(wide, address, mmu);
    return code < 0 || code >= FOUR_GIB || this.hostOf(code) < 0
      ? -1
      : code + (address & 0xfff);
  }

  #peekCodePage(wide: boolean, address: number, mmu: number): number {
    // The tables may say something else by now, as long as nothing is flushed.
    const tlb = wide ? this.wides() : this.tlb;
    if (tlb.hasFetch(address, mmu)) return tlb.fetchPage(address, mmu) * PAGE;
    const f = this.frontend;
    if (!f.walk(address, ACCESS_EXECUTE, mmu, true)) return -1;
    const walked = f.pageWalk.physical;
    const physical = walked >= FOUR_GIB ? walked : (walked & this.#mask) >>> 0;
    return this.#high.code(physical);
  }

  /** Host offset of the page that {@linkcode Translations.fetch} last translated, or -1 if it is not memory. */
  get fetchHost(): number {
    return this.host;
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
    return this.physicalAccess.read8(this.#high.physical(code));
  }

  /** Host offset of a page of code addresses that is memory, or -1. */
  hostOf(code: number): number {
    return this.physicalAccess.hostOf(this.#high.physical(code));
  }

  /** The address so many bytes further. */
  protected after(tlb: Tlb, address: number, bytes: number): number {
    return tlb === this.tlb ? (address + bytes) >>> 0 : address + bytes;
  }
}
