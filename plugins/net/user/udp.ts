/**
 * UDP between guests and the host: a socket of the host's for each port of a
 * guest's, which gives the guest only what comes from where it has sent to; and
 * ports of the host that lead to a guest.
 *
 * @module
 */

import { formatAddress, parseAddress } from "./addresses.ts";
import type { HostClock } from "./clock.ts";
import type { HostForward, UserNetSettings } from "./config.ts";
import {
  failureOf,
  type HostDatagrams,
  type HostFailure,
  type HostNetwork,
} from "./host.ts";
import type { IpOutput } from "./ip.ts";
import { type Ipv4Packet, PROTOCOL_UDP } from "./pdu/ipv4.ts";
import { UDP_PAYLOAD_MAX, udpDatagram } from "./pdu/udp.ts";
import type { Routes } from "./routes.ts";

/** Sockets for guests' ports; the one used longest ago makes room. */
const MAX_FLOWS = 512;
/** Others that one of a guest's ports talks to. */
const MAX_PEERS = 256;
/** Datagrams that a socket is sending; more are lost. */
const MAX_SENDING = 64;
/** How long a flow is kept without a datagram, in ms (RFC 4787: two minutes). */
const IDLE = 120_000;
/** Time between two looks at idle flows, in ms. */
const SWEEP = 30_000;
/** The first port at which a guest sees whoever uses a forward. */
const FIRST_PORT = 49152;

/** An address and port, as the guest sees them. */
export interface Peer {
  /** The address. */
  readonly address: number;
  /** The port. */
  readonly port: number;
}

/** One of a guest's ports. */
interface Flow {
  readonly guest: number;
  readonly guestPort: number;
  socket: HostDatagrams | undefined;
  /** By the host's address and port. */
  readonly peers: Map<string, Peer>;
  used: number;
  sending: number;
}

/** Somebody who uses a forward. */
interface Client {
  readonly key: string;
  readonly forward: HostForward;
  readonly address: string;
  readonly port: number;
  readonly listener: HostDatagrams;
  used: number;
}

/** UDP. */
export class UdpNat {
  readonly #settings: UserNetSettings;
  readonly #host: HostNetwork;
  readonly #clock: HostClock;
  readonly #routes: Routes;
  readonly #output: IpOutput;
  readonly #flows = new Map<string, Flow>();
  readonly #listeners = new Set<HostDatagrams>();
  /** By the port that the guest sees, and by who they are. */
  readonly #clients = new Map<number, Client>();
  readonly #clientPorts = new Map<string, number>();
  #nextPort = 0;
  #sending = 0;
  #cancel: (() => void) | undefined;
  #closed = false;

  /** UDP by way of `routes`. */
  constructor(
    settings: UserNetSettings,
    host: HostNetwork,
    clock: HostClock,
    routes: Routes,
    output: IpOutput,
  ) {
    this.#settings = settings;
    this.#host = host;
    this.#clock = clock;
    this.#routes = routes;
    this.#output = output;
  }

  /** How many of guests' ports have a socket. */
  get flows(): number {
    return this.#flows.size;
  }

  /** Who the guests' ports talk to: the guest's end and the other's. */
  *ends(): Generator<readonly [guest: Peer, peer: Peer]> {
    for (const { guest, guestPort, peers } of this.#flows.values()) {
      const own = { address: guest, port: guestPort };
      for (const peer of peers.values()) yield [own, peer];
    }
  }

