/**
 * INT 10h, 4Fh: VBE 3.0 on Bochs' display interface ("dispi") and its PCI
 * function, whose first base address is the frame buffer. Without them all of
 * it is refused.
 *
 * Sources: VESA BIOS Extension (VBE) Core Functions Standard 3.0; VESA BIOS
 * Extensions/Display Data Channel 1.1; QEMU, "QEMU Standard VGA"; Bochs,
 * "Bochs VBE display API".
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { Dispi, type Display, findDisplay } from "./dispi.ts";
import type { Frame } from "./frame.ts";
import { type Guest, linear } from "./guest.ts";
import { Bda, ROM_SEGMENT } from "./layout.ts";
import { Table } from "./rom.ts";
import {
  lineBytes,
  modeInformation,
  pictureBytes,
  VBE_MODES,
  type VbeMode,
} from "./vbe_modes.ts";
import { restoreState, saveState, stateBlocks } from "./video_state.ts";
import { MODES, programColours, programMode } from "./video_modes.ts";
import { setMode } from "./video_set.ts";

/** AX: done; failed; not in this mode; there is no such function. */
const OK = 0x004f;
const FAILED = 0x014f;
const NOT_IN_MODE = 0x034f;
const UNSUPPORTED = 0x0100;
/** 00h: the block, of VBE 1 and, when the caller has written "VBE2", of 2. */
const INFO_BYTES = 256;
const INFO_BYTES_2 = 512;
const VBE2 = 0x32454256;
const VERSION = 0x0300;
/** Capabilities: the DAC can be switched to 8 bits. */
const DAC_8 = 0x01;
/** 02h: what a number comes with. */
const KEEP = 0x8000;
const LINEAR = 0x4000;
const NUMBER = 0x01ff;
/** What the mode that is set is known by. */
const STATE_BITS = NUMBER | LINEAR | KEEP;
/** Bit 11: the caller has timings of its own, which change nothing here. */
const IGNORED = 0x0800;
/** A mode that is none of the VGA's, for the data area. */
const NO_MODE = 0xff;
/** 04h: a state has this too. */
const SVGA = 0x08;
const DAC_WRITE = 0x3c8;
const DAC_READ = 0x3c7;
const DAC_DATA = 0x3c9;
const EDID_BYTES = 128;

/** 4Fh. */
export function vbe(bios: Bios, frame: Frame): void {
  const display = findDisplay(bios.guest);
  frame.ax = display === undefined ? UNSUPPORTED : serve(bios, frame, display);
}

/** Do what AL asks for; gives AX. */
function serve(bios: Bios, frame: Frame, display: Display): number {
  switch (frame.al) {
    case 0x00:
      return information(bios, frame, display);
    case 0x01: {
      const { frameBuffer, memory } = display;
      const entry = (ROM_SEGMENT << 16 | bios.entry("vbewindow")) >>> 0;
      const number = frame.cx & NUMBER;
      const block = modeInformation(number, memory, frameBuffer, entry);
      if (block === undefined) return FAILED;
      bios.guest.write(linear(frame.es, frame.di), block);
      return OK;
    }
    case 0x02:
      return set(bios, frame.bx, display);
    case 0x03:
      frame.bx = bios.state.vbeMode || vgaMode(bios.guest);
      return OK;
    case 0x04:
      return saveRestore(bios, frame, display);
    case 0x15:
      return ddc(bios, frame, display);
  }
  const mode = modeNow(bios);
  if (frame.al > 0x09 || mode === undefined) {
    const known = frame.al >= 0x05 && frame.al <= 0x09;
    return known ? FAILED : UNSUPPORTED;
  }
  switch (frame.al) {
    case 0x05:
      return bank(bios, frame, display);
    case 0x06:
      return lineLength(frame, display, mode);
    case 0x07:
      return start(frame, display);
    case 0x08:
      return dacWidth(frame, display, mode);
    default:
      return colours(bios, frame, display, mode);
  }
}

/** A mode of the VGA as VBE has it: whether it was cleared is in another bit. */
function vgaMode(guest: Guest): number {
  const keeps = (guest.u8(Bda.VIDEO_CONTROL) & 0x80) !== 0;
  return guest.u8(Bda.MODE) | (keeps ? KEEP : 0);
}

/** The mode of VBE that is set. */
function modeNow(bios: Bios): VbeMode | undefined {
  return VBE_MODES.get(bios.state.vbeMode & NUMBER);
}

