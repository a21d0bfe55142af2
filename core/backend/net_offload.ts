/**
 * What a `FrameOffload` leaves undone, done in software: for a card or network
 * whose other side does not take frames with one.
 *
 * Frames come from guests: whatever is in them, nothing here throws, and no
 * byte outside of the frame is read or written.
 *
 * Sources: RFC 1071 (the Internet checksum), RFC 791 and 8200 (IP), RFC 9293
 * (TCP), RFC 3168 (ECN), RFC 768 (UDP).
 *
 * @module
 */

import type { FrameOffload } from "./net.ts";

/** Length of the Ethernet addresses; the type follows. */
const ETHER_TYPE = 12;
const VLAN_TAG_BYTES = 4;
/** Types of tags that stand before the type proper: 802.1Q, 802.1ad. */
const VLAN_TAGS = [0x8100, 0x88a8];
const IPV6_HEADER = 40;
const TCP_HEADER = 20;
const UDP_HEADER = 8;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
/** Extension headers with their length in 8 bytes, less one, in byte 1. */
const IPV6_OPTIONS = [0, 43, 60];

/** Offsets in an IPv4 header. */
const IPV4_LENGTH = 2;
const IPV4_ID = 4;
const IPV4_CHECKSUM = 10;
const IPV4_ADDRESSES = 12;
/** Offsets in an IPv6 header. */
const IPV6_LENGTH = 4;
const IPV6_ADDRESSES = 8;
/** Offsets in a TCP header. */
const TCP_SEQUENCE = 4;
const TCP_FLAGS = 13;
const TCP_CHECKSUM = 16;
/** Flags that only the last segment has: FIN and PSH. */
const LAST_FLAGS = 0x01 | 0x08;
/** The flag that only the first segment has: CWR. */
const FIRST_FLAGS = 0x80;
/** Offsets in a UDP header. */
const UDP_LENGTH = 4;
const UDP_CHECKSUM = 6;

/**
 * The one's complement sum of the 16-bit words in bytes `from` to `to`, added
 * to `start`, a sum of before; folded to 16 bits. An odd byte at the end is the
 * upper half of a word.
 */
