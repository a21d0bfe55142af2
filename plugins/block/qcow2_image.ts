/**
 * A qcow2 image.
 *
 * Reads, and writes to clusters that are this image's own already, run
 * together. Whatever changes metadata runs alone: so a cluster can neither be
 * given away nor be given to another use while a request is on its way to it.
 *
 * Data are written at once, metadata when a flush or a full cache asks for it,
 * in the order that keeps the file consistent at any moment: data and
 * refcounts, then L2 tables, then the L1 table, then the counts of what has
 * been given up. A sync stands between each two. A crash leaks clusters at
 * worst.
 *
 * @module
 */

import {
  type BlockBackend,
  BlockError,
  type BlockSnapshots,
  checkRange,
  SECTOR_BYTES,
} from "../../core/backend/block.ts";
import type { ByteStore } from "./byte_store.ts";
import type { Qcow2Parts } from "./qcow2_maintain.ts";
import { ClusterReader } from "./qcow2_reader.ts";
import {
  clearAutoclear,
  clearDirty,
  type Qcow2Header,
  readHeader,
} from "./qcow2_header.ts";
import { fixedImage, qcow2Past, qcow2Snapshots } from "./disk_states.ts";
import { Refcounts } from "./qcow2_refcounts.ts";
import { repair } from "./qcow2_repair.ts";
import type { SnapshotLabel } from "./qcow2_snapshot_changes.ts";
import {
  type Qcow2Snapshot,
  readSnapshots,
  snapshotHeader,
  type SnapshotTable,
} from "./qcow2_snapshots.ts";
import { damaged, type Mapping, Tables, UNALLOCATED } from "./qcow2_tables.ts";
import { RwLock } from "./rw_lock.ts";

export type { Qcow2Snapshot } from "./qcow2_snapshots.ts";

/** So many releases wait before they are worth a flush of their own. */
const MAX_RELEASES = 4096;

/** Bytes that go to the file. */
interface Job {
  readonly host: number;
  readonly bytes: Uint8Array;
}

/** How to open an image. */
export interface Qcow2Options {
  /** Refuse writes. */
  readonly readOnly: boolean;
  /** What shows where the image has nothing; closed with the image. */
  readonly backing?: BlockBackend;
  /** The id of the snapshot to read in the disk's place. */
  readonly snapshot?: string;
  /** The image's path, where others are to find it. */
  readonly path?: string;
  /** Another image of the same store and backing image closes both. */
  readonly isBorrowed?: boolean;
}

/** A qcow2 image. */
export class Qcow2Block implements BlockBackend {
  /** The virtual disk's size in whole sectors. */
  readonly size: number;
  /** See `BlockBackend.format`. */
  readonly format = "qcow2";
  /** Whether writes are refused. */
  readonly readOnly: boolean;
  /** Its path, where it is known. */
  readonly path: string | undefined;
  #snapshots: readonly Qcow2Snapshot[];
  readonly #store: ByteStore;
  #header: Qcow2Header;
  #refcounts: Refcounts;
  #tables: Tables;
  #reader: ClusterReader;
  /** Why the tables in memory are not those of the file. */
  #stale: unknown;
  readonly #backing: BlockBackend | undefined;
  readonly #isBorrowed: boolean;
  readonly #lock = new RwLock();
  /** The bits of all subclusters of a cluster. */
  readonly #full: number;
  readonly #subSize: number;

  private constructor(
    store: ByteStore,
    header: Qcow2Header,
    refcounts: Refcounts,
    tables: Tables,
    snapshots: readonly Qcow2Snapshot[],
    { readOnly, backing, path, isBorrowed = false }: Qcow2Options,
  ) {
    this.path = path;
    this.size = Math.floor(header.size / SECTOR_BYTES) * SECTOR_BYTES;
    this.readOnly = readOnly;
    this.#snapshots = snapshots;
    this.#store = store;
    this.#header = header;
    this.#refcounts = refcounts;
    this.#tables = tables;
    this.#backing = backing;
    this.#isBorrowed = isBorrowed;
    this.#full = header.extendedL2 ? 0xffffffff : 1;
    this.#subSize = header.clusterSize / (header.extendedL2 ? 32 : 1);
    this.#reader = new ClusterReader(store, header, tables, this.size, backing);
  }