/** 00h: the controller. */
function information(bios: Bios, frame: Frame, display: Display): number {
  const { guest } = bios;
  const at = linear(frame.es, frame.di);
  const isTwo = guest.u32(at) === VBE2;
  const bytes = new Uint8Array(isTwo ? INFO_BYTES_2 : INFO_BYTES);
  const view = new DataView(bytes.buffer);
  const pointer = (offset: number, to: number): void =>
    view.setUint32(offset, (ROM_SEGMENT << 16 | to) >>> 0, true);
  bytes.set(new TextEncoder().encode("VESA"));
  view.setUint16(0x04, VERSION, true);
  pointer(0x06, Table.VBE_NAME);
  view.setUint32(0x0a, DAC_8, true);
  pointer(0x0e, Table.VBE_LIST);
  view.setUint16(0x12, display.memory >> 16, true);
  if (isTwo) {
    for (const offset of [0x16, 0x1a, 0x1e]) pointer(offset, Table.VBE_NAME);
  }
  const list = Uint16Array.of(...numbers(display), 0xffff);
  bios.writeRom(Table.VBE_LIST, new Uint8Array(list.buffer));
  guest.write(at, bytes);
  return OK;
}

/** The modes that there are. */
function numbers({ memory, maxWidth, maxHeight }: Display): number[] {
  const fitting = [...VBE_MODES].filter(([, mode]) =>
    pictureBytes(mode) <= memory && mode.width <= maxWidth &&
    mode.height <= maxHeight
  );
  return [...fitting.map(([number]) => number), ...MODES.keys()];
}

/** 02h: set a mode, of VBE or of the VGA. */
function set(bios: Bios, bx: number, display: Display): number {
  const { guest } = bios;
  const number = bx & ~(KEEP | LINEAR | IGNORED);
  const keeps = (bx & KEEP) !== 0;
  const mode = VBE_MODES.get(number);
  if (mode === undefined) {
    const known = number < 0x100 && setMode(bios, number | (keeps ? 0x80 : 0));
    return known ? OK : FAILED;
  }
  if (!numbers(display).includes(number)) return FAILED;
  const { width, height, bits } = mode;
  const planar = bits === 4;
  display.write(Dispi.ENABLE, 0);
  programMode(bios, MODES.get(planar ? 0x12 : 0x13)!);
  if (bits <= 8) programColours(bios, planar ? "ega" : "vga");
  display.write(Dispi.BPP, bits);
  display.write(Dispi.XRES, width);
  display.write(Dispi.YRES, height);
  display.write(Dispi.BANK, 0);
  display.write(
    Dispi.ENABLE,
    Dispi.ENABLED | ((bx & LINEAR) !== 0 ? Dispi.LINEAR : 0) |
      (keeps ? Dispi.NO_CLEAR : 0),
  );
  bios.state.vbeMode = bx & STATE_BITS;
  guest.set8(Bda.MODE, NO_MODE);
  guest.set16(Bda.COLUMNS, width >> 3);
  guest.set8(Bda.ROWS, Math.min(255, (height >> 4) - 1));
  guest.set16(Bda.CHARACTER_HEIGHT, 16);
  guest.set16(Bda.CRTC, 0x3d4);
  guest.set8(Bda.PAGE, 0);
  guest.write(Bda.CURSORS, new Uint8Array(16));
  return OK;
}

/** 04h: save and restore the state. */
function saveRestore(bios: Bios, frame: Frame, display: Display): number {
  const { guest } = bios;
  const what = frame.cx;
  const at = linear(frame.es, frame.bx);
  const svga = (what & SVGA) !== 0;
  switch (frame.dl) {
    case 0x00:
      frame.bx = stateBlocks(what) + (svga ? 1 : 0);
      return OK;
    case 0x01: {
      if (svga) {
        const saved = [...display.state(), bios.state.vbeMode];
        guest.write(at, new Uint8Array(Uint16Array.from(saved).buffer));
      }
      saveState(bios, what, svga ? at + 64 : at);
      return OK;
    }
    case 0x02: {
      if (svga) {
        const words = new Uint16Array(guest.bytes(at, 64).buffer);
        bios.state.vbeMode = display.restore(words) & STATE_BITS;
      }
      restoreState(bios, what, svga ? at + 64 : at);
      return OK;
    }
    default:
      return FAILED;
  }
}

