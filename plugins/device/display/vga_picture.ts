/**
 * What a monitor at the VGA shows, dot by dot: text, planes of bits, pairs of
 * bits as the CGA has them, 256 colours, and the modes of the Bochs VBE.
 *
 * A picture has the dots of the full dot clock and all scan lines: where the
 * clock is halved or lines are doubled, so are the pixels.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Video subsystem"; FreeVGA,
 * "CRTC registers", "Attribute controller registers", "VGA text mode operation".
 *
 * @module
 */

import type { Canvas } from "../../../core/backend/canvas.ts";
import {
  AR10_PAN_COMPATIBLE,
  bytePan,
  content,
  cursorAddress,
  frameTime,
  lineCompare,
  planeCounter,
  shownLines,
} from "./vga_crtc.ts";
import { type DispiView, dispiView, hasWideDac } from "./vbe.ts";
import type { VgaState, VideoMemory } from "./vga_state.ts";

/** Pictures in which the cursor is there, and then is not; text twice as long. */
const CURSOR_FRAMES = 8;
const TEXT_FRAMES = 16;
/** A picture takes at least a millisecond, whatever the registers say. */
const MIN_FRAME_NS = 1_000_000;
/** Mode control (AR10). */
const AR10_MONO = 0x02;
const AR10_LINE_GRAPHICS = 0x04;
const AR10_BLINK = 0x08;
const AR10_P54S = 0x80;
/** Graphics mode (GR5): pairs of bits, 256 colours. */
const GR5_PAIRS = 0x20;
const GR5_256 = 0x40;
/** Dots of a character's clock in graphics modes. */
const CLOCK_DOTS = 8;
/** Words of a font's glyph, and of the plane's parts that fonts are in. */
const GLYPH = 32;
const FONT = 0x2000;

/** A byte's bits, bit 7 in the highest four bits, each in a bit 0 of four. */
const SPREAD: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let word = 0;
  for (let i = 0; i < 8; i++) if (byte >> i & 1) word |= 1 << 4 * i;
  return word >>> 0;
});

/** Draws pictures; keeps nothing but room for a line. */
export class VgaPainter {
  readonly #memory: VideoMemory;
  readonly #canvas: Canvas;
  #line = new Uint32Array(0);
  /** Colours by the attribute controller's four bits, and by eight. */
  readonly #sixteen = new Uint32Array(16);
  readonly #colours = new Uint32Array(256);
  /** Whether something in the last picture blinks, and how fast. */
  #blinkNs = Infinity;

  /** Draws what is in `memory`. */
  constructor(memory: VideoMemory, canvas: Canvas) {
    this.#memory = memory;
    this.#canvas = canvas;
  }

  /** When the last picture changes by itself: a time after `now`, or never. */
  nextBlink(now: number): number {
    const half = this.#blinkNs;
    return half === Infinity ? half : (Math.floor(now / half) + 1) * half;
  }

  /** Draw the picture at a virtual time. */
  paint(state: VgaState, now: number): void {
    this.#blinkNs = Infinity;
    const what = content(state);
    if (what !== "nothing") this.#setColours(state);
    switch (what) {
      case "nothing":
        this.#paintNothing();
        break;
      case "vbe":
        this.#paintVbe(state);
        break;
      default:
        this.#paintLines(state, what === "text", now);
    }
    this.#canvas.end();
  }

