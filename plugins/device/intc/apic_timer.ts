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
import type { ApicTimerState, LocalApicState } from "./lapic_memory.ts";
import {
  FIRST_VECTOR,
  LVT_DEADLINE,
  LVT_MASKED,
  LVT_PERIODIC,
  LVT_TIMER,
} from "./lapic_state.ts";

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

// As constants of this file, for they are hot.
const TIMER = LVT_TIMER,
  DEADLINE = LVT_DEADLINE,
  PERIODIC = LVT_PERIODIC,
  MASKED = LVT_MASKED,
  FIRST = FIRST_VECTOR;

/** Whether an LVT entry has the timer wait for a deadline and not count. */
function isDeadline(entry: number): boolean {
  return (entry & DEADLINE) !== 0;
}

/** Whether it has the timer start again at the end. */
function isPeriodic(entry: number): boolean {
  // Both bits together are reserved.
  return (entry & (PERIODIC | DEADLINE)) === PERIODIC;
}

/** Whether a tick would interrupt. */
function isWanted(entry: number): boolean {
  return (entry & MASKED) === 0 && (entry & 0xff) >= FIRST;
}

/** The timer. */
export class ApicTimer {
  #state: ApicTimerState;
  #LVT: Int32Array;
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #isHeld: () => boolean;
  readonly #tick: () => void;

  /**
   * The timer of a local APIC in this state; `adopt` starts it. `tick` is
   * called for each tick, unless `isHeld` says that the guest has not taken the
   * last one.
   */
  constructor(
    state: LocalApicState,
    clock: Clock,
    isHeld: () => boolean,
    tick: () => void,
  ) {
    this.#state = state.timer;
    this.#LVT = state.LVT;
    this.#clock = clock;
    this.#isHeld = isHeld;
    this.#tick = tick;
    this.#timer = clock.timer(() => this.#run());
  }

  /** Its entry of the local vector table. */
  get #entry(): number {
    return this.#LVT[TIMER];
  }

  /** Nanoseconds of one count ("divide configuration register"). */
  get #step(): number {
    const { DCR } = this.#state;
    const logarithm = (DCR & 3 | DCR >> 1 & 4) + 1 & 7;
    return CLOCK_NS << logarithm;
  }

  /** When the present count ends. */
  get #end(): number {
    const { count, since } = this.#state;
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
    const entry = this.#entry;
    if (isDeadline(entry)) return 0;
    const state = this.#state;
    const { count } = state;
    const passed = Math.floor((this.#clock.now() - state.since) / this.#step);
    if (passed < count) return count - passed;
    const { initial } = state;
    // What has come to its end stays there until it is started.
    if (count === 0 || !isPeriodic(entry) || initial === 0) return 0;
    return initial - (passed - count) % initial;
  }

  /** Start to count from here; 0 stops. */
  start(initial: number): void {
    if (isDeadline(this.#entry)) return;
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
    if (!isDeadline(this.#entry)) return;
    this.#state.deadline = time;
    this.#arm();
    this.#settle();
  }

  /** Write the divide configuration register: the count goes on from here. */
  setDivide(value: number): void {
    this.#settle();
    this.#hold();
    this.#state.DCR = value & DCR_BITS;
    this.#state.since = this.#clock.now();
    this.#arm();
  }

  /** Write the LVT entry. */
  writeEntry(entry: number): void {
    const before = this.#entry;
    const state = this.#state;
    this.#settle();
    this.#forget();
    if (isDeadline(entry) !== isDeadline(before)) {
      // "Transitioning between modes disarms the timer."
      state.deadline = state.count = state.initial = 0;
    }
    if (isPeriodic(entry) !== isPeriodic(before)) {
      this.#hold();
    } else if (isWanted(entry) && !isWanted(before)) {
      // What became due while nobody wanted it is lost.
      this.#hold();
    }
    this.#LVT[TIMER] = entry;
    this.#arm();
  }

  /** A deadline that has passed while nobody wanted it is none any more. */
  #forget(): void {
    const state = this.#state;
    if (isWanted(this.#entry) || state.deadline > this.#clock.now()) return;
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
    const entry = this.#entry;
    const wanted = isWanted(entry);
    if (isDeadline(entry)) {
      const { deadline } = this.#state;
      if (!wanted || deadline === 0) return this.#timer.cancel();
      return this.#timer.arm(deadline, ONE_SHOT_SLACK);
    }
    const { count, initial, since } = this.#state;
    if (!wanted || count === 0) return this.#timer.cancel();
    const step = this.#step;
    const end = since + count * step;
    if (!isPeriodic(entry)) return this.#timer.arm(end, ONE_SHOT_SLACK);
    const wait = Math.max(SHORTEST - initial * step, 0);
    this.#timer.arm(end + wait);
  }

  /** A tick that is due has come before what the guest does now. */
  #settle(): void {
    if (this.#timer.deadline > this.#clock.now()) return;
    this.#timer.cancel();
    this.#run();
  }

  /** A tick is due. */
  #run(): void {
    if (isDeadline(this.#entry)) {
      this.#state.deadline = 0;
      return this.#tick();
    }
    // The guest has one to take: it is told by `taken`.
    if (this.#isHeld()) return;
    const state = this.#state;
    const period = state.initial * this.#step;
    const lag = this.#clock.now() - this.#end;
    state.since = this.#end;
    if (isPeriodic(this.#entry) && state.initial !== 0) {
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

  /** Go on from this state. */
  adopt(state: LocalApicState): void {
    this.#state = state.timer;
    this.#LVT = state.LVT;
    this.#arm();
    // It has been due already, and waits for the guest (`taken`).
    const isWaiting = this.#timer.deadline < this.#clock.now() &&
      !isDeadline(this.#entry) && this.#isHeld();
    if (isWaiting) this.#timer.cancel();
  }
}
