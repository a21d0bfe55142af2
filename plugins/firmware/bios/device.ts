/**
 * The built-in BIOS as a device: its ROM where a PC has it, and the trap ports.
 *
 * @module
 */

import type { BootOrder } from "../../../core/machine/boot_order.ts";
import type { Device, DeviceContext } from "../../../core/machine/plugin.ts";
import type { StateRecord } from "../../../core/state/state.ts";
import { BuiltinBios } from "./bios.ts";
import type { BiosConfig } from "./config.ts";

/** The ROM and the BIOS behind it. */
export class BiosDevice implements Device, BootOrder {
  readonly #bios: BuiltinBios;

  /** The BIOS with its ROM in place. */
  constructor(config: BiosConfig, context: DeviceContext) {
    const low = context.memory("low");
    low.write(0, BuiltinBios.image);
    context.memory("top").bytes.set(BuiltinBios.image);
    this.#bios = new BuiltinBios(config, context, {
      writeRom: (offset, bytes) => low.write(offset, bytes),
      wake: context.output("irq"),
    });
    context.io("trap", this.#bios.ports);
  }

  /** See `BootOrder`. */
  setBootOrder(order: string): void {
    this.#bios.state.order = order;
  }

  /** Nobody waits any more. */
  reset(): void {
    this.#bios.reset();
  }

  /** The BIOS's state. */
  save(): StateRecord {
    return this.#bios.save();
  }

  /** Go on; drives are asked again. */
  load(record: StateRecord): void {
    this.#bios.load(record);
  }
}
