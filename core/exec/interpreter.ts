/**
 * The interpreter: one WebAssembly function, generated from the op table.
 *
 * Bytecode operations are 16 bytes: u16 opcode, u16 d, u16 a, u16 b, i32 lo,
 * i32 hi. The operands d, a, b (and c, in the low half of lo) are byte offsets
 * of slots in the CPU state, for globals and temps alike. An operation of the
 * op table becomes one opcode for operands in slots and, where its last operand
 * is an i32, a second one with an immediate. The case of an opcode loads the
 * slots, runs the very encoding that the region compiler uses, and stores the
 * result.
 *
 * @module
 */

import {
  EXIT_BUDGET,
  EXIT_FAULT,
  EXIT_HOT,
  EXIT_INDIRECT,
  EXIT_MODIFIED,
  EXIT_TRAP,
} from "../cpu/frontend.ts";
import type { Helper } from "../ir/builder.ts";
import {
  CALLS,
  LOADS,
  Op,
  type OpInfo,
  OPS,
  SPECIAL,
  STORES,
} from "../ir/ops.ts";
import { I32, I64, type Type, V128, WASM_TYPES } from "../ir/types.ts";
import { Emitter } from "../wasm/emitter.ts";
import { ModuleBuilder } from "../wasm/module.ts";
import * as W from "../wasm/opcodes.ts";
import {
  emitFarFunction,
  emitGuestPc,
  emitJumpHash,
  emitJumpMatch,
  emitLookupFunction,
  emitSetPcBase,
} from "./jump_cache.ts";
import {
  emitHost,
  emitLoadMiss,
  emitLookup,
  emitRawAccess,
  emitSlotLoad,
  emitSlotStore,
  emitSlowLoad,
  emitSlowPass,
  emitSlowStore,
  emitStoreMiss,
  emitValueStore,
  slowAccessType,
} from "./access.ts";
import {
  JUMP_RECORD,
  OFF_BUDGET,
  OFF_FAULT,
  OFF_FAULT_REGION,
  OFF_JUMP_CACHE,
  OFF_LINK,
  OFF_PC_BASE,
  OFF_RECORD,
  OFF_TARGET,
  OFF_TLB,
  OFF_TRAP,
  PROFILE_TARGETS,
  REC_BLOCK,
  REC_BYTECODE,
  REC_COUNT,
  REC_INSNS,
  REC_TABLE,
  TABLE_FAR,
  TABLE_INTERPRETER,
  TABLE_LOOKUP,
  TABLE_STUB,
  TLB_BYTES,
} from "./layout.ts";

/** Bytes of a bytecode operation. */
export const BYTECODE_BYTES = 16;
/** Where the fields of a bytecode operation stand. */
const FIELD_D = 2, FIELD_A = 4, FIELD_B = 6, FIELD_LO = 8, FIELD_HI = 12;

const LOCAL_CPU = 0,
  LOCAL_PC = 1,
  LOCAL_LINK = 2,
  LOCAL_REC = 3,
  LOCAL_T = 4,
  LOCAL_ENTRY = 5,
  LOCAL_HOST = 6;
const LOCAL_ADDRESS = 7, LOCAL_PC64 = 8;
const LOCALS = {
  cpu: LOCAL_CPU,
  address: LOCAL_ADDRESS,
  entry: LOCAL_ENTRY,
  host: LOCAL_HOST,
};

