/**
 * A page's socket as a stream of bytes, which is what RFB is spoken on.
 *
 * @module
 */

import type { PageSocket } from "./socket.ts";

/** Bytes that may wait to be read; who sends more is hung up. */
const UNREAD_LIMIT = 262144;
/** Bytes of the longest message that is sent. */
const MESSAGE_BYTES = 65536;
/** RFC 6455, section 7.4.1. */
const CLOSE_POLICY = 1008;

/** A stream over a socket. */
export class SocketStream {
  readonly #page: PageSocket;
  #unread: Uint8Array[] = [];
  #bytes = 0;
  #wake: () => void = () => {};

  /** A stream over a socket whose messages `take` gets. */
  constructor(page: PageSocket) {
    this.#page = page;
  }

  /** A message came. */
  take(message: Uint8Array): void {
    this.#bytes += message.length;
    if (this.#bytes > UNREAD_LIMIT) {
      this.#page.close(CLOSE_POLICY, "more came than can be answered");
      return;
    }
    if (message.length > 0) this.#unread.push(message);
    this.#wake();
  }

  /** The socket is closed. */
  end(): void {
    this.#unread = [];
    this.#wake();
  }

  /** Take what has come, as much as fits, and wait for it; null at the end. */
  async read(into: Uint8Array): Promise<number | null> {
    while (this.#unread.length === 0) {
      if (!this.#page.open) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    const [first] = this.#unread;
    const part = first.subarray(0, into.length);
    into.set(part);
    if (part.length === first.length) this.#unread.shift();
    else this.#unread[0] = first.subarray(part.length);
    this.#bytes -= part.length;
    return part.length;
  }

  /**
   * Send some of the bytes when there is room for them; gives back how many.
   * Throws `Deno.errors.BrokenPipe` when the socket is closed.
   */
  async write(bytes: Uint8Array): Promise<number> {
    await this.#page.room();
    if (!this.#page.open) throw new Deno.errors.BrokenPipe("the page is gone");
    const part = bytes.slice(0, MESSAGE_BYTES);
    this.#page.send(part);
    return part.length;
  }

  /** Hang up. */
  close(): void {
    this.#page.close();
  }
}
