/**
 * INT 10h, 11h: fonts. The height of a cell follows from the font that is
 * loaded; the ROM has no glyphs of its own, so that only a program's own reach
 * the font's memory, and tables of the ROM's fonts are empty.
 *
 * Source: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 10h,
 * (AH) = 11h".
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import { linear } from "./guest.ts";
import { Bda, ROM_SEGMENT } from "./layout.ts";
import { Table } from "./rom.ts";

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

/** 11h. */
export function font(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  switch (frame.al) {
    case 0x00:
    case 0x10:
      loadFont(
        bios,
        linear(frame.es, frame.bp),
        frame.cx,
        frame.dx,
        frame.bl,
        frame.bh,
      );
      if (frame.al === 0x10) setHeight(bios, frame.bh);
      break;
    case 0x11:
      setHeight(bios, 14);
      break;
    case 0x12:
      setHeight(bios, 8);
      break;
    case 0x14:
      setHeight(bios, 16);
      break;
    case 0x03:
      guest.outIndexed(SEQUENCER, 3, frame.bl);
      break;
    case 0x20:
      setVector(bios, VECTOR_FONT_8, frame.es, frame.bp);
      break;
    case 0x21:
      setVector(bios, VECTOR_FONT, frame.es, frame.bp);
      break;
    case 0x30:
      information(bios, frame);
      break;
  }
  return Status.DONE;
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
  const map = guest.u16(Bda.CRTC) === 0x3b4 ? 0x0a : 0x0e;
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
  guest.outIndexed(crtc, CURSOR_START, height - 2);
  guest.outIndexed(crtc, CURSOR_END, height - 1);
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
  const vector = [VECTOR_FONT_8, VECTOR_FONT][frame.bh];
  if (vector !== undefined) {
    frame.bp = guest.u16(vector * 4);
    frame.es = guest.u16(vector * 4 + 2);
    return;
  }
  frame.es = ROM_SEGMENT;
  frame.bp = Table.FONT;
}
