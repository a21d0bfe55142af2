/**
 * A link to one peer over a stream: waits for it or goes to it, again and again
 * as long as the link is open.
 *
 * A peer that does not take frames as fast as they are sent loses some, as on
 * Ethernet. One that sends more than the card takes has to wait, which TCP
 * tells it.
 *
 * @module
 */

import { AcceptLoop, keepLively } from "../../core/backend/accept_loop.ts";
import type { NetBackend, NetCard } from "../../core/backend/net.ts";
import { RecordWriter } from "../../core/backend/record_writer.ts";
import {
  listenAt,
  type SocketListener,
} from "../../core/backend/socket_place.ts";
import { within } from "../../core/backend/within.ts";
import type { Logger } from "../../core/machine/plugin.ts";
import { formatHostPort, type HostPort } from "./address.ts";
import { Delivery } from "./delivery.ts";
import {
  FrameReader,
  FramingError,
  isFrameLength,
  LENGTH_BYTES,
} from "./frames.ts";
import { OwnAddress } from "./own_address.ts";

/** Where the peer is. */
export type StreamPlace = HostPort | { readonly path: string };

/** How to reach the peer. */
export interface StreamLinkOptions {
  /** Where it is, or where it is waited for. */
  readonly place: StreamPlace;
  /** Wait for it rather than go to it. */
  readonly listen: boolean;
  /** After so many milliseconds it is tried again; 0: it is not. */
  readonly reconnect: number;
  /** Gets the link's messages. */
  readonly log: Pick<Logger, "warn">;
}

/** A link that cannot be had. */
export class SocketNetError extends Error {
  /** The name of the error's class. */
  override readonly name = "SocketNetError";
}

/** Bytes of one read: many frames. */
const READ_BYTES = 128 * 1024;
/** For so many milliseconds a peer may take the last frames. */
const LAST_MS = 500;
/** What may wait for the peer: twice what QEMU's kernel takes for it. */
const QUEUE_BYTES = 1 << 20;

type Connection = Deno.TcpConn | Deno.UnixConn;

/** The link. */
export class StreamLink implements NetBackend {
  /** Frames go out as they are to be on the wire. */
  readonly offload = false;
  readonly #options: StreamLinkOptions;
  readonly #name: string;
  readonly #delivery = new Delivery();
  readonly #address: OwnAddress;
  readonly #length = new DataView(new ArrayBuffer(LENGTH_BYTES));
  readonly #lengthBytes = new Uint8Array(this.#length.buffer);
  #listener: SocketListener | undefined;
  #accepting: AcceptLoop<Connection> | undefined;
  #connection: Connection | undefined;
  #writer: RecordWriter | undefined;
  #closed = false;
  readonly #closing = Promise.withResolvers<void>();
  #work: Promise<void> = Promise.resolve();
  #malformed = false;

  private constructor(options: StreamLinkOptions) {
    this.#options = options;
    this.#name = placeName(options.place);
    this.#address = new OwnAddress((message) => this.#warn(message));
  }

  /** Begin to wait for the peer, or to go to it. */
  static async open(options: StreamLinkOptions): Promise<StreamLink> {
    const link = new StreamLink(options);
    if (options.listen) {
      link.#accept(await listen(options.place));
    } else {
      link.#work = link.#connect();
    }
    return link;
  }

  /** The port that it listens on: of use when 0 was asked for. */
  get port(): number | undefined {
    const addr = this.#listener?.addr;
    return addr?.transport === "tcp" ? addr.port : undefined;
  }

  /** Whether there is a peer now. */
  get connected(): boolean {
    return this.#writer !== undefined;
  }

  /** See `NetBackend.attach`. */
  attach(card: NetCard): void {
    this.#delivery.attach(card);
  }

