/**
 * What follows from the CRT controller's registers: where the beam is, and what
 * the text mode shows.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "CRT controller registers";
 * FreeVGA, "CRTC registers" and "VGA text mode operation".
 *
 * @module
 */

import type { TextCursor, TextScreen } from "../../../core/backend/display.ts";
import { SECOND } from "../../../core/time/clock.ts";
import { CP437 } from "./cp437.ts";
import { dispiView, isVbe } from "./vbe.ts";
import type { VgaState, VideoMemory } from "./vga_state.ts";

/** Dot clocks by the miscellaneous output's bits 2 and 3, in hertz. */
const DOT_CLOCKS = [25_175_000, 28_322_000, 25_175_000, 25_175_000] as const;

/** Input status 1: no display now; vertical retrace. */
const STATUS_NO_DISPLAY = 0x01;
const STATUS_RETRACE = 0x08;

/** Mode control (AR10): what is below a split is not panned. */
export const AR10_PAN_COMPATIBLE = 0x20;

/** A register's ten bits: its own eight, and two elsewhere. */
function ten(low: number, bit8: number, bit9: number): number {
  return low | (bit8 !== 0 ? 0x100 : 0) | (bit9 !== 0 ? 0x200 : 0);
}

/** Scan lines that are shown. */
export function shownLines(crtc: Uint8Array): number {
  return ten(crtc[0x12], crtc[7] & 0x02, crtc[7] & 0x40) + 1;
}

/** Characters of a line, lines of a picture, nanoseconds of a character. */
function timing(
  { crtc, seq, misc }: VgaState,
): { characters: number; lines: number; characterNs: number } {
  const dots = (seq[1] & 1) !== 0 ? 8 : 9;
  const halved = (seq[1] & 8) !== 0 ? 2 : 1;
  return {
    characters: crtc[0] + 5,
    lines: ten(crtc[6], crtc[7] & 0x01, crtc[7] & 0x20) + 2,
    characterNs: dots * halved * SECOND / DOT_CLOCKS[misc >> 2 & 3],
  };
}

/** Bits 0 and 3 of input status 1 at this virtual time. */
export function beamStatus(state: VgaState, now: number): number {
  const { crtc } = state;
  const { characters, lines, characterNs } = timing(state);
  const position = now % (characterNs * characters * lines) / characterNs;
  const line = Math.floor(position / characters);
  const character = position % characters;
  let status = 0;
  if (character >= crtc[1] + 1 || line >= shownLines(crtc)) {
    status |= STATUS_NO_DISPLAY;
  }
  // It ends when the line's low four bits are those of the register.
  const start = ten(crtc[0x10], crtc[7] & 0x04, crtc[7] & 0x80);
  const length = (crtc[0x11] - start & 15) || 16;
  if (line >= start && line < start + length) status |= STATUS_RETRACE;
  return status;
}

/** The line after which the screen is split. */
export function lineCompare(crtc: Uint8Array): number {
  return ten(crtc[0x18], crtc[7] & 0x10, crtc[9] & 0x40);
}

/** Clocks of a character that lines skip (CR8). */
export function bytePan(crtc: Uint8Array): number {
  return crtc[8] >> 5 & 3;
}

/** Where the cursor is: its skew (CR0B) moves it to the right. */
export function cursorAddress(crtc: Uint8Array): number {
  return (crtc[0x0e] << 8 | crtc[0x0f]) + (crtc[0x0b] >> 5 & 3) & 0xffff;
}

/** How long a picture takes, in nanoseconds of virtual time. */
export function frameTime(state: VgaState): number {
  const { lines, characters, characterNs } = timing(state);
  return lines * characters * characterNs;
}

/** The address in the planes, from the CRT controller's counter. */
export function planeCounter(crtc: Uint8Array, counter: number): number {
  if ((crtc[0x14] & 0x40) !== 0) return counter << 2 & 0xfffc | counter >> 14;
  if ((crtc[0x17] & 0x40) !== 0) return counter;
  const wrapped = (crtc[0x17] & 0x20) !== 0 ? counter >> 15 : counter >> 13;
  return counter << 1 & 0xfffe | wrapped & 1;
}

