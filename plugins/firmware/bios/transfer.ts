/**
 * Moves sectors between drives and the guest's memory.
 *
 * @module
 */

import { BlockError } from "../../../core/backend/block.ts";
import type { BootDrive } from "../../../core/machine/boot_drive.ts";
import type { Bios } from "./context.ts";
import type { RequestState } from "./requests.ts";

/** Statuses of INT 13h (Phoenix EDD 3.0, table of return codes). */
export const DiskStatus = {
  /** No error. */
  OK: 0x00,
  /** Invalid function or parameter. */
  INVALID: 0x01,
  /** The medium takes no writes. */
  WRITE_PROTECTED: 0x03,
  /** There is no such sector. */
  NOT_FOUND: 0x04,
  /** The floppy was changed. */
  CHANGED: 0x06,
  /** That kind of medium is not known. */
  UNKNOWN_MEDIUM: 0x0c,
  /** The controller has failed. */
  CONTROLLER: 0x20,
  /** There is no medium. */
  NO_MEDIA: 0x31,
  /** The drive does not answer. */
  TIMEOUT: 0x80,
  /** It is no medium to be taken out. */
  NOT_REMOVABLE: 0xb2,
  /** The medium was not ejected. */
  EJECT_FAILED: 0xb5,
} as const;

/** So much goes to a backend at once. */
const CHUNK_BYTES = 0x10000;
/** What formatting fills a track's sectors with. */
const FORMAT_BYTE = 0xf6;

/** What a failure of a drive is to a caller. */
export function statusOf(error: unknown): number {
  if (!(error instanceof BlockError)) return DiskStatus.CONTROLLER;
  switch (error.kind) {
    case "range":
      return DiskStatus.NOT_FOUND;
    case "read-only":
      return DiskStatus.WRITE_PROTECTED;
    default:
      return DiskStatus.CONTROLLER;
  }
}

/** Carry out a request to read, write or format; gives the status. */
export async function transfer(
  bios: Bios,
  request: RequestState,
): Promise<number> {
  const drive = bios.drives.get(request.drive);
  if (drive === undefined) return DiskStatus.INVALID;
  const { sector, count, address } = request;
  try {
    switch (request.kind) {
      case "read":
        await readSectors(bios, request, drive, sector, count, address);
        break;
      case "write":
        await writeSectors(bios, request, drive);
        break;
      default:
        await drive.write(
          sector,
          new Uint8Array(count * drive.sectorSize).fill(FORMAT_BYTE),
        );
    }
    return DiskStatus.OK;
  } catch (error) {
    return statusOf(error);
  }
}

/**
 * Read sectors into memory, as long as the request's caller waits for them.
 * Rejects as the drive does.
 */
export async function readSectors(
  bios: Bios,
  request: RequestState,
  drive: BootDrive,
  sector: number,
  count: number,
  address: number,
): Promise<void> {
  const step = CHUNK_BYTES / drive.sectorSize;
  for (let done = 0; done < count; done += step) {
    const now = Math.min(step, count - done);
    const bytes = await drive.read(sector + done, now);
    if (!bios.requests.isCurrent(request)) return;
    bios.guest.write(address + done * drive.sectorSize, bytes);
  }
}

/** Write sectors from memory. Rejects as the drive does. */
async function writeSectors(
  bios: Bios,
  request: RequestState,
  drive: BootDrive,
): Promise<void> {
  const { sector, count, address } = request;
  const step = CHUNK_BYTES / drive.sectorSize;
  for (let done = 0; done < count; done += step) {
    if (!bios.requests.isCurrent(request)) return;
    const now = Math.min(step, count - done);
    const bytes = bios.guest.bytes(
      address + done * drive.sectorSize,
      now * drive.sectorSize,
    );
    await drive.write(sector + done, bytes);
  }
}
