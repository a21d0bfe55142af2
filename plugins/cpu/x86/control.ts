/**
 * Control and debug registers, the system call instructions: what their
 * helpers do (SDM volume 2, MOV CRn, MOV DRn, SYSENTER, SYSEXIT; volume 3,
 * section 2.5).
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { transferKey } from "./fast_transfers.ts";
import {
  addressAt,
  checkModeChange,
  isCanonical,
  updateLma,
} from "./long_mode.ts";
import {
  CR4_DE,
  CR4_PAE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
} from "./models.ts";
import { loadPdptes, usesPdptes } from "./paging.ts";
import {
  CS,
  IF,
  OFF_CR,
  OFF_DR,
  OFF_EFER,
  OFF_FLAGS,
  OFF_SYSENTER,
  RF,
  SS,
  VM,
} from "./state.ts";

const W_CR0 = OFF_CR >> 2;
const W_CR2 = (OFF_CR >> 2) + 4;
const W_CR3 = (OFF_CR >> 2) + 6;
const W_CR4 = (OFF_CR >> 2) + 8;
const W_DR = OFF_DR >> 2;
const W_FLAGS = OFF_FLAGS >> 2;

const CR0_PE = 1;
const CR0_ET = 0x10;
const CR0_NE = 0x20;
const CR0_WP = 0x10000;
const CR0_NW = 0x20000000;
const CR0_CD = 0x40000000;
const CR0_PG = 0x80000000 | 0;
/** The bits of CR0 that exist: PE MP EM TS ET NE WP AM NW CD PG. */
const CR0_MASK = 0xe005003f | 0;
/** A change of these makes translations invalid. */
const CR4_FLUSH = CR4_PAE | CR4_PGE | CR4_PSE | CR4_PCIDE | CR4_SMEP |
  CR4_SMAP;
/** A change of these loads the directory pointers of PAE paging (SDM volume 3, 4.4.1). */
const CR0_PDPTES = CR0_PG | CR0_CD | CR0_NW;
const CR4_PDPTES = CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP;
const DR7_GD = 0x2000;
const DR7_FIXED = 0x400;
const DR6_FIXED = 0xffff0ff0 | 0;
const DR6_BD = 0x2000;

/** Writes CR0 with the checks and consequences of MOV. */
function writeCr0(cpu: X86, value: number): void {
  const s = cpu.state;
  const efer = s[OFF_EFER >> 2];
  value = value & CR0_MASK | CR0_ET;
  if ((value & CR0_PG) !== 0 && (value & CR0_PE) === 0) cpu.gp();
  if ((value & CR0_NW) !== 0 && (value & CR0_CD) === 0) cpu.gp();
  const changed = s[W_CR0] ^ value;
  checkModeChange(cpu, value, s[W_CR4]);
  if ((changed & CR0_PDPTES) !== 0 && usesPdptes(value, s[W_CR4], efer)) {
    if (!loadPdptes(cpu, s[W_CR3])) cpu.gp();
  }
  s[W_CR0] = value;
  if ((changed & CR0_PG) !== 0) updateLma(cpu);
  if ((changed & (CR0_PG | CR0_WP | CR0_PE)) !== 0) cpu.engine.mmu.flush(false);
  if ((changed & CR0_PE) !== 0) cpu.setCpl(0);
  if ((changed & CR0_NE) !== 0) cpu.driveFerr();
  cpu.updateKey();
}

/**
 * Writes CR3 with the checks and consequences of MOV. Translations of other
 * PCIDs are not kept, so that there is nothing for bit 63 to spare.
 */
function writeCr3(cpu: X86, value: number, hi = 0): void {
  const s = cpu.state;
  const { cr4 } = cpu;
  if (usesPdptes(cpu.cr0, cr4, s[OFF_EFER >> 2]) && !loadPdptes(cpu, value)) {
    cpu.gp();
  }
  if ((cr4 & CR4_PCIDE) !== 0) hi &= 0x7fffffff;
  if ((hi >>> 0) >= 2 ** (cpu.model.physicalBits - 32)) cpu.gp();
  s[W_CR3] = value;
  s[W_CR3 + 1] = hi;
  cpu.engine.mmu.flush(true);
}

/** Writes CR4 with the checks and consequences of MOV. */
function writeCr4(cpu: X86, value: number): void {
  const s = cpu.state;
  if ((value & ~cpu.model.cr4Mask) !== 0) cpu.gp();
  const changed = s[W_CR4] ^ value;
  if (cpu.lma && (value & CR4_PAE) === 0) cpu.gp();
  if (
    (changed & value & CR4_PCIDE) !== 0 &&
    (!cpu.lma || (s[W_CR3] & 0xfff) !== 0)
  ) cpu.gp();
  if (
    (changed & CR4_PDPTES) !== 0 &&
    usesPdptes(cpu.cr0, value, s[OFF_EFER >> 2]) && !loadPdptes(cpu, s[W_CR3])
  ) cpu.gp();
  s[W_CR4] = value;
  if ((changed & CR4_FLUSH) !== 0) cpu.engine.mmu.flush(false);
  cpu.updateKey();
}

