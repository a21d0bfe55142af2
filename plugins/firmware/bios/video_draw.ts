/**
 * Drawing in the graphics modes: dots, characters, scrolling. Four layouts:
 * the CGA's, whose even and odd lines are 8 KiB apart; four planes behind the
 * graphics controller; a byte for each pixel; and pixels of red, green and blue.
 *
 * Source: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 10h",
 * graphics modes; bit 7 of a colour means exclusive or, except in mode 13h.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { Bda } from "./layout.ts";
import { directColour, nearestColour } from "./vbe_drawing.ts";
import type { Drawing } from "./video_modes.ts";

const SEQUENCER = 0x3c4;
const GRAPHICS = 0x3ce;
/** SR2: planes that are written. */
const MAP_MASK = 2;
/** GR1: set and reset; GR3: function; GR4: read map; GR5: mode; GR8: bits. */
const ENABLE_SET = 1;
const FUNCTION = 3;
const READ_MAP = 4;
const MODE = 5;
const BIT_MASK = 8;
const FUNCTION_XOR = 0x18;
const PLANES = 4;
/** A colour: exclusive or. */
const XOR = 0x80;
/** Odd lines of the CGA. */
const ODD_LINES = 0x2000;
/** Pixels of a glyph's line, and the greatest height that fonts have. */
const GLYPH_WIDTH = 8;
const MAX_HEIGHT = 32;
/** Vectors of the graphics fonts: the upper half of 8 lines, and all. */
const VECTOR_FONT_8 = 0x1f;
const VECTOR_FONT = 0x43;

/** Pixels of a line. */
function widthOf(mode: Drawing): number {
  return mode.columns * GLYPH_WIDTH;
}

/** Bytes of a character's line in the CPU's addresses. */
function cellBytes(mode: Drawing): number {
  if (mode.layout === "planar") return 1;
  return mode.layout === "direct" ? GLYPH_WIDTH * pixelBytes(mode) : mode.bits;
}

/** Bytes of a pixel that has whole ones. */
function pixelBytes({ bits }: Drawing): number {
  return Math.ceil(bits / 8);
}

/** The address of a line of a page. */
function lineAddress(mode: Drawing, page: number, y: number): number {
  const line = mode.lineBytes ?? mode.columns * cellBytes(mode);
  // The frame buffer is seen as a whole.
  if (mode.lineBytes !== undefined && mode.layout !== "planar") {
    return mode.base + y * line;
  }
  if (mode.layout === "cga") {
    return mode.base + (y & 1) * ODD_LINES + (y >> 1) * line;
  }
  const start = mode.layout === "planar" ? (page & 7) * mode.pageBytes : 0;
  // Within the window's 64 KiB, as offsets in a segment are.
  return mode.base + (start + y * line & 0xffff);
}

/** Scan lines of a character. */
export function cellHeight(bios: Bios): number {
  const height = bios.guest.u8(Bda.CHARACTER_HEIGHT);
  return Math.min(Math.max(height, 1), MAX_HEIGHT);
}

/** Rows of characters that fit. */
export function graphicsRows(bios: Bios, mode: Drawing): number {
  return Math.floor(mode.height / cellHeight(bios));
}

/** Do something for each plane, with writes and reads going to it alone. */
function eachPlane(bios: Bios, draw: (plane: number) => void): void {
  const { guest } = bios;
  guest.outIndexed(GRAPHICS, ENABLE_SET, 0);
  guest.outIndexed(GRAPHICS, FUNCTION, 0);
  guest.outIndexed(GRAPHICS, MODE, 0);
  guest.outIndexed(GRAPHICS, BIT_MASK, 0xff);
  for (let plane = 0; plane < PLANES; plane++) {
    guest.outIndexed(SEQUENCER, MAP_MASK, 1 << plane);
    guest.outIndexed(GRAPHICS, READ_MAP, plane);
    draw(plane);
  }
  guest.outIndexed(SEQUENCER, MAP_MASK, 0x0f);
  guest.outIndexed(GRAPHICS, READ_MAP, 0);
}

/** Where a pixel is; undefined beyond the screen. */
function pixelAt(
  mode: Drawing,
  page: number,
  x: number,
  y: number,
): { at: number; shift: number } | undefined {
  if (x >= widthOf(mode) || y >= mode.height) return undefined;
  if (mode.layout === "direct") {
    return { at: lineAddress(mode, page, y) + x * pixelBytes(mode), shift: 0 };
  }
  const bits = mode.layout === "planar" ? 1 : mode.bits;
  const first = x * bits;
  return {
    at: lineAddress(mode, page, y) + (first >> 3),
    shift: 8 - bits - (first & 7),
  };
}

