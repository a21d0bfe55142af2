/**
 * Jumps, calls and returns within a segment.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Insn } from "./decode.ts";
import { GP } from "./operands.ts";
import { CS, KEY_FLAT_CS, KEY_LIMIT_64K, LIMIT } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";

/**
 * The target of a relative jump: cut to the operand size, unless that has to
 * wait until the guest's EIP is known ({@linkcode cutsLate}).
 */
function targetOf(t: Translator, i: Insn): number {
  const eip = t.nextEip + i.imm;
  return i.opSize === 2 && !t.relocatable ? eip & 0xffff : eip | 0;
}

/** Whether a relative jump goes to a 16-bit EIP that only the running guest knows. */
function cutsLate(t: Translator, i: Insn): boolean {
  return i.opSize === 2 && t.relocatable;
}

/** Such a jump's target. */
function lateTarget(t: Translator, i: Insn): Value {
  return t.b.and(t.pc(t.nextEip + i.imm | 0), t.imm(0xffff));
}

/**
 * Raises #GP(0) when an EIP is outside the code segment. `condition`: the jump
 * is only taken when it is not 0.
 */
function checkTarget(
  t: Translator,
  i: Insn,
  target: Value,
  condition: Value = 0,
): void {
  if ((t.key & KEY_FLAT_CS) !== 0) return;
  const b = t.b;
  let outside: Value;
  if ((t.key & KEY_LIMIT_64K) !== 0) {
    if (i.opSize === 2) return;
    outside = b.ltU(b.i32(0xffff), target);
  } else outside = b.ltU(b.get(LIMIT[CS]), target);
  t.trap(
    condition === 0 ? outside : b.and(outside, b.ne(condition, b.i32(0))),
    GP,
    0,
  );
}

/** Jumps to the relative target if `condition` is not 0. */
function branch(t: Translator, i: Insn, condition: Value): void {
  if (cutsLate(t, i)) {
    const next = t.pc(t.nextEip);
    return t.jumpIndirect(t.b.select(condition, lateTarget(t, i), next));
  }
  const target = targetOf(t, i);
  checkTarget(t, i, t.b.i32(target), condition);
  t.branch(condition, target, t.nextEip);
}

const jcc: Translate = (t, i) => branch(t, i, t.condition(i.opcode & 15));

const jmp: Translate = (t, i) => {
  if (cutsLate(t, i)) return t.jumpIndirect(lateTarget(t, i));
  const target = targetOf(t, i);
  checkTarget(t, i, t.b.i32(target));
  t.jump(target);
};

/** The same for a computed target, which in 64-bit mode has to be canonical: it is the branch that faults. */
function checkComputed(t: Translator, i: Insn, target: Value): void {
  if (t.long) return t.trap(t.notCanonical(t.resize(8, target)), GP, 0);
  checkTarget(t, i, target);
}

const jmpIndirect: Translate = (t, i) => {
  const target = t.read(0);
  checkComputed(t, i, target);
  t.jumpIndirect(target);
};

const call: Translate = (t, i) => {
  const target = targetOf(t, i);
  checkTarget(t, i, t.b.i32(target));
  t.push(i.opSize, t.pc(t.nextEip));
  t.b.hintCall(t.nextEip);
  if (cutsLate(t, i)) t.jumpIndirect(lateTarget(t, i));
  else t.jump(target);
};

const callIndirect: Translate = (t, i) => {
  const target = t.read(0);
  checkComputed(t, i, target);
  t.push(i.opSize, t.pc(t.nextEip));
  t.b.hintCall(t.nextEip);
  t.jumpIndirect(target);
};

const ret: Translate = (t, i) => {
  const size = i.opSize;
  const target = t.peek(size);
  checkComputed(t, i, target);
  // `imm` is 0 without an operand.
  t.setStackPointer(t.stackPointer(size + i.imm));
  t.b.hintReturn();
  t.jumpIndirect(target);
};

/** LOOP (E2), LOOPE (E1), LOOPNE (E0): counts in CX or ECX by the address size. */
const loop: Translate = (t, i) => {
  const b = t.b;
  const size = i.addrSize;
  const count = t.zext(size, b.sub(t.reg(size, 1), t.constant(size, 1)));
  const isLeft = size === 8 ? b.ne(count, b.i64(0)) : count;
  let taken = isLeft;
  if (i.opcode !== 0xe2) {
    const z = t.conditionBool(i.opcode === 0xe1 ? 4 : 5);
    taken = b.and(b.ne(isLeft, b.i32(0)), z);
  }
  if (cutsLate(t, i)) {
    t.setReg(size, 1, count);
    const next = t.pc(t.nextEip);
    return t.jumpIndirect(b.select(taken, lateTarget(t, i), next));
  }
  const target = targetOf(t, i);
  checkTarget(t, i, b.i32(target), taken);
  t.setReg(size, 1, count);
  t.branch(taken, target, t.nextEip);
};

const jcxz: Translate = (t, i) => branch(t, i, t.b.eqz(t.reg(i.addrSize, 1)));

/** Near control transfers. */
export const CONTROL: Readonly<Record<string, Translate>> = {
  jcc,
  jmp,
  jmp_indirect: jmpIndirect,
  call,
  call_indirect: callIndirect,
  ret,
  loop,
  jcxz,
};
