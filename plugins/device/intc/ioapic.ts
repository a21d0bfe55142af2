/**
 * The 82093AA I/O APIC: sends what its 24 pins ask for as messages on the APIC
 * bus, each as its entry of the redirection table says.
 *
 * Datasheet: Intel 82093AA (290566-001).
 *
 * On a PC the ISA interrupts are on the pins of their numbers but for the
 * timer's, which is on pin 2. It has its lines' meaning and no voltages, so
 * that the polarity bits only keep what is written.
 *
 * The outputs `pending` and `masked` are for that timer, as `pending0` and
 * `masked0` of the 8259A are, on which it is too (`i8259.ts`): those come in,
 * and what goes out is of both. A tick that the 8259A holds while it is masked
 * there does not count when the I/O APIC lets ticks through.
 *
 * @module
 */

import {
  type ApicBus,
  DELIVER_FIXED,
  DELIVER_LOWEST,
  type EoiListener,
} from "../../../core/bus/apic.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import {
  definePlugin,
  type Device,
  type DeviceContext,
  type DevicePlugin,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";
import { ioApicLines } from "./apic_text.ts";

/** Pins. */
const PINS = 24;
/** The pin of the timer whose ticks may wait. */
const TIMER_PIN = 2;
/** Where a PC has it. */
const IOAPIC_BASE = 0xfec00000;

// Offsets: "I/O register select" and "I/O window".
const IOREGSEL = 0x00;
const IOWIN = 0x10;

// Registers by index.
const IOAPICID = 0,
  IOAPICVER = 1,
  IOAPICARB = 2,
  IOREDTBL = 0x10;
/** IOAPICVER: the last entry's number, and the version. */
const VERSION = PINS - 1 << 16 | 0x11;
/** The bits of the APIC ID in IOAPICID. */
const ID_BITS = 0x0f000000;

// IOREDTBL, the low word.
const MODE_SHIFT = 8;
const LOGICAL = 0x800;
const REMOTE_IRR = 0x4000;
const LEVEL = 0x8000;
const MASKED = 0x10000;
/** All that software writes: not the delivery status nor the remote IRR. */
const WRITABLE = 0x1afff;
/** The high word's destination. */
const DESTINATION_SHIFT = 24;

interface IoApicState {
  /** I/O register select. */
  IOREGSEL: number;
  /** The APIC ID, in place. */
  IOAPICID: number;
  /** The redirection table, low words. */
  low: number[];
  /** The redirection table, high words. */
  high: number[];
  /** Levels of the pins. */
  pins: number;
  /** The vector of the timer's tick that no CPU has taken yet, or -1. */
  tick: number;
  /** The 8259A holds a tick. */
  picPending: boolean;
  /** The 8259A masks ticks. */
  picMasked: boolean;
}

function freshState(): IoApicState {
  return {
    IOREGSEL: 0,
    IOAPICID: 0,
    low: new Array(PINS).fill(MASKED),
    high: new Array(PINS).fill(0),
    pins: 0,
    tick: -1,
    picPending: false,
    picMasked: false,
  };
}

/** Whether an entry asks for a level-triggered interrupt. */
function isLevel(entry: number): boolean {
  // The other delivery modes are edge triggered whatever the bit says.
  const mode = entry >> MODE_SHIFT & 7;
  return (entry & LEVEL) !== 0 &&
    (mode === DELIVER_FIXED || mode === DELIVER_LOWEST);
}

/** The I/O APIC. */
export class IoApic implements Device, EoiListener {
  #state: IoApicState = freshState();
  readonly #name: string;
  readonly #counts: number[] = new Array(PINS).fill(0);
  readonly #bus: ApicBus;
  readonly #pending: IrqLine;
  readonly #masked: IrqLine;

  /** An I/O APIC in its reset state. */
  constructor(context: DeviceContext) {
    this.#name = context.name;
    this.#bus = context.collaborator<ApicBus>("bus");
    this.#pending = context.output("pending");
    this.#masked = context.output("masked");
    this.#bus.listen(this);
    context.io("registers", {
      read: (offset) => this.#read(offset & ~3) >>> 8 * (offset & 3),
      // The window takes 32 bits at a time ("register description"), the
      // select register is a byte.
      write: (offset, width, value) => {
        if (width === 4 || offset === IOREGSEL) this.#write(offset, value);
      },
    });
  }

