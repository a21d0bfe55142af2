/**
 * String instructions: one element in IR, repeated ones by helpers (strings.ts).
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import type { Insn } from "./decode.ts";
import {
  LONG_REP_CMPS,
  LONG_REP_LODS,
  LONG_REP_MOVS,
  LONG_REP_SCAS,
  LONG_REP_STOS,
} from "./long_strings.ts";
import {
  CC_SRC,
  CC_SRC64,
  CC_SUB,
  CS,
  DF,
  ES,
  FLAGS,
  GPR,
  KEY_ALIGN,
  KEY_DEBUG,
  KEY_TF,
  ZF,
} from "./state.ts";
import {
  MAX_ELEMENTS,
  REP_ADDR16,
  REP_DOWN,
  REP_FLAGS_SHIFT,
  REP_FLAT,
  REP_LOG_SHIFT,
  REP_NOT_EQUAL,
  REP_SEGMENT_SHIFT,
  REP_SINGLE,
  REP_USER,
} from "./string_kernel.ts";
import {
  CMPS_RUN,
  MOVS_RUN,
  REP_CMPS,
  REP_LODS,
  REP_MOVS,
  REP_SCAS,
  REP_STOS,
  REP_WHAT,
  SCAS_RUN,
  STOS_RUN,
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
  const offset = t.reg(i.addrSize, register);
  return t.linear(
    register === SI ? i.segment : ES,
    t.long ? t.resize(8, offset) : offset,
    sizeOf(i),
    write,
  );
}

/** DF as it stands in the flags: 0 or 1024. */
function down(t: Translator): Value {
  return t.b.and(t.b.get(FLAGS), t.b.i32(DF));
}

/** What a pointer moves by: the size, negative if DF is set. */
function step(t: Translator, i: Insn): Value {
  const b = t.b;
  const size = sizeOf(i);
  return b.sub(b.i32(size), b.shrU(down(t), b.i32(9 - Math.log2(size))));
}

function advance(
  t: Translator,
  i: Insn,
  register: number,
  delta: Value,
): void {
  const size = i.addrSize === 8 ? 8 : 4;
  const by = size === 8 ? t.b.sext32(delta) : delta;
  t.setReg(i.addrSize, register, t.b.add(t.reg(size, register), by));
}

/** What does the plain case of an instruction. */
interface Plain {
  /** The function of string_kernel.ts. */
  readonly run: Helper;
  /** It goes through memory by SI; else its first argument is EAX. */
  readonly source: boolean;
}

/**
 * A repeated instruction. In flat segments the plain case is done first, by a
 * function that takes and gives registers; the helper for all cases is called
 * only if that says so. An instruction that is not done after so many elements
 * jumps to itself, so that interrupts are taken.
 */
function repeat(
  t: Translator,
  i: Insn,
  helper: Helper,
  plain: Plain | undefined,
): void {
  if (t.long) return repeatLong(t, i, helper);
  const b = t.b;
  const isSingle = (t.key & (KEY_TF | KEY_DEBUG)) !== 0;
  const compares = helper === REP_CMPS || helper === REP_SCAS;
  let what = (sizeOf(i) >> 1 << REP_LOG_SHIFT) |
    (i.segment << REP_SEGMENT_SHIFT);
  if (i.addrSize === 2) what |= REP_ADDR16;
  if (i.rep === 0xf2) what |= REP_NOT_EQUAL;
  if (isSingle) what |= REP_SINGLE;
  if (t.mmu !== 0) what |= REP_USER;
  // The helper takes the flags from the state, if nothing is compared.
  if (compares) t.syncFlags();
  let flags: Value = 0;
  if (
    plain === undefined || isSingle || (t.key & KEY_ALIGN) !== 0 ||
    i.addrSize !== 4 || !t.isFlat(ES) ||
    (plain.source && (i.segment === CS || !t.isFlat(i.segment)))
  ) {
    b.set(REP_WHAT, b.i32(what | MAX_ELEMENTS));
    b.call(helper);
    if (compares) flags = b.get(CC_SRC);
  } else {
    what |= REP_FLAT;
    const count = b.get(GPR[1]);
    const limit = b.i32(MAX_ELEMENTS);
    const packed = b.or(
      b.or(b.select(b.ltU(count, limit), count, limit), b.i32(what)),
      b.shl(down(t), b.i32(Math.log2(REP_DOWN / DF))),
    );
    const target = b.get(GPR[DI]);
    const source = b.get(GPR[plain.source ? SI : 0]);
    const result = b.call(plain.run, source, target, packed);
    const done = b.zext16(result);
    const delta = b.mul(done, step(t, i));
    if (plain.source) b.set(GPR[SI], b.add(source, delta));
    b.set(GPR[DI], b.add(target, delta));
    b.set(GPR[1], b.sub(count, done));
    b.set(REP_WHAT, b.sub(packed, done));
    const slow = b.ltS(result, b.i32(0));
    b.callIf(slow, helper);
    if (compares) {
      flags = b.select(
        slow,
        b.get(CC_SRC),
        b.shrU(result, b.i32(REP_FLAGS_SHIFT)),
      );
    }
  }
  const left = t.reg(i.addrSize, 1);
  if (!compares) return t.branch(left, t.eip, t.nextEip);
  t.setArithFlags(flags);
  const equal = b.and(flags, b.i32(ZF));
  const zero = b.i32(0);
  t.branch(
    i.rep === 0xf2 ? b.select(equal, zero, left) : b.select(equal, left, zero),
    t.eip,
    t.nextEip,
  );
}

