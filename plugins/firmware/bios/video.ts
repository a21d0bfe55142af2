/**
 * INT 10h: text modes of the VGA.
 *
 * Sources: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 10h";
 * Phoenix, "System BIOS for IBM PCs", chapter 7; Ralf Brown's interrupt list.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { font } from "./video_font.ts";
import { palette } from "./video_palette.ts";
import { type Frame, Status } from "./frame.ts";
import { linear } from "./guest.ts";
import { Bda, Equipment } from "./layout.ts";
import {
  cursor,
  moveCursor,
  screen,
  scroll,
  showCursor,
  teletype,
  toConsole,
  writeCells,
} from "./teletype.ts";
import {
  programColours,
  programMode,
  TEXT_MODES,
  type TextMode,
} from "./video_modes.ts";

/** Mode: the screen is not cleared. */
const KEEP = 0x80;
/** CRT controller. */
const CURSOR_START = 0x0a;
const CURSOR_END = 0x0b;
const START_HIGH = 0x0c;
const START_LOW = 0x0d;
/** Scan lines of a character, and rows, in the text modes. */
const HEIGHT = 16;
const ROWS = 25;
/** 437h in the data area: 256 KB, the mode was set without clearing. */
const VIDEO_CONTROL = 0x60;
/** VGA, 400 lines, no palette loading off. */
const VIDEO_FLAGS = 0x11;
const VIDEO_SWITCHES = 0xf9;
/** A VGA with an analogue colour display. */
const DISPLAY_CODE = 0x08;
/** The attribute of an empty cell. */
const GREY = 0x07;
/** Characters of a string that are written at once. */
const STRING_PART = 64;
/** Bytes of the table that 1Bh gives, and what is at its head. */
const STATE_BYTES = 0x40;

/** Set a text mode; false when there is no such mode. */
export function setMode(bios: Bios, number: number): boolean {
  const { guest } = bios;
  const mode = TEXT_MODES.get(number & ~KEEP);
  if (mode === undefined) return false;
  programMode(bios, mode);
  programColours(bios);
  if ((number & KEEP) === 0) {
    const blank = new Uint8Array(0x8000);
    for (let i = 0; i < blank.length; i += 2) {
      blank[i] = 0x20;
      blank[i + 1] = GREY;
    }
    guest.write(mode.base, blank);
  }
  describeMode(bios, number, mode);
  return true;
}

/** The data area after a mode was set. */
function describeMode(bios: Bios, number: number, mode: TextMode): void {
  const { guest } = bios;
  guest.set8(Bda.MODE, number & ~KEEP);
  guest.set16(Bda.COLUMNS, mode.columns);
  guest.set16(Bda.PAGE_BYTES, mode.pageBytes);
  guest.set16(Bda.PAGE_START, 0);
  guest.write(Bda.CURSORS, new Uint8Array(16));
  guest.set16(Bda.CURSOR_SHAPE, 0x0607);
  guest.set8(Bda.PAGE, 0);
  guest.set16(Bda.CRTC, mode.crtc);
  guest.set8(Bda.MODE_SELECT, mode.modeSelect);
  guest.set8(Bda.PALETTE, 0x30);
  guest.set8(Bda.ROWS, ROWS - 1);
  guest.set16(Bda.CHARACTER_HEIGHT, HEIGHT);
  guest.set8(Bda.VIDEO_CONTROL, VIDEO_CONTROL | number & KEEP);
  guest.set8(Bda.VIDEO_SWITCHES, VIDEO_SWITCHES);
  guest.set8(Bda.VIDEO_FLAGS, VIDEO_FLAGS);
  guest.set8(Bda.DISPLAY_CODE, DISPLAY_CODE);
  showCursor(bios);
}

/** INT 10h. */
export function video(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  switch (frame.ah) {
    case 0x00:
      if (!setMode(bios, frame.al)) {
        bios.log("INT 10h: mode", `there is no mode ${frame.al}`);
        break;
      }
      // 30h: a text mode, as programs that look at AL expect.
      frame.al = 0x30;
      break;
    case 0x01:
      shapeCursor(bios, frame.ch, frame.cl);
      break;
    case 0x02:
      moveCursor(bios, frame.bh, frame.dh, frame.dl);
      break;
    case 0x03: {
      const { row, column } = cursor(bios, frame.bh);
      frame.dh = row;
      frame.dl = column;
      frame.cx = guest.u16(Bda.CURSOR_SHAPE);
      break;
    }
    case 0x04:
      // There is no light pen.
      frame.ah = 0;
      break;
    case 0x05:
      setPage(bios, frame.al);
      break;
    case 0x06:
    case 0x07:
      scroll(
        bios,
        frame.ah === 0x06 ? frame.al : -frame.al,
        frame.bh,
        [frame.ch, frame.cl],
        [frame.dh, frame.dl],
      );
      break;
    case 0x08: {
      const view = screen(bios, frame.bh);
      if (view === undefined) break;
      const { row, column } = cursor(bios, frame.bh);
      frame.ax = guest.u16(view.base + 2 * (row * view.columns + column));
      break;
    }
    case 0x09:
      writeCells(bios, frame.bh, frame.al, frame.bl, frame.cx);
      if (frame.cx > 0) toConsole(bios, frame.al);
      break;
    case 0x0a:
      writeCells(bios, frame.bh, frame.al, undefined, frame.cx);
      if (frame.cx > 0) toConsole(bios, frame.al);
      break;
    case 0x0e:
      // On the active page, whatever BH is.
      teletype(bios, guest.u8(Bda.PAGE), frame.al);
      toConsole(bios, frame.al);
      break;
    case 0x0f:
      frame.al = guest.u8(Bda.MODE) | guest.u8(Bda.VIDEO_CONTROL) & KEEP;
      frame.ah = guest.u16(Bda.COLUMNS);
      frame.bh = guest.u8(Bda.PAGE);
      break;
    case 0x0b:
    case 0x10:
      return palette(bios, frame);
    case 0x11:
      return font(bios, frame);
    case 0x12:
      return alternate(bios, frame);
    case 0x13:
      return writeString(bios, frame);
    case 0x1a:
      if (frame.al > 1) break;
      if (frame.al === 0) frame.bx = guest.u8(Bda.DISPLAY_CODE);
      else guest.set8(Bda.DISPLAY_CODE, frame.bl);
      frame.al = 0x1a;
      break;
    case 0x1b:
      if (frame.bx === 0) stateTable(bios, frame);
      break;
      // Of graphics there is nothing: pixels, save and restore, VBE.
  }
  return Status.DONE;
}

