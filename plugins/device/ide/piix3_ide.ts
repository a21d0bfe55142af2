/**
 * The IDE function of the PIIX3: two channels at their compatible ports, each
 * with a bus master.
 *
 * A channel answers while the command register allows ports and its IDETIM
 * register has the decoding on. Both are off after reset, as in the datasheet;
 * firmware turns them on, and `decode` says that it has, for a machine that
 * starts a kernel without firmware. The timings in IDETIM and SIDETIM are kept
 * and mean nothing here. Ultra DMA came with the PIIX4.
 *
 * Datasheet: Intel 82371SB (PIIX3, 290550), "IDE configuration registers (PCI
 * function 1)" and "PCI bus master IDE registers".
 *
 * @module
 */

import type {
  RemovableDrive,
  RemovableMedia,
} from "../../../core/backend/removable.ts";
import type { AccessWidth, IoHandler } from "../../../core/bus/handler.ts";
import { type PciPlace, pciPlaceSchema } from "../../../core/bus/pci.ts";
import { PciFunction, type PciState } from "../../../core/bus/pci_function.ts";
import { COMMAND, COMMAND_IO } from "../../../core/bus/pci_layout.ts";
import type {
  BootDrive,
  BootDrives,
} from "../../../core/machine/boot_drive.ts";
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
  BUS_MASTER_PORTS,
  BusMaster,
  type BusMasterState,
} from "./bus_master.ts";
import {
  Channel,
  type ChannelRecord,
  COMMAND_PORTS,
  CONTROL_PORTS,
  IDE_EVENTS,
} from "./channel.ts";
import type { Drive } from "./drive.ts";
import {
  bootDrivesOf,
  createDrive,
  removableDrives,
  UNIT_SCHEMA,
  type UnitConfig,
} from "./units.ts";

/** BMIBA is the base address register 4. */
const BMIBA = 4;
const CHANNELS = [0, 1] as const;
const UNITS = [0, 1, 2, 3] as const;
/** IDETIM, 16 bits a channel. */
const IDETIM = 0x40;
/** IDETIM, second byte: the channel's ports are decoded. */
const IDE = 0x80;
/** SIDETIM: the timings of the channels' devices 1. */
const SIDETIM = 0x44;

/** Configuration: where it is, and the four drives. */
export interface Piix3IdeConfig extends PciPlace {
  /** After reset the channels answer, as firmware would have left them. */
  readonly decode: boolean;
  /** Device 0 of the primary channel. */
  readonly disk0?: UnitConfig;
  /** Device 1 of the primary channel. */
  readonly disk1?: UnitConfig;
  /** Device 0 of the secondary channel. */
  readonly disk2?: UnitConfig;
  /** Device 1 of the secondary channel. */
  readonly disk3?: UnitConfig;
}

interface Piix3IdeRecord {
  channels: ChannelRecord[];
  masters: BusMasterState[];
  pci: PciState;
}

/** The IDE function. */
export class Piix3Ide implements Device, RemovableMedia, BootDrives {
  /** Primary device 0 and 1, secondary device 0 and 1. */
  readonly drives: readonly (Drive | undefined)[];
  /** The CD-ROM drives. */
  readonly removable: ReadonlyMap<string, RemovableDrive>;
  readonly #name: string;
  readonly #place: PciPlace;
  readonly #decode: boolean;
  readonly #pci: PciFunction;
  readonly #masters: readonly BusMaster[];
  readonly #channels: readonly Channel[];
  #state: PciState;

