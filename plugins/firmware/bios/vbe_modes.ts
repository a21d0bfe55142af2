/**
 * The modes of VBE: the numbers that VESA has given, and those of Bochs'
 * display.
 *
 * Sources: VESA BIOS Extension (VBE) Core Functions Standard 3.0, "VBE mode
 * numbers" and "Function 01h"; Bochs' VGA BIOS for numbers from 140h on.
 *
 * @module
 */

import { MODES } from "./video_modes.ts";

/** A mode of VBE. */
export interface VbeMode {
  /** Pixels of a line. */
  readonly width: number;
  /** Lines. */
  readonly height: number;
  /** Bits of a pixel: 4 in planes, 8 by the palette, 15, 16, 24, 32. */
  readonly bits: number;
}

/** Numbers of modes of a size, from the first on, by the bits of a pixel. */
type Family = readonly [
  first: number,
  width: number,
  height: number,
  ...bits: readonly number[],
];

const FAMILIES: readonly Family[] = [
  [0x100, 640, 400, 8],
  [0x101, 640, 480, 8],
  [0x102, 800, 600, 4, 8],
  [0x104, 1024, 768, 4, 8],
  [0x106, 1280, 1024, 4, 8],
  [0x10d, 320, 200, 15, 16, 24],
  [0x110, 640, 480, 15, 16, 24],
  [0x113, 800, 600, 15, 16, 24],
  [0x116, 1024, 768, 15, 16, 24],
  [0x119, 1280, 1024, 15, 16, 24],
  [0x11c, 1600, 1200, 8, 15, 16, 24],
  [0x140, 320, 200, 32],
  [0x141, 640, 400, 32],
  [0x142, 640, 480, 32],
  [0x143, 800, 600, 32],
  [0x144, 1024, 768, 32],
  [0x145, 1280, 1024, 32],
  [0x146, 320, 200, 8],
  [0x147, 1600, 1200, 32],
  [0x148, 1152, 864, 8, 15, 16, 24, 32],
  [0x175, 1280, 768, 16, 24, 32],
  [0x178, 1280, 800, 16, 24, 32],
  [0x17b, 1280, 960, 16, 24, 32],
  [0x17e, 1440, 900, 16, 24, 32],
  [0x181, 1400, 1050, 16, 24, 32],
  [0x184, 1680, 1050, 16, 24, 32],
  [0x187, 1920, 1200, 16, 24, 32],
  [0x18a, 2560, 1600, 16, 24, 32],
  [0x18d, 1280, 720, 16, 24, 32],
  [0x190, 1920, 1080, 16, 24, 32],
  [0x193, 1600, 900, 16, 24, 32],
  [0x196, 2560, 1440, 16, 24, 32],
  [0x199, 3840, 2160, 16, 24, 32],
];

/** The modes by number. */
export const VBE_MODES: ReadonlyMap<number, VbeMode> = new Map(
  FAMILIES.flatMap(([first, width, height, ...bits]) =>
    bits.map((n, i) => [first + i, { width, height, bits: n }] as const)
  ),
);

/** Bytes of a line, in the CPU's addresses. */
export function lineBytes({ width, bits }: VbeMode): number {
  // Planes lie one behind the other.
  return bits === 4 ? width / 8 : width * Math.ceil(bits / 8);
}

/** Bytes of a picture in the frame buffer. */
export function pictureBytes(mode: VbeMode): number {
  const plane = lineBytes(mode) * mode.height;
  return mode.bits === 4 ? 4 * plane : plane;
}

/** Bytes of the block that describes a mode. */
const INFO_BYTES = 256;
const KIB64 = 0x10000;
/** The window: it can be moved, read and written. */
const WINDOW = 0x07;
const WINDOW_KIB = 64;
/** The most pages that are told. */
const MAX_PAGES = 128;
/** Attributes: it is there; a colour mode; text of the BIOS; graphics; linear. */
const THERE = 0x03;
const TELETYPE = 0x04;
const COLOUR = 0x08;
const GRAPHICS = 0x10;
/** No registers of the VGA that programs would have to change. */
const NOT_VGA = 0x20;
const LINEAR = 0x80;
/** Memory models. */
const Model = { TEXT: 0, CGA: 1, PLANAR: 3, PACKED: 4, DIRECT: 6 } as const;
/** Sizes and places of red, green, blue and what is left, by depth. */
const MASKS: ReadonlyMap<number, readonly number[]> = new Map([
  [15, [5, 10, 5, 5, 5, 0, 1, 15]],
  [16, [5, 11, 6, 5, 5, 0, 0, 0]],
  [24, [8, 16, 8, 8, 8, 0, 0, 0]],
  [32, [8, 16, 8, 8, 8, 0, 8, 24]],
]);
/** Direct colour: programs may use what is left of a pixel. */
const RESERVED_USABLE = 0x02;

