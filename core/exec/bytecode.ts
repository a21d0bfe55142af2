/**
 * Lowers the IR of a block to the interpreter's bytecode.
 *
 * Every value gets a *slot*: a global's own slot while the global still holds
 * the value, else a temp slot. Two things keep copies rare: a read of a global
 * is no operation, its uses read the global's slot (and only a write to the
 * global while the old value is still needed saves that value first); and an
 * operation whose result goes to a global writes the global's slot directly if
 * nothing in between can see the difference.
 *
 * How operations are written: see bytecode_buffer.ts.
 *
 * @module
 */

import {
  type IrBlock,
  TERM_BRANCH,
  TERM_EXIT,
  TERM_INDIRECT,
  TERM_JUMP,
  type Value,
} from "../ir/block.ts";
import { CALLS, LOADS, Op, OPS, STORES } from "../ir/ops.ts";
import { type Global, I64 } from "../ir/types.ts";
import { BytecodeBuffer } from "./bytecode_buffer.ts";
import type { Opcodes } from "./interpreter.ts";
import { CELL_BYTES, OFF_TEMPS, OFF_TEMPS_END, OFF_ZERO } from "./layout.ts";

const NOP = Op["nop"];
const INSN = Op["insn"];
const CONST32 = Op["const32"];
const CONST64 = Op["const64"];
const CONSTF64 = Op["constf64"];
const CONSTF32 = Op["constf32"];
const CONST128 = Op["const128"];
const FIRST_GET = Op["get32"];
const LAST_GET = Op["get128"];
const FIRST_SET = Op["set32"];
const LAST_SET = Op["set128"];
const CALL_IF = Op["callif"];
const TRAP = Op["trap"];
const CODE32 = Op["code32"];
const ADD = Op["i32.add"];
const ADD64 = Op["i64.add"];
const EQ = Op["i32.eq"];
const EQZ = Op["i32.eqz"];
const EQ64 = Op["i64.eq"];
const EQZ64 = Op["i64.eqz"];
const WRAP = Op["i32.wrap_i64"];
const EXTEND_U = Op["i64.extend_i32_u"];
const EFFECTS: Uint8Array = Uint8Array.from(OPS, (o) => o.effects);
const ARGC: Uint8Array = Uint8Array.from(OPS, (o) => o.args.length);

/** A value that needs more temps than the state has room for: the block must be cut. */
export class TooManyTemps extends Error {}

/** Bytes of a temp slot. */
const TEMP_BYTES = 16;

/** How far ahead a `set` of an operation's result is looked for. */
const LOOK_AHEAD = 8;

/** Where a jump of the block goes: whether its target is on the same page. */
export interface BytecodeTargets {
  /** Address of the block's two adjacent link cells (taken, other). */
  readonly cells: number;
  /** Whether the taken target may be linked directly. */
  readonly takenNear: boolean;
  /** Offset of the block's profile, for a computed jump; else 0. */
  readonly profile: number;
  /** Whether the other target may be linked directly. */
  readonly otherNear: boolean;
  /** Computed jumps leave to the dispatcher as well. */
  readonly alone: boolean;
  /** Program counters have 64 bits. */
  readonly wide: boolean;
}

/** Lowers blocks into a buffer that it reuses. */
export class BytecodeWriter extends BytecodeBuffer {
  /** Instructions lowered since the writer was made. */
  totalInsns = 0;
  /** Blocks lowered since the writer was made. */
  totalBlocks = 0;
  /** Accesses to guest memory in them. */
  totalAccesses = 0;

  readonly #globals: readonly Global[];
  /** Slot of each value; 0: none yet (constants). */
  #slot: Int32Array = new Int32Array(256);
  /** Uses left of each value. */
  #left: Int32Array = new Int32Array(256);
  /** Next value in the list of those that live in the same global's slot. */
  #nextAlias: Int32Array = new Int32Array(256);
  /** The global in whose slot each value lives, if it lives in one. */
  #aliasOf: Int32Array = new Int32Array(256);
  /** First value that lives in each global's slot, or 0. */
  readonly #aliases: Int32Array;
  /** Globals that had aliases in this block, each once for each time that it got its first. */
  #aliased: Int32Array = new Int32Array(64);
  #aliasedCount = 0;
  /** Free temp slots. */
  readonly #free = new Int32Array((OFF_TEMPS_END - OFF_TEMPS) / TEMP_BYTES);
  #freeCount = 0;
  #nextTemp = OFF_TEMPS;
  #block!: IrBlock;

