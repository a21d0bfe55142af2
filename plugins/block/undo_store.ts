/**
 * A raw image that is written to, and yet can be again what it was at snapshots
 * of its machine.
 *
 * The file is the disk, whatever snapshots there are: what a guest has flushed
 * is in it, any program can read it, and to throw snapshots away costs nothing.
 * So what a snapshot needs lies beside it, in the undo log `IMAGE.rhea-undo`:
 * each cluster's old content, from before it was overwritten for the first time
 * since the newest snapshot. The other way about, as VirtualBox's differencing
 * images and QEMU's external snapshots do it, new content would go to another
 * file and `IMAGE` would be out of date from the first snapshot on: for who
 * starts it without that file or with another program a disk of yesterday, and
 * to go on without snapshots all of it would have to be merged back. The price
 * is LVM's old snapshots': the first write to a cluster since a snapshot waits
 * until its old content is on the host's disk. Writes that come meanwhile share
 * the next wait.
 *
 * Why it holds however the process or the host ends:
 *
 * - A cluster's old content is synced before the new one is written. A copy
 *   that is there in part is one whose cluster is as it was.
 * - Loading a snapshot is to write its clusters as a guest would, so that all
 *   other snapshots stay what they are. That it is under way is in the log;
 *   who opens the image to write next ends it, and nobody reads it before.
 *   That it is to begin with those of other disks is in the log before.
 * - A snapshot whose file was never completed, or was to be deleted, is taken
 *   out at the next start when there is no such file, or with the next one of
 *   the same name.
 *
 * Someone else's writes to the image leave no copies. They show by the time of
 * the file's last change: the log has the one at which Rhea closed it, and while
 * it is open for how much longer Rhea may write without saying so anew. After a
 * kill such writes go unseen only when they come within `LEASE_MS`. What has
 * been kept is not for that disk any more, and loading it is refused.
 *
 * `core/replay/disk_undo.ts` takes back writes, too, but of one run, in memory
 * and in the order in which they were made, as often as they were made; here
 * the first of each cluster counts, for good, and of several snapshots.
 *
 * @module
 */

import {
  BlockError,
  type BlockSnapshots,
  SECTOR_BYTES,
} from "../../core/backend/block.ts";
import type { Extent } from "../../core/backend/image_format.ts";
import type { StateRecord } from "../../core/state/state.ts";
import type { ByteStore } from "./byte_store.ts";
import { otherKind } from "./disk_states.ts";
import type { Cluster, UndoLog } from "./undo_log.ts";
import type { ImageState, KeptSnapshot } from "./undo_log_format.ts";

/** For so long Rhea may write after having said that it does. */
export const LEASE_MS = 10_000;
/** How long before that it says so again. */
const RENEW_MS = LEASE_MS / 2;
/** The clock that dates files is a tick behind, at most so much. */
const TICK_MS = 100;
/** The most clusters that are copied before they are written: 2 MiB. */
const MOST_AHEAD = 31;
/** What part of a log may be of no use before it is written anew. */
const MOST_WASTE = 1 / 4;

/** An image file. */
export interface UndoDisk extends ByteStore {
  /**
   * Resolves to when it was written to last, in nanoseconds since 1970, when
   * that would survive a power cut.
   */
  lastWritten(): Promise<bigint>;
}

/** Where an image's undo log is. All methods reject with `BlockError`. */
export interface UndoFiles {
  /** Its path. */
  readonly path: string;
  /** Open it; undefined when there is none. */
  open(): Promise<ByteStore | undefined>;
  /** A new file, which is not it yet. */
  create(): Promise<ByteStore>;
  /** The new file, complete, becomes it, or goes. */
  publish(): Promise<void>;
  discard(): Promise<void>;
  /** Give it up. */
  remove(): Promise<void>;
  /** Whether there may be a file at a path. */
  isThere(path: string): Promise<boolean>;
  /** Whether the disk that decides, at a path, says that a load is to be. */
  isDecided(path: string, load: string): Promise<boolean>;
}

/** Bytes of the disk: the file gets all of its last sector when it is written. */
export function sectorsOf({ size }: ByteStore): number {
  return Math.ceil(size / SECTOR_BYTES) * SECTOR_BYTES;
}

