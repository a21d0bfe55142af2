/**
 * What image formats stand on: bytes at positions, in a file of the host.
 *
 * Nothing here waits for the host's disk on the thread of the guest: what is
 * small, or read up to a MiB, is waited for as long as the host's page cache is
 * quick (`file_pace.ts`), everything else is done by other threads. Of what
 * Deno 2.9.6 has, `read`, `datasync` and `truncate` of `node:fs` work on
 * another thread, but its writes, by callback, promise or `writev`, are done
 * before the call comes back: 256 MB stopped the event loop for 1.3 s where the
 * host throttled them. `Deno.FsFile` writes elsewhere and has but one position,
 * so that its writes take turns; so they would in Linux, which writes to a file
 * of ext4 under a lock of the file.
 *
 * Measured for what the host's page cache has, in us, on two busy cores; the
 * range is that of medians of several processes:
 *
 *     4 KiB, 128 KiB                       read           write
 *     readSync, writeSync                  3, 12          9 to 19, 24
 *     fs.read                              16 to 89, 22
 *     Deno.FsFile, seekSync before it      15 to 107, 24  24 to 56, 36
 *     worker, shared ring, waitAsync       14 to 91, 36   25 to 50, 42
 *     the same, the guest's thread waits   10 to 102, 28  15 to 32, 36
 *
 * What takes so long is that one thread wakes another, and that depends on the
 * cores they are on. A worker (20 MB, 50 to 90 ms at its start) is no better at
 * it.
 *
 * @module
 */

