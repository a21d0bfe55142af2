/**
 * The PCI-to-ISA bridge of the PIIX3: routes the PCI interrupt lines to those
 * of ISA, and resets the machine. Its other registers only keep what is
 * written; interrupt controllers and timers are devices of their own.
 *
 * Datasheet: Intel 82371SB (PIIX3, 290550), "PCI to ISA bridge".
 *
 * @module
 */

import type { IrqLine } from "../../../core/bus/irq_line.ts";
import { type PciPlace, pciPlaceSchema } from "../../../core/bus/pci.ts";
import { PciFunction, type PciState } from "../../../core/bus/pci_function.ts";
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

/** PIRQRC[A:D]: bit 7 disables the route, bits 0 to 3 are the interrupt. */
const PIRQRC = 0x60;
const PIRQ_OFF = 0x80;
/** The PCI interrupt lines. */
const PIRQS = ["pirqa", "pirqb", "pirqc", "pirqd"];
/** The ISA interrupts that they may drive ("PIRQRC"). */
const IRQS = [3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15];
/** RCR: going from 0 to 1 resets. */
const RCPU = 0x04;
/** RCR: the reset is of the whole machine rather than of the CPU. */
const SRST = 0x02;

interface Piix3State {
  /** The reset control register. */
  rcr: number;
  /** Levels of PIRQA to PIRQD. */
  pirqs: boolean[];
  /** The configuration space. */
  pci: PciState;
}

/** A register with these bytes after reset, all of them writable. */
function storage(
  offset: number,
  ...reset: number[]
): { offset: number; reset: number[]; writable: number[] } {
  return { offset, reset, writable: reset.map(() => 0xff) };
}

/** The ISA bridge. */
export class Piix3 implements Device {
  #state: Piix3State;
  readonly #name: string;
  readonly #pci: PciFunction;
  readonly #irqs: readonly { readonly irq: number; readonly line: IrqLine }[];
  readonly #reset: IrqLine;
  readonly #init: IrqLine;

  /** The bridge in its reset state. */
  constructor(place: PciPlace, context: DeviceContext) {
    this.#name = context.name;
    this.#reset = context.output("reset");
    this.#init = context.output("init");
    this.#irqs = IRQS.map((irq) => ({
      irq,
      line: context.output(`irq${irq}`),
    }));
    this.#pci = new PciFunction(context, place, {
      vendor: 0x8086,
      device: 0x7000,
      classCode: 0x060100,
      multifunction: true,
      registers: [
        // Ports, memory and bus mastering are always on; medium DEVSEL#.
        {
          offset: 0x04,
          reset: [0x07, 0, 0, 0x02],
          writable: [0x08, 0x01, 0, 0],
          cleared: [0, 0, 0, 0x78],
        },
        storage(0x4c, 0x4d), // IORT
        storage(0x4e, 0x03, 0), // XBCS
        {
          offset: PIRQRC,
          reset: [PIRQ_OFF, PIRQ_OFF, PIRQ_OFF, PIRQ_OFF],
          writable: [0x8f, 0x8f, 0x8f, 0x8f],
        },
        storage(0x69, 0x02, 0, 0), // TOM, MSTAT
        storage(0x70, 0x80), // MBIRQ0
        storage(0x76, 0x0c, 0x0c, 0x02, 0), // MBDMA0, MBDMA1, PCSC
        storage(0x80, 0), // APICBASE
        storage(0x82, 0), // DLC
        storage(0xa0, 0x08, 0, 0, 0, 0, 0, 0, 0, 0x0f), // SMICNTL to FTMR
        storage(0xaa, 0, 0, 0, 0, 0), // SMIREQ, CTLTMR, CTHTMR
      ],
    }, () => this.#route());
    this.#state = this.#fresh();
    PIRQS.forEach((name, i) =>
      context.input(name, (level) => {
        this.#state.pirqs[i] = level;
        this.#route();
      })
    );
    context.io("rcr", {
      widths: [1],
      read: () => this.#state.rcr,
      write: (_offset, _width, value) => {
        const rising = value & ~this.#state.rcr & RCPU;
        this.#state.rcr = value & (RCPU | SRST);
        if (rising === 0) return;
        if ((value & SRST) !== 0) this.#reset.pulse();
        else this.#init.pulse();
      },
    });
  }

  #fresh(): Piix3State {
    return { rcr: 0, pirqs: PIRQS.map(() => false), pci: this.#pci.fresh() };
  }

  /** An ISA interrupt is high while any line routed to it is. */
  #route(): void {
    const { pirqs } = this.#state;
    let high = 0;
    for (let i = 0; i < pirqs.length; i++) {
      const route = this.#pci.byte(PIRQRC + i);
      if (pirqs[i] && (route & PIRQ_OFF) === 0) high |= 1 << (route & 15);
    }
    for (const { irq, line } of this.#irqs) line.set((high >> irq & 1) !== 0);
  }

  /** No line is routed; the lines themselves are their drivers' affair. */
  reset(): void {
    const { pirqs } = this.#state;
    this.#adopt({ ...this.#fresh(), pirqs });
  }

  /** The registers and the levels of the PCI interrupt lines. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The registers and the levels of the PCI interrupt lines. */
  load(record: StateRecord): void {
    this.#adopt(loadState(this.#fresh(), record, this.#name));
  }

  #adopt(state: Piix3State): void {
    this.#state = state;
    this.#pci.adopt(state.pci);
    this.#route();
  }
}

/** The `piix3` plugin. */
const plugin: DevicePlugin<PciPlace> = {
  type: "device",
  name: "piix3",
  version: "1.0.0",
  description: "The PIIX3's PCI-to-ISA bridge: interrupt routing and reset",
  config: { type: "object", properties: pciPlaceSchema(1, 0) },
  regions: { rcr: { space: "ports", size: 1, at: 0xcf9 } },
  inputs: PIRQS,
  outputs: [...IRQS.map((irq) => `irq${irq}`), "reset", "init"],
  uses: { bus: "pci-bus" },
  create: (config, context) => new Piix3(config, context),
};
export default plugin;
