/**
 * What a raw image was at snapshots of machines that wrote to it, from its undo
 * log, while neither is written to: for throw-away overlays.
 *
 * @module
 */

import {
  type BlockBackend,
  BlockError,
  type BlockPast,
  checkRange,
} from "../../core/backend/block.ts";
import type { ByteStore } from "./byte_store.ts";
import type { UndoLog } from "./undo_log.ts";
import {
  checkKept,
  findKept,
  foreignChange,
  logProblem,
  sectorsOf,
  type UndoDisk,
} from "./undo_store.ts";

/** Where the log is that is looked at. */
export interface UndoLook {
  /** Its path. */
  readonly path: string;
  /** Open it to look at; undefined when there is none, or it may not be read. */
  look(): Promise<ByteStore | undefined>;
}

/** What an image was that is open to be read, and is for as long. */
export function undoPast(disk: UndoDisk, files: UndoLook): BlockPast {
  const { path } = files;
  const size = sectorsOf(disk);
  return {
    async check(record) {
      let log: UndoLog | undefined;
      let problem: string | undefined;
      try {
        log = await openLog(files);
        if (log !== undefined) problem = await foreignChange(disk, log);
      } catch (error) {
        if (!(error instanceof BlockError)) throw error;
        problem = logProblem(path, error);
      }
      try {
        return checkKept(record, { log, problem, path, size });
      } finally {
        await log?.close();
      }
    },
    async open(record) {
      const log = await openLog(files);
      try {
        const found = findKept(record, log);
        if (found === undefined) {
          throw new BlockError("unsupported", "does not have the snapshot");
        }
        return await PastDisk.open(disk, log!, found.id);
      } catch (error) {
        await log?.close();
        if (!(error instanceof BlockError)) throw error;
        const message = `"${path}" ${error.message}`;
        throw new BlockError(error.kind, message, { cause: error });
      }
    },
  };
}

async function openLog(files: UndoLook): Promise<UndoLog | undefined> {
  const store = await files.look();
  if (store === undefined) return undefined;
  try {
    const { UndoLog } = await import("./undo_log.ts");
    return await UndoLog.open(store);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** An image as it was at a snapshot. */
class PastDisk implements BlockBackend {
  readonly size: number;
  readonly readOnly = true;
  readonly #disk: UndoDisk;
  readonly #log: UndoLog;
  readonly #snapshot: number;
  readonly #clusterBytes: number;
  /** The clusters that may be other now. */
  readonly #changed: ReadonlySet<number>;

  private constructor(
    disk: UndoDisk,
    log: UndoLog,
    snapshot: number,
    clusterBytes: number,
  ) {
    this.size = log.size;
    this.#disk = disk;
    this.#log = log;
    this.#snapshot = snapshot;
    this.#clusterBytes = clusterBytes;
    this.#changed = new Set(log.changedSince(snapshot));
  }

  /** Throws a `BlockError` when the log has not all as it was written. */
  static async open(
    disk: UndoDisk,
    log: UndoLog,
    snapshot: number,
  ): Promise<PastDisk> {
    const { CLUSTER_BYTES } = await import("./undo_log.ts");
    const past = new PastDisk(disk, log, snapshot, CLUSTER_BYTES);
    for (const cluster of past.#changed) await log.read(cluster, snapshot);
    return past;
  }

  async read(
    offset: number,
    length: number,
    room?: Uint8Array,
  ): Promise<Uint8Array> {
    checkRange(offset, length, this.size);
    const bytes = room ?? new Uint8Array(length);
    const last = offset + length;
    for (let at = offset; at < last;) {
      const cluster = Math.floor(at / this.#clusterBytes);
      const isChanged = this.#changed.has(cluster);
      let next = cluster + 1;
      // What the image has of several clusters is one request.
      while (
        !isChanged && next * this.#clusterBytes < last &&
        !this.#changed.has(next)
      ) next++;
      const end = Math.min(next * this.#clusterBytes, last);
      const part = bytes.subarray(at - offset, end - offset);
      if (isChanged) {
        const whole = await this.#log.read(cluster, this.#snapshot);
        const from = at - cluster * this.#clusterBytes;
        part.set(whole.subarray(from, from + part.length));
      } else await this.#disk.read(at, part);
      at = end;
    }
    return bytes;
  }

  write(): Promise<void> {
    return this.#refuse();
  }

  discard(): Promise<void> {
    return this.#refuse();
  }

  writeZeroes(): Promise<void> {
    return this.#refuse();
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {
    await this.#log.close();
  }

  #refuse(): Promise<never> {
    const message = "Cannot write: the image is what it was";
    return Promise.reject(new BlockError("read-only", message));
  }
}
