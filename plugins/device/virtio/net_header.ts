/**
 * The header before each packet of virtio-net, struct virtio_net_hdr (VIRTIO
 * 1.2, 5.1.6), and what it says as a `FrameOffload`.
 *
 * A driver's header is only believed as far as the frame bears it out: where it
 * puts TCP there is TCP, and what it wants to be computed lies in the frame.
 *
 * @module
 */

import type { FrameOffload } from "../../../core/backend/net.ts";
import { internetChecksum } from "../../../core/backend/net_offload.ts";

/** Bytes of the header, and of a legacy driver's without mergeable buffers. */
export const HEADER_BYTES = 12;
/** See `HEADER_BYTES`. */
export const SHORT_HEADER_BYTES = 10;

/** Flags: the checksum is to be computed. */
const F_NEEDS_CSUM = 1;
/** Kinds of segmentation. */
const GSO_NONE = 0;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
/** With the kind: the TCP header has CWR set, which a segmenter looks at. */
const GSO_ECN = 0x80;

/** Offsets in the header. */
const FLAGS = 0;
const GSO_TYPE = 1;
const HDR_LEN = 2;
const GSO_SIZE = 4;
const CSUM_START = 6;
const CSUM_OFFSET = 8;
const NUM_BUFFERS = 10;

/** Ethernet: where the type is, and what it may be. */
const ETHER_TYPE = 12;
const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;
const TYPE_VLAN = 0x8100;
const TYPE_PROVIDER_VLAN = 0x88a8;
const VLAN_BYTES = 4;
/** The most tags that are looked through. */
const VLANS = 2;
/** Bytes of headers without options. */
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const TCP_BYTES = 20;
const PROTOCOL_TCP = 6;
/** Where TCP has its checksum, and the length of its header in words. */
const TCP_CHECKSUM = 16;
const TCP_OFFSET = 12;
/** The most bytes that the length field of an IPv4 header can say. */
const IP_BYTES = 0xffff;
/**
 * The least payload of a segment: smaller ones are a way to make work. Linux
 * has the same (TCP_MIN_GSO_SIZE).
 */
const MIN_SEGMENT_BYTES = 8;

/** What the driver has accepted that concerns the header. */
export interface HeaderFeatures {
  /** CSUM, GUEST_CSUM: checksums may be left undone. */
  readonly checksum: boolean;
  /** HOST_TSO4, GUEST_TSO4: so may the segmentation of TCP over IPv4. */
  readonly tso4: boolean;
  /** HOST_TSO6, GUEST_TSO6: and over IPv6. */
  readonly tso6: boolean;
}

function get16(frame: Uint8Array, at: number): number {
  return frame[at] << 8 | frame[at + 1];
}

function put16(frame: Uint8Array, at: number, value: number): void {
  frame[at] = value >>> 8;
  frame[at + 1] = value;
}

/** Where IPv4 or IPv6 begins, as the kind says; -1 if it is not there. */
function networkOf(frame: Uint8Array, kind: "tcp4" | "tcp6"): number {
  let at = ETHER_TYPE;
  for (let i = 0; i < VLANS; i++) {
    const type = get16(frame, at);
    if (type !== TYPE_VLAN && type !== TYPE_PROVIDER_VLAN) break;
    at += VLAN_BYTES;
  }
  const isIpv4 = kind === "tcp4";
  const network = at + 2;
  const isThere = get16(frame, at) === (isIpv4 ? TYPE_IPV4 : TYPE_IPV6) &&
    frame[network] >> 4 === (isIpv4 ? 4 : 6) &&
    network + (isIpv4 ? IPV4_BYTES : IPV6_BYTES) <= frame.length;
  return isThere ? network : -1;
}

/** How many bytes are before TCP's payload when TCP is at `start`; -1 if not. */
function headersOf(
  frame: Uint8Array,
  kind: "tcp4" | "tcp6",
  start: number,
): number {
  const network = networkOf(frame, kind);
  if (network < 0) return -1;
  if (kind === "tcp4") {
    const isTcp = frame[network + 9] === PROTOCOL_TCP;
    const bytes = (frame[network] & 15) * 4;
    if (!isTcp || bytes < IPV4_BYTES || network + bytes !== start) return -1;
  } else if (start < network + IPV6_BYTES) return -1;
  if (start + TCP_BYTES > frame.length) return -1;
  const bytes = (frame[start + TCP_OFFSET] >> 4) * 4;
  const end = start + bytes;
  return bytes >= TCP_BYTES && end < frame.length ? end : -1;
}

/**
 * What a driver's header leaves undone of a frame: an offload, undefined for
 * nothing, or in words what is wrong with it.
 */
