/**
 * Who has which address on the network: the addresses of its own, for which
 * this answers, and the guests', which it learns (RFC 826).
 *
 * @module
 */

import { broadcastOf, contains, type Network } from "./addresses.ts";
import type { HostClock } from "./clock.ts";
import type { GuestLink } from "./link.ts";
import { ARP_REPLY, ARP_REQUEST, arpFrame, readArp } from "./pdu/arp.ts";
import { ownMac } from "./pdu/ethernet.ts";

/** Guests' addresses that are known at once. */
const MAX_NEIGHBOURS = 256;
/** Time between two requests for an address, in ms. */
const REQUEST_INTERVAL = 500;

/** The table of addresses. */
export class Neighbours {
  /** Called when a guest's address was learnt for the first time. */
  onResolved: (guest: number) => void = () => {};
  readonly #network: Network;
  readonly #own: ReadonlySet<number>;
  readonly #link: GuestLink;
  readonly #clock: HostClock;
  readonly #macs = new Map<number, number>();
  readonly #requested = new Map<number, number>();
  #lastAddress = -1;
  #lastMac = -1;

  /** A table; `own` are the addresses that the network itself has. */
  constructor(
    network: Network,
    own: ReadonlySet<number>,
    link: GuestLink,
    clock: HostClock,
  ) {
    this.#network = network;
    this.#own = own;
    this.#link = link;
    this.#clock = clock;
  }

  /** Whether an address may be a guest's. */
  isGuest(address: number): boolean {
    return contains(this.#network, address) && !this.#own.has(address) &&
      address !== this.#network.base && address !== broadcastOf(this.#network);
  }

  /** A guest with this address was heard. */
  learn(address: number, mac: number): void {
    if (address === this.#lastAddress && mac === this.#lastMac) return;
    if (!this.isGuest(address)) return;
    // A group's address is nobody's.
    if (Math.floor(mac / 2 ** 40) % 2 === 1 || mac === 0) return;
    this.#lastAddress = address;
    this.#lastMac = mac;
    const known = this.#macs.has(address);
    if (!known && this.#macs.size >= MAX_NEIGHBOURS) {
      const [oldest] = this.#macs.keys();
      this.#macs.delete(oldest);
    }
    this.#macs.set(address, mac);
    if (!known) {
      this.#requested.delete(address);
      this.onResolved(address);
    }
  }

  /**
   * A guest's MAC address; when it is not known, undefined, and the guest is
   * asked by `asker`, an address of the network's.
   */
  macOf(address: number, asker: number): number | undefined {
    if (address === this.#lastAddress) return this.#lastMac;
    const mac = this.#macs.get(address);
    if (mac === undefined) this.#request(address, asker);
    return mac;
  }

  #request(target: number, asker: number): void {
    if (!this.isGuest(target)) return;
    const now = this.#clock.now();
    const before = this.#requested.get(target);
    if (before !== undefined && now - before < REQUEST_INTERVAL) return;
    if (this.#requested.size >= MAX_NEIGHBOURS) this.#requested.clear();
    this.#requested.set(target, now);
    this.#link.post(arpFrame({
      operation: ARP_REQUEST,
      senderMac: ownMac(asker),
      sender: asker,
      targetMac: 0,
      target,
    }));
  }

  /** A frame with ARP. */
  input(frame: Uint8Array): void {
    const arp = readArp(frame);
    if (arp === undefined) return;
    this.learn(arp.sender, arp.senderMac);
    if (arp.operation !== ARP_REQUEST || !this.#own.has(arp.target)) return;
    this.#link.post(arpFrame({
      operation: ARP_REPLY,
      senderMac: ownMac(arp.target),
      sender: arp.target,
      targetMac: arp.senderMac,
      target: arp.sender,
    }));
  }
}
