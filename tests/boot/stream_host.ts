/**
 * A host at 127.0.0.1 with which a guest exchanges long streams: by HTTP it
 * gives one, and what comes to its other port it sums. The stream is a block of
 * random bytes again and again, each time after a line with its number, so that
 * a guest can make it, too, and what is lost, comes twice or elsewhere is noticed.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";

/** Bytes of a block. */
const BLOCK_BYTES = 1 << 20;
/** Bytes of one read. */
const READ_BYTES = 1 << 20;

/** A stream that has passed. */
export interface Passage {
  /** Its direction, as the guest sees it. */
  readonly what: "download" | "upload";
  /** Bytes, headers not counted. */
  readonly bytes: number;
  /** From the first to the last, in seconds of the host's clock. */
  readonly seconds: number;
}

/** The host. */
export class StreamHost {
  /** How the streams went, in the order in which they ended. */
  readonly passages: Passage[] = [];
  /** What went wrong. */
  readonly errors: unknown[] = [];
  readonly #blocks: number;
  readonly #block = new Uint8Array(BLOCK_BYTES);
  readonly #http = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #upload = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.TcpConn>();
  /** The SHA-256 of the stream, and of a block. */
  readonly sum: string;
  readonly blockSum: string;
  readonly #length: number;

  /** A host whose stream has so many blocks. */
  constructor(blocks: number) {
    this.#blocks = blocks;
    for (let at = 0; at < BLOCK_BYTES; at += 65536) {
      crypto.getRandomValues(this.#block.subarray(at, at + 65536));
    }
    this.blockSum = createHash("sha256").update(this.#block).digest("hex");
    const hash = createHash("sha256");
    let length = 0;
    for (let i = 1; i <= blocks; i++) {
      const number = this.#number(i);
      hash.update(number).update(this.#block);
      length += number.length + BLOCK_BYTES;
    }
    this.#length = length;
    this.sum = hash.digest("hex");
    void this.#serve(this.#http, (connection) => this.#give(connection));
    void this.#serve(this.#upload, (connection) => this.#take(connection));
  }

  /** The port of the HTTP server: `/stream` and `/block`. */
  get port(): number {
    return this.#http.addr.port;
  }

  /** The port that answers all that comes with its SHA-256. */
  get uploadPort(): number {
    return this.#upload.addr.port;
  }

  /** In a guest's shell: makes the stream of the file `block`. */
  get script(): string {
    return `i=1
while [ $i -le ${this.#blocks} ]; do echo $i; cat block; i=$((i + 1)); done`;
  }

  #number(index: number): Uint8Array {
    return new TextEncoder().encode(`${index}\n`);
  }

  async #serve(
    listener: Deno.TcpListener,
    talk: (connection: Deno.TcpConn) => Promise<void>,
  ): Promise<void> {
    for await (const connection of listener) {
      this.#open.add(connection);
      talk(connection).catch((error) => this.errors.push(error))
        .finally(() => {
          if (this.#open.delete(connection)) connection.close();
        });
    }
  }

  async #give(connection: Deno.TcpConn): Promise<void> {
    const request = new Uint8Array(4096);
    const count = await connection.read(request) ?? 0;
    const text = new TextDecoder().decode(request.subarray(0, count));
    const isBlock = text.startsWith("GET /block ");
    const bytes = isBlock ? BLOCK_BYTES : this.#length;
    await writeAll(
      connection,
      new TextEncoder().encode(
        `HTTP/1.0 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`,
      ),
    );
    const start = performance.now();
    for (let i = 1; i <= (isBlock ? 1 : this.#blocks); i++) {
      if (!isBlock) await writeAll(connection, this.#number(i));
      await writeAll(connection, this.#block);
    }
    await connection.closeWrite();
    // The guest has it all when it ends, too.
    await connection.read(request);
    if (!isBlock) this.#passed("download", bytes, start);
  }

  async #take(connection: Deno.TcpConn): Promise<void> {
    const hash: Hash = createHash("sha256");
    const buffer = new Uint8Array(READ_BYTES);
    const start = performance.now();
    let bytes = 0;
    for (;;) {
      const count = await connection.read(buffer);
      if (count === null) break;
      hash.update(buffer.subarray(0, count));
      bytes += count;
    }
    this.#passed("upload", bytes, start);
    const line = `${hash.digest("hex")}\n`;
    await writeAll(connection, new TextEncoder().encode(line));
  }

  #passed(what: Passage["what"], bytes: number, start: number): void {
    const seconds = (performance.now() - start) / 1000;
    this.passages.push({ what, bytes, seconds });
  }

  /** Listen no more. */
  [Symbol.dispose](): void {
    this.#http.close();
    this.#upload.close();
    for (const connection of this.#open) connection.close();
    this.#open.clear();
  }
}

async function writeAll(
  connection: Deno.TcpConn,
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
}
