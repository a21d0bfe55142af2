/**
 * One timer of a high precision event timer: its registers and when its
 * comparator matches.
 *
 * Source: IA-PC HPET Specification 1.0a, 2.3.8 and 2.3.9. Values of 64 bits
 * are kept as two words of 32, `Lo` and `Hi`.
 *
 * @module
 */

/** Tn_CONF: level triggered. */
export const TN_LEVEL = 0x0002;
/** Tn_CONF: it interrupts. */
export const TN_ENABLE = 0x0004;
/** Tn_CONF: periodic. */
export const TN_PERIODIC = 0x0008;
/** Tn_CONF: the next write to the comparator sets it, period or not. */
export const TN_SET = 0x0040;
/** Tn_CONF: 32 bits of the counter count. */
export const TN_32 = 0x0100;
/** Tn_CONF: where the interrupt route is. */
export const TN_ROUTE_SHIFT = 9;
/** Tn_CONF: interrupts are messages. */
export const TN_FSB = 0x4000;
/** Tn_CONF: periodic mode, 64 bits and messages are possible. */
const TN_CAPABLE = 0x8030;
/** Tn_CONF: what software writes. */
const TN_WRITABLE = 0x7f4e;

const WORD = 0x1_0000_0000;
/**
 * Counts that are at least between two matches: what is closer together counts
 * as one. The host would do nothing else.
 */
const SHORTEST = 100;

/** The state of a timer. */
export interface HpetTimerState {
  /** Tn_CONF, low word. */
  conf: number;
  /** Tn_COMP. */
  compLo: number;
  /** Tn_COMP, high word. */
  compHi: number;
  /** What periodic mode adds at each match. */
  periodLo: number;
  /** Its high word. */
  periodHi: number;
  /** The low word was just set: the high one still belongs to it. */
  setHigh: boolean;
  /** Tn_FSB: the message's data. */
  fsbValue: number;
  /** Tn_FSB: its address. */
  fsbAddress: number;
  /**
   * The number of counts since the counter was started at which the comparator
   * matches next; negative: never.
   */
  match: number;
}

/** A timer's state after reset. */
export function freshHpetTimer(): HpetTimerState {
  return {
    conf: TN_CAPABLE,
    compLo: 0xffffffff,
    compHi: 0xffffffff,
    periodLo: 0,
    periodHi: 0,
    setHigh: false,
    fsbValue: 0,
    fsbAddress: 0,
    match: -1,
  };
}

/** Write Tn_CONF; the route is kept when `routes` has it not. */
export function configure(
  timer: HpetTimerState,
  value: number,
  routes: number,
): void {
  const route = value >> TN_ROUTE_SHIFT & 31;
  let writable = TN_WRITABLE;
  if ((routes >>> route & 1) === 0) writable &= ~(31 << TN_ROUTE_SHIFT);
  timer.conf = timer.conf & ~writable | value & writable;
  if ((timer.conf & TN_32) !== 0) {
    timer.compHi = 0;
    timer.periodHi = 0;
  }
}

/**
 * Write a word of Tn_COMP. A write of 64 bits comes as its two words, the low
 * one first.
 */
export function writeComparator(
  timer: HpetTimerState,
  high: boolean,
  value: number,
): void {
  const word = high && (timer.conf & TN_32) !== 0 ? 0 : value;
  const periodic = (timer.conf & TN_PERIODIC) !== 0;
  const set = (timer.conf & TN_SET) !== 0;
  if (!periodic || set || high && timer.setHigh) {
    if (high) timer.compHi = word;
    else timer.compLo = word;
  }
  if (periodic) {
    if (high) timer.periodHi = word;
    else timer.periodLo = word;
  }
  timer.conf &= ~TN_SET;
  timer.setHigh = set && !high;
}

/**
 * Counts from a counter value to the next match, which may be at once. Beyond
 * 2^53 it is rounded: centuries.
 */
export function untilMatch(
  timer: HpetTimerState,
  counterLo: number,
  counterHi: number,
): number {
  const low = timer.compLo - counterLo;
  if ((timer.conf & TN_32) !== 0) return low < 0 ? low + WORD : low;
  const difference = (timer.compHi - counterHi) * WORD + low;
  return difference < 0 ? difference + WORD * WORD : difference;
}

/**
 * The comparator has matched: it waits for the next match, at `lag` counts
 * before `counts` or later.
 */
export function advance(
  timer: HpetTimerState,
  counts: number,
  lag: number,
): void {
  const only32 = (timer.conf & TN_32) !== 0;
  const period = timer.periodHi * WORD + timer.periodLo;
  if ((timer.conf & TN_PERIODIC) === 0 || period === 0) {
    // Once, and again when so many bits have gone round.
    timer.match = only32 ? timer.match + WORD : -1;
    return;
  }
  const late = counts - timer.match - lag;
  const steps = Math.max(
    1,
    Math.ceil(SHORTEST / period),
    Math.ceil(late / period),
  );
  const step = steps * period;
  timer.match += step;
  const low = timer.compLo + step % WORD;
  timer.compLo = low % WORD;
  if (only32) return;
  const carry = low >= WORD ? 1 : 0;
  timer.compHi = (timer.compHi + Math.floor(step / WORD) + carry) % WORD;
}
