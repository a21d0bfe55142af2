/**
 * Messages of known length from a stream.
 *
 * @module
 */

/** A connection to a viewer, whatever carries it. */
export interface RfbConnection {
  /** Bytes that have come; null at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Send some of these bytes; gives back how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Hang up; what is under way fails. */
  close(): void;
}

/** The connection has ended. */
export class ConnectionEnd extends Error {
  /** The name of the error's class. */
  override readonly name = "ConnectionEnd";
}

/** Bytes of one read; no message that is taken at once is longer. */
const BUFFER = 4096;

/** Reads a connection. */
export class ByteReader {
  readonly #connection: Pick<RfbConnection, "read">;
  readonly #buffer = new Uint8Array(BUFFER);
  readonly #view = new DataView(this.#buffer.buffer);
  #start = 0;
  #end = 0;

  /** A reader of a connection that nobody else reads. */
  constructor(connection: Pick<RfbConnection, "read">) {
    this.#connection = connection;
  }

  async #fill(length: number): Promise<void> {
    if (this.#start + length > BUFFER) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    while (this.#end - this.#start < length) {
      const room = this.#buffer.subarray(this.#end);
      const got = await this.#connection.read(room);
      if (got === null) throw new ConnectionEnd("the viewer has gone");
      this.#end += got;
    }
  }

  /**
   * The next `length` bytes, at most 4096; they stay as they are until the
   * next call. Throws `ConnectionEnd` when they do not come.
   */
  async take(length: number): Promise<DataView> {
    if (this.#end - this.#start < length) await this.#fill(length);
    const at = this.#start;
    this.#start += length;
    return new DataView(this.#view.buffer, at, length);
  }

  /** The next byte. */
  async byte(): Promise<number> {
    return (await this.take(1)).getUint8(0);
  }

  /** Leave out so many bytes. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0;) {
      const part = Math.min(left, BUFFER);
      await this.take(part);
      left -= part;
    }
  }
}