  /** A writer for a frontend's globals. */
  constructor(opcodes: Opcodes, globals: readonly Global[]) {
    super(opcodes);
    this.#globals = globals;
    this.#aliases = new Int32Array(globals.length);
  }

  /** Lowers a block after liveness; `uses` counts the uses of its values. */
  write(block: IrBlock, uses: Int32Array, targets: BytecodeTargets): void {
    this.#block = block;
    this.start();
    this.#freeCount = 0;
    this.#nextTemp = OFF_TEMPS;
    for (let i = 0; i < this.#aliasedCount; i++) {
      this.#aliases[this.#aliased[i]] = 0;
    }
    this.#aliasedCount = 0;
    const n = block.values;
    if (this.#slot.length < n) {
      this.#slot = new Int32Array(block.valueType.length);
      this.#left = new Int32Array(block.valueType.length);
      this.#nextAlias = new Int32Array(block.valueType.length);
      this.#aliasOf = new Int32Array(block.valueType.length);
    }
    for (let v = 0; v < n; v++) {
      this.#slot[v] = 0;
      this.#left[v] = uses[v];
    }

    // A compare that only decides the final branch is done by the branch.
    let fused = 0;
    if (
      block.term === TERM_BRANCH && uses[block.termValue] === 1 &&
      targets.takenNear && targets.otherNear
    ) {
      const op = block.op[block.valueDef[block.termValue]];
      if (
        op === EQZ || op === EQZ64 || this.opcodes.branchCompare[op] >= 0
      ) {
        fused = block.termValue;
      }
    }

    const ops = block.op;
    for (let i = 0; i < block.length; i++) {
      const op = ops[i];
      if (op === NOP) continue;
      if (op === INSN) {
        this.beginInsn(block.lo[i], block.hi[i]);
        continue;
      }
      if (op >= CONST32 && op <= CONST128) continue; // made where they are used
      if (op >= FIRST_GET && op <= LAST_GET) {
        this.#alias(block.dst[i], block.lo[i]);
        continue;
      }
      if (op >= FIRST_SET && op <= LAST_SET) {
        this.#set(block.a[i], block.lo[i]);
        continue;
      }
      if (fused !== 0 && block.dst[i] === fused) continue;
      const effects = EFFECTS[op];
      if ((effects & (LOADS | STORES)) !== 0) this.totalAccesses++;
      if ((effects & LOADS) !== 0) this.#load(i);
      else if ((effects & STORES) !== 0) this.#store(i);
      else if ((effects & CALLS) !== 0) this.#call(i);
      else if (op === TRAP) this.#trap(i);
      else if (op === CODE32) {
        this.#finish(i, this.opcodes.code32, 0, 0, block.lo[i]);
      } else this.#pure(i);
    }
    this.#terminator(targets, fused);
    this.totalInsns += this.insns;
    this.totalBlocks++;
  }

  #allocTemp(): number {
    if (this.#freeCount > 0) return this.#free[--this.#freeCount];
    if (this.#nextTemp >= OFF_TEMPS_END) throw new TooManyTemps();
    this.#nextTemp += TEMP_BYTES;
    return this.#nextTemp - TEMP_BYTES;
  }

  /** The value now lives in a global's slot. */
  #alias(v: Value, g: number): void {
    this.#slot[v] = this.#globals[g].offset;
    if (this.#aliases[g] === 0) this.#noteAliased(g);
    this.#nextAlias[v] = this.#aliases[g];
    this.#aliases[g] = v;
    this.#aliasOf[v] = g;
  }

  #noteAliased(g: number): void {
    if (this.#aliasedCount === this.#aliased.length) {
      const grown = new Int32Array(this.#aliased.length * 2);
      grown.set(this.#aliased);
      this.#aliased = grown;
    }
    this.#aliased[this.#aliasedCount++] = g;
  }

  /** A global's slot is about to be overwritten: saves the values that are still needed. */
  #evict(g: number): void {
    let v = this.#aliases[g];
    if (v === 0) return;
    this.#aliases[g] = 0;
    let saved = 0;
    while (v !== 0) {
      const next = this.#nextAlias[v];
      if (this.#left[v] > 0) {
        if (saved === 0) {
          saved = this.#allocTemp();
          const type = this.#globals[g].type;
          this.move(type, saved, this.#globals[g].offset);
          this.#slot[v] = saved;
        } else {
          // A second value of the same global has the same contents, but each
          // temp slot belongs to one value, which frees it.
          const slot = this.#allocTemp();
          this.move(this.#globals[g].type, slot, saved);
          this.#slot[v] = slot;
        }
      }
      v = next;
    }
  }

  /** Whether an operation's immediate form can have a value: an i32 constant, or an i64 one that is its low half's sign extension. */
  #isImmediate(v: Value): boolean {
    const k = this.#block;
    const def = k.valueDef[v];
    return k.op[def] === CONST32 ||
      k.op[def] === CONST64 && k.hi[def] === k.lo[def] >> 31;
  }

  /** The slot that holds a value, making constants as needed. */
  #use(v: Value): number {
    const known = this.#slot[v];
    if (known !== 0) return known;
    const k = this.#block;
    const def = k.valueDef[v];
    const op = k.op[def];
    const lo = k.lo[def];
    if (op === CONST32 && lo === 0) return OFF_ZERO;
    const slot = this.#allocTemp();
    this.#slot[v] = slot;
    switch (op) {
      case CONST32:
      case CONSTF32:
        this.const32(slot, lo);
        break;
      case CONST64:
      case CONSTF64:
        this.put(this.opcodes.const64, slot, 0, 0, lo, k.hi[def]);
        break;
      case CONST128:
        this.const128(slot, k.pool[lo]);
        break;
      default:
        throw new Error(
          `value ${v} (${OPS[op].name}) is used before it has a slot`,
        );
    }
    return slot;
  }

  /** One use of a value is done: frees its temp after the last. */
  #release(v: Value): void {
    if (v === 0) return;
    if (--this.#left[v] === 0) {
      const slot = this.#slot[v];
      if (slot >= OFF_TEMPS) {
        this.#free[this.#freeCount++] = slot;
        this.#slot[v] = 0;
      }
    }
  }

