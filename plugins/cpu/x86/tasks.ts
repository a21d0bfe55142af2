/**
 * Tasks: the TSS, task switches and the I/O permission map (SDM volume 3,
 * chapter 8; volume 1, section 19.5).
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { EXC_GP, EXC_NP, EXC_TS } from "./exceptions.ts";
import {
  applyDescriptor,
  ATTR_CD,
  ATTR_CODE,
  ATTR_P,
  ATTR_S,
  type Descriptor,
  dplOf,
  limitOf,
  loadDataSegment,
  loadStackSegment,
  loadV86Segment,
  markAccessed,
  needDescriptor,
  Stack,
  TYPE_LDT,
  TYPE_TSS32,
} from "./segments.ts";
import {
  CS,
  DS,
  ES,
  FS,
  GS,
  LDTR,
  NT,
  OFF_CR,
  OFF_DR,
  SS,
  TR,
  VM,
} from "./state.ts";
import { loadPdptes, usesPdptes } from "./paging.ts";

const CR0_TS = 8;
const W_CR0 = OFF_CR >> 2;
const W_CR3 = (OFF_CR >> 2) + 6;
const W_DR7 = (OFF_DR >> 2) + 14;

/** What a task switch comes from. */
export const TASK_JUMP = 0, TASK_CALL = 1, TASK_IRET = 2, TASK_GATE = 3;

/** Offsets of the fields of a TSS, 32-bit and 16-bit. */
interface TssLayout {
  size: number;
  minimum: number;
  eip: number;
  eflags: number;
  registers: number;
  segments: number;
  segmentCount: number;
  ldt: number;
  stride: number;
}
// Figure 8-2: general registers and segments follow EFLAGS, 4 bytes each.
const TSS32: TssLayout = {
  size: 4,
  minimum: 0x67,
  eip: 0x20,
  eflags: 0x24,
  registers: 0x28,
  segments: 0x48,
  segmentCount: 6,
  ldt: 0x60,
  stride: 4,
};
// Figure 8-10: the same in 2 bytes each; no CR3, FS, GS.
const TSS16: TssLayout = {
  size: 2,
  minimum: 0x2b,
  eip: 0x0e,
  eflags: 0x10,
  registers: 0x12,
  segments: 0x22,
  segmentCount: 4,
  ldt: 0x2a,
  stride: 2,
};

function layoutOf(attr: number): TssLayout {
  return (attr & 0x800) !== 0 ? TSS32 : TSS16;
}

function readField(cpu: X86, at: number, size: number): number {
  return size === 4 ? cpu.mmu.read32(at | 0, 0) : cpu.mmu.read16(at | 0, 0);
}

function writeField(cpu: X86, at: number, size: number, value: number): void {
  if (size === 4) cpu.mmu.write32(at | 0, value | 0, 0);
  else cpu.mmu.write16(at | 0, value & 0xffff, 0);
}

/** SS and ESP of an inner level, from the present TSS; raises #TS when it is too short. */
export function tssStack(
  cpu: X86,
  level: number,
  ext: number,
): { ss: number; esp: number } {
  const wide = (cpu.segAttr(TR) & 0x800) !== 0;
  const at = wide ? 4 + 8 * level : 2 + 4 * level;
  const last = at + (wide ? 5 : 3);
  if (last > cpu.segLimit(TR)) {
    cpu.raise(EXC_TS, cpu.selector(TR) & 0xfffc | ext);
  }
  const base = cpu.segBase(TR) + at;
  const size = wide ? 4 : 2;
  return {
    esp: readField(cpu, base, size),
    ss: cpu.mmu.read16((base + size) | 0, 0),
  };
}

/** Sets or clears the busy bit of a TSS descriptor. */
function setBusy(cpu: X86, address: number, busy: boolean): void {
  const at = (address + 5) | 0;
  const access = cpu.mmu.read8(at, 0);
  cpu.mmu.write8(at, busy ? access | 2 : access & ~2, 0);
}

/** Saves the present task. */
function saveTask(cpu: X86, eip: number, eflags: number): void {
  const layout = layoutOf(cpu.segAttr(TR));
  const base = cpu.segBase(TR);
  const { size, stride } = layout;
  writeField(cpu, base + layout.eip, size, eip);
  writeField(cpu, base + layout.eflags, size, eflags);
  for (let r = 0; r < 8; r++) {
    writeField(cpu, base + layout.registers + r * stride, size, cpu.reg32(r));
  }
  for (let s = 0; s < layout.segmentCount; s++) {
    cpu.mmu.write16(
      (base + layout.segments + s * stride) | 0,
      cpu.selector(s),
      0,
    );
  }
}

