/**
 * The high precision event timer: a counter of 64 bits and three timers that
 * compare with it.
 *
 * Source: IA-PC HPET Specification 1.0a.
 *
 * With legacy replacement it takes the place of the 8254 and the RTC as the
 * source of IRQ 0 and IRQ 8, so their lines pass through it: `pit` goes on as
 * `irq0` and `rtc` as `irq8` while they are not replaced. Without it, timers
 * go to pins 20 to 23 of the I/O APIC, or interrupt by messages.
 *
 * Nothing ticks: the counter is a function of virtual time, and only the next
 * match of a timer that interrupts is waited for. As for the 8254 (`i8254.ts`),
 * ticks on IRQ 0 that are due while `pending` says that the guest has not taken
 * the last one wait until it has, and what became due while they were `masked`
 * for long is lost.
 *
 * @module
 */

import type { IrqLine } from "../../../core/bus/irq_line.ts";
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
import { MILLISECOND, type Timer } from "../../../core/time/clock.ts";
import {
  advance,
  configure,
  freshHpetTimer,
  type HpetTimerState,
  TN_ENABLE,
  TN_FSB,
  TN_LEVEL,
  TN_PERIODIC,
  TN_ROUTE_SHIFT,
  untilMatch,
  writeComparator,
} from "./hpet_timer.ts";

/** Nanoseconds of a count: 100 MHz. */
const COUNT_NS = 10;
/** COUNTER_CLK_PERIOD, in femtoseconds. */
const PERIOD_FS = COUNT_NS * 1_000_000;
/**
 * A read of 64 bits comes as its two words. So many counts after the low one,
 * the high one is still what it was then.
 */
const ONE_READ = 100;
/** Ticks that are later than this are forgotten, in counts: 2 s. */
const MAX_LAG = 200_000_000;
/** Who masks ticks for longer wants none, in nanoseconds: see `i8254.ts`. */
const MAX_MASKED = 500 * MILLISECOND;
/** How late a one-shot match may be for an idle guest: see `i8254.ts`. */
const ONE_SHOT_SLACK = 16 * MILLISECOND;

const TIMERS = 3;
/** GCAP_ID: revision 1, three timers, 64 bits, legacy replacement, Intel. */
const GCAP_ID = 0x8086_0000 + 0x8000 + 0x2000 + (TIMERS - 1 << 8) + 1;
/** Tn_INT_ROUTE_CAP: pins 20 to 23. */
const ROUTES = 0x00f0_0000;
const FIRST_ROUTE = 20;
const ROUTE_COUNT = 4;

// Registers.
const GEN_CONF = 0x10,
  GINTR_STA = 0x20,
  MAIN_CNT = 0xf0,
  TN_BASE = 0x100,
  TN_SIZE = 0x20;
// Of a timer.
const TN_CONF = 0x00,
  TN_ROUTE_CAP = 0x04,
  TN_COMP = 0x08,
  TN_FSB_VALUE = 0x10,
  TN_FSB_ADDRESS = 0x14;

/** GEN_CONF: the counter runs and timers interrupt. */
const ENABLE = 1;
/** GEN_CONF: legacy replacement. */
const LEGACY = 2;

/** Timer 0's legacy line is output 0, timer 1's output 1, routes follow. */
const IRQ0 = 0,
  IRQ8 = 1,
  ROUTED = 2;
const OUTPUTS = ["irq0", "irq8", "irq20", "irq21", "irq22", "irq23"];

const WORD = 0x1_0000_0000;

interface HpetState {
  /** GEN_CONF. */
  conf: number;
  /** GINTR_STA: level-triggered interrupts that are active. */
  status: number;
  /** What the counter was at the time `since`. */
  counterLo: number;
  /** Its high word. */
  counterHi: number;
  /** The virtual time at which the counter was started, in nanoseconds. */
  since: number;
  /** Counts since then at which the low word was read last, or -1. */
  lowRead: number;
  /** The timers. */
  timers: HpetTimerState[];
  /** Levels of the outputs that the timers drive, a bit each. */
  lines: number;
  /** The level of the input `pit`. */
  pit: boolean;
  /** The level of the input `rtc`. */
  rtc: boolean;
  /** The level of the input `pending`. */
  pending: boolean;
  /** The virtual time at which `masked` rose, or -1. */
  maskedAt: number;
}