/** In 64-bit mode: the helper of each of the others. */
const LONG: ReadonlyMap<Helper, Helper> = new Map([
  [REP_MOVS, LONG_REP_MOVS],
  [REP_STOS, LONG_REP_STOS],
  [REP_LODS, LONG_REP_LODS],
  [REP_CMPS, LONG_REP_CMPS],
  [REP_SCAS, LONG_REP_SCAS],
]);

/** The same in 64-bit mode. */
function repeatLong(t: Translator, i: Insn, helper: Helper): void {
  const b = t.b;
  const compares = helper === REP_CMPS || helper === REP_SCAS;
  let what = (Math.log2(sizeOf(i)) << REP_LOG_SHIFT) |
    (i.segment << REP_SEGMENT_SHIFT);
  if (i.addrSize === 4) what |= REP_ADDR16;
  if (i.rep === 0xf2) what |= REP_NOT_EQUAL;
  if ((t.key & (KEY_TF | KEY_DEBUG)) !== 0) what |= REP_SINGLE;
  // The helper takes the flags from the state, if nothing is compared.
  if (compares) t.syncFlags();
  b.set(REP_WHAT, b.i32(what));
  b.call(LONG.get(helper)!);
  const left = t.reg(i.addrSize, 1);
  const isLeft = b.ne(left, b.like(left, 0));
  if (!compares) return t.branch(isLeft, t.eip, t.nextEip);
  const flags = b.low(b.get(CC_SRC64));
  t.setArithFlags(flags);
  const equal = b.and(flags, b.i32(ZF));
  const zero = b.i32(0);
  t.branch(
    i.rep === 0xf2
      ? b.select(equal, zero, isLeft)
      : b.select(equal, isLeft, zero),
    t.eip,
    t.nextEip,
  );
}

const MOVS: Plain = { run: MOVS_RUN, source: true };
const STOS: Plain = { run: STOS_RUN, source: false };
const CMPS: Plain = { run: CMPS_RUN, source: true };
const SCAS: Plain = { run: SCAS_RUN, source: false };

const movs: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, REP_MOVS, MOVS);
  const size = sizeOf(i);
  const v = t.loadLinear(size, at(t, i, SI, false));
  t.storeLinear(size, at(t, i, DI, true), v);
  const delta = step(t, i);
  advance(t, i, SI, delta);
  advance(t, i, DI, delta);
};

const stos: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, REP_STOS, STOS);
  const size = sizeOf(i);
  const v = t.reg(size === 8 ? 8 : 4, 0);
  t.storeLinear(size, at(t, i, DI, true), v);
  advance(t, i, DI, step(t, i));
};

const lods: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, REP_LODS, undefined);
  const size = sizeOf(i);
  const v = t.loadLinear(size, at(t, i, SI, false));
  advance(t, i, SI, step(t, i));
  t.setReg(size, 0, v);
};

const cmps: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, REP_CMPS, CMPS);
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
  if (i.rep !== 0) return repeat(t, i, REP_SCAS, SCAS);
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
