/**
 * Ranges of an address space, and accesses to devices that implement other
 * widths than the CPU uses.
 *
 * @module
 */

import type { AccessWidth, IoHandler } from "./handler.ts";

/** Kinds of ranges. */
export const RAM = 0;
/** Memory whose writes are ignored. */
export const ROM = 1;
/** A device. */
export const IO = 2;

/** A stretch of addresses that one region answers. */
export interface Range {
  /** The first address. */
  readonly start: number;
  /** The address after the last. */
  readonly end: number;
  /** `RAM`, `ROM` or `IO`. */
  readonly kind: number;
  /** Add to an address: an offset in the backing memory or the device. */
  readonly delta: number;
  /** Who answers a range of a device. */
  readonly handler: IoHandler;
  /** Bit w is set when the handler implements accesses of width w. */
  readonly widths: number;
}

/** Answers where nobody does. */
export const NO_HANDLER: IoHandler = {
  read: () => 0xffffffff,
  write: () => {},
};
/** `Range.widths` of memory. */
export const ALL_WIDTHS = 1 << 1 | 1 << 2 | 1 << 4;

/** `Range.widths` of a handler. */
export function widthMask(handler: IoHandler): number {
  let mask = 0;
  for (const width of handler.widths ?? [1, 2, 4]) mask |= 1 << width;
  return mask;
}

/** All ones in `width` bytes. */
export function onesOf(width: number): number {
  return width === 4 ? 0xffffffff : (1 << width * 8) - 1;
}

/** The widest implemented width up to `width` that is aligned at `offset`. */
function pieceWidth(widths: number, offset: number, width: number): number {
  for (let w = width; w > 0; w >>= 1) {
    if ((widths >> w & 1) !== 0 && (offset & (w - 1)) === 0) return w;
  }
  return 0;
}

/** The narrowest width that a handler implements. */
function narrowest(widths: number): AccessWidth {
  return (widths & 2) !== 0 ? 1 : (widths & 4) !== 0 ? 2 : 4;
}

function largestPowerUpTo(value: number): number {
  return value >= 4 ? 4 : value >= 2 ? 2 : 1;
}

/** Read `width` bytes at an offset of a device in the widths it implements. */
export function readSplit(range: Range, offset: number, width: number): number {
  const { handler, widths } = range;
  let value = 0;
  for (let done = 0; done < width;) {
    const at = offset + done;
    const left = width - done;
    let piece = pieceWidth(widths, at, largestPowerUpTo(left));
    let part: number;
    if (piece !== 0) {
      part = handler.read(at, piece as AccessWidth) >>> 0;
    } else {
      const wide = narrowest(widths);
      const skip = at & (wide - 1);
      part = (handler.read(at - skip, wide) >>> 0) >>> (8 * skip);
      piece = Math.min(wide - skip, left);
    }
    part = piece === 4 ? part : part & ((1 << 8 * piece) - 1);
    value += part * 2 ** (8 * done);
    done += piece;
  }
  return value;
}

/** Write `width` bytes at an offset, in the widths that the device implements. */
export function writeSplit(
  range: Range,
  offset: number,
  width: number,
  value: number,
): void {
  const { handler, widths } = range;
  for (let done = 0; done < width;) {
    const at = offset + done;
    const left = width - done;
    const rest = value >>> (8 * done);
    let piece = pieceWidth(widths, at, largestPowerUpTo(left));
    if (piece !== 0) {
      const part = piece === 4 ? rest : rest & ((1 << 8 * piece) - 1);
      handler.write(at, piece as AccessWidth, part >>> 0);
    } else {
      const wide = narrowest(widths);
      const skip = at & (wide - 1);
      piece = Math.min(wide - skip, left);
      const mask = ((1 << 8 * piece) - 1) << (8 * skip);
      const old = handler.read(at - skip, wide);
      const merged = old & ~mask | rest << (8 * skip) & mask;
      handler.write(at - skip, wide, (merged >>> 0) & onesOf(wide));
    }
    done += piece;
  }
}
