/**
 * Power management of the PIIX4: ACPI's timer and events, and the switch that
 * turns the machine off.
 *
 * Datasheet: Intel 82371AB (PIIX4, 290562), "Power management". The values at
 * the APM port that turn ACPI on and off are what PC firmware tells the guest
 * in the FADT. The SMBus keeps its base address and has no controller.
 *
 * Nothing ticks: the timer is a function of virtual time, and an alarm is armed
 * for its overflow only while that would interrupt.
 *
 * @module
 */

import type { AccessWidth } from "../../../core/bus/handler.ts";
import type { IrqLine } from "../../../core/bus/irq_line.ts";
import type { RegionMover } from "../../../core/bus/movable_region.ts";
import { type PciPlace, pciPlaceSchema } from "../../../core/bus/pci.ts";
import { PciFunction, type PciState } from "../../../core/bus/pci_function.ts";
import type { AcpiPm, PowerButton } from "../../../core/machine/firmware.ts";
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
import { type Clock, SECOND, type Timer } from "../../../core/time/clock.ts";

/** PMBA: the base of the registers below. */
const PMBA = 0x40;
/** The first of the registers that say which devices are watched. */
const CNTA = 0x44;
/** DEVACTB, one of them. */
const DEVACTB = 0x58;
/**
 * DEVACTB, last byte: writing to APMC gives an SMI. It is set at reset, as it
 * is after firmware has set up system management mode: there is none here, and
 * firmware that tries waits for its SMI for ever.
 */
const APMC_EN = 0x02;
/** CNTA to DEVRESJ: their bits that can be written, 16 bytes a line. */
const DEVICE_WRITABLE = Uint8Array.fromHex(
  "ffffffffffff7301ffffff0f" +
    "3f587f00ffffffff77ffff03ffffffff" +
    "fffffff7ffffefffffff1f00ff80ffff" +
    "ffff1f00ff8000ffffff1f00ffff1f00",
);
const DEVICE_REGISTERS = new Uint8Array(DEVICE_WRITABLE.length);
DEVICE_REGISTERS[DEVACTB + 3 - CNTA] = APMC_EN;
/** PMREGMISC: bit 0 lets them answer. */
const PMREGMISC = 0x80;
const PMIOSE = 0x01;
const PM_SIZE = 64;

/** PMSTS, 16 bits: writing ones clears. */
const PMSTS = 0x00;
/** PMEN, 16 bits. */
const PMEN = 0x02;
/** PMSTS and PMEN: the timer's highest bit has changed. */
const TMROF = 0x01;
/** PMSTS: the power button was pressed. */
const PWRBTN = 0x100;
/** PMSTS, second byte: the RTC has asserted IRQ8#. */
const RTC_STS = 0x04;
/** The events of PMSTS that interrupt: timer, global, power button, RTC. */
const EVENTS = 0x0521;
/** PMCNTRL, 16 bits. */
const PMCNTRL = 0x04;
const SCI_EN = 0x01;
/** PMCNTRL, second byte: the sleep type, and the bit that goes there. */
const SUS_TYP = 0x1c;
const SUS_EN = 0x20;
/** The sleep type 0 is soft off. */
const SUS_TYP_OFF = 0;
/** PMTMR, 24 bits. */
const PMTMR = 0x08;
/** GPSTS and GPEN, 16 bits each. */
const GPSTS = 0x0c;
const GPEN = 0x0e;

/** Frequency of the timer in Hz. */
const TIMER_HZ = 3_579_545;
/** Ticks between two changes of the timer's bit 23. */
const HALF_PERIOD = 2 ** 23;

/** APMC: commands of the guest to the firmware, and what follows. */
const ACPI_ENABLE = 0xf1;
const ACPI_DISABLE = 0xf0;

/** Bits of the registers that are written, and that ones clear. */
const WRITABLE = new Uint8Array(PM_SIZE);
const CLEARED = new Uint8Array(PM_SIZE);
CLEARED.set([0x31, 0x85], PMSTS);
WRITABLE.set([0x21, 0x05], PMEN);
// SCI_EN, BRLD_EN_BM; SUS_EN and GBL_RLS read as 0.
WRITABLE.set([0x03, SUS_TYP], PMCNTRL);
CLEARED.set([0xff, 0xff], GPSTS);
WRITABLE.set([0xff, 0xff], GPEN);
// PCNTRL, GLBEN, GLBCTL, DEVCTL, GPOREG: storage.
for (const offset of [0x10, 0x20, 0x28, 0x2c, 0x34]) {
  WRITABLE.fill(0xff, offset, offset + 4);
}

