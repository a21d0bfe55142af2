/**
 * Setting a mode of the VGA: registers, colours, memory, font and data area.
 *
 * Source: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 10h,
 * (AH) = 00h".
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { leaveVbe } from "./dispi.ts";
import { Bda } from "./layout.ts";
import { showCursor } from "./teletype.ts";
import { loadRomFont, setFontVectors } from "./video_font.ts";
import { sumGreys } from "./video_palette.ts";
import {
  MODES,
  programColours,
  programMode,
  type VideoMode,
} from "./video_modes.ts";

/** Mode: the screen is not cleared. */
export const KEEP = 0x80;
/** 487h in the data area: 256 KB, the mode was set without clearing. */
const VIDEO_CONTROL = 0x60;
/** 488h: the switches of a colour display. */
export const VIDEO_SWITCHES = 0xf9;
/** 489h: a VGA that is active, 400 lines, a display switch. */
const VIDEO_FLAGS = 0x51;
/** Of them: sums of greys, and setting a mode leaves the palette alone. */
export const GREY_SUMS = 0x02;
/** The palette stays. */
export const KEEP_PALETTE = 0x08;
/** Those that setting a mode leaves. */
const KEPT_FLAGS = GREY_SUMS | KEEP_PALETTE;
/** A VGA with an analogue colour display. */
const DISPLAY_CODE = 0x08;
/** The attribute of an empty cell. */
const GREY = 0x07;

/** Set a mode; false when there is no such mode. */
export function setMode(bios: Bios, number: number): boolean {
  const { guest } = bios;
  const mode = MODES.get(number & ~KEEP);
  if (mode === undefined) return false;
  leaveVbe(bios);
  programMode(bios, mode);
  if ((guest.u8(Bda.VIDEO_FLAGS) & KEEP_PALETTE) === 0) {
    programColours(bios, mode.colours);
    if ((guest.u8(Bda.VIDEO_FLAGS) & GREY_SUMS) !== 0) sumGreys(bios, 0, 256);
  }
  if ((number & KEEP) === 0) clear(bios, mode);
  describeMode(bios, number, mode);
  if (mode.layout === "text") loadRomFont(bios, mode.cell, 0);
  return true;
}

/** An empty screen: blanks in grey, or no pixels, in all of the window. */
function clear(bios: Bios, mode: VideoMode): void {
  const isText = mode.layout === "text";
  const blank = new Uint8Array(mode.base < 0xb0000 ? 0x10000 : 0x8000);
  for (let i = 0; isText && i < blank.length; i += 2) {
    blank[i] = 0x20;
    blank[i + 1] = GREY;
  }
  bios.guest.write(mode.base, blank);
}

/** The data area after a mode was set. */
function describeMode(bios: Bios, number: number, mode: VideoMode): void {
  const { guest } = bios;
  const isText = mode.layout === "text";
  guest.set8(Bda.MODE, number & ~KEEP);
  guest.set16(Bda.COLUMNS, mode.columns);
  guest.set16(Bda.PAGE_BYTES, mode.pageBytes);
  guest.set16(Bda.PAGE_START, 0);
  guest.write(Bda.CURSORS, new Uint8Array(16));
  guest.set16(Bda.CURSOR_SHAPE, isText ? 0x0607 : 0);
  guest.set8(Bda.PAGE, 0);
  guest.set16(Bda.CRTC, mode.crtc);
  guest.set8(Bda.MODE_SELECT, mode.modeSelect);
  guest.set8(Bda.PALETTE, mode.bits === 1 ? 0x3f : 0x30);
  guest.set8(Bda.ROWS, Math.floor(mode.height / mode.cell) - 1);
  guest.set16(Bda.CHARACTER_HEIGHT, mode.cell);
  guest.set8(Bda.VIDEO_CONTROL, VIDEO_CONTROL | number & KEEP);
  guest.set8(Bda.VIDEO_SWITCHES, VIDEO_SWITCHES);
  guest.set8(
    Bda.VIDEO_FLAGS,
    VIDEO_FLAGS | guest.u8(Bda.VIDEO_FLAGS) & KEPT_FLAGS,
  );
  guest.set8(Bda.DISPLAY_CODE, DISPLAY_CODE);
  setFontVectors(bios, mode.cell);
  if (isText) showCursor(bios);
}
