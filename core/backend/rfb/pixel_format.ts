/**
 * Pixels as a viewer wants them.
 *
 * RFC 6143, 7.4 "Pixel Format Data Structure" and 7.6.2 "SetColorMapEntries".
 *
 * @module
 */

/** How a viewer wants pixels. */
export interface PixelFormat {
  /** Bytes of a pixel: 1, 2 or 4. */
  readonly bytes: 1 | 2 | 4;
  /** Useful bits. */
  readonly depth: number;
  /** The most significant byte comes first. */
  readonly bigEndian: boolean;
  /** Otherwise pixels are numbers of colours in `COLOUR_MAP`. */
  readonly trueColour: boolean;
  /** The greatest value of red, green and blue. */
  readonly max: readonly [number, number, number];
  /** Where in a pixel red, green and blue begin. */
  readonly shift: readonly [number, number, number];
}

/** Bytes of a pixel format in a message. */
export const FORMAT_BYTES = 16;

/** What pictures have: blue, green, red and a byte of nothing. */
export const NATIVE_FORMAT: PixelFormat = {
  bytes: 4,
  depth: 24,
  bigEndian: false,
  trueColour: true,
  max: [255, 255, 255],
  shift: [16, 8, 0],
};

/** Understand a pixel format; undefined when RFB has none such. */
export function parseFormat(view: DataView): PixelFormat | undefined {
  const bits = view.getUint8(0);
  if (bits !== 8 && bits !== 16 && bits !== 32) return undefined;
  const trueColour = view.getUint8(3) !== 0;
  const format: PixelFormat = {
    bytes: bits / 8 as 1 | 2 | 4,
    depth: view.getUint8(1),
    bigEndian: view.getUint8(2) !== 0,
    trueColour,
    max: [view.getUint16(4), view.getUint16(6), view.getUint16(8)],
    shift: [view.getUint8(10), view.getUint8(11), view.getUint8(12)],
  };
  if (trueColour && format.shift.some((shift) => shift >= bits)) {
    return undefined;
  }
  return format;
}

/** A pixel format as it stands in a message. */
export function formatBytes(format: PixelFormat): Uint8Array {
  const bytes = new Uint8Array(FORMAT_BYTES);
  const view = new DataView(bytes.buffer);
  bytes[0] = format.bytes * 8;
  bytes[1] = format.depth;
  bytes[2] = format.bigEndian ? 1 : 0;
  bytes[3] = format.trueColour ? 1 : 0;
  format.max.forEach((max, i) => view.setUint16(4 + 2 * i, max));
  bytes.set(format.shift, 10);
  return bytes;
}

/** Bits of red, green and blue in a colour map's index: 3, 3 and 2. */
const MAP_FORMAT = { max: [7, 7, 3], shift: [5, 2, 0] } as const;

/**
 * The colours for viewers with a colour map: red, green and blue of each, in
 * 16 bits.
 */
export const COLOUR_MAP: readonly (readonly [number, number, number])[] = Array
  .from({ length: 256 }, (_, index) => {
    const part = (i: 0 | 1 | 2): number => {
      const max = MAP_FORMAT.max[i];
      return Math.round(((index >> MAP_FORMAT.shift[i]) & max) * 65535 / max);
    };
    return [part(0), part(1), part(2)] as const;
  });

function swapped(value: number, bytes: number): number {
  if (bytes === 1) return value;
  if (bytes === 2) return (value & 0xff) << 8 | value >>> 8 & 0xff;
  return (value << 24 | (value & 0xff00) << 8 | value >>> 8 & 0xff00 |
    value >>> 24) >>> 0;
}

/** What red, green or blue from 0 to 255 adds to a pixel. */
function table(format: PixelFormat, part: 0 | 1 | 2): Uint32Array {
  const { max, shift } = format.trueColour ? format : MAP_FORMAT;
  const all = format.bytes === 4 ? 0xffffffff : (1 << 8 * format.bytes) - 1;
  return Uint32Array.from({ length: 256 }, (_, value) => {
    // A greater maximum than the pixel has bits loses the highest ones.
    const scaled = Math.round(value * max[part] / 255);
    const pixel = (scaled << shift[part] & all) >>> 0;
    return format.bigEndian ? swapped(pixel, format.bytes) : pixel;
  });
}

/** Makes a viewer's pixels. */
export class PixelConverter {
  /** The viewer's format. */
  readonly format: PixelFormat;
  /**
   * Bytes of a "compressed pixel" (RFC 6143, 7.7.5) and which of a pixel's
   * bytes, in the order in which they are sent, is its first.
   */
  readonly compressed: { readonly bytes: number; readonly first: number };
  /** Pixels are those of the picture, except for its fourth byte. */
  readonly isNative: boolean;
  readonly #red: Uint32Array;
  readonly #green: Uint32Array;
  readonly #blue: Uint32Array;

  /** A converter to a format. */
  constructor(format: PixelFormat) {
    this.format = format;
    this.#red = table(format, 0);
    this.#green = table(format, 1);
    this.#blue = table(format, 2);
    this.compressed = compressedPixel(format);
    this.isNative = format.bytes === 4 && format.trueColour &&
      this.convert(0xff0000) === 0xff0000 && this.convert(0x80) === 0x80 &&
      this.convert(0xff00) === 0xff00;
  }

  /**
   * A pixel of a picture as a number whose lowest byte is sent first, whatever
   * the format's byte order.
   */
  convert(pixel: number): number {
    return (this.#red[pixel >> 16 & 0xff] | this.#green[pixel >> 8 & 0xff] |
      this.#blue[pixel & 0xff]) >>> 0;
  }

  /** Convert `count` pixels from `from`, of which `at` is the first. */
  convertAll(
    from: Uint32Array,
    at: number,
    count: number,
    to: Uint8Array | Uint16Array | Uint32Array,
    toAt: number,
  ): void {
    const red = this.#red;
    const green = this.#green;
    const blue = this.#blue;
    for (let i = 0; i < count; i++) {
      const pixel = from[at + i];
      to[toAt + i] = red[pixel >> 16 & 0xff] | green[pixel >> 8 & 0xff] |
        blue[pixel & 0xff];
    }
  }
}

/** See `PixelConverter.compressed`. */
function compressedPixel(
  format: PixelFormat,
): { bytes: number; first: number } {
  const { bytes, depth, trueColour, bigEndian, max, shift } = format;
  const whole = { bytes, first: 0 };
  if (bytes !== 4 || !trueColour || depth > 24) return whole;
  let bits = 0;
  for (const i of [0, 1, 2] as const) bits |= max[i] << shift[i];
  // Where both would do, the least significant bytes are meant.
  if (bits >>> 24 === 0) return { bytes: 3, first: bigEndian ? 1 : 0 };
  if ((bits & 0xff) === 0) return { bytes: 3, first: bigEndian ? 0 : 1 };
  return whole;
}