/**
 * 01h: a cursor in the scan lines of a cell with 8 is made one of the cell's
 * height ("cursor emulation").
 */
function shapeCursor(bios: Bios, first: number, last: number): void {
  const { guest } = bios;
  guest.set16(Bda.CURSOR_SHAPE, first << 8 | last);
  const height = guest.u8(Bda.CHARACTER_HEIGHT);
  const crtc = guest.u16(Bda.CRTC);
  let [start, end] = [first & 0x3f, last & 0x1f];
  const emulates = (guest.u8(Bda.VIDEO_CONTROL) & 1) === 0;
  if (emulates && height > 8 && end < 8 && start < 0x20) {
    const scaled = (line: number): number =>
      Math.floor((line + 1) * height / 8) - 1;
    // An underline of two lines stays one.
    start = end === start + 1 ? scaled(end) - 1 : scaled(start);
    end = scaled(end);
  }
  guest.outIndexed(crtc, CURSOR_START, start);
  guest.outIndexed(crtc, CURSOR_END, end);
}

/** 05h: show another page. */
function setPage(bios: Bios, page: number): void {
  const { guest } = bios;
  if (page > 7) return;
  const start = page * guest.u16(Bda.PAGE_BYTES);
  const crtc = guest.u16(Bda.CRTC);
  guest.set8(Bda.PAGE, page);
  guest.set16(Bda.PAGE_START, start);
  guest.outIndexed(crtc, START_HIGH, start >> 9 & 0xff);
  guest.outIndexed(crtc, START_LOW, start >> 1 & 0xff);
  showCursor(bios);
}

/**
 * 13h: a string, with attributes or one for all; a part of a long one each time
 * it is asked, up to where the screen scrolls. The scratch has the next character and where the cursor was.
 */
function writeString(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  const page = frame.bh;
  if (frame.phase === 0) {
    const { row, column } = cursor(bios, page);
    frame.scratch = (row << 24 | column << 16) >>> 0;
    moveCursor(bios, page, frame.dh, frame.dl);
  }
  const first = frame.scratch & 0xffff;
  const count = Math.min(frame.cx - first, STRING_PART);
  const width = (frame.al & 2) !== 0 ? 2 : 1;
  const text = guest.bytes(
    linear(frame.es, frame.bp + first * width),
    Math.max(0, count) * width,
  );
  let done = 0;
  // To scroll is the work of many characters.
  for (let scrolls = false; done < count && !scrolls; done++) {
    const character = text[done * width];
    const attribute = width === 2 ? text[done * width + 1] : frame.bl;
    scrolls = teletype(bios, page, character, attribute);
    toConsole(bios, character);
  }
  frame.scratch += done;
  if (first + done < frame.cx) return Status.SPIN;
  if ((frame.al & 1) === 0) {
    const before = frame.scratch;
    moveCursor(bios, page, before >>> 24, before >>> 16 & 0xff);
  }
  return Status.DONE;
}

/** 12h: settings of the EGA and the VGA. */
function alternate(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  switch (frame.bl) {
    case 0x10:
      // Colour, 256 KB; feature bits and switches.
      frame.bx = guest.u16(Bda.CRTC) === 0x3b4 ? 0x0103 : 0x0003;
      frame.cx = VIDEO_SWITCHES & 0x0f;
      break;
    // Scan lines, palette loading, video, greys, cursor emulation, refresh.
    case 0x30:
    case 0x31:
    case 0x32:
    case 0x33:
    case 0x36:
      frame.al = 0x12;
      break;
    case 0x34: {
      const control = guest.u8(Bda.VIDEO_CONTROL) & ~1;
      guest.set8(Bda.VIDEO_CONTROL, control | frame.al & 1);
      frame.al = 0x12;
      break;
    }
  }
  return Status.DONE;
}

/** 1Bh: the state, and what the VGA has. */
function stateTable(bios: Bios, frame: Frame): void {
  const { guest } = bios;
  const table = new Uint8Array(STATE_BYTES);
  // The data area from the mode to the palette, then rows and height.
  guest.read(Bda.MODE, table.subarray(4, 0x22));
  table[0x22] = guest.u8(Bda.ROWS) + 1;
  table[0x23] = guest.u8(Bda.CHARACTER_HEIGHT);
  table[0x25] = guest.u8(Bda.DISPLAY_CODE);
  // 16 colours, 8 pages, 400 lines.
  table[0x27] = 16;
  table[0x29] = 8;
  table[0x2a] = 2;
  table[0x31] = 3;
  guest.write(linear(frame.es, frame.di), table);
  frame.al = 0x1b;
}

/** After a reset: mode 3, and what equipment says of it. */
export function startVideo(bios: Bios): void {
  setMode(bios, 3);
  const { guest } = bios;
  const other = guest.u16(Bda.EQUIPMENT) & ~Equipment.VIDEO;
  guest.set16(Bda.EQUIPMENT, other | Equipment.COLOUR_80);
}
