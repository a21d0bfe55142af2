/**
 * The page walk of IA-32e mode: four levels, pages of 4 KiB, 2 MiB and 1 GiB
 * (SDM volume 3, section 4.5), and what all walks share: faults, write
 * protection, SMEP and SMAP (section 4.6).
 *
 * @module
 */

import {
  type Access,
  ACCESS_EXECUTE,
  ACCESS_READ,
  ACCESS_WRITE,
  GUEST_FAULT,
  PERM_EXECUTE,
  PERM_GLOBAL,
  PERM_READ,
  PERM_WRITE,
} from "../../../core/cpu/frontend.ts";
import type { X86 } from "./cpu.ts";
import { EXC_GP } from "./exceptions.ts";
import { EFER_NXE, highWord, isCanonicalAddress, WORD } from "./long_mode.ts";
import { CR4_PAE, CR4_PGE, CR4_SMAP, CR4_SMEP } from "./models.ts";
import { AC, OFF_CPL, OFF_CR, OFF_EFER, OFF_FLAGS } from "./state.ts";

const W_CR0 = OFF_CR >> 2;
const W_CR3 = (OFF_CR >> 2) + 6;
const W_CR4 = (OFF_CR >> 2) + 8;
const W_EFER = OFF_EFER >> 2;
const W_FLAGS = OFF_FLAGS >> 2;
const W_CPL = OFF_CPL >> 2;
const CR0_WP = 0x10000;

// Page table entry bits.
/** Present. */
export const P = 1;
/** Writable. */
export const RW = 2;
/** User. */
export const US = 4;
/** Accessed. */
export const A = 0x20;
/** Dirty. */
export const D = 0x40;
/** A large page. */
export const PS = 0x80;
/** Global. */
export const G = 0x100;
/** No-execute, in the high word of an entry of 8 bytes. */
export const XD: number = 0x80000000 | 0;

// Page-fault error code bits (SDM volume 3, figure 4-12).
const ERR_WR = 2, ERR_US = 4, ERR_ID = 0x10;
/** The page was present. */
export const ERR_P = 1;
/** A reserved bit was set. */
export const ERR_RSVD = 8;

/** High word of an entry of 8 bytes: the bits of an address, up to bit 51. */
const ADDRESS_HIGH = 0xfffff;

/** The reserved address bits in the high word of an entry of 8 bytes. */
export function reservedAddress(cpu: X86): number {
  // A shift, because `**` is a call of the host's library: [measured] switches
  // of address spaces 0.93.
  return ADDRESS_HIGH & -(1 << cpu.model.physicalBits - 32);
}

/** The address in an entry of 8 bytes whose reserved bits are clear. */
export function entryAddress(lo: number, hi: number): number {
  return ((lo & ~0xfff) >>> 0) + (hi & ADDRESS_HIGH) * WORD;
}

/** Records #PF unless the walk is a probe; false. */
export function pageFault(
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
    access === ACCESS_EXECUTE &&
    ((s[W_CR4] & CR4_SMEP) !== 0 ||
      (s[W_CR4] & CR4_PAE) !== 0 && (s[W_EFER] & EFER_NXE) !== 0)
  ) error |= ERR_ID;
  // A page fault invalidates the TLB entries for its page (SDM volume 3,
  // 4.10.4.1): a handler that lets a page be written, or copies it, need not.
  if ((error & ERR_P) !== 0) cpu.engine.mmu.forgetPage(address);
  cpu.recordPageFault(address, error);
  return false;
}

/** Whether a write is denied by the combined RW bits of all levels. */
export function readOnly(cpu: X86, rw: number, mmu: number): boolean {
  return (rw & RW) === 0 &&
    (mmu === 1 || (cpu.state[W_CR0] & CR0_WP) !== 0);
}

/**
 * Whether SMEP or SMAP denies a supervisor the access to a user page. With SMAP
 * an access is allowed while EFLAGS.AC is set; it is noted, because the TLB
 * must forget the page when AC is cleared: see `X86.userAccessEnded`.
 */
export function supervisorDenied(
  cpu: X86,
  address: number,
  access: Access,
  probe: boolean,
): boolean {
  const s = cpu.state;
  const cr4 = s[W_CR4];
  if (access === ACCESS_EXECUTE) return (cr4 & CR4_SMEP) !== 0;
  if ((cr4 & CR4_SMAP) === 0) return false;
  // What an instruction at level 3 makes the CPU access is never allowed.
  if (s[W_CPL] === 3 || (s[W_FLAGS] & AC) === 0) return true;
  if (!probe) cpu.noteUserAccess(address);
  return false;
}

/**
 * Raises #PF where the CPU itself would access a user page under SMAP: whatever
 * EFLAGS.AC says, but the TLB may know a page that the program has accessed.
 * Call it in IA-32e mode while AC is set.
 */
export function denyUserTable(cpu: X86, address: number): void {
  const s = cpu.state;
  if ((s[W_CR4] & CR4_SMAP) === 0 || s[W_CPL] === 3) return;
  s[W_FLAGS] &= ~AC;
  const isAllowed = walkLong(cpu, address, ACCESS_READ, 0, false);
  s[W_FLAGS] |= AC;
  if (!isAllowed) throw GUEST_FAULT;
}

