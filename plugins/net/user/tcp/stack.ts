/**
 * All TCP connections with the guest: who a segment is for, whose turn it is to
 * send, whose time has come.
 *
 * @module
 */

import type { FrameOffload } from "../../../../core/backend/net.ts";
import type { HostClock } from "../clock.ts";
import type { GuestLink } from "../link.ts";
import type { Neighbours } from "../neighbours.ts";
import { put16 } from "../pdu/bytes.ts";
import { checksum, pseudoSum } from "../pdu/checksum.ts";
import {
  ETHERNET_HEADER,
  ownMac,
  putEthernet,
  TYPE_IPV4,
} from "../pdu/ethernet.ts";
import {
  DONT_FRAGMENT,
  IPV4_HEADER,
  type Ipv4Packet,
  PROTOCOL_TCP,
  putIpv4,
} from "../pdu/ipv4.ts";
import {
  ACK,
  FIN,
  putSynOptions,
  putTcp,
  RST,
  SYN,
  TCP_HEADER,
  TcpSegment,
} from "../pdu/tcp.ts";
import { RingBudget } from "./byte_ring.ts";
import { ETHERNET_MSS, TcpConnection } from "./connection.ts";
import type { TcpApplication, TcpEnds, TcpLink } from "./contract.ts";

/** Connections at once: beyond, who was not heard of for longest is reset. */
const MAX_CONNECTIONS = 4096;
/** Bytes of all connections' rings beyond their least. */
const RING_BYTES = 128 * 1024 * 1024;
/** Where TCP's header begins in a frame that is sent. */
const TCP_START = ETHERNET_HEADER + IPV4_HEADER;
/** Headers of a segment without options. */
const HEADERS = TCP_START + TCP_HEADER;
/** The longest frame with an offload. */
const MAX_FRAME = 65536;
/** Where the checksum stands in TCP's header. */
const CHECKSUM_OFFSET = 16;
/** The ports from which the network connects to the guest (RFC 6335). */
const FIRST_EPHEMERAL = 49152;
const EPHEMERAL_PORTS = 65536 - FIRST_EPHEMERAL;

/** Checksum only: for every segment that need not be cut. */
const CHECKSUM: FrameOffload = {
  checksum: { start: TCP_START, offset: CHECKSUM_OFFSET },
};

/** Says what becomes of a guest's SYN: by `accept`, `abort` or `drop`, later. */
export type TcpRoute = (connection: TcpConnection, packet: Ipv4Packet) => void;

/** Numbers that mean two ends; others may share them. */
function keyOf(
  guest: number,
  guestPort: number,
  peer: number,
  peerPort: number,
): number {
  const addresses = (Math.imul(guest, 0x9e3779b1) ^ peer) & 0xf_ffff;
  return addresses * 2 ** 32 + guestPort * 2 ** 16 + peerPort;
}

/** TCP. */
export class TcpStack implements TcpLink {
  readonly budget = new RingBudget(RING_BYTES);
  readonly #link: GuestLink;
  readonly #clock: HostClock;
  readonly #neighbours: Neighbours;
  readonly #route: TcpRoute;
  readonly #connections = new Map<number, TcpConnection>();
  #count = 0;
  readonly #segment = new TcpSegment();
  readonly #frame = new Uint8Array(MAX_FRAME);
  readonly #segmentOffloads = new Map<number, FrameOffload>();
  #queue: TcpConnection[] = [];
  #turn: TcpConnection[] = [];
  #cancel: (() => void) | undefined;
  #armed = Infinity;
  #identification = 0;
  #nextPort: number;

  /** TCP over a link; `route` is asked for each connection a guest begins. */
  constructor(
    link: GuestLink,
    clock: HostClock,
    neighbours: Neighbours,
    route: TcpRoute,
  ) {
    this.#link = link;
    this.#clock = clock;
    this.#neighbours = neighbours;
    this.#route = route;
    this.#nextPort = clock.random() % EPHEMERAL_PORTS;
  }

  /** How many connections there are. */
  get count(): number {
    return this.#count;
  }

  /** All connections. */
  *connections(): Generator<TcpConnection> {
    for (const first of this.#connections.values()) {
      let connection: TcpConnection | undefined = first;
      for (; connection !== undefined; connection = connection.next) {
        yield connection;
      }
    }
  }

  /** A packet of the guest's. */
  input(packet: Ipv4Packet, summed: boolean): void {
    const segment = this.#segment;
    if (!segment.read(packet, summed)) return;
    const { source, target } = packet;
    const { sourcePort, targetPort, flags } = segment;
    let connection = this.#find(source, sourcePort, target, targetPort);
    if (
      connection?.phase === "time-wait" &&
      (flags & (SYN | ACK | RST)) === SYN &&
      (segment.sequence - connection.expected | 0) >= 0
    ) {
      // The guest uses the port again (9293, 3.10.7.4).
      connection.drop();
      connection = undefined;
    }
    if (connection !== undefined) connection.input(segment);
    else if ((flags & (SYN | ACK | RST | FIN)) === SYN) {
      const ends = {
        guest: source,
        guestPort: sourcePort,
        peer: target,
        peerPort: targetPort,
      };
      connection = this.#add(ends);
      connection.take(segment);
      this.#route(connection, packet);
    } else if ((flags & RST) === 0) this.#refuse(packet, segment);
  }

