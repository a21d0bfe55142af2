/**
 * Packets of TCP and UDP for network cards' tests.
 *
 * @module
 */

import { internetSum } from "../../core/backend/net_offload.ts";
import { frameTo } from "./nic_bench.ts";

/** The address of all. */
export const BROADCAST = [255, 255, 255, 255, 255, 255];

/** A frame of UDP or TCP, with headers but no checksums. */
export function packet(
  kind: "tcp4" | "tcp6" | "udp4",
  payload: number,
): { frame: Uint8Array; transport: number; headers: number } {
  const isIpv6 = kind === "tcp6";
  const transport = isIpv6 ? 54 : 34;
  const headers = transport + (kind === "udp4" ? 8 : 20);
  const frame = frameTo(BROADCAST, headers + payload, isIpv6 ? 0x86dd : 0x800);
  const view = new DataView(frame.buffer);
  const protocol = kind === "udp4" ? 17 : 6;
  frame.fill(0, 14, headers);
  if (isIpv6) {
    frame[14] = 0x60;
    view.setUint16(18, frame.length - 54);
    frame[20] = protocol;
    for (let i = 22; i < 54; i++) frame[i] = i;
  } else {
    frame[14] = 0x45;
    view.setUint16(16, frame.length - 14);
    view.setUint16(18, 0x1234);
    frame.set([64, protocol], 22);
    frame.set([10, 0, 2, 15, 10, 0, 2, 2], 26);
  }
  frame.set([0x12, 0x34, 0, 80], transport);
  if (protocol === 6) {
    view.setUint32(transport + 4, 1000);
    frame.set([0x50, 0x19], transport + 12);
  } else view.setUint16(transport + 4, frame.length - transport);
  return { frame, transport, headers };
}

/** The pseudo header's sum, with the length where it is given. */
export function pseudo(frame: Uint8Array, length = 0): number {
  const sum = frame[12] === 0x86
    ? internetSum(frame, 22, 54, frame[20])
    : internetSum(frame, 26, 34, frame[23]);
  return internetSum(frame, 0, 0, sum + length);
}

/** The sums of a frame: FFFFh each when its checksums are right. */
export function sums(frame: Uint8Array, transport: number): number[] {
  const isIpv6 = frame[12] === 0x86;
  return [
    isIpv6 ? 0xffff : internetSum(frame, 14, 34),
    internetSum(
      frame,
      transport,
      frame.length,
      pseudo(frame, frame.length - transport),
    ),
  ];
}

/** Store a word of 16 bits, the upper byte first. */
export const put16 = (frame: Uint8Array, at: number, value: number): void =>
  frame.set([value >> 8, value & 255], at);
