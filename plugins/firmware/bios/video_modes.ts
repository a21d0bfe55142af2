/**
 * The registers of the VGA's modes.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Video subsystem",
 * the registers' values by mode; where clones have others that nobody can see
 * (the colour don't care of GR7, the colour port of mode 0Fh), those of the
 * VGA BIOS that QEMU's machines have.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { Bda } from "./layout.ts";
import { type Colours, colours } from "./video_colours.ts";

/** How a mode's memory is laid out. */
export type Layout = "text" | "cga" | "planar" | "packed";

/** What of a mode it takes to draw in it, of the VGA's or of VBE's. */
export interface Drawing {
  /** How its memory is laid out. */
  readonly layout: Layout | "direct";
  /** Columns of characters. */
  readonly columns: number;
  /** Scan lines of pixels. */
  readonly height: number;
  /** Bits of a pixel. */
  readonly bits: number;
  /** Where its memory is. */
  readonly base: number;
  /** Bytes of a page, in the CPU's addresses. */
  readonly pageBytes: number;
  /** Bytes from a line to the next; absent where they follow each other. */
  readonly lineBytes?: number;
}

/** A mode. */
export interface VideoMode {
  /** How its memory is laid out. */
  readonly layout: Layout;
  /** Columns of characters. */
  readonly columns: number;
  /** Scan lines of pixels; of text modes 400. */
  readonly height: number;
  /** Bits of a pixel; 4 in text modes. */
  readonly bits: number;
  /** Scan lines of a character. */
  readonly cell: 8 | 14 | 16;
  /** Where its memory is. */
  readonly base: number;
  /** Bytes of a page, in the CPU's addresses. */
  readonly pageBytes: number;
  /** Bytes of it for each step of the CRT controller's start address. */
  readonly startUnit: number;
  /** The CRT controller's port. */
  readonly crtc: number;
  /** Miscellaneous output. */
  readonly misc: number;
  /** SR0 to SR4. */
  readonly sequencer: string;
  /** GR0 to GR8. */
  readonly graphics: string;
  /** CR00 to CR18. */
  readonly timing: string;
  /** AR00 to AR13. */
  readonly attributes: string;
  /** What the DAC is loaded with. */
  readonly colours: Colours;
  /** The CGA's mode select and palette, that programs look at. */
  readonly modeSelect: number;
}

const COLOUR_80: VideoMode = {
  layout: "text",
  columns: 80,
  height: 400,
  bits: 4,
  cell: 16,
  base: 0xb8000,
  pageBytes: 0x1000,
  startUnit: 2,
  crtc: 0x3d4,
  misc: 0x67,
  sequencer: "0300030002",
  graphics: "0000000000100e0fff",
  timing: "5f4f50825581bf1f004f0d0e000000009c8e8f281f96b9a3ff",
  attributes: "000102030405140738393a3b3c3d3e3f0c000f08",
  colours: "ega",
  modeSelect: 0x29,
};
const COLOUR_40: VideoMode = {
  ...COLOUR_80,
  columns: 40,
  pageBytes: 0x800,
  sequencer: "0308030002",
  timing: "2d2728902ba0bf1f004f0d0e000000009c8e8f141f96b9a3ff",
  modeSelect: 0x28,
};
const MONO_80: VideoMode = {
  ...COLOUR_80,
  base: 0xb0000,
  crtc: 0x3b4,
  misc: 0x66,
  graphics: "0000000000100a0fff",
  timing: "5f4f50825581bf1f004f0d0e000000009c8e8f280f96b9a3ff",
  attributes: "000808080808080810181818181818180e000f08",
  colours: "mono",
};
const CGA_4: VideoMode = {
  ...COLOUR_40,
  layout: "cga",
  height: 200,
  bits: 2,
  cell: 8,
  pageBytes: 0x4000,
  misc: 0x63,
  sequencer: "0309030002",
  graphics: "0000000000300f0fff",
  timing: "2d2728902b80bf1f00c10000000000009c8e8f140096b9a2ff",
  attributes: "0013151702040607101112131415161701000300",
  colours: "cga",
  modeSelect: 0x2a,
};
const CGA_2: VideoMode = {
  ...CGA_4,
  columns: 80,
  bits: 1,
  startUnit: 1,
  sequencer: "0301010006",
  graphics: "0000000000000d0fff",
  timing: "5f4f50825480bf1f00c10000000000009c8e8f280096b9c2ff",
  attributes: "0017171717171717171717171717171701000100",
  modeSelect: 0x1e,
};
const PLANAR_320: VideoMode = {
  ...CGA_4,
  layout: "planar",
  bits: 4,
  base: 0xa0000,
  pageBytes: 0x2000,
  startUnit: 1,
  sequencer: "03090f0006",
  graphics: "000000000000050fff",
  timing: "2d2728902b80bf1f00c00000000000009c8e8f140096b9e3ff",
  attributes: "0001020304050607101112131415161701000f00",
  modeSelect: 0,
};
const PLANAR_640: VideoMode = {
  ...PLANAR_320,
  columns: 80,
  pageBytes: 0x4000,
  sequencer: "03010f0006",
  timing: "5f4f50825480bf1f00c00000000000009c8e8f280096b9e3ff",
};
const PLANAR_350: VideoMode = {
  ...PLANAR_640,
  height: 350,
  cell: 14,
  pageBytes: 0x8000,
  misc: 0xa3,
  timing: "5f4f50825480bf1f004000000000000083855d280f63bae3ff",
  attributes: "000102030405140738393a3b3c3d3e3f01000f00",
  colours: "ega",
};
const PLANAR_480: VideoMode = {
  ...PLANAR_350,
  height: 480,
  cell: 16,
  pageBytes: 0xa000,
  misc: 0xe3,
  timing: "5f4f508254800b3e0040000000000000ea8cdf2800e704e3ff",
};
const PACKED_320: VideoMode = {
  ...PLANAR_320,
  layout: "packed",
  bits: 8,
  startUnit: 4,
  sequencer: "03010f000e",
  graphics: "000000000040050fff",
  timing: "5f4f50825480bf1f00410000000000009c8e8f284096b9a3ff",
  attributes: "000102030405060708090a0b0c0d0e0f41000f00",
  colours: "vga",
};

