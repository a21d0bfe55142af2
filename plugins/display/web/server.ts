/**
 * The HTTP server: a fixed list of files, and sockets for the page's own
 * scripts.
 *
 * @module
 */

import { urlHost } from "../../../core/backend/address.ts";
import type { Logger } from "../../../core/machine/plugin.ts";
import {
  isOwnHost,
  isOwnOrigin,
  isToken,
  type WebConfig,
} from "./admission.ts";
import type { WebFile } from "./files.ts";
import { PageSocket, type SocketEvents } from "./socket.ts";

/** Takes a socket that was opened; says who is told of its messages. */
export type Endpoint = (page: PageSocket) => SocketEvents;

/** Sockets that may be open at once. */
const SOCKET_LIMIT = 64;
/** Seconds after which a browser that answers no ping is gone. */
const IDLE_SECONDS = 60;
/** RFC 6455, section 7.4.1: the server goes away. */
const CLOSE_GOING_AWAY = 1001;

/** Nothing but the page's own files and sockets may be loaded or opened. */
const HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-cache",
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    // xterm.js makes style elements for its measures and its theme.
    "style-src 'self' 'unsafe-inline'",
    // noVNC's mouse cursors.
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

function refuse(status: number, text: string): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { ...HEADERS, "content-type": "text/plain; charset=utf-8" },
  });
}

/** What a server serves. */
export interface WebContent {
  /** The files by path. */
  readonly files: ReadonlyMap<string, WebFile>;
  /** The endpoint at a path; undefined when there is none. */
  endpoint(path: string): Endpoint | undefined;
}

/** A server on one port. */
export class WebServer {
  readonly #config: WebConfig;
  readonly #content: WebContent;
  readonly #log: Logger;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stop = new AbortController();
  readonly #pages = new Set<PageSocket>();
  /** Sockets that are open or about to be. */
  #sockets = 0;

  /** Listen; throws what `Deno.serve` does when it cannot. */
  constructor(config: WebConfig, content: WebContent, log: Logger) {
    this.#config = config;
    this.#content = content;
    this.#log = log;
    this.#server = Deno.serve({
      hostname: config.address,
      port: config.port,
      signal: this.#stop.signal,
      onListen() {},
      onError: (error) => {
        this.#log.warn(`a request failed: ${error}`);
        return refuse(500, "The request failed");
      },
    }, (request, { remoteAddr }) => this.#answer(request, remoteAddr));
  }

  /** The port that it listens on: of use when 0 was asked for. */
  get port(): number {
    return this.#server.addr.port;
  }

  /** The page's address. */
  get url(): string {
    const { address, token } = this.#config;
    const any = address === "0.0.0.0" || address === "::";
    const host = any ? "localhost" : urlHost(address);
    const fragment = token === "" ? "" : "#token=...";
    return `http://${host}:${this.port}/${fragment}`;
  }

  #answer(
    request: Request,
    peer: Deno.NetAddr,
  ): Response | Promise<Response> {
    const host = request.headers.get("host");
    if (host === null || !isOwnHost(host, this.#config, this.port)) {
      return refuse(403, "This server has another name");
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      return refuse(405, "Expected GET");
    }
    let url: URL;
    try {
      url = new URL(request.url);
    } catch {
      return refuse(400, "This is no address");
    }
    // Of a whole address in place of a path, `Host` does not matter (RFC 9112,
    // section 3.2.2).
    if (!isOwnHost(url.host, this.#config, this.port)) {
      return refuse(403, "This server has another name");
    }
    const file = this.#content.files.get(url.pathname);
    if (file !== undefined) {
      return new Response(request.method === "HEAD" ? null : file.body, {
        headers: { ...HEADERS, "content-type": file.type },
      });
    }
    const endpoint = this.#content.endpoint(url.pathname);
    return endpoint === undefined
      ? refuse(404, "There is nothing here")
      : this.#upgrade(request, url, host, peer, endpoint);
  }

  async #upgrade(
    request: Request,
    url: URL,
    host: string,
    peer: Deno.NetAddr,
    endpoint: Endpoint,
  ): Promise<Response> {
    const { headers, method } = request;
    if (headers.get("upgrade")?.toLowerCase() !== "websocket") {
      return refuse(426, "Expected a WebSocket");
    }
    if (!isOwnOrigin(headers.get("origin"), host)) {
      return refuse(403, "Another page may not open this");
    }
    const token = url.searchParams.get("token") ?? "";
    if (!await isToken(token, this.#config.token)) {
      return refuse(401, "The token is wrong");
    }
    if (this.#stop.signal.aborted || this.#sockets >= SOCKET_LIMIT) {
      return refuse(503, "Too many sockets are open");
    }
    if (method !== "GET") return refuse(405, "Expected GET");
    try {
      return this.#open(request, peer, endpoint);
    } catch (error) {
      // A handshake that lacks something: `TypeError` from Deno.
      if (!(error instanceof TypeError)) throw error;
      return refuse(400, "This is no WebSocket handshake");
    }
  }

  #open(request: Request, peer: Deno.NetAddr, endpoint: Endpoint): Response {
    const { socket, response } = Deno.upgradeWebSocket(request, {
      idleTimeout: IDLE_SECONDS,
    });
    this.#sockets++;
    let counted = true;
    const release = (): void => {
      if (counted) this.#sockets--;
      counted = false;
    };
    // The socket itself may stay for as long as its last bytes are not read,
    // and counts until then.
    socket.addEventListener("close", release);
    socket.addEventListener("error", release);
    socket.onopen = () => {
      const page = new PageSocket(socket, peer);
      this.#pages.add(page);
      const events = endpoint(page);
      page.listen({
        message: (bytes) => events.message(bytes),
        closed: () => {
          this.#pages.delete(page);
          events.closed();
        },
      });
      if (this.#stop.signal.aborted) this.#dismiss(page);
    };
    return response;
  }

  #dismiss(page: PageSocket): void {
    page.close(CLOSE_GOING_AWAY, "the machine has stopped");
  }

  /** Close all sockets and listen no more. */
  async close(): Promise<void> {
    for (const page of this.#pages) this.#dismiss(page);
    this.#stop.abort();
    await this.#server.finished;
  }
}