  /** Lead a port of the host's to the guest. */
  async forward(forward: HostForward): Promise<HostDatagrams> {
    const { hostname, port } = forward.listen;
    const { socket, bound } = this.#host.datagrams(
      hostname,
      port,
      (bytes, address, from) =>
        this.#fromClient(forward, socket, bytes, address, from),
    );
    this.#listeners.add(socket);
    try {
      await bound;
    } catch (error) {
      this.endForward(socket);
      throw error;
    }
    return socket;
  }

  /** A port leads to the guest no more, and its users are forgotten. */
  endForward(socket: HostDatagrams): void {
    this.#listeners.delete(socket);
    socket.close();
    for (const [seen, { listener, key }] of this.#clients) {
      if (listener !== socket) continue;
      this.#clients.delete(seen);
      this.#clientPorts.delete(key);
    }
  }

  /**
   * A datagram of a guest's; `failed` is told, now or later, why it does not
   * reach its target.
   */
  send(
    packet: Ipv4Packet,
    sourcePort: number,
    targetPort: number,
    payload: Uint8Array,
    failed: (failure: HostFailure) => void,
  ): void {
    const { source, target } = packet;
    const client = target === this.#settings.gateway
      ? this.#clients.get(targetPort)
      : undefined;
    if (
      client !== undefined && client.forward.guest === source &&
      client.forward.guestPort === sourcePort
    ) {
      client.used = this.#clock.now();
      if (this.#sending >= MAX_SENDING) return;
      this.#sending++;
      client.listener.send(payload.slice(), client.address, client.port, () => {
        this.#sending--;
      });
      return;
    }
    const endpoint = this.#routes.find("udp", target, targetPort);
    if (typeof endpoint === "string") return failed(endpoint);
    const flow = this.#flow(source, sourcePort);
    if (flow === undefined) return failed("prohibited");
    const { hostname, port } = endpoint;
    const key = `${hostname}:${port}`;
    // Who was written to last is forgotten last.
    flow.peers.delete(key);
    if (flow.peers.size >= MAX_PEERS) {
      const [oldest] = flow.peers.keys();
      flow.peers.delete(oldest);
    }
    flow.peers.set(key, { address: target, port: targetPort });
    if (flow.sending >= MAX_SENDING) return;
    flow.sending++;
    flow.socket?.send(payload.slice(), hostname, port, (error) => {
      flow.sending--;
      if (error && !this.#closed) failed(failureOf(error));
    });
  }

  /** Let go of all sockets. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#cancel = undefined;
    for (const { socket } of this.#flows.values()) socket?.close();
    this.#flows.clear();
    for (const listener of this.#listeners) listener.close();
    this.#clients.clear();
    this.#clientPorts.clear();
  }

  /** The flow of a guest's port; undefined when it can have no socket. */
  #flow(guest: number, guestPort: number): Flow | undefined {
    const key = `${guest}:${guestPort}`;
    let flow = this.#flows.get(key);
    if (flow === undefined) {
      // A socket that is bound to any port of any address.
      if (!this.#host.granted("0.0.0.0", 0)) return undefined;
      if (this.#flows.size >= MAX_FLOWS) this.#dropFlow();
      const made: Flow = {
        guest,
        guestPort,
        socket: undefined,
        peers: new Map(),
        used: 0,
        sending: 0,
      };
      const { socket, bound } = this.#host.datagrams(
        "0.0.0.0",
        0,
        (bytes, address, port) => this.#fromPeer(made, bytes, address, port),
      );
      made.socket = socket;
      bound.catch(() => {
        socket.close();
        if (this.#flows.get(key) === made) this.#flows.delete(key);
      });
      flow = made;
    } else this.#flows.delete(key);
    // In the order of their last use.
    this.#flows.set(key, flow);
    flow.used = this.#clock.now();
    this.#sweepLater();
    return flow;
  }

  #dropFlow(): void {
    const [oldest] = this.#flows;
    oldest[1].socket?.close();
    this.#flows.delete(oldest[0]);
  }

  #sweepLater(): void {
    if (this.#cancel !== undefined || this.#closed) return;
    this.#cancel = this.#clock.after(SWEEP, () => {
      this.#cancel = undefined;
      this.#sweep();
    });
  }

  #sweep(): void {
    const before = this.#clock.now() - IDLE;
    for (const [key, flow] of this.#flows) {
      if (flow.used > before) continue;
      flow.socket?.close();
      this.#flows.delete(key);
    }
    for (const [port, client] of this.#clients) {
      if (client.used > before) continue;
      this.#clients.delete(port);
      this.#clientPorts.delete(client.key);
    }
    if (this.#flows.size + this.#clients.size > 0) this.#sweepLater();
  }

  /** A datagram came to a flow's socket. */
  #fromPeer(
    flow: Flow,
    bytes: Uint8Array,
    address: string,
    port: number,
  ): void {
    if (this.#closed) return;
    // A forward may have been given a name, which has the address it has.
    const peer = flow.peers.get(`${address}:${port}`) ??
      [...flow.peers].find(([key]) => this.#named(key, port))?.[1];
    if (peer === undefined) return;
    flow.used = this.#clock.now();
    this.#toGuest(
      peer.address,
      peer.port,
      flow.guest,
      flow.guestPort,
      bytes,
    );
  }

  /** Whether a peer is known by a name, and has this port. */
  #named(key: string, port: number): boolean {
    const colon = key.lastIndexOf(":");
    return Number(key.slice(colon + 1)) === port &&
      parseAddress(key.slice(0, colon)) === undefined;
  }

  /** A datagram came to a forwarded port. */
  #fromClient(
    forward: HostForward,
    listener: HostDatagrams,
    bytes: Uint8Array,
    address: string,
    port: number,
  ): void {
    if (this.#closed) return;
    const { guest, guestPort } = forward;
    const key = `${formatAddress(guest)}:${guestPort} ${listener.port} ` +
      `${address}:${port}`;
    let seen = this.#clientPorts.get(key);
    if (seen === undefined) {
      if (this.#clients.size >= MAX_FLOWS) {
        const [[oldest, { key: old }]] = this.#clients;
        this.#clients.delete(oldest);
        this.#clientPorts.delete(old);
      }
      do {
        seen = FIRST_PORT + this.#nextPort;
        this.#nextPort = (this.#nextPort + 1) % (65536 - FIRST_PORT);
      } while (this.#clients.has(seen));
      this.#clients.set(seen, {
        key,
        forward,
        address,
        port,
        listener,
        used: 0,
      });
      this.#clientPorts.set(key, seen);
      this.#sweepLater();
    }
    const client = this.#clients.get(seen);
    if (client !== undefined) client.used = this.#clock.now();
    this.#toGuest(this.#settings.gateway, seen, guest, guestPort, bytes);
  }

  #toGuest(
    address: number,
    port: number,
    guest: number,
    guestPort: number,
    bytes: Uint8Array,
  ): void {
    if (bytes.length > UDP_PAYLOAD_MAX) return;
    this.#output.send(
      address,
      guest,
      PROTOCOL_UDP,
      udpDatagram(address, port, guest, guestPort, bytes),
    );
  }
}
