/**
 * The load of the kill test: known from its seed, so that the one who watches
 * knows what the one who is killed has done.
 *
 * @module
 */

import { type BlockBackend, SECTOR_BYTES } from "../../core/backend/block.ts";
import { BlockModel } from "../../core/backend/block_contract.ts";

/** Bytes of a block: what a version is kept of. */
export const BLOCK_BYTES = 2048;
/** Blocks of the disk. */
export const BLOCKS = 512;

/** One request: the blocks `first` to `first` + `count` - 1 change. */
export interface Request {
  /** Counts from 1. */
  readonly version: number;
  readonly first: number;
  readonly count: number;
  readonly zero: boolean;
}

/** The requests between two flushes, without end. No two of a batch overlap. */
export function* batches(seed: number): Generator<Request[]> {
  const random = new BlockModel(new Uint8Array(1), seed);
  for (let version = 1;;) {
    const batch: Request[] = [];
    const taken = new Set<number>();
    for (let i = 1 + random.below(20); i > 0; i--) {
      const first = random.below(BLOCKS);
      const count = Math.min(1 + random.below(40), BLOCKS - first);
      const blocks = Array.from({ length: count }, (_, k) => first + k);
      if (blocks.some((block) => taken.has(block))) continue;
      for (const block of blocks) taken.add(block);
      const zero = random.below(3) === 0;
      batch.push({ version: version++, first, count, zero });
    }
    yield batch;
  }
}

/** What a block holds after the request `version`. */
export function blockBytes(block: number, version: number): Uint8Array {
  const words = new Uint32Array(BLOCK_BYTES / 4);
  for (let i = 0; i < words.length; i++) {
    words[i] = Math.imul(version, 0x10001) ^ Math.imul(block + i, 0x9e3779b1);
  }
  return new Uint8Array(words.buffer);
}

/** The requests after which each block may be, with `flushed` batches done. */
function allowed(seed: number, flushed: number): (Request | undefined)[][] {
  const blocks: (Request | undefined)[][] = Array.from(
    { length: BLOCKS },
    () => [undefined],
  );
  let done = 0;
  for (const batch of batches(seed)) {
    // It was at work on the batch behind the last one it told of, or had
    // flushed that too and was at work on the next.
    if (done >= flushed + 2) break;
    for (const request of batch) {
      for (let i = 0; i < request.count; i++) {
        const block = request.first + i;
        if (done < flushed) blocks[block] = [request];
        else blocks[block].push(request);
      }
    }
    done++;
  }
  return blocks;
}

/** Whether the sector at `at` of a block is as a request left it. */
function matches(
  sector: Uint8Array,
  block: number,
  at: number,
  request: Request | undefined,
): boolean {
  if (request === undefined || request.zero) {
    return sector.every((byte) => byte === 0);
  }
  const expected = blockBytes(block, request.version);
  return sector.every((byte, i) => byte === expected[at + i]);
}

/**
 * A block of which a sector is not as one of the requests left it that it may
 * be from. Only sectors are written as a whole.
 */
export function firstWrongBlock(
  bytes: Uint8Array,
  seed: number,
  flushed: number,
): number | undefined {
  for (const [block, requests] of allowed(seed, flushed).entries()) {
    for (let at = 0; at < BLOCK_BYTES; at += SECTOR_BYTES) {
      const start = block * BLOCK_BYTES + at;
      const sector = bytes.subarray(start, start + SECTOR_BYTES);
      if (!requests.some((r) => matches(sector, block, at, r))) return block;
    }
  }
  return undefined;
}

/** Make the requests of a batch, all at once. */
export async function perform(
  backend: BlockBackend,
  batch: readonly Request[],
): Promise<void> {
  await Promise.all(batch.map(({ version, first, count, zero }) => {
    const at = first * BLOCK_BYTES;
    const length = count * BLOCK_BYTES;
    if (zero) return backend.writeZeroes(at, length);
    const bytes = new Uint8Array(length);
    for (let i = 0; i < count; i++) {
      bytes.set(blockBytes(first + i, version), i * BLOCK_BYTES);
    }
    return backend.write(at, bytes);
  }));
}
