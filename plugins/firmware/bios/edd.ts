/**
 * INT 13h, 41h to 4Eh: the extended functions of disks and discs.
 *
 * Sources: Phoenix, "Enhanced Disk Drive Specification" 1.1 and 3.0; T13/1572D
 * of the same name, whose paths of drives are longer; "El
 * Torito" Bootable CD-ROM Format Specification 1.0, INT 13h function 4Bh.
 *
 * @module
 */

import type { BootDrive } from "../../../core/machine/boot_drive.ts";
import type { Bios } from "./context.ts";
import { begin, finish, finished } from "./disk_call.ts";
import { FIRST_CDROM } from "./drives.ts";
import { type Frame, Status } from "./frame.ts";
import { linear } from "./guest.ts";
import { DiskStatus } from "./transfer.ts";

/** What the caller's BX is, and what it is told. */
const MAGIC_CALL = 0x55aa;
const MAGIC_ANSWER = 0xaa55;
/** Version 3.0. */
const VERSION = 0x30;
/** Extended access, locking and ejecting, parameters. */
const INTERFACES = 0x0007;

/** Fields of a disk address packet. */
const PACKET_COUNT = 2;
const PACKET_BUFFER = 4;
const PACKET_BLOCK = 8;
const PACKET_FLAT = 16;
/** With this buffer the 64-bit address counts. */
const FLAT = 0xffffffff;

/** Sizes of the parameters' table: of versions 1.1, 2.0 and 3.0, of T13's. */
const TABLE_1 = 0x1a;
const TABLE_2 = 0x1e;
const TABLE_3 = 0x42;
const TABLE_T13 = 0x4a;
/** Opens the drive's path, with which tables of version 3.0 end. */
const PATH_KEY = 0xbedd;
/** Table: the geometry is valid. */
const GEOMETRY_VALID = 0x0002;
/** Table: removable, with a change line, lockable, values are the greatest. */
const DISC_FLAGS = 0x0074;
/** More sectors than CHS addresses reach. */
const CHS_LIMIT = 16383 * 16 * 63;

/** A 64-bit number; greater ones than TypeScript has come out greater too. */
function u64(bios: Bios, address: number): number {
  const { guest } = bios;
  return guest.u32(address) + guest.u32(address + 4) * 2 ** 32;
}

/** An extended function. */
export function edd(bios: Bios, frame: Frame, drive: BootDrive): Status {
  switch (frame.ah) {
    case 0x41:
      if (frame.bx !== MAGIC_CALL) break;
      frame.bx = MAGIC_ANSWER;
      frame.cx = INTERFACES;
      finish(bios, frame, DiskStatus.OK);
      frame.ah = VERSION;
      return Status.DONE;
    case 0x42:
    case 0x43:
    case 0x44:
    case 0x47:
      return packet(bios, frame, drive);
    case 0x45:
      return lock(bios, frame);
    case 0x46:
      // A tray is not opened from here.
      return finish(
        bios,
        frame,
        drive.removable ? DiskStatus.EJECT_FAILED : DiskStatus.NOT_REMOVABLE,
      );
    case 0x48:
      return parameters(bios, frame, drive);
    case 0x49:
      return finish(bios, frame, DiskStatus.OK);
    case 0x4e:
      // No prefetch, the slowest or the usual PIO, no DMA: more is not offered.
      if (![1, 3, 4, 6].includes(frame.al)) break;
      return finish(bios, frame, DiskStatus.OK);
  }
  return finish(bios, frame, DiskStatus.INVALID);
}

/** Extended read, write, verify and seek. */
function packet(bios: Bios, frame: Frame, drive: BootDrive): Status {
  const { guest } = bios;
  const at = linear(frame.ds, frame.si);
  if (frame.phase > 0) {
    const status = finished(bios, frame);
    if (status === undefined) return Status.WAIT;
    if (status !== DiskStatus.OK) guest.set16(at + PACKET_COUNT, 0);
    return finish(bios, frame, status);
  }
  if (guest.u8(at) < PACKET_FLAT) {
    return finish(bios, frame, DiskStatus.INVALID);
  }
  if (drive.sectors === 0) return finish(bios, frame, DiskStatus.NO_MEDIA);
  const count = guest.u16(at + PACKET_COUNT);
  const block = u64(bios, at + PACKET_BLOCK);
  if (block + count > drive.sectors) {
    guest.set16(at + PACKET_COUNT, 0);
    return finish(bios, frame, DiskStatus.NOT_FOUND);
  }
  if (frame.ah === 0x44 || frame.ah === 0x47 || count === 0) {
    return finish(bios, frame, DiskStatus.OK);
  }
  if (frame.ah === 0x43 && drive.readOnly) {
    guest.set16(at + PACKET_COUNT, 0);
    return finish(bios, frame, DiskStatus.WRITE_PROTECTED);
  }
  let address = guest.u32(at + PACKET_BUFFER);
  if (address === FLAT && guest.u8(at) >= PACKET_FLAT + 8) {
    address = u64(bios, at + PACKET_FLAT);
  } else {
    address = linear(address >>> 16, address & 0xffff);
  }
  const kind = frame.ah === 0x42 ? "read" : "write";
  return begin(bios, frame, kind, block, count, address);
}

