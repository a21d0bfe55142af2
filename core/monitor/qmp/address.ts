/**
 * Where QMP listens, as the command line says it.
 *
 * @module
 */

import { isLoopback, urlHost } from "../../backend/address.ts";
import { resolve } from "../../machine/path.ts";
import type { QmpAddress } from "../contract.ts";
import { QmpServerError } from "./error.ts";
import type { PermissionNeeds } from "../../machine/plugin.ts";

/** What QEMU takes besides, and the only values of it that are possible here. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  server: ["on", ""],
  wait: ["off"],
  nowait: [""],
  nodelay: ["on", "off", ""],
  pretty: ["off"],
};

const MAX_PORT = 65535;

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
  const path = /^unix:(.+)$/s.exec(where);
  if (path !== null) return { path: path[1] };
  const match = /^tcp:(.*):(\d{1,5})$/.exec(where);
  if (match !== null && Number(match[2]) <= MAX_PORT) {
    const host = match[1].replace(/^\[(.*)\]$/, "$1");
    // QEMU listens on all addresses here: who gets in can do everything.
    return { host: host === "" ? "127.0.0.1" : host, port: Number(match[2]) };
  }
  throw new QmpServerError(
    `"${where}" is not a place for QMP, expected unix:PATH or tcp:HOST:PORT`,
  );
}

/** The place as QEMU's `query-chardev` has it. */
export function addressText(address: QmpAddress): string {
  return "path" in address
    ? `unix:${address.path},server=on`
    : `tcp:${urlHost(address.host)}:${address.port},server=on`;
}

/** What Deno must allow for it. */
export function addressPermissions(address: QmpAddress): PermissionNeeds {
  if (!("path" in address)) {
    return { net: [`${urlHost(address.host)}:${address.port}`] };
  }
  const path = resolve(address.path);
  return { read: [path], write: [path], net: [`unix:${path}`] };
}

/** Whether others than this host's users get there. */
export function isOpenToOthers(address: QmpAddress): boolean {
  return !("path" in address) && !isLoopback(address.host);
}
