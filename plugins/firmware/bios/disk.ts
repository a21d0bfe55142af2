/**
 * INT 13h: disks, floppies and discs.
 *
 * Sources: Phoenix, "System BIOS for IBM PCs", chapters 10 and 11; Phoenix,
 * "Enhanced Disk Drive Specification" 1.1 and 3.0; "El Torito" Bootable CD-ROM
 * Format Specification 1.0; Ralf Brown's interrupt list.
 *
 * @module
 */

import type { BootDrive } from "../../../core/machine/boot_drive.ts";
import type { Bios } from "./context.ts";
import { FIRST_CDROM, FIRST_DISK, floppyGeometry } from "./drives.ts";
import { begin, finish, finished } from "./disk_call.ts";
import { edd, terminateEmulation } from "./edd.ts";
import { type Frame, Status } from "./frame.ts";
import { linear } from "./guest.ts";
import { Bda, ROM_SEGMENT } from "./layout.ts";
import { Table } from "./rom.ts";
import { DiskStatus } from "./transfer.ts";

/** Functions that fixed disks have and floppies have not. */
const DISKS_ALONE: readonly number[] = [0x09, 0x0c, 0x0d, 0x10, 0x11, 0x14];
/** The most sectors that a call moves. */
const MAX_SECTORS = 255;

/** Whether the medium was changed since a caller was last told. */
function isChanged(bios: Bios, number: number, drive: BootDrive): boolean {
  const { changes } = bios.state;
  const now = drive.changes ?? 0;
  while (changes.length <= number) changes.push(0);
  const changed = changes[number] !== now;
  changes[number] = now;
  return changed;
}

/** INT 13h. */
export function disk(bios: Bios, frame: Frame): Status {
  const { drives } = bios;
  const drive = drives.get(frame.dl);
  if (frame.ah === 0x4b) return terminateEmulation(bios, frame);
  if (drive === undefined) {
    if (frame.ah === 0x15 && frame.dl < FIRST_DISK) {
      // No such drive: that is no error.
      frame.ah = 0;
      frame.carry = false;
      return Status.DONE;
    }
    if (frame.ah === 0x08 && frame.dl < FIRST_DISK) {
      frame.ax = frame.bx = frame.cx = 0;
      frame.es = frame.di = 0;
      frame.dx = drives.floppies.length;
      frame.carry = false;
      return Status.DONE;
    }
    return finish(bios, frame, DiskStatus.INVALID);
  }
  if (frame.dl < FIRST_DISK && DISKS_ALONE.includes(frame.ah)) {
    return finish(bios, frame, DiskStatus.INVALID);
  }
  switch (frame.ah) {
    // Reset, recalibrate and what else has nothing to do here.
    case 0x00:
    case 0x09:
    case 0x0d:
    case 0x10:
    case 0x11:
    case 0x14:
      return finish(bios, frame, DiskStatus.OK);
    case 0x01: {
      const field = frame.dl < FIRST_DISK ? Bda.FLOPPY_STATUS : Bda.DISK_STATUS;
      frame.ah = bios.guest.u8(field);
      frame.carry = frame.ah !== 0;
      return Status.DONE;
    }
    case 0x02:
    case 0x03:
    case 0x04:
    case 0x05:
    case 0x0c:
      return cylinders(bios, frame, drive);
    case 0x08:
      return parameters(bios, frame, drive);
    case 0x15:
      return driveType(bios, frame, drive);
    case 0x16:
      if (frame.dl >= FIRST_DISK) break;
      return finish(
        bios,
        frame,
        drive.sectors === 0
          ? DiskStatus.TIMEOUT
          : isChanged(bios, frame.dl, drive)
          ? DiskStatus.CHANGED
          : DiskStatus.OK,
      );
    case 0x17:
      if (frame.dl >= FIRST_DISK) break;
      return finish(bios, frame, DiskStatus.OK);
    case 0x18:
      if (frame.dl >= FIRST_DISK) break;
      return setMedium(bios, frame, drive);
    default:
      if (frame.ah >= 0x41 && frame.ah <= 0x4e && frame.dl >= FIRST_DISK) {
        return edd(bios, frame, drive);
      }
  }
  return finish(bios, frame, DiskStatus.INVALID);
}

