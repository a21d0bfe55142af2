/**
 * A WebSocket to a browser that may send anything and need not read.
 *
 * What is too long is known when all of it is there, and Deno 2.9.6 bounds a
 * frame (64 MiB) but not a message of many (denoland/fastwebsockets, issue 100):
 * until it does, whoever is let in can fill this process's memory.
 *
 * @module
 */

import type { PeerAddress } from "../../../core/backend/display.ts";

/** Bytes of the longest message that is taken. */
const MESSAGE_LIMIT = 65536;
/** Bytes on their way to the browser from which on it is waited for. */
export const WINDOW_BYTES = 262144;
/** Milliseconds between two looks at how many are still on their way. */
const POLL_MS = 10;
/** Milliseconds after which a browser that takes nothing is given up. */
const STALL_MS = 2000;
/** Close codes of RFC 6455, section 7.4.1. */
const CLOSE_NORMAL = 1000;
const CLOSE_POLICY = 1008;
const CLOSE_TOO_BIG = 1009;

/** What a socket's owner is told. */
export interface SocketEvents {
  /** A message came; text as UTF-8. */
  message(bytes: Uint8Array): void;
  /** It is closed, whoever did it; called once. */
  closed(): void;
}

/** A socket whose messages and whose backlog are bounded. */
export class PageSocket {
  /** Where the browser is. */
  readonly peer: PeerAddress;
  readonly #socket: WebSocket;
  #events: SocketEvents | undefined;
  readonly #waiting: (() => void)[] = [];
  #poll: ReturnType<typeof setTimeout> | undefined;
  #backlog = 0;
  #stalled = 0;
  #closed = false;

  /** Take over an open socket; `listen` must follow at once. */
  constructor(socket: WebSocket, { hostname, port }: Deno.NetAddr) {
    this.peer = { host: hostname, port, isWebSocket: true };
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => this.#gone();
    // A broken connection; what closes it follows, or has come.
    socket.onerror = () => this.close();
  }

  /** Say who is told what happens. */
  listen(events: SocketEvents): void {
    this.#events = events;
  }

  /** Whether messages can be sent. */
  get open(): boolean {
    return !this.#closed;
  }

  /** The browser is behind: wait for `room` before more is sent. */
  get full(): boolean {
    return this.#socket.bufferedAmount >= WINDOW_BYTES;
  }

  #receive(data: string | ArrayBuffer): void {
    if (this.#closed) return;
    const bytes = typeof data === "string"
      ? new TextEncoder().encode(data)
      : new Uint8Array(data);
    if (bytes.length > MESSAGE_LIMIT) {
      this.close(CLOSE_TOO_BIG, "the message is too long");
    } else this.#events?.message(bytes);
  }

  /** Send a message; nothing when the socket is closed or about to be. */
  send(message: Uint8Array<ArrayBuffer> | string): void {
    // While it closes Deno's `send` throws.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(message);
  }

  /**
   * Resolves when there is room for more, or when the socket is closed, as it
   * is when nothing gets through for `STALL_MS`.
   */
  room(): Promise<void> {
    if (this.#closed || !this.full) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#poll !== undefined) return;
      this.#backlog = this.#socket.bufferedAmount;
      this.#stalled = 0;
      this.#poll = setTimeout(() => this.#look(), POLL_MS);
    });
  }

  #look(): void {
    this.#poll = undefined;
    const { bufferedAmount } = this.#socket;
    this.#stalled = bufferedAmount < this.#backlog
      ? 0
      : this.#stalled + POLL_MS;
    this.#backlog = bufferedAmount;
    if (!this.full) this.#release();
    else if (this.#stalled >= STALL_MS) {
      this.close(CLOSE_POLICY, "nothing is read");
    } else this.#poll = setTimeout(() => this.#look(), POLL_MS);
  }

  #release(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Close it; what was sent before still arrives. */
  close(code = CLOSE_NORMAL, reason = ""): void {
    if (this.#closed) return;
    if (this.#socket.readyState === WebSocket.OPEN) {
      this.#socket.close(code, reason);
    }
    this.#gone();
  }

  #gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#poll);
    this.#release();
    this.#events?.closed();
  }
}
