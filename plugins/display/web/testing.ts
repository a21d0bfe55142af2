/**
 * For tests of the `web` display: a context that notes what it is asked, and
 * what talks to the server without a browser.
 *
 * @module
 */

import type { ConsoleContext } from "../../../core/machine/plugin.ts";
import type { WebConfig } from "./admission.ts";

/** The configuration that tests use. */
export const TEST_CONFIG: WebConfig = {
  address: "127.0.0.1",
  port: 0,
  token: "",
  hosts: [],
};

/** A context that keeps what it is told. */
export interface TestContext extends ConsoleContext {
  /** Buttons that were pressed, and `quit`. */
  readonly pressed: string[];
  /** Warnings. */
  readonly warnings: string[];
  /** What viewers did, and whether by a WebSocket. */
  readonly viewed: string[];
}

/** A context for a backend of this name. */
export function testContext(name = "display"): TestContext {
  const pressed: string[] = [];
  const warnings: string[] = [];
  const viewed: string[] = [];
  const shared = new Map<string, unknown>();
  return {
    name,
    pressed,
    warnings,
    viewed,
    viewer: (state, server, client) =>
      void viewed.push(`${state} ${server.isWebSocket} ${client.isWebSocket}`),
    log: { guest() {}, warn: (message) => void warnings.push(message) },
    quit: () => void pressed.push("quit"),
    control: {
      reset: () => void pressed.push("reset"),
      pressPowerButton: () => void pressed.push("power"),
    },
    shared: <T>(key: string, make: () => T): T => {
      if (!shared.has(key)) shared.set(key, make());
      return shared.get(key) as T;
    },
  };
}

/** The headers of a WebSocket handshake from the page at a port. */
export function handshake(
  path: string,
  port: number,
  changes: Readonly<Record<string, string | undefined>> = {},
): string {
  const headers: Record<string, string | undefined> = {
    "Host": `127.0.0.1:${port}`,
    "Origin": `http://127.0.0.1:${port}`,
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAECAwQFBgcICQoLDA0ODw==",
    ...changes,
  };
  const lines = Object.entries(headers)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** A connection that sends bytes as a test wants them. */
export class RawClient {
  readonly #connection: Deno.TcpConn;
  #received: Uint8Array = new Uint8Array(0);
  #ended = false;
  #closed = false;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** Connect to a port of this host. */
  static async connect(port: number): Promise<RawClient> {
    return new RawClient(
      await Deno.connect({ hostname: "127.0.0.1", port }),
    );
  }

  /** Send text or bytes; false when the server has hung up. */
  async send(data: string | Uint8Array): Promise<boolean> {
    const bytes = typeof data === "string"
      ? new TextEncoder().encode(data)
      : data;
    try {
      for (let at = 0; at < bytes.length;) {
        at += await this.#connection.write(bytes.subarray(at));
      }
      return true;
    } catch {
      return false;
    }
  }

  async #more(): Promise<boolean> {
    const buffer = new Uint8Array(65536);
    let length: number | null;
    try {
      length = await this.#connection.read(buffer);
    } catch {
      length = null;
    }
    if (length === null) {
      this.#ended = true;
      return false;
    }
    const joined = new Uint8Array(this.#received.length + length);
    joined.set(this.#received);
    joined.set(buffer.subarray(0, length), this.#received.length);
    this.#received = joined;
    return true;
  }

  /** The status of the next answer, 0 if none comes; takes its headers. */
  async status(): Promise<number> {
    for (;;) {
      const text = new TextDecoder("latin1").decode(this.#received);
      const end = text.indexOf("\r\n\r\n");
      if (end >= 0) {
        this.#received = this.#received.subarray(end + 4);
        return Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0);
      }
      if (this.#ended || !await this.#more()) return 0;
    }
  }

  async #take(length: number): Promise<Uint8Array | undefined> {
    while (this.#received.length < length) {
      if (this.#ended || !await this.#more()) return undefined;
    }
    const bytes = this.#received.slice(0, length);
    this.#received = this.#received.subarray(length);
    return bytes;
  }

  /** The next WebSocket frame; undefined when the server hangs up. */
  async frame(): Promise<
    { readonly opcode: number; readonly payload: Uint8Array } | undefined
  > {
    const head = await this.#take(2);
    if (head === undefined) return undefined;
    let length = head[1] & 0x7f;
    if (length >= 126) {
      const size = await this.#take(length === 126 ? 2 : 8);
      if (size === undefined) return undefined;
      length = size.reduce((value, byte) => value * 256 + byte, 0);
    }
    const payload = await this.#take(length);
    return payload && { opcode: head[0] & 0xf, payload };
  }

  /** Resolves when the server has hung up. */
  async ended(): Promise<void> {
    while (!this.#ended) {
      await this.#more();
      this.#received = new Uint8Array(0);
    }
  }

  /** Hang up; a second time is nothing. */
  close(): void {
    if (!this.#closed) this.#connection.close();
    this.#closed = true;
  }
}

/** A masked frame as a browser sends it. */
export function clientFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const size = payload.length;
  const head = size < 126
    ? [0x80 | size]
    : size < 65536
    ? [0x80 | 126, size >> 8, size & 0xff]
    : [0x80 | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((n) => size >> n & 0xff)];
  // A mask of 0 leaves the payload as it is.
  return new Uint8Array([0x80 | opcode, ...head, 0, 0, 0, 0, ...payload]);
}
