/**
 * The flags `--gdb` and `--wait`.
 *
 * @module
 */

import { placePermissions } from "../backend/socket_place.ts";
import { GdbError, parseGdbAddress } from "../debug/gdb/listen.ts";
import type { Machine } from "../machine/machine.ts";
import type { PermissionNeeds } from "../machine/plugin.ts";
import { type Command, UsageError } from "./arguments.ts";

/** Serve gdb where the flags say; what cannot be is a `UsageError`. */
export async function startGdb(
  machine: Machine,
  { gdb, wait }: Command,
  message: (line: string) => void,
): Promise<void> {
  try {
    const server = await machine.serveGdb(gdb, { wait, log: message });
    if (wait) message(`waiting for gdb at ${server.address}`);
  } catch (error) {
    throw error instanceof GdbError ? new UsageError(error.message) : error;
  }
}

/** The permissions that `--gdb` needs. */
export function gdbNeeds(gdb: string): PermissionNeeds {
  try {
    return placePermissions(parseGdbAddress(gdb));
  } catch (error) {
    throw error instanceof GdbError ? new UsageError(error.message) : error;
  }
}
