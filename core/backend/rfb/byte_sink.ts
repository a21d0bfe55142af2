/**
 * Bytes that are put together to be sent, big-endian as RFB has them.
 *
 * @module
 */

/** A buffer that grows. */
export class ByteSink {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  /** A sink with room for so many bytes at first. */
  constructor(room = 256) {
    this.#bytes = new Uint8Array(room);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** How many bytes there are. */
  get length(): number {
    return this.#length;
  }

  /** Place for so many bytes more: where they begin. */
  reserve(count: number): number {
    const at = this.#length;
    const needed = at + count;
    if (needed > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
      bytes.set(this.#bytes.subarray(0, at));
      this.#bytes = bytes;
      this.#view = new DataView(bytes.buffer);
    }
    this.#length = needed;
    return at;
  }

  /** Forget all bytes from `length` on. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** The buffer; valid until the next byte is added. */
  get buffer(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** What is in it; valid until the next byte is added. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Add a byte. */
  u8(value: number): void {
    const at = this.reserve(1);
    this.#bytes[at] = value;
  }

  /** Add 16 bits. */
  u16(value: number): void {
    const at = this.reserve(2);
    this.#view.setUint16(at, value);
  }

  /** Add 32 bits, signed or not. */
  u32(value: number): void {
    const at = this.reserve(4);
    this.#view.setUint32(at, value);
  }

  /** Add bytes. */
  add(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** Add the length of a text and the text, in Latin-1. */
  text(text: string): void {
    this.u32(text.length);
    for (let i = 0; i < text.length; i++) this.u8(text.charCodeAt(i));
  }
}