/** In what an image is not as Rhea left it: the end of a sentence. */
export async function foreignChange(
  disk: UndoDisk,
  log: UndoLog,
): Promise<string | undefined> {
  const size = sectorsOf(disk);
  if (size !== log.size) {
    return `has ${size} bytes now, it had ${log.size} at its snapshots`;
  }
  const { closed, inUse, from, to } = log.image;
  const written = await disk.lastWritten();
  const date = Number(written / 1_000_000n);
  const isOurs = written === closed ||
    inUse && date >= from - TICK_MS && date <= to;
  return isOurs
    ? undefined
    : "has been changed by something else than Rhea since its snapshots, " +
      `its file is of ${new Date(date).toISOString()}`;
}

/** The snapshot that a record is of. */
export function findKept(
  { kind, log: identity, id, key }: StateRecord,
  log: UndoLog | undefined,
): KeptSnapshot | undefined {
  return kind === "undo" && identity === log?.identity
    ? log?.find(id, key)
    : undefined;
}

/** Why an image cannot be what a record says: the end of a sentence. */
export function checkKept(
  record: StateRecord,
  { log, problem, path, size }: {
    readonly log: UndoLog | undefined;
    /** Why it is not for the image. */
    readonly problem: string | undefined;
    /** The log's. */
    readonly path: string;
    /** Of the disk. */
    readonly size: number;
  },
): string | undefined {
  const other = otherKind(record, "undo");
  if (other !== undefined) return other;
  if (problem !== undefined) return problem;
  if (record.size !== size) {
    return `has ${size} bytes, it had ${record.size}`;
  }
  if (log === undefined) {
    return `has no file "${path}" any more, which has what was overwritten ` +
      "since";
  }
  if (record.log !== log.identity) {
    return `is another image than that of the snapshot "${record.name}"`;
  }
  return findKept(record, log) === undefined
    ? `has kept nothing for the snapshot "${record.name}" in "${path}"`
    : undefined;
}

/** A raw image with its undo log, as one store. */
export class UndoStore implements ByteStore {
  readonly #disk: UndoDisk;
  readonly #files: UndoFiles;
  #log: UndoLog | undefined;
  /** Bytes of a cluster of the log. */
  #clusterBytes = 1;
  /** Why what was kept is not for this disk: the end of a sentence. */
  #problem: string | undefined;
  /** Clusters to be copied next, and when they are. */
  readonly #wanted = new Set<number>();
  #next: Promise<void> | undefined;
  #copying: Promise<void> = Promise.resolve();
  #renewal: Promise<void> | undefined;
  /** Where a write from front to back comes to what is not copied. */
  #expected = -1;
  #ahead = 0;

  private constructor(disk: UndoDisk, files: UndoFiles) {
    this.#disk = disk;
    this.#files = files;
  }

  /**
   * An image that is open for writing, which is closed with it; a load that was
   * interrupted is ended first. Rejects with a `BlockError`.
   */
  static async open(disk: UndoDisk, files: UndoFiles): Promise<UndoStore> {
    const store = new UndoStore(disk, files);
    try {
      await store.#openLog();
    } catch (error) {
      await store.#log?.close();
      throw error;
    }
    return store;
  }

  /** See `ByteStore.size`. */
  get size(): number {
    return this.#disk.size;
  }

