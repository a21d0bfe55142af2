/**
 * The DHCP server of the network (RFC 2131): a client gets the address that it
 * had, or the one that it asks for, or the first that is free.
 *
 * @module
 */

import { broadcastOf, contains, type Network } from "./addresses.ts";
import type { HostClock } from "./clock.ts";
import { get32 } from "./pdu/bytes.ts";
import {
  addressBytes,
  DhcpOption,
  dhcpReply,
  type DhcpRequest,
  DhcpType,
  readDhcp,
} from "./pdu/dhcp.ts";
import { BROADCAST_MAC, getMac } from "./pdu/ethernet.ts";

/** How long an address is lent, in seconds: a day, as QEMU's. */
const LEASE_SECONDS = 86_400;
/** How long an address that was offered waits for its request, in ms. */
const OFFER_TIME = 60_000;
/** Addresses that are lent at once. */
const MAX_LEASES = 64;
/** The address of all hosts. */
const ALL = 0xffff_ffff;

/** What the server tells its clients. */
export interface DhcpSettings {
  /** The network. */
  readonly network: Network;
  /** The server's address. */
  readonly server: number;
  /** The first address that is lent. */
  readonly first: number;
  /** Addresses of the network's own. */
  readonly own: ReadonlySet<number>;
  /** The way out of the network. */
  readonly router?: number;
  /** The name server. */
  readonly dns?: number;
  /** The client's name. */
  readonly hostName?: string;
  /** The domain in which it looks for names. */
  readonly domainName?: string;
}

/** An answer and where it goes. */
export interface DhcpAnswer {
  /** The message. */
  readonly message: Uint8Array;
  /** The target's address. */
  readonly target: number;
  /** The target's MAC address. */
  readonly mac: number;
}

interface Lease {
  readonly client: string;
  until: number;
}

/** The server. */
export class DhcpServer {
  readonly #settings: DhcpSettings;
  readonly #clock: Pick<HostClock, "now">;
  /** By address. */
  readonly #leases = new Map<number, Lease>();

  /** A server that has lent nothing. */
  constructor(settings: DhcpSettings, clock: Pick<HostClock, "now">) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** The answer to a message, if there is one. */
  answer(bytes: Uint8Array): DhcpAnswer | undefined {
    const request = readDhcp(bytes);
    // Nothing is relayed on this network.
    if (request === undefined || request.relay !== 0) return undefined;
    const client = clientOf(request);
    switch (request.type) {
      case DhcpType.discover: {
        const address = this.#choose(client, requested(request));
        if (address === undefined) return undefined;
        this.#lend(address, client, OFFER_TIME);
        return this.#reply(request, DhcpType.offer, address);
      }
      case DhcpType.request:
        return this.#request(request, client);
      case DhcpType.inform:
        if (!contains(this.#settings.network, request.clientAddress)) {
          return undefined;
        }
        return this.#reply(request, DhcpType.ack, 0);
      case DhcpType.release:
        if (this.#holds(request.clientAddress, client)) {
          this.#leases.delete(request.clientAddress);
        }
        return undefined;
      case DhcpType.decline: {
        const address = requested(request);
        // Somebody else has it: it is lent to nobody for a while.
        if (this.#holds(address, client)) {
          this.#lend(address, "", LEASE_SECONDS * 1000);
        }
        return undefined;
      }
      default:
        return undefined;
    }
  }

  #request(request: DhcpRequest, client: string): DhcpAnswer | undefined {
    const { server } = this.#settings;
    const chosen = request.options.get(DhcpOption.server);
    if (chosen !== undefined && chosen.length === 4) {
      // The client took another server's offer.
      if (get32(chosen, 0) !== server) return undefined;
    }
    const address = requested(request) || request.clientAddress;
    if (this.#choose(client, address) !== address) {
      return {
        message: dhcpReply(request, DhcpType.nak, 0, server, []),
        target: ALL,
        mac: BROADCAST_MAC,
      };
    }
    this.#forget(client, address);
    this.#lend(address, client, LEASE_SECONDS * 1000);
    return this.#reply(request, DhcpType.ack, address);
  }

  #holds(address: number, client: string): boolean {
    return this.#leases.get(address)?.client === client;
  }

  #lend(address: number, client: string, ms: number): void {
    this.#leases.set(address, { client, until: this.#clock.now() + ms });
  }

  /** A client has but one address. */
  #forget(client: string, but: number): void {
    for (const [address, lease] of this.#leases) {
      if (lease.client === client && address !== but) {
        this.#leases.delete(address);
      }
    }
  }

  /** The address for a client that wants this one, or does not say (0). */
  #choose(client: string, wanted: number): number | undefined {
    if (this.#free(wanted, client)) return wanted;
    for (const [address, lease] of this.#leases) {
      if (lease.client === client) return address;
    }
    const { first } = this.#settings;
    for (let address = first; address < first + MAX_LEASES; address++) {
      if (this.#free(address, client)) return address;
    }
    return undefined;
  }

  /** Whether an address may be this client's. */
  #free(address: number, client: string): boolean {
    const { network, first, own } = this.#settings;
    if (
      address < first || address >= first + MAX_LEASES ||
      !contains(network, address) || own.has(address) ||
      address === broadcastOf(network)
    ) return false;
    const lease = this.#leases.get(address);
    return lease === undefined || lease.client === client ||
      lease.until <= this.#clock.now();
  }

  #reply(request: DhcpRequest, type: number, address: number): DhcpAnswer {
    const { network, server, router, dns, hostName, domainName } =
      this.#settings;
    const options: [number, Uint8Array][] = [];
    if (address !== 0) {
      options.push(
        [DhcpOption.leaseTime, addressBytes(LEASE_SECONDS)],
        [DhcpOption.renewal, addressBytes(LEASE_SECONDS / 2)],
        [DhcpOption.rebinding, addressBytes(LEASE_SECONDS * 7 / 8)],
      );
    }
    options.push(
      [DhcpOption.mask, addressBytes(network.mask)],
      [DhcpOption.broadcast, addressBytes(broadcastOf(network))],
    );
    const text = (value: string): Uint8Array => new TextEncoder().encode(value);
    if (router !== undefined) {
      options.push([DhcpOption.router, addressBytes(router)]);
    }
    if (dns !== undefined) options.push([DhcpOption.dns, addressBytes(dns)]);
    if (hostName) options.push([DhcpOption.hostName, text(hostName)]);
    if (domainName) options.push([DhcpOption.domainName, text(domainName)]);
    const message = dhcpReply(request, type, address, server, options);
    const mac = getMac(request.hardware, 0);
    if (request.clientAddress !== 0) {
      return { message, target: request.clientAddress, mac };
    }
    // A client without an address may not take what is sent to one (4.1).
    return (request.flags & 0x8000) !== 0 || address === 0
      ? { message, target: ALL, mac: BROADCAST_MAC }
      : { message, target: address, mac };
  }
}

/** Who a client is: what it says, or its hardware address. */
function clientOf(request: DhcpRequest): string {
  const id = request.options.get(DhcpOption.clientId);
  return id !== undefined && id.length > 1
    ? `i${id.toHex()}`
    : `h${request.hardware.subarray(0, 6).toHex()}`;
}

/** The address that a client asks for, or 0. */
function requested(request: DhcpRequest): number {
  const option = request.options.get(DhcpOption.requestedAddress);
  return option?.length === 4 ? get32(option, 0) : 0;
}
