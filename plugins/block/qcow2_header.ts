/**
 * The header of a qcow2 image (QEMU, docs/interop/qcow2.txt, "Header" and
 * "Header extensions").
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import type { ByteStore } from "./byte_store.ts";

/** "QFI" and 0xfb. */
const MAGIC = 0x514649fb;
const V2_BYTES = 72;
const V3_BYTES = 104;
/** Where version 3 keeps its incompatible, compatible, auto-clear features. */
const INCOMPATIBLE_OFFSET = 72;
const COMPATIBLE_OFFSET = 80;
const AUTOCLEAR_OFFSET = 88;
/** Incompatible features, in the low word; none is known in the high one. */
const DIRTY = 1;
const CORRUPT = 2;
const DATA_FILE = 4;
const COMPRESSION = 8;
const EXTENDED_L2 = 16;
/** A compatible feature. */
const LAZY = 1;
const KNOWN = DIRTY | CORRUPT | DATA_FILE | COMPRESSION | EXTENDED_L2;
const EXTENSION_BACKING_FORMAT = 0xe2792aca;
const EXTENSION_BITMAPS = 0x23852875;
/** QEMU's limits; without them a header could ask for any amount of memory. */
const MIN_CLUSTER_BITS = 9;
const MIN_EXTENDED_CLUSTER_BITS = 14;
const MAX_CLUSTER_BITS = 21;
/** The most bytes of an L1 table. */
export const MAX_L1_BYTES = 32 << 20;
/** The most bytes of a refcount table. */
export const MAX_REFCOUNT_TABLE_BYTES = 8 << 20;
const MAX_BACKING_NAME = 1023;
const MAX_SNAPSHOTS = 65536;

/** What the header says; offsets and sizes are bytes of the file. */
export interface Qcow2Header {
  /** 2 or 3. */
  readonly version: number;
  /** The cluster size is 2 to the power of this. */
  readonly clusterBits: number;
  /** Bytes of a cluster. */
  readonly clusterSize: number;
  /** Bytes of the virtual disk. */
  readonly size: number;
  /** Entries of the active L1 table. */
  readonly l1Size: number;
  /** Where the active L1 table is. */
  readonly l1Offset: number;
  /** Where the refcount table is. */
  readonly refcountTableOffset: number;
  /** Clusters of the refcount table. */
  readonly refcountTableClusters: number;
  /** The width of a refcount is 2 to the power of this, in bits. */
  readonly refcountOrder: number;
  /** How many snapshots there are. */
  readonly snapshotCount: number;
  /** Where their table is. */
  readonly snapshotsOffset: number;
  /** Refcounts may be wrong: they are repaired before a write. */
  readonly dirty: boolean;
  /** Anything may be wrong: there are no writes. */
  readonly corrupt: boolean;
  /** Refcounts may be left behind until the image is closed. */
  readonly lazyRefcounts: boolean;
  /** L2 entries have 128 bits, and clusters 32 subclusters. */
  readonly extendedL2: boolean;
  /** How compressed clusters are compressed. */
  readonly compression: "zlib" | "zstd";
  /** The image has bitmaps, which own clusters. */
  readonly bitmaps: boolean;
  /** Auto-clear features are set. */
  readonly autoclear: boolean;
  /** The backing file's name as it stands there. */
  readonly backingFile: string | undefined;
  /** Its format, as `raw`. */
  readonly backingFormat: string | undefined;
}

function corrupt(message: string): never {
  throw new BlockError("corrupt", `Damaged qcow2 header: ${message}`);
}

function unsupported(message: string): never {
  throw new BlockError("unsupported", `Cannot open qcow2 image: ${message}`);
}

/** Whether a file begins as a qcow2 image does. */
export async function isQcow2(store: ByteStore): Promise<boolean> {
  const bytes = new Uint8Array(4);
  await store.read(0, bytes);
  return new DataView(bytes.buffer).getUint32(0) === MAGIC;
}

/** A 64-bit number that must be exact. */
function number64(view: DataView, offset: number, name: string): number {
  const value = Number(view.getBigUint64(offset));
  if (!Number.isSafeInteger(value)) corrupt(`${name} is ${value}`);
  return value;
}

