/**
 * Packets put together from their fragments (RFC 791, 3.2; RFC 815), a few at a
 * time. One whose fragments overlap or disagree is dropped as a whole, as RFC
 * 5722 has it for IPv6: no sender makes such.
 *
 * @module
 */

import type { HostClock } from "./clock.ts";
import { put16 } from "./pdu/bytes.ts";
import { checksum } from "./pdu/checksum.ts";
import {
  FRAGMENT_OFFSET,
  IPV4_HEADER,
  type Ipv4Packet,
  MORE_FRAGMENTS,
} from "./pdu/ipv4.ts";

/** Packets in the making; the oldest makes room for another. */
const MAX_PACKETS = 16;
/** Fragments of one packet. */
const MAX_FRAGMENTS = 64;
/** How long the fragments of a packet may take, in ms (RFC 1122, 3.3.2). */
const TIMEOUT = 30_000;
/** The greatest packet. */
const MAX_PACKET = 65535;

/** A packet in the making. */
interface Partial {
  readonly since: number;
  header: Uint8Array | undefined;
  /** Of the whole payload; unknown before the last fragment has come. */
  length: number | undefined;
  have: number;
  readonly fragments: { readonly from: number; readonly bytes: Uint8Array }[];
}

/** Packets in the making. */
export class Reassembly {
  readonly #clock: Pick<HostClock, "now">;
  readonly #partial = new Map<string, Partial>();

  /** Nothing in the making. */
  constructor(clock: Pick<HostClock, "now">) {
    this.#clock = clock;
  }

  /** How many packets are in the making. */
  get size(): number {
    return this.#partial.size;
  }

  /** Add a fragment: gives the bytes of the packet that it completes. */
  add(packet: Ipv4Packet): Uint8Array | undefined {
    const now = this.#clock.now();
    for (const [key, { since }] of this.#partial) {
      if (now - since >= TIMEOUT) this.#partial.delete(key);
    }
    const { source, target, protocol, identification } = packet;
    const key = `${source} ${target} ${protocol} ${identification}`;
    let partial = this.#partial.get(key);
    if (partial === undefined) {
      if (this.#partial.size >= MAX_PACKETS) {
        const [oldest] = this.#partial.keys();
        this.#partial.delete(oldest);
      }
      partial = {
        since: now,
        header: undefined,
        length: undefined,
        have: 0,
        fragments: [],
      };
      this.#partial.set(key, partial);
    }
    if (!insert(partial, packet)) {
      this.#partial.delete(key);
      return undefined;
    }
    if (partial.header === undefined || partial.have !== partial.length) {
      return undefined;
    }
    this.#partial.delete(key);
    return whole(partial.header, partial);
  }
}

/** Add a fragment to its packet; false when it does not fit. */
function insert(partial: Partial, packet: Ipv4Packet): boolean {
  const from = (packet.fragment & FRAGMENT_OFFSET) * 8;
  const length = packet.end - packet.payload;
  const to = from + length;
  const more = (packet.fragment & MORE_FRAGMENTS) !== 0;
  if (
    length === 0 || to > MAX_PACKET - IPV4_HEADER ||
    (more && length % 8 !== 0) ||
    partial.fragments.length >= MAX_FRAGMENTS
  ) return false;
  for (const other of partial.fragments) {
    const end = other.from + other.bytes.length;
    if (from === other.from && to === end) return true;
    if (from < end && other.from < to) return false;
    if (!more && end > to) return false;
  }
  if (more ? partial.length !== undefined && to > partial.length : false) {
    return false;
  }
  if (!more) {
    if (partial.length !== undefined) return false;
    partial.length = to;
  }
  const { bytes, start, payload } = packet;
  if (from === 0) partial.header = bytes.slice(start, payload);
  partial.fragments.push({ from, bytes: bytes.slice(payload, packet.end) });
  partial.have += length;
  return true;
}

/** The packet of all its fragments; undefined when it is too long for one. */
function whole(header: Uint8Array, partial: Partial): Uint8Array | undefined {
  const length = header.length + partial.have;
  // The last fragment may have a shorter header than the first.
  if (length > MAX_PACKET) return undefined;
  const bytes = new Uint8Array(length);
  bytes.set(header);
  put16(bytes, 2, bytes.length);
  put16(bytes, 6, 0);
  put16(bytes, 10, 0);
  put16(bytes, 10, checksum(bytes, 0, header.length));
  for (const { from, bytes: part } of partial.fragments) {
    bytes.set(part, header.length + from);
  }
  return bytes;
}
