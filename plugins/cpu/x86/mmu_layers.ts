/**
 * What helpers see guest memory through where that is not as the CPU's own MMU
 * has it.
 *
 * @module
 */

import type { Access, Mmu } from "../../../core/cpu/frontend.ts";

/** An MMU in front of another: what is no access is the other's business. */
export abstract class MmuLayer implements Partial<Mmu> {
  /** The one behind it. */
  protected readonly mmu: Mmu;

  /** In front of an MMU. */
  constructor(mmu: Mmu) {
    this.mmu = mmu;
  }

  /** See `Mmu`. */
  probe(address: number, size: number, access: Access, mmu: number): void {
    this.mmu.probe(address, size, access, mmu);
  }
  /** See `Mmu`. */
  flushPage(address: number): void {
    this.mmu.flushPage(address);
  }
  /** See `Mmu`. */
  forgetPage(address: number): void {
    this.mmu.forgetPage(address);
  }
  /** See `Mmu`. */
  noteConditional(address: number): void {
    this.mmu.noteConditional(address);
  }
  /** See `Mmu`. */
  readPhysical32(physical: number): number {
    return this.mmu.readPhysical32(physical);
  }
  /** See `Mmu`. */
  writePhysical32(physical: number, value: number): void {
    this.mmu.writePhysical32(physical, value);
  }
  /** See `Mmu`. */
  flush(keepGlobal: boolean): void {
    this.mmu.flush(keepGlobal);
  }
  /** See `Mmu`. */
  endConditional(): void {
    this.mmu.endConditional();
  }
  /** See `Mmu`. */
  beginConditional(): boolean {
    return this.mmu.beginConditional();
  }
  /** See `Mmu`. */
  setWide(wide: boolean): void {
    this.mmu.setWide(wide);
  }
  /** See `Mmu`. */
  setPhysicalMask(mask: number): void {
    this.mmu.setPhysicalMask(mask);
  }
}

/**
 * Guest memory for the helpers of compatibility mode, whose linear addresses
 * are 32 bits and come as signed numbers: zero-extended, as IA-32e mode has
 * them. (What the CPU itself accesses, tables and inner stacks, it does by
 * `X86.tables`: their addresses have 64 bits.)
 */
export class CompatMmu extends MmuLayer implements Mmu {
  /** Reads a byte. */
  read8(address: number, mmu: number): number {
    return this.mmu.read8(address >>> 0, mmu);
  }
  /** Reads 16 bits. */
  read16(address: number, mmu: number): number {
    return this.mmu.read16(address >>> 0, mmu);
  }
  /** Reads 32 bits, signed. */
  read32(address: number, mmu: number): number {
    return this.mmu.read32(address >>> 0, mmu);
  }
  /** Reads 64 bits. */
  read64(address: number, to: Int32Array, mmu: number): void {
    this.mmu.read64(address >>> 0, to, mmu);
  }
  /** Writes a byte. */
  write8(address: number, value: number, mmu: number): void {
    this.mmu.write8(address >>> 0, value, mmu);
  }
  /** Writes 16 bits. */
  write16(address: number, value: number, mmu: number): void {
    this.mmu.write16(address >>> 0, value, mmu);
  }
  /** Writes 32 bits. */
  write32(address: number, value: number, mmu: number): void {
    this.mmu.write32(address >>> 0, value, mmu);
  }
  /** Writes 64 bits. */
  write64(address: number, from: Int32Array, mmu: number): void {
    this.mmu.write64(address >>> 0, from, mmu);
  }
  /** Makes sure of an access. */
  override probe(
    address: number,
    size: number,
    access: Access,
    mmu: number,
  ): void {
    this.mmu.probe(address >>> 0, size, access, mmu);
  }
  /** Host offset for an access, or -1. */
  direct(address: number, access: Access, mmu: number): number {
    return this.mmu.direct(address >>> 0, access, mmu);
  }
  /** The same for a store that will follow. */
  directStore(
    address: number,
    length: number,
    mmu: number,
    from: number,
  ): number {
    return this.mmu.directStore(address >>> 0, length, mmu, from);
  }
  /** Forgets the translation of one page. */
  override flushPage(address: number): void {
    this.mmu.flushPage(address >>> 0);
  }
  /** Forgets what is known of one 4 KiB page. */
  override forgetPage(address: number): void {
    this.mmu.forgetPage(address >>> 0);
  }
}
