/**
 * Builds the IR of a block. Frontends call it; constant folding, algebraic
 * simplification and copy propagation happen as operations are added (the way
 * LuaJIT's recorder folds), so that most redundant IR never exists.
 *
 * @module
 */

import {
  FLOW_CALL,
  FLOW_FAR,
  FLOW_RETURN,
  type IrBlock,
  TERM_BRANCH,
  TERM_EXIT,
  TERM_INDIRECT,
  TERM_JUMP,
  TERM_NONE,
  type Value,
} from "./block.ts";
import { fold } from "./passes/fold.ts";
import { LOADS, Op, type OpName, OPS, STORES, WIDE_ACCESS } from "./ops.ts";
import { type Global, I64, type Type } from "./types.ts";

/** A function in TypeScript that translated code can call. */
export interface Helper {
  /** Dense number, its index in the frontend's list. */
  readonly index: number;
  /** Name, for printing. */
  readonly name: string;
  /** Number of arguments, 0 to 3. They are i32. */
  readonly args: 0 | 1 | 2 | 3;
  /** Of three arguments the first two are i64: the function gets bigints. */
  readonly longs?: boolean;
  /**
   * `true`: a result other than 0 says that the helper raised a guest fault at
   * this instruction. `false`: the result is a value.
   */
  readonly faults: boolean;
  /** Globals it may read from the state, `"all"` if unsure. Faulting helpers see all. */
  readonly reads: readonly Global[] | "all";
  /**
   * Globals it writes in the state, `"all"` if unsure. One that it may leave
   * alone must stand in `reads` as well: an earlier write to it is not dead.
   */
  readonly writes: readonly Global[] | "all";
  /** It has no effect but its result (reads globals only): an unused call is removed. */
  readonly pure?: boolean;
  /** The function. Arguments and result are signed 32-bit integers. */
  readonly fn: (a: number, b: number, c: number) => number;
  /**
   * Gives the same function as a WebAssembly export over this memory, for the
   * CPU whose area is at `base`: translated code then calls it directly. `slow`
   * is `fn` as translated code calls it (a guest fault is a result), for what
   * the export leaves to it.
   */
  readonly native?: (
    memory: WebAssembly.Memory,
    base: number,
    slow: (a: number, b: number, c: number) => number,
  ) => (a: number, b: number, c: number) => number;
  /**
   * `native` takes long: it is made for the first region that calls the helper,
   * and the interpreter beside regions calls `fn`.
   */
  readonly isNativeLate?: boolean;
}

const ADD = Op["i32.add"];
const ADD64 = Op["i64.add"];
const GET: readonly number[] = [
  Op["get32"],
  Op["get64"],
  Op["getf32"],
  Op["getf64"],
  Op["get128"],
];
const SET: readonly number[] = [
  Op["set32"],
  Op["set64"],
  Op["setf32"],
  Op["setf64"],
  Op["set128"],
];
const CALL: readonly number[] = [
  Op["call0"],
  Op["call1"],
  Op["call2"],
  Op["call3"],
];

/** The operation that calls a helper. */
function callOf(helper: Helper): number {
  return helper.longs ? Op["call3l"] : CALL[helper.args];
}

/** The types of a helper's arguments. */
export function argumentTypes(helper: Helper): readonly Type[] {
  return OPS[callOf(helper)].args;
}

