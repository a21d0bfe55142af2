/**
 * The registers of the APICs in words, in the layout of QEMU's `info lapic`
 * and `info pic`.
 *
 * @module
 */

import type { LocalApicState } from "./lapic_memory.ts";
import {
  LVT_DEADLINE,
  LVT_ERROR,
  LVT_LEVEL,
  LVT_LINT0,
  LVT_LINT1,
  LVT_MASKED,
  LVT_MODE_SHIFT,
  LVT_PERFORMANCE,
  LVT_PERIODIC,
  LVT_THERMAL,
  LVT_TIMER,
  SVR_ENABLE,
} from "./lapic_state.ts";
import { hasVector, highestVector } from "./vector_set.ts";

/** LVT and IOREDTBL: the line is active low. */
const ACTIVE_LOW = 0x2000;
/** LVT: delivery status. */
const DELIVERY_STATUS = 0x1000;
/** SVR: no focus check. */
const SVR_FOCUS = 0x200;
const NMI = 4;
/** Delivery modes. */
const MODES = ["Fixed", "Lowest", "SMI", "...", "NMI", "INIT", "...", "ExtINT"];
/** LVT entries, in the order in which they are shown. */
const LVT_NAMES: readonly (readonly [name: string, entry: number])[] = [
  ["LVT0", LVT_LINT0],
  ["LVT1", LVT_LINT1],
  ["LVTPC", LVT_PERFORMANCE],
  ["LVTERR", LVT_ERROR],
  ["LVTTHMR", LVT_THERMAL],
  ["LVTT", LVT_TIMER],
];
const SHORTHANDS = ["no-shorthand", "self", "all-self", "all"];

function hex(value: number, digits: number): string {
  return `0x${(value >>> 0).toString(16).padStart(digits, "0")}`;
}

function lvtLine(name: string, entry: number, isTimer: boolean): string {
  const mode = entry >> LVT_MODE_SHIFT & 7;
  const kind = !isTimer
    ? ""
    : (entry & LVT_PERIODIC) !== 0
    ? "periodic"
    : (entry & LVT_DEADLINE) !== 0
    ? "tsc-deadline"
    : "one-shot";
  const parts = [
    (entry & ACTIVE_LOW) === 0 ? "active-hi" : "active-lo",
    ((entry & LVT_LEVEL) === 0 ? "edge" : "level").padEnd(5),
    ((entry & LVT_MASKED) === 0 ? "" : "masked").padEnd(6),
    ((entry & DELIVERY_STATUS) === 0 ? "" : "pending").padEnd(7),
    kind.padEnd(12),
    MODES[mode].padEnd(6),
  ];
  return `${name}\t ${hex(entry, 8)} ${parts.join(" ")}` +
    (mode === NMI ? "" : ` (vec ${entry & 0xff})`);
}

/** The vectors of a set; `tmr`: those that are level triggered. */
function vectorLine(
  name: string,
  set: Int32Array,
  tmr: Int32Array,
): string {
  const all: string[] = [];
  for (let vector = 0; vector < 256; vector++) {
    if (!hasVector(set, vector)) continue;
    all.push(`${vector}${hasVector(tmr, vector) ? "(level)" : ""}`);
  }
  return `${name}\t ${all.length === 0 ? "(none)" : all.join(" ")}`;
}

