/**
 * The `vnc` display: a server for viewers of the RFB protocol.
 *
 * Several viewers may look at the screen and type. Nobody looks at the guest's
 * screen unless a viewer has asked for what is new. Without a password whoever
 * reaches the port sees the screen and types: it listens on the loopback
 * interface unless another address is given.
 *
 * @module
 */

import type {
  DisplayBackend,
  Picture,
  PictureSource,
} from "../../../core/backend/display.ts";
import { InputQueue } from "../../../core/backend/input_queue.ts";
import { pairsOf } from "../../../core/machine/option_text.ts";
import type {
  BackendContext,
  DisplayPlugin,
  JsonObject,
} from "../../../core/machine/plugin.ts";
import { PASSWORD_LENGTH } from "./authentication.ts";
import { Viewer, type ViewerHost } from "./viewer.ts";

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

/** What is shown where no device has a picture. */
const BLANK: Picture = {
  width: 640,
  height: 400,
  pixels: new Uint8Array(640 * 400 * 4),
  generation: 1,
  changed: [],
};
const NO_SOURCE: PictureSource = {
  look: () => BLANK,
  watchPicture() {},
};

function isLoopback(address: string): boolean {
  return /^(127\.[\d.]+|::1|localhost)$/.test(address);
}

/** A display backend for viewers on the network. */
export class VncDisplay implements DisplayBackend {
  /** What the viewers type, and their pointers. */
  readonly input: InputQueue = new InputQueue();
  readonly #listener: Deno.TcpListener;
  readonly #config: VncConfig;
  readonly #context: Pick<BackendContext, "log">;
  readonly #viewers = new Map<Viewer, Promise<void>>();
  /** Those who are past the handshake. */
  readonly #admitted = new Set<Viewer>();
  /** Those who want to know of the next change. */
  #watching = new Set<Viewer>();
  #watched = false;
  #source: PictureSource = NO_SOURCE;
  #accepting: Promise<void>;
  #closed = false;

  /** Listen; throws a `VncError` where that cannot be. */
  constructor(config: VncConfig, context: Pick<BackendContext, "log">) {
    this.#config = config;
    this.#context = context;
    const { address: hostname, port } = config;
    try {
      this.#listener = Deno.listen({ hostname, port });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new VncError(
        `Cannot listen on ${hostname}:${port} for VNC: ${reason}`,
        { cause },
      );
    }
    if (config.password === undefined && !isLoopback(hostname)) {
      context.log.warn(
        `anybody who reaches ${hostname}:${port} sees the screen and types: ` +
          "there is no password",
      );
    }
    this.input.watchLights(() => {
      for (const viewer of this.#viewers.keys()) viewer.notify();
    });
    this.#accepting = this.#accept();
  }

  /** The port that it listens on: of use when 0 was asked for. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** How many viewers see the screen. */
  get viewers(): number {
    return this.#admitted.size;
  }

  /** Show this screen. */
  picture(source: PictureSource): void {
    this.#source = source;
    this.#watched = false;
    for (const viewer of this.#viewers.keys()) viewer.restart();
  }

  async #accept(): Promise<void> {
    while (!this.#closed) {
      let connection: Deno.TcpConn;
      try {
        connection = await this.#listener.accept();
      } catch (error) {
        if (this.#closed) return;
        // A client that was gone before it was accepted.
        if (error instanceof Deno.errors.ConnectionAborted) continue;
        this.#context.log.warn(`no more viewers can be accepted: ${error}`);
        return;
      }
      if (this.#viewers.size >= MAX_VIEWERS) connection.close();
      else this.#serve(connection);
    }
  }

  #serve(connection: Deno.TcpConn): void {
    const host: ViewerHost = {
      password: this.#config.password,
      look: (since) => this.#source.look(since),
      lights: () => this.input.lights,
      watch: (viewer) => this.#watch(viewer),
      send: (events) => this.input.send(events),
      // The configuration says whether they share, whatever they ask for.
      admit: (viewer) => this.#admit(viewer),
      warn: (message) => this.#context.log.warn(message),
    };
    const viewer = new Viewer(host, connection);
    const running = this.#run(viewer, connection);
    this.#viewers.set(viewer, running);
  }

  async #run(viewer: Viewer, connection: Deno.TcpConn): Promise<void> {
    try {
      connection.setNoDelay(true);
      // A viewer whose host has vanished says nothing any more.
      connection.setKeepAlive(true);
    } catch {
      // It has gone already, as reading will tell.
    }
    await viewer.run();
    this.#viewers.delete(viewer);
    this.#admitted.delete(viewer);
    this.#watching.delete(viewer);
  }

  #admit(viewer: Viewer): void {
    if (!this.#config.shared) {
      for (const other of this.#admitted) other.close();
    }
    this.#admitted.add(viewer);
  }

  /** Tell a viewer of the next change; the device is asked once for all. */
  #watch(viewer: Viewer): void {
    this.#watching.add(viewer);
    if (this.#watched) return;
    this.#watched = true;
    const source = this.#source;
    source.watchPicture(() => {
      if (source !== this.#source) return;
      this.#watched = false;
      const viewers = this.#watching;
      this.#watching = new Set();
      for (const waiting of viewers) waiting.notify();
    });
  }

  /** Hang up on everybody. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#listener.close();
    for (const viewer of this.#viewers.keys()) viewer.close();
    await Promise.all([this.#accepting, ...this.#viewers.values()]);
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
    net: [`${address.includes(":") ? `[${address}]` : address}:${port}`],
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
