/**
 * ARP for IPv4 over Ethernet (RFC 826).
 *
 * @module
 */

import { get16, get32, put16, put32 } from "./bytes.ts";
import {
  BROADCAST_MAC,
  ETHERNET_HEADER,
  getMac,
  putEthernet,
  putMac,
  TYPE_ARP,
  TYPE_IPV4,
} from "./ethernet.ts";

/** The operation of a request. */
export const ARP_REQUEST = 1;
/** The operation of a reply. */
export const ARP_REPLY = 2;
/** Bytes of a frame with ARP, without what fills it up to 60. */
export const ARP_FRAME: number = ETHERNET_HEADER + 28;

/** An ARP message. */
export interface Arp {
  /** `ARP_REQUEST` or `ARP_REPLY`. */
  readonly operation: number;
  /** MAC address of the sender. */
  readonly senderMac: number;
  /** IPv4 address of the sender. */
  readonly sender: number;
  /** MAC address of the target; of no meaning in a request. */
  readonly targetMac: number;
  /** IPv4 address of the target. */
  readonly target: number;
}

/** The message in a frame; undefined when it is not for IPv4 over Ethernet. */
export function readArp(frame: Uint8Array): Arp | undefined {
  const at = ETHERNET_HEADER;
  if (
    frame.length < ARP_FRAME || get16(frame, at) !== 1 ||
    get16(frame, at + 2) !== TYPE_IPV4 || get16(frame, at + 4) !== 0x0604
  ) return undefined;
  return {
    operation: get16(frame, at + 6),
    senderMac: getMac(frame, at + 8),
    sender: get32(frame, at + 14),
    targetMac: getMac(frame, at + 18),
    target: get32(frame, at + 24),
  };
}

/** A frame with a message. */
export function arpFrame(arp: Arp): Uint8Array {
  const frame = new Uint8Array(60);
  const request = arp.operation === ARP_REQUEST;
  putEthernet(
    frame,
    request ? BROADCAST_MAC : arp.targetMac,
    arp.senderMac,
    TYPE_ARP,
  );
  const at = ETHERNET_HEADER;
  put16(frame, at, 1);
  put16(frame, at + 2, TYPE_IPV4);
  put16(frame, at + 4, 0x0604);
  put16(frame, at + 6, arp.operation);
  putMac(frame, at + 8, arp.senderMac);
  put32(frame, at + 14, arp.sender);
  putMac(frame, at + 18, request ? 0 : arp.targetMac);
  put32(frame, at + 24, arp.target);
  return frame;
}
