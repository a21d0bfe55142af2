/**
 * The `web` display: the screen, the serial lines and the machine's buttons in
 * a page that any browser on this host can open.
 *
 * The screen is noVNC's, which speaks RFB through a socket; a terminal is
 * xterm.js' and gets a serial line's bytes as they are; the buttons send one
 * word each.
 *
 * @module
 */

import { isLoopback, urlHost } from "../../../core/backend/address.ts";
import type {
  DisplayBackend,
  PeerAddress,
  PictureSource,
  RemoteScreen,
} from "../../../core/backend/display.ts";
import { InputQueue } from "../../../core/backend/input_queue.ts";
import { RfbScreen } from "../../../core/backend/rfb/screen.ts";
import type {
  ConsoleContext,
  DisplayPlugin,
} from "../../../core/machine/plugin.ts";
import { parseWeb, type WebConfig } from "./admission.ts";
import { novncFolder, webFiles } from "./files.ts";
import { type WebLine, WebLines } from "./line.ts";
import { type Endpoint, WebServer } from "./server.ts";
import type { PageSocket, SocketEvents } from "./socket.ts";
import { SocketStream } from "./socket_stream.ts";

/** noVNC's own server uses this port. */
const DEFAULT_PORT = 6080;

/** A display that cannot be opened. */
export class WebDisplayError extends Error {
  /** The name of the error's class. */
  override readonly name = "WebDisplayError";
}

/** A display backend in a browser. */
export class WebDisplay implements DisplayBackend {
  /** The keyboard and the pointer in front of the screen. */
  readonly input: InputQueue = new InputQueue();
  /** See `DisplayBackend`. */
  readonly remote: RemoteScreen;
  readonly #context: ConsoleContext;
  readonly #lines: WebLines;
  readonly #screen: RfbScreen;
  readonly #server: WebServer;

  private constructor(
    { address, token }: WebConfig,
    context: ConsoleContext,
    start: (endpoint: (path: string) => Endpoint | undefined) => WebServer,
  ) {
    this.#context = context;
    this.#lines = context.shared(WebLines.NAME, () => new WebLines());
    this.#lines.shown = true;
    this.#lines.hasMonitor = isLoopback(address) || token !== "";
    // Who gets as far as a socket has shown the token, if there is one.
    this.#screen = new RfbScreen({
      input: this.input,
      shared: true,
      warn: (message) => context.log.warn(message),
      onViewer: (state, peer) =>
        context.viewer?.(state, this.remote.server, peer),
    });
    const server = this.#server = start((path) => this.#endpoint(path));
    this.remote = {
      get server(): PeerAddress {
        return { host: address, port: server.port, isWebSocket: true };
      },
      hasPassword: false,
      clients: () => this.#screen.clients(),
    };
  }

  /** Read the files and listen. Throws a `WebDisplayError`. */
  static async open(
    config: WebConfig,
    context: ConsoleContext,
  ): Promise<WebDisplay> {
    const files = await webFiles();
    const { address, port, token } = config;
    try {
      const display = new WebDisplay(
        config,
        context,
        (endpoint) => new WebServer(config, { files, endpoint }, context.log),
      );
      const { url } = display;
      context.log.warn(`the screen is at ${url}`);
      if (!isLoopback(address) && token === "") {
        context.log.warn("whoever reaches it can use the machine: no token");
      }
      return display;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new WebDisplayError(
        `Cannot listen on ${urlHost(address)}:${port}: ${reason}`,
        { cause },
      );
    }
  }

  /** The page's address, without the token. */
  get url(): string {
    return this.#server.url;
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#server.port;
  }

  /** How many pages look at the screen. */
  get viewers(): number {
    return this.#screen.viewers;
  }

  /** Show these pixels. */
  picture(source: PictureSource): void {
    this.#screen.show(source);
  }

  #endpoint(path: string): Endpoint | undefined {
    if (path === "/screen") return (page) => this.#view(page);
    if (path === "/control") return (page) => this.#buttons(page);
    const [, name] = /^\/serial\/([^/]+)$/.exec(path) ?? [];
    const line = name && this.#lines.byName.get(decodeName(name));
    return line ? (page) => attach(line, page) : undefined;
  }

  /** noVNC is a viewer like those that reach a VNC server by TCP. */
  #view(page: PageSocket): SocketEvents {
    const stream = new SocketStream(page);
    this.#screen.connect(stream, page.peer);
    return {
      message: (bytes) => stream.take(bytes),
      closed: () => stream.end(),
    };
  }

  /** The page is told which lines there are, and tells which button it is. */
  #buttons(page: PageSocket): SocketEvents {
    const { control } = this.#context;
    page.send(JSON.stringify({ serial: [...this.#lines.byName.keys()] }));
    return {
      message(bytes) {
        switch (new TextDecoder().decode(bytes)) {
          case "reset":
            return control.reset();
          case "power":
            return control.pressPowerButton();
          default:
            page.close();
        }
      },
      closed() {},
    };
  }

  /** Close all pages' sockets. */
  async close(): Promise<void> {
    await this.#server.close();
    await this.#screen.close();
    await this.input.close();
  }
}

function attach(line: WebLine, page: PageSocket): SocketEvents {
  line.attach(page);
  return {
    message: (bytes) => line.type(bytes),
    closed: () => line.detach(page),
  };
}

/** A part of a path as the name that it encodes; empty when it is none. */
function decodeName(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

/** The plugin. */
const plugin: DisplayPlugin<WebConfig> = {
  type: "display",
  name: "web",
  version: "1.0.0",
  description:
    "A page with the screen, terminals for --serial web-terminal, and buttons",
  config: {
    type: "object",
    properties: {
      port: {
        type: "integer",
        description: "The port; 0 for any that is free",
        minimum: 0,
        maximum: 65535,
        default: DEFAULT_PORT,
      },
      address: {
        type: "string",
        description: "The address to listen on",
        default: "127.0.0.1",
      },
      token: {
        type: "string",
        description: "What the page's address must have after #token=",
        default: "",
      },
      hosts: {
        type: "array",
        items: { type: "string" },
        description: "Further names of this host that browsers may use",
        default: [],
      },
    },
  },
  permissions: ({ address, port }) => ({
    net: [`${urlHost(address)}:${port}`],
    read: [novncFolder()],
  }),
  /** `8080`, `0.0.0.0:8080,token=secret`. */
  parse: parseWeb,
  create: (config, context) => WebDisplay.open(config, context),
};
export default plugin;
