/**
 * What comes after a reset: vectors, data areas, the board's chips, the screen,
 * and then INT 19h.
 *
 * Source: IBM PC/AT Technical Reference, BIOS "POST" and "Shutdown"; Phoenix,
 * "System BIOS for IBM PCs", chapters 2 to 4.
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { writeDriveData } from "./disk_tables.ts";
import { type Frame, Status } from "./frame.ts";
import { resetKeyboard } from "./keyboard.ts";
import {
  Bda,
  EBDA,
  EBDA_FIXED_DISKS,
  EBDA_SEGMENT,
  Equipment,
  Kbc,
  Pic,
  PORT_92,
  ROM_SEGMENT,
} from "./layout.ts";
import { memorySizes, placeTables } from "./memory_map.ts";
import { findMouse } from "./mouse.ts";
import { callRom, findRoms, protectRoms } from "./option_roms.ts";
import { setUpPci } from "./pci.ts";
import { findSerialPorts } from "./ports.ts";
import { entryOf, SERVICES, Table } from "./rom.ts";
import { print } from "./teletype.ts";
import { ticksOfDay } from "./time.ts";
import { startVideo } from "./video.ts";

/** CMOS: why the CPU was reset, and the equipment. */
const SHUTDOWN = 0x0f;
const CMOS_EQUIPMENT = 0x14;
/** Shutdown codes: go on at 40h:67h, with an end of interrupt or without. */
const RESUME_EOI = 0x05;
const RESUME = 0x0a;
/** Shutdown codes: go on with IRET or RETF from the stack at 40h:67h. */
const RESUME_IRET = 0x0b;
const RESUME_RETF = 0x0c;

/** The timer: all of counter 0 at 18.2 Hz; refresh; the speaker's tone. */
const PIT = 0x40;
const PIT_MODE = 0x43;
/** Masks: the timer, keyboard, slave and floppy; the clock, FPU and disk. */
const MASTER_MASK = 0xb8;
const SLAVE_MASK = 0x9e;
/** Command byte: keyboard interrupt, tested, no mouse, translation. */
const KBC_COMMAND_BYTE = 0x65;
const KBC_OBF = 0x01;
/** Commands of the controller and the keyboard. */
const KBC_WRITE_COMMAND = 0x60;
const KBD_ENABLE = 0xf4;
/** What a controller gives at most before it is empty. */
const KBC_ANSWERS = 16;
const KIB = 1024;
/** Register B of the clock: 24 hours, no interrupts. */
const CLOCK_B = 0x0b;
const CLOCK_24 = 0x02;
/** Register C: reading it ends interrupts. */
const CLOCK_C = 0x0c;

/** After a reset. */
export function post(bios: Bios, frame: Frame): Status {
  const { guest, state } = bios;
  if (frame.phase > 0) return callRoms(bios, frame);
  const shutdown = guest.cmos(SHUTDOWN);
  guest.setCmos(SHUTDOWN, 0);
  // A program's own reset, to leave the protected mode of an 80286.
  switch (shutdown) {
    case RESUME_EOI:
    case RESUME:
      if (shutdown === RESUME_EOI) {
        guest.out8(Pic.SLAVE, Pic.EOI);
        guest.out8(Pic.MASTER, Pic.EOI);
      }
      frame.returnTo(guest.u16(Bda.RESUME + 2), guest.u16(Bda.RESUME));
      return Status.DONE;
    case RESUME_IRET:
    case RESUME_RETF:
      frame.returnTo(
        ROM_SEGMENT,
        bios.entry(shutdown === RESUME_IRET ? "resumeiret" : "resumeretf"),
      );
      return Status.DONE;
  }
  const warm = guest.u16(Bda.WARM_START);
  vectors(bios);
  dataAreas(bios);
  guest.set16(Bda.WARM_START, warm);
  chips(bios);
  setUpPci(bios);
  placeTables(bios);
  startVideo(bios);
  const { extended, high } = memorySizes(bios);
  const mib = Math.floor((extended + high) / KIB / KIB) + 1;
  print(bios, `Rhea BIOS, ${mib} MB\r\n\r\n`);
  writeDriveData(bios);
  state.roms = findRoms(bios);
  return callRoms(bios, frame);
}

