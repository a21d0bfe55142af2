/**
 * The softMMU's slow path: loads and stores that missed. They walk the page
 * tables, reach devices, go across two pages, and store to pages with
 * translated code. Translated code comes here, and the helpers' accesses.
 *
 * @module
 */

import { ACCESS_READ, ACCESS_WRITE } from "../cpu/frontend.ts";
import { TLB_READ, TLB_WRITE } from "../exec/layout.ts";
import type { Tlb } from "./tlb.ts";
import { Translations } from "./translations.ts";

/** Answer of {@linkcode SlowAccess.slowStore}: done. */
export const STORE_DONE = 0;
/** Answer of {@linkcode SlowAccess.slowStore}: guest fault. */
export const STORE_FAULT = 1;
/** Answer of {@linkcode SlowAccess.slowStore}: not done, it would change the running code. */
export const STORE_MODIFIES = 2;

const PAGE = 4096;

/** The accesses of one CPU that its TLBs do not serve. */
export abstract class SlowAccess extends Translations {
  /** Slow accesses of any kind. */
  slow = 0;
  /**
   * Asked before an instruction reaches a device: whether it is to fault
   * instead, as it will be begun again at a time when it may.
   */
  defers: () => boolean = () => false;
  /** An access was refused, as its instruction must be run alone (`AccessGuard`). */
  retries = false;

