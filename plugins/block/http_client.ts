/**
 * Ranges of one resource by HTTP (RFC 9110, section 14). A resource that
 * changes while it is used is an error: what was read before and what is read
 * now would be parts of two images.
 *
 * @module
 */

import { BlockError } from "../../core/backend/block.ts";

/** Hops of redirects. */
const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Statuses that another attempt may not meet. */
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);

/** The longest wait between two attempts, in ms. */
const MAX_DELAY = 10_000;

/** How patient it is. */
export interface HttpOptions {
  /** Further attempts after one that fails. */
  readonly retries: number;
  /** How long to wait before the first of them, in ms; then twice as long. */
  readonly delay: number;
  /** How long one attempt may take, in ms. */
  readonly timeout: number;
}

/** What a resource is taken to be as long as it is open. */
interface Identity {
  readonly size: number;
  readonly etag: string | null;
  readonly modified: string | null;
}

/** An attempt failed in a way that another may not. */
class TransientError extends Error {}

/**
 * `host:port` of a URL, as Deno's permissions name it; nothing for what is
 * none.
 */
export function hostsOf(url: string): string[] {
  if (!URL.canParse(url)) return [];
  const { hostname, port, protocol } = new URL(url);
  return [`${hostname}:${port || (protocol === "https:" ? 443 : 80)}`];
}

/** A resource whose size is known and that can be read in ranges. */
export class HttpResource {
  /** The URL that was asked for. */
  readonly url: string;
  readonly #options: HttpOptions;
  readonly #closed = new AbortController();
  #identity: Identity | undefined;

  private constructor(url: string, options: HttpOptions) {
    this.url = url;
    this.#options = options;
  }

  /**
   * Ask what is there, by its first bytes. Gives back the resource and up to
   * `length` bytes of it. Throws a `BlockError`.
   */
  static async open(
    url: string,
    length: number,
    options: HttpOptions,
  ): Promise<{ resource: HttpResource; bytes: Uint8Array }> {
    if (!URL.canParse(url)) {
      throw new BlockError("io", `Cannot open "${url}": it is not a URL`);
    }
    const resource = new HttpResource(url, options);
    return { resource, bytes: await resource.#range(0, length) };
  }

  /** What tells its versions apart: its tag or its date. */
  get stamp(): string {
    const { etag, modified } = this.#identity!;
    return etag ?? modified ?? "an unknown date";
  }

  /** The resource's size in bytes. */
  get size(): number {
    return this.#identity!.size;
  }

  /** Bytes of the resource, all of which it has. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    return await this.#range(offset, length);
  }

  /** Break off what is under way. */
  close(): void {
    this.#closed.abort();
  }

  #fail(message: string, cause?: unknown): never {
    throw new BlockError("io", `Cannot read "${this.url}": ${message}`, {
      cause,
    });
  }

  async #range(offset: number, length: number): Promise<Uint8Array> {
    const { retries, delay } = this.#options;
    for (let attempt = 0;; attempt++) {
      try {
        return await this.#attempt(offset, length);
      } catch (error) {
        if (error instanceof BlockError) throw error;
        if (this.#closed.signal.aborted) this.#fail("it was closed");
        // Without the permission, no other attempt has it.
        const denied = error instanceof Deno.errors.NotCapable;
        const reason = (error as Error).message;
        if (denied) this.#fail(reason, error);
        if (attempt >= retries) {
          this.#fail(`${reason} (${attempt + 1} attempts)`, error);
        }
      }
      await this.#wait(Math.min(MAX_DELAY, delay * 2 ** attempt));
    }
  }

