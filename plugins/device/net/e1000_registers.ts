/**
 * The registers of the 82540EM by the manual's names: offsets, bits, reset
 * values, what can be written, and what a read clears.
 *
 * Source: Intel, PCI/PCI-X Family of Gigabit Ethernet Controllers Software
 * Developer's Manual (317453), chapter 13.
 *
 * @module
 */

/** Device control. */
export const CTRL = 0x0000;
/** CTRL: full duplex. */
export const CTRL_FD = 1 << 0;
/** CTRL: the MAC takes the link's signal. */
export const CTRL_SLU = 1 << 6;
/** CTRL: reset; clears itself. */
export const CTRL_RST = 1 << 26;
/** CTRL: tags of VLANs are taken out of frames and put into them. */
export const CTRL_VME = 1 << 30;
/** CTRL: reset the PHY. */
export const CTRL_PHY_RST = 0x80000000;
/** Device status. */
export const STATUS = 0x0008;
/** STATUS: full duplex. */
export const STATUS_FD = 1 << 0;
/** STATUS: the link is up. */
export const STATUS_LU = 1 << 1;
/** STATUS: 1000 Mb/s, and that this was found by itself. */
export const STATUS_1000 = 0x0280;
/** EEPROM and flash control. */
export const EECD = 0x0010;
/** EEPROM read. */
export const EERD = 0x0014;
/** Extended device control. */
const CTRL_EXT = 0x0018;
/** MDI control: the PHY's registers. */
export const MDIC = 0x0020;
const FCAL = 0x0028;
const FCAH = 0x002c;
const FCT = 0x0030;
/** The type of a frame with a VLAN's tag. */
export const VET = 0x0038;
/** Interrupt causes; a read clears them. */
export const ICR = 0x00c0;
/** Interrupt throttling: the least time between two, in 256 ns. */
export const ITR = 0x00c4;
/** Sets interrupt causes. */
export const ICS = 0x00c8;
/** The interrupt mask, of which ones set bits. */
export const IMS = 0x00d0;
/** Ones clear bits of the interrupt mask. */
export const IMC = 0x00d8;
/** Receive control. */
export const RCTL = 0x0100;
/** Transmit control. */
export const TCTL = 0x0400;
/** Receive descriptors: base, low half. */
export const RDBAL = 0x2800;
/** Receive descriptors: base, high half. */
export const RDBAH = 0x2804;
/** Receive descriptors: bytes. */
export const RDLEN = 0x2808;
/** Receive descriptors: the head, which the card moves. */
export const RDH = 0x2810;
/** Receive descriptors: the tail, which the driver moves. */
export const RDT = 0x2818;
/** Receive interrupt delay after the last frame, in 1.024 us. */
export const RDTR = 0x2820;
/** RDTR: flush, no delay for what is there. */
export const RDTR_FPD = 0x80000000;
/** Receive interrupt delay after the first frame, in 1.024 us. */
export const RADV = 0x282c;
/** Frames up to so many bytes interrupt at once. */
export const RSRPD = 0x2c00;
/** Transmit descriptors: base, low half. */
export const TDBAL = 0x3800;
/** Transmit descriptors: base, high half. */
export const TDBAH = 0x3804;
/** Transmit descriptors: bytes. */
export const TDLEN = 0x3808;
/** Transmit descriptors: the head, which the card moves. */
export const TDH = 0x3810;
/** Transmit descriptors: the tail, which the driver moves. */
export const TDT = 0x3818;
/** Transmit interrupt delay after the last frame, in 1.024 us. */
export const TIDV = 0x3820;
/** Transmit descriptor control. */
export const TXDCTL = 0x3828;
/** Transmit interrupt delay after the first frame, in 1.024 us. */
export const TADV = 0x382c;
/** Receive checksum control. */
export const RXCSUM = 0x5000;
/** The multicast table. */
export const MTA = 0x5200;
/** Receive addresses, 16 of 8 bytes. */
export const RAL0 = 0x5400;
/** The upper half of the first. */
export const RAH0 = 0x5404;
/** Receive addresses. */
export const RECEIVE_ADDRESSES = 16;
/** RAH: the address is valid. */
export const RAH_AV = 0x80000000;
/** The VLANs that are received, a bit each. */
export const VFTA = 0x5600;

