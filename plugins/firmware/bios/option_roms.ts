/**
 * Option ROMs: those of ISA cards where they are, those of PCI functions copied
 * there, each called once after a reset.
 *
 * Sources: IBM PC/AT Technical Reference, "ROM modules"; PCI Firmware
 * Specification 3.0, section 5 (images of ROMs); Phoenix, "BIOS Boot
 * Specification" 1.01, 3.3, and "Plug and Play BIOS Specification" 1.0A, 3.4,
 * for the registers.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import type { Status } from "./frame.ts";
import type { Guest } from "./guest.ts";
import { Bda } from "./layout.ts";
import {
  classOf,
  type Devfn,
  functions,
  idOf,
  readConfig,
  writeConfig,
} from "./pci.ts";

/** Where ROMs may be, and how far apart they are. */
const FIRST = 0xc0000;
const END = 0xf0000;
const STEP = 0x800;
/** Where those of PCI functions go. */
const SHADOW_END = 0xe0000;
/** A ROM's head: its signature, its size, the entry. */
const SIGNATURE = 0xaa55;
const UNIT = 512;
const ENTRY = 3;
/** A PCI ROM: where it says which its data structure is. */
const POINTER = 0x18;
/** The structure: "PCIR", IDs, length, kind of code, whether it is the last. */
const PCIR = 0x52494350;
const STRUCTURE_BYTES = 0x18;
const IMAGE_LENGTH = 0x10;
const CODE_TYPE = 0x14;
const INDICATOR = 0x15;
const LAST = 0x80;
const CODE_X86 = 0;
/** Images of one ROM that are looked at. */
const MAX_IMAGES = 16;

/** The expansion ROM's base address register. */
const ROM_BAR = 0x30;
const ROM_ENABLE = 1;
/** The 440FX: PAM1 to PAM4 lay RAM over C0000h to DFFFFh, 16 KiB a half. */
const I440FX = 0x12378086;
const PAM1 = 0x5a;
const SEGMENT = 0x4000;
const PAM_READ = 1;
const PAM_READ_WRITE = 3;
/** Class: a VGA; its ROM is where programs look for it. */
const VGA = 0x0300;

/** A ROM that is to be called. */
export interface OptionRom {
  /** Its segment. */
  segment: number;
  /** What AX has: the function that it is of, or 0. */
  ax: number;
}

/** Bytes of the ROM at an address; 0 when there is none. */
function romSize(guest: Guest, address: number, end: number): number {
  if (guest.u16(address) !== SIGNATURE) return 0;
  const size = guest.u8(address + 2) * UNIT;
  return address + size <= end ? size : 0;
}

/** Whether all bytes add up to 0. */
function isSound(bytes: Uint8Array): boolean {
  let sum = 0;
  for (const byte of bytes) sum += byte;
  return (sum & 0xff) === 0;
}

/** The next place for a ROM behind `address`. */
function next(address: number, unit = STEP): number {
  return Math.ceil(address / unit) * unit;
}

/** Find the ROMs, of VGAs first. Those of PCI functions are copied. */
export function findRoms(bios: Bios): OptionRom[] {
  const { guest } = bios;
  const roms: OptionRom[] = [];
  let free = FIRST;
  for (let at = FIRST; at < END;) {
    const size = romSize(guest, at, END);
    if (size > 0 && isSound(guest.bytes(at, size))) {
      roms.push({ segment: at >> 4, ax: 0 });
      if (at < SHADOW_END) free = at + size;
    }
    at = next(at + Math.max(size, 1));
  }
  return [...roms, ...shadowRoms(bios, next(free, SEGMENT))];
}