export function internetSum(
  bytes: Uint8Array,
  from: number,
  to: number,
  start = 0,
): number {
  let sum = start;
  let at = from;
  // Up to 64 KiB: the sum stays far below 2^53, and two words are one step.
  for (; at + 3 < to; at += 4) {
    sum += (bytes[at] << 8 | bytes[at + 1]) + (bytes[at + 2] << 8) +
      bytes[at + 3];
  }
  for (; at + 1 < to; at += 2) sum += bytes[at] << 8 | bytes[at + 1];
  if (at < to) sum += bytes[at] << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

/**
 * The Internet checksum of bytes `from` to `to`: the complement of
 * `internetSum`, as it stands in a header. 0 when the checksum is among these
 * bytes and right.
 */
export function internetChecksum(
  bytes: Uint8Array,
  from: number,
  to: number,
  start = 0,
): number {
  return ~internetSum(bytes, from, to, start) & 0xffff;
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

function get16(bytes: Uint8Array, at: number): number {
  return bytes[at] << 8 | bytes[at + 1];
}

/**
 * Store a checksum where TCP and UDP have it: 0 is sent as its equal FFFFh,
 * for to UDP it means that there is none.
 */
function putChecksum(bytes: Uint8Array, at: number, checksum: number): void {
  put16(bytes, at, checksum === 0 ? 0xffff : checksum);
}

/**
 * Compute the checksum that `offload.checksum` asks for, in place. False, and
 * nothing is written, when its place is not in the frame; true when nothing is
 * asked for.
 */
export function applyChecksum(
  frame: Uint8Array,
  offload: FrameOffload,
): boolean {
  if (offload.checksum === undefined) return true;
  const { start, offset } = offload.checksum;
  const at = start + offset;
  if (start < 0 || offset < 0 || at + 2 > frame.length) return false;
  putChecksum(frame, at, internetChecksum(frame, start, frame.length));
  return true;
}

/** Where the headers of a frame are that is to be cut into segments. */
export interface SegmentLayout {
  /** Where the IP header begins. */
  readonly network: number;
  /** Whether it is one of IPv6. */
  readonly isIpv6: boolean;
  /** Where the header of TCP or UDP begins. */
  readonly transport: number;
  /** Whether it is one of TCP. */
  readonly isTcp: boolean;
  /** How many bytes are before the payload. */
  readonly headers: number;
  /** The payload of each segment in bytes. */
  readonly bytes: number;
  /** Leave the checksum of IPv4's header as it is. */
  readonly keepsIpChecksum?: boolean;
  /** Leave the checksum of TCP or UDP as it is. */
  readonly keepsChecksum?: boolean;
}

/** Where the header of IP begins: after the tags of VLANs. */
function networkHeader(frame: Uint8Array): number {
  let at = ETHER_TYPE;
  while (VLAN_TAGS.includes(get16(frame, at))) at += VLAN_TAG_BYTES;
  return at + 2;
}

/** Where TCP begins, -1 if nowhere. */
function transportHeader(
  frame: Uint8Array,
  network: number,
  kind: "tcp4" | "tcp6",
): number {
  if (kind === "tcp4") {
    const isTcp = frame[network] >> 4 === 4 &&
      frame[network + 9] === PROTOCOL_TCP;
    return isTcp ? network + (frame[network] & 15) * 4 : -1;
  }
  if (frame[network] >> 4 !== 6) return -1;
  let next = frame[network + 6];
  let at = network + IPV6_HEADER;
  while (IPV6_OPTIONS.includes(next) && at + 8 <= frame.length) {
    next = frame[at];
    at += (frame[at + 1] + 1) * 8;
  }
  return next === PROTOCOL_TCP ? at : -1;
}

/**
 * Cut a frame into segments as `offload.segments` asks, each with complete
 * headers and checksums, and `emit` each; the bytes are only good until `emit`
 * returns. Without `segments` the frame is emitted with its checksum computed.
 * False, and nothing is emitted, for a frame that is not what the offload says.
 */
export function segment(
  frame: Uint8Array,
  offload: FrameOffload,
  emit: (frame: Uint8Array) => void,
): boolean {
  const { segments } = offload;
  if (segments === undefined) {
    if (!applyChecksum(frame, offload)) return false;
    emit(frame);
    return true;
  }
  const { kind, bytes, headers } = segments;
  const network = networkHeader(frame);
  const transport = transportHeader(frame, network, kind);
  if (transport < 0) return false;
  return cut(frame, {
    network,
    isIpv6: kind === "tcp6",
    transport,
    isTcp: true,
    headers,
    bytes,
  }, emit);
}

/**
 * How many frames `segment` makes of one; for an offload that no frame has it
 * may be any number, Infinity or NaN.
 */
export function segmentsOf(frame: Uint8Array, offload?: FrameOffload): number {
  if (offload?.segments === undefined) return 1;
  const { headers, bytes } = offload.segments;
  return Math.max(1, Math.ceil((frame.length - headers) / bytes));
}

/** Whether the headers are in the frame, in their order. */
function isSound(frame: Uint8Array, layout: SegmentLayout): boolean {
  const { network, isIpv6, transport, isTcp, headers, bytes } = layout;
  // An IPv4 header is summed by its own length.
  const ipHeader = isIpv6 ? IPV6_HEADER : (frame[network] & 15) * 4;
  return bytes > 0 && network >= 0 && ipHeader >= 20 &&
    network + ipHeader <= transport &&
    transport + (isTcp ? TCP_HEADER : UDP_HEADER) <= headers &&
    headers <= frame.length;
}

/**
 * Cut a frame whose headers are where the layout says, as `segment` does. For
 * TCP, sequence numbers go on and FIN, PSH and CWR are where they belong; of
 * UDP each segment is a datagram. False, and nothing is emitted, when the
 * headers are not in the frame.
 */
export function cut(
  frame: Uint8Array,
  layout: SegmentLayout,
  emit: (frame: Uint8Array) => void,
): boolean {
  if (!isSound(frame, layout)) return false;
  const { network, isIpv6, transport, isTcp, headers, bytes } = layout;
  const payload = frame.length - headers;
  const out = new Uint8Array(headers + Math.min(bytes, payload));
  const view = new DataView(out.buffer);
  out.set(frame.subarray(0, headers));
  const sequence = view.getUint32(transport + TCP_SEQUENCE);
  const flags = isTcp ? out[transport + TCP_FLAGS] : 0;
  const id = get16(out, network + IPV4_ID);
  const addresses = isIpv6
    ? internetSum(out, network + IPV6_ADDRESSES, network + IPV6_HEADER)
    : internetSum(out, network + IPV4_ADDRESSES, network + IPV4_ADDRESSES + 8);
  const pseudo = addresses + (isTcp ? PROTOCOL_TCP : PROTOCOL_UDP);
  const checksum = transport + (isTcp ? TCP_CHECKSUM : UDP_CHECKSUM);
  let done = 0;
  for (let n = 0; n === 0 || done < payload; n++) {
    const size = Math.min(bytes, payload - done);
    const end = headers + size;
    out.set(frame.subarray(headers + done, headers + done + size), headers);
    if (isIpv6) {
      put16(out, network + IPV6_LENGTH, end - network - IPV6_HEADER);
    } else {
      put16(out, network + IPV4_LENGTH, end - network);
      put16(out, network + IPV4_ID, id + n);
      if (layout.keepsIpChecksum !== true) {
        put16(out, network + IPV4_CHECKSUM, 0);
        const ipEnd = network + (out[network] & 15) * 4;
        const sum = internetChecksum(out, network, ipEnd);
        put16(out, network + IPV4_CHECKSUM, sum);
      }
    }
    if (isTcp) {
      view.setUint32(transport + TCP_SEQUENCE, sequence + done);
      let kept = flags;
      if (done + size < payload) kept &= ~LAST_FLAGS;
      if (n > 0) kept &= ~FIRST_FLAGS;
      out[transport + TCP_FLAGS] = kept;
    } else put16(out, transport + UDP_LENGTH, end - transport);
    if (layout.keepsChecksum !== true) {
      put16(out, checksum, 0);
      const start = pseudo + end - transport;
      putChecksum(out, checksum, internetChecksum(out, transport, end, start));
    }
    emit(end === out.length ? out : out.subarray(0, end));
    done += size;
  }
  return true;
}
