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
  PERM_READ,
  PERM_WRITE,
} from "../../../core/cpu/frontend.ts";
import type { X86 } from "./cpu.ts";
import { EFER_LMA, EFER_LME, EFER_NXE, WORD } from "./long_mode.ts";
import { CR4_PAE, CR4_PSE } from "./models.ts";
import {
  A,
  D,
  entryAddress,
  ERR_P,
  ERR_RSVD,
  P,
  pageFault,
  permissionsOf,
  PS,
  readOnly,
  reservedAddress,
  supervisorDenied,
  US,
  walkLong,
  XD,
} from "./paging_long.ts";
import { OFF_CR, OFF_EFER } from "./state.ts";

const W_CR0 = OFF_CR >> 2;
const W_CR3 = (OFF_CR >> 2) + 6;
const W_CR4 = (OFF_CR >> 2) + 8;
const CR0_PG = 0x80000000 | 0;

/** Bits of a present PAE directory pointer that must be 0 (low word). */
const PDPTE_RESERVED = 0x1e6;
/** High word of an entry of PAE paging: bits 52-62, which must be 0. */
const PAE_RESERVED = 0x7ff00000;

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
    out.huge = false;
    return true;
  }
  const efer = s[OFF_EFER >> 2];
  if ((efer & EFER_LMA) !== 0) {
    return walkLong(cpu, address, access, mmu, probe);
  }
  return (s[W_CR4] & CR4_PAE) !== 0
    ? walkPae(cpu, address, access, mmu, probe)
    : walk32(cpu, address, access, mmu, probe);
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
  if ((pde & P) === 0) return pageFault(cpu, address, access, mmu, probe, 0);
  const large = (pde & PS) !== 0 && (cr4 & CR4_PSE) !== 0;
  let leaf = pde;
  let leafAt = pdeAt;
  let both = pde;
  if (large) {
    // Bits 13-20 are physical address bits 32-39 (PSE-36) as far as there are such; the rest to 21 is reserved.
    const reserved = 0x3fe000 &
      -(2 ** (Math.min(cpu.model.physicalBits, 40) - 19));
    if ((pde & reserved) !== 0) {
      return pageFault(cpu, address, access, mmu, probe, ERR_P | ERR_RSVD);
    }
  } else {
    leafAt = ((pde & ~0xfff) >>> 0) + (((address >>> 12) & 0x3ff) << 2);
    leaf = memory.readPhysical32(leafAt);
    if ((leaf & P) === 0) return pageFault(cpu, address, access, mmu, probe, 0);
    both &= leaf;
  }
  const denied = readOnly(cpu, both, mmu);
  if (
    (mmu === 1
      ? (both & US) === 0
      : (both & US) !== 0 && supervisorDenied(cpu, address, access, probe)) ||
    access === ACCESS_WRITE && denied
  ) return pageFault(cpu, address, access, mmu, probe, ERR_P);
  if (!probe) {
    if (!large && (pde & A) === 0) memory.writePhysical32(pdeAt, pde | A);
    const marked = leaf | A | (access === ACCESS_WRITE ? D : 0);
    if (marked !== leaf) memory.writePhysical32(leafAt, leaf = marked);
  }
  out.permissions = permissionsOf(
    cpu,
    leaf,
    both,
    denied,
    false,
    mmu,
    access,
  );
  out.large = large;
  out.huge = false;
  out.physical = large
    ? ((leaf & 0xffc00000) >>> 0) + (address & 0x3ff000) +
      ((leaf >> 13) & 0xff) * WORD
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
  const nxe = (s[OFF_EFER >> 2] & EFER_NXE) !== 0;
  const reservedHi = reservedAddress(cpu) | PAE_RESERVED | (nxe ? 0 : XD);
  const top = address >>> 30;
  const pdpte = cpu.pdpte[2 * top];
  if ((pdpte & P) === 0) return pageFault(cpu, address, access, mmu, probe, 0);
  const pdeAt = entryAddress(pdpte, cpu.pdpte[2 * top + 1]) +
    (((address >>> 21) & 0x1ff) << 3);
  const pde = memory.readPhysical32(pdeAt);
  const pdeHi = memory.readPhysical32(pdeAt + 4);
  if ((pde & P) === 0) return pageFault(cpu, address, access, mmu, probe, 0);
  const large = (pde & PS) !== 0;
  if ((pdeHi & reservedHi) !== 0 || large && (pde & 0x1fe000) !== 0) {
    return pageFault(cpu, address, access, mmu, probe, ERR_P | ERR_RSVD);
  }
  let leaf = pde;
  let leafHi = pdeHi;
  let leafAt = pdeAt;
  let both = pde;
  let xd = pdeHi;
  if (!large) {
    leafAt = entryAddress(pde, pdeHi) + (((address >>> 12) & 0x1ff) << 3);
    leaf = memory.readPhysical32(leafAt);
    leafHi = memory.readPhysical32(leafAt + 4);
    if ((leaf & P) === 0) return pageFault(cpu, address, access, mmu, probe, 0);
    if ((leafHi & reservedHi) !== 0) {
      return pageFault(cpu, address, access, mmu, probe, ERR_P | ERR_RSVD);
    }
    both &= leaf;
    xd |= leafHi;
  }
  const denied = readOnly(cpu, both, mmu);
  const noExecute = nxe && (xd & XD) !== 0;
  if (
    (mmu === 1
      ? (both & US) === 0
      : (both & US) !== 0 && supervisorDenied(cpu, address, access, probe)) ||
    access === ACCESS_WRITE && denied ||
    access === ACCESS_EXECUTE && noExecute
  ) return pageFault(cpu, address, access, mmu, probe, ERR_P);
  if (!probe) {
    if (!large && (pde & A) === 0) memory.writePhysical32(pdeAt, pde | A);
    const marked = leaf | A | (access === ACCESS_WRITE ? D : 0);
    if (marked !== leaf) memory.writePhysical32(leafAt, leaf = marked);
  }
  out.permissions = permissionsOf(
    cpu,
    leaf,
    both,
    denied,
    noExecute,
    mmu,
    access,
  );
  out.large = large;
  out.huge = false;
  out.physical = entryAddress(leaf, leafHi);
  if (large) {
    out.physical += (address & 0x1ff000) - (leaf & 0x1ff000);
  }
  return true;
}

/**
 * Reads the four page-directory-pointer entries that `cr3` points to; false
 * (and nothing changed) if a present one has reserved bits set: #GP.
 */
export function loadPdptes(cpu: X86, cr3: number): boolean {
  const at = (cr3 & ~0x1f) >>> 0;
  const memory = cpu.engine.mmu;
  const reserved = reservedAddress(cpu) | PAE_RESERVED | XD;
  const entries: number[] = [];
  for (let i = 0; i < 4; i++) {
    const lo = memory.readPhysical32(at + 8 * i);
    const hi = memory.readPhysical32(at + 8 * i + 4);
    if (
      (lo & P) !== 0 && ((lo & PDPTE_RESERVED) !== 0 || (hi & reserved) !== 0)
    ) return false;
    entries.push(lo, hi);
  }
  cpu.pdpte.set(entries);
  return true;
}

/**
 * Whether a load of these values of the registers must read the directory
 * pointers: paging and PAE are on, but not IA-32e mode (EFER.LME).
 */
export function usesPdptes(cr0: number, cr4: number, efer: number): boolean {
  return (cr0 & CR0_PG) !== 0 && (cr4 & CR4_PAE) !== 0 &&
    (efer & EFER_LME) === 0;
}