/** The numbers of the opcodes, by what they do. */
export interface Opcodes {
  /** Opcode of an operation with its operands in slots, by operation number; -1 if there is none. */
  readonly slots: Int16Array;
  /** Opcode with the last operand in `lo` (stores: `hi`), by operation number; -1 if there is none. */
  readonly immediate: Int16Array;
  /** Copies a slot, by type. */
  readonly move: readonly number[];
  /** Sets a 32-bit slot to `lo`. */
  readonly const32: number;
  /** Sets a 64-bit slot to `lo`, `hi`. */
  readonly const64: number;
  /** Sets a 32-bit slot to the word at host offset `lo`. */
  readonly code32: number;
  /** Sets a 128-bit slot to the 16 bytes that follow. */
  readonly const128: number;
  /** Calls a helper, by helper number. */
  readonly call: readonly number[];
  /** Calls a helper if slot a is not 0, by helper number; -1 if it takes arguments. */
  readonly callIf: readonly number[];
  /** Leaves with trap `lo` if slot a is not 0. */
  readonly trap: number;
  /** Through link cell `lo`. */
  readonly jump: number;
  /** To program counter `lo`, `hi` through the jump cache. */
  readonly jumpFar: number;
  /** To the program counter with low half in slot a and high half `hi`. */
  readonly indirect32: number;
  /** To the program counter in the 64-bit slot a. */
  readonly indirect64: number;
  /** As `indirect32`, but to the dispatcher. */
  readonly leave32: number;
  /** As `indirect64`, but to the dispatcher. */
  readonly leave64: number;
  /** Skips the next operation if slot a is not 0. */
  readonly skip: number;
  /** Through link cell `lo` if slot a is not 0, else through `hi`. */
  readonly branch: number;
  /** By compare operation number: slots a and b compared; cells `lo` and `hi`. */
  readonly branchCompare: Int16Array;
  /** By compare operation number: slot a compared with `hi`; cells `lo` and `lo + 16`. */
  readonly branchCompareImmediate: Int16Array;
  /** Returns the reason `lo`. */
  readonly exit: number;
  /** Copies slot a to d, then the one whose number is in `lo` to b. */
  readonly moveMove: number;
  /** Copies slot a to d and sets slot b to `lo`. */
  readonly moveConst: number;
  /** Sets slot d to `lo` and slot b to `hi`. */
  readonly constConst: number;
  /** As `moveMove`; then sets the slot in the upper half of `lo` to `hi`. */
  readonly moveMoveConst: number;
  /**
   * Stores slot b as 32 bits at slot a plus `lo`; the address then goes to the
   * slot in d, whose two low bits are the TLB's number.
   */
  readonly push: number;
  /** As `push`, but stores `hi`. */
  readonly pushImmediate: number;
  /**
   * Loads 32 bits into slot d as a load does; slot a plus `hi` then goes to the
   * slot in b, whose two low bits are the TLB's number.
   */
  readonly pop: number;
}

/** Generates the interpreter for a frontend's helpers. */
export class InterpreterGenerator {
  /** The opcodes. */
  readonly opcodes: Opcodes;
  readonly #e = new Emitter(65536);
  readonly #cases: (() => void)[] = [];
  readonly #helpers: readonly Helper[];
  #loadImport = 0;
  #storeImport = 0;
  #helperImports: number[] = [];
  /** Depth of the labels above the current position: to `$next` and `$enter`. */
  #toNext = 0;
  #toEnter = 0;
  /** How many blocks are open inside the current case. */
  #nesting = 0;
  #runType = 0;

