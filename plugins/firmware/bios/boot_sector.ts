/**
 * Loads what a drive starts with: the first sector of disks and floppies, and
 * what the boot catalogue of a disc names.
 *
 * Sources: Phoenix, "BIOS Boot Specification" 1.01; "El Torito" Bootable CD-ROM
 * Format Specification 1.0, sections 1 and 2.
 *
 * @module
 */

import type { BootDrive } from "../../../core/machine/boot_drive.ts";
import type { Bios } from "./context.ts";
import { type Emulation, FIRST_CDROM, FIRST_DISK, SECTOR } from "./drives.ts";
import { writeDriveData } from "./disk_tables.ts";
import { BOOT_ADDRESS } from "./layout.ts";
import { partitionGeometry } from "./partition_geometry.ts";
import type { RequestState } from "./requests.ts";
import { DiskStatus, readSectors, statusOf } from "./transfer.ts";

/** The last word of a boot sector. */
const SIGNATURE = 0xaa55;

/** The block with the boot record, and where it names the catalogue. */
const BOOT_RECORD = 17;
const CATALOGUE_POINTER = 0x47;
const BOOT_RECORD_TEXT = "\0CD001\x01EL TORITO SPECIFICATION\0";
/** The catalogue's first entry, and one that can be started. */
const VALIDATION_ENTRY = 1;
const BOOTABLE = 0x88;
/** Where it is loaded when the catalogue says 0. */
const DEFAULT_SEGMENT = 0x07c0;
/** What a floppy in the catalogue is, by the media type 1 to 3. */
const FLOPPY_SECTORS = [0, 15, 18, 36];
/** Media type: a hard disk. */
const HARD_DISK = 4;
/** A partition table, the last head and sector of its first entry. */
const PARTITION_END = 0x1be + 5;

/** The disc or the image in it cannot be started. */
class NotBootable extends Error {}

/**
 * Load what a drive starts with to its place and note in the state where it
 * begins; gives a status of INT 13h.
 */
export async function readBootSector(
  bios: Bios,
  request: RequestState,
): Promise<number> {
  await findGeometries(bios, request);
  const drive = bios.drives.get(request.drive);
  if (drive === undefined || drive.sectors === 0) return DiskStatus.NO_MEDIA;
  try {
    if (request.drive >= FIRST_CDROM) {
      await loadDisc(bios, drive, request);
    } else {
      const sector = await drive.read(0, 1);
      if (!bios.requests.isCurrent(request)) return DiskStatus.OK;
      if (word(sector, SECTOR - 2) !== SIGNATURE) return DiskStatus.NOT_FOUND;
      bios.guest.write(BOOT_ADDRESS, sector);
      bios.state.boot.segment = 0;
      bios.state.boot.offset = BOOT_ADDRESS;
      bios.state.boot.drive = request.drive;
    }
    return DiskStatus.OK;
  } catch (error) {
    return error instanceof NotBootable
      ? DiskStatus.NOT_FOUND
      : statusOf(error);
  }
}

/** What systems will read disks by is in their partition tables. */
async function findGeometries(
  bios: Bios,
  request: RequestState,
): Promise<void> {
  const found = await Promise.all(bios.drives.ownDisks.map(async (disk) => {
    try {
      return partitionGeometry(await disk.read(0, 1), disk.sectors) ?? null;
    } catch {
      // Who reads it is told.
      return null;
    }
  }));
  if (!bios.requests.isCurrent(request)) return;
  bios.setPartitioned(found);
  writeDriveData(bios);
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at] | bytes[at + 1] << 8;
}

function dword(bytes: Uint8Array, at: number): number {
  return (word(bytes, at) | word(bytes, at + 2) << 16) >>> 0;
}

/** The default entry of a disc's catalogue. */
async function defaultEntry(disc: BootDrive): Promise<Uint8Array> {
  const record = await disc.read(BOOT_RECORD, 1);
  for (let i = 0; i < BOOT_RECORD_TEXT.length; i++) {
    if (record[i] !== BOOT_RECORD_TEXT.charCodeAt(i)) throw new NotBootable();
  }
  const catalogue = await disc.read(dword(record, CATALOGUE_POINTER), 1);
  let sum = 0;
  for (let i = 0; i < 32; i += 2) sum += word(catalogue, i);
  const valid = catalogue[0] === VALIDATION_ENTRY && (sum & 0xffff) === 0 &&
    word(catalogue, 30) === SIGNATURE;
  const entry = catalogue.subarray(32, 64);
  if (!valid || entry[0] !== BOOTABLE) throw new NotBootable();
  return entry;
}

/** Load what the catalogue's default entry names. */
async function loadDisc(
  bios: Bios,
  disc: BootDrive,
  request: RequestState,
): Promise<void> {
  const { drive: number } = request;
  const entry = await defaultEntry(disc);
  const media = entry[1] & 0x0f;
  const segment = word(entry, 2) || DEFAULT_SEGMENT;
  // Of an emulated drive it is the first sector.
  const sectors = word(entry, 6) || 1;
  const block = dword(entry, 8);
  const blocks = Math.ceil(sectors * SECTOR / disc.sectorSize);
  // Its last block is loaded as a whole.
  await readSectors(bios, request, disc, block, blocks, segment * 16);
  const emulation: Emulation = {
    cdrom: number,
    media,
    block,
    drive: number,
    segment,
    sectors,
    cylinders: 0,
    heads: 0,
    trackSectors: 0,
  };
  if (media === HARD_DISK) {
    const first = await disc.read(block, 1);
    emulation.drive = FIRST_DISK;
    emulation.heads = first[PARTITION_END] + 1;
    emulation.trackSectors = first[PARTITION_END + 1] & 0x3f;
    emulation.cylinders = 1 + first[PARTITION_END + 2] +
      ((first[PARTITION_END + 1] & 0xc0) << 2);
    if (emulation.trackSectors === 0) throw new NotBootable();
  } else if (media > HARD_DISK) {
    throw new NotBootable();
  } else if (media > 0) {
    emulation.drive = 0;
    emulation.heads = 2;
    emulation.cylinders = 80;
    emulation.trackSectors = FLOPPY_SECTORS[media];
  }
  if (!bios.requests.isCurrent(request)) return;
  bios.setEmulation(emulation);
  // As low a segment as can be: 07C0h:0 is 0:7C00h, as of other drives.
  bios.state.boot.segment = segment & 0xf000;
  bios.state.boot.offset = (segment & 0x0fff) << 4;
  bios.state.boot.drive = emulation.drive;
}
