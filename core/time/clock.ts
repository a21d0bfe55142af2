/**
 * Virtual time as devices see it: the contract. `virtual_clock.ts` implements
 * it. No device ever looks at the host's clock.
 *
 * @module
 */

/** Called when a timer is due, with the deadline it had been armed for. */
export type TimerCallback = (deadline: number) => void;

/**
 * What a timer is: a device's, which it has from the beginning; `viewers`, which
 * does nothing that the guest can notice, is armed only while somebody looks,
 * and is no part of the machine's state; or of a `request`, which is made for
 * it and is gone with it, so that nothing depends on how many there have been.
 */
export type TimerKind = "device" | "viewers" | "request";

/** One alarm. It fires once for each `arm`. */
export interface Timer {
  /** The armed deadline in nanoseconds, or `Infinity` when not armed. */
  readonly deadline: number;
  /**
   * Fire at virtual time `deadline` (absolute, in nanoseconds); an earlier
   * setting is replaced. A deadline in the past fires as soon as timers run,
   * never from within `arm`. For a periodic timer without drift, arm
   * `deadline + period` from the callback. Where it does the guest no harm (a
   * one-shot timer of which it will ask the time anyway), `slack` says by how
   * many nanoseconds it may fire later while the guest is idle.
   */
  arm(deadline: number, slack?: number): void;
  /** Do not fire. */
  cancel(): void;
}

/** The virtual clock of a machine. */
export interface Clock {
  /** Nanoseconds of virtual time since the machine was created: an integer. */
  now(): number;
  /** A new timer, not armed. */
  timer(callback: TimerCallback, kind?: TimerKind): Timer;
  /**
   * The wall-clock time at which the machine was created, in milliseconds
   * since 1970 (UTC). A real-time clock chip is this plus `now()`; with
   * `icount` it is a fixed date so that runs can be repeated.
   */
  readonly epoch: number;
}

/** Nanoseconds in a second. */
export const SECOND = 1_000_000_000;
/** Nanoseconds in a millisecond. */
export const MILLISECOND = 1_000_000;
/** Nanoseconds in a microsecond. */
export const MICROSECOND = 1_000;