/** Call the option ROMs, one each time, and then what starts a system. */
function callRoms(bios: Bios, frame: Frame): Status {
  const { guest, state } = bios;
  const rom = state.roms.shift();
  if (rom !== undefined) {
    return callRom(bios, rom);
  }
  guest.set32(Bda.RESUME, 0);
  protectRoms(bios);
  // A ROM may have taken it.
  frame.returnTo(guest.u16(4 * 0x19 + 2), guest.u16(4 * 0x19));
  return Status.DONE;
}

/** The table of interrupt vectors. */
function vectors(bios: Bios): void {
  const { guest } = bios;
  const table = new Uint8Array(1024);
  const view = new DataView(table.buffer);
  const set = (vector: number, offset: number, segment = ROM_SEGMENT): void => {
    view.setUint16(4 * vector, offset, true);
    view.setUint16(4 * vector + 2, segment, true);
  };
  const entry = (vector: number, label: string): void =>
    set(vector, bios.entry(label));
  for (let vector = 0; vector < 256; vector++) entry(vector, "return");
  // Those are users'.
  table.fill(0, 4 * 0x60, 4 * 0x68);
  for (let irq = 0; irq < 8; irq++) {
    entry(0x08 + irq, "master");
    entry(0x70 + irq, "slave");
  }
  for (const vector of [...SERVICES, 0x18, 0x19, 0x71, 0x75]) {
    entry(vector, entryOf(vector));
  }
  set(0x1d, Table.VIDEO);
  set(0x1e, Table.FLOPPY);
  set(0x1f, Table.FONT_8 + 128 * 8);
  entry(0x40, "int13");
  EBDA_FIXED_DISKS.forEach((at, i) =>
    set([0x41, 0x46][i], at - EBDA, EBDA_SEGMENT)
  );
  entry(0x42, "int10");
  set(0x43, Table.FONT_16);
  guest.write(0, table);
}

/** The data areas. */
function dataAreas(bios: Bios): void {
  const { guest } = bios;
  guest.write(0x400, new Uint8Array(0x100));
  guest.write(EBDA, new Uint8Array(KIB));
  // Its size in KiB.
  guest.set8(EBDA, 1);
  guest.set16(Bda.EBDA, EBDA_SEGMENT);
  guest.set16(Bda.BASE_MEMORY, EBDA / KIB);
  const ports = findSerialPorts(bios);
  const fpu = guest.cmos(CMOS_EQUIPMENT) & Equipment.FPU;
  guest.set16(Bda.EQUIPMENT, fpu | ports << 9);
  for (let i = 0; i < 4; i++) {
    guest.set8(Bda.LPT_TIMEOUT + i, 0x14);
    guest.set8(Bda.COM_TIMEOUT + i, 0x01);
  }
  resetKeyboard(bios);
}

/** The interrupt controllers, the timer, the keyboard, A20, the clock. */
function chips(bios: Bios): void {
  const { guest } = bios;
  for (
    const [port, base, cascade, mask] of [
      [Pic.MASTER, 0x08, 0x04, MASTER_MASK],
      [Pic.SLAVE, 0x70, 0x02, SLAVE_MASK],
    ]
  ) {
    guest.out8(port, 0x11);
    for (const word of [base, cascade, 0x01, mask]) guest.out8(port + 1, word);
  }
  // Counter 0: mode 2 of 65536; 1: mode 2 of 18; 2: mode 3 of 1331.
  for (
    const [counter, mode, value] of [
      [0, 0x34, 0],
      [1, 0x74, 18],
      [2, 0xb6, 1331],
    ]
  ) {
    guest.out8(PIT_MODE, mode);
    guest.out8(PIT + counter, value & 0xff);
    guest.out8(PIT + counter, value >> 8);
  }
  guest.out8(PORT_92, guest.in8(PORT_92) & ~1 | 2);
  guest.out8(Kbc.COMMAND, KBC_WRITE_COMMAND);
  guest.out8(Kbc.DATA, KBC_COMMAND_BYTE);
  guest.out8(Kbc.DATA, KBD_ENABLE);
  for (let i = 0; i < KBC_ANSWERS; i++) {
    if ((guest.in8(Kbc.COMMAND) & KBC_OBF) === 0) break;
    guest.in8(Kbc.DATA);
  }
  findMouse(bios);
  guest.setCmos(CLOCK_B, CLOCK_24);
  guest.cmos(CLOCK_C);
  guest.set32(Bda.TICKS, ticksOfDay(bios));
}