/** Read and check the header. Throws a `BlockError`. */
export async function readHeader(store: ByteStore): Promise<Qcow2Header> {
  const fixed = new DataView(new ArrayBuffer(112));
  await store.read(0, new Uint8Array(fixed.buffer));
  if (fixed.getUint32(0) !== MAGIC) corrupt("it is no qcow2 image");
  const version = fixed.getUint32(4);
  if (version !== 2 && version !== 3) {
    unsupported(`version is ${version}, expected 2 or 3`);
  }
  const clusterBits = fixed.getUint32(20);
  if (clusterBits < MIN_CLUSTER_BITS || clusterBits > MAX_CLUSTER_BITS) {
    corrupt(`cluster_bits is ${clusterBits}, expected 9 to 21`);
  }
  const clusterSize = 2 ** clusterBits;
  const first = new Uint8Array(clusterSize);
  await store.read(0, first);
  const features = parseFeatures(fixed, version, clusterBits);
  const extensions = parseExtensions(first, features.headerLength);
  if (fixed.getUint32(32) !== 0) unsupported("it is encrypted");
  const header: Qcow2Header = {
    version,
    clusterBits,
    clusterSize,
    size: number64(fixed, 24, "size"),
    l1Size: fixed.getUint32(36),
    l1Offset: number64(fixed, 40, "l1_table_offset"),
    refcountTableOffset: number64(fixed, 48, "refcount_table_offset"),
    refcountTableClusters: fixed.getUint32(56),
    snapshotCount: fixed.getUint32(60),
    snapshotsOffset: number64(fixed, 64, "snapshots_offset"),
    refcountOrder: features.refcountOrder,
    dirty: features.dirty,
    corrupt: features.corrupt,
    lazyRefcounts: features.lazyRefcounts,
    extendedL2: features.extendedL2,
    compression: features.compression,
    autoclear: features.autoclear,
    ...extensions,
    backingFile: parseBackingFile(fixed, first),
  };
  checkTables(header, store.size);
  return header;
}

function parseFeatures(view: DataView, version: number, clusterBits: number) {
  if (version === 2) {
    return {
      dirty: false,
      corrupt: false,
      lazyRefcounts: false,
      extendedL2: false,
      autoclear: false,
      compression: "zlib" as const,
      refcountOrder: 4,
      headerLength: V2_BYTES,
    };
  }
  const incompatible = view.getUint32(INCOMPATIBLE_OFFSET + 4);
  const unknown = (incompatible & ~KNOWN) >>> 0;
  if (unknown !== 0 || view.getUint32(INCOMPATIBLE_OFFSET) !== 0) {
    unsupported(
      `it has incompatible features that are not known (0x${
        view.getBigUint64(INCOMPATIBLE_OFFSET).toString(16)
      })`,
    );
  }
  if ((incompatible & DATA_FILE) !== 0) {
    unsupported("its data are in an external file");
  }
  const extendedL2 = (incompatible & EXTENDED_L2) !== 0;
  if (extendedL2 && clusterBits < MIN_EXTENDED_CLUSTER_BITS) {
    corrupt(`extended L2 entries with cluster_bits ${clusterBits}`);
  }
  const refcountOrder = view.getUint32(96);
  if (refcountOrder > 6) corrupt(`refcount_order is ${refcountOrder}`);
  const headerLength = view.getUint32(100);
  if (
    headerLength < V3_BYTES || headerLength % 8 !== 0 ||
    headerLength > 2 ** clusterBits
  ) corrupt(`header_length is ${headerLength}`);
  const type = headerLength > V3_BYTES ? view.getUint8(104) : 0;
  if (type > 1) unsupported(`its compression_type is ${type}`);
  if ((type !== 0) !== ((incompatible & COMPRESSION) !== 0)) {
    corrupt("compression_type and its feature bit differ");
  }
  return {
    dirty: (incompatible & DIRTY) !== 0,
    corrupt: (incompatible & CORRUPT) !== 0,
    lazyRefcounts: (view.getUint32(COMPATIBLE_OFFSET + 4) & LAZY) !== 0,
    extendedL2,
    autoclear: view.getBigUint64(AUTOCLEAR_OFFSET) !== 0n,
    compression: type === 1 ? "zstd" as const : "zlib" as const,
    refcountOrder,
    headerLength,
  };
}

