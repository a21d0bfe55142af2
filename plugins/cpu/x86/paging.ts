/**
 * The page walk: 4 KB and 4 MB pages, PAE with 2 MB pages and no-execute,
 * write protection, global pages, accessed and dirty bits (SDM volume 3,
 * chapter 4).
 *
 * The TLB gets PERM_WRITE only when the dirty bit is set, so that the first
 * write to a clean page walks again and sets it.
 *
 * @module
 */

import {
  type Access,
  ACCESS_EXECUTE,
  ACCESS_WRITE,
  PERM_EXECUTE,
  PERM_GLOBAL,
  PERM_READ,
  PERM_WRITE,
} from "../../../core/cpu/frontend.ts";
import type { X86 } from "./cpu.ts";
import { CR4_PAE, CR4_PGE, CR4_PSE } from "./models.ts";
import { OFF_CR, OFF_EFER } from "./state.ts";

const W_CR0 = OFF_CR >> 2;
const W_CR3 = (OFF_CR >> 2) + 6;
const W_CR4 = (OFF_CR >> 2) + 8;
const CR0_PG = 0x80000000 | 0;
const CR0_WP = 0x10000;
/** EFER.NXE. */
export const EFER_NXE = 0x800;

// Page table entry bits.
const P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100;
/** No-execute, in the high word of a PAE entry. */
const XD = 0x80000000 | 0;

// Page-fault error code bits (SDM volume 3, figure 4-12).
const ERR_P = 1, ERR_WR = 2, ERR_US = 4, ERR_RSVD = 8, ERR_ID = 0x10;

/** High-word bits of a PAE entry above 36 physical address bits, below XD. */
const PAE_HIGH_RESERVED = 0x7ffffff0;
/** Bits of a present PAE directory pointer that must be 0 (low word). */
const PDPTE_RESERVED = 0x1e6;

/**
 * Walks the tables for `address`; fills `cpu.pageWalk`. On failure records #PF
 * and returns false. With `probe` it changes and records nothing.
 */
export function walkPage(
  cpu: X86,
  address: number,
  access: Access,
  mmu: number,
  probe: boolean,
): boolean {
  const s = cpu.state;
  const out = cpu.pageWalk;
  if ((s[W_CR0] & CR0_PG) === 0) {
    out.physical = (address & ~0xfff) >>> 0;
    out.permissions = PERM_READ | PERM_WRITE | PERM_EXECUTE;
    out.large = false;
    return true;
  }
  return (s[W_CR4] & CR4_PAE) !== 0
    ? walkPae(cpu, address, access, mmu, probe)
    : walk32(cpu, address, access, mmu, probe);
}

function fault(
  cpu: X86,
  address: number,
  access: Access,
  mmu: number,
  probe: boolean,
  error: number,
): false {
  if (probe) return false;
  if (access === ACCESS_WRITE) error |= ERR_WR;
  if (mmu === 1) error |= ERR_US;
  const s = cpu.state;
  if (
    access === ACCESS_EXECUTE && (s[W_CR4] & CR4_PAE) !== 0 &&
    (s[OFF_EFER >> 2] & EFER_NXE) !== 0
  ) error |= ERR_ID;
  // A page fault invalidates the TLB entries for its page (SDM volume 3,
  // 4.10.4.1): a handler that lets a page be written, or copies it, need not.
  if ((error & ERR_P) !== 0) cpu.engine.mmu.forgetPage(address);
  cpu.recordPageFault(address, error);
  return false;
}

/** Whether a write is denied by the combined RW bits of all levels. */
function readOnly(cpu: X86, rw: number, mmu: number): boolean {
  return (rw & RW) === 0 &&
    (mmu === 1 || (cpu.state[W_CR0] & CR0_WP) !== 0);
}

function walk32(
  cpu: X86,
  address: number,
  access: Access,
  mmu: number,
  probe: boolean,
): boolean {
  const s = cpu.state;
  const out = cpu.pageWalk;
  const memory = cpu.engine.mmu;
  const cr4 = s[W_CR4];
  const pdeAt = ((s[W_CR3] & ~0xfff) >>> 0) + ((address >>> 22) << 2);
  const pde = memory.readPhysical32(pdeAt);
  if ((pde & P) === 0) return fault(cpu, address, access, mmu, probe, 0);
  const large = (pde & PS) !== 0 && (cr4 & CR4_PSE) !== 0;
  let leaf = pde;
  let leafAt = pdeAt;
  let both = pde;
  if (large) {
    // Bits 13-16 are physical address bits 32-35 (PSE-36); the rest to 21 is reserved.
    const reserved = cpu.model.physicalBits > 32 ? 0x3e0000 : 0x3fe000;
    if ((pde & reserved) !== 0) {
      return fault(cpu, address, access, mmu, probe, ERR_P | ERR_RSVD);
    }
  } else {
    leafAt = ((pde & ~0xfff) >>> 0) + (((address >>> 12) & 0x3ff) << 2);
    leaf = memory.readPhysical32(leafAt);
    if ((leaf & P) === 0) return fault(cpu, address, access, mmu, probe, 0);
    both &= leaf;
  }
  const denied = readOnly(cpu, both, mmu);
  if (
    mmu === 1 && (both & US) === 0 || access === ACCESS_WRITE && denied
  ) return fault(cpu, address, access, mmu, probe, ERR_P);
  if (!probe) {
    if (!large && (pde & A) === 0) memory.writePhysical32(pdeAt, pde | A);
    const marked = leaf | A | (access === ACCESS_WRITE ? D : 0);
    if (marked !== leaf) memory.writePhysical32(leafAt, leaf = marked);
  }
  let perm = PERM_READ | PERM_EXECUTE;
  if ((leaf & D) !== 0 && !denied) perm |= PERM_WRITE;
  if ((leaf & G) !== 0 && (cr4 & CR4_PGE) !== 0) perm |= PERM_GLOBAL;
  out.permissions = perm;
  out.large = large;
  out.physical = large
    ? ((leaf & 0xffc00000) >>> 0) + (address & 0x3ff000) +
      ((leaf >> 13) & 0xf) * 0x1_0000_0000
    : (leaf & ~0xfff) >>> 0;
  return true;
}

