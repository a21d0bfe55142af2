/**
 * A picture that a device draws line by line, and that knows what has changed:
 * the other side of `PictureSource.look`.
 *
 * The picture is cut into tiles, each of which remembers the generation in which
 * it last changed. What anybody has missed follows from that, however long ago
 * he looked.
 *
 * @module
 */

import type { Picture, Rectangle } from "./display.ts";

/** Pixels of a tile's row, and rows of a tile. */
const TILE_WIDTH = 64;
const TILE_HEIGHT = 16;

/** A picture that is drawn line by line. */
export class Canvas {
  #width: number;
  #height: number;
  #pixels: Uint32Array;
  /** By tile, row by row: the generation in which it last changed. */
  #tiles: Uint32Array;
  #across: number;
  /** The generation that is shown; 1 is the first. */
  #generation = 1;
  /** The generation in which the size last changed. */
  #resized = 1;
  #changes = false;

  /** A black picture. */
  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
    this.#pixels = new Uint32Array(width * height);
    this.#across = Math.ceil(width / TILE_WIDTH);
    this.#tiles = new Uint32Array(
      this.#across * Math.ceil(height / TILE_HEIGHT),
    );
  }

  /** Pixels of a row. */
  get width(): number {
    return this.#width;
  }

  /** Rows. */
  get height(): number {
    return this.#height;
  }

  /** Before the first line: the picture has this size from now on. */
  begin(width: number, height: number): void {
    this.#changes = false;
    if (width === this.#width && height === this.#height) return;
    this.#width = width;
    this.#height = height;
    this.#pixels = new Uint32Array(width * height);
    this.#across = Math.ceil(width / TILE_WIDTH);
    this.#tiles = new Uint32Array(
      this.#across * Math.ceil(height / TILE_HEIGHT),
    );
    this.#resized = this.#generation + 1;
    this.#changes = true;
  }

  /**
   * The line `y`: pixels from `from` of `line` on, each 00RRGGBBh. A line that
   * is not put stays as it was.
   */
  put(y: number, line: Uint32Array, from: number): void {
    const pixels = this.#pixels;
    const width = this.#width;
    const at = y * width;
    const shift = from - at;
    let tile = Math.floor(y / TILE_HEIGHT) * this.#across;
    for (let x = 0; x < width; x += TILE_WIDTH, tile++) {
      const end = at + Math.min(x + TILE_WIDTH, width);
      let i = at + x;
      while (i < end && pixels[i] === line[i + shift]) i++;
      if (i === end) continue;
      for (; i < end; i++) pixels[i] = line[i + shift];
      this.#tiles[tile] = this.#generation + 1;
      this.#changes = true;
    }
  }

  /** After the last line. */
  end(): void {
    if (this.#changes) this.#generation++;
    this.#changes = false;
  }

  /** The picture, and what has changed since a generation. */
  picture(since: number): Picture {
    return {
      width: this.#width,
      height: this.#height,
      pixels: new Uint8Array(this.#pixels.buffer),
      generation: this.#generation,
      changed: this.#changed(since),
    };
  }

  #changed(since: number): Rectangle[] {
    const [width, height] = [this.#width, this.#height];
    if (since === this.#generation) return [];
    if (since < this.#resized || since > this.#generation) {
      return [{ x: 0, y: 0, width, height }];
    }
    const done: Rectangle[] = [];
    // Rectangles that end where this row of tiles begins, by their left edge.
    let open = new Map<number, Rectangle>();
    for (let y = 0, tile = 0; y < height; y += TILE_HEIGHT) {
      const rows = Math.min(TILE_HEIGHT, height - y);
      const next = new Map<number, Rectangle>();
      for (let i = 0; i < this.#across; i++, tile++) {
        if (this.#tiles[tile] <= since) continue;
        const first = i;
        while (i + 1 < this.#across && this.#tiles[tile + 1] > since) {
          i++;
          tile++;
        }
        const x = first * TILE_WIDTH;
        const run = Math.min((i + 1) * TILE_WIDTH, width) - x;
        const above = open.get(x);
        if (above?.width === run) {
          open.delete(x);
          next.set(x, { ...above, height: above.height + rows });
        } else {
          next.set(x, { x, y, width: run, height: rows });
        }
      }
      done.push(...open.values());
      open = next;
    }
    done.push(...open.values());
    return done;
  }
}
