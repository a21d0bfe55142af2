/**
 * Where a server listens: `unix:PATH` or `tcp:HOST:PORT`.
 *
 * @module
 */

import { resolve } from "../machine/path.ts";
import { isLoopback, urlHost } from "./address.ts";

const MAX_PORT = 65535;

/**
 * What QEMU takes behind the place of a server, and the only values of it that
 * are possible here.
 */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  server: ["on", ""],
  wait: ["off"],
  nowait: [""],
  nodelay: ["on", "off", ""],
  pretty: ["off"],
};

/** Something behind a place that cannot be. */
export class PlaceOptionError extends Error {
  /** The name of the error's class. */
  override readonly name = "PlaceOptionError";
}

/** A place at which a server listens. */
export type SocketPlace =
  /** A unix socket. */
  | { readonly path: string }
  /** A TCP port. */
  | { readonly host: string; readonly port: number };

/** What a server listens with. */
export type SocketListener = Deno.TcpListener | Deno.UnixListener;

/**
 * Understand `unix:PATH` and `tcp:[HOST]:PORT`: the loopback interface without
 * a host (who gets in can do everything), IPv6 in brackets; undefined for what
 * is neither.
 */
export function parseSocketPlace(text: string): SocketPlace | undefined {
  const unix = /^unix:(.+)$/s.exec(text);
  if (unix !== null) return { path: unix[1] };
  const tcp = /^tcp:(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(tcp?.[3]);
  if (tcp === null || port > MAX_PORT) return undefined;
  return { host: tcp[1] ?? (tcp[2] || "127.0.0.1"), port };
}

/**
 * The same with what QEMU wants to be told of a server behind it:
 * `,server=on,wait=off`. Throws a `PlaceOptionError` for anything else there.
 */
export function parseServerPlace(text: string): SocketPlace | undefined {
  const [where, ...options] = text.split(",");
  for (const option of options) {
    const [key, value = ""] = option.split("=", 2);
    const values = Object.hasOwn(OPTIONS, key) ? OPTIONS[key] : undefined;
    if (values === undefined) {
      throw new PlaceOptionError(
        `there is no option "${key}", expected server=on or wait=off`,
      );
    }
    if (!values.includes(value)) {
      const possible = values.map((one) => one === "" ? key : `${key}=${one}`);
      throw new PlaceOptionError(
        `"${option}" cannot be, expected ${possible.join(" or ")}`,
      );
    }
  }
  return parseSocketPlace(where);
}

/** The place for messages, and as clients take it: the path, or `HOST:PORT`. */
export function describePlace(place: SocketPlace): string {
  return "path" in place ? place.path : `${urlHost(place.host)}:${place.port}`;
}

/** The permissions that listening there needs. */
export function placePermissions(
  place: SocketPlace,
): {
  net?: readonly string[];
  read?: readonly string[];
  write?: readonly string[];
} {
  if (!("path" in place)) return { net: [describePlace(place)] };
  const path = resolve(place.path);
  return { read: [path], write: [path], net: [`unix:${path}`] };
}

/** Whether others than this host's users can reach it. */
export function isOpenToOthers(place: SocketPlace): boolean {
  return !("path" in place) && !isLoopback(place.host);
}

/**
 * Listen. A unix socket at which nobody listens any more is replaced; any other
 * file is not. Throws Deno's errors.
 */
export async function listenAt(place: SocketPlace): Promise<SocketListener> {
  if (!("path" in place)) {
    return Deno.listen({ hostname: place.host, port: place.port });
  }
  const { path } = place;
  try {
    return Deno.listen({ transport: "unix", path });
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    if (!await isAbandoned(path)) throw error;
    await Deno.remove(path);
    return Deno.listen({ transport: "unix", path });
  }
}

/** Whether a file is the socket of a process that is gone. */
async function isAbandoned(path: string): Promise<boolean> {
  if (!(await Deno.lstat(path)).isSocket) return false;
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused;
  }
}
