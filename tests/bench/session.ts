/**
 * A guest that runs in a process of its own: its serial port is the process's
 * standard input and output, and lines are stamped as they arrive.
 *
 * @module
 */

import type { Command } from "./targets.ts";

const NANOSECONDS_PER_MS = 1e6;
/** How often the peak of memory is read, as the process may end any time. */
const MEMORY_POLL_MS = 250;
/** How much of the output a message may quote. */
const QUOTE = 200;

/** The guest did not do what was waited for. */
export class SessionError extends Error {
  /** The name of the error's class. */
  override readonly name = "SessionError";
}

/** Where in time something was seen. */
export interface Stamp {
  /** What matched. */
  readonly match: RegExpExecArray;
  /** Wall time since the process was started, in milliseconds. */
  readonly wall: number;
  /** CPU time of each thread until then; of none if the process has ended. */
  readonly threads: ReadonlyMap<string, number>;
}

/**
 * CPU time of the thread that had most of it between two stamps, or until the
 * first: what the guest took, and neither compilers in threads of their own
 * nor the waits of a busy host. NaN if it is unknown.
 */
export function busiestThread(to: Stamp, from?: Stamp): number {
  const times = [...to.threads].map(([thread, time]) =>
    time - (from?.threads.get(thread) ?? 0)
  );
  return times.length === 0 ? NaN : Math.max(...times);
}

/** A running process. */
export class Session {
  readonly #child: Deno.ChildProcess;
  readonly #start = performance.now();
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #errors: Promise<string>;
  readonly #decoder = new TextDecoder();
  readonly #poll: ReturnType<typeof setInterval>;
  /** A read that is under way: it outlives a wait that gave up. */
  #pending?: Promise<ReadableStreamReadResult<Uint8Array>>;
  #text = "";
  #peak = 0;

  /** Start a process; throws a `SessionError` if that is not possible. */
  constructor([program, args]: Command) {
    try {
      this.#child = new Deno.Command(program, {
        args: [...args],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    } catch (error) {
      throw new SessionError(`cannot start ${program}`, { cause: error });
    }
    this.#output = this.#child.stdout.getReader();
    this.#input = this.#child.stdin.getWriter();
    this.#errors = new Response(this.#child.stderr).text();
    this.#poll = setInterval(() => this.#readMemory(), MEMORY_POLL_MS);
  }

  /** The most memory that was resident at once, in bytes. */
  get peakMemory(): number {
    return this.#peak;
  }

  /** Type into the guest's serial port. */
  async type(text: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(text));
  }

  /** Wait until the output has what is looked for; drop all up to its end. */
  async until(pattern: RegExp, limitMs: number): Promise<Stamp> {
    const deadline = performance.now() + limitMs;
    let now = performance.now();
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match !== null) {
        this.#text = this.#text.slice(match.index + match[0].length);
        return { match, wall: now - this.#start, threads: this.#threads() };
      }
      const failure = /^FAIL ([^\r\n]*)\r?\n/m.exec(this.#text);
      if (failure !== null) {
        throw new SessionError(`the guest failed: ${failure[1]}`);
      }
      const chunk = await this.#next(deadline - performance.now());
      now = performance.now();
      this.#readMemory();
      this.#text += this.#decoder.decode(chunk, { stream: true });
    }
  }

  /** End the process if it has not ended, and wait until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#poll);
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#child.status;
    await this.#errors;
    await Promise.allSettled([this.#output.cancel(), this.#input.close()]);
  }

  async #next(limitMs: number): Promise<Uint8Array> {
    this.#pending ??= this.#output.read();
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(
      () => late.resolve(undefined),
      Math.max(0, limitMs),
    );
    const result = await Promise.race([this.#pending, late.promise]);
    clearTimeout(timer);
    const quote = JSON.stringify(this.#text.slice(-QUOTE));
    if (result === undefined) {
      throw new SessionError(`time is up; the last output was ${quote}`);
    }
    this.#pending = undefined;
    if (!result.done) return result.value;
    const { code } = await this.#child.status;
    const message = (await this.#errors).trim().split("\n").at(-1);
    throw new SessionError(
      `it ended with code ${code}${message ? `: ${message}` : ""}; ` +
        `the last output was ${quote}`,
    );
  }

  /** A path below `/proc` that is about the process. */
  #path(file: string): string {
    return `/proc/${this.#child.pid}/${file}`;
  }

  /** What is read from `/proc`; undefined if the process has ended. */
  #proc<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      // ESRCH: it ended while it was read.
      if (error instanceof Error && /No such process/.test(error.message)) {
        return undefined;
      }
      throw error;
    }
  }

  #read(file: string): string | undefined {
    return this.#proc(() => Deno.readTextFileSync(this.#path(file)));
  }

  #threads(): Map<string, number> {
    const threads = new Map<string, number>();
    const tasks = this.#proc(() => [...Deno.readDirSync(this.#path("task"))]);
    for (const { name } of tasks ?? []) {
      const text = this.#read(`task/${name}/schedstat`);
      // The first field is the time on a CPU.
      if (text !== undefined) {
        threads.set(name, parseInt(text) / NANOSECONDS_PER_MS);
      }
    }
    return threads;
  }

  #readMemory(): void {
    const line = /^VmHWM:\s*(\d+) kB$/m.exec(this.#read("status") ?? "");
    if (line !== null) this.#peak = Math.max(this.#peak, +line[1] * 1024);
  }
}
