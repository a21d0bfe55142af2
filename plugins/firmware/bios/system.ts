/**
 * INT 11h, 12h and 15h: equipment, memory, and what else the system has.
 *
 * Sources: Phoenix, "System BIOS for IBM PCs", chapters 13 and 14; ACPI 6.5,
 * section 15 for E820h; Ralf Brown's interrupt list for 24h and E801h.
 *
 * @module
 */

import { MICROSECOND } from "../../../core/time/clock.ts";
import { powerManagement } from "./apm.ts";
import type { Bios } from "./context.ts";
import { type Frame, Status } from "./frame.ts";
import { linear } from "./guest.ts";
import { Bda, EBDA_SEGMENT, PORT_92, ROM_SEGMENT } from "./layout.ts";
import { memoryMap, usableExtended } from "./memory_map.ts";
import { pointingDevice } from "./mouse.ts";
import { Table } from "./rom.ts";
import { cancelEvent, startEvent } from "./time.ts";

/** There is no such function. */
const UNSUPPORTED = 0x86;
/** A wait is under way already. */
const BUSY = 0x83;
/** Port 92h: the A20 gate is open. */
const A20 = 0x02;
/** A20 can be set by the keyboard controller and by port 92h. */
const A20_WAYS = 0x0003;
/** E820h: "SMAP", and the bytes of an entry. */
const SMAP = 0x534d4150;
const ENTRY_BYTES = 20;
/** 87h: descriptors of the source and the target, and the longest move. */
const SOURCE = 0x10;
const TARGET = 0x18;
const MAX_WORDS = 0x8000;
const KIB = 1024;
/** 88h: the most that it tells, in KiB, as BIOSes do: 64 MiB with the first. */
const MAX_EXTENDED = 63 * KIB;
/** E801h: memory from 1 to 16 MiB in KiB at most, then in units of 64 KiB. */
const BELOW_16M = 15 * KIB;
const BLOCK_64K = 64 * KIB;

/** INT 11h. */
export function equipment(bios: Bios, frame: Frame): Status {
  frame.ax = bios.guest.u16(Bda.EQUIPMENT);
  return Status.DONE;
}

/** INT 12h. */
export function memorySize(bios: Bios, frame: Frame): Status {
  frame.ax = bios.guest.u16(Bda.BASE_MEMORY);
  return Status.DONE;
}

/** Return with success, or with a code in AH. */
function answer(frame: Frame, code = 0): Status {
  frame.carry = code !== 0;
  frame.ah = code;
  return Status.DONE;
}

/** INT 15h. */
export function system(bios: Bios, frame: Frame): Status {
  switch (frame.ah) {
    case 0x24:
      return a20(bios, frame);
    case 0x4f:
      // Keys are taken as they are.
      frame.carry = true;
      return Status.DONE;
    case 0x83:
      return event(bios, frame);
    case 0x53:
      return powerManagement(bios, frame);
    // A medium is to be ejected; SysReq, device busy, device done.
    case 0x52:
    case 0x85:
    case 0x90:
    case 0x91:
      return answer(frame);
    case 0x86: {
      const time = (frame.cx << 16 | frame.dx) >>> 0;
      const status = bios.waitFor(frame, time * MICROSECOND);
      if (status === Status.DONE) frame.carry = false;
      return status;
    }
    case 0x87:
      return move(bios, frame);
    case 0x88:
      frame.ax = Math.min(usableExtended(bios) / KIB, MAX_EXTENDED);
      frame.carry = false;
      return Status.DONE;
    case 0xc0:
      frame.es = ROM_SEGMENT;
      frame.bx = Table.CONFIGURATION;
      return answer(frame);
    case 0xc1:
      frame.es = EBDA_SEGMENT;
      frame.carry = false;
      return Status.DONE;
    case 0xc2:
      return pointingDevice(bios, frame);
    case 0xe8:
      if (frame.al === 0x01) return sizes(bios, frame);
      if (frame.al === 0x20) return mapEntry(bios, frame);
  }
  return answer(frame, UNSUPPORTED);
}

/** 24h: the A20 gate. */
function a20(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  const gate = guest.in8(PORT_92);
  switch (frame.al) {
    case 0x00:
    case 0x01:
      // Bit 0 would reset.
      guest.out8(PORT_92, gate & ~(A20 | 1) | frame.al * A20);
      break;
    case 0x02:
      frame.al = (gate & A20) >> 1;
      break;
    case 0x03:
      frame.bx = A20_WAYS;
      break;
    default:
      return answer(frame, UNSUPPORTED);
  }
  return answer(frame);
}

/** 83h: set a bit after a time. */
function event(bios: Bios, frame: Frame): Status {
  if (frame.al === 1) {
    cancelEvent(bios);
    return answer(frame);
  }
  if (frame.al !== 0) return answer(frame, UNSUPPORTED);
  if ((bios.guest.u8(Bda.WAIT_FLAG) & 1) !== 0) return answer(frame, BUSY);
  const pointer = (frame.es << 16 | frame.bx) >>> 0;
  startEvent(bios, pointer, (frame.cx << 16 | frame.dx) >>> 0);
  return answer(frame);
}

/** 87h: move words between any addresses below 4 GiB. */
function move(bios: Bios, frame: Frame): Status {
  const { guest } = bios;
  const table = linear(frame.es, frame.si);
  const base = (at: number): number =>
    ((guest.u32(table + at + 2) & 0xffffff) |
      guest.u8(table + at + 7) << 24) >>> 0;
  if (frame.cx > MAX_WORDS) return answer(frame, 2);
  guest.write(base(TARGET), guest.bytes(base(SOURCE), 2 * frame.cx));
  return answer(frame);
}

/** E801h: memory in two parts. */
function sizes(bios: Bios, frame: Frame): Status {
  const extended = usableExtended(bios);
  const below = Math.min(extended / KIB, BELOW_16M);
  const above = Math.max(0, extended - BELOW_16M * KIB) / BLOCK_64K;
  frame.ax = frame.cx = below;
  frame.bx = frame.dx = Math.floor(above);
  frame.carry = false;
  return Status.DONE;
}

/** E820h: an entry of the memory map. */
function mapEntry(bios: Bios, frame: Frame): Status {
  const map = memoryMap(bios);
  const entry = map[frame.ebx];
  if (frame.edx !== SMAP || frame.ecx < ENTRY_BYTES || entry === undefined) {
    return answer(frame, UNSUPPORTED);
  }
  const bytes = new Uint8Array(ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  const { base, size, type } = entry;
  view.setUint32(0, base, true);
  view.setUint32(4, base / 2 ** 32, true);
  view.setUint32(8, size, true);
  view.setUint32(12, size / 2 ** 32, true);
  view.setUint32(16, type, true);
  bios.guest.write(linear(frame.es, frame.di), bytes);
  frame.ebx = frame.ebx + 1 < map.length ? frame.ebx + 1 : 0;
  frame.eax = SMAP;
  frame.ecx = ENTRY_BYTES;
  frame.carry = false;
  return Status.DONE;
}