/** ICR: a transmit descriptor was written back. */
export const ICR_TXDW = 1 << 0;
/** ICR: there are no more transmit descriptors. */
export const ICR_TXQE = 1 << 1;
/** ICR: link status change. */
export const ICR_LSC = 1 << 2;
/** ICR: few receive descriptors are left. */
export const ICR_RXDMT0 = 1 << 4;
/** ICR: a frame was lost. */
export const ICR_RXO = 1 << 6;
/** ICR: the receive timers are over. */
export const ICR_RXT0 = 1 << 7;
/** ICR: an access to the PHY is done. */
export const ICR_MDAC = 1 << 9;
/** ICR: few transmit descriptors are left. */
export const ICR_TXD_LOW = 1 << 15;
/** ICR: a small frame came. */
export const ICR_SRPD = 1 << 16;
/** The causes that there are, 13.4.17. */
const ICR_ALL = 0x0001f3df;

/** Statistics (13.7); the 64-bit ones are here by their lower halves. */
export const Stat = {
  MPC: 0x4010,
  PRC64: 0x405c,
  GPRC: 0x4074,
  BPRC: 0x4078,
  MPRC: 0x407c,
  GPTC: 0x4080,
  GORCL: 0x4088,
  GOTCL: 0x4090,
  RNBC: 0x40a0,
  ROC: 0x40ac,
  TORL: 0x40c0,
  TOTL: 0x40c8,
  TPR: 0x40d0,
  TPT: 0x40d4,
  PTC64: 0x40d8,
  MPTC: 0x40f0,
  BPTC: 0x40f4,
  TSCTC: 0x40f8,
} as const;
const STATISTICS_END = 0x4100;
/** The counters of 64 bits: reading the upper half clears both. */
const WIDE: readonly number[] = [
  ...[Stat.GORCL, Stat.GOTCL, Stat.TORL, Stat.TOTL],
];

/** The registers' bytes; all above answer as zero. */
export const REGISTER_BYTES = 0xa000;

const ALL = 0xffffffff;

/** Offset or range (the end excluded), and the bits that can be written. */
const PLAIN: readonly (readonly [number, number, number?])[] = [
  // 13.4: general, flow control, LEDs, packet buffer.
  [CTRL_EXT, ALL],
  [FCAL, ALL],
  [FCAH, 0xffff],
  [FCT, 0xffff],
  [VET, 0xffff],
  [0x0170, 0xffff], // FCTTV
  [0x0178, ALL], // TXCW
  [0x0410, 0x3fffffff], // TIPG
  [0x0458, 0xffff], // AIT
  [0x0e00, ALL], // LEDCTL
  [0x1000, 0xffff], // PBA: how much of the buffer is for receiving
  [0x2160, 0x8000fff8], // FCRTL
  [0x2168, 0xfff8], // FCRTH
  [RCTL, 0x06dfb3fe],
  [TCTL, 0x03fffffa],
  [ITR, 0xffff],
  // Pointers of the packet buffer, for diagnosis.
  [0x2410, 0x1fff, 0x2434],
  [0x3410, 0x1fff, 0x3434],
  [RDBAL, 0xfffffff0],
  [RDBAH, ALL],
  [RDLEN, 0xfff80],
  [RDH, 0xffff],
  [RDT, 0xffff],
  [RDTR, 0xffff],
  [0x2828, ALL], // RXDCTL
  [RADV, 0xffff],
  [RSRPD, 0xfff],
  [TDBAL, 0xfffffff0],
  [TDBAH, ALL],
  [TDLEN, 0xfff80],
  [TDH, 0xffff],
  [TDT, 0xffff],
  [TIDV, 0xffff],
  [TXDCTL, ALL],
  [TADV, 0xffff],
  [0x3830, ALL], // TSPMT
  [RXCSUM, 0x07ff],
  [MTA, ALL, MTA + 0x200],
  [RAL0, ALL, RAL0 + 8 * RECEIVE_ADDRESSES],
  [VFTA, ALL, VFTA + 0x200],
  // 13.8: wake-up and management.
  [0x5800, ALL], // WUC
  [0x5808, ALL], // WUFC
  [0x5810, ALL], // WUS
  [0x5820, ALL], // MANC
  [0x5838, ALL], // IPAV
  [0x5840, ALL, 0x5860], // IP4AT
  [0x5880, ALL, 0x5890], // IP6AT
  [0x5a00, ALL, 0x5a80], // WUPM
  [0x5f00, 0x7ff, 0x5f20], // FFLT
  [0x9000, 0xf, 0x9400], // FFMT
  [0x9800, ALL, 0x9c00], // FFVT
];

