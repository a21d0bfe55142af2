/**
 * Pictures as PNG files.
 *
 * @module
 */

import type { Picture } from "./display.ts";

/**
 * A picture as a PNG file of eight bits for each of red, green and blue. Smaller
 * than 1x1 there is none: throws a `RangeError`.
 */
export async function encodePng(
  { width, height, pixels }: Pick<Picture, "width" | "height" | "pixels">,
): Promise<Uint8Array> {
  if (width < 1 || height < 1) {
    throw new RangeError(`a picture of ${width}x${height} is no PNG`);
  }
  // Not loaded when a machine is to start.
  const { encode } = await import("fast-png");
  const data = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < data.length; from += 4, to += 3) {
    data[to] = pixels[from + 2];
    data[to + 1] = pixels[from + 1];
    data[to + 2] = pixels[from];
  }
  return encode({ width, height, data, channels: 3, depth: 8 });
}
