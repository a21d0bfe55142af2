/**
 * The screen as a viewer has it, and rectangles of it.
 *
 * @module
 */

import type { Picture, Rectangle } from "../display.ts";

/** Pixels in a row-by-row array: blue, green and red from bit 0 on. */
export interface Surface {
  /** Pixels of a row. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** The pixels; their highest byte is 0. */
  readonly pixels: Uint32Array;
}

/** A picture's pixels as 32-bit words; a copy if they are not aligned. */
function wordsOf({ pixels }: Picture): Uint32Array {
  const bytes = pixels.byteOffset % 4 === 0 ? pixels : pixels.slice();
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}

/**
 * A picture on a screen of this size: its upper left part, and black beyond
 * it.
 */
export function surfaceOf(
  picture: Picture,
  width: number,
  height: number,
): Surface {
  const words = wordsOf(picture);
  if (picture.width === width && picture.height === height) {
    return { width, height, pixels: words };
  }
  const pixels = new Uint32Array(width * height);
  const columns = Math.min(width, picture.width);
  const rows = Math.min(height, picture.height);
  for (let y = 0; y < rows; y++) {
    const at = y * picture.width;
    pixels.set(words.subarray(at, at + columns), y * width);
  }
  return { width, height, pixels };
}

/** What two rectangles have in common; undefined when it is nothing. */
export function common(a: Rectangle, b: Rectangle): Rectangle | undefined {
  const x = Math.max(a.x, b.x);
  const y = Math.max(a.y, b.y);
  const width = Math.min(a.x + a.width, b.x + b.width) - x;
  const height = Math.min(a.y + a.height, b.y + b.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : undefined;
}

/** `a` without `b`, as up to four rectangles. */
function without(a: Rectangle, b: Rectangle): Rectangle[] {
  const middle = common(a, b);
  if (middle === undefined) return [a];
  const { x, y, width, height } = middle;
  const parts = [
    { x: a.x, y: a.y, width: a.width, height: y - a.y },
    { x: a.x, y, width: x - a.x, height },
    { x: x + width, y, width: a.x + a.width - x - width, height },
    {
      x: a.x,
      y: y + height,
      width: a.width,
      height: a.y + a.height - y - height,
    },
  ];
  return parts.filter((part) => part.width > 0 && part.height > 0);
}

/** Rectangles of a region; with more, it is the one around them. */
const MAX_RECTANGLES = 64;

/** A part of the screen: rectangles that do not overlap. */
export class Region {
  #rectangles: Rectangle[] = [];

  /** Nothing is in it. */
  get isEmpty(): boolean {
    return this.#rectangles.length === 0;
  }

  /** Add a rectangle. */
  add(rectangle: Rectangle): void {
    if (rectangle.width <= 0 || rectangle.height <= 0) return;
    this.remove(rectangle);
    this.#rectangles.push(rectangle);
    this.#limit();
  }

  /** Take a rectangle out. */
  remove(rectangle: Rectangle): void {
    this.#rectangles = this.#rectangles.flatMap((old) =>
      without(old, rectangle)
    );
    this.#limit();
  }

  /** Take out and give back what is in a rectangle. */
  take(rectangle: Rectangle): Rectangle[] {
    const taken = this.within(rectangle);
    this.remove(rectangle);
    return taken;
  }

  /** What is in a rectangle. */
  within(rectangle: Rectangle): Rectangle[] {
    return this.#rectangles.flatMap((own) => common(own, rectangle) ?? []);
  }

  /** Take everything out. */
  clear(): void {
    this.#rectangles = [];
  }

  #limit(): void {
    if (this.#rectangles.length <= MAX_RECTANGLES) return;
    const x = Math.min(...this.#rectangles.map((r) => r.x));
    const y = Math.min(...this.#rectangles.map((r) => r.y));
    const right = Math.max(...this.#rectangles.map((r) => r.x + r.width));
    const bottom = Math.max(...this.#rectangles.map((r) => r.y + r.height));
    this.#rectangles = [{ x, y, width: right - x, height: bottom - y }];
  }
}
