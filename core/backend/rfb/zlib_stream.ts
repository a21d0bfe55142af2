/**
 * One zlib stream of a viewer, from which each rectangle is flushed.
 *
 * @module
 */

import { constants, createDeflate, type Deflate } from "node:zlib";

/** Fast rather than small: most viewers are near. */
const LEVEL = 3;

/** A stream that goes on as long as its viewer stays. */
export class ZlibStream {
  readonly #deflate: Deflate = createDeflate({ level: LEVEL });
  #parts: Uint8Array[] = [];
  #failed: (error: Error) => void = () => {};

  /** A stream with nothing in it yet. */
  constructor() {
    this.#deflate.on("data", (part: Uint8Array) => this.#parts.push(part));
    this.#deflate.on("error", (error: Error) => this.#failed(error));
  }

  /**
   * Compress bytes, which must stay as they are until it is done; gives back
   * all that the other side needs to have them. One call at a time.
   */
  compress(bytes: Uint8Array): Promise<readonly Uint8Array[]> {
    const { promise, resolve, reject } = Promise.withResolvers<
      readonly Uint8Array[]
    >();
    this.#failed = reject;
    this.#deflate.write(bytes);
    this.#deflate.flush(constants.Z_SYNC_FLUSH, () => {
      const parts = this.#parts;
      this.#parts = [];
      resolve(parts);
    });
    return promise;
  }

  /** Free it. */
  close(): void {
    this.#deflate.close();
  }
}
