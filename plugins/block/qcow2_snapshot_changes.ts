/**
 * Makes, applies and deletes snapshots within a qcow2 image, as QEMU's
 * `qemu-img snapshot` does (docs/interop/qcow2.txt, "Snapshots").
 *
 * A snapshot is a copy of the L1 table; whatever it leads to counts one use
 * more and is copied before it is written. In the file counts go up before
 * anything new points at a cluster, and down when nothing does any more: a crash
 * leaks clusters at worst. After any of this the image's tables are read anew.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import { type Qcow2Header, writeSnapshotTable } from "./qcow2_header.ts";
import type { Qcow2Parts } from "./qcow2_maintain.ts";
import { repairFlags } from "./qcow2_repair.ts";
import {
  type Qcow2Snapshot,
  readSnapshots,
  type SnapshotTable,
} from "./qcow2_snapshots.ts";
import { damaged, L2Table } from "./qcow2_tables.ts";

/** The most snapshots that QEMU takes. */
const MAX_SNAPSHOTS = 65536;
/** Bytes of an entry before its extra data, and of those. */
const ENTRY_BYTES = 40;
const EXTRA_BYTES = 24;
/** So many table entries are looked at: a disk of 1 TiB in 64 KiB clusters. */
const MAX_STEPS = 1 << 24;
const OFFSET_MASK = 0x00fffffffffffe00n;

/** What is said of a new snapshot. */
export interface SnapshotLabel {
  /** Its name. */
  readonly name: string;
  /** When it is made, in milliseconds since 1970. */
  readonly date: number;
}

/** Keep the disk as it is; gives back the new snapshot's id. */
export async function createSnapshot(
  parts: Qcow2Parts,
  { name, date }: SnapshotLabel,
): Promise<string> {
  const { store, header, refcounts, tables } = parts;
  const { clusterSize } = header;
  const table = await settled(parts);
  if (table.snapshots.length >= MAX_SNAPSHOTS) {
    throw new BlockError("unsupported", "The qcow2 image has 65536 snapshots");
  }
  const counts = await usesOf(parts, header.l1Offset, header.l1Size);
  await countUp(parts, counts);
  const copy = new Uint8Array(roundUp(header.l1Size * 8, clusterSize));
  copy.set(tables.l1Bytes);
  for (let i = 0; i < header.l1Size; i++) copy[i * 8] &= 0x7f;
  const l1Cluster = await refcounts.allocateRun(copy.length / clusterSize);
  await refcounts.write();
  await store.sync();
  await store.write(l1Cluster * clusterSize, copy);
  // From now on the disk copies what it writes to.
  await repairFlags(header, tables, () => 2);
  await clearFlags(parts, counts);
  await tables.write();
  await store.sync();
  const ids = table.snapshots.map(({ id }) => Number(id) || 0);
  const id = `${Math.max(0, ...ids) + 1}`;
  const entry = encodeEntry(header, {
    id,
    name,
    date,
    l1Offset: l1Cluster * clusterSize,
  });
  const kept = await rawEntries(parts, table);
  await replaceTable(parts, table, [...kept, entry]);
  return id;
}

/** Make the disk what it was at a snapshot; what it is now is lost. */
export async function applySnapshot(
  parts: Qcow2Parts,
  id: string,
): Promise<void> {
  const { store, header, refcounts } = parts;
  const table = await settled(parts);
  const { l1Offset, l1Size, diskSize = header.size } = find(table, id);
  if (diskSize !== header.size || l1Size > header.l1Size) {
    throw new BlockError(
      "unsupported",
      `The disk had ${diskSize} bytes at the snapshot and has ${header.size}`,
    );
  }
  const before = await usesOf(parts, header.l1Offset, header.l1Size);
  const after = await usesOf(parts, l1Offset, l1Size);
  await countUp(parts, after);
  await refcounts.write();
  await store.sync();
  const l1 = new Uint8Array(header.l1Size * 8);
  await store.read(l1Offset, l1.subarray(0, l1Size * 8));
  for (let i = 0; i < l1.length; i += 8) l1[i] &= 0x7f;
  await store.write(header.l1Offset, l1);
  await store.sync();
  await countDown(parts, before);
}

/**
 * What the disk is, of two snapshots: the first, the second, on the way from
 * one to the other, or something else, as it is once it has been written to.
 */
