/**
 * The host bridge of the 440FX: the way to configuration space, the PCI bus
 * with its interrupt pins, and the RAM that the BIOS and video areas hide.
 *
 * Datasheet: Intel 82441FX (PMC, 290549), "Register description". The RAM
 * behind A0000h to FFFFFh is the bridge's own region here, so a definition
 * leaves the hole in its RAM.
 *
 * @module
 */

import type { LineSink } from "../../../core/bus/irq_line.ts";
import type { RegionMover } from "../../../core/bus/movable_region.ts";
import {
  type ListedFunction,
  PciBus,
  type PciConfigSpace,
  type PciHost,
  type PciPlace,
} from "../../../core/bus/pci.ts";
import { PciFunction, type PciState } from "../../../core/bus/pci_function.ts";
import type {
  Device,
  DeviceContext,
  DevicePlugin,
  RegionSpec,
} from "../../../core/machine/plugin.ts";
import {
  loadState,
  saveState,
  type StateRecord,
} from "../../../core/state/state.ts";

/** CONFADD: the bits that exist, and the one that opens CONFDATA. */
const CONFADD_BITS = 0x80fffffc;
const CONFADD_ENABLE = 0x80000000;
/** PMCCFG, 16 bits. */
const PMCCFG = 0x50;
/** PMCCFG, second byte: HFS, how a strap says that the host bus has 66 MHz. */
const HFS_66 = 0x02;
/** PAM0 to PAM6: two segments each, of PAM0 only the upper one. */
const PAM0 = 0x59;
/** A segment's attributes: reads, writes go to RAM. */
const PAM_RE = 1;
const PAM_WE = 2;
/** SMRAM: the RAM behind A0000h to BFFFFh. */
const SMRAM = 0x72;
const D_OPEN = 0x40;
const D_CLS = 0x20;
const D_LCK = 0x10;
const G_SMRAME = 0x08;
/** SMRAM: C_BASE_SEG, always A0000h to BFFFFh. */
const C_BASE_SEG = 0x02;
const SMRAM_BASE = 0xa0000;
const SMRAM_SIZE = 0x20000;
/** The interrupt lines to the ISA bridge. */
const PIRQS = ["pirqa", "pirqb", "pirqc", "pirqd"];

/** A segment that PAM registers control. */
interface Segment {
  readonly region: string;
  readonly base: number;
  readonly size: number;
  readonly register: number;
  readonly shift: number;
}

const SEGMENTS: readonly Segment[] = [
  { region: "f0000", base: 0xf0000, size: 0x10000, register: PAM0, shift: 4 },
  ...Array.from({ length: 12 }, (_, i) => ({
    region: (0xc0000 + i * 0x4000).toString(16),
    base: 0xc0000 + i * 0x4000,
    size: 0x4000,
    register: PAM0 + 1 + (i >> 1),
    shift: (i & 1) * 4,
  })),
];

interface I440fxState {
  /** The configuration address register. */
  confadd: number;
  /** The SMRAM register as it counts. */
  smram: number;
  /** The bridge's own configuration space. */
  pci: PciState;
}

/** The host bridge. */
export class I440fx implements Device, PciHost {
  #state: I440fxState;
  readonly #name: string;
  readonly #bus: PciBus;
  readonly #pci: PciFunction;
  readonly #segments: readonly (Segment & { mover: RegionMover })[];
  readonly #smram: RegionMover;

