/**
 * What the data areas say of the first two fixed disks, for programs that look
 * by themselves (INT 41h and 46h).
 *
 * Source: IBM PC/AT Technical Reference, BIOS "Fixed disk parameter table".
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { FIRST_DISK } from "./drives.ts";
import { EBDA_FIXED_DISKS } from "./layout.ts";

/** Bytes of a table. */
const TABLE_BYTES = 16;

/** Write the tables. */
export function writeDiskTables(bios: Bios): void {
  EBDA_FIXED_DISKS.forEach((at, i) => {
    const geometry = bios.drives.geometry(FIRST_DISK + i);
    if (geometry === undefined) return;
    const { cylinders, heads, sectors } = geometry;
    const table = new Uint8Array(TABLE_BYTES);
    const view = new DataView(table.buffer);
    view.setUint16(0, cylinders, true);
    table[2] = heads;
    // No precompensation; no retries, more than 8 heads; where heads land.
    view.setUint16(5, 0xffff, true);
    table[8] = 0xc0 | (heads > 8 ? 0x08 : 0);
    view.setUint16(12, cylinders, true);
    table[14] = sectors;
    bios.guest.write(at, table);
  });
}