/** 05h: move the window. */
function bank(bios: Bios, frame: Frame, display: Display): number {
  const linearMode = (bios.state.vbeMode & LINEAR) !== 0;
  if (frame.bl !== 0 || frame.bh > 1) return FAILED;
  if (linearMode) return NOT_IN_MODE;
  if (frame.bh === 1) {
    frame.dx = display.read(Dispi.BANK);
    return OK;
  }
  if (frame.dx >= display.memory >> 16) return FAILED;
  display.write(Dispi.BANK, frame.dx);
  return OK;
}

/** 06h: how long lines are in memory. */
function lineLength(frame: Frame, display: Display, mode: VbeMode): number {
  const perPixel = lineBytes(mode) / mode.width;
  const planes = mode.bits === 4 ? 4 : 1;
  const longest = Math.floor(
    display.memory / planes / mode.height / perPixel,
  ) & ~7;
  let width = frame.cx;
  switch (frame.bl) {
    case 0x00:
      break;
    case 0x01:
      width = display.read(Dispi.VIRT_WIDTH);
      break;
    case 0x02:
      width = Math.floor(frame.cx / perPixel);
      break;
    case 0x03:
      frame.cx = Math.min(longest, 0xfff8, Math.floor(0xffff / perPixel));
      frame.bx = Math.floor(frame.cx * perPixel);
      frame.dx = mode.height;
      return OK;
    default:
      return FAILED;
  }
  if (frame.bl !== 0x01) {
    if (width < mode.width || width > longest) return 0x024f;
    display.write(Dispi.VIRT_WIDTH, width);
    width = display.read(Dispi.VIRT_WIDTH);
  }
  frame.bx = Math.floor(width * perPixel);
  frame.cx = width;
  frame.dx = Math.min(
    0xffff,
    Math.floor(display.memory / planes / Math.max(1, frame.bx)),
  );
  return OK;
}

/** 07h: which pixel of the memory is the first on the screen. */
function start(frame: Frame, display: Display): number {
  switch (frame.bl) {
    case 0x00:
    case 0x80:
      display.write(Dispi.X_OFFSET, frame.cx);
      display.write(Dispi.Y_OFFSET, frame.dx);
      return OK;
    case 0x01:
      frame.bh = 0;
      frame.cx = display.read(Dispi.X_OFFSET);
      frame.dx = display.read(Dispi.Y_OFFSET);
      return OK;
    default:
      return FAILED;
  }
}

/** 08h: bits of the DAC. */
function dacWidth(frame: Frame, display: Display, mode: VbeMode): number {
  if (mode.bits > 8) return NOT_IN_MODE;
  if (frame.bl > 1) return FAILED;
  if (frame.bl === 0) display.setWideDac(frame.bh >= 8);
  frame.bh = display.wideDac ? 8 : 6;
  return OK;
}

/** 09h: the palette, of blue, green, red and a byte more each. */
function colours(
  bios: Bios,
  frame: Frame,
  display: Display,
  mode: VbeMode,
): number {
  const { guest } = bios;
  if (mode.bits > 8) return NOT_IN_MODE;
  const first = frame.dx & 0xff;
  const count = Math.min(frame.cx, 256 - first);
  const at = linear(frame.es, frame.di);
  const mask = display.wideDac ? 0xff : 0x3f;
  switch (frame.bl) {
    case 0x00:
    case 0x80: {
      const table = guest.bytes(at, 4 * count);
      guest.out8(DAC_WRITE, first);
      for (let i = 0; i < table.length; i += 4) {
        for (const part of [2, 1, 0]) {
          guest.out8(DAC_DATA, table[i + part] & mask);
        }
      }
      return OK;
    }
    case 0x01: {
      const table = new Uint8Array(4 * count);
      guest.out8(DAC_READ, first);
      for (let i = 0; i < table.length; i += 4) {
        for (const part of [2, 1, 0]) table[i + part] = guest.in8(DAC_DATA);
      }
      guest.write(at, table);
      return OK;
    }
    default:
      // There is no second palette.
      return 0x024f;
  }
}

/** 15h: what the monitor says of itself. */
function ddc(bios: Bios, frame: Frame, display: Display): number {
  const edid = display.edid;
  if (edid === undefined) return FAILED;
  switch (frame.bl) {
    case 0x00:
      // A second for a block; DDC2, and the screen stays on.
      frame.bx = 0x0102;
      return OK;
    case 0x01:
      if (frame.dx !== 0) return FAILED;
      bios.guest.write(
        linear(frame.es, frame.di),
        edid.subarray(0, EDID_BYTES),
      );
      return OK;
    default:
      return UNSUPPORTED;
  }
}
