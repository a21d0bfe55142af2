/**
 * The timer of a local APIC: counts down from the initial count, once or again
 * and again.
 *
 * Source: Intel SDM volume 3, 10.5.4. In TSC-deadline mode the CPU says when
 * the one tick is due: it knows what its time stamp counter will be.
 *
 * Nothing ticks: the current count is a function of virtual time, and a host
 * timer is armed only while the interrupt is wanted. A tick that is due while
 * the guest has not taken the last one waits until it has, so that a guest
 * sees every one of them even when the host was busy.
 *
 * @module
 */

import {
  type Clock,
  MICROSECOND,
  MILLISECOND,
  SECOND,
  type Timer,
} from "../../../core/time/clock.ts";

/** What it counts, in nanoseconds: a bus clock of 1 GHz, as QEMU has. */
const CLOCK_NS = 1;
/** Ticks that are later than this are forgotten. */
const MAX_LAG = 2 * SECOND;
/**
 * Between two ticks there is so much at least: what is closer together counts
 * as one. The host would do nothing else, and time would stand still.
 */
const SHORTEST = MICROSECOND;
/** How late a one-shot tick may be for an idle guest: see `i8254.ts`. */
const ONE_SHOT_SLACK = 16 * MILLISECOND;
/** DCR: the bits that are there. */
export const DCR_BITS = 0x0b;

/** The state of the timer: part of its local APIC's. */
export interface ApicTimerState {
  /** Initial count register. */
  initial: number;
  /** Divide configuration register. */
  DCR: number;
  /** What the current count was at the time `since`. */
  count: number;
  /** A virtual time in nanoseconds. */
  since: number;
  /** In TSC-deadline mode: the virtual time of the tick; 0: there is none. */
  deadline: number;
}

/** The timer's state after reset. */
export function freshApicTimer(): ApicTimerState {
  return { initial: 0, DCR: 0, count: 0, since: 0, deadline: 0 };
}

/** How the LVT entry of the timer stands. */
export interface ApicTimerMode {
  /** Whether it starts again at the end. */
  periodic: boolean;
  /** Whether it waits for a deadline and does not count. */
  deadline: boolean;
  /** Whether a tick would interrupt. */
  wanted: boolean;
}

/** The timer. */
export class ApicTimer {
  #state: ApicTimerState = freshApicTimer();
  readonly #mode: ApicTimerMode = {
    periodic: false,
    deadline: false,
    wanted: false,
  };
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #isHeld: () => boolean;
  readonly #tick: () => void;

  /**
   * A timer in its reset state. `tick` is called for each tick, unless
   * `isHeld` says that the guest has not taken the last one.
   */
  constructor(clock: Clock, isHeld: () => boolean, tick: () => void) {
    this.#clock = clock;
    this.#isHeld = isHeld;
    this.#tick = tick;
    this.#timer = clock.timer(() => this.#run());
  }

  /** Nanoseconds of one count ("divide configuration register"). */
  get #step(): number {
    const { DCR } = this.#state;
    const logarithm = (DCR & 3 | DCR >> 1 & 4) + 1 & 7;
    return CLOCK_NS << logarithm;
  }

  /** When the present count ends. */
  get #end(): number {
    const { since, count } = this.#state;
    return since + count * this.#step;
  }

  /** The initial count register. */
  get initial(): number {
    return this.#state.initial;
  }

  /** The divide configuration register. */
  get divide(): number {
    return this.#state.DCR;
  }

  /** The current count register. */
  get current(): number {
    if (this.#mode.deadline) return 0;
    const { count, initial, since } = this.#state;
    const passed = Math.floor((this.#clock.now() - since) / this.#step);
    if (passed < count) return count - passed;
    if (!this.#mode.periodic || initial === 0) return 0;
    return initial - (passed - count) % initial;
  }

  /** Start to count from here; 0 stops. */
  start(initial: number): void {
    if (this.#mode.deadline) return;
    const state = this.#state;
    state.initial = initial;
    state.count = initial;
    state.since = this.#clock.now();
    this.#arm();
  }

  /** The deadline; 0: there is none. */
  get deadline(): number {
    this.#forget();
    return this.#state.deadline;
  }

  set deadline(time: number) {
    if (!this.#mode.deadline) return;
    this.#state.deadline = time;
    this.#arm();
  }

  /** Write the divide configuration register: the count goes on from here. */
  setDivide(value: number): void {
    this.#hold();
    this.#state.DCR = value & DCR_BITS;
    this.#state.since = this.#clock.now();
    this.#arm();
  }

  /** The LVT entry has changed. */
  setMode({ periodic, deadline, wanted }: ApicTimerMode): void {
    const mode = this.#mode;
    this.#forget();
    if (deadline !== mode.deadline) {
      // "Transitioning between modes disarms the timer."
      this.#state.deadline = this.#state.count = this.#state.initial = 0;
      mode.deadline = deadline;
    }
    if (periodic !== mode.periodic) {
      this.#hold();
      mode.periodic = periodic;
      const state = this.#state;
      if (periodic && state.count === 0) state.count = state.initial;
    } else if (wanted && !mode.wanted) {
      // What became due while nobody wanted it is lost.
      this.#hold();
    }
    mode.wanted = wanted;
    this.#arm();
  }

  /** A deadline that has passed while nobody wanted it is none any more. */
  #forget(): void {
    const state = this.#state;
    if (this.#mode.wanted || state.deadline > this.#clock.now()) return;
    state.deadline = 0;
  }

  /** The guest has taken the tick that it had. */
  taken(): void {
    if (this.#timer.deadline === Infinity) this.#arm();
  }

  /** Let the count stand as it is now, whatever changes next. */
  #hold(): void {
    const state = this.#state;
    const now = this.#clock.now();
    const step = this.#step;
    const count = this.current;
    // What has passed of the present step has passed.
    const part = (now - state.since) % step;
    state.count = count;
    state.since = count === 0 ? now : now - part;
  }

  #arm(): void {
    const { wanted, periodic } = this.#mode;
    if (this.#mode.deadline) {
      const { deadline } = this.#state;
      if (!wanted || deadline === 0) return this.#timer.cancel();
      return this.#timer.arm(deadline, ONE_SHOT_SLACK);
    }
    const { count, initial } = this.#state;
    if (!wanted || count === 0) return this.#timer.cancel();
    if (!periodic) return this.#timer.arm(this.#end, ONE_SHOT_SLACK);
    const wait = Math.max(SHORTEST - initial * this.#step, 0);
    this.#timer.arm(this.#end + wait);
  }

  /** A tick is due. */
  #run(): void {
    if (this.#mode.deadline) {
      this.#state.deadline = 0;
      return this.#tick();
    }
    // The guest has one to take: it is told by `taken`.
    if (this.#isHeld()) return;
    const state = this.#state;
    const period = state.initial * this.#step;
    const lag = this.#clock.now() - this.#end;
    state.since = this.#end;
    if (this.#mode.periodic && state.initial !== 0) {
      state.count = state.initial;
      const most = period < SHORTEST ? 0 : MAX_LAG;
      if (lag > most) {
        state.since += Math.floor((lag - most) / period) * period;
      }
    } else {
      state.count = 0;
    }
    this.#arm();
    this.#tick();
  }

  /** Go on from this state and mode. */
  adopt(state: ApicTimerState, mode: ApicTimerMode): void {
    this.#state = state;
    this.#mode.periodic = mode.periodic;
    this.#mode.deadline = mode.deadline;
    this.#mode.wanted = mode.wanted;
    this.#arm();
  }
}
