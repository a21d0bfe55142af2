/**
 * The drives of a machine, as clients name them: by the device and the role of
 * its backend, `ide.disk2`, which is both QEMU's `device` and its `id`.
 *
 * @module
 */

import type { BlockBackend } from "../../backend/block.ts";
import type { RemovableDrive } from "../../backend/removable.ts";
import type { Parts } from "../../machine/parts.ts";
import type { JsonObject } from "../../machine/schema_types.ts";
import type { Monitor } from "./command.ts";
import { GenericError, noDevice } from "./error.ts";
import { nodeIn } from "./nodes.ts";

/** A drive. */
export interface DriveInfo {
  /** Its name. */
  readonly name: string;
  /** The backend's name in the definition, or that of a client's node in it. */
  readonly node: string;
  /** The image in it. */
  readonly image: BlockBackend | undefined;
  /** What the image is, as `qcow2`. */
  readonly format: string;
  /** Where it is. */
  readonly file: string;
  /** The drive, if its medium can be changed. */
  readonly removable: RemovableDrive | undefined;
}

/** All drives: the places of images that have one, or could. */
export function drivesOf(
  monitor: Pick<Monitor, "machine" | "parts">,
): DriveInfo[] {
  const { machine, parts } = monitor;
  const found: DriveInfo[] = [];
  for (const { name: device, backends, plugin } of parts.plan.devices) {
    const roles = new Set([
      ...backends.keys(),
      ...removableRoles(parts, device),
    ]);
    for (const role of roles) {
      const name = `${device}.${role}`;
      const key = backends.get(role) ?? name;
      const removable = machine.media.drives.get(name);
      const isBlock = plugin.backends?.[role]?.type === "block";
      if (removable === undefined && !isBlock) continue;
      const planned = parts.plan.backends.find((one) => one.name === key);
      const inserted = machine.media.inserted(name);
      const config = (inserted?.config ?? planned?.config ?? {}) as JsonObject;
      const file = config.file;
      const image = parts.backends.get(key) as BlockBackend | undefined;
      found.push({
        name,
        node: nodeIn(monitor, name) ?? key,
        image,
        format: image?.format ?? inserted?.plugin ?? planned?.plugin.name ??
          "raw",
        file: typeof file === "string" ? file : "",
        removable,
      });
    }
  }
  return found;
}

function removableRoles({ plan, devices }: Parts, name: string): string[] {
  const { plugin } = plan.devices.find((device) => device.name === name)!;
  if (!plugin.provides?.includes("removable-media")) return [];
  const { removable } = devices.get(name) as unknown as {
    removable: ReadonlyMap<string, RemovableDrive>;
  };
  return [...removable.keys()];
}

/** How a client names a drive: exactly one of these. */
export interface DriveChoice {
  /** Its name. */
  readonly device?: string;
  /** Its name, too. */
  readonly id?: string;
}

/** The drive that a client means, which must be one whose medium can be changed. */
export function removableDrive(
  monitor: Monitor,
  { device, id }: DriveChoice,
): { name: string; drive: RemovableDrive } {
  if ((device === undefined) === (id === undefined)) {
    throw new GenericError("Need exactly one of 'device' and 'id'");
  }
  const name = (device ?? id)!;
  const drive = monitor.machine.media.drives.get(name);
  if (drive !== undefined) return { name, drive };
  if (drivesOf(monitor).some((other) => other.name === name)) {
    throw new GenericError(`Device '${name}' is not removable`);
  }
  throw noDevice(name);
}