  /**
   * Open the image in a store; the store and the backing image are then its
   * own. An image whose refcounts were left behind is repaired before it is
   * written. Throws a `BlockError`.
   */
  static async open(
    store: ByteStore,
    options: Qcow2Options,
  ): Promise<Qcow2Block> {
    let header = await readHeader(store);
    if (header.corrupt && !options.readOnly) {
      throw new BlockError(
        "corrupt",
        "The qcow2 image is marked as damaged: it can only be read",
      );
    }
    const table: SnapshotTable = await readSnapshots(store, header);
    if (options.snapshot !== undefined) {
      header = snapshotHeader(header, table, options.snapshot);
    }
    const refcounts = await Refcounts.open(store, header);
    const tables = await Tables.open(store, header, refcounts);
    if (!options.readOnly) {
      if (header.dirty) {
        await repair(store, header, refcounts, tables, table);
        await clearDirty(store);
      }
      if (header.autoclear) await clearAutoclear(store);
    }
    return new Qcow2Block(
      store,
      header,
      refcounts,
      tables,
      table.snapshots,
      options,
    );
  }

  /** See `BlockBackend.read`. */
  async read(
    offset: number,
    length: number,
    room?: Uint8Array,
  ): Promise<Uint8Array> {
    checkRange(offset, length, this.size);
    const bytes = room?.fill(0) ?? new Uint8Array(length);
    await this.#lock.shared(() => this.#reader.read(offset, bytes));
    return bytes;
  }

  /** See `BlockBackend.write`. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#checkWrite(offset, bytes.length);
    const done = await this.#lock.shared(() => this.#overwrite(offset, bytes));
    if (!done) {
      await this.#lock.exclusive(() => this.#allocatingWrite(offset, bytes));
    }
  }

  /** Gives up whole clusters, which then read as zero. */
  async discard(offset: number, length: number): Promise<void> {
    this.#checkWrite(offset, length);
    // Version 2 cannot say that a cluster hides the backing file.
    if (this.#header.version < 3 && this.#backing !== undefined) return;
    const { start, end } = this.#wholeClusters(offset, length);
    await this.#lock.exclusive(() => this.#clear(start, end));
  }

  /** See `BlockBackend.writeZeroes`. */
  async writeZeroes(offset: number, length: number): Promise<void> {
    this.#checkWrite(offset, length);
    const last = offset + length;
    let { start, end } = this.#wholeClusters(offset, length);
    if (this.#header.version < 3 && this.#backing !== undefined) end = start;
    if (start >= end) start = end = last;
    await this.#lock.exclusive(async () => {
      await this.#writeZeroBytes(offset, Math.min(start, last));
      await this.#clear(start, end);
      await this.#writeZeroBytes(Math.min(end, last), last);
    });
  }

  /** See `BlockBackend.flush`. */
  async flush(): Promise<void> {
    if (this.readOnly) return;
    await this.#lock.exclusive(() => this.#flush());
  }

  /** The snapshots in the image. */
  get snapshots(): readonly Qcow2Snapshot[] {
    return this.#snapshots;
  }

  /** See `BlockBackend.machineSnapshots`. */
  get machineSnapshots(): BlockSnapshots {
    return this.readOnly
      ? fixedImage(this.size, this.#store, qcow2Past(this))
      : qcow2Snapshots(this);
  }

  /** Keep the disk as it is; gives back the new snapshot's id. */
  async createSnapshot(label: SnapshotLabel): Promise<string> {
    const { createSnapshot } = await import("./qcow2_snapshot_changes.ts");
    return await this.#changeTables((parts) => createSnapshot(parts, label));
  }

  /** Make the disk what it was at a snapshot; what it is now is lost. */
  async applySnapshot(id: string): Promise<void> {
    const changes = await import("./qcow2_snapshot_changes.ts");
    await this.#changeTables((parts) => changes.applySnapshot(parts, id));
    await this.maintain(changes.refreshFlags);
  }

  /**
   * The disk as it was at a snapshot, of an image that is only read and stays
   * open for as long. Rejects with a `BlockError`.
   */
  openSnapshot(id: string): Promise<Qcow2Block> {
    return Qcow2Block.open(this.#store, {
      readOnly: true,
      backing: this.#backing,
      snapshot: id,
      isBorrowed: true,
    });
  }