function parseExtensions(first: Uint8Array, start: number) {
  const view = new DataView(first.buffer);
  let backingFormat: string | undefined;
  let bitmaps = false;
  // A backing file's name may follow at once: without an end there is none.
  for (let at = start; at + 8 <= first.length;) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === 0) break;
    if (length > first.length - at - 8) {
      corrupt(`a header extension at ${at} has ${length} bytes`);
    }
    if (type === EXTENSION_BACKING_FORMAT) {
      backingFormat = new TextDecoder().decode(
        first.subarray(at + 8, at + 8 + length),
      );
    } else if (type === EXTENSION_BITMAPS) bitmaps = true;
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return { backingFormat, bitmaps };
}

function parseBackingFile(
  view: DataView,
  first: Uint8Array,
): string | undefined {
  const offset = number64(view, 8, "backing_file_offset");
  if (offset === 0) return undefined;
  const length = view.getUint32(16);
  if (length > MAX_BACKING_NAME || offset + length > first.length) {
    corrupt(`the backing file's name has ${length} bytes at ${offset}`);
  }
  if (length === 0) return undefined;
  return new TextDecoder().decode(first.subarray(offset, offset + length));
}

/** Check that the tables the header names can be where it says. */
function checkTables(header: Qcow2Header, fileSize: number): void {
  const { clusterSize } = header;
  const place = (name: string, offset: number, length: number): void => {
    if (offset % clusterSize !== 0 || offset + length > fileSize) {
      corrupt(`${name} has ${length} bytes at ${offset}`);
    }
    if (offset === 0) corrupt(`${name} lies on the header`);
  };
  const l1Bytes = header.l1Size * 8;
  if (l1Bytes > MAX_L1_BYTES) corrupt(`l1_size is ${header.l1Size}`);
  const perTable = entriesPerTable(header);
  if (header.l1Size < Math.ceil(header.size / clusterSize / perTable)) {
    corrupt(`l1_size is ${header.l1Size}, too small for ${header.size} bytes`);
  }
  if (l1Bytes > 0) place("the L1 table", header.l1Offset, l1Bytes);
  const clusters = header.refcountTableClusters;
  if (clusters === 0 || clusters * clusterSize > MAX_REFCOUNT_TABLE_BYTES) {
    corrupt(`refcount_table_clusters is ${clusters}`);
  }
  // Whether it is all there is known when it is read.
  const { refcountTableOffset: table } = header;
  if (table % clusterSize !== 0 || table === 0) {
    corrupt(`the refcount table is at ${table}`);
  }
  if (header.snapshotCount > MAX_SNAPSHOTS) {
    corrupt(`nb_snapshots is ${header.snapshotCount}`);
  }
  // Where it ends is known when it is read.
  if (header.snapshotCount > 0 && header.snapshotsOffset % clusterSize !== 0) {
    corrupt(`the snapshot table is at ${header.snapshotsOffset}`);
  }
}

/** Entries of an L2 table. */
export function entriesPerTable(header: Qcow2Header): number {
  return header.clusterSize / (header.extendedL2 ? 16 : 8);
}

/** Clear the auto-clear features, before the first write. */
export async function clearAutoclear(store: ByteStore): Promise<void> {
  await store.write(AUTOCLEAR_OFFSET, new Uint8Array(8));
  await store.sync();
}

/** Clear the dirty bit, after a repair. */
export function clearDirty(store: ByteStore): Promise<void> {
  return clearIncompatible(store, DIRTY);
}

/** Clear the corrupt bit, when nothing is wrong any more. */
export function clearCorrupt(store: ByteStore): Promise<void> {
  return clearIncompatible(store, CORRUPT);
}

async function clearIncompatible(
  store: ByteStore,
  feature: number,
): Promise<void> {
  const byte = new Uint8Array(1);
  const at = INCOMPATIBLE_OFFSET + 7;
  await store.read(at, byte);
  byte[0] &= ~feature;
  await store.write(at, byte);
  await store.sync();
}

/** Make the header name another refcount table. */
export async function writeRefcountTable(
  store: ByteStore,
  offset: number,
  clusters: number,
): Promise<void> {
  const view = new DataView(new ArrayBuffer(12));
  view.setBigUint64(0, BigInt(offset));
  view.setUint32(8, clusters);
  await store.write(48, new Uint8Array(view.buffer));
  await store.sync();
}

