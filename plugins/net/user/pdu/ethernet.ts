/**
 * Ethernet II frames.
 *
 * @module
 */

import { get16, get32, put16, put32 } from "./bytes.ts";

/** Bytes of the header. */
export const ETHERNET_HEADER = 14;
/** EtherType of IPv4. */
export const TYPE_IPV4 = 0x0800;
/** EtherType of ARP. */
export const TYPE_ARP = 0x0806;
/** The address of all stations. */
export const BROADCAST_MAC = 0xffff_ffff_ffff;
/** What stands before an IPv4 address in the MAC addresses of this network. */
const OWN_PREFIX = 0x5255;

/** The MAC address at `at`, as a number of 48 bits. */
export function getMac(bytes: Uint8Array, at: number): number {
  return get16(bytes, at) * 2 ** 32 + get32(bytes, at + 2);
}

/** Store a MAC address. */
export function putMac(bytes: Uint8Array, at: number, mac: number): void {
  put16(bytes, at, Math.floor(mac / 2 ** 32));
  put32(bytes, at + 2, mac % 2 ** 32);
}

/** The MAC address at which this network has an IPv4 address of its own. */
export function ownMac(address: number): number {
  return OWN_PREFIX * 2 ** 32 + address;
}

/** Store a header. */
export function putEthernet(
  frame: Uint8Array,
  to: number,
  from: number,
  type: number,
): void {
  putMac(frame, 0, to);
  putMac(frame, 6, from);
  put16(frame, 12, type);
}
