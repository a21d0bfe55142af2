/**
 * What a floppy drive is beside its controller's registers: a drive that
 * firmware boots from, and one whose disk is changed.
 *
 * @module
 */

import { type BlockBackend, BlockError } from "../../../core/backend/block.ts";
import type { RemovableDrive } from "../../../core/backend/removable.ts";
import type {
  BootDrive,
  DriveGeometry,
} from "../../../core/machine/boot_drive.ts";
import type { FloppyDrive } from "./drive.ts";
import { bytesOf, SECTOR } from "./media.ts";

/** Sectors of the medium in a drive; 0 while there is none. */
function sectorsOf({ format }: FloppyDrive): number {
  return format === undefined ? 0 : bytesOf(format) / SECTOR;
}

/** Throws for sectors that the medium does not have. */
function check(drive: FloppyDrive, sector: number, count: number): void {
  if (sector >= 0 && count >= 0 && sector + count <= sectorsOf(drive)) return;
  throw new BlockError("range", "Cannot go beyond the disk's end");
}

/** The drive for firmware. */
export function bootDriveOf(drive: FloppyDrive): BootDrive {
  return {
    name: `Floppy drive, ${drive.type}`,
    kind: "floppy",
    sectorSize: SECTOR,
    removable: true,
    get sectors(): number {
      return sectorsOf(drive);
    },
    get geometry(): DriveGeometry | undefined {
      return drive.format;
    },
    get readOnly(): boolean {
      return drive.writeProtected;
    },
    get changes(): number {
      return drive.changes;
    },
    read: async (sector, count) => {
      check(drive, sector, count);
      return await drive.read(sector * SECTOR, count * SECTOR);
    },
    write: async (sector, bytes) => {
      check(drive, sector, bytes.length / SECTOR);
      if (drive.writeProtected) {
        throw new BlockError("read-only", "Cannot write: it is protected");
      }
      await drive.write(sector * SECTOR, bytes);
      // No motor will stop that firmware has not started.
      drive.stopped();
    },
  };
}

/** The drive for who changes its disk, by `insert`; nothing locks it in. */
export function removableOf(
  drive: FloppyDrive,
  insert: (medium: BlockBackend | undefined) => void,
): RemovableDrive {
  return {
    get medium(): BlockBackend | undefined {
      return drive.medium;
    },
    hasTray: false,
    open: false,
    locked: false,
    eject: () => true,
    insert,
    close: () => {},
  };
}
