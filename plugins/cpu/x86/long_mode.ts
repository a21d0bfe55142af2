/**
 * IA-32e mode: addresses of 64 bits as TypeScript has them, EFER, and the way
 * into the mode and out of it (SDM volume 3, sections 3.3.7.1 and 9.8.5).
 *
 * In the state an address is two words. Here it is the signed number from -2^47
 * to 2^47 - 1 that a canonical one is; helpers look at the high word first.
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { CS, OFF_CR, OFF_EFER, TR } from "./state.ts";

const W_EFER = OFF_EFER >> 2;
const W_CR0 = OFF_CR >> 2;
const CR0_PG = 0x80000000 | 0;

/** EFER.SCE: SYSCALL and SYSRET exist. */
export const EFER_SCE = 1;
/** EFER.LME: paging means IA-32e mode. */
export const EFER_LME = 0x100;
/** EFER.LMA: IA-32e mode is on. */
export const EFER_LMA = 0x400;
/** EFER.NXE: page table entries have a no-execute bit. */
export const EFER_NXE = 0x800;

/** L: 64-bit code. */
export const ATTR_LONG = 0x200000;

/** Values of a word. */
export const WORD = 0x1_0000_0000;
/** The first address above the canonical ones. */
export const CANONICAL_END: number = 2 ** 47;

/** The high word of an address, signed. */
export function highWord(address: number): number {
  return Math.floor(address / WORD) | 0;
}

/** Whether addresses with this (signed) high word are canonical. */
export function isCanonical(hi: number): boolean {
  return hi >> 15 === hi >> 31;
}

/** Whether a number that the sum of an address and an offset is, is canonical. */
export function isCanonicalAddress(address: number): boolean {
  return address < CANONICAL_END && address >= -CANONICAL_END;
}

/** The address whose words are given. Exact only if it is canonical or not far from that. */
export function addressOf(lo: number, hi: number): number {
  return hi * WORD + (lo >>> 0);
}

/** The address at word `w` of the state. */
export function addressAt(s: Int32Array, w: number): number {
  return s[w + 1] * WORD + (s[w] >>> 0);
}

/** Writes an address to word `w` of the state. */
export function setAddressAt(s: Int32Array, w: number, address: number): void {
  s[w] = address | 0;
  s[w + 1] = highWord(address);
}

/**
 * Whether CR0 may become `cr0` as far as IA-32e mode is concerned; #GP(0) where
 * it may not. `cr4`: bits PAE (5) and PCIDE (17) matter.
 */
export function checkModeChange(cpu: X86, cr0: number, cr4: number): void {
  const s = cpu.state;
  if (((s[W_CR0] ^ cr0) & CR0_PG) === 0) return;
  if ((cr0 & CR0_PG) === 0) {
    // Only compatibility mode may leave, and not while PCIDs are in use.
    if (cpu.long || (cr4 & 0x20000) !== 0) cpu.gp();
    return;
  }
  if ((s[W_EFER] & EFER_LME) === 0) return;
  const tss16 = (cpu.segAttr(TR) & 0x9d00) === 0x8100;
  if (
    (cr4 & 0x20) === 0 || (cpu.segAttr(CS) & ATTR_LONG) !== 0 || tss16
  ) cpu.gp();
}

/** EFER.LMA follows LME and CR0.PG: call after a change of either. */
export function updateLma(cpu: X86): void {
  const s = cpu.state;
  const efer = s[W_EFER];
  const active = (efer & EFER_LME) !== 0 && (s[W_CR0] & CR0_PG) !== 0;
  s[W_EFER] = active ? efer | EFER_LMA : efer & ~EFER_LMA;
  if (((efer & EFER_LMA) !== 0) === active) return;
  cpu.engine?.mmu.setWide(active);
  cpu.chooseMmu();
}

/** WRMSR of EFER. */
export function writeEfer(cpu: X86, lo: number, hi: number): void {
  const f = cpu.model.features;
  let known = EFER_LMA;
  if (f.has("syscall")) known |= EFER_SCE;
  if (f.has("lm")) known |= EFER_LME;
  if (f.has("nx")) known |= EFER_NXE;
  const s = cpu.state;
  const old = s[W_EFER];
  if (hi !== 0 || (lo & ~known) !== 0) cpu.gp();
  if (((lo ^ old) & EFER_LME) !== 0 && (s[W_CR0] & CR0_PG) !== 0) cpu.gp();
  s[W_EFER] = lo & ~EFER_LMA | old & EFER_LMA;
  if (((lo ^ old) & EFER_NXE) !== 0) cpu.engine.mmu.flush(false);
}
