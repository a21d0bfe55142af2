/**
 * IPv4 headers (RFC 791).
 *
 * @module
 */

import { get16, get32, put16, put32 } from "./bytes.ts";
import { checksum } from "./checksum.ts";

/** Bytes of a header without options. */
export const IPV4_HEADER = 20;
/** Protocol number of ICMP. */
export const PROTOCOL_ICMP = 1;
/** Protocol number of TCP. */
export const PROTOCOL_TCP = 6;
/** Protocol number of UDP. */
export const PROTOCOL_UDP = 17;
/** Flag: do not fragment. */
export const DONT_FRAGMENT = 0x4000;
/** Flag: more fragments follow. */
export const MORE_FRAGMENTS = 0x2000;
/** Mask of the fragment's offset, in units of 8 bytes. */
export const FRAGMENT_OFFSET = 0x1fff;
/** Time to live of what is sent: RFC 1700's default. */
const TTL = 64;

/** A packet's header and where it lies: one object is filled again and again. */
export class Ipv4Packet {
  /** The bytes that it is in. */
  bytes: Uint8Array = new Uint8Array(0);
  /** Where the header begins. */
  start = 0;
  /** Where the payload begins. */
  payload = 0;
  /** Where the packet ends. */
  end = 0;
  /** The protocol of the payload. */
  protocol = 0;
  /** Hops that it has left. */
  ttl = 0;
  /** What fragments of one packet have in common. */
  identification = 0;
  /** Flags and fragment offset. */
  fragment = 0;
  /** Source address. */
  source = 0;
  /** Target address. */
  target = 0;

  /**
   * Read the header at `start`; false when any field of it is not right.
   * `whole` says that the packet goes to the end whatever its length says: what
   * is still to be segmented may have a wrong one, and then no checksum either.
   */
  read(bytes: Uint8Array, start: number, whole: boolean): boolean {
    if (bytes.length < start + IPV4_HEADER) return false;
    const header = (bytes[start] & 15) * 4;
    if (bytes[start] >>> 4 !== 4 || header < IPV4_HEADER) return false;
    const length = whole ? bytes.length - start : get16(bytes, start + 2);
    if (length < header || start + length > bytes.length) return false;
    if (!whole && checksum(bytes, start, start + header) !== 0) return false;
    this.bytes = bytes;
    this.start = start;
    this.payload = start + header;
    this.end = start + length;
    this.identification = get16(bytes, start + 4);
    this.fragment = get16(bytes, start + 6);
    this.ttl = bytes[start + 8];
    this.protocol = bytes[start + 9];
    this.source = get32(bytes, start + 12);
    this.target = get32(bytes, start + 16);
    return true;
  }
}

/** Store a header without options for a packet of `length` bytes. */
export function putIpv4(
  bytes: Uint8Array,
  at: number,
  length: number,
  identification: number,
  fragment: number,
  protocol: number,
  source: number,
  target: number,
): void {
  bytes[at] = 0x45;
  bytes[at + 1] = 0;
  put16(bytes, at + 2, length);
  put16(bytes, at + 4, identification);
  put16(bytes, at + 6, fragment);
  bytes[at + 8] = TTL;
  bytes[at + 9] = protocol;
  put16(bytes, at + 10, 0);
  put32(bytes, at + 12, source);
  put32(bytes, at + 16, target);
  put16(bytes, at + 10, checksum(bytes, at, at + IPV4_HEADER));
}