/** MOV to a control register; `hi` is the high word in 64-bit mode. */
export function writeControl(
  cpu: X86,
  n: number,
  value: number,
  hi: number,
): void {
  switch (n) {
    case 0:
      if (hi !== 0) cpu.gp();
      return writeCr0(cpu, value);
    case 2:
      cpu.state[W_CR2] = value;
      cpu.state[W_CR2 + 1] = hi;
      return;
    case 3:
      return writeCr3(cpu, value, hi);
    case 4:
      if (hi !== 0) cpu.gp();
      return writeCr4(cpu, value);
    case 8:
      if (hi !== 0 || (value & ~15) !== 0) cpu.gp();
      if (cpu.apic !== undefined) cpu.apic.taskPriority = value << 4;
      return;
    default:
      cpu.ud();
  }
}

/** CR8: the priority class of the local APIC's task priority. */
export function readCr8(cpu: X86): number {
  return (cpu.apic?.taskPriority ?? 0) >> 4;
}

/** LMSW: PE, MP, EM and TS; PE cannot be cleared. */
export function loadMsw(cpu: X86, value: number): void {
  const cr0 = cpu.cr0;
  writeCr0(cpu, cr0 & ~0xe | value & 0xf);
}

/** CLTS. */
export function clearTs(cpu: X86): void {
  cpu.state[W_CR0] &= ~8;
  cpu.updateKey();
}

/** DR4 and DR5 are DR6 and DR7 unless CR4.DE is set; any access under DR7.GD faults. */
function debugNumber(cpu: X86, n: number): number {
  if (n === 4 || n === 5) {
    if ((cpu.cr4 & CR4_DE) !== 0) cpu.ud();
    n += 2;
  }
  if ((cpu.state[W_DR + 14] & DR7_GD) !== 0) cpu.raiseDebug(DR6_BD);
  return n;
}

/** MOV from a debug register: the word of the state where it stands. */
export function readDebug(cpu: X86, n: number): number {
  return W_DR + 2 * debugNumber(cpu, n);
}

/** MOV to a debug register; `hi` is the high word in 64-bit mode. */
export function writeDebug(
  cpu: X86,
  n: number,
  value: number,
  hi: number,
): void {
  n = debugNumber(cpu, n);
  if (n >= 6 && hi !== 0) cpu.gp();
  if (n === 6) value = value & 0xe00f | DR6_FIXED;
  else if (n === 7) value = value & ~0xd800 | DR7_FIXED;
  cpu.state[W_DR + 2 * n] = value;
  cpu.state[W_DR + 2 * n + 1] = hi;
  if (n === 7) cpu.debugChanged();
}

const FLAT_CODE = 0xc09b00, FLAT_DATA = 0xc09300;

/** SYSENTER outside IA-32e mode. */
export function sysenter(cpu: X86): void {
  const at = OFF_SYSENTER >> 2;
  const s = cpu.state;
  const cs = s[at] & 0xfffc;
  if (!cpu.protectedMode || cs === 0) cpu.gp();
  const key = cpu.key();
  cpu.setSeg(CS, cs, 0, -1, FLAT_CODE);
  cpu.setSeg(SS, (cs + 8) & 0xfffc, 0, -1, FLAT_DATA);
  cpu.setCpl(0);
  cpu.setReg32(4, s[at + 2]);
  cpu.eip = s[at + 4];
  s[W_FLAGS] &= ~(VM | IF | RF);
  transferKey(cpu, key);
}

/** SYSEXIT outside IA-32e mode. */
export function sysexit(cpu: X86): void {
  const cs = cpu.state[OFF_SYSENTER >> 2] & 0xfffc;
  if (!cpu.protectedMode || cs === 0 || cpu.cpl !== 0) cpu.gp();
  const key = cpu.key();
  cpu.setSeg(CS, (cs + 16) & 0xfffc | 3, 0, -1, FLAT_CODE | 0x6000);
  cpu.setSeg(SS, (cs + 24) & 0xfffc | 3, 0, -1, FLAT_DATA | 0x6000);
  cpu.setCpl(3);
  cpu.eip = cpu.reg32(2);
  cpu.setReg32(4, cpu.reg32(1));
  transferKey(cpu, key);
}

/**
 * INVPCID: the descriptor (PCID, address) and the type are in three double words
 * of the state from word `at` on. More is forgotten than it asks for.
 */
export function invalidatePcid(cpu: X86, at: number): void {
  const s = cpu.state;
  const type = s[at + 4];
  const pcid = s[at];
  if (s[at + 5] !== 0 || type < 0 || type > 3) cpu.gp();
  if ((pcid & ~0xfff) !== 0 || s[at + 1] !== 0) cpu.gp();
  const unused = (cpu.cr4 & CR4_PCIDE) === 0 && pcid !== 0;
  if (type < 2 && unused) cpu.gp();
  if (type === 0 && cpu.lma && !isCanonical(s[at + 3])) cpu.gp();
  if (type === 0) {
    cpu.engine.mmu.flushPage(cpu.lma ? addressAt(s, at + 2) : s[at + 2]);
  } else cpu.engine.mmu.flush(type !== 2);
}
