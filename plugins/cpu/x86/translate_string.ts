/**
 * String instructions: one element in IR, repeated ones by helpers (strings.ts).
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import type { Insn } from "./decode.ts";
import { REP_FLAT, REP_USER } from "./integer_kernel.ts";
import {
  CC_SUB,
  CS,
  DF,
  ES,
  FLAGS,
  GPR,
  KEY_ALIGN,
  KEY_DEBUG,
  KEY_TF,
  SCRATCH32,
} from "./state.ts";
import {
  REP_ADDR16,
  REP_CMPS,
  REP_LODS,
  REP_MOVS,
  REP_NOT_EQUAL,
  REP_SCAS,
  REP_SEGMENT_SHIFT,
  REP_SINGLE,
  REP_STOS,
} from "./strings.ts";
import type { Translate, Translator } from "./translate.ts";

const SI = 6, DI = 7;

/** The elements' size. */
function sizeOf(i: Insn): number {
  return (i.opcode & 1) === 0 ? 1 : i.opSize;
}

/** Linear address of the element at SI or DI. */
function at(
  t: Translator,
  i: Insn,
  register: number,
  write: boolean,
): Value {
  return t.linear(
    register === SI ? i.segment : ES,
    t.reg(i.addrSize, register),
    sizeOf(i),
    write,
  );
}

/** What a pointer moves by: the size, negative if DF is set. */
function step(t: Translator, i: Insn): Value {
  const b = t.b;
  const size = sizeOf(i);
  const down = b.and(b.get(FLAGS), b.i32(DF)); // 0 or 1024
  return b.sub(b.i32(size), b.shrU(down, b.i32(9 - (size >> 1))));
}

function advance(
  t: Translator,
  i: Insn,
  register: number,
  delta: Value,
): void {
  t.setReg(i.addrSize, register, t.b.add(t.b.get(GPR[register]), delta));
}

/** A repeated instruction: `more` tells after the helper whether it goes on. */
function repeat(t: Translator, i: Insn, helper: Helper): void {
  const b = t.b;
  let what = sizeOf(i) | (i.segment << REP_SEGMENT_SHIFT);
  if (i.addrSize === 2) what |= REP_ADDR16;
  if (i.rep === 0xf2) what |= REP_NOT_EQUAL;
  if ((t.key & (KEY_TF | KEY_DEBUG)) !== 0) what |= REP_SINGLE;
  else if (
    (t.key & KEY_ALIGN) === 0 && i.addrSize === 4 && i.segment !== CS &&
    t.isFlat(i.segment) && t.isFlat(ES)
  ) what |= t.mmu !== 0 ? REP_FLAT | REP_USER : REP_FLAT;
  const compares = helper === REP_CMPS || helper === REP_SCAS;
  if (compares) t.syncFlags();
  b.call(helper, b.i32(what));
  if (compares) t.forgetFlags();
  t.branch(
    compares ? b.get(SCRATCH32[0]) : t.reg(i.addrSize, 1),
    t.eip,
    t.nextEip,
  );
}

const movs: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, REP_MOVS);
  const size = sizeOf(i);
  const v = t.loadLinear(size, at(t, i, SI, false));
  t.storeLinear(size, at(t, i, DI, true), v);
  const delta = step(t, i);
  advance(t, i, SI, delta);
  advance(t, i, DI, delta);
};

const stos: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, REP_STOS);
  t.storeLinear(sizeOf(i), at(t, i, DI, true), t.b.get(GPR[0]));
  advance(t, i, DI, step(t, i));
};

const lods: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, REP_LODS);
  const size = sizeOf(i);
  const v = t.loadLinear(size, at(t, i, SI, false));
  advance(t, i, SI, step(t, i));
  t.setReg(size, 0, v);
};

const cmps: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, REP_CMPS);
  const size = sizeOf(i);
  // The order decides which fault wins: the host CPU's (AMD) is this one.
  const y = t.loadLinear(size, at(t, i, DI, false));
  const x = t.loadLinear(size, at(t, i, SI, false));
  const delta = step(t, i);
  advance(t, i, SI, delta);
  advance(t, i, DI, delta);
  t.setFlags(CC_SUB, size, t.b.sub(x, y), y, 0, x);
};

const scas: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, REP_SCAS);
  const size = sizeOf(i);
  const y = t.loadLinear(size, at(t, i, DI, false));
  const x = t.reg(size, 0);
  advance(t, i, DI, step(t, i));
  t.setFlags(CC_SUB, size, t.b.sub(x, y), y, 0, x);
};

/** String instructions. */
export const STRING: Readonly<Record<string, Translate>> = {
  movs,
  stos,
  lods,
  cmps,
  scas,
};
