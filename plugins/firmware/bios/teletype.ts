/**
 * Text on the screen, in text and graphics modes: cells, the cursor, scrolling,
 * and the teletype that INT 10h 0Eh is. Characters also go to a serial port when that is configured.
 *
 * Source: IBM PC/AT Technical Reference, BIOS "Video"; Phoenix, "System BIOS
 * for IBM PCs", chapter 7.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { Bda } from "./layout.ts";
import {
  drawCells,
  graphicsRows,
  readCell,
  scrollPixels,
} from "./video_draw.ts";
import { drawing } from "./vbe_drawing.ts";
import type { Drawing } from "./video_modes.ts";

/** Characters that move the cursor. */
const BELL = 7;
const BACKSPACE = 8;
const LINE_FEED = 10;
const RETURN = 13;
/** The colour of characters that have none. */
const GREY = 0x07;

/** CRT controller: the cursor's address. */
const CURSOR_HIGH = 0x0e;
const CURSOR_LOW = 0x0f;

/** Line status: the transmitter takes a character. */
const LSR = 5;
const THRE = 0x20;

/** The screen as the data area describes it. */
export interface Screen {
  /** The mode. */
  readonly mode: Drawing;
  /** Columns. */
  readonly columns: number;
  /** Rows. */
  readonly rows: number;
  /** The address of the page's first cell, of text. */
  readonly base: number;
}

/** A page of the screen; undefined when nothing is known of its mode. */
export function screen(bios: Bios, page: number): Screen | undefined {
  const { guest } = bios;
  const mode = drawing(bios);
  if (mode === undefined) return undefined;
  const { columns, base } = mode;
  if (mode.layout !== "text") {
    return { mode, columns, rows: graphicsRows(bios, mode), base };
  }
  return {
    mode,
    columns: guest.u16(Bda.COLUMNS) & 0xff || columns,
    rows: guest.u8(Bda.ROWS) + 1,
    base: base + (page & 7) * guest.u16(Bda.PAGE_BYTES),
  };
}

/** 08h: the character at the cursor of a page, and its attribute above it. */
export function readCharacter(bios: Bios, page: number): number {
  const view = screen(bios, page);
  if (view === undefined) return 0;
  const { row, column } = cursor(bios, page);
  return view.mode.layout === "text"
    ? bios.guest.u16(view.base + 2 * (row * view.columns + column))
    : readCell(bios, view.mode, page, row, column);
}

/** The cursor of a page. */
export function cursor(
  bios: Bios,
  page: number,
): { row: number; column: number } {
  const at = Bda.CURSORS + 2 * (page & 7);
  return { column: bios.guest.u8(at), row: bios.guest.u8(at + 1) };
}

/** Move the cursor of a page. */
export function moveCursor(
  bios: Bios,
  page: number,
  row: number,
  column: number,
): void {
  const { guest } = bios;
  guest.set16(Bda.CURSORS + 2 * (page & 7), column | row << 8);
  if ((page & 7) === guest.u8(Bda.PAGE)) showCursor(bios);
}

/** Tell the CRT controller where the active page's cursor is. */
export function showCursor(bios: Bios): void {
  const { guest } = bios;
  const { row, column } = cursor(bios, guest.u8(Bda.PAGE));
  const cell = guest.u16(Bda.PAGE_START) / 2 +
    row * guest.u16(Bda.COLUMNS) + column;
  const crtc = guest.u16(Bda.CRTC);
  guest.outIndexed(crtc, CURSOR_HIGH, cell >> 8 & 0xff);
  guest.outIndexed(crtc, CURSOR_LOW, cell & 0xff);
}

/** Cells with this character and attribute. */
function cells(
  count: number,
  character: number,
  attribute: number,
): Uint8Array {
  const bytes = new Uint8Array(2 * count);
  for (let i = 0; i < bytes.length; i += 2) {
    bytes[i] = character;
    bytes[i + 1] = attribute;
  }
  return bytes;
}

/**
 * Write `count` cells from a place of a page on, within the page's memory. In
 * text modes `attribute` may be absent; in graphics it is the colour.
 */
