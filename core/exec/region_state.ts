/**
 * Locals of a region's function and the words of the CPU's area that they stand
 * for: guest registers and lazy flags, the budget, what an exit leaves behind.
 *
 * @module
 */

import type { Global } from "../ir/types.ts";
import type { Emitter } from "../wasm/emitter.ts";
import type { FunctionBody } from "../wasm/function_body.ts";
import * as W from "../wasm/opcodes.ts";
import { emitSlotLoad, emitSlotStore } from "./access.ts";
import { OFF_BUDGET } from "./layout.ts";
import { BUDGET, CPU, HOST, REASON } from "./region_locals.ts";
import type { RegionValues } from "./region_values.ts";

/** Emits what goes between the locals of a region's function and the CPU's area. */
export class RegionState {
  readonly #e: Emitter;
  readonly #values: RegionValues;
  readonly #globals: readonly Global[];

  /** Emits into `f`, whose globals have the locals that `values` says. */
  constructor(
    f: FunctionBody,
    values: RegionValues,
    globals: readonly Global[],
  ) {
    this.#e = f.e;
    this.#values = values;
    this.#globals = globals;
  }

  /** Stores a local to a word of the CPU's area. */
  storeLocal(offset: number, local: number): void {
    this.#e.localGet(CPU);
    this.#e.localGet(local);
    this.#e.mem(W.I32_STORE, offset, 2);
  }

  /** Stores globals from their locals. */
  spill(globals: readonly number[]): void {
    for (const g of globals) {
      const { type, offset } = this.#globals[g];
      this.#e.localGet(CPU);
      this.#e.localGet(this.#values.globalLocal[g]);
      emitSlotStore(this.#e, type, offset);
    }
  }

  /** Loads a global to its local. */
  reload(g: number): void {
    const { type, offset } = this.#globals[g];
    this.#e.localGet(CPU);
    emitSlotLoad(this.#e, type, offset);
    this.#e.localSet(this.#values.globalLocal[g]);
  }

  /** Sets a local of 32 bits. */
  setLocal(local: number, value: number): void {
    this.#e.i32Const(value);
    this.#e.localSet(local);
  }

  /** Stores the budget, for who counts outside of the function. */
  saveBudget(): void {
    this.storeLocal(OFF_BUDGET, BUDGET);
  }

  /** Loads it again. */
  loadBudget(): void {
    this.#e.localGet(CPU);
    this.#e.mem(W.I32_LOAD, OFF_BUDGET, 2);
    this.#e.localSet(BUDGET);
  }

  /** HOST is 1 (fault), 2 (modifies), 3 (no lookup): EXIT_FAULT is 3, EXIT_MODIFIED 6, EXIT_FORBIDDEN 9. */
  setReason(): void {
    const e = this.#e;
    e.localGet(HOST);
    e.i32Const(3);
    e.u8(0x6c); // i32.mul
    e.localSet(REASON);
  }
}
