/**
 * Another host on a network in memory, for guests to talk to: ARP, neighbour
 * discovery, ping, with fragments, too, TFTP in both directions, and TCP over
 * IPv4 and IPv6 with an HTTP server that gives and takes. It counts frames,
 * checks every sum of what it gets, and with `offload` it leaves its own sums and
 * the cutting of its segments to the guest's card.
 *
 * It is no model of a TCP: nothing is lost on this network.
 *
 * @module
 */

import type { MemoryNet, SentFrame } from "../../core/backend/memory_net.ts";
import type { FrameOffload } from "../../core/backend/net.ts";
import {
  internetChecksum,
  internetSum,
} from "../../core/backend/net_offload.ts";

/** The peer's address: whoever asks for one that ends in 2 gets an answer. */
export const PEER = "10.0.2.2";

/** What a test's files have in them. */
export function pattern(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) * 7) & 0xff);
}

/** The SHA-256 of a file, as a guest prints it. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes.slice());
  return new Uint8Array(digest).toHex();
}

/** The shortest frame, and the most of a packet in one. */
const MIN_FRAME = 60;
const MAX_PACKET = 1500;
/** IPv4: more fragments follow. */
const MORE = 0x2000;
const MAC = [0x52, 0x55, 0x0a, 0, 2, 2];
const TYPE_IPV4 = 0x0800;
const TYPE_ARP = 0x0806;
const TYPE_VLAN = 0x8100;
const TYPE_IPV6 = 0x86dd;
const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ICMPV6 = 58;
const FIN = 1;
const SYN = 2;
const ACK = 16;
const MSS = 1400;
/**
 * Segments under way at once that are not to be cut. An NE2000's ring holds
 * eight, and Linux reads nine in a turn, after which it acknowledges all that
 * have come: the peer does not send the rest again.
 */
const BURST = 8;
/** The most payload of a frame that is yet to be cut. */
const LARGE = 60_000;
const TFTP_PORT = 69;
const TFTP_BLOCK = 512;

/**
 * How long the acknowledgement of a part of a request waits: so a guest has more
 * to send than it may, and sends it in one piece when it may.
 */
const DELAY_MS = 10;

/** Where a packet came from and how to answer it. */
interface Packet {
  readonly frame: Uint8Array;
  readonly offload: FrameOffload | undefined;
  /** Ethernet's header of the answer, with the VLAN's tag if it had one. */
  readonly ethernet: readonly number[];
  /** Where IP begins. */
  readonly network: number;
  readonly isIpv6: boolean;
  readonly protocol: number;
  /** Where TCP, UDP or ICMP begins and ends. */
  readonly start: number;
  readonly end: number;
}

/** Frames and their bytes, as they are on the wire. */
export interface Count {
  packets: number;
  bytes: number;
}

interface Connection {
  /** What is next from the guest. */
  next: number;
  /** What is sent, and up to where it has arrived. */
  readonly from: number;
  out: Uint8Array;
  sent: number;
  acked: number;
  window: number;
  readonly scale: number;
  readonly received: Uint8Array[];
  isClosing: boolean;
  /** Bytes that have come, and those of the whole request; 0: not yet known. */
  got: number;
  wanted: number;
  /** The timer of an acknowledgement. */
  delayed?: ReturnType<typeof setTimeout>;
}

/** The host. */
export class NetPeer {
  /** What has come by HTTP. */
  readonly received: Uint8Array[] = [];
  /** What has come by TFTP. */
  readonly files: Uint8Array[] = [];
  /** What the guest sent, and what went to it. */
  readonly fromGuest: Count = { packets: 0, bytes: 0 };
  readonly toGuest: Count = { packets: 0, bytes: 0 };
  /** Frames of TCP to be cut that it got, by kind, and those it sent. */
  readonly large = { tcp4: 0, tcp6: 0, sent: 0 };
  /** What was wrong. */
  readonly errors: string[] = [];
  readonly #net: MemoryNet;
  readonly #offload: boolean;
  readonly #connections = new Map<string, Connection>();
  readonly #out: { frame: Uint8Array; offload?: FrameOffload }[] = [];
  readonly #uploads = new Map<number, Uint8Array[]>();
  readonly #downloads = new Map<number, Uint8Array>();
  /** Payloads of the fragments of the packet that is coming. */
  #fragments: Uint8Array[] = [];

