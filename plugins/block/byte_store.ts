/**
 * What image formats stand on: bytes at positions, in a file of the host.
 *
 * @module
 */

import { read } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { BlockError, type BlockErrorKind } from "../../core/backend/block.ts";
import { lockAsQemu } from "./file_lock.ts";

/** Bytes at positions. Requests may be outstanding together. */
export interface ByteStore {
  /** The bytes there are; grows as soon as a write beyond them is made. */
  readonly size: number;
  /** Fill `into` from `offset` on; what lies beyond the end is zero. */
  read(offset: number, into: Uint8Array): Promise<void>;
  /** Write all of `bytes` at `offset`. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Cut off at `size`, or grow to it with zeroes. */
  truncate(size: number): Promise<void>;
  /** Resolves when everything written would survive a power cut. */
  sync(): Promise<void>;
  /** Let go of it. */
  close(): Promise<void>;
}

/** What the host's errors mean, by their codes and as Deno words them. */
function kindOf(cause: unknown): BlockErrorKind {
  const { code, message } = cause as { code?: string; message?: string };
  const full = /ENOSPC|EDQUOT|EFBIG/.test(code ?? "") ||
    /os error (28|122|27)\b/.test(message ?? "");
  return full ? "no-space" : "io";
}

/** Fills what it can: two thirds of the time that `FileHandle.read` takes. */
function readAt(
  file: number,
  into: Uint8Array,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) =>
    read(file, into, 0, into.length, position, (error, bytes) => {
      if (error) reject(error);
      else resolve(bytes);
    })
  );
}

/** How to open a file. */
export interface FileOptions {
  /** Lock it, unless this is false: for a look that changes nothing. */
  readonly lock?: boolean;
}

/** A store in a file, locked for as long as it is open. */
export class FileStore implements ByteStore {
  #size: number;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #lock: Deno.FsFile | undefined;

  private constructor(
    path: string,
    file: FileHandle,
    lock: Deno.FsFile | undefined,
    size: number,
  ) {
    this.#path = path;
    this.#file = file;
    this.#lock = lock;
    this.#size = size;
  }

  /**
   * Open a file that exists. A writer has it alone, readers share it; see
   * `file_lock.ts` for who respects that. Rejects with a `BlockError`.
   */
  static async open(
    path: string,
    readOnly: boolean,
    { lock = true }: FileOptions = {},
  ): Promise<FileStore> {
    const fail = (reason: string, cause?: unknown): never => {
      throw new BlockError("io", `Cannot open image "${path}": ${reason}`, {
        cause,
      });
    };
    let held: Deno.FsFile | undefined;
    let file: FileHandle | undefined;
    try {
      // Before it is opened: a pipe would wait for its other end.
      if (!(await Deno.stat(path)).isFile) fail("it is not a regular file");
      if (lock) {
        held = await Deno.open(path, { read: true, write: !readOnly });
        if (!await held.tryLock(!readOnly)) {
          fail(
            readOnly
              ? "it is open for writing elsewhere"
              : "it is in use elsewhere, a writer needs it alone",
          );
        }
      }
      file = await open(path, readOnly ? "r" : "r+");
      const conflict = lock ? lockAsQemu(file.fd, readOnly) : undefined;
      if (conflict !== undefined) {
        fail(`it is in use elsewhere (QEMU's lock "${conflict}")`);
      }
      const { size } = await file.stat();
      return new FileStore(path, file, held, size);
    } catch (cause) {
      await file?.close();
      held?.close();
      if (cause instanceof BlockError) throw cause;
      return fail(cause instanceof Error ? cause.message : `${cause}`, cause);
    }
  }

  /** The file's size in bytes. */
  get size(): number {
    return this.#size;
  }

  /** See `ByteStore.read`. */
  async read(offset: number, into: Uint8Array): Promise<void> {
    await this.#try("read", async () => {
      let done = 0;
      while (done < into.length) {
        const bytesRead = await readAt(
          this.#file.fd,
          into.subarray(done),
          offset + done,
        );
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      into.fill(0, done);
    });
  }

  /** See `ByteStore.write`. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    // A write that fails may have grown the file all the same.
    this.#size = Math.max(this.#size, offset + bytes.length);
    await this.#try("write to", async () => {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await this.#file.write(
          bytes,
          done,
          bytes.length - done,
          offset + done,
        );
        if (bytesWritten === 0) {
          throw new BlockError("no-space", `"${this.#path}" takes no more`);
        }
        done += bytesWritten;
      }
    });
  }

  /** See `ByteStore.truncate`. */
  async truncate(size: number): Promise<void> {
    await this.#try("resize", () => this.#file.truncate(size));
    this.#size = size;
  }

  /** See `ByteStore.sync`. */
  async sync(): Promise<void> {
    await this.#try("sync", () => this.#file.datasync());
  }

  /** Close the file, which gives up its lock. */
  async close(): Promise<void> {
    try {
      await this.#try("close", () => this.#file.close());
    } finally {
      this.#lock?.close();
    }
  }

  async #try(what: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (cause) {
      if (cause instanceof BlockError) throw cause;
      const reason = cause instanceof Error ? cause.message : `${cause}`;
      throw new BlockError(
        kindOf(cause),
        `Cannot ${what} "${this.#path}": ${reason}`,
        { cause },
      );
    }
  }
}
