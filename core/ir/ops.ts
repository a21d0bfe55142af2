/**
 * The op table: the one place that says what each IR operation is.
 *
 * An entry gives the operation's operand and result types, its effects, its
 * WebAssembly encoding and, where the guest-visible result depends on nothing
 * but constants, how to fold it. The interpreter (generated at start-up), the
 * region compiler, the builder, the printer and the verifier all read this
 * table, so that none of them can disagree about an operation.
 *
 * Names and meanings are WebAssembly's own wherever the operation is a
 * WebAssembly instruction (core specification, section 4.3); operations on
 * guest memory (`ld*`, `st*`; with `.64` at addresses of 64 bits) go through the
 * softMMU and may fault.
 *
 * @module
 */

import { F32, F64, I32, I64, type Type, V128 } from "./types.ts";

/** No effect: the result depends on the operands only. */
export const PURE = 0;
/** Reads guest memory; may fault. */
export const LOADS = 1;
/** Writes guest memory; may fault. */
export const STORES = 2;
/** May leave the block with a guest exception at this instruction. */
export const FAULTS = 4;
/** Calls a helper: effects are the helper's. */
export const CALLS = 8;
/** Reads or writes a global, or marks an instruction: handled by name. */
export const SPECIAL = 16;

/** One entry of the op table. */
export interface OpInfo {
  /** Dense number of the operation: its index in {@linkcode OPS}. */
  readonly id: number;
  /** WebAssembly's name, or Rhea's own. */
  readonly name: string;
  /** Operand types. */
  readonly args: readonly Type[];
  /** Result type, or -1 for none. */
  readonly result: Type | -1;
  /** Sum of the effect constants. */
  readonly effects: number;
  /** The instruction's encoding, emitted after its operands were pushed. */
  readonly wasm: readonly number[];
  /** For memory operations: bytes accessed; else 0. */
  readonly width: number;
  /** Operands may be exchanged. */
  readonly commutative: boolean;
  /** Constant folding for operations on i32 alone. */
  readonly fold?: (a: number, b: number) => number;
  /** What it does, and which results are undefined. */
  readonly doc: string;
}

interface Entry {
  args: readonly Type[];
  result: Type | -1;
  effects?: number;
  wasm?: readonly number[];
  width?: number;
  commutative?: boolean;
  fold?: (a: number, b: number) => number;
  doc?: string;
}

const bin = (
  t: Type,
  code: number,
  fold?: (a: number, b: number) => number,
): Entry => ({ args: [t, t], result: t, wasm: [code], fold });
const com = (
  t: Type,
  code: number,
  fold?: (a: number, b: number) => number,
): Entry => ({
  args: [t, t],
  result: t,
  wasm: [code],
  fold,
  commutative: true,
});
const un = (t: Type, code: number, fold?: (a: number) => number): Entry => ({
  args: [t],
  result: t,
  wasm: [code],
  fold,
});
const cmp = (
  t: Type,
  code: number,
  fold?: (a: number, b: number) => number,
): Entry => ({ args: [t, t], result: I32, wasm: [code], fold });
const conv = (
  from: Type,
  to: Type,
  wasm: readonly number[],
  doc?: string,
): Entry => ({ args: [from], result: to, wasm, doc });

