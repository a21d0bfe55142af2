/**
 * Pictures as PPM files, which QEMU's `screendump` writes.
 *
 * Source: Netpbm, "ppm - PPM format description".
 *
 * @module
 */

import type { Picture } from "../../backend/display.ts";

/** The largest value of a colour. */
const MAX_COLOUR = 255;

/** A picture as a file. */
export function encodePpm({ width, height, pixels }: Picture): Uint8Array {
  const header = new TextEncoder().encode(
    `P6\n${width} ${height}\n${MAX_COLOUR}\n`,
  );
  const file = new Uint8Array(header.length + width * height * 3);
  file.set(header);
  let to = header.length;
  for (let from = 0; from < width * height * 4; from += 4) {
    file[to++] = pixels[from + 2];
    file[to++] = pixels[from + 1];
    file[to++] = pixels[from];
  }
  return file;
}
