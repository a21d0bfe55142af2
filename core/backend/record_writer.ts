/**
 * A bounded queue of records in front of a host stream that takes bytes in its
 * own time: frames on their way to a peer, packets on their way to a file.
 *
 * What is queued while a write is under way goes out with the next one, in one
 * piece. A record that does not fit is not taken at all, so that the stream
 * never has a part of one.
 *
 * @module
 */

/** Writes a part of the bytes and says how many; it may keep them until then. */
export type PartialWrite = (bytes: Uint8Array) => Promise<number>;

/** Bytes of the buffers at first. */
const FIRST_BYTES = 16 * 1024;

/** Writes whole records. */
export class RecordWriter {
  readonly #write: PartialWrite;
  readonly #onError: (error: unknown) => void;
  readonly #capacity: number;
  /** Takes records. */
  #filling = new Uint8Array(FIRST_BYTES);
  #length = 0;
  /** Is being written, or is spare. */
  #other = new Uint8Array(FIRST_BYTES);
  #writing: Promise<void> | undefined;
  #failed = false;
  #lost = 0;

  /**
   * A queue of at most `capacity` bytes in front of `write`. After an error, of
   * which `onError` is told once, nothing is written any more.
   */
  constructor(
    write: PartialWrite,
    capacity: number,
    onError: (error: unknown) => void,
  ) {
    this.#write = write;
    this.#capacity = capacity;
    this.#onError = onError;
  }

  /** How many records were not taken, for want of room or after an error. */
  get lost(): number {
    return this.#lost;
  }

  /** Queue a record, both parts of which are copied; false: it was not taken. */
  push(header: Uint8Array, body: Uint8Array): boolean {
    const end = this.#length + header.length + body.length;
    if (this.#failed || end > this.#capacity) {
      this.#lost++;
      return false;
    }
    if (end > this.#filling.length) this.#grow(end);
    this.#filling.set(header, this.#length);
    this.#filling.set(body, this.#length + header.length);
    this.#length = end;
    this.#writing ??= this.#drain();
    return true;
  }

  #grow(bytes: number): void {
    const size = Math.max(bytes, this.#filling.length * 2);
    const larger = new Uint8Array(Math.min(size, this.#capacity));
    larger.set(this.#filling.subarray(0, this.#length));
    this.#filling = larger;
  }

  async #drain(): Promise<void> {
    // What comes in the same turn goes out in the same piece.
    await Promise.resolve();
    try {
      while (this.#length > 0) {
        const bytes = this.#filling.subarray(0, this.#length);
        [this.#filling, this.#other] = [this.#other, this.#filling];
        this.#length = 0;
        for (let at = 0; at < bytes.length;) {
          at += await this.#write(bytes.subarray(at));
        }
      }
    } catch (error) {
      this.#failed = true;
      this.#length = 0;
      this.#onError(error);
    }
    this.#writing = undefined;
  }

  /** Resolves when everything is written, or never will be. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }
}