  #set(v: Value, g: number): void {
    const offset = this.#globals[g].offset;
    if (this.#slot[v] === offset) {
      // Computed in place. Older aliases were saved then.
      this.#release(v);
      return;
    }
    const isPush = this.#left[v] === 1 && this.#slot[v] >= OFF_TEMPS
      ? this.takePush(this.#slot[v], offset, this.#aliases[g] !== 0)
      : false;
    this.#left[v]--; // not a reason to save v itself
    this.#evict(g);
    this.#left[v]++;
    if (isPush) {
      this.putTaken();
      this.#release(v);
      return;
    }
    const k = this.#block;
    const def = k.valueDef[v];
    const op = k.op[def];
    if (this.#slot[v] === 0 && (op === CONST32 || op === CONSTF32)) {
      this.const32(offset, k.lo[def]);
      this.#release(v);
      return;
    }
    if (this.#slot[v] === 0 && (op === CONST64 || op === CONSTF64)) {
      this.put(this.opcodes.const64, offset, 0, 0, k.lo[def], k.hi[def]);
      this.#release(v);
      return;
    }
    this.move(this.#globals[g].type, offset, this.#use(v));
    this.#release(v);
  }

  /** The slot for the result of operation `i`: a global's if its `set` may be done here. */
  #result(i: number): number {
    const k = this.#block;
    const v = k.dst[i];
    const g = this.#target(i, v);
    if (g >= 0) {
      // Values that the old contents are still needed for were ruled out.
      this.#evict(g);
      this.#alias(v, g);
      return this.#globals[g].offset;
    }
    const slot = this.#allocTemp();
    this.#slot[v] = slot;
    return slot;
  }

