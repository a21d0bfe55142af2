/**
 * Which frames the 82540EM receives, and what it says of their checksums.
 *
 * Source: the Software Developer's Manual (317453), 3.2.1, 3.2.9, 9.3 and 13.5.
 *
 * @module
 */

import { internetSum } from "../../../core/backend/net_offload.ts";
import {
  MTA,
  RAH_AV,
  RAL0,
  RCTL,
  RECEIVE_ADDRESSES,
  RXCSUM,
  VET,
  VFTA,
} from "./e1000_registers.ts";

/** RCTL: all frames to one card; to groups. */
const RCTL_UPE = 1 << 3;
const RCTL_MPE = 1 << 4;
/** RCTL: where the bits of the multicast table's index are. */
const RCTL_MO_SHIFT = 12;
/** RCTL: broadcasts. */
const RCTL_BAM = 1 << 15;
/** RCTL: the filter of VLANs. */
const RCTL_VFE = 1 << 18;
/** RCTL: look at CFI, and what it must be. */
const RCTL_CFIEN = 1 << 19;
const RCTL_CFI = 1 << 20;
/** The lowest bit of the index, by RCTL.MO, of address bytes 4 and 5. */
const MO_SHIFTS = [4, 3, 2, 0];
/** RAH: compare with the source address. */
const RAH_AS = 3 << 16;
const RAH_AS_SOURCE = 1 << 16;

/** RXCSUM: check IP; TCP and UDP. */
const IPOFL = 1 << 8;
const TUOFL = 1 << 9;
/** Status and errors of a receive descriptor, as 16 bits. */
const STATUS_IXSM = 1 << 2;
const STATUS_TCPCS = 1 << 5;
const STATUS_IPCS = 1 << 6;
const ERROR_TCPE = 1 << 13;
const ERROR_IPE = 1 << 14;

const ETHER_TYPE = 12;
const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

/** To whom a frame is. */
export type Destination = "one" | "group" | "all";

/** To whom a frame is. */
export function destination(frame: Uint8Array): Destination {
  if ((frame[0] & 1) === 0) return "one";
  for (let i = 0; i < 6; i++) if (frame[i] !== 0xff) return "group";
  return "all";
}

/** Whether a frame has a VLAN's tag. */
export function isTagged(regs: Uint32Array, frame: Uint8Array): boolean {
  return (frame[ETHER_TYPE] << 8 | frame[ETHER_TYPE + 1]) === regs[VET >> 2];
}

/** Whether the card takes a frame, of at least 18 bytes. */
export function accepts(regs: Uint32Array, frame: Uint8Array): boolean {
  return acceptsAddress(regs, frame) && acceptsVlan(regs, frame);
}

function acceptsVlan(regs: Uint32Array, frame: Uint8Array): boolean {
  const rctl = regs[RCTL >> 2];
  if ((rctl & (RCTL_VFE | RCTL_CFIEN)) === 0) return true;
  if (!isTagged(regs, frame)) return true;
  const tag = frame[14] << 8 | frame[15];
  if ((rctl & RCTL_CFIEN) !== 0) {
    if (((tag & 0x1000) !== 0) !== ((rctl & RCTL_CFI) !== 0)) return false;
  }
  if ((rctl & RCTL_VFE) === 0) return true;
  return (regs[(VFTA >> 2) + (tag >> 5 & 0x7f)] >>> (tag & 31) & 1) !== 0;
}

function acceptsAddress(regs: Uint32Array, frame: Uint8Array): boolean {
  const rctl = regs[RCTL >> 2];
  const to = destination(frame);
  if (to === "all" && (rctl & RCTL_BAM) !== 0) return true;
  // A broadcast is one to a group, too.
  if ((rctl & (to === "one" ? RCTL_UPE : RCTL_MPE)) !== 0) return true;
  for (let i = 0; i < RECEIVE_ADDRESSES; i++) {
    const at = (RAL0 >> 2) + 2 * i;
    const high = regs[at + 1];
    if ((high & RAH_AV) === 0) continue;
    const from = (high & RAH_AS) === RAH_AS_SOURCE ? 6 : 0;
    if (isAddress(frame, from, regs[at], high & 0xffff)) return true;
  }
  if (to === "one") return false;
  const shift = MO_SHIFTS[rctl >>> RCTL_MO_SHIFT & 3];
  const index = (frame[5] << 8 | frame[4]) >>> shift & 0xfff;
  return (regs[(MTA >> 2) + (index >> 5)] >>> (index & 31) & 1) !== 0;
}

