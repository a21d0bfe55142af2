/**
 * The `tcp` char backend: a connection, made or awaited.
 *
 * While nobody is connected the guest's output is lost, as on a cable with
 * nothing at its end. A listening backend takes the next client when one goes.
 *
 * @module
 */

import { AcceptLoop } from "../../core/backend/accept_loop.ts";
import type { ByteSink, CharBackend } from "../../core/backend/char.ts";
import { within } from "../../core/backend/within.ts";
import type { BackendContext, CharPlugin } from "../../core/machine/plugin.ts";
import { ByteWriter, InputGate } from "./byte_writer.ts";

/** Configuration of the backend. */
export interface TcpCharConfig {
  /** The host to connect to, or the address to listen on. */
  readonly host: string;
  /** The port. */
  readonly port: number;
  /** Wait for a client rather than connect. */
  readonly listen: boolean;
}

/** A connection that cannot be made. */
export class TcpCharError extends Error {
  /** The name of the error's class. */
  override readonly name = "TcpCharError";
}

/** Bytes of one read. */
const READ_SIZE = 4096;
/** Milliseconds after which a client that takes nothing keeps no machine from ending. */
const STALL_MS = 2000;

/** A char backend on a connection. */
export class TcpChar implements CharBackend {
  readonly #context: Pick<BackendContext, "log">;
  readonly #gate = new InputGate();
  #listener: Deno.TcpListener | undefined;
  #accepting: AcceptLoop<Deno.TcpConn> | undefined;
  #connection: Deno.TcpConn | undefined;
  #writer: ByteWriter | undefined;
  #closed = false;
  /** Bytes that have been taken, by all clients. */
  #sent = 0;

  private constructor(context: Pick<BackendContext, "log">) {
    this.#context = context;
  }

  /** Connect, or begin to listen. */
  static async open(
    config: TcpCharConfig,
    context: Pick<BackendContext, "log">,
  ): Promise<TcpChar> {
    const { host: hostname, port } = config;
    const backend = new TcpChar(context);
    try {
      if (config.listen) {
        backend.#listener = Deno.listen({ hostname, port });
        backend.#accepting = new AcceptLoop<Deno.TcpConn>(backend.#listener, {
          serve: (connection) => backend.#serve(connection),
          refused: (error) =>
            context.log.warn(`no client can be accepted for now: ${error}`),
        });
      } else {
        void backend.#serve(await Deno.connect({ hostname, port }));
      }
    } catch (cause) {
      const verb = config.listen ? "listen on" : "connect to";
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new TcpCharError(
        `Cannot ${verb} ${hostname}:${port}: ${reason}`,
        { cause },
      );
    }
    return backend;
  }

  /** The port that it listens on: of use when 0 was asked for. */
  get port(): number | undefined {
    return this.#listener?.addr.port;
  }

  /** Read from a connection until it ends. */
  async #serve(connection: Deno.TcpConn): Promise<void> {
    this.#connection = connection;
    this.#writer = new ByteWriter(
      async (bytes) => {
        const count = await connection.write(bytes);
        this.#sent += count;
        return count;
      },
      // The reading side says it when a client goes.
      () => {},
    );
    try {
      for (;;) {
        const buffer = new Uint8Array(READ_SIZE);
        const length = await connection.read(buffer);
        if (length === null) break;
        await this.#gate.pass(buffer.subarray(0, length));
      }
    } catch (error) {
      if (!this.#closed) this.#context.log.warn(`connection lost: ${error}`);
    }
    this.#writer = undefined;
    if (this.#connection === connection) {
      this.#connection = undefined;
      connection.close();
    }
  }

  /** Send the guest's bytes to whoever is connected. */
  readonly write: ByteSink = (bytes) => this.#writer?.push(bytes);

  /** Say where received bytes go. */
  onInput(receiver: ByteSink): void {
    this.#gate.open(receiver);
  }

  /** Resolves when the connection has taken everything. */
  async flush(): Promise<void> {
    // Who hung up has missed the rest: that is no failure of the machine.
    await this.#writer?.flush().catch(() => {});
  }

  /** Hang up, when the client has taken everything or takes nothing any more. */
  async close(): Promise<void> {
    let isFlushed = false;
    const flushed = this.flush().then(() => {
      isFlushed = true;
    });
    for (let sent = -1; !isFlushed && sent !== this.#sent;) {
      sent = this.#sent;
      await within(STALL_MS, flushed);
    }
    if (!isFlushed) {
      this.#context.log.warn("output is lost: the client reads none of it");
    }
    this.#closed = true;
    this.#gate.close();
    // Not awaited: what a client has sent may wait for the guest for ever.
    void this.#accepting?.close();
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.close();
  }
}

/** The `tcp` plugin. */
const plugin: CharPlugin<TcpCharConfig> = {
  type: "char",
  name: "tcp",
  version: "1.0.0",
  description: "A TCP connection, made or awaited",
  config: {
    type: "object",
    properties: {
      host: {
        type: "string",
        description: "Where to connect to, or the address to listen on",
        default: "127.0.0.1",
      },
      port: {
        type: "integer",
        description: "The port",
        minimum: 0,
        maximum: 65535,
      },
      listen: {
        type: "boolean",
        description: "Wait for a client rather than connect",
        default: false,
      },
    },
    required: ["port"],
  },
  permissions: (config) => ({ net: [`${config.host}:${config.port}`] }),
  /** `H:P` connects, `H:P,listen` listens. */
  parse(argument) {
    const match = /^(.*):(\d+)(,listen)?$/.exec(argument);
    if (match === null) {
      throw new TypeError(
        `"${argument}" is not HOST:PORT or HOST:PORT,listen`,
      );
    }
    const host = match[1].replace(/^\[(.*)\]$/, "$1");
    return {
      ...(host === "" ? {} : { host }),
      port: Number(match[2]),
      listen: match[3] !== undefined,
    };
  },
  create: (config, context) => TcpChar.open(config, context),
};
export default plugin;
