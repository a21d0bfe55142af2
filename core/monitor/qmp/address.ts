/**
 * Where QMP listens, as the command line says it.
 *
 * @module
 */

import {
  describePlace,
  parseServerPlace,
  PlaceOptionError,
} from "../../backend/socket_place.ts";
import type { QmpAddress } from "../contract.ts";
import { QmpServerError } from "./error.ts";

/**
 * `unix:PATH` or `tcp:HOST:PORT`, and QEMU's `,server=on,wait=off` behind it.
 * Throws a `QmpServerError`.
 */
export function parseQmpAddress(text: string): QmpAddress {
  try {
    const place = parseServerPlace(text);
    if (place !== undefined) return place;
  } catch (error) {
    if (!(error instanceof PlaceOptionError)) throw error;
    throw new QmpServerError(
      `QMP listens, and waits for nobody: ${error.message}`,
    );
  }
  throw new QmpServerError(
    `"${text}" is not a place for QMP, expected unix:PATH or tcp:HOST:PORT`,
  );
}

/** The place as QEMU's `query-chardev` has it. */
export function addressText(address: QmpAddress): string {
  return "path" in address
    ? `unix:${address.path},server=on`
    : `tcp:${describePlace(address)},server=on`;
}
