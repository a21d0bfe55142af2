/**
 * The geometry by which a disk was partitioned. Old systems have written it
 * down in their partition tables and boot sectors, and read by it: a disk from
 * another machine starts only when INT 13h has the same one.
 *
 * QEMU looks there for it, too; but tables of today end where they like, and
 * their last cylinder, head and sector tell nothing. So it counts only where
 * both ends of a partition are at the addresses that the geometry gives them.
 *
 * Source: Hale Landis, "How it works: partition tables" and "CHS translation".
 *
 * @module
 */

import type { DriveGeometry } from "../../../core/machine/boot_drive.ts";

/** The table in the sector, its entries, and the sector's last word. */
const TABLE = 0x1be;
const ENTRY_BYTES = 16;
const ENTRIES = 4;
const SIGNATURE_AT = 0x1fe;
const SIGNATURE = 0xaa55;
/** What CHS addresses reach; ends beyond it are said to be in the last one. */
const MAX_CYLINDERS = 1024;
/** A head that no system numbers: DOS cannot have 256 heads. */
const MAX_HEADS = 255;

/** A cylinder, head and sector as a table has them. */
interface Place {
  readonly cylinder: number;
  readonly head: number;
  readonly sector: number;
}

function place(table: DataView, at: number): Place {
  const [head, low, high] = [0, 1, 2].map((i) => table.getUint8(at + i));
  return { head, sector: low & 0x3f, cylinder: (low & 0xc0) << 2 | high };
}

/** The geometry in a disk's first sector; undefined when there is none. */
export function partitionGeometry(
  first: Uint8Array,
  total: number,
): DriveGeometry | undefined {
  const view = new DataView(first.buffer, first.byteOffset, first.length);
  if (view.getUint16(SIGNATURE_AT, true) !== SIGNATURE) return undefined;
  for (let i = 0; i < ENTRIES; i++) {
    const at = TABLE + i * ENTRY_BYTES;
    const start = place(view, at + 1);
    const end = place(view, at + 5);
    const begin = view.getUint32(at + 8, true);
    const count = view.getUint32(at + 12, true);
    const [heads, sectors] = [end.head + 1, end.sector];
    if (count === 0 || sectors === 0 || heads > MAX_HEADS) continue;
    if (begin + count > total) continue;
    const address = ({ cylinder, head, sector }: Place): number =>
      (cylinder * heads + head) * sectors + sector - 1;
    const fits = start.sector > 0 && start.sector <= sectors &&
      start.head < heads && address(start) === begin &&
      address(end) === begin + count - 1;
    if (!fits) continue;
    const cylinders = Math.floor(total / (heads * sectors));
    return {
      cylinders: Math.max(1, Math.min(cylinders, MAX_CYLINDERS)),
      heads,
      sectors,
    };
  }
  return undefined;
}