  /** The bridge in its reset state. */
  constructor(context: DeviceContext) {
    this.#name = context.name;
    const lines = PIRQS.map((name) => context.output(name));
    // PIRQA is INTA# of slot 1, as boards with a PIIX3 are wired.
    this.#bus = new PciBus(
      lines.map((line) => (level) => line.set(level)),
      (slot, pin) => (slot - 1 + pin) & 3,
    );
    for (const { region } of SEGMENTS) context.memory(region);
    context.memory("smram");
    this.#segments = SEGMENTS.map((s) => ({
      ...s,
      mover: context.mover(s.region),
    }));
    this.#smram = context.mover("smram");
    this.#pci = new PciFunction(
      context,
      { slot: 0, function: 0 },
      {
        vendor: 0x8086,
        device: 0x1237,
        revision: 2,
        classCode: 0x060000,
        registers: [
          // Memory and bus mastering are on; medium DEVSEL#, fast back-to-back.
          {
            offset: 0x04,
            reset: [0x06, 0, 0x80, 0x02],
            writable: [0x40, 0x01, 0, 0],
            cleared: [0, 0, 0, 0xf9],
          },
          // No cache line size; MLT has its upper bits; no interrupt line.
          { offset: 0x0c, reset: [0, 0], writable: [0, 0xf8] },
          { offset: 0x3c, reset: [0] },
          // What those without a name of their own set has no effect here.
          { offset: PMCCFG, reset: [0, HFS_66], writable: [0x74, 0xc3] },
          // DETURBO, DBC (delayed transactions are on), AXC.
          {
            offset: 0x52,
            reset: [0, 0x80, 0],
            writable: [0xff, 0xff, 0x82],
          },
          // DRT, DRAMC (refresh for 50 MHz), DRAMT (the longest precharge).
          {
            offset: 0x55,
            reset: [0, 0, 0x01, 0x10],
            writable: [0xff, 0xff, 0x77, 0x7f],
          },
          {
            offset: PAM0,
            reset: new Array(7).fill(0),
            writable: [0x70, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77],
          },
          // DRB0 to DRB7: 8 MiB in the first row until firmware has sized it.
          {
            offset: 0x60,
            reset: new Array(8).fill(1),
            writable: new Array(8).fill(0xff),
          },
          // FDHC.
          { offset: 0x68, reset: [0], writable: [0xc0] },
          // MTT, CLT, SMRAM.
          {
            offset: 0x70,
            reset: [0, 0x10, C_BASE_SEG],
            writable: [0xf8, 0x1f, D_OPEN | D_CLS | D_LCK | G_SMRAME],
          },
          // ERRCMD, ERRSTS: no errors are found.
          { offset: 0x90, reset: [0, 0], writable: [0x1b, 0] },
          // TRC: its resets are the PIIX3's business (RCR).
          { offset: 0x93, reset: [0], writable: [0x09] },
        ],
      },
      () => this.#map(),
      this.#bus,
    );
    this.#state = this.#fresh();
    context.io("address", {
      widths: [4],
      read: () => this.#state.confadd,
      write: (_offset, _width, value) => {
        this.#state.confadd = (value & CONFADD_BITS) >>> 0;
      },
    });
    context.io("data", {
      read: (offset, width) => {
        const place = this.#place();
        return place === undefined
          ? 0xffffffff
          : this.#bus.read(place, this.#register(offset), width);
      },
      write: (offset, width, value) => {
        const place = this.#place();
        if (place === undefined) return;
        this.#bus.write(place, this.#register(offset), width, value);
      },
    });
  }

  #fresh(): I440fxState {
    return { confadd: 0, smram: C_BASE_SEG, pci: this.#pci.fresh() };
  }

  /** Which function CONFADD selects. */
  #place(): PciPlace | undefined {
    const { confadd } = this.#state;
    const bus = confadd >>> 16 & 0xff;
    if ((confadd & CONFADD_ENABLE) === 0 || bus !== 0) return undefined;
    return { slot: confadd >> 11 & 31, function: confadd >> 8 & 7 };
  }

  #register(offset: number): number {
    return (this.#state.confadd & 0xfc) + offset;
  }

  /** Lay the hidden RAM over what it hides, as PAM and SMRAM say. */
  #map(): void {
    for (const { base, register, shift, mover } of this.#segments) {
      switch (this.#pci.byte(register) >> shift & (PAM_RE | PAM_WE)) {
        case PAM_RE | PAM_WE:
          mover.map(base, "ram");
          break;
        case PAM_RE:
          mover.map(base, "rom");
          break;
        case PAM_WE:
          mover.map(base, "shadow");
          break;
        default:
          mover.unmap();
      }
    }
    const state = this.#state;
    let smram = this.#pci.byte(SMRAM);
    if ((state.smram & D_LCK) !== 0) {
      // Until reset only D_CLS can be changed.
      smram = state.smram & ~D_CLS | smram & D_CLS;
    }
    if ((smram & D_LCK) !== 0) smram &= ~D_OPEN;
    state.smram = smram;
    this.#pci.setByte(SMRAM, smram);
    const open = D_OPEN | G_SMRAME;
    if ((smram & open) === open) this.#smram.map(SMRAM_BASE);
    else this.#smram.unmap();
  }

  /** See `PciHost`. */
  attach(
    name: string,
    place: PciPlace,
    space: PciConfigSpace,
  ): (pin: number) => LineSink {
    return this.#bus.attach(name, place, space);
  }

  /** See `PciHost.functions`. */
  functions(): Iterable<ListedFunction> {
    return this.#bus.functions();
  }

  /** The hidden RAM keeps its bytes and is hidden again. */
  reset(): void {
    this.#adopt(this.#fresh());
  }

  /** The registers. */
  save(): StateRecord {
    return saveState(this.#state);
  }

  /** The registers. */
  load(record: StateRecord): void {
    this.#adopt(loadState(this.#fresh(), record, this.#name));
  }

  #adopt(state: I440fxState): void {
    this.#state = state;
    this.#pci.adopt(state.pci);
    this.#map();
  }
}

const hidden = (size: number): RegionSpec => ({
  space: "memory",
  size,
  kind: "ram",
  movable: true,
  shadows: true,
});

/** The `i440fx` plugin. */
const plugin: DevicePlugin<Record<string, never>> = {
  type: "device",
  name: "i440fx",
  version: "1.0.0",
  description: "The 440FX host bridge, with the PCI bus behind it",
  regions: {
    address: { space: "ports", size: 4, at: 0xcf8, width: 4 },
    data: { space: "ports", size: 4, at: 0xcfc },
    ...Object.fromEntries(SEGMENTS.map((s) => [s.region, hidden(s.size)])),
    smram: hidden(SMRAM_SIZE),
  },
  outputs: PIRQS,
  provides: ["pci-bus"],
  create: (_config, context) => new I440fx(context),
};
export default plugin;
