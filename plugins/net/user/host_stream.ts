/**
 * Carries bytes between a connection of the guest's and one of the host's, with
 * the pace of the slower, and each direction's end for itself.
 *
 * @module
 */

import type { HostSocket } from "./host.ts";
import type { TcpConnection } from "./tcp/connection.ts";
import type { TcpApplication } from "./tcp/contract.ts";

/** Wakes who waits. */
export class Signal {
  #wake: (() => void) | undefined;
  #raised = false;

  /** Wake who waits, or who waits next. */
  raise(): void {
    const wake = this.#wake;
    if (wake === undefined) this.#raised = true;
    else {
      this.#wake = undefined;
      wake();
    }
  }

  /** Wait until it is raised. */
  wait(): Promise<void> {
    if (this.#raised) {
      this.#raised = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => this.#wake = resolve);
  }
}

/** Both ends of a connection. */
export class HostStream implements TcpApplication {
  readonly #socket: HostSocket;
  #connection: TcpConnection | undefined;
  readonly #readable = new Signal();
  readonly #writable = new Signal();
  #ended = false;

  /** The host's end; the guest's comes with `start`. */
  constructor(socket: HostSocket) {
    this.#socket = socket;
  }

  /** The guest's end, which is connecting. */
  start(connection: TcpConnection): void {
    this.#connection = connection;
  }

  /** See `TcpApplication`. */
  opened(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    void this.#toHost(connection).catch(this.#failed);
    void this.#toGuest(connection).catch(this.#failed);
  }

  /** See `TcpApplication`. */
  readable(): void {
    this.#readable.raise();
  }

  /** See `TcpApplication`. */
  writable(): void {
    // Much at a time: a read costs more than a wait.
    const outgoing = this.#connection?.outgoing;
    if (outgoing === undefined || outgoing.length * 4 > outgoing.capacity * 3) {
      return;
    }
    this.#writable.raise();
  }

  /** See `TcpApplication`. */
  ended(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#readable.raise();
    this.#writable.raise();
    this.#socket.close();
  }

  /** The host's end has failed. */
  readonly #failed = (): void => {
    if (!this.#ended) this.#connection?.fail();
  };

  async #toHost(connection: TcpConnection): Promise<void> {
    while (!this.#ended) {
      const bytes = connection.received();
      if (bytes.length > 0) {
        connection.consume(await this.#socket.write(bytes));
      } else if (connection.finished) {
        await this.#socket.closeWrite();
        return;
      } else await this.#readable.wait();
    }
  }

  async #toGuest(connection: TcpConnection): Promise<void> {
    while (!this.#ended) {
      const room = connection.room();
      if (room.length === 0) {
        await this.#writable.wait();
        continue;
      }
      const length = await this.#socket.read(room);
      if (length === null) {
        connection.finish();
        return;
      }
      connection.produced(length);
    }
  }
}
