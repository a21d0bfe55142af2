/**
 * A byte store in memory that tells when somebody asks for too much.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import type { ByteStore } from "../../plugins/block/byte_store.ts";

/** The most bytes it takes, and the most requests. */
const MAX_BYTES = 32 << 20;
const MAX_REQUESTS = 100_000;

/** The store. */
export class MemoryStore implements ByteStore {
  /** Bytes there are. */
  size: number;
  #bytes: Uint8Array;
  #requests = 0;

  /** A store that begins with a copy of these bytes. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.slice();
    this.size = bytes.length;
  }

  /** A copy of what is in it. */
  get bytes(): Uint8Array {
    return this.#bytes.slice(0, this.size);
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    this.#count(offset, into.length);
    const there = this.#bytes.subarray(
      Math.min(offset, this.size),
      Math.min(offset + into.length, this.size),
    );
    into.set(there);
    into.fill(0, there.length);
    return Promise.resolve();
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#count(offset, bytes.length);
    const end = offset + bytes.length;
    if (end > MAX_BYTES) {
      return Promise.reject(new BlockError("no-space", "the store is full"));
    }
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.#bytes.length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, offset);
    this.size = Math.max(this.size, end);
    return Promise.resolve();
  }

  truncate(size: number): Promise<void> {
    this.#bytes.fill(0, size);
    this.size = size;
    return Promise.resolve();
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #count(offset: number, length: number): void {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new Error(`a request at ${offset}`);
    }
    if (length > MAX_BYTES) throw new Error(`a request of ${length} bytes`);
    if (++this.#requests > MAX_REQUESTS) throw new Error("too many requests");
  }
}
