/**
 * Interrupts and exceptions: gates, delivery in every mode, double and triple
 * faults, NMI, and IRET (SDM volume 3, chapter 6 and section 20.3; volume 2,
 * INT and IRET).
 *
 * @module
 */

import { GUEST_FAULT, GUEST_MODIFIED } from "../../../core/cpu/frontend.ts";
import type { X86 } from "./cpu.ts";
import {
  EXC_DB,
  EXC_DF,
  EXC_GP,
  EXC_NMI,
  EXC_NOT_CANONICAL,
  EXC_NP,
  EXC_PAST_END,
  EXC_PF,
  EXC_TS,
} from "./exceptions.ts";
import { enterLongFast, returnLongFast } from "./fast_long_transfers.ts";
import { enterFast, returnFast } from "./fast_transfers.ts";
import { enterLong } from "./long_interrupts.ts";
import { nextPc, returnLong } from "./long_transfers.ts";
import {
  applyCode,
  applyDescriptor,
  ATTR_CD,
  ATTR_CODE,
  ATTR_P,
  ATTR_S,
  checkStackSegment,
  type Descriptor,
  dplOf,
  gateOffset,
  limitOf,
  loadNull,
  loadRealSegment,
  loadV86Segment,
  markAccessed,
  needDescriptor,
  Stack,
  TYPE_INTERRUPT16,
  TYPE_INTERRUPT32,
  TYPE_TASK,
  TYPE_TRAP16,
  TYPE_TRAP32,
} from "./segments.ts";
import {
  AC,
  ARITH_FLAGS,
  CS,
  DF,
  DS,
  ES,
  FS,
  GS,
  ID,
  IF,
  IOPL_MASK,
  KEY_TF,
  NT,
  OFF_CR,
  OFF_DR,
  OFF_EXC_ADDRESS64,
  OFF_EXC_ERROR,
  OFF_EXC_HAS_ERROR,
  OFF_EXC_VECTOR,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  RF,
  SS,
  TF,
  VIF,
  VIP,
  VM,
} from "./state.ts";
import {
  gateTask,
  interruptRedirected,
  returnTask,
  tssStack,
} from "./tasks.ts";
import { checkReturnCode } from "./transfer_checks.ts";
import { returnOuter } from "./transfers.ts";

const W_VECTOR = OFF_EXC_VECTOR >> 2;
const W_ERROR = OFF_EXC_ERROR >> 2;
const W_HAS_ERROR = OFF_EXC_HAS_ERROR >> 2;
const W_CR2 = (OFF_CR >> 2) + 4;
const W_DR6 = (OFF_DR >> 2) + 12;
const W_DR7 = (OFF_DR >> 2) + 14;
const DR7_GD = 0x2000;
/** DR6: a breakpoint condition was met. */
const DR6_BREAKPOINTS = 15;
const CR4_VME = 1, CR4_PVI = 2;

/** What an entry to a handler comes from. */
const FROM_EXCEPTION = 0, FROM_EXTERNAL = 1, FROM_INT = 2;
type Source = 0 | 1 | 2;

/**
 * Enters the handler of `vector`. `next`: the EIP to come back to. `error`:
 * the error code, or -1. A fault on the way changes nothing.
 */
