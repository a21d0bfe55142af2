/**
 * The MC146818 real-time clock and the CMOS memory of an AT behind ports 70h
 * and 71h.
 *
 * Datasheet: Motorola MC146818A (DS9723). The 128 bytes of memory and the
 * meaning of those above the registers are IBM's (AT Technical Reference).
 *
 * The clock is the machine's date at start plus virtual time; nothing ticks
 * while no interrupt is enabled. Register C's flags are brought up to date
 * when something looks.
 *
 * @module
 */

import type { IrqLine } from "../../../core/bus/irq_line.ts";
import {
  type Device,
  type DeviceContext,
  type DevicePlugin,
  ramAbove4G,
} from "../../../core/machine/plugin.ts";
import type { SetupMemory } from "../../../core/machine/setup_memory.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import {
  type Clock,
  MICROSECOND,
  MILLISECOND,
  SECOND,
  type Timer,
} from "../../../core/time/clock.ts";

/** Register numbers ("Address map"). */
const SECONDS = 0x00;
const SECONDS_ALARM = 0x01;
const MINUTES = 0x02;
const MINUTES_ALARM = 0x03;
const HOURS = 0x04;
const HOURS_ALARM = 0x05;
const DAY_OF_WEEK = 0x06;
const DAY_OF_MONTH = 0x07;
const MONTH = 0x08;
const YEAR = 0x09;
const REGISTER_A = 0x0a;
const REGISTER_B = 0x0b;
const REGISTER_C = 0x0c;
const REGISTER_D = 0x0d;
/** IBM's: the century in BCD or binary as the year is. */
const CENTURY = 0x32;

/** Register A: update in progress. */
const A_UIP = 0x80;
/** Register A: the divider is held in reset when both are set. */
const A_DIVIDER_RESET = 0x60;
/** Register A: 32.768 kHz crystal, and 1024 Hz as AT firmware leaves it. */
const A_DEFAULT = 0x26;
/** Register B: updates are off, the calendar may be set. */
const B_SET = 0x80;
/** Register B: interrupt enables, at the places of register C's flags. */
const B_PIE = 0x40;
const B_AIE = 0x20;
const B_UIE = 0x10;
const B_SQWE = 0x08;
/** Register B: binary rather than BCD. */
const B_DM = 0x04;
/** Register B: 24 hours rather than 12. */
const B_24 = 0x02;
/** Register C: the interrupt request. */
const C_IRQF = 0x80;
const C_PF = 0x40;
const C_AF = 0x20;
const C_UF = 0x10;
/** Register D: valid RAM and time. */
const D_VRT = 0x80;
/** Hours in 12-hour mode: afternoon. */
const PM = 0x80;
/** Alarm bytes from here on match anything. */
const DONT_CARE = 0xc0;

/** UIP goes up so long before the update ("Update cycle", tBUC). */
const UIP_LEAD = 244 * MICROSECOND;
/** The first update after the divider's reset comes after half a second. */
const HALF_SECOND = SECOND / 2;
const DAY = 86400;

/** CMOS (AT Technical Reference): low byte of the base memory in KiB. */
const CMOS_BASE_MEMORY = 0x15;
/** CMOS: memory above 1 MiB in KiB, at two places. */
const CMOS_EXTENDED = 0x17;
const CMOS_EXTENDED_ACTUAL = 0x30;
/** CMOS: memory above 16 MiB in units of 64 KiB, as later firmware has it. */
const CMOS_ABOVE_16M = 0x34;
/** CMOS: for how many CPUs QEMU's and Bochs' firmware waits, less one. */
const CMOS_MORE_CPUS = 0x5f;
/** CMOS: memory above 4 GiB in units of 64 KiB, three bytes, as QEMU has it. */
const CMOS_ABOVE_4G = 0x5b;
/** CMOS: equipment; an 80x87 is there. */
const CMOS_EQUIPMENT = 0x14;
const EQUIPMENT_FPU = 0x02;
/** CMOS: the sum of 10h to 2Dh, high byte first. */
const CMOS_SUMMED = 0x10;
const CMOS_CHECKSUM = 0x2e;