/** 0Ch: write a pixel. */
export function writeDot(
  bios: Bios,
  mode: Drawing,
  page: number,
  x: number,
  y: number,
  colour: number,
): void {
  const { guest } = bios;
  const pixel = pixelAt(mode, page, x, y);
  if (pixel === undefined) return;
  const { at, shift } = pixel;
  if (mode.layout === "direct") {
    const bytes = new Uint8Array(pixelBytes(mode));
    putPixels(mode, colour, bytes);
    return guest.write(at, bytes);
  }
  const flips = (colour & XOR) !== 0 && mode.bits < 8;
  if (mode.layout === "planar") {
    // Write mode 2: the colour's bits go to the planes.
    guest.outIndexed(GRAPHICS, BIT_MASK, 1 << shift);
    guest.outIndexed(GRAPHICS, MODE, 2);
    guest.outIndexed(GRAPHICS, FUNCTION, flips ? FUNCTION_XOR : 0);
    guest.u8(at);
    guest.set8(at, colour & 0x0f);
    guest.outIndexed(GRAPHICS, FUNCTION, 0);
    guest.outIndexed(GRAPHICS, MODE, 0);
    guest.outIndexed(GRAPHICS, BIT_MASK, 0xff);
    return;
  }
  const mask = (1 << mode.bits) - 1;
  const old = guest.u8(at);
  const bits = (colour & mask) << shift;
  guest.set8(at, flips ? old ^ bits : old & ~(mask << shift) | bits);
}

/** 0Dh: read a pixel; 0 beyond the screen. */
export function readDot(
  bios: Bios,
  mode: Drawing,
  page: number,
  x: number,
  y: number,
): number {
  const { guest } = bios;
  const pixel = pixelAt(mode, page, x, y);
  if (pixel === undefined) return 0;
  const { at, shift } = pixel;
  if (mode.layout === "direct") {
    return colourAt(mode, guest.bytes(at, pixelBytes(mode)), 0);
  }
  if (mode.layout !== "planar") {
    return guest.u8(at) >> shift & (1 << mode.bits) - 1;
  }
  let colour = 0;
  eachPlane(bios, (plane) => {
    colour |= (guest.u8(at) >> shift & 1) << plane;
  });
  return colour;
}

/** Fill bytes with pixels of a colour of the sixteen. */
function putPixels(mode: Drawing, colour: number, into: Uint8Array): void {
  const pixel = directColour(mode.bits, colour);
  const size = pixelBytes(mode);
  for (let i = 0; i < into.length; i++) into[i] = pixel >>> 8 * (i % size);
}

/** The colour of the sixteen that a pixel in these bytes has. */
function colourAt(mode: Drawing, bytes: Uint8Array, x: number): number {
  const size = pixelBytes(mode);
  let pixel = 0;
  for (let i = size - 1; i >= 0; i--) pixel = pixel << 8 | bytes[x * size + i];
  return nearestColour(mode.bits, pixel);
}

/** The lines of a character's glyph. */
function glyph(bios: Bios, character: number, height: number): Uint8Array {
  const { guest } = bios;
  const upper = height === 8 && character >= 128;
  const vector = 4 * (upper ? VECTOR_FONT_8 : VECTOR_FONT);
  const at = guest.u16(vector + 2) * 16 + guest.u16(vector) +
    (upper ? character - 128 : character) * height;
  return guest.bytes(at, height);
}

/** A glyph's line in a colour, in the layout's bytes. */
function colourLine(
  mode: Drawing,
  line: number,
  colour: number,
  into: Uint8Array,
): void {
  const { bits } = mode;
  const mask = (1 << bits) - 1;
  into.fill(0);
  if (mode.layout === "direct") {
    const size = pixelBytes(mode);
    for (let i = 0; i < GLYPH_WIDTH; i++) {
      if ((line >> 7 - i & 1) === 0) continue;
      putPixels(mode, colour, into.subarray(i * size, (i + 1) * size));
    }
    return;
  }
  for (let i = 0; i < GLYPH_WIDTH; i++) {
    if ((line >> 7 - i & 1) === 0) continue;
    const first = i * bits;
    into[first >> 3] |= (colour & mask) << 8 - bits - (first & 7);
  }
}

