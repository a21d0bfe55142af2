/**
 * Gathers a device's single bytes and hands them to a char backend in batches:
 * when the guest's slice ends, or when a batch is full.
 *
 * @module
 */

import type { ByteSink } from "./char.ts";

/** Bytes of one batch. */
const BATCH = 4096;
/** Held bytes from which on the device should make the guest wait. */
const HIGH_WATER = 65536;
/** Held bytes from which on a guest that does not wait loses its bytes. */
const LIMIT = 1024 * 1024;

/** A batch in front of a backend's `write`. */
export class OutputBatch {
  readonly #sink: ByteSink;
  readonly #onDrain: () => void;
  #bytes = new Uint8Array(BATCH);
  #length = 0;
  /** The backend has not settled its last promise. */
  #held = false;
  #scheduled = false;

  /**
   * A batch in front of `sink`; `onDrain` is called when `full` becomes false
   * again.
   */
  constructor(sink: ByteSink, onDrain: () => void = () => {}) {
    this.#sink = sink;
    this.#onDrain = onDrain;
  }

  /** The backend is behind: the device should tell the guest to wait. */
  get full(): boolean {
    return this.#length >= HIGH_WATER;
  }

  /** Take a byte; false when it had to be dropped. */
  push(byte: number): boolean {
    if (this.#length === this.#bytes.length) {
      if (!this.#held) this.#hand();
      else if (this.#length >= LIMIT) return false;
      else this.#grow();
    }
    this.#bytes[this.#length++] = byte;
    if (!this.#scheduled && !this.#held) {
      this.#scheduled = true;
      // Runs when the slice of guest execution in progress has ended.
      queueMicrotask(() => {
        this.#scheduled = false;
        if (!this.#held) this.#hand();
      });
    }
    return true;
  }

  #grow(): void {
    const bytes = new Uint8Array(this.#bytes.length * 2);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }

  #hand(): void {
    if (this.#length === 0) return;
    const wasFull = this.full;
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    if (this.#bytes.length > BATCH) this.#bytes = new Uint8Array(BATCH);
    const promise = this.#sink(bytes);
    if (promise !== undefined) {
      this.#held = true;
      const release = () => {
        this.#held = false;
        this.#hand();
      };
      // An error is reported by the backend's `flush` and `close`.
      promise.then(release, release);
    }
    if (wasFull) this.#onDrain();
  }
}
