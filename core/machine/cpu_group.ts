/**
 * Several CPUs that take turns in one thread, seen as one by the run loop.
 *
 * A turn ends between instructions: after `TURN` of them, when the CPU waits
 * (HLT), or when it says that it only waits for another (PAUSE). So whatever
 * one instruction does to memory is atomic, and with `icount` the turns, and
 * with them the run, are always the same. A CPU that waits costs a question
 * in each round.
 *
 * @module
 */

import { StateError, type StateRecord } from "../state/state.ts";
import type { CpuCore, CpuExit, EntryState } from "./cpu.ts";

/**
 * Instructions in a turn: some 30 us. To give the turn to the next CPU costs
 * about 2; longer turns let a CPU wait longer for what another one does.
 */
const TURN = 10_000;
/**
 * What a turn takes of the slice at least: where all CPUs only wait for time
 * to pass, a slice would be very long otherwise.
 */
const LEAST = 200;
/** Names of counters that are rates. */
const RATE = /Percent$|PerMillion$/;

/** All CPUs of a machine. */
export class CpuGroup implements CpuCore {
  readonly #cpus: readonly CpuCore[];
  readonly #keepsTurns: boolean;
  /** Whose turn it is. */
  #turn = 0;
  /** Instructions left of it. */
  #left = TURN;
  #running = -1;
  #stop = false;
  #quiet = false;
  /** The CPU that a debugger lets run alone. */
  #only: number | undefined;

  /**
   * A group of these CPUs; the first one is where a loader starts. `keepsTurns`:
   * a turn goes on after a `run` that ended within it, so that turns are the
   * same however a run is divided.
   */
  constructor(cpus: readonly CpuCore[], keepsTurns = false) {
    this.#cpus = cpus;
    this.#keepsTurns = keepsTurns;
  }

  /** The CPU that is executing an instruction; -1 between turns. */
  get running(): number {
    return this.#running;
  }

  /** Whose turn it is, or will be. */
  get turn(): number {
    return this.#turn;
  }

  /** Let one CPU alone run, while a debugger steps; all again if that is undefined. */
  set only(cpu: number | undefined) {
    this.#only = cpu;
  }

  /** See `CpuCore.quiet`. */
  get quiet(): boolean {
    return this.#quiet;
  }

