/**
 * String instructions: one element in IR, repeated ones by functions in
 * WebAssembly (string_kernel.ts) and helpers (strings.ts, long_strings.ts).
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import type { Insn } from "./decode.ts";
import {
  LONG_CMPS_RUN,
  LONG_MOVS_RUN,
  LONG_REP_CMPS,
  LONG_REP_LODS,
  LONG_REP_MOVS,
  LONG_REP_SCAS,
  LONG_REP_STOS,
  LONG_SCAS_RUN,
  LONG_STOS_RUN,
} from "./long_strings.ts";
import {
  BASE64,
  CC_SRC,
  CC_SRC64,
  CC_SUB,
  CS,
  DF,
  ES,
  FLAGS,
  GPR,
  KEY_ALIGN,
  ZF,
} from "./state.ts";
import {
  MAX_ELEMENTS,
  REP_ADDR16,
  REP_ADDR32,
  REP_DOWN,
  REP_FLAGS_SHIFT,
  REP_FLAT,
  REP_LOG_SHIFT,
  REP_NOT_EQUAL,
  REP_SEGMENT_SHIFT,
  REP_SINGLE,
  REP_USER,
} from "./string_what.ts";
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

/** A repeated instruction. */
interface Repeated {
  /** Does all that is not plain. */
  readonly all: Helper;
  /** Does the plain case: of string_kernel.ts or string_compare.ts. */
  readonly plain?: Helper;
  /** The same of 64-bit mode. */
  readonly longAll: Helper;
  readonly longPlain?: Helper;
  /** It goes through memory by SI; else it has the accumulator. */
  readonly source?: boolean;
  /** It stops by ZF. */
  readonly compares?: boolean;
}

/**
 * A repeated instruction. In flat segments the plain case is done first, by a
 * function that takes and gives registers; the helper for all cases is called
 * only if that says so. An instruction that is not done after so many elements
 * jumps to itself, so that interrupts are taken.
 */
