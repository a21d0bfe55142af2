/**
 * The bytecode of a block as it is written, operation by operation.
 *
 * Some operations that often follow each other become one. Copies and constants
 * (flags, above all) go together by two or three; a push is a store whose
 * address then goes to a slot, a pop a load with an addition. Only the access
 * of such an operation can fault, and it comes first; the instruction table
 * stays right, because an operation never stands before the place at which its
 * access's instruction begins.
 *
 * @module
 */

import { Op } from "../ir/ops.ts";
import { I32, I64, type Type } from "../ir/types.ts";
import type { Opcodes } from "./interpreter.ts";
import { OFF_TEMPS } from "./layout.ts";

const ADD = Op["i32.add"];
const ADD64 = Op["i64.add"];
const LD32 = Op["ld32"];
const LD64 = Op["ld64.64"];
const ST32 = Op["st32"];
const ST64 = Op["st64.64"];

/** Words of an operation. */
const OP_WORDS = 4;

/** Bytecode that is being written, into a buffer that is used again. */
export abstract class BytecodeBuffer {
  /** The bytecode; {@linkcode BytecodeBuffer.length} words are used. */
  words: Int32Array = new Int32Array(4096);
  /** Words (4 bytes) written. */
  length = 0;
  /** For each instruction: index of its first bytecode word, program counter, auxiliary word. */
  insnTable: Int32Array = new Int32Array(3 * 64);
  /** Instructions in {@linkcode BytecodeBuffer.insnTable}. */
  insns = 0;
  protected readonly opcodes: Opcodes;
  /** The operation that `takePush` made of two. */
  readonly #taken = new Int32Array(OP_WORDS);
  /** Word index of the first operation that may still become one with others. */
  #oldest = 0;

  /** An empty buffer for the opcodes of an interpreter. */
  constructor(opcodes: Opcodes) {
    this.opcodes = opcodes;
  }

  /** Begins anew. */
  protected start(): void {
    this.length = 0;
    this.insns = 0;
    this.#oldest = 0;
  }

  /** An instruction begins here. */
  protected beginInsn(pcLo: number, aux: number): void {
    const at = this.insns * 3;
    if (at + 3 > this.insnTable.length) {
      const grown = new Int32Array(this.insnTable.length * 2);
      grown.set(this.insnTable);
      this.insnTable = grown;
    }
    this.insnTable[at] = this.length;
    this.insnTable[at + 1] = pcLo;
    this.insnTable[at + 2] = aux;
    this.insns++;
  }

  /** Writes an operation. */
  protected put(
    opcode: number,
    d: number,
    a: number,
    b: number,
    lo: number,
    hi: number,
  ): void {
    if (this.length + 8 > this.words.length) {
      const grown = new Int32Array(this.words.length * 2);
      grown.set(this.words);
      this.words = grown;
    }
    const w = this.words;
    const p = this.length;
    w[p] = opcode | (d << 16);
    w[p + 1] = a | (b << 16);
    w[p + 2] = lo;
    w[p + 3] = hi;
    this.length = p + OP_WORDS;
  }

  /** Word index of the operation written last. */
  protected get last(): number {
    return this.length - OP_WORDS;
  }

  /** The opcode of the operation at a word index; -1 if that is not to be changed. */
  protected opcodeAt(p: number): number {
    return p < this.#oldest ? -1 : this.words[p] & 0xffff;
  }

  /** Copies a slot. */
  protected move(type: Type, d: number, a: number): void {
    const o = this.opcodes;
    const opcode = o.move[type];
    const sets = opcode === o.move[I32]
      ? o
      : opcode === o.move[I64]
      ? o.wideMoves
      : undefined;
    if (sets !== undefined) {
      const w = this.words;
      const p = this.last;
      const lastD = w[p] >>> 16;
      switch (this.opcodeAt(p)) {
        case opcode:
          w[p] = sets.moveMove | (lastD << 16);
          w[p + 1] |= d << 16;
          w[p + 2] = a;
          return;
        case o.const32:
          // The copy first, where that is the same.
          if (a === lastD || d === lastD) break;
          w[p] = sets.moveConst | (d << 16);
          w[p + 1] = a | (lastD << 16);
          return;
        case sets.moveConst: {
          const constD = w[p + 1] >>> 16;
          if (a === constD || d === constD) break;
          w[p] = sets.moveMoveConst | (lastD << 16);
          w[p + 1] = (w[p + 1] & 0xffff) | (d << 16);
          w[p + 3] = w[p + 2];
          w[p + 2] = a | (constD << 16);
          return;
        }
      }
    }
    this.put(opcode, d, a, 0, 0, 0);
  }