  /** Numbers the opcodes. */
  constructor(helpers: readonly Helper[]) {
    this.#helpers = helpers;
    const n = OPS.length;
    const slots = new Int16Array(n).fill(-1);
    const immediate = new Int16Array(n).fill(-1);
    const branchCompare = new Int16Array(n).fill(-1);
    const branchCompareImmediate = new Int16Array(n).fill(-1);
    const add = (emit: () => void): number => this.#cases.push(emit) - 1;
    for (const op of OPS) {
      if ((op.effects & (SPECIAL | CALLS)) !== 0 || op.args.length === 0) {
        continue;
      }
      if (op.id === Op["trap"]) continue;
      if ((op.effects & LOADS) !== 0) {
        slots[op.id] = add(() => this.#load(op));
      } else if ((op.effects & STORES) !== 0) {
        slots[op.id] = add(() => this.#store(op, false));
        if (op.args[1] === I32) {
          immediate[op.id] = add(() => this.#store(op, true));
        }
      } else {
        slots[op.id] = add(() => this.#pure(op, false));
        if (op.args.length === 2 && op.args[1] === I32) {
          immediate[op.id] = add(() => this.#pure(op, true));
        }
        if (
          op.result === I32 && op.args.length === 2 && op.args[0] === I32 &&
          /\.(eq|ne|[lg][te]_[su])$/.test(op.name)
        ) {
          branchCompare[op.id] = add(() => this.#branchCompare(op, false));
          branchCompareImmediate[op.id] = add(() =>
            this.#branchCompare(op, true)
          );
        }
      }
    }
    const move32 = add(() => this.#move(I32));
    const move64 = add(() => this.#move(I64));
    const move128 = add(() => this.#move(V128));
    this.opcodes = {
      slots,
      immediate,
      branchCompare,
      branchCompareImmediate,
      move: [move32, move64, move32, move64, move128],
      const32: add(() => this.#const(I32)),
      const64: add(() => this.#const(I64)),
      code32: add(() => this.#code32()),
      const128: add(() => this.#const128()),
      call: helpers.map((h) => add(() => this.#call(h))),
      callIf: helpers.map((h) =>
        h.args === 0 ? add(() => this.#callIf(h)) : -1
      ),
      trap: add(() => this.#trap()),
      jump: add(() => this.#jump()),
      jumpFar: add(() => this.#jumpFar()),
      indirect32: add(() => this.#indirect(false)),
      indirect64: add(() => this.#indirect(true)),
      leave32: add(() => this.#leaveTo(false)),
      leave64: add(() => this.#leaveTo(true)),
      skip: add(() => this.#skip()),
      branch: add(() => this.#branch(() => this.#slot(FIELD_A, I32), FIELD_HI)),
      exit: add(() => {
        this.#imm(FIELD_LO);
        this.#e.u8(W.RETURN);
      }),
      moveMove: add(() => this.#sets("move", "move")),
      moveConst: add(() => this.#sets("move", "const")),
      constConst: add(() => this.#sets("const", "const")),
      moveMoveConst: add(() => this.#sets("move", "move", "const")),
      push: add(() => this.#store(OPS[Op["st32"]], false, true)),
      pushImmediate: add(() => this.#store(OPS[Op["st32"]], true, true)),
      pop: add(() => this.#load(OPS[Op["ld32"]], true)),
    };
  }

  /** The module: exports nothing; puts the stub and the interpreter into the table. */
  build(memoryPages: number): Uint8Array<ArrayBuffer> {
    const m = new ModuleBuilder(memoryPages);
    const i32 = WASM_TYPES[I32];
    const run = this.#runType = m.type([i32], [i32]);
    const slow = m.type([i32, i32, i32], [i32]);
    this.#loadImport = m.importFunction("env", "slowLoad", slow);
    this.#storeImport = m.importFunction("env", "slowStore", slow);
    const fetchMiss = m.importFunction("env", "fetchMiss", m.type([i32], []));
    this.#helperImports = this.#helpers.map((h) =>
      m.importFunction(
        "helper",
        String(h.index),
        m.type(new Array(h.args).fill(i32), [i32]),
      )
    );
    // Last, and its function as well: before the others they made the
    // interpreter take 1.15 of the time, by how its code then lies, it seems.
    const narrow = m.importFunction("env", "narrow", m.type([i32], []));
    const refill = m.importFunction(
      "env",
      "refill",
      m.type([i32, i32, i32, i32], [i32]),
    );
    // The stub: `EXIT_UNLINKED`. OFF_LINK was set by whoever came here.
    m.addFunction(run, Uint8Array.of(0, W.I32_CONST, 1), TABLE_STUB);
    this.#body(run);
    m.addFunction(
      run,
      this.#e.bytes.slice(0, this.#e.length),
      TABLE_INTERPRETER,
    );
    const miss = m.type([i32, i32, i32, i32], [i32, i32]);
    const pass = m.type([i32, i32, i32], [i32]);
    const body = (emit: (e: Emitter) => void): Uint8Array => {
      this.#e.clear();
      emit(this.#e);
      return this.#e.bytes.slice(0, this.#e.length);
    };
    const loadMiss = m.functionIndex;
    m.addFunction(miss, body((e) => emitLoadMiss(e, this.#loadImport)), -1);
    const storeMiss = m.functionIndex;
    m.addFunction(miss, body((e) => emitStoreMiss(e, this.#storeImport)), -1);
    for (const op of OPS) {
      const isLoad = (op.effects & LOADS) !== 0;
      if (!isLoad && (op.effects & STORES) === 0) continue;
      const { params, results } = slowAccessType(op);
      m.addFunction(
        m.type(params, results),
        body((e) =>
          isLoad
            ? emitSlowLoad(e, op, loadMiss)
            : emitSlowStore(e, op, storeMiss)
        ),
        -1,
        op.name,
      );
    }
    this.#e.clear();
    emitLookupFunction(this.#e, run, fetchMiss);
    m.addFunction(run, this.#e.bytes.slice(0, this.#e.length), TABLE_LOOKUP);
    this.#e.clear();
    emitFarFunction(this.#e, run);
    m.addFunction(run, this.#e.bytes.slice(0, this.#e.length), TABLE_FAR);
    // What the dispatcher calls: enters the record that OFF_LINK leads to.
    const e = this.#e;
    e.clear();
    e.u8(0);
    e.localGet(0);
    e.localGet(0);
    e.mem(W.I32_LOAD, OFF_LINK, 2);
    e.mem(W.I32_LOAD, 0, 2);
    e.mem(W.I32_LOAD, REC_TABLE, 2);
    e.u8(W.RETURN_CALL_INDIRECT);
    e.u32(run);
    e.u8(0);
    m.addFunction(run, e.bytes.slice(0, e.length), -1, "enter");
    m.addFunction(pass, body((e) => emitSlowPass(e, narrow)), -1, "slowPass");
    // By way of this module: V8 makes calls of TypeScript fast only after a
    // thousand of them, for each instance that imports the function.
    const forward = body((e) => {
      e.u8(0);
      for (let i = 0; i < 4; i++) e.localGet(i);
      e.u8(W.CALL);
      e.u32(refill);
    });
    const four = m.type([i32, i32, i32, i32], [i32]);
    m.addFunction(four, forward, -1, "refill");
    return m.build();
  }

  #body(runType: number): void {
    const e = this.#e;
    e.clear();
    e.u32(2);
    e.u32(7);
    e.u8(WASM_TYPES[I32]);
    e.u32(1);
    e.u8(WASM_TYPES[I64]);
    // link = cpu.link
    e.localGet(LOCAL_CPU);
    e.mem(W.I32_LOAD, OFF_LINK, 2);
    e.localSet(LOCAL_LINK);
    e.u8(W.LOOP); // $enter
    e.u8(W.VOID);
    e.localGet(LOCAL_LINK);
    e.mem(W.I32_LOAD, 0, 2);
    e.localTee(LOCAL_REC);
    e.mem(W.I32_LOAD, REC_BYTECODE, 2);
    e.localTee(LOCAL_PC);
    e.u8(W.I32_EQZ);
    e.u8(W.IF);
    e.u8(W.VOID);
    e.localGet(LOCAL_CPU);
    e.localGet(LOCAL_LINK);
    e.mem(W.I32_STORE, OFF_LINK, 2);
    e.localGet(LOCAL_CPU);
    e.localGet(LOCAL_REC);
    e.mem(W.I32_LOAD, REC_TABLE, 2);
    e.u8(W.RETURN_CALL_INDIRECT);
    e.u32(runType);
    e.u8(0);
    e.u8(W.END);
    // budget
    e.localGet(LOCAL_CPU);
    e.mem(W.I32_LOAD, OFF_BUDGET, 2);
    e.localGet(LOCAL_REC);
    e.mem(W.I32_LOAD, REC_INSNS, 2);
    e.u8(W.I32_SUB);
    e.localTee(LOCAL_T);
    e.i32Const(0);
    e.u8(W.I32_LT_S);
    e.u8(W.IF);
    e.u8(W.VOID);
    this.#leaveAtRecord(EXIT_BUDGET);
    e.u8(W.END);
    // count
    e.localGet(LOCAL_REC);
    e.localGet(LOCAL_REC);
    e.mem(W.I32_LOAD, REC_COUNT, 2);
    e.i32Const(1);
    e.u8(W.I32_SUB);
    e.localTee(LOCAL_HOST);
    e.mem(W.I32_STORE, REC_COUNT, 2);
    e.localGet(LOCAL_HOST);
    e.u8(W.I32_EQZ);
    e.u8(W.IF);
    e.u8(W.VOID);
    this.#leaveAtRecord(EXIT_HOT);
    e.u8(W.END);
    e.localGet(LOCAL_CPU);
    e.localGet(LOCAL_T);
    e.mem(W.I32_STORE, OFF_BUDGET, 2);
    e.u8(W.LOOP); // $next
    e.u8(W.VOID);
    const n = this.#cases.length;
    for (let i = 0; i < n; i++) {
      e.u8(W.BLOCK);
      e.u8(W.VOID);
    }
    e.localGet(LOCAL_PC);
    e.mem(W.I32_LOAD16_U, 0, 1);
    e.u8(W.BR_TABLE);
    e.u32(n - 1);
    for (let i = 0; i < n; i++) e.u32(i);
    for (let i = 0; i < n; i++) {
      e.u8(W.END);
      // Open above case i: n - 1 - i case blocks, then $next, then $enter.
      this.#toNext = n - 1 - i;
      this.#toEnter = n - i;
      this.#nesting = 0;
      this.#cases[i]();
    }
    e.u8(W.END);
    e.u8(W.END);
    e.u8(W.UNREACHABLE);
  }

  #leaveAtRecord(reason: number): void {
    const e = this.#e;
    e.localGet(LOCAL_CPU);
    e.localGet(LOCAL_REC);
    e.mem(W.I32_STORE, OFF_RECORD, 2);
    e.localGet(LOCAL_CPU);
    e.i32Const(0);
    e.mem(W.I32_STORE, OFF_FAULT_REGION, 2);
    e.i32Const(reason);
    e.u8(W.RETURN);
  }

  /** Goes on `skip` operations further. */
  #next(ops = 1): void {
    const e = this.#e;
    e.localGet(LOCAL_PC);
    e.i32Const(BYTECODE_BYTES * ops);
    e.u8(W.I32_ADD);
    e.localSet(LOCAL_PC);
    e.u8(W.BR);
    e.u32(this.#toNext + this.#nesting);
  }

  #enter(): void {
    this.#e.u8(W.BR);
    this.#e.u32(this.#toEnter + this.#nesting);
  }

  #if(): void {
    this.#e.u8(W.IF);
    this.#e.u8(W.VOID);
    this.#nesting++;
  }

  #end(): void {
    this.#e.u8(W.END);
    this.#nesting--;
  }

  /** Pushes the address of a slot operand. */
  #slotAddress(field: number): void {
    const e = this.#e;
    e.localGet(LOCAL_PC);
    e.mem(W.I32_LOAD16_U, field, 1);
    e.localGet(LOCAL_CPU);
    e.u8(W.I32_ADD);
  }

  /** Pushes the value of a slot operand. */
  #slot(field: number, type: Type): void {
    this.#slotAddress(field);
    emitSlotLoad(this.#e, type, 0);
  }

  /** Pushes an immediate word. */
  #imm(field: number): void {
    this.#e.localGet(LOCAL_PC);
    this.#e.mem(W.I32_LOAD, field, 2);
  }

  #pure(op: OpInfo, immediate: boolean): void {
    const e = this.#e;
    this.#slotAddress(FIELD_D);
    if (op.id === Op["i8x16.shuffle"]) {
      this.#slot(FIELD_A, V128);
      this.#slot(FIELD_LO, V128);
      this.#bytes(OPS[Op["i8x16.swizzle"]]);
      this.#slot(FIELD_B, V128);
      this.#slot(FIELD_LO, V128);
      e.i32Const(16);
      this.#bytes(OPS[Op["i8x16.splat"]]);
      this.#bytes(OPS[Op["i8x16.sub"]]);
      this.#bytes(OPS[Op["i8x16.swizzle"]]);
      this.#bytes(OPS[Op["v128.or"]]);
    } else {
      const fields = [FIELD_A, FIELD_B, FIELD_LO];
      op.args.forEach((type, i) => {
        if (immediate && i === op.args.length - 1) this.#imm(FIELD_LO);
        else this.#slot(fields[i], type);
      });
      this.#bytes(op);
    }
    emitSlotStore(e, op.result as Type, 0);
    this.#next();
  }

  #bytes(op: OpInfo): void {
    for (const byte of op.wasm) this.#e.u8(byte);
  }

  /** The guest address of an access into its local. */
  #address(): void {
    const e = this.#e;
    this.#slot(FIELD_A, I32);
    this.#imm(FIELD_LO);
    e.u8(W.I32_ADD);
    e.localSet(LOCAL_ADDRESS);
  }

  /** Pushes the TLB's number, which stands in a field, `packed` with a slot or alone. */
  #mmuIndex(field: number, packed: boolean): void {
    const e = this.#e;
    e.localGet(LOCAL_PC);
    e.mem(W.I32_LOAD16_U, field, 1);
    if (!packed) return;
    e.i32Const(3);
    e.u8(W.I32_AND);
  }

  /** Adds the offset of the TLB whose number stands in a field. */
  #tlb(field: number, packed: boolean): () => void {
    return () => {
      this.#mmuIndex(field, packed);
      this.#e.i32Const(Math.log2(TLB_BYTES));
      this.#e.u8(W.I32_SHL);
    };
  }

  /** Sets the slot that is packed into a field. */
  #setPacked(field: number, push: () => void): void {
    const e = this.#e;
    e.localGet(LOCAL_PC);
    e.mem(W.I32_LOAD16_U, field, 1);
    e.i32Const(~3);
    e.u8(W.I32_AND);
    e.localGet(LOCAL_CPU);
    e.u8(W.I32_ADD);
    push();
    emitSlotStore(e, I32, 0);
  }

  #load(op: OpInfo, pops = false): void {
    const e = this.#e;
    this.#address();
    const tlb = this.#tlb(FIELD_B, pops);
    emitLookup(e, LOCALS, op.width, false, OFF_TLB, tlb);
    e.u8(W.IF);
    e.u8(WASM_TYPES[I32]);
    this.#nesting++;
    e.localGet(LOCAL_ADDRESS);
    e.i32Const(op.width);
    this.#mmuIndex(FIELD_B, pops);
    e.u8(W.CALL);
    e.u32(this.#loadImport);
    e.localTee(LOCAL_HOST);
    e.u8(W.I32_EQZ);
    this.#if();
    this.#fault(() => e.i32Const(EXIT_FAULT));
    this.#end();
    e.localGet(LOCAL_HOST);
    e.u8(W.ELSE);
    emitHost(e, LOCALS, OFF_TLB, false);
    this.#end();
    e.localSet(LOCAL_HOST);
    this.#slotAddress(FIELD_D);
    e.localGet(LOCAL_HOST);
    emitRawAccess(e, op, 0);
    emitSlotStore(e, op.result as Type, 0);
    if (pops) {
      this.#setPacked(FIELD_B, () => {
        this.#slot(FIELD_A, I32);
        this.#imm(FIELD_HI);
        e.u8(W.I32_ADD);
      });
    }
    this.#next();
  }

  #store(op: OpInfo, immediate: boolean, pushes = false): void {
    const e = this.#e;
    const value = (): void =>
      immediate ? this.#imm(FIELD_HI) : this.#slot(FIELD_B, op.args[1]);
    this.#address();
    const tlb = this.#tlb(FIELD_D, pushes);
    emitLookup(e, LOCALS, op.width, true, OFF_TLB, tlb);
    this.#if();
    emitValueStore(e, op, LOCAL_CPU, value);
    e.localGet(LOCAL_ADDRESS);
    e.i32Const(op.width);
    this.#mmuIndex(FIELD_D, pushes);
    // Whom the store may modify: `runningTag`.
    e.localGet(LOCAL_REC);
    e.mem(W.I32_LOAD, REC_BLOCK, 2);
    e.i32Const(0x7fff);
    e.u8(W.I32_AND);
    e.i32Const(1);
    e.u8(W.I32_ADD);
    e.i32Const(8);
    e.u8(W.I32_SHL);
    e.u8(W.I32_OR);
    e.u8(W.CALL);
    e.u32(this.#storeImport);
    this.#leaveOn();
    e.u8(W.ELSE);
    emitHost(e, LOCALS, OFF_TLB, true);
    value();
    emitRawAccess(e, op, 0);
    this.#end();
    if (pushes) this.#setPacked(FIELD_D, () => e.localGet(LOCAL_ADDRESS));
    this.#next();
  }

  /** With 0, 1 (fault) or 2 (modifies) on the stack: leaves if it is not 0. */
  #leaveOn(): void {
    const e = this.#e;
    e.localTee(LOCAL_T);
    this.#if();
    this.#fault(() => {
      e.i32Const(EXIT_MODIFIED);
      e.i32Const(EXIT_FAULT);
      e.localGet(LOCAL_T);
      e.i32Const(2);
      e.u8(W.I32_EQ);
      e.u8(W.SELECT);
    });
    this.#end();
  }

  /** Returns the reason that `push` pushes, with what tells the instruction. */
  #fault(push: () => void): void {
    const e = this.#e;
    e.localGet(LOCAL_CPU);
    e.localGet(LOCAL_PC);
    e.mem(W.I32_STORE, OFF_FAULT, 2);
    e.localGet(LOCAL_CPU);
    e.i32Const(0);
    e.mem(W.I32_STORE, OFF_FAULT_REGION, 2);
    e.localGet(LOCAL_CPU);
    e.localGet(LOCAL_REC);
    e.mem(W.I32_STORE, OFF_RECORD, 2);
    push();
    e.u8(W.RETURN);
  }

  #move(type: Type): void {
    this.#slotAddress(FIELD_D);
    this.#slot(FIELD_A, type);
    emitSlotStore(this.#e, type, 0);
    this.#next();
  }

  #const(type: Type): void {
    const e = this.#e;
    this.#slotAddress(FIELD_D);
    e.localGet(LOCAL_PC);
    emitSlotLoad(e, type, FIELD_LO);
    emitSlotStore(e, type, 0);
    this.#next();
  }

  /** Sets slots d, b and a third one. */
  #sets(...kinds: readonly ("move" | "const")[]): void {
    const targets = [FIELD_D, FIELD_B, FIELD_LO + 2];
    const sources = [FIELD_A, FIELD_LO];
    // The constants are the words behind what the copies need.
    let word = kinds.length === 2 && kinds[1] === "const" ? FIELD_LO : FIELD_HI;
    kinds.forEach((kind, i) => {
      this.#slotAddress(targets[i]);
      if (kind === "move") this.#slot(sources[i], I32);
      else {
        this.#imm(word);
        word = FIELD_HI;
      }
      emitSlotStore(this.#e, I32, 0);
    });
    this.#next();
  }

  #code32(): void {
    const e = this.#e;
    this.#slotAddress(FIELD_D);
    this.#imm(FIELD_LO);
    e.mem(W.I32_LOAD, 0, 0);
    emitSlotStore(e, I32, 0);
    this.#next();
  }

  #const128(): void {
    const e = this.#e;
    this.#slotAddress(FIELD_D);
    e.localGet(LOCAL_PC);
    emitSlotLoad(e, V128, BYTECODE_BYTES);
    emitSlotStore(e, V128, 0);
    this.#next(2);
  }

  #call(helper: Helper): void {
    const e = this.#e;
    if (!helper.faults) this.#slotAddress(FIELD_D);
    const fields = [FIELD_A, FIELD_B, FIELD_LO];
    for (let i = 0; i < helper.args; i++) this.#slot(fields[i], I32);
    e.u8(W.CALL);
    e.u32(this.#helperImports[helper.index]);
    if (helper.faults) this.#leaveOn();
    else emitSlotStore(e, I32, 0);
    this.#next();
  }

  #callIf(helper: Helper): void {
    const e = this.#e;
    this.#slot(FIELD_A, I32);
    this.#if();
    e.u8(W.CALL);
    e.u32(this.#helperImports[helper.index]);
    if (helper.faults) this.#leaveOn();
    else e.u8(W.DROP);
    this.#end();
    this.#next();
  }

  #trap(): void {
    const e = this.#e;
    this.#slot(FIELD_A, I32);
    this.#if();
    e.localGet(LOCAL_CPU);
    this.#imm(FIELD_LO);
    e.mem(W.I32_STORE, OFF_TRAP, 2);
    this.#fault(() => e.i32Const(EXIT_TRAP));
    this.#end();
    this.#next();
  }

  #jump(): void {
    this.#imm(FIELD_LO);
    this.#e.localSet(LOCAL_LINK);
    this.#enter();
  }

  /** With the target's program counter in LOCAL_PC64: the jump cache. */
  #lookup(): void {
    const e = this.#e;
    const low = (): void => {
      e.localGet(LOCAL_PC64);
      this.#bytes(OPS[Op["i32.wrap_i64"]]);
    };
    emitJumpHash(e, low);
    e.localGet(LOCAL_CPU);
    e.u8(W.I32_ADD);
    e.localSet(LOCAL_ENTRY);
    this.#probe();
    e.localGet(LOCAL_CPU);
    e.localGet(LOCAL_PC64);
    e.mem(W.I64_STORE, OFF_TARGET, 3);
    e.localGet(LOCAL_CPU);
    e.i32Const(TABLE_LOOKUP);
    e.u8(W.RETURN_CALL_INDIRECT);
    e.u32(this.#runType);
    e.u8(0);
  }

  /** Goes to the record of the entry in LOCAL_ENTRY if it is the one for LOCAL_PC64. */
  #probe(): void {
    const e = this.#e;
    emitJumpMatch(e, LOCAL_CPU, LOCAL_ENTRY, LOCAL_PC64);
    this.#if();
    emitSetPcBase(e, LOCAL_CPU, () => {
      e.localGet(LOCAL_PC64);
      this.#bytes(OPS[Op["i32.wrap_i64"]]);
    }, () => {
      e.localGet(LOCAL_ENTRY);
      e.mem(W.I32_LOAD, OFF_JUMP_CACHE + JUMP_RECORD, 2);
    });
    e.localGet(LOCAL_ENTRY);
    e.i32Const(OFF_JUMP_CACHE + JUMP_RECORD);
    e.u8(W.I32_ADD);
    e.localSet(LOCAL_LINK);
    this.#enter();
    this.#end();
  }

  #jumpFar(): void {
    const e = this.#e;
    emitGuestPc(
      e,
      LOCAL_CPU,
      () => this.#imm(FIELD_LO),
      () => this.#imm(FIELD_HI),
    );
    e.localSet(LOCAL_PC64);
    this.#lookup();
  }

  #indirect(wide: boolean): void {
    const e = this.#e;
    this.#target(wide);
    // Into the profile, at the block's count modulo the ring's length.
    this.#imm(FIELD_LO);
    e.localGet(LOCAL_REC);
    e.mem(W.I32_LOAD, REC_COUNT, 2);
    e.i32Const(PROFILE_TARGETS - 1);
    e.u8(W.I32_AND);
    e.i32Const(2);
    e.u8(W.I32_SHL);
    e.u8(W.I32_ADD);
    // Relative to the block, as its own program counter is.
    e.localGet(LOCAL_PC64);
    this.#bytes(OPS[Op["i32.wrap_i64"]]);
    e.localGet(LOCAL_CPU);
    e.mem(W.I32_LOAD, OFF_PC_BASE, 2);
    e.u8(W.I32_SUB);
    e.mem(W.I32_STORE, 0, 2);
    this.#lookup();
  }

  #leaveTo(wide: boolean): void {
    const e = this.#e;
    this.#target(wide);
    e.localGet(LOCAL_CPU);
    e.localGet(LOCAL_PC64);
    e.mem(W.I64_STORE, OFF_TARGET, 3);
    e.i32Const(EXIT_INDIRECT);
    e.u8(W.RETURN);
  }

  /** The target of a computed jump into LOCAL_PC64. */
  #target(wide: boolean): void {
    const e = this.#e;
    if (wide) {
      this.#slot(FIELD_A, I64);
    } else {
      this.#slot(FIELD_A, I32);
      this.#bytes(OPS[Op["i64.extend_i32_u"]]);
      this.#imm(FIELD_HI);
      this.#bytes(OPS[Op["i64.extend_i32_u"]]);
      e.i64Const(32, 0);
      this.#bytes(OPS[Op["i64.shl"]]);
      this.#bytes(OPS[Op["i64.or"]]);
    }
    e.localSet(LOCAL_PC64);
  }

  #skip(): void {
    this.#slot(FIELD_A, I32);
    this.#if();
    this.#next(2);
    this.#end();
    this.#next();
  }

  /** Through the cell `lo` if `push` pushes true, else through the one in `otherField`. */
  #branch(push: () => void, otherField: number): void {
    const e = this.#e;
    this.#imm(FIELD_LO);
    this.#imm(otherField);
    push();
    e.u8(W.SELECT);
    e.localSet(LOCAL_LINK);
    this.#enter();
  }

  #branchCompare(op: OpInfo, immediate: boolean): void {
    const e = this.#e;
    const push = (): void => {
      this.#slot(FIELD_A, I32);
      if (immediate) this.#imm(FIELD_HI);
      else this.#slot(FIELD_B, I32);
      this.#bytes(op);
    };
    if (!immediate) return this.#branch(push, FIELD_HI);
    // The cells of one block are adjacent: the other one is 16 bytes further.
    this.#imm(FIELD_LO);
    push();
    e.u8(W.I32_EQZ);
    e.i32Const(4);
    e.u8(W.I32_SHL);
    e.u8(W.I32_ADD);
    e.localSet(LOCAL_LINK);
    this.#enter();
  }
}
