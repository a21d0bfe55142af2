/**
 * PCI: configuration mechanism 1, and what firmware sets up: base addresses
 * and interrupt lines.
 *
 * Sources: PCI Local Bus Specification 3.0, 3.2.2.3.2 and 6.2.5; Intel 82371SB
 * (PIIX3, 290550) "PIRQRC", 82371AB (PIIX4, 290562) "PMBA"; the PCI Interrupt
 * Routing Table Specification 1.0.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import type { Guest } from "./guest.ts";
import { Pic } from "./layout.ts";
import { memorySizes } from "./memory_map.ts";
import { signature, Table, withChecksum } from "./rom.ts";

/** CONFADD and CONFDATA. */
const ADDRESS = 0xcf8;
const DATA = 0xcfc;
const ENABLE = 0x80000000;

/** Configuration space. */
const VENDOR = 0x00;
const COMMAND = 0x04;
const CLASS = 0x08;
const HEADER_TYPE = 0x0e;
const BAR0 = 0x10;
const BARS = 6;
const ROM_BAR = 0x30;
const LINE = 0x3c;
const PIN = 0x3d;
const MULTIFUNCTION = 0x80;
/** Answer ports and memory, be a master. */
const COMMAND_ALL = 0x07;
const BAR_IO = 0x01;
const BAR_64 = 0x04;
const BAR_PREFETCH_AND_TYPE = 0x0f;

const SLOTS = 32;
const FUNCTIONS = 8;

/** Ports for devices begin here. */
const IO_BASE = 0xc000;
const IO_END = 0x10000;
/** Memory for devices: above the RAM, below the interrupt controllers. */
const MEMORY_BASE = 0xe0000000;
const MEMORY_END = 0xfec00000;

/** Bridges to ISA that route interrupts as the PIIX does, by their IDs. */
const ROUTERS: readonly number[] = [0x70008086, 0x71108086, 0x122e8086];
/** PIRQRC[A:D], and the interrupts that they are routed to. */
const PIRQRC = 0x60;
const ROUTES: readonly number[] = [10, 10, 11, 11];
/** The interrupts that they could be routed to: all but those of ISA. */
const POSSIBLE = 0xdef8;
/** Power management of the PIIX4: its ports, where other boards have them. */
export const PIIX4_PM = 0x71138086;
/** Its register with the base of its ports. */
export const PMBA = 0x40;
const PM_PORTS = 0x600;
const PMREGMISC = 0x80;
const SCI = 9;
/** IDE of the PIIX: both channels answer their ports. */
const PIIX_IDE: readonly number[] = [0x70108086, 0x71118086];
const IDETIM = 0x40;
const IDE_ENABLE = 0x8000;

/** A function of the bus: slot * 8 + function. */
export type Devfn = number;

/** Read configuration space; all ones where nothing is. */
export function readConfig(
  guest: Guest,
  devfn: Devfn,
  register: number,
  width: 1 | 2 | 4,
): number {
  guest.out(ADDRESS, 4, (ENABLE | devfn << 8 | register & 0xfc) >>> 0);
  return guest.in(DATA + (register & 3), width);
}

/** Write configuration space. */
export function writeConfig(
  guest: Guest,
  devfn: Devfn,
  register: number,
  width: 1 | 2 | 4,
  value: number,
): void {
  guest.out(ADDRESS, 4, (ENABLE | devfn << 8 | register & 0xfc) >>> 0);
  guest.out(DATA + (register & 3), width, value);
}

/** Whether there is a PCI bus. */
export function hasPci(guest: Guest): boolean {
  guest.out(ADDRESS, 4, ENABLE);
  return guest.in(ADDRESS, 4) === ENABLE;
}

/** The functions of bus 0. */
export function functions(guest: Guest): Devfn[] {
  const found: Devfn[] = [];
  if (!hasPci(guest)) return found;
  for (let slot = 0; slot < SLOTS; slot++) {
    for (let func = 0; func < FUNCTIONS; func++) {
      const devfn = slot * FUNCTIONS + func;
      const there = readConfig(guest, devfn, VENDOR, 2) !== 0xffff;
      if (there) found.push(devfn);
      if (func > 0) continue;
      const type = readConfig(guest, devfn, HEADER_TYPE, 1);
      if (!there || (type & MULTIFUNCTION) === 0) break;
    }
  }
  return found;
}

/** The ID of a function: the device's in the upper word. */
export function idOf(guest: Guest, devfn: Devfn): number {
  return readConfig(guest, devfn, VENDOR, 4);
}

/** The class of a function, 24 bits. */
export function classOf(guest: Guest, devfn: Devfn): number {
  return readConfig(guest, devfn, CLASS, 4) >>> 8;
}

/** A base address register that wants a place. */
interface Wanted {
  readonly devfn: Devfn;
  readonly register: number;
  readonly size: number;
  readonly io: boolean;
  readonly wide: boolean;
}

