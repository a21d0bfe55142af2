/**
 * The screen in a file, as `screendump` of both monitors writes it.
 *
 * @module
 */

import type { Monitor } from "./command.ts";
import { GenericError, noDevice } from "./error.ts";
import { writeFile } from "./files.ts";
import { encodePpm } from "./ppm.ts";

/** Which screen, where, and how. */
export interface ScreendumpOptions {
  /** The file's name. */
  readonly filename: string;
  /** The display device: there is one at most. */
  readonly device?: string;
  /** Which of its screens: it has one. */
  readonly head?: number;
  /** How: as PPM unless this is given. */
  readonly format?: "ppm" | "png";
}

/** Write the screen to a file. Throws a `GenericError`. */
export async function screendump(
  machine: Monitor["machine"],
  { filename, device, head, format = "ppm" }: ScreendumpOptions,
): Promise<void> {
  if (device === undefined) {
    if (head !== undefined) {
      throw new GenericError("'head' must be specified together with 'device'");
    }
  } else {
    const found = machine.plan.devices.find(({ name }) => name === device);
    if (found === undefined) throw noDevice(device);
    if (!found.plugin.provides?.includes("picture-source")) {
      throw new GenericError(`Device '${device}' is not a display`);
    }
  }
  let picture;
  try {
    picture = machine.screenshot();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new GenericError("There is no console to take a screendump from");
  }
  const bytes = format === "png" ? await picture.png() : encodePpm(picture);
  await writeFile(filename, bytes);
}