/**
 * Walks the tables for `address`; fills `cpu.pageWalk`. On failure records #PF
 * and returns false; #GP or #SS for an address that is not canonical. With
 * `probe` it changes and records nothing.
 */
export function walkLong(
  cpu: X86,
  address: number,
  access: Access,
  mmu: number,
  probe: boolean,
): boolean {
  if (!isCanonicalAddress(address)) {
    if (!probe) {
      if (access === ACCESS_EXECUTE) cpu.record(EXC_GP, 0, true);
      else cpu.recordNotCanonical(access === ACCESS_WRITE);
    }
    return false;
  }
  const s = cpu.state;
  const memory = cpu.engine.mmu;
  const nxe = (s[W_EFER] & EFER_NXE) !== 0;
  const reserved = reservedAddress(cpu) | (nxe ? 0 : XD);
  const high = highWord(address);
  const low = address | 0;
  const cache = cpu.tableCache;
  const known = cache.find(address);
  let at = 0;
  let both = RW | US;
  let noExecute = 0;
  let lo = 0, hi = 0;
  /** Address bits below this one are the page's own. */
  let shift = 39;
  if (known >= 0) {
    at = cache.table(known);
    both = cache.rights(known);
    noExecute = cache.high(known);
    shift = 12;
  } else at = entryAddress(s[W_CR3], s[W_CR3 + 1]);
  for (;; shift -= 9) {
    const index = shift === 39
      ? high >> 7
      : shift === 30
      ? (high & 0x7f) << 2 | low >>> 30
      : low >>> shift;
    at += (index & 0x1ff) * 8;
    lo = memory.readPhysical32(at);
    if ((lo & P) === 0) return pageFault(cpu, address, access, mmu, probe, 0);
    hi = memory.readPhysical32(at + 4);
    const large = (lo & PS) !== 0 && shift !== 12;
    if (
      (hi & reserved) !== 0 || large && hasReservedLarge(cpu, shift, lo)
    ) return pageFault(cpu, address, access, mmu, probe, ERR_P | ERR_RSVD);
    both &= lo;
    noExecute |= hi;
    if (large || shift === 12) break;
    if ((lo & A) === 0 && !probe) memory.writePhysical32(at, lo | A);
    at = entryAddress(lo, hi);
    // Not by a probe, which leaves what it passes without its accessed bit.
    if (shift === 21 && !probe) cache.enter(address, at, both, noExecute);
  }
  const denied = readOnly(cpu, both, mmu);
  noExecute &= nxe ? XD : 0;
  if (
    (mmu === 1
      ? (both & US) === 0
      : (both & US) !== 0 && supervisorDenied(cpu, address, access, probe)) ||
    access === ACCESS_WRITE && denied ||
    access === ACCESS_EXECUTE && noExecute !== 0
  ) return pageFault(cpu, address, access, mmu, probe, ERR_P);
  if (!probe) {
    const marked = lo | A | (access === ACCESS_WRITE ? D : 0);
    if (marked !== lo) memory.writePhysical32(at, lo = marked);
  }
  const out = cpu.pageWalk;
  out.permissions = permissionsOf(
    cpu,
    lo,
    both,
    denied,
    noExecute !== 0,
    mmu,
    access,
  );
  out.large = shift !== 12;
  out.huge = shift === 30;
  const own = (shift === 30 ? 0x3ffff000 : shift === 21 ? 0x1ff000 : 0) | 0;
  out.physical = entryAddress(lo & ~own, hi) + (low & own);
  return true;
}

/** Whether an entry of a large page at this level has reserved bits in its low word. */
function hasReservedLarge(cpu: X86, shift: number, lo: number): boolean {
  switch (shift) {
    case 30:
      return !cpu.model.features.has("pdpe1gb") || (lo & 0x3fffe000) !== 0;
    case 21:
      return (lo & 0x1fe000) !== 0;
    default:
      return true;
  }
}

/** What the TLB may grant. `leaf`: the low word of the last entry as it is now. */
export function permissionsOf(
  cpu: X86,
  leaf: number,
  both: number,
  denied: boolean,
  noExecute: boolean,
  mmu: number,
  access: Access,
): number {
  const cr4 = cpu.state[W_CR4];
  const user = mmu === 0 && (both & US) !== 0;
  let perm = 0;
  if (!noExecute && !(user && (cr4 & CR4_SMEP) !== 0)) perm |= PERM_EXECUTE;
  // That the supervisor may fetch from the page says nothing of its data.
  if (!(user && (cr4 & CR4_SMAP) !== 0 && access === ACCESS_EXECUTE)) {
    perm |= PERM_READ;
    if ((leaf & D) !== 0 && !denied) perm |= PERM_WRITE;
  }
  if ((leaf & G) !== 0 && (cr4 & CR4_PGE) !== 0) perm |= PERM_GLOBAL;
  return perm;
}
