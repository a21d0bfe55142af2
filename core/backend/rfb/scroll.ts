/**
 * What a viewer shows, to find what has only moved up or down: for CopyRect.
 *
 * Rows are found by a hash and compared pixel by pixel before they are
 * believed.
 *
 * @module
 */

import type { Rectangle } from "../display.ts";
import type { Surface } from "./surface.ts";

/** Fewer pixels are sent faster than they are looked for. */
const MIN_PIXELS = 128 * 128;
/** Rows that must say the same of where they come from. */
const MIN_ROWS = 8;

/** Something that is where something else was. */
export interface Scroll {
  /** Where it is now. */
  readonly area: Rectangle;
  /** The row where it was; the column is the same. */
  readonly fromY: number;
}

function rowHash(pixels: Uint32Array, at: number, count: number): number {
  let hash = 0x811c9dc5;
  for (let i = at; i < at + count; i++) {
    hash = Math.imul(hash ^ pixels[i], 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** The pixels that a viewer has. */
export class Shadow {
  readonly #width: number;
  readonly #pixels: Uint32Array;

  /** A viewer's screen of this size, all black. */
  constructor(width: number, height: number) {
    this.#width = width;
    this.#pixels = new Uint32Array(width * height);
  }

  /** The viewer is sent this part of the screen. */
  update(surface: Surface, area: Rectangle): void {
    const width = this.#width;
    for (let y = area.y; y < area.y + area.height; y++) {
      const at = y * width + area.x;
      this.#pixels.set(surface.pixels.subarray(at, at + area.width), at);
    }
  }

  /** What has moved within an area of the screen; undefined when nothing has. */
  find(surface: Surface, area: Rectangle): Scroll | undefined {
    if (area.width * area.height < MIN_PIXELS) return undefined;
    const shift = this.#shift(surface, area);
    if (shift === undefined) return undefined;
    // The longest run of rows that are the same, moved by so much.
    const bottom = area.y + area.height;
    let best = { y: 0, height: 0 };
    let start = area.y;
    for (let y = area.y; y <= bottom; y++) {
      const from = y + shift;
      const same = y < bottom && from >= area.y && from < bottom &&
        this.#isSame(surface, area, y, from);
      if (same) continue;
      if (y - start > best.height) best = { y: start, height: y - start };
      start = y + 1;
    }
    if (best.height < MIN_ROWS) return undefined;
    return {
      area: { x: area.x, y: best.y, width: area.width, height: best.height },
      fromY: best.y + shift,
    };
  }

  /** By how many rows most rows have moved. */
  #shift(surface: Surface, area: Rectangle): number | undefined {
    const AMBIGUOUS = -1;
    const where = new Map<number, number>();
    for (let y = area.y; y < area.y + area.height; y++) {
      const at = y * this.#width + area.x;
      const hash = rowHash(this.#pixels, at, area.width);
      where.set(hash, where.has(hash) ? AMBIGUOUS : y);
    }
    const votes = new Map<number, number>();
    for (let y = area.y; y < area.y + area.height; y++) {
      const at = y * this.#width + area.x;
      const from = where.get(rowHash(surface.pixels, at, area.width));
      if (from === undefined || from === AMBIGUOUS) continue;
      votes.set(from - y, (votes.get(from - y) ?? 0) + 1);
    }
    let shift = 0;
    let most = votes.get(0) ?? 0;
    for (const [candidate, count] of votes) {
      if (count <= most) continue;
      shift = candidate;
      most = count;
    }
    return shift === 0 || most < MIN_ROWS ? undefined : shift;
  }

  #isSame(surface: Surface, area: Rectangle, y: number, from: number): boolean {
    const there = y * this.#width + area.x;
    const here = from * this.#width + area.x;
    for (let x = 0; x < area.width; x++) {
      if (surface.pixels[there + x] !== this.#pixels[here + x]) return false;
    }
    return true;
  }

  /** The viewer moves it. */
  move({ area, fromY }: Scroll): void {
    const up = fromY > area.y;
    for (let n = 0; n < area.height; n++) {
      const row = up ? n : area.height - 1 - n;
      const from = (fromY + row) * this.#width + area.x;
      const to = (area.y + row) * this.#width + area.x;
      this.#pixels.copyWithin(to, from, from + area.width);
    }
  }
}
