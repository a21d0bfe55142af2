/**
 * A read-only store of what a server has: chunks that are asked for when they
 * are wanted, with those that follow where reads follow each other, and kept
 * within a bound.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";
import type { ByteStore, ImageIdentity } from "./byte_store.ts";
import { type HttpOptions, HttpResource } from "./http_client.ts";

export { hostsOf } from "./http_client.ts";

/** Bytes of a chunk. */
const CHUNK_BYTES = 64 << 10;
/** The most chunks in one request. */
const MAX_AHEAD = 16;

/** How to read. */
export interface HttpStoreOptions extends Partial<HttpOptions> {
  /** The most bytes kept; 4 MiB at least. */
  readonly cacheBytes?: number;
}

const DEFAULTS: HttpOptions & { readonly cacheBytes: number } = {
  retries: 4,
  delay: 250,
  timeout: 30_000,
  cacheBytes: 32 << 20,
};

/** What a server has at a URL. */
export class HttpStore implements ByteStore {
  /** Its size in bytes. */
  readonly size: number;
  readonly #resource: HttpResource;
  /** Chunks by their number, the longest unused first. */
  readonly #chunks = new Map<number, Promise<Uint8Array>>();
  readonly #maxChunks: number;
  /** The chunk that would go on with the last read, and chunks to ask for. */
  #next = -1;
  #ahead = 1;

  private constructor(resource: HttpResource, cacheBytes: number) {
    this.#resource = resource;
    this.size = resource.size;
    this.#maxChunks = Math.max(
      4 * MAX_AHEAD,
      Math.floor(cacheBytes / CHUNK_BYTES),
    );
  }

  /** Open what is at a URL. Throws a `BlockError`. */
  static async open(
    url: string,
    options: HttpStoreOptions = {},
  ): Promise<HttpStore> {
    const all = { ...DEFAULTS, ...options };
    const { resource, bytes } = await HttpResource.open(url, CHUNK_BYTES, all);
    const store = new HttpStore(resource, all.cacheBytes);
    if (bytes.length > 0) store.#chunks.set(0, Promise.resolve(bytes));
    return store;
  }

  /** See `ByteStore.read`. */
  async read(offset: number, into: Uint8Array): Promise<void> {
    const length = Math.max(0, Math.min(into.length, this.size - offset));
    into.fill(0, length);
    // Parts of what fits in the cache: else chunks would go before their use.
    const most = this.#maxChunks / 2 * CHUNK_BYTES;
    for (let done = 0; done < length; done += most) {
      const part = into.subarray(done, Math.min(length, done + most));
      await this.#read(offset + done, part);
    }
  }

  /** Refused. */
  write(): Promise<void> {
    return this.#refuse();
  }

  /** Refused. */
  truncate(): Promise<void> {
    return this.#refuse();
  }

  /** See `ByteStore.identity`. */
  identity(): ImageIdentity {
    return { stamp: this.#resource.stamp };
  }

  /** Does nothing: nothing is written. */
  async sync(): Promise<void> {}

  /** Break off what is under way. */
  // deno-lint-ignore require-await
  async close(): Promise<void> {
    this.#resource.close();
    this.#chunks.clear();
  }

  #refuse(): Promise<never> {
    return Promise.reject(
      new BlockError(
        "read-only",
        `Cannot write to "${this.#resource.url}": what a server has is only ` +
          "read",
      ),
    );
  }

  async #read(offset: number, into: Uint8Array): Promise<void> {
    const first = Math.floor(offset / CHUNK_BYTES);
    const last = Math.floor((offset + into.length - 1) / CHUNK_BYTES);
    const follows = first === this.#next || first === this.#next - 1;
    this.#ahead = follows ? Math.min(MAX_AHEAD, this.#ahead * 2) : 1;
    this.#next = last + 1;
    this.#fetch(first, last);
    const chunks = await Promise.all(
      Array.from({ length: last - first + 1 }, (_, i) => this.#use(first + i)),
    );
    for (const [i, bytes] of chunks.entries()) {
      const at = (first + i) * CHUNK_BYTES - offset;
      const from = Math.max(0, -at);
      into.set(
        bytes.subarray(from, Math.min(bytes.length, into.length - at)),
        at + from,
      );
    }
  }

  /** A chunk that is there or on its way; it is now the last to go. */
  #use(chunk: number): Promise<Uint8Array> {
    const bytes = this.#chunks.get(chunk)!;
    this.#chunks.delete(chunk);
    this.#chunks.set(chunk, bytes);
    return bytes;
  }

  /** Ask for the missing chunks, runs of them at once, and some that follow. */
  #fetch(first: number, last: number): void {
    const end = Math.ceil(this.size / CHUNK_BYTES);
    for (let chunk = first; chunk <= last;) {
      if (this.#chunks.has(chunk)) {
        // Not to be dropped for those that come now.
        this.#use(chunk++);
        continue;
      }
      const wanted = Math.max(last - chunk + 1, this.#ahead);
      let count = 1;
      while (
        count < Math.min(wanted, MAX_AHEAD) && chunk + count < end &&
        !this.#chunks.has(chunk + count)
      ) count++;
      this.#request(chunk, count);
      chunk += count;
    }
  }

  #request(chunk: number, count: number): void {
    const offset = chunk * CHUNK_BYTES;
    const length = Math.min(count * CHUNK_BYTES, this.size - offset);
    const bytes = this.#resource.read(offset, length);
    for (let i = 0; i < count; i++) {
      const part = bytes.then((all) =>
        all.slice(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)
      );
      // Who waits for it is told; the next that wants it asks again.
      part.catch(() => {
        if (this.#chunks.get(chunk + i) === part) {
          this.#chunks.delete(chunk + i);
        }
      });
      this.#chunks.set(chunk + i, part);
    }
    while (this.#chunks.size > this.#maxChunks) {
      this.#chunks.delete(this.#chunks.keys().next().value!);
    }
  }
}
