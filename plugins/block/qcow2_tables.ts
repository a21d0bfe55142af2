/**
 * L1 and L2 tables: where guest clusters are in a qcow2 image (QEMU,
 * docs/interop/qcow2.txt, "Cluster mapping" and "Extended L2 Entries").
 *
 * A cluster has 32 subclusters in an image with extended entries and is its
 * own only subcluster otherwise: the same code serves both.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import type { ByteStore } from "./byte_store.ts";
import { entriesPerTable, type Qcow2Header } from "./qcow2_header.ts";
import type { Refcounts } from "./qcow2_refcounts.ts";

/** L2 tables kept in memory: so many bytes, but at least so many tables. */
const CACHE_BYTES = 4 << 20;
const MIN_CACHED = 4;
/** The low bits of an entry that are no offset, and its high reserved ones. */
const LOW_RESERVED = 0x1fe;
const HIGH_RESERVED = 0x3f000000;
const COPIED = 0x80000000;
const COMPRESSED = 0x40000000;
const ZERO = 1;

/** Where a compressed cluster's bytes are. */
export interface CompressedBytes {
  /** Offset in the file. */
  readonly offset: number;
  /** How many bytes at most. */
  readonly length: number;
}

/** What an L2 entry says of a cluster. */
export interface Mapping {
  /** Its bytes when it is compressed; the rest is 0 and false then. */
  readonly compressed?: CompressedBytes;
  /** Its offset in the file, 0 for none. */
  readonly host: number;
  /** Nothing else uses it: it may be written to. */
  readonly copied: boolean;
  /** Subclusters with data in the file, from bit 0. */
  readonly alloc: number;
  /** Subclusters that read as zero. */
  readonly zero: number;
}

/** A cluster of which nothing is known: the backing file shows. */
export const UNALLOCATED: Mapping = {
  host: 0,
  copied: false,
  alloc: 0,
  zero: 0,
};

/** Throws the error of a damaged table. */
export function damaged(message: string): never {
  throw new BlockError("corrupt", `Damaged qcow2 image: ${message}`);
}

/** An L2 table in memory. */
export class L2Table {
  /** Its offset in the file. */
  offset: number;
  /** Its bytes. */
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #header: Qcow2Header;

