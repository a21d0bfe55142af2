/**
 * The VGA's memory as the CPU sees it through the window at A0000h: four planes
 * behind the sequencer's addressing and the graphics controller's data path.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Video memory read/write
 * operations"; FreeVGA, "Accessing the VGA display memory" and the graphics
 * registers. The four planes' bytes at one address are one 32-bit word, and
 * what the chip does to four planes at once is one operation on it. In modes of
 * the Bochs VBE, chained planes are the frame buffer's bytes one after another,
 * and banks of 64 KB take the window through all of it.
 *
 * @module
 */

import { dispiBank, isVbe } from "./vbe.ts";
import type { VgaState, VideoMemory } from "./vga_state.ts";

/** Miscellaneous output: the CPU may access the memory. */
const MISC_RAM_ENABLE = 0x02;
/** SR4: odd and even addresses are not apart; chain 4. */
const SR4_ODD_EVEN_OFF = 0x04;
const SR4_CHAIN_4 = 0x08;
/** GR5: read mode, and reads are odd and even. */
const GR5_READ_COMPARE = 0x08;
const GR5_ODD_EVEN = 0x10;

/** A byte of all ones in each plane whose bit is set. */
const PLANES: Uint32Array = Uint32Array.from(
  { length: 16 },
  (_, mask) => {
    let word = 0;
    for (let p = 0; p < 4; p++) if (mask >> p & 1) word |= 0xff << 8 * p;
    return word;
  },
);

/** Where the memory map (GR6 bits 2 and 3) begins in the window, and its size. */
const MAP_START = [0, 0, 0x10000, 0x18000] as const;
const MAP_SIZE = [0x20000, 0x10000, 0x8000, 0x8000] as const;

/** The address within the memory map, or -1 when it is not in it. */
function inMap(state: VgaState, offset: number): number {
  if (!state.enabled || (state.misc & MISC_RAM_ENABLE) === 0) return -1;
  const map = state.gfx[6] >> 2 & 3;
  const address = offset - MAP_START[map];
  return address >= 0 && address < MAP_SIZE[map] ? address : -1;
}

/**
 * The planes' address, when bits of the CPU's address have chosen the plane:
 * A16, which only the map of 128 KB has, takes the lowest of their places.
 */
function planeAddress(address: number, chosenBy: number): number {
  if (chosenBy === 0) return address & 0xffff;
  return address & 0xffff & ~chosenBy | address >> 16;
}

function rotate(value: number, count: number): number {
  return (value >> count | value << (8 - count)) & 0xff;
}

/** Read a byte of the window; loads the latches. */
export function readVram(
  state: VgaState,
  { bytes, words }: VideoMemory,
  offset: number,
): number {
  const address = inMap(state, offset);
  if (address < 0) return 0xff;
  const { seq, gfx } = state;
  let bank = 0;
  if (isVbe(state)) {
    bank = dispiBank(state);
    if ((seq[4] & SR4_CHAIN_4) !== 0) {
      return bank + address < bytes.length ? bytes[bank + address] : 0xff;
    }
  }
  let plane = gfx[4] & 3;
  let chosenBy = 0;
  if ((seq[4] & SR4_CHAIN_4) !== 0) {
    plane = address & 3;
    chosenBy = 3;
  } else if ((gfx[5] & GR5_ODD_EVEN) !== 0) {
    plane = plane & 2 | address & 1;
    chosenBy = 1;
  }
  const at = bank + planeAddress(address, chosenBy);
  const latch = at < words.length ? words[at] : 0xffffffff;
  state.latch = latch;
  if ((gfx[5] & GR5_READ_COMPARE) === 0) return latch >>> 8 * plane & 0xff;
  // A pixel's bit is set when the planes that matter have the colour.
  let differs = (latch ^ PLANES[gfx[2] & 15]) & PLANES[gfx[7] & 15];
  differs |= differs >>> 16;
  differs |= differs >>> 8;
  return ~differs & 0xff;
}

/** Write a byte to the window; false when nothing there takes it. */
export function writeVram(
  state: VgaState,
  { bytes, words }: VideoMemory,
  offset: number,
  value: number,
): boolean {
  const address = inMap(state, offset);
  if (address < 0) return false;
  const { seq, latch } = state;
  let mask = seq[2] & 15;
  let bank = 0;
  if (isVbe(state)) {
    bank = dispiBank(state);
    if ((seq[4] & SR4_CHAIN_4) !== 0) {
      if ((mask >> (address & 3) & 1) === 0) return false;
      // Beyond its end a typed array drops it.
      bytes[bank + address] = value;
      return true;
    }
  }
  let chosenBy = 0;
  if ((seq[4] & SR4_CHAIN_4) !== 0) {
    mask &= 1 << (address & 3);
    chosenBy = 3;
  } else if ((seq[4] & SR4_ODD_EVEN_OFF) === 0) {
    mask &= (address & 1) !== 0 ? 0b1010 : 0b0101;
    chosenBy = 1;
  }
  const at = bank + planeAddress(address, chosenBy);
  const planes = PLANES[mask];
  const data = graphicsData(state.gfx, latch, value);
  words[at] = words[at] & ~planes | data & planes;
  return true;
}

/** What the graphics controller makes of a byte, for all planes. */
function graphicsData(gfx: Uint8Array, latch: number, value: number): number {
  const mode = gfx[5] & 3;
  if (mode === 1) return latch;
  let bits = gfx[8];
  let data: number;
  if (mode === 2) {
    data = PLANES[value & 15];
  } else {
    const rotated = rotate(value, gfx[3] & 7);
    const setReset = PLANES[gfx[0] & 15];
    if (mode === 0) {
      const enabled = PLANES[gfx[1] & 15];
      data = Math.imul(rotated, 0x01010101) & ~enabled | setReset & enabled;
    } else {
      data = setReset;
      bits &= rotated;
    }
  }
  switch (gfx[3] >> 3 & 3) {
    case 1:
      data &= latch;
      break;
    case 2:
      data |= latch;
      break;
    case 3:
      data ^= latch;
      break;
  }
  const changed = Math.imul(bits, 0x01010101);
  return data & changed | latch & ~changed;
}
