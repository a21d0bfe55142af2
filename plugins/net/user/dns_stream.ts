/**
 * DNS over TCP: messages with their length before them (RFC 7766).
 *
 * @module
 */

import { DNS_TCP_LENGTH, type DnsServer } from "./dns.ts";
import { Signal } from "./host_stream.ts";
import { get16 } from "./pdu/bytes.ts";
import type { TcpConnection } from "./tcp/connection.ts";
import type { TcpApplication } from "./tcp/contract.ts";

/** A connection to the name server, which answers one question at a time. */
export class DnsStream implements TcpApplication {
  readonly #server: DnsServer;
  readonly #connection: TcpConnection;
  readonly #readable = new Signal();
  readonly #writable = new Signal();
  #ended = false;

  /** Serve a connection. */
  constructor(server: DnsServer, connection: TcpConnection) {
    this.#server = server;
    this.#connection = connection;
  }

  /** See `TcpApplication`. */
  opened(): void {
    void this.#serve();
  }

  /** See `TcpApplication`. */
  readable(): void {
    this.#readable.raise();
  }

  /** See `TcpApplication`. */
  writable(): void {
    this.#writable.raise();
  }

  /** See `TcpApplication`. */
  ended(): void {
    this.#ended = true;
    this.#readable.raise();
    this.#writable.raise();
  }

  async #serve(): Promise<void> {
    const prefix = new Uint8Array(2);
    while (await this.#read(prefix)) {
      const message = new Uint8Array(get16(prefix, 0));
      if (!await this.#read(message)) break;
      const answer = await this.#server.answer(message, true);
      if (answer === undefined || answer.length > DNS_TCP_LENGTH) continue;
      await this.#write(
        new Uint8Array([answer.length >>> 8, answer.length & 255, ...answer]),
      );
    }
    this.#connection.finish();
  }

  /** Fill the bytes; false when no more come. */
  async #read(into: Uint8Array): Promise<boolean> {
    for (let at = 0; at < into.length;) {
      if (this.#ended) return false;
      const bytes = this.#connection.received();
      if (bytes.length > 0) {
        const part = bytes.subarray(0, into.length - at);
        into.set(part, at);
        at += part.length;
        this.#connection.consume(part.length);
      } else if (this.#connection.finished) return false;
      else await this.#readable.wait();
    }
    return true;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#ended;) {
      const room = this.#connection.room();
      const part = bytes.subarray(at, at + room.length);
      room.set(part);
      at += part.length;
      this.#connection.produced(part.length);
      if (part.length === 0) await this.#writable.wait();
    }
  }
}
