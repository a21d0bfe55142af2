/**
 * The `vnc` display: a server for viewers of the RFB protocol.
 *
 * Several viewers may look at the screen and type. Without a password whoever
 * reaches the port sees the screen and types: it listens on the loopback
 * interface unless another address is given. What is spoken with them is in
 * `core/backend/rfb/`.
 *
 * @module
 */

import { AcceptLoop, keepLively } from "../../../core/backend/accept_loop.ts";
import { isLoopback, urlHost } from "../../../core/backend/address.ts";
import type {
  DisplayBackend,
  PeerAddress,
  PictureSource,
  RemoteScreen,
} from "../../../core/backend/display.ts";
import { InputQueue } from "../../../core/backend/input_queue.ts";
import { pairsOf } from "../../../core/machine/option_text.ts";
import { PASSWORD_LENGTH } from "../../../core/backend/rfb/authentication.ts";
import { RfbScreen } from "../../../core/backend/rfb/screen.ts";
import type {
  ConsoleContext,
  DisplayPlugin,
  JsonObject,
} from "../../../core/machine/plugin.ts";

/** Configuration of the display. */
export interface VncConfig {
  /** The address to listen on. */
  readonly address: string;
  /** The port; 0 for any that is free. */
  readonly port: number;
  /** The password that viewers must know; anybody may look when absent. */
  readonly password?: string;
  /** Several viewers at once; otherwise a new one replaces the last. */
  readonly shared: boolean;
}

/** The server cannot be started. */
export class VncError extends Error {
  /** The name of the error's class. */
  override readonly name = "VncError";
}

/** The port of display 0. */
const FIRST_PORT = 5900;
const LAST_PORT = 65535;
/** Connections at once: more are closed. */
const MAX_VIEWERS = 32;

/** A display backend for viewers on the network. */
export class VncDisplay implements DisplayBackend {
  /** What the viewers type, and their pointers. */
  readonly input: InputQueue = new InputQueue();
  readonly #listener: Deno.TcpListener;
  /** See `DisplayBackend`. */
  readonly remote: RemoteScreen;
  readonly #screen: RfbScreen;
  readonly #accepting: AcceptLoop<Deno.TcpConn>;

  /** Listen; throws a `VncError` where that cannot be. */
  constructor(
    config: VncConfig,
    context: Pick<ConsoleContext, "log" | "viewer">,
  ) {
    const { address: hostname, port, password, shared } = config;
    this.#screen = new RfbScreen({
      input: this.input,
      password,
      shared,
      warn: (message) => context.log.warn(message),
      onViewer: (state, peer) =>
        context.viewer?.(state, this.remote.server, peer),
    });
    try {
      this.#listener = Deno.listen({ hostname, port });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new VncError(
        `Cannot listen on ${hostname}:${port} for VNC: ${reason}`,
        { cause },
      );
    }
    if (password === undefined && !isLoopback(hostname)) {
      context.log.warn(
        `anybody who reaches ${hostname}:${port} sees the screen and types: ` +
          "there is no password",
      );
    }
    const listener = this.#listener;
    this.remote = {
      get server(): PeerAddress {
        return { host: hostname, port: listener.addr.port };
      },
      hasPassword: password !== undefined,
      clients: () => this.#screen.clients(),
    };
    this.#accepting = new AcceptLoop<Deno.TcpConn>(listener, {
      serve: (connection) => this.#serve(connection),
      refused: (error) =>
        context.log.warn(`no viewers can be accepted for now: ${error}`),
    });
  }

  /** The port that it listens on: of use when 0 was asked for. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** How many viewers see the screen. */
  get viewers(): number {
    return this.#screen.viewers;
  }

  /** Show this screen. */
  picture(source: PictureSource): void {
    this.#screen.show(source);
  }

  #serve(connection: Deno.TcpConn): void {
    if (this.#screen.connections >= MAX_VIEWERS) return connection.close();
    keepLively(connection);
    const { hostname, port } = connection.remoteAddr;
    this.#screen.connect(connection, { host: hostname, port });
  }

  /** Hang up on everybody. */
  async close(): Promise<void> {
    await Promise.all([this.#accepting.close(), this.#screen.close()]);
    await this.input.close();
  }
}

/** `[HOST]:N` or `[HOST]::PORT`, with `,password=TEXT` and `,shared=off`. */
function parse(argument: string): JsonObject {
  const written = ([key, value]: [string, string | undefined]): string =>
    value === undefined ? key : `${key}=${value}`;
  const [first, ...options] = pairsOf(argument);
  const where = written(first);
  const match = /^(.*?)(::?)(\d{1,5})$/.exec(where);
  const port = match === null
    ? NaN
    : Number(match[3]) + (match[2] === ":" ? FIRST_PORT : 0);
  if (match === null || !(port <= LAST_PORT)) {
    throw new TypeError(
      `"${where}" is not a display such as :1, HOST:1 or HOST::5901`,
    );
  }
  const address = match[1].replace(/^\[(.*)\]$/, "$1");
  const config: Record<string, string | number | boolean> = { port };
  if (address !== "") config.address = address;
  for (const option of options) {
    const [key, value] = option;
    if (key === "password" && value !== undefined) config.password = value;
    else if (key === "shared" && (value === "on" || value === "off")) {
      config.shared = value === "on";
    } else {
      throw new TypeError(
        `"${written(option)}" is not password=TEXT, shared=on or shared=off`,
      );
    }
  }
  return config;
}

/** The `vnc` plugin. */
const plugin: DisplayPlugin<VncConfig> = {
  type: "display",
  name: "vnc",
  version: "1.0.0",
  description: "A VNC server: viewers see the screen and type",
  config: {
    type: "object",
    properties: {
      address: {
        type: "string",
        description: "The address to listen on",
        default: "127.0.0.1",
      },
      port: {
        type: "integer",
        description: "The port: 5900 + N is display N",
        minimum: 0,
        maximum: LAST_PORT,
        default: FIRST_PORT,
      },
      password: {
        type: "string",
        description: "What viewers must know: up to eight characters",
      },
      shared: {
        type: "boolean",
        description:
          "Several viewers at once; else a new one replaces the last",
        default: true,
      },
    },
  },
  permissions: ({ address, port }) => ({
    net: [`${urlHost(address)}:${port}`],
  }),
  check({ password }) {
    if (password === undefined) return [];
    if (password === "") return ["the password is empty"];
    return password.length > PASSWORD_LENGTH || /[^\x20-\x7e]/.test(password)
      ? ["VNC's passwords have up to eight characters of ASCII"]
      : [];
  },
  parse,
  create: (config, context) => new VncDisplay(config, context),
};
export default plugin;
