/**
 * Goes to and fro in a replayed run.
 *
 * A state is kept now and then while the run goes forward; to go to an
 * instruction is to go back to the state before it and to run on from there.
 *
 * @module
 */

import type { StopEvent } from "../debug/contract.ts";
import type { ReverseStop } from "../debug/gdb/reverse.ts";
import { ReplayError } from "./error.ts";
import { History, type Moment } from "./history.ts";
import type { Player } from "./player.ts";
import type { ReplayDebugger } from "./reverse.ts";

/** Elements of a string up to which one is found; beyond, the string is undone as a whole. */
const MOST_ELEMENTS = 5000;
/** States take at most this part of the time in which the run goes forward. */
const PART = 4;

/** The machine that is replayed. */
export interface ReplayedMachine {
  /** What was recorded. */
  readonly player: Player;
  /** RAM, ROM and video memory. */
  readonly memory: Uint8Array;
  /** Instructions that each CPU has executed. */
  counts(): number[];
  /** Whether its drives and disks can be made what they were at a moment. */
  reaches(moment: Moment): boolean;
  /** It is at a moment again, and may be loaded from there as at first. */
  passed(moment: Moment): void;
  /** Nobody goes back to any but these. */
  retain(moments: readonly Moment[]): void;
  /** Whether it takes so much for going back that some of it is to be forgotten. */
  readonly isFull: boolean;
  /** A CPU's state, to be compared. */
  mark(cpu: number): number;
  /** Everything but the memory, and where in the recording it is. */
  save(): Moment;
  /**
   * Let what disks are doing be done: a device waits for its answer, and only
   * then asks for more. It changes state and memory.
   */
  settle(): Promise<void>;
  /** The reverse of `save`; the memory is that of the moment. */
  load(moment: Moment): Promise<void>;
  /**
   * Let the guest run until `stop`, though a debugger has it stand still.
   * `stopped` is told of breakpoints and watchpoints, and the guest goes on;
   * without there are none.
   */
  run(stopped?: (event: StopEvent) => void): Promise<void>;
  /** Let the CPU whose turn it is execute one instruction, or take an interrupt or exception. */
  runOne(): Promise<void>;
  /** End `run`. */
  stop(): void;
}

/** A breakpoint or watchpoint that was passed. */
interface Passed {
  readonly event: StopEvent;
  /** Which of those since the state before it. */
  readonly index: number;
  /** Instructions executed when it stopped the guest. */
  readonly count: number;
}

/** Goes to and fro in a replayed run. */
export class Replayer implements ReplayDebugger {
  readonly #machine: ReplayedMachine;
  readonly #history: History;
  /** Until when no state is kept, so that it does not take too much time. */
  #pause = 0;
  #isPaused = false;
  /** Whether the run only looks for points: it does not stay where it comes. */
  #isSearch = false;

  /** For a machine that stands before its first instruction. */
  constructor(machine: ReplayedMachine) {
    this.#machine = machine;
    this.#history = new History(machine.memory);
    this.#history.add(machine.save());
    machine.player.onCheck = ({ count }) => this.#keep(count);
  }

  /** It is where a state may be kept. */
  #keep(count: number): void {
    const [machine, history] = [this.#machine, this.#history];
    const near = history.before(count);
    if (near?.count === count) return machine.passed(near);
    const isNew = near === history.last;
    const start = performance.now();
    if (this.#isSearch && !isNew || start < this.#pause) return;
    history.add(machine.save());
    while (machine.isFull && history.forget()) {
      machine.retain(history.moments);
    }
    machine.retain(history.moments);
    const end = performance.now();
    this.#pause = end + (end - start) * PART;
  }

  /** The last state before an instruction from which it can be gone to. */
  #before(count: number): Moment {
    // The first one reaches always.
    return this.#history.before(count, (near) => this.#machine.reaches(near))!;
  }

  /** Instructions that all CPUs have executed. */
  get count(): number {
    return this.#machine.player.position.count;
  }

  /** See {@linkcode ReplayDebugger.seek}. */
  async seek(count: number): Promise<void> {
    if (!Number.isSafeInteger(count) || count < 0) {
      throw new RangeError(`${count} is no number of instructions`);
    }
    const { count: first } = this.#history.first;
    if (count < first) {
      throw new RangeError(
        `the recording begins after ${first} instructions, not at ${count}`,
      );
    }
    const near = this.#before(count);
    const isAhead = near.count > this.count;
    if (count < this.count || isAhead) await this.#return(near);
    await this.#runTo(count);
    if (this.count < count) {
      throw new RangeError(
        `the recording has only ${this.count} instructions, not ${count}`,
      );
    }
  }

