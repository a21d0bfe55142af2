/**
 * A connection with gdb: bytes to packets and back, in order.
 *
 * While the guest runs for a client, what it sends is kept, and only an
 * interrupt is heard at once.
 *
 * @module
 */

import { within } from "../../backend/within.ts";
import {
  ACK,
  type ClientEvent,
  encodePacket,
  NACK,
  PacketReader,
} from "./packet.ts";
import type { Seat } from "./seat.ts";
import { Session } from "./session.ts";

/** A stream of bytes to a client. */
export interface GdbStream {
  /** Bytes that have come; null at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /** Send some of these bytes, and give back how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Hang up. */
  close(): void;
}

/** Bytes of one read. */
const READ_SIZE = 0x4000;
/**
 * What may wait while the guest runs or an answer is on its way: gdb sends a
 * packet when it has the last one's answer.
 */
const MAX_WAITING = 64;
/** Milliseconds that a client has to hear of the end. */
const CLOSE_MS = 500;

/** A client. */
export class GdbConnection {
  readonly #stream: GdbStream;
  readonly #session: Session;
  readonly #reader = new PacketReader();
  readonly #waiting: { event: ClientEvent; isInterrupted: boolean }[] = [];
  #working: Promise<void> | undefined;
  #last: Uint8Array = new Uint8Array(0);
  /** Sending, one after another. */
  #sending: Promise<void> = Promise.resolve();
  #isClosed = false;

  /** A client at this stream, who takes the seat with its first packet. */
  constructor(stream: GdbStream, seat: Seat) {
    this.#stream = stream;
    this.#session = new Session(seat, (packet) => this.#send(packet));
  }

  /** Serve the client until it goes. */
  async serve(): Promise<void> {
    const buffer = new Uint8Array(READ_SIZE);
    try {
      for (;;) {
        const count = await this.#stream.read(buffer);
        if (count === null) break;
        for (const event of this.#reader.push(buffer.subarray(0, count))) {
          if (!this.#take(event)) return;
        }
      }
    } catch {
      // The connection is lost, as after its end.
    } finally {
      this.#end();
    }
  }

  /** Hang up; a client that waits for the guest is told that it is gone. */
  async close(status: number): Promise<void> {
    // It may not listen.
    await within(CLOSE_MS, this.#tellEnd(status));
    this.#end();
  }

  async #tellEnd(status: number): Promise<void> {
    // An answer that is due goes first.
    await new Promise((resolve) => setTimeout(resolve));
    if (!this.#session.isRunning) return await this.#working;
    if (this.#isClosed) return;
    const gone = `W${(status & 0xff).toString(16).padStart(2, "0")}`;
    await this.#send(gone).catch(() => {});
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#waiting.length = 0;
    try {
      this.#stream.close();
    } catch {
      // It is closed.
    }
  }

  /** What a client sends; false where it is to be hung up on. */
  #take(event: ClientEvent): boolean {
    if (event.kind === "interrupt") {
      // It is for the packet before it.
      const last = this.#waiting.at(-1);
      if (last !== undefined) last.isInterrupted = true;
      else if (this.#working !== undefined) this.#session.interrupt();
      return true;
    }
    if (this.#waiting.length >= MAX_WAITING) return false;
    this.#waiting.push({ event, isInterrupted: false });
    this.#working ??= this.#work();
    return true;
  }

  async #work(): Promise<void> {
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next === undefined || this.#isClosed) return;
        await this.#answer(next.event, next.isInterrupted);
      }
    } catch {
      // What it was to be told could not be sent: it is gone.
      this.#end();
    } finally {
      this.#working = undefined;
    }
  }

  async #answer(event: ClientEvent, isInterrupted: boolean): Promise<void> {
    const session = this.#session;
    if (event.kind === "again") {
      if (this.#last.length > 0) await this.#write(this.#last);
      return;
    }
    if (event.kind !== "packet") {
      // Without acknowledgements there is no way to ask for it again.
      if (!session.isQuiet) await this.#write(NACK);
      return;
    }
    if (!session.isQuiet) await this.#write(ACK);
    const answer = session.handle(event.data);
    if (isInterrupted) session.interrupt();
    const reply = await answer;
    if (reply !== undefined && !this.#isClosed) await this.#send(reply);
  }

  async #send(packet: string): Promise<void> {
    this.#last = encodePacket(packet);
    await this.#write(this.#last);
  }

  #write(bytes: Uint8Array): Promise<void> {
    const sent = this.#sending.then(async () => {
      for (let done = 0; done < bytes.length;) {
        done += await this.#stream.write(bytes.subarray(done));
      }
    });
    this.#sending = sent.catch(() => {});
    return sent;
  }
}
