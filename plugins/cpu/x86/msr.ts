/**
 * Model-specific registers: those that a Pentium III, a Pentium 4 or a CPU with
 * IA-32e mode has and that operating systems and firmware touch. Any other
 * address raises #GP.
 *
 * @module
 */

import { APIC_BASE_ENABLE, APIC_BASE_X2 } from "../../../core/bus/apic.ts";
import type { X86 } from "./cpu.ts";
import { isCanonical, writeEfer } from "./long_mode.ts";
import {
  isFixedMtrr,
  isVariableMtrr,
  msrWord,
  TSC_AUX,
} from "./msr_storage.ts";
import {
  FS,
  GS,
  OFF_CSTAR,
  OFF_EFER,
  OFF_FMASK,
  OFF_KERNEL_GS_BASE,
  OFF_LSTAR,
  OFF_MTRR_DEF_TYPE,
  OFF_SEG,
  OFF_STAR,
  OFF_SYSENTER,
  OFF_XSS,
  SEG_BASE,
} from "./state.ts";

/** MTRRcap: 8 variable ranges, fixed ranges, write combining. */
const MTRR_CAP = 0x508;
/**
 * IA32_ARCH_CAPABILITIES: nothing here runs ahead, so that none of the leaks
 * that operating systems work around exists (SDM volume 4, table 2-2). RDCL_NO,
 * IBRS_ALL, RSBA clear, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO,
 * TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO
 * and, in the high word, ITS_NO.
 */
const ARCH_CAPABILITIES = 0x0d10e17b, ARCH_CAPABILITIES_HIGH = 0x40000000;
/** IA32_SPEC_CTRL's bits: IBRS, STIBP, SSBD, BHI_DIS_S. */
const SPEC_CTRL_BITS = 0x407;

/** Where the registers of IA-32e mode stand in the state, or 0. */
function longRegister(cpu: X86, address: number): number {
  if (!cpu.model.features.has("lm")) return 0;
  switch (address >>> 0) {
    case 0xc0000081:
      return OFF_STAR;
    case 0xc0000082:
      return OFF_LSTAR;
    case 0xc0000083:
      return OFF_CSTAR;
    case 0xc0000084:
      return OFF_FMASK;
    case 0xc0000100:
      return OFF_SEG + 32 * FS + SEG_BASE;
    case 0xc0000101:
      return OFF_SEG + 32 * GS + SEG_BASE;
    case 0xc0000102:
      return OFF_KERNEL_GS_BASE;
    default:
      return 0;
  }
}

/** The registers of the local APIC in x2APIC mode (SDM volume 3, 10.12.1.2). */
const X2_FIRST = 0x800;
const X2_LAST = 0x8ff;
/** Its interrupt command register, the only one of 64 bits. */
const X2_COMMAND = 0x830;

function isX2Register(cpu: X86, address: number): boolean {
  return address >= X2_FIRST && address <= X2_LAST && cpu.apic !== undefined &&
    cpu.model.features.has("x2apic");
}

/**
 * Whether IA32_APIC_BASE may get this low half: from x2APIC mode the way leads
 * only to where the APIC is off, and there only from xAPIC mode (SDM volume 3,
 * figure 10-27).
 */
function isApicBase(cpu: X86, lo: number): boolean {
  const has = cpu.apic !== undefined && cpu.model.features.has("x2apic");
  if ((lo & (has ? 0x2ff : 0x6ff)) !== 0) return false;
  const old = cpu.apic?.apicBase ?? 0;
  const isOn = (lo & APIC_BASE_ENABLE) !== 0;
  if ((lo & APIC_BASE_X2) !== 0) {
    return isOn && (old & APIC_BASE_ENABLE) !== 0;
  }
  return !isOn || (old & APIC_BASE_X2) === 0;
}

/** Whether a register of IA-32e mode holds an address, which must be canonical. */
function isAddress(offset: number): boolean {
  return offset !== OFF_STAR && offset !== OFF_FMASK;
}