/** A local APIC. `current`: the timer's count. */
export function* localApicLines(
  state: LocalApicState,
  current: number,
): Generator<string> {
  for (const [name, entry] of LVT_NAMES) {
    yield lvtLine(name, state.LVT[entry], entry === LVT_TIMER);
  }
  const { DCR, initial } = state.timer;
  const shift = (DCR & 3 | DCR >> 1 & 4) + 1 & 7;
  yield `Timer\t DCR=${hex(DCR, 1)} (divide by ${1 << shift}) ` +
    `initial_count = ${initial >>> 0} current_count = ${current >>> 0}`;
  const { SVR, ICRL, ICRH } = state;
  yield `SPIV\t ${hex(SVR, 8)} APIC ${
    (SVR & SVR_ENABLE) === 0 ? "disabled" : "enabled"
  }, focus=${(SVR & SVR_FOCUS) === 0 ? "off" : "on"}, ` +
    `spurious vec ${SVR & 0xff}`;
  const isLogical = (ICRL & 0x800) !== 0;
  yield `ICR\t ${hex(ICRL, 8)} ${isLogical ? "logical" : "physical"} ${
    (ICRL & 0x8000) === 0 ? "edge" : "level"
  } ${(ICRL & 0x4000) === 0 ? "de-assert" : "assert"} ${
    SHORTHANDS[ICRL >> 18 & 3]
  }`;
  const destination = ICRH >>> 24;
  const whom = (ICRL >> 18 & 3) !== 0
    ? ""
    : isLogical
    ? ` mask ${destination.toString(2).padStart(8, "0")} (APIC ID)`
    : ` cpu ${destination} (APIC ID)`;
  yield `ICR2\t ${hex(ICRH, 8)}${whom}`;
  yield `ESR\t ${hex(state.ESR, 8)}`;
  yield vectorLine("ISR", state.ISR, state.TMR);
  yield vectorLine("IRR", state.IRR, state.TMR);
  yield "";
  const serviced = highestVector(state.ISR) & ~0xf;
  const ppr = Math.max(state.TPR, serviced < 0 ? 0 : serviced);
  yield `APR 0x00 TPR ${hex(state.TPR, 2)} DFR ${hex(state.DFR, 2)} ` +
    `LDR ${hex(state.LDR, 2)} PPR ${hex(ppr, 2)}`;
}

/** What of an I/O APIC is shown. */
export interface IoApicRegisters {
  /** I/O register select. */
  readonly IOREGSEL: number;
  /** The APIC ID, in place. */
  readonly IOAPICID: number;
  /** The version register. */
  readonly version: number;
  /** The redirection table, low words. */
  readonly low: readonly number[];
  /** The redirection table, high words. */
  readonly high: readonly number[];
  /** Levels of the pins. */
  readonly pins: number;
}

/** Pins by number. */
function pinLine(name: string, pins: readonly number[]): string {
  return `  ${name.padEnd(8)} ${pins.length === 0 ? "(none)" : pins.join(" ")}`;
}

/** An I/O APIC. */
export function* ioApicLines(
  name: string,
  { IOREGSEL, IOAPICID, version, low, high, pins }: IoApicRegisters,
): Generator<string> {
  yield `${name}: ver=${hex(version & 0xff, 2)} ` +
    `id=${hex(IOAPICID >> 24 & 0xf, 2)} sel=${hex(IOREGSEL, 2)}`;
  for (const [pin, entry] of low.entries()) {
    const isLogical = (entry & 0x800) !== 0;
    const destination = high[pin] >>> 24 & (isLogical ? 0xff : 0xf);
    const value = hex(high[pin], 8) + hex(entry, 8).slice(2);
    const parts = [
      `${pin}`.padEnd(2),
      value,
      `dest=${destination.toString(16)}`,
      `vec=${`${entry & 0xff}`.padEnd(3)}`,
      (entry & ACTIVE_LOW) === 0 ? "active-hi" : "active-lo",
      ((entry & LVT_LEVEL) === 0 ? "edge" : "level").padEnd(5),
      ((entry & LVT_MASKED) === 0 ? "" : "masked").padEnd(6),
      ioMode(entry).padEnd(6),
      isLogical ? "logical" : "physical",
    ];
    yield `  pin ${parts.join(" ")}`;
  }
  const numbers = [...low.keys()];
  yield pinLine("IRR", numbers.filter((pin) => (pins >> pin & 1) !== 0));
  const remote = numbers.filter((pin) => (low[pin] & 0x4000) !== 0);
  yield `  Remote IRR ${remote.length === 0 ? "(none)" : remote.join(" ")}`;
}

/** The delivery mode of an entry of the redirection table. */
function ioMode(entry: number): string {
  const name = MODES[entry >> 8 & 7];
  return name === "Fixed" || name === "Lowest"
    ? name.toLowerCase()
    : name === "ExtINT"
    ? "extINT"
    : name;
}
