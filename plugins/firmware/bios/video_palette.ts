/**
 * INT 10h, 0Bh and 10h: the attribute controller's palette and the DAC.
 *
 * Source: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 10h".
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import { linear } from "./guest.ts";
import { Bda } from "./layout.ts";
import { currentMode, getAttribute, setAttribute } from "./video_modes.ts";

/** Attribute controller. */
const MODE_CONTROL = 0x10;
const OVERSCAN = 0x11;
const COLOUR_SELECT = 0x14;
const BLINK = 0x08;
const PALETTE_SIZE = 0x80;
/** DAC. */
const PEL_MASK = 0x3c6;
const DAC_READ = 0x3c7;
const DAC_WRITE = 0x3c8;
const DAC_DATA = 0x3c9;
const COLOURS = 256;

/** Where a colour of the CGA has its intensity in the palette. */
const BRIGHT = 0x10;
/** How much of red, green and blue is in a grey, in parts of 100. */
const GREY_PARTS: readonly number[] = [30, 59, 11];

/** 0Bh: the border and the background, or which colours mode 4 has. */
function cgaColours(bios: Bios, crtc: number, what: number, to: number): void {
  const get = (index: number): number => getAttribute(bios, crtc, index);
  const set = (index: number, value: number): void =>
    setAttribute(bios, crtc, index, value);
  const isText = currentMode(bios)?.layout === "text";
  const register = bios.guest.u8(Bda.PALETTE);
  if (what === 0) {
    const colour = to & 7 | (to & 8) << 1;
    set(OVERSCAN, isText ? to & 0x3f : colour);
    bios.guest.set8(Bda.PALETTE, register & ~0x1f | to & 0x1f);
    if (isText) return;
    set(0, colour);
    for (let i = 1; i < 4; i++) set(i, get(i) & ~BRIGHT | to & BRIGHT);
  } else if (what === 1) {
    bios.guest.set8(Bda.PALETTE, register & ~0x20 | (to & 1) << 5);
    if (isText) return;
    for (let i = 1; i < 4; i++) set(i, get(i) & ~1 | to & 1);
  }
}

/**
 * Where a page of the DAC has its number in the colour select: 16 pages of 16
 * colours in bits 0 to 3, 4 of 64 in bits 2 and 3.
 */
function pageShift(modeControl: number): number {
  return (modeControl & PALETTE_SIZE) !== 0 ? 0 : 2;
}

/** 10h/1Bh: make colours of the DAC greys. */
export function sumGreys(bios: Bios, first: number, count: number): void {
  const { guest } = bios;
  for (let i = first; i < Math.min(first + count, COLOURS); i++) {
    guest.out8(DAC_READ, i);
    const sum = GREY_PARTS.reduce(
      (n, part) => n + part * guest.in8(DAC_DATA),
      0,
    );
    const grey = Math.min(0x3f, Math.round(sum / 100));
    guest.out8(DAC_WRITE, i);
    for (let part = 0; part < 3; part++) guest.out8(DAC_DATA, grey);
  }
}

/** 0Bh and 10h. */
export function palette(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  const crtc = guest.u16(Bda.CRTC);
  if (frame.ah === 0x0b) {
    cgaColours(bios, crtc, frame.bh, frame.bl);
    return Status.DONE;
  }
  const set = (index: number, value: number): void =>
    setAttribute(bios, crtc, index & 0x1f, value);
  const get = (index: number): number => getAttribute(bios, crtc, index & 0x1f);
  switch (frame.al) {
    case 0x00:
      if (frame.bl <= COLOUR_SELECT) set(frame.bl, frame.bh);
      break;
    case 0x01:
      set(OVERSCAN, frame.bh);
      break;
    case 0x02: {
      const table = guest.bytes(linear(frame.es, frame.dx), 17);
      table.forEach((value, i) => set(i < 16 ? i : OVERSCAN, value));
      break;
    }
    case 0x03:
      set(
        MODE_CONTROL,
        get(MODE_CONTROL) & ~BLINK | (frame.bl & 1) * BLINK,
      );
      break;
    case 0x07:
      frame.bh = get(frame.bl);
      break;
    case 0x08:
      frame.bh = get(OVERSCAN);
      break;
    case 0x09: {
      const table = Uint8Array.from(
        { length: 17 },
        (_, i) => get(i < 16 ? i : OVERSCAN),
      );
      guest.write(linear(frame.es, frame.dx), table);
      break;
    }
    case 0x10:
      guest.out8(DAC_WRITE, frame.bx);
      for (const value of [frame.dh, frame.ch, frame.cl]) {
        guest.out8(DAC_DATA, value);
      }
      break;
    case 0x12: {
      const count = Math.min(frame.cx, COLOURS);
      guest.out8(DAC_WRITE, frame.bx);
      for (const value of guest.bytes(linear(frame.es, frame.dx), 3 * count)) {
        guest.out8(DAC_DATA, value);
      }
      break;
    }
    case 0x13:
      if (frame.bl === 0) {
        const mode = get(MODE_CONTROL) & ~PALETTE_SIZE;
        set(MODE_CONTROL, mode | (frame.bh & 1) * PALETTE_SIZE);
      } else {
        set(COLOUR_SELECT, frame.bh << pageShift(get(MODE_CONTROL)) & 0x0f);
      }
      break;
    case 0x15:
      guest.out8(DAC_READ, frame.bx);
      frame.dh = guest.in8(DAC_DATA);
      frame.ch = guest.in8(DAC_DATA);
      frame.cl = guest.in8(DAC_DATA);
      break;
    case 0x17: {
      const count = Math.min(frame.cx, COLOURS);
      guest.out8(DAC_READ, frame.bx);
      const table = Uint8Array.from(
        { length: 3 * count },
        () => guest.in8(DAC_DATA),
      );
      guest.write(linear(frame.es, frame.dx), table);
      break;
    }
    case 0x18:
      guest.out8(PEL_MASK, frame.bl);
      break;
    case 0x19:
      frame.bl = guest.in8(PEL_MASK);
      break;
    case 0x1a: {
      const mode = get(MODE_CONTROL);
      frame.bl = mode >> 7;
      frame.bh = (get(COLOUR_SELECT) & 0x0f) >> pageShift(mode);
      break;
    }
    case 0x1b:
      sumGreys(bios, frame.bl, Math.min(frame.cx, COLOURS));
      break;
  }
  return Status.DONE;
}