/** A valid memory type: UC, WC, WT, WP, WB and, in the PAT, UC-. */
function validTypes(word: number, pat: boolean): boolean {
  for (let i = 0; i < 32; i += 8) {
    const t = (word >>> i) & 0xff;
    if (t > 7 || t === 2 || t === 3 || t === 7 && !pat) return false;
  }
  return true;
}

/** Whether it is of family 15 or later, or one of the models of family 6 that came after: those have IA-32e mode here. */
function isSinceFamily15({ model }: X86): boolean {
  return ((model.signature >> 8) & 15) === 15 || model.features.has("lm");
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
      return family === 6 && !f.has("lm");
    case 0x48: // IA32_SPEC_CTRL
      return f.has("arch_capabilities");
    case 0x1a0: // IA32_MISC_ENABLE
    case 0x19a: // IA32_CLOCK_MODULATION
    case 0x19b: // IA32_THERM_INTERRUPT
      return isSinceFamily15(cpu);
    case 0x17a: // IA32_MCG_STATUS
      return f.has("mca");
    case 0x277: // IA32_PAT
      return f.has("pat");
    case TSC_AUX:
      return f.has("rdtscp");
    default:
      return f.has("mtrr") &&
        (isFixedMtrr(address) || isVariableMtrr(address));
  }
}