  /** Sets a 32-bit slot. */
  protected const32(d: number, value: number): void {
    const o = this.opcodes;
    const w = this.words;
    const p = this.last;
    const opcode = this.opcodeAt(p);
    switch (opcode) {
      case o.move[I32]:
      case o.move[I64]: {
        const sets = opcode === o.move[I32] ? o : o.wideMoves;
        w[p] = sets.moveConst | (w[p] & ~0xffff);
        w[p + 1] |= d << 16;
        w[p + 2] = value;
        return;
      }
      case o.moveMove:
      case o.wideMoves.moveMove: {
        const sets = opcode === o.moveMove ? o : o.wideMoves;
        w[p] = sets.moveMoveConst | (w[p] & ~0xffff);
        w[p + 2] |= d << 16;
        w[p + 3] = value;
        return;
      }
      case o.const32:
        w[p] = o.constConst | (w[p] & ~0xffff);
        w[p + 1] = d << 16;
        w[p + 3] = value;
        return;
    }
    this.put(o.const32, d, 0, 0, value, 0);
  }

  /** Sets a 128-bit slot: an operation, and 16 bytes behind it. */
  protected const128(d: number, bytes: Uint8Array): void {
    this.put(this.opcodes.const128, d, 0, 0, 0, 0);
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, 4);
    this.words.set(words, this.length);
    this.length += OP_WORDS;
    this.#oldest = this.length;
  }

  /**
   * Takes the last two operations back if with a copy of slot `temp` to that of
   * a global they are a push: a store, and its address computed into a temp
   * that nothing else needs. `#taken` is the one operation that is all of this.
   * `hasAliases`: the global's old value may still be needed.
   */
  protected takePush(
    temp: number,
    global: number,
    hasAliases: boolean,
  ): boolean {
    const o = this.opcodes;
    const w = this.words;
    const p = this.last;
    const q = p - OP_WORDS;
    const store = this.opcodeAt(p);
    const isWide = store === o.immediate[ST64] || store === o.slots[ST64];
    const st = isWide ? ST64 : ST32;
    const immediate = store === o.immediate[st];
    if (!immediate && store !== o.slots[st]) return false;
    const add = o.immediate[isWide ? ADD64 : ADD];
    const base = w[p + 1] & 0xffff;
    const value = w[p + 1] >>> 16;
    if (
      this.opcodeAt(q) !== add || w[q] >>> 16 !== temp ||
      (w[q + 1] & 0xffff) !== base || w[q + 2] !== w[p + 2] ||
      value === temp ||
      this.insnTable[this.insns * 3 - 3] > q
    ) return false;
    // To save the global's old value may take a temp that was free after the
    // store, and would now come before it.
    if (hasAliases && (base >= OFF_TEMPS || value >= OFF_TEMPS)) return false;
    const opcode = isWide
      ? immediate ? o.pushImmediateWide : o.pushWide
      : immediate
      ? o.pushImmediate
      : o.push;
    const taken = this.#taken;
    taken[0] = opcode | (global | (w[p] >>> 16)) << 16;
    for (let i = 1; i < OP_WORDS; i++) taken[i] = w[p + i];
    this.length = q;
    return true;
  }

  /** Writes what `takePush` took. */
  protected putTaken(): void {
    const t = this.#taken;
    this.put(
      t[0] & 0xffff,
      t[0] >>> 16,
      t[1] & 0xffff,
      t[1] >>> 16,
      t[2],
      t[3],
    );
  }

  /**
   * Makes the last operation, which adds a constant to a slot, one with the
   * load before it, if that has the same base. Between the two the base's
   * value may have been saved, because the sum goes to the base's own slot.
   */
  protected pop(isWide: boolean): void {
    const o = this.opcodes;
    const w = this.words;
    const move = o.move[isWide ? I64 : I32];
    const p = this.last;
    const d = w[p] >>> 16;
    const base = w[p + 1] & 0xffff;
    const imm = w[p + 2];
    let q = p - OP_WORDS;
    let saved = 0;
    if (
      base === d && this.opcodeAt(q) === move &&
      (w[q + 1] & 0xffff) === d
    ) {
      saved = w[q] >>> 16;
      q -= OP_WORDS;
    }
    const to = w[q] >>> 16;
    if (
      this.opcodeAt(q) !== o.slots[isWide ? LD64 : LD32] ||
      (w[q + 1] & 0xffff) !== base || to === saved
    ) return;
    const mmu = w[q + 1] >>> 16;
    const lo = w[q + 2];
    this.length = q;
    if (saved !== 0) this.put(move, saved, d, 0, 0, 0);
    this.put(isWide ? o.popWide : o.pop, to, base, d | mmu, lo, imm);
  }
}
