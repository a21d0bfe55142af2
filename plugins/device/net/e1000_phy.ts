/**
 * The PHY of the 82540EM: an 88E1011 with a cable to a partner of 1000 Mb/s.
 *
 * Sources: the Software Developer's Manual (317453), 13.4.6 (MDIC) and 13.5
 * (the PHY's registers); IEEE 802.3, clause 22 and 28.
 *
 * @module
 */

/** MDIC: the address on the bus; the PHY's own is 1. */
const PHY_SHIFT = 21;
const PHY_ADDRESS = 1;
/** MDIC: write, read, done, interrupt, error. */
const OP_WRITE = 1 << 26;
const OP_READ = 1 << 27;
const READY = 1 << 28;
/** MDIC: interrupt when done. */
export const MDIC_I = 1 << 29;
const ERROR = 1 << 30;

/** PHY control. */
const BMCR = 0;
const BMCR_RESET = 0x8000;
const BMCR_LOOPBACK = 0x4000;
const BMCR_AUTO = 0x1000;
const BMCR_POWER_DOWN = 0x0800;
const BMCR_ISOLATE = 0x0400;
const BMCR_RESTART = 0x0200;
/** PHY status. */
const BMSR = 1;
const BMSR_COMPLETE = 0x0020;
const BMSR_LINK = 0x0004;
/** What the partner can do, and that it has seen what we can. */
const ANLPAR = 5;
const PARTNER = 0x41e1;
const STAT1000 = 10;
const PARTNER_1000 = 0x3c00;
/** Status of the 88E1011: speed, duplex, resolved, link. */
const PSSR = 17;
const PSSR_LINK = 0xac00;

/** Registers after reset, with the link up. */
const RESET: Readonly<Record<number, number>> = {
  [BMCR]: BMCR_AUTO | 0x0140,
  [BMSR]: 0x7949 | BMSR_COMPLETE | BMSR_LINK,
  // The 88E1011's identifier.
  2: 0x0141,
  3: 0x0c20,
  4: 0x0de1,
  [ANLPAR]: PARTNER,
  6: 0x0001,
  9: 0x0e00,
  [STAT1000]: PARTNER_1000,
  15: 0x3000,
  16: 0x0360,
  [PSSR]: PSSR_LINK,
  20: 0x0d60,
};
/** Bits that can be written. */
const WRITABLE: Readonly<Record<number, number>> = {
  [BMCR]: 0x7dc0,
  4: 0xffff,
  7: 0xffff,
  9: 0xff00,
  16: 0xffff,
  18: 0xffff,
  20: 0xffff,
  24: 0xffff,
  25: 0xffff,
  26: 0xffff,
  29: 0xffff,
  30: 0xffff,
  31: 0xffff,
};
const REGISTERS = 32;

/** The PHY's registers. */
export type PhyState = number[];

/** The state after reset. */
export function freshPhy(): PhyState {
  return Array.from({ length: REGISTERS }, (_, i) => RESET[i] ?? 0);
}

/** What the card's side hears of the PHY. */
export interface PhyListener {
  /** Negotiation begins: the link is down until it is over. */
  negotiate(): void;
  /** Its registers say another thing of the link. */
  changed(): void;
}

/** Whether the PHY would have a link with a partner at the cable. */
export function isPhyOn(phy: PhyState): boolean {
  return (phy[BMCR] & (BMCR_POWER_DOWN | BMCR_ISOLATE)) === 0;
}

/** Whether it negotiates by itself. */
export function negotiates(phy: PhyState): boolean {
  return (phy[BMCR] & BMCR_AUTO) !== 0;
}

/** Whether frames come back from the PHY. */
export function isLoopback(phy: PhyState): boolean {
  return (phy[BMCR] & BMCR_LOOPBACK) !== 0;
}

/** Let the registers say whether there is a link, and that negotiation ended. */
export function setPhyLink(phy: PhyState, isUp: boolean): void {
  if (isUp) {
    phy[BMSR] |= BMSR_LINK | (negotiates(phy) ? BMSR_COMPLETE : 0);
    phy[ANLPAR] = PARTNER;
    phy[STAT1000] = PARTNER_1000;
    phy[PSSR] = PSSR_LINK;
  } else {
    phy[BMSR] &= ~(BMSR_LINK | BMSR_COMPLETE);
    phy[ANLPAR] = 0;
    phy[STAT1000] = 0;
    phy[PSSR] = 0;
  }
}

function writePhy(
  phy: PhyState,
  register: number,
  value: number,
  listener: PhyListener,
): void {
  const mask = WRITABLE[register] ?? 0;
  if (register !== BMCR) {
    phy[register] = phy[register] & ~mask | value & mask;
    return;
  }
  const wasOn = isPhyOn(phy);
  if ((value & BMCR_RESET) !== 0) phy.splice(0, REGISTERS, ...freshPhy());
  phy[BMCR] = value & mask;
  const isOn = isPhyOn(phy);
  const begins = (value & (BMCR_RESTART | BMCR_RESET)) !== 0 || !wasOn;
  if (isOn && begins && negotiates(phy)) listener.negotiate();
  else listener.changed();
}

/**
 * Do what was written to MDIC; gives back what it reads then. The link of BMSR
 * is as it is now: it does not wait for a reader when it fails.
 */
export function mdic(
  phy: PhyState,
  value: number,
  listener: PhyListener,
): number {
  const register = value >>> 16 & 31;
  const isWrite = (value & OP_WRITE) !== 0;
  const isRead = (value & OP_READ) !== 0;
  if ((value >>> PHY_SHIFT & 31) !== PHY_ADDRESS || isWrite === isRead) {
    return (value | READY | ERROR) >>> 0;
  }
  if (isWrite) {
    writePhy(phy, register, value & 0xffff, listener);
    return (value & ~ERROR | READY) >>> 0;
  }
  return (value & 0xbfff0000 | phy[register] | READY) >>> 0;
}