  /** Connect to the guest from a free port of `peer`; undefined: none is free. */
  connect(
    guest: number,
    guestPort: number,
    peer: number,
    application: TcpApplication,
  ): TcpConnection | undefined {
    for (let tries = 0; tries < EPHEMERAL_PORTS; tries++) {
      const peerPort = FIRST_EPHEMERAL + this.#nextPort;
      this.#nextPort = (this.#nextPort + 1) % EPHEMERAL_PORTS;
      if (this.#find(guest, guestPort, peer, peerPort) !== undefined) continue;
      const connection = this.#add({ guest, guestPort, peer, peerPort });
      connection.connect(application);
      return connection;
    }
    return undefined;
  }

  /** A guest's MAC address is known now. */
  resolved(guest: number): void {
    for (let connection of this.#connections.values()) {
      for (;;) {
        if (connection.ends.guest === guest) connection.again();
        if (connection.next === undefined) break;
        connection = connection.next;
      }
    }
  }

  /** Send what connections have while there is room. */
  flush(): void {
    // What is queued meanwhile has its turn after the others.
    const turn = this.#queue;
    this.#queue = this.#turn;
    this.#turn = turn;
    let done = 0;
    while (done < turn.length) {
      const connection = turn[done];
      connection.queued = false;
      if (!connection.output()) break;
      done++;
    }
    if (done < turn.length) {
      this.queue(turn[done++]);
      for (; done < turn.length; done++) this.#queue.push(turn[done]);
    }
    turn.length = 0;
    if (this.#queue.length > 0 && !this.#link.blocked) this.#link.schedule();
  }

  /** Forget all connections. */
  forget(): void {
    for (const connection of this.#all()) connection.drop();
  }

  /** Forget all connections, for good. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.forget();
  }

  now(): number {
    return this.#clock.now();
  }

  get blocked(): boolean {
    return this.#link.blocked;
  }

  maxPayload(mss: number): number {
    if (!this.#link.offload) return mss;
    const most = MAX_FRAME - HEADERS;
    return most - most % mss;
  }

  queue(connection: TcpConnection): void {
    if (connection.queued) return;
    connection.queued = true;
    this.#queue.push(connection);
    if (!this.#link.blocked) this.#link.schedule();
  }

  arm(time: number): void {
    if (time >= this.#armed) return;
    this.#cancel?.();
    this.#armed = time;
    const wait = Math.max(Math.ceil(time - this.#clock.now()), 0);
    this.#cancel = this.#clock.after(wait, this.#expire);
  }

  send(
    connection: TcpConnection,
    sequence: number,
    flags: number,
    offset: number,
    length: number,
  ): boolean {
    if (this.#link.blocked) return false;
    const { guest, guestPort, peer, peerPort } = connection.ends;
    const mac = this.#neighbours.macOf(guest, peer);
    // Lost, as where nobody has the address; it comes again.
    if (mac === undefined) return true;
    const frame = this.#frame;
    const syn = (flags & SYN) !== 0;
    let headers = HEADERS;
    if (syn) {
      const { offeredShift } = connection;
      headers += putSynOptions(frame, HEADERS, ETHERNET_MSS, offeredShift);
    }
    const end = headers + length;
    putEthernet(frame, mac, ownMac(peer), TYPE_IPV4);
    this.#putIpv4(frame, end - ETHERNET_HEADER, peer, guest);
    putTcp(
      frame,
      TCP_START,
      headers - TCP_START,
      peerPort,
      guestPort,
      sequence,
      (flags & ACK) !== 0 ? connection.expected : 0,
      flags,
      connection.windowField(syn),
    );
    if (length > 0) connection.outgoing.get(offset, length, frame, headers);
    const pseudo = pseudoSum(peer, guest, PROTOCOL_TCP, end - TCP_START);
    if (!this.#link.offload) {
      const sum = checksum(frame, TCP_START, end, pseudo);
      put16(frame, TCP_START + CHECKSUM_OFFSET, sum);
      return this.#link.transmit(frame.subarray(0, end));
    }
    put16(frame, TCP_START + CHECKSUM_OFFSET, pseudo);
    const { mss } = connection;
    const offload = length > mss ? this.#segments(mss) : CHECKSUM;
    return this.#link.transmit(frame.subarray(0, end), offload);
  }

  reset(connection: TcpConnection, sequence: number): void {
    const { guest, guestPort, peer, peerPort } = connection.ends;
    this.#postReset(
      peer,
      peerPort,
      guest,
      guestPort,
      sequence,
      connection.expected,
      RST | ACK,
    );
  }

  remove(connection: TcpConnection): void {
    const { guest, guestPort, peer, peerPort } = connection.ends;
    const key = keyOf(guest, guestPort, peer, peerPort);
    let before = this.#connections.get(key);
    this.#count--;
    if (before === connection) {
      if (connection.next === undefined) this.#connections.delete(key);
      else this.#connections.set(key, connection.next);
      return;
    }
    while (before !== undefined && before.next !== connection) {
      before = before.next;
    }
    if (before !== undefined) before.next = connection.next;
  }

  *#all(): Generator<TcpConnection> {
    for (const first of [...this.#connections.values()]) {
      let connection: TcpConnection | undefined = first;
      while (connection !== undefined) {
        const { next }: TcpConnection = connection;
        yield connection;
        connection = next;
      }
    }
  }

  #find(
    guest: number,
    guestPort: number,
    peer: number,
    peerPort: number,
  ): TcpConnection | undefined {
    let connection = this.#connections.get(
      keyOf(guest, guestPort, peer, peerPort),
    );
    while (
      connection !== undefined &&
      (connection.ends.guest !== guest || connection.ends.peer !== peer)
    ) connection = connection.next;
    return connection;
  }

  #add(ends: TcpEnds): TcpConnection {
    if (this.#count >= MAX_CONNECTIONS) this.#evict();
    const { guest, guestPort, peer, peerPort } = ends;
    const key = keyOf(guest, guestPort, peer, peerPort);
    const connection = new TcpConnection(this, ends, this.#clock.random());
    connection.next = this.#connections.get(key);
    this.#connections.set(key, connection);
    this.#count++;
    return connection;
  }

  /** Reset the connection that was silent for longest. */
  #evict(): void {
    let silent: TcpConnection | undefined;
    for (const connection of this.#all()) {
      if (silent === undefined || connection.heard < silent.heard) {
        silent = connection;
      }
    }
    silent?.abort();
  }

  readonly #expire = (): void => {
    this.#cancel = undefined;
    this.#armed = Infinity;
    const now = this.#clock.now();
    let next = Infinity;
    for (const connection of this.#all()) {
      if (connection.deadline <= now) connection.expire();
      if (connection.deadline < next) next = connection.deadline;
    }
    if (next !== Infinity) this.arm(next);
  };

  /** Answer a segment that belongs to no connection (9293, 3.10.7.1). */
  #refuse(packet: Ipv4Packet, segment: TcpSegment): void {
    const { source, target } = packet;
    const { sourcePort, targetPort, sequence, flags } = segment;
    if ((flags & ACK) !== 0) {
      this.#postReset(
        target,
        targetPort,
        source,
        sourcePort,
        segment.acknowledgement,
        0,
        RST,
      );
      return;
    }
    const length = segment.length + (flags & SYN ? 1 : 0) +
      (flags & FIN ? 1 : 0);
    this.#postReset(
      target,
      targetPort,
      source,
      sourcePort,
      0,
      sequence + length,
      RST | ACK,
    );
  }

  #postReset(
    source: number,
    sourcePort: number,
    target: number,
    targetPort: number,
    sequence: number,
    acknowledgement: number,
    flags: number,
  ): void {
    const mac = this.#neighbours.macOf(target, source);
    if (mac === undefined) return;
    const frame = new Uint8Array(HEADERS);
    putEthernet(frame, mac, ownMac(source), TYPE_IPV4);
    this.#putIpv4(frame, HEADERS - ETHERNET_HEADER, source, target);
    putTcp(
      frame,
      TCP_START,
      TCP_HEADER,
      sourcePort,
      targetPort,
      sequence,
      acknowledgement,
      flags,
      0,
    );
    const pseudo = pseudoSum(source, target, PROTOCOL_TCP, TCP_HEADER);
    const sum = checksum(frame, TCP_START, HEADERS, pseudo);
    put16(frame, TCP_START + CHECKSUM_OFFSET, sum);
    this.#link.post(frame);
  }

  #putIpv4(
    frame: Uint8Array,
    length: number,
    source: number,
    target: number,
  ): void {
    putIpv4(
      frame,
      ETHERNET_HEADER,
      length,
      this.#identification++ & 0xffff,
      DONT_FRAGMENT,
      PROTOCOL_TCP,
      source,
      target,
    );
  }

  /** What says that a frame is to be cut in segments of this size. */
  #segments(bytes: number): FrameOffload {
    let offload = this.#segmentOffloads.get(bytes);
    if (offload === undefined) {
      offload = {
        ...CHECKSUM,
        segments: { kind: "tcp4", bytes, headers: HEADERS },
      };
      this.#segmentOffloads.set(bytes, offload);
    }
    return offload;
  }
}
