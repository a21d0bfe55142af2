/**
 * What a definition says of a drive, and the drive that it makes.
 *
 * @module
 */

import type { BlockBackend } from "../../../core/backend/block.ts";
import type { RemovableDrive } from "../../../core/backend/removable.ts";
import type { PciPlace } from "../../../core/bus/pci.ts";
import type { BootDrive } from "../../../core/machine/boot_drive.ts";
import type { ConfigSchema } from "../../../core/machine/plugin.ts";
import { AtaDisk } from "./ata.ts";
import { AtapiCdrom } from "./atapi.ts";
import type { Drive } from "./drive.ts";

/** The firmware's revision that all drives tell. */
const FIRMWARE = "1.0";

/** Configuration of one drive. */
export interface UnitConfig {
  /** A disk is there when it has a backend, a CD-ROM drive always. */
  readonly kind?: "disk" | "cdrom";
  /** The model that IDENTIFY tells, 40 characters at most. */
  readonly model?: string;
  /** The serial number, 20 characters at most. */
  readonly serial?: string;
}

/** What a drive's configuration may say. */
export const UNIT_SCHEMA: ConfigSchema = {
  type: "object",
  properties: {
    kind: {
      type: "string",
      description: "A disk, there when it has a backend, or a CD-ROM drive",
      enum: ["disk", "cdrom"],
      default: "disk",
    },
    model: {
      type: "string",
      description: "The model that the drive tells, 40 characters",
    },
    serial: {
      type: "string",
      description: "The serial number that the drive tells, 20 characters",
    },
  },
};

/** A drive as configured; none for a disk without a backend. */
export function createDrive(
  config: UnitConfig | undefined,
  backend: BlockBackend | undefined,
  unit: number,
): Drive | undefined {
  const serial = config?.serial ?? `RHEA${String(unit + 1).padStart(5, "0")}`;
  if (config?.kind === "cdrom") {
    const model = config.model ?? "RHEA DVD-ROM";
    return new AtapiCdrom(backend, { model, serial, firmware: FIRMWARE });
  }
  if (backend === undefined) return undefined;
  const model = config?.model ?? "RHEA HARDDISK";
  return new AtaDisk(backend, { model, serial, firmware: FIRMWARE });
}

/** A controller's drives as firmware sees them; `place` is that on a PCI bus. */
export function bootDrivesOf(
  drives: readonly (Drive | undefined)[],
  place?: PciPlace,
): readonly BootDrive[] {
  return drives.flatMap((drive, unit) => {
    if (drive === undefined) return [];
    if (place === undefined) return [drive.bootDrive()];
    const { slot, function: func } = place;
    const [channel, device] = [unit >> 1, unit & 1];
    return [drive.bootDrive({ slot, function: func, channel, device })];
  });
}

/** Those of a controller's drives whose medium can be changed, by backend. */
export function removableDrives(
  drives: readonly (Drive | undefined)[],
): ReadonlyMap<string, RemovableDrive> {
  const found = new Map<string, RemovableDrive>();
  drives.forEach((drive, unit) => {
    if (drive instanceof AtapiCdrom) found.set(`disk${unit}`, drive);
  });
  return found;
}
