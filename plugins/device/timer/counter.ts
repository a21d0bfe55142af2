/**
 * One counter of an 8254, as a function of time.
 *
 * Datasheet: Intel 82C54 (231244-006), "Mode definitions". Nothing is stepped:
 * the state says when the counting element was loaded and with what, and what
 * OUT or the count are at a clock follows from that. Times are counts of the
 * input clock (1.193182 MHz) since the machine was made.
 *
 * @module
 */

/** A clock that never comes. */
export const NEVER: number = -1;

/** The state of one counter. */
export interface CounterState {
  /** The control word's low six bits as they were written. */
  control: number;
  /** The GATE input. */
  gate: boolean;
  /** A whole count has been written since the control word. */
  written: boolean;
  /** The count register: what will be loaded, 1 to 65536. */
  next: number;
  /** The clock at which `next` is loaded into the counting element. */
  nextAt: number;
  /** The count register has not been loaded yet. */
  nullCount: boolean;
  /** The counting element has been loaded since the control word. */
  loaded: boolean;
  /** What was loaded, 1 to 65536. */
  count: number;
  /** The clock at which it was loaded. */
  start: number;
  /** Modes 2 and 3: the first clock at which OUT rises after that. */
  firstRise: number;
  /** Clocks counted when GATE stopped the counter, or NEVER. */
  paused: number;
  /** What the counting element shows while it is not loaded. */
  idle: number;
  /** The low byte of a two-byte write, or NEVER. */
  low: number;
  /** The next read gives the high byte. */
  readHigh: boolean;
  /** The output latch, or NEVER. */
  latch: number;
  /** The latched status byte, or NEVER. */
  status: number;
}

/** A counter after power-on: the datasheet leaves it undefined. */
export function freshCounter(gate: boolean): CounterState {
  return {
    control: 0x30,
    gate,
    written: false,
    next: 0x10000,
    nextAt: NEVER,
    nullCount: true,
    loaded: false,
    count: 0x10000,
    start: 0,
    firstRise: 0,
    paused: NEVER,
    idle: 0,
    low: NEVER,
    readHigh: false,
    latch: NEVER,
    status: NEVER,
  };
}

/** The mode, 0 to 5: 6 and 7 are 2 and 3. */
export function modeOf(s: CounterState): number {
  const mode = s.control >> 1 & 7;
  return mode > 5 ? mode - 4 : mode;
}

/** Whether GATE's level (rather than its edge) lets the counter count. */
function gateIsLevel(mode: number): boolean {
  return mode !== 1 && mode !== 5;
}

function elapsed(s: CounterState, clock: number): number {
  return s.paused !== NEVER ? s.paused : clock - s.start;
}

/** Do what has become due by `clock`: load the counting element. */
export function sync(s: CounterState, clock: number): void {
  if (s.nextAt === NEVER || s.nextAt > clock) return;
  const mode = modeOf(s);
  // A new count in mode 2 begins with OUT's rise, in mode 3 with either half.
  const running = s.loaded && s.paused === NEVER;
  const rises = running &&
    (mode === 2 || mode === 3 && !outBefore(s, s.nextAt));
  s.start = s.nextAt;
  s.count = s.next;
  if (mode === 3 && running && !rises) s.start -= (s.count + 1) >> 1;
  s.firstRise = rises ? s.nextAt : s.start + s.count;
  s.nextAt = NEVER;
  s.nullCount = false;
  s.loaded = true;
  s.paused = s.gate || !gateIsLevel(mode) ? NEVER : 0;
}

/** OUT just before a clock at which mode 3 reloads. */
function outBefore(s: CounterState, clock: number): boolean {
  return (clock - 1 - s.start) % s.count < (s.count + 1) >> 1;
}

/** The level of OUT at a clock up to which `sync` has been done. */
export function outOf(s: CounterState, clock: number): boolean {
  const mode = modeOf(s);
  if (!s.loaded) return mode !== 0;
  const e = elapsed(s, clock);
  switch (mode) {
    case 0:
      return s.nextAt === NEVER && e >= s.count;
    case 1:
      return e >= s.count;
    case 2:
      return s.paused !== NEVER || s.count === 1 ||
        e % s.count !== s.count - 1;
    case 3:
      return s.paused !== NEVER || e % s.count < (s.count + 1) >> 1;
    default:
      return e !== s.count;
  }
}

