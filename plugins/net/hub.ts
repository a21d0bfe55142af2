/**
 * The `hub` net backend: what one card sends, all others at the hub receive,
 * whichever machine of this process they are in.
 *
 * It learns no addresses. A card that does not take its frames in time loses
 * those that come when its queue is full.
 *
 * @module
 */

import type { NetBackend, NetCard } from "../../core/backend/net.ts";
import type { Logger, NetPlugin } from "../../core/machine/plugin.ts";
import { isFrameLength } from "./frames.ts";
import { OwnAddress } from "./own_address.ts";

/** Configuration of the backend. */
export interface HubNetConfig {
  /** The hub's name. */
  readonly id: string;
}

/** What may wait for a card: bytes and frames. */
const QUEUE_BYTES = 1 << 20;
const QUEUE_FRAMES = 1024;

/** A place at a hub, with a card. */
export class HubPort implements NetBackend {
  /** Frames go out as they are to be on the wire. */
  readonly offload = false;
  readonly #hub: Hub;
  readonly #address: OwnAddress;
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  #card: NetCard | undefined;
  #scheduled = false;

  /** A port of a hub, where it is found until it is closed. */
  constructor(hub: Hub, log: Pick<Logger, "warn">) {
    this.#hub = hub;
    this.#address = new OwnAddress((message) => log.warn(message));
    hub.ports.add(this);
  }

  /** See `NetBackend.attach`. */
  attach(card: NetCard): void {
    this.#card = card;
  }

  /** See `NetBackend.send`. */
  send(frame: Uint8Array): void {
    const { ports } = this.#hub;
    if (!ports.has(this) || !isFrameLength(frame.length)) return;
    this.#address.sends(frame);
    // Receivers only read it: one copy is enough for all.
    let copy: Uint8Array | undefined;
    for (const port of ports) {
      if (port !== this && port.#hasRoom(frame.length)) {
        port.#take(copy ??= frame.slice());
      }
    }
  }

  #hasRoom(bytes: number): boolean {
    return this.#card !== undefined && this.#queue.length < QUEUE_FRAMES &&
      this.#queued + bytes <= QUEUE_BYTES;
  }

  #take(frame: Uint8Array): void {
    this.#address.hears(frame);
    this.#queue.push(frame);
    this.#queued += frame.length;
    this.#schedule();
  }

  /**
   * Frames are handed over in a turn of their own: neither within a call of a
   * card nor so that two machines that answer each other keep others waiting.
   */
  #schedule(): void {
    if (this.#scheduled || this.#queue.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const queue = this.#queue;
    let taken = 0;
    // What comes meanwhile is for the next turn.
    const count = queue.length;
    try {
      while (taken < count && this.#card?.receive(queue[taken]) === true) {
        this.#queued -= queue[taken].length;
        taken++;
      }
    } finally {
      queue.splice(0, taken);
    }
    if (taken === count) this.#schedule();
  }

  /** See `NetBackend.ready`. */
  ready(): void {
    this.#schedule();
  }

  /** See `NetBackend.close`. */
  close(): Promise<void> {
    this.#card = undefined;
    this.#queue.length = 0;
    this.#queued = 0;
    this.#hub.ports.delete(this);
    if (this.#hub.ports.size === 0) HUBS.delete(this.#hub.id);
    return Promise.resolve();
  }
}

/** A hub with its ports. */
interface Hub {
  readonly id: string;
  readonly ports: Set<HubPort>;
}

/** This process's hubs that have ports, by name. */
const HUBS = new Map<string, Hub>();

/** A new port of the hub with this name. */
export function openHubPort(
  id: string,
  log: Pick<Logger, "warn">,
): HubPort {
  let hub = HUBS.get(id);
  if (hub === undefined) HUBS.set(id, hub = { id, ports: new Set() });
  return new HubPort(hub, log);
}

/** The `hub` plugin. */
const plugin: NetPlugin<HubNetConfig> = {
  type: "net",
  name: "hub",
  version: "1.0.0",
  description: "Joins the cards of this process's machines that name the hub",
  config: {
    type: "object",
    properties: {
      id: { type: "string", description: "The hub's name", default: "hub" },
    },
  },
  create: ({ id }, { log }) => openHubPort(id, log),
};
export default plugin;