export function writeCells(
  bios: Bios,
  page: number,
  character: number,
  attribute: number | undefined,
  count: number,
): void {
  const view = screen(bios, page);
  if (view === undefined) return;
  const { row, column } = cursor(bios, page);
  const first = row * view.columns + column;
  if (view.mode.layout !== "text") {
    const colour = attribute ?? GREY;
    drawCells(bios, view.mode, page, first, character, colour, count);
    return;
  }
  const room = Math.max(0, view.rows * view.columns - first);
  const at = view.base + 2 * first;
  const length = Math.min(count, room);
  if (attribute !== undefined) {
    bios.guest.write(at, cells(length, character, attribute));
    return;
  }
  for (let i = 0; i < length; i++) bios.guest.set8(at + 2 * i, character);
}

/**
 * Move the rows of a window by `lines`, up when it is positive; 0 clears it.
 * Edges beyond the screen are brought in.
 */
export function scroll(
  bios: Bios,
  lines: number,
  attribute: number,
  [top, left]: readonly [top: number, left: number],
  [lower, right]: readonly [lower: number, right: number],
): void {
  const page = bios.guest.u8(Bda.PAGE);
  const view = screen(bios, page);
  if (view === undefined) return;
  if (view.mode.layout !== "text") {
    const window = { top, left, bottom: lower, right };
    return scrollPixels(bios, view.mode, page, lines, attribute, window);
  }
  const bottom = Math.min(lower, view.rows - 1);
  const width = Math.min(right, view.columns - 1) - left + 1;
  const height = bottom - top + 1;
  if (width <= 0 || height <= 0) return;
  const distance = Math.abs(lines);
  const clears = lines === 0 || distance >= height;
  const blank = cells(width, 0x20, attribute);
  const at = (row: number): number =>
    view.base + 2 * ((top + row) * view.columns + left);
  const row = new Uint8Array(2 * width);
  for (let i = 0; i < height; i++) {
    // Up goes from the first row on, down from the last.
    const to = lines >= 0 ? i : height - 1 - i;
    const from = to + lines;
    if (clears || from < 0 || from >= height) {
      bios.guest.write(at(to), blank);
    } else {
      bios.guest.read(at(from), row);
      bios.guest.write(at(to), row);
    }
  }
}

/** Send a character to the configured serial port too. */
export function toConsole(bios: Bios, character: number): void {
  const { guest, config } = bios;
  if (config.console === 0) return;
  const port = guest.u16(Bda.COM + 2 * (config.console - 1));
  // What a slow host does not take at once is lost.
  if (port === 0 || (guest.in8(port + LSR) & THRE) === 0) return;
  guest.out8(port, character);
}

/** Write a character as a teletype does; says whether the screen scrolled. */
export function teletype(
  bios: Bios,
  page: number,
  character: number,
  attribute?: number,
): boolean {
  const view = screen(bios, page);
  let { row, column } = cursor(bios, page);
  const columns = view?.columns ?? 80;
  const rows = view?.rows ?? 25;
  switch (character) {
    case BELL:
      return false;
    case BACKSPACE:
      if (column > 0) column--;
      break;
    case LINE_FEED:
      row++;
      break;
    case RETURN:
      column = 0;
      break;
    default:
      writeCells(bios, page, character, attribute, 1);
      column++;
  }
  if (column >= columns) {
    column = 0;
    row++;
  }
  const scrolls = row >= rows;
  if (scrolls) {
    row = rows - 1;
    // New rows have the colours of the last one.
    const fill = view?.mode.layout !== "text"
      ? 0
      : bios.guest.u8(view.base + 2 * (row * columns + column) + 1);
    if ((page & 7) === bios.guest.u8(Bda.PAGE)) {
      scroll(bios, 1, fill, [0, 0], [rows - 1, columns - 1]);
    }
  }
  moveCursor(bios, page, row, column);
  return scrolls;
}

/** Print ASCII text on the active page, and on the serial console. */
export function print(bios: Bios, text: string): void {
  const page = bios.guest.u8(Bda.PAGE);
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i) & 0xff;
    teletype(bios, page, character);
    toConsole(bios, character);
  }
}
