/**
 * A link that loses, doubles and reorders frames, in time of its own, and TCP at
 * both of its ends.
 *
 * @module
 */

import type { FrameOffload, NetCard } from "../../core/backend/net.ts";
import type { HostClock } from "../../plugins/net/user/clock.ts";
import { GuestLink } from "../../plugins/net/user/link.ts";
import { Neighbours } from "../../plugins/net/user/neighbours.ts";
import { ETHERNET_HEADER } from "../../plugins/net/user/pdu/ethernet.ts";
import { Ipv4Packet } from "../../plugins/net/user/pdu/ipv4.ts";
import type { TcpConnection } from "../../plugins/net/user/tcp/connection.ts";
import type {
  TcpApplication,
  TcpEnding,
} from "../../plugins/net/user/tcp/contract.ts";
import { type TcpRoute, TcpStack } from "../../plugins/net/user/tcp/stack.ts";

/** Random numbers that are the same in every run (mulberry32). */
export function prng(seed: number): () => number {
  return () => {
    seed = seed + 0x6d2b79f5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return (t ^ t >>> 14) >>> 0;
  };
}

interface Event {
  readonly time: number;
  readonly order: number;
  readonly call: () => void;
}

/** Time that passes when nothing is left to be done. */
export class SimulatedClock implements HostClock {
  readonly random: () => number;
  #time = 0;
  #order = 0;
  readonly #events: Event[] = [];

  constructor(seed: number) {
    this.random = prng(seed);
  }

  now(): number {
    return this.#time;
  }

  soon(call: () => void): void {
    this.after(0, call);
  }

  after(milliseconds: number, call: () => void): () => void {
    const time = this.#time + milliseconds;
    const event = { time, order: this.#order++, call };
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = low + high >> 1;
      if (this.#events[middle].time > time) low = middle + 1;
      else high = middle;
    }
    // The next event is the last; of equal times the first made.
    this.#events.splice(low, 0, event);
    return () => {
      const at = this.#events.indexOf(event);
      if (at >= 0) this.#events.splice(at, 1);
    };
  }

  /** Run until it is done; says whether it is, after at most `limit` ms. */
  run(done: () => boolean, limit = 3_600_000): boolean {
    const end = this.#time + limit;
    while (!done()) {
      const event = this.#events.pop();
      if (event === undefined) return done();
      if (event.time > end) return false;
      this.#time = event.time;
      event.call();
    }
    return true;
  }
}

/** What a link does to frames: parts of one. */
export interface Faults {
  readonly loss?: number;
  readonly doubled?: number;
  readonly reordered?: number;
  /** How often the card says that it has no room. */
  readonly full?: number;
  /** Whether the cards take offloads. */
  readonly offload?: boolean;
}

/** The time a frame takes, and one that is late. */
const DELAY = 0.2;
const LATE = 3;

/** An end of the link. */
export class End {
  readonly link: GuestLink;
  readonly stack: TcpStack;
  readonly neighbours: Neighbours;
  frames = 0;
  readonly #packet = new Ipv4Packet();

  constructor(clock: HostClock, own: number, route: TcpRoute) {
    const network = { base: 0x0a000200, mask: 0xffffff00 };
    this.link = new GuestLink(clock);
    this.neighbours = new Neighbours(network, new Set([own]), this.link, clock);
    this.stack = new TcpStack(this.link, clock, this.neighbours, route);
    this.link.onRoom = () => this.stack.flush();
    this.neighbours.onResolved = (guest) => this.stack.resolved(guest);
  }

  deliver(frame: Uint8Array, offload?: FrameOffload): void {
    this.frames++;
    if (frame[12] === 8 && frame[13] === 6) this.neighbours.input(frame);
    else {
      const cut = offload?.segments !== undefined;
      if (!this.#packet.read(frame, ETHERNET_HEADER, cut)) {
        throw new Error("a packet is malformed");
      }
      this.stack.input(this.#packet, offload?.checksum !== undefined);
    }
  }
}

/** Join two ends. */
export function join(
  clock: SimulatedClock,
  a: End,
  b: End,
  faults: Faults,
): void {
  const chance = (part = 0): boolean => clock.random() < part * 2 ** 32;
  const card = (from: End, to: End): NetCard => ({
    offload: faults.offload ?? false,
    receive(frame, offload) {
      if (chance(faults.full)) {
        clock.after(1, () => from.link.ready());
        return false;
      }
      const copy = frame.slice();
      const times = chance(faults.doubled) ? 2 : 1;
      for (let i = 0; i < times; i++) {
        if (chance(faults.loss)) continue;
        const delay = chance(faults.reordered) ? LATE : DELAY;
        clock.after(delay, () => to.deliver(copy, offload));
      }
      return true;
    },
  });
  a.link.attach(card(a, b));
  b.link.attach(card(b, a));
}

/** Bytes by which a place in a stream is known. */
const PATTERN = (() => {
  const random = prng(7);
  return Uint8Array.from({ length: 1_000_003 }, random);
})();

/** Sends so many bytes and takes what comes, which must be the same pattern. */
export class Party implements TcpApplication {
  sent = 0;
  taken = 0;
  isOpen = false;
  ending: TcpEnding | undefined;
  sawEnd = false;
  /** Takes nothing while set. */
  paused = false;
  connection: TcpConnection | undefined;

  constructor(readonly total: number, readonly keepsOpen = false) {}

  opened(): void {
    this.isOpen = true;
    this.writable();
  }

  writable(): void {
    const { connection } = this;
    if (connection === undefined || !this.isOpen) return;
    while (this.sent < this.total) {
      const room = connection.room();
      const length = Math.min(room.length, this.total - this.sent);
      if (length === 0) return;
      for (let i = 0; i < length; i++) {
        room[i] = PATTERN[(this.sent + i) % PATTERN.length];
      }
      connection.produced(length);
      this.sent += length;
    }
    if (!this.keepsOpen) connection.finish();
  }

  readable(): void {
    const { connection } = this;
    while (connection !== undefined && !this.paused) {
      const bytes = connection.received();
      if (bytes.length === 0) break;
      for (let i = 0; i < bytes.length; i++) {
        if (bytes[i] !== PATTERN[(this.taken + i) % PATTERN.length]) {
          throw new Error(`byte ${this.taken + i} is wrong`);
        }
      }
      this.taken += bytes.length;
      connection.consume(bytes.length);
    }
    if (connection?.finished) this.sawEnd = true;
  }

  ended(ending: TcpEnding): void {
    this.ending = ending;
  }
}
