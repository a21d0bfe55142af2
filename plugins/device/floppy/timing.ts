/**
 * How long things take, in nanoseconds of virtual time.
 *
 * Mechanics are a hundred times as fast as real ones: a step takes a hundredth
 * of what SPECIFY says, a revolution 2 ms. So everything happens in the order
 * in which drivers know it (a long seek ends after a short one, an interrupt
 * comes after the command that it is of has been written), and nobody waits
 * for a motor of long ago. A motor is at speed at once, and a head settles and
 * loads in no time. Data are neither late nor lost: a drive waits for a host
 * that does not take or give them.
 *
 * @module
 */

import { MICROSECOND } from "../../../core/time/clock.ts";
import type { DriveKind } from "./media.ts";

const SPEED_UP = 100;
/** Until a command without mechanics is done, and out of reset. */
export const OVERHEAD: number = 10 * MICROSECOND;
/** The unit of the step rate by data rate ("SPECIFY", table 5-10). */
const STEP_UNITS = [1_000_000, 1_670_000, 2_000_000, 500_000];

/** A number of steps. */
export function seekTime(
  steps: number,
  specify: number,
  rate: number,
): number {
  const step = (16 - (specify >> 4)) * STEP_UNITS[rate] / SPEED_UP;
  return OVERHEAD + Math.round(steps * step);
}

/** So many revolutions, which may be a part of one. */
export function turnTime(kind: DriveKind, revolutions: number): number {
  return OVERHEAD + Math.round(kind.revolution * revolutions / SPEED_UP);
}
