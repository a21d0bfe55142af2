/**
 * The APIC bus: carries interrupt messages between local APICs and I/O APICs,
 * and takes those of message-signalled interrupts, which are writes to its
 * region.
 *
 * Source: Intel SDM volume 3, 10.6.2 (destinations) and 10.11 (messages).
 *
 * @module
 */

import {
  type ApicBus,
  type ApicReceiver,
  DELIVER_FIXED,
  DELIVER_LOWEST,
  type EoiListener,
} from "../../../core/bus/apic.ts";
import {
  definePlugin,
  type DeviceContext,
  type DevicePlugin,
} from "../../../core/machine/plugin.ts";
import { StatelessDevice } from "../../../core/machine/stateless_device.ts";

/** Where messages are written, and to what extent (SDM 10.11.1). */
const MESSAGES = 0xfee00000;
const MESSAGES_SIZE = 0x100000;

// The message address.
const DESTINATION_SHIFT = 12;
/** Redirection hint: one of those addressed is enough. */
const REDIRECT = 0x08;
const LOGICAL = 0x04;

// The message data.
const MODE_SHIFT = 8;
const ASSERT = 0x4000;
const LEVEL = 0x8000;

/** The bus. It has no state: a message has arrived when it is sent. */
export class ApicBusDevice extends StatelessDevice implements ApicBus {
  readonly #receivers: ApicReceiver[] = [];
  readonly #listeners: EoiListener[] = [];

  /** An empty bus whose message region the context gives. */
  constructor(context: DeviceContext) {
    super(context.name);
    context.io("messages", {
      // Nothing answers a read of the message region.
      read: () => 0xffffffff,
      // A message is a write of 32 bits; of less, nothing comes (as in QEMU).
      write: (offset, width, data) => {
        if (width === 4) this.#message(offset, data);
      },
    });
  }

  /** See `ApicBus.attach`. */
  attach(receiver: ApicReceiver): void {
    this.#receivers.push(receiver);
  }

  /** See `ApicBus.receiver`. */
  receiver(initialId: number): ApicReceiver | undefined {
    const receivers = this.#receivers;
    for (let i = 0; i < receivers.length; i++) {
      if (receivers[i].initialId === initialId) return receivers[i];
    }
    return undefined;
  }

  /** See `ApicBus.listen`. */
  listen(listener: EoiListener): void {
    this.#listeners.push(listener);
  }

  /** See `ApicBus.send`. */
  send(
    mode: number,
    vector: number,
    level: boolean,
    destination: number,
    logical: boolean,
    except?: ApicReceiver,
  ): boolean {
    const receivers = this.#receivers;
    let accepted = false;
    let lowest: ApicReceiver | undefined;
    for (let i = 0; i < receivers.length; i++) {
      const receiver = receivers[i];
      if (receiver === except) continue;
      if (!receiver.isAddressed(destination, logical)) continue;
      if (mode !== DELIVER_LOWEST) {
        if (receiver.receive(mode, vector, level)) accepted = true;
      } else if (lowest === undefined || receiver.priority < lowest.priority) {
        lowest = receiver;
      }
    }
    return lowest?.receive(DELIVER_FIXED, vector, level) ?? accepted;
  }

  /** See `ApicBus.end`. */
  end(vector: number): void {
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i++) listeners[i].ended(vector);
  }

  /** See `ApicBus.take`. */
  take(vector: number): void {
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i++) listeners[i].taken(vector);
  }

  /** A message-signalled interrupt: its address within the region, its data. */
  #message(offset: number, data: number): void {
    const level = (data & LEVEL) !== 0;
    // The end of a level says nothing: the interrupt's end asks for it again.
    if (level && (data & ASSERT) === 0) return;
    const mode = data >> MODE_SHIFT & 7;
    const one = (offset & REDIRECT) !== 0 && mode === DELIVER_FIXED;
    this.send(
      one ? DELIVER_LOWEST : mode,
      data & 0xff,
      level,
      offset >>> DESTINATION_SHIFT,
      (offset & LOGICAL) !== 0,
    );
  }
}

/** The `apic-bus` plugin. */
const plugin: DevicePlugin<Record<string, never>> = definePlugin({
  type: "device",
  name: "apic-bus",
  version: "1.0.0",
  description: "What joins local and I/O APICs, and takes MSI messages",
  regions: {
    messages: { space: "memory", size: MESSAGES_SIZE, at: MESSAGES },
  },
  provides: ["apic-bus"],
  create: (_config: Record<string, never>, context: DeviceContext) =>
    new ApicBusDevice(context),
});
export default plugin;
