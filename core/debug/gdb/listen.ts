/**
 * Where the gdb server listens: `tcp::1234`, `tcp:HOST:PORT`, `unix:PATH`.
 *
 * @module
 */

import {
  describePlace,
  listenAt,
  parseSocketPlace,
  type SocketListener,
  type SocketPlace,
} from "../../backend/socket_place.ts";

/** The port of QEMU's `-s`. */
const GDB_PORT = 1234;

/** The server cannot be started. */
export class GdbError extends Error {
  /** The name of the error's class. */
  override readonly name = "GdbError";
}

/**
 * Understand `tcp:[HOST]:PORT` (the loopback interface without a host; IPv6 in
 * brackets) and `unix:PATH`; nothing means `tcp::1234`. Throws a `GdbError`.
 */
export function parseGdbAddress(text: string): SocketPlace {
  const place = parseSocketPlace(text === "" ? `tcp::${GDB_PORT}` : text);
  if (place !== undefined) return place;
  throw new GdbError(
    `Cannot listen for gdb on "${text}": expected tcp::PORT, ` +
      "tcp:HOST:PORT or unix:PATH",
  );
}

/** Listen; throws a `GdbError` where that cannot be. */
export async function listenForGdb(
  address: SocketPlace,
): Promise<SocketListener> {
  try {
    return await listenAt(address);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GdbError(
      `Cannot listen on ${describePlace(address)} for gdb: ${reason}`,
      { cause },
    );
  }
}
