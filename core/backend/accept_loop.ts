/**
 * Taking a server's clients, one after another, until it is closed.
 *
 * That one cannot be accepted ends nothing: it may have gone before, or this
 * process has too many files open, as the guest's connections are. That passes.
 *
 * @module
 */

/** Milliseconds after which a client is accepted that could not be. */
const RETRY_MS = 100;

/** Where clients come: a listener of Deno's is one. */
export interface ClientSource<C> {
  /** The next one. */
  accept(): Promise<C>;
  /** Let none come any more; an `accept` under way rejects. */
  close(): void;
}

/** What becomes of clients. */
export interface AcceptOptions<C> {
  /**
   * A client has come, which is now whose this is; the next one is accepted
   * when it has resolved. Does not reject.
   */
  serve(client: C): void | Promise<void>;
  /** Told why none can be accepted for now: once, until one can. */
  refused?(error: unknown): void;
}

/** Accepts clients from the beginning on. */
export class AcceptLoop<C extends { close(): void }> {
  readonly #source: ClientSource<C>;
  readonly #options: AcceptOptions<C>;
  readonly #done: Promise<void>;
  #isClosed = false;
  /** Ends a pause. */
  #resume: () => void = () => {};

  /** Accept who comes there. */
  constructor(source: ClientSource<C>, options: AcceptOptions<C>) {
    this.#source = source;
    this.#options = options;
    this.#done = this.#run();
  }

  /**
   * Close the source, at once; resolves when nobody is served any more by
   * `serve`, which is not called from now on. May be called again.
   */
  close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#source.close();
      this.#resume();
    }
    return this.#done;
  }

  async #run(): Promise<void> {
    let isTold = false;
    while (!this.#isClosed) {
      let client: C;
      try {
        client = await this.#source.accept();
      } catch (error) {
        if (this.#isClosed) return;
        // It was gone before it was accepted.
        if (error instanceof Deno.errors.ConnectionAborted) continue;
        if (!isTold) this.#options.refused?.(error);
        isTold = true;
        await this.#pause();
        continue;
      }
      isTold = false;
      // It may have come just before.
      if (this.#isClosed) client.close();
      else await this.#options.serve(client);
    }
  }

  /** Let time pass, unless it is closed. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, RETRY_MS);
      this.#resume = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/**
 * Let a client hear at once what is written, and notice when its host has
 * vanished, after which it would say nothing any more.
 */
export function keepLively(client: Deno.Conn): void {
  // A unix socket has neither, and needs none.
  const tcp = client as Partial<Deno.TcpConn>;
  try {
    tcp.setNoDelay?.(true);
    tcp.setKeepAlive?.(true);
  } catch {
    // It has gone already, as reading will tell.
  }
}