/** What is told of a mode. */
interface Description {
  readonly attributes: number;
  /** The segment of the window. */
  readonly segment: number;
  readonly line: number;
  readonly width: number;
  readonly height: number;
  readonly cell: readonly [width: number, height: number];
  readonly planes: number;
  readonly bits: number;
  readonly banks: number;
  readonly model: number;
  readonly bankKib: number;
  /** Pages beside the first. */
  readonly pages: number;
}

function pages(bytes: number, memory: number): number {
  const each = Math.ceil(bytes / KIB64) * KIB64;
  return Math.max(0, Math.min(Math.floor(memory / each), MAX_PAGES) - 1);
}

function describeVbe(mode: VbeMode, memory: number): Description {
  const { width, height, bits } = mode;
  const planar = bits === 4;
  const line = lineBytes(mode);
  return {
    attributes: THERE | COLOUR | GRAPHICS | NOT_VGA | (planar ? 0 : LINEAR),
    segment: 0xa000,
    line,
    width,
    height,
    cell: [8, 16],
    planes: planar ? 4 : 1,
    bits,
    banks: 1,
    model: planar ? Model.PLANAR : bits === 8 ? Model.PACKED : Model.DIRECT,
    bankKib: 0,
    pages: planar
      ? pages(4 * Math.ceil(line * height / KIB64) * KIB64, memory)
      : pages(line * height, memory),
  };
}

/** A mode of the VGA; undefined when there is none of this number. */
function describeVga(number: number, memory: number): Description | undefined {
  const mode = MODES.get(number);
  if (mode === undefined) return undefined;
  const { layout, columns, height, bits, base, cell } = mode;
  const isText = layout === "text";
  const mono = isText && mode.colours === "mono";
  const cga = layout === "cga";
  const planar = layout === "planar";
  const graphics = GRAPHICS | (layout === "packed" ? LINEAR : 0);
  return {
    attributes: THERE | NOT_VGA | (mono ? 0 : COLOUR) |
      (isText ? TELETYPE : graphics),
    segment: base >> 4,
    line: isText ? 2 * columns : planar ? columns : columns * bits,
    width: isText ? columns : 8 * columns,
    height: isText ? height / cell : height,
    cell: [isText ? 9 : 8, cell],
    planes: planar ? 4 : 1,
    bits,
    banks: cga ? 2 : 1,
    model: {
      text: Model.TEXT,
      cga: Model.CGA,
      planar: Model.PLANAR,
      packed: Model.PACKED,
    }[layout],
    bankKib: cga ? 8 : 0,
    pages: isText ? 0 : cga ? 1 : pages(planar ? 4 * KIB64 : KIB64, memory),
  };
}

/**
 * The block that 4F01h gives; undefined when there is no such mode in so many
 * bytes of video memory.
 */
export function modeInformation(
  number: number,
  memory: number,
  frameBuffer: number,
  windowFunction: number,
): Uint8Array | undefined {
  const vbe = VBE_MODES.get(number);
  if (vbe !== undefined && pictureBytes(vbe) > memory) return undefined;
  const mode = vbe === undefined
    ? describeVga(number, memory)
    : describeVbe(vbe, memory);
  if (mode === undefined) return undefined;
  const bytes = new Uint8Array(INFO_BYTES);
  const view = new DataView(bytes.buffer);
  const word = (at: number, value: number): void =>
    view.setUint16(at, value, true);
  word(0x00, mode.attributes);
  bytes[0x02] = WINDOW;
  word(0x04, WINDOW_KIB);
  word(0x06, WINDOW_KIB);
  word(0x08, mode.segment);
  view.setUint32(0x0c, windowFunction, true);
  word(0x10, mode.line);
  word(0x12, mode.width);
  word(0x14, mode.height);
  bytes.set(mode.cell, 0x16);
  bytes[0x18] = mode.planes;
  bytes[0x19] = mode.bits;
  bytes[0x1a] = mode.banks;
  bytes[0x1b] = mode.model;
  bytes[0x1c] = mode.bankKib;
  bytes[0x1d] = mode.pages;
  bytes[0x1e] = 1;
  const masks = mode.model === Model.DIRECT ? MASKS.get(mode.bits) : undefined;
  if (masks !== undefined) {
    bytes.set(masks, 0x1f);
    bytes.set(masks, 0x36);
    if (mode.bits === 32) bytes[0x27] = RESERVED_USABLE;
  }
  if ((mode.attributes & LINEAR) !== 0) {
    view.setUint32(0x28, frameBuffer, true);
    word(0x32, mode.line);
  }
  return bytes;
}
