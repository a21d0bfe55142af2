/**
 * The server at the host's loopback interface to which the network's benchmark
 * downloads and uploads.
 *
 * @module
 */

/**
 * A server that sends so many bytes to each that comes to one port, the same to
 * all, or says how many came to the other.
 */
export class NetPeer {
  readonly #download = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #upload = Deno.listen({ hostname: "127.0.0.1", port: 0 });

  /** A server whose downloads have so many bytes. */
  constructor(bytes: number) {
    const chunk = crypto.getRandomValues(new Uint8Array(65536));
    const large = new Uint8Array(1 << 20);
    for (let at = 0; at < large.length; at += chunk.length) {
      large.set(chunk, at);
    }
    void this.#serve(this.#download, async (connection) => {
      await connection.read(new Uint8Array(4096));
      await connection.write(new TextEncoder().encode(
        `HTTP/1.0 200 OK\r\nContent-Length: ${bytes}\r\n\r\n`,
      ));
      for (let left = bytes; left > 0;) {
        const from = (bytes - left) % chunk.length;
        left -= await connection.write(large.subarray(from, from + left));
      }
      await connection.closeWrite();
    });
    void this.#serve(this.#upload, async (connection) => {
      // Not the bytes that downloads are made of.
      const came = new Uint8Array(large.length);
      let count = 0;
      for (let n: number | null = 0; n !== null;) {
        count += n;
        n = await connection.read(came);
      }
      await connection.write(new TextEncoder().encode(`${count}\n`));
    });
  }

  /** The port for a workload, `download` (by HTTP) or `upload`. */
  port(workload: "download" | "upload"): number {
    return (workload === "upload" ? this.#upload : this.#download).addr.port;
  }

  async #serve(
    listener: Deno.TcpListener,
    talk: (connection: Deno.TcpConn) => Promise<void>,
  ): Promise<void> {
    for await (const connection of listener) {
      talk(connection).catch((error) => console.error(`${error}`))
        .finally(() => connection.close());
    }
  }

  /** Listen no more. */
  [Symbol.dispose](): void {
    this.#download.close();
    this.#upload.close();
  }
}