/** Draw a character `count` times from a cell on, as far as the page goes. */
export function drawCells(
  bios: Bios,
  mode: Drawing,
  page: number,
  first: number,
  character: number,
  colour: number,
  count: number,
): void {
  const { guest } = bios;
  const height = cellHeight(bios);
  const room = graphicsRows(bios, mode) * mode.columns - first;
  const length = Math.min(count, room);
  if (length <= 0) return;
  const lines = glyph(bios, character, height);
  const flips = (colour & XOR) !== 0 && mode.bits < 8;
  const width = cellBytes(mode);
  const bytes = new Uint8Array(width);
  const old = new Uint8Array(width);
  const cells = (line: (y: number) => void): void => {
    for (let y = 0; y < height; y++) {
      line(y);
      for (let cell = first; cell < first + length; cell++) {
        const row = Math.floor(cell / mode.columns);
        const at = lineAddress(mode, page, row * height + y) +
          cell % mode.columns * width;
        if (!flips) {
          guest.write(at, bytes);
          continue;
        }
        guest.read(at, old);
        for (let i = 0; i < width; i++) old[i] ^= bytes[i];
        guest.write(at, old);
      }
    }
  };
  if (mode.layout === "planar") {
    eachPlane(bios, (plane) =>
      cells((y) => {
        bytes[0] = (colour >> plane & 1) !== 0 ? lines[y] : 0;
      }));
  } else {
    cells((y) => colourLine(mode, lines[y], colour, bytes));
  }
}

/** 08h: the character whose glyph a cell shows; 0 when it is none. */
export function readCell(
  bios: Bios,
  mode: Drawing,
  page: number,
  row: number,
  column: number,
): number {
  const { guest } = bios;
  const height = cellHeight(bios);
  const width = cellBytes(mode);
  if (column >= mode.columns || row >= graphicsRows(bios, mode)) return 0;
  const seen = new Uint8Array(height);
  const bytes = new Uint8Array(width);
  const look = (): void => {
    for (let y = 0; y < height; y++) {
      const at = lineAddress(mode, page, row * height + y) + column * width;
      guest.read(at, bytes);
      if (mode.layout === "planar") {
        seen[y] |= bytes[0];
        continue;
      }
      const { bits } = mode;
      for (let i = 0; i < GLYPH_WIDTH; i++) {
        if (mode.layout === "direct") {
          if (colourAt(mode, bytes, i) !== 0) seen[y] |= 0x80 >> i;
          continue;
        }
        const at = i * bits;
        const pixel = bytes[at >> 3] >> 8 - bits - (at & 7) & (1 << bits) - 1;
        if (pixel !== 0) seen[y] |= 0x80 >> i;
      }
    }
  };
  if (mode.layout === "planar") eachPlane(bios, look);
  else look();
  for (let character = 0; character < 256; character++) {
    const lines = glyph(bios, character, height);
    if (lines.every((line, y) => line === seen[y])) return character;
  }
  return 0;
}

/** A window of characters; edges are within. */
export interface Window {
  /** First row. */
  readonly top: number;
  /** First column. */
  readonly left: number;
  /** Last row. */
  readonly bottom: number;
  /** Last column. */
  readonly right: number;
}

/** Move the rows of a window by `rows`, up when it is positive; 0 clears it. */
export function scrollPixels(
  bios: Bios,
  mode: Drawing,
  page: number,
  rows: number,
  colour: number,
  window: Window,
): void {
  const { guest } = bios;
  const height = cellHeight(bios);
  const bottom = Math.min(window.bottom, graphicsRows(bios, mode) - 1);
  const right = Math.min(window.right, mode.columns - 1);
  const width = (right - window.left + 1) * cellBytes(mode);
  const lines = (bottom - window.top + 1) * height;
  if (width <= 0 || lines <= 0) return;
  const at = (y: number): number =>
    lineAddress(mode, page, window.top * height + y) +
    window.left * cellBytes(mode);
  const distance = rows * height;
  const clears = rows === 0;
  const bytes = new Uint8Array(width);
  const blank = new Uint8Array(width);
  const move = (): void => {
    for (let i = 0; i < lines; i++) {
      // Up goes from the first line on, down from the last.
      const to = rows >= 0 ? i : lines - 1 - i;
      const from = to + distance;
      if (clears || from < 0 || from >= lines) {
        guest.write(at(to), blank);
      } else {
        guest.read(at(from), bytes);
        guest.write(at(to), bytes);
      }
    }
  };
  if (mode.layout === "planar") {
    eachPlane(bios, (plane) => {
      blank.fill((colour >> plane & 1) * 0xff);
      move();
    });
    return;
  }
  if (mode.layout === "direct") {
    putPixels(mode, colour, blank);
    return move();
  }
  const mask = (1 << mode.bits) - 1;
  // The colour in each pixel of a byte.
  blank.fill((colour & mask) * Math.floor(0xff / mask));
  move();
}
