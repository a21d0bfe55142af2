/**
 * What `memory_ahead.ts` does on its thread.
 *
 * @module
 */

import { PAGE_BYTES } from "../machine/memory.ts";
import {
  BlockFileReader,
  type ReadAhead,
  type ReadAheads,
} from "./block_file.ts";
import type { Range } from "./memory_ahead.ts";
import {
  type BlockHead,
  clear,
  MemoryLoader,
  type Pages,
} from "./memory_blocks.ts";
import { crc32 } from "./node.ts";

/** A block that was read. */
interface Block {
  readonly at: number;
  readonly payload: Uint8Array<ArrayBuffer>;
  readonly head: BlockHead;
}

/** Reads the blocks of memory of a snapshot file that nobody has checked. */
export class AheadReader {
  readonly #pages: Pages;
  readonly #file: BlockFileReader;
  readonly #loader: MemoryLoader;
  readonly #blocks: Iterator<Block, void>;
  readonly #read = new Map<number, ReadAhead>();
  /** The block that `read` came to and left. */
  #left: Block | undefined;

  /** For a guest memory of so many bytes. Throws a `SnapshotError`. */
  constructor(path: string, pages: Pages, bytes: number) {
    this.#pages = pages;
    this.#file = BlockFileReader.open(path);
    this.#loader = new MemoryLoader(bytes);
    this.#blocks = this.#memory();
  }

  /**
   * Read what belongs into the first `bytes` of guest memory, as far as the file
   * makes sense; gives back all that was read so far.
   */
  read(bytes: number): ReadAheads {
    for (;;) {
      const block = this.#left ?? (this.#blocks.next().value || undefined);
      this.#left = block;
      if (block === undefined) break;
      const last = block.head.runs.at(-1);
      if (last !== undefined && (last.page + last.pages) * PAGE_BYTES > bytes) {
        break;
      }
      this.#left = undefined;
      this.#put(block);
    }
    return this.#read;
  }

  /** Make the ranges of memory zero, and read all that is left. */
  finish(ranges: readonly Range[]): ReadAheads {
    for (const [from, to] of ranges) clear(this.#pages.u8, from, to);
    return this.read(Infinity);
  }

  /** Let go of the file. */
  close(): void {
    this.#file.close();
  }

  #put({ at, payload, head }: Block): void {
    this.#loader.unpack(payload, head, this.#pages);
    this.#read.set(at, {
      head: payload.slice(0, head.bytes),
      checksum: crc32(payload),
    });
  }

  /** The blocks of memory, each until the next. */
  *#memory(): Generator<Block, void> {
    for (const place of this.#file.places()) {
      if (place.tag !== "MEMO") continue;
      const payload = this.#file.payload(place);
      if (payload === undefined) return;
      yield { at: place.at, payload, head: this.#loader.head(payload) };
    }
  }
}
