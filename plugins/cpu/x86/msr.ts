/**
 * Model-specific registers: those that a Pentium III or early Pentium 4 has
 * and that operating systems touch. Any other address raises #GP.
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { EFER_NXE } from "./paging.ts";
import { OFF_EFER, OFF_SYSENTER, OFF_XSS } from "./state.ts";

/** The MSRs that are mere storage or have a value of their own, low and high words. */
export interface Msrs {
  /** IA32_MTRR_DEF_TYPE. */
  mtrrDefType: number;
  /** The plain ones, by address: [low, high]. */
  values: Record<number, [number, number]>;
}

/** MTRRcap: 8 variable ranges, fixed ranges, write combining. */
const MTRR_CAP = 0x508;
/** Default type write-back, MTRRs on: as firmware leaves it, for there may be none. */
const MTRR_DEF_TYPE = 0x806;
/** PAT's reset value (SDM volume 3, table 11-12). */
const PAT_LO = 0x00070406, PAT_HI = 0x00070406;
/** IA32_MISC_ENABLE: fast strings; no BTS, no PEBS. */
const MISC_ENABLE = 0x1801;

/** IA32_TSC_AUX, what RDTSCP gives in ECX: its address as a signed number. */
export const TSC_AUX: number = 0xc0000103 | 0;

/** Fresh MSRs after a reset. */
export function resetMsrs(): Msrs {
  return { mtrrDefType: MTRR_DEF_TYPE, values: {} };
}

const MTRR_FIXED = [
  0x250,
  0x258,
  0x259,
  0x268,
  0x269,
  0x26a,
  0x26b,
  0x26c,
  0x26d,
  0x26e,
  0x26f,
];

function isMtrr(address: number): boolean {
  return address >= 0x200 && address <= 0x20f || MTRR_FIXED.includes(address);
}

/** A valid memory type: UC, WC, WT, WP, WB and, in the PAT, UC-. */
function validTypes(word: number, pat: boolean): boolean {
  for (let i = 0; i < 32; i += 8) {
    const t = (word >>> i) & 0xff;
    if (t > 7 || t === 2 || t === 3 || t === 7 && !pat) return false;
  }
  return true;
}

/** Plain registers that read back what was written, when the model has them. */
function isStorage(cpu: X86, address: number): boolean {
  const f = cpu.model.features;
  const family = (cpu.model.signature >> 8) & 15;
  switch (address) {
    case 0x00: // P5_MC_ADDR
    case 0x01: // P5_MC_TYPE
      return f.has("mce");
    case 0x8b: // IA32_BIOS_SIGN_ID
      return family >= 6;
    case 0x2a: // EBL_CR_POWERON
    case 0x119: // BBL_CR_CTL
    case 0x11e: // BBL_CR_CTL3
    case 0x1d9: // IA32_DEBUGCTL
      return family >= 6;
    case 0x1db: // LASTBRANCHFROMIP ...
    case 0x1dc:
    case 0x1dd:
    case 0x1de:
      return family === 6;
    case 0x1a0: // IA32_MISC_ENABLE
    case 0x19a: // IA32_CLOCK_MODULATION
    case 0x19b: // IA32_THERM_INTERRUPT
      return family === 15;
    case 0x17a: // IA32_MCG_STATUS
      return f.has("mca");
    case 0x277: // IA32_PAT
      return f.has("pat");
    case TSC_AUX:
      return f.has("rdtscp");
    default:
      return f.has("mtrr") && isMtrr(address);
  }
}

function initial(address: number): readonly [number, number] {
  switch (address) {
    case 0x277:
      return [PAT_LO, PAT_HI];
    case 0x1a0:
      return [MISC_ENABLE, 0];
    case 0x250:
    case 0x258:
    case 0x259:
    case 0x268:
    case 0x269:
    case 0x26a:
    case 0x26b:
    case 0x26c:
    case 0x26d:
    case 0x26e:
    case 0x26f:
      return [0x06060606, 0x06060606]; // write-back, as MTRR_DEF_TYPE
    default:
      return [0, 0];
  }
}

