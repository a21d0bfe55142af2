/**
 * Guest memory in a snapshot: its pages that are not all zero, in blocks of up
 * to 1 MiB, compressed by Zstandard where that leaves a third of them or less.
 *
 * A block has: the codec (1 byte: 0 none, 1 Zstandard), three zero bytes, the
 * number of runs (4), of each run its first page and how many pages (4 each),
 * then the pages of all runs. Pages of 4 KiB are counted from the start of guest
 * memory, RAM, ROM and video memory alike, and ascend over all blocks.
 *
 * Zstandard at level 1 halves a booted Linux at 480 MB/s and is undone at 1 to
 * 2 GB/s; deflate needs three times that, through `DecompressionStream` six
 * times. The half of the blocks of which little is gained (programs, what is
 * compressed already) stays as it is: a snapshot is a third larger for that, and
 * is read in half the time.
 *
 * @module
 */

import { type GuestMemory, PAGE_BYTES } from "../machine/memory.ts";
import { nodeBuffer, nodeZlib } from "./node.ts";

/** Pages of a block at most. */
const BLOCK_PAGES = 256;
const BLOCK_BYTES = BLOCK_PAGES * PAGE_BYTES;
/** Pages that are compared at once. */
const SCAN_PAGES = 16;
const HEAD_BYTES = 8;
const RUN_BYTES = 8;
const WORDS = PAGE_BYTES / 4;
const LEVEL = 1;
/** With room left, the whole block is decompressed in one piece. */
const SPARE_BYTES = 64;
/** Far more than a block and what it takes to decompress it. */
const KEPT_BYTES = 16 << 20;
const CODEC_NONE = 0, CODEC_ZSTD = 1;
/** Compression must save so much that one in this many bytes is left. */
const LEAST_GAIN = 3;

/** The used pages of a machine's memory, as blocks. */
export function* memoryBlocks(
  memory: GuestMemory,
  used: Uint8Array = usedPages(memory),
): Generator<{ readonly bytes: Uint8Array; readonly pages: number }> {
  const { guestStart, u8 } = memory;
  const data = new Uint8Array(BLOCK_BYTES);
  let runs: number[] = [];
  let count = 0;
  for (
    let page = used.indexOf(1);
    page >= 0;
    page = used.indexOf(1, page + 1)
  ) {
    const at = guestStart + page * PAGE_BYTES;
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

/**
 * By page of a machine's memory: 1 when it is not all zero. Most of a large
 * memory is: the host compares 16 pages of that in the time that a page takes
 * in TypeScript.
 */
export function usedPages(memory: GuestMemory): Uint8Array {
  const { guestStart, guestEnd, u8, u32 } = memory;
  const used = new Uint8Array((guestEnd - guestStart) / PAGE_BYTES);
  const zeros = new Uint8Array(SCAN_PAGES * PAGE_BYTES);
  const Buffer = nodeBuffer();
  for (let page = 0; page < used.length;) {
    const at = guestStart + page * PAGE_BYTES;
    const pages = Math.min(SCAN_PAGES, used.length - page);
    const bytes = u8.subarray(at, at + pages * PAGE_BYTES);
    const end = page + pages;
    if (Buffer.compare(bytes, zeros.subarray(0, bytes.length)) === 0) {
      page = end;
      continue;
    }
    for (; page < end; page++) {
      if (!isZero(u32, (guestStart + page * PAGE_BYTES) >> 2)) used[page] = 1;
    }
  }
  return used;
}

function isZero(words: Uint32Array, at: number): boolean {
  for (let i = at; i < at + WORDS; i += 4) {
    if ((words[i] | words[i + 1] | words[i + 2] | words[i + 3]) !== 0) {
      return false;
    }
  }
  return true;
}

/** Bytes that are compared at once. */
const CHUNK_BYTES = 65536;

/**
 * Make bytes zero, most of which are: the host has not given that memory its
 * pages yet, and to write to them would make it.
 */
export function clear(bytes: Uint8Array, from: number, to: number): void {
  const Buffer = nodeBuffer();
  const zeros = new Uint8Array(CHUNK_BYTES);
  for (let at = from; at < to; at += CHUNK_BYTES) {
    const chunk = bytes.subarray(at, Math.min(at + CHUNK_BYTES, to));
    if (Buffer.compare(chunk, zeros.subarray(0, chunk.length)) !== 0) {
      chunk.fill(0);
    }
  }
}

function packed(runs: readonly number[], data: Uint8Array): Uint8Array {
  const { constants, zstdCompressSync } = nodeZlib();
  const squeezed = zstdCompressSync(data, {
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
  });
  const isGain = squeezed.length * LEAST_GAIN <= data.length;
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
export interface Run {
  /** The first one's number. */
  readonly page: number;
  /** How many they are. */
  readonly pages: number;
}

/** What stands before the pages of a block. */
export interface BlockHead {
  /** Bytes of the head. */
  readonly bytes: number;
  /** Where the pages belong. */
  readonly runs: readonly Run[];
  /** Bytes of all pages. */
  readonly total: number;
}

/** Where pages belong. */
export type Pages = Pick<GuestMemory, "u8" | "guestStart">;

/** Puts blocks of memory back. */
export class MemoryLoader {
  readonly #pages: number;
  /** The page before which all have been seen. */
  #next = 0;

  /** For a memory of so many bytes. */
  constructor(bytes: number) {
    this.#pages = bytes / PAGE_BYTES;
    // glibc keeps freed pieces as long as the longest that it has got back so
    // far, and of shorter ones returns each to the system.
    new ArrayBuffer(KEPT_BYTES).transfer(0);
  }

  /**
   * The pages of a block, into `memory` unless it is absent and the block is
   * only checked. Throws a `MemoryBlockError`.
   */
  load(block: Uint8Array<ArrayBuffer>, memory?: Pages): void {
    this.unpack(block, this.head(block), memory);
  }

  /** The same when its head has been seen. */
  unpack(
    block: Uint8Array<ArrayBuffer>,
    { runs, bytes, total }: BlockHead,
    memory?: Pages,
  ): void {
    const payload = block.subarray(bytes);
    const data = unpacked(block[0], payload, total);
    if (memory !== undefined) {
      let from = 0;
      for (const { page, pages } of runs) {
        const end = from + pages * PAGE_BYTES;
        const to = memory.guestStart + page * PAGE_BYTES;
        memory.u8.set(data.subarray(from, end), to);
        from = end;
      }
    }
    // The next block then gets the same memory of the host, which is there
    // already: to be given a page takes longer than to decompress one.
    const { buffer } = data;
    const isOwn = buffer instanceof ArrayBuffer && buffer !== block.buffer &&
      buffer.byteLength === total + SPARE_BYTES;
    if (isOwn) buffer.transfer(0);
  }

  /**
   * The head of a block, of which no more than the head has to be there; its
   * pages count as seen. Throws a `MemoryBlockError`.
   */
  head(block: Uint8Array): BlockHead {
    const runs = this.#runs(block);
    const total = runs.reduce((sum, { pages }) => sum + pages, 0);
    return {
      bytes: HEAD_BYTES + RUN_BYTES * runs.length,
      runs,
      total: total * PAGE_BYTES,
    };
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
      data = nodeZlib().zstdDecompressSync(payload, {
        maxOutputLength: Math.max(length, 1),
        chunkSize: length + SPARE_BYTES,
      });
    } catch {
      throw new MemoryBlockError("it cannot be decompressed");
    }
  } else throw new MemoryBlockError(`there is no codec ${codec}`);
  if (data.length === length) return data;
  throw new MemoryBlockError(`it has ${data.length} bytes, not ${length}`);
}