/**
 * Switches to the task of an available TSS (for IRET: a busy one). `next` is
 * the EIP that the present task goes on at. Faults before the commit point
 * leave everything as it was; later ones happen in the new task.
 */
export function switchTask(
  cpu: X86,
  selector: number,
  d: Descriptor,
  source: 0 | 1 | 2 | 3,
  next: number,
): void {
  const error = selector & 0xfffc;
  const layout = layoutOf(d.hi);
  const limit = limitOf(d.lo, d.hi) >>> 0;
  if (limit < layout.minimum) cpu.raise(EXC_TS, error);
  const base = (d.lo >>> 16) | (d.hi & 0xff) << 16 | d.hi & 0xff000000;
  const oldBase = cpu.segBase(TR);
  const oldLayout = layoutOf(cpu.segAttr(TR));
  const mmu = cpu.mmu;
  // Everything that will be touched must be there before the commit.
  mmu.probe(oldBase, oldLayout.minimum + 1, 1, 0);
  mmu.probe(base, layout.minimum + 1, 0, 0);
  const nested = source === TASK_CALL || source === TASK_GATE;
  if (nested) mmu.probe(base, 2, 1, 0);
  mmu.probe((d.address + 5) | 0, 1, 1, 0);

  // The new task's image.
  const { size, stride } = layout;
  const eip = readField(cpu, base + layout.eip, size);
  let eflags = readField(cpu, base + layout.eflags, size);
  const registers: number[] = [];
  for (let r = 0; r < 8; r++) {
    const v = readField(cpu, base + layout.registers + r * stride, size);
    registers.push(size === 4 ? v : v | 0xffff0000);
  }
  const selectors: number[] = [];
  for (let s = 0; s < 6; s++) {
    selectors.push(
      s < layout.segmentCount
        ? mmu.read16((base + layout.segments + s * stride) | 0, 0)
        : 0,
    );
  }
  const ldt = mmu.read16((base + layout.ldt) | 0, 0);
  const cr3 = size === 4 ? mmu.read32((base + 0x1c) | 0, 0) : 0;
  const trap = size === 4 && (mmu.read16((base + 0x64) | 0, 0) & 1) !== 0;

  // Old task: no longer busy unless it stays nested below the new one.
  const oldEflags = cpu.getEflags();
  const oldSelector = cpu.selector(TR);
  if (source === TASK_JUMP || source === TASK_IRET) {
    const oldDescriptor = needDescriptor(cpu, oldSelector, EXC_TS, 0);
    setBusy(cpu, oldDescriptor.address, false);
  }
  saveTask(cpu, next, source === TASK_IRET ? oldEflags & ~NT : oldEflags);
  if (nested) {
    mmu.write16(base | 0, oldSelector, 0);
    eflags |= NT;
  }
  if (source !== TASK_IRET) setBusy(cpu, d.address, true);

  // Commit: from here on faults happen in the new task.
  cpu.committed = true;
  d.hi |= 0x200;
  applyDescriptor(cpu, TR, selector, d);
  const state = cpu.state;
  state[W_CR0] |= CR0_TS;
  if (size === 4 && (cpu.cr0 & (0x80000000 | 0)) !== 0) {
    if (state[W_CR3] !== cr3) {
      state[W_CR3] = cr3;
      if (usesPdptes(cpu.cr0, cpu.cr4, 0)) loadPdptes(cpu, cr3);
      mmu.flush(true);
    }
  }
  // Local breakpoints do not outlive the task.
  if ((state[W_DR7] & 0x55) !== 0) {
    state[W_DR7] &= ~0x155;
    cpu.debugChanged();
  }
  cpu.eip = eip;
  for (let r = 0; r < 8; r++) cpu.setReg32(r, registers[r]);
  cpu.setEflags(eflags, size === 4 ? 0x3f7fd5 : 0x7fd5);
  if (size === 2) cpu.setEflags(0, VM);
  // Selectors first, all unusable; then each is checked.
  const v86 = (eflags & VM) !== 0 && size === 4;
  const cpl = v86 ? 3 : selectors[CS] & 3;
  for (let s = 0; s < 6; s++) cpu.setSeg(s, selectors[s], 0, 0, 0);
  cpu.setSeg(LDTR, ldt, 0, 0, 0);
  cpu.setCpl(cpl);
  cpu.updateKey();
  loadTaskLdt(cpu, ldt);
  if (v86) {
    for (let s = 0; s < 6; s++) loadV86Segment(cpu, s, selectors[s]);
  } else {
    // SS first, so that a fault on CS finds a stack.
    loadStackSegment(cpu, selectors[SS], cpl, EXC_TS, 0);
    loadTaskCode(cpu, selectors[CS]);
    for (const s of [ES, DS, FS, GS]) {
      loadDataSegment(cpu, s, selectors[s], cpl, EXC_TS);
    }
  }
  cpu.updateKey();
  if ((eip >>> 0) > cpu.segLimit(CS)) cpu.gp(0);
  if (trap) cpu.debugTrap(0x8000);
  cpu.committed = false;
}