/** What the base address registers of a function want. */
function wanted(guest: Guest, devfn: Devfn): Wanted[] {
  const list: Wanted[] = [];
  const probe = (register: number, mask: number): number => {
    const before = readConfig(guest, devfn, register, 4);
    writeConfig(guest, devfn, register, 4, mask);
    const value = readConfig(guest, devfn, register, 4);
    writeConfig(guest, devfn, register, 4, before);
    return value;
  };
  for (let i = 0; i < BARS; i++) {
    const register = BAR0 + 4 * i;
    const value = probe(register, 0xffffffff);
    if (value === 0 || value === 0xffffffff) continue;
    const io = (value & BAR_IO) !== 0;
    const bits = io ? value & 0xfffc : value & ~BAR_PREFETCH_AND_TYPE;
    const size = (bits & -bits) >>> 0;
    const wide = !io && (value & 6) === BAR_64;
    if (size !== 0) list.push({ devfn, register, size, io, wide });
    if (wide) i++;
  }
  const rom = probe(ROM_BAR, 0xfffff800);
  const size = (rom & 0xfffff800 & -(rom & 0xfffff800)) >>> 0;
  if (size !== 0 && rom !== 0xffffffff) {
    list.push({ devfn, register: ROM_BAR, size, io: false, wide: false });
  }
  return list;
}

/** Give every base address register a place, the greatest first. */
function assign(bios: Bios, found: readonly Devfn[]): void {
  const { guest } = bios;
  const all = found.flatMap((devfn) => wanted(guest, devfn))
    .sort((a, b) => b.size - a.size);
  let io = IO_BASE;
  let memory = Math.max(MEMORY_BASE, 1048576 + memorySizes(bios).extended);
  for (const { devfn, register, size, io: isIo, wide } of all) {
    const from = Math.ceil((isIo ? io : memory) / size) * size;
    if (from + size > (isIo ? IO_END : MEMORY_END)) {
      bios.log("PCI: no room", `for ${size} bytes of function ${devfn}`);
      continue;
    }
    if (isIo) io = from + size;
    else memory = from + size;
    writeConfig(guest, devfn, register, 4, from);
    if (wide) writeConfig(guest, devfn, register + 4, 4, 0);
  }
}

/** The line of the board that a pin of a slot is on: 0 is PIRQA. */
function lineOf(slot: number, pin: number): number {
  return (slot - 1 + pin) & 3;
}

/** Set up the bus. */
export function setUpPci(bios: Bios): void {
  const { guest } = bios;
  const found = functions(guest);
  if (found.length === 0) return;
  assign(bios, found);
  const router = found.find((devfn) => ROUTERS.includes(idOf(guest, devfn)));
  if (router !== undefined) {
    ROUTES.forEach((irq, i) => writeConfig(guest, router, PIRQRC + i, 1, irq));
    const level = ROUTES.reduce((bits, irq) => bits | 1 << irq, 0);
    guest.out8(Pic.ELCR, level & 0xff);
    guest.out8(Pic.ELCR + 1, level >> 8);
    bios.writeRom(Table.PCI_ROUTING, routingTable(guest, found, router));
  }
  for (const devfn of found) {
    const id = idOf(guest, devfn);
    if (id === PIIX4_PM) {
      writeConfig(guest, devfn, PMBA, 4, PM_PORTS | 1);
      writeConfig(guest, devfn, PMREGMISC, 1, 1);
    } else if (PIIX_IDE.includes(id)) {
      writeConfig(guest, devfn, IDETIM, 2, IDE_ENABLE);
      writeConfig(guest, devfn, IDETIM + 2, 2, IDE_ENABLE);
    }
    const pin = readConfig(guest, devfn, PIN, 1);
    if (pin !== 0 && router !== undefined) {
      const line = lineOf(devfn >> 3, pin - 1);
      const irq = id === PIIX4_PM ? SCI : ROUTES[line];
      writeConfig(guest, devfn, LINE, 1, irq);
    }
    const command = readConfig(guest, devfn, COMMAND, 2);
    writeConfig(guest, devfn, COMMAND, 2, command | COMMAND_ALL);
  }
}

/** The entries of the interrupt routing table: 16 bytes a slot. */
export function routingEntries(found: readonly Devfn[]): number[] {
  const slots = new Set(found.map((devfn) => devfn >> 3));
  slots.delete(0);
  return [...slots].flatMap((slot) => [
    0,
    slot << 3,
    ...[0, 1, 2, 3].flatMap((pin) => [
      PIRQRC + lineOf(slot, pin),
      POSSIBLE & 0xff,
      POSSIBLE >> 8,
    ]),
    slot,
    0,
  ]);
}

/** Interrupts that are only PCI's. */
export const EXCLUSIVE: number = ROUTES.reduce((a, irq) => a | 1 << irq, 0);

/** The $PIR table. */
function routingTable(
  guest: Guest,
  found: readonly Devfn[],
  router: Devfn,
): Uint8Array {
  const HEADER = 32;
  const CHECKSUM = 31;
  const entries = routingEntries(found);
  const bytes = new Uint8Array(HEADER + entries.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, signature("$PIR"), true);
  view.setUint16(4, 0x0100, true);
  view.setUint16(6, bytes.length, true);
  bytes[9] = router;
  view.setUint16(10, EXCLUSIVE, true);
  view.setUint32(12, idOf(guest, router), true);
  bytes.set(entries, HEADER);
  return Uint8Array.from(withChecksum([...bytes], CHECKSUM));
}
