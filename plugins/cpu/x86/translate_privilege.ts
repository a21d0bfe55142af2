/**
 * What the translate functions of system instructions share.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import { type Global, I64 } from "../../../core/ir/types.ts";
import type { X86 } from "./cpu.ts";
import { EXC_GP } from "./exceptions.ts";
import { define } from "./helpers.ts";
import { CR4_UMIP } from "./models.ts";
import { ATTR, BASE, LIMIT, SELECTOR } from "./state.ts";
import type { Translator } from "./translate.ts";

/** All that a load of a segment register writes. */
export const SEGMENTS: readonly Global[] = [
  ...SELECTOR,
  ...BASE,
  ...LIMIT,
  ...ATTR,
];

/** A helper that may fault and end its block: it may read and write everything. */
export function transfer(
  name: string,
  args: 0 | 1 | 2 | 3,
  run: (cpu: X86, a: number, b: number, c: number) => void,
): Helper {
  return define(name, args, { faults: true }, (cpu) => (a, b, c) => {
    run(cpu, a, b, c);
    return 0;
  });
}

/** Calls a helper that has put CS:EIP into the state, and ends the block. */
export function goWith(
  t: Translator,
  helper: Helper,
  a: Value = 0,
  b: Value = 0,
  c: Value = 0,
): void {
  t.syncFlags();
  t.b.call(helper, a, b, c);
  t.forgetFlags();
  t.jumpState();
}

/** Ends the block after an instruction that may have changed the mode key. */
export function goOn(t: Translator): void {
  t.syncFlags();
  setNext(t);
  t.jumpState();
}

/** Puts the program counter of the following instruction into the state. */
export function setNext(t: Translator): void {
  t.setPc(t.pc(t.nextEip));
}

/**
 * The program counter of the following instruction as a helper's argument. It
 * is in the state instead in 64-bit mode.
 */
export function next(t: Translator): Value {
  if (!t.long) return t.pc(t.nextEip);
  setNext(t);
  return t.imm(0);
}

/** The low word of an i32 or i64. */
export function lowWord(t: Translator, v: Value): Value {
  const { b } = t;
  return b.typeOf(v) === I64 ? b.op(Op["i32.wrap_i64"], v) : v;
}

/** The high word of an i64; 0 for an i32. */
export function highWord(t: Translator, v: Value): Value {
  const { b } = t;
  return b.typeOf(v) === I64
    ? b.op(Op["i32.wrap_i64"], b.op(Op["i64.shr_u"], v, b.i64(32)))
    : t.imm(0);
}

/** An i32 or i64 as an i64, zero-extended. */
export function zeroExtended(t: Translator, v: Value): Value {
  const { b } = t;
  return b.typeOf(v) === I64 ? v : b.op(Op["i64.extend_i32_u"], v);
}

/** Pushes a word, zero-extended where more is pushed. */
export function pushWord(t: Translator, size: number, v: Value): void {
  t.push(size, size === 8 ? zeroExtended(t, v) : v);
}

/** Whether a model's CR4 may have UMIP: raises #GP(0) above level 0 while it is set. */
export function checkUmip(t: Translator): void {
  if (t.cpl > 0 && t.options.features.has("umip")) t.b.call(CHECK_UMIP);
}

const CHECK_UMIP = define(
  "check_umip",
  0,
  { faults: true, reads: [], writes: [] },
  (cpu) => () => {
    if ((cpu.cr4 & CR4_UMIP) !== 0) cpu.gp();
    return 0;
  },
);

/** Raises #GP(0) unless CPL is 0; true if it does so always. */
export function needLevel0(t: Translator): boolean {
  if (t.cpl === 0) return false;
  t.raise(EXC_GP, 0);
  return true;
}

/** Raises #UD outside protected mode proper; true if it does. */
export function needProtected(t: Translator): boolean {
  if (t.protected) return false;
  t.ud();
  return true;
}