/** The counting element at a clock up to which `sync` has been done. */
function valueOf(s: CounterState, clock: number): number {
  // A count is loaded within a clock, which is shorter than a bus cycle: a
  // guest never sees what was there before.
  if (!s.loaded) return s.nextAt !== NEVER ? s.next : s.idle;
  const modulus = (s.control & 1) !== 0 ? 10000 : 0x10000;
  const e = elapsed(s, clock);
  switch (modeOf(s)) {
    case 2:
      return s.count - e % s.count;
    case 3: {
      // Counts by two; an odd count loses its one when it is loaded.
      const half = (s.count + 1) >> 1;
      const at = e % s.count;
      return (s.count & ~1) - 2 * (at < half ? at : at - half);
    }
    default:
      return ((s.count - e) % modulus + modulus) % modulus;
  }
}

/** The counting element as it is read: 16 bits, binary or BCD. */
function shownOf(s: CounterState, clock: number): number {
  const value = valueOf(s, clock);
  if ((s.control & 1) === 0) return value & 0xffff;
  const digits = value % 10000;
  return Math.floor(digits / 1000) << 12 |
    Math.floor(digits / 100) % 10 << 8 |
    Math.floor(digits / 10) % 10 << 4 | digits % 10;
}

/** The count that a 16-bit value of the count register means. */
function countOf(s: CounterState, raw: number): number {
  if ((s.control & 1) === 0) return raw === 0 ? 0x10000 : raw;
  const count = (raw >> 12) * 1000 + (raw >> 8 & 15) * 100 +
    (raw >> 4 & 15) * 10 + (raw & 15);
  return count === 0 ? 10000 : count;
}

/** "Control word format": program the counter. */
export function program(s: CounterState, control: number, clock: number): void {
  sync(s, clock);
  const idle = valueOf(s, clock);
  Object.assign(s, freshCounter(s.gate), { control: control & 0x3f, idle });
}

/** "Counter latch command". */
export function latchCount(s: CounterState, clock: number): void {
  sync(s, clock);
  // "If a counter is latched and then latched again before the count is
  // read, the second command is ignored."
  if (s.latch === NEVER) s.latch = shownOf(s, clock);
}

/** "Read-back command", status byte. */
export function latchStatus(s: CounterState, clock: number): void {
  sync(s, clock);
  if (s.status !== NEVER) return;
  s.status = (outOf(s, clock) ? 0x80 : 0) | (s.nullCount ? 0x40 : 0) |
    s.control;
}

/** The guest reads the counter's port. */
export function readCounter(s: CounterState, clock: number): number {
  sync(s, clock);
  if (s.status !== NEVER) {
    const status = s.status;
    s.status = NEVER;
    return status;
  }
  const value = s.latch !== NEVER ? s.latch : shownOf(s, clock);
  const access = s.control >> 4 & 3;
  const high = access === 2 || access === 3 && s.readHigh;
  if (access === 3) s.readHigh = !s.readHigh;
  if (access !== 3 || high) s.latch = NEVER;
  return high ? value >> 8 : value & 0xff;
}

/** The guest writes the counter's port. */
export function writeCounter(
  s: CounterState,
  value: number,
  clock: number,
): void {
  sync(s, clock);
  switch (s.control >> 4 & 3) {
    case 1:
      writeCount(s, value, clock);
      break;
    case 2:
      writeCount(s, value << 8, clock);
      break;
    default:
      if (s.low === NEVER) {
        s.low = value;
        // "Writing the first byte disables counting. OUT is set low
        // immediately."
        if (modeOf(s) === 0) {
          s.idle = valueOf(s, clock);
          s.loaded = false;
          s.nextAt = NEVER;
        }
      } else {
        const low = s.low;
        s.low = NEVER;
        writeCount(s, value << 8 | low, clock);
      }
  }
}

