/**
 * What an operation of the bytecode does: emits the cases of the interpreter's
 * loop.
 *
 * Bytecode operations are 16 bytes: u16 opcode, u16 d, u16 a, u16 b, i32 lo,
 * i32 hi. The operands d, a, b (and c, in the low half of lo) are byte offsets
 * of slots in the CPU state, for globals and temps alike. The case of an opcode
 * loads the slots, runs the very encoding that the region compiler uses, and
 * stores the result. It ends with a jump to one of the loop's two labels or
 * leaves the function.
 *
 * @module
 */

import {
  EXIT_FAULT,
  EXIT_INDIRECT,
  EXIT_MODIFIED,
  EXIT_TRAP,
} from "../cpu/frontend.ts";
import { argumentTypes, type Helper } from "../ir/builder.ts";
import { Op, type OpInfo, OPS } from "../ir/ops.ts";
import { I32, I64, type Type, V128, WASM_TYPES } from "../ir/types.ts";
import type { Emitter } from "../wasm/emitter.ts";
import * as W from "../wasm/opcodes.ts";
import {
  emitHost,
  emitLookup,
  emitRawAccess,
  emitSlotLoad,
  emitSlotStore,
  emitValueStore,
  isWide,
  tlbBytes,
  tlbOffset,
} from "./access.ts";
import {
  emitFetchEntry,
  emitGuestPc,
  emitJumpHash,
  emitJumpMatch,
  emitSetPcBase,
} from "./jump_cache.ts";
import {
  CELL_PC_HI,
  CELL_PC_LO,
  CELL_RECORD,
  JUMP_RECORD,
  OFF_FAULT,
  OFF_FAULT_REGION,
  OFF_JUMP_CACHE,
  OFF_LOOKUP,
  OFF_PC_BASE,
  OFF_RECORD,
  OFF_TARGET,
  OFF_TRAP,
  PROFILE_TARGETS,
  REC_BLOCK,
  REC_COUNT,
  REC_HOST,
  REC_SELF,
  TABLE_LOOKUP,
  WIDE_FETCH_HOST,
} from "./layout.ts";

const I64_LOAD32_S = 0x34,
  F64_CONVERT_I64_S = 0xb9;

/** Bytes of a bytecode operation. */
const BYTECODE_BYTES = 16;
/** Where the fields of a bytecode operation stand. */
const FIELD_D = 2, FIELD_A = 4, FIELD_B = 6, FIELD_LO = 8, FIELD_HI = 12;

/**
 * What the loop keeps in locals: the CPU's area (the parameter), the operation,
 * the link cell that led to the block, its record. T and HOST are scratch, as
 * those are that only the cases use.
 */
export const LOCAL_CPU = 0,
  LOCAL_PC = 1,
  LOCAL_LINK = 2,
  LOCAL_REC = 3,
  LOCAL_T = 4,
  LOCAL_HOST = 6;
const LOCAL_ENTRY = 5, LOCAL_ADDRESS = 7, LOCAL_PC64 = 8, LOCAL_WIDE = 9;
const LOCALS = {
  cpu: LOCAL_CPU,
  address: LOCAL_ADDRESS,
  entry: LOCAL_ENTRY,
  host: LOCAL_HOST,
};
/** Of an access at an address of 64 bits, which has no program counter to keep. */
const WIDE_LOCALS = { ...LOCALS, address: LOCAL_PC64, wide: LOCAL_WIDE };

/** Emits the declaration of the locals. */
export function emitLocals(e: Emitter): void {
  e.u32(2);
  e.u32(LOCAL_PC64 - 1); // LOCAL_CPU is the parameter
  e.u8(WASM_TYPES[I32]);
  e.u32(LOCAL_WIDE + 1 - LOCAL_PC64);
  e.u8(WASM_TYPES[I64]);
}

/** What the cases refer to in their module. */
export interface CaseTargets {
  /** The type of the interpreter and of all that is in the table. */
  readonly run: number;
  /** The import `slowLoad`. */
  readonly slowLoad: number;
  /** The import `slowStore`. */
  readonly slowStore: number;
  /** The imports for addresses of 64 bits. */
  readonly slowLoadWide: number;
  readonly slowStoreWide: number;
  /** The imported helpers, by helper number. */
  readonly helpers: readonly number[];
}

