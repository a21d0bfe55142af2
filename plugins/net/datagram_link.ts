/**
 * A link to a peer over UDP: each datagram is a frame, as with QEMU's
 * `-netdev dgram`.
 *
 * @module
 */

// Deno.listenDatagram is unstable; this is not.
import { createSocket, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import type { NetBackend, NetCard } from "../../core/backend/net.ts";
import type { Logger } from "../../core/machine/plugin.ts";
import { formatHostPort, type HostPort } from "./address.ts";
import { Delivery } from "./delivery.ts";
import { isFrameLength } from "./frames.ts";
import { OwnAddress } from "./own_address.ts";
import { SocketNetError } from "./socket_link.ts";

/** Where a link's two ends are. */
export interface DatagramLinkOptions {
  /** Where frames go. */
  readonly remote: HostPort;
  /** Where they come in. */
  readonly local: HostPort;
  /** Gets the link's messages. */
  readonly log: Pick<Logger, "warn">;
}

/** The most bytes of a datagram over IPv4. */
const MAX_DATAGRAM = 65507;
/** Datagrams that may be on their way to the host's network. */
const MAX_SENDING = 256;

/** The link. */
export class DatagramLink implements NetBackend {
  /** Frames go out as they are to be on the wire. */
  readonly offload = false;
  readonly #socket: Socket;
  readonly #remote: HostPort;
  readonly #delivery = new Delivery();
  readonly #address: OwnAddress;
  #sending = 0;
  #closed: Promise<void> | undefined;

  private constructor(
    socket: Socket,
    remote: HostPort,
    options: DatagramLinkOptions,
  ) {
    this.#socket = socket;
    this.#remote = remote;
    this.#address = new OwnAddress((message) => options.log.warn(message));
    socket.on("message", (bytes, { address, port }) => {
      // What others send is not of this link.
      if (port !== remote.port || address !== remote.hostname) return;
      // Datagrams do not wait: what the card has no room for is lost.
      if (!isFrameLength(bytes.length)) return;
      // A Buffer has other methods by the same names.
      const { buffer, byteOffset, length } = bytes;
      const frame = new Uint8Array(buffer, byteOffset, length);
      this.#address.hears(frame);
      this.#delivery.offer(frame);
    });
    let failed = false;
    socket.on("error", (error) => {
      if (!failed && this.#closed === undefined) {
        options.log.warn(`UDP: ${error.message}`);
      }
      failed = true;
    });
  }

  /** Open the link's end. */
  static async open(options: DatagramLinkOptions): Promise<DatagramLink> {
    const { local, remote } = options;
    const family = local.hostname.includes(":") ? 6 : 4;
    const socket = createSocket(`udp${family}`);
    let address: string;
    try {
      // Once, and not for each frame.
      address = (await lookup(remote.hostname, { family })).address;
    } catch (cause) {
      socket.close();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SocketNetError(
        `Cannot send to ${formatHostPort(remote)}: ${reason}`,
        { cause },
      );
    }
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind(local.port, local.hostname, () => {
          socket.off("error", reject);
          resolve();
        });
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SocketNetError(
        `Cannot open UDP port ${formatHostPort(local)}: ${reason}`,
        { cause },
      );
    }
    const to = { hostname: address, port: remote.port };
    return new DatagramLink(socket, to, options);
  }

  /** The port where frames come in: of use when 0 was asked for. */
  get port(): number {
    return this.#socket.address().port;
  }

  /** See `NetBackend.attach`. */
  attach(card: NetCard): void {
    this.#delivery.attach(card);
  }

  /** See `NetBackend.send`. */
  send(frame: Uint8Array): void {
    const { length } = frame;
    if (!isFrameLength(length) || length > MAX_DATAGRAM) return;
    if (this.#closed !== undefined || this.#sending >= MAX_SENDING) return;
    this.#sending++;
    this.#address.sends(frame);
    const { port, hostname } = this.#remote;
    this.#socket.send(frame.slice(), port, hostname, () => {
      // An error is a frame that was lost, as when nobody listens there.
      this.#sending--;
    });
  }

  /** See `NetBackend.ready`. */
  ready(): void {
    this.#delivery.ready();
  }

  /** See `NetBackend.close`. */
  close(): Promise<void> {
    this.#delivery.close();
    return this.#closed ??= new Promise((resolve) =>
      this.#socket.close(() => resolve())
    );
  }
}