/** RDMSR: fills EDX:EAX, or raises #GP. */
export function readMsr(cpu: X86, address: number): void {
  let lo = 0, hi = 0;
  const f = cpu.model.features;
  const family = (cpu.model.signature >> 8) & 15;
  switch (address >>> 0) {
    case 0x10: { // IA32_TIME_STAMP_COUNTER
      const t = cpu.readTsc();
      lo = t | 0;
      hi = Math.floor(t / 0x1_0000_0000) | 0;
      break;
    }
    case 0x17: // IA32_PLATFORM_ID
      if (family < 6) cpu.gp();
      break;
    case 0x1b: // IA32_APIC_BASE; without a local APIC, it is off
      if (family < 6) cpu.gp();
      lo = (cpu.apic?.apicBase ?? 0xfee00100) | 0;
      hi = Math.floor((cpu.apic?.apicBase ?? 0) / 0x1_0000_0000);
      break;
    case 0xfe: // IA32_MTRRCAP
      if (!f.has("mtrr")) cpu.gp();
      lo = MTRR_CAP;
      break;
    case 0x174: // IA32_SYSENTER_CS, _ESP, _EIP
    case 0x175:
    case 0x176:
      if (!f.has("sep")) cpu.gp();
      lo = cpu.state[(OFF_SYSENTER >> 2) + 2 * (address - 0x174)];
      break;
    case 0x179: // IA32_MCG_CAP: no banks
      if (!f.has("mca")) cpu.gp();
      break;
    case 0x19c: // IA32_THERM_STATUS
      if (family !== 15) cpu.gp();
      break;
    case 0x2ff:
      if (!f.has("mtrr")) cpu.gp();
      lo = cpu.msrs.mtrrDefType;
      break;
    case 0xda0: // IA32_XSS
      if (!f.has("xsaves")) cpu.gp();
      lo = cpu.state[OFF_XSS >> 2];
      break;
    case 0xc0000080: // IA32_EFER
      if (!f.has("nx")) cpu.gp();
      lo = cpu.state[OFF_EFER >> 2];
      break;
    default: {
      if (!isStorage(cpu, address)) cpu.gp();
      const v = cpu.msrs.values[address] ?? initial(address);
      lo = v[0];
      hi = v[1];
    }
  }
  cpu.setReg32(0, lo);
  cpu.setReg32(2, hi);
}

/** WRMSR: takes EDX:EAX, or raises #GP. */
export function writeMsr(
  cpu: X86,
  address: number,
  lo: number,
  hi: number,
): void {
  const f = cpu.model.features;
  const family = (cpu.model.signature >> 8) & 15;
  switch (address >>> 0) {
    case 0x10:
      // Family 6 and earlier clear the high half (SDM volume 3, 17.17.3).
      cpu.writeTsc((family === 15 ? hi >>> 0 : 0) * 0x1_0000_0000 + (lo >>> 0));
      return;
    case 0x17:
    case 0xfe:
    case 0x179:
      return cpu.gp(); // read only
    case 0x1b:
      if (family < 6 || (lo & 0x6ff) !== 0) cpu.gp();
      if ((hi >>> 0) >= 2 ** (cpu.model.physicalBits - 32)) cpu.gp();
      // Without a local APIC there is nothing to enable or to move.
      if (cpu.apic !== undefined) {
        cpu.apic.apicBase = hi * 0x1_0000_0000 + (lo >>> 0);
      }
      return;
    case 0x79: // IA32_BIOS_UPDT_TRIG: an update is accepted and changes nothing
      if (family < 6) cpu.gp();
      return;
    case 0x174:
    case 0x175:
    case 0x176:
      if (!f.has("sep")) cpu.gp();
      cpu.state[(OFF_SYSENTER >> 2) + 2 * (address - 0x174)] = lo;
      return;
    case 0x19c:
      if (family !== 15) cpu.gp();
      return;
    case 0x2ff:
      if (!f.has("mtrr")) cpu.gp();
      if (hi !== 0 || (lo & ~0xcff) !== 0 || !validTypes(lo & 0xff, false)) {
        cpu.gp();
      }
      cpu.msrs.mtrrDefType = lo;
      return;
    case 0xda0: // no component is the supervisor's alone
      if (!f.has("xsaves") || (lo | hi) !== 0) cpu.gp();
      return;
    case 0xc0000080:
      if (!f.has("nx")) cpu.gp();
      if (hi !== 0 || (lo & ~EFER_NXE) !== 0) cpu.gp();
      cpu.state[OFF_EFER >> 2] = lo;
      cpu.engine.mmu.flush(false);
      return;
  }
  if (!isStorage(cpu, address)) cpu.gp();
  switch (address) {
    case 0x8b:
      // Software clears it before CPUID; there is no update, so it stays 0.
      if (lo !== 0 || hi !== 0) cpu.gp();
      return;
    case TSC_AUX:
      if (hi !== 0) cpu.gp();
      break;
    case 0x277:
      if (!validTypes(lo, true) || !validTypes(hi, true)) cpu.gp();
      break;
    default:
      if (MTRR_FIXED.includes(address)) {
        if (!validTypes(lo, false) || !validTypes(hi, false)) cpu.gp();
      } else if (address >= 0x200 && address <= 0x20f) {
        if ((hi & ~0xf) !== 0) cpu.gp();
        if ((address & 1) === 0) {
          if ((lo & 0xf00) !== 0 || !validTypes(lo & 0xff, false)) cpu.gp();
        } else if ((lo & 0x7ff) !== 0) cpu.gp();
      }
  }
  cpu.msrs.values[address] = [lo, hi];
}
