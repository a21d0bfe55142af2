/**
 * The Bochs VBE extension ("DISPI"): modes of any size and depth over a linear
 * frame buffer, by eleven registers of 16 bits.
 *
 * Source: the interface's description in Bochs (`vbe_display_api.txt`), versions
 * B0C0h to B0C5h; for values that make no sense, what QEMU makes of them. While
 * such a mode is on, the VGA's registers are those of a packed-pixel mode and
 * cannot be changed from that, as in QEMU.
 *
 * @module
 */

import {
  Dispi,
  DISPI_BANK_BYTES,
  DispiEnable,
  DispiId,
} from "../../../core/bus/dispi.ts";
import type { VgaState } from "./vga_state.ts";

/** The largest picture; what is looked at takes four bytes a pixel of the host. */
const MAX_XRES = 4096;
const MAX_YRES = 4096;
const MAX_BPP = 32;

/** Whether a mode of the VBE is on. */
export function isVbe({ dispi }: VgaState): boolean {
  return (dispi[Dispi.ENABLE] & DispiEnable.ENABLED) !== 0;
}

/** Whether the DAC's colours have 8 bits. */
export function hasWideDac({ dispi }: VgaState): boolean {
  return (dispi[Dispi.ENABLE] & DispiEnable.DAC_8) !== 0;
}

/** Where the window at A0000h begins: in bytes, of 4-bit modes in addresses. */
export function dispiBank({ dispi }: VgaState): number {
  return dispi[Dispi.BANK] * DISPI_BANK_BYTES;
}

/** What a mode of the VBE shows. */
export interface DispiView {
  /** Pixels of a line. */
  readonly width: number;
  /** Lines. */
  readonly height: number;
  /** Bits of a pixel: 4, 8, 15, 16, 24 or 32. */
  readonly depth: number;
  /** Bytes from a line to the next. */
  readonly pitch: number;
  /** Pixels, in the first line, before the first that is shown. */
  readonly left: number;
  /** Lines before the first that is shown. */
  readonly top: number;
}

/** Bits that a pixel takes in memory. */
function storedBits(depth: number): number {
  return depth === 15 ? 16 : depth;
}

/** What the mode shows. */
export function dispiView({ dispi }: VgaState): DispiView {
  const depth = dispi[Dispi.BPP];
  return {
    width: dispi[Dispi.XRES],
    height: dispi[Dispi.YRES],
    depth,
    pitch: dispi[Dispi.VIRT_WIDTH] * storedBits(depth) >> 3,
    left: dispi[Dispi.X_OFFSET],
    top: dispi[Dispi.Y_OFFSET],
  };
}

/** Read a register; `bytes` is the size of the memory. */
export function readDispi(
  { dispi }: VgaState,
  index: number,
  bytes: number,
): number {
  if (index === Dispi.VIDEO_MEMORY_64K) return bytes / DISPI_BANK_BYTES;
  if ((dispi[Dispi.ENABLE] & DispiEnable.GET_CAPS) !== 0) {
    if (index === Dispi.XRES) return MAX_XRES;
    if (index === Dispi.YRES) return MAX_YRES;
    if (index === Dispi.BPP) return MAX_BPP;
  }
  return dispi[index] ?? 0;
}

/** Write a register. */
export function writeDispi(
  state: VgaState,
  memory: Uint8Array,
  index: number,
  value: number,
): void {
  const { dispi } = state;
  switch (index) {
    case Dispi.ID:
      if (value >= DispiId.FIRST && value <= DispiId.LAST) dispi[index] = value;
      return;
    case Dispi.XRES:
    case Dispi.YRES:
    case Dispi.BPP:
    case Dispi.VIRT_WIDTH:
    case Dispi.X_OFFSET:
    case Dispi.Y_OFFSET:
      dispi[index] = value;
      makeValid(dispi, memory.length);
      return keepRegisters(state);
    case Dispi.BANK: {
      const banks = memory.length / DISPI_BANK_BYTES;
      const planar = dispi[Dispi.BPP] === 4;
      dispi[index] = value & (planar ? banks / 4 : banks) - 1;
      return;
    }
    case Dispi.ENABLE: {
      const turnsOn = (value & ~dispi[index] & DispiEnable.ENABLED) !== 0;
      dispi[index] = value;
      if ((value & DispiEnable.ENABLED) === 0) {
        dispi[Dispi.BANK] = 0;
      } else if (turnsOn) {
        dispi[Dispi.VIRT_WIDTH] = 0;
        dispi[Dispi.X_OFFSET] = 0;
        dispi[Dispi.Y_OFFSET] = 0;
        makeValid(dispi, memory.length);
        if ((value & DispiEnable.NO_CLEAR) === 0) {
          const { pitch, height } = dispiView(state);
          memory.fill(0, 0, pitch * height);
        }
        keepRegisters(state);
      }
    }
  }
}

