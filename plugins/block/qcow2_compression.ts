/**
 * Compression of qcow2 clusters (QEMU, block/qcow2-threads.c). Behind the compressed bytes of a cluster
 * may follow those of others, up to the end of their last sector.
 *
 * @module
 */

import {
  constants,
  deflateRawSync,
  inflateRawSync,
  zstdCompressSync,
  zstdDecompressSync,
} from "node:zlib";
import { BlockError } from "../../core/backend/block.ts";

/** The magic number of a zstd frame (RFC 8878, section 3.1.1). */
const ZSTD_MAGIC = 0xfd2fb528;

/** What QEMU decompresses with: a window of 4 KiB. */
const WINDOW_BITS = 12;

/** A cluster's bytes compressed; undefined when that makes them no fewer. */
export function compress(
  kind: "zlib" | "zstd",
  bytes: Uint8Array,
): Uint8Array | undefined {
  const packed = kind === "zlib"
    ? deflateRawSync(bytes, { windowBits: WINDOW_BITS, memLevel: 9 })
    : zstdCompressSync(bytes);
  return packed.length < bytes.length ? packed : undefined;
}

/** The cluster of `size` bytes that `bytes` begin with. */
export function decompress(
  kind: "zlib" | "zstd",
  bytes: Uint8Array,
  size: number,
): Uint8Array {
  let result: Uint8Array;
  try {
    result = kind === "zlib"
      ? inflateRawSync(bytes, {
        maxOutputLength: size,
        finishFlush: constants.Z_SYNC_FLUSH,
      })
      : zstdDecompressSync(bytes.subarray(0, frameLength(bytes)), {
        maxOutputLength: size,
      });
  } catch (cause) {
    throw new BlockError("corrupt", "Damaged compressed qcow2 cluster", {
      cause,
    });
  }
  if (result.length !== size) {
    throw new BlockError(
      "corrupt",
      `Damaged compressed qcow2 cluster: ${result.length} of ${size} bytes`,
    );
  }
  return result;
}

/** Bytes of the zstd frame at the start (RFC 8878, section 3.1.1). */
function frameLength(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== ZSTD_MAGIC) throw new Error("no zstd frame");
  const descriptor = view.getUint8(4);
  const single = descriptor >> 5 & 1;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3];
  const sizeBytes = [single, 2, 4, 8][descriptor >> 6];
  let at = 5 + (1 - single) + dictionaryBytes + sizeBytes;
  for (let last = false; !last;) {
    const block = view.getUint16(at, true) | view.getUint8(at + 2) << 16;
    last = (block & 1) !== 0;
    // A block of the second type is one byte, repeated.
    at += 3 + ((block >> 1 & 3) === 1 ? 1 : block >> 3);
  }
  return at + (descriptor >> 2 & 1) * 4;
}
