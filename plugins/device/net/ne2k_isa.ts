/**
 * The NE2000 on ISA: at 300h, with the interrupt that it is wired to.
 *
 * @module
 */

import { MAC_SCHEMA, macAddress } from "../../../core/backend/mac_address.ts";
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
import { Dp8390, NE2000_PORTS } from "./dp8390.ts";

const MEMORY_BYTES = 16 * 1024;

/** Configuration: its address. */
export interface Ne2kIsaConfig {
  /** The Ethernet address. */
  readonly mac?: string;
}

/** The card. */
export class Ne2kIsa implements Device {
  readonly #name: string;
  readonly #chip: Dp8390;

  /** The card in its reset state. */
  constructor(config: Ne2kIsaConfig, context: DeviceContext) {
    this.#name = context.name;
    const irq = context.output("irq");
    this.#chip = new Dp8390({
      mac: macAddress(config.mac, context.name),
      memoryBytes: MEMORY_BYTES,
      isRealtek: false,
      backend: context.net("net"),
      interrupt: (level) => irq.set(level),
    });
    context.io("io", this.#chip.io);
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
    this.#chip.adopt(this.#chip.fresh());
  }

  /** The chip and its memory. */
  save(): StateRecord {
    return saveState(this.#chip.saved);
  }

  /** Go on; the network is asked for what it has. */
  load(record: StateRecord): void {
    this.#chip.adopt(loadState(this.#chip.fresh(), record, this.#name));
    this.#chip.expectFrames();
  }
}

/** The `ne2k-isa` plugin. */
const plugin: DevicePlugin<Ne2kIsaConfig> = {
  type: "device",
  name: "ne2k-isa",
  version: "1.1.0",
  description: "An NE2000 on ISA",
  config: { type: "object", properties: { mac: MAC_SCHEMA } },
  regions: { io: { space: "ports", size: NE2000_PORTS, at: 0x300 } },
  outputs: ["irq"],
  declare(config) {
    // An address that cannot be is found before anything is made.
    macAddress(config.mac, "");
    return {};
  },
  backends: { net: { type: "net", optional: true } },
  create: (config, context) => new Ne2kIsa(config, context),
};
export default plugin;
