/**
 * The registers of the VGA's text modes.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Video subsystem",
 * the registers' values by mode.
 *
 * @module
 */

import type { Bios } from "./context.ts";

/** A text mode. */
export interface TextMode {
  /** Columns. */
  readonly columns: number;
  /** Where its memory is. */
  readonly base: number;
  /** Bytes of a page. */
  readonly pageBytes: number;
  /** The CRT controller's port. */
  readonly crtc: number;
  /** Miscellaneous output. */
  readonly misc: number;
  /** SR1. */
  readonly clocking: number;
  /** GR6: where the memory is. */
  readonly map: number;
  /** CR00 to CR18. */
  readonly timing: string;
  /** AR00 to AR13. */
  readonly attributes: string;
  /** The CGA's mode select and palette, that programs look at. */
  readonly modeSelect: number;
}

const COLOUR_80: TextMode = {
  columns: 80,
  base: 0xb8000,
  pageBytes: 0x1000,
  crtc: 0x3d4,
  misc: 0x67,
  clocking: 0x00,
  map: 0x0e,
  timing: "5f4f50825581bf1f004f0d0e000000009c8e8f281f96b9a3ff",
  attributes: "000102030405140738393a3b3c3d3e3f0c000f08",
  modeSelect: 0x29,
};
const COLOUR_40: TextMode = {
  ...COLOUR_80,
  columns: 40,
  pageBytes: 0x800,
  clocking: 0x08,
  timing: "2d2728902ba0bf1f004f0d0e000000009c8e8f141f96b9a3ff",
  modeSelect: 0x28,
};
const MONO_80: TextMode = {
  ...COLOUR_80,
  base: 0xb0000,
  crtc: 0x3b4,
  misc: 0x66,
  map: 0x0a,
  timing: "5f4f50825581bf1f004f0d0e000000009c8e8f280f96b9a3ff",
  attributes: "000808080808080810181818181818180e000f08",
};

/** The text modes by number. */
export const TEXT_MODES: ReadonlyMap<number, TextMode> = new Map([
  [0, { ...COLOUR_40, modeSelect: 0x2c }],
  [1, COLOUR_40],
  [2, { ...COLOUR_80, modeSelect: 0x2d }],
  [3, COLOUR_80],
  [7, MONO_80],
]);

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
export function programMode(bios: Bios, mode: TextMode): void {
  const { guest } = bios;
  const { crtc } = mode;
  guest.out8(MISC, mode.misc);
  const sequencer = [0x03, mode.clocking, 0x03, 0x00, 0x02];
  sequencer.forEach((value, i) => guest.outIndexed(SEQUENCER, i, value));
  const graphics = [0, 0, 0, 0, 0, 0x10, mode.map, 0, 0xff];
  graphics.forEach((value, i) => guest.outIndexed(GRAPHICS, i, value));
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

/** Load the 64 colours of the EGA into the DAC. */
export function programColours(bios: Bios): void {
  const { guest } = bios;
  guest.out8(DAC_WRITE, 0);
  for (let i = 0; i < 64; i++) {
    // Bits 0 to 2 are blue, green and red; 3 to 5 half as much of each.
    for (const bit of [2, 1, 0]) {
      const value = (i >> bit & 1) * 0x2a + (i >> bit + 3 & 1) * 0x15;
      guest.out8(DAC_DATA, value);
    }
  }
}
