/**
 * Reset, and INIT: a reset that leaves a CPU its floating-point and vector
 * registers, the time stamp counter and most model-specific registers (SDM
 * volume 3, table 10-1; QEMU 7.2 and it agree that EFER is cleared).
 *
 * @module
 */

import { APIC_BASE_BSP } from "../../../core/bus/apic.ts";
import type { X86 } from "./cpu.ts";
import { resetMsrs } from "./msr_storage.ts";
import {
  CC_EFLAGS,
  CPU_END,
  CS,
  LDTR,
  OFF_CC_OP,
  OFF_CR,
  OFF_DR,
  OFF_EIP,
  OFF_EXC_VECTOR,
  OFF_FCW,
  OFF_FLAGS,
  OFF_FPR,
  OFF_FTAG,
  OFF_GDT_LIMIT,
  OFF_IDT_LIMIT,
  OFF_KERNEL_GS_BASE,
  OFF_MTRR_DEF_TYPE,
  OFF_MXCSR,
  OFF_SCRATCH,
  OFF_SYSENTER,
  OFF_XCR0,
  OFF_XSS,
  OFF_YMMH,
  STATE_END,
  STATE_START,
  TR,
} from "./state.ts";

/** CR0.ET. */
const CR0_ET = 0x10;
/** CR0.CD and NW. */
const CACHES = 0x60000000;
// The bits of debug registers that always read as 1.
const DR6_FIXED = 0xffff0ff0 | 0, DR7_FIXED = 0x400;

/** Hardware reset of a CPU. A20, IGNNE# and the INTR line are the machine's. */
export function resetCpu(cpu: X86): void {
  const s = cpu.state;
  const { a20, apic, engine, ignne, irqLevel } = cpu;
  s.fill(0, STATE_START >> 2, CPU_END >> 2);
  cpu.irqLevel = irqLevel;
  cpu.a20 = a20;
  cpu.ignne = ignne;
  for (let i = 0; i < 8; i++) {
    const attr = i === LDTR ? 0x8200 : i === TR ? 0x8b00 : 0x9300;
    cpu.setSeg(i, 0, 0, 0xffff, attr);
  }
  cpu.setSeg(CS, 0xf000, 0xffff0000, 0xffff, 0x9b00);
  s[OFF_EIP >> 2] = 0xfff0;
  cpu.setReg32(2, cpu.model.signature);
  s[OFF_FLAGS >> 2] = 2;
  s[OFF_CC_OP >> 2] = CC_EFLAGS;
  s[OFF_CR >> 2] = CACHES | CR0_ET;
  s[OFF_GDT_LIMIT >> 2] = 0xffff;
  s[OFF_IDT_LIMIT >> 2] = 0xffff;
  s[(OFF_DR >> 2) + 12] = DR6_FIXED;
  s[(OFF_DR >> 2) + 14] = DR7_FIXED;
  s[OFF_EXC_VECTOR >> 2] = -1;
  s[OFF_FCW >> 2] = 0x40;
  s[OFF_FTAG >> 2] = 0xff; // the tag word is 5555h: all valid, zero
  s[OFF_MXCSR >> 2] = 0x1f80;
  s[OFF_XCR0 >> 2] = 1;
  resetMsrs(cpu);
  if (engine !== undefined) {
    engine.mmu.setWide(false);
    engine.mmu.flush(false);
    cpu.driveFerr();
  }
  cpu.debugChanged();
  engine?.keyChanged();
  cpu.waitsForStartup = apic !== undefined &&
    (apic.apicBase & APIC_BASE_BSP) === 0;
  if (cpu.waitsForStartup) engine?.halt();
}

/** What stays, of the state's bytes: from an offset to before another one. */
const KEPT: readonly (readonly [number, number])[] = [
  [OFF_SYSENTER, OFF_SYSENTER + 24],
  [OFF_FPR, OFF_SCRATCH],
  [OFF_YMMH, OFF_XSS + 8],
  [OFF_KERNEL_GS_BASE, STATE_END],
  [OFF_MTRR_DEF_TYPE, CPU_END],
];
/** Has a CPU start again after an INIT, or wait for a start-up message. */
export function initCpu(cpu: X86): void {
  const { state, tsc } = cpu;
  const { offset } = tsc;
  const kept = KEPT.map(([from, to]) => cpu.state8.slice(from, to));
  const caches = state[OFF_CR >> 2] & CACHES;
  resetCpu(cpu);
  KEPT.forEach(([from], i) => cpu.state8.set(kept[i], from));
  state[OFF_CR >> 2] = state[OFF_CR >> 2] & ~CACHES | caches;
  tsc.offset = offset;
  cpu.driveFerr();
  cpu.updateKey();
}
