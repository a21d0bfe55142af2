/**
 * Rectangles of the screen in the encoding and the pixel format that a viewer
 * wants.
 *
 * RFC 6143, 7.7; "Zlib Encoding" of the RFB protocol's community version. Zlib
 * and ZRLE have a stream each, which goes on from rectangle to rectangle.
 *
 * @module
 */

import type { Rectangle } from "../display.ts";
import { ByteSink } from "./byte_sink.ts";
import type { PixelConverter } from "./pixel_format.ts";
import type { Surface } from "./surface.ts";
import { ZlibStream } from "./zlib_stream.ts";
import { TILE, ZrleTiles } from "./zrle.ts";

/** The encodings of pixels that there are, by their numbers. */
export const Encoding = { raw: 0, zlib: 6, zrle: 16 } as const;
/** An encoding of pixels. */
export type PixelEncoding = typeof Encoding[keyof typeof Encoding];

/** About as many pixels as one rectangle has: what is held in memory at once. */
const BAND_PIXELS = 1 << 16;

/** A rectangle as rectangles of bounded size, from top to bottom. */
export function bands(area: Rectangle): Rectangle[] {
  const rows = Math.max(1, Math.round(BAND_PIXELS / area.width / TILE)) * TILE;
  const all: Rectangle[] = [];
  const bottom = area.y + area.height;
  for (let y = area.y; y < bottom; y += rows) {
    all.push({ ...area, y, height: Math.min(rows, bottom - y) });
  }
  return all;
}

/** Encodes one viewer's rectangles. */
export class Encoder {
  readonly #tiles = new ZrleTiles();
  readonly #scratch = new ByteSink();
  #zlib: ZlibStream | undefined;
  #zrle: ZlibStream | undefined;

  /** Add a rectangle's pixels to what is sent. One call at a time. */
  async encode(
    sink: ByteSink,
    surface: Surface,
    area: Rectangle,
    encoding: PixelEncoding,
    converter: PixelConverter,
  ): Promise<void> {
    if (encoding === Encoding.raw) {
      return raw(sink, surface, area, converter);
    }
    const scratch = this.#scratch;
    scratch.truncate(0);
    let stream: ZlibStream;
    if (encoding === Encoding.zlib) {
      raw(scratch, surface, area, converter);
      stream = this.#zlib ??= new ZlibStream();
    } else {
      this.#tiles.write(scratch, surface, area, converter);
      stream = this.#zrle ??= new ZlibStream();
    }
    const parts = await stream.compress(scratch.bytes);
    sink.u32(parts.reduce((sum, part) => sum + part.length, 0));
    for (const part of parts) sink.add(part);
  }

  /** Free the streams. */
  close(): void {
    this.#zlib?.close();
    this.#zrle?.close();
  }
}

/** A rectangle's pixels, row by row. */
function raw(
  sink: ByteSink,
  surface: Surface,
  area: Rectangle,
  converter: PixelConverter,
): void {
  const { bytes } = converter.format;
  const count = area.width * area.height;
  // The sink's bytes are not aligned.
  const pixels = bytes === 4
    ? new Uint32Array(count)
    : bytes === 2
    ? new Uint16Array(count)
    : new Uint8Array(count);
  for (let row = 0; row < area.height; row++) {
    const at = (area.y + row) * surface.width + area.x;
    const to = row * area.width;
    if (converter.isNative) {
      pixels.set(surface.pixels.subarray(at, at + area.width), to);
    } else {
      converter.convertAll(surface.pixels, at, area.width, pixels, to);
    }
  }
  sink.add(new Uint8Array(pixels.buffer));
}