/** 45h: lock, unlock, ask. Trays stay closed while a program wants it. */
function lock(bios: Bios, frame: Frame): Status {
  if (frame.al > 2) return finish(bios, frame, DiskStatus.INVALID);
  frame.al = 0;
  return finish(bios, frame, DiskStatus.OK);
}

/** 48h: the drive's parameters. */
function parameters(bios: Bios, frame: Frame, drive: BootDrive): Status {
  const { guest } = bios;
  const at = linear(frame.ds, frame.si);
  const room = guest.u16(at);
  if (room < TABLE_1) return finish(bios, frame, DiskStatus.INVALID);
  const size = tableSize(room, drive);
  const table = new Uint8Array(size);
  const view = new DataView(table.buffer);
  view.setUint16(0, size, true);
  if (frame.dl >= FIRST_CDROM) {
    view.setUint16(2, DISC_FLAGS, true);
    table.fill(0xff, 4, 24);
  } else {
    const { geometry, sectors } = drive;
    if (geometry !== undefined && sectors <= CHS_LIMIT) {
      view.setUint16(2, GEOMETRY_VALID, true);
    }
    view.setUint32(4, geometry?.cylinders ?? 0, true);
    view.setUint32(8, geometry?.heads ?? 0, true);
    view.setUint32(12, geometry?.sectors ?? 0, true);
    view.setUint32(16, sectors, true);
    view.setUint32(20, sectors / 2 ** 32, true);
  }
  view.setUint16(24, drive.sectorSize, true);
  // No device parameter table.
  if (size >= TABLE_2) view.setUint32(26, 0xffffffff, true);
  if (size >= TABLE_3) writePath(table.subarray(TABLE_2), drive);
  guest.write(at, table);
  return finish(bios, frame, DiskStatus.OK);
}

/** The size of the table for a caller's buffer of `room` bytes. */
function tableSize(room: number, drive: BootDrive): number {
  if (room < TABLE_2) return TABLE_1;
  if (room < TABLE_3 || drive.path === undefined) return TABLE_2;
  return room < TABLE_T13 ? TABLE_3 : TABLE_T13;
}

/** Where a drive is: its bus, its interface and the ways to it, 8 bytes each. */
function writePath(path: Uint8Array, drive: BootDrive): void {
  const { slot, function: func, channel, device } = drive.path!;
  new DataView(path.buffer, path.byteOffset).setUint16(0, PATH_KEY, true);
  path[2] = path.length;
  const type = drive.kind === "cdrom" ? "ATAPI" : "ATA";
  path.set(new TextEncoder().encode(`PCI ${type.padEnd(8)}`), 6);
  path.set([0, slot, func, channel], 18);
  path[26] = device;
  const sum = path.reduce((sum, byte) => sum + byte, 0);
  path[path.length - 1] = -sum;
}

/** 4Bh: end emulating a drive, or tell what is emulated. */
export function terminateEmulation(bios: Bios, frame: Frame): Status {
  const { emulation } = bios.state;
  const matches = emulation !== null &&
    (frame.dl === 0x7f || frame.dl === emulation.drive);
  if (!matches || frame.al > 1) return finish(bios, frame, DiskStatus.INVALID);
  const specification = new Uint8Array(0x13);
  const view = new DataView(specification.buffer);
  specification[0] = specification.length;
  specification[1] = emulation.media;
  specification[2] = emulation.drive;
  // The controller's index.
  specification[3] = 0;
  view.setUint32(4, emulation.block, true);
  view.setUint16(8, emulation.cdrom & 1, true);
  view.setUint16(12, emulation.segment, true);
  view.setUint16(14, emulation.sectors, true);
  if (emulation.media !== 0) {
    // The last of each, as function 08h has them in CX and DH.
    const last = emulation.cylinders - 1;
    specification[16] = last & 0xff;
    specification[17] = last >> 2 & 0xc0 | emulation.trackSectors;
    specification[18] = emulation.heads - 1;
  }
  bios.guest.write(linear(frame.ds, frame.si), specification);
  if (frame.al === 0) bios.setEmulation(null);
  return finish(bios, frame, DiskStatus.OK);
}