  /** The global that value `v` of operation `i` can be computed into, or -1. */
  #target(i: number, v: Value): number {
    const k = this.#block;
    const end = Math.min(k.length, i + 1 + LOOK_AHEAD);
    for (let j = i + 1; j < end; j++) {
      const op = k.op[j];
      if (op === NOP || op === INSN || (op >= CONST32 && op <= CONST128)) {
        continue;
      }
      if (op >= FIRST_SET && op <= LAST_SET) {
        if (k.a[j] !== v) continue;
        return this.#freeBetween(i, j, k.lo[j]) ? k.lo[j] : -1;
      }
      if (op >= FIRST_GET && op <= LAST_GET) continue;
      if (EFFECTS[op] !== 0) return -1; // may leave: the old value must be seen
    }
    return -1;
  }

  /** Whether between operations `i` and `j` nothing reads or writes global `g`, nor needs its old value at or after. */
  #freeBetween(i: number, j: number, g: number): boolean {
    const k = this.#block;
    for (let m = i + 1; m < j; m++) {
      const op = k.op[m];
      if (op >= FIRST_GET && op <= LAST_SET && k.lo[m] === g) return false;
    }
    // Operands of i itself are read before the result is written; they were
    // released already, so an alias that is still needed is needed later.
    for (let v = this.#aliases[g]; v !== 0; v = this.#nextAlias[v]) {
      if (this.#left[v] > 0) return false;
    }
    return true;
  }

  /**
   * The low half of an i64 is where the i64 is: no operation, unless the i64 is
   * in a temp that is needed further.
   */
  #wrap(i: number): boolean {
    const k = this.#block;
    const v = k.a[i];
    const slot = this.#slot[v];
    if (slot === 0) return false;
    if (slot < OFF_TEMPS) {
      this.#alias(k.dst[i], this.#aliasOf[v]);
      this.#release(v);
      return true;
    }
    if (this.#left[v] !== 1) return false;
    this.#slot[k.dst[i]] = slot;
    this.#slot[v] = 0;
    this.#left[v] = 0;
    return true;
  }

  /**
   * Makes the zero extension of what the last operation has computed, which
   * nothing else needs, a part of that operation.
   */
  #extend(i: number): boolean {
    const k = this.#block;
    const v = k.a[i];
    const slot = this.#slot[v];
    if (this.#left[v] !== 1 || slot < OFF_TEMPS) return false;
    const w = this.words;
    const p = this.last;
    const last = this.opcodeAt(p);
    if (last < 0 || w[p] >>> 16 !== slot) return false;
    const opcode = this.opcodes.extended[last];
    if (opcode < 0) return false;
    const a = w[p + 1] & 0xffff, b = w[p + 1] >>> 16;
    // To save a global's old value may take a temp that the operation reads.
    const g = this.#target(i, k.dst[i]);
    if (
      g >= 0 && this.#aliases[g] !== 0 && (a >= OFF_TEMPS || b >= OFF_TEMPS)
    ) return false;
    const lo = w[p + 2], hi = w[p + 3];
    this.length = p;
    this.#release(v);
    const d = this.#result(i);
    this.put(opcode, d, a, b, lo, hi);
    if (this.#left[k.dst[i]] === 0) this.#discard(k.dst[i]);
    return true;
  }

  #pure(i: number): void {
    const k = this.#block;
    const op = k.op[i];
    if (op === WRAP && this.#wrap(i)) return;
    if (op === EXTEND_U && this.#extend(i)) return;
    const argc = ARGC[op];
    const a = this.#use(k.a[i]);
    if (argc === 1) {
      this.#release(k.a[i]);
      this.#finish(i, this.opcodes.slots[op], a, 0, 0);
      return;
    }
    if (argc === 2) {
      const immediate = this.opcodes.immediate[op];
      if (immediate >= 0 && this.#isImmediate(k.b[i])) {
        const value = k.lo[k.valueDef[k.b[i]]];
        this.#release(k.a[i]);
        this.#release(k.b[i]);
        this.#finish(i, immediate, a, 0, value);
        if (op === ADD || op === ADD64) this.pop(op === ADD64);
        return;
      }
      const b = this.#use(k.b[i]);
      this.#release(k.a[i]);
      this.#release(k.b[i]);
      this.#finish(i, this.opcodes.slots[op], a, b, 0);
      return;
    }
    const b = this.#use(k.b[i]);
    const c = this.#use(k.c[i]);
    this.#release(k.a[i]);
    this.#release(k.b[i]);
    this.#release(k.c[i]);
    this.#finish(i, this.opcodes.slots[op], a, b, c);
  }

  #finish(i: number, opcode: number, a: number, b: number, lo: number): void {
    // #result may move other values out of the way first, which reads slots
    // but changes none of the operands'.
    const d = this.#result(i);
    this.put(opcode, d, a, b, lo, 0);
    const v = this.#block.dst[i];
    if (this.#left[v] === 0) this.#discard(v);
  }

  /** Nothing uses the value. */
  #discard(v: Value): void {
    const slot = this.#slot[v];
    if (slot >= OFF_TEMPS) {
      this.#free[this.#freeCount++] = slot;
      this.#slot[v] = 0;
    }
  }

  #load(i: number): void {
    const k = this.#block;
    const a = this.#use(k.a[i]);
    this.#release(k.a[i]);
    const d = this.#result(i);
    this.put(this.opcodes.slots[k.op[i]], d, a, k.hi[i], k.lo[i], 0);
    if (this.#left[k.dst[i]] === 0) this.#discard(k.dst[i]);
  }

  #store(i: number): void {
    const k = this.#block;
    const op = k.op[i];
    const a = this.#use(k.a[i]);
    const immediate = this.opcodes.immediate[op];
    if (immediate >= 0 && this.#isImmediate(k.b[i])) {
      const value = k.lo[k.valueDef[k.b[i]]];
      this.put(immediate, k.hi[i], a, 0, k.lo[i], value);
    } else {
      const b = this.#use(k.b[i]);
      this.put(this.opcodes.slots[op], k.hi[i], a, b, k.lo[i], 0);
    }
    this.#release(k.a[i]);
    this.#release(k.b[i]);
  }

  #call(i: number): void {
    const k = this.#block;
    const op = k.op[i];
    const helper = k.lo[i];
    const a = k.a[i] === 0 ? 0 : this.#use(k.a[i]);
    if (op === CALL_IF) {
      this.#evictWrites();
      this.put(
        this.opcodes.callIf[helper],
        0,
        a === 0 ? 0 : this.#use(k.a[i]),
        0,
        0,
        0,
      );
      this.#release(k.a[i]);
      return;
    }
    const b = k.b[i] === 0 ? 0 : this.#use(k.b[i]);
    const c = k.c[i] === 0 ? 0 : this.#use(k.c[i]);
    // The operands are read before the helper runs; what else lives in slots
    // that it may write has to be saved.
    const left = this.#left;
    left[k.a[i]]--; // (the count of value 0 means nothing)
    left[k.b[i]]--;
    left[k.c[i]]--;
    this.#evictWrites();
    left[k.a[i]]++;
    left[k.b[i]]++;
    left[k.c[i]]++;
    let d = 0;
    const v = k.dst[i];
    if (this.#left[v] > 0 || k.hi[i] === 0) {
      d = this.#allocTemp();
      this.#slot[v] = d;
    }
    this.put(this.opcodes.call[helper], d, a, b, c, 0);
    this.#release(k.a[i]);
    this.#release(k.b[i]);
    this.#release(k.c[i]);
    if (this.#left[v] === 0) this.#discard(v);
  }

  /** Before a helper: values that live in globals' slots and are still needed get slots of their own. */
  #evictWrites(): void {
    // Which globals the helper writes hardly matters: few values live here.
    const count = this.#aliasedCount;
    for (let i = 0; i < count; i++) this.#evict(this.#aliased[i]);
  }

  #trap(i: number): void {
    const k = this.#block;
    this.put(this.opcodes.trap, 0, this.#use(k.a[i]), 0, k.lo[i], 0);
    this.#release(k.a[i]);
  }

  #terminator(targets: BytecodeTargets, fused: Value): void {
    const k = this.#block;
    const o = this.opcodes;
    const jumpFar = targets.wide ? o.jumpFarWide : o.jumpFar;
    switch (k.term) {
      case TERM_JUMP:
        if (targets.takenNear) this.put(o.jump, 0, 0, 0, targets.cells, 0);
        else this.put(jumpFar, 0, 0, 0, targets.cells, 0);
        return;
      case TERM_BRANCH: {
        const taken = targets.cells;
        const other = targets.cells + CELL_BYTES;
        if (fused !== 0) {
          const def = k.valueDef[fused];
          const op = k.op[def];
          if (op === EQZ || op === EQZ64) {
            const a = this.#use(k.a[def]);
            const eq = op === EQZ ? EQ : EQ64;
            this.put(o.branchCompareImmediate[eq], 0, a, 0, taken, 0);
          } else if (this.#isImmediate(k.b[def])) {
            const value = k.lo[k.valueDef[k.b[def]]];
            this.put(
              o.branchCompareImmediate[op],
              0,
              this.#use(k.a[def]),
              0,
              taken,
              value,
            );
          } else {
            const a = this.#use(k.a[def]);
            const b = this.#use(k.b[def]);
            this.put(o.branchCompare[op], 0, a, b, taken, other);
          }
          return;
        }
        const a = this.#use(k.termValue);
        if (targets.takenNear && targets.otherNear) {
          this.put(o.branch, 0, a, 0, taken, other);
          return;
        }
        this.put(o.skip, 0, a, 0, 0, 0);
        if (targets.otherNear) this.put(o.jump, 0, 0, 0, other, 0);
        else this.put(jumpFar, 0, 0, 0, other, 0);
        if (targets.takenNear) this.put(o.jump, 0, 0, 0, taken, 0);
        else this.put(jumpFar, 0, 0, 0, taken, 0);
        return;
      }
      case TERM_INDIRECT: {
        const a = this.#use(k.termValue);
        const wide = k.typeOf(k.termValue) === I64;
        const op = targets.alone
          ? wide ? o.leave64 : o.leave32
          : wide
          ? o.indirect64
          : o.indirect32;
        this.put(op, 0, a, 0, targets.profile, wide ? 0 : k.pcHi);
        return;
      }
      case TERM_EXIT:
        this.put(o.exit, 0, 0, 0, k.reason, 0);
        return;
      default:
        throw new Error("the block was not ended");
    }
  }
}
