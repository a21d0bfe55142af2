/**
 * The softMMU: everything that is not a hit of a TLB entry on plain memory.
 *
 * Translated code looks into the entries itself ({@linkcode Tlb}) and comes
 * here when one does not serve it: for a walk of the page tables
 * (translations.ts), a device, an access across two pages, a store to a page
 * with translated code (slow_access.ts). The helpers of instructions that are
 * not translated access memory through here too.
 *
 * @module
 */

import {
  type Access,
  ACCESS_WRITE,
  GUEST_FAULT,
  GUEST_MODIFIED,
  type Mmu,
} from "../cpu/frontend.ts";
import {
  CODE_MASK_BYTES,
  CODE_MASKS,
  OFF_CODE_MASKS,
  TLB_READ,
  TLB_WRITE,
} from "../exec/layout.ts";
import { SlowAccess, STORE_FAULT, STORE_MODIFIES } from "./slow_access.ts";

const PAGE = 4096;

/** The softMMU of one CPU. */
export class SoftMmu extends SlowAccess implements Mmu {
  /** A helper's address as the number that {@linkcode Mmu} says. */
  #linear(address: number): number {
    return this.wide ? address : address >>> 0;
  }

  /** Host offset for a read of `width` bytes; throws the guest's fault. */
  #load(address: number, width: number, mmu: number): number {
    const tlb = this.data;
    const found = tlb.find(address, width, mmu, TLB_READ);
    if (found !== 0) return found;
    const host = this.slowLoadIn(tlb, this.#linear(address), width, mmu);
    if (host === 0) throw this.retries ? GUEST_MODIFIED : GUEST_FAULT;
    return host;
  }

  read8(address: number, mmu: number): number {
    return this.u8[this.#load(address, 1, mmu)];
  }

  read16(address: number, mmu: number): number {
    return this.view.getUint16(this.#load(address, 2, mmu), true);
  }

  read32(address: number, mmu: number): number {
    return this.view.getInt32(this.#load(address, 4, mmu), true);
  }

  read64(address: number, to: Int32Array, mmu: number): void {
    const host = this.#load(address, 8, mmu);
    to[0] = this.view.getInt32(host, true);
    to[1] = this.view.getInt32(host + 4, true);
  }

  #finishStore(address: number, width: number, mmu: number): void {
    const r = this.slowStoreIn(this.data, this.#linear(address), width, mmu);
    if (r === STORE_FAULT) throw GUEST_FAULT;
    if (r === STORE_MODIFIES) throw GUEST_MODIFIED;
  }

  write8(address: number, value: number, mmu: number): void {
    const host = this.data.find(address, 1, mmu, TLB_WRITE);
    if (host !== 0) {
      this.u8[host] = value;
      return;
    }
    this.u8[this.value] = value;
    this.#finishStore(address, 1, mmu);
  }

  write16(address: number, value: number, mmu: number): void {
    const host = this.data.find(address, 2, mmu, TLB_WRITE);
    if (host !== 0) {
      this.view.setUint16(host, value, true);
      return;
    }
    this.view.setUint16(this.value, value, true);
    this.#finishStore(address, 2, mmu);
  }

  write32(address: number, value: number, mmu: number): void {
    const host = this.data.find(address, 4, mmu, TLB_WRITE);
    if (host !== 0) {
      this.view.setInt32(host, value, true);
      return;
    }
    this.view.setInt32(this.value, value, true);
    this.#finishStore(address, 4, mmu);
  }

  write64(address: number, from: Int32Array, mmu: number): void {
    const host = this.data.find(address, 8, mmu, TLB_WRITE);
    const to = host !== 0 ? host : this.value;
    this.view.setInt32(to, from[0], true);
    this.view.setInt32(to + 4, from[1], true);
    if (host === 0) this.#finishStore(address, 8, mmu);
  }

  probe(address: number, size: number, access: Access, mmu: number): void {
    const kind = access === ACCESS_WRITE ? TLB_WRITE : TLB_READ;
    const tlb = this.data;
    let at = this.#linear(address);
    let left = size;
    if (this.guard !== undefined) this.#guardProbe(at, size, mmu);
    while (left > 0) {
      if (tlb.find(at, 1, mmu, kind) === 0) {
        if (!this.translate(tlb, at, access, mmu)) {
          const first = PAGE - (at & 0xfff);
          const isAcross = left !== size || left > first;
          const second = left === size ? this.after(tlb, at, first) : at;
          if (isAcross) this.faultAcross(second, access === ACCESS_WRITE);
          throw GUEST_FAULT;
        }
      }
      const n = PAGE - (at & 0xfff);
      left -= n;
      at = this.after(tlb, at, n);
    }
  }

  /** A helper that is about to access all of these bytes may have to be run alone. */
  #guardProbe(address: number, size: number, mmu: number): void {
    const guard = this.guard!;
    for (let done = 0; done < size;) {
      const at = address + done;
      const n = Math.min(size - done, PAGE - (at & 0xfff));
      const physical = guard.hasPhysical ? this.peekIn(at, mmu) : -1;
      if (guard.refusesProbe(at, physical, n)) {
        this.retries = true;
        throw GUEST_MODIFIED;
      }
      done += n;
    }
  }

  direct(address: number, access: Access, mmu: number): number {
    address = this.#linear(address);
    const tlb = this.data;
    const kind = access === ACCESS_WRITE ? TLB_WRITE : TLB_READ;
    const found = tlb.find(address, 1, mmu, kind);
    if (found !== 0) return found;
    if (!this.frontend.walk(address, access, mmu, true)) return -1;
    if (!this.translate(tlb, address, access, mmu)) return -1;
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
    const host = this.data.findCode(address, mmu);
    if (host === 0) return -1;
    const u8 = this.u8;
    let same = 0;
    if (from >= 0) {
      while (same < length && u8[host + same] === u8[from + same]) same++;
    }
    if (same < length) {
      const physical = this.data.page(address, mmu) * PAGE + (address & 0xfff);
      if (this.code.written(physical, length, 0)) throw GUEST_MODIFIED;
    }
    return host;
  }

  readPhysical32(physical: number): number {
    return this.physicalAccess.read32(physical);
  }

  writePhysical32(physical: number, value: number): void {
    const host = this.physicalAccess.ramOf(physical);
    if (host < 0) return this.physicalAccess.write32(physical, value);
    // Accessed and dirty bits: tables are seldom on pages with code.
    if (this.#mayHaveCode(physical) || !this.watches.isEmpty) {
      this.code.written(physical, 4, 0);
    }
    this.i32[host >>> 2] = value;
  }

  /** Whether there may be translated code on the page of a physical address. */
  #mayHaveCode(physical: number): boolean {
    const mask = (physical / PAGE & (CODE_MASKS - 1)) * CODE_MASK_BYTES;
    const word = (this.base + OFF_CODE_MASKS + mask) >> 2;
    return (this.i32[word] | this.i32[word + 1]) !== 0;
  }
}
