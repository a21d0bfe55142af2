/**
 * The 8254 programmable interval timer of an AT, with port 61h, which holds
 * the third counter's gate, the speaker and the refresh toggle.
 *
 * Datasheet: Intel 82C54 (231244-006); port 61h as in the 82371SB (PIIX3,
 * 290550), "NMI status and control register".
 *
 * Counter 0's OUT is the output line `out0`. A tick is its rising edge; the
 * falling edges between ticks are put off to just before the next one, for
 * nothing looks at them. The input `pending` is high while the interrupt
 * controller holds a tick that the guest has not taken: as long as it is, the
 * ticks that become due wait, so that a guest sees every one of them even when
 * the host was busy. They do not come all at once then: between two of them the
 * guest has a part of the period, for a loop that waits for just so many (Limine
 * counts down in one). Where `pending` is not wired, ticks follow the clock. The
 * input `masked` says that the guest does not want ticks: if that takes long,
 * those that became due meanwhile are lost, as they are on hardware.
 *
 * The output line `out2` is what goes to the speaker: counter 2's OUT while
 * port 61h lets it through. Edges are only made while something listens, and
 * none of a tone that nobody could hear.
 *
 * @module
 */

import type { IoHandler } from "../../../core/bus/handler.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type { DeviceEvent } from "../../../core/machine/device_events.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import {
  type Clock,
  MILLISECOND,
  SECOND,
  type Timer,
} from "../../../core/time/clock.ts";
import {
  type CounterState,
  freshCounter,
  latchCount,
  latchStatus,
  modeOf,
  NEVER,
  nextFall,
  nextRise,
  outOf,
  program,
  readCounter,
  setGate,
  sync,
  writeCounter,
} from "./counter.ts";

/** The input clock in Hz: a third of NTSC's colour carrier. */
export const PIT_HZ = 1_193_182;
/** Ticks that are later than this are forgotten, in clocks: 2 s. */
const MAX_LAG = 2 * PIT_HZ;
/**
 * A tick is masked while it is handled, and the host may stop in between; who
 * masks it for longer wants none. In clocks: 0.5 s.
 */
const MAX_MASKED = PIT_HZ / 2;
/** From when a tick is taken, the next one waits for this part of the period. */
const TAKEN_PART = 4;
/** Counter 1 of an AT asks for a refresh every 18 clocks: 15 us. */
const REFRESH_CLOCKS = 18;

/** Port 61h: GATE of counter 2. */
const GATE2 = 0x01;
/** Port 61h: counter 2's OUT goes to the speaker. */
const SPEAKER_DATA = 0x02;
/** Port 61h: the bits that are stored: gate, speaker, and two NMI masks. */
const P61_STORED = 0x0f;
/** Port 61h: toggles with every refresh. */
const REFRESH = 0x10;
/** Port 61h: OUT of counter 2. */
const OUT2 = 0x20;

/** A shorter period, in clocks, is a tone above 20 kHz. */
const INAUDIBLE = 60;

interface I8254State {
  counters: CounterState[];
  /** The stored bits of port 61h. */
  port61: number;
  /** The level of the line `out0`. */
  line: boolean;
  /** The clock up to which rising edges of OUT 0 have been delivered. */
  ticked: number;
  /** The clock at which the guest took the last one. */
  taken: number;
  /** The level of the input `pending`. */
  pending: boolean;
  /** From when on ticks are masked, in clocks, or `NEVER`. */
  maskedAt: number;
}

function freshState(): I8254State {
  return {
    counters: [freshCounter(true), freshCounter(true), freshCounter(false)],
    port61: 0,
    line: false,
    ticked: 0,
    taken: 0,
    pending: false,
    maskedAt: NEVER,
  };
}

/** The clocks that have passed at a time in nanoseconds. */
function clocksAt(nanoseconds: number): number {
  // In two parts, so that the product stays exact.
  const seconds = Math.floor(nanoseconds / SECOND);
  const rest = nanoseconds - seconds * SECOND;
  return seconds * PIT_HZ + Math.floor(rest * PIT_HZ / SECOND);
}

/** The first nanosecond at which so many clocks have passed. */
function timeOf(clocks: number): number {
  const seconds = Math.floor(clocks / PIT_HZ);
  const rest = clocks - seconds * PIT_HZ;
  return seconds * SECOND + Math.ceil(rest * SECOND / PIT_HZ);
}