function leb(n: number): number[] {
  return n < 0x80 ? [n] : [(n & 0x7f) | 0x80, n >>> 7];
}
const v1 = (code: number): Entry => ({
  args: [V128],
  result: V128,
  wasm: [0xfd, ...leb(code)],
});
const v2 = (code: number): Entry => ({
  args: [V128, V128],
  result: V128,
  wasm: [0xfd, ...leb(code)],
});
const v3 = (code: number): Entry => ({
  args: [V128, V128, V128],
  result: V128,
  wasm: [0xfd, ...leb(code)],
});
const vShift = (code: number): Entry => ({
  args: [V128, I32],
  result: V128,
  wasm: [0xfd, ...leb(code)],
});
const vTest = (code: number): Entry => ({
  args: [V128],
  result: I32,
  wasm: [0xfd, ...leb(code)],
});
const splat = (from: Type, code: number): Entry => ({
  args: [from],
  result: V128,
  wasm: [0xfd, code],
});
const lane = (to: Type, code: number, n: number): Entry => ({
  args: [V128],
  result: to,
  wasm: [0xfd, code, n],
});
const replace = (from: Type, code: number, n: number): Entry => ({
  args: [V128, from],
  result: V128,
  wasm: [0xfd, code, n],
});
const ld = (
  to: Type,
  width: number,
  wasm: readonly number[],
  address: Type = I32,
): Entry => ({
  args: [address],
  result: to,
  effects: LOADS | FAULTS,
  width,
  wasm,
  doc: `Loads ${width} bytes of guest memory at operand + displacement.`,
});
const st = (
  from: Type,
  width: number,
  wasm: readonly number[],
  address: Type = I32,
): Entry => ({
  args: [address, from],
  result: -1,
  effects: STORES | FAULTS,
  width,
  wasm,
  doc: `Stores ${width} bytes to guest memory at operand 0 + displacement.`,
});

const rotl = (a: number, b: number): number =>
  (b & 31) === 0 ? a | 0 : (a << b) | (a >>> (32 - (b & 31)));