/** Copy the ROMs of PCI functions to RAM from an address on. */
function shadowRoms(bios: Bios, from: number): OptionRom[] {
  const { guest } = bios;
  const all = functions(guest);
  const bridge = all.find((devfn) => idOf(guest, devfn) === I440FX);
  if (bridge === undefined) return [];
  const isVga = (devfn: Devfn): boolean => classOf(guest, devfn) >> 8 === VGA;
  const ordered = [...all.filter(isVga), ...all.filter((d) => !isVga(d))];
  const roms: OptionRom[] = [];
  let at = from;
  for (const devfn of ordered) {
    const image = pciImage(guest, devfn);
    if (image === undefined) continue;
    if (at + image.length > SHADOW_END) {
      bios.log("option ROM: no room", `for function ${devfn}`);
      continue;
    }
    setShadow(guest, bridge, at, at + image.length, PAM_READ_WRITE);
    guest.write(at, image);
    roms.push({ segment: at >> 4, ax: devfn });
    at = next(at + image.length);
  }
  return roms;
}

/** Write-protect what was copied. */
export function protectRoms(bios: Bios): void {
  const { guest } = bios;
  const bridge = functions(guest).find((d) => idOf(guest, d) === I440FX);
  if (bridge === undefined) return;
  for (let at = FIRST; at < SHADOW_END; at += SEGMENT) {
    const { register, shift } = pamOf(at);
    const pam = readConfig(guest, bridge, register, 1);
    if ((pam >> shift & PAM_READ_WRITE) === PAM_READ_WRITE) {
      setShadow(guest, bridge, at, at + SEGMENT, PAM_READ);
    }
  }
}

/** Which half of which register a segment of 16 KiB is in. */
function pamOf(address: number): { register: number; shift: number } {
  const segment = (address - FIRST) / SEGMENT | 0;
  return { register: PAM1 + (segment >> 1), shift: 4 * (segment & 1) };
}

function setShadow(
  guest: Guest,
  bridge: Devfn,
  from: number,
  to: number,
  access: number,
): void {
  for (let at = from & ~(SEGMENT - 1); at < to; at += SEGMENT) {
    const { register, shift } = pamOf(at);
    const pam = readConfig(guest, bridge, register, 1);
    const others = pam & ~(PAM_READ_WRITE << shift);
    writeConfig(guest, bridge, register, 1, others | access << shift);
  }
}

/** The image for this machine in a function's ROM. */
function pciImage(guest: Guest, devfn: Devfn): Uint8Array | undefined {
  const bar = readConfig(guest, devfn, ROM_BAR, 4);
  const base = (bar & ~0x7ff) >>> 0;
  // Where POST has put it; nothing is there when it found no place.
  if (base === 0 || base === 0xfffff800) return undefined;
  writeConfig(guest, devfn, ROM_BAR, 4, (base | ROM_ENABLE) >>> 0);
  const image = findImage(guest, base);
  writeConfig(guest, devfn, ROM_BAR, 4, base);
  return image !== undefined && isSound(image) ? image : undefined;
}

function findImage(guest: Guest, base: number): Uint8Array | undefined {
  let at = base;
  for (let i = 0; i < MAX_IMAGES; i++) {
    if (guest.u16(at) !== SIGNATURE) return undefined;
    const bytes = guest.bytes(at + guest.u16(at + POINTER), STRUCTURE_BYTES);
    const view = new DataView(bytes.buffer);
    if (view.getUint32(0, true) !== PCIR) return undefined;
    if (bytes[CODE_TYPE] === CODE_X86) {
      const size = guest.u8(at + 2) * UNIT;
      return size > 0 ? guest.bytes(at, size) : undefined;
    }
    const length = view.getUint16(IMAGE_LENGTH, true) * UNIT;
    if ((bytes[INDICATOR] & LAST) !== 0 || length === 0) return undefined;
    at += length;
  }
  return undefined;
}

/** Call a ROM before POST goes on. */
export function callRom(bios: Bios, { segment, ax }: OptionRom): Status {
  // IBM's POST has its pointer there, too.
  bios.guest.set16(Bda.RESUME, ENTRY);
  bios.guest.set16(Bda.RESUME + 2, segment);
  return bios.callRom("romcall", ax);
}
