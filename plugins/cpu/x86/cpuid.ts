/**
 * CPUID (SDM volume 2, CPUID).
 *
 * @module
 */

import { APIC_BASE_ENABLE } from "../../../core/bus/apic.ts";
import { CR4_OSXSAVE } from "./models.ts";
import type { X86 } from "./cpu.ts";
import { xsaveLeaf } from "./xsave.ts";

function word(text: string, at: number): number {
  let v = 0;
  for (let i = 0; i < 4; i++) v |= (text.charCodeAt(at + i) & 0xff) << (8 * i);
  return v;
}

/**
 * Bit 31 of ECX, which no CPU sets: software that sees it knows that it runs in
 * a machine like this one, and looks for no performance counters.
 */
const HYPERVISOR = 1 << 31;
/** The leaves that such a CPU has besides, 256 of them; the first says whose they are. */
const HYPERVISOR_LEAF = 0x40000000, HYPERVISOR_NAME = "RheaRheaRhea";
/** Leaf 0x80000001, EDX: SYSCALL and SYSRET. */
const SYSCALL = 1 << 11;
/** Leaf 7, subleaf 2, EDX: IA32_SPEC_CTRL has BHI_DIS_S, for those who ask before they read BHI_NO. */
const BHI_CTRL = 1 << 4;
/** EDX: there is a local APIC, and it is enabled. */
const APIC = 1 << 9;
/** EDX: the package has several CPUs, as many as bits 16-23 of EBX say. */
const HTT = 1 << 28;

/** ECX: x2APIC mode and the TSC-deadline timer, which a local APIC has. */
const X2APIC = 1 << 21, DEADLINE = 1 << 24;
/** The leaf of the caches, and of how many cores a package has. */
const CACHES = 4;
/** Its EAX: data or unified, the level, needs no initialisation by software. */
const DATA = 1, UNIFIED = 3, LEVEL_SHIFT = 5, SELF_INITIALIZING = 1 << 8;
/**
 * The caches that leaf 2 tells of all models with leaf 4: their kind and level,
 * ways, and sets, of lines of 64 bytes.
 */
const CACHE_SHEETS = [
  [DATA | 1 << LEVEL_SHIFT, 4, 32], // 8 KB
  [UNIFIED | 2 << LEVEL_SHIFT, 8, 1024], // 512 KB
] as const;
const LINE_BYTES = 64;
/** The leaf that says which CPUs are together, and the kinds of its levels. */
const TOPOLOGY = 0xb;
const LEVEL_THREADS = 1, LEVEL_CORES = 2;

/**
 * How many cores the package has: the CPUs are the cores of one package where
 * software can be told so, and packages of their own on older models.
 */
function coresOf(cpu: X86): number {
  return cpu.model.maxLeaf >= CACHES ? cpu.count : 1;
}

/** CPUID: leaf in EAX, results in EAX, EBX, ECX, EDX. */
export function cpuid(cpu: X86): void {
  const m = cpu.model;
  let leaf = cpu.reg32(0) >>> 0;
  const brand = m.brand.padEnd(48, "\0");
  const extended = m.features.has("lm")
    ? 0x80000008
    : m.brand !== ""
    ? 0x80000004
    : m.extendedEdx !== 0
    ? 0x80000001
    : 0;
  const apic = m.features.has("x2apic") ? cpu.apic : undefined;
  const highest = apic === undefined
    ? m.maxLeaf
    : Math.max(m.maxLeaf, TOPOLOGY);
  if (leaf >>> 8 === HYPERVISOR_LEAF >>> 8) {
    // They are there whatever the highest one is.
  } else if (leaf >= 0x80000000 ? leaf > extended : leaf > highest) {
    // Out of range: what the highest basic leaf gives.
    leaf = highest;
  }
  let a = 0, b = 0, c = 0, d = 0;
  switch (leaf) {
    case 0:
      a = highest;
      b = word(m.vendor, 0);
      d = word(m.vendor, 4);
      c = word(m.vendor, 8);
      break;
    case 1:
      a = m.signature;
      // CLFLUSH line size in units of 8 bytes.
      b = m.features.has("clflush") ? 8 << 8 : 0;
      if (cpu.apic !== undefined) b |= cpu.apic.initialId << 24;
      if (coresOf(cpu) > 1) b |= coresOf(cpu) << 16;
      c = m.leaf1Ecx | HYPERVISOR;
      if (cpu.apic === undefined) c &= ~(X2APIC | DEADLINE);
      d = m.leaf1Edx;
      if (coresOf(cpu) > 1) d |= HTT;
      // OSXSAVE is what CR4 has.
      if ((cpu.cr4 & CR4_OSXSAVE) !== 0) c |= 1 << 27;
      if (((cpu.apic?.apicBase ?? 0) & APIC_BASE_ENABLE) !== 0) d |= APIC;
      break;
    case 2:
      [a, b, c, d] = m.caches;
      break;
    case CACHES: {
      const sheet = CACHE_SHEETS[cpu.reg32(1) >>> 0];
      if (sheet === undefined) break;
      const [kind, ways, sets] = sheet;
      // Each core has its own.
      a = coresOf(cpu) - 1 << 26 | SELF_INITIALIZING | kind;
      b = ways - 1 << 22 | LINE_BYTES - 1;
      c = sets - 1;
      break;
    }
    case 7:
      if (cpu.reg32(1) === 0) {
        a = m.leaf7Edx !== 0 ? 2 : 0;
        b = m.leaf7Ebx;
        c = m.leaf7Ecx;
        d = m.leaf7Edx;
      } else if (cpu.reg32(1) === 2 && m.leaf7Edx !== 0) d = BHI_CTRL;
      break;
    case TOPOLOGY: {
      if (apic === undefined) break;
      // A core has one thread. The package's number is above those of cores.
      const level = cpu.reg32(1) & 0xff;
      c = level;
      if (level === 0) {
        b = 1;
        c |= LEVEL_THREADS << 8;
      } else if (level === 1) {
        a = 32 - Math.clz32(cpu.count - 1);
        b = cpu.count;
        c |= LEVEL_CORES << 8;
      }
      d = apic.initialId;
      break;
    }
    case 0xd:
      [a, b, c, d] = xsaveLeaf(cpu, cpu.reg32(1));
      break;
    case HYPERVISOR_LEAF:
      a = HYPERVISOR_LEAF;
      b = word(HYPERVISOR_NAME, 0);
      c = word(HYPERVISOR_NAME, 4);
      d = word(HYPERVISOR_NAME, 8);
      break;
    case 0x80000000:
      a = extended | 0;
      break;
    case 0x80000001:
      c = m.extendedEcx;
      d = m.extendedEdx;
      // SYSCALL is there in 64-bit mode only.
      if (!cpu.long) d &= ~SYSCALL;
      break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004: {
      const at = (leaf - 0x80000002) * 16;
      a = word(brand, at);
      b = word(brand, at + 4);
      c = word(brand, at + 8);
      d = word(brand, at + 12);
      break;
    }
    case 0x80000006: // a second-level cache of 512 KB, 8 ways, lines of 64 bytes
      c = 512 << 16 | 6 << 12 | 64;
      break;
    case 0x80000007:
      d = m.powerEdx;
      break;
    case 0x80000008: // bits of physical and linear addresses
      a = m.physicalBits | 48 << 8;
      break;
  }
  cpu.setReg32(0, a);
  cpu.setReg32(3, b);
  cpu.setReg32(1, c);
  cpu.setReg32(2, d);
}
