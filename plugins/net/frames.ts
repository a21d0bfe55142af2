/**
 * Frames as they go over streams: QEMU's framing, a length of 32 bits,
 * big-endian, before each frame (`net/stream.c`, `net/net.c`'s
 * `net_fill_rstate`).
 *
 * @module
 */

/** Destination, source and type: less is no frame, and no card is given it. */
const MIN_FRAME_BYTES = 14;
/** The longest frame that is given to a card or taken from one. */
export const MAX_FRAME_BYTES = 64 * 1024;
/** QEMU's `NET_BUFSIZE`: a length beyond it is none. */
export const MAX_LENGTH = 4096 + 65536;
/** Bytes of a length. */
export const LENGTH_BYTES = 4;

/** Whether a card may have sent a frame of so many bytes, and may be given it. */
export function isFrameLength(length: number): boolean {
  return length >= MIN_FRAME_BYTES && length <= MAX_FRAME_BYTES;
}

/** A stream does not have the framing. */
export class FramingError extends Error {
  /** The name of the error's class. */
  override readonly name = "FramingError";
}

/** Takes frames out of a stream that comes in pieces. */
export class FrameReader {
  readonly #frame = new Uint8Array(MAX_LENGTH);
  readonly #lengthBytes = new Uint8Array(LENGTH_BYTES);
  readonly #length = new DataView(this.#lengthBytes.buffer);
  /** The bytes that are there of the length, then of the frame. */
  #have = 0;
  /** The frame's length, once it is known. */
  #need = -1;
  #bytes = new Uint8Array(0);
  #at = 0;

  /** The next piece of the stream; all of the one before must have been read. */
  feed(bytes: Uint8Array): void {
    this.#bytes = bytes as Uint8Array<ArrayBuffer>;
    this.#at = 0;
  }

  /**
   * The next frame, which is valid until the next call; undefined: the next
   * piece is needed. Frames that no card can have are left out. Throws a
   * `FramingError`, after which nothing more can be read.
   */
  next(): Uint8Array | undefined {
    const bytes = this.#bytes;
    while (this.#at < bytes.length) {
      if (this.#need < 0) {
        this.#take(this.#lengthBytes, LENGTH_BYTES);
        if (this.#have < LENGTH_BYTES) return undefined;
        this.#need = this.#length.getUint32(0);
        this.#have = 0;
        if (this.#need > MAX_LENGTH) {
          throw new FramingError(
            `a frame of ${this.#need} bytes, expected ${MAX_LENGTH} at most`,
          );
        }
      }
      const need = this.#need;
      let frame: Uint8Array;
      if (this.#have === 0 && bytes.length - this.#at >= need) {
        frame = bytes.subarray(this.#at, this.#at += need);
      } else {
        this.#take(this.#frame, need);
        if (this.#have < need) return undefined;
        frame = this.#frame.subarray(0, need);
      }
      this.#need = -1;
      this.#have = 0;
      if (isFrameLength(need)) return frame;
    }
    return undefined;
  }

  /** Copy what is there of what is needed. */
  #take(into: Uint8Array, need: number): void {
    const count = Math.min(need - this.#have, this.#bytes.length - this.#at);
    into.set(this.#bytes.subarray(this.#at, this.#at + count), this.#have);
    this.#at += count;
    this.#have += count;
  }
}