const TABLE = {
  // Not operations of WebAssembly: see the builder.
  "nop": { args: [], result: -1, effects: SPECIAL, doc: "Removed operation." },
  "insn": {
    args: [],
    result: -1,
    effects: SPECIAL,
    doc:
      "Starts the IR of one guest instruction: its program counter and an auxiliary word that the frontend gets back when the instruction faults.",
  },
  "const32": { args: [], result: I32, effects: PURE, doc: "An i32 constant." },
  "const64": { args: [], result: I64, effects: PURE, doc: "An i64 constant." },
  "constf64": {
    args: [],
    result: F64,
    effects: PURE,
    doc: "An f64 constant, by its bits.",
  },
  "constf32": {
    args: [],
    result: F32,
    effects: PURE,
    doc: "An f32 constant, by its bits.",
  },
  "const128": {
    args: [],
    result: V128,
    effects: PURE,
    doc: "A v128 constant, from the block's pool.",
  },
  "get32": {
    args: [],
    result: I32,
    effects: SPECIAL,
    doc: "Reads an i32 global.",
  },
  "get64": {
    args: [],
    result: I64,
    effects: SPECIAL,
    doc: "Reads an i64 global.",
  },
  "getf32": {
    args: [],
    result: F32,
    effects: SPECIAL,
    doc: "Reads an f32 global.",
  },
  "getf64": {
    args: [],
    result: F64,
    effects: SPECIAL,
    doc: "Reads an f64 global.",
  },
  "get128": {
    args: [],
    result: V128,
    effects: SPECIAL,
    doc: "Reads a v128 global.",
  },
  "set32": {
    args: [I32],
    result: -1,
    effects: SPECIAL,
    doc: "Writes an i32 global.",
  },
  "set64": {
    args: [I64],
    result: -1,
    effects: SPECIAL,
    doc: "Writes an i64 global.",
  },
  "setf32": {
    args: [F32],
    result: -1,
    effects: SPECIAL,
    doc: "Writes an f32 global.",
  },
  "setf64": {
    args: [F64],
    result: -1,
    effects: SPECIAL,
    doc: "Writes an f64 global.",
  },
  "set128": {
    args: [V128],
    result: -1,
    effects: SPECIAL,
    doc: "Writes a v128 global.",
  },
  "code32": {
    args: [],
    result: I32,
    effects: SPECIAL,
    doc:
      "Reads the word at the host offset in the immediate: a part of the block's own code that is written too often to be a constant.",
  },
  "call0": {
    args: [],
    result: I32,
    effects: CALLS,
    doc: "Calls a helper without arguments.",
  },
  "call1": {
    args: [I32],
    result: I32,
    effects: CALLS,
    doc: "Calls a helper with one argument.",
  },
  "call2": {
    args: [I32, I32],
    result: I32,
    effects: CALLS,
    doc: "Calls a helper with two arguments.",
  },
  "call3": {
    args: [I32, I32, I32],
    result: I32,
    effects: CALLS,
    doc: "Calls a helper with three arguments.",
  },
  "call3l": {
    args: [I64, I64, I32],
    result: I32,
    effects: CALLS,
    doc: "Calls a helper with three arguments of which two have 64 bits.",
  },
  "callif": {
    args: [I32],
    result: -1,
    effects: CALLS,
    doc:
      "Calls a helper without arguments when the operand is not zero; it neither faults nor has a result of its own.",
  },
  "trap": {
    args: [I32],
    result: -1,
    effects: FAULTS,
    doc:
      "Leaves the block with the guest exception given by the immediate when the operand is not zero.",
  },

  // Guest memory.
  "ld8u": ld(I32, 1, [0x2d]),
  "ld8s": ld(I32, 1, [0x2c]),
  "ld16u": ld(I32, 2, [0x2f]),
  "ld16s": ld(I32, 2, [0x2e]),
  "ld32": ld(I32, 4, [0x28]),
  "ld64": ld(I64, 8, [0x29]),
  "ldf32": ld(F32, 4, [0x2a]),
  "ldf64": ld(F64, 8, [0x2b]),
  "ld128": ld(V128, 16, [0xfd, 0x00]),
  "st8": st(I32, 1, [0x3a]),
  "st16": st(I32, 2, [0x3b]),
  "st32": st(I32, 4, [0x36]),
  "st64": st(I64, 8, [0x37]),
  "stf32": st(F32, 4, [0x38]),
  "stf64": st(F64, 8, [0x39]),
  "st128": st(V128, 16, [0xfd, 0x0b]),

  // The same at addresses of 64 bits.
  "ld8u.64": ld(I32, 1, [0x2d], I64),
  "ld8s.64": ld(I32, 1, [0x2c], I64),
  "ld16u.64": ld(I32, 2, [0x2f], I64),
  "ld16s.64": ld(I32, 2, [0x2e], I64),
  "ld32.64": ld(I32, 4, [0x28], I64),
  "ld64.64": ld(I64, 8, [0x29], I64),
  "ldf32.64": ld(F32, 4, [0x2a], I64),
  "ldf64.64": ld(F64, 8, [0x2b], I64),
  "ld128.64": ld(V128, 16, [0xfd, 0x00], I64),
  "st8.64": st(I32, 1, [0x3a], I64),
  "st16.64": st(I32, 2, [0x3b], I64),
  "st32.64": st(I32, 4, [0x36], I64),
  "st64.64": st(I64, 8, [0x37], I64),
  "stf32.64": st(F32, 4, [0x38], I64),
  "stf64.64": st(F64, 8, [0x39], I64),
  "st128.64": st(V128, 16, [0xfd, 0x0b], I64),

  // i32
  "i32.add": com(I32, 0x6a, (a, b) => (a + b) | 0),
  "i32.sub": bin(I32, 0x6b, (a, b) => (a - b) | 0),
  "i32.mul": com(I32, 0x6c, Math.imul),
  "i32.div_s": {
    ...bin(I32, 0x6d),
    doc:
      "Undefined (traps the host) when the divisor is 0 or the quotient overflows: check first.",
  },
  "i32.div_u": {
    ...bin(I32, 0x6e),
    doc: "Undefined (traps the host) when the divisor is 0: check first.",
  },
  "i32.rem_s": {
    ...bin(I32, 0x6f),
    doc: "Undefined (traps the host) when the divisor is 0: check first.",
  },
  "i32.rem_u": {
    ...bin(I32, 0x70),
    doc: "Undefined (traps the host) when the divisor is 0: check first.",
  },
  "i32.and": com(I32, 0x71, (a, b) => a & b),
  "i32.or": com(I32, 0x72, (a, b) => a | b),
  "i32.xor": com(I32, 0x73, (a, b) => a ^ b),
  "i32.shl": {
    ...bin(I32, 0x74, (a, b) => a << b),
    doc: "Shift counts are taken modulo 32.",
  },
  "i32.shr_s": {
    ...bin(I32, 0x75, (a, b) => a >> b),
    doc: "Shift counts are taken modulo 32.",
  },
  "i32.shr_u": {
    ...bin(I32, 0x76, (a, b) => (a >>> b) | 0),
    doc: "Shift counts are taken modulo 32.",
  },
  "i32.rotl": bin(I32, 0x77, rotl),
  "i32.rotr": bin(I32, 0x78, (a, b) => rotl(a, (32 - (b & 31)) & 31)),
  "i32.clz": un(I32, 0x67, Math.clz32),
  "i32.ctz": un(I32, 0x68, (a) => a === 0 ? 32 : 31 - Math.clz32(a & -a)),
  "i32.popcnt": un(I32, 0x69),
  "i32.eqz": un(I32, 0x45, (a) => a === 0 ? 1 : 0),
  "i32.eq": { ...cmp(I32, 0x46, (a, b) => a === b ? 1 : 0), commutative: true },
  "i32.ne": { ...cmp(I32, 0x47, (a, b) => a !== b ? 1 : 0), commutative: true },
  "i32.lt_s": cmp(I32, 0x48, (a, b) => a < b ? 1 : 0),
  "i32.lt_u": cmp(I32, 0x49, (a, b) => a >>> 0 < b >>> 0 ? 1 : 0),
  "i32.gt_s": cmp(I32, 0x4a, (a, b) => a > b ? 1 : 0),
  "i32.gt_u": cmp(I32, 0x4b, (a, b) => a >>> 0 > b >>> 0 ? 1 : 0),
  "i32.le_s": cmp(I32, 0x4c, (a, b) => a <= b ? 1 : 0),
  "i32.le_u": cmp(I32, 0x4d, (a, b) => a >>> 0 <= b >>> 0 ? 1 : 0),
  "i32.ge_s": cmp(I32, 0x4e, (a, b) => a >= b ? 1 : 0),
  "i32.ge_u": cmp(I32, 0x4f, (a, b) => a >>> 0 >= b >>> 0 ? 1 : 0),
  "i32.extend8_s": un(I32, 0xc0, (a) => a << 24 >> 24),
  "i32.extend16_s": un(I32, 0xc1, (a) => a << 16 >> 16),
  "i32.select": {
    args: [I32, I32, I32],
    result: I32,
    wasm: [0x1b],
    doc: "Operand 0 if operand 2 is not zero, else operand 1.",
  },

  // i64
  "i64.add": com(I64, 0x7c),
  "i64.sub": bin(I64, 0x7d),
  "i64.mul": com(I64, 0x7e),
  "i64.div_s": {
    ...bin(I64, 0x7f),
    doc:
      "Undefined (traps the host) when the divisor is 0 or the quotient overflows: check first.",
  },
  "i64.div_u": {
    ...bin(I64, 0x80),
    doc: "Undefined (traps the host) when the divisor is 0: check first.",
  },
  "i64.rem_s": {
    ...bin(I64, 0x81),
    doc: "Undefined (traps the host) when the divisor is 0: check first.",
  },
  "i64.rem_u": {
    ...bin(I64, 0x82),
    doc: "Undefined (traps the host) when the divisor is 0: check first.",
  },
  "i64.and": com(I64, 0x83),
  "i64.or": com(I64, 0x84),
  "i64.xor": com(I64, 0x85),
  "i64.shl": bin(I64, 0x86),
  "i64.shr_s": bin(I64, 0x87),
  "i64.shr_u": bin(I64, 0x88),
  "i64.rotl": bin(I64, 0x89),
  "i64.rotr": bin(I64, 0x8a),
  "i64.clz": un(I64, 0x79),
  "i64.ctz": un(I64, 0x7a),
  "i64.popcnt": un(I64, 0x7b),
  "i64.eqz": { args: [I64], result: I32, wasm: [0x50] },
  "i64.eq": { ...cmp(I64, 0x51), commutative: true },
  "i64.ne": { ...cmp(I64, 0x52), commutative: true },
  "i64.lt_s": cmp(I64, 0x53),
  "i64.lt_u": cmp(I64, 0x54),
  "i64.gt_s": cmp(I64, 0x55),
  "i64.gt_u": cmp(I64, 0x56),
  "i64.le_s": cmp(I64, 0x57),
  "i64.le_u": cmp(I64, 0x58),
  "i64.ge_s": cmp(I64, 0x59),
  "i64.ge_u": cmp(I64, 0x5a),
  "i64.select": {
    args: [I64, I64, I32],
    result: I64,
    wasm: [0x1b],
    doc: "Operand 0 if operand 2 is not zero, else operand 1.",
  },
  "i64.extend8_s": un(I64, 0xc2),
  "i64.extend16_s": un(I64, 0xc3),
  "i64.extend32_s": un(I64, 0xc4),
  "i32.wrap_i64": conv(I64, I32, [0xa7]),
  "i64.extend_i32_s": conv(I32, I64, [0xac]),
  "i64.extend_i32_u": conv(I32, I64, [0xad]),

  // f32, f64
  "f32.add": bin(F32, 0x92),
  "f32.sub": bin(F32, 0x93),
  "f32.mul": bin(F32, 0x94),
  "f32.div": bin(F32, 0x95),
  "f32.sqrt": un(F32, 0x91),
  "f32.abs": un(F32, 0x8b),
  "f32.neg": un(F32, 0x8c),
  "f32.nearest": un(F32, 0x90),
  "f32.eq": cmp(F32, 0x5b),
  "f32.ne": cmp(F32, 0x5c),
  "f32.lt": cmp(F32, 0x5d),
  "f32.gt": cmp(F32, 0x5e),
  "f32.le": cmp(F32, 0x5f),
  "f32.ge": cmp(F32, 0x60),
  "f64.add": bin(F64, 0xa0),
  "f64.sub": bin(F64, 0xa1),
  "f64.mul": bin(F64, 0xa2),
  "f64.div": bin(F64, 0xa3),
  "f64.sqrt": un(F64, 0x9f),
  "f64.abs": un(F64, 0x99),
  "f64.neg": un(F64, 0x9a),
  "f64.nearest": un(F64, 0x9e),
  "f64.trunc": un(F64, 0x9d),
  "f64.eq": cmp(F64, 0x61),
  "f64.ne": cmp(F64, 0x62),
  "f64.lt": cmp(F64, 0x63),
  "f64.gt": cmp(F64, 0x64),
  "f64.le": cmp(F64, 0x65),
  "f64.ge": cmp(F64, 0x66),
  "f32.demote_f64": conv(F64, F32, [0xb6]),
  "f64.promote_f32": conv(F32, F64, [0xbb]),
  "f32.convert_i32_s": conv(I32, F32, [0xb2]),
  "f64.convert_i32_s": conv(I32, F64, [0xb7]),
  "f64.convert_i32_u": conv(I32, F64, [0xb8]),
  "f32.convert_i64_s": conv(I64, F32, [0xb4]),
  "f64.convert_i64_s": conv(I64, F64, [0xb9]),
  "i32.trunc_sat_f32_s": conv(
    F32,
    I32,
    [0xfc, 0x00],
    "Saturates; NaN gives 0.",
  ),
  "i32.trunc_sat_f64_s": conv(
    F64,
    I32,
    [0xfc, 0x02],
    "Saturates; NaN gives 0.",
  ),
  "i64.trunc_sat_f32_s": conv(
    F32,
    I64,
    [0xfc, 0x04],
    "Saturates; NaN gives 0.",
  ),
  "i64.trunc_sat_f64_s": conv(
    F64,
    I64,
    [0xfc, 0x06],
    "Saturates; NaN gives 0.",
  ),
  "i32.reinterpret_f32": conv(F32, I32, [0xbc]),
  "i64.reinterpret_f64": conv(F64, I64, [0xbd]),
  "f32.reinterpret_i32": conv(I32, F32, [0xbe]),
  "f64.reinterpret_i64": conv(I64, F64, [0xbf]),

  // v128
  "v128.not": v1(0x4d),
  "v128.and": v2(0x4e),
  "v128.andnot": { ...v2(0x4f), doc: "a & ~b" },
  "v128.or": v2(0x50),
  "v128.xor": v2(0x51),
  "v128.bitselect": v3(0x52),
  "v128.any_true": vTest(0x53),
  "v128.select": {
    args: [V128, V128, I32],
    result: V128,
    wasm: [0x1c, 0x01, 0x7b],
    doc: "Operand 0 if operand 2 is not zero, else operand 1.",
  },
  "i8x16.shuffle": {
    args: [V128, V128, V128],
    result: V128,
    doc:
      "Bytes of operands 0 and 1 chosen by operand 2, which is a constant of byte indices 0-31.",
  },
  "i8x16.swizzle": v2(0x0e),
  "i8x16.splat": splat(I32, 0x0f),
  "i16x8.splat": splat(I32, 0x10),
  "i32x4.splat": splat(I32, 0x11),
  "i64x2.splat": splat(I64, 0x12),
  "f32x4.splat": splat(F32, 0x13),
  "f64x2.splat": splat(F64, 0x14),
  "i16x8.extract_lane_u.0": lane(I32, 0x19, 0),
  "i16x8.extract_lane_u.1": lane(I32, 0x19, 1),
  "i16x8.extract_lane_u.2": lane(I32, 0x19, 2),
  "i16x8.extract_lane_u.3": lane(I32, 0x19, 3),
  "i16x8.extract_lane_u.4": lane(I32, 0x19, 4),
  "i16x8.extract_lane_u.5": lane(I32, 0x19, 5),
  "i16x8.extract_lane_u.6": lane(I32, 0x19, 6),
  "i16x8.extract_lane_u.7": lane(I32, 0x19, 7),
  "i16x8.replace_lane.0": replace(I32, 0x1a, 0),
  "i16x8.replace_lane.1": replace(I32, 0x1a, 1),
  "i16x8.replace_lane.2": replace(I32, 0x1a, 2),
  "i16x8.replace_lane.3": replace(I32, 0x1a, 3),
  "i16x8.replace_lane.4": replace(I32, 0x1a, 4),
  "i16x8.replace_lane.5": replace(I32, 0x1a, 5),
  "i16x8.replace_lane.6": replace(I32, 0x1a, 6),
  "i16x8.replace_lane.7": replace(I32, 0x1a, 7),
  "i32x4.extract_lane.0": lane(I32, 0x1b, 0),
  "i32x4.extract_lane.1": lane(I32, 0x1b, 1),
  "i32x4.extract_lane.2": lane(I32, 0x1b, 2),
  "i32x4.extract_lane.3": lane(I32, 0x1b, 3),
  "i32x4.replace_lane.0": replace(I32, 0x1c, 0),
  "i32x4.replace_lane.1": replace(I32, 0x1c, 1),
  "i32x4.replace_lane.2": replace(I32, 0x1c, 2),
  "i32x4.replace_lane.3": replace(I32, 0x1c, 3),
  "i64x2.extract_lane.0": lane(I64, 0x1d, 0),
  "i64x2.extract_lane.1": lane(I64, 0x1d, 1),
  "i64x2.replace_lane.0": replace(I64, 0x1e, 0),
  "i64x2.replace_lane.1": replace(I64, 0x1e, 1),
  "f32x4.extract_lane.0": lane(F32, 0x1f, 0),
  "f32x4.extract_lane.1": lane(F32, 0x1f, 1),
  "f32x4.extract_lane.2": lane(F32, 0x1f, 2),
  "f32x4.extract_lane.3": lane(F32, 0x1f, 3),
  "f32x4.replace_lane.0": replace(F32, 0x20, 0),
  "f32x4.replace_lane.1": replace(F32, 0x20, 1),
  "f32x4.replace_lane.2": replace(F32, 0x20, 2),
  "f32x4.replace_lane.3": replace(F32, 0x20, 3),
  "f64x2.extract_lane.0": lane(F64, 0x21, 0),
  "f64x2.extract_lane.1": lane(F64, 0x21, 1),
  "f64x2.replace_lane.0": replace(F64, 0x22, 0),
  "f64x2.replace_lane.1": replace(F64, 0x22, 1),
  "i8x16.eq": v2(0x23),
  "i8x16.gt_s": v2(0x27),
  "i16x8.eq": v2(0x2d),
  "i16x8.gt_s": v2(0x31),
  "i32x4.eq": v2(0x37),
  "i32x4.gt_s": v2(0x3b),
  "i32x4.ne": v2(0x38),
  "i32x4.lt_u": v2(0x3a),
  "i64x2.eq": v2(0xd6),
  "i64x2.lt_s": v2(0xd8),
  "i64x2.gt_s": v2(0xd9),
  "f32x4.eq": v2(0x41),
  "f32x4.ne": v2(0x42),
  "f32x4.lt": v2(0x43),
  "f32x4.gt": v2(0x44),
  "f32x4.le": v2(0x45),
  "f32x4.ge": v2(0x46),
  "f64x2.eq": v2(0x47),
  "f64x2.ne": v2(0x48),
  "f64x2.lt": v2(0x49),
  "f64x2.gt": v2(0x4a),
  "f64x2.le": v2(0x4b),
  "f64x2.ge": v2(0x4c),
  "i8x16.abs": v1(0x60),
  "i8x16.neg": v1(0x61),
  "i8x16.all_true": vTest(0x63),
  "i8x16.bitmask": vTest(0x64),
  "i8x16.narrow_i16x8_s": v2(0x65),
  "i8x16.narrow_i16x8_u": v2(0x66),
  "i8x16.shl": vShift(0x6b),
  "i8x16.add": v2(0x6e),
  "i8x16.add_sat_s": v2(0x6f),
  "i8x16.add_sat_u": v2(0x70),
  "i8x16.sub": v2(0x71),
  "i8x16.sub_sat_s": v2(0x72),
  "i8x16.sub_sat_u": v2(0x73),
  "i8x16.min_s": v2(0x76),
  "i8x16.min_u": v2(0x77),
  "i8x16.max_s": v2(0x78),
  "i8x16.max_u": v2(0x79),
  "i8x16.avgr_u": v2(0x7b),
  "i16x8.extadd_pairwise_i8x16_s": v1(0x7c),
  "i16x8.extadd_pairwise_i8x16_u": v1(0x7d),
  "i32x4.extadd_pairwise_i16x8_s": v1(0x7e),
  "i32x4.extadd_pairwise_i16x8_u": v1(0x7f),
  "i16x8.abs": v1(0x80),
  "i16x8.neg": v1(0x81),
  "i16x8.narrow_i32x4_s": v2(0x85),
  "i16x8.narrow_i32x4_u": v2(0x86),
  "i16x8.extend_low_i8x16_s": v1(0x87),
  "i16x8.extend_high_i8x16_s": v1(0x88),
  "i16x8.extend_low_i8x16_u": v1(0x89),
  "i16x8.extend_high_i8x16_u": v1(0x8a),
  "i16x8.shl": vShift(0x8b),
  "i16x8.shr_s": vShift(0x8c),
  "i16x8.shr_u": vShift(0x8d),
  "i16x8.add": v2(0x8e),
  "i16x8.add_sat_s": v2(0x8f),
  "i16x8.add_sat_u": v2(0x90),
  "i16x8.sub": v2(0x91),
  "i16x8.sub_sat_s": v2(0x92),
  "i16x8.sub_sat_u": v2(0x93),
  "i16x8.mul": v2(0x95),
  "i16x8.min_s": v2(0x96),
  "i16x8.min_u": v2(0x97),
  "i16x8.max_s": v2(0x98),
  "i16x8.max_u": v2(0x99),
  "i16x8.avgr_u": v2(0x9b),
  "i16x8.bitmask": vTest(0x84),
  "i32x4.extmul_low_i16x8_s": v2(0xbc),
  "i32x4.extmul_high_i16x8_s": v2(0xbd),
  "i32x4.extmul_low_i16x8_u": v2(0xbe),
  "i32x4.extmul_high_i16x8_u": v2(0xbf),
  "i32x4.abs": v1(0xa0),
  "i32x4.neg": v1(0xa1),
  "i32x4.all_true": vTest(0xa3),
  "i32x4.bitmask": vTest(0xa4),
  "i32x4.extend_low_i16x8_s": v1(0xa7),
  "i32x4.extend_high_i16x8_s": v1(0xa8),
  "i32x4.extend_low_i16x8_u": v1(0xa9),
  "i32x4.extend_high_i16x8_u": v1(0xaa),
  "i32x4.shl": vShift(0xab),
  "i32x4.shr_s": vShift(0xac),
  "i32x4.shr_u": vShift(0xad),
  "i32x4.add": v2(0xae),
  "i32x4.sub": v2(0xb1),
  "i32x4.mul": v2(0xb5),
  "i32x4.min_s": v2(0xb6),
  "i32x4.max_s": v2(0xb8),
  "i32x4.dot_i16x8_s": v2(0xba),
  "i64x2.extmul_low_i32x4_u": v2(0xde),
  "i64x2.extmul_low_i32x4_s": v2(0xdc),
  "i64x2.extend_low_i32x4_s": v1(0xc7),
  "i64x2.extend_low_i32x4_u": v1(0xc9),
  "i64x2.bitmask": vTest(0xc4),
  "i64x2.all_true": vTest(0xc3),
  "i64x2.shl": vShift(0xcb),
  "i64x2.shr_s": vShift(0xcc),
  "i64x2.shr_u": vShift(0xcd),
  "i64x2.add": v2(0xce),
  "i64x2.sub": v2(0xd1),
  "i64x2.mul": v2(0xd5),
  "f32x4.abs": v1(0xe0),
  "f32x4.neg": v1(0xe1),
  "f32x4.sqrt": v1(0xe3),
  "f32x4.add": v2(0xe4),
  "f32x4.sub": v2(0xe5),
  "f32x4.mul": v2(0xe6),
  "f32x4.div": v2(0xe7),
  "f32x4.pmin": { ...v2(0xea), doc: "b < a ? b : a" },
  "f32x4.pmax": { ...v2(0xeb), doc: "a < b ? b : a" },
  "f32x4.nearest": v1(0x6a),
  "f32x4.trunc": v1(0x69),
  "f64x2.abs": v1(0xec),
  "f64x2.neg": v1(0xed),
  "f64x2.sqrt": v1(0xef),
  "f64x2.add": v2(0xf0),
  "f64x2.sub": v2(0xf1),
  "f64x2.mul": v2(0xf2),
  "f64x2.div": v2(0xf3),
  "f64x2.pmin": { ...v2(0xf6), doc: "b < a ? b : a" },
  "f64x2.pmax": { ...v2(0xf7), doc: "a < b ? b : a" },
  "f64x2.nearest": v1(0x94),
  "f64x2.trunc": v1(0x7a),
  "i32x4.trunc_sat_f32x4_s": v1(0xf8),
  "f32x4.convert_i32x4_s": v1(0xfa),
  "i32x4.trunc_sat_f64x2_s_zero": v1(0xfc),
  "f64x2.convert_low_i32x4_s": v1(0xfe),
  "f32x4.demote_f64x2_zero": v1(0x5e),
  "f64x2.promote_low_f32x4": v1(0x5f),
  "i16x8.q15mulr_sat_s": v2(0x82),
  "i32x4.min_u": v2(0xb7),
  "i32x4.max_u": v2(0xb9),
  "f32x4.ceil": v1(0x67),
  "f32x4.floor": v1(0x68),
  "f64x2.ceil": v1(0x74),
  "f64x2.floor": v1(0x75),
} satisfies Record<string, Entry>;

/** The name of an operation. */
export type OpName = keyof typeof TABLE;

/** The op table, by number. */
export const OPS: readonly OpInfo[] = Object.entries(
  TABLE as Record<string, Entry>,
).map(
  ([name, e], id) => ({
    id,
    name,
    args: e.args,
    result: e.result,
    effects: e.effects ?? PURE,
    wasm: e.wasm ?? [],
    width: e.width ?? 0,
    commutative: e.commutative ?? false,
    fold: e.fold,
    doc: e.doc ?? `WebAssembly's ${name}.`,
  }),
);

/** The number of each operation, by name. */
export const Op: Readonly<Record<OpName, number>> = Object.fromEntries(
  OPS.map((o) => [o.name, o.id]),
) as Record<OpName, number>;

/** Of each `ld*` and `st*` at addresses of 32 bits, the number of that at addresses of 64; of others, 0. */
export const WIDE_ACCESS: Uint16Array = Uint16Array.from(
  OPS,
  (o) => Op[`${o.name}.64` as OpName] ?? 0,
);
