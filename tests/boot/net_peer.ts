/**
 * A host at the other end of a network in memory, for guests that boot: it
 * answers ARP and pings, sends a file by TFTP and by HTTP, and takes one on
 * TCP's discard port. The network loses nothing, and so the peer sends nothing
 * twice. What is wrong in the guest's frames is kept.
 *
 * @module
 */

import type { MemoryNet, SentFrame } from "../../core/backend/memory_net.ts";
import {
  internetChecksum,
  internetSum,
  segment,
} from "../../core/backend/net_offload.ts";

/** The peer's address, 10.0.0.1. */
export const PEER = "10.0.0.1";
const PEER_IP = [10, 0, 0, 1];
const PEER_MAC = [0x02, 0, 0, 0, 0, 0x01];
const ETHERNET = 14;
const IP = 20;
const MIN_FRAME = 60;
const ARP = 0x0806;
const IPV4 = 0x0800;
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const MSS = 1460;
/** Segments under way at once. */
const BURST = 16;
const TFTP_BLOCK = 512;
/** TCP flags. */
const FIN = 1;
const SYN = 2;
const PSH = 8;
const ACK = 16;
const HTTP = 80;
const DISCARD = 9;
/**
 * How long an acknowledgement of what is discarded waits: so a guest has more to
 * send than it may, and sends it in one piece when it may.
 */
const DELAY_MS = 10;

/** A connection, as the peer keeps it. */
interface Connection {
  readonly client: Client;
  readonly port: number;
  /** What the peer has sent and what was acknowledged, from its SYN on. */
  sent: number;
  acknowledged: number;
  /** The next byte of the guest. */
  expected: number;
  /** What the peer sends. */
  answer: Uint8Array;
  received: number[];
  isAsked: boolean;
  isClosed: boolean;
  /** The timer of an acknowledgement. */
  delayed?: ReturnType<typeof setTimeout>;
}

interface Client {
  readonly mac: Uint8Array;
  readonly ip: Uint8Array;
  readonly port: number;
}

const get16 = (b: Uint8Array, at: number): number => b[at] << 8 | b[at + 1];
const get32 = (b: Uint8Array, at: number): number =>
  get16(b, at) * 65536 + get16(b, at + 2);
const put16 = (b: Uint8Array, at: number, value: number): void =>
  b.set([value >>> 8 & 255, value & 255], at);
const put32 = (b: Uint8Array, at: number, value: number): void => {
  put16(b, at, value >>> 16);
  put16(b, at + 2, value & 0xffff);
};

/** The peer. */
export class NetPeer {
  /** Frames and their bytes that the guest sent. */
  readonly received = { packets: 0, bytes: 0 };
  /** Frames and their bytes that went to the guest. */
  readonly sent = { packets: 0, bytes: 0 };
  /** Frames with segments or a checksum left to the network. */
  readonly left = { segments: 0, checksums: 0 };
  /** What was wrong with the guest's frames. */
  readonly faults: string[] = [];
  /** What came on the discard port, all connections together. */
  readonly discarded: number[] = [];
  readonly #net: MemoryNet;
  readonly #file: Uint8Array;
  readonly #connections = new Map<string, Connection>();
  /** Fragments of the guest's datagrams, by identification. */
  readonly #fragments = new Map<number, { bytes: number[]; end: number }>();

  /** A peer that gives this file. */
  constructor(net: MemoryNet, file: Uint8Array) {
    this.#net = net;
    this.#file = file;
    // What a frame leads to comes later.
    net.onSend = (frame) => queueMicrotask(() => this.#unwrap(frame));
  }

  #unwrap({ bytes, offload }: SentFrame): void {
    if (offload === undefined) return this.#take(bytes);
    if (offload.segments !== undefined) this.left.segments++;
    else this.left.checksums++;
    const isDone = segment(
      bytes,
      offload,
      (frame) => this.#take(frame.slice()),
    );
    if (!isDone) this.faults.push("an offload that is not the frame's");
  }

