/**
 * Reads a snapshot's memory while its machine is being planned and built: on
 * another thread, straight to where its pages belong. From 256 MB of a booted
 * Linux, 78 of them in use, that takes 75 ms of which 25 are Zstandard's and
 * most others go to the host for giving the memory its pages; the thread itself
 * costs this one 10.
 *
 * Nothing is believed of it: the file is then read as ever, and what has come
 * already stands for the bytes of its block, with their checksum. Whatever is
 * wrong is left for that to find.
 *
 * @module
 */

import type { GuestMemory } from "../machine/memory.ts";
import type { ReadAheads } from "./block_file.ts";
import type { AheadAnswer, AheadRequest } from "./memory_worker.ts";

/** Files that are shorter are read in less time than a thread begins in. */
const LEAST_BYTES = 8 << 20;

/** A range of a memory: its start and its end. */
export type Range = readonly [from: number, to: number];

/** Where the thread's module is. */
const MODULE = new URL("./memory_worker.ts", import.meta.url);

/** A snapshot's memory on its way. */
export class MemoryAhead {
  readonly #worker: Worker;
  readonly #path: string;
  readonly #answer = Promise.withResolvers<ReadAheads | undefined>();

  private constructor(worker: Worker, path: string) {
    this.#worker = worker;
    this.#path = path;
    worker.onmessage = ({ data }: MessageEvent<AheadAnswer>) =>
      this.#answer.resolve(data ?? undefined);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#answer.resolve(undefined);
    };
    worker.onmessageerror = () => this.#answer.resolve(undefined);
  }

  /**
   * Begin a thread for a file of so many bytes; undefined where that brings
   * nothing or where it may not be.
   */
  static begin(path: string, bytes: number): MemoryAhead | undefined {
    const isWorth = bytes >= LEAST_BYTES && navigator.hardwareConcurrency > 1;
    if (!isWorth || !mayRunModule()) return undefined;
    return new MemoryAhead(new Worker(MODULE.href, { type: "module" }), path);
  }

  /**
   * Begin to read into the first `bytes` of a machine's guest memory, which
   * nobody else writes from now on.
   */
  into({ memory, guestStart }: GuestMemory, guestBytes: number, bytes: number) {
    this.#post({
      type: "begin",
      path: this.#path,
      // The type that TypeScript has for it is not that of shared memories.
      buffer: memory.buffer as unknown as SharedArrayBuffer,
      guestStart,
      guestBytes,
      bytes,
    });
  }

  /**
   * Make the ranges zero, read what belongs beyond the first bytes, and tell
   * what has come; undefined when it failed, and memory may have anything then.
   * The machine must not run before.
   */
  finish(ranges: readonly Range[]): Promise<ReadAheads | undefined> {
    this.#post({ type: "finish", ranges });
    return this.#answer.promise;
  }

  /** End the thread. */
  close(): void {
    this.#worker.terminate();
  }

  #post(request: AheadRequest): void {
    this.#worker.postMessage(request);
  }
}

/** Whether the thread's module can be had: Deno complains aloud where not. */
function mayRunModule(): boolean {
  if (MODULE.protocol !== "file:") return true;
  const { state } = Deno.permissions.querySync({ name: "read", path: MODULE });
  if (state !== "granted") return false;
  try {
    // An executable of `deno compile` has it only when it was named.
    return Deno.statSync(MODULE).isFile;
  } catch {
    return false;
  }
}
