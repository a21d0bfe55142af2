/**
 * The interpreter, generated from the op table: the numbers of its opcodes, its
 * loop, and the module in which it stands with the other functions that
 * translated code uses. What an operation does: `interpreter_cases.ts`.
 *
 * An operation of the op table becomes one opcode for operands in slots and,
 * where its last operand is an i32, a second one with an immediate.
 *
 * @module
 */

import { EXIT_BUDGET, EXIT_HOT } from "../cpu/frontend.ts";
import { argumentTypes, type Helper } from "../ir/builder.ts";
import {
  CALLS,
  LOADS,
  Op,
  type OpInfo,
  OPS,
  SPECIAL,
  STORES,
} from "../ir/ops.ts";
import { F64, I32, I64, V128, WASM_TYPES } from "../ir/types.ts";
import { Emitter } from "../wasm/emitter.ts";
import { ModuleBuilder } from "../wasm/module.ts";
import * as W from "../wasm/opcodes.ts";
import {
  emitLoadMiss,
  emitSlowLoad,
  emitSlowPass,
  emitSlowStore,
  emitStoreMiss,
  isWide,
  slowAccessType,
} from "./access.ts";
import {
  type CaseTargets,
  emitLocals,
  InterpreterCases,
  LOCAL_CPU,
  LOCAL_HOST,
  LOCAL_LINK,
  LOCAL_PC,
  LOCAL_REC,
  LOCAL_T,
} from "./interpreter_cases.ts";
import { emitFarFunction, emitLookupFunction } from "./jump_cache.ts";
import {
  OFF_BUDGET,
  OFF_FAULT_REGION,
  OFF_LINK,
  OFF_RECORD,
  REC_BYTECODE,
  REC_COUNT,
  REC_INSNS,
  REC_TABLE,
  TABLE_FAR,
  TABLE_FAR_WIDE,
  TABLE_INTERPRETER,
  TABLE_LOOKUP,
  TABLE_LOOKUP_WIDE,
  TABLE_UNLINKED,
} from "./layout.ts";

/** The numbers of the opcodes, by what they do. */
export interface Opcodes {
  /** Opcode of an operation with its operands in slots, by operation number; -1 if there is none. */
  readonly slots: Int16Array;
  /**
   * Opcode with the last operand in `lo` (stores: `hi`), of an i64 its sign
   * extension, by operation number; -1 if there is none.
   */
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
  /** Through link cell `lo`, to another page. */
  readonly jumpFar: number;
  /** As `jumpFar`, where program counters have 64 bits. */
  readonly jumpFarWide: number;
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
  /** The moves of `moveMove` and `moveConst` and `moveMoveConst`, of 64 bits. */
  readonly wideMoves: {
    readonly moveMove: number;
    readonly moveConst: number;
    readonly moveMoveConst: number;
  };
  /**
   * By opcode of an operation with an i32 result: the one that stores the
   * result's zero extension to 64 bits; -1 if there is none.
   */
  readonly extended: Int16Array;
  /** As `push`, of 64 bits at an address of 64 bits. */
  readonly pushWide: number;
  /** The same; what is stored is the sign extension of `hi`. */
  readonly pushImmediateWide: number;
  /** As `pop`, of 64 bits at an address of 64 bits. */
  readonly popWide: number;
}

/**
 * Operations that have a form whose result is extended: what code with 32-bit
 * operands and registers of 64 bits does most.
 */
const EXTENDED: ReadonlySet<string> = new Set(
  ("i32.add i32.sub i32.mul i32.and i32.or i32.xor i32.shl i32.shr_u " +
    "i32.shr_s ld8u.64 ld16u.64 ld32.64").split(" "),
);

/** Emits the case of one opcode. */
type EmitCase = (cases: InterpreterCases) => void;

/** Generates the interpreter for a frontend's helpers. */
export class InterpreterGenerator {
  /** The opcodes. */
  readonly opcodes: Opcodes;
  readonly #helpers: readonly Helper[];
  /** By opcode. */
  readonly #cases: EmitCase[] = [];