function enterHandler(
  cpu: X86,
  vector: number,
  source: Source,
  next: number,
  error: number,
  resume: boolean,
): void {
  if (cpu.lma) {
    const software = source === FROM_INT;
    if (!enterLongFast(cpu, vector, software, error, resume)) {
      enterLong(cpu, vector, source, next, error, resume);
    }
    return;
  }
  if (enterFast(cpu, vector, source === FROM_INT, next, error, resume)) return;
  if (!cpu.protectedMode) return enterReal(cpu, vector, next);
  const ext = source === FROM_INT ? 0 : 1;
  const at = vector * 8;
  const gateError = at | 2 | ext;
  if (at + 7 > (cpu.state[OFF_IDT_LIMIT >> 2] >>> 0)) cpu.gp(gateError);
  const address = (cpu.state[OFF_IDT_BASE >> 2] + at) | 0;
  const gate: Descriptor = {
    lo: cpu.mmu.read32(address, 0),
    hi: cpu.mmu.read32((address + 4) | 0, 0),
    address,
    limit: 0,
  };
  const type = (gate.hi >> 8) & 31;
  let size = 4;
  switch (type) {
    case TYPE_INTERRUPT16:
    case TYPE_TRAP16:
      size = 2;
      break;
    case TYPE_TASK:
    case TYPE_INTERRUPT32:
    case TYPE_TRAP32:
      break;
    default:
      cpu.gp(gateError);
  }
  if (source === FROM_INT && dplOf(gate.hi) < cpu.cpl) cpu.gp(gateError);
  if ((gate.hi & ATTR_P) === 0) cpu.raise(EXC_NP, gateError);
  if (type === TYPE_TASK) {
    gateTask(cpu, gate, ext, next, error);
    return;
  }

  const selector = gate.lo >>> 16;
  if ((selector & 0xfffc) === 0) cpu.gp(ext);
  const code = selector & 0xfffc | ext;
  const d = needDescriptor(cpu, selector, EXC_GP, ext);
  const dpl = dplOf(d.hi);
  if (
    (d.hi & (ATTR_S | ATTR_CODE)) !== (ATTR_S | ATTR_CODE) || dpl > cpu.cpl
  ) cpu.gp(code);
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, code);
  const eip = gateOffset(gate);
  const v86 = cpu.v86;
  const conforming = (d.hi & ATTR_CD) !== 0;
  if (v86 && (conforming || dpl !== 0)) cpu.gp(code);

  let eflags = cpu.getEflags();
  if (resume) eflags |= RF;
  const stack = new Stack(cpu);
  stack.error = ext;
  if (conforming || dpl === cpu.cpl) {
    stack.push(size, eflags);
    stack.push(size, cpu.selector(CS));
    stack.push(size, next);
    if (error !== -1) stack.push(size, error);
    if ((eip >>> 0) > (limitOf(d.lo, d.hi) >>> 0)) cpu.gp(ext);
    markAccessed(cpu, d);
    applyCode(cpu, selector, d, cpu.cpl, eip);
  } else {
    const inner = tssStack(cpu, dpl, ext);
    const sd = checkStackSegment(cpu, inner.ss, dpl, EXC_TS, ext);
    const oldEsp = cpu.reg32(4);
    const oldSs = cpu.selector(SS);
    stack.replace(sd, inner.esp, dpl, inner.ss & 0xfffc | ext);
    if (v86) {
      for (const s of [GS, FS, DS, ES]) stack.push(size, cpu.selector(s));
    }
    stack.push(size, oldSs);
    stack.push(size, oldEsp);
    stack.push(size, eflags);
    stack.push(size, cpu.selector(CS));
    stack.push(size, next);
    if (error !== -1) stack.push(size, error);
    if ((eip >>> 0) > (limitOf(d.lo, d.hi) >>> 0)) cpu.gp(ext);
    markAccessed(cpu, sd);
    markAccessed(cpu, d);
    if (v86) { for (const s of [ES, DS, FS, GS]) loadNull(cpu, s, 0); }
    applyDescriptor(cpu, SS, inner.ss, sd);
    applyCode(cpu, selector, d, dpl, eip);
  }
  cpu.setReg32(4, stack.esp);
  const interruptGate = (type & 1) === 0;
  cpu.setEflags(0, TF | NT | RF | VM | (interruptGate ? IF : 0));
  cpu.updateKey();
}

/** Through the interrupt vector table at the IDTR, as real mode does. */
function enterReal(cpu: X86, vector: number, next: number): void {
  const at = vector * 4;
  if (at + 3 > (cpu.state[OFF_IDT_LIMIT >> 2] >>> 0)) cpu.gp();
  const address = (cpu.state[OFF_IDT_BASE >> 2] + at) | 0;
  const ip = cpu.mmu.read16(address, 0);
  const cs = cpu.mmu.read16((address + 2) | 0, 0);
  const stack = new Stack(cpu);
  stack.push16(cpu.getEflags());
  stack.push16(cpu.selector(CS));
  stack.push16(next);
  if (ip > cpu.segLimit(CS)) cpu.gp();
  loadRealSegment(cpu, CS, cs);
  cpu.eip = ip;
  cpu.setReg32(4, stack.esp);
  cpu.setEflags(0, TF | IF | AC | RF);
  cpu.updateKey();
}