/** The modes by number. */
export const MODES: ReadonlyMap<number, VideoMode> = new Map([
  [0x00, { ...COLOUR_40, modeSelect: 0x2c }],
  [0x01, COLOUR_40],
  [0x02, { ...COLOUR_80, modeSelect: 0x2d }],
  [0x03, COLOUR_80],
  [0x04, CGA_4],
  [0x05, { ...CGA_4, modeSelect: 0x2e }],
  [0x06, CGA_2],
  [0x07, MONO_80],
  [0x0d, PLANAR_320],
  [0x0e, PLANAR_640],
  [0x0f, {
    ...PLANAR_350,
    bits: 1,
    attributes: "0008000018180000000800000018000001000100",
    colours: "mono",
  }],
  [0x10, PLANAR_350],
  [0x11, {
    ...PLANAR_480,
    bits: 1,
    attributes: "003f003f003f003f003f003f003f003f01000f00",
  }],
  [0x12, PLANAR_480],
  [0x13, PACKED_320],
]);

/** The mode that the data area names; undefined when it is none of these. */
export function currentMode(bios: Bios): VideoMode | undefined {
  return MODES.get(bios.guest.u8(Bda.MODE) & 0x7f);
}

/** Ports. */
const ATTRIBUTE = 0x3c0;
const MISC = 0x3c2;
const SEQUENCER = 0x3c4;
const PEL_MASK = 0x3c6;
const DAC_WRITE = 0x3c8;
const DAC_DATA = 0x3c9;
const GRAPHICS = 0x3ce;
/** Attribute controller: the palette drives the screen again. */
const PALETTE_ON = 0x20;
/** CR11: CR0 to CR7 are protected. */
const PROTECT = 0x80;

function bytes(hex: string): number[] {
  return hex.match(/../g)!.map((byte) => parseInt(byte, 16));
}

/** Make the attribute controller expect an index. */
export function resetAttribute(bios: Bios, crtc: number): void {
  bios.guest.in8(crtc + 6);
}

/** Write a register of the attribute controller; the screen stays on. */
export function setAttribute(
  bios: Bios,
  crtc: number,
  index: number,
  value: number,
): void {
  resetAttribute(bios, crtc);
  bios.guest.out8(ATTRIBUTE, index);
  bios.guest.out8(ATTRIBUTE, value);
  bios.guest.out8(ATTRIBUTE, PALETTE_ON);
}

/** Read a register of the attribute controller; the screen stays on. */
export function getAttribute(
  bios: Bios,
  crtc: number,
  index: number,
): number {
  resetAttribute(bios, crtc);
  bios.guest.out8(ATTRIBUTE, index);
  const value = bios.guest.in8(ATTRIBUTE + 1);
  resetAttribute(bios, crtc);
  bios.guest.out8(ATTRIBUTE, PALETTE_ON);
  return value;
}

/** Set the registers of a mode. */
export function programMode(bios: Bios, mode: VideoMode): void {
  const { guest } = bios;
  const { crtc } = mode;
  guest.out8(MISC, mode.misc);
  bytes(mode.sequencer).forEach((v, i) => guest.outIndexed(SEQUENCER, i, v));
  bytes(mode.graphics).forEach((v, i) => guest.outIndexed(GRAPHICS, i, v));
  const timing = bytes(mode.timing);
  guest.outIndexed(crtc, 0x11, timing[0x11] & ~PROTECT);
  timing.forEach((value, i) => guest.outIndexed(crtc, i, value));
  resetAttribute(bios, crtc);
  bytes(mode.attributes).forEach((value, i) => {
    guest.out8(ATTRIBUTE, i);
    guest.out8(ATTRIBUTE, value);
  });
  guest.out8(ATTRIBUTE, 0x14);
  guest.out8(ATTRIBUTE, 0);
  guest.out8(ATTRIBUTE, PALETTE_ON);
  guest.out8(PEL_MASK, 0xff);
}

/** Load the DAC, and clear what is left of it. */
export function programColours(bios: Bios, name: Colours): void {
  const { guest } = bios;
  guest.out8(DAC_WRITE, 0);
  for (const part of colours(name)) guest.out8(DAC_DATA, part);
}
