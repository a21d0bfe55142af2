/**
 * The body of one WebAssembly function under construction: its instructions,
 * locals that are declared as they are needed, labels by name instead of by
 * depth, and the branches that are hardly ever taken.
 *
 * @module
 */

import { type Type, WASM_TYPES } from "../ir/types.ts";
import { Emitter } from "./emitter.ts";
import { BR, BR_TABLE, END, IF, VOID } from "./opcodes.ts";

/** Builds one function's body at a time. */
export class FunctionBody {
  /** Where the instructions go. */
  readonly e: Emitter = new Emitter(65536);
  /**
   * Offsets in what {@linkcode FunctionBody.finish} gave of the branches that
   * are hardly ever taken: for the branch hint section.
   */
  hints: number[] = [];
  /** Pairs for dumps: an offset like those of the hints, and what was given to {@linkcode FunctionBody.mark}. */
  marks: number[] = [];
  readonly #fixed: readonly Type[];
  #locals: Type[] = [];
  #labels: number[] = [];
  #loops: boolean[] = [];

  /** `fixed` are the types of the parameter and of the locals that every function has. */
  constructor(fixed: readonly Type[]) {
    this.#fixed = fixed;
  }

  /** Starts a new body. */
  start(): void {
    this.e.clear();
    this.hints = [];
    this.marks = [];
    this.#locals = [];
    this.#labels = [];
    this.#loops = [];
  }

  /** Declares a local: its index. */
  newLocal(type: Type): number {
    this.#locals.push(type);
    return this.#fixed.length + this.#locals.length - 1;
  }

  /** Opens a `block`, `loop` or `if` without a result, known as `label`. */
  open(opcode: number, label: number, loop: boolean): void {
    this.e.u8(opcode);
    this.e.u8(VOID);
    this.#labels.push(label);
    this.#loops.push(loop);
  }

  /** The `if` or `br_if` that is emitted next is hardly ever taken. */
  unlikely(): void {
    this.hints.push(this.e.length);
  }

  /** What is emitted next belongs to `mark`, a number for dumps. */
  mark(mark: number): void {
    this.marks.push(this.e.length, mark);
  }

  /** Opens an `if`, known as `label`, that is hardly ever entered. */
  openUnlikely(label: number): void {
    this.unlikely();
    this.open(IF, label, false);
  }

  /** Closes what was opened last. */
  close(): void {
    this.e.u8(END);
    this.#labels.pop();
    this.#loops.pop();
  }

  /** Branches by `opcode` to the innermost open `label`; throws if there is none. */
  br(label: number, loop = false, opcode: number = BR): void {
    for (let i = this.#labels.length - 1; i >= 0; i--) {
      if (this.#labels[i] === label && this.#loops[i] === loop) {
        this.e.u8(opcode);
        this.e.u32(this.#labels.length - 1 - i);
        return;
      }
    }
    throw new Error(`no label ${label} is open`);
  }

  /** Branches by the index on the stack to one of the open labels, or to `other` beyond them. */
  brTable(labels: readonly number[], other: number): void {
    this.e.u8(BR_TABLE);
    this.e.u32(labels.length);
    for (const label of [...labels, other]) {
      this.e.u32(this.#labels.length - 1 - this.#labels.lastIndexOf(label));
    }
  }

  /** The locals' declarations and the instructions, without the last `end`. */
  finish(): Uint8Array {
    const head = new Emitter(64);
    // The first of the fixed ones is the parameter; runs of a type are one entry.
    const runs: [number, number][] = [];
    for (const t of [...this.#fixed.slice(1), ...this.#locals]) {
      const code = WASM_TYPES[t];
      const last = runs.at(-1);
      if (last?.[1] === code) last[0]++;
      else runs.push([1, code]);
    }
    head.u32(runs.length);
    for (const [count, code] of runs) {
      head.u32(count);
      head.u8(code);
    }
    this.hints = this.hints.map((offset) => offset + head.length);
    for (let i = 0; i < this.marks.length; i += 2) this.marks[i] += head.length;
    const out = new Uint8Array(head.length + this.e.length);
    out.set(head.bytes.subarray(0, head.length));
    out.set(this.e.bytes.subarray(0, this.e.length), head.length);
    return out;
  }
}
