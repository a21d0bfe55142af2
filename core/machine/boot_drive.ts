/**
 * Drives as firmware sees them before an operating system drives the hardware
 * itself: the contract `boot-drives`, which a controller provides beside its
 * registers.
 *
 * A built-in BIOS reads and writes through it without the controller's
 * registers, of which nothing changes. Addresses are in the drive's own
 * sectors.
 *
 * @module
 */

/** A division of a drive in cylinders, heads and sectors. */
export interface DriveGeometry {
  /** Cylinders. */
  readonly cylinders: number;
  /** Heads. */
  readonly heads: number;
  /** Sectors of a track. */
  readonly sectors: number;
}

/** Where an ATA or ATAPI drive is on the PCI bus 0. */
export interface DrivePath {
  /** The controller's slot. */
  readonly slot: number;
  /** The controller's function there. */
  readonly function: number;
  /** Its channel: 0 is the primary, 1 the secondary one. */
  readonly channel: number;
  /** The drive on the channel: 0 or 1. */
  readonly device: number;
}

/** A drive. What a medium decides is asked anew each time. */
export interface BootDrive {
  /** A name for a person: the model, or what kind of drive it is. */
  readonly name: string;
  /** What it is. */
  readonly kind: "disk" | "cdrom" | "floppy";
  /** Bytes of a sector: 512, or 2048 of a CD-ROM. */
  readonly sectorSize: number;
  /** Whether the medium can be changed. */
  readonly removable: boolean;
  /** Sectors of the medium; 0 while there is none. */
  readonly sectors: number;
  /**
   * The drive's own geometry: of a floppy that of the medium, of a disk what
   * its controller tells. A drive that has none leaves it out.
   */
  readonly geometry?: DriveGeometry;
  /** Where it is, of ATA and ATAPI drives behind a PCI function. */
  readonly path?: DrivePath;
  /** Whether the medium takes no writes. */
  readonly readOnly: boolean;
  /**
   * Counts up whenever a medium was taken out or put in: firmware tells the
   * guest that a floppy was changed. Absent, it never is.
   */
  readonly changes?: number;
  /**
   * Read `count` sectors from `sector` on. Rejects with an error of the backend
   * (`BlockError`), and for sectors that the medium does not have.
   */
  read(sector: number, count: number): Promise<Uint8Array>;
  /**
   * Write whole sectors from `sector` on. Rejects as `read` does, and when the
   * medium takes no writes. The bytes do not change until it is settled.
   */
  write(sector: number, bytes: Uint8Array): Promise<void>;
}

/** What provides the contract `boot-drives`: a controller with its drives. */
export interface BootDrives {
  /**
   * Its drives, in the order of their units. The list does not change; a drive
   * without a medium is in it.
   */
  bootDrives(): readonly BootDrive[];
}
