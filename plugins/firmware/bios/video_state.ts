/**
 * INT 10h, 1Bh and 1Ch: what the VGA has and is doing, and its whole state
 * saved and restored.
 *
 * Source: IBM PS/2 and PC BIOS Interface Technical Reference, "Interrupt 10h,
 * (AH) = 1Bh" and "1Ch". How a saved state looks is each BIOS's own.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import type { Frame } from "./frame.ts";
import { linear } from "./guest.ts";
import { Bda, ROM_SEGMENT } from "./layout.ts";
import { Table } from "./rom.ts";
import { currentMode, getAttribute, resetAttribute } from "./video_modes.ts";

/** Bytes of the table that 1Bh gives. */
const TABLE_BYTES = 0x40;
/** Parts of a state, as 1Ch names them. */
const HARDWARE = 1;
const DATA_AREA = 2;
const COLOURS = 4;
/** States are counted in blocks. */
const BLOCK = 64;

/** Ports. */
const ATTRIBUTE = 0x3c0;
const MISC_WRITE = 0x3c2;
const SEQUENCER = 0x3c4;
const PEL_MASK = 0x3c6;
const DAC_READ = 0x3c7;
const DAC_WRITE = 0x3c8;
const DAC_DATA = 0x3c9;
const MISC_READ = 0x3cc;
const GRAPHICS = 0x3ce;
/** How many registers there are of each. */
const SEQUENCERS = 5;
const GRAPHICS_REGISTERS = 9;
const TIMINGS = 0x19;
const ATTRIBUTES = 0x15;
const DAC_BYTES = 768;
/** Miscellaneous output: the CRT controller is at 3D4h. */
const COLOUR_PORT = 0x01;
/** CR11: CR0 to CR7 are protected. */
const PROTECT = 0x80;
const PALETTE_ON = 0x20;
/** What is saved of the data areas: from, to, and the vectors of the fonts. */
const AREAS: readonly (readonly [number, number])[] = [
  [Bda.MODE, Bda.PALETTE + 1],
  [Bda.ROWS, Bda.DISPLAY_CODE + 1],
  [4 * 0x1f, 4 * 0x20],
  [4 * 0x43, 4 * 0x44],
];
const HARDWARE_BYTES = 4 + 1 + SEQUENCERS + GRAPHICS_REGISTERS + TIMINGS +
  ATTRIBUTES;
const AREA_BYTES = AREAS.reduce((n, [from, to]) => n + to - from, 0);

/** 1Bh: the state, and what the VGA has. */
export function stateTable(bios: Bios, frame: Frame): void {
  if (frame.bx !== 0) return;
  const { guest } = bios;
  const table = new Uint8Array(TABLE_BYTES);
  const view = new DataView(table.buffer);
  const mode = currentMode(bios);
  view.setUint16(0, Table.VIDEO_STATE, true);
  view.setUint16(2, ROM_SEGMENT, true);
  // The data area from the mode to the palette, then rows and height.
  guest.read(Bda.MODE, table.subarray(4, 0x22));
  table[0x22] = guest.u8(Bda.ROWS) + 1;
  view.setUint16(0x23, guest.u16(Bda.CHARACTER_HEIGHT), true);
  table[0x25] = guest.u8(Bda.DISPLAY_CODE);
  view.setUint16(0x27, mode === undefined ? 256 : 1 << mode.bits, true);
  table[0x29] = mode === undefined ? 1 : pagesOf(mode);
  table[0x2a] = LINES.indexOf(mode?.height ?? 400) & 3;
  // 256 KB.
  table[0x31] = 3;
  guest.write(linear(frame.es, frame.di), table);
  frame.al = 0x1b;
}

/** Scan lines by their code in the table. */
const LINES: readonly number[] = [200, 350, 400, 480];

/** Pages of a mode. */
function pagesOf(
  { layout, base, pageBytes }: {
    layout: string;
    base: number;
    pageBytes: number;
  },
): number {
  if (layout === "cga" || layout === "packed") return 1;
  const window = base < 0xb0000 ? 0x10000 : 0x8000;
  return Math.min(8, Math.max(1, Math.floor(window / pageBytes)));
}

