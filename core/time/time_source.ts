/**
 * Where virtual time comes from.
 *
 * @module
 */

/** Gives the current virtual time. */
export interface TimeSource {
  /** Nanoseconds since the start: an integer that never goes back. */
  now(): number;
}

/**
 * How far virtual time may advance for each instruction that the guest has
 * executed since it was last read. An instruction takes 2-5 ns on average once
 * it is compiled, about 20 when interpreted. Much more than needed would do
 * harm: while virtual time catches up the guest is slower by this, and a guest
 * that has interrupts off for a million instructions misses timer ticks.
 */
const NS_PER_INSTRUCTION = 20;
/** And for each reading, which is a call out of guest code. */
const NS_PER_READING = 1000;
/** How far virtual time may be behind the host's: the excess is a jump. */
const MAX_LAG_NS = 5_000_000_000;

/**
 * Virtual time that follows the host's clock and can be stopped.
 *
 * The host stops a guest now and then, to compile code, to collect garbage or
 * for another process. A guest that measures time by a polling loop (Linux
 * calibrates the TSC by the PIT) would see a gap that no hardware has. So
 * virtual time is let fall behind then, and catches up over the next
 * instructions, by at most the limits above: fast, but without a gap.
 */
export class HostTime implements TimeSource {
  readonly #count: () => number;
  /** Virtual time at host time `#zero`: an integer. */
  #offset = 0;
  /** A host time, in ms. */
  #zero: number;
  /** Host time at which it was stopped, in ms. */
  #stopped: number | undefined;
  /** What was last read, and at which count. */
  #last = 0;
  #lastCount = 0;

  /** Stopped at zero, for a guest that has executed `count()` instructions. */
  constructor(count: () => number) {
    this.#count = count;
    this.#zero = this.#stopped = performance.now();
  }

  #host(): number {
    const host = this.#stopped ?? performance.now();
    return this.#offset + Math.floor((host - this.#zero) * 1e6);
  }

  /** Nanoseconds since the start, without the time it was stopped. */
  now(): number {
    const count = this.#count();
    const host = this.#host();
    const limit = this.#last + NS_PER_READING +
      (count - this.#lastCount) * NS_PER_INSTRUCTION;
    this.#lastCount = count;
    return this.#last = Math.max(Math.min(host, limit), host - MAX_LAG_NS);
  }

  /**
   * Catch up with the host, but not past `deadline`: the guest is idle and
   * does not look before. So an idle guest that is behind skips from timer to
   * timer, and none of them is late.
   */
  settle(deadline: number): void {
    const time = Math.min(this.#host(), deadline);
    this.#last = Math.max(this.#last, time);
    this.#lastCount = this.#count();
  }

  /** Let time go on from where it was stopped. */
  resume(): void {
    if (this.#stopped === undefined) return;
    this.#zero += performance.now() - this.#stopped;
    this.#stopped = undefined;
  }

  /** Stop time. */
  pause(): void {
    this.#stopped ??= performance.now();
  }

  /** Go on from `time`, as after loading a snapshot. */
  set(time: number): void {
    this.#zero = this.#stopped ?? performance.now();
    this.#offset = Math.floor(time);
    this.#last = this.#offset;
    this.#lastCount = this.#count();
  }
}

/**
 * Virtual time that is the instruction count: each takes the same time, and an
 * idle CPU skips to the next deadline.
 */
export class InstructionTime implements TimeSource {
  readonly #count: () => number;
  /** Nanoseconds that one instruction takes: an integer. */
  readonly nsPerInstruction: number;
  #skipped = 0;

  /** Time that follows `count`, a number of instructions. */
  constructor(count: () => number, nsPerInstruction: number) {
    this.#count = count;
    this.nsPerInstruction = nsPerInstruction;
  }

  /** Nanoseconds since the start. */
  now(): number {
    return this.#count() * this.nsPerInstruction + this.#skipped;
  }

  /** Jump forward to `time`. */
  skipTo(time: number): void {
    const now = this.now();
    if (time > now) this.#skipped += time - now;
  }

  /** Go on from `time`, as after loading a snapshot. */
  set(time: number): void {
    this.#skipped = time - this.#count() * this.nsPerInstruction;
  }

  /** Instructions until `deadline`: at least 1, rounded up. */
  instructionsUntil(deadline: number): number {
    return Math.max(
      1,
      Math.ceil((deadline - this.now()) / this.nsPerInstruction),
    );
  }
}

/** Virtual time that a test sets. */
export class ManualTime implements TimeSource {
  #now = 0;

  /** The time that was last set. */
  now(): number {
    return this.#now;
  }

  /** Set the time; it does not go back. */
  set(time: number): void {
    if (time > this.#now) this.#now = time;
  }
}
