/**
 * Guest memory in a snapshot: its pages that are not all zero, in blocks of up
 * to 1 MiB, compressed by Zstandard where that is a gain.
 *
 * A block has: the codec (1 byte: 0 none, 1 Zstandard), three zero bytes, the
 * number of runs (4), of each run its first page and how many pages (4 each),
 * then the pages of all runs. Pages of 4 KiB are counted from the start of guest
 * memory, RAM, ROM and video memory alike, and ascend over all blocks.
 *
 * Zstandard at level 1 halves a booted Linux at 480 MB/s and is undone at 1 to
 * 2 GB/s; deflate needs three times that, through `DecompressionStream` six
 * times.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { type GuestMemory, PAGE_BYTES } from "../machine/memory.ts";

/** Pages of a block at most. */
const BLOCK_PAGES = 256;
const BLOCK_BYTES = BLOCK_PAGES * PAGE_BYTES;
const HEAD_BYTES = 8;
const RUN_BYTES = 8;
const WORDS = PAGE_BYTES / 4;
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };
/** With room left, the whole block is decompressed in one piece. */
const SPARE_BYTES = 64;
const CODEC_NONE = 0, CODEC_ZSTD = 1;

/** The used pages of a machine's memory, as blocks. */
export function* memoryBlocks(
  memory: GuestMemory,
): Generator<{ readonly bytes: Uint8Array; readonly pages: number }> {
  const { guestStart, guestEnd, u8, u32 } = memory;
  const data = new Uint8Array(BLOCK_BYTES);
  let runs: number[] = [];
  let count = 0;
  for (let at = guestStart; at < guestEnd; at += PAGE_BYTES) {
    if (isZero(u32, at >> 2)) continue;
    const page = (at - guestStart) / PAGE_BYTES;
    const last = runs.length - 2;
    if (last >= 0 && runs[last] + runs[last + 1] === page) runs[last + 1]++;
    else runs.push(page, 1);
    data.set(u8.subarray(at, at + PAGE_BYTES), count++ * PAGE_BYTES);
    if (count < BLOCK_PAGES) continue;
    yield { bytes: packed(runs, data), pages: count };
    runs = [];
    count = 0;
  }
  if (count === 0) return;
  const rest = data.subarray(0, count * PAGE_BYTES);
  yield { bytes: packed(runs, rest), pages: count };
}

/** How many pages are not all zero. */
export function usedPages(memory: GuestMemory): number {
  const { guestStart, guestEnd, u32 } = memory;
  let count = 0;
  for (let at = guestStart; at < guestEnd; at += PAGE_BYTES) {
    if (!isZero(u32, at >> 2)) count++;
  }
  return count;
}

function isZero(words: Uint32Array, at: number): boolean {
  for (let i = at; i < at + WORDS; i += 4) {
    if ((words[i] | words[i + 1] | words[i + 2] | words[i + 3]) !== 0) {
      return false;
    }
  }
  return true;
}

function packed(runs: readonly number[], data: Uint8Array): Uint8Array {
  const squeezed = zstdCompressSync(data, LEVEL);
  const isGain = squeezed.length < data.length - data.length / 16;
  const payload = isGain ? squeezed : data;
  const head = HEAD_BYTES + RUN_BYTES * (runs.length / 2);
  const bytes = new Uint8Array(head + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = isGain ? CODEC_ZSTD : CODEC_NONE;
  view.setUint32(4, runs.length / 2, true);
  runs.forEach((word, i) => view.setUint32(HEAD_BYTES + i * 4, word, true));
  bytes.set(payload, head);
  return bytes;
}

/** A block of memory that is none: what is wrong with it. */
export class MemoryBlockError extends Error {
  /** The name of the error's class. */
  override readonly name = "MemoryBlockError";
}

/** A run of pages. */
interface Run {
  readonly page: number;
  readonly pages: number;
}

/** Puts blocks of memory back. */
export class MemoryLoader {
  readonly #pages: number;
  /** The page before which all have been seen. */
  #next = 0;

  /** For a memory of so many bytes. */
  constructor(bytes: number) {
    this.#pages = bytes / PAGE_BYTES;
  }

  /**
   * The pages of a block, into `memory` unless it is absent and the block is
   * only checked. Throws a `MemoryBlockError`.
   */
  load(block: Uint8Array<ArrayBuffer>, memory?: GuestMemory): void {
    const runs = this.#runs(block);
    const total = runs.reduce((sum, { pages }) => sum + pages, 0);
    const payload = block.subarray(HEAD_BYTES + RUN_BYTES * runs.length);
    const data = unpacked(block[0], payload, total * PAGE_BYTES);
    if (memory === undefined) return;
    let from = 0;
    for (const { page, pages } of runs) {
      const end = from + pages * PAGE_BYTES;
      const to = memory.guestStart + page * PAGE_BYTES;
      memory.u8.set(data.subarray(from, end), to);
      from = end;
    }
  }

  #runs(block: Uint8Array): Run[] {
    if (block.length < HEAD_BYTES) throw new MemoryBlockError("it has no head");
    const view = new DataView(block.buffer, block.byteOffset, block.length);
    const count = view.getUint32(4, true);
    if (count > BLOCK_PAGES || HEAD_BYTES + count * RUN_BYTES > block.length) {
      throw new MemoryBlockError(`it has ${count} runs`);
    }
    const runs: Run[] = [];
    let total = 0;
    for (let i = 0; i < count; i++) {
      const page = view.getUint32(HEAD_BYTES + i * RUN_BYTES, true);
      const pages = view.getUint32(HEAD_BYTES + i * RUN_BYTES + 4, true);
      total += pages;
      const fits = page >= this.#next && pages > 0 && total <= BLOCK_PAGES &&
        page + pages <= this.#pages;
      if (!fits) {
        throw new MemoryBlockError(`it has ${pages} pages from ${page} on`);
      }
      this.#next = page + pages;
      runs.push({ page, pages });
    }
    return runs;
  }
}

function unpacked(
  codec: number,
  payload: Uint8Array<ArrayBuffer>,
  length: number,
): Uint8Array {
  let data: Uint8Array;
  if (codec === CODEC_NONE) data = payload;
  else if (codec === CODEC_ZSTD) {
    try {
      data = zstdDecompressSync(
        Buffer.from(payload.buffer, payload.byteOffset, payload.length),
        {
          maxOutputLength: Math.max(length, 1),
          chunkSize: length + SPARE_BYTES,
        },
      );
    } catch {
      throw new MemoryBlockError("it cannot be decompressed");
    }
  } else throw new MemoryBlockError(`there is no codec ${codec}`);
  if (data.length === length) return data;
  throw new MemoryBlockError(`it has ${data.length} bytes, not ${length}`);
}