function writeCount(s: CounterState, raw: number, clock: number): void {
  s.next = countOf(s, raw);
  s.written = true;
  s.nullCount = true;
  switch (modeOf(s)) {
    case 0:
    case 4:
      s.nextAt = clock + 1;
      break;
    case 2:
    case 3:
      if (!s.loaded) s.nextAt = clock + 1;
      else if (s.paused === NEVER) s.nextAt = cycleEnd(s, clock);
      break;
  }
}

/** Where mode 2 or a half cycle of mode 3 takes a new count. */
function cycleEnd(s: CounterState, clock: number): number {
  const at = (clock - s.start) % s.count;
  const half = (s.count + 1) >> 1;
  const end = modeOf(s) === 3 && at < half ? half : s.count;
  return clock - at + end;
}

/** The GATE input changes. */
export function setGate(s: CounterState, gate: boolean, clock: number): void {
  sync(s, clock);
  if (gate === s.gate) return;
  s.gate = gate;
  const mode = modeOf(s);
  if (mode === 0 || mode === 4) {
    if (!s.loaded) return;
    if (gate) {
      if (s.paused !== NEVER) s.start = clock - s.paused;
      s.paused = NEVER;
    } else {
      s.paused = clock - s.start;
    }
    return;
  }
  // In the others a rising edge is a trigger, which loads the counter.
  if (gate) {
    if (s.written) s.nextAt = clock + 1;
  } else if (gateIsLevel(mode)) {
    if (!s.loaded) return;
    s.paused = clock - s.start;
    s.nextAt = NEVER;
  }
}

/**
 * The next clock after `clock` at which OUT rises if nothing is written, or
 * `Infinity`.
 */
export function nextRise(s: CounterState, clock: number): number {
  const mode = modeOf(s);
  const running = s.loaded && s.paused === NEVER;
  switch (mode) {
    case 0:
      if (!s.gate) return Infinity;
      if (s.nextAt !== NEVER) return s.nextAt + s.next;
      return running ? after(s.start + s.count, clock) : Infinity;
    case 1:
      if (running && (s.nextAt === NEVER || s.start + s.count <= s.nextAt)) {
        const rise = after(s.start + s.count, clock);
        if (rise !== Infinity) return rise;
      }
      return s.nextAt !== NEVER ? s.nextAt + s.next : Infinity;
    case 2:
    case 3: {
      if (!s.gate) return Infinity;
      if (!running) {
        return s.nextAt !== NEVER && s.next > 1 ? s.nextAt + s.next : Infinity;
      }
      // The datasheet calls a count of 1 illegal; it never ticks here.
      const cycles = Math.floor((clock - s.firstRise) / s.count) + 1;
      const rise = s.count > 1
        ? s.firstRise + Math.max(0, cycles) * s.count
        : Infinity;
      if (s.nextAt === NEVER || rise <= s.nextAt) return rise;
      return s.next > 1
        ? s.nextAt + (mode === 3 ? s.next >> 1 : s.next)
        : Infinity;
    }
    default:
      if (mode === 4 && !s.gate) return Infinity;
      if (s.nextAt !== NEVER) return s.nextAt + s.next + 1;
      return running ? after(s.start + s.count + 1, clock) : Infinity;
  }
}

/**
 * The next clock after `clock`, up to which `sync` has been done, at which OUT
 * may fall or a count is loaded if nothing is written, or `Infinity`.
 */
export function nextFall(s: CounterState, clock: number): number {
  const load = s.nextAt !== NEVER ? s.nextAt : Infinity;
  if (!s.loaded || s.paused !== NEVER) return load;
  const { start, count } = s;
  const mode = modeOf(s);
  if (mode === 2 || mode === 3) {
    const first = start + (mode === 2 ? count - 1 : (count + 1) >> 1);
    const cycles = Math.floor((clock - first) / count) + 1;
    return Math.min(first + Math.max(0, cycles) * count, load);
  }
  return mode < 2 ? load : Math.min(after(start + count, clock), load);
}

function after(rise: number, clock: number): number {
  return rise > clock ? rise : Infinity;
}
