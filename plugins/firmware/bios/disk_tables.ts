/**
 * What the data areas say of drives: how many there are, and of the first two
 * fixed disks what programs look for by themselves (INT 41h and 46h).
 *
 * Source: IBM PC/AT Technical Reference, BIOS "Fixed disk parameter table" and
 * "ROM BIOS data areas".
 *
 * @module
 */

import type { Bios } from "./context.ts";
import { FIRST_DISK } from "./drives.ts";
import { Bda, EBDA_FIXED_DISKS, Equipment } from "./layout.ts";

/** Bytes of a table. */
const TABLE_BYTES = 16;

/** The most floppy drives that the equipment word can tell. */
const MAX_FLOPPIES = 4;

/** Write down what drives there are now. */
export function writeDriveData(bios: Bios): void {
  const { guest, drives } = bios;
  const floppies = Math.min(drives.floppies.length, MAX_FLOPPIES);
  const bits = floppies === 0 ? 0 : Equipment.FLOPPY | floppies - 1 << 6;
  const equipment = guest.u16(Bda.EQUIPMENT) & ~Equipment.FLOPPIES;
  guest.set16(Bda.EQUIPMENT, equipment | bits);
  guest.set8(Bda.DISKS, drives.disks.length);
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
