/**
 * IPv4 packets to the guest, fragmented where they are too long for Ethernet.
 *
 * @module
 */

import type { GuestLink } from "./link.ts";
import type { Neighbours } from "./neighbours.ts";
import {
  ETHERNET_HEADER,
  ownMac,
  putEthernet,
  TYPE_IPV4,
} from "./pdu/ethernet.ts";
import { icmpError } from "./pdu/icmp.ts";
import {
  IPV4_HEADER,
  type Ipv4Packet,
  MORE_FRAGMENTS,
  PROTOCOL_ICMP,
  putIpv4,
} from "./pdu/ipv4.ts";

/** Payload of a packet on Ethernet; a multiple of 8, as fragments need it. */
const MAX_PAYLOAD = 1480;
/** Bytes of the payload that ICMP quotes at least (RFC 792). */
const QUOTED_PAYLOAD = 8;

/** The way of whole packets to the guest. */
export class IpOutput {
  readonly #link: GuestLink;
  readonly #neighbours: Neighbours;
  #identification = 0;

  /** Packets over a link. */
  constructor(link: GuestLink, neighbours: Neighbours) {
    this.#link = link;
    this.#neighbours = neighbours;
  }

  /**
   * Send a packet; to `mac`, or to who has the address. It is lost when nobody
   * is known to have it, who is then asked for.
   */
  send(
    source: number,
    target: number,
    protocol: number,
    payload: Uint8Array,
    mac: number | undefined = this.#neighbours.macOf(target, source),
  ): void {
    if (mac === undefined) return;
    const identification = this.#identification++ & 0xffff;
    for (let from = 0; from === 0 || from < payload.length;) {
      const to = Math.min(from + MAX_PAYLOAD, payload.length);
      const frame = new Uint8Array(ETHERNET_HEADER + IPV4_HEADER + to - from);
      putEthernet(frame, mac, ownMac(source), TYPE_IPV4);
      const more = to < payload.length ? MORE_FRAGMENTS : 0;
      putIpv4(
        frame,
        ETHERNET_HEADER,
        IPV4_HEADER + to - from,
        identification,
        more | from / 8,
        protocol,
        source,
        target,
      );
      frame.set(payload.subarray(from, to), ETHERNET_HEADER + IPV4_HEADER);
      this.#link.post(frame);
      if (to === payload.length) return;
      from = to;
    }
  }

  /** Tell the guest what became of a packet of its own, quoted by `quote`. */
  error(
    type: number,
    code: number,
    source: number,
    guest: number,
    quoted: Uint8Array,
  ): void {
    this.send(source, guest, PROTOCOL_ICMP, icmpError(type, code, quoted));
  }
}

/** The beginning of a packet, as ICMP quotes it. */
export function quote(packet: Ipv4Packet): Uint8Array {
  const { bytes, start, payload, end } = packet;
  return bytes.slice(start, Math.min(payload + QUOTED_PAYLOAD, end));
}