  /** Asks the guard about an access: false if it is refused now. */
  #isAllowed(
    tlb: Tlb,
    address: number,
    width: number,
    mmu: number,
    isWrite: boolean,
  ): boolean {
    const guard = this.guard!;
    for (let done = 0; done < width;) {
      const at = done === 0 ? address : this.after(tlb, address, done);
      const n = Math.min(width - done, PAGE - (at & 0xfff));
      const physical = guard.hasPhysical ? this.peekIn(at, mmu) : -1;
      if (!guard.allows(at, physical, n, isWrite)) {
        this.retries = true;
        return false;
      }
      done += n;
    }
    return true;
  }

  /**
   * Fills the entry for a cluster of accesses whose lowest byte is at `low`, as
   * its first access would (`refillWord`): the host offset of that byte if one
   * lookup serves them all now, 1 after a fault of the first access, 3 if it
   * does not, 4 if it never will (a device, or stores to a page with code).
   */
  refill(low: number, what: number): number {
    return this.#refill(this.tlb, low, (low + (what & 0xff)) >>> 0, what);
  }

  /** As {@linkcode SlowAccess.refill}, for a wide address. */
  refillWide(low: number, what: number): number {
    return this.#refill(this.wides(), low, low + (what & 0xff), what);
  }

  #refill(tlb: Tlb, low: number, first: number, what: number): number {
    const isFirstStore = (what & 1 << 16) !== 0;
    const kind = (what & 1 << 17) !== 0 ? TLB_WRITE : TLB_READ;
    const mmu = what >>> 18;
    let isMemory = true;
    const firstKind = isFirstStore ? TLB_WRITE : TLB_READ;
    const access = isFirstStore ? ACCESS_WRITE : ACCESS_READ;
    if (tlb.find(first, 1, mmu, firstKind) === 0) {
      if (!this.translate(tlb, first, access, mmu)) {
        // Where addresses end, it matters how long the access is.
        const next = this.after(tlb, first, PAGE - (first & 0xfff));
        return this.frontend.isEnd?.(next) === true ? 3 : 1;
      }
      isMemory = this.host >= 0;
    }
    if (kind === TLB_WRITE && isMemory && !this.watches.isEmpty) {
      // The store comes now: a cluster is not to be given up for a watch.
      const page = tlb.page(first, mmu);
      if (this.watches.has(page)) {
        this.noteWrite(page * PAGE, 1);
        if (!this.translate(tlb, first, access, mmu)) return 1;
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
    return this.slowLoadIn(this.tlb, address >>> 0, width, mmu);
  }

  /** As {@linkcode SlowAccess.slowLoad}, for a wide address. */
  slowLoadWide(address: number, width: number, mmu: number): number {
    return this.slowLoadIn(this.wides(), address, width, mmu);
  }

  protected slowLoadIn(
    tlb: Tlb,
    address: number,
    width: number,
    mmu: number,
  ): number {
    this.slow++;
    if (
      this.guard !== undefined &&
      !this.#isAllowed(tlb, address, width, mmu, false)
    ) return 0;
    const offset = address & 0xfff;
    if (offset + width <= PAGE) {
      const page = address - offset + mmu;
      if (page !== this.ioRead) {
        if (!this.translate(tlb, address, ACCESS_READ, mmu)) return 0;
        if (this.host >= 0) return this.host + offset;
        this.ioRead = page;
        this.ioReadPage = this.physical - offset;
      }
      if (this.defers()) return 0;
      this.physicalAccess.readIo(
        this.ioReadPage + offset,
        this.value,
        width,
      );
      return this.value;
    }
    // Across two pages: both are checked before any byte is read.
    const first = PAGE - offset;
    const second = this.after(tlb, address, first);
    if (!this.translate(tlb, address, ACCESS_READ, mmu)) {
      return this.faultAcross(second, false);
    }
    const h0 = this.host;
    const p0 = this.physical;
    if (!this.translate(tlb, second, ACCESS_READ, mmu)) {
      return this.faultAcross(second, false);
    }
    const h1 = this.host;
    const p1 = this.physical;
    if ((h0 < 0 || h1 < 0) && this.defers()) return 0;
    this.physicalAccess.readBytes(h0, p0, this.value, first);
    this.physicalAccess.readBytes(h1, p1, this.value + first, width - first);
    return this.value;
  }

  /**
   * A store that missed; its value stands in the value slot. Called by
   * translated code. `from` is the number of the TLB and, 8 bits further up,
   * the `runningTag` of the block that stores, 0 if that is not known. Returns
   * {@linkcode STORE_DONE}, {@linkcode STORE_FAULT} or
   * {@linkcode STORE_MODIFIES}.
   */
  slowStore(address: number, width: number, from: number): number {
    return this.slowStoreIn(this.tlb, address >>> 0, width, from);
  }

  /** As {@linkcode SlowAccess.slowStore}, for a wide address. */
  slowStoreWide(address: number, width: number, from: number): number {
    return this.slowStoreIn(this.wides(), address, width, from);
  }

  /** An access that goes on at `second`, on another page, has faulted. */
  protected faultAcross(second: number, isStore: boolean): 0 {
    const f = this.frontend;
    if (f.isEnd?.(second) === true) f.recordEnd?.(isStore);
    return 0;
  }

  protected slowStoreIn(
    tlb: Tlb,
    address: number,
    width: number,
    from: number,
  ): number {
    this.slow++;
    const mmu = from & 0xff;
    const running = from >>> 8;
    if (
      this.guard !== undefined &&
      !this.#isAllowed(tlb, address, width, mmu, true)
    ) return STORE_MODIFIES;
    const offset = address & 0xfff;
    if (offset + width <= PAGE) {
      if (address - offset + mmu === this.ioWrite) {
        if (this.defers()) return STORE_FAULT;
        this.physicalAccess.writeIo(
          this.ioWritePage + offset,
          this.value,
          width,
        );
        return STORE_DONE;
      }
      const code = tlb.findCode(address, mmu);
      if (code !== 0) {
        const physical = tlb.page(address, mmu) * PAGE + offset;
        return this.#storeToCode(physical, code, width, running);
      }
      if (!this.translate(tlb, address, ACCESS_WRITE, mmu)) return STORE_FAULT;
      const physical = this.physical;
      if (this.host < 0) {
        this.ioWrite = address - offset + mmu;
        this.ioWritePage = physical - offset;
        if (this.defers()) return STORE_FAULT;
        this.physicalAccess.writeIo(physical, this.value, width);
        return STORE_DONE;
      }
      // A page without code, as most are: nothing to ask.
      if (tlb.find(address, 1, mmu, TLB_WRITE) !== 0) {
        this.#copyValue(this.host + offset, width);
        return STORE_DONE;
      }
      if (this.physicalAccess.ramOf(physical) < 0) {
        // ROM: of a flash chip this is a command.
        if (this.defers()) return STORE_FAULT;
        this.physicalAccess.writeIo(physical, this.value, width);
        return STORE_DONE;
      }
      return this.#storeToCode(physical, this.host + offset, width, running);
    }
    const first = PAGE - offset;
    const second = this.after(tlb, address, first);
    if (!this.translate(tlb, address, ACCESS_WRITE, mmu)) {
      this.faultAcross(second, true);
      return STORE_FAULT;
    }
    const p0 = this.physical;
    if (!this.translate(tlb, second, ACCESS_WRITE, mmu)) {
      this.faultAcross(second, true);
      return STORE_FAULT;
    }
    const p1 = this.physical;
    const access = this.physicalAccess;
    if ((access.ramOf(p0) < 0 || access.ramOf(p1) < 0) && this.defers()) {
      return STORE_FAULT;
    }
    const rest = width - first;
    const hit0 = this.code.written(p0, first, running);
    const hit1 = this.code.written(p1, rest, running);
    if (hit0 || hit1) return STORE_MODIFIES;
    access.writeBytes(p0, this.value, first);
    access.writeBytes(p1, this.value + first, rest);
    return STORE_DONE;
  }

  /** Stores what stands in the value slot. */
  #copyValue(host: number, width: number): void {
    if (width === 4) {
      this.view.setInt32(host, this.view.getInt32(this.value, true), true);
      return;
    }
    const u8 = this.u8;
    for (let i = 0; i < width; i++) u8[host + i] = u8[this.value + i];
  }

  /** Does a store to a page that may hold code, unless it hits the block that is running. */
  #storeToCode(
    physical: number,
    host: number,
    width: number,
    running: number,
  ): number {
    const u8 = this.u8;
    const value = this.value;
    this.noteWrite(physical, width);
    // Programs that write code often write what was there before.
    let i = 0;
    while (i < width && u8[host + i] === u8[value + i]) i++;
    if (i === width) return STORE_DONE;
    if (this.code.written(physical, width, running)) return STORE_MODIFIES;
    while (i < width) {
      u8[host + i] = u8[value + i];
      i++;
    }
    return STORE_DONE;
  }
}
