/**
 * Frames for the tests of virtio network cards.
 *
 * @module
 */

import { internetChecksum } from "../../core/backend/net_offload.ts";

/** The card's address when it is not configured otherwise. */
const MAC = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
/** A header's flag and its kinds of segmentation. */
export const NEEDS_CSUM = 1;
export const TCPV4 = 1;
export const TCPV6 = 4;

/** A frame to an address, with a body that is like no other's. */
export function frame(
  { to = MAC, length = 60, type = [8, 0], seed = 1 }: {
    readonly to?: readonly number[];
    readonly length?: number;
    readonly type?: readonly number[];
    readonly seed?: number;
  } = {},
): Uint8Array {
  const bytes = Uint8Array.from(
    { length },
    (_, i) => i * 7 + (i >> 8) * 3 + seed,
  );
  bytes.set([...to, 2, 0, 0, 0, 0, 9, ...type]);
  return bytes;
}

/** TCP with so much payload, and where it begins. */
export function tcp(
  payload: number,
  { ipv6 = false, length = true } = {},
): { bytes: Uint8Array; start: number; headers: number } {
  const start = 14 + (ipv6 ? 40 : 20);
  const headers = start + 20;
  const bytes = frame({
    length: headers + payload,
    type: ipv6 ? [0x86, 0xdd] : [8, 0],
  });
  const view = new DataView(bytes.buffer);
  bytes.fill(0, 14, headers);
  if (ipv6) {
    bytes[14] = 0x60;
    if (length) view.setUint16(18, 20 + payload);
    bytes[20] = 6;
    bytes.fill(7, 22, 54);
  } else {
    bytes.set([0x45, 0], 14);
    if (length) view.setUint16(16, 40 + payload);
    bytes.set([64, 6], 22);
    bytes.fill(7, 26, 34);
    view.setUint16(24, internetChecksum(bytes, 14, 34));
  }
  view.setUint32(start + 4, 1000);
  bytes[start + 12] = 0x50;
  bytes[start + 13] = 0x18;
  // The pseudo header's sum.
  const addresses = ipv6 ? 16 * 0x0707 : 4 * 0x0707;
  view.setUint16(start + 16, (addresses + 6 + 20 + payload) % 0xffff);
  return { bytes, start, headers };
}

/** Whether the checksum of TCP in a frame is right, whatever its length. */
export function isSummed(
  bytes: Uint8Array,
  start: number,
  ipv6 = false,
): boolean {
  const addresses = ipv6 ? 16 * 0x0707 : 4 * 0x0707;
  const pseudo = addresses + 6 + bytes.length - start;
  return internetChecksum(bytes, start, bytes.length, pseudo) === 0;
}
