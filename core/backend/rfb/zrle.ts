/**
 * ZRLE's tiles, before they are compressed.
 *
 * RFC 6143, 7.7.6: tiles of 64x64 pixels, each as pixels, as one colour, as
 * numbers of up to 16 colours, as runs, or as runs of up to 127 colours; here as
 * whatever is the smallest.
 *
 * @module
 */

import type { ByteSink } from "./byte_sink.ts";
import type { PixelConverter } from "./pixel_format.ts";
import type { Surface } from "./surface.ts";
import type { Rectangle } from "../display.ts";

/** Pixels of a tile's side. */
export const TILE = 64;

/** Subencodings. */
const RAW = 0;
const SOLID = 1;
const PLAIN_RUNS = 128;
/** More colours are no palette; as few as 16 pack in four bits. */
const MAX_PALETTE = 127;
const MAX_PACKED = 16;
/** A run's length is bytes of 255 and one that is less. */
const RUN_BYTE = 255;

/** Writes tiles; keeps what it needs from one to the next. */
export class ZrleTiles {
  readonly #pixels = new Uint32Array(TILE * TILE);
  readonly #palette = new Map<number, number>();
  #bytes = 4;
  #first = 0;

  /** All tiles of a rectangle, from left to right and from top to bottom. */
  write(
    sink: ByteSink,
    surface: Surface,
    area: Rectangle,
    converter: PixelConverter,
  ): void {
    ({ bytes: this.#bytes, first: this.#first } = converter.compressed);
    const right = area.x + area.width;
    const bottom = area.y + area.height;
    for (let y = area.y; y < bottom; y += TILE) {
      const height = Math.min(TILE, bottom - y);
      for (let x = area.x; x < right; x += TILE) {
        const width = Math.min(TILE, right - x);
        for (let row = 0; row < height; row++) {
          converter.convertAll(
            surface.pixels,
            (y + row) * surface.width + x,
            width,
            this.#pixels,
            row * width,
          );
        }
        this.#tile(sink, width, height);
      }
    }
  }

  #tile(sink: ByteSink, width: number, height: number): void {
    const pixels = this.#pixels;
    const palette = this.#palette;
    const count = width * height;
    const cost = this.#bytes;
    palette.clear();
    // Bytes of all runs' lengths, and how many runs are of one pixel.
    let lengths = 0;
    let runs = 0;
    let singles = 0;
    for (let at = 0; at < count;) {
      const pixel = pixels[at];
      let end = at + 1;
      while (end < count && pixels[end] === pixel) end++;
      runs++;
      if (end === at + 1) singles++;
      lengths += Math.floor((end - at - 1) / RUN_BYTE) + 1;
      at = end;
      if (palette.size <= MAX_PALETTE && !palette.has(pixel)) {
        palette.set(pixel, palette.size);
      }
    }
    const colours = palette.size;
    if (colours === 1) {
      sink.u8(SOLID);
      this.#pixel(sink, pixels[0]);
      return;
    }
    let best = RAW;
    let size = count * cost;
    const runSize = runs * cost + lengths;
    if (runSize < size) {
      best = PLAIN_RUNS;
      size = runSize;
    }
    if (colours <= MAX_PALETTE) {
      const paletteRuns = colours * cost + runs + lengths - singles;
      if (paletteRuns < size) {
        best = PLAIN_RUNS + colours;
        size = paletteRuns;
      }
      if (colours <= MAX_PACKED) {
        const bits = packedBits(colours);
        const packed = colours * cost + height * Math.ceil(width * bits / 8);
        if (packed < size) best = colours;
      }
    }
    sink.u8(best);
    if (best === RAW) return this.#raw(sink, count);
    if (best !== PLAIN_RUNS) {
      for (const pixel of palette.keys()) this.#pixel(sink, pixel);
    }
    if (best < PLAIN_RUNS) this.#packed(sink, width, height);
    else this.#runs(sink, count, best !== PLAIN_RUNS);
  }

  #pixel(sink: ByteSink, pixel: number): void {
    const at = sink.reserve(this.#bytes);
    const { buffer } = sink;
    for (let i = 0; i < this.#bytes; i++) {
      buffer[at + i] = pixel >>> 8 * (this.#first + i);
    }
  }

  #raw(sink: ByteSink, count: number): void {
    const pixels = this.#pixels;
    const bytes = this.#bytes;
    let at = sink.reserve(count * bytes);
    const { buffer } = sink;
    for (let n = 0; n < count; n++) {
      const pixel = pixels[n] >>> 8 * this.#first;
      buffer[at++] = pixel;
      if (bytes > 1) buffer[at++] = pixel >>> 8;
      if (bytes > 2) buffer[at++] = pixel >>> 16;
      if (bytes > 3) buffer[at++] = pixel >>> 24;
    }
  }

  #packed(sink: ByteSink, width: number, height: number): void {
    const pixels = this.#pixels;
    const palette = this.#palette;
    const bits = packedBits(palette.size);
    for (let row = 0; row < height; row++) {
      let byte = 0;
      let room = 8;
      for (let x = 0; x < width; x++) {
        room -= bits;
        byte |= palette.get(pixels[row * width + x])! << room;
        if (room > 0) continue;
        sink.u8(byte);
        byte = 0;
        room = 8;
      }
      if (room < 8) sink.u8(byte);
    }
  }

  #runs(sink: ByteSink, count: number, withPalette: boolean): void {
    const pixels = this.#pixels;
    for (let at = 0; at < count;) {
      const pixel = pixels[at];
      let end = at + 1;
      while (end < count && pixels[end] === pixel) end++;
      let more = end - at - 1;
      at = end;
      if (withPalette) {
        const index = this.#palette.get(pixel)!;
        sink.u8(more === 0 ? index : index | 0x80);
        if (more === 0) continue;
      } else {
        this.#pixel(sink, pixel);
      }
      for (; more >= RUN_BYTE; more -= RUN_BYTE) sink.u8(RUN_BYTE);
      sink.u8(more);
    }
  }
}

/** Bits of a number in a palette of so many colours. */
function packedBits(colours: number): number {
  return colours <= 2 ? 1 : colours <= 4 ? 2 : 4;
}
