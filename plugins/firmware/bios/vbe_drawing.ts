/**
 * Drawing in VBE's modes: where their pixels are, and the colours of text in
 * those without a palette.
 *
 * Text is drawn where the screen shows it, whatever its start and the length of
 * its lines are: in planes through the window, else in the frame buffer.
 * Sources: VESA BIOS Extension (VBE) Core Functions Standard 3.0, which leaves
 * the colours open; they are those of the VGA BIOS that QEMU's machines have.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { Dispi } from "../../../core/bus/dispi.ts";
import { findDisplay } from "./dispi.ts";
import { VBE_MODES } from "./vbe_modes.ts";
import { currentMode, type Drawing } from "./video_modes.ts";

const NUMBER = 0x01ff;
const PLANES = 4;
const WINDOW = 0xa0000;
const WINDOW_BYTES = 0x10000;
/** Bits of red, green and blue, by those of a pixel. */
const PARTS: ReadonlyMap<number, readonly [number, number, number]> = new Map([
  [15, [5, 5, 5]],
  [16, [5, 6, 5]],
  [24, [8, 8, 8]],
  [32, [8, 8, 8]],
]);
const BROWN = 6;

/** The mode that is drawn in; undefined when it is none that is known. */
export function drawing(bios: Bios): Drawing | undefined {
  return currentMode(bios) ?? vbeDrawing(bios);
}

/** The mode of VBE; undefined when none is set, or it leaves its memory. */
function vbeDrawing(bios: Bios): Drawing | undefined {
  const mode = VBE_MODES.get(bios.state.vbeMode & NUMBER);
  const display = mode && findDisplay(bios.guest);
  if (mode === undefined || display === undefined) return undefined;
  const { width, height, bits } = mode;
  const planar = bits === PLANES;
  const bytes = Math.ceil(bits / 8);
  const of = (pixels: number): number => planar ? pixels >> 3 : pixels * bytes;
  const lineBytes = of(display.read(Dispi.VIRT_WIDTH));
  const start = display.read(Dispi.Y_OFFSET) * lineBytes +
    of(display.read(Dispi.X_OFFSET));
  const room = planar ? WINDOW_BYTES : display.memory;
  // Planes of more than the window wrap in it.
  if (!planar && start + height * lineBytes > room) return undefined;
  return {
    layout: planar ? "planar" : bits === 8 ? "packed" : "direct",
    columns: width >> 3,
    height,
    bits,
    base: planar ? WINDOW : display.frameBuffer + start,
    pageBytes: 0,
    lineBytes,
  };
}

/** One of the sixteen colours as a pixel of so many bits. */
export function directColour(bits: number, colour: number): number {
  const bright = (colour & 8) !== 0 ? 1 : 0;
  const thirds = [colour & 4, colour & 2, colour & 1]
    .map((part) => (part !== 0 ? 2 : 0) + bright);
  if ((colour & 0x0f) === BROWN) thirds[1] = 1;
  let pixel = 0;
  for (const [i, size] of PARTS.get(bits)!.entries()) {
    const max = (1 << size) - 1;
    pixel = pixel << size | Math.round(max * thirds[i] / 3);
  }
  return pixel;
}

/** The colour of the sixteen that a pixel is nearest to. */
export function nearestColour(bits: number, pixel: number): number {
  const parts: number[] = [];
  let rest = pixel;
  for (const size of [...PARTS.get(bits)!].reverse()) {
    const max = (1 << size) - 1;
    parts.unshift(Math.round((rest & max) * 3 / max));
    rest >>>= size;
  }
  // With a third of each it is bright, unless it is grey.
  const isBright = parts.every((part) => part > 0) &&
    parts.some((part) => part !== 2);
  const bright = isBright ? 1 : 0;
  const [red, green, blue] = parts.map((part) => part > bright);
  return (isBright ? 8 : 0) | (red ? 4 : 0) | (green ? 2 : 0) | (blue ? 1 : 0);
}