/** Functions that address by cylinder, head and sector. */
function cylinders(bios: Bios, frame: Frame, drive: BootDrive): Status {
  const { ah: what, al: count } = frame;
  if (frame.phase > 0) {
    const status = finished(bios, frame);
    if (status === undefined) return Status.WAIT;
    // AL stays: how many were moved.
    if (status !== DiskStatus.OK) frame.al = 0;
    return finish(bios, frame, status);
  }
  const geometry = bios.drives.geometry(frame.dl);
  if (geometry === undefined) return finish(bios, frame, DiskStatus.INVALID);
  if (drive.sectors === 0) return finish(bios, frame, DiskStatus.TIMEOUT);
  const { cylinder, sector } = place(frame);
  const { dh: head } = frame;
  const outside = cylinder >= geometry.cylinders || head >= geometry.heads;
  const track = (cylinder * geometry.heads + head) * geometry.sectors;
  if (what === 0x0c) {
    return finish(
      bios,
      frame,
      outside ? DiskStatus.NOT_FOUND : DiskStatus.OK,
    );
  }
  if (what === 0x05) {
    if (outside) return finish(bios, frame, DiskStatus.NOT_FOUND);
    return format(bios, frame, drive, track, geometry.sectors);
  }
  if (count === 0 || count > MAX_SECTORS || sector === 0) {
    return finish(bios, frame, DiskStatus.INVALID);
  }
  const first = track + sector - 1;
  if (
    outside || sector > geometry.sectors || first + count > drive.sectors
  ) {
    frame.al = 0;
    return finish(bios, frame, DiskStatus.NOT_FOUND);
  }
  if (frame.dl < FIRST_DISK) isChanged(bios, frame.dl, drive);
  if (what === 0x04) return finish(bios, frame, DiskStatus.OK);
  if (what === 0x03 && drive.readOnly) {
    frame.al = 0;
    return finish(bios, frame, DiskStatus.WRITE_PROTECTED);
  }
  return begin(
    bios,
    frame,
    what === 0x02 ? "read" : "write",
    first,
    count,
    linear(frame.es, frame.bx),
  );
}

/** Format a track: of a floppy its sectors are filled, of a disk it is left. */
function format(
  bios: Bios,
  frame: Frame,
  drive: BootDrive,
  track: number,
  sectors: number,
): Status {
  if (drive.readOnly) {
    return finish(bios, frame, DiskStatus.WRITE_PROTECTED);
  }
  if (drive.kind !== "floppy") return finish(bios, frame, DiskStatus.OK);
  return begin(bios, frame, "format", track, sectors, 0);
}

/** 18h: the medium that is to be formatted: only the one that there is. */
function setMedium(bios: Bios, frame: Frame, drive: BootDrive): Status {
  const { cylinders, sectors } = floppyGeometry(drive);
  if (drive.sectors === 0) return finish(bios, frame, DiskStatus.TIMEOUT);
  const { cylinder: last, sector } = place(frame);
  if (last !== cylinders - 1 || sector !== sectors) {
    return finish(bios, frame, DiskStatus.UNKNOWN_MEDIUM);
  }
  frame.es = ROM_SEGMENT;
  frame.di = Table.FLOPPY;
  return finish(bios, frame, DiskStatus.OK);
}

/** The cylinder and the sector in CX. */
function place(frame: Frame): { cylinder: number; sector: number } {
  return {
    cylinder: frame.ch | (frame.cl & 0xc0) << 2,
    sector: frame.cl & 0x3f,
  };
}

/** 08h: the drive's parameters. */
function parameters(bios: Bios, frame: Frame, drive: BootDrive): Status {
  const { drives } = bios;
  const geometry = drives.geometry(frame.dl);
  if (geometry === undefined) return finish(bios, frame, DiskStatus.INVALID);
  const floppy = frame.dl < FIRST_DISK;
  // The last cylinder of a disk is for diagnostics.
  const last = Math.max(0, geometry.cylinders - (floppy ? 1 : 2));
  frame.ch = last & 0xff;
  frame.cl = last >> 2 & 0xc0 | geometry.sectors;
  frame.dh = geometry.heads - 1;
  finish(bios, frame, DiskStatus.OK);
  frame.al = 0;
  if (floppy) {
    frame.bx = floppyGeometry(drive).type;
    frame.es = ROM_SEGMENT;
    frame.di = Table.FLOPPY;
    frame.dl = drives.floppies.length;
  } else {
    frame.dl = drives.disks.length;
  }
  return Status.DONE;
}

/** 15h: what kind of drive it is. */
function driveType(bios: Bios, frame: Frame, drive: BootDrive): Status {
  const FLOPPY = 1;
  const FLOPPY_WITH_CHANGE_LINE = 2;
  const FIXED_DISK = 3;
  if (frame.dl >= FIRST_CDROM) {
    return finish(bios, frame, DiskStatus.INVALID);
  }
  finish(bios, frame, DiskStatus.OK);
  if (frame.dl < FIRST_DISK) {
    frame.ah = drive.changes === undefined ? FLOPPY : FLOPPY_WITH_CHANGE_LINE;
    return Status.DONE;
  }
  const { cylinders, heads, sectors } = bios.drives.geometry(frame.dl)!;
  // Not the last cylinder.
  const total = Math.min(
    drive.sectors,
    Math.max(0, cylinders - 1) * heads * sectors,
  );
  frame.cx = total >>> 16;
  frame.dx = total & 0xffff;
  frame.ah = FIXED_DISK;
  return Status.DONE;
}
