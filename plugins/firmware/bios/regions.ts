/**
 * Where the built-in BIOS is: what its device declares.
 *
 * @module
 */

import type { RegionSpec } from "../../../core/machine/plugin.ts";
import { ROM_BASE, ROM_BYTES, TRAP_PORT, TRAP_PORTS } from "./layout.ts";

/** The ROM's second place: it ends at 4 GiB. */
const TOP_BASE = 2 ** 32 - ROM_BYTES;

/** The ROM at both of its places, and the trap ports. */
export const BIOS_REGIONS: Readonly<Record<string, RegionSpec>> = {
  low: { space: "memory", size: ROM_BYTES, kind: "rom", at: ROM_BASE },
  top: { space: "memory", size: ROM_BYTES, kind: "rom", at: TOP_BASE },
  trap: { space: "ports", size: TRAP_PORTS, at: TRAP_PORT },
};