import { read, readSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { BlockError, type BlockErrorKind } from "../../core/backend/block.ts";
import type { Extent } from "../../core/backend/image_format.ts";
import { cLibrary } from "./c_library.ts";
import { lockAsQemu } from "./file_lock.ts";
import { FilePace, MOST_READ, MOST_WRITTEN } from "./file_pace.ts";

/** The most bytes of zeroes written at once. */
const PIECE_BYTES = 4 << 20;
/** Linux, include/uapi/linux/fs.h. */
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/**
 * The longest that two writes may have one time: a tick of the slowest kernel
 * that Debian has, and the whole milliseconds that Deno tells.
 */
const STAMP_MS = 12;

/** What changes when what is stored does: for images that are only read. */
export interface ImageIdentity {
  /** When it was last changed, or what else tells versions of it apart. */
  readonly stamp: string;
}

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
  /**
   * What the bytes at `offset` are, and at most `length` that follow: holes are
   * zero. Absent where there is no telling.
   */
  extent?(offset: number, length: number): Extent;
  /** Tells whether it is still what it was; nothing does, where absent. */
  identity?(): ImageIdentity;
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

/**
 * Whether a name is a protocol's in QEMU, as `nbd://host/disk` or `json:{...}`:
 * letters and a colon before any slash.
 */
export function namesProtocol(name: string): boolean {
  return /^[^/\\]{2,}:/.test(name);
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
  /** The same file: what writes, one at a time, and holds the lock. */
  readonly #writer: Deno.FsFile;
  readonly #reads = new FilePace(MOST_READ);
  readonly #writes = new FilePace(MOST_WRITTEN);
  /** Writes that other threads have to do or are doing. */
  #writing = 0;
  /** Resolves when the writes made so far have been done, or have failed. */
  #written: Promise<void> = Promise.resolve();

  private constructor(
    path: string,
    file: FileHandle,
    writer: Deno.FsFile,
    size: number,
  ) {
    this.#path = path;
    this.#file = file;
    this.#writer = writer;
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
    const fail = (
      reason: string,
      cause?: unknown,
      kind: BlockErrorKind = "io",
    ): never => {
      throw new BlockError(kind, `Cannot open image "${path}": ${reason}`, {
        cause,
      });
    };
    if (namesProtocol(path)) {
      const reason = "expected a file, or an http: or https: URL";
      fail(reason, undefined, "unsupported");
    }
    let writer: Deno.FsFile | undefined;
    let file: FileHandle | undefined;
    try {
      // Before it is opened: a pipe would wait for its other end.
      if (!(await Deno.stat(path)).isFile) fail("it is not a regular file");
      writer = await Deno.open(path, { read: true, write: !readOnly });
      if (lock && !await writer.tryLock(!readOnly)) {
        fail(
          readOnly
            ? "it is open for writing elsewhere"
            : "it is in use elsewhere, a writer needs it alone",
        );
      }
      file = await open(path, readOnly ? "r" : "r+");
      const conflict = lock ? lockAsQemu(file.fd, readOnly) : undefined;
      if (conflict !== undefined) {
        fail(`it is in use elsewhere (QEMU's lock "${conflict}")`);
      }
      const { size } = await file.stat();
      return new FileStore(path, file, writer, size);
    } catch (cause) {
      await file?.close();
      writer?.close();
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
    const { fd } = this.#file;
    const pace = this.#reads;
    await this.#try("read", async () => {
      let done = 0;
      while (done < into.length) {
        const rest = done === 0 ? into : into.subarray(done);
        const at = offset + done;
        const { length } = rest;
        const bytesRead = pace.isQuick(length)
          ? pace.waitFor(length, () => readSync(fd, rest, 0, length, at))
          : await pace.handOver(length, () => readAt(fd, rest, at));
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      into.fill(0, done);
    });
  }

  /** See `ByteStore.write`. */
  write(offset: number, bytes: Uint8Array): Promise<void> {
    // A write that fails may have grown the file all the same.
    this.#size = Math.max(this.#size, offset + bytes.length);
    if (this.#writing === 0 && this.#writes.isQuick(bytes.length)) {
      return this.#try("write to", () => {
        this.#writes.waitFor(
          bytes.length,
          () => this.#putNow(offset, bytes),
        );
      });
    }
    this.#writing++;
    const written = this.#written.then(() =>
      this.#try(
        "write to",
        () =>
          this.#writes.handOver(
            bytes.length,
            () => this.#put(offset, bytes),
          ),
      )
    );
    this.#written = written.catch(() => {}).finally(() => this.#writing--);
    return written;
  }

  /** See `ByteStore.truncate`. */
  async truncate(size: number): Promise<void> {
    await this.#written;
    await this.#try("resize", () => this.#file.truncate(size));
    this.#size = size;
  }

  /** See `ByteStore.extent`: all is data where the host does not say more. */
  extent(offset: number, length: number): Extent {
    const { fd } = this.#file;
    const seek = (whence: number): number =>
      cLibrary()?.lseek(fd, offset, whence) ?? -1;
    const data = seek(SEEK_DATA);
    const hole = data > offset ? offset : seek(SEEK_HOLE);
    // No data follow where only the search for a hole succeeds.
    if (hole === offset) {
      const end = data > offset ? data - offset : length;
      return { kind: "zero", length: Math.min(length, end) };
    }
    const end = hole > offset ? hole - offset : length;
    return { kind: "data", length: Math.min(length, end) };
  }

  /** See `ByteStore.identity`. */
  identity(): ImageIdentity {
    const { mtime } = this.#writer.statSync();
    return { stamp: mtime?.toISOString() ?? "an unknown date" };
  }

  /**
   * When it was written to last, in nanoseconds since 1970, when that and all
   * that was written would survive a power cut, and when whatever is written
   * from now on, by whomever, gets another time. Rejects with a `BlockError`.
   */
  async lastWritten(): Promise<bigint> {
    await this.#written;
    let time = 0n;
    await this.#try("look at", async () => {
      await this.#file.sync();
      time = (await this.#file.stat({ bigint: true })).mtimeNs;
    });
    // A clock that is behind the file's is not waited for.
    const age = Date.now() - Number(time / 1_000_000n);
    if (age >= 0 && age < STAMP_MS) {
      await new Promise((resolve) => setTimeout(resolve, STAMP_MS - age));
    }
    return time;
  }

  /** See `ByteStore.sync`. */
  async sync(): Promise<void> {
    await this.#written;
    await this.#try("sync", () => this.#file.datasync());
  }

  /** Close the file, which gives up its lock. */
  async close(): Promise<void> {
    await this.#written;
    try {
      await this.#try("close", () => this.#file.close());
    } finally {
      this.#writer.close();
    }
  }

  /** Write on this thread. */
  #putNow(offset: number, bytes: Uint8Array): void {
    const { fd } = this.#file;
    for (let done = 0; done < bytes.length;) {
      const rest = bytes.subarray(done);
      const count = writeSync(fd, rest, 0, rest.length, offset + done);
      if (count === 0) throw this.#full();
      done += count;
    }
  }

  #full(): BlockError {
    return new BlockError("no-space", `"${this.#path}" takes no more`);
  }

  /** Write when no other write is under way. */
  async #put(offset: number, bytes: Uint8Array): Promise<void> {
    try {
      // No more than a number in the kernel: asking elsewhere takes longer.
      this.#writer.seekSync(offset, Deno.SeekMode.Start);
    } catch (cause) {
      if ((cause as { code?: string }).code !== "EINVAL") throw cause;
      const reason = `its file system has no byte ${offset}`;
      throw new BlockError(
        "no-space",
        `Cannot write to "${this.#path}": ${reason}`,
        { cause },
      );
    }
    for (let done = 0; done < bytes.length;) {
      const count = await this.#writer.write(bytes.subarray(done));
      if (count === 0) throw this.#full();
      done += count;
    }
  }

  async #try(what: string, action: () => Promise<void> | void): Promise<void> {
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

/** Have the host give room for bytes that the file does not have yet. */
export async function fill(
  store: ByteStore,
  from: number,
  to: number,
  onProgress?: (done: number, total: number) => void,
): Promise<void> {
  const zeroes = new Uint8Array(Math.max(0, Math.min(PIECE_BYTES, to - from)));
  for (let at = from; at < to; at += zeroes.length) {
    const rest = Math.min(zeroes.length, to - at);
    await store.write(at, zeroes.subarray(0, rest));
    onProgress?.(at + rest - from, to - from);
  }
}