function walkPae(
  cpu: X86,
  address: number,
  access: Access,
  mmu: number,
  probe: boolean,
): boolean {
  const s = cpu.state;
  const out = cpu.pageWalk;
  const memory = cpu.engine.mmu;
  const cr4 = s[W_CR4];
  const nxe = (s[OFF_EFER >> 2] & EFER_NXE) !== 0;
  const reservedHi = nxe ? PAE_HIGH_RESERVED : PAE_HIGH_RESERVED | XD;
  const top = address >>> 30;
  const pdpte = cpu.pdpte[2 * top];
  if ((pdpte & P) === 0) return fault(cpu, address, access, mmu, probe, 0);
  const pdeAt = table(pdpte, cpu.pdpte[2 * top + 1]) +
    (((address >>> 21) & 0x1ff) << 3);
  const pde = memory.readPhysical32(pdeAt);
  const pdeHi = memory.readPhysical32(pdeAt + 4);
  if ((pde & P) === 0) return fault(cpu, address, access, mmu, probe, 0);
  const large = (pde & PS) !== 0;
  if ((pdeHi & reservedHi) !== 0 || large && (pde & 0x1fe000) !== 0) {
    return fault(cpu, address, access, mmu, probe, ERR_P | ERR_RSVD);
  }
  let leaf = pde;
  let leafHi = pdeHi;
  let leafAt = pdeAt;
  let both = pde;
  let xd = pdeHi;
  if (!large) {
    leafAt = table(pde, pdeHi) + (((address >>> 12) & 0x1ff) << 3);
    leaf = memory.readPhysical32(leafAt);
    leafHi = memory.readPhysical32(leafAt + 4);
    if ((leaf & P) === 0) return fault(cpu, address, access, mmu, probe, 0);
    if ((leafHi & reservedHi) !== 0) {
      return fault(cpu, address, access, mmu, probe, ERR_P | ERR_RSVD);
    }
    both &= leaf;
    xd |= leafHi;
  }
  const denied = readOnly(cpu, both, mmu);
  const noExecute = nxe && (xd & XD) !== 0;
  if (
    mmu === 1 && (both & US) === 0 || access === ACCESS_WRITE && denied ||
    access === ACCESS_EXECUTE && noExecute
  ) return fault(cpu, address, access, mmu, probe, ERR_P);
  if (!probe) {
    if (!large && (pde & A) === 0) memory.writePhysical32(pdeAt, pde | A);
    const marked = leaf | A | (access === ACCESS_WRITE ? D : 0);
    if (marked !== leaf) memory.writePhysical32(leafAt, leaf = marked);
  }
  let perm = PERM_READ;
  if (!noExecute) perm |= PERM_EXECUTE;
  if ((leaf & D) !== 0 && !denied) perm |= PERM_WRITE;
  if ((leaf & G) !== 0 && (cr4 & CR4_PGE) !== 0) perm |= PERM_GLOBAL;
  out.permissions = perm;
  out.large = large;
  out.physical = table(leaf, leafHi);
  if (large) {
    out.physical += (address & 0x1ff000) - (leaf & 0x1ff000);
  }
  return true;
}

/** The address in a PAE entry: bits 12-35. */
function table(lo: number, hi: number): number {
  return ((lo & ~0xfff) >>> 0) + (hi & 0xf) * 0x1_0000_0000;
}

/**
 * Reads the four page-directory-pointer entries that `cr3` points to; false
 * (and nothing changed) if a present one has reserved bits set: #GP.
 */
export function loadPdptes(cpu: X86, cr3: number): boolean {
  const at = (cr3 & ~0x1f) >>> 0;
  const memory = cpu.engine.mmu;
  const entries: number[] = [];
  for (let i = 0; i < 4; i++) {
    const lo = memory.readPhysical32(at + 8 * i);
    const hi = memory.readPhysical32(at + 8 * i + 4);
    if (
      (lo & P) !== 0 && ((lo & PDPTE_RESERVED) !== 0 || (hi & ~0xf) !== 0)
    ) return false;
    entries.push(lo, hi);
  }
  cpu.pdpte.set(entries);
  return true;
}

/**
 * Whether a load of these values of the registers must read the directory
 * pointers: paging and PAE are on.
 */
export function usesPdptes(cr0: number, cr4: number): boolean {
  return (cr0 & CR0_PG) !== 0 && (cr4 & CR4_PAE) !== 0;
}