/**
 * How late a one-shot tick may be for an idle guest, in nanoseconds. A kernel
 * that programs each tick (Linux with high-resolution timers, 250 a second)
 * looks how much time has passed and catches up in one tick: an idle one takes
 * a third of the host's time that it takes with each tick.
 */
const ONE_SHOT_SLACK = 16 * MILLISECOND;

/** A counter has got a count. */
type PitProgramming = {
  readonly counter: number;
  readonly mode: number;
  readonly reload: number;
};

/** The timer. */
export class I8254 implements Device {
  #state: I8254State = freshState();
  /** `pending` has been high once: it is wired. */
  #wired = false;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #out0: IrqLine;
  readonly #timer: Timer;
  readonly #out2: IrqLine;
  readonly #speaker: Timer;
  readonly #programmed: DeviceEvent<PitProgramming> | undefined;

  /** A timer in its reset state. */
  constructor(
    context: Pick<DeviceContext, "name" | "clock" | "output">,
    programmed?: DeviceEvent<PitProgramming>,
  ) {
    this.#name = context.name;
    this.#programmed = programmed;
    this.#clock = context.clock;
    this.#out0 = context.output("out0");
    this.#timer = context.clock.timer(() => this.#run());
    this.#out2 = context.output("out2");
    this.#speaker = context.clock.timer(() => this.#speak());
  }

  /** The counters and the control word (0x40 to 0x43). */
  get counterPorts(): IoHandler {
    return {
      widths: [1],
      read: (offset) => {
        // The control word register cannot be read: the bus floats.
        if (offset >= 3) return 0xff;
        return readCounter(this.#state.counters[offset], this.#now());
      },
      write: (offset, _width, value) => {
        if (offset >= 3) this.#control(value);
        else this.#write(offset, value);
      },
    };
  }

  /** Port 61h. */
  get speakerPort(): IoHandler {
    return {
      widths: [1],
      read: () => {
        const clock = this.#now();
        const { counters, port61 } = this.#state;
        sync(counters[2], clock);
        const toggle = Math.floor(clock / REFRESH_CLOCKS) % 2 !== 0;
        return port61 | (toggle ? REFRESH : 0) |
          (outOf(counters[2], clock) ? OUT2 : 0);
      },
      write: (_offset, _width, value) => {
        const state = this.#state;
        state.port61 = value & P61_STORED;
        setGate(state.counters[2], (value & GATE2) !== 0, this.#now());
        this.#speak();
      },
    };
  }

  #now(): number {
    return clocksAt(this.#clock.now());
  }

  #control(value: number): void {
    const clock = this.#now();
    const { counters } = this.#state;
    const select = value >> 6;
    if (select === 3) {
      // "Read-back command": the bits that choose a latch are active low.
      for (let i = 0; i < 3; i++) {
        if ((value & 2 << i) === 0) continue;
        if ((value & 0x20) === 0) latchCount(counters[i], clock);
        if ((value & 0x10) === 0) latchStatus(counters[i], clock);
      }
    } else if ((value & 0x30) === 0) {
      latchCount(counters[select], clock);
    } else {
      program(counters[select], value, clock);
      if (select === 0) this.#restart(clock);
      if (select === 2) this.#speak();
    }
  }

  #write(index: number, value: number): void {
    const clock = this.#now();
    const counter = this.#state.counters[index];
    const periodic = modeOf(counter) === 2 || modeOf(counter) === 3;
    writeCounter(counter, value, clock);
    if (this.#programmed?.isHeard === true && counter.low === NEVER) {
      const reload = counter.next;
      this.#programmed.tell({ counter: index, mode: modeOf(counter), reload });
    }
    if (index === 2) this.#speak();
    if (index !== 0) return;
    // A new period waits for the end of the old one, and late ticks stay due.
    if (periodic && counter.loaded) this.#schedule();
    else this.#restart(clock);
  }

