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
 * executed since it was last read, at least. An instruction takes 2-5 ns on
 * average once it is compiled, about 20 when interpreted. Much more than needed
 * would do harm: while virtual time catches up the guest is slower by this, and
 * a guest that has interrupts off for a million instructions misses timer
 * ticks.
 */
const NS_PER_INSTRUCTION = 20;
/**
 * And at most, for a guest to which the host gives little time. With more, the
 * steps that a polling loop sees are too coarse to calibrate anything by.
 */
const MAX_NS_PER_INSTRUCTION = 200;
/** And for each reading, which is a call out of guest code. */
const NS_PER_READING = 1000;
/** How far virtual time may be behind the host's: then it jumps. */
const MAX_LAG_NS = 5_000_000_000;

/**
 * Virtual time that follows the host's clock and can be stopped.
 *
 * The host stops a guest now and then, to compile code, to collect garbage or
 * for another process. A guest that measures time by a polling loop (Linux
 * calibrates the TSC by the PIT) would see a gap that no hardware has. So
 * virtual time is let fall behind then, and catches up over the next
 * instructions, by at most the limits above: fast, but without a gap.
 *
 * And it does not pass `barrier`, the deadline of the next timer, before that
 * has fired. Or a guest that executes more than was estimated would see times
 * at which it should have had a tick already, and several ticks' worth of them
 * when time catches up: Linux calls its clock unstable then. What is lost at
 * the barrier is only lag, and is caught up later.
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
  #nsPerInstruction = NS_PER_INSTRUCTION;
  /** The time while it stands still. */
  #held: number | undefined;
  /** The time that must not be passed. */
  barrier: () => number = () => Infinity;
  /** Called when a reading has come to the barrier. */
  onBarrier: () => void = () => {};

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
    if (this.#held !== undefined) return this.#held;
    const last = this.#last;
    const count = this.#count();
    // Who looks at a guest that stands still does not move it on.
    if (this.#stopped !== undefined && count === this.#lastCount) return last;
    let time = last + NS_PER_READING +
      (count - this.#lastCount) * this.#nsPerInstruction;
    this.#lastCount = count;
    time = Math.min(time, this.#host());
    const barrier = this.barrier();
    if (time >= barrier) {
      time = barrier;
      this.onBarrier();
    }
    // A barrier that was put into the past stops time, but does not turn it
    // back.
    return this.#last = Math.max(time, last);
  }

  /**
   * Catch up with the host, but not past `until`: the guest is idle and does
   * not look before. With the barrier, an idle guest that is behind skips from
   * timer to timer, and none of them is late.
   */
  settle(until: number = this.barrier()): void {
    const time = Math.min(this.#host(), until);
    this.#last = Math.max(this.#last, time);
    this.#lastCount = this.#count();
  }

  /**
   * Give up on catching up if it is hopeless, as after the process was stopped
   * for a minute: jump to the host's time, over the barrier. For between the
   * guest's instructions, with timers run next.
   */
  jump(): void {
    const host = this.#host();
    if (host - this.#last <= MAX_LAG_NS) return;
    this.#last = host;
    this.#lastCount = this.#count();
  }

  /**
   * How many instructions the guest executes until virtual time comes to
   * `deadline` if it executes `rate` in a nanosecond of the host's.
   */
  instructionsUntil(deadline: number, rate: number): number {
    return Math.max(
      (deadline - this.#host()) * rate,
      (deadline - this.#last) / this.#nsPerInstruction,
    );
  }

  /**
   * The guest executes `rate` instructions in a nanosecond of the host's,
   * all that stops it included: catching up is to be about twice as fast.
   */
  set rate(rate: number) {
    this.#nsPerInstruction = Math.min(
      Math.max(Math.ceil(2 / rate), NS_PER_INSTRUCTION),
      MAX_NS_PER_INSTRUCTION,
    );
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

  /** Stand still at `time`, however often it is read, until `release` or `set`. */
  hold(time: number): void {
    this.#held = time;
  }

  /** Go on as if it had not stood still. */
  release(): void {
    this.#held = undefined;
  }

  /** Go on from `time`, as after loading a snapshot. */
  set(time: number): void {
    this.#held = undefined;
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
  /** The time while it stands still. */
  #held: number | undefined;

  /** Time that follows `count`, a number of instructions. */
  constructor(count: () => number, nsPerInstruction: number) {
    this.#count = count;
    this.nsPerInstruction = nsPerInstruction;
  }

  /** Nanoseconds since the start. */
  now(): number {
    return this.#held ??
      this.#count() * this.nsPerInstruction + this.#skipped;
  }

  /** Stand still at `time`, whatever the count, until `release` or `set`. */
  hold(time: number): void {
    this.#held = time;
  }

  /** Go on as if it had not stood still. */
  release(): void {
    this.#held = undefined;
  }

  /** Jump forward to `time`. */
  skipTo(time: number): void {
    const now = this.now();
    if (time > now) this.#skipped += time - now;
  }

  /** Go on from `time`, as after loading a snapshot. */
  set(time: number): void {
    this.#held = undefined;
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