  #send(frame: Uint8Array): void {
    const padded = new Uint8Array(Math.max(frame.length, MIN_FRAME));
    padded.set(frame);
    this.sent.packets++;
    this.sent.bytes += padded.length;
    this.#net.inject(padded);
  }

  #take(frame: Uint8Array): void {
    this.received.packets++;
    this.received.bytes += frame.length;
    if (frame.length > 1514) this.faults.push(`${frame.length} bytes`);
    switch (get16(frame, 12)) {
      case ARP:
        return this.#takeArp(frame);
      case IPV4:
        return this.#takeIp(frame);
    }
  }

  #takeArp(frame: Uint8Array): void {
    if (
      get16(frame, 20) !== 1 || !PEER_IP.every((b, i) => frame[38 + i] === b)
    ) {
      return;
    }
    const reply = frame.slice(0, 42);
    reply.set(frame.subarray(6, 12), 0);
    reply.set(PEER_MAC, 6);
    put16(reply, 20, 2);
    reply.set([...PEER_MAC, ...PEER_IP], 22);
    reply.set(frame.subarray(22, 32), 32);
    this.#send(reply);
  }

  #takeIp(frame: Uint8Array): void {
    const length = get16(frame, 16);
    if (internetSum(frame, 14, 34) !== 0xffff) this.faults.push("IP checksum");
    if (frame[14] !== 0x45 || ETHERNET + length > frame.length) {
      return void this.faults.push("IP header");
    }
    if (!PEER_IP.every((b, i) => frame[30 + i] === b)) return;
    const mac = frame.subarray(6, 12);
    const ip = frame.subarray(26, 30);
    const data = this.#whole(frame, frame.subarray(34, ETHERNET + length));
    if (data === undefined) return;
    const client = { mac, ip, port: get16(data, 0) };
    const protocol = frame[23];
    const pseudo = internetSum(frame, 26, 34, protocol + data.length);
    const start = protocol === ICMP ? 0 : pseudo;
    if (internetSum(data, 0, data.length, start) !== 0xffff) {
      return void this.faults.push(`checksum of protocol ${protocol}`);
    }
    switch (protocol) {
      case ICMP:
        return this.#takePing(client, data);
      case UDP:
        return this.#takeTftp(client, data);
      case TCP:
        return this.#takeTcp(client, data);
    }
  }

  /** The datagram, when all its fragments are there. */
  #whole(frame: Uint8Array, part: Uint8Array): Uint8Array | undefined {
    const offset = (get16(frame, 20) & 0x1fff) * 8;
    const isMore = (frame[20] & 0x20) !== 0;
    if (offset === 0 && !isMore) return part;
    const id = get16(frame, 18);
    const entry = this.#fragments.get(id) ?? { bytes: [], end: -1 };
    part.forEach((byte, i) => entry.bytes[offset + i] = byte);
    if (!isMore) entry.end = offset + part.length;
    this.#fragments.set(id, entry);
    const isWhole = entry.end === entry.bytes.length &&
      !entry.bytes.includes(undefined as unknown as number);
    if (!isWhole) return undefined;
    this.#fragments.delete(id);
    return Uint8Array.from(entry.bytes);
  }

  /** A datagram to the guest, in fragments if it is long. */
  #sendIp({ mac, ip }: Client, protocol: number, data: Uint8Array): void {
    const most = 1480;
    for (let at = 0; at === 0 || at < data.length; at += most) {
      const part = data.subarray(at, at + most);
      const frame = new Uint8Array(ETHERNET + IP + part.length);
      frame.set(mac);
      frame.set(PEER_MAC, 6);
      put16(frame, 12, IPV4);
      frame[14] = 0x45;
      put16(frame, 16, IP + part.length);
      put16(frame, 18, data.length & 0xffff);
      put16(frame, 20, at / 8 | (at + most < data.length ? 0x2000 : 0));
      frame.set([64, protocol], 22);
      frame.set(PEER_IP, 26);
      frame.set(ip, 30);
      put16(frame, 24, internetChecksum(frame, 14, 34));
      frame.set(part, 34);
      this.#send(frame);
    }
  }

  /** The checksum of a datagram of UDP or TCP whose field is 0. */
  #seal(client: Client, protocol: number, data: Uint8Array, at: number): void {
    const addresses = Uint8Array.of(...PEER_IP, ...client.ip);
    const pseudo = internetSum(addresses, 0, 8, protocol + data.length);
    put16(data, at, internetChecksum(data, 0, data.length, pseudo));
    this.#sendIp(client, protocol, data);
  }

  #takePing(client: Client, data: Uint8Array): void {
    if (data[0] !== 8) return;
    const reply = data.slice();
    reply.set([0, 0, 0, 0]);
    put16(reply, 2, internetChecksum(reply, 0, reply.length));
    this.#sendIp(client, ICMP, reply);
  }

  /** RFC 1350: a read request, or the acknowledgement of a block. */
  #takeTftp(client: Client, data: Uint8Array): void {
    const [request, acknowledgement] = [1, 4];
    const opcode = get16(data, 8);
    let block = 0;
    if (opcode === acknowledgement) block = get16(data, 10);
    else if (opcode !== request || get16(data, 2) !== 69) return;
    const from = block * TFTP_BLOCK;
    if (from > this.#file.length) return;
    const bytes = this.#file.subarray(from, from + TFTP_BLOCK);
    const reply = new Uint8Array(12 + bytes.length);
    put16(reply, 0, 2069);
    put16(reply, 2, client.port);
    put16(reply, 4, reply.length);
    put16(reply, 8, 3);
    put16(reply, 10, block + 1);
    reply.set(bytes, 12);
    this.#seal(client, UDP, reply, 6);
  }

  #sendTcp(
    connection: Connection,
    flags: number,
    payload: Uint8Array = new Uint8Array(0),
  ): void {
    const header = (flags & SYN) !== 0 ? 24 : 20;
    const data = new Uint8Array(header + payload.length);
    put16(data, 0, connection.port);
    put16(data, 2, connection.client.port);
    put32(data, 4, connection.sent);
    put32(data, 8, connection.expected);
    data[12] = header << 2;
    data[13] = flags;
    put16(data, 14, 0xffff);
    if (header === 24) data.set([2, 4, MSS >> 8, MSS & 255], 20);
    data.set(payload, header);
    connection.sent += payload.length + ((flags & (SYN | FIN)) !== 0 ? 1 : 0);
    this.#seal(connection.client, TCP, data, 16);
  }

  #takeTcp(client: Client, data: Uint8Array): void {
    const port = get16(data, 2);
    const key = `${client.port}-${port}`;
    const flags = data[13];
    if ((flags & SYN) !== 0) {
      const connection: Connection = {
        client: { ...client, mac: client.mac.slice(), ip: client.ip.slice() },
        port,
        sent: 0,
        acknowledged: 0,
        expected: get32(data, 4) + 1,
        answer: new Uint8Array(0),
        received: [],
        isAsked: false,
        isClosed: false,
      };
      this.#connections.set(key, connection);
      return this.#sendTcp(connection, SYN | ACK);
    }
    const connection = this.#connections.get(key);
    if (connection === undefined) return;
    connection.acknowledged = get32(data, 8);
    const payload = data.subarray((data[12] >> 4) * 4);
    const isNext = get32(data, 4) === connection.expected >>> 0;
    if (isNext && (payload.length > 0 || (flags & FIN) !== 0)) {
      connection.expected += payload.length + (flags & FIN);
      for (const byte of payload) connection.received.push(byte);
      this.#answer(connection, (flags & FIN) !== 0);
      this.#acknowledge(connection);
    }
    this.#goOn(connection);
  }

  /** Acknowledge what came: what is discarded somewhat later, but for its end. */
  #acknowledge(connection: Connection): void {
    if (connection.port === DISCARD && !connection.isAsked) {
      connection.delayed ??= setTimeout(() => {
        connection.delayed = undefined;
        this.#sendTcp(connection, ACK);
      }, DELAY_MS);
      return;
    }
    clearTimeout(connection.delayed);
    connection.delayed = undefined;
    this.#sendTcp(connection, ACK);
  }

  /** The guest has said something, or all. */
  #answer(connection: Connection, isAll: boolean): void {
    if (connection.isAsked) return;
    if (connection.port === DISCARD) {
      if (!isAll) return;
      for (const byte of connection.received) this.discarded.push(byte);
    } else if (connection.port === HTTP) {
      const text = String.fromCharCode(...connection.received.slice(0, 4096));
      if (!text.includes("\r\n\r\n")) return;
      const head = new TextEncoder().encode(
        `HTTP/1.0 200 OK\r\nContent-Length: ${this.#file.length}\r\n\r\n`,
      );
      connection.answer = new Uint8Array(head.length + this.#file.length);
      connection.answer.set(head);
      connection.answer.set(this.#file, head.length);
    }
    connection.isAsked = true;
  }

  /** Send what may be under way; the end, when all is sent. */
  #goOn(connection: Connection): void {
    const { answer } = connection;
    if (!connection.isAsked || connection.isClosed) return;
    // The SYN was the byte before the first.
    while (connection.sent - connection.acknowledged < BURST * MSS) {
      const from = connection.sent - 1;
      if (from >= answer.length) break;
      this.#sendTcp(connection, ACK | PSH, answer.subarray(from, from + MSS));
    }
    if (connection.sent - 1 < answer.length) return;
    connection.isClosed = true;
    this.#sendTcp(connection, ACK | FIN);
  }
}