  #paintNothing(): void {
    const { width, height } = this.#canvas;
    this.#canvas.begin(width, height);
    const line = this.#room(width).fill(0, 0, width);
    for (let y = 0; y < height; y++) this.#canvas.put(y, line, 0);
  }

  #room(pixels: number): Uint32Array {
    if (this.#line.length < pixels) this.#line = new Uint32Array(pixels);
    return this.#line;
  }

  #setColours(state: VgaState): void {
    const { attr, dac, pelMask } = state;
    const wide = hasWideDac(state);
    // Six bits are made eight as in QEMU, so that pictures can be compared.
    const level = (value: number): number =>
      wide ? value : value << 2 & 0xfc | (value & 1) * 3;
    for (let i = 0; i < 256; i++) {
      const at = 3 * (i & pelMask);
      this.#colours[i] = level(dac[at]) << 16 | level(dac[at + 1]) << 8 |
        level(dac[at + 2]);
    }
    const select = attr[0x14];
    for (let i = 0; i < 16; i++) {
      const own = attr[i & attr[0x12]] & 0x3f;
      const low = (attr[0x10] & AR10_P54S) !== 0
        ? own & 0x0f | (select & 3) << 4
        : own;
      this.#sixteen[i] = this.#colours[low | (select & 0x0c) << 4];
    }
  }

  /** Text and graphics of the VGA: what the CRT controller counts. */
  #paintLines(state: VgaState, isText: boolean, now: number): void {
    const { crtc, seq, gfx, attr } = state;
    const columns = crtc[1] + 1;
    const cell = isText && (seq[1] & 1) === 0 ? 9 : 8;
    const dots = (seq[1] & 8) !== 0 ? 2 : 1;
    const width = columns * cell * dots;
    const height = shownLines(crtc);
    const canvas = this.#canvas;
    canvas.begin(width, height);
    // A column more is fetched where the dots are panned.
    const line = this.#room(width + cell * dots);
    const lastScan = crtc[9] & 0x1f;
    const isDoubled = (crtc[9] & 0x80) !== 0;
    const split = lineCompare(crtc);
    const text = isText ? new TextLook(state, now) : undefined;
    const clock = (gfx[5] & GR5_256) !== 0
      ? four
      : (gfx[5] & GR5_PAIRS) !== 0
      ? pairs
      : eight;
    const colours = clock === four ? this.#colours : this.#sixteen;
    // CR8: bytes and rows that are skipped; AR13: dots.
    const skipped = bytePan(crtc);
    let row = (crtc[0x0c] << 8 | crtc[0x0d]) + skipped & 0xffff;
    let scan = crtc[8] & 0x1f;
    let pan = panned(attr[0x13] & 15, cell) * dots;
    let isSecond = false;
    let drawn = -1;
    for (let y = 0; y < height; y++) {
      const key = row << 5 | scan;
      if (key !== drawn) {
        if (text !== undefined) {
          this.#drawText(state, text, row, scan, columns + 1, cell);
        } else {this.#drawGraphics(
            state,
            clock,
            colours,
            row,
            scan,
            columns + 1,
          );}
        if (dots === 2) doubleDots(line, (columns + 1) * cell);
        drawn = key;
      }
      canvas.put(y, line, pan);
      if (y === split) {
        // The lower part begins at address 0, and may have no panning.
        const isApart = (attr[0x10] & AR10_PAN_COMPATIBLE) !== 0;
        row = isApart ? 0 : skipped;
        scan = 0;
        isSecond = false;
        if (isApart) pan = 0;
        drawn = -1;
      } else if (isDoubled && !isSecond) {
        isSecond = true;
      } else {
        isSecond = false;
        if (scan === lastScan) {
          scan = 0;
          row = row + 2 * crtc[0x13] & 0xffff;
        } else {
          scan = scan + 1 & 0x1f;
        }
      }
    }
    if (text !== undefined) this.#blinkNs = text.blinkNs;
  }

  #drawText(
    { crtc, attr }: VgaState,
    text: TextLook,
    start: number,
    scan: number,
    columns: number,
    cell: number,
  ): void {
    const { words } = this.#memory;
    const line = this.#line;
    const sixteen = this.#sixteen;
    const mode = attr[0x10];
    const isUnderline = (mode & AR10_MONO) !== 0 &&
      scan === (crtc[0x14] & 0x1f);
    const isCursorLine = scan >= text.cursorTop && scan <= text.cursorBottom;
    let x = 0;
    for (let column = 0; column < columns; column++) {
      const counter = start + column & 0xffff;
      const word = words[lineAddress(crtc, counter, scan)];
      const character = word & 0xff;
      let attribute = word >> 8 & 0xff;
      const font = (attribute & 8) !== 0 ? text.fontA : text.fontB;
      let glyph = words[font + character * GLYPH + scan] >> 16 & 0xff;
      if (isUnderline && (attribute & 0x77) === 0x01) glyph = 0x1ff;
      if ((mode & AR10_BLINK) !== 0 && (attribute & 0x80) !== 0) {
        attribute &= 0x7f;
        text.blinks(2);
        if (!text.isTextOn) glyph = 0;
      }
      if (isCursorLine && counter === text.cursor) {
        text.blinks(1);
        if (text.isCursorOn) glyph = 0x1ff;
      }
      const ink = sixteen[attribute & 15];
      const paper = sixteen[attribute >> 4];
      for (let bit = 7; bit >= 0; bit--) {
        line[x++] = (glyph >> bit & 1) !== 0 ? ink : paper;
      }
      if (cell === 9) {
        // Lines and corners reach the next cell.
        const joins = (mode & AR10_LINE_GRAPHICS) !== 0 &&
          character >= 0xc0 && character <= 0xdf;
        const isInk = glyph === 0x1ff || joins && (glyph & 1) !== 0;
        line[x++] = isInk ? ink : paper;
      }
    }
  }

  /** Graphics: of each clock of a character, the four planes' bytes make dots. */
  #drawGraphics(
    { crtc }: VgaState,
    clock: Clock,
    colours: Uint32Array,
    start: number,
    scan: number,
    columns: number,
  ): void {
    const { words } = this.#memory;
    const line = this.#line;
    for (let column = 0; column < columns; column++) {
      const counter = start + column & 0xffff;
      const word = words[lineAddress(crtc, counter, scan)];
      clock(word, colours, line, CLOCK_DOTS * column);
    }
  }

  #paintVbe(state: VgaState): void {
    const view = dispiView(state);
    const { width, height, depth, pitch, top, left } = view;
    const canvas = this.#canvas;
    canvas.begin(width, height);
    const line = this.#room(width + 8);
    const pan = depth === 4 ? left & 7 : 0;
    for (let y = 0; y < height; y++) {
      this.#drawVbe(view, (top + y) * pitch);
      canvas.put(y, line, pan);
    }
  }

  /** A line of a mode of the VBE, that begins at a byte. */
  #drawVbe({ width, depth, left }: DispiView, start: number): void {
    const { bytes, halves, words } = this.#memory;
    const line = this.#line;
    const colours = this.#colours;
    switch (depth) {
      case 4: {
        const at = (start >> 2) + (left >> 3);
        for (let i = 0; i <= width >> 3; i++) {
          eight(words[at + i], this.#sixteen, line, CLOCK_DOTS * i);
        }
        return;
      }
      case 8:
        for (let x = 0, at = start + left; x < width; x++, at++) {
          line[x] = colours[bytes[at]];
        }
        return;
      case 15:
        for (let x = 0, at = (start >> 1) + left; x < width; x++, at++) {
          const v = halves[at];
          line[x] = five(v >> 10) << 16 | five(v >> 5) << 8 | five(v);
        }
        return;
      case 16:
        for (let x = 0, at = (start >> 1) + left; x < width; x++, at++) {
          const v = halves[at];
          const green = v >> 5 & 0x3f;
          line[x] = five(v >> 11) << 16 | (green << 2 | green >> 4) << 8 |
            five(v);
        }
        return;
      case 24:
        for (let x = 0, at = start + 3 * left; x < width; x++, at += 3) {
          line[x] = bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16;
        }
        return;
      default:
        for (let x = 0, at = (start >> 2) + left; x < width; x++, at++) {
          line[x] = words[at] & 0xffffff;
        }
    }
  }
}

