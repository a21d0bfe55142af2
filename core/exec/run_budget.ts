/**
 * The instructions that a run may still execute, and those that a CPU has
 * executed at all. Translated code takes the budget down in the CPU's area; to
 * have it come back, the rest is taken away and given again later.
 *
 * @module
 */

import { OFF_BUDGET, OFF_INSTRUCTIONS } from "./layout.ts";

/** The most that one run is given. */
const MOST = 0x3fffffff;

/** The budget of one CPU's runs. */
export class RunBudget {
  /** Given to the current run. */
  granted = 0;
  /** Somebody wants the run to end. */
  isStopped = false;
  /** A run is in progress. */
  isRunning = false;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  /** Words at which what is left and what was executed stand. */
  readonly #left: number;
  readonly #total: number;
  /** What was taken away of it. */
  #stolen = 0;

  /** That of the CPU whose area is at `base`. */
  constructor(i32: Int32Array, f64: Float64Array, base: number) {
    this.#i32 = i32;
    this.#f64 = f64;
    this.#left = (base + OFF_BUDGET) >> 2;
    this.#total = (base + OFF_INSTRUCTIONS) >> 3;
  }

  /** Instructions executed before the current run. */
  get total(): number {
    return this.#f64[this.#total];
  }

  set total(value: number) {
    this.#f64[this.#total] = value;
  }

  /** Instructions executed, those of the current run included. */
  get instructions(): number {
    const total = this.#f64[this.#total];
    return this.isRunning
      ? total + this.granted - this.#stolen - this.#i32[this.#left]
      : total;
  }

  /** What is left, less what was taken away. */
  get left(): number {
    return this.#i32[this.#left];
  }

  set left(value: number) {
    this.#i32[this.#left] = value;
  }

  /** Makes running code come back at the next block boundary. */
  attention(): void {
    const left = this.#i32[this.#left];
    if (this.isRunning && left >= 0) {
      this.#stolen += left + 1;
      this.#i32[this.#left] = -1;
    }
  }

  /** Gives back what was taken away. */
  restore(): void {
    if (this.#stolen !== 0) {
      this.#i32[this.#left] += this.#stolen;
      this.#stolen = 0;
    }
  }

  /** Leaves so much, and takes the rest away: code comes back behind that. */
  keep(insns: number): void {
    const left = this.#i32[this.#left] - insns;
    this.#i32[this.#left] = insns;
    this.#stolen += left;
  }

  /** A run begins. */
  begin(maxInstructions: number): void {
    this.granted = Math.min(maxInstructions, MOST);
    this.#stolen = 0;
    this.#i32[this.#left] = this.granted;
    this.isRunning = true;
    this.isStopped = false;
  }

  /** It ends. */
  end(): void {
    this.restore();
    this.#f64[this.#total] += this.granted - this.#i32[this.#left];
    this.isRunning = false;
  }
}