/** Result of each operation, or -1. */
const RESULT: Int8Array = Int8Array.from(OPS, (o) => o.result);
const EFFECTS: Uint8Array = Uint8Array.from(OPS, (o) => o.effects);
const INSN = Op["insn"];
const SUB = Op["i32.sub"];
const MUL = Op["i32.mul"];
const AND = Op["i32.and"];
const OR = Op["i32.or"];
const XOR = Op["i32.xor"];
const SHL = Op["i32.shl"];
const SHR_U = Op["i32.shr_u"];
const SHR_S = Op["i32.shr_s"];
const EQZ = Op["i32.eqz"];
const EQ = Op["i32.eq"];
const NE = Op["i32.ne"];
const LT_U = Op["i32.lt_u"];
const LT_S = Op["i32.lt_s"];
const SELECT = Op["i32.select"];
const EXTEND8 = Op["i32.extend8_s"];
const EXTEND16 = Op["i32.extend16_s"];
const CONST32 = Op["const32"];
const CONST64 = Op["const64"];
const EXTEND_U = Op["i64.extend_i32_u"];
const EXTEND_S = Op["i64.extend_i32_s"];
const WRAP = Op["i32.wrap_i64"];
/** Of each operation on i32, the one of the same name on i64. */
const WIDE_OP: Uint16Array = Uint16Array.from(
  OPS,
  ({ name }) => Op[name.replace(/^i32\./, "i64.") as OpName] ?? 0,
);
const IS_SHIFT: Uint8Array = Uint8Array.from(
  OPS,
  ({ name }) => /^i32\.(sh[lr]|rot[lr])/.test(name) ? 1 : 0,
);
const PAGE = 4096;

/** Any odd number with bits all over. */
const HASH = 0x9e3779b1 | 0;
const HASH_SIZE = 256;
const HASH_SHIFT = 32 - Math.log2(HASH_SIZE);
const NO_VALUE = 0x7fffffff;

function isEqual(x: Uint8Array, y: ArrayLike<number>): boolean {
  for (let k = 0; k < 16; k++) if (x[k] !== y[k]) return false;
  return true;
}

/** Builds one {@linkcode IrBlock} at a time. */
export class IrBuilder {
  /** The block being built. */
  block: IrBlock;
  /** Current temp of each global in this block, or 0. */
  readonly #current: Int32Array;
  /** Globals of which `#current` is set, to be able to forget fast. */
  readonly #touched: Int32Array;
  #touchedCount = 0;
  /**
   * By a hash: the i32 constant made last. What an earlier block left is no
   * temp with that value in this one, or else it is the one: nothing has to be
   * cleared. (A map took a twelfth of the time to translate a block.)
   */
  readonly #constants = new Int32Array(HASH_SIZE).fill(NO_VALUE);
  /** The same of the results of operations: an address that two instructions compute is one. */
  readonly #computed = new Int32Array(HASH_SIZE).fill(NO_VALUE);

  /** The block's vector constants. */
  #vectors: Value[] = [];

  /** Makes a builder that writes into `block`. */
  constructor(block: IrBlock) {
    this.block = block;
    this.#current = new Int32Array(block.globals.length);
    this.#touched = new Int32Array(block.globals.length);
  }