  set quiet(value: boolean) {
    if (value === this.#quiet) return;
    this.#quiet = value;
    for (const cpu of this.#cpus) cpu.quiet = value;
  }

  /** Those of all CPUs together. */
  get instructions(): number {
    const cpus = this.#cpus;
    let sum = 0;
    for (let i = 0; i < cpus.length; i++) sum += cpus[i].instructions;
    return sum;
  }

  /** See `CpuCore.reset`. */
  reset(): void {
    this.#turn = 0;
    this.#left = TURN;
    for (const cpu of this.#cpus) cpu.reset();
  }

  /** The first CPU starts; the others wait for it. */
  enter(state: EntryState): void {
    this.#cpus[0].enter(state);
  }

  /**
   * Let the CPUs execute at most about `maxInstructions` together. All of them
   * wait: `halted` if the interrupt line may wake one.
   */
  run(maxInstructions: number): CpuExit {
    const cpus = this.#cpus;
    this.#stop = false;
    if (this.#only !== undefined) return this.#runOnly(maxInstructions);
    let left = maxInstructions;
    let waiting = 0;
    let wakeable = false;
    for (;;) {
      if (this.#stop) return "stop";
      if (left <= 0) return "budget";
      if (this.#left <= 0) this.#pass();
      const cpu = cpus[this.#turn];
      const before = cpu.instructions;
      this.#running = this.#turn;
      const exit = cpu.run(Math.min(left, this.#left));
      this.#running = -1;
      if (exit === "shutdown") return exit;
      const done = cpu.instructions - before;
      this.#left -= done;
      // A debugger finds the turn where it was.
      if (exit === "debug") return exit;
      const goesOn = this.#keepsTurns && this.#left > 0 && done > 0 &&
        (exit === "budget" || exit === "stop" && this.#stop);
      if (!goesOn) this.#pass();
      if (done === 0 && (exit === "halted" || exit === "dead")) {
        if (exit === "halted") wakeable = true;
        if (++waiting === cpus.length) return wakeable ? "halted" : "dead";
        continue;
      }
      waiting = 0;
      wakeable = false;
      left -= Math.max(done, LEAST);
    }
  }

  /** The next CPU has its turn. */
  #pass(): void {
    this.#turn = (this.#turn + 1) % this.#cpus.length;
    this.#left = TURN;
  }

  #runOnly(maxInstructions: number): CpuExit {
    this.#turn = this.#running = this.#only!;
    const exit = this.#cpus[this.#turn].run(maxInstructions);
    this.#running = -1;
    // The others could wake it.
    return exit === "dead" ? "halted" : exit;
  }

  /** See `CpuCore.requestStop`. */
  requestStop(): void {
    this.#stop = true;
    if (this.#running >= 0) this.#cpus[this.#running].requestStop();
  }

  /** The line of the first CPU. */
  setIrq(level: boolean): void {
    this.#cpus[0].setIrq(level);
  }

  /** The line of the first CPU. */
  nmi(): void {
    this.#cpus[0].nmi();
  }

  /** The lines of all CPUs. */
  setInput(name: string, level: boolean): void {
    for (const cpu of this.#cpus) cpu.setInput(name, level);
  }

  /** See `CpuCore.invalidate`. */
  invalidate(physical: number, length: number): void {
    for (const cpu of this.#cpus) cpu.invalidate(physical, length);
  }

  /** See `CpuCore.watchWrites`: the first store of any CPU is told. */
  watchWrites(physical: number, length: number, changed: () => void): void {
    let told = false;
    const once = (): void => {
      if (told) return;
      told = true;
      changed();
    };
    for (const cpu of this.#cpus) cpu.watchWrites?.(physical, length, once);
  }

  /** See `CpuCore.flushMapping`. */
  flushMapping(): void {
    for (const cpu of this.#cpus) cpu.flushMapping();
  }

  /** See `CpuCore.forgetMappings`. */
  forgetMappings(): void {
    for (const cpu of this.#cpus) cpu.forgetMappings?.();
  }

  /** The state of all CPUs, and whose turn it is. */
  save(): StateRecord {
    if (this.#left <= 0) this.#pass();
    const cpus: Record<string, StateRecord> = {};
    this.#cpus.forEach((cpu, i) => cpus[`cpu${i}`] = cpu.save());
    return this.#keepsTurns
      ? { turn: this.#turn, left: this.#left, ...cpus }
      : { turn: this.#turn, ...cpus };
  }

  /**
   * Restore what `save` gave, also of a group that did not keep its turns: a
   * recording may go on from there, with a new turn.
   */
  load(record: StateRecord): void {
    const { turn, left = TURN, ...cpus } = record;
    const count = this.#cpus.length;
    if (
      typeof turn !== "number" || !Number.isInteger(turn) || turn < 0 ||
      turn >= count
    ) {
      throw new StateError("cpu.turn", "expected the number of a CPU");
    }
    if (
      typeof left !== "number" || !Number.isInteger(left) || left < 1 ||
      left > TURN
    ) {
      throw new StateError("cpu.left", `expected 1 to ${TURN} instructions`);
    }
    if (Object.keys(cpus).length !== count) {
      throw new StateError("cpu", `expected the state of ${count} CPUs`);
    }
    this.#cpus.forEach((cpu, i) => {
      const saved = cpus[`cpu${i}`];
      if (typeof saved !== "object" || saved === null) {
        throw new StateError(`cpu.cpu${i}`, "expected a record");
      }
      cpu.load(saved as StateRecord);
    });
    this.#turn = turn;
    this.#left = left;
  }

  /** Counters of all CPUs together: sums, and of rates the mean. */
  stats(): Readonly<Record<string, number>> {
    const all: Record<string, number> = {};
    for (const cpu of this.#cpus) {
      for (const [name, value] of Object.entries(cpu.stats())) {
        const part = RATE.test(name) ? value / this.#cpus.length : value;
        all[name] = (all[name] ?? 0) + part;
      }
    }
    return all;
  }

  /** Where each CPU is. */
  describe(): string {
    return this.#cpus.map((cpu, i) => `CPU ${i}: ${cpu.describe()}`)
      .join("; ");
  }
}