  /** See `NetBackend.send`. Without a peer the frame is lost. */
  send(frame: Uint8Array): void {
    if (this.#writer === undefined || !isFrameLength(frame.length)) return;
    this.#address.sends(frame);
    this.#length.setUint32(0, frame.length);
    this.#writer.push(this.#lengthBytes, frame);
  }

  /** See `NetBackend.ready`. */
  ready(): void {
    this.#delivery.ready();
  }

  /** See `NetBackend.close`. */
  async close(): Promise<void> {
    if (!this.#closed) await this.#leave();
    await Promise.all([this.#accepting?.close(), this.#work]);
  }

  async #leave(): Promise<void> {
    this.#closed = true;
    this.#delivery.close();
    this.#closing.resolve();
    void this.#accepting?.close();
    // A guest's last words, as that it closes its connections.
    const writer = this.#writer;
    this.#writer = undefined;
    if (writer !== undefined) await within(LAST_MS, writer.flush());
    this.#hangUp(this.#connection);
  }

  #accept(listener: SocketListener): void {
    this.#listener = listener;
    this.#accepting = new AcceptLoop<Connection>(listener, {
      serve: (connection) => this.#serve(connection),
      refused: (error) =>
        this.#warn(
          `no peer can be accepted at ${this.#name} for now: ${reason(error)}`,
        ),
    });
  }

  async #connect(): Promise<void> {
    const { place, reconnect } = this.#options;
    let silent = false;
    while (!this.#closed) {
      try {
        const connection = await this.#dial(place);
        if (connection === undefined) return;
        silent = false;
        await this.#serve(connection);
      } catch (error) {
        const again = reconnect > 0 ? "; it is tried again" : "";
        if (!silent) {
          this.#warn(
            `cannot connect to ${this.#name}: ${reason(error)}${again}`,
          );
        }
        silent = true;
      }
      if (reconnect === 0) return;
      await this.#pause(reconnect);
    }
  }

  /** Exchange frames with a peer until it goes. */
  async #serve(connection: Connection): Promise<void> {
    if (this.#closed) return connection.close();
    this.#connection = connection;
    keepLively(connection);
    this.#writer = new RecordWriter(
      (bytes) => connection.write(bytes),
      QUEUE_BYTES,
      // The reading side says it when a peer goes.
      () => this.#hangUp(connection),
    );
    const reader = new FrameReader();
    const buffer = new Uint8Array(READ_BYTES);
    try {
      for (;;) {
        const count = await connection.read(buffer);
        if (count === null || this.#connection !== connection) break;
        reader.feed(buffer.subarray(0, count));
        for (;;) {
          const frame = reader.next();
          if (frame === undefined) break;
          this.#address.hears(frame);
          while (!this.#delivery.offer(frame) && !this.#closed) {
            await this.#delivery.room;
          }
        }
      }
    } catch (error) {
      if (error instanceof FramingError) {
        // Once, however often a peer that speaks another language comes.
        if (!this.#malformed) {
          this.#warn(`hung up on the peer at ${this.#name}: ${error.message}`);
        }
        this.#malformed = true;
      } else if (this.#connection === connection) {
        this.#warn(`the peer at ${this.#name} is lost: ${reason(error)}`);
      }
    } finally {
      this.#hangUp(connection);
    }
  }

  #hangUp(connection: Connection | undefined): void {
    if (connection === undefined || this.#connection !== connection) return;
    this.#connection = undefined;
    this.#writer = undefined;
    connection.close();
  }

  /** A connection; undefined when the link was closed before there was one. */
  async #dial(place: StreamPlace): Promise<Connection | undefined> {
    const dialing = dial(place);
    // A host that does not answer may take minutes.
    const first = await Promise.race([dialing, this.#closing.promise]);
    if (first !== undefined) return first;
    dialing.then((connection) => connection.close(), () => {});
    return undefined;
  }

  #pause(milliseconds: number): Promise<void> {
    return within(milliseconds, this.#closing.promise);
  }

  #warn(message: string): void {
    if (!this.#closed) this.#options.log.warn(message);
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function placeName(place: StreamPlace): string {
  return "path" in place ? place.path : formatHostPort(place);
}

function dial(place: StreamPlace): Promise<Connection> {
  return "path" in place
    ? Deno.connect({ transport: "unix", path: place.path })
    : Deno.connect({ hostname: place.hostname, port: place.port });
}

/** Begin to listen. */
async function listen(place: StreamPlace): Promise<SocketListener> {
  try {
    return await listenAt(
      "path" in place ? place : { host: place.hostname, port: place.port },
    );
  } catch (cause) {
    throw new SocketNetError(
      `Cannot listen at ${placeName(place)}: ${reason(cause)}`,
      { cause },
    );
  }
}
