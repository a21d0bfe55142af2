/**
 * The IR of one block, as parallel arrays, so that translating allocates
 * nothing: the arrays grow once and are used again for the next block.
 *
 * Temps are values in static single assignment form, numbered from 1 in order
 * of definition. Globals are read and written by `get*` and `set*` operations.
 *
 * @module
 */

import type { Global, Type } from "./types.ts";

/** How a block ends. */
export type TerminatorKind = 0 | 1 | 2 | 3 | 4;
/** Not ended yet. */
export const TERM_NONE = 0;
/** To one known program counter. */
export const TERM_JUMP = 1;
/** To one of two known program counters, by a condition. */
export const TERM_BRANCH = 2;
/** To a computed program counter. */
export const TERM_INDIRECT = 3;
/** Back to the dispatcher, with a reason; the program counter is in the state. */
export const TERM_EXIT = 4;

/** What a jump is to the guest's procedures, as far as the frontend knows. */
export type FlowHint = 0 | 1 | 2 | 3;
/** Nothing is known. */
export const FLOW_PLAIN = 0;
/** A call, which is expected to come back to {@linkcode IrBlock.returnLo}. */
export const FLOW_CALL = 1;
/** A return. */
export const FLOW_RETURN = 2;
/** A jump that may lead to another mode: it is never followed within a region. */
export const FLOW_FAR = 3;

/** A value: 0 for none, else a temp's number. */
export type Value = number;

/** The IR of one block. */
export class IrBlock {
  /** Operation numbers. */
  op: Uint16Array = new Uint16Array(256);
  /** The temp each operation defines, or 0. */
  dst: Int32Array = new Int32Array(256);
  /** First operand. */
  a: Int32Array = new Int32Array(256);
  /** Second operand. */
  b: Int32Array = new Int32Array(256);
  /** Third operand. */
  c: Int32Array = new Int32Array(256);
  /** Immediate: constant's low half, displacement, global, helper, trap code or program counter. */
  lo: Int32Array = new Int32Array(256);
  /** Immediate: constant's high half, MMU index, or auxiliary word. */
  hi: Int32Array = new Int32Array(256);
  /** Operations in use. */
  length = 0;

  /** Type of each temp. */
  valueType: Uint8Array = new Uint8Array(256);
  /** Operation that defines each temp. */
  valueDef: Int32Array = new Int32Array(256);
  /** Temps in use, counting the unused number 0. */
  values = 1;

  /** The v128 constants of `const128` operations. */
  readonly pool: Uint8Array[] = [];

  /** Guest instructions in the block. */
  insns = 0;
  /** How it ends. */
  term: TerminatorKind = TERM_NONE;
  /** Condition of a branch (i32), or target of an indirect jump (i32 or i64). */
  termValue: Value = 0;
  /** Target of a jump, or of a branch that is taken: low half. */
  takenLo = 0;
  /** High half of {@linkcode IrBlock.takenLo}. */
  takenHi = 0;
  /** Target of a branch that is not taken: low half. */
  otherLo = 0;
  /** High half of {@linkcode IrBlock.otherLo}. */
  otherHi = 0;
  /** Exit reason. */
  reason = 0;
  /** What a jump is: only a hint, nothing is wrong when it does not come true. */
  flow: FlowHint = FLOW_PLAIN;
  /** Of a call: low half of the program counter that it is expected to come back to. */
  returnLo = 0;

  /** Where the block stands: low half of its program counter. */
  pcLo = 0;
  /** High half of its program counter (for x86 below 64-bit mode: the code segment's base). */
  pcHi = 0;
  /** Bytes of guest code it was made from. */
  byteLength = 0;

  /** The globals of the frontend's layout. */
  readonly globals: readonly Global[];

  /** Makes an empty block over a frontend's globals. */
  constructor(globals: readonly Global[]) {
    this.globals = globals;
  }

  /** Forgets everything; keeps the arrays. */
  clear(pcLo: number, pcHi: number): void {
    this.length = 0;
    this.values = 1;
    // To set the length of an array is a call, even where nothing changes.
    if (this.pool.length > 0) this.pool.length = 0;
    this.insns = 0;
    this.term = TERM_NONE;
    this.termValue = 0;
    this.flow = FLOW_PLAIN;
    this.takenLo = 0;
    this.takenHi = 0;
    this.otherLo = 0;
    this.otherHi = 0;
    this.pcLo = pcLo;
    this.pcHi = pcHi;
    this.byteLength = 0;
  }

  /** Doubles the operation arrays. */
  growOps(): void {
    const n = this.op.length * 2;
    const grow = (x: Int32Array): Int32Array => {
      const y = new Int32Array(n);
      y.set(x);
      return y;
    };
    const op = new Uint16Array(n);
    op.set(this.op);
    this.op = op;
    this.dst = grow(this.dst);
    this.a = grow(this.a);
    this.b = grow(this.b);
    this.c = grow(this.c);
    this.lo = grow(this.lo);
    this.hi = grow(this.hi);
  }

  /** Doubles the temp arrays. */
  growValues(): void {
    const n = this.valueType.length * 2;
    const type = new Uint8Array(n);
    type.set(this.valueType);
    this.valueType = type;
    const def = new Int32Array(n);
    def.set(this.valueDef);
    this.valueDef = def;
  }

  /** The type of a temp. */
  typeOf(v: Value): Type {
    return this.valueType[v] as Type;
  }
}
