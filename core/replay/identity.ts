/**
 * How a disk is known again.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import { hash32 } from "./hash.ts";

/** Pieces of a disk that are compared, and their bytes. */
const SAMPLES = 64, SAMPLE_BYTES = 4096;

/** What a disk is known by. */
export async function identifyDisk(disk: BlockBackend): Promise<string> {
  let hash = 0;
  const { size } = disk;
  const step = Math.max(
    Math.floor(size / SAMPLES / SAMPLE_BYTES) * SAMPLE_BYTES,
    SAMPLE_BYTES,
  );
  for (let at = 0; at < size; at += step) {
    const bytes = await disk.read(at, Math.min(SAMPLE_BYTES, size - at));
    hash = hash32(bytes, hash);
  }
  return `${size} bytes ${hash.toString(16)}`;
}