/** Make the header name another L1 table. */
export async function writeL1Table(
  store: ByteStore,
  offset: number,
  entries: number,
): Promise<void> {
  const view = new DataView(new ArrayBuffer(12));
  view.setUint32(0, entries);
  view.setBigUint64(4, BigInt(offset));
  await store.write(36, new Uint8Array(view.buffer));
  await store.sync();
}

/** Make the header name another snapshot table. */
export async function writeSnapshotTable(
  store: ByteStore,
  offset: number,
  count: number,
): Promise<void> {
  const view = new DataView(new ArrayBuffer(12));
  view.setUint32(0, count);
  view.setBigUint64(4, BigInt(offset));
  await store.write(60, new Uint8Array(view.buffer));
  await store.sync();
}

/** Change the disk's size in the header. */
export async function writeSize(
  store: ByteStore,
  size: number,
): Promise<void> {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(size));
  await store.write(24, new Uint8Array(view.buffer));
  await store.sync();
}

/** What a new image's header says. */
export interface HeaderFields {
  /** 2 or 3. */
  readonly version: number;
  /** The cluster size is 2 to the power of this. */
  readonly clusterBits: number;
  /** Bytes of the disk. */
  readonly size: number;
  /** Where the L1 table is, and its entries. */
  readonly l1: { readonly offset: number; readonly entries: number };
  /** Where the refcount table is, and its clusters. */
  readonly refcounts: { readonly offset: number; readonly clusters: number };
  /** The width of a refcount is 2 to the power of this, in bits. */
  readonly refcountOrder: number;
  /** Refcounts may be left behind. */
  readonly lazyRefcounts: boolean;
  /** Clusters have subclusters. */
  readonly extendedL2: boolean;
  /** How compressed clusters are compressed. */
  readonly compression: "zlib" | "zstd";
  /** What lies behind it. */
  readonly backing?: { readonly name: string; readonly format: string };
}

/**
 * The bytes of a header with its extensions. Throws a `BlockError` when they do
 * not fit in a cluster.
 */
export function encodeHeader(fields: HeaderFields): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(2 ** fields.clusterBits);
  const view = new DataView(bytes.buffer);
  const { version, backing } = fields;
  const text = new TextEncoder();
  view.setUint32(0, MAGIC);
  view.setUint32(4, version);
  view.setUint32(20, fields.clusterBits);
  view.setBigUint64(24, BigInt(fields.size));
  view.setUint32(36, fields.l1.entries);
  view.setBigUint64(40, BigInt(fields.l1.offset));
  view.setBigUint64(48, BigInt(fields.refcounts.offset));
  view.setUint32(56, fields.refcounts.clusters);
  const zstd = fields.compression === "zstd";
  if (version >= 3) {
    const incompatible = (zstd ? COMPRESSION : 0) |
      (fields.extendedL2 ? EXTENDED_L2 : 0);
    view.setUint32(INCOMPATIBLE_OFFSET + 4, incompatible);
    view.setUint32(COMPATIBLE_OFFSET + 4, fields.lazyRefcounts ? LAZY : 0);
    view.setUint32(96, fields.refcountOrder);
    view.setUint32(100, V3_BYTES + 8);
    view.setUint8(104, zstd ? 1 : 0);
  }
  if (backing === undefined) return bytes;
  let at = version >= 3 ? V3_BYTES + 8 : V2_BYTES;
  const format = text.encode(backing.format);
  const name = text.encode(backing.name);
  const extension = 8 + Math.ceil(format.length / 8) * 8;
  // A type of 0 ends the extensions.
  const nameAt = at + extension + 8;
  if (name.length > MAX_BACKING_NAME || nameAt + name.length > bytes.length) {
    throw new BlockError(
      "unsupported",
      `The backing file's name has ${name.length} bytes, which is too long`,
    );
  }
  view.setUint32(at, EXTENSION_BACKING_FORMAT);
  view.setUint32(at + 4, format.length);
  bytes.set(format, at + 8);
  at = nameAt;
  bytes.set(name, at);
  view.setBigUint64(8, BigInt(at));
  view.setUint32(16, name.length);
  return bytes;
}