/** Emits the cases: one by each method but `begin`. */
export class InterpreterCases {
  readonly #e: Emitter;
  readonly #targets: CaseTargets;
  /** Depth of the labels above the current case: to `$next` and `$enter`. */
  #toNext = 0;
  #toEnter = 0;
  /** How many blocks are open inside the current case. */
  #nesting = 0;

  /** Emits them into the interpreter's function. */
  constructor(e: Emitter, targets: CaseTargets) {
    this.#e = e;
    this.#targets = targets;
  }

  /**
   * Begins a case. A branch `toNext` labels up goes to the operation in
   * LOCAL_PC, one `toEnter` up into the block that LOCAL_LINK leads to.
   */
  begin(toNext: number, toEnter: number): void {
    this.#toNext = toNext;
    this.#toEnter = toEnter;
    this.#nesting = 0;
  }

  /** Goes on `ops` operations further. */
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

  /** Pushes an immediate word; as an i64 its sign extension. */
  #imm(field: number, type: Type = I32): void {
    this.#e.localGet(LOCAL_PC);
    this.#e.mem(type === I64 ? I64_LOAD32_S : W.I32_LOAD, field, 2);
  }

  /**
   * An operation on values alone; `immediate`: with its last operand in `lo`;
   * `extended`: its result becomes an i64 by zero extension.
   */
  pure(op: OpInfo, immediate: boolean, extended = false): void {
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
        if (immediate && i === op.args.length - 1) {
          this.#imm(FIELD_LO, type);
        } else this.#slot(fields[i], type);
      });
      this.#bytes(op);
    }
    this.#storeResult(op, extended);
    this.#next();
  }

  /** Stores the result of an operation, or its zero extension. */
  #storeResult(op: OpInfo, extended: boolean): void {
    if (extended) this.#e.u8(W.I64_EXTEND_I32_U);
    emitSlotStore(this.#e, extended ? I64 : op.result as Type, 0);
  }

  #bytes(op: OpInfo): void {
    for (const byte of op.wasm) this.#e.u8(byte);
  }

  /** The guest address of an access into its local. */
  #address(op: OpInfo): void {
    const e = this.#e;
    const type = op.args[0];
    this.#slot(FIELD_A, type);
    this.#imm(FIELD_LO, type);
    this.#bytes(OPS[Op[type === I64 ? "i64.add" : "i32.add"]]);
    e.localSet(type === I64 ? LOCAL_PC64 : LOCAL_ADDRESS);
  }

  /** Pushes the guest address for the slow path. */
  #slowAddress(op: OpInfo): void {
    const e = this.#e;
    if (!isWide(op)) return e.localGet(LOCAL_ADDRESS);
    e.localGet(LOCAL_PC64);
    e.u8(F64_CONVERT_I64_S);
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

  /** Looks up what an access accesses, in the TLB whose number stands in a field; pushes whether that fails. */
  #lookUp(op: OpInfo, isStore: boolean, field: number, packed: boolean): void {
    const wide = isWide(op);
    const locals = wide ? WIDE_LOCALS : LOCALS;
    emitLookup(this.#e, locals, op.width, isStore, tlbOffset(wide), () => {
      this.#mmuIndex(field, packed);
      this.#e.i32Const(Math.log2(tlbBytes(wide)));
      this.#e.u8(W.I32_SHL);
    });
  }

  /** After a lookup that did not fail: pushes the host offset. */
  #host(op: OpInfo, isStore: boolean): void {
    const wide = isWide(op);
    const locals = wide ? WIDE_LOCALS : LOCALS;
    emitHost(this.#e, locals, tlbOffset(wide), isStore);
  }

  /** Sets the slot that is packed into a field. */
  #setPacked(field: number, type: Type, push: () => void): void {
    const e = this.#e;
    e.localGet(LOCAL_PC);
    e.mem(W.I32_LOAD16_U, field, 1);
    e.i32Const(~3);
    e.u8(W.I32_AND);
    e.localGet(LOCAL_CPU);
    e.u8(W.I32_ADD);
    push();
    emitSlotStore(e, type, 0);
  }

  /**
   * A load; `pops`: slot a plus `hi` then goes to the slot in b; `extended`: the
   * result becomes an i64 by zero extension.
   */
  load(op: OpInfo, pops = false, extended = false): void {
    const e = this.#e;
    const type = op.args[0];
    this.#address(op);
    this.#lookUp(op, false, FIELD_B, pops);
    e.u8(W.IF);
    e.u8(WASM_TYPES[I32]);
    this.#nesting++;
    this.#slowAddress(op);
    e.i32Const(op.width);
    this.#mmuIndex(FIELD_B, pops);
    e.u8(W.CALL);
    const { slowLoad, slowLoadWide } = this.#targets;
    e.u32(isWide(op) ? slowLoadWide : slowLoad);
    e.localTee(LOCAL_HOST);
    e.u8(W.I32_EQZ);
    this.#if();
    this.#fault(() => e.i32Const(EXIT_FAULT));
    this.#end();
    e.localGet(LOCAL_HOST);
    e.u8(W.ELSE);
    this.#host(op, false);
    this.#end();
    e.localSet(LOCAL_HOST);
    this.#slotAddress(FIELD_D);
    e.localGet(LOCAL_HOST);
    emitRawAccess(e, op, 0);
    this.#storeResult(op, extended);
    if (pops) {
      this.#setPacked(FIELD_B, type, () => {
        this.#slot(FIELD_A, type);
        this.#imm(FIELD_HI, type);
        this.#bytes(OPS[Op[type === I64 ? "i64.add" : "i32.add"]]);
      });
    }
    this.#next();
  }

  /** A store; `immediate`: of `hi`; `pushes`: the address then goes to the slot in d. */
  store(op: OpInfo, immediate: boolean, pushes = false): void {
    const e = this.#e;
    const value = (): void =>
      immediate
        ? this.#imm(FIELD_HI, op.args[1])
        : this.#slot(FIELD_B, op.args[1]);
    this.#address(op);
    this.#lookUp(op, true, FIELD_D, pushes);
    this.#if();
    emitValueStore(e, op, LOCAL_CPU, value);
    this.#slowAddress(op);
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
    const { slowStore, slowStoreWide } = this.#targets;
    e.u32(isWide(op) ? slowStoreWide : slowStore);
    this.#leaveOn();
    e.u8(W.ELSE);
    this.#host(op, true);
    value();
    emitRawAccess(e, op, 0);
    this.#end();
    if (pushes) {
      const local = isWide(op) ? LOCAL_PC64 : LOCAL_ADDRESS;
      this.#setPacked(FIELD_D, op.args[0], () => e.localGet(local));
    }
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

  /** Copies a slot. */
  move(type: Type): void {
    this.#slotAddress(FIELD_D);
    this.#slot(FIELD_A, type);
    emitSlotStore(this.#e, type, 0);
    this.#next();
  }

  /** Sets a slot to `lo` or, of 64 bits, to `lo`, `hi`. */
  constant(type: Type): void {
    const e = this.#e;
    this.#slotAddress(FIELD_D);
    e.localGet(LOCAL_PC);
    emitSlotLoad(e, type, FIELD_LO);
    emitSlotStore(e, type, 0);
    this.#next();
  }

  /** Sets slots d, b and a third one, each by copying a value of a type or to a word. */
  sets(type: Type, ...kinds: readonly ("move" | "const")[]): void {
    const targets = [FIELD_D, FIELD_B, FIELD_LO + 2];
    const sources = [FIELD_A, FIELD_LO];
    // The constants are the words behind what the copies need.
    let word = kinds.length === 2 && kinds[1] === "const" ? FIELD_LO : FIELD_HI;
    kinds.forEach((kind, i) => {
      this.#slotAddress(targets[i]);
      if (kind === "move") this.#slot(sources[i], type);
      else {
        this.#imm(word);
        word = FIELD_HI;
      }
      emitSlotStore(this.#e, kind === "move" ? type : I32, 0);
    });
    this.#next();
  }

  /** Sets a 32-bit slot to the word at host offset `lo`. */
  code32(): void {
    const e = this.#e;
    this.#slotAddress(FIELD_D);
    this.#imm(FIELD_LO);
    e.mem(W.I32_LOAD, 0, 0);
    emitSlotStore(e, I32, 0);
    this.#next();
  }

  /** Sets a 128-bit slot to the 16 bytes that follow. */
  const128(): void {
    const e = this.#e;
    this.#slotAddress(FIELD_D);
    e.localGet(LOCAL_PC);
    emitSlotLoad(e, V128, BYTECODE_BYTES);
    emitSlotStore(e, V128, 0);
    this.#next(2);
  }

  /** Calls a helper. */
  call(helper: Helper): void {
    const e = this.#e;
    if (!helper.faults) this.#slotAddress(FIELD_D);
    const fields = [FIELD_A, FIELD_B, FIELD_LO];
    argumentTypes(helper).forEach((type, i) => this.#slot(fields[i], type));
    e.u8(W.CALL);
    e.u32(this.#targets.helpers[helper.index]);
    if (helper.faults) this.#leaveOn();
    else emitSlotStore(e, I32, 0);
    this.#next();
  }

  /** Calls a helper without arguments if slot a is not 0. */
  callIf(helper: Helper): void {
    const e = this.#e;
    this.#slot(FIELD_A, I32);
    this.#if();
    e.u8(W.CALL);
    e.u32(this.#targets.helpers[helper.index]);
    if (helper.faults) this.#leaveOn();
    else e.u8(W.DROP);
    this.#end();
    this.#next();
  }

  /** Leaves with trap `lo` if slot a is not 0. */
  trap(): void {
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

  /** Through link cell `lo`. */
  jump(): void {
    this.#imm(FIELD_LO);
    this.#e.localSet(LOCAL_LINK);
    this.#enter();
  }

  /** With the target's program counter in LOCAL_PC64: the jump cache; `wide`: what lies behind it depends on the mode. */
  #lookup(wide: boolean): void {
    const e = this.#e;
    const low = (): void => {
      e.localGet(LOCAL_PC64);
      this.#bytes(OPS[Op["i32.wrap_i64"]]);
    };
    emitJumpHash(e, low);
    e.localGet(LOCAL_CPU);
    e.u8(W.I32_ADD);
    e.localSet(LOCAL_ENTRY);
    this.#probe(wide);
    e.localGet(LOCAL_CPU);
    e.localGet(LOCAL_PC64);
    e.mem(W.I64_STORE, OFF_TARGET, 3);
    e.localGet(LOCAL_CPU);
    if (wide) {
      e.localGet(LOCAL_CPU);
      e.mem(W.I32_LOAD, OFF_LOOKUP, 2);
    } else e.i32Const(TABLE_LOOKUP);
    e.u8(W.RETURN_CALL_INDIRECT);
    e.u32(this.#targets.run);
    e.u8(0);
  }

  /** Goes to the record of the entry in LOCAL_ENTRY if it is the one for LOCAL_PC64. */
  #probe(wide: boolean): void {
    const e = this.#e;
    emitJumpMatch(e, LOCAL_CPU, LOCAL_ENTRY, LOCAL_PC64);
    this.#if();
    emitSetPcBase(e, LOCAL_CPU, wide, () => {
      e.localGet(LOCAL_PC64);
      if (!wide) this.#bytes(OPS[Op["i32.wrap_i64"]]);
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

  /**
   * Through link cell `lo`, to another page: while the TLB of fetches has the
   * page where the cell's block is. The cell is near what has just run, and an
   * entry of that TLB serves a page of jumps; each has a line of the jump cache
   * to itself. `wide`: program counters have 64 bits.
   */
  jumpFar(wide: boolean): void {
    const e = this.#e;
    const word = (offset: number) => (): void => {
      e.localGet(LOCAL_LINK);
      e.mem(W.I32_LOAD, offset, 2);
    };
    const low = (): void => {
      e.localGet(LOCAL_PC64);
      this.#bytes(OPS[Op["i32.wrap_i64"]]);
    };
    this.#imm(FIELD_LO);
    e.localSet(LOCAL_LINK);
    emitGuestPc(e, LOCAL_CPU, wide, word(CELL_PC_LO), word(CELL_PC_HI));
    e.localSet(LOCAL_PC64);
    // The linear address: the two halves' sum (see Frontend.linear).
    low();
    if (!wide) {
      word(CELL_PC_HI)();
      e.u8(W.I32_ADD);
    }
    e.localTee(LOCAL_ENTRY);
    emitFetchEntry(e, LOCAL_CPU, wide);
    if (wide) {
      e.localTee(LOCAL_ENTRY);
      e.mem(W.I64_LOAD, 0, 3);
      e.localGet(LOCAL_PC64);
      e.i64Const(~4095, -1);
      this.#bytes(OPS[Op["i64.and"]]);
      e.u8(W.I64_EQ);
      e.localGet(LOCAL_ENTRY);
      e.mem(W.I32_LOAD, WIDE_FETCH_HOST, 2);
      word(CELL_RECORD)();
      e.mem(W.I32_LOAD, REC_HOST, 2);
      e.u8(W.I32_EQ);
      e.u8(W.I32_AND);
      this.#farEnd(wide, low, word);
      return;
    }
    e.mem(W.I64_LOAD, 0, 3);
    e.localGet(LOCAL_ENTRY);
    e.i32Const(~4095);
    e.u8(W.I32_AND);
    this.#bytes(OPS[Op["i64.extend_i32_u"]]);
    word(CELL_RECORD)();
    e.mem(W.I32_LOAD, REC_HOST, 2);
    this.#bytes(OPS[Op["i64.extend_i32_u"]]);
    e.i64Const(32, 0);
    this.#bytes(OPS[Op["i64.shl"]]);
    this.#bytes(OPS[Op["i64.or"]]);
    e.u8(W.I64_EQ);
    this.#farEnd(wide, low, word);
  }

  /** With whether the page is where the cell's block is pushed: to the block, or on. */
  #farEnd(
    wide: boolean,
    low: () => void,
    word: (offset: number) => () => void,
  ): void {
    const e = this.#e;
    this.#if();
    const all = (): void => e.localGet(LOCAL_PC64);
    emitSetPcBase(e, LOCAL_CPU, wide, wide ? all : low, word(CELL_RECORD));
    this.#enter();
    this.#end();
    // A cell that leads to no block yet, or to one across two pages.
    word(CELL_RECORD)();
    e.mem(W.I32_LOAD, REC_SELF, 2);
    e.u8(W.I32_EQZ);
    this.#if();
    this.#enter();
    this.#end();
    this.#lookup(wide);
  }

  /** To the program counter in slot a; its high half is in `hi`, unless the slot is `wide`. */
  indirect(wide: boolean): void {
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
    this.#lookup(wide);
  }

  /** As `indirect`, but to the dispatcher. */
  leaveTo(wide: boolean): void {
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

  /** Skips the next operation if slot a is not 0. */
  skip(): void {
    this.#slot(FIELD_A, I32);
    this.#if();
    this.#next(2);
    this.#end();
    this.#next();
  }

  /** Through link cell `lo` if slot a is not 0, else through `hi`. */
  branch(): void {
    this.#choose(() => this.#slot(FIELD_A, I32));
  }

  /** Through the cell `lo` if `push` pushes true, else through `hi`. */
  #choose(push: () => void): void {
    const e = this.#e;
    this.#imm(FIELD_LO);
    this.#imm(FIELD_HI);
    push();
    e.u8(W.SELECT);
    e.localSet(LOCAL_LINK);
    this.#enter();
  }

  /**
   * Through one of two link cells, as slots a and b compare; `immediate`: as
   * slot a and `hi` do.
   */
  branchCompare(op: OpInfo, immediate: boolean): void {
    const e = this.#e;
    const [type] = op.args;
    const push = (): void => {
      this.#slot(FIELD_A, type);
      if (immediate) this.#imm(FIELD_HI, type);
      else this.#slot(FIELD_B, type);
      this.#bytes(op);
    };
    if (!immediate) return this.#choose(push);
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

  /** Returns the reason `lo`. */
  exit(): void {
    this.#imm(FIELD_LO);
    this.#e.u8(W.RETURN);
  }
}
