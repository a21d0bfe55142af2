/**
 * Reference counts and the allocation of clusters (QEMU,
 * docs/interop/qcow2.txt, "Host cluster management").
 *
 * Counts that go up may reach the file at any time: a crash then leaks a
 * cluster at worst. A count goes down only in `applyReleases`, when whatever
 * pointed at the cluster has gone from the file, so that a released cluster is
 * never given to another use before that. All methods but the getters want the
 * image for themselves.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import type { ByteStore } from "./byte_store.ts";
import {
  MAX_REFCOUNT_TABLE_BYTES,
  type Qcow2Header,
  writeRefcountTable,
} from "./qcow2_header.ts";

/** Blocks kept in memory: so many bytes, but at least so many blocks. */
const CACHE_BYTES = 2 << 20;
const MIN_CACHED = 4;
/** Clusters must begin below 2 to the 56. */
const MAX_OFFSET = 2 ** 53;

interface RefcountBlock {
  readonly bytes: Uint8Array;
  dirty: boolean;
}

/** The refcounts of an image. */
export class Refcounts {
  /** Clusters of metadata that nothing else may be written to. */
  readonly reserved: Set<number> = new Set();
  /** How many clusters a block covers. */
  readonly perBlock: number;
  readonly #store: ByteStore;
  readonly #clusterSize: number;
  readonly #order: number;
  readonly #cached: number;
  #tableOffset: number;
  /** Offsets of the blocks, 0 where there is none. */
  #table: Float64Array<ArrayBuffer>;
  readonly #dirtyTable = new Set<number>();
  readonly #blocks = new Map<number, RefcountBlock>();
  #releases: number[] = [];
  /** There is no free cluster below. */
  #hint = 0;

  private constructor(
    store: ByteStore,
    header: Qcow2Header,
    table: Float64Array<ArrayBuffer>,
  ) {
    this.#store = store;
    this.#clusterSize = header.clusterSize;
    this.#order = header.refcountOrder;
    this.perBlock = header.clusterSize * 8 / 2 ** header.refcountOrder;
    this.#tableOffset = header.refcountTableOffset;
    this.#table = table;
    this.#cached = Math.max(MIN_CACHED, CACHE_BYTES / header.clusterSize);
    const clusters = header.refcountTableClusters;
    this.#reserve(0, 1);
    this.#reserve(this.#tableOffset / header.clusterSize, clusters);
    for (const offset of table) {
      if (offset === 0) continue;
      // Blocks that are one would be searched again and again.
      if (this.reserved.has(offset / header.clusterSize)) {
        throw new BlockError(
          "corrupt",
          `Damaged qcow2 refcount table: two blocks at ${offset}`,
        );
      }
      this.#reserve(offset / header.clusterSize, 1);
    }
  }

  /** Read the refcount table. Throws a `BlockError`. */
  static async open(
    store: ByteStore,
    header: Qcow2Header,
  ): Promise<Refcounts> {
    const bytes = new Uint8Array(
      header.refcountTableClusters * header.clusterSize,
    );
    const end = header.refcountTableOffset + bytes.length;
    if (end > store.size) {
      throw new BlockError(
        "corrupt",
        `Damaged qcow2 refcount table: it ends at ${end}, behind the file`,
      );
    }
    await store.read(header.refcountTableOffset, bytes);
    const view = new DataView(bytes.buffer);
    const table = new Float64Array(bytes.length / 8);
    for (let i = 0; i < table.length; i++) {
      const offset = Number(view.getBigUint64(i * 8));
      if (offset % header.clusterSize !== 0 || offset >= store.size) {
        throw new BlockError(
          "corrupt",
          `Damaged qcow2 refcount table: entry ${i} is ${offset}`,
        );
      }
      table[i] = offset;
    }
    return new Refcounts(store, header, table);
  }

  /** Releases that wait for `applyReleases`. */
  get waiting(): number {
    return this.#releases.length;
  }

  /** Where the table is, in bytes. */
  get tableOffset(): number {
    return this.#tableOffset;
  }

  /** Offsets of the refcount blocks, 0 where there is none. */
  get table(): Float64Array<ArrayBuffer> {
    return this.#table;
  }