  async #return(moment: Moment): Promise<void> {
    await this.#machine.settle();
    this.#history.restore(moment);
    await this.#machine.load(moment);
  }

  async #runTo(
    count: number,
    stopped?: (event: StopEvent) => void,
  ): Promise<void> {
    const { player } = this.#machine;
    if (this.count >= count) return;
    player.limit = count;
    try {
      await this.#machine.run(stopped);
    } finally {
      player.limit = Infinity;
    }
  }

  /** Back to before the last instruction of a CPU. */
  async step(cpu: number): Promise<ReverseStop> {
    const machine = this.#machine;
    const { count } = this;
    const { count: first, counts } = this.#history.first;
    const own = machine.counts()[cpu];
    if (await this.#undoWithin(cpu)) return { kind: "step", cpu };
    if (own === counts[cpu]) return { kind: "beginning", cpu };
    // The last place at which the CPU had executed less.
    let [low, high] = [first, count];
    for (
      let width = 1;
      low === first && width < count - first;
      width *= 16
    ) {
      await this.seek(count - width);
      if (machine.counts()[cpu] < own) low = count - width;
      else high = count - width;
    }
    // Forwards in short pieces: each way back costs far more than those.
    while (high - low > 1) {
      const piece = Math.ceil((high - low) / 16);
      await this.seek(low);
      for (let end; (end = low + piece) < high;) {
        await this.#runTo(end);
        if (machine.counts()[cpu] < own) low = end;
        else high = end;
      }
    }
    await this.seek(low);
    // What comes first there may be an interrupt or an exception.
    await machine.runOne();
    if (this.count > low) await this.seek(low);
    return { kind: "step", cpu };
  }

  /**
   * Back to before what a CPU has done since the last instruction: it has taken
   * an interrupt or exception, or processed an element of a string. False when
   * it has not.
   */
  async #undoWithin(cpu: number): Promise<boolean> {
    const machine = this.#machine;
    const { count } = this;
    const here = machine.mark(cpu);
    const begin = async (): Promise<number> => {
      const { first } = this.#history;
      if (count > first.count) await this.seek(count - 1);
      else await this.#return(first);
      await this.#runTo(count);
      return machine.mark(cpu);
    };
    const first = await begin();
    if (first === here) return false;
    let steps = 0;
    for (let mark = first; mark !== here; mark = machine.mark(cpu)) {
      await machine.runOne();
      // There is no way there: to before the instruction, then.
      if (this.count > count) return false;
      if (++steps > MOST_ELEMENTS) {
        await begin();
        return true;
      }
    }
    await begin();
    for (let i = 1; i < steps; i++) await machine.runOne();
    return true;
  }

  /** Back to the last breakpoint or watchpoint that was passed. */
  async resume(): Promise<ReverseStop> {
    this.#isPaused = false;
    const { count } = this;
    const { count: first } = this.#history.first;
    for (let end = count; end > first;) {
      const start = this.#before(end - 1);
      const last = await this.#lastPassed(start, end, count);
      if (last !== undefined) return await this.#goTo(start, last);
      end = start.count;
      if (this.#isPaused) {
        await this.#return(start);
        return { kind: "pause", cpu: 0 };
      }
    }
    await this.seek(first);
    return { kind: "beginning", cpu: 0 };
  }

  /** Stop a `resume` in progress. */
  pause(): void {
    this.#isPaused = true;
  }

  /** The last point that was passed between a state and an instruction, for who stands at `now`. */
  async #lastPassed(
    start: Moment,
    end: number,
    now: number,
  ): Promise<Passed | undefined> {
    let last: Passed | undefined;
    let index = 0;
    await this.#return(start);
    this.#isSearch = true;
    try {
      await this.#runTo(end, (event) => {
        const { count } = this;
        // What was accessed is undone by going to before the instruction.
        const before = event.kind === "watchpoint" ? count - 1 : count;
        if (before < now) last = { event, index, count };
        index++;
      });
    } finally {
      this.#isSearch = false;
    }
    return last;
  }

  async #goTo(start: Moment, passed: Passed): Promise<ReverseStop> {
    const { event, count } = passed;
    // Not to a number of instructions: an interrupt may have been taken since.
    await this.#return(start);
    let index = 0;
    await this.#runTo(count + 1, () => {
      if (index++ === passed.index) this.#machine.stop();
    });
    if (this.count !== count) {
      throw new ReplayError("diverged", "The breakpoint is not met again");
    }
    if (event.kind === "watchpoint" && !await this.#undoWithin(event.cpu)) {
      await this.seek(Math.max(count - 1, this.#history.first.count));
    }
    return event;
  }
}