export function readHeader(
  header: DataView,
  frame: Uint8Array,
  features: HeaderFeatures,
): FrameOffload | string | undefined {
  const gso = header.getUint8(GSO_TYPE) & ~GSO_ECN;
  const needsChecksum = (header.getUint8(FLAGS) & F_NEEDS_CSUM) !== 0;
  if (!needsChecksum) {
    return gso === GSO_NONE ? undefined : "segments without a checksum";
  }
  if (!features.checksum) return "a checksum that was not negotiated";
  const start = header.getUint16(CSUM_START, true);
  const offset = header.getUint16(CSUM_OFFSET, true);
  if (start <= ETHER_TYPE || start + offset + 2 > frame.length) {
    return "a checksum outside of the frame";
  }
  const checksum = { start, offset };
  if (gso === GSO_NONE) return { checksum };
  const isNegotiated = gso === GSO_TCPV4
    ? features.tso4
    : gso === GSO_TCPV6 && features.tso6;
  if (!isNegotiated) return "segments that were not negotiated";
  const kind = gso === GSO_TCPV4 ? "tcp4" : "tcp6";
  const bytes = header.getUint16(GSO_SIZE, true);
  if (bytes < MIN_SEGMENT_BYTES) return "segments without payload";
  // hdr_len is a hint, and Linux's is too large (5.1.6.2.1).
  const headers = headersOf(frame, kind, start);
  if (headers < 0 || offset !== TCP_CHECKSUM) return "segments of no TCP";
  return { checksum, segments: { kind, bytes, headers } };
}

/**
 * Whether a guest with these features can be told of the offload. If not, it
 * is done before the frame is given to it.
 */
export function canTell(
  { checksum, segments }: FrameOffload,
  features: HeaderFeatures,
): boolean {
  if (!features.checksum || checksum === undefined) return false;
  if (segments === undefined) return true;
  return segments.bytes <= 0xffff &&
    (segments.kind === "tcp4" ? features.tso4 : features.tso6);
}

/**
 * Write the header of a frame for the guest. False for an offload that does
 * not fit the frame, however it came here.
 */
export function writeHeader(
  header: DataView,
  frame: Uint8Array,
  { checksum, segments }: FrameOffload,
): boolean {
  if (checksum === undefined) return false;
  const { start, offset } = checksum;
  if (!(start >= 0 && offset >= 0 && start + offset + 2 <= frame.length)) {
    return false;
  }
  if (start > 0xffff || offset > 0xffff) return false;
  header.setUint8(FLAGS, F_NEEDS_CSUM);
  header.setUint16(CSUM_START, start, true);
  header.setUint16(CSUM_OFFSET, offset, true);
  if (segments === undefined) return true;
  const { kind, bytes } = segments;
  const headers = headersOf(frame, kind, start);
  if (bytes < MIN_SEGMENT_BYTES || headers < 0) return false;
  header.setUint8(GSO_TYPE, kind === "tcp4" ? GSO_TCPV4 : GSO_TCPV6);
  header.setUint16(HDR_LEN, headers, true);
  header.setUint16(GSO_SIZE, bytes, true);
  return true;
}

/** Make it a header that says nothing. */
export function clearHeader(header: DataView): void {
  for (let i = 0; i < HEADER_BYTES; i += 4) header.setUint32(i, 0);
}

/** Write how many buffers the packet is in (5.1.6.4). */
export function setBuffers(header: DataView, count: number): void {
  header.setUint16(NUM_BUFFERS, count, true);
}

/** Whether a frame that is to be cut says its true length in its IP header. */
export function tellsLength(
  frame: Uint8Array,
  kind: "tcp4" | "tcp6",
): boolean {
  const network = networkOf(frame, kind);
  if (network < 0) return true;
  return kind === "tcp4"
    ? get16(frame, network + 2) === frame.length - network
    : get16(frame, network + 4) === frame.length - network - IPV6_BYTES;
}

/**
 * Correct that length: a guest believes it. False when it does not fit its
 * field.
 */
export function putLength(
  frame: Uint8Array,
  kind: "tcp4" | "tcp6",
): boolean {
  const network = networkOf(frame, kind);
  if (network < 0) return false;
  if (kind === "tcp6") {
    const length = frame.length - network - IPV6_BYTES;
    put16(frame, network + 4, length);
    return length <= IP_BYTES;
  }
  const length = frame.length - network;
  const end = network + (frame[network] & 15) * 4;
  put16(frame, network + 2, length);
  put16(frame, network + 10, 0);
  put16(frame, network + 10, internetChecksum(frame, network, end));
  return length <= IP_BYTES;
}
