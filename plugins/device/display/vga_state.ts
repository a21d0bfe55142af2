/**
 * The VGA's state, and what it is at power-on. Its memory is a region of its
 * own and not in the state.
 *
 * IBM PS/2 Hardware Interface Technical Reference, "Video subsystem": the
 * registers' names and their values in mode 3; the same values stand in the
 * FreeVGA documentation.
 *
 * @module
 */

import { DispiId } from "../../../core/bus/dispi.ts";
import { VGA_FONT_HEIGHT, vgaFont } from "../../../core/backend/vga_font.ts";

/** Addresses of a plane of the VGA: 64 KB. */
export const PLANE_BYTES = 0x10000;

/** Video memory, in three views. */
export interface VideoMemory {
  /** The bytes, as the linear frame buffer has them. */
  readonly bytes: Uint8Array;
  /** The same as words of 16 bits. */
  readonly halves: Uint16Array;
  /**
   * The same as words of 32 bits: the four planes' bytes at an address, plane 0
   * lowest.
   */
  readonly words: Uint32Array;
}

/** The views of video memory. */
export function videoMemory(bytes: Uint8Array): VideoMemory {
  const { buffer, byteOffset, length } = bytes;
  return {
    bytes,
    halves: new Uint16Array(buffer, byteOffset, length >> 1),
    words: new Uint32Array(buffer, byteOffset, length >> 2),
  };
}

/** Everything in the chip. */
export interface VgaState {
  /** Video subsystem enable: ports and memory are decoded. */
  enabled: boolean;
  /** Miscellaneous output. */
  misc: number;
  /** Feature control. */
  feature: number;
  /** Sequencer: address and SR0 to SR4. */
  seqIndex: number;
  /** SR0 to SR4. */
  seq: Uint8Array;
  /** Graphics controller: address. */
  gfxIndex: number;
  /** GR0 to GR8. */
  gfx: Uint8Array;
  /** CRT controller: address. */
  crtcIndex: number;
  /** CR00 to CR18. */
  crtc: Uint8Array;
  /** Attribute controller: address, with the palette address source (20h). */
  attrIndex: number;
  /** The next write to 3C0h is data. */
  attrData: boolean;
  /** AR00 to AR14. */
  attr: Uint8Array;
  /** PEL mask. */
  pelMask: number;
  /** DAC state: 3 after a read address, 0 after a write address. */
  dacState: number;
  /** The colour that is read next. */
  dacRead: number;
  /** The colour that is written next. */
  dacWrite: number;
  /** Which of red, green and blue is next. */
  dacPart: number;
  /** Red and green that wait for blue. */
  dacHeld: Uint8Array;
  /** 256 colours: red, green, blue of 6 bits, or 8 when the VBE says so. */
  dac: Uint8Array;
  /** The latches: a byte for each plane, plane 0 lowest. */
  latch: number;
  /** Bochs VBE: the index register. */
  dispiIndex: number;
  /** Bochs VBE: the registers, by index (`vbe.ts`). */
  dispi: number[];
  /** Bochs VBE: the low byte of data that was written by bytes. */
  dispiLow: number;
}

/** The fields that are numbers. */
type NumberField = {
  [K in keyof VgaState]: VgaState[K] extends number ? K : never;
}[keyof VgaState];

/** The bits that they have. */
const BITS: Readonly<Record<NumberField, number>> = {
  misc: 0xff,
  feature: 0x03,
  seqIndex: 0x07,
  gfxIndex: 0x0f,
  crtcIndex: 0x3f,
  attrIndex: 0x3f,
  pelMask: 0xff,
  dacState: 0x03,
  dacRead: 0xff,
  dacWrite: 0xff,
  dacPart: 0x03,
  latch: 0xffffffff,
  dispiIndex: 0xffff,
  dispiLow: 0xff,
};

/** Of a loaded record: numbers become what the chip's registers can hold. */
export function makeNumbersValid(state: VgaState): void {
  for (const field of Object.keys(BITS) as NumberField[]) {
    state[field] = (state[field] & BITS[field]) >>> 0;
  }
  // Red, green or blue.
  state.dacPart %= 3;
}

/** Mode 3: 80 columns, 25 rows, colour, 9x16 cells. */
const MODE_3 = {
  misc: 0x67,
  seq: "0300030002",
  gfx: "0000000000100e00ff",
  crtc: "5f4f50825581bf1f004f0d0e000000009c8e8f281f96b9a3ff",
  attr: "000102030405140738393a3b3c3d3e3f0c000f0800",
};
/** Cells of the 32 KB that mode 3 shows at B8000h, each a blank in grey. */
const TEXT_CELLS = 0x4000;
const BLANK_CELL = 0x0720;

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g)!, (byte) => parseInt(byte, 16));
}

/** The 64 colours of the EGA, as mode 3 has them in the DAC. */
function egaColours(): Uint8Array {
  const dac = new Uint8Array(768);
  for (let i = 0; i < 64; i++) {
    // Bits 0 to 2 are blue, green and red; 3 to 5 half as much of each.
    for (const [part, bit] of [[0, 2], [1, 1], [2, 0]]) {
      dac[3 * i + part] = (i >> bit & 1) * 0x2a + (i >> (bit + 3) & 1) * 0x15;
    }
  }
  return dac;
}

/** After power-on, before any firmware. */
export function blankState(): VgaState {
  return {
    enabled: true,
    misc: 0,
    feature: 0,
    seqIndex: 0,
    seq: new Uint8Array(5),
    gfxIndex: 0,
    gfx: new Uint8Array(9),
    crtcIndex: 0,
    crtc: new Uint8Array(0x19),
    attrIndex: 0,
    attrData: false,
    attr: new Uint8Array(0x15),
    pelMask: 0xff,
    dacState: 0,
    dacRead: 0,
    dacWrite: 0,
    dacPart: 0,
    dacHeld: new Uint8Array(2),
    dac: new Uint8Array(768),
    latch: 0,
    dispiIndex: 0,
    dispi: [DispiId.LAST, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    dispiLow: 0,
  };
}

/** The planes as mode 3 has them when the screen is empty. */
export function clearText({ words }: VideoMemory): void {
  words.fill(0, 0, PLANE_BYTES);
  // Plane 2 has the first font: 32 bytes a glyph.
  vgaFont().forEach((line, i) => {
    const glyph = Math.floor(i / VGA_FONT_HEIGHT);
    words[32 * glyph + i % VGA_FONT_HEIGHT] = line << 16;
  });
  // Cells are on even addresses: the planes are odd and even.
  for (let cell = 0; cell < TEXT_CELLS; cell++) words[2 * cell] |= BLANK_CELL;
}

/** As firmware leaves it: in mode 3. */
export function mode3State(): VgaState {
  return {
    ...blankState(),
    misc: MODE_3.misc,
    seq: bytes(MODE_3.seq),
    gfx: bytes(MODE_3.gfx),
    crtc: bytes(MODE_3.crtc),
    attr: bytes(MODE_3.attr),
    attrIndex: 0x20,
    dac: egaColours(),
  };
}
