/**
 * INT 10h: the modes of the VGA, text and graphics in them.
 *
 * Sources: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 10h";
 * Phoenix, "System BIOS for IBM PCs", chapter 7; Ralf Brown's interrupt list.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import { linear } from "./guest.ts";
import { Bda, Equipment } from "./layout.ts";
import {
  cursor,
  moveCursor,
  readCharacter,
  scroll,
  showCursor,
  teletype,
  toConsole,
  writeCells,
} from "./teletype.ts";
import { vbe } from "./vbe.ts";
import { drawing } from "./vbe_drawing.ts";
import { readDot, writeDot } from "./video_draw.ts";
import { font } from "./video_font.ts";
import { palette } from "./video_palette.ts";
import { saveRestore, stateTable } from "./video_state.ts";
import { currentMode } from "./video_modes.ts";
import {
  GREY_SUMS,
  KEEP,
  KEEP_PALETTE,
  setMode,
  VIDEO_SWITCHES,
} from "./video_set.ts";

/** CRT controller. */
const CURSOR_START = 0x0a;
const CURSOR_END = 0x0b;
const START_HIGH = 0x0c;
const START_LOW = 0x0d;
/** Sequencer, SR1: the screen is off. */
const SEQUENCER = 0x3c4;
const CLOCKING_MODE = 1;
const SCREEN_OFF = 0x20;
/** Miscellaneous output, read and written: the CPU may access the memory. */
const MISC_READ = 0x3cc;
const MISC_WRITE = 0x3c2;
const RAM_ENABLE = 0x02;
/** Characters of a string that are written at once. */
const STRING_PART = 64;

/** AL after a mode was set. */
function modeAnswer(mode: number): number {
  if (mode > 7) return 0x20;
  return mode === 6 ? 0x3f : 0x30;
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
      // As programs that look at AL expect.
      frame.al = modeAnswer(frame.al & ~KEEP);
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
    case 0x08:
      frame.ax = readCharacter(bios, frame.bh);
      break;
    case 0x09:
      writeCells(bios, frame.bh, frame.al, frame.bl, frame.cx);
      if (frame.cx > 0) toConsole(bios, frame.al);
      break;
    case 0x0a: {
      // Text keeps its attributes, pixels need a colour.
      const isText = currentMode(bios)?.layout === "text";
      const colour = isText ? undefined : frame.bl;
      writeCells(bios, frame.bh, frame.al, colour, frame.cx);
      if (frame.cx > 0) toConsole(bios, frame.al);
      break;
    }
    case 0x0c:
    case 0x0d: {
      const mode = drawing(bios);
      if (mode === undefined || mode.layout === "text") break;
      const { al, bh, cx, dx } = frame;
      if (frame.ah === 0x0c) writeDot(bios, mode, bh, cx, dx, al);
      else frame.al = readDot(bios, mode, bh, cx, dx);
      break;
    }
    case 0x0e:
      // On the active page, whatever BH is.
      teletype(
        bios,
        guest.u8(Bda.PAGE),
        frame.al,
        currentMode(bios)?.layout === "text" ? undefined : frame.bl,
      );
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
      stateTable(bios, frame);
      break;
    case 0x1c:
      saveRestore(bios, frame);
      break;
    case 0x4f:
      vbe(bios, frame);
      break;
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
  const mode = currentMode(bios);
  if (page > 7 || mode === undefined) return;
  const start = page * guest.u16(Bda.PAGE_BYTES);
  const unit = start / mode.startUnit;
  const crtc = guest.u16(Bda.CRTC);
  guest.set8(Bda.PAGE, page);
  guest.set16(Bda.PAGE_START, start);
  guest.outIndexed(crtc, START_HIGH, unit >> 8 & 0xff);
  guest.outIndexed(crtc, START_LOW, unit & 0xff);
  if (mode.layout === "text") showCursor(bios);
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
  const off = (frame.al & 1) !== 0;
  /** A flag that AL sets or clears. */
  const flag = (address: number, bit: number, on: boolean): void =>
    guest.set8(address, guest.u8(address) & ~bit | (on ? bit : 0));
  switch (frame.bl) {
    case 0x10:
      // Colour, 256 KB; feature bits and switches.
      frame.bx = guest.u16(Bda.CRTC) === 0x3b4 ? 0x0103 : 0x0003;
      frame.cx = VIDEO_SWITCHES & 0x0f;
      return Status.DONE;
    case 0x31:
      flag(Bda.VIDEO_FLAGS, KEEP_PALETTE, off);
      break;
    case 0x32: {
      const misc = guest.in8(MISC_READ) & ~RAM_ENABLE;
      guest.out8(MISC_WRITE, misc | (off ? 0 : RAM_ENABLE));
      break;
    }
    case 0x33:
      flag(Bda.VIDEO_FLAGS, GREY_SUMS, !off);
      break;
    case 0x34:
      flag(Bda.VIDEO_CONTROL, 1, off);
      break;
    case 0x36: {
      guest.out8(SEQUENCER, CLOCKING_MODE);
      const mode = guest.in8(SEQUENCER + 1) & ~SCREEN_OFF;
      guest.out8(SEQUENCER + 1, mode | (off ? SCREEN_OFF : 0));
      break;
    }
    // Scan lines are always 400; there is one display.
    case 0x30:
    case 0x35:
      break;
    default:
      return Status.DONE;
  }
  frame.al = 0x12;
  return Status.DONE;
}

/** After a reset: mode 3, and what equipment says of it. */
export function startVideo(bios: Bios): void {
  setMode(bios, 3);
  const { guest } = bios;
  const other = guest.u16(Bda.EQUIPMENT) & ~Equipment.VIDEO;
  guest.set16(Bda.EQUIPMENT, other | Equipment.COLOUR_80);
}
