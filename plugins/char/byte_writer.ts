/**
 * A queue in front of a host stream that takes bytes in its own time.
 *
 * @module
 */

/** Writes a part of the bytes and says how many. */
export type PartialWrite = (bytes: Uint8Array) => Promise<number>;

/** Writes bytes one piece after the other, each as a whole. */
export class ByteWriter {
  readonly #write: PartialWrite;
  readonly #onError: (error: unknown) => void;
  #tail: Promise<void> = Promise.resolve();
  #error: unknown;
  #failed = false;

  /**
   * A queue in front of `write`. After an error it takes everything and writes
   * nothing; `onError` is called once, and `flush` rejects.
   */
  constructor(write: PartialWrite, onError: (error: unknown) => void) {
    this.#write = write;
    this.#onError = onError;
  }

  /** Queue bytes; resolves when they are written or never will be. */
  push(bytes: Uint8Array): Promise<void> {
    this.#tail = this.#tail.then(() => this.#all(bytes));
    return this.#tail;
  }

  async #all(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length && !this.#failed;) {
        at += await this.#write(bytes.subarray(at));
      }
    } catch (error) {
      if (this.#failed) return;
      this.#failed = true;
      this.#error = error;
      this.#onError(error);
    }
  }

  /** Resolves when all is written; rejects with the first error. */
  async flush(): Promise<void> {
    // Who writes in answer to a settled promise has its turn too.
    let tail: Promise<void> | undefined;
    while (tail !== this.#tail) {
      tail = this.#tail;
      await tail;
      await Promise.resolve();
    }
    if (this.#failed) throw this.#error;
  }
}

/** Bytes that arrived before there was a receiver, and those after. */
export class InputGate {
  #receiver: ((bytes: Uint8Array) => void | Promise<void>) | undefined;
  #ready = Promise.withResolvers<void>();

  /** Set the receiver and let waiting bytes pass. */
  open(receiver: (bytes: Uint8Array) => void | Promise<void>): void {
    this.#receiver = receiver;
    this.#ready.resolve();
  }

  /** Hand bytes over; resolves when the receiver wants more. */
  async pass(bytes: Uint8Array): Promise<void> {
    await this.#ready.promise;
    await this.#receiver?.(bytes);
  }

  /** Let nothing pass any more. */
  close(): void {
    this.#receiver = undefined;
    this.#ready.resolve();
  }
}
