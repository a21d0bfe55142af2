/**
 * The viewer's end of the wire, byte by byte: for what no viewer does.
 *
 * @module
 */

import {
  ByteReader,
  ConnectionEnd,
} from "../../core/backend/rfb/byte_reader.ts";
import { ByteSink } from "../../core/backend/rfb/byte_sink.ts";
import { within } from "../limit.ts";

/** A connection to the server. */
export class WireViewer {
  readonly #connection: Deno.TcpConn;
  readonly reader: ByteReader;
  /** The screen's size, as ServerInit tells it. */
  width = 0;
  /** See `width`. */
  height = 0;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.reader = new ByteReader({
      read: (into) => within("what the server sends", connection.read(into)),
    });
  }

  /** Connect and say nothing. */
  static async connect(port: number): Promise<WireViewer> {
    const hostname = "127.0.0.1";
    return new WireViewer(await Deno.connect({ hostname, port }));
  }

  /** Connect without a password, up to and with ServerInit. */
  static async begin(
    port: number,
    version = "RFB 003.008\n",
  ): Promise<WireViewer> {
    const viewer = await WireViewer.connect(port);
    await viewer.text(12);
    await viewer.send(new TextEncoder().encode(version));
    if (version === "RFB 003.003\n") {
      await viewer.reader.take(4);
    } else {
      await viewer.reader.take(2);
      await viewer.send([1]);
    }
    if (version === "RFB 003.008\n") await viewer.reader.take(4);
    await viewer.send([1]);
    const init = await viewer.reader.take(24);
    viewer.width = init.getUint16(0);
    viewer.height = init.getUint16(2);
    await viewer.text(init.getUint32(20));
    return viewer;
  }

  /** The next bytes as text. */
  async text(length: number): Promise<string> {
    return new TextDecoder("latin1").decode(await this.reader.take(length));
  }

  /** Send bytes; gives back whether the server still takes them. */
  async send(bytes: Iterable<number>): Promise<boolean> {
    const all = Uint8Array.from(bytes);
    try {
      for (let at = 0; at < all.length;) {
        at += await within(
          "the server taking what is sent",
          this.#connection.write(all.subarray(at)),
        );
      }
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.BadResource) throw error;
      return false;
    }
  }

  /** Send a message of 8-, 16- and 32-bit parts, as `"u8"` and a value. */
  async message(...parts: ["u8" | "u16" | "u32", number][]): Promise<boolean> {
    const sink = new ByteSink();
    for (const [kind, value] of parts) sink[kind](value);
    return await this.send(sink.bytes);
  }

  /** The pointer is somewhere, and these buttons are down. */
  async pointer(x: number, y: number, mask: number): Promise<boolean> {
    return await this.message(
      ["u8", 5],
      ["u8", mask],
      ["u16", x],
      ["u16", y],
    );
  }

  /** Ask for a part of the screen. */
  async request(
    incremental: boolean,
    area: { x: number; y: number; width: number; height: number },
  ): Promise<boolean> {
    return await this.message(
      ["u8", 3],
      ["u8", incremental ? 1 : 0],
      ["u16", area.x],
      ["u16", area.y],
      ["u16", area.width],
      ["u16", area.height],
    );
  }

  /** Resolves when the server has hung up; what it sends until then is lost. */
  async ended(): Promise<void> {
    try {
      for (;;) await this.reader.take(1);
    } catch (error) {
      const gone = error instanceof ConnectionEnd ||
        error instanceof Deno.errors.ConnectionReset;
      if (!gone) throw error;
    }
  }

  /** No more will be sent. */
  async finish(): Promise<void> {
    try {
      await this.#connection.closeWrite();
    } catch {
      // The server has hung up already.
    }
  }

  /** Hang up. */
  close(): void {
    this.#connection.close();
  }
}
