/**
 * Repair of a qcow2 image whose refcounts were not kept up ("Dirty bit"): they
 * are counted anew from the tables.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import type { ByteStore } from "./byte_store.ts";
import type { Qcow2Header } from "./qcow2_header.ts";
import type { Refcounts } from "./qcow2_refcounts.ts";
import type { SnapshotTable } from "./qcow2_snapshots.ts";
import { damaged, L2Table, type Tables } from "./qcow2_tables.ts";

/** So many clusters and table entries are looked at: 1 TiB in 64 KiB ones. */
const MAX_STEPS = 1 << 24;

/** Bring the refcounts and the flags that depend on them up to date. */
export async function repair(
  store: ByteStore,
  header: Qcow2Header,
  refcounts: Refcounts,
  tables: Tables,
  snapshots: SnapshotTable,
): Promise<void> {
  if (header.bitmaps) tooMuch("it has bitmaps");
  const counts = await count(store, header, refcounts, tables, snapshots);
  dropSharedBlocks(header, refcounts, counts);
  addBlocks(store, header, refcounts, counts);
  for (let i = 0; i < refcounts.table.length; i++) {
    if (refcounts.table[i] === 0) continue;
    if (i * refcounts.perBlock > MAX_STEPS) tooMuch("it is too large");
    for (let k = 0; k < refcounts.perBlock; k++) {
      const cluster = i * refcounts.perBlock + k;
      const wanted = counts.get(cluster) ?? 0;
      if (await refcounts.get(cluster) !== wanted) {
        await refcounts.set(cluster, wanted);
      }
    }
  }
  await refcounts.write();
  await store.sync();
  await repairFlags(header, tables, (cluster) => counts.get(cluster));
  await tables.write();
  await store.sync();
}

function tooMuch(reason: string): never {
  throw new BlockError(
    "unsupported",
    `Cannot repair the qcow2 image, ${reason}: use qemu-img check -r all`,
  );
}

/** How often each cluster is used. */
async function count(
  store: ByteStore,
  header: Qcow2Header,
  refcounts: Refcounts,
  tables: Tables,
  { snapshots, bytes }: SnapshotTable,
): Promise<Map<number, number>> {
  const { clusterSize } = header;
  const counts = new Map<number, number>();
  let steps = 0;
  const use = (offset: number, length: number): void => {
    const end = offset + length;
    for (let c = Math.floor(offset / clusterSize); c * clusterSize < end; c++) {
      counts.set(c, (counts.get(c) ?? 0) + 1);
      if (++steps > MAX_STEPS) tooMuch("it is too large");
    }
  };
  const useTable = (table: L2Table): void => {
    use(table.offset, clusterSize);
    steps += tables.perTable;
    for (let i = 0; i < tables.perTable; i++) {
      const { compressed, host } = table.get(i);
      if (compressed !== undefined) use(compressed.offset, compressed.length);
      else if (host !== 0) use(host, clusterSize);
    }
  };
  use(0, clusterSize);
  use(header.l1Offset, header.l1Size * 8);
  use(header.refcountTableOffset, header.refcountTableClusters * clusterSize);
  for (const offset of refcounts.table) {
    if (offset !== 0) use(offset, clusterSize);
  }
  use(header.snapshotsOffset, bytes);
  for (let i = 0; i < header.l1Size; i++) {
    const table = await tables.get(i);
    if (table !== undefined) useTable(table);
  }
  for (const { l1Offset, l1Size } of snapshots) {
    use(l1Offset, l1Size * 8);
    // Many snapshots may lead to one table.
    steps += l1Size;
    if (steps > MAX_STEPS) tooMuch("it is too large");
    const l1 = new Uint8Array(l1Size * 8);
    await store.read(l1Offset, l1);
    const view = new DataView(l1.buffer);
    const words = new Uint32Array(l1.buffer);
    for (let i = 0; i < l1Size; i++) {
      if ((words[2 * i] | words[2 * i + 1]) === 0) continue;
      const offset = Number(view.getBigUint64(i * 8) & 0x7fffffffffffffffn);
      if (offset === 0) continue;
      if (offset % clusterSize !== 0 || offset >= store.size) {
        damaged(`L1 entry ${i} of a snapshot is impossible`);
      }
      const table = new L2Table(header, offset);
      await store.read(offset, table.bytes);
      useTable(table);
    }
  }
  return counts;
}

/** Drop refcount blocks that are something else, too: it would be lost. */
function dropSharedBlocks(
  { clusterSize }: Qcow2Header,
  refcounts: Refcounts,
  counts: Map<number, number>,
): void {
  for (const [index, offset] of refcounts.table.entries()) {
    const uses = counts.get(offset / clusterSize)!;
    if (offset === 0 || uses === 1) continue;
    refcounts.dropBlock(index);
    counts.set(offset / clusterSize, uses - 1);
  }
}

/** Add the refcount blocks that used clusters lack, behind all of them. */
function addBlocks(
  store: ByteStore,
  { clusterSize }: Qcow2Header,
  refcounts: Refcounts,
  counts: Map<number, number>,
): void {
  let end = Math.ceil(store.size / clusterSize);
  for (const cluster of counts.keys()) end = Math.max(end, cluster + 1);
  // A map's iteration also comes to what is added meanwhile.
  for (const cluster of counts.keys()) {
    const index = Math.floor(cluster / refcounts.perBlock);
    if (index >= refcounts.table.length) {
      tooMuch("its refcount table is too small");
    }
    if (refcounts.table[index] !== 0) continue;
    refcounts.addBlock(index, end);
    counts.set(end++, 1);
  }
}

/** Make the COPIED flags say whether a cluster's count is 1. */
export async function repairFlags(
  { l1Size, clusterSize }: Qcow2Header,
  tables: Tables,
  count: (cluster: number) => number | undefined,
): Promise<void> {
  for (let index = 0; index < l1Size; index++) {
    const table = await tables.get(index);
    if (table === undefined) continue;
    const own = count(table.offset / clusterSize) === 1;
    tables.setCopied(index, own);
    // A shared table's entries are looked at when it is copied.
    if (!own) continue;
    for (let i = 0; i < tables.perTable; i++) {
      const { host, copied } = table.get(i);
      if (host === 0) continue;
      const wanted = count(host / clusterSize) === 1;
      if (copied !== wanted) {
        (await tables.writable(index)).setCopied(i, wanted);
      }
    }
    if (tables.crowded) await tables.write();
  }
}
