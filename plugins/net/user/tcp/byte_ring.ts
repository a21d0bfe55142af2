/**
 * Bytes on their way through a connection: a ring that grows while they come
 * faster than they go, within what all rings together may have.
 *
 * @module
 */

/** Bytes that a ring has in any case. */
export const RING_MIN: number = 16 * 1024;
/** The most that a ring holds. */
export const RING_MAX: number = 1024 * 1024;

/** Bytes that all rings together may have over their minimum. */
export class RingBudget {
  /** What is left. */
  left: number;

  /** A budget of so many bytes. */
  constructor(bytes: number) {
    this.left = bytes;
  }
}

/** A ring of bytes. */
export class ByteRing {
  readonly #budget: RingBudget;
  #bytes = new Uint8Array(0);
  #start = 0;
  #length = 0;

  /** An empty ring; it has no memory before there are bytes. */
  constructor(budget: RingBudget) {
    this.#budget = budget;
  }

  /** Bytes in it. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that it holds without growing; the least there is at the start. */
  get capacity(): number {
    return Math.max(this.#bytes.length, RING_MIN);
  }

  /** Bytes that it could hold as things are. */
  get limit(): number {
    return this.#budget.left >= RING_MAX ? RING_MAX : this.capacity;
  }

  /** See to room for `total` bytes; false when there is none. */
  reserve(total: number): boolean {
    const had = this.#bytes.length;
    if (total <= had) return true;
    if (total > RING_MAX) return false;
    let size = Math.max(had, RING_MIN);
    while (size < total) size *= 2;
    const more = size - Math.max(had, RING_MIN);
    if (more > this.#budget.left) return false;
    this.#budget.left -= more;
    const bytes = new Uint8Array(size);
    // What lies beyond `length`, having come out of order, is kept as well.
    const first = this.#bytes.subarray(this.#start);
    bytes.set(first);
    bytes.set(this.#bytes.subarray(0, this.#start), first.length);
    this.#bytes = bytes;
    this.#start = 0;
    return true;
  }

  /**
   * Copy `source` from `from` to `to` to the place `offset` bytes after the
   * first, where room was reserved; `extend` makes it part of the ring.
   */
  put(offset: number, source: Uint8Array, from: number, to: number): void {
    const size = this.#bytes.length;
    const at = (this.#start + offset) % size;
    const first = Math.min(to - from, size - at);
    this.#bytes.set(source.subarray(from, from + first), at);
    if (from + first < to) this.#bytes.set(source.subarray(from + first, to));
  }

  /** Copy `length` bytes from `offset` bytes after the first. */
  get(offset: number, length: number, target: Uint8Array, at: number): void {
    const size = this.#bytes.length;
    const from = (this.#start + offset) % size;
    const first = Math.min(length, size - from);
    target.set(this.#bytes.subarray(from, from + first), at);
    if (first < length) {
      target.set(this.#bytes.subarray(0, length - first), at + first);
    }
  }

  /** Bytes that were put after the last are part of the ring. */
  extend(length: number): void {
    this.#length += length;
  }

  /** The first bytes are done with. */
  drop(length: number): void {
    this.#length -= length;
    this.#start = (this.#start + length) % (this.#bytes.length || 1);
  }

  /** The first bytes, as many as lie together. */
  head(): Uint8Array {
    const end = Math.min(this.#start + this.#length, this.#bytes.length);
    return this.#bytes.subarray(this.#start, end);
  }

  /**
   * Room after the last byte, as much as lies together: bytes read into it are
   * added by `extend`. The ring grows when it is more than half full; it must not
   * be asked again before `extend`.
   */
  space(): Uint8Array {
    if (this.#length * 2 >= this.#bytes.length) {
      // Without more memory the room that there is has to do.
      this.reserve(
        Math.min(Math.max(this.#bytes.length * 2, RING_MIN), RING_MAX),
      );
    }
    const size = this.#bytes.length;
    const end = this.#start + this.#length;
    return end < size
      ? this.#bytes.subarray(end)
      : this.#bytes.subarray(end - size, this.#start);
  }

  /** Give the memory back. */
  release(): void {
    this.#budget.left += Math.max(this.#bytes.length - RING_MIN, 0);
    this.#bytes = new Uint8Array(0);
    this.#start = 0;
    this.#length = 0;
  }
}
