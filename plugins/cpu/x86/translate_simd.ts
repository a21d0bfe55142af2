/**
 * What MMX and SSE instructions share: their operands, and how integer operations are written once for both register sets.
 *
 * An MMX register is a v128 global over the whole slot of the x87 register it
 * lives in: the low half is its value, the high half the exponent, which every
 * write makes all ones. So one v128 operation serves both register sets, and
 * only what crosses the halves (packing, shuffles) tells them apart.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { IrBuilder } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import type { Insn } from "./decode.ts";
import { define } from "./helpers.ts";
import { MF } from "./operands.ts";
import { FSW, FTAG, FTOP, KEY_ALIGN, KEY_NE, MM, XMM } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";

/** An operation on vectors: destination (first) and source operand; the immediate. */
export type Binary = (
  b: IrBuilder,
  x: Value,
  y: Value,
  imm: number,
) => Value;

/** FSW.ES: an unmasked x87 exception is pending. */
const FSW_ES = 0x80;

/** An x87 exception is pending and CR0.NE clear (SDM volume 1, 8.7.2). */
const WAIT_FOR_IGNNE = define(
  "x87_wait",
  0,
  { faults: true, reads: [], writes: [] },
  (cpu) => () => {
    if (!cpu.ignne) cpu.waitForEvent();
    return 0;
  },
);

/**
 * Raises #MF if an x87 exception is pending. With CR0.NE clear the machine has
 * been told by FERR# already: the instruction waits for its interrupt, unless
 * IGNNE# lets it go on.
 */
export function checkPendingX87(t: Translator): void {
  const b = t.b;
  const pending = b.and(b.get(FSW), b.i32(FSW_ES));
  if ((t.key & KEY_NE) !== 0) b.trap(pending, MF);
  else b.callIf(pending, WAIT_FOR_IGNNE);
}

/**
 * What every MMX instruction does to the x87 state: TOP becomes 0 and all
 * registers valid. Call when the instruction can no longer fault.
 */
export function enterMmx(t: Translator): void {
  const b = t.b;
  b.set(FTOP, b.i32(0));
  b.set(FTAG, b.i32(0xff));
}

/** Writes an MMX register from the low half of a vector. */
export function setMm(t: Translator, n: number, v: Value): void {
  const b = t.b;
  b.set(MM[n], b.op(Op["i64x2.replace_lane.1"], v, b.i64(0xffff, 0)));
}

/** A vector whose low half is the i64 `v`. */
export function fromI64(b: IrBuilder, v: Value): Value {
  return b.op(Op["i64x2.splat"], v);
}

/** A vector of zeros. */
export function zero(b: IrBuilder): Value {
  return b.v128(ZERO_BYTES);
}
const ZERO_BYTES = new Uint8Array(16);

/** A vector of 16 bytes, 8 words, 4 doublewords or 2 quadwords (as pairs) with this bit pattern in each lane. */
export function pattern(b: IrBuilder, ...bytes: number[]): Value {
  const out = new Uint8Array(16);
  for (let i = 0; i < 16; i++) out[i] = bytes[i % bytes.length];
  return b.v128(out);
}

/** Source operand Qq: an MMX register or 64 bits of memory. */
export function readQ(t: Translator, i: Insn): Value {
  return i.mod === 3
    ? t.b.get(MM[i.rm & 7])
    : fromI64(t.b, t.load(Op["ld64"], i));
}

/** The first source operand: the destination, or with a VEX prefix the register that it names. */
export function first(t: Translator, i: Insn): Value {
  return t.b.get(XMM[i.vex ? i.vvvv : i.reg]);
}

/** Source operand Wdq, aligned if in memory; with a VEX prefix at any address. */
export function readW(t: Translator, i: Insn): Value {
  if (i.mod === 3) return t.b.get(XMM[i.rm]);
  if (i.vex) checkAlignment(t, i, false);
  else t.alignEa(i, 16, false);
  return t.load(Op["ld128"], i);
}

/** Raises #AC for a 16-byte operand that need not be aligned, when alignment is checked. */
export function checkAlignment(t: Translator, i: Insn, write: boolean): void {
  if ((t.key & KEY_ALIGN) === 0) return;
  t.checkAligned(t.ea(i, 16, write), 16);
}

/** Source operand Wdq at any address. */
export function readWUnaligned(t: Translator, i: Insn): Value {
  if (i.mod === 3) return t.b.get(XMM[i.rm]);
  checkAlignment(t, i, false);
  return t.load(Op["ld128"], i);
}

/** Source operand Wq: the low half of a register, or 64 bits of memory. The high half is undefined. */
export function readWq(t: Translator, i: Insn): Value {
  return i.mod === 3 ? t.b.get(XMM[i.rm]) : fromI64(t.b, t.load(Op["ld64"], i));
}

/** Source operand Wd: the low 32 bits of a register, or of memory. The rest is undefined. */
export function readWd(t: Translator, i: Insn): Value {
  return i.mod === 3
    ? t.b.get(XMM[i.rm])
    : t.b.op(Op["i32x4.splat"], t.load(Op["ld32"], i));
}

const binaries = new WeakMap<Translate, Binary>();

/** The operation of an instruction `op Vdq, Wdq`, if it is one. */
export function binaryOf(instruction: Translate): Binary | undefined {
  return binaries.get(instruction);
}

/** Notes the operation of an instruction, for its forms with a VEX prefix. */
export function withBinary(
  instruction: Translate,
  f: Binary | undefined,
): Translate {
  if (f !== undefined) binaries.set(instruction, f);
  return instruction;
}

/** An instruction `op Vdq, Wdq`: `f` computes the new destination. */
export function sse(f: Binary): Translate {
  return withBinary((t, i) => {
    const y = readW(t, i);
    t.b.set(XMM[i.reg], f(t.b, first(t, i), y, i.imm));
  }, f);
}

/** An instruction `op Pq, Qq`: the low half of `f`'s result is the new destination. */
export function mmx(f: Binary): Translate {
  return (t, i) => {
    const y = readQ(t, i);
    const v = f(t.b, t.b.get(MM[i.reg & 7]), y, i.imm);
    enterMmx(t);
    setMm(t, i.reg & 7, v);
  };
}

/** An instruction that is `op Pq, Qq` without and `op Vdq, Wdq` with the prefix 66. */
export function both(f: Binary, g: Binary = f): Translate {
  const onMmx = mmx(f), onSse = sse(g);
  return withBinary(
    (t, i) => i.has66 !== 0 ? onSse(t, i) : onMmx(t, i),
    g,
  );
}

/** A byte shuffle of two vectors: indices 0-15 choose from `x`, 16-31 from `y`. */
export function shuffle(
  b: IrBuilder,
  x: Value,
  y: Value,
  indices: readonly number[],
): Value {
  return b.op(Op["i8x16.shuffle"], x, y, b.v128(indices));
}

/** Byte indices from indices of lanes of `width` bytes. */
export function lanes(width: number, indices: readonly number[]): number[] {
  return indices.flatMap((n) =>
    Array.from({ length: width }, (_, k) => n * width + k)
  );
}

/** For {@linkcode shuffle}: the low half of one vector, the high half of another. */
export const LOW_THEN_HIGH: readonly number[] = lanes(8, [0, 3]);

const LOW_LOW = lanes(8, [0, 2]);
/** The low halves of two vectors. */
export const lowLow = (b: IrBuilder, x: Value, y: Value): Value =>
  shuffle(b, x, y, LOW_LOW);
