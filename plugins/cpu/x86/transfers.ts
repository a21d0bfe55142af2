/**
 * Far transfers: jumps and calls to code, call gates and tasks, and returns,
 * with the hardware's checks in the hardware's order (SDM volume 3, sections
 * 5.8 and 6.12; volume 2, JMP, CALL, RET).
 *
 * @module
 */

import type { X86 } from "./cpu.ts";
import { EXC_GP, EXC_NP, EXC_TS } from "./exceptions.ts";
import { farCallLong, farJumpLong, returnLong } from "./long_transfers.ts";
import {
  applyCode,
  applyDescriptor,
  ATTR_BIG,
  ATTR_CD,
  ATTR_CODE,
  ATTR_P,
  ATTR_S,
  checkEip,
  checkStackSegment,
  type Descriptor,
  dplOf,
  gateOffset,
  loadRealSegment,
  markAccessed,
  needDescriptor,
  Stack,
  TYPE_CALL16,
  TYPE_CALL32,
  TYPE_TASK,
  TYPE_TSS16,
  TYPE_TSS32,
} from "./segments.ts";
import { CS, DS, ES, FS, GS, SS } from "./state.ts";
import {
  checkDirectCode,
  checkReturnCode,
  dropInaccessible,
} from "./transfer_checks.ts";
import { switchTask, TASK_CALL, TASK_JUMP, tssStack } from "./tasks.ts";

/** Far jump. `next`: EIP of the following instruction. */
export function farJump(
  cpu: X86,
  selector: number,
  offset: number,
  next: number,
): void {
  if (!cpu.protectedMode || cpu.v86) return realFar(cpu, selector, offset);
  if (cpu.lma) return farJumpLong(cpu, selector, offset, 0);
  if ((selector & 0xfffc) === 0) cpu.gp(0);
  const d = needDescriptor(cpu, selector, EXC_GP, 0);
  if ((d.hi & ATTR_S) !== 0) {
    if ((d.hi & ATTR_CODE) === 0) cpu.gp(selector & 0xfffc);
    checkDirectCode(cpu, selector, d);
    checkEip(cpu, d, offset);
    markAccessed(cpu, d);
    applyCode(cpu, selector, d, cpu.cpl, offset);
    cpu.updateKey();
    return;
  }
  const type = systemGate(cpu, selector, d);
  if (type === TYPE_CALL16 || type === TYPE_CALL32) {
    const target = gateTarget(cpu, d);
    const t = needDescriptor(cpu, target, EXC_GP, 0);
    const dpl = dplOf(t.hi);
    if (
      (t.hi & (ATTR_S | ATTR_CODE)) !== (ATTR_S | ATTR_CODE) ||
      ((t.hi & ATTR_CD) !== 0 ? dpl > cpu.cpl : dpl !== cpu.cpl)
    ) cpu.gp(target & 0xfffc);
    if ((t.hi & ATTR_P) === 0) cpu.raise(EXC_NP, target & 0xfffc);
    const eip = gateOffset(d);
    checkEip(cpu, t, eip);
    markAccessed(cpu, t);
    applyCode(cpu, target, t, cpu.cpl, eip);
    cpu.updateKey();
    return;
  }
  taskTransfer(cpu, selector, d, type, TASK_JUMP, next);
}

function realFar(cpu: X86, selector: number, offset: number): void {
  if ((offset >>> 0) > cpu.segLimit(CS)) cpu.gp(0);
  loadRealSegment(cpu, CS, selector);
  cpu.eip = offset;
  cpu.updateKey();
}

/** Checks a system descriptor that a far jump or call names; gives back its type. */
function systemGate(cpu: X86, selector: number, d: Descriptor): number {
  const type = (d.hi >> 8) & 15;
  const error = selector & 0xfffc;
  switch (type) {
    case TYPE_CALL16:
    case TYPE_CALL32:
    case TYPE_TASK:
    case TYPE_TSS16:
    case TYPE_TSS32: {
      const dpl = dplOf(d.hi);
      if (dpl < cpu.cpl || dpl < (selector & 3)) cpu.gp(error);
      break;
    }
    default:
      cpu.gp(error);
  }
  if ((d.hi & ATTR_P) === 0) cpu.raise(EXC_NP, error);
  return type;
}

/** The code selector in a call gate. */
function gateTarget(cpu: X86, gate: Descriptor): number {
  const target = gate.lo >>> 16;
  if ((target & 0xfffc) === 0) cpu.gp(0);
  return target;
}

/** A far jump or call to a TSS or task gate that has passed its own checks. */
function taskTransfer(
  cpu: X86,
  selector: number,
  d: Descriptor,
  type: number,
  source: typeof TASK_CALL | typeof TASK_JUMP,
  next: number,
): void {
  let tss = selector;
  let td = d;
  if (type === TYPE_TASK) {
    tss = d.lo >>> 16;
    if ((tss & 4) !== 0) cpu.gp(tss & 0xfffc);
    td = needDescriptor(cpu, tss, EXC_GP, 0);
    const t = (td.hi >> 8) & 31;
    if (t !== TYPE_TSS16 && t !== TYPE_TSS32) cpu.gp(tss & 0xfffc);
    if ((td.hi & ATTR_P) === 0) cpu.raise(EXC_NP, tss & 0xfffc);
  } else if ((tss & 4) !== 0) cpu.gp(tss & 0xfffc);
  switchTask(cpu, tss, td, source, next);
}