/** Puts the dots of the four planes' bytes into a line, from `x` on. */
type Clock = (
  word: number,
  colours: Uint32Array,
  line: Uint32Array,
  x: number,
) => void;

/** Eight pixels of 16 colours: a bit of each plane, or of fewer (AR12). */
const eight: Clock = (word, colours, line, x) => {
  const nibbles = SPREAD[word & 0xff] | SPREAD[word >> 8 & 0xff] << 1 |
    SPREAD[word >> 16 & 0xff] << 2 | SPREAD[word >>> 24] << 3;
  for (let i = 28; i >= 0; i -= 4) line[x++] = colours[nibbles >>> i & 15];
};

/** As the CGA has four colours: pairs of bits, of two planes one after another. */
const pairs: Clock = (word, colours, line, x) => {
  for (let plane = 0; plane < 16; plane += 8) {
    const low = word >> plane & 0xff;
    const high = word >>> plane + 16 & 0xff;
    for (let bit = 6; bit >= 0; bit -= 2) {
      line[x++] = colours[low >> bit & 3 | (high >> bit & 3) << 2];
    }
  }
};

/** A byte of each plane is a pixel of 256 colours, for two dots. */
const four: Clock = (word, colours, line, x) => {
  for (let shift = 0; shift < 32; shift += 8) {
    const colour = colours[word >>> shift & 0xff];
    line[x++] = colour;
    line[x++] = colour;
  }
};