function isAddress(
  frame: Uint8Array,
  from: number,
  low: number,
  high: number,
): boolean {
  for (let i = 0; i < 4; i++) {
    if (frame[from + i] !== (low >>> 8 * i & 0xff)) return false;
  }
  return frame[from + 4] === (high & 0xff) && frame[from + 5] === high >> 8;
}

/**
 * What status and errors of the descriptor say of the checksums of a frame, as
 * RXCSUM asks; `type` is where its Ethernet type is, before IP's header.
 */
export function checksumStatus(
  regs: Uint32Array,
  frame: Uint8Array,
  type: number,
): number {
  const rxcsum = regs[RXCSUM >> 2];
  if ((rxcsum & (IPOFL | TUOFL)) === 0) return STATUS_IXSM;
  switch (frame[type] << 8 | frame[type + 1]) {
    case TYPE_IPV4:
      return ipv4Status(frame, type + 2, rxcsum);
    case TYPE_IPV6:
      return ipv6Status(frame, type + 2, rxcsum);
    default:
      return STATUS_IXSM;
  }
}

function ipv4Status(frame: Uint8Array, at: number, rxcsum: number): number {
  const header = (frame[at] & 15) * 4;
  const length = frame[at + 2] << 8 | frame[at + 3];
  const isSound = frame[at] >> 4 === 4 && header >= 20 &&
    length >= header && at + length <= frame.length;
  if (!isSound) return STATUS_IXSM;
  let status = 0;
  if ((rxcsum & IPOFL) !== 0) {
    status |= STATUS_IPCS;
    if (internetSum(frame, at, at + header) !== 0xffff) status |= ERROR_IPE;
  }
  // Nothing is said of fragments: neither the first nor those that follow.
  const isFragment = (frame[at + 6] & 0x3f) !== 0 || frame[at + 7] !== 0;
  if ((rxcsum & TUOFL) === 0 || isFragment) return status;
  const addresses = internetSum(frame, at + 12, at + 20);
  return status | transportStatus(
    frame,
    at + header,
    at + length,
    frame[at + 9],
    addresses,
  );
}

function ipv6Status(frame: Uint8Array, at: number, rxcsum: number): number {
  const end = at + 40 + (frame[at + 4] << 8 | frame[at + 5]);
  if (frame[at] >> 4 !== 6 || end > frame.length) return STATUS_IXSM;
  if ((rxcsum & TUOFL) === 0) return 0;
  const addresses = internetSum(frame, at + 8, at + 40);
  return transportStatus(frame, at + 40, end, frame[at + 6], addresses);
}

function transportStatus(
  frame: Uint8Array,
  at: number,
  end: number,
  protocol: number,
  addresses: number,
): number {
  if (protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) return 0;
  if (end - at < (protocol === PROTOCOL_TCP ? 20 : 8)) return 0;
  if (protocol === PROTOCOL_UDP) {
    // The sender has computed none.
    if ((frame[at + 6] | frame[at + 7]) === 0) return 0;
  }
  const pseudo = addresses + protocol + end - at;
  return internetSum(frame, at, end, pseudo) === 0xffff
    ? STATUS_TCPCS
    : STATUS_TCPCS | ERROR_TCPE;
}

/** The packet checksum: all from RXCSUM's PCSS on. */
export function packetChecksum(regs: Uint32Array, frame: Uint8Array): number {
  return internetSum(frame, regs[RXCSUM >> 2] & 0xff, frame.length);
}
