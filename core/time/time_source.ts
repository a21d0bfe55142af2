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

/** Virtual time that follows the host's clock and can be stopped. */
export class HostTime implements TimeSource {
  /** Host time at which virtual time was or would have been zero, in ms. */
  #zero: number;
  /** Host time at which it was stopped, in ms. */
  #stopped: number | undefined;

  /** Stopped at zero. */
  constructor() {
    this.#zero = this.#stopped = performance.now();
  }

  /** Nanoseconds since the start, without the time it was stopped. */
  now(): number {
    const host = this.#stopped ?? performance.now();
    return Math.floor((host - this.#zero) * 1e6);
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
    const host = this.#stopped ?? performance.now();
    this.#zero = host - time / 1e6;
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
