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
import type { PciRegisterSpec } from "../../../core/bus/pci_layout.ts";
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

/** A register's bytes after reset, and their bits that can be written. */
function register(
  offset: number,
  reset: readonly number[],
  writable: readonly number[],
): PciRegisterSpec {
  return { offset, reset, writable };
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
        // No cache line size, latency timer or interrupt line.
        register(0x0c, [0, 0], [0, 0]),
        register(0x3c, [0], [0]),
        register(0x4c, [0x4d], [0xff]), // IORT
        register(0x4e, [0x03, 0], [0xff, 0x01]), // XBCS
        register(PIRQRC, new Array(4).fill(PIRQ_OFF), new Array(4).fill(0x8f)),
        // TOM; MSTAT, whose second byte would tell of an error.
        register(0x69, [0x02, 0, 0], [0xfe, 0xd1, 0]),
        register(0x70, [0x80], [0xef]), // MBIRQ0
        register(0x76, [0x04, 0x04], [0x87, 0x87]), // MBDMA0, MBDMA1
        register(0x78, [0x02, 0], [0xff, 0xff]), // PCSC
        register(0x80, [0], [0x7f]), // APICBASE
        register(0x82, [0], [0x0f]), // DLC
        register(0xa0, [0x08], [0x1f]), // SMICNTL
        register(0xa2, [0, 0], [0xff, 0x01]), // SMIEN
        register(0xa4, [0, 0, 0, 0], [0xfb, 0xff, 0xff, 0xef]), // SEE
        register(0xa8, [0x0f], [0xff]), // FTMR
        // SMIREQ, AAh and ABh, has what asked for an SMI: nothing does.
        register(0xac, [0], [0xff]), // CTLTMR
        register(0xae, [0], [0xff]), // CTHTMR
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