  /** A table at an offset; all zero unless it is read. */
  constructor(header: Qcow2Header, offset: number) {
    this.#header = header;
    this.offset = offset;
    this.bytes = new Uint8Array(header.clusterSize);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** The mapping at `index`. Throws a `BlockError` for an impossible one. */
  get(index: number): Mapping {
    const { extendedL2, version, clusterSize } = this.#header;
    const at = index * (extendedL2 ? 16 : 8);
    const high = this.#view.getUint32(at);
    const low = this.#view.getUint32(at + 4);
    if ((high & COMPRESSED) !== 0) return this.#compressed(high, low);
    const host = (high & 0xffffff) * 2 ** 32 + ((low & ~0x1ff) >>> 0);
    if (
      host % clusterSize !== 0 || !Number.isSafeInteger(host) ||
      (low & LOW_RESERVED) !== 0 || (high & HIGH_RESERVED) !== 0
    ) damaged(`L2 entry ${index} at ${this.offset} is impossible`);
    const copied = (high & COPIED) !== 0;
    if (copied && host === 0) damaged(`a cluster at 0 in use`);
    if (!extendedL2) {
      const zero = low & ZERO;
      if (zero !== 0 && version < 3) damaged("a zero cluster in version 2");
      return { host, copied, zero, alloc: host !== 0 && zero === 0 ? 1 : 0 };
    }
    const zero = this.#view.getUint32(at + 8);
    const alloc = this.#view.getUint32(at + 12);
    if (
      (zero & alloc) !== 0 || (low & ZERO) !== 0 || (host === 0 && alloc !== 0)
    ) damaged(`L2 entry ${index} at ${this.offset} is impossible`);
    return { host, copied, zero, alloc };
  }

  /** Change the mapping at `index` to one that is not compressed. */
  set(index: number, { host, copied, zero, alloc }: Mapping): void {
    const { extendedL2 } = this.#header;
    const at = index * (extendedL2 ? 16 : 8);
    const flags = copied && host !== 0 ? 2 ** 31 : 0;
    this.#view.setUint32(at, Math.floor(host / 2 ** 32) + flags);
    this.#view.setUint32(at + 4, host % 2 ** 32 + (extendedL2 ? 0 : zero));
    if (extendedL2) {
      this.#view.setUint32(at + 8, zero);
      this.#view.setUint32(at + 12, alloc);
    }
  }

  /** Change the flag that nothing else uses the cluster at `index`. */
  setCopied(index: number, copied: boolean): void {
    const at = index * (this.#header.extendedL2 ? 16 : 8);
    const high = this.#view.getUint32(at) & ~COPIED;
    this.#view.setUint32(at, copied ? high | COPIED : high);
  }

  /** Make the cluster at `index` a compressed one. */
  setCompressed(index: number, offset: number, length: number): void {
    const { clusterBits, extendedL2 } = this.#header;
    const shift = BigInt(62 - (clusterBits - 8));
    // Sectors beyond the first that its bytes touch.
    const sectors = Math.floor((offset + length - 1) / 512) -
      Math.floor(offset / 512);
    const at = index * (extendedL2 ? 16 : 8);
    this.#view.setBigUint64(
      at,
      1n << 62n | BigInt(sectors) << shift | BigInt(offset),
    );
    if (extendedL2) this.#view.setBigUint64(at + 8, 0n);
  }

  #compressed(high: number, low: number): Mapping {
    const value = BigInt(high & 0x3fffffff) << 32n | BigInt(low);
    const shift = BigInt(62 - (this.#header.clusterBits - 8));
    const offset = Number(value & ((1n << shift) - 1n));
    if (!Number.isSafeInteger(offset) || (high & COPIED) !== 0) {
      damaged("an impossible compressed cluster");
    }
    const sectors = Number(value >> shift) + 1;
    const length = sectors * 512 - offset % 512;
    return { ...UNALLOCATED, compressed: { offset, length } };
  }
}

/** The active L1 table and a cache of its L2 tables. */
export class Tables {
  /** Entries of an L2 table. */
  readonly perTable: number;
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #refcounts: Refcounts;
  readonly #l1: DataView;
  /** Sectors of the L1 table that the file has otherwise. */
  readonly #dirtyL1 = new Set<number>();
  readonly #cache = new Map<number, Promise<L2Table>>();
  readonly #changed = new Map<number, L2Table>();
  readonly #cached: number;

  private constructor(
    store: ByteStore,
    header: Qcow2Header,
    refcounts: Refcounts,
    l1: DataView,
  ) {
    this.#store = store;
    this.#header = header;
    this.#refcounts = refcounts;
    this.#l1 = l1;
    this.perTable = entriesPerTable(header);
    this.#cached = Math.max(MIN_CACHED, CACHE_BYTES / header.clusterSize);
    const { clusterSize } = header;
    const clusters = Math.ceil(l1.byteLength / clusterSize);
    for (let i = 0; i < clusters; i++) {
      refcounts.reserved.add(header.l1Offset / clusterSize + i);
    }
    for (let i = 0; i < header.l1Size; i++) {
      const offset = this.#offset(i);
      if (offset === 0) continue;
      if (refcounts.reserved.has(offset / clusterSize)) {
        damaged(`the L2 table ${i} at ${offset} lies on other metadata`);
      }
      refcounts.reserved.add(offset / clusterSize);
    }
  }

  /** Read the L1 table. Throws a `BlockError`. */
  static async open(
    store: ByteStore,
    header: Qcow2Header,
    refcounts: Refcounts,
  ): Promise<Tables> {
    const bytes = new Uint8Array(header.l1Size * 8);
    await store.read(header.l1Offset, bytes);
    return new Tables(store, header, refcounts, new DataView(bytes.buffer));
  }

  /** The L1 table's bytes. */
  get l1Bytes(): Uint8Array {
    return new Uint8Array(this.#l1.buffer);
  }

  /** How many L2 tables the file has otherwise. */
  get changed(): number {
    return this.#changed.size;
  }

  /** Whether so many have changed that they should be written. */
  get crowded(): boolean {
    return this.#changed.size * 2 >= this.#cached;
  }

  /** The L2 table `index`, if there is one. */
  async get(index: number): Promise<L2Table | undefined> {
    const changed = this.#changed.get(index);
    if (changed !== undefined) return changed;
    const offset = this.#offset(index);
    if (offset === 0) return undefined;
    let table = this.#cache.get(index);
    if (table === undefined) {
      table = this.#read(offset);
      if (this.#cache.size >= this.#cached) {
        this.#cache.delete(this.#cache.keys().next().value!);
      }
    } else this.#cache.delete(index);
    this.#cache.set(index, table);
    try {
      return await table;
    } catch (error) {
      this.#cache.delete(index);
      throw error;
    }
  }

  /**
   * The L2 table `index` to be changed: a new one where there is none, a copy
   * where a snapshot uses it too. Wants the image for itself.
   */
  async writable(index: number): Promise<L2Table> {
    let table = await this.get(index);
    if (table === undefined || !this.#isCopied(index)) {
      const cluster = await this.#refcounts.allocate("metadata");
      const offset = cluster * this.#header.clusterSize;
      const copy = new L2Table(this.#header, offset);
      if (table !== undefined) {
        copy.bytes.set(table.bytes);
        this.#refcounts.release(table.offset / this.#header.clusterSize);
      }
      table = copy;
      this.#l1.setBigUint64(index * 8, BigInt(offset) | 1n << 63n);
      this.#dirtyL1.add(Math.floor(index / 64));
    }
    this.#cache.delete(index);
    this.#changed.set(index, table);
    return table;
  }

  /** The flag that nothing else uses the L2 table `index`. */
  setCopied(index: number, copied: boolean): void {
    const value = this.#l1.getBigUint64(index * 8) & ~(1n << 63n);
    this.#l1.setBigUint64(index * 8, copied ? value | 1n << 63n : value);
    this.#dirtyL1.add(Math.floor(index / 64));
  }

  /** Write the changed L2 tables, and then what names them. */
  async write(): Promise<void> {
    for (const [index, table] of this.#changed) {
      await this.#store.write(table.offset, table.bytes);
      this.#changed.delete(index);
      this.#cache.set(index, Promise.resolve(table));
    }
    while (this.#cache.size > this.#cached) {
      this.#cache.delete(this.#cache.keys().next().value!);
    }
    if (this.#dirtyL1.size === 0) return;
    await this.#store.sync();
    const bytes = new Uint8Array(this.#l1.buffer);
    for (const sector of this.#dirtyL1) {
      const part = bytes.subarray(sector * 512, sector * 512 + 512);
      await this.#store.write(this.#header.l1Offset + sector * 512, part);
      this.#dirtyL1.delete(sector);
    }
  }

  async #read(offset: number): Promise<L2Table> {
    if (offset >= this.#store.size) damaged(`an L2 table at ${offset}`);
    const table = new L2Table(this.#header, offset);
    await this.#store.read(offset, table.bytes);
    return table;
  }

  #offset(index: number): number {
    const offset = Number(
      this.#l1.getBigUint64(index * 8) & 0x7fffffffffffffffn,
    );
    if (offset % this.#header.clusterSize !== 0 || offset >= 2 ** 53) {
      damaged(`L1 entry ${index} is impossible`);
    }
    return offset;
  }

  #isCopied(index: number): boolean {
    return this.#l1.getUint8(index * 8) >= 0x80;
  }
}