  /** Wait, at most until it is closed. */
  async #wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { signal } = this.#closed;
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    clearTimeout(timer);
  }

  async #attempt(offset: number, length: number): Promise<Uint8Array> {
    const signal = AbortSignal.any([
      this.#closed.signal,
      AbortSignal.timeout(this.#options.timeout),
    ]);
    const response = await this.#fetch("GET", signal, {
      range: `bytes=${offset}-${offset + length - 1}`,
    });
    try {
      return await this.#take(response, offset, length, signal);
    } finally {
      // What is left of it is not wanted; a body read to its end is closed.
      await response.body?.cancel().catch(() => {});
    }
  }

  /** A request that follows redirects, each with its own permission. */
  async #fetch(
    method: string,
    signal: AbortSignal,
    headers: Record<string, string>,
  ): Promise<Response> {
    // Links that redirects lead to may be good for a while only.
    let target = this.url;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const response = await fetch(target, {
        method,
        signal,
        redirect: "manual",
        // Ranges of what is compressed would be of no use.
        headers: { ...headers, "accept-encoding": "identity" },
      });
      if (!REDIRECTS.has(response.status)) return response;
      await response.body?.cancel();
      const to = response.headers.get("location");
      if (to === null || !URL.canParse(to, target)) {
        this.#fail("it redirects to nowhere");
      }
      const next = new URL(to, target);
      if (next.protocol !== "https:" && next.protocol !== "http:") {
        this.#fail(
          `it redirects to ${next.protocol}, expected http: or https:`,
        );
      }
      if (target.startsWith("https:") && next.protocol === "http:") {
        this.#fail(`it redirects from https: to http:`);
      }
      target = next.href;
    }
    return this.#fail(`it redirects more than ${MAX_REDIRECTS} times`);
  }

  async #take(
    response: Response,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { status, headers } = response;
    const first = this.#identity === undefined;
    if (TRANSIENT.has(status)) throw new TransientError(`status ${status}`);
    const given = headers.get("content-range") ?? "";
    if (first && status === 416 && /^bytes \*\/0$/.test(given)) {
      this.#identity = identityOf(headers, 0);
      return new Uint8Array();
    }
    if (status === 200) {
      this.#fail(
        first || !this.#hasChanged(headers)
          ? "the server gives no ranges (status 200, expected 206)"
          : "it has changed on the server",
      );
    }
    if (status === 416) this.#fail("it has changed on the server (status 416)");
    if (status !== 206) this.#fail(`status ${status}, expected 206`);
    const encoding = headers.get("content-encoding");
    if (encoding !== null && encoding !== "identity") {
      this.#fail(`the server encodes it as ${encoding}`);
    }
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(given);
    if (range === null) this.#fail(`its Content-Range is "${given}"`);
    const [from, to] = [Number(range[1]), Number(range[2])];
    const size = range[3] === "*"
      ? this.#identity?.size ?? await this.#sizeByHead(signal)
      : Number(range[3]);
    if (!Number.isSafeInteger(size)) this.#fail(`its size is ${size}`);
    if (!first && (this.#hasChanged(headers) || size !== this.size)) {
      this.#fail("it has changed on the server");
    }
    const end = Math.min(offset + length, size);
    if (from !== offset || to !== end - 1) {
      this.#fail(
        `the server gives bytes ${from} to ${to}, expected ${offset} to ` +
          `${end - 1}`,
      );
    }
    const bytes = await readExactly(response, end - offset);
    this.#identity ??= identityOf(headers, size);
    return bytes;
  }

  /** The size where the server does not say it with a range. */
  async #sizeByHead(signal: AbortSignal): Promise<number> {
    const response = await this.#fetch("HEAD", signal, {});
    const length = response.headers.get("content-length");
    if (response.status !== 200 || length === null) {
      this.#fail("the server does not say its size");
    }
    return Number(length);
  }

  #hasChanged(headers: Headers): boolean {
    const { etag, modified } = this.#identity!;
    return headers.get("etag") !== etag ||
      headers.get("last-modified") !== modified;
  }
}

function identityOf(headers: Headers, size: number): Identity {
  return {
    size,
    etag: headers.get("etag"),
    modified: headers.get("last-modified"),
  };
}

/** A body that must have so many bytes; one of more is not read further. */
async function readExactly(
  response: Response,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  const reader = response.body?.getReader();
  try {
    while (reader !== undefined) {
      const { value, done: ended } = await reader.read();
      if (ended) break;
      if (done + value.length > length) {
        throw new TransientError(`more than ${length} bytes came`);
      }
      bytes.set(value, done);
      done += value.length;
    }
  } finally {
    reader?.releaseLock();
  }
  if (done < length) {
    throw new TransientError(`${done} of ${length} bytes came`);
  }
  return bytes;
}
