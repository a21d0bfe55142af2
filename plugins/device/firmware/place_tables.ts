/**
 * Places tables as firmware does that follows `etc/table-loader`, for a guest
 * that starts without such firmware.
 *
 * @module
 */

import type {
  PlacedTables,
  TableChecksum,
  TablePlace,
  TablePointer,
  TableSet,
} from "../../../core/machine/firmware.ts";

/** Alignment of the first table: a page, for the memory map's sake. */
const PAGE = 4096;

/** A placed blob. */
export interface PlacedBlob {
  /** Its first address. */
  readonly address: number;
  /** Its bytes with all links filled in. */
  readonly bytes: Uint8Array;
}

/** Tables that have their places, and are not in memory yet. */
export interface Layout extends PlacedTables {
  /** Those at the entry page, then those below `TablePlace.end`. */
  readonly blobs: readonly PlacedBlob[];
}

function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

/** Give each blob its place and fill in the links. */
export function layTables(
  sets: readonly TableSet[],
  { end, entries }: TablePlace,
): Layout {
  const blobs = sets.flatMap((set) => set.blobs);
  const tables = blobs.filter(({ zone }) => zone === "table");
  let size = 0;
  for (const { bytes, align } of tables) {
    size = alignUp(size, align) + bytes.length;
  }
  const base = size === 0 ? end : Math.floor((end - size) / PAGE) * PAGE;
  const next = { entry: entries, table: base };
  const placed = new Map<string, PlacedBlob>();
  for (const { name, bytes, align, zone } of blobs) {
    const address = alignUp(next[zone], align);
    next[zone] = address + bytes.length;
    placed.set(name, { address, bytes: bytes.slice() });
  }
  if (next.entry > entries + PAGE) {
    throw new RangeError(
      `the tables' entry points do not fit in ${PAGE} bytes`,
    );
  }
  for (const link of sets.flatMap((set) => set.links)) fill(link, placed);
  return {
    base,
    addresses: new Map([...placed].map(([name, b]) => [name, b.address])),
    blobs: [...placed.values()],
  };
}

function fill(
  link: TablePointer | TableChecksum,
  placed: ReadonlyMap<string, PlacedBlob>,
): void {
  const { bytes } = placed.get(link.blob)!;
  const { offset } = link;
  if (link.kind === "checksum") {
    let sum = 0;
    for (let i = 0; i < link.length; i++) sum += bytes[link.start + i];
    bytes[offset] = -sum;
    return;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { address } = placed.get(link.target)!;
  // Everything is below 4 GiB: an upper half stays 0.
  view.setUint32(offset, view.getUint32(offset, true) + address, true);
}