/** 1Ch: how long a state is, save it, restore it. */
export function saveRestore(bios: Bios, frame: Frame): void {
  const what = frame.cx;
  const at = linear(frame.es, frame.bx);
  switch (frame.al) {
    case 0x00:
      frame.bx = stateBlocks(what);
      break;
    case 0x01:
      saveState(bios, what, at);
      break;
    case 0x02:
      restoreState(bios, what, at);
      break;
    default:
      return;
  }
  frame.al = 0x1c;
}

/** Blocks of 64 bytes that these parts take. */
export function stateBlocks(what: number): number {
  const bytes = ((what & HARDWARE) !== 0 ? HARDWARE_BYTES : 0) +
    ((what & DATA_AREA) !== 0 ? AREA_BYTES : 0) +
    ((what & COLOURS) !== 0 ? DAC_BYTES + 1 : 0);
  return Math.ceil(bytes / BLOCK);
}

/** The CRT controller's port, as the miscellaneous output has it. */
function crtcOf(misc: number): number {
  return (misc & COLOUR_PORT) !== 0 ? 0x3d4 : 0x3b4;
}

/** Write these parts to memory; gives the address behind them. */
export function saveState(bios: Bios, what: number, to: number): number {
  const { guest } = bios;
  let at = to;
  const put = (bytes: Uint8Array): void => {
    guest.write(at, bytes);
    at += bytes.length;
  };
  const indexed = (port: number, count: number): void => {
    const index = guest.in8(port);
    const read = (_: unknown, i: number): number => {
      guest.out8(port, i);
      return guest.in8(port + 1);
    };
    put(Uint8Array.from({ length: count }, read));
    guest.out8(port, index);
  };
  if ((what & HARDWARE) !== 0) {
    const misc = guest.in8(MISC_READ);
    const crtc = crtcOf(misc);
    put(Uint8Array.of(
      guest.in8(SEQUENCER),
      guest.in8(GRAPHICS),
      guest.in8(crtc),
      0,
      misc,
    ));
    indexed(SEQUENCER, SEQUENCERS);
    indexed(GRAPHICS, GRAPHICS_REGISTERS);
    indexed(crtc, TIMINGS);
    put(Uint8Array.from(
      { length: ATTRIBUTES },
      (_, i) => getAttribute(bios, crtc, i),
    ));
  }
  if ((what & DATA_AREA) !== 0) {
    for (const [from, end] of AREAS) put(guest.bytes(from, end - from));
  }
  if ((what & COLOURS) !== 0) {
    guest.out8(DAC_READ, 0);
    put(Uint8Array.of(guest.in8(PEL_MASK)));
    put(Uint8Array.from({ length: DAC_BYTES }, () => guest.in8(DAC_DATA)));
  }
  return at;
}

/** Take these parts from memory; gives the address behind them. */
export function restoreState(bios: Bios, what: number, from: number): number {
  const { guest } = bios;
  let at = from;
  const take = (count: number): Uint8Array => {
    const bytes = guest.bytes(at, count);
    at += count;
    return bytes;
  };
  if ((what & HARDWARE) !== 0) {
    const [sequencer, graphics, timing, , misc] = take(5);
    const crtc = crtcOf(misc);
    guest.out8(MISC_WRITE, misc);
    take(SEQUENCERS).forEach((v, i) => guest.outIndexed(SEQUENCER, i, v));
    take(GRAPHICS_REGISTERS).forEach((v, i) =>
      guest.outIndexed(GRAPHICS, i, v)
    );
    const timings = take(TIMINGS);
    guest.outIndexed(crtc, 0x11, timings[0x11] & ~PROTECT);
    timings.forEach((v, i) => guest.outIndexed(crtc, i, v));
    resetAttribute(bios, crtc);
    take(ATTRIBUTES).forEach((v, i) => {
      guest.out8(ATTRIBUTE, i);
      guest.out8(ATTRIBUTE, v);
    });
    guest.out8(ATTRIBUTE, PALETTE_ON);
    guest.out8(SEQUENCER, sequencer);
    guest.out8(GRAPHICS, graphics);
    guest.out8(crtc, timing);
  }
  if ((what & DATA_AREA) !== 0) {
    for (const [start, end] of AREAS) guest.write(start, take(end - start));
  }
  if ((what & COLOURS) !== 0) {
    guest.out8(PEL_MASK, take(1)[0]);
    guest.out8(DAC_WRITE, 0);
    for (const value of take(DAC_BYTES)) guest.out8(DAC_DATA, value);
  }
  return at;
}
