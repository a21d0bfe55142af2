/**
 * The drives by the numbers of INT 13h, and the geometry that callers see.
 *
 * Sources: Phoenix, "Enhanced Disk Drive Specification" 1.1 and 3.0; Hale
 * Landis, "How it works: CHS translation"; "El Torito" Bootable CD-ROM Format
 * Specification 1.0 for drives that a disc emulates.
 *
 * @module
 */

import type {
  BootDrive,
  DriveGeometry,
} from "../../../core/machine/boot_drive.ts";

/** The first number of hard disks, and of CD-ROM drives. */
export const FIRST_DISK = 0x80;
/** The first number of CD-ROM drives. */
export const FIRST_CDROM = 0xe0;

/** Bytes of a sector of disks and floppies. */
export const SECTOR = 512;

/** What CHS addresses reach: ten bits, eight, six. */
const MAX_CYLINDERS = 1024;
const MAX_HEADS = 255;
const MAX_SECTORS = 63;

/** A drive that a disc emulates. */
export interface Emulation {
  /** The CD-ROM drive's number. */
  cdrom: number;
  /** 0: none, 1 to 3: a floppy, 4: a hard disk. */
  media: number;
  /** Where its image begins, in blocks of the disc. */
  block: number;
  /** The drive's number: 00h or 80h; of a disc without emulation its own. */
  drive: number;
  /** Where the boot code was loaded. */
  segment: number;
  /** How many sectors of 512 bytes it has. */
  sectors: number;
  /** Cylinders of the emulated drive. */
  cylinders: number;
  /** Its heads. */
  heads: number;
  /** Sectors of its tracks. */
  trackSectors: number;
}

/** Kinds of floppy media by their sectors; `type` is that of CMOS. */
const FLOPPIES: readonly (DriveGeometry & { type: number })[] = [
  { cylinders: 40, heads: 1, sectors: 8, type: 1 },
  { cylinders: 40, heads: 1, sectors: 9, type: 1 },
  { cylinders: 40, heads: 2, sectors: 8, type: 1 },
  { cylinders: 40, heads: 2, sectors: 9, type: 1 },
  { cylinders: 80, heads: 2, sectors: 9, type: 3 },
  { cylinders: 80, heads: 2, sectors: 15, type: 2 },
  { cylinders: 80, heads: 2, sectors: 18, type: 4 },
  { cylinders: 80, heads: 2, sectors: 36, type: 5 },
];
/** 1.44 MB: what a drive without a medium is taken for. */
const FLOPPY_1440 = FLOPPIES[6];

/** The geometry of a floppy, and its type as CMOS has it. */
export function floppyGeometry(
  drive: BootDrive,
): DriveGeometry & { type: number } {
  const { geometry: own, sectors: total } = drive;
  const known = FLOPPIES.find((f) =>
    own === undefined
      ? f.cylinders * f.heads * f.sectors === total
      : f.cylinders === own.cylinders && f.heads === own.heads &&
        f.sectors === own.sectors
  );
  if (known !== undefined) return known;
  return own === undefined ? FLOPPY_1440 : { ...own, type: FLOPPY_1440.type };
}

/**
 * The geometry of a disk for CHS addresses: its own as far as it goes, else
 * with as many heads as it takes for 1024 cylinders ("LBA-assisted").
 */
function diskGeometry(drive: BootDrive): DriveGeometry {
  const own = drive.geometry;
  if (own !== undefined && own.cylinders <= MAX_CYLINDERS) return own;
  const tracks = Math.ceil(drive.sectors / MAX_SECTORS);
  const heads = [16, 32, 64, 128].find((n) => tracks / n <= MAX_CYLINDERS) ??
    MAX_HEADS;
  const cylinders = Math.floor(drive.sectors / (heads * MAX_SECTORS));
  return {
    cylinders: Math.max(1, Math.min(cylinders, MAX_CYLINDERS)),
    heads,
    sectors: MAX_SECTORS,
  };
}

/** A part of a disc as a drive with sectors of 512 bytes. */
function emulated(disc: BootDrive, emulation: Emulation): BootDrive {
  const { block, cylinders, heads, trackSectors } = emulation;
  const perBlock = disc.sectorSize / SECTOR;
  return {
    name: disc.name,
    kind: emulation.media === 4 ? "disk" : "floppy",
    sectorSize: SECTOR,
    removable: false,
    sectors: cylinders * heads * trackSectors,
    geometry: { cylinders, heads, sectors: trackSectors },
    readOnly: true,
    read: async (sector, count) => {
      const first = Math.floor(sector / perBlock);
      const last = Math.ceil((sector + count) / perBlock);
      const bytes = await disc.read(block + first, last - first);
      const skip = (sector - first * perBlock) * SECTOR;
      return bytes.subarray(skip, skip + count * SECTOR);
    },
    write: () => Promise.reject(new Error("Cannot write to a CD-ROM")),
  };
}

/** The drives of a machine. */
export class DriveMap {
  /** What a disc emulates, since it was started. */
  emulation: Emulation | undefined;
  /** Geometries by which the machine's disks were partitioned; null: unknown. */
  partitioned: readonly (DriveGeometry | null)[] = [];
  readonly #find: () => readonly BootDrive[];
  #all: readonly BootDrive[] | undefined;

  /** The drives that `find` gives, which is asked once, when they are needed. */
  constructor(find: () => readonly BootDrive[]) {
    this.#find = find;
  }

  #kind(kind: BootDrive["kind"]): BootDrive[] {
    return (this.#all ??= this.#find()).filter((drive) => drive.kind === kind);
  }

  #emulated(first: number): BootDrive[] {
    const { emulation } = this;
    if (emulation === undefined || emulation.drive !== first) return [];
    if (emulation.media === 0) return [];
    const disc = this.cdroms[emulation.cdrom - FIRST_CDROM];
    return disc === undefined ? [] : [emulated(disc, emulation)];
  }

  /** Floppy drives, the emulated one first. */
  get floppies(): readonly BootDrive[] {
    return [...this.#emulated(0), ...this.#kind("floppy")];
  }

  /** The machine's own hard disks. */
  get ownDisks(): readonly BootDrive[] {
    return this.#kind("disk");
  }

  /** Hard disks, the emulated one first. */
  get disks(): readonly BootDrive[] {
    return [...this.#emulated(FIRST_DISK), ...this.ownDisks];
  }

  /** CD-ROM drives. */
  get cdroms(): readonly BootDrive[] {
    return this.#kind("cdrom");
  }

  /** The drive with a number. */
  get(number: number): BootDrive | undefined {
    if (number < FIRST_DISK) return this.floppies[number];
    if (number < FIRST_CDROM) return this.disks[number - FIRST_DISK];
    return this.cdroms[number - FIRST_CDROM];
  }

  /** The geometry by which callers address a drive. */
  geometry(number: number): DriveGeometry | undefined {
    const drive = this.get(number);
    if (drive === undefined) return undefined;
    if (number < FIRST_DISK) return floppyGeometry(drive);
    if (number >= FIRST_CDROM) return undefined;
    const own = this.ownDisks.indexOf(drive);
    return this.partitioned[own] ?? diskGeometry(drive);
  }
}