/** By register number: the bits that a plain write changes. */
export const WRITABLE: Uint32Array = (() => {
  const masks = new Uint32Array(REGISTER_BYTES / 4);
  for (const [from, mask, to = from + 4] of PLAIN) {
    masks.fill(mask, from >> 2, to >> 2);
  }
  // RAH: the address, what to compare, valid.
  for (let i = 0; i < RECEIVE_ADDRESSES; i++) {
    masks[(RAH0 >> 2) + 2 * i] = 0x8003ffff;
  }
  return masks;
})();

/** The bits of ICR, ICS, IMS and IMC. */
export const CAUSES: number = ICR_ALL;

/** Registers after reset, without what comes from the EEPROM. */
export function freshRegisters(): Uint32Array {
  const regs = new Uint32Array(REGISTER_BYTES / 4);
  // As the EEPROM and the straps say: full duplex, 1000 Mb/s, link taken.
  regs[CTRL >> 2] = CTRL_FD | CTRL_SLU | 0x0200;
  regs[VET >> 2] = 0x8100;
  regs[0x0e00 >> 2] = 0x07068302;
  // 48 KiB to receive, 16 to transmit.
  regs[0x1000 >> 2] = 0x00100030;
  return regs;
}

/** Read a statistics register, which clears it. */
export function readStatistic(regs: Uint32Array, offset: number): number {
  const value = regs[offset >> 2];
  if (WIDE.includes(offset)) return value;
  regs[offset >> 2] = 0;
  if (WIDE.includes(offset - 4)) regs[(offset >> 2) - 1] = 0;
  return value;
}

/** Whether there are statistics at an offset. */
export function isStatistic(offset: number): boolean {
  return offset >= 0x4000 && offset < STATISTICS_END;
}

/** Count in a statistics register, which stays at its greatest value. */
export function count(regs: Uint32Array, offset: number, by = 1): void {
  regs[offset >> 2] = Math.min(regs[offset >> 2] + by, ALL);
}

/** Count bytes in a counter of 64 bits. */
export function countBytes(
  regs: Uint32Array,
  offset: number,
  bytes: number,
): void {
  const sum = regs[offset >> 2] + bytes;
  regs[offset >> 2] = sum;
  if (sum > ALL) regs[(offset >> 2) + 1]++;
}

/** Upper ends, with the check sequence, of the counters by size. */
const SIZES = [64, 127, 255, 511, 1023];

/**
 * Count frames of so many bytes, their check sequence with them, in the counter
 * of their size: `first` is that of the smallest.
 */
export function countSize(
  regs: Uint32Array,
  first: number,
  bytes: number,
  by = 1,
): void {
  let n = 0;
  while (n < SIZES.length && bytes > SIZES[n]) n++;
  count(regs, first + 4 * n, by);
}