/** A level of five bits as one of eight. */
function five(value: number): number {
  return (value & 31) << 3 | (value & 31) >> 2;
}

/** Dots that the pel panning register skips; 9-dot cells begin at 8. */
function panned(register: number, cell: number): number {
  if (cell === 9) return register >= 8 ? 0 : register + 1;
  return register & 7;
}

/** Each of the first `count` dots twice. */
function doubleDots(line: Uint32Array, count: number): void {
  for (let x = count - 1; x >= 0; x--) {
    line[2 * x] = line[2 * x + 1] = line[x];
  }
}

/**
 * The address of a character's clock in the planes. As on the CGA and on the
 * Hercules card, lines of a row may be in different parts of the memory.
 */
function lineAddress(
  crtc: Uint8Array,
  counter: number,
  scan: number,
): number {
  let address = planeCounter(crtc, counter);
  if ((crtc[0x17] & 1) === 0) address = address & ~0x2000 | (scan & 1) << 13;
  if ((crtc[0x17] & 2) === 0) address = address & ~0x4000 | (scan & 2) << 13;
  return address;
}

/** What is the same in all lines of text. */
class TextLook {
  /** Words at which the fonts begin: of attributes with bit 3, and without. */
  readonly fontA: number;
  readonly fontB: number;
  /** The cursor's address, and its lines in the cell; none when it is off. */
  readonly cursor: number;
  readonly cursorTop: number;
  readonly cursorBottom: number;
  readonly isCursorOn: boolean;
  readonly isTextOn: boolean;
  /** The time between two changes of what blinks here; endless at first. */
  blinkNs = Infinity;
  readonly #cursorNs: number;

  constructor(state: VgaState, now: number) {
    const { crtc, seq } = state;
    const map = seq[3];
    this.fontA = FONT * (map >> 5 & 1 | map >> 1 & 6);
    this.fontB = FONT * (map >> 4 & 1 | map << 1 & 6);
    this.cursor = cursorAddress(crtc);
    this.cursorTop = (crtc[0x0a] & 0x20) !== 0 ? 32 : crtc[0x0a] & 0x1f;
    this.cursorBottom = crtc[0x0b] & 0x1f;
    const frame = Math.max(frameTime(state), MIN_FRAME_NS);
    this.#cursorNs = Math.round(frame * CURSOR_FRAMES);
    const phase = (ns: number): boolean => (Math.floor(now / ns) & 1) === 0;
    this.isCursorOn = phase(this.#cursorNs);
    this.isTextOn = phase(this.#cursorNs * (TEXT_FRAMES / CURSOR_FRAMES));
  }

  /** Something blinks, every so many phases of the cursor. */
  blinks(phases: number): void {
    this.blinkNs = Math.min(this.blinkNs, phases * this.#cursorNs);
  }
}