function freshState(): HpetState {
  return {
    conf: 0,
    status: 0,
    counterLo: 0,
    counterHi: 0,
    since: 0,
    lowRead: -1,
    timers: Array.from({ length: TIMERS }, freshHpetTimer),
    lines: 0,
    pit: false,
    rtc: false,
    pending: false,
    maskedAt: -1,
  };
}

/** The high precision event timer. */
export class Hpet implements Device {
  #state: HpetState = freshState();
  readonly #context: DeviceContext;
  readonly #timers: readonly Timer[];
  readonly #outputs: readonly IrqLine[];
  /** The data of a message on its way. */
  readonly #message = new Uint8Array(4);
  /** When `masked` changed is in the state. */
  readonly latchesEdges = true;

  /** A timer block in its reset state. */
  constructor(context: DeviceContext) {
    this.#context = context;
    this.#outputs = OUTPUTS.map((name) => context.output(name));
    this.#timers = Array.from(
      { length: TIMERS },
      (_, n) => context.clock.timer(() => this.#run(n)),
    );
    context.io("registers", {
      widths: [4],
      read: (offset) => this.#read(offset),
      write: (offset, _width, value) => this.#write(offset, value),
    });
  }

  /** Counts since the counter was started. */
  get #counts(): number {
    const { conf, since } = this.#state;
    if ((conf & ENABLE) === 0) return 0;
    return Math.floor((this.#context.clock.now() - since) / COUNT_NS);
  }

  /** A word of the counter when so many counts have passed. */
  #counter(counts: number, high: boolean): number {
    const { counterLo, counterHi } = this.#state;
    const low = counterLo + counts;
    return (high ? counterHi + Math.floor(low / WORD) : low) % WORD;
  }

  /** Whether a timer stands in for the 8254 or the RTC. */
  #isLegacy(n: number): boolean {
    return n < 2 && (this.#state.conf & LEGACY) !== 0;
  }

  // Registers.

