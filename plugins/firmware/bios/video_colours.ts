/**
 * What the modes load the DAC with.
 *
 * Source: IBM PS/2 Hardware Interface Technical Reference, "Video subsystem",
 * "Video digital-to-analog converter"; the 256 colours of mode 13h are three
 * circles of hues at three intensities.
 *
 * @module
 */

/** A set of colours. */
export type Colours = "mono" | "cga" | "ega" | "vga";

/** Entries of the DAC. */
const ENTRIES = 256;
/** Half and full intensity of a part, and what bright adds. */
const HALF = 0x2a;
const MORE = 0x15;
const FULL = 0x3f;

/** Red, green and blue by the bits 2, 1 and 0, with what each adds. */
function rgb(bits: number, more: number): number[] {
  return [2, 1, 0].map((bit) =>
    (bits >> bit & 1) * HALF + (more >> bit & 1) * MORE
  );
}

/** One of the CGA's 16: the dark yellow is brown. */
function cga(bits: number, bright: boolean): number[] {
  if (bits === 6 && !bright) return [HALF, MORE, 0];
  return rgb(bits, bright ? 7 : 0);
}

/** The greys of mode 13h. */
const GREYS: readonly number[] = [
  ...[0x00, 0x05, 0x08, 0x0b, 0x0e, 0x11, 0x14, 0x18],
  ...[0x1c, 0x20, 0x24, 0x28, 0x2d, 0x32, 0x38, 0x3f],
];
/**
 * From least to most, in five steps, of a part of a hue; three saturations at
 * each of three intensities.
 */
const STEPS: readonly (readonly number[])[] = [
  [0, 16, 31, 47, 63],
  [31, 39, 47, 55, 63],
  [45, 49, 54, 58, 63],
  [0, 7, 14, 21, 28],
  [14, 17, 21, 24, 28],
  [20, 22, 24, 26, 28],
  [0, 4, 8, 12, 16],
  [8, 10, 12, 14, 16],
  [11, 12, 13, 15, 16],
];
/** Steps of red around the circle, which begins at blue; the others follow. */
const CIRCLE: readonly number[] = [
  ...[0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3, 2, 1],
  ...[0, 0, 0, 0, 0, 0, 0, 0],
];

function vgaColours(): number[] {
  const list: number[] = [];
  for (let i = 0; i < 16; i++) list.push(...cga(i & 7, i >= 8));
  for (const grey of GREYS) list.push(grey, grey, grey);
  for (const steps of STEPS) {
    for (let hue = 0; hue < CIRCLE.length; hue++) {
      const at = (turn: number): number => steps[CIRCLE[(hue + turn) % 24]];
      list.push(at(0), at(16), at(8));
    }
  }
  return list;
}

/** The parts of all entries: red, green and blue of 6 bits. */
export function colours(name: Colours): Uint8Array {
  const parts = new Uint8Array(3 * ENTRIES);
  if (name === "vga") {
    parts.set(vgaColours());
    return parts;
  }
  for (let i = 0; i < 64; i++) {
    const grey = [0, HALF, HALF, FULL][i >> 3 & 3];
    parts.set(
      name === "ega"
        ? rgb(i, i >> 3)
        : name === "cga"
        ? cga(i & 7, (i & 16) !== 0)
        : [grey, grey, grey],
      3 * i,
    );
  }
  return parts;
}
