/**
 * Where QMP listens, as the command line says it.
 *
 * @module
 */

import { describePlace, parseSocketPlace } from "../../backend/socket_place.ts";
import type { QmpAddress } from "../contract.ts";
import { QmpServerError } from "./error.ts";

/** What QEMU takes besides, and the only values of it that are possible here. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  server: ["on", ""],
  wait: ["off"],
  nowait: [""],
  nodelay: ["on", "off", ""],
  pretty: ["off"],
};

/**
 * `unix:PATH` or `tcp:HOST:PORT`, and QEMU's `,server=on,wait=off` behind it.
 * Throws a `QmpServerError`.
 */
export function parseQmpAddress(text: string): QmpAddress {
  const [where, ...options] = text.split(",");
  for (const option of options) {
    const [key, value = ""] = option.split("=", 2);
    const values = Object.hasOwn(OPTIONS, key) ? OPTIONS[key] : undefined;
    if (values === undefined) {
      throw new QmpServerError(
        `QMP has no option "${key}", expected server=on or wait=off`,
      );
    }
    if (!values.includes(value)) {
      throw new QmpServerError(
        `QMP listens and does not wait: "${option}" cannot be, expected ` +
          values.map((one) => one === "" ? key : `${key}=${one}`).join(" or "),
      );
    }
  }
  const place = parseSocketPlace(where);
  if (place !== undefined) return place;
  throw new QmpServerError(
    `"${where}" is not a place for QMP, expected unix:PATH or tcp:HOST:PORT`,
  );
}

/** The place as QEMU's `query-chardev` has it. */
export function addressText(address: QmpAddress): string {
  return "path" in address
    ? `unix:${address.path},server=on`
    : `tcp:${describePlace(address)},server=on`;
}
