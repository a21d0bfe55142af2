/**
 * The RTL8029, an NE2000 on PCI: what Linux's `ne2k-pci` drives.
 *
 * Source: Realtek, RTL8029AS (1997), 5.4.
 *
 * @module
 */

import { MAC_SCHEMA, macAddress } from "../../../core/backend/mac_address.ts";
import type { AccessWidth } from "../../../core/bus/handler.ts";
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
import { Dp8390, type Dp8390State, NE2000_PORTS } from "./dp8390.ts";

/** What the base address register asks for; the first 32 are the card's. */
const PORTS = 256;
const MEMORY_BYTES = 32 * 1024;

/** Configuration: where it is, and its address. */
export interface Ne2kPciConfig extends PciPlace {
  /** The Ethernet address. */
  readonly mac?: string;
}

interface Ne2kPciState {
  pci: PciState;
  chip: Dp8390State;
}

/** The card. */
export class Ne2kPci implements Device {
  readonly #name: string;
  readonly #pci: PciFunction;
  readonly #chip: Dp8390;
  #pciState: PciState;

  /** The card in its reset state. */
  constructor(config: Ne2kPciConfig, context: DeviceContext) {
    this.#name = context.name;
    this.#pci = new PciFunction(context, config, {
      vendor: 0x10ec,
      device: 0x8029,
      classCode: 0x020000,
      interruptPin: 1,
      bars: [{ index: 0, kind: "io", region: "io", size: PORTS }],
    });
    this.#pciState = this.#pci.fresh();
    this.#chip = new Dp8390({
      mac: macAddress(config.mac, context.name),
      memoryBytes: MEMORY_BYTES,
      isRealtek: true,
      backend: context.net("net"),
      interrupt: (level) => this.#pci.setIntx(level),
    });
    const { io } = this.#chip;
    context.io("io", {
      read: (offset: number, width: AccessWidth) =>
        offset < NE2000_PORTS ? io.read(offset, width) : 0xffffffff,
      write: (offset: number, width: AccessWidth, value: number) => {
        if (offset < NE2000_PORTS) io.write(offset, width, value);
      },
    });
  }

  #adopt(pci: PciState, chip: Dp8390State): void {
    this.#pci.adopt(this.#pciState = pci);
    this.#chip.adopt(chip);
  }

  /** See `Device.cable`. */
  get cable(): boolean {
    return this.#chip.cable;
  }
  set cable(isIn: boolean) {
    this.#chip.cable = isIn;
  }

  /** As after power-on. */
  reset(): void {
    this.#adopt(this.#pci.fresh(), this.#chip.fresh());
  }

  /** The configuration space, the chip and its memory. */
  save(): StateRecord {
    return saveState({ pci: this.#pciState, chip: this.#chip.saved });
  }

  /** Go on; the network is asked for what it has. */
  load(record: StateRecord): void {
    const template: Ne2kPciState = {
      pci: this.#pci.fresh(),
      chip: this.#chip.fresh(),
    };
    const { pci, chip } = loadState(template, record, this.#name);
    this.#adopt(pci, chip);
    this.#chip.expectFrames();
  }
}

/** The `ne2k-pci` plugin. */
const plugin: DevicePlugin<Ne2kPciConfig> = {
  type: "device",
  name: "ne2k-pci",
  version: "1.1.0",
  description: "An NE2000 on PCI: Realtek RTL8029",
  config: {
    type: "object",
    properties: { ...pciPlaceSchema(3, 0), mac: MAC_SCHEMA },
  },
  regions: { io: { space: "ports", size: PORTS, movable: true } },
  declare(config) {
    // An address that cannot be is found before anything is made.
    macAddress(config.mac, "");
    return {};
  },
  backends: { net: { type: "net", optional: true } },
  uses: { bus: "pci-bus" },
  create: (config, context) => new Ne2kPci(config, context),
};
export default plugin;
