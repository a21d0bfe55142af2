/**
 * Structured WebAssembly for the x87 kernel: expressions are functions that
 * emit their code, so that a kernel function reads like the formula it is.
 * @module
 */

import { Emitter } from "../../../core/wasm/emitter.ts";

/** Value type i32. */
export const I32 = 0x7f;
/** Value type i64. */
export const I64 = 0x7e;
const VOID = 0x40;

/** Code that leaves a value on the stack, or none. */
export type Code = () => void;

/** Emits functions of structured code. */
export class Assembler {
  /** The instructions so far. */
  readonly e: Emitter = new Emitter(8192);
  #types: number[] = [];

  /** Declares a local after the `params` parameters. */
  local(params: number, type: number): number {
    this.#types.push(type);
    return params + this.#types.length - 1;
  }

  /** A function's code: its locals and then what was emitted. */
  take(): Uint8Array {
    const out = new Emitter(this.e.length + 64);
    out.u32(this.#types.length);
    for (const t of this.#types) {
      out.u32(1);
      out.u8(t);
    }
    out.raw(this.e.bytes, 0, this.e.length);
    this.e.clear();
    this.#types = [];
    return out.bytes.slice(0, out.length);
  }
}

/** What the code is emitted to. */
export const asm: Assembler = new Assembler();
/** An instruction, given code for its operands. */
export type Instruction = (...operands: Code[]) => Code;

const op = (code: number): Instruction => (...operands) => () => {
  for (const operand of operands) operand();
  asm.e.u8(code);
};
/** An i32 constant. */
export const i32 = (v: number): Code => () => asm.e.i32Const(v);
/** An i64 constant, by halves. */
export const i64 = (lo: number, hi = lo >> 31): Code => () =>
  asm.e.i64Const(lo, hi);
/** A local. */
export const get = (l: number): Code => () => asm.e.localGet(l);
/** Sets a local. */
export const set = (l: number, v: Code): void => {
  v();
  asm.e.localSet(l);
};

/** `i32.eqz` */
export const eqz: Instruction = op(0x45);
/** `i32.eq` */
export const eq: Instruction = op(0x46);
/** `i32.ne` */
export const ne: Instruction = op(0x47);
/** `i32.lt_s` */
export const ltS: Instruction = op(0x48);
/** `i32.lt_u` */
export const ltU: Instruction = op(0x49);
/** `i32.gt_s` */
export const gtS: Instruction = op(0x4a);
/** `i32.le_s` */
export const leS: Instruction = op(0x4c);
/** `i32.ge_s` */
export const geS: Instruction = op(0x4e);
/** `i32.add` */
export const add: Instruction = op(0x6a);
/** `i32.sub` */
export const sub: Instruction = op(0x6b);
/** `i32.and` */
export const and: Instruction = op(0x71);
/** `i32.or` */
export const or: Instruction = op(0x72);
/** `i32.xor` */
export const xor: Instruction = op(0x73);
/** `i32.shl` */
export const shl: Instruction = op(0x74);
/** `i32.shr_u` */
export const shrU: Instruction = op(0x76);
/** `i32.clz` */
export const clz: Instruction = op(0x67);
/** `i64.eqz` */
export const eqzL: Instruction = op(0x50);
/** `i64.eq` */
export const eqL: Instruction = op(0x51);
/** `i64.ne` */
export const neL: Instruction = op(0x52);
/** `i64.lt_s` */
export const ltSL: Instruction = op(0x53);
/** `i64.lt_u` */
export const ltUL: Instruction = op(0x54);
/** `i64.gt_u` */
export const gtUL: Instruction = op(0x56);
/** `i64.ge_s` */
export const geSL: Instruction = op(0x59);
/** `i64.add` */
export const addL: Instruction = op(0x7c);
/** `i64.sub` */
export const subL: Instruction = op(0x7d);
/** `i64.mul` */
export const mulL: Instruction = op(0x7e);
/** `i64.div_u` */
export const divL: Instruction = op(0x80);
/** `i64.and` */
export const andL: Instruction = op(0x83);
/** `i64.or` */
export const orL: Instruction = op(0x84);
/** `i64.xor` */
export const xorL: Instruction = op(0x85);
/** `i64.shl` */
export const shlL: Instruction = op(0x86);
/** `i64.shr_u` */
export const shrL: Instruction = op(0x88);
/** `i64.clz` */
export const clzL: Instruction = op(0x79);
/** `i32.wrap_i64` */
export const wrap: Instruction = op(0xa7);
/** `i64.extend_i32_u` */
export const extend: Instruction = op(0xad);
/** `i64.extend_i32_s` */
export const extendS: Instruction = op(0xac);
/** `select` */
export const select: Instruction = op(0x1b);
/** 2^63. */
export const TOP_BIT: Code = i64(0, -0x8000_0000);
/** 2^32 - 1. */
export const LOW_HALF: Code = i64(-1, 0);

/** If, with or without else; both without result. */
export const when = (
  condition: Code,
  then: () => void,
  other?: () => void,
): void => {
  condition();
  asm.e.u8(0x04);
  asm.e.u8(VOID);
  then();
  if (other !== undefined) {
    asm.e.u8(0x05);
    other();
  }
  asm.e.u8(0x0b);
};
/** Returns a value. */
export const leave = (v: Code): void => {
  v();
  asm.e.u8(0x0f);
};
/** Calls a function. */
export const call = (f: number, ...operands: Code[]): Code => () => {
  for (const operand of operands) operand();
  asm.e.u8(0x10);
  asm.e.u32(f);
};
/** Loads an i32. */
export const load = (at: Code, offset: number): Code => () => {
  at();
  asm.e.mem(0x28, offset, 2);
};
/** Loads an i64. */
export const loadL = (at: Code, offset: number): Code => () => {
  at();
  asm.e.mem(0x29, offset, 3);
};
/** Stores an i32. */
export const store = (at: Code, offset: number, v: Code): void => {
  at();
  v();
  asm.e.mem(0x36, offset, 2);
};
/** Stores an i64. */
export const storeL = (at: Code, offset: number, v: Code): void => {
  at();
  v();
  asm.e.mem(0x37, offset, 3);
};
