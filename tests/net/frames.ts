/**
 * Frames as a guest makes them by hand, and a host's network that does what a
 * test says.
 *
 * @module
 */

import type { FrameOffload } from "../../core/backend/net.ts";
import {
  readConfig,
  type UserNetConfig,
} from "../../plugins/net/user/config.ts";
import { formatAddress } from "../../plugins/net/user/addresses.ts";
import {
  DENO_NETWORK,
  type HostNetwork,
  type HostSocket,
} from "../../plugins/net/user/host.ts";
import { get16, get32, put16 } from "../../plugins/net/user/pdu/bytes.ts";
import { checksum, pseudoSum } from "../../plugins/net/user/pdu/checksum.ts";
import { ownMac, putEthernet } from "../../plugins/net/user/pdu/ethernet.ts";
import { putIpv4 } from "../../plugins/net/user/pdu/ipv4.ts";
import { putTcp } from "../../plugins/net/user/pdu/tcp.ts";
import { udpDatagram } from "../../plugins/net/user/pdu/udp.ts";
import { UserNet } from "../../plugins/net/user/user_net.ts";
import { Capture } from "./judge.ts";
import { SimulatedClock } from "./simulation.ts";

export const GUEST = 0x0a00020f;
export const GATEWAY = 0x0a000202;
export const DNS = 0x0a000203;
export const GUEST_MAC = 0x5254_0012_3456;

/** A packet in a frame of the guest's. */
export function ipFrame(
  protocol: number,
  target: number,
  payload: Uint8Array,
  { fragment = 0, id = 1, source = GUEST, ttl = 64, mac = ownMac(GATEWAY) } =
    {},
): Uint8Array {
  const frame = new Uint8Array(34 + payload.length);
  putEthernet(frame, mac, GUEST_MAC, 0x800);
  const length = 20 + payload.length;
  putIpv4(frame, 14, length, id, fragment, protocol, source, target);
  frame[22] = ttl;
  put16(frame, 24, 0);
  put16(frame, 24, checksum(frame, 14, 34));
  frame.set(payload, 34);
  return frame;
}

/** A datagram in a frame of the guest's. */
export function udpFrame(
  target: number,
  port: number,
  payload: Uint8Array,
  sourcePort = 5000,
): Uint8Array {
  return ipFrame(
    17,
    target,
    udpDatagram(GUEST, sourcePort, target, port, payload),
  );
}

/** A segment in a frame of the guest's. */
export function tcpFrame(
  target: number,
  port: number,
  sequence: number,
  acknowledgement: number,
  flags: number,
  payload: Uint8Array<ArrayBufferLike> = new Uint8Array(0),
  { window = 65535, sourcePort = 5000 } = {},
): Uint8Array {
  const segment = new Uint8Array(20 + payload.length);
  putTcp(
    segment,
    0,
    20,
    sourcePort,
    port,
    sequence,
    acknowledgement,
    flags,
    window,
  );
  segment.set(payload, 20);
  const pseudo = pseudoSum(GUEST, target, 6, segment.length);
  put16(segment, 16, checksum(segment, 0, segment.length, pseudo));
  return ipFrame(6, target, segment);
}

/** An echo request. */
export function echo(target: number, length = 40, options = {}): Uint8Array {
  const message = new Uint8Array(8 + length);
  message[0] = 8;
  message[5] = 7;
  put16(message, 2, checksum(message, 0, message.length));
  return ipFrame(1, target, message, options);
}

/** What a frame to the guest says, in short. */
export function inShort(frame: Uint8Array): string {
  if (get16(frame, 12) === 0x806) {
    const what = get16(frame, 20) === 1 ? "request" : "reply";
    return `arp ${what} ${formatAddress(get32(frame, 28))}`;
  }
  const from = formatAddress(get32(frame, 26));
  switch (frame[23]) {
    case 1:
      return `icmp ${from} ${frame[34]} ${frame[35]}`;
    case 6: {
      const names = ["FIN", "SYN", "RST", "PSH", "ACK"];
      const flags = names.filter((_, i) => frame[47] >> i & 1).join(" ");
      return `tcp ${from}:${get16(frame, 34)} ${flags}`;
    }
    default:
      return `udp ${from}:${get16(frame, 34)}`;
  }
}

/** A guest on a network of its own, in simulated time. */
export class Bench {
  readonly clock = new SimulatedClock(1);
  readonly capture = new Capture();
  readonly received: Uint8Array[] = [];
  readonly offloads: (FrameOffload | undefined)[] = [];
  readonly refused: string[] = [];
  room = true;
  readonly net: UserNet;

  constructor(
    config: Partial<UserNetConfig> = {},
    host: Partial<HostNetwork> = {},
    offload = false,
  ) {
    const settings = readConfig({
      net: "10.0.2.0/24",
      restrict: false,
      hostfwd: [],
      guestfwd: [],
      ...config,
    });
    this.net = new UserNet(settings, {
      host: { ...DENO_NETWORK, granted: () => true, ...host },
      clock: this.clock,
      refused: (target) => this.refused.push(target),
    });
    this.net.attach({
      offload,
      receive: (frame, how) => {
        if (!this.room) return false;
        this.capture.add(frame);
        this.received.push(frame.slice());
        this.offloads.push(how);
        return true;
      },
    });
  }

  send(frame: Uint8Array, offload?: FrameOffload): void {
    this.capture.add(frame);
    this.net.send(frame, offload);
  }

  /** Run until nothing is due within some ms, the host's promises included. */
  async settle(ms = 50): Promise<void> {
    for (let i = 0; i < 5; i++) {
      this.clock.run(() => false, ms);
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }

  /** Send, settle, and say what came. */
  async ask(...frames: Uint8Array[]): Promise<string[]> {
    const before = this.received.length;
    for (const frame of frames) this.send(frame);
    await this.settle();
    return this.received.slice(before).map(inShort);
  }
}

/** A host's connection that a test holds. */
export class FakeSocket implements HostSocket {
  readonly written: number[] = [];
  readonly #incoming: (Uint8Array | Error | null)[] = [];
  #wake: (() => void) | undefined;
  ended = false;
  closed = false;
  /** Writes wait while it is set. */
  stuck: Promise<void> | undefined;

  /** What comes next: bytes, the end, or a failure. */
  give(next: Uint8Array | Error | null): void {
    this.#incoming.push(next);
    this.#wake?.();
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (this.#incoming.length === 0) {
      if (this.closed) throw new Deno.errors.BadResource();
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const bytes = this.#incoming.shift();
    if (bytes === null || bytes === undefined) return null;
    if (bytes instanceof Error) throw bytes;
    const part = bytes.subarray(0, into.length);
    into.set(part);
    if (part.length < bytes.length) {
      this.#incoming.unshift(bytes.subarray(part.length));
    }
    return part.length;
  }

  async write(bytes: Uint8Array): Promise<number> {
    await this.stuck;
    this.written.push(...bytes);
    return bytes.length;
  }

  closeWrite(): Promise<void> {
    this.ended = true;
    return Promise.resolve();
  }

  close(): void {
    this.closed = true;
    this.#wake?.();
  }
}