  /** The count of a cluster. */
  async get(cluster: number): Promise<number> {
    const index = Math.floor(cluster / this.perBlock);
    if (!(index < this.#table.length) || this.#table[index] === 0) return 0;
    return this.#value(await this.#block(index), cluster % this.perBlock);
  }

  /** Change the count of a cluster that a block covers. */
  async set(cluster: number, count: number): Promise<void> {
    const block = await this.#block(Math.floor(cluster / this.perBlock));
    this.#setValue(block, cluster % this.perBlock, count);
  }

  /** A free cluster, now with the count 1; metadata is `reserved`. */
  async allocate(use: "data" | "metadata"): Promise<number> {
    for (let cluster = this.#hint;;) {
      const index = Math.floor(cluster / this.perBlock);
      if (cluster * this.#clusterSize >= MAX_OFFSET) this.#full();
      if (index >= this.#table.length) {
        await this.#growTable();
        continue;
      }
      if (this.#table[index] === 0) this.addBlock(index, cluster);
      const block = await this.#block(index);
      let i = cluster % this.perBlock;
      while (i < this.perBlock && this.#value(block, i) !== 0) i++;
      cluster = index * this.perBlock + i;
      if (i === this.perBlock) continue;
      if (this.reserved.has(cluster)) {
        throw new BlockError(
          "corrupt",
          `Damaged qcow2 refcounts: cluster ${cluster} is in use, its count is 0`,
        );
      }
      this.#setValue(block, i, 1);
      if (use === "metadata") this.#reserve(cluster, 1);
      this.#hint = cluster + 1;
      return cluster;
    }
  }

  /**
   * Free clusters that follow each other, for metadata: the first of them.
   * They are behind everything that refcount blocks cover, where nothing can be
   * in use, and the blocks for them behind them.
   */
  async allocateRun(count: number): Promise<number> {
    if (count === 1) return await this.allocate("metadata");
    for (;;) {
      let first = this.#table.length;
      while (first > 0 && this.#table[first - 1] === 0) first--;
      let blocks = 1;
      while (blocks * this.perBlock < count + blocks) blocks++;
      if (first + blocks > this.#table.length) {
        await this.#growTable();
        continue;
      }
      const start = first * this.perBlock;
      if ((start + count) * this.#clusterSize >= MAX_OFFSET) this.#full();
      for (let i = 0; i < blocks; i++) {
        this.addBlock(first + i, start + count + i);
      }
      for (let i = 0; i < count + blocks; i++) await this.set(start + i, 1);
      this.#reserve(start, count);
      return start;
    }
  }

  /** One use less of a cluster, from the next `applyReleases` on. */
  release(cluster: number): void {
    this.reserved.delete(cluster);
    this.#releases.push(cluster);
  }

  /** Count the released clusters down: nothing in the file uses them now. */
  async applyReleases(): Promise<void> {
    const releases = this.#releases;
    this.#releases = [];
    for (const cluster of releases) {
      const count = await this.get(cluster);
      if (count === 0) {
        throw new BlockError(
          "corrupt",
          `Damaged qcow2 refcounts: cluster ${cluster} was in use, its count is 0`,
        );
      }
      await this.set(cluster, count - 1);
      if (count === 1) this.#hint = Math.min(this.#hint, cluster);
    }
  }

  /** Write what has changed: blocks before the table that names them. */
  async write(): Promise<void> {
    for (const [index, block] of this.#blocks) {
      if (block.dirty) await this.#writeBlock(index, block);
    }
    if (this.#dirtyTable.size === 0) return;
    await this.#store.sync();
    const view = new DataView(new ArrayBuffer(8));
    for (const index of this.#dirtyTable) {
      view.setBigUint64(0, BigInt(this.#table[index]));
      await this.#store.write(
        this.#tableOffset + index * 8,
        new Uint8Array(view.buffer),
      );
    }
    this.#dirtyTable.clear();
  }

  /**
   * Put a new block for the table's entry `index` at a free cluster. When that
   * is one of those it covers, it counts itself.
   */
  addBlock(index: number, cluster: number): void {
    if (this.reserved.has(cluster)) {
      throw new BlockError(
        "corrupt",
        `Damaged qcow2 refcounts: cluster ${cluster} is in use and not counted`,
      );
    }
    const block = { bytes: new Uint8Array(this.#clusterSize), dirty: true };
    this.#table[index] = cluster * this.#clusterSize;
    this.#dirtyTable.add(index);
    this.#blocks.set(index, block);
    this.#reserve(cluster, 1);
    if (Math.floor(cluster / this.perBlock) === index) {
      this.#setValue(block, cluster % this.perBlock, 1);
    }
  }

  /** Forget a block that lies on something else, with all its counts. */
  dropBlock(index: number): void {
    this.reserved.delete(this.#table[index] / this.#clusterSize);
    this.#table[index] = 0;
    this.#dirtyTable.add(index);
    this.#blocks.delete(index);
  }

  /**
   * Replace the table by one half as large again, behind all that it covered:
   * nothing can be in use there. It and the blocks that count it are in the
   * file before the header names it.
   */
  async #growTable(): Promise<void> {
    await this.write();
    const start = this.#table.length * this.perBlock;
    const perCluster = this.#clusterSize / 8;
    const old = this.#table;
    let clusters = Math.ceil((old.length * 1.5 + 1) / perCluster);
    let blocks = 0;
    for (;;) {
      const needed = Math.ceil((clusters + blocks) / this.perBlock);
      if (blocks < needed) blocks = needed;
      else if (old.length + blocks > clusters * perCluster) clusters++;
      else break;
    }
    if (clusters * this.#clusterSize > MAX_REFCOUNT_TABLE_BYTES) this.#full();
    this.#table = new Float64Array(clusters * perCluster);
    this.#table.set(old);
    for (let i = 0; i < blocks; i++) {
      this.addBlock(old.length + i, start + clusters + i);
    }
    for (let i = 0; i < clusters + blocks; i++) await this.set(start + i, 1);
    for (const [index, block] of this.#blocks) {
      if (block.dirty) await this.#writeBlock(index, block);
    }
    const bytes = new Uint8Array(clusters * this.#clusterSize);
    const view = new DataView(bytes.buffer);
    this.#table.forEach((offset, i) =>
      view.setBigUint64(i * 8, BigInt(offset))
    );
    const offset = start * this.#clusterSize;
    await this.#store.write(offset, bytes);
    await this.#store.sync();
    await writeRefcountTable(this.#store, offset, clusters);
    this.#dirtyTable.clear();
    this.#reserve(start, clusters);
    const first = this.#tableOffset / this.#clusterSize;
    this.#tableOffset = offset;
    for (let i = 0; i < old.length / perCluster; i++) this.release(first + i);
  }

  async #block(index: number): Promise<RefcountBlock> {
    const found = this.#blocks.get(index);
    if (found !== undefined) {
      this.#blocks.delete(index);
      this.#blocks.set(index, found);
      return found;
    }
    const offset = this.#table[index];
    if (!(offset > 0)) {
      throw new BlockError(
        "corrupt",
        `Damaged qcow2 refcounts: there is no refcount block ${index}`,
      );
    }
    const bytes = new Uint8Array(this.#clusterSize);
    await this.#store.read(offset, bytes);
    const block = { bytes, dirty: false };
    while (this.#blocks.size >= this.#cached) {
      const [oldest, old] = this.#blocks.entries().next().value!;
      if (old.dirty) await this.#writeBlock(oldest, old);
      this.#blocks.delete(oldest);
    }
    this.#blocks.set(index, block);
    return block;
  }

  async #writeBlock(index: number, block: RefcountBlock): Promise<void> {
    await this.#store.write(this.#table[index], block.bytes);
    block.dirty = false;
  }

  #reserve(cluster: number, count: number): void {
    for (let i = 0; i < count; i++) this.reserved.add(cluster + i);
  }

  /** The count at `i` of a block; widths below a byte fill it from below. */
  #value({ bytes }: RefcountBlock, i: number): number {
    if (this.#order < 3) {
      const width = 1 << this.#order;
      const bit = i * width;
      return bytes[bit >> 3] >> (bit & 7) & ((1 << width) - 1);
    }
    let value = 0;
    const width = 1 << this.#order - 3;
    for (let k = 0; k < width; k++) value = value * 256 + bytes[i * width + k];
    return value;
  }

  #setValue(block: RefcountBlock, i: number, count: number): void {
    const { bytes } = block;
    block.dirty = true;
    if (count >= 2 ** (2 ** this.#order) || !Number.isSafeInteger(count)) {
      throw new BlockError(
        "unsupported",
        `A refcount of ${count} does not fit in ${2 ** this.#order} bits`,
      );
    }
    if (this.#order < 3) {
      const width = 1 << this.#order;
      const bit = i * width;
      const mask = (1 << width) - 1 << (bit & 7);
      bytes[bit >> 3] = bytes[bit >> 3] & ~mask | count << (bit & 7);
      return;
    }
    const width = 1 << this.#order - 3;
    for (let k = width - 1; k >= 0; k--) {
      bytes[i * width + k] = count % 256;
      count = Math.floor(count / 256);
    }
  }

  #full(): never {
    throw new BlockError(
      "no-space",
      "The qcow2 image cannot grow: its refcount table is as large as can be",
    );
  }
}