const DEPTHS: ReadonlySet<number> = new Set([4, 8, 15, 16, 24, 32]);

/** A guest gets no errors: what cannot be becomes the nearest that can. */
function makeValid(dispi: number[], memory: number): void {
  if ((dispi[Dispi.ENABLE] & DispiEnable.ENABLED) === 0) return;
  if (!DEPTHS.has(dispi[Dispi.BPP])) dispi[Dispi.BPP] = 8;
  const bits = storedBits(dispi[Dispi.BPP]);
  const eights = (value: number): number =>
    Math.min(Math.max(value & ~7, 8), MAX_XRES);
  const width = dispi[Dispi.XRES] = eights(dispi[Dispi.XRES]);
  const virtual = Math.max(eights(dispi[Dispi.VIRT_WIDTH]), width);
  dispi[Dispi.VIRT_WIDTH] = virtual;
  const pitch = virtual * bits >> 3;
  const lines = Math.floor(memory / pitch);
  const height = Math.min(Math.max(dispi[Dispi.YRES], 1), MAX_YRES, lines);
  dispi[Dispi.YRES] = height;
  dispi[Dispi.VIRT_HEIGHT] = Math.min(lines, 0xffff);
  dispi[Dispi.X_OFFSET] = Math.min(dispi[Dispi.X_OFFSET], MAX_XRES);
  dispi[Dispi.Y_OFFSET] = Math.min(dispi[Dispi.Y_OFFSET], MAX_YRES);
  const left = dispi[Dispi.X_OFFSET] * bits >> 3;
  const fits = (top: number): boolean =>
    left + (top + height) * pitch <= memory;
  if (!fits(dispi[Dispi.Y_OFFSET])) dispi[Dispi.Y_OFFSET] = 0;
  if (!fits(dispi[Dispi.Y_OFFSET])) dispi[Dispi.X_OFFSET] = 0;
}

/** What a loaded record has becomes what a guest could have written. */
export function makeDispiValid(state: VgaState, memory: number): void {
  const { dispi } = state;
  for (let i = 0; i < dispi.length; i++) dispi[i] &= 0xffff;
  const id = dispi[Dispi.ID];
  dispi[Dispi.ID] = Math.min(Math.max(id, DispiId.FIRST), DispiId.LAST);
  dispi[Dispi.BANK] &= memory / DISPI_BANK_BYTES - 1;
  makeValid(dispi, memory);
  keepRegisters(state);
}

/** The VGA's registers as they have to be while a mode of the VBE is on. */
export function keepRegisters(state: VgaState): void {
  if (!isVbe(state)) return;
  const { seq, gfx, crtc } = state;
  const { width, height, depth, pitch } = dispiView(state);
  // 64 KB at A0000h, graphics.
  gfx[6] = gfx[6] & ~0x0c | 0x05;
  crtc[0x17] |= 3;
  crtc[0x13] = pitch >> 3;
  crtc[0x01] = (width >> 3) - 1;
  const last = height - 1;
  crtc[0x12] = last;
  crtc[0x07] = crtc[0x07] & ~0x42 | last >> 7 & 0x02 | last >> 3 & 0x40;
  // No split screen, no line twice.
  crtc[0x18] = 0xff;
  crtc[0x07] |= 0x10;
  crtc[0x09] = crtc[0x09] & ~0x9f | 0x40;
  if (depth === 4) {
    gfx[5] &= ~0x60;
    seq[1] &= ~0x08;
    seq[4] &= ~0x08;
  } else {
    gfx[5] = gfx[5] & ~0x60 | 0x40;
    // Chain 4, all planes.
    seq[4] |= 0x08;
    seq[2] |= 0x0f;
  }
}