/** Far call. `size`: operand size, 2 or 4. `next`: EIP of the following instruction. */
export function farCall(
  cpu: X86,
  selector: number,
  offset: number,
  size: number,
  next: number,
): void {
  if (cpu.lma) return farCallLong(cpu, selector, offset, 0, size, next);
  const stack = new Stack(cpu);
  const cs = cpu.selector(CS);
  if (!cpu.protectedMode || cpu.v86) {
    stack.push(size, cs);
    stack.push(size, next);
    realFar(cpu, selector, offset);
    setEsp(cpu, stack.esp);
    return;
  }
  if ((selector & 0xfffc) === 0) cpu.gp(0);
  const d = needDescriptor(cpu, selector, EXC_GP, 0);
  if ((d.hi & ATTR_S) !== 0) {
    if ((d.hi & ATTR_CODE) === 0) cpu.gp(selector & 0xfffc);
    checkDirectCode(cpu, selector, d);
    stack.push(size, cs);
    stack.push(size, next);
    checkEip(cpu, d, offset);
    markAccessed(cpu, d);
    applyCode(cpu, selector, d, cpu.cpl, offset);
    setEsp(cpu, stack.esp);
    cpu.updateKey();
    return;
  }
  const type = systemGate(cpu, selector, d);
  if (type !== TYPE_CALL16 && type !== TYPE_CALL32) {
    taskTransfer(cpu, selector, d, type, TASK_CALL, next);
    return;
  }
  callGate(cpu, d, type === TYPE_CALL32 ? 4 : 2, stack, cs, next);
}

function callGate(
  cpu: X86,
  gate: Descriptor,
  size: number,
  stack: Stack,
  cs: number,
  next: number,
): void {
  const target = gateTarget(cpu, gate);
  const t = needDescriptor(cpu, target, EXC_GP, 0);
  const dpl = dplOf(t.hi);
  if (
    (t.hi & (ATTR_S | ATTR_CODE)) !== (ATTR_S | ATTR_CODE) || dpl > cpu.cpl
  ) cpu.gp(target & 0xfffc);
  if ((t.hi & ATTR_P) === 0) cpu.raise(EXC_NP, target & 0xfffc);
  const eip = gateOffset(gate);
  if ((t.hi & ATTR_CD) !== 0 || dpl === cpu.cpl) {
    stack.push(size, cs);
    stack.push(size, next);
    checkEip(cpu, t, eip);
    markAccessed(cpu, t);
    applyCode(cpu, target, t, cpu.cpl, eip);
    setEsp(cpu, stack.esp);
    cpu.updateKey();
    return;
  }
  // To an inner level: the stack of the TSS, with parameters copied.
  const inner = tssStack(cpu, dpl, 0);
  const sd = checkStackSegment(cpu, inner.ss, dpl, EXC_TS, 0);
  const oldEsp = cpu.reg32(4);
  const count = gate.hi & 31;
  const parameters: number[] = [];
  for (let i = count - 1; i >= 0; i--) {
    parameters.push(stack.peek(size, i * size));
  }
  stack.replace(sd, inner.esp, dpl, inner.ss & 0xfffc);
  stack.push(size, cpu.selector(SS));
  stack.push(size, oldEsp);
  for (const p of parameters) stack.push(size, p);
  stack.push(size, cs);
  stack.push(size, next);
  checkEip(cpu, t, eip);
  markAccessed(cpu, sd);
  markAccessed(cpu, t);
  applyDescriptor(cpu, SS, inner.ss, sd);
  applyCode(cpu, target, t, dpl, eip);
  cpu.setReg32(4, stack.esp);
  cpu.updateKey();
}

/** Writes ESP as a stack left it. */
function setEsp(cpu: X86, esp: number): void {
  cpu.setReg32(4, esp);
}

/** What a far return or IRET goes back to. */
export interface Frame {
  /** EIP. */
  readonly eip: number;
  /** CS. */
  readonly cs: number;
}

/**
 * Completes a return to an outer level: pops ESP and SS, which follow `skip`
 * bytes of parameters, and loads everything.
 */
export function returnOuter(
  cpu: X86,
  stack: Stack,
  size: number,
  skip: number,
  frame: Frame,
  d: Descriptor,
): void {
  const rpl = frame.cs & 3;
  stack.move(skip);
  const esp = stack.pop(size);
  const ss = stack.pop(size) & 0xffff;
  const sd = checkStackSegment(cpu, ss, rpl, EXC_GP, 0);
  checkEip(cpu, d, frame.eip);
  markAccessed(cpu, sd);
  markAccessed(cpu, d);
  applyDescriptor(cpu, SS, ss, sd);
  applyCode(cpu, frame.cs, d, rpl, frame.eip);
  // The parameters are released from the outer stack as well.
  if ((sd.hi & ATTR_BIG) !== 0) cpu.setReg32(4, (esp + skip) | 0);
  else cpu.setReg16(4, esp + skip);
  for (const seg of [ES, DS, FS, GS]) dropInaccessible(cpu, seg, rpl);
}

/** RETF. `extra`: bytes of parameters to release. */
export function farReturn(cpu: X86, size: number, extra: number): void {
  if (cpu.lma) {
    returnLong(cpu, size, extra, false);
    return;
  }
  const stack = new Stack(cpu);
  const eip = stack.pop(size);
  const cs = stack.pop(size) & 0xffff;
  if (!cpu.protectedMode || cpu.v86) {
    realFar(cpu, cs, eip);
    stack.move(extra);
    setEsp(cpu, stack.esp);
    return;
  }
  const d = checkReturnCode(cpu, cs);
  if ((cs & 3) === cpu.cpl) {
    checkEip(cpu, d, eip);
    markAccessed(cpu, d);
    applyCode(cpu, cs, d, cpu.cpl, eip);
    stack.move(extra);
    setEsp(cpu, stack.esp);
  } else {
    returnOuter(cpu, stack, size, extra, { eip, cs }, d);
  }
  cpu.updateKey();
}