  constructor(net: MemoryNet, offload: boolean) {
    this.#net = net;
    this.#offload = offload;
    net.onSend = (sent) => this.#receive(sent);
  }

  /** Nothing is answered within a call: the card is in its own. */
  #send(bytes: Uint8Array, offload?: FrameOffload): void {
    const frame = new Uint8Array(Math.max(bytes.length, MIN_FRAME));
    frame.set(bytes);
    count(this.toGuest, frame, offload);
    this.#out.push({ frame, offload });
    if (this.#out.length > 1) return;
    queueMicrotask(() => {
      const frames = this.#out.splice(0);
      for (const { frame, offload } of frames) this.#net.inject(frame, offload);
    });
  }

  #receive({ bytes: frame, offload }: SentFrame): void {
    count(this.fromGuest, frame, offload);
    let at = 12;
    const ethernet = [...frame.subarray(6, 12), ...MAC];
    let type = frame[at] << 8 | frame[at + 1];
    if (type === TYPE_VLAN) {
      ethernet.push(...frame.subarray(at, at + 4));
      at += 4;
      type = frame[at] << 8 | frame[at + 1];
    }
    ethernet.push(type >> 8, type & 255);
    if (frame.length - at > 1502 && offload?.segments === undefined) {
      this.errors.push(`a frame of ${frame.length} bytes`);
    }
    const network = at + 2;
    if (type === TYPE_ARP) return this.#arp(frame, network, ethernet);
    if (type !== TYPE_IPV4 && type !== TYPE_IPV6) return;
    const isIpv6 = type === TYPE_IPV6;
    const view = new DataView(frame.buffer, frame.byteOffset);
    const start = network + (isIpv6 ? 40 : (frame[network] & 15) * 4);
    if (!isIpv6 && internetChecksum(frame, network, start) !== 0) {
      this.errors.push("a wrong checksum of IP");
    }
    const fragment = isIpv6 ? 0 : view.getUint16(network + 6) & 0x3fff;
    if (fragment !== 0) return this.#fragment(frame, network, start, fragment);
    const end = isIpv6
      ? start + view.getUint16(network + 4)
      : network + view.getUint16(network + 2);
    if (offload?.segments) this.large[offload.segments.kind]++;
    this.#take({
      frame,
      offload,
      ethernet,
      network,
      isIpv6,
      protocol: frame[network + (isIpv6 ? 6 : 9)],
      start,
      end,
    });
  }

  /** A whole packet. */
  #take(packet: Packet): void {
    const { frame, start } = packet;
    this.#check(packet);
    switch (packet.protocol) {
      case ICMP:
        return this.#ping(packet, 8, 0);
      case ICMPV6:
        if (frame[start] === 135) return this.#neighbour(packet);
        return this.#ping(packet, 128, 129);
      case TCP:
        return this.#tcp(packet);
      case UDP:
        return this.#tftp(packet);
    }
  }

  /** A part of a packet: this network keeps their order. */
  #fragment(
    frame: Uint8Array,
    network: number,
    start: number,
    fragment: number,
  ): void {
    const view = new DataView(frame.buffer, frame.byteOffset);
    const end = network + view.getUint16(network + 2);
    if ((fragment & ~MORE) === 0) this.#fragments = [];
    const have = this.#fragments.reduce((sum, part) => sum + part.length, 0);
    if ((fragment & ~MORE) * 8 !== have) {
      return void this.errors.push("a fragment is missing");
    }
    this.#fragments.push(frame.slice(start, end));
    if ((fragment & MORE) !== 0) return;
    const bytes = joined([frame.subarray(0, start), ...this.#fragments]);
    const whole = new DataView(bytes.buffer);
    whole.setUint16(network + 2, bytes.length - network);
    whole.setUint16(network + 6, 0);
    this.#take({
      frame: bytes,
      offload: undefined,
      ethernet: [
        ...frame.subarray(6, 12),
        ...MAC,
        ...frame.subarray(12, network),
      ],
      network,
      isIpv6: false,
      protocol: frame[network + 9],
      start,
      end: bytes.length,
    });
  }

  /** The sum of the pseudo header. */
  #pseudo({ frame, network, isIpv6, protocol }: Packet, length: number) {
    const addresses = isIpv6 ? network + 8 : network + 12;
    const end = isIpv6 ? network + 40 : network + 20;
    return internetSum(frame, addresses, end, protocol + length);
  }

  #check(packet: Packet): void {
    const { frame, offload, start, end, protocol } = packet;
    const name = `protocol ${protocol}, ${frame.length} bytes`;
    if (end > frame.length) this.errors.push(`${name}: its length is wrong`);
    if (protocol !== TCP && protocol !== UDP) return;
    const pseudo = this.#pseudo(packet, end - start);
    const at = start + (protocol === TCP ? 16 : 6);
    if (offload?.checksum !== undefined) {
      const { checksum } = offload;
      const place = (frame[at] << 8 | frame[at + 1]) === pseudo;
      if (
        checksum.start !== start || start + checksum.offset !== at || !place
      ) {
        this.errors.push(`${name}: no pseudo header's sum`);
      }
    } else if (internetChecksum(frame, start, end, pseudo) !== 0) {
      this.errors.push(`${name}: its checksum is wrong`);
    }
  }

  #arp(frame: Uint8Array, at: number, ethernet: readonly number[]): void {
    if (frame[at + 7] !== 1 || frame[at + 27] !== 2) return;
    const answer = [...frame.subarray(at, at + 6), 0, 2];
    answer.push(...MAC, ...frame.subarray(at + 24, at + 28));
    answer.push(...frame.subarray(at + 8, at + 18));
    this.#send(Uint8Array.from([...ethernet, ...answer]));
  }

  #neighbour(packet: Packet): void {
    const { frame, start } = packet;
    const target = frame.subarray(start + 8, start + 24);
    if (target[15] !== 2) return;
    const body = [136, 0, 0, 0, 0x60, 0, 0, 0, ...target, 2, 1, ...MAC];
    this.#answer(packet, Uint8Array.from(body), 2, [...target]);
  }

  #ping(packet: Packet, request: number, reply: number): void {
    const { frame, start, end } = packet;
    if (frame[start] !== request) return;
    const body = frame.slice(start, end);
    body[0] = reply;
    body[2] = body[3] = 0;
    this.#answer(packet, body, 2);
  }

  /**
   * Send what stands behind an IP header to where a packet came from, with its
   * checksum at this offset in it.
   */
  #answer(
    to: Packet,
    body: Uint8Array,
    checksum: number,
    source?: readonly number[],
    segment?: number,
  ): void {
    const { frame: from, network: at, isIpv6, protocol, ethernet } = to;
    const total = body.length + (isIpv6 ? 0 : 20);
    const ip = isIpv6
      ? [
        ...[0x60, 0, 0, 0, total >> 8, total & 255, protocol, 255],
        ...source ?? from.subarray(at + 24, at + 40),
        ...from.subarray(at + 8, at + 24),
      ]
      : [
        ...[0x45, 0, total >> 8, total & 255, 0, 0, 0x40, 0, 64, protocol],
        ...[0, 0],
        ...from.subarray(at + 16, at + 20),
        ...from.subarray(at + 12, at + 16),
      ];
    const start = ethernet.length + ip.length;
    const frame = new Uint8Array(start + body.length);
    frame.set(ethernet);
    frame.set(ip, ethernet.length);
    frame.set(body, start);
    if (!isIpv6) {
      const sum = internetChecksum(frame, ethernet.length, start);
      frame.set([sum >> 8, sum & 255], ethernet.length + 10);
    }
    const put = (sum: number): void =>
      frame.set([sum >> 8, sum & 255], start + checksum);
    const network = ethernet.length;
    const pseudo = protocol === ICMP
      ? 0
      : this.#pseudo({ ...to, frame, network }, body.length);
    const isPlain = protocol === ICMP || protocol === ICMPV6;
    if (!this.#offload || isPlain) {
      put(internetChecksum(frame, start, frame.length, pseudo));
      return this.#sendParts(frame, network, start);
    }
    put(pseudo);
    const offload: FrameOffload = { checksum: { start, offset: checksum } };
    if (segment === undefined || body.length - 20 <= segment) {
      return this.#send(frame, offload);
    }
    this.large.sent++;
    this.#send(frame, {
      ...offload,
      segments: {
        kind: isIpv6 ? "tcp6" : "tcp4",
        bytes: segment,
        headers: start + 20,
      },
    });
  }

  /** Send a packet, in fragments where it is too long for a frame. */
  #sendParts(frame: Uint8Array, network: number, start: number): void {
    if (frame.length - network <= MAX_PACKET) return this.#send(frame);
    const most = MAX_PACKET - (start - network);
    for (let from = start; from < frame.length; from += most) {
      const to = Math.min(from + most, frame.length);
      const part = joined([frame.subarray(0, start), frame.subarray(from, to)]);
      const view = new DataView(part.buffer);
      const more = to < frame.length ? MORE : 0;
      view.setUint16(network + 2, part.length - network);
      view.setUint16(network + 6, more | (from - start) / 8);
      view.setUint16(network + 10, 0);
      view.setUint16(network + 10, internetChecksum(part, network, start));
      this.#send(part);
    }
  }

  #tftp(packet: Packet): void {
    const { frame, start, end } = packet;
    const view = new DataView(frame.buffer, frame.byteOffset);
    const client = view.getUint16(start);
    const operation = view.getUint16(start + 8);
    const block = view.getUint16(start + 10);
    const say = (body: readonly number[]): void => {
      const length = body.length + 8;
      const ports = [0, TFTP_PORT, client >> 8, client & 255];
      const head = [...ports, length >> 8, length & 255, 0, 0];
      this.#answer(packet, Uint8Array.from([...head, ...body]), 6);
    };
    const data = (number: number): void => {
      const at = (number - 1) * TFTP_BLOCK;
      const bytes = this.#downloads.get(client)!.subarray(at, at + TFTP_BLOCK);
      say([0, 3, number >> 8, number & 255, ...bytes]);
    };
    if (view.getUint16(start + 2) !== TFTP_PORT) return;
    if (operation === 1) {
      const name = new TextDecoder().decode(frame.subarray(start + 10, end));
      this.#downloads.set(client, pattern(parseInt(name)));
      data(1);
    } else if (operation === 2) {
      this.#uploads.set(client, []);
      say([0, 4, 0, 0]);
    } else if (operation === 3) {
      const blocks = this.#uploads.get(client) ?? [];
      const bytes = frame.slice(start + 12, end);
      if (block === blocks.length + 1) {
        blocks.push(bytes);
        if (bytes.length < TFTP_BLOCK) this.files.push(joined(blocks));
      }
      say([0, 4, block >> 8, block & 255]);
    } else if (operation === 4) {
      const { length } = this.#downloads.get(client)!;
      if (block * TFTP_BLOCK <= length) data(block + 1);
    }
  }

  #tcp(packet: Packet): void {
    const { frame, start, end } = packet;
    const view = new DataView(frame.buffer, frame.byteOffset);
    const key = `${packet.isIpv6} ${view.getUint16(start)}`;
    const sequence = view.getUint32(start + 4);
    const flags = frame[start + 13];
    if ((flags & SYN) !== 0) {
      const connection: Connection = {
        next: (sequence + 1) >>> 0,
        // So that numbers wrap.
        from: 0xffffff00,
        out: new Uint8Array(),
        sent: 0,
        acked: 0,
        window: 0,
        scale: scaleOf(frame.subarray(start + 20, end)),
        received: [],
        isClosing: false,
        got: 0,
        wanted: 0,
      };
      this.#connections.set(key, connection);
      const options = [2, 4, MSS >> 8, MSS & 255, 1, 3, 3, 7];
      return this.#segment(packet, connection, -1, SYN | ACK, options);
    }
    const connection = this.#connections.get(key);
    if (connection === undefined) return;
    const acked = (view.getUint32(start + 8) - connection.from) >>> 0;
    if (acked < 2 ** 31) connection.acked = Math.max(connection.acked, acked);
    connection.window = view.getUint16(start + 14) * 2 ** connection.scale;
    const data = frame.slice(start + (frame[start + 12] >> 4) * 4, end);
    const isNext = sequence === connection.next;
    if (isNext && data.length > 0) {
      connection.next = (connection.next + data.length) >>> 0;
      connection.received.push(data);
      connection.got += data.length;
      this.#serve(connection);
    }
    if (isNext && (flags & FIN) !== 0) {
      connection.next = (connection.next + 1) >>> 0;
      connection.isClosing = true;
    }
    this.#push(packet, connection);
    if (data.length > 0 || (flags & FIN) !== 0) {
      this.#acknowledge(packet, connection);
    }
  }

  #acknowledge(packet: Packet, connection: Connection): void {
    const tell = () => {
      connection.delayed = undefined;
      this.#segment(packet, connection, connection.sent, ACK);
    };
    if (connection.got < connection.wanted && !connection.isClosing) {
      connection.delayed ??= setTimeout(tell, DELAY_MS);
    } else {
      clearTimeout(connection.delayed);
      tell();
    }
  }

  /** Answer a request that has come as a whole. */
  #serve(connection: Connection): void {
    if (connection.wanted === 0) {
      const text = new TextDecoder("latin1").decode(
        joined(connection.received),
      );
      const end = text.indexOf("\r\n\r\n") + 4;
      if (end < 4) return;
      const body = /^content-length: *(\d+)/im.exec(text)?.[1] ?? "0";
      connection.wanted = end + Number(body);
    }
    if (connection.got < connection.wanted || connection.isClosing) return;
    const request = joined(connection.received);
    const path = new TextDecoder("latin1").decode(request.subarray(0, 40));
    const length = Number(/^GET \/(\d+)/.exec(path)?.[1] ?? 0);
    if (path.startsWith("POST")) {
      const end = new TextDecoder("latin1").decode(request.subarray(0, 1000))
        .indexOf("\r\n\r\n") + 4;
      this.received.push(request.subarray(end));
    }
    const head = `HTTP/1.0 200 OK\r\nContent-Length: ${length}\r\n\r\n`;
    connection.out = joined([new TextEncoder().encode(head), pattern(length)]);
    connection.isClosing = true;
  }

  /** Send what the window has room for, and then the end. */
  #push(packet: Packet, connection: Connection): void {
    const { out, acked, isClosing } = connection;
    const most = this.#offload ? LARGE : MSS;
    const window = this.#offload
      ? connection.window
      : Math.min(connection.window, BURST * MSS);
    while (connection.sent < out.length) {
      const { sent } = connection;
      const room = Math.min(most, out.length - sent, acked + window - sent);
      if (room <= 0) return;
      const data = out.subarray(sent, sent + room);
      connection.sent += room;
      this.#segment(packet, connection, sent, ACK, [], data);
    }
    if (!isClosing || connection.sent > out.length) return;
    connection.sent++;
    this.#segment(packet, connection, out.length, ACK | FIN);
  }

  #segment(
    to: Packet,
    { from, next }: Connection,
    offset: number,
    flags: number,
    options: readonly number[] = [],
    data: Uint8Array = new Uint8Array(),
  ): void {
    const { frame, start } = to;
    const size = 20 + options.length;
    const body = new Uint8Array(size + data.length);
    const view = new DataView(body.buffer);
    body.set(frame.subarray(start + 2, start + 4));
    body.set(frame.subarray(start, start + 2), 2);
    view.setUint32(4, from + offset);
    view.setUint32(8, next);
    body[12] = size << 2;
    body[13] = flags;
    view.setUint16(14, 0xffff);
    body.set(options, 20);
    body.set(data, size);
    this.#answer(to, body, 16, undefined, MSS);
  }
}

/** Count a frame, or those that it is cut into. */
function count(
  sum: Count,
  frame: Uint8Array,
  offload: FrameOffload | undefined,
): void {
  const { bytes, headers } = offload?.segments ??
    { bytes: frame.length, headers: 0 };
  const frames = Math.ceil((frame.length - headers) / bytes);
  sum.packets += frames;
  sum.bytes += frame.length + (frames - 1) * headers;
}

/** The window scale among TCP's options; 0 without. */
function scaleOf(options: Uint8Array): number {
  for (let at = 0; at < options.length && options[at] !== 0;) {
    if (options[at] === 3) return options[at + 2];
    at += options[at] === 1 ? 1 : Math.max(2, options[at + 1]);
  }
  return 0;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