/** Configuration of the clock. */
export interface Mc146818Config {
  /** The guest's memory in bytes, told in the CMOS; 0 leaves it out. */
  readonly memory: number;
  /** The number of CPUs, told in the CMOS. */
  readonly cpus: number;
}

interface Mc146818State {
  /** The selected register. */
  index: number;
  /** Bit 7 of port 70h: NMI is masked. */
  nmiMasked: boolean;
  /** All 128 bytes; of the calendar only while it stands still. */
  ram: Uint8Array;
  /** The calendar at `phase`, in seconds since 1970. */
  base: number;
  /** A virtual time at which a second began. */
  phase: number;
  /** What the guest's day of the week is ahead of the calendar's. */
  weekday: number;
  /** The virtual time up to which register C is right. */
  seen: number;
}

/** The bytes that are computed while the clock runs. */
function isCalendar(index: number): boolean {
  return index <= YEAR && (index > HOURS_ALARM || (index & 1) === 0) ||
    index === CENTURY;
}

/** The sum that firmware checks. */
function sumUp(ram: Uint8Array): void {
  let sum = 0;
  for (let i = CMOS_SUMMED; i < CMOS_CHECKSUM; i++) sum += ram[i];
  ram[CMOS_CHECKSUM] = sum >> 8;
  ram[CMOS_CHECKSUM + 1] = sum & 0xff;
}

function initialRam(
  { memory, cpus }: Mc146818Config,
  above4G: number,
): Uint8Array {
  const ram = new Uint8Array(128);
  ram[REGISTER_A] = A_DEFAULT;
  ram[REGISTER_B] = B_24;
  ram[REGISTER_D] = D_VRT;
  ram[CMOS_EQUIPMENT] = EQUIPMENT_FPU;
  const word = (at: number, value: number): void => {
    ram[at] = value & 0xff;
    ram[at + 1] = value >> 8;
  };
  const kib = Math.floor((memory - above4G) / 1024);
  word(CMOS_BASE_MEMORY, Math.min(kib, 640));
  const extended = Math.min(Math.max(kib - 1024, 0), 0xffff);
  word(CMOS_EXTENDED, extended);
  word(CMOS_EXTENDED_ACTUAL, extended);
  const above = Math.floor(Math.max(kib - 16384, 0) / 64);
  word(CMOS_ABOVE_16M, Math.min(above, 0xffff));
  ram[CMOS_MORE_CPUS] = cpus - 1;
  const high = Math.floor(above4G / 65536);
  word(CMOS_ABOVE_4G, high & 0xffff);
  ram[CMOS_ABOVE_4G + 2] = high >> 16;
  sumUp(ram);
  return ram;
}

/** The real-time clock. */
export class Mc146818 implements Device, SetupMemory {
  #state: Mc146818State;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #irq: IrqLine;
  /** Tells whoever wants to know that the guest has set the date. */
  readonly #dateSet: (offset: number) => void;
  readonly #timer: Timer;
  /** What the battery has kept when the machine is switched on. */
  readonly #initial: Uint8Array;

