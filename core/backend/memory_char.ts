/**
 * A char backend in memory, for programs and tests: what the guest writes is
 * kept and can be waited for, and the program's bytes go to the guest.
 *
 * @module
 */

import type { ByteSink, CharBackend } from "./char.ts";

/**
 * "Where is the cursor?" (ECMA-48 DSR 6): shells ask their terminal after the
 * prompt. At the end of the output it is not text.
 */
const QUERY = "\x1b[6n";
/** How much of the output is kept, in characters. */
const DEFAULT_KEEP = 4 * 1024 * 1024;

/** How to wait. */
export interface ExpectOptions {
  /** Give up after this many milliseconds of the host's time; 60 000. */
  readonly timeout?: number;
}

/** What was waited for did not come. */
export class ExpectError extends Error {
  /** The name of the error's class. */
  override readonly name = "ExpectError";
}

interface Waiter {
  readonly pattern: RegExp | string;
  readonly resolve: (matched: string) => void;
  readonly reject: (error: Error) => void;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** A char backend in memory. */
export class MemoryChar implements CharBackend {
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  readonly #keep: number;
  #output = "";
  /** Characters of output that `expect` has gone past. */
  #cursor = 0;
  #waiters: Waiter[] = [];
  #receiver: ByteSink | undefined;
  #queue: Promise<void> = Promise.resolve();
  #early: Uint8Array[] = [];
  #ended: string | undefined;
  /** Waits no more for the guest to take what is being sent. */
  #release: () => void = () => {};

  /** A backend that keeps the last `keep` characters of output. */
  constructor(keep: number = DEFAULT_KEEP) {
    this.#keep = keep;
  }

  /** What the guest has written, as UTF-8, at most the last `keep`. */
  get output(): string {
    return this.#output;
  }

  /** Take the guest's bytes. */
  readonly write = (bytes: Uint8Array): void => {
    this.#output += this.#decoder.decode(bytes, { stream: true });
    // Cut rarely, so that a long run does not copy the text for each byte.
    if (this.#output.length > 2 * this.#keep) {
      const cut = this.#output.length - this.#keep;
      this.#output = this.#output.slice(cut);
      this.#cursor = Math.max(0, this.#cursor - cut);
    }
    if (this.#waiters.length > 0) this.#match();
  };

  /** Say where the program's bytes go. */
  onInput(receiver: ByteSink): void {
    this.#receiver = receiver;
    for (const bytes of this.#early.splice(0)) this.#deliver(bytes);
  }

  /**
   * Send text or bytes to the guest; resolves when the guest took them, or the
   * machine has ended and nobody will.
   */
  send(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? this.#encoder.encode(data) : data;
    if (this.#receiver === undefined) {
      this.#early.push(bytes);
      return Promise.resolve();
    }
    return this.#deliver(bytes);
  }

  #deliver(bytes: Uint8Array): Promise<void> {
    this.#queue = this.#queue.then(() =>
      new Promise((resolve, reject) => {
        if (this.#ended !== undefined) return resolve();
        this.#release = resolve;
        Promise.resolve(this.#receiver?.(bytes)).then(resolve, reject);
      })
    );
    return this.#queue;
  }

  /**
   * Wait until the guest's output after the last match contains `pattern`;
   * gives back the output up to and including the match. `$` is the end of
   * what has been written so far, so `/# $/` waits for a prompt (also of a
   * shell that then asks for the cursor's position).
   */
  expect(
    pattern: RegExp | string,
    options: ExpectOptions = {},
  ): Promise<string> {
    const timeout = options.timeout ?? 60_000;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const waiter: Waiter = { pattern, resolve, reject, timer: undefined };
    waiter.timer = setTimeout(() => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
      reject(
        new ExpectError(
          `no ${show(pattern)} within ${timeout} ms; ${this.#tail()}`,
        ),
      );
    }, timeout);
    this.#waiters.push(waiter);
    this.#match();
    return promise;
  }

  /**
   * No more output will come and no input be taken: what is waited for fails
   * with `reason`.
   */
  end(reason: string): void {
    this.#ended = reason;
    this.#release();
    this.#match();
  }

  /** The machine runs again after `end`. */
  begin(): void {
    this.#ended = undefined;
  }

  #tail(): string {
    const tail = this.#output.slice(this.#cursor).slice(-200);
    return `the output ends with ${JSON.stringify(tail)}`;
  }

  #match(): void {
    while (this.#waiters.length > 0) {
      const waiter = this.#waiters[0];
      const rest = this.#output.slice(this.#cursor);
      let end = find(rest, waiter.pattern);
      if (end < 0 && rest.endsWith(QUERY)) {
        end = find(rest.slice(0, -QUERY.length), waiter.pattern);
      }
      if (end < 0) break;
      this.#cursor += end;
      this.#waiters.shift();
      clearTimeout(waiter.timer);
      waiter.resolve(rest.slice(0, end));
    }
    if (this.#ended === undefined) return;
    for (const waiter of this.#waiters.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.reject(
        new ExpectError(
          `no ${show(waiter.pattern)}: ${this.#ended}; ${this.#tail()}`,
        ),
      );
    }
  }

  /** Everything written is here at once. */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  /** Let no more input come. */
  close(): Promise<void> {
    this.#receiver = undefined;
    this.end("the machine has stopped");
    return Promise.resolve();
  }
}

function show(pattern: RegExp | string): string {
  return typeof pattern === "string" ? JSON.stringify(pattern) : `${pattern}`;
}

/** Where the first match ends, or -1. */
function find(text: string, pattern: RegExp | string): number {
  if (typeof pattern === "string") {
    const at = text.indexOf(pattern);
    return at < 0 ? -1 : at + pattern.length;
  }
  const flags = pattern.flags.replace(/[gy]/g, "");
  const match = new RegExp(pattern.source, flags).exec(text);
  return match === null ? -1 : match.index + match[0].length;
}