  #read(offset: number): number {
    const s = this.#state;
    if (offset >= TN_BASE) return this.#readTimer(offset - TN_BASE);
    switch (offset) {
      case 0:
        return GCAP_ID;
      case 4:
        return PERIOD_FS;
      case GEN_CONF:
        return s.conf;
      case GINTR_STA:
        return s.status;
      case MAIN_CNT:
        s.lowRead = this.#counts;
        return this.#counter(s.lowRead, false);
      case MAIN_CNT + 4: {
        const counts = this.#counts;
        const isOne = s.lowRead >= 0 && counts - s.lowRead < ONE_READ;
        return this.#counter(isOne ? s.lowRead : counts, true);
      }
      default:
        return 0;
    }
  }

  #readTimer(offset: number): number {
    const n = Math.floor(offset / TN_SIZE);
    const timer = this.#state.timers[n];
    if (timer === undefined) return 0;
    switch (offset % TN_SIZE) {
      case TN_CONF:
        return timer.conf;
      case TN_ROUTE_CAP:
        return ROUTES;
      case TN_COMP:
        if (!this.#isWanted(n)) this.#pass(n);
        return timer.compLo;
      case TN_COMP + 4:
        return timer.compHi;
      case TN_FSB_VALUE:
        return timer.fsbValue;
      case TN_FSB_ADDRESS:
        return timer.fsbAddress;
      default:
        return 0;
    }
  }

  #write(offset: number, value: number): void {
    const s = this.#state;
    if (offset >= TN_BASE) return this.#writeTimer(offset - TN_BASE, value);
    for (let n = 0; n < TIMERS; n++) this.#pass(n);
    switch (offset) {
      case GEN_CONF:
        this.#halt();
        s.conf = value & (ENABLE | LEGACY);
        break;
      case GINTR_STA:
        s.status &= ~value;
        break;
      case MAIN_CNT:
        this.#halt();
        s.counterLo = value;
        break;
      case MAIN_CNT + 4:
        this.#halt();
        s.counterHi = value;
        break;
      default:
        return;
    }
    for (let n = 0; n < TIMERS; n++) this.#schedule(n);
    this.#drive();
  }

  #writeTimer(offset: number, value: number): void {
    const n = Math.floor(offset / TN_SIZE);
    const timer = this.#state.timers[n];
    if (timer === undefined) return;
    this.#pass(n);
    switch (offset % TN_SIZE) {
      case TN_CONF:
        configure(timer, value, ROUTES);
        break;
      case TN_COMP:
        writeComparator(timer, false, value);
        break;
      case TN_COMP + 4:
        writeComparator(timer, true, value);
        break;
      case TN_FSB_VALUE:
        timer.fsbValue = value;
        return;
      case TN_FSB_ADDRESS:
        timer.fsbAddress = value;
        return;
      default:
        return;
    }
    this.#schedule(n);
    this.#drive();
  }

  /** Let the counter stand as it is; what starts it again counts from here. */
  #halt(): void {
    const s = this.#state;
    const counts = this.#counts;
    const low = this.#counter(counts, false);
    s.counterHi = this.#counter(counts, true);
    s.counterLo = low;
    s.lowRead = -1;
    // What has passed of the present count has passed.
    const now = this.#context.clock.now();
    s.since = (s.conf & ENABLE) === 0 ? now : s.since + counts * COUNT_NS;
  }

  /** Leave matches behind that have passed and that nobody has waited for. */
  #pass(n: number): void {
    const timer = this.#state.timers[n];
    // One that is due just now is still to be delivered.
    const limit = this.#counts + (this.#isWanted(n) ? 0 : 1);
    if (timer.match >= 0 && timer.match < limit) advance(timer, limit, 0);
  }

  // Interrupts.

  /** Find out when a timer matches next, and wait for it. */
  #schedule(n: number): void {
    const s = this.#state;
    const timer = s.timers[n];
    const counts = this.#counts;
    timer.match = (s.conf & ENABLE) === 0 ? -1 : counts + untilMatch(
      timer,
      this.#counter(counts, false),
      this.#counter(counts, true),
    );
    this.#arm(n);
  }

  /** Whether a match does anything. */
  #isWanted(n: number): boolean {
    const { conf, status, timers } = this.#state;
    const timer = timers[n];
    if ((conf & ENABLE) === 0 || timer.match < 0) return false;
    // "If 0, the timer still generates appropriate status bits."
    return (timer.conf & TN_ENABLE) !== 0 ||
      (timer.conf & TN_LEVEL) !== 0 && (status >> n & 1) === 0;
  }

  #arm(n: number): void {
    const { since, timers, pending } = this.#state;
    const timer = timers[n];
    const waits = pending && n === 0 && this.#isLegacy(n);
    if (waits || !this.#isWanted(n)) this.#timers[n].cancel();
    else {
      const slack = (timer.conf & TN_PERIODIC) === 0 ? ONE_SHOT_SLACK : 0;
      this.#timers[n].arm(since + timer.match * COUNT_NS, slack);
    }
  }

  /** A timer has matched. */
  #run(n: number): void {
    const s = this.#state;
    const timer = s.timers[n];
    advance(timer, this.#counts, MAX_LAG);
    const bit = this.#lineOf(n);
    if ((timer.conf & TN_LEVEL) !== 0) s.status |= 1 << n;
    this.#arm(n);
    if ((timer.conf & TN_ENABLE) === 0) return;
    if ((timer.conf & TN_FSB) !== 0) return this.#send(timer);
    if ((timer.conf & TN_LEVEL) === 0) {
      // Down before up: it is an edge, and stays up until it is taken.
      s.lines &= ~bit;
      this.#drive();
      s.lines |= bit;
    }
    this.#drive();
  }

  /** The output that a timer drives, as a bit; 0: none. */
  #lineOf(n: number): number {
    if (this.#isLegacy(n)) return 1 << (n === 0 ? IRQ0 : IRQ8);
    const route = (this.#state.timers[n].conf >> TN_ROUTE_SHIFT & 31) -
      FIRST_ROUTE;
    return route >= 0 && route < ROUTE_COUNT ? 1 << ROUTED + route : 0;
  }

  #send(timer: HpetTimerState): void {
    const bytes = this.#message;
    for (let i = 0; i < 4; i++) bytes[i] = timer.fsbValue >>> 8 * i;
    const address = timer.fsbAddress - timer.fsbAddress % 4;
    this.#context.dma.write(address, bytes);
  }

  /** Drive the outputs: edges that were given, levels, what passes through. */
  #drive(): void {
    const s = this.#state;
    let edges = 0;
    let levels = 0;
    for (let n = 0; n < TIMERS; n++) {
      const { conf } = s.timers[n];
      if ((s.conf & ENABLE) === 0 || (conf & TN_ENABLE) === 0) continue;
      if ((conf & TN_FSB) !== 0) continue;
      if ((conf & TN_LEVEL) === 0) edges |= this.#lineOf(n);
      else if ((s.status >> n & 1) !== 0) levels |= this.#lineOf(n);
    }
    // An edge's line falls when its timer is switched off.
    s.lines &= edges;
    let high = s.lines | levels;
    if ((s.conf & LEGACY) === 0) {
      if (s.pit) high |= 1 << IRQ0;
      if (s.rtc) high |= 1 << IRQ8;
    }
    for (let i = 0; i < OUTPUTS.length; i++) {
      this.#outputs[i].set((high >> i & 1) !== 0);
    }
  }

  // Lines.

  /** The 8254's output changes. */
  setPit(level: boolean): void {
    this.#state.pit = level;
    if ((this.#state.conf & LEGACY) === 0) this.#outputs[IRQ0].set(level);
  }

  /** The RTC's interrupt changes. */
  setRtc(level: boolean): void {
    this.#state.rtc = level;
    if ((this.#state.conf & LEGACY) === 0) this.#outputs[IRQ8].set(level);
  }

  /** The interrupt controllers hold a tick, or hold it no longer. */
  setPending(level: boolean): void {
    this.#state.pending = level;
    if (this.#isLegacy(0)) this.#arm(0);
  }

  /** The interrupt controllers mask ticks, or no longer. */
  setMasked(level: boolean): void {
    const s = this.#state;
    const now = this.#context.clock.now();
    const { maskedAt } = s;
    s.maskedAt = level ? now : -1;
    if (level || maskedAt < 0 || now - maskedAt <= MAX_MASKED) return;
    if (!this.#isLegacy(0)) return;
    this.#pass(0);
    this.#arm(0);
  }

  /** Off; the inputs keep the levels that their drivers give them. */
  reset(): void {
    const { pit, rtc, pending, maskedAt } = this.#state;
    this.#adopt({ ...freshState(), pit, rtc, pending, maskedAt });
  }

  /** All registers and the levels of the lines. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** All registers and the levels of the lines. */
  load(record: StateRecord): void {
    this.#adopt(loadState(freshState(), record, this.#context.name));
  }

  #adopt(state: HpetState): void {
    this.#state = state;
    for (let n = 0; n < TIMERS; n++) this.#arm(n);
    this.#drive();
  }
}

/** The `hpet` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "hpet",
  version: "1.0.0",
  description: "The high precision event timer (IA-PC HPET)",
  regions: { registers: { space: "memory", size: 0x400, at: 0xfed00000 } },
  inputs: ["pit", "rtc", "pending", "masked"],
  outputs: OUTPUTS,
  create(_config: Record<string, never>, context: DeviceContext): Hpet {
    const hpet = new Hpet(context);
    context.input("pit", (level) => hpet.setPit(level));
    context.input("rtc", (level) => hpet.setRtc(level));
    context.input("pending", (level) => hpet.setPending(level));
    context.input("masked", (level) => hpet.setMasked(level));
    return hpet;
  },
};
export default plugin;
