/**
 * INT 10h, 11h: fonts, a program's and those of the ROM, in the font's memory
 * for text and by vectors for graphics.
 *
 * Source: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 10h,
 * (AH) = 11h".
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import { linear } from "./guest.ts";
import { Bda, ROM_BASE, ROM_SEGMENT } from "./layout.ts";
import { Table } from "./rom.ts";
import { currentMode } from "./video_modes.ts";

const SEQUENCER = 0x3c4;
const GRAPHICS = 0x3ce;
/** Where font memory is seen while it is open. */
const FONT_WINDOW = 0xa0000;
/** Bytes of a glyph there, and of a font. */
const GLYPH_BYTES = 32;
const FONT_BYTES = 0x2000;
/** CRT controller: cell height, underline, vertical display end. */
const MAX_SCAN_LINE = 0x09;
const CURSOR_START = 0x0a;
const CURSOR_END = 0x0b;
const DISPLAY_END = 0x12;
/** Scan lines of the screen. */
const LINES = 400;
/** Vectors of the graphics fonts. */
const VECTOR_FONT_8 = 0x1f;
const VECTOR_FONT = 0x43;

/** Where the ROM's fonts are, by their heights. */
const ROM_FONTS = {
  8: Table.FONT_8,
  14: Table.FONT_14,
  16: Table.FONT_16,
} as const;
/** A height that the ROM has a font of. */
type RomHeight = keyof typeof ROM_FONTS;
/** By the low digit of the functions that name a font of the ROM. */
const HEIGHTS: readonly (RomHeight | undefined)[] = [
  ...[undefined, 14, 8, undefined, 16] as const,
];
/** 21h to 24h: rows by BL; 0 is for DL. */
const ROWS: readonly number[] = [0, 14, 25, 43];

/** Load a font of the ROM for text. */
export function loadRomFont(
  bios: Bios,
  height: RomHeight,
  block: number,
): void {
  loadFont(bios, ROM_BASE + ROM_FONTS[height], 256, 0, block, height);
}

/** Let graphics have the font of this height. */
export function setFontVectors(bios: Bios, height: RomHeight): void {
  const upper = Table.FONT_8 + 128 * 8;
  setVector(bios, VECTOR_FONT_8, ROM_SEGMENT, upper);
  setVector(bios, VECTOR_FONT, ROM_SEGMENT, ROM_FONTS[height]);
}

/** 11h. */
export function font(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  const { al, bl, bh } = frame;
  const height = HEIGHTS[al & 0x0f];
  switch (al) {
    case 0x00:
    case 0x10:
      loadFont(bios, linear(frame.es, frame.bp), frame.cx, frame.dx, bl, bh);
      if (al === 0x10) setHeight(bios, bh);
      break;
    case 0x01:
    case 0x02:
    case 0x04:
    case 0x11:
    case 0x12:
    case 0x14:
      if (height === undefined) break;
      loadRomFont(bios, height, bl);
      if (al >= 0x10) setHeight(bios, height);
      break;
    case 0x03:
      guest.outIndexed(SEQUENCER, 3, bl);
      break;
    case 0x20:
      setVector(bios, VECTOR_FONT_8, frame.es, frame.bp);
      break;
    case 0x21:
      setVector(bios, VECTOR_FONT, frame.es, frame.bp);
      describe(bios, frame, frame.cx);
      break;
    case 0x22:
    case 0x23:
    case 0x24: {
      // These are one further than those for text.
      const graphics = ([14, 8, 16] as const)[al - 0x22];
      setVector(bios, VECTOR_FONT, ROM_SEGMENT, ROM_FONTS[graphics]);
      describe(bios, frame, graphics);
      break;
    }
    case 0x30:
      information(bios, frame);
      break;
  }
  return Status.DONE;
}

/** The rows and the height of a graphics font. */
function describe(bios: Bios, frame: Frame, height: number): void {
  const { bl, dl } = frame;
  bios.guest.set8(Bda.ROWS, (bl === 0 ? dl : ROWS[bl] ?? 25) - 1);
  bios.guest.set16(Bda.CHARACTER_HEIGHT, height);
}

function setVector(
  bios: Bios,
  vector: number,
  segment: number,
  offset: number,
): void {
  bios.guest.set16(vector * 4, offset);
  bios.guest.set16(vector * 4 + 2, segment);
}

/** Put glyphs into the font's plane. */
function loadFont(
  bios: Bios,
  at: number,
  count: number,
  first: number,
  block: number,
  height: number,
): void {
  const { guest } = bios;
  if (height === 0 || height > GLYPH_BYTES) return;
  // Plane 2, one address after the other, at A0000h.
  for (const [index, value] of [[2, 4], [4, 6]]) {
    guest.outIndexed(SEQUENCER, index, value);
  }
  for (const [index, value] of [[4, 2], [5, 0], [6, 4]]) {
    guest.outIndexed(GRAPHICS, index, value);
  }
  // Blocks 4 to 7 are between blocks 0 to 3.
  const base = FONT_WINDOW +
    ((block & 3) * 2 + (block >> 2 & 1)) * FONT_BYTES;
  for (let i = 0; i < Math.min(count, 256); i++) {
    const glyph = guest.bytes(at + i * height, height);
    guest.write(base + (first + i & 0xff) * GLYPH_BYTES, glyph);
  }
  const map = currentMode(bios)?.crtc === 0x3b4 ? 0x0a : 0x0e;
  for (const [index, value] of [[2, 3], [4, 2]]) {
    guest.outIndexed(SEQUENCER, index, value);
  }
  for (const [index, value] of [[4, 0], [5, 0x10], [6, map]]) {
    guest.outIndexed(GRAPHICS, index, value);
  }
}

/** Cells of this height: as many rows as the screen then has. */
function setHeight(bios: Bios, height: number): void {
  const { guest } = bios;
  if (height === 0 || height > GLYPH_BYTES) return;
  const crtc = guest.u16(Bda.CRTC);
  guest.out8(crtc, MAX_SCAN_LINE);
  const old = guest.in8(crtc + 1);
  guest.out8(crtc + 1, old & ~0x1f | height - 1);
  const rows = Math.floor(LINES / height);
  guest.outIndexed(crtc, DISPLAY_END, rows * height - 1 & 0xff);
  // An underline of two lines, in high cells with one beneath it.
  const last = height > 8 ? height - 2 : height - 1;
  guest.outIndexed(crtc, CURSOR_START, last - 1);
  guest.outIndexed(crtc, CURSOR_END, last);
  guest.set8(Bda.ROWS, rows - 1);
  guest.set16(Bda.CHARACTER_HEIGHT, height);
  guest.set16(
    Bda.PAGE_BYTES,
    (rows * guest.u16(Bda.COLUMNS) * 2 + 0xff) & ~0xff,
  );
}

/** 30h: where a font is, the height of cells and the last row. */
function information(bios: Bios, frame: Frame): void {
  const { guest } = bios;
  frame.cx = guest.u16(Bda.CHARACTER_HEIGHT);
  frame.dl = guest.u8(Bda.ROWS);
  const at = [
    ...[0, 0, Table.FONT_14, Table.FONT_8, Table.FONT_8 + 128 * 8],
    ...[Table.NO_GLYPHS, Table.FONT_16, Table.NO_GLYPHS],
  ][frame.bh];
  if (at === undefined) return;
  const vector = [VECTOR_FONT_8, VECTOR_FONT][frame.bh];
  frame.bp = vector === undefined ? at : guest.u16(vector * 4);
  frame.es = vector === undefined ? ROM_SEGMENT : guest.u16(vector * 4 + 2);
}
