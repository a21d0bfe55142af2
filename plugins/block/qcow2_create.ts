/**
 * Makes qcow2 images (QEMU, docs/interop/qcow2.txt).
 *
 * ```text
 * header | refcount table | refcount blocks | L1 table
 * ```
 *
 * @module
 */

import { BlockError, SECTOR_BYTES } from "../../core/backend/block.ts";
import {
  type NewImage,
  type Preallocation,
  PREALLOCATIONS,
} from "../../core/backend/image_format.ts";
import type { ConfigSchema } from "../../core/machine/schema_types.ts";
import { type ByteStore, fill } from "./byte_store.ts";
import {
  encodeHeader,
  MAX_L1_BYTES,
  MAX_REFCOUNT_TABLE_BYTES,
} from "./qcow2_header.ts";
import { Qcow2Block } from "./qcow2_image.ts";
import { preallocate } from "./qcow2_maintain.ts";

/** The options, as QEMU names them. */
export const QCOW2_OPTIONS: Readonly<Record<string, ConfigSchema>> = {
  cluster_size: {
    description: "Bytes of a cluster",
    format: "size",
    default: 65536,
  },
  compat: {
    description: "The version",
    type: "string",
    enum: ["0.10", "v2", "1.1", "v3"],
    default: "1.1",
  },
  compression_type: {
    description: "How clusters are compressed",
    type: "string",
    enum: ["zlib", "zstd"],
    default: "zlib",
  },
  extended_l2: { description: "Subclusters", type: "boolean", default: false },
  lazy_refcounts: {
    description: "Leave refcounts behind while in use",
    type: "boolean",
    default: false,
  },
  preallocation: {
    description: "Room from the start",
    type: "string",
    enum: PREALLOCATIONS,
    default: "off",
  },
  refcount_bits: {
    description: "Bits of a refcount",
    type: "integer",
    enum: [1, 2, 4, 8, 16, 32, 64],
    default: 16,
  },
};

interface Qcow2Choices {
  readonly cluster_size: number;
  readonly compat: string;
  readonly compression_type: "zlib" | "zstd";
  readonly extended_l2: boolean;
  readonly lazy_refcounts: boolean;
  readonly preallocation: Preallocation;
  readonly refcount_bits: number;
}

function refuse(message: string): never {
  throw new BlockError("unsupported", `Cannot make a qcow2 image: ${message}`);
}

/** Choices that do not go together. */
function checkChoices(choices: Qcow2Choices, image: NewImage): number {
  const { cluster_size: clusterSize, compat } = choices;
  const clusterBits = Math.log2(clusterSize);
  if (!Number.isInteger(clusterBits) || clusterBits < 9 || clusterBits > 21) {
    refuse(
      `cluster_size is ${clusterSize}, expected a power of two from 512 to 2M`,
    );
  }
  if (choices.extended_l2 && clusterBits < 14) {
    refuse(`extended_l2 wants a cluster_size of 16K at least`);
  }
  if (compat === "0.10" || compat === "v2") {
    const wants = [
      ["extended_l2", choices.extended_l2],
      ["lazy_refcounts", choices.lazy_refcounts],
      ["compression_type=zstd", choices.compression_type === "zstd"],
      ["refcount_bits", choices.refcount_bits !== 16],
    ];
    for (const [name, wanted] of wants) {
      if (wanted) refuse(`${name} wants compat=1.1`);
    }
  }
  if (
    image.backing !== undefined && choices.preallocation !== "off" &&
    !choices.extended_l2
  ) {
    refuse(
      "a backing file and preallocation go together with extended_l2 only",
    );
  }
  return clusterBits;
}

/** Make an image in an empty store. Throws a `BlockError`. */
export async function createQcow2(
  store: ByteStore,
  image: NewImage,
): Promise<void> {
  const choices = image.options as unknown as Qcow2Choices;
  const clusterBits = checkChoices(choices, image);
  const clusterSize = choices.cluster_size;
  const size = Math.ceil(image.size / SECTOR_BYTES) * SECTOR_BYTES;
  const perTable = clusterSize / (choices.extended_l2 ? 16 : 8);
  const entries = Math.ceil(size / clusterSize / perTable);
  if (entries * 8 > MAX_L1_BYTES) {
    refuse(`${size} bytes are too many with a cluster_size of ${clusterSize}`);
  }
  const l1Clusters = Math.ceil(entries * 8 / clusterSize);
  const perBlock = clusterSize * 8 / choices.refcount_bits;
  let tables = 1;
  let blocks = 1;
  for (;;) {
    const total = 1 + tables + blocks + l1Clusters;
    const needed = Math.ceil(total / perBlock);
    const clusters = Math.ceil(needed * 8 / clusterSize);
    if (needed === blocks && clusters === tables) break;
    blocks = needed;
    tables = clusters;
  }
  if (tables * clusterSize > MAX_REFCOUNT_TABLE_BYTES) {
    refuse("its refcount table would be too large");
  }
  const total = 1 + tables + blocks + l1Clusters;
  // A disk of no bytes has no table, and no cluster for one.
  const l1Offset = entries === 0 ? 0 : (1 + tables + blocks) * clusterSize;
  const isV2 = choices.compat === "0.10" || choices.compat === "v2";
  const header = encodeHeader({
    version: isV2 ? 2 : 3,
    clusterBits,
    size,
    l1: { offset: l1Offset, entries },
    refcounts: { offset: clusterSize, clusters: tables },
    refcountOrder: Math.log2(choices.refcount_bits),
    lazyRefcounts: choices.lazy_refcounts,
    extendedL2: choices.extended_l2,
    compression: choices.compression_type,
    backing: image.backing,
  });
  const metadata = new Uint8Array((tables + blocks) * clusterSize);
  const view = new DataView(metadata.buffer);
  for (let i = 0; i < blocks; i++) {
    view.setBigUint64(i * 8, BigInt((1 + tables + i) * clusterSize));
  }
  const start = tables * clusterSize;
  for (let i = 0; i < total; i++) {
    const bit = i * choices.refcount_bits;
    // Numbers are big-endian; widths below a byte fill it from below.
    if (choices.refcount_bits < 8) {
      metadata[start + (bit >> 3)] |= 1 << (bit & 7);
    } else metadata[start + bit / 8 + choices.refcount_bits / 8 - 1] = 1;
  }
  await store.truncate(total * clusterSize);
  await store.write(clusterSize, metadata);
  // The header last: without it there is no image.
  await store.write(0, header);
  if (choices.preallocation === "off") return;
  const disk = await Qcow2Block.open(store, { readOnly: false });
  await preallocateFrom(disk, store, 0, choices.preallocation);
}

/**
 * Give the clusters of a disk from `from` on a place, and room in its file;
 * tells how many bytes of that are there, of how many.
 */
export async function preallocateFrom(
  disk: Qcow2Block,
  store: ByteStore,
  from: number,
  preallocation: Preallocation,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  const end = await disk.maintain((parts) => preallocate(parts, from));
  await disk.flush();
  await disk.flush();
  if (preallocation === "metadata") await store.truncate(end);
  else await fill(store, store.size, end, onProgress);
}