/** RDMSR: fills EDX:EAX, or raises #GP. */
export function readMsr(cpu: X86, address: number): void {
  let lo = 0, hi = 0;
  const f = cpu.model.features;
  const family = (cpu.model.signature >> 8) & 15;
  switch (address >>> 0) {
    case 0x10: { // IA32_TIME_STAMP_COUNTER
      const t = cpu.tsc.read();
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
    case 0x3b: // IA32_TSC_ADJUST
      if (!f.has("tsc_adjust")) cpu.gp();
      lo = cpu.tsc.offset | 0;
      hi = Math.floor(cpu.tsc.offset / 0x1_0000_0000) | 0;
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
      hi = cpu.state[(OFF_SYSENTER >> 2) + 2 * (address - 0x174) + 1];
      break;
    case 0x10a:
      if (!f.has("arch_capabilities")) cpu.gp();
      lo = ARCH_CAPABILITIES;
      hi = ARCH_CAPABILITIES_HIGH;
      break;
    case 0x179: // IA32_MCG_CAP: no banks
      if (!f.has("mca")) cpu.gp();
      break;
    case 0x19c: // IA32_THERM_STATUS
      if (!isSinceFamily15(cpu)) cpu.gp();
      break;
    case 0x2ff:
      if (!f.has("mtrr")) cpu.gp();
      lo = cpu.state[OFF_MTRR_DEF_TYPE >> 2];
      break;
    case 0xda0: // IA32_XSS
      if (!f.has("xsaves")) cpu.gp();
      lo = cpu.state[OFF_XSS >> 2];
      break;
    case 0xc0000080: // IA32_EFER
      if (!f.has("nx")) cpu.gp();
      lo = cpu.state[OFF_EFER >> 2];
      break;
    case 0x6e0: // IA32_TSC_DEADLINE
      if (cpu.apic?.hasDeadline !== true) cpu.gp();
      if (cpu.apic.deadline !== 0) {
        const t = cpu.apic.deadline + cpu.tsc.offset;
        lo = t | 0;
        hi = Math.floor(t / 0x1_0000_0000) | 0;
      }
      break;
    default: {
      if (isX2Register(cpu, address)) {
        const value = cpu.apic!.readMsr(address - X2_FIRST);
        if (value < 0) cpu.gp();
        lo = value | 0;
        if (address === X2_COMMAND) hi = cpu.apic!.destination | 0;
        break;
      }
      const at = longRegister(cpu, address) >> 2;
      if (at !== 0) {
        lo = cpu.state[at];
        hi = cpu.state[at + 1];
        break;
      }
      if (!isStorage(cpu, address)) cpu.gp();
      const word = msrWord(address);
      lo = cpu.state[word];
      hi = cpu.state[word + 1];
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
      // Before family 15 the high half is cleared (SDM volume 3, 17.17.3).
      cpu.tsc.write(
        (isSinceFamily15(cpu) ? hi >>> 0 : 0) * 0x1_0000_0000 + (lo >>> 0),
      );
      return;
    case 0x3b:
      // The counter changes by as much (SDM volume 3, 17.17.3).
      if (!f.has("tsc_adjust")) cpu.gp();
      cpu.tsc.offset = (hi | 0) * 0x1_0000_0000 + (lo >>> 0);
      return;
    case 0x17:
    case 0xfe:
    case 0x179:
      return cpu.gp(); // read only
    case 0x1b:
      if (family < 6 || !isApicBase(cpu, lo)) cpu.gp();
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
      // The selector has no high half.
      if (address === 0x174 || !f.has("lm")) hi = 0;
      else if (!isCanonical(hi)) cpu.gp();
      cpu.state[(OFF_SYSENTER >> 2) + 2 * (address - 0x174)] = lo;
      cpu.state[(OFF_SYSENTER >> 2) + 2 * (address - 0x174) + 1] = hi;
      return;
    case 0x49: // IA32_PRED_CMD: a barrier against what does not happen
      if (!f.has("arch_capabilities") || hi !== 0 || (lo & ~1) !== 0) cpu.gp();
      return;
    case 0x10a:
      return cpu.gp();
    case 0x19c:
      if (!isSinceFamily15(cpu)) cpu.gp();
      return;
    case 0x2ff:
      if (!f.has("mtrr")) cpu.gp();
      if (hi !== 0 || (lo & ~0xcff) !== 0 || !validTypes(lo & 0xff, false)) {
        cpu.gp();
      }
      cpu.state[OFF_MTRR_DEF_TYPE >> 2] = lo;
      return;
    case 0x6e0: {
      if (cpu.apic?.hasDeadline !== true) cpu.gp();
      const deadline = (hi >>> 0) * 0x1_0000_0000 + (lo >>> 0);
      // 0 disarms; what has passed is due now.
      cpu.apic.deadline = deadline === 0
        ? 0
        : cpu.tsc.hasReached(deadline)
        ? 1
        : deadline - cpu.tsc.offset;
      return;
    }
    case 0xda0: // no component is the supervisor's alone
      if (!f.has("xsaves") || (lo | hi) !== 0) cpu.gp();
      return;
    case 0xc0000080:
      if (!f.has("nx")) cpu.gp();
      return writeEfer(cpu, lo, hi);
  }
  if (isX2Register(cpu, address)) {
    if (!cpu.apic!.writeMsr(address - X2_FIRST, lo, hi)) cpu.gp();
    return;
  }
  const at = longRegister(cpu, address);
  if (at !== 0) {
    if (isAddress(at) ? !isCanonical(hi) : at === OFF_FMASK && hi !== 0) {
      cpu.gp();
    }
    cpu.state[at >> 2] = lo;
    cpu.state[(at >> 2) + 1] = hi;
    return;
  }
  if (!isStorage(cpu, address)) cpu.gp();
  switch (address) {
    case 0x8b:
      // Software clears it before CPUID; there is no update, so it stays 0.
      if (lo !== 0 || hi !== 0) cpu.gp();
      return;
    case 0x48:
      if (hi !== 0 || (lo & ~SPEC_CTRL_BITS) !== 0) cpu.gp();
      break;
    case TSC_AUX:
      if (hi !== 0) cpu.gp();
      break;
    case 0x277:
      if (!validTypes(lo, true) || !validTypes(hi, true)) cpu.gp();
      break;
    default:
      if (isFixedMtrr(address)) {
        if (!validTypes(lo, false) || !validTypes(hi, false)) cpu.gp();
      } else if (isVariableMtrr(address)) {
        if ((hi >>> 0) >= 2 ** (cpu.model.physicalBits - 32)) cpu.gp();
        if ((address & 1) === 0) {
          if ((lo & 0xf00) !== 0 || !validTypes(lo & 0xff, false)) cpu.gp();
        } else if ((lo & 0x7ff) !== 0) cpu.gp();
      }
  }
  const word = msrWord(address);
  cpu.state[word] = lo;
  cpu.state[word + 1] = hi;
}