  /** The function in its reset state. */
  constructor(config: Piix3IdeConfig, context: DeviceContext) {
    this.#name = context.name;
    this.#place = config;
    this.#decode = config.decode;
    this.#pci = new PciFunction(context, config, {
      vendor: 0x8086,
      device: 0x7010,
      // A bus master, both channels at the compatible ports for good.
      classCode: 0x010180,
      bars: [{
        index: BMIBA,
        kind: "io",
        region: "busmaster",
        size: CHANNELS.length * BUS_MASTER_PORTS,
      }],
      registers: [
        // PCICMD: ports and bus mastering. PCISTS: fast back-to-back, medium
        // DEVSEL#; target and master aborts.
        {
          offset: COMMAND,
          reset: [0, 0, 0x80, 0x02],
          writable: [0x05, 0, 0, 0],
          cleared: [0, 0, 0, 0x38],
        },
        // No cache line size; MLT has its upper half; no interrupt line.
        { offset: 0x0c, reset: [0, 0], writable: [0, 0xf0] },
        { offset: 0x3c, reset: [0] },
        {
          offset: IDETIM,
          reset: [0, 0, 0, 0],
          writable: [0xff, 0xf3, 0xff, 0xf3],
        },
        { offset: SIDETIM, reset: [0], writable: [0xff] },
      ],
    }, () => this.#resume());
    this.#state = this.#fresh();
    this.drives = UNITS.map((unit) =>
      createDrive(config[`disk${unit}`], context.block(`disk${unit}`), unit)
    );
    this.removable = removableDrives(this.drives);
    this.#masters = CHANNELS.map(() =>
      new BusMaster(this.#pci.dma, () => this.#pci.isMaster)
    );
    this.#channels = CHANNELS.map((n) => {
      const channel = new Channel({
        irq: context.output(`irq${n}`),
        drives: [this.drives[2 * n], this.drives[2 * n + 1]],
        dma: this.#masters[n],
        number: n,
        command: context.event("command"),
        packet: context.event("packet"),
      });
      this.#masters[n].onStart(() => channel.dmaReady());
      context.io(`command${n}`, this.#decoded(n, channel.command));
      context.io(`control${n}`, this.#decoded(n, channel.control));
      return channel;
    });
    const [first, second] = this.#masters;
    context.io("busmaster", {
      widths: [1],
      read: (offset) =>
        offset < BUS_MASTER_PORTS
          ? first.io.read(offset, 1)
          : second.io.read(offset - BUS_MASTER_PORTS, 1),
      write: (offset, _width, value) =>
        offset < BUS_MASTER_PORTS
          ? first.io.write(offset, 1, value)
          : second.io.write(offset - BUS_MASTER_PORTS, 1, value),
    });
  }

  #fresh(): PciState {
    const state = this.#pci.fresh();
    if (this.#decode) {
      state.config[COMMAND] |= COMMAND_IO;
      for (const n of CHANNELS) state.config[IDETIM + 2 * n + 1] |= IDE;
    }
    return state;
  }

  /** Whether a channel answers at its ports. */
  #answers(channel: number): boolean {
    return (this.#pci.byte(COMMAND) & COMMAND_IO) !== 0 &&
      (this.#pci.byte(IDETIM + 2 * channel + 1) & IDE) !== 0;
  }

  /** Ports of a channel, where nothing is while they are not decoded. */
  #decoded(channel: number, { widths, read, write }: IoHandler): IoHandler {
    return {
      widths,
      read: (offset: number, width: AccessWidth) =>
        this.#answers(channel) ? read(offset, width) : 0xffffffff,
      write: (offset: number, width: AccessWidth, value: number) => {
        if (this.#answers(channel)) write(offset, width, value);
      },
    };
  }

  /** Transfers go on when the guest has allowed bus mastering. */
  #resume(): void {
    if (!this.#pci.isMaster) return;
    for (const channel of this.#channels) channel.dmaReady();
  }

  /** As after power-on; discs stay in. */
  reset(): void {
    this.#pci.adopt(this.#state = this.#fresh());
    for (const master of this.#masters) master.reset();
    for (const channel of this.#channels) channel.reset();
  }

  /** See `BootDrives`. */
  bootDrives(): readonly BootDrive[] {
    return bootDrivesOf(this.drives, this.#place);
  }

  /** The registers and those of the drives. */
  save(): StateRecord {
    const record: Piix3IdeRecord = {
      channels: this.#channels.map((channel) => channel.saved),
      masters: this.#masters.map((master) => master.saved),
      pci: this.#state,
    };
    return saveState(record);
  }

  /** Go on; what was asked of a backend is asked again. */
  load(record: StateRecord): void {
    const template: Piix3IdeRecord = {
      channels: this.#channels.map((channel) => channel.template()),
      masters: this.#masters.map((master) => master.template()),
      pci: this.#pci.fresh(),
    };
    const loaded = loadState(template, record, this.#name);
    this.#pci.adopt(this.#state = loaded.pci);
    this.#masters.forEach((master, n) => master.restore(loaded.masters[n]));
    this.#channels.forEach((channel, n) => channel.restore(loaded.channels[n]));
  }
}

/** The `piix3-ide` plugin. */
const plugin: DevicePlugin<Piix3IdeConfig> = {
  type: "device",
  name: "piix3-ide",
  version: "1.0.0",
  description: "The PIIX3's IDE function: two channels with bus masters",
  config: {
    type: "object",
    properties: {
      ...pciPlaceSchema(1, 1),
      decode: {
        description: "The channels answer from the start, as after firmware",
        type: "boolean",
        default: false,
      },
      disk0: UNIT_SCHEMA,
      disk1: UNIT_SCHEMA,
      disk2: UNIT_SCHEMA,
      disk3: UNIT_SCHEMA,
    },
  },
  regions: {
    command0: { space: "ports", size: COMMAND_PORTS, at: 0x1f0 },
    control0: { space: "ports", size: CONTROL_PORTS, at: 0x3f6 },
    command1: { space: "ports", size: COMMAND_PORTS, at: 0x170 },
    control1: { space: "ports", size: CONTROL_PORTS, at: 0x376 },
    busmaster: {
      space: "ports",
      size: CHANNELS.length * BUS_MASTER_PORTS,
      movable: true,
    },
  },
  events: IDE_EVENTS,
  outputs: ["irq0", "irq1"],
  backends: {
    disk0: { type: "block", optional: true },
    disk1: { type: "block", optional: true },
    disk2: { type: "block", optional: true },
    disk3: { type: "block", optional: true },
  },
  uses: { bus: "pci-bus" },
  provides: ["removable-media", "boot-drives"],
  create: (config, context) => new Piix3Ide(config, context),
};
export default plugin;