  /** Numbers the opcodes. */
  constructor(helpers: readonly Helper[]) {
    this.#helpers = helpers;
    const n = OPS.length;
    const slots = new Int16Array(n).fill(-1);
    const immediate = new Int16Array(n).fill(-1);
    const branchCompare = new Int16Array(n).fill(-1);
    const branchCompareImmediate = new Int16Array(n).fill(-1);
    const add = (emit: EmitCase): number => this.#cases.push(emit) - 1;
    const extended: [of: number, opcode: number][] = [];
    const addExtended = (of: number, op: OpInfo, emit: EmitCase): void => {
      if (EXTENDED.has(op.name)) extended.push([of, add(emit)]);
    };
    for (const op of OPS) {
      if ((op.effects & (SPECIAL | CALLS)) !== 0 || op.args.length === 0) {
        continue;
      }
      if (op.id === Op["trap"]) continue;
      if ((op.effects & LOADS) !== 0) {
        slots[op.id] = add((c) => c.load(op));
        addExtended(slots[op.id], op, (c) => c.load(op, false, true));
      } else if ((op.effects & STORES) !== 0) {
        slots[op.id] = add((c) => c.store(op, false));
        if (op.args[1] === I32 || op.id === Op["st64.64"]) {
          immediate[op.id] = add((c) => c.store(op, true));
        }
      } else {
        slots[op.id] = add((c) => c.pure(op, false));
        addExtended(slots[op.id], op, (c) => c.pure(op, false, true));
        const [type, last] = op.args;
        if (op.args.length === 2 && (last === I32 || last === I64)) {
          const of = immediate[op.id] = add((c) => c.pure(op, true));
          addExtended(of, op, (c) => c.pure(op, true, true));
        }
        if (
          op.result === I32 && op.args.length === 2 &&
          (type === I32 || type === I64) &&
          /\.(eq|ne|[lg][te]_[su])$/.test(op.name)
        ) {
          branchCompare[op.id] = add((c) => c.branchCompare(op, false));
          branchCompareImmediate[op.id] = add((c) => c.branchCompare(op, true));
        }
      }
    }
    const move32 = add((c) => c.move(I32));
    const move64 = add((c) => c.move(I64));
    const move128 = add((c) => c.move(V128));
    this.opcodes = {
      slots,
      immediate,
      branchCompare,
      branchCompareImmediate,
      move: [move32, move64, move32, move64, move128],
      const32: add((c) => c.constant(I32)),
      const64: add((c) => c.constant(I64)),
      code32: add((c) => c.code32()),
      const128: add((c) => c.const128()),
      call: helpers.map((h) => add((c) => c.call(h))),
      callIf: helpers.map((h) => h.args === 0 ? add((c) => c.callIf(h)) : -1),
      trap: add((c) => c.trap()),
      jump: add((c) => c.jump()),
      jumpFar: add((c) => c.jumpFar(false)),
      indirect32: add((c) => c.indirect(false)),
      indirect64: add((c) => c.indirect(true)),
      leave32: add((c) => c.leaveTo(false)),
      leave64: add((c) => c.leaveTo(true)),
      skip: add((c) => c.skip()),
      branch: add((c) => c.branch()),
      exit: add((c) => c.exit()),
      moveMove: add((c) => c.sets(I32, "move", "move")),
      moveConst: add((c) => c.sets(I32, "move", "const")),
      constConst: add((c) => c.sets(I32, "const", "const")),
      moveMoveConst: add((c) => c.sets(I32, "move", "move", "const")),
      push: add((c) => c.store(OPS[Op["st32"]], false, true)),
      pushImmediate: add((c) => c.store(OPS[Op["st32"]], true, true)),
      pop: add((c) => c.load(OPS[Op["ld32"]], true)),
      jumpFarWide: add((c) => c.jumpFar(true)),
      pushWide: add((c) => c.store(OPS[Op["st64.64"]], false, true)),
      pushImmediateWide: add((c) => c.store(OPS[Op["st64.64"]], true, true)),
      popWide: add((c) => c.load(OPS[Op["ld64.64"]], true)),
      wideMoves: {
        moveMove: add((c) => c.sets(I64, "move", "move")),
        moveConst: add((c) => c.sets(I64, "move", "const")),
        moveMoveConst: add((c) => c.sets(I64, "move", "move", "const")),
      },
      extended: new Int16Array(this.#cases.length).fill(-1),
    };
    for (const [of, opcode] of extended) this.opcodes.extended[of] = opcode;
  }

  /**
   * The module: puts into the table where links lead that lead nowhere yet, the
   * interpreter and the functions that find a jump's target; exports `enter` for the dispatcher and, for
   * regions, each access by its operation's name, `slowPass` and `refill`.
   */
  build(memoryPages: number): Uint8Array<ArrayBuffer> {
    const m = new ModuleBuilder(memoryPages);
    const i32 = WASM_TYPES[I32];
    const run = m.type([i32], [i32]);
    const slow = m.type([i32, i32, i32], [i32]);
    const slowLoad = m.importFunction("env", "slowLoad", slow);
    const slowStore = m.importFunction("env", "slowStore", slow);
    const fetchMiss = m.importFunction("env", "fetchMiss", m.type([i32], []));
    const helpers = this.#helpers.map((h) =>
      m.importFunction(
        "helper",
        String(h.index),
        m.type(argumentTypes(h).map((t) => WASM_TYPES[t]), [i32]),
      )
    );
    // Last, and its function as well: before the others they made the
    // interpreter take 1.15 of the time, by how its code then lies, it seems.
    const narrow = m.importFunction("env", "narrow", m.type([i32], []));
    const four = m.type([i32, i32, i32, i32], [i32]);
    const refill = m.importFunction("env", "refill", four);
    const f64 = WASM_TYPES[F64];
    const wide = m.type([f64, i32, i32], [i32]);
    const slowLoadWide = m.importFunction("env", "slowLoadWide", wide);
    const slowStoreWide = m.importFunction("env", "slowStoreWide", wide);
    const wideFour = m.type([f64, i32, i32, i32], [i32]);
    const refillWide = m.importFunction("env", "refillWide", wideFour);
    const fetchMissWide = m.importFunction(
      "env",
      "fetchMissWide",
      m.type([f64], []),
    );

    const code = new Emitter(65536);
    const body = (emit: (e: Emitter) => void): Uint8Array => {
      code.clear();
      emit(code);
      return code.bytes.slice(0, code.length);
    };
    // To no block: `EXIT_UNLINKED`. OFF_LINK was set by whoever came here.
    m.addFunction(run, Uint8Array.of(0, W.I32_CONST, 1), TABLE_UNLINKED);
    const targets = {
      run,
      slowLoad,
      slowStore,
      slowLoadWide,
      slowStoreWide,
      helpers,
    };
    m.addFunction(run, body((e) => this.#loop(e, targets)), TABLE_INTERPRETER);
    const missOf = (isWide: boolean): { load: number; store: number } => {
      const address = WASM_TYPES[isWide ? I64 : I32];
      const type = m.type([i32, address, i32, i32], [i32, i32]);
      const [onLoad, onStore] = isWide
        ? [slowLoadWide, slowStoreWide]
        : [slowLoad, slowStore];
      const load = m.functionIndex;
      m.addFunction(type, body((e) => emitLoadMiss(e, onLoad, isWide)), -1);
      const store = m.functionIndex;
      m.addFunction(type, body((e) => emitStoreMiss(e, onStore, isWide)), -1);
      return { load, store };
    };
    const misses = [missOf(false), missOf(true)];
    for (const op of OPS) {
      const isLoad = (op.effects & LOADS) !== 0;
      if (!isLoad && (op.effects & STORES) === 0) continue;
      const { params, results } = slowAccessType(op);
      const miss = misses[Number(isWide(op))];
      m.addFunction(
        m.type(params, results),
        body((e) =>
          isLoad
            ? emitSlowLoad(e, op, miss.load)
            : emitSlowStore(e, op, miss.store)
        ),
        -1,
        op.name,
      );
    }
    m.addFunction(
      run,
      body((e) => emitLookupFunction(e, run, fetchMiss, false)),
      TABLE_LOOKUP,
    );
    m.addFunction(
      run,
      body((e) => emitLookupFunction(e, run, fetchMissWide, true)),
      TABLE_LOOKUP_WIDE,
    );
    m.addFunction(run, body((e) => emitFarFunction(e, run, false)), TABLE_FAR);
    m.addFunction(
      run,
      body((e) => emitFarFunction(e, run, true)),
      TABLE_FAR_WIDE,
    );
    m.addFunction(run, body((e) => emitEnter(e, run)), -1, "enter");
    m.addFunction(slow, body((e) => emitSlowPass(e, narrow)), -1, "slowPass");
    m.addFunction(four, body((e) => emitForward(e, refill)), -1, "refill");
    m.addFunction(
      wideFour,
      body((e) => emitForward(e, refillWide)),
      -1,
      "refillWide",
    );
    return m.build();
  }

  /**
   * The interpreter's function: `$enter` begins a block, `$next` an operation
   * of it.
   */
  #loop(e: Emitter, targets: CaseTargets): void {
    emitLocals(e);
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
    e.u32(targets.run);
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
    emitLeave(e, EXIT_BUDGET);
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
    emitLeave(e, EXIT_HOT);
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
    const cases = new InterpreterCases(e, targets);
    for (let i = 0; i < n; i++) {
      e.u8(W.END);
      // Open above case i: n - 1 - i case blocks, then $next, then $enter.
      cases.begin(n - 1 - i, n - i);
      this.#cases[i](cases);
    }
    e.u8(W.END);
    e.u8(W.END);
    e.u8(W.UNREACHABLE);
  }
}

/** Leaves the interpreter before the block of LOCAL_REC. */
function emitLeave(e: Emitter, reason: number): void {
  e.localGet(LOCAL_CPU);
  e.localGet(LOCAL_REC);
  e.mem(W.I32_STORE, OFF_RECORD, 2);
  e.localGet(LOCAL_CPU);
  e.i32Const(0);
  e.mem(W.I32_STORE, OFF_FAULT_REGION, 2);
  e.i32Const(reason);
  e.u8(W.RETURN);
}

/** What the dispatcher calls: enters the record that OFF_LINK leads to. */
function emitEnter(e: Emitter, runType: number): void {
  e.u8(0);
  e.localGet(0);
  e.localGet(0);
  e.mem(W.I32_LOAD, OFF_LINK, 2);
  e.mem(W.I32_LOAD, 0, 2);
  e.mem(W.I32_LOAD, REC_TABLE, 2);
  e.u8(W.RETURN_CALL_INDIRECT);
  e.u32(runType);
  e.u8(0);
}

/**
 * Calls an import of four arguments. By way of this module: V8 makes calls of
 * TypeScript fast only after a thousand of them, for each instance that imports
 * the function.
 */
function emitForward(e: Emitter, target: number): void {
  e.u8(0);
  for (let i = 0; i < 4; i++) e.localGet(i);
  e.u8(W.CALL);
  e.u32(target);
}