function loadTaskLdt(cpu: X86, selector: number): void {
  if ((selector & 0xfffc) === 0) return;
  const error = selector & 0xfffc;
  if ((selector & 4) !== 0) cpu.raise(EXC_TS, error);
  const d = needDescriptor(cpu, selector, EXC_TS, 0);
  if (((d.hi >> 8) & 31) !== TYPE_LDT || (d.hi & ATTR_P) === 0) {
    cpu.raise(EXC_TS, error);
  }
  applyDescriptor(cpu, LDTR, selector, d);
}

function loadTaskCode(cpu: X86, selector: number): void {
  const error = selector & 0xfffc;
  if (error === 0) cpu.raise(EXC_TS, 0);
  const d = needDescriptor(cpu, selector, EXC_TS, 0);
  if ((d.hi & (ATTR_S | ATTR_CODE)) !== (ATTR_S | ATTR_CODE)) {
    cpu.raise(EXC_TS, error);
  }
  const dpl = dplOf(d.hi);
  const rpl = selector & 3;
  if ((d.hi & ATTR_CD) !== 0 ? dpl > rpl : dpl !== rpl) {
    cpu.raise(EXC_TS, error);
  }
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, error);
  markAccessed(cpu, d);
  applyDescriptor(cpu, CS, selector, d);
}

/** IRET with NT set: back to the task of the link. */
export function returnTask(cpu: X86, next: number): void {
  const link = cpu.mmu.read16(cpu.segBase(TR), 0);
  const error = link & 0xfffc;
  if ((link & 4) !== 0 || error === 0) cpu.raise(EXC_TS, error);
  const d = needDescriptor(cpu, link, EXC_TS, 0);
  const type = (d.hi >> 8) & 31;
  if (type !== 3 && type !== 11) cpu.raise(EXC_TS, error);
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, error);
  switchTask(cpu, link, d, TASK_IRET, next);
}

/** A task gate in the IDT; `error` is pushed on the new task's stack unless it is -1. */
export function gateTask(
  cpu: X86,
  gate: Descriptor,
  ext: number,
  next: number,
  error: number,
): void {
  const tss = gate.lo >>> 16;
  const code = tss & 0xfffc | ext;
  if ((tss & 4) !== 0 || code === ext) cpu.gp(code);
  const d = needDescriptor(cpu, tss, EXC_GP, ext);
  const type = (d.hi >> 8) & 31;
  if (type !== 1 && type !== TYPE_TSS32) cpu.gp(code);
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, code);
  switchTask(cpu, tss, d, TASK_GATE, next);
  if (error === -1) return;
  cpu.committed = true;
  const stack = new Stack(cpu);
  stack.push((d.hi & 0x800) !== 0 ? 4 : 2, error);
  cpu.setReg32(4, stack.esp);
  cpu.committed = false;
}

/** Raises #GP(0) unless the I/O permission map allows `size` bytes at `port`; for CPL > IOPL and V86 mode. */
export function checkIoMap(cpu: X86, port: number, size: number): void {
  const attr = cpu.segAttr(TR);
  const limit = cpu.segLimit(TR);
  if ((attr & ATTR_P) === 0 || (attr & 0x800) === 0 || limit < 0x67) cpu.gp();
  const base = cpu.lma ? cpu.longBase(TR) : cpu.segBase(TR);
  const field = cpu.tableAddress(base + 0x66);
  const at = cpu.tables.read16(field, 0) + (port >> 3);
  // The CPU reads two bytes, whatever the alignment.
  if (at + 1 > limit) cpu.gp();
  const bits = cpu.tables.read16(cpu.tableAddress(base + at), 0);
  if (((bits >> (port & 7)) & ((1 << size) - 1)) !== 0) cpu.gp();
}

/** Whether VME's redirection map sends INT `vector` to the protected-mode handler. */
export function interruptRedirected(cpu: X86, vector: number): boolean {
  const limit = cpu.segLimit(TR);
  if ((cpu.segAttr(TR) & 0x800) === 0 || limit < 0x67) return true;
  const base = cpu.segBase(TR);
  // The 32 bytes below the I/O map.
  const at = cpu.mmu.read16((base + 0x66) | 0, 0) - 32 + (vector >> 3);
  if (at < 0 || at > limit) return true;
  return ((cpu.mmu.read8((base + at) | 0, 0) >> (vector & 7)) & 1) !== 0;
}
