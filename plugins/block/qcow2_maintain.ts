/**
 * What tools do to qcow2 images beyond what a guest can ask for: looking where
 * things are, compressed clusters, preallocation, another size. All of it has
 * the image for itself (`Qcow2Block.maintain`).
 *
 * @module
 */

import type { Extent } from "../../core/backend/image_format.ts";
import type { ByteStore } from "./byte_store.ts";
import { compress } from "./qcow2_compression.ts";
import {
  entriesPerTable,
  type Qcow2Header,
  writeL1Table,
} from "./qcow2_header.ts";
import type { ClusterReader } from "./qcow2_reader.ts";
import type { Refcounts } from "./qcow2_refcounts.ts";
import { type Tables, UNALLOCATED } from "./qcow2_tables.ts";

/** The parts of an open image. */
export interface Qcow2Parts {
  /** The file. */
  readonly store: ByteStore;
  /** Its header. */
  readonly header: Qcow2Header;
  /** Its refcounts. */
  readonly refcounts: Refcounts;
  /** Its L1 and L2 tables. */
  readonly tables: Tables;
  /** What reads its clusters. */
  readonly reader: ClusterReader;
  /** Bytes of the disk. */
  readonly size: number;
  /** Write out what has changed when it is much. */
  flushIfCrowded(): Promise<void>;
  /** Write out what has changed. */
  flush(): Promise<void>;
}

/** What the bytes at `offset` are, and at most `length` that follow. */
export async function extentAt(
  { header, tables, size }: Qcow2Parts,
  offset: number,
  length: number,
): Promise<Extent> {
  const { clusterSize, extendedL2 } = header;
  const subSize = clusterSize / (extendedL2 ? 32 : 1);
  const end = Math.min(size, offset + length);
  let kind: Extent["kind"] | undefined;
  let at = offset;
  while (at < end) {
    const cluster = Math.floor(at / clusterSize);
    const index = Math.floor(cluster / tables.perTable);
    const table = await tables.get(index);
    const { compressed, alloc, zero } = table?.get(cluster % tables.perTable) ??
      UNALLOCATED;
    const sub = Math.floor(at % clusterSize / subSize);
    const here = compressed !== undefined || (alloc >>> sub & 1) !== 0
      ? "data"
      : (zero >>> sub & 1) !== 0
      ? "zero"
      : "backing";
    kind ??= here;
    if (here !== kind) break;
    const step = table === undefined
      ? clusterSize * tables.perTable
      : compressed === undefined
      ? subSize
      : clusterSize;
    at = (Math.floor(at / step) + 1) * step;
  }
  return { kind: kind ?? "backing", length: Math.min(at, end) - offset };
}

/** Where compressed clusters are put: for an image that gives none up. */
export class Packer {
  /** The next free byte behind the last one; 0 when there is none. */
  #next = 0;

  /**
   * Write a whole cluster compressed. False when that is no gain, or when the
   * disk has the cluster in another way already.
   */
  async write(
    parts: Qcow2Parts,
    offset: number,
    bytes: Uint8Array,
  ): Promise<boolean> {
    const { header, tables, store, reader } = parts;
    const { clusterSize } = header;
    const cluster = offset / clusterSize;
    const packed = compress(header.compression, bytes);
    if (packed === undefined) return false;
    const table = await tables.writable(Math.floor(cluster / tables.perTable));
    const index = cluster % tables.perTable;
    const { host, compressed, zero } = table.get(index);
    if (host !== 0 || compressed !== undefined || zero !== 0) return false;
    const at = await this.#place(parts, packed.length);
    // To the end of the last sector, which belongs to the cluster.
    await store.write(at, packed);
    reader.forget();
    table.setCompressed(index, at, packed.length);
    await parts.flushIfCrowded();
    return true;
  }

  /** A place for so many bytes; the clusters they are in count one use more. */
  async #place(
    { header: { clusterSize, refcountOrder }, refcounts }: Qcow2Parts,
    length: number,
  ): Promise<number> {
    const most = 2 ** Math.min(2 ** refcountOrder, 52) - 1;
    const within = this.#next % clusterSize;
    const shared = Math.floor(this.#next / clusterSize);
    const uses = within > 0 ? await refcounts.get(shared) : most;
    const isOpen = uses < most;
    if (isOpen && within + length <= clusterSize) {
      await refcounts.set(shared, uses + 1);
      const at = this.#next;
      this.#next += length;
      return at;
    }
    const fresh = await refcounts.allocate("data");
    // What one cluster has left is used when the next one follows it.
    const follows = isOpen && fresh === shared + 1;
    if (follows) await refcounts.set(shared, uses + 1);
    const at = follows ? this.#next : fresh * clusterSize;
    this.#next = at + length;
    return at;
  }
}

/**
 * Give every cluster from `from` on that has none a place; gives back where
 * the last one ends.
 */
export async function preallocate(
  parts: Qcow2Parts,
  from: number,
): Promise<number> {
  const { header, tables, refcounts, size } = parts;
  const { clusterSize, extendedL2 } = header;
  let end = parts.store.size;
  const first = Math.floor(from / clusterSize);
  for (let cluster = first; cluster * clusterSize < size; cluster++) {
    const table = await tables.writable(Math.floor(cluster / tables.perTable));
    const old = table.get(cluster % tables.perTable);
    if (old.host !== 0 || old.compressed !== undefined) continue;
    const host = await refcounts.allocate("data") * clusterSize;
    // A cluster that was something else still has it.
    if (!extendedL2 && host < parts.store.size) {
      await parts.store.write(host, new Uint8Array(clusterSize));
    }
    table.set(cluster % tables.perTable, {
      host,
      copied: true,
      // Subclusters stay what they are: the backing file may show.
      alloc: extendedL2 ? 0 : 1,
      zero: extendedL2 ? old.zero : 0,
    });
    end = Math.max(end, host + clusterSize);
    await parts.flushIfCrowded();
  }
  return end;
}

/** Make the L1 table fit a disk of `size` bytes. */
export async function growL1(parts: Qcow2Parts, size: number): Promise<void> {
  const { store, header, tables, refcounts } = parts;
  const { clusterSize } = header;
  const entries = Math.ceil(size / clusterSize / entriesPerTable(header));
  if (entries <= header.l1Size) return;
  await parts.flush();
  const bytes = new Uint8Array(
    Math.ceil(entries * 8 / clusterSize) * clusterSize,
  );
  bytes.set(tables.l1Bytes);
  const count = bytes.length / clusterSize;
  const first = await refcounts.allocateRun(count);
  await refcounts.write();
  await store.write(first * clusterSize, bytes);
  await store.sync();
  await writeL1Table(store, first * clusterSize, entries);
  const old = Math.ceil(header.l1Size * 8 / clusterSize);
  for (let i = 0; i < old; i++) {
    refcounts.release(header.l1Offset / clusterSize + i);
  }
  await refcounts.applyReleases();
  await refcounts.write();
  await store.sync();
}