interface Piix4PmState {
  /** The registers at PMBA but for the timer. */
  registers: Uint8Array;
  /** How often bit 23 of the timer had changed when PMSTS was right. */
  halves: number;
  /** APMC and APMS. */
  apm: Uint8Array;
  /** The configuration space. */
  pci: PciState;
}

/** Ticks of the timer at a virtual time. */
function ticksAt(time: number): number {
  const seconds = Math.floor(time / SECOND);
  const rest = time - seconds * SECOND;
  return seconds * TIMER_HZ + Math.floor(rest * TIMER_HZ / SECOND);
}

/** The first virtual time with so many ticks. */
function timeOf(ticks: number): number {
  const seconds = Math.floor(ticks / TIMER_HZ);
  const rest = ticks - seconds * TIMER_HZ;
  return seconds * SECOND + Math.ceil(rest * SECOND / TIMER_HZ);
}

/** The power management function. */
export class Piix4Pm implements Device, AcpiPm, PowerButton {
  /** RTC_STS has been set by an edge. */
  readonly latchesEdges = true;
  #state: Piix4PmState;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #timer: Timer;
  readonly #pci: PciFunction;
  readonly #pm: RegionMover;
  readonly #sci: IrqLine;
  readonly #poweroff: IrqLine;

  /** The function in its reset state. */
  constructor(place: PciPlace, context: DeviceContext) {
    this.#name = context.name;
    this.#clock = context.clock;
    this.#sci = context.output("sci");
    this.#poweroff = context.output("poweroff");
    this.#timer = context.clock.timer(() => this.#update());
    this.#pm = context.mover("pm");
    this.#pci = new PciFunction(context, place, {
      vendor: 0x8086,
      device: 0x7113,
      revision: 3,
      classCode: 0x068000,
      interruptPin: 1,
      registers: [
        // It is no bus master. Fast back-to-back, medium DEVSEL#.
        {
          offset: 0x04,
          reset: [0, 0, 0x80, 0x02],
          writable: [0x01, 0, 0, 0],
          cleared: [0, 0, 0, 0x78],
        },
        // No cache line size, no latency timer.
        { offset: 0x0c, reset: [0, 0] },
        {
          offset: PMBA,
          reset: [1, 0, 0, 0],
          writable: [0xc0, 0xff, 0, 0],
        },
        // CNTA to DEVRESJ: what they watch is not there.
        {
          offset: CNTA,
          reset: [...DEVICE_REGISTERS],
          writable: [...DEVICE_WRITABLE],
        },
        { offset: PMREGMISC, reset: [0], writable: [PMIOSE] },
        // SMBBA.
        { offset: 0x90, reset: [1, 0, 0, 0], writable: [0xf0, 0xff, 0, 0] },
        // SMBHSTCFG, SMBSLVC, SMBSHDW1 and 2.
        { offset: 0xd2, reset: [0], writable: [0x0f] },
        { offset: 0xd3, reset: [0, 0, 0], writable: [0xff, 0xff, 0xff] },
      ],
    }, () => this.#map());
    this.#state = this.#fresh();
    context.input("rtc", (level) => {
      if (level) this.#alarm();
    });
    context.io("pm", {
      read: (offset, width) => this.#read(offset, width),
      write: (offset, width, value) => this.#write(offset, width, value),
    });
    context.io("apm", {
      widths: [1],
      read: (offset) => this.#state.apm[offset],
      write: (offset, _width, value) => {
        const { apm, registers } = this.#state;
        apm[offset] = value;
        if (offset !== 0) return;
        if (value === ACPI_ENABLE) registers[PMCNTRL] |= SCI_EN;
        if (value === ACPI_DISABLE) registers[PMCNTRL] &= ~SCI_EN;
        this.#update();
      },
    });
  }

  #fresh(): Piix4PmState {
    return {
      registers: new Uint8Array(PM_SIZE),
      halves: Math.floor(ticksAt(this.#clock.now()) / HALF_PERIOD),
      apm: new Uint8Array(2),
      pci: this.#pci.fresh(),
    };
  }

  #map(): void {
    const base = this.pmBase;
    if (base !== undefined) this.#pm.map(base);
    else this.#pm.unmap();
  }

  /** See `AcpiPm.pmBase`. */
  get pmBase(): number | undefined {
    return (this.#pci.byte(PMREGMISC) & PMIOSE) !== 0
      ? this.#pci.dword(PMBA) & 0xffc0
      : undefined;
  }

  /** See `AcpiPm.placePm`. */
  placePm(base: number): void {
    this.#pci.writeConfig(PMBA, 2, base);
    this.#pci.writeConfig(PMREGMISC, 1, PMIOSE);
  }

  /** See `PowerButton.pressPowerButton`. */
  pressPowerButton(): void {
    const { registers } = this.#state;
    registers[PMSTS + 1] |= PWRBTN >> 8;
    this.#update();
  }

  /** The RTC interrupts. */
  #alarm(): void {
    const { registers } = this.#state;
    // It may tick a thousand times a second, with nobody to clear the bit.
    if ((registers[PMSTS + 1] & RTC_STS) !== 0) return;
    registers[PMSTS + 1] |= RTC_STS;
    this.#update();
  }

  #word(offset: number): number {
    const { registers } = this.#state;
    return registers[offset] | registers[offset + 1] << 8;
  }

  #read(offset: number, width: AccessWidth): number {
    this.#update();
    const ticks = ticksAt(this.#clock.now()) % (2 * HALF_PERIOD);
    let value = 0;
    for (let i = 0; i < width; i++) {
      const at = offset + i;
      const byte = at >= PMTMR && at < PMTMR + 4
        ? ticks >>> 8 * (at - PMTMR) & 0xff
        : this.#state.registers[at];
      value += byte * 2 ** (8 * i);
    }
    return value;
  }

  #write(offset: number, width: AccessWidth, value: number): void {
    this.#update();
    const { registers } = this.#state;
    for (let i = 0; i < width; i++) {
      const at = offset + i;
      const byte = value >>> 8 * i & 0xff;
      registers[at] = (registers[at] & ~WRITABLE[at] | byte & WRITABLE[at]) &
        ~(byte & CLEARED[at]);
      if (at !== PMCNTRL + 1 || (byte & SUS_EN) === 0) continue;
      if ((byte & SUS_TYP) === SUS_TYP_OFF) this.#poweroff.pulse();
    }
    this.#update();
  }

  /** Bring the timer's status up to now, then the interrupt and the alarm. */
  #update(): void {
    const state = this.#state;
    const halves = Math.floor(ticksAt(this.#clock.now()) / HALF_PERIOD);
    if (halves !== state.halves) state.registers[PMSTS] |= TMROF;
    state.halves = halves;
    const isOn = (state.registers[PMCNTRL] & SCI_EN) !== 0;
    const due = this.#word(PMSTS) & this.#word(PMEN) & EVENTS |
      this.#word(GPSTS) & this.#word(GPEN);
    this.#sci.set(isOn && due !== 0);
    const waits = (state.registers[PMSTS] & TMROF) === 0 &&
      (state.registers[PMEN] & TMROF) !== 0;
    if (isOn && waits) this.#timer.arm(timeOf((halves + 1) * HALF_PERIOD));
    else this.#timer.cancel();
  }

  /** The timer goes on: it is reset by nothing but power. */
  reset(): void {
    this.#adopt(this.#fresh());
  }

  /** The registers, as of now. */
  save(): StateRecord {
    this.#update();
    return saveState(this.#state);
  }

  /** The registers. */
  load(record: StateRecord): void {
    this.#adopt(loadState(this.#fresh(), record, this.#name));
  }

  #adopt(state: Piix4PmState): void {
    this.#state = state;
    this.#pci.adopt(state.pci);
    this.#map();
    this.#update();
  }
}

/** The `piix4-pm` plugin. */
const plugin: DevicePlugin<PciPlace> = {
  type: "device",
  name: "piix4-pm",
  version: "1.0.0",
  description: "The PIIX4's power management: ACPI timer, events, soft off",
  config: { type: "object", properties: pciPlaceSchema(1, 3) },
  regions: {
    pm: { space: "ports", size: PM_SIZE, movable: true },
    apm: { space: "ports", size: 2, at: 0xb2 },
  },
  inputs: ["rtc"],
  outputs: ["sci", "poweroff"],
  uses: { bus: "pci-bus" },
  provides: ["acpi-pm", "power-button"],
  create: (config, context) => new Piix4Pm(config, context),
};
export default plugin;