/** The vectors with the contributory class (SDM volume 3, table 6-4). */
function isContributory(vector: number): boolean {
  return vector === 0 || vector >= EXC_TS && vector <= EXC_GP;
}

/** Whether `second`, raised while delivering `first`, makes a double fault. */
function isDouble(first: number, second: number): boolean {
  if (isContributory(first)) return isContributory(second);
  if (first === EXC_PF) return second === EXC_PF || isContributory(second);
  return false;
}

/**
 * Delivers the recorded exception at the present EIP. False: triple fault, the
 * CPU shuts down.
 */
export function deliverException(cpu: X86): boolean {
  const s = cpu.state;
  // RF is set in the image that a fault pushes, but by an instruction
  // breakpoint's: there it is the handler's affair (SDM volume 3, 17.3.1.1).
  const isBreakpoint = s[W_VECTOR] === EXC_DB &&
    (cpu.pendingDebug & DR6_BREAKPOINTS) !== 0;
  let told = -1;
  for (;;) {
    if (s[W_VECTOR] === EXC_NOT_CANONICAL) cpu.record(EXC_GP, 0, true);
    if (s[W_VECTOR] === EXC_PAST_END) s[W_VECTOR] = EXC_PF;
    const vector = s[W_VECTOR];
    if (vector === EXC_PF) setFaultAddress(s);
    // Real mode pushes no error codes; enterReal ignores them.
    const error = s[W_HAS_ERROR] !== 0 ? s[W_ERROR] : -1;
    if (told !== vector) {
      told = vector;
      cpu.observer?.exception(
        vector,
        error === -1 || !cpu.protectedMode ? undefined : error >>> 0,
        vector === EXC_PF ? faultAddress(s) : undefined,
      );
    }
    try {
      if (vector === EXC_DB) recordDebug(cpu);
      else cpu.pendingDebug = 0;
      const resume = vector !== EXC_DF && !(vector === EXC_DB && isBreakpoint);
      enterHandler(cpu, vector, FROM_EXCEPTION, cpu.pc, error, resume);
      s[W_VECTOR] = -1;
      return true;
    } catch (e) {
      // A push has invalidated translated code: the second try succeeds.
      if (e === GUEST_MODIFIED) continue;
      if (e !== GUEST_FAULT) throw e;
    }
    if (!escalate(cpu, vector)) return false;
  }
}

/** CR2 becomes the address of the recorded page fault. */
function setFaultAddress(s: Int32Array): void {
  s[W_CR2] = s[OFF_EXC_ADDRESS64 >> 2];
  s[W_CR2 + 1] = s[(OFF_EXC_ADDRESS64 >> 2) + 1];
}

/** The linear address in CR2. */
function faultAddress(s: Int32Array): number {
  return s[W_CR2 + 1] * 2 ** 32 + (s[W_CR2] >>> 0);
}

/** A second exception was recorded while `first` was being delivered. */
function escalate(cpu: X86, first: number): boolean {
  if (cpu.state[W_VECTOR] === EXC_PAST_END) cpu.state[W_VECTOR] = EXC_PF;
  const second = cpu.state[W_VECTOR];
  if (first === EXC_DF) return false;
  if (isDouble(first, second)) {
    if (second === EXC_PF) setFaultAddress(cpu.state);
    cpu.record(EXC_DF, 0, true);
  }
  cpu.committed = false;
  return true;
}

/**
 * Moves the pending debug conditions into DR6. B0 to B3 are those of this #DB
 * alone; what else is set stays (SDM volume 3, 17.2.3).
 */
function recordDebug(cpu: X86): void {
  const s = cpu.state;
  s[W_DR6] = s[W_DR6] & ~DR6_BREAKPOINTS | cpu.pendingDebug;
  cpu.pendingDebug = 0;
  if ((s[W_DR7] & DR7_GD) !== 0) s[W_DR7] &= ~DR7_GD;
}