export async function comparedTo(
  parts: Qcow2Parts,
  [first, second]: readonly [string, string],
): Promise<"first" | "second" | "between" | "other"> {
  const { store, header } = parts;
  const table = await settled(parts);
  const entries = async (
    { l1Offset, l1Size }: { l1Offset: number; l1Size: number },
  ): Promise<(at: number) => bigint> => {
    const bytes = new Uint8Array(l1Size * 8);
    await store.read(l1Offset, bytes);
    const view = new DataView(bytes.buffer);
    return (at) => at < l1Size ? view.getBigUint64(at * 8) & OFFSET_MASK : 0n;
  };
  const here = await entries(header);
  const a = await entries(find(table, first));
  const b = await entries(find(table, second));
  let isFirst = true, isSecond = true;
  for (let i = 0; i < header.l1Size; i++) {
    const now = here(i);
    if (now !== a(i)) isFirst = false;
    if (now !== b(i)) isSecond = false;
    if (now !== a(i) && now !== b(i)) return "other";
  }
  return isSecond ? "second" : isFirst ? "first" : "between";
}

/** Give up a snapshot. */
export async function deleteSnapshot(
  parts: Qcow2Parts,
  id: string,
): Promise<void> {
  const { header: { clusterSize }, refcounts } = parts;
  const table = await settled(parts);
  const snapshot = find(table, id);
  const { l1Offset, l1Size } = snapshot;
  const counts = await usesOf(parts, l1Offset, l1Size);
  const kept = await rawEntries(parts, table);
  kept.splice(table.snapshots.indexOf(snapshot), 1);
  await replaceTable(parts, table, kept);
  const clusters = roundUp(l1Size * 8, clusterSize) / clusterSize;
  for (let i = 0; i < clusters; i++) {
    refcounts.release(l1Offset / clusterSize + i);
  }
  await countDown(parts, counts);
}

/**
 * Make the COPIED flags say what the counts do, after a change and with tables
 * that were read since.
 */
export async function refreshFlags(parts: Qcow2Parts): Promise<void> {
  const { store, header, refcounts, tables } = parts;
  const counts = await usesOf(parts, header.l1Offset, header.l1Size);
  for (const cluster of counts.keys()) {
    counts.set(cluster, await refcounts.get(cluster));
  }
  await repairFlags(header, tables, (cluster) => counts.get(cluster));
  await tables.write();
  await store.sync();
}

/** The file has everything, and what was given up is counted down. */
async function settled(parts: Qcow2Parts): Promise<SnapshotTable> {
  await parts.flush();
  await parts.flush();
  return await readSnapshots(parts.store, parts.header);
}

function find({ snapshots }: SnapshotTable, id: string): Qcow2Snapshot {
  const snapshot = snapshots.find((one) => one.id === id);
  if (snapshot !== undefined) return snapshot;
  throw new BlockError("unsupported", `There is no snapshot with the id ${id}`);
}

/** How often an L1 table and all it leads to use each cluster, itself left out. */
async function usesOf(
  { store, header, tables }: Qcow2Parts,
  l1Offset: number,
  l1Size: number,
): Promise<Map<number, number>> {
  const { clusterSize } = header;
  const counts = new Map<number, number>();
  let steps = 0;
  const use = (offset: number, length: number): void => {
    const end = offset + length;
    for (let c = Math.floor(offset / clusterSize); c * clusterSize < end; c++) {
      counts.set(c, (counts.get(c) ?? 0) + 1);
    }
  };
  const l1 = new Uint8Array(l1Size * 8);
  await store.read(l1Offset, l1);
  const view = new DataView(l1.buffer);
  for (let i = 0; i < l1Size; i++) {
    const offset = Number(view.getBigUint64(i * 8) & OFFSET_MASK);
    if (offset === 0) continue;
    if (offset % clusterSize !== 0 || offset >= store.size) {
      damaged(`L1 entry ${i} is impossible`);
    }
    steps += tables.perTable;
    if (steps > MAX_STEPS) {
      throw new BlockError(
        "unsupported",
        "The qcow2 image is too large for a snapshot",
      );
    }
    use(offset, clusterSize);
    const table = new L2Table(header, offset);
    await store.read(offset, table.bytes);
    for (let k = 0; k < tables.perTable; k++) {
      const { compressed, host } = table.get(k);
      if (compressed !== undefined) use(compressed.offset, compressed.length);
      else if (host !== 0) use(host, clusterSize);
    }
  }
  return counts;
}

