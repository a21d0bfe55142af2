/**
 * ICMP messages (RFC 792, and RFC 1812 for codes of unreachability).
 *
 * @module
 */

import { put16 } from "./bytes.ts";
import { checksum } from "./checksum.ts";

/** Bytes of the header. */
export const ICMP_HEADER = 8;
/** Type of an echo reply. */
export const ECHO_REPLY = 0;
/** Type of an echo request. */
export const ECHO_REQUEST = 8;
/** Type of what says that a packet did not reach its target. */
export const UNREACHABLE = 3;
/** Type of what says that a packet had no hops left. */
export const TIME_EXCEEDED = 11;
/** Types that say what became of a packet, other than these two. */
const SOURCE_QUENCH = 4;
const REDIRECT = 5;
const PARAMETER_PROBLEM = 12;

/** Whether messages of a type are errors, about which there are none. */
export function isIcmpError(type: number): boolean {
  return type === UNREACHABLE || type === SOURCE_QUENCH || type === REDIRECT ||
    type === TIME_EXCEEDED || type === PARAMETER_PROBLEM;
}

/** Codes of `UNREACHABLE`. */
export const UnreachableCode = {
  /** No route to the network. */
  net: 0,
  /** The host does not answer. */
  host: 1,
  /** The target has no such protocol. */
  protocol: 2,
  /** Nobody listens at the port. */
  port: 3,
  /** It is not allowed. */
  prohibited: 13,
} as const;

/** Store the checksum of a message in bytes `from` to `to`. */
export function putIcmpChecksum(
  bytes: Uint8Array,
  from: number,
  to: number,
): void {
  put16(bytes, from + 2, 0);
  put16(bytes, from + 2, checksum(bytes, from, to));
}

/** An error message about a packet, of which the beginning is quoted. */
export function icmpError(
  type: number,
  code: number,
  quoted: Uint8Array,
): Uint8Array {
  const message = new Uint8Array(ICMP_HEADER + quoted.length);
  message[0] = type;
  message[1] = code;
  message.set(quoted, ICMP_HEADER);
  putIcmpChecksum(message, 0, message.length);
  return message;
}