  /** Drive the speaker, and wait for its next edge if one is heard. */
  #speak(): void {
    const { counters: [, , counter], port61 } = this.#state;
    const data = (port61 & SPEAKER_DATA) !== 0;
    let next = Infinity;
    let level = data;
    if (data && this.#out2.connected) {
      const clock = this.#now();
      sync(counter, clock);
      next = Math.min(nextRise(counter, clock), nextFall(counter, clock));
      const mode = modeOf(counter);
      const isTone = counter.loaded && (mode === 2 || mode === 3);
      if (isTone && counter.count < INAUDIBLE) {
        next = counter.nextAt !== NEVER ? counter.nextAt : Infinity;
      } else {
        level = outOf(counter, clock);
      }
    }
    this.#out2.set(level);
    if (next === Infinity) this.#speaker.cancel();
    else this.#speaker.arm(timeOf(next));
  }

  /** Counter 0 starts anew: what was due is void. */
  #restart(clock: number): void {
    const state = this.#state;
    const counter = state.counters[0];
    state.ticked = clock;
    this.#timer.cancel();
    this.#drive(outOf(counter, clock));
    this.#schedule();
  }

  #drive(level: boolean): void {
    this.#state.line = level;
    this.#out0.set(level);
  }

  /** Arm the timer for the next tick, unless the guest has one to take. */
  #schedule(): void {
    const state = this.#state;
    if (state.pending) return;
    const counter = state.counters[0];
    const rise = nextRise(counter, state.ticked);
    if (rise === Infinity) this.#timer.cancel();
    else if (modeOf(counter) === 2 || modeOf(counter) === 3) {
      // A count may not have been loaded yet.
      const period = Math.min(counter.count, counter.next);
      const soonest = state.taken + Math.floor(period / TAKEN_PART);
      this.#timer.arm(timeOf(Math.max(rise, soonest)));
    } else {
      this.#timer.arm(timeOf(rise), ONE_SHOT_SLACK);
    }
  }

  /** Deliver a tick if one is due, and wait for the next. */
  #run(): void {
    const state = this.#state;
    if (state.pending) return;
    const clock = this.#now();
    const counter = state.counters[0];
    const periodic = modeOf(counter) === 2 || modeOf(counter) === 3;
    if (periodic && clock - state.ticked > MAX_LAG) {
      state.ticked = clock - MAX_LAG;
    }
    const rise = nextRise(counter, state.ticked);
    if (rise <= clock) {
      state.ticked = rise;
      sync(counter, rise);
      this.#drive(false);
      this.#drive(true);
      // The controller did not keep it: it does not work yet.
      if (this.#wired && !state.pending) {
        sync(counter, clock);
        state.ticked = clock;
      }
    }
    this.#schedule();
  }

  /** The interrupt controller holds a tick, or holds it no longer. */
  setPending(level: boolean): void {
    const state = this.#state;
    // What it is told while a machine is loaded, it knows by its own state.
    if (level === state.pending) return;
    state.pending = level;
    if (level) {
      this.#wired = true;
      this.#timer.cancel();
    } else {
      state.taken = this.#now();
      this.#schedule();
    }
  }

  /** The interrupt controller masks ticks, or no longer. */
  setMasked(level: boolean): void {
    const state = this.#state;
    if (level === (state.maskedAt !== NEVER)) return;
    const clock = this.#now();
    const isLong = !level && clock - state.maskedAt > MAX_MASKED;
    state.maskedAt = level ? clock : NEVER;
    if (!isLong) return;
    sync(state.counters[0], clock);
    state.ticked = clock;
    this.#schedule();
  }

  /**
   * Power-on: no counter counts, the speaker is off; the inputs keep the levels
   * that their drivers give them.
   */
  reset(): void {
    const { pending, maskedAt } = this.#state;
    this.#state = { ...freshState(), pending, maskedAt };
    this.#timer.cancel();
    this.#drive(false);
    this.#speak();
  }

  /** All counters, port 61h and the levels of the inputs. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** All counters, port 61h and the levels of the inputs. */
  load(record: StateRecord): void {
    this.#state = loadState(freshState(), record, this.#name);
    this.#wired ||= this.#state.pending || this.#state.taken > 0;
    this.#timer.cancel();
    this.#out0.set(this.#state.line);
    this.#schedule();
    this.#speak();
  }
}

/** The `i8254` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "i8254",
  version: "1.0.0",
  description: "The 8254 interval timer of an AT, with port 61h",
  regions: {
    counters: { space: "ports", size: 4, at: 0x40 },
    speaker: { space: "ports", size: 1, at: 0x61 },
  },
  outputs: ["out0", "out2"],
  inputs: ["pending", "masked"],
  events: {
    program: {
      description:
        "A counter has got a new count: its mode, 0 to 5, and `reload` clocks of 1.193182 MHz",
      data: { counter: "number", mode: "number", reload: "number" },
    },
  },
  create(_config: Record<string, never>, context: DeviceContext): I8254 {
    const timer = new I8254(context, context.event("program"));
    context.io("counters", timer.counterPorts);
    context.io("speaker", timer.speakerPort);
    context.input("pending", (level) => timer.setPending(level));
    context.input("masked", (level) => timer.setMasked(level));
    return timer;
  },
};
export default plugin;