/** Count clusters so many uses up, when all of the counts can be that much. */
async function countUp(
  { header, refcounts }: Qcow2Parts,
  counts: ReadonlyMap<number, number>,
): Promise<void> {
  const bits = 2 ** header.refcountOrder;
  const most = 2 ** Math.min(bits, 52) - 1;
  for (const [cluster, uses] of counts) {
    const count = await refcounts.get(cluster);
    if (count === 0) damaged(`cluster ${cluster} is in use, its count is 0`);
    if (count + uses <= most) continue;
    throw new BlockError(
      "unsupported",
      `Refcounts of ${bits} bits leave no room for another snapshot`,
    );
  }
  for (const [cluster, uses] of counts) {
    await refcounts.set(cluster, await refcounts.get(cluster) + uses);
  }
}

/** Count clusters down: nothing in the file uses them so any more. */
async function countDown(
  { store, refcounts }: Qcow2Parts,
  counts: ReadonlyMap<number, number>,
): Promise<void> {
  for (const [cluster, uses] of counts) {
    for (let i = 0; i < uses; i++) refcounts.release(cluster);
  }
  await refcounts.applyReleases();
  await refcounts.write();
  await store.sync();
}

/** Clear COPIED in the tables that were the disk's alone until now. */
async function clearFlags(
  { store, header, tables }: Qcow2Parts,
  counts: ReadonlyMap<number, number>,
): Promise<void> {
  for (let index = 0; index < header.l1Size; index++) {
    const table = await tables.get(index);
    if (table === undefined) continue;
    if (!counts.has(table.offset / header.clusterSize)) continue;
    let isChanged = false;
    for (let i = 0; i < tables.perTable; i++) {
      if (!table.get(i).copied) continue;
      table.setCopied(i, false);
      isChanged = true;
    }
    // In its place: the snapshot has the same table, without the flags too.
    if (isChanged) await store.write(table.offset, table.bytes);
  }
}

/** The entries of the table as they are in the file. */
async function rawEntries(
  { store, header }: Qcow2Parts,
  { snapshots, bytes }: SnapshotTable,
): Promise<Uint8Array[]> {
  const all = new Uint8Array(bytes);
  await store.read(header.snapshotsOffset, all);
  return snapshots.map(({ entry: { at, length } }) =>
    all.subarray(at, at + length)
  );
}

function encodeEntry(
  { size, l1Size }: Qcow2Header,
  { id, name, date, l1Offset }: SnapshotLabel & {
    readonly id: string;
    readonly l1Offset: number;
  },
): Uint8Array {
  const text = new TextEncoder();
  const [idBytes, nameBytes] = [text.encode(id), text.encode(name)];
  const fixed = ENTRY_BYTES + EXTRA_BYTES;
  const bytes = new Uint8Array(
    roundUp(fixed + idBytes.length + nameBytes.length, 8),
  );
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(l1Offset));
  view.setUint32(8, l1Size);
  view.setUint16(12, idBytes.length);
  view.setUint16(14, nameBytes.length);
  view.setUint32(16, Math.floor(date / 1000));
  view.setUint32(20, Math.floor(date % 1000 * 1e6));
  view.setUint32(36, EXTRA_BYTES);
  view.setBigUint64(ENTRY_BYTES + 8, BigInt(size));
  // No instruction count.
  view.setBigInt64(ENTRY_BYTES + 16, -1n);
  bytes.set(idBytes, fixed);
  bytes.set(nameBytes, fixed + idBytes.length);
  return bytes;
}

/** Put another snapshot table in the old one's place. */
async function replaceTable(
  { store, header, refcounts }: Qcow2Parts,
  old: SnapshotTable,
  entries: readonly Uint8Array[],
): Promise<void> {
  const { clusterSize, snapshotsOffset } = header;
  const length = entries.reduce((sum, entry) => sum + entry.length, 0);
  let offset = 0;
  if (length > 0) {
    const bytes = new Uint8Array(roundUp(length, clusterSize));
    let at = 0;
    for (const entry of entries) {
      bytes.set(entry, at);
      at += entry.length;
    }
    const clusters = bytes.length / clusterSize;
    offset = await refcounts.allocateRun(clusters) * clusterSize;
    await refcounts.write();
    await store.write(offset, bytes);
    await store.sync();
  }
  await writeSnapshotTable(store, offset, entries.length);
  const clusters = roundUp(old.bytes, clusterSize) / clusterSize;
  for (let i = 0; i < clusters; i++) {
    refcounts.release(snapshotsOffset / clusterSize + i);
  }
  await refcounts.applyReleases();
  await refcounts.write();
  await store.sync();
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