  /** Starts a new block at a program counter; `block` may be another one than before. */
  start(block: IrBlock, pcLo: number, pcHi: number): void {
    this.block = block;
    block.clear(pcLo, pcHi);
    // To set the length of an array is a call, even where nothing changes.
    if (this.#vectors.length > 0) this.#vectors.length = 0;
    this.forget();
  }

  /** Forgets what is known of the globals' values. */
  forget(): void {
    for (let i = 0; i < this.#touchedCount; i++) {
      this.#current[this.#touched[i]] = 0;
    }
    this.#touchedCount = 0;
  }

  #know(g: number, v: Value): void {
    if (this.#current[g] === 0) this.#touched[this.#touchedCount++] = g;
    this.#current[g] = v;
  }

  #unknow(g: number): void {
    if (this.#current[g] === 0) return;
    this.#current[g] = 0;
    // Keep #touched an exact list of what is set.
    for (let i = 0; i < this.#touchedCount; i++) {
      if (this.#touched[i] === g) {
        this.#touched[i] = this.#touched[--this.#touchedCount];
        return;
      }
    }
  }

  /** Appends an operation as it is and returns its temp (0 if it has no result). */
  emit(
    op: number,
    a: Value,
    b: Value,
    c: Value,
    lo: number,
    hi: number,
  ): Value {
    const k = this.block;
    if (k.length === k.op.length) k.growOps();
    const i = k.length++;
    k.op[i] = op;
    k.a[i] = a;
    k.b[i] = b;
    k.c[i] = c;
    k.lo[i] = lo;
    k.hi[i] = hi;
    const result = RESULT[op];
    if (result < 0) {
      k.dst[i] = 0;
      return 0;
    }
    if (k.values === k.valueType.length) k.growValues();
    const v = k.values++;
    k.valueType[v] = result;
    k.valueDef[v] = i;
    k.dst[i] = v;
    return v;
  }

  /** Whether a temp is an i32 constant. */
  isConst(v: Value): boolean {
    return this.block.op[this.block.valueDef[v]] === CONST32;
  }

  /** The value of an i32 constant, or the low half of an i64 one. */
  constOf(v: Value): number {
    return this.block.lo[this.block.valueDef[v]];
  }

  /** Whether a temp is an i64 constant. */
  isConst64(v: Value): boolean {
    return this.block.op[this.block.valueDef[v]] === CONST64;
  }

  /** Whether a temp is an i64 constant that is the sign extension of its low half, {@linkcode IrBuilder.constOf}. */
  isShort(v: Value): boolean {
    return this.isConst64(v) && this.constOf(v) >> 31 === this.highOf(v);
  }

  /** The high half of an i64 constant. */
  highOf(v: Value): number {
    return this.block.hi[this.block.valueDef[v]];
  }

  /** The operation that defined a temp. */
  opOf(v: Value): number {
    return this.block.op[this.block.valueDef[v]];
  }

  /** The type of a temp. */
  typeOf(v: Value): Type {
    return this.block.valueType[v] as Type;
  }

  /** An i32 constant. */
  i32(v: number): Value {
    v |= 0;
    const at = Math.imul(v, HASH) >>> HASH_SHIFT;
    const known = this.#constants[at];
    if (
      known < this.block.values && this.isConst(known) &&
      this.constOf(known) === v
    ) return known;
    const t = this.emit(CONST32, 0, 0, 0, v, 0);
    this.#constants[at] = t;
    return t;
  }

  /** An i64 constant from its two halves (the high one is the sign by default). */
  i64(lo: number, hi: number = lo >> 31): Value {
    lo |= 0;
    hi |= 0;
    const at = Math.imul(lo ^ hi + 1, HASH) >>> HASH_SHIFT;
    const known = this.#constants[at];
    if (
      known < this.block.values && this.isConst64(known) &&
      this.constOf(known) === lo && this.highOf(known) === hi
    ) return known;
    const t = this.emit(CONST64, 0, 0, 0, lo, hi);
    this.#constants[at] = t;
    return t;
  }

  /** An f64 constant by the two halves of its bits. */
  f64Bits(lo: number, hi: number): Value {
    return this.emit(Op["constf64"], 0, 0, 0, lo, hi);
  }

  /** An f32 constant by its bits. */
  f32Bits(bits: number): Value {
    return this.emit(Op["constf32"], 0, 0, 0, bits, 0);
  }

  /** A v128 constant of 16 bytes, in memory order. */
  v128(bytes: Uint8Array | readonly number[]): Value {
    const { pool, lo, valueDef } = this.block;
    for (const v of this.#vectors) {
      if (isEqual(pool[lo[valueDef[v]]], bytes)) return v;
    }
    pool.push(Uint8Array.from(bytes));
    const v = this.emit(Op["const128"], 0, 0, 0, pool.length - 1, 0);
    this.#vectors.push(v);
    return v;
  }

  /** The word of code at a host offset, as it is when the block runs: see `TranslateContext.mutableWord`. */
  code32(host: number): Value {
    return this.emit(Op["code32"], 0, 0, 0, host | 0, 0);
  }

  /** The present value of a global. */
  get(g: Global): Value {
    const known = this.#current[g.index];
    if (known !== 0) return known;
    const v = this.emit(GET[g.type], 0, 0, 0, g.index, 0);
    this.#know(g.index, v);
    return v;
  }

  /** Gives a global a new value. */
  set(g: Global, v: Value): void {
    if (this.block.valueType[v] !== g.type) {
      throw new Error(
        `set ${g.name}: value is of type ${
          this.block.valueType[v]
        }, expected ${g.type}`,
      );
    }
    if (this.#current[g.index] === v) return;
    this.emit(SET[g.type], v, 0, 0, g.index, 0);
    this.#know(g.index, v);
  }

  /**
   * Appends an operation of the op table, folded if its operands allow; if it
   * stands in the block already, that one's temp.
   */
  op(op: number, a: Value, b: Value = 0, c: Value = 0): Value {
    const folded = fold(this, op, a, b, c);
    if (folded !== 0) return folded;
    const k = this.block;
    const at = Math.imul(a + (op << 16) ^ (b << 8) ^ (c << 24), HASH) >>>
      HASH_SHIFT;
    const known = this.#computed[at];
    if (known < k.values) {
      const i = k.valueDef[known];
      if (
        k.op[i] === op && k.a[i] === a && k.b[i] === b && k.c[i] === c
      ) return known;
    }
    const v = this.emit(op, a, b, c, 0, 0);
    if (v !== 0) this.#computed[at] = v;
    return v;
  }

  /** Starts a guest instruction: its program counter (low half) and the word the frontend gets back at a fault. */
  insn(pcLo: number, aux: number): void {
    this.block.insns++;
    this.emit(INSN, 0, 0, 0, pcLo, aux);
  }

  /**
   * Loads from guest memory at `address + displacement` through TLB `mmu`; `op`
   * is one of the `ld*` at an i32 address, which an i64 address makes its `.64`.
   */
  load(op: number, address: Value, displacement: number, mmu: number): Value {
    if ((EFFECTS[op] & LOADS) === 0) {
      throw new Error(`${OPS[op].name} is no load`);
    }
    if (this.typeOf(address) === I64) {
      const base = this.#wideBase(address, displacement);
      return this.emit(WIDE_ACCESS[op], base, 0, 0, this.#displacement, mmu);
    }
    const base = this.#base(address);
    const disp = (displacement + this.#offset(address)) | 0;
    return this.emit(op, base, 0, 0, disp, mmu);
  }

  /** Stores to guest memory, as {@linkcode IrBuilder.load} has it; `op` is one of the `st*`. */
  store(
    op: number,
    address: Value,
    displacement: number,
    value: Value,
    mmu: number,
  ): void {
    if ((EFFECTS[op] & STORES) === 0) {
      throw new Error(`${OPS[op].name} is no store`);
    }
    if (this.typeOf(address) === I64) {
      const base = this.#wideBase(address, displacement);
      this.emit(WIDE_ACCESS[op], base, value, 0, this.#displacement, mmu);
      return;
    }
    const base = this.#base(address);
    const disp = (displacement + this.#offset(address)) | 0;
    this.emit(op, base, value, 0, disp, mmu);
  }

  /** What {@linkcode IrBuilder.#wideBase} leaves to be added. */
  #displacement = 0;

  /**
   * An i64 address plus a displacement, without its constant part where that is
   * 32 bits; constants on a page have one base.
   */
  #wideBase(address: Value, displacement: number): Value {
    const k = this.block;
    const def = k.valueDef[address];
    this.#displacement = displacement;
    if (k.op[def] === ADD64 && this.isShort(k.b[def])) {
      const sum = this.constOf(k.b[def]) + displacement;
      if (sum !== (sum | 0)) return address;
      this.#displacement = sum;
      return k.a[def];
    }
    if (!this.isConst64(address)) return address;
    const sum = this.constOf(address) + displacement;
    if (this.isShort(address) && sum === (sum | 0)) {
      this.#displacement = sum;
      return this.i64(0);
    }
    const low = k.lo[def] & (PAGE - 1);
    this.#displacement = displacement + low;
    return this.i64(k.lo[def] - low, k.hi[def]);
  }

  /** An address without its constant part. */
  #base(address: Value): Value {
    const k = this.block;
    const def = k.valueDef[address];
    if (k.op[def] === ADD && this.isConst(k.b[def])) return k.a[def];
    return this.isConst(address) ? this.i32(0) : address;
  }

  /** The constant part of an address, which is moved into the displacement. */
  #offset(address: Value): number {
    const k = this.block;
    const def = k.valueDef[address];
    if (k.op[def] === ADD && this.isConst(k.b[def])) {
      return this.constOf(k.b[def]);
    }
    return this.isConst(address) ? this.constOf(address) : 0;
  }

  /** Calls a helper; the result is 0 (none) when the helper faults or not. */
  call(helper: Helper, a: Value = 0, b: Value = 0, c: Value = 0): Value {
    const v = this.emit(
      callOf(helper),
      a,
      b,
      c,
      helper.index,
      helper.faults ? 1 : 0,
    );
    if (helper.writes === "all") this.forget();
    else for (const g of helper.writes) this.#unknow(g.index);
    return v;
  }

  /** Calls a helper that takes no arguments when `condition` is not 0. */
  callIf(condition: Value, helper: Helper): void {
    if (helper.args !== 0) {
      throw new Error(`callIf ${helper.name}: takes arguments`);
    }
    this.emit(
      Op["callif"],
      condition,
      0,
      0,
      helper.index,
      helper.faults ? 1 : 0,
    );
    if (helper.writes === "all") this.forget();
    else for (const g of helper.writes) this.#unknow(g.index);
  }

  /** Raises the frontend's trap `code` at this instruction when `condition` is not 0. */
  trap(condition: Value, code: number): void {
    if (this.isConst(condition) && this.constOf(condition) === 0) return;
    this.emit(Op["trap"], condition, 0, 0, code, 0);
  }

  /** Ends the block: goes on at a known program counter. */
  jump(lo: number, hi: number = this.block.pcHi): void {
    this.#end(TERM_JUMP);
    this.block.takenLo = lo | 0;
    this.block.takenHi = hi | 0;
  }

  /** Ends the block: goes on at `takenLo` when `condition` is not 0, else at `otherLo`. */
  branch(
    condition: Value,
    takenLo: number,
    otherLo: number,
    takenHi: number = this.block.pcHi,
    otherHi: number = this.block.pcHi,
  ): void {
    if (this.isConst(condition)) {
      if (this.constOf(condition) !== 0) this.jump(takenLo, takenHi);
      else this.jump(otherLo, otherHi);
      return;
    }
    this.#end(TERM_BRANCH);
    const k = this.block;
    k.termValue = condition;
    k.takenLo = takenLo | 0;
    k.takenHi = takenHi | 0;
    k.otherLo = otherLo | 0;
    k.otherHi = otherHi | 0;
  }

  /**
   * Ends the block: goes on at a computed program counter: an i32 (the high
   * half stays the block's own) or an i64 (which, where program counters have 32
   * bits, may belong to another mode). It is the guest's: where code is
   * relocatable, a constant is no place that `jump` could be given.
   */
  jumpIndirect(target: Value): void {
    this.#end(TERM_INDIRECT);
    this.block.termValue = target;
  }

  /** The jump that ends the block is a call, expected to come back to `returnLo`. */
  hintCall(returnLo: number): void {
    this.block.flow = FLOW_CALL;
    this.block.returnLo = returnLo | 0;
  }

  /** The jump that ends the block may lead to another mode. */
  hintFar(): void {
    this.block.flow = FLOW_FAR;
  }

  /** The jump that ends the block is a return. */
  hintReturn(): void {
    this.block.flow = FLOW_RETURN;
  }

  /** Ends the block: back to the dispatcher; the program counter is in the state. */
  exit(reason: number): void {
    this.#end(TERM_EXIT);
    this.block.reason = reason;
  }

  /** Whether the block has been ended. */
  get ended(): boolean {
    return this.block.term !== TERM_NONE;
  }

  #end(kind: 1 | 2 | 3 | 4): void {
    if (this.block.term !== TERM_NONE) throw new Error("block ended twice");
    this.block.term = kind;
  }

  // Short names for what frontends write most: on i32, or on i64 where the first
  // operand is one.

  /**
   * An operation of the op table on i32, or the one of the same name on i64 if
   * its first operand is one. A shift's count may be an i32 all the same.
   */
  typed(op: number, a: Value, b: Value = 0, c: Value = 0): Value {
    if (this.block.valueType[a] !== I64) return this.op(op, a, b, c);
    const count = IS_SHIFT[op] !== 0 && this.block.valueType[b] !== I64
      ? this.op(EXTEND_U, b)
      : b;
    return this.op(WIDE_OP[op], a, count, c);
  }

  /** The constant `v`, of the type of `like`; an i64 is its sign extension. */
  like(like: Value, v: number): Value {
    return this.block.valueType[like] === I64 ? this.i64(v) : this.i32(v);
  }

  /** The low 32 bits of an i32 or i64. */
  low(v: Value): Value {
    return this.block.valueType[v] === I64 ? this.op(WRAP, v) : v;
  }

  /** Zero extension of an i32 to 64 bits. */
  zext32(v: Value): Value {
    return this.op(EXTEND_U, v);
  }

  /** Sign extension of an i32 to 64 bits. */
  sext32(v: Value): Value {
    return this.op(EXTEND_S, v);
  }

  /** `a + b` */
  add(a: Value, b: Value): Value {
    return this.typed(ADD, a, b);
  }
  /** `a - b` */
  sub(a: Value, b: Value): Value {
    return this.typed(SUB, a, b);
  }
  /** `a * b` */
  mul(a: Value, b: Value): Value {
    return this.typed(MUL, a, b);
  }
  /** `a & b` */
  and(a: Value, b: Value): Value {
    return this.typed(AND, a, b);
  }
  /** `a | b` */
  or(a: Value, b: Value): Value {
    return this.typed(OR, a, b);
  }
  /** `a ^ b` */
  xor(a: Value, b: Value): Value {
    return this.typed(XOR, a, b);
  }
  /** `a << b` (count modulo the bits of a) */
  shl(a: Value, b: Value): Value {
    return this.typed(SHL, a, b);
  }
  /** `a >>> b` (count modulo the bits of a) */
  shrU(a: Value, b: Value): Value {
    return this.typed(SHR_U, a, b);
  }
  /** `a >> b` (count modulo the bits of a) */
  shrS(a: Value, b: Value): Value {
    return this.typed(SHR_S, a, b);
  }
  /** `a == 0` */
  eqz(a: Value): Value {
    return this.typed(EQZ, a);
  }
  /** `a == b` */
  eq(a: Value, b: Value): Value {
    return this.typed(EQ, a, b);
  }
  /** `a != b` */
  ne(a: Value, b: Value): Value {
    return this.typed(NE, a, b);
  }
  /** `a < b`, unsigned */
  ltU(a: Value, b: Value): Value {
    return this.typed(LT_U, a, b);
  }
  /** `a < b`, signed */
  ltS(a: Value, b: Value): Value {
    return this.typed(LT_S, a, b);
  }
  /** `condition ? a : b`; the condition is an i32. */
  select(condition: Value, a: Value, b: Value): Value {
    return this.typed(SELECT, a, b, condition);
  }
  /** Sign extension of the low byte. */
  sext8(a: Value): Value {
    return this.typed(EXTEND8, a);
  }
  /** Sign extension of the low 16 bits. */
  sext16(a: Value): Value {
    return this.typed(EXTEND16, a);
  }
  /** Zero extension of the low byte. */
  zext8(a: Value): Value {
    return this.and(a, this.like(a, 0xff));
  }
  /** Zero extension of the low 16 bits. */
  zext16(a: Value): Value {
    return this.and(a, this.like(a, 0xffff));
  }
}
