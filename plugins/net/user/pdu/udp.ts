/**
 * UDP datagrams (RFC 768).
 *
 * @module
 */

import { get16, put16 } from "./bytes.ts";
import { checksum, pseudoSum } from "./checksum.ts";
import { type Ipv4Packet, PROTOCOL_UDP } from "./ipv4.ts";

/** Bytes of the header. */
export const UDP_HEADER = 8;
/** The most payload that an IPv4 packet has room for. */
export const UDP_PAYLOAD_MAX: number = 65535 - 20 - UDP_HEADER;

/** The length of the datagram in a packet; 0 when it is not right. */
export function udpLength(packet: Ipv4Packet, summed: boolean): number {
  const { bytes, payload, end } = packet;
  if (end - payload < UDP_HEADER) return 0;
  const length = get16(bytes, payload + 4);
  if (length < UDP_HEADER || payload + length > end) return 0;
  // A sender may leave the checksum out.
  if (!summed && get16(bytes, payload + 6) !== 0) {
    const pseudo = pseudoSum(
      packet.source,
      packet.target,
      PROTOCOL_UDP,
      length,
    );
    if (checksum(bytes, payload, payload + length, pseudo) !== 0) return 0;
  }
  return length;
}

/** A datagram with its header, for a packet between two addresses. */
export function udpDatagram(
  source: number,
  sourcePort: number,
  target: number,
  targetPort: number,
  payload: Uint8Array,
): Uint8Array {
  const length = UDP_HEADER + payload.length;
  const datagram = new Uint8Array(length);
  put16(datagram, 0, sourcePort);
  put16(datagram, 2, targetPort);
  put16(datagram, 4, length);
  datagram.set(payload, UDP_HEADER);
  const pseudo = pseudoSum(source, target, PROTOCOL_UDP, length);
  // A sum of zero is sent as all ones: zero means that there is none.
  put16(datagram, 6, checksum(datagram, 0, length, pseudo) || 0xffff);
  return datagram;
}