/** Delivers an event; faults on the way become exceptions. */
function takeVector(cpu: X86, vector: number, source: Source): boolean {
  for (;;) {
    try {
      enterHandler(cpu, vector, source, cpu.pc, -1, false);
      return true;
    } catch (e) {
      if (e === GUEST_MODIFIED) continue;
      if (e !== GUEST_FAULT) throw e;
      break;
    }
  }
  // An interrupt is benign: the fault is delivered on its own.
  return deliverException(cpu);
}

/** Takes the most urgent event: debug trap, NMI, interrupt. False: triple fault. */
export function takeEvent(cpu: X86): boolean {
  if (cpu.pendingDebug !== 0) {
    recordDebug(cpu);
    cpu.observer?.exception(EXC_DB, undefined, undefined);
    return takeVector(cpu, EXC_DB, FROM_EXCEPTION);
  }
  if (cpu.nmiPending && !cpu.nmiBlocked) {
    cpu.nmiPending = false;
    cpu.nmiBlocked = true;
    cpu.observer?.interrupt(EXC_NMI);
    return takeVector(cpu, EXC_NMI, FROM_EXTERNAL);
  }
  const vector = cpu.acknowledge() & 0xff;
  cpu.observer?.interrupt(vector);
  return takeVector(cpu, vector, FROM_EXTERNAL);
}

/** INT n: `next` is the EIP of the following instruction. */
export function softwareInterrupt(
  cpu: X86,
  vector: number,
  next: number,
): void {
  const from = linearOf(cpu, next);
  if (cpu.v86) {
    const vme = (cpu.cr4 & CR4_VME) !== 0;
    if (vme && !interruptRedirected(cpu, vector)) {
      enterVirtual(cpu, vector, next);
      cpu.observer?.software(vector, from);
      return;
    }
    if (cpu.iopl < 3) cpu.gp();
  }
  callHandler(cpu, vector, next);
  cpu.observer?.software(vector, from);
}

/** The linear address of an instruction that follows, by its EIP. */
function linearOf(cpu: X86, next: number): number {
  return cpu.long
    ? nextPc(cpu, next)
    : cpu.linear(nextPc(cpu, next), cpu.pcHi()) >>> 0;
}

/** INT3, INTO: not sensitive to IOPL in virtual-8086 mode. */
export function softwareException(
  cpu: X86,
  vector: number,
  next: number,
): void {
  const from = linearOf(cpu, next);
  callHandler(cpu, vector, next);
  cpu.observer?.exception(vector, undefined, undefined, from);
}

function callHandler(cpu: X86, vector: number, next: number): void {
  const key = cpu.key();
  enterHandler(cpu, vector, FROM_INT, nextPc(cpu, next), -1, false);
  suppressStep(cpu, key);
}

/**
 * INT1: delivered as a hardware exception (no DPL check), but a trap. A data
 * breakpoint that MOV SS has met is delivered with it.
 */
export function interrupt1(cpu: X86, next: number): void {
  const key = cpu.key();
  const from = linearOf(cpu, next);
  enterHandler(cpu, EXC_DB, FROM_EXCEPTION, nextPc(cpu, next), -1, false);
  if (cpu.pendingDebug !== 0) recordDebug(cpu);
  suppressStep(cpu, key);
  cpu.observer?.exception(EXC_DB, undefined, undefined, from);
}

/** The handler's entry has cleared TF: no single-step trap after INT, which ran under `key`. */
function suppressStep(cpu: X86, key: number): void {
  cpu.suppressStep = (key & KEY_TF) !== 0;
}

/** INT n in virtual-8086 mode by VME: through the table at linear 0. */
function enterVirtual(cpu: X86, vector: number, next: number): void {
  const key = cpu.key();
  const ip = cpu.mmu.read16(vector * 4, 1);
  const cs = cpu.mmu.read16(vector * 4 + 2, 1);
  let image = cpu.getEflags();
  const low = cpu.iopl < 3;
  if (low) {
    // The handler sees IF as VIF, and IOPL 3.
    image = image & ~IF | IOPL_MASK | ((image & VIF) !== 0 ? IF : 0);
  }
  const stack = new Stack(cpu);
  stack.push16(image);
  stack.push16(cpu.selector(CS));
  stack.push16(next);
  loadV86Segment(cpu, CS, cs);
  cpu.eip = ip;
  cpu.setReg32(4, stack.esp);
  cpu.setEflags(0, TF | NT | (low ? VIF : IF));
  cpu.updateKey();
  suppressStep(cpu, key);
}