  /** Give up a snapshot. */
  async deleteSnapshot(id: string): Promise<void> {
    const changes = await import("./qcow2_snapshot_changes.ts");
    await this.#changeTables((parts) => changes.deleteSnapshot(parts, id));
    await this.maintain(changes.refreshFlags);
  }

  /** Do what changes the tables in the file, and read them anew. */
  async #changeTables<T>(
    action: (parts: Qcow2Parts) => Promise<T>,
  ): Promise<T> {
    this.#checkWrite(0, 0);
    return await this.maintain(async (parts) => {
      try {
        return await action(parts);
      } finally {
        await this.#readTables();
      }
    });
  }

  async #readTables(): Promise<void> {
    const store = this.#store;
    try {
      const header = await readHeader(store);
      this.#snapshots = (await readSnapshots(store, header)).snapshots;
      this.#refcounts = await Refcounts.open(store, header);
      this.#tables = await Tables.open(store, header, this.#refcounts);
      this.#header = header;
    } catch (error) {
      // What is in memory must not be written over what is in the file.
      this.#stale = error;
      throw error;
    }
    const { size } = this;
    const { backing } = this;
    this.#reader = new ClusterReader(
      store,
      this.#header,
      this.#tables,
      size,
      backing,
    );
  }

  /** What lies behind the image. */
  get backing(): BlockBackend | undefined {
    return this.#backing;
  }

  /** Do something to the image's parts, alone. */
  maintain<T>(action: (parts: Qcow2Parts) => Promise<T>): Promise<T> {
    return this.#lock.exclusive(() =>
      action({
        store: this.#store,
        header: this.#header,
        refcounts: this.#refcounts,
        tables: this.#tables,
        reader: this.#reader,
        size: this.size,
        flushIfCrowded: () => this.#flushIfCrowded(),
        flush: () => this.#flush(),
      })
    );
  }

  /** Flush, and close the store and the backing image. */
  async close(): Promise<void> {
    if (this.#isBorrowed) return;
    try {
      await this.flush();
      // What the first flush has given up is counted down in the file now.
      await this.flush();
    } finally {
      try {
        await this.#store.close();
      } finally {
        await this.#backing?.close();
      }
    }
  }

  #checkWrite(offset: number, length: number): void {
    if (this.readOnly) {
      throw new BlockError("read-only", "Cannot write: the image is read-only");
    }
    if (this.#stale !== undefined) throw this.#stale;
    checkRange(offset, length, this.size);
  }

  /** The whole clusters in a range; the disk's last one may end with it. */
  #wholeClusters(
    offset: number,
    length: number,
  ): { start: number; end: number } {
    const { clusterSize } = this.#header;
    const last = offset + length;
    const end = last === this.size ? Math.ceil(last / clusterSize) : Math.floor(
      last / clusterSize,
    );
    return {
      start: Math.ceil(offset / clusterSize) * clusterSize,
      end: end * clusterSize,
    };
  }

  /** Data, refcounts, L2, L1, and then the counts that go down. */
  async #flush(): Promise<void> {
    if (this.#stale !== undefined) return;
    await this.#refcounts.write();
    if (this.#tables.changed > 0) {
      await this.#store.sync();
      await this.#tables.write();
    }
    await this.#store.sync();
    await this.#refcounts.applyReleases();
  }

  async #flushIfCrowded(): Promise<void> {
    const many = this.#refcounts.waiting >= MAX_RELEASES;
    if (many || this.#tables.crowded) await this.#flush();
  }

  /** Bits of the subclusters that bytes `from` to `to` of a cluster touch. */
  #touched(from: number, to: number): number {
    const first = Math.floor(from / this.#subSize);
    const last = Math.floor((to - 1) / this.#subSize);
    return (0xffffffff >>> (31 - (last - first))) << first >>> 0;
  }

  /** Throws when a cluster is not one for data. */
  #checkHost(host: number): void {
    if (this.#refcounts.reserved.has(host / this.#header.clusterSize)) {
      damaged(`the cluster of data at ${host} lies on metadata`);
    }
  }

  /** The parts of a range in one cluster each, for one L2 table. */
  *#parts(offset: number, end: number) {
    const { clusterSize } = this.#header;
    while (offset < end) {
      const cluster = Math.floor(offset / clusterSize);
      const within = offset - cluster * clusterSize;
      const length = Math.min(clusterSize - within, end - offset);
      const index = cluster % this.#tables.perTable;
      yield { offset, index, within, length, base: cluster * clusterSize };
      offset += length;
    }
  }

  /** A range cut where another L2 table begins. */
  *#runs(offset: number, end: number) {
    const span = this.#header.clusterSize * this.#tables.perTable;
    while (offset < end) {
      const table = Math.floor(offset / span);
      const next = Math.min(end, (table + 1) * span);
      yield { table, offset, end: next };
      offset = next;
    }
  }

  /** Write where that takes no new cluster; false when it would. */
  async #overwrite(offset: number, bytes: Uint8Array): Promise<boolean> {
    const jobs: Job[] = [];
    for (const run of this.#runs(offset, offset + bytes.length)) {
      const table = await this.#tables.get(run.table);
      if (table === undefined) return false;
      for (const part of this.#parts(run.offset, run.end)) {
        const mapping = table.get(part.index);
        const touched = this.#touched(part.within, part.within + part.length);
        if (!mapping.copied || (touched & ~mapping.alloc) !== 0) return false;
        this.#checkHost(mapping.host);
        if (mapping.host >= this.#store.size) {
          damaged(`a cluster of data at ${mapping.host} is not in the file`);
        }
        const at = part.offset - offset;
        addJob(jobs, {
          host: mapping.host + part.within,
          bytes: bytes.subarray(at, at + part.length),
        });
      }
    }
    await this.#run(jobs);
    return true;
  }

  async #run(jobs: readonly Job[]): Promise<void> {
    // All must be over before a cluster may be given up, even if one fails.
    const results = await Promise.allSettled(
      jobs.map(({ host, bytes }) => this.#store.write(host, bytes)),
    );
    for (const result of results) {
      if (result.status === "rejected") throw result.reason;
    }
  }

  async #allocatingWrite(offset: number, bytes: Uint8Array): Promise<void> {
    for (const run of this.#runs(offset, offset + bytes.length)) {
      const part = bytes.subarray(run.offset - offset, run.end - offset);
      await this.#writeRun(run.table, run.offset, part);
      await this.#flushIfCrowded();
    }
  }

  /** Write within one L2 table: all data first, then the entries. */
  async #writeRun(
    index: number,
    offset: number,
    bytes: Uint8Array,
  ): Promise<void> {
    const table = await this.#tables.writable(index);
    const jobs: Job[] = [];
    const fresh: number[] = [];
    const changes: { index: number; gone: number[]; mapping: Mapping }[] = [];
    try {
      for (const part of this.#parts(offset, offset + bytes.length)) {
        const old = table.get(part.index);
        const touched = this.#touched(part.within, part.within + part.length);
        const own = old.copied;
        const host = own
          ? await this.#ownCluster(old, touched)
          : await this.#newCluster(fresh);
        const kept = own
          ? 0
          : old.compressed !== undefined
          ? this.#full
          : old.alloc;
        const at = part.offset - offset;
        await this.#fill(jobs, part.base, host, touched | kept, old, {
          within: part.within,
          bytes: bytes.subarray(at, at + part.length),
        });
        const mapping = {
          host,
          copied: true,
          alloc: (touched | kept | (own ? old.alloc : 0)) >>> 0,
          zero: (old.zero & ~touched) >>> 0,
        };
        const gone = own ? [] : this.#clustersOf(old);
        changes.push({ index: part.index, gone, mapping });
      }
      await this.#run(jobs);
    } catch (error) {
      for (const cluster of fresh) this.#refcounts.release(cluster);
      throw error;
    }
    for (const { index, gone, mapping } of changes) {
      table.set(index, mapping);
      for (const cluster of gone) this.#refcounts.release(cluster);
    }
  }

  async #ownCluster({ host, alloc }: Mapping, touched: number) {
    this.#checkHost(host);
    const { clusterSize } = this.#header;
    if ((touched & ~alloc) !== 0) {
      // It may lie behind the file's end: then only its count vouches for it.
      if (await this.#refcounts.get(host / clusterSize) !== 1) {
        damaged(`the refcount of the cluster at ${host} is not 1`);
      }
    }
    return host;
  }

  async #newCluster(fresh: number[]): Promise<number> {
    const cluster = await this.#refcounts.allocate("data");
    fresh.push(cluster);
    return cluster * this.#header.clusterSize;
  }

  /**
   * Jobs that fill the subclusters of `mask` at `host` with what the cluster
   * reads as now, and `piece` over it.
   */
  async #fill(
    jobs: Job[],
    base: number,
    host: number,
    mask: number,
    old: Mapping,
    piece: { within: number; bytes: Uint8Array },
  ): Promise<void> {
    const end = piece.within + piece.bytes.length;
    const blank = old.compressed === undefined && old.alloc === 0 &&
      base >= (this.#backing?.size ?? 0);
    if (blank && host >= this.#store.size) {
      // What a file gains is zero.
      addJob(jobs, { host: host + piece.within, bytes: piece.bytes });
      return;
    }
    const count = this.#header.clusterSize / this.#subSize;
    for (let sub = 0; sub < count; sub++) {
      if ((mask >>> sub & 1) === 0) continue;
      const start = sub * this.#subSize;
      const stop = start + this.#subSize;
      const from = Math.max(start, piece.within);
      const to = Math.min(stop, end);
      const data = piece.bytes.subarray(
        Math.max(0, from - piece.within),
        Math.max(0, to - piece.within),
      );
      if (from === start && to === stop) {
        addJob(jobs, { host: host + start, bytes: data });
        continue;
      }
      // Of an own cluster's allocated subcluster, only the new bytes.
      if (old.host === host && (old.alloc >>> sub & 1) !== 0) {
        addJob(jobs, { host: host + from, bytes: data });
        continue;
      }
      const whole = new Uint8Array(this.#subSize);
      await this.#reader.read(base + start, whole);
      if (to > from) whole.set(data, from - start);
      addJob(jobs, { host: host + start, bytes: whole });
    }
  }

  /** The clusters that a mapping uses, none of them metadata. */
  #clustersOf({ compressed, host }: Mapping): number[] {
    const { clusterSize } = this.#header;
    const offset = compressed?.offset ?? host;
    if (offset === 0) return [];
    const clusters: number[] = [];
    const end = offset + (compressed?.length ?? clusterSize);
    let cluster = Math.floor(offset / clusterSize);
    for (; cluster * clusterSize < end; cluster++) {
      this.#checkHost(cluster * clusterSize);
      clusters.push(cluster);
    }
    return clusters;
  }

  async #writeZeroBytes(from: number, to: number): Promise<void> {
    for (const run of this.#runs(from, to)) {
      for (const part of this.#parts(run.offset, run.end)) {
        const zeroes = new Uint8Array(part.length);
        await this.#allocatingWrite(part.offset, zeroes);
      }
    }
  }

  /** Make whole clusters read as zero, and give up what they have. */
  async #clear(start: number, end: number): Promise<void> {
    const shown = this.#backing?.size ?? 0;
    for (const run of this.#runs(start, end)) {
      const found = await this.#tables.get(run.table);
      if (found === undefined && run.offset >= shown) continue;
      const table = await this.#tables.writable(run.table);
      for (const part of this.#parts(run.offset, run.end)) {
        const gone = this.#clustersOf(table.get(part.index));
        // Set only where the backing file would show.
        const zero = part.base < shown ? this.#full : 0;
        table.set(part.index, { ...UNALLOCATED, zero });
        for (const cluster of gone) this.#refcounts.release(cluster);
      }
      await this.#flushIfCrowded();
    }
  }
}

/** Add a job, joined with the one before where they meet on both sides. */
function addJob(jobs: Job[], job: Job): void {
  const last = jobs.at(-1);
  if (
    last !== undefined && last.host + last.bytes.length === job.host &&
    last.bytes.buffer === job.bytes.buffer &&
    last.bytes.byteOffset + last.bytes.length === job.bytes.byteOffset
  ) {
    const { buffer, byteOffset, length } = last.bytes;
    jobs[jobs.length - 1] = {
      host: last.host,
      bytes: new Uint8Array(buffer, byteOffset, length + job.bytes.length),
    };
  } else jobs.push(job);
}
