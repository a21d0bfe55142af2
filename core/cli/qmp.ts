/**
 * What `--qmp` asks for: places where programs may control the machine.
 *
 * @module
 */

import { placePermissions } from "../backend/socket_place.ts";
import type { Machine } from "../machine/machine.ts";
import type { PermissionNeeds } from "../machine/plugin.ts";
import { parseQmpAddress } from "../monitor/qmp/address.ts";
import { QmpServerError } from "../monitor/qmp/error.ts";
import { UsageError } from "./arguments.ts";

/** A mistake in a place is the user's. */
function usageOf(place: string, error: unknown): unknown {
  return error instanceof QmpServerError
    ? new UsageError(`--qmp ${place}: ${error.message}`)
    : error;
}

/** The permissions that these places need, beside others. Throws a `UsageError`. */
export function qmpNeeds(
  places: readonly string[],
  needs: PermissionNeeds,
): PermissionNeeds {
  let { read = [], write = [], net = [] } = needs;
  for (const place of places) {
    try {
      const more = placePermissions(parseQmpAddress(place));
      read = [...read, ...more.read ?? []];
      write = [...write, ...more.write ?? []];
      net = [...net, ...more.net ?? []];
    } catch (error) {
      throw usageOf(place, error);
    }
  }
  return { ...needs, read, write, net };
}

/** Listen at these places; stops the machine and throws where that cannot be. */
export async function startQmp(
  machine: Machine,
  places: readonly string[],
): Promise<void> {
  for (const place of places) {
    try {
      await machine.serveQmp(place);
    } catch (error) {
      await machine.stop();
      throw usageOf(place, error);
    }
  }
}