/** The flags that POPF and IRET may change in the present mode. */
function flagMask(cpu: X86, size: number): number {
  let mask = ARITH_FLAGS | TF | DF | NT;
  if (size >= 4) mask |= AC | ID;
  if (cpu.cpl <= cpu.iopl || !cpu.protectedMode) mask |= IF;
  if (cpu.cpl === 0) mask |= IOPL_MASK;
  return mask;
}

/** IRET in IA-32e mode. `size`: operand size, 2, 4 or 8. */
function interruptReturnLong(cpu: X86, size: number): void {
  if ((cpu.getEflags() & NT) !== 0) cpu.gp();
  let mask = flagMask(cpu, size);
  if (size >= 4) {
    mask |= resumeMask(cpu);
    if (cpu.cpl === 0) mask |= VIF | VIP;
  }
  const image = returnLong(cpu, size, 0, true);
  cpu.setEflags(image, mask);
  if (cpu.cpl === 3) cpu.userAccessEnded();
}

/** IRET. `size`: operand size, 2, 4 or 8. `next`: EIP of the following instruction. */
export function interruptReturn(cpu: X86, size: number, next: number): void {
  // Even an IRET that faults unblocks NMI.
  if (cpu.nmiBlocked) {
    cpu.nmiBlocked = false;
    if (cpu.nmiPending) cpu.engine.attention();
  }
  if (cpu.lma) {
    if (size !== 8 || !returnLongFast(cpu)) interruptReturnLong(cpu, size);
    return;
  }
  if (size === 4 && returnFast(cpu)) return;
  if (!cpu.protectedMode || cpu.v86) return returnReal(cpu, size);
  if ((cpu.getEflags() & NT) !== 0) return returnTask(cpu, next);
  const stack = new Stack(cpu);
  const eip = stack.pop(size);
  const cs = stack.pop(size) & 0xffff;
  const image = stack.pop(size);
  if (size === 4 && (image & VM) !== 0 && cpu.cpl === 0) {
    return returnV86(cpu, stack, eip, cs, image);
  }
  const d = checkReturnCode(cpu, cs);
  let mask = flagMask(cpu, size);
  if (size === 4) {
    mask |= resumeMask(cpu);
    if (cpu.cpl === 0) mask |= VIF | VIP;
  }
  if ((cs & 3) === cpu.cpl) {
    if ((eip >>> 0) > (limitOf(d.lo, d.hi) >>> 0)) cpu.gp();
    markAccessed(cpu, d);
    applyCode(cpu, cs, d, cpu.cpl, eip);
    cpu.setReg32(4, stack.esp);
  } else {
    returnOuter(cpu, stack, size, 0, { eip, cs }, d);
  }
  cpu.setEflags(image, mask);
  cpu.updateKey();
}

/**
 * RF only matters to instruction breakpoints: it is kept only while there are
 * any, so that other code need not clear it after each instruction.
 */
function resumeMask(cpu: X86): number {
  return (cpu.state[W_DR7] & 0xff) !== 0 ? RF : 0;
}

/** IRET in real and virtual-8086 mode. */
function returnReal(cpu: X86, size: number): void {
  const v86 = cpu.v86;
  const low = v86 && cpu.iopl < 3;
  if (low && (size === 4 || (cpu.cr4 & CR4_VME) === 0)) cpu.gp();
  const stack = new Stack(cpu);
  const eip = stack.pop(size);
  const cs = stack.pop(size) & 0xffff;
  const image = stack.pop(size);
  if ((eip >>> 0) > cpu.segLimit(CS)) cpu.gp();
  if (low) {
    checkVirtualFlags(cpu, image);
    loadV86Segment(cpu, CS, cs);
    cpu.eip = eip;
    cpu.setReg32(4, stack.esp);
    setVirtualFlags(cpu, image);
    cpu.updateKey();
    return;
  }
  loadRealSegment(cpu, CS, cs);
  cpu.eip = eip;
  cpu.setReg32(4, stack.esp);
  let mask = flagMask(cpu, size) | IF;
  if (size === 4) mask |= resumeMask(cpu);
  if (v86) mask &= ~IOPL_MASK;
  cpu.setEflags(image, mask);
  cpu.updateKey();
}