  /** A clock as its battery has kept it. */
  constructor(config: Mc146818Config, context: DeviceContext) {
    this.#name = context.name;
    this.#clock = context.clock;
    this.#initial = initialRam(
      config,
      Math.min(ramAbove4G(context.survey().ram), config.memory),
    );
    this.#irq = context.output("irq");
    this.#dateSet = (offset) => context.dateSet?.(offset);
    this.#timer = context.clock.timer(() => {
      this.#catchUp();
      this.#arm();
    });
    this.#state = this.#fresh();
    context.io("ports", {
      widths: [1],
      // The index cannot be read back: the bus floats.
      read: (offset) => offset === 0 ? 0xff : this.#read(),
      write: (offset, _width, value) => {
        if (offset !== 0) return this.#write(value);
        this.#state.index = value & 0x7f;
        this.#state.nmiMasked = (value & 0x80) !== 0;
      },
    });
  }

  #fresh(): Mc146818State {
    const { epoch } = this.#clock;
    const base = Math.floor(epoch / 1000);
    return {
      index: 0,
      nmiMasked: false,
      ram: this.#initial.slice(),
      base,
      phase: -Math.round((epoch - base * 1000) * 1e6),
      weekday: 0,
      seen: this.#clock.now(),
    };
  }

  /** See `SetupMemory`. */
  preset(index: number, mask: number, value: number): void {
    for (const ram of [this.#initial, this.#state.ram]) {
      ram[index] = ram[index] & ~mask | value & mask;
      sumUp(ram);
    }
  }

  /** Whether the calendar stands still, to be set. */
  get #frozen(): boolean {
    const { ram } = this.#state;
    return (ram[REGISTER_B] & B_SET) !== 0 ||
      (ram[REGISTER_A] & A_DIVIDER_RESET) === A_DIVIDER_RESET;
  }

  #secondsAt(time: number): number {
    const { base, phase } = this.#state;
    return base + Math.floor((time - phase) / SECOND);
  }

  /** The virtual time at which a second of the calendar begins. */
  #timeOf(second: number): number {
    return this.#state.phase + (second - this.#state.base) * SECOND;
  }

  #encode(value: number): number {
    return (this.#state.ram[REGISTER_B] & B_DM) !== 0
      ? value & 0xff
      : Math.floor(value / 10) % 10 << 4 | value % 10;
  }

  #decode(value: number): number {
    return (this.#state.ram[REGISTER_B] & B_DM) !== 0
      ? value
      : (value >> 4) * 10 + (value & 15);
  }

  #encodeHour(hour: number): number {
    if ((this.#state.ram[REGISTER_B] & B_24) !== 0) return this.#encode(hour);
    return this.#encode(hour % 12 === 0 ? 12 : hour % 12) |
      (hour >= 12 ? PM : 0);
  }

  #decodeHour(value: number): number {
    if ((this.#state.ram[REGISTER_B] & B_24) !== 0) return this.#decode(value);
    return this.#decode(value & ~PM) % 12 + ((value & PM) !== 0 ? 12 : 0);
  }

  /** The calendar's registers for a second, into `into`. */
  #calendar(second: number, into: Uint8Array): void {
    const date = new Date(second * 1000);
    const year = date.getUTCFullYear();
    into[SECONDS] = this.#encode(date.getUTCSeconds());
    into[MINUTES] = this.#encode(date.getUTCMinutes());
    into[HOURS] = this.#encodeHour(date.getUTCHours());
    into[DAY_OF_WEEK] = this.#encode(
      (date.getUTCDay() + this.#state.weekday) % 7 + 1,
    );
    into[DAY_OF_MONTH] = this.#encode(date.getUTCDate());
    into[MONTH] = this.#encode(date.getUTCMonth() + 1);
    into[YEAR] = this.#encode(year % 100);
    into[CENTURY] = this.#encode(Math.floor(year / 100));
  }

  /** The second that the registers say, whatever is in them. */
  #parse(): number {
    const { ram } = this.#state;
    const year = this.#decode(ram[CENTURY]) * 100 + this.#decode(ram[YEAR]);
    const date = new Date(0);
    date.setUTCFullYear(
      year,
      this.#decode(ram[MONTH]) - 1,
      this.#decode(ram[DAY_OF_MONTH]),
    );
    date.setUTCHours(
      this.#decodeHour(ram[HOURS]),
      this.#decode(ram[MINUTES]),
      this.#decode(ram[SECONDS]),
    );
    const weekday = this.#decode(ram[DAY_OF_WEEK]) - 1 - date.getUTCDay();
    this.#state.weekday = (weekday % 7 + 7) % 7;
    return Math.floor(date.getTime() / 1000);
  }

  /** Put the running calendar into the registers. */
  #freeze(now: number): void {
    this.#calendar(this.#secondsAt(now), this.#state.ram);
  }

  /** Let the calendar go on from the registers; a second began at `phase`. */
  #thaw(now: number, phase: number): void {
    const state = this.#state;
    const second = this.#parse();
    state.phase = phase;
    state.base = second - Math.floor((now - phase) / SECOND);
    state.seen = now;
    const { epoch } = this.#clock;
    const unset = Math.floor((epoch + now / MILLISECOND) / 1000);
    this.#dateSet(this.#secondsAt(now) - unset);
  }

  #read(): number {
    const { index, ram } = this.#state;
    const now = this.#clock.now();
    switch (index) {
      case REGISTER_A:
        return ram[REGISTER_A] | (this.#updating(now) ? A_UIP : 0);
      case REGISTER_C: {
        this.#catchUp();
        const flags = ram[REGISTER_C];
        ram[REGISTER_C] = 0;
        this.#irq.lower();
        this.#arm();
        return flags;
      }
      default:
        if (!isCalendar(index) || this.#frozen) return ram[index];
        this.#freeze(now);
        return ram[index];
    }
  }

  #updating(now: number): boolean {
    if (this.#frozen) return false;
    const since = now - this.#state.phase;
    return SECOND - (since - Math.floor(since / SECOND) * SECOND) <= UIP_LEAD;
  }

  #write(value: number): void {
    const state = this.#state;
    const { index, ram } = state;
    const now = this.#clock.now();
    this.#catchUp();
    switch (index) {
      case REGISTER_A:
      case REGISTER_B: {
        const wasFrozen = this.#frozen;
        const wasReset =
          (ram[REGISTER_A] & A_DIVIDER_RESET) === A_DIVIDER_RESET;
        // A change of DM or 24/12 changes no bytes ("Register B"): those of what
        // stands still are as the old B had them.
        if (!wasFrozen) this.#freeze(now);
        ram[index] = index === REGISTER_A ? value & ~A_UIP : value;
        // "SET going high clears UIE."
        if ((ram[REGISTER_B] & B_SET) !== 0) ram[REGISTER_B] &= ~B_UIE;
        if (wasFrozen && !this.#frozen) {
          const since = Math.floor((now - state.phase) / SECOND) * SECOND;
          this.#thaw(now, wasReset ? now - HALF_SECOND : state.phase + since);
        }
        this.#request();
        break;
      }
      case REGISTER_C:
      case REGISTER_D:
        return;
      default:
        if (isCalendar(index) && !this.#frozen) {
          this.#freeze(now);
          ram[index] = value;
          const since = Math.floor((now - state.phase) / SECOND) * SECOND;
          this.#thaw(now, state.phase + since);
        } else {
          ram[index] = value;
        }
    }
    this.#arm();
  }

  /** The periodic interrupt's frequency in Hz; 0 for none ("Table 5"). */
  get #rate(): number {
    const rs = this.#state.ram[REGISTER_A] & 15;
    if (rs === 0 || this.#dividerHeld) return 0;
    return rs < 3 ? 256 >> (rs - 1) : 32768 >> (rs - 1);
  }

  get #dividerHeld(): boolean {
    return (this.#state.ram[REGISTER_A] & A_DIVIDER_RESET) === A_DIVIDER_RESET;
  }

  /** How many periods have passed at a time. */
  #periods(time: number, rate: number): number {
    const since = time - this.#state.phase;
    const seconds = Math.floor(since / SECOND);
    return seconds * rate +
      Math.floor((since - seconds * SECOND) * rate / SECOND);
  }

  /** The time at which so many periods have passed. */
  #periodEnd(periods: number, rate: number): number {
    const seconds = Math.floor(periods / rate);
    return this.#state.phase + seconds * SECOND +
      Math.ceil((periods - seconds * rate) * SECOND / rate);
  }

  /** The first second after `second` at which the alarm goes off. */
  #nextAlarm(second: number): number {
    const { ram } = this.#state;
    const matches = (alarm: number, value: number): boolean =>
      alarm >= DONT_CARE || alarm === value;
    // In 12-hour mode an afternoon's hour is at most 92h: no don't-care.
    const midnight = Math.floor(second / DAY) * DAY;
    for (let day = midnight; day <= midnight + DAY; day += DAY) {
      for (let h = 0; h < 24; h++) {
        const hour = day + h * 3600;
        if (hour + 3599 <= second) continue;
        if (!matches(ram[HOURS_ALARM], this.#encodeHour(h))) continue;
        for (let m = 0; m < 60; m++) {
          const minute = hour + m * 60;
          if (minute + 59 <= second) continue;
          if (!matches(ram[MINUTES_ALARM], this.#encode(m))) continue;
          for (let s = 0; s < 60; s++) {
            if (minute + s <= second) continue;
            if (matches(ram[SECONDS_ALARM], this.#encode(s))) return minute + s;
          }
        }
      }
    }
    return Infinity;
  }

  /** Bring register C up to now. */
  #catchUp(): void {
    const state = this.#state;
    const now = this.#clock.now();
    let flags = 0;
    const rate = this.#rate;
    if (
      rate !== 0 && this.#periods(now, rate) > this.#periods(state.seen, rate)
    ) flags |= C_PF;
    if (!this.#frozen) {
      const before = this.#secondsAt(state.seen);
      const second = this.#secondsAt(now);
      if (second > before) {
        flags |= C_UF;
        if (this.#nextAlarm(before) <= second) flags |= C_AF;
      }
    }
    state.seen = now;
    state.ram[REGISTER_C] |= flags;
    this.#request();
  }

  /** IRQF and the line, by the flags and their enables. */
  #request(): void {
    const { ram } = this.#state;
    const asked = ram[REGISTER_C] & ram[REGISTER_B] & (C_PF | C_AF | C_UF);
    if (asked !== 0) ram[REGISTER_C] |= C_IRQF;
    else ram[REGISTER_C] &= ~C_IRQF;
    this.#irq.set(asked !== 0);
  }

  /** Arm the timer for the next event that would raise the line. */
  #arm(): void {
    const { ram, seen } = this.#state;
    const enabled = ram[REGISTER_B];
    let next = Infinity;
    if ((ram[REGISTER_C] & C_IRQF) === 0) {
      const rate = this.#rate;
      if ((enabled & B_PIE) !== 0 && rate !== 0) {
        next = this.#periodEnd(this.#periods(seen, rate) + 1, rate);
      }
      if (!this.#frozen) {
        const second = this.#secondsAt(seen);
        if ((enabled & B_UIE) !== 0) {
          next = Math.min(next, this.#timeOf(second + 1));
        }
        if ((enabled & B_AIE) !== 0) {
          next = Math.min(next, this.#timeOf(this.#nextAlarm(second)));
        }
      }
    }
    this.#timer.arm(next);
  }

  /**
   * The RESET pin clears the interrupt enables and flags; the battery keeps
   * the calendar and the memory ("RESET").
   */
  reset(): void {
    this.#catchUp();
    const state = this.#state;
    state.index = 0;
    state.nmiMasked = false;
    state.ram[REGISTER_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    state.ram[REGISTER_C] = 0;
    this.#irq.lower();
    this.#arm();
  }

  /** The memory, the calendar and the flags. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The memory, the calendar and the flags. */
  load(record: StateRecord): void {
    this.#state = loadState(this.#fresh(), record, this.#name);
    this.#request();
    this.#arm();
  }
}

/** The `mc146818` plugin. */
const plugin: DevicePlugin<Mc146818Config> = {
  type: "device",
  name: "mc146818",
  version: "1.0.0",
  description: "The real-time clock and CMOS memory of an AT",
  config: {
    type: "object",
    properties: {
      memory: {
        description:
          "The guest's memory, told in the CMOS: a size or a memory's name",
        format: "memory-size",
        default: 0,
        minimum: 0,
      },
      cpus: {
        type: "integer",
        from: "cpu.count",
        description: "The number of CPUs, told in the CMOS",
        minimum: 1,
        maximum: 255,
        default: 1,
      },
    },
  },
  regions: { ports: { space: "ports", size: 2, at: 0x70 } },
  outputs: ["irq"],
  provides: ["setup-memory"],
  surveys: true,
  create: (config, context) => new Mc146818(config, context),
};
export default plugin;