function repeat(t: Translator, i: Insn, r: Repeated): void {
  t.elements = MAX_ELEMENTS;
  // The helper takes the flags from the state, if nothing is compared.
  if (r.compares) t.syncFlags();
  const flags = t.long ? repeatLong(t, i, r) : repeatNarrow(t, i, r);
  const left = t.reg(i.addrSize, 1);
  const b = t.b;
  const isLeft = t.long ? b.ne(left, b.like(left, 0)) : left;
  if (!r.compares) return t.branch(isLeft, t.eip, t.nextEip);
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

/** The number of elements, at most `MAX_ELEMENTS`, with what to do and the direction. */
function pack(t: Translator, count: Value, what: number): Value {
  const b = t.b;
  const limit = b.like(count, MAX_ELEMENTS);
  const n = b.low(b.select(b.ltU(count, limit), count, limit));
  const direction = b.shl(down(t), b.i32(Math.log2(REP_DOWN / DF)));
  return b.or(b.or(n, b.i32(what)), direction);
}

/** What to do, but for the number and the direction. */
function whatOf(t: Translator, i: Insn): number {
  let what = (Math.log2(sizeOf(i)) << REP_LOG_SHIFT) |
    (i.segment << REP_SEGMENT_SHIFT);
  if (i.rep === 0xf2) what |= REP_NOT_EQUAL;
  if (t.isSingleElement) what |= REP_SINGLE;
  if (t.mmu !== 0) what |= REP_USER;
  return what;
}

/** Gives the flags of a comparison. */
function repeatNarrow(t: Translator, i: Insn, r: Repeated): Value {
  const b = t.b;
  let what = whatOf(t, i);
  if (i.addrSize === 2) what |= REP_ADDR16;
  if (
    r.plain === undefined || t.isSingleElement || (t.key & KEY_ALIGN) !== 0 ||
    i.addrSize !== 4 || !t.isFlat(ES) ||
    (r.source && (i.segment === CS || !t.isFlat(i.segment)))
  ) {
    b.set(REP_WHAT, b.i32(what | MAX_ELEMENTS));
    b.call(r.all);
    return r.compares ? b.get(CC_SRC) : 0;
  }
  const count = b.get(GPR[1]);
  const packed = pack(t, count, what | REP_FLAT);
  const target = b.get(GPR[DI]);
  const source = b.get(GPR[r.source ? SI : 0]);
  const result = b.call(r.plain, source, target, packed);
  const done = b.zext16(result);
  const delta = b.mul(done, step(t, i));
  if (r.source) b.set(GPR[SI], b.add(source, delta));
  b.set(GPR[DI], b.add(target, delta));
  b.set(GPR[1], b.sub(count, done));
  b.set(REP_WHAT, b.sub(packed, done));
  const slow = b.ltS(result, b.i32(0));
  b.callIf(slow, r.all);
  if (!r.compares) return 0;
  const flags = b.shrU(result, b.i32(REP_FLAGS_SHIFT));
  return b.select(slow, b.get(CC_SRC), flags);
}

/** The same in 64-bit mode. */
function repeatLong(t: Translator, i: Insn, r: Repeated): Value {
  const b = t.b;
  const isShort = i.addrSize === 4;
  let what = whatOf(t, i);
  if (isShort) what |= REP_ADDR32;
  if (
    r.longPlain === undefined || t.isSingleElement ||
    (t.key & KEY_ALIGN) !== 0 ||
    // Addresses of 32 bits turn round within a segment.
    (r.source && isShort && !t.isFlat(i.segment))
  ) {
    b.set(REP_WHAT, b.i32(what | MAX_ELEMENTS));
    b.call(r.longAll);
    return r.compares ? b.low(b.get(CC_SRC64)) : 0;
  }
  const size = i.addrSize;
  const count = t.reg(size, 1);
  const packed = pack(t, count, what | REP_FLAT);
  const target = t.reg(size, DI);
  const source = t.reg(r.source ? size : 8, r.source ? SI : 0);
  const offset = t.resize(8, source);
  const isBased = r.source && !t.isFlat(i.segment);
  const result = b.call(
    r.longPlain,
    isBased ? b.add(b.get(BASE64[i.segment]), offset) : offset,
    t.resize(8, target),
    packed,
  );
  const done = b.zext16(result);
  const move = (register: number, to: Value): void =>
    t.setReg(
      8,
      register,
      // Where nothing is done the high half stays.
      isShort ? b.select(done, b.zext32(to), t.reg(8, register)) : to,
    );
  const delta = b.mul(done, step(t, i));
  const by = isShort ? delta : b.sext32(delta);
  if (r.source) move(SI, b.add(source, by));
  move(DI, b.add(target, by));
  move(1, b.sub(count, isShort ? done : b.zext32(done)));
  b.set(REP_WHAT, b.sub(packed, done));
  const slow = b.ltS(result, b.i32(0));
  b.callIf(slow, r.longAll);
  if (!r.compares) return 0;
  const flags = b.shrU(result, b.i32(REP_FLAGS_SHIFT));
  return b.select(slow, b.low(b.get(CC_SRC64)), flags);
}

const MOVS: Repeated = {
  all: REP_MOVS,
  plain: MOVS_RUN,
  longAll: LONG_REP_MOVS,
  longPlain: LONG_MOVS_RUN,
  source: true,
};
const STOS: Repeated = {
  all: REP_STOS,
  plain: STOS_RUN,
  longAll: LONG_REP_STOS,
  longPlain: LONG_STOS_RUN,
};
const LODS: Repeated = { all: REP_LODS, longAll: LONG_REP_LODS, source: true };
const CMPS: Repeated = {
  all: REP_CMPS,
  plain: CMPS_RUN,
  longAll: LONG_REP_CMPS,
  longPlain: LONG_CMPS_RUN,
  source: true,
  compares: true,
};
const SCAS: Repeated = {
  all: REP_SCAS,
  plain: SCAS_RUN,
  longAll: LONG_REP_SCAS,
  longPlain: LONG_SCAS_RUN,
  compares: true,
};

const movs: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, MOVS);
  const size = sizeOf(i);
  const v = t.loadLinear(size, at(t, i, SI, false));
  t.storeLinear(size, at(t, i, DI, true), v);
  const delta = step(t, i);
  advance(t, i, SI, delta);
  advance(t, i, DI, delta);
};

const stos: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, STOS);
  const size = sizeOf(i);
  const v = t.reg(size === 8 ? 8 : 4, 0);
  t.storeLinear(size, at(t, i, DI, true), v);
  advance(t, i, DI, step(t, i));
};

const lods: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, LODS);
  const size = sizeOf(i);
  const v = t.loadLinear(size, at(t, i, SI, false));
  advance(t, i, SI, step(t, i));
  t.setReg(size, 0, v);
};

const cmps: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, CMPS);
  const size = sizeOf(i);
  // The order decides which fault wins: Zen 5 has this one, Zen 4 the other.
  const x = t.loadLinear(size, at(t, i, SI, false));
  const y = t.loadLinear(size, at(t, i, DI, false));
  const delta = step(t, i);
  advance(t, i, SI, delta);
  advance(t, i, DI, delta);
  t.setFlags(CC_SUB, size, t.b.sub(x, y), y, 0, x);
};

const scas: Translate = (t, i) => {
  if (i.rep !== 0) return repeat(t, i, SCAS);
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