/** VME: #GP when software enables interrupts while one is pending, or sets TF. */
function checkVirtualFlags(cpu: X86, image: number): void {
  const pending = (cpu.getEflags() & VIP) !== 0 && (image & IF) !== 0;
  if (pending || (image & TF) !== 0) cpu.gp();
}

/** VME: 16-bit POPF and IRET put the image's IF into VIF. */
function setVirtualFlags(cpu: X86, image: number): void {
  const flags = image & ~VIF | ((image & IF) !== 0 ? VIF : 0);
  cpu.setEflags(flags, ARITH_FLAGS | TF | DF | NT | VIF);
}

/** IRET from level 0 to virtual-8086 mode. */
function returnV86(
  cpu: X86,
  stack: Stack,
  eip: number,
  cs: number,
  image: number,
): void {
  const esp = stack.pop(4);
  const ss = stack.pop(4) & 0xffff;
  const es = stack.pop(4) & 0xffff;
  const ds = stack.pop(4) & 0xffff;
  const fs = stack.pop(4) & 0xffff;
  const gs = stack.pop(4) & 0xffff;
  if ((eip >>> 0) > 0xffff) cpu.gp();
  cpu.setEflags(
    image,
    flagMask(cpu, 4) | resumeMask(cpu) | VM | VIF | VIP | IF,
  );
  loadV86Segment(cpu, CS, cs);
  loadV86Segment(cpu, SS, ss);
  loadV86Segment(cpu, ES, es);
  loadV86Segment(cpu, DS, ds);
  loadV86Segment(cpu, FS, fs);
  loadV86Segment(cpu, GS, gs);
  cpu.eip = eip;
  cpu.setReg32(4, esp);
  cpu.setCpl(3);
  cpu.updateKey();
}

/** The image that PUSHF pushes; raises #GP in virtual-8086 mode below IOPL 3 unless VME helps. */
export function pushfImage(cpu: X86, size: number): number {
  let image = cpu.getEflags() & ~(RF | VM);
  if (cpu.v86 && cpu.iopl < 3) {
    if (size === 4 || (cpu.cr4 & CR4_VME) === 0) cpu.gp();
    image = image & ~IF | IOPL_MASK | ((image & VIF) !== 0 ? IF : 0);
  }
  return image;
}

/** Raises what POPF of this image raises; separate, so that the stack pointer can move in between. */
export function checkPopf(cpu: X86, size: number, image: number): void {
  if (!cpu.v86 || cpu.iopl === 3) return;
  if (size === 4 || (cpu.cr4 & CR4_VME) === 0) cpu.gp();
  checkVirtualFlags(cpu, image);
}

/** POPF after {@linkcode checkPopf}. */
export function popf(cpu: X86, size: number, image: number): void {
  if (cpu.v86) {
    if (cpu.iopl < 3) return setVirtualFlags(cpu, image);
    cpu.setEflags(image, flagMask(cpu, size) & ~IOPL_MASK);
    return;
  }
  cpu.setEflags(image, flagMask(cpu, size));
}

/** CLI where IOPL does not allow it: VIF by VME or PVI, else #GP. */
export function virtualCli(cpu: X86): void {
  if (!virtualInterrupts(cpu)) cpu.gp();
  cpu.setEflags(0, VIF);
}

/** STI where IOPL does not allow it: VIF by VME or PVI, else #GP. */
export function virtualSti(cpu: X86): void {
  if (!virtualInterrupts(cpu) || (cpu.getEflags() & VIP) !== 0) cpu.gp();
  cpu.setEflags(VIF, VIF);
}

function virtualInterrupts(cpu: X86): boolean {
  return cpu.v86
    ? (cpu.cr4 & CR4_VME) !== 0
    : (cpu.cr4 & CR4_PVI) !== 0 && cpu.cpl === 3;
}