  #read(offset: number): number {
    const s = this.#state;
    if (offset === IOREGSEL) return s.IOREGSEL;
    if (offset !== IOWIN) return 0;
    switch (s.IOREGSEL) {
      case IOAPICID:
      case IOAPICARB: // follows the ID when that is written
        return s.IOAPICID;
      case IOAPICVER:
        return VERSION;
    }
    const index = s.IOREGSEL - IOREDTBL;
    if (index < 0 || index >= 2 * PINS) return 0;
    return (index & 1) === 0 ? s.low[index >> 1] : s.high[index >> 1];
  }

  #write(offset: number, value: number): void {
    const s = this.#state;
    if (offset === IOREGSEL) {
      s.IOREGSEL = value & 0xff;
      return;
    }
    if (offset !== IOWIN) return;
    if (s.IOREGSEL === IOAPICID) {
      s.IOAPICID = value & ID_BITS;
      return;
    }
    const index = s.IOREGSEL - IOREDTBL;
    if (index < 0 || index >= 2 * PINS) return;
    const pin = index >> 1;
    if ((index & 1) !== 0) {
      s.high[pin] = value & 0xff << DESTINATION_SHIFT;
      return;
    }
    let entry = s.low[pin] & REMOTE_IRR | value & WRITABLE;
    // An edge has no end that could be waited for.
    if (!isLevel(entry)) entry &= ~REMOTE_IRR;
    s.low[pin] = entry;
    if (pin === TIMER_PIN) s.tick = -1;
    this.#service(pin);
    this.#tell();
  }

  /** A pin changes its level. */
  setPin(pin: number, level: boolean): void {
    const s = this.#state;
    const bit = 1 << pin;
    const rises = level && (s.pins & bit) === 0;
    s.pins = level ? s.pins | bit : s.pins & ~bit;
    if (!rises) return;
    this.#counts[pin]++;
    const entry = s.low[pin];
    if (isLevel(entry)) {
      this.#service(pin);
    } else if ((entry & MASKED) === 0) {
      // An edge on a masked pin is lost ("interrupt mask").
      const accepted = this.#send(pin, false);
      if (pin !== TIMER_PIN || (entry >> MODE_SHIFT & 7) > DELIVER_LOWEST) {
        return;
      }
      s.tick = accepted ? entry & 0xff : -1;
      this.#tell();
    }
  }

  /** A level-triggered pin asks as long as it is high. */
  #service(pin: number): void {
    const s = this.#state;
    const entry = s.low[pin];
    if ((s.pins >> pin & 1) === 0 || !isLevel(entry)) return;
    if ((entry & (MASKED | REMOTE_IRR)) !== 0) return;
    if (this.#send(pin, true)) s.low[pin] |= REMOTE_IRR;
  }

  #send(pin: number, level: boolean): boolean {
    const { low, high } = this.#state;
    const entry = low[pin];
    return this.#bus.send(
      entry >> MODE_SHIFT & 7,
      entry & 0xff,
      level,
      high[pin] >>> DESTINATION_SHIFT,
      (entry & LOGICAL) !== 0,
    );
  }

  /** See `EoiListener.ended`. */
  ended(vector: number): void {
    const { low } = this.#state;
    for (let pin = 0; pin < PINS; pin++) {
      if ((low[pin] & 0xff) !== vector) continue;
      if ((low[pin] & REMOTE_IRR) === 0) continue;
      low[pin] &= ~REMOTE_IRR;
      this.#service(pin);
    }
  }

  /** See `EoiListener.taken`. */
  taken(vector: number): void {
    const s = this.#state;
    if (s.tick < 0 || vector >= 0 && vector !== s.tick) return;
    s.tick = -1;
    this.#tell();
  }

  /** The 8259A holds a tick, or holds it no longer. */
  setPicPending(level: boolean): void {
    this.#state.picPending = level;
    this.#tell();
  }

  /** The 8259A masks ticks, or no longer. */
  setPicMasked(level: boolean): void {
    this.#state.picMasked = level;
    this.#tell();
  }

  /** Tell the timer how its ticks fare. */
  #tell(): void {
    const { low, tick, picPending, picMasked } = this.#state;
    const masked = (low[TIMER_PIN] & MASKED) !== 0;
    this.#masked.set(masked && picMasked);
    // Last, because the timer may raise its pin from within.
    this.#pending.set(tick >= 0 || picPending && (masked || !picMasked));
  }

  /** All masked; the inputs keep the levels that their drivers give them. */
  reset(): void {
    const { pins, picPending, picMasked } = this.#state;
    this.#state = { ...freshState(), pins, picPending, picMasked };
    this.#tell();
  }

  /** In the layout of QEMU's `info pic`. */
  describe(): Iterable<string> {
    return ioApicLines(this.#name, { ...this.#state, version: VERSION });
  }

  /** How often each pin has risen since the machine was made. */
  interruptCounts(): readonly number[] {
    return this.#counts;
  }

  /** The registers and the levels of the inputs. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The registers and the levels of the inputs. */
  load(record: StateRecord): void {
    this.#state = loadState(freshState(), record, this.#name);
    this.#tell();
  }
}

/** The names of the pins. */
const PIN_NAMES = Array.from({ length: PINS }, (_, pin) => `irq${pin}`);

/** The `ioapic` plugin. */
const plugin: DevicePlugin<Record<string, never>> = definePlugin({
  type: "device",
  name: "ioapic",
  version: "1.0.0",
  description: "The 82093AA I/O APIC with its 24 pins",
  regions: {
    registers: { space: "memory", size: 0x20, at: IOAPIC_BASE },
  },
  outputs: ["pending", "masked"],
  inputs: [...PIN_NAMES, "pending0", "masked0"],
  uses: { bus: "apic-bus" },
  create(_config: Record<string, never>, context: DeviceContext): IoApic {
    const apic = new IoApic(context);
    PIN_NAMES.forEach((name, pin) =>
      context.input(name, (level) => apic.setPin(pin, level))
    );
    context.input("pending0", (level) => apic.setPicPending(level));
    context.input("masked0", (level) => apic.setPicMasked(level));
    return apic;
  },
});
export default plugin;