/** What there is to be seen. */
export type Content = "nothing" | "text" | "graphics" | "vbe";

/** What there is to be seen. */
export function content(state: VgaState): Content {
  const { enabled, seq, gfx, attr, attrIndex } = state;
  if (!enabled || (attrIndex & 0x20) === 0) return "nothing";
  if (isVbe(state)) return "vbe";
  // The sequencer runs, and the screen is not off.
  if ((seq[0] & 3) !== 3 || (seq[1] & 0x20) !== 0) return "nothing";
  return (gfx[6] & 1) !== 0 || (attr[0x10] & 1) !== 0 ? "graphics" : "text";
}

/** The mode of the screen. */
export type VgaMode = {
  /** What there is to be seen. */
  readonly content: Content;
  /** Dots in a line. */
  readonly width: number;
  /** Scan lines. */
  readonly height: number;
  /** Bits a dot; 0 for text. */
  readonly depth: number;
};

/** The present mode. */
export function modeOf(state: VgaState): VgaMode {
  const { crtc, gfx, seq } = state;
  const kind = content(state);
  if (kind === "vbe") {
    const { width, height, depth } = dispiView(state);
    return { content: kind, width, height, depth };
  }
  if (kind === "nothing") {
    return { content: kind, width: 0, height: 0, depth: 0 };
  }
  const characters = crtc[1] + 1;
  const height = shownLines(crtc);
  const isWide = (gfx[5] & 0x40) !== 0;
  return kind === "text"
    ? {
      content: kind,
      width: characters * ((seq[1] & 1) === 0 ? 9 : 8),
      height,
      depth: 0,
    }
    : {
      content: kind,
      width: characters * (isWide ? 4 : 8),
      height,
      depth: isWide ? 8 : 4,
    };
}

/** What the text mode shows; undefined in graphics modes and without a picture. */
export function textScreen(
  state: VgaState,
  { words }: VideoMemory,
): TextScreen | undefined {
  if (content(state) !== "text") return undefined;
  const { crtc, attr } = state;
  const cellHeight = (crtc[9] & 0x1f) + 1;
  // Each line is shown twice.
  const rowLines = (crtc[9] & 0x80) !== 0 ? 2 * cellHeight : cellHeight;
  const columns = crtc[1] + 1;
  const rows = Math.max(1, Math.floor(shownLines(crtc) / rowLines));
  const skipped = bytePan(crtc);
  const start = (crtc[0x0c] << 8 | crtc[0x0d]) + skipped & 0xffff;
  const cursorAt = cursorAddress(crtc);
  // The lower part of a split screen begins at address 0.
  const split = lineCompare(crtc);
  const splitStart = (attr[0x10] & AR10_PAN_COMPATIBLE) !== 0 ? 0 : skipped;
  const blink = (attr[0x10] & 0x08) !== 0;
  const characters = new Uint16Array(columns * rows);
  const colours = new Uint8Array(columns * rows);
  let cursor: TextCursor | undefined;
  let base = start;
  let below = false;
  for (let row = 0; row < rows; row++) {
    if (!below && row * rowLines > split) {
      below = true;
      base = splitStart;
    }
    for (let column = 0; column < columns; column++) {
      const counter = base + column & 0xffff;
      const word = words[planeCounter(crtc, counter)];
      const cell = row * columns + column;
      characters[cell] = CP437[word & 0xff];
      colours[cell] = word >> 8 & (blink ? 0x7f : 0xff);
      if (counter === cursorAt) cursor = cursorShape(crtc, row, column);
    }
    base += 2 * crtc[0x13];
  }
  return { columns, rows, cellHeight, characters, colours, cursor, start };
}

function cursorShape(
  crtc: Uint8Array,
  row: number,
  column: number,
): TextCursor | undefined {
  const [top, bottom] = [crtc[0x0a] & 0x1f, crtc[0x0b] & 0x1f];
  const off = (crtc[0x0a] & 0x20) !== 0 || top > bottom;
  return off ? undefined : { row, column, top, bottom };
}
