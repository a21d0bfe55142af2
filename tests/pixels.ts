/**
 * Pictures of screens, as QEMU writes them and as Rhea gives them, and how they
 * differ.
 *
 * @module
 */

import type { Picture } from "../mod.ts";

/** A picture's pixels. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** A word for each, 00RRGGBBh. */
  readonly pixels: Uint32Array;
}

/** A PPM file of eight bits a colour. */
export function parsePpm(bytes: Uint8Array): Pixels {
  const head = new TextDecoder("latin1").decode(bytes.subarray(0, 32));
  const match = /^P6\s(\d+)\s(\d+)\s255\s/.exec(head);
  if (match === null) throw new Error(`no PPM: ${JSON.stringify(head)}`);
  const [width, height] = [Number(match[1]), Number(match[2])];
  const data = bytes.subarray(match[0].length);
  const pixels = new Uint32Array(width * height);
  for (let from = 0, to = 0; to < pixels.length; from += 3, to++) {
    pixels[to] = data[from] << 16 | data[from + 1] << 8 | data[from + 2];
  }
  return { width, height, pixels };
}

/** A picture of Rhea's as words, a copy. */
export function pixelsOf({ width, height, pixels }: Picture): Pixels {
  return { width, height, pixels: new Uint32Array(pixels.slice().buffer) };
}

/** How many pixels differ, and the first that does, in words. */
export function difference(ours: Pixels, theirs: Pixels): string | undefined {
  const size = ({ width, height }: Pixels): string => `${width}x${height}`;
  if (size(ours) !== size(theirs)) return `${size(ours)}, not ${size(theirs)}`;
  let count = 0;
  let first = "";
  for (const [i, pixel] of ours.pixels.entries()) {
    if (pixel === theirs.pixels[i]) continue;
    if (count++ > 0) continue;
    const [x, y] = [i % ours.width, Math.floor(i / ours.width)];
    const words = [pixel, theirs.pixels[i]].map((p) => p.toString(16));
    first = `at ${x},${y} ${words.join(", not ")}`;
  }
  return count === 0 ? undefined : `${count} pixels differ, ${first}`;
}