  /** How the image takes part in snapshots of the machine. */
  get snapshots(): BlockSnapshots {
    return {
      save: (name, _put, file) => this.#save(name, file),
      complete: (record) => this.#complete(record),
      leave: (record, file) =>
        this.#inLog(async (log) => {
          const found = this.#find(record);
          if (found !== undefined) await log!.setFile(found.id, file, false);
        }),
      check: (record) => Promise.resolve(this.#check(record)),
      prepare: (record) => this.#prepare(record),
      load: (record) => this.#load(record),
      remove: (record) => this.#remove(record),
      together: {
        place: this.#files.path,
        begin: async (record, { id: load, decider = "" }) => {
          const { id } = this.#find(record)!;
          await this.#inLog((log) => log!.setNote({ load, id, decider }));
        },
        forget: (load) =>
          this.#inLog(async (log) => {
            if (log?.note.load === load) await log.setNote();
          }),
      },
    };
  }

  /** See `ByteStore.read`. */
  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#disk.read(offset, into);
  }

  /** See `ByteStore.write`: what was there is in the log first. */
  write(offset: number, bytes: Uint8Array): Promise<void> {
    const log = this.#log;
    if (log === undefined || this.#problem !== undefined) {
      return this.#disk.write(offset, bytes);
    }
    const first = Math.floor(offset / this.#clusterBytes);
    const end = Math.ceil((offset + bytes.length) / this.#clusterBytes);
    let cluster = first;
    while (cluster < end && log.isCopied(cluster)) cluster++;
    if (cluster >= end && this.#mayWrite(log)) {
      return this.#disk.write(offset, bytes);
    }
    return this.#writeKept(offset, bytes, first, end);
  }

  /** See `ByteStore.truncate`. */
  truncate(size: number): Promise<void> {
    return this.#disk.truncate(size);
  }

  /** See `ByteStore.extent`. */
  extent(offset: number, length: number): Extent {
    return this.#disk.extent?.(offset, length) ?? { kind: "data", length };
  }

  /** See `ByteStore.sync`. */
  sync(): Promise<void> {
    return this.#disk.sync();
  }

  /** See `ByteStore.close`. */
  async close(): Promise<void> {
    await this.#copying.catch(() => {});
    const log = this.#log;
    try {
      if (log?.image.inUse && this.#problem === undefined) {
        const closed = await this.#disk.lastWritten();
        await log.setImage({ closed, inUse: false });
      }
    } finally {
      try {
        await log?.close();
      } finally {
        await this.#disk.close();
      }
    }
  }

  get #sectors(): number {
    return sectorsOf(this.#disk);
  }

  async #openLog(): Promise<void> {
    try {
      const file = await this.#files.open();
      if (file === undefined) return;
      const { UndoLog, CLUSTER_BYTES } = await import("./undo_log.ts");
      try {
        this.#log = await UndoLog.open(file);
        this.#clusterBytes = CLUSTER_BYTES;
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      // The disk is there without it.
      this.#problem = logProblem(this.#files.path, error);
      return;
    }
    const log = this.#log;
    this.#problem = await foreignChange(this.#disk, log);
    if (this.#problem !== undefined) return;
    const { loading } = log.image;
    if (loading !== 0) await this.#endLoad(log, loading);
    await this.#endTogether(log);
    for (const { id, complete, file } of log.snapshots) {
      if (!complete && !await this.#files.isThere(file)) {
        await this.#inLog(() => log.removeSnapshot(id));
      }
    }
    await this.#shrink();
  }

  /** The image is between two states: it becomes the one that was wanted. */
  async #endLoad(log: UndoLog, id: number): Promise<void> {
    try {
      await this.#inLog(() => this.#startLoad(log, id));
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      throw new BlockError(
        error.kind,
        "Rhea was ended while it loaded a snapshot, and cannot complete that: " +
          `${error.message}; delete "${this.#files.path}" to take the image ` +
          "as it is",
        { cause: error },
      );
    }
  }

  /** A load together with others was under way: it is done, or is not to be. */
  async #endTogether(log: UndoLog): Promise<void> {
    const { load, id, decider } = log.note;
    if (id === 0) return;
    const isWanted = decider === "" || await this.#isDecided(decider, load);
    // With `loading` in the log the disk finds its way without the note.
    if (isWanted) await this.#endLoad(log, id);
    else await this.#inLog(() => log.setNote());
  }

  async #isDecided(decider: string, load: string): Promise<boolean> {
    try {
      return await this.#files.isDecided(decider, load);
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      throw new BlockError(
        error.kind,
        "Rhea was ended while it loaded a snapshot to this disk and others, " +
          `and cannot tell whether that was to be: ${error.message}; delete ` +
          `"${this.#files.path}" to take the image as it is`,
        { cause: error },
      );
    }
  }

  /** Whether the log says that the image is being written to now. */
  #mayWrite({ image: { inUse, from, to } }: UndoLog): boolean {
    const now = Date.now();
    return inUse && now >= from && now < to - RENEW_MS;
  }

  async #writeKept(
    offset: number,
    bytes: Uint8Array,
    first: number,
    end: number,
  ): Promise<void> {
    const log = this.#log!;
    const clusters: number[] = [];
    const last = end + this.#aheadOf(first, end);
    for (let cluster = first; cluster < last; cluster++) {
      if (!log.isCopied(cluster)) clusters.push(cluster);
    }
    await this.#inLog(async () => {
      if (clusters.length > 0) await this.#keep(clusters);
      await this.#lease(log);
    });
    await this.#disk.write(offset, bytes);
  }

  /**
   * How many clusters more to copy at once: what is written from front to back
   * would wait at each, and so waits at ever fewer.
   */
  #aheadOf(first: number, end: number): number {
    const clusters = Math.ceil(this.#sectors / this.#clusterBytes);
    this.#ahead = first === this.#expected
      ? Math.min(2 * this.#ahead + 1, MOST_AHEAD)
      : 0;
    const ahead = Math.min(this.#ahead, clusters - end);
    this.#expected = end + ahead;
    return ahead;
  }

  /** Say that the image is written to, where that is not said. */
  async #lease(log: UndoLog): Promise<void> {
    while (!this.#mayWrite(log)) {
      await (this.#renewal ??= this.#renew(log).finally(() => {
        this.#renewal = undefined;
      }));
    }
  }

  async #renew(log: UndoLog): Promise<void> {
    const { inUse, from } = log.image;
    const now = Date.now();
    const change: Partial<ImageState> = {
      inUse: true,
      from: inUse ? Math.min(from, now) : now,
      to: now + LEASE_MS,
    };
    await log.setImage(change);
  }

  /** Resolves when these clusters are in the log. */
  #keep(clusters: Iterable<number>): Promise<void> {
    for (const cluster of clusters) this.#wanted.add(cluster);
    if (this.#wanted.size === 0) return Promise.resolve();
    return this.#next ??= this.#copying = this.#copying.catch(() => {})
      .then(() => this.#copyWanted());
  }

  async #copyWanted(): Promise<void> {
    const log = this.#log!;
    const { BATCH_CLUSTERS, clusterLength } = await import("./undo_log.ts");
    const wanted = [...this.#wanted].filter((one) => !log.isCopied(one));
    this.#wanted.clear();
    this.#next = undefined;
    for (let i = 0; i < wanted.length; i += BATCH_CLUSTERS) {
      const some = wanted.slice(i, i + BATCH_CLUSTERS);
      await log.copy(
        await Promise.all(some.map(async (cluster) => {
          const bytes = new Uint8Array(clusterLength(cluster, log.size));
          await this.#disk.read(cluster * this.#clusterBytes, bytes);
          return { cluster, bytes };
        })),
      );
    }
  }

  async #save(name: string, file: string): Promise<StateRecord> {
    if (this.#problem !== undefined) {
      throw new BlockError(
        "unsupported",
        `the image ${this.#problem}; delete "${this.#files.path}" to give ` +
          "up the snapshots that it is for",
      );
    }
    await this.#disk.sync();
    const label = { name, file, date: Date.now() };
    const made = await this.#inLog(async (log) =>
      log === undefined
        ? await this.#createLog(label)
        : await log.addSnapshot(label)
    );
    const { identity, size } = this.#log!;
    const { id, key } = made;
    return { kind: "undo", size, log: identity, id, key, name };
  }

  /** A log with its first snapshot. */
  async #createLog(
    label: { name: string; file: string; date: number },
  ): Promise<KeptSnapshot> {
    const { UndoLog, CLUSTER_BYTES } = await import("./undo_log.ts");
    const { path } = this.#files;
    if (await this.#files.isThere(path)) {
      throw new BlockError(
        "io",
        `"${path}" is there, or may not be looked for`,
      );
    }
    const closed = await this.#disk.lastWritten();
    const file = await this.#files.create();
    try {
      const log = await UndoLog.create(file, {
        size: this.#sectors,
        image: { closed, inUse: false, from: 0, to: 0, loading: 0 },
      });
      const made = await log.addSnapshot(label);
      await this.#files.publish();
      this.#log = log;
      this.#clusterBytes = CLUSTER_BYTES;
      return made;
    } catch (error) {
      await file.close();
      await this.#files.discard();
      throw error;
    }
  }

  async #complete(record: StateRecord): Promise<void> {
    const made = this.#find(record);
    if (made === undefined) return;
    await this.#inLog(async (log) => {
      await log!.setFile(made.id, made.file, true);
      // What was begun in the same file, or was there, is nowhere now.
      for (const { id, file, complete } of log!.snapshots) {
        if (!complete && file === made.file) await log!.removeSnapshot(id);
      }
    });
  }

  #check(record: StateRecord): string | undefined {
    return checkKept(record, {
      log: this.#log,
      problem: this.#problem,
      path: this.#files.path,
      size: this.#sectors,
    });
  }

  #find(record: StateRecord): KeptSnapshot | undefined {
    return findKept(record, this.#log);
  }

  /** What can fail is tried: what `load` needs is whole, and has room. */
  async #prepare(record: StateRecord): Promise<void> {
    const found = this.#find(record)!;
    await this.#inLog(async (log) => {
      for await (const some of this.#differences(log!, found.id)) {
        await this.#keepAll(log!, some);
      }
    });
  }

  async #load(record: StateRecord): Promise<void> {
    const found = this.#find(record)!;
    await this.#inLog((log) => this.#startLoad(log!, found.id));
  }

  /** Make the image what it was, to be ended by whoever opens it next. */
  async #startLoad(log: UndoLog, id: number): Promise<void> {
    const { image: { loading }, note } = log;
    if (loading !== id) await log.setImage({ loading: id });
    // Before the guest writes again: the note would have it all undone.
    if (note.id !== 0) {
      await log.setNote(note.decider === "" ? { ...note, id: 0 } : undefined);
    }
    await this.#become(log, id);
  }

  /** Make the image what it was, or end to do so. */
  async #become(log: UndoLog, id: number): Promise<void> {
    for await (const some of this.#differences(log, id)) {
      await this.#keepAll(log, some);
      await this.#lease(log);
      for (const { cluster, bytes } of some) {
        await this.#disk.write(cluster * this.#clusterBytes, bytes);
      }
    }
    await this.#disk.sync();
    await log.setImage({ loading: 0 });
  }

  #keepAll(log: UndoLog, clusters: readonly Cluster[]): Promise<void> {
    const numbers = clusters.map(({ cluster }) => cluster);
    return this.#keep(numbers.filter((cluster) => !log.isCopied(cluster)));
  }

  /** What is not as it was at a snapshot: the clusters of then, in batches. */
  async *#differences(log: UndoLog, id: number): AsyncGenerator<Cluster[]> {
    const { BATCH_CLUSTERS } = await import("./undo_log.ts");
    const here = new Uint8Array(this.#clusterBytes);
    let found: Cluster[] = [];
    for (const cluster of log.changedSince(id)) {
      const bytes = await log.read(cluster, id);
      const now = here.subarray(0, bytes.length);
      await this.#disk.read(cluster * this.#clusterBytes, now);
      if (sameBytes(now, bytes)) continue;
      found.push({ cluster, bytes });
      if (found.length < BATCH_CLUSTERS) continue;
      yield found;
      found = [];
    }
    if (found.length > 0) yield found;
  }

  async #remove(record: StateRecord): Promise<void> {
    const found = this.#find(record);
    if (found === undefined) return;
    await this.#inLog(async (log) => {
      if (log!.snapshots.length > 1) await log!.removeSnapshot(found.id);
      else await this.#giveUp(log!);
    });
    await this.#shrink();
  }

  /** No snapshot needs the log any more. */
  async #giveUp(log: UndoLog): Promise<void> {
    await this.#files.remove();
    this.#log = this.#problem = undefined;
    await log.close();
  }

  /** Give back the room of what no snapshot needs, where that is much. */
  async #shrink(): Promise<void> {
    const log = this.#log;
    if (log === undefined) return;
    try {
      if (log.snapshots.length === 0) return await this.#giveUp(log);
      if (log.waste <= MOST_WASTE) return;
      const file = await this.#files.create();
      try {
        this.#log = await log.rewrittenIn(file);
        await this.#files.publish();
      } catch (error) {
        this.#log = log;
        await file.close();
        await this.#files.discard();
        throw error;
      }
      await log.close();
    } catch (error) {
      // It is larger than it needs to be, and as good.
      if (!(error instanceof BlockError)) throw error;
    }
  }

  /** What is wrong with the log says which file it is. */
  async #inLog<T>(
    action: (log: UndoLog | undefined) => Promise<T>,
  ): Promise<T> {
    try {
      return await action(this.#log);
    } catch (error) {
      if (!(error instanceof BlockError && ofLog(error))) throw error;
      const message = `"${this.#files.path}" ${error.message}`;
      throw new BlockError(error.kind, message, { cause: error });
    }
  }
}

/** Why a log cannot be used: the end of a sentence that begins with the image. */
export function logProblem(path: string, error: BlockError): string {
  return ofLog(error)
    ? `has a file "${path}" that ${error.message}`
    : `has a file that cannot be used: ${error.message}`;
}

/** Whether an error is of the log's content, and not of its file. */
function ofLog({ kind }: BlockError): boolean {
  return kind === "corrupt" || kind === "unsupported";
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
