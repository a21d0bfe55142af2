/**
 * Where the gdb server listens: `tcp::1234`, `tcp:HOST:PORT`, `unix:PATH`.
 *
 * @module
 */

import { isLoopback, urlHost } from "../../backend/address.ts";

/** The port of QEMU's `-s`. */
export const GDB_PORT = 1234;

/** The server cannot be started. */
export class GdbError extends Error {
  /** The name of the error's class. */
  override readonly name = "GdbError";
}

/** Where a server listens. */
export type GdbAddress =
  | {
    readonly transport: "tcp";
    readonly hostname: string;
    readonly port: number;
  }
  | { readonly transport: "unix"; readonly path: string };

/**
 * Understand `tcp:[HOST]:PORT` (the loopback interface without a host; IPv6 in
 * brackets) and `unix:PATH`; nothing means `tcp::1234`. Throws a `GdbError`.
 */
export function parseGdbAddress(text: string): GdbAddress {
  if (text === "") {
    return { transport: "tcp", hostname: "127.0.0.1", port: GDB_PORT };
  }
  const unix = /^unix:(.+)$/s.exec(text);
  if (unix !== null) return { transport: "unix", path: unix[1] };
  const tcp = /^tcp:(\[[^\]]+\]|[^:]*):(\d{1,5})$/.exec(text);
  const port = Number(tcp?.[2]);
  if (tcp === null || port > 65535) {
    throw new GdbError(
      `Cannot listen for gdb on "${text}": expected tcp::PORT, ` +
        "tcp:HOST:PORT or unix:PATH",
    );
  }
  const host = tcp[1].replace(/^\[(.*)\]$/, "$1");
  return { transport: "tcp", hostname: host || "127.0.0.1", port };
}

/** The permissions that listening there needs. */
export function gdbPermissions(
  address: GdbAddress,
): {
  net?: readonly string[];
  read?: readonly string[];
  write?: readonly string[];
} {
  if (address.transport === "tcp") {
    return { net: [`${urlHost(address.hostname)}:${address.port}`] };
  }
  const { path } = address;
  return { net: [`unix:${path}`], read: [path], write: [path] };
}

/** Whether others than this host's users can reach it. */
export function isOpen(address: GdbAddress): boolean {
  return address.transport === "tcp" && !isLoopback(address.hostname);
}

/** An address for messages. */
export function describeAddress(address: GdbAddress): string {
  return address.transport === "tcp"
    ? `${urlHost(address.hostname)}:${address.port}`
    : address.path;
}

/** What a server listens with. */
export type GdbListener = Deno.TcpListener | Deno.UnixListener;

/** Listen; throws a `GdbError` where that cannot be. */
export async function listenForGdb(address: GdbAddress): Promise<GdbListener> {
  try {
    if (address.transport === "tcp") {
      return Deno.listen({ hostname: address.hostname, port: address.port });
    }
    await removeStale(address.path);
    return Deno.listen({ transport: "unix", path: address.path });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GdbError(
      `Cannot listen on ${describeAddress(address)} for gdb: ${reason}`,
      { cause },
    );
  }
}

/** Remove the socket that a process has left that is gone. */
async function removeStale(path: string): Promise<void> {
  try {
    const { isSocket } = await Deno.lstat(path);
    if (!isSocket) return;
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused) await Deno.remove(path);
    else if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
