/**
 * Takes back what a replayed guest has written to its disks, which are
 * throw-away overlays, when the replay goes back.
 *
 * Between two states to which it may go back the first content of each cluster
 * counts, however often that is written. So all of it takes, for each state
 * that is kept, no more than what was written since the one before it, and
 * where states are forgotten less: see `retain`.
 *
 * @module
 */

import type { BlockBackend } from "../backend/block.ts";
import { CLUSTER_BYTES, ClusterStore } from "./cluster_store.ts";

/** Bytes that are read of a disk at once. */
const PIECE = 16 * CLUSTER_BYTES;
/** From so many bytes on states are to be forgotten. */
const MOST_BYTES = 2 ** 30;

/** The clusters of a disk, by number: where each is that was written. */
type Clusters = Map<number, number>;

/** What was written from one state to the next. */
interface Epoch {
  /** How much had been changed before. */
  readonly mark: number;
  readonly disks: Map<BlockBackend, Clusters>;
}

/** Limits of a {@linkcode DiskUndo}. */
export interface UndoLimits {
  /** Clusters in memory; the others are in a temporary file. */
  readonly memoryClusters?: number;
  /** See {@linkcode DiskUndo.isFull}. */
  readonly mostBytes?: number;
  /** Makes that file. */
  readonly makeFile?: () => Deno.FsFile;
}

/** What was written to all disks of a machine, so that it can be undone. */
export class DiskUndo {
  readonly #store: ClusterStore;
  readonly #mostBytes: number;
  /** In their order; none before the first `keep`. */
  #epochs: Epoch[] = [];
  #changes = 0;
  /** Requests are carried out one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  /** With these limits. */
  constructor(limits: UndoLimits = {}) {
    const { memoryClusters, makeFile, mostBytes = MOST_BYTES } = limits;
    this.#store = new ClusterStore(memoryClusters, makeFile);
    this.#mostBytes = mostBytes;
  }

  /** How much was changed so far. */
  get mark(): number {
    return this.#changes;
  }

  /** Whether it takes so much that states are to be forgotten. */
  get isFull(): boolean {
    return this.#store.bytes > this.#mostBytes;
  }

  /** From here on changes are noted, so that the disks can be made again what they are now: for `undo`. */
  keep(): number {
    const mark = this.#changes;
    if (this.#epochs.at(-1)?.mark !== mark) {
      this.#epochs.push({ mark, disks: new Map() });
    }
    return mark;
  }

  /** Nobody goes back to any but these, which `keep` gave. */
  retain(marks: ReadonlySet<number>): void {
    const kept: Epoch[] = [];
    for (const epoch of this.#epochs) {
      const before = kept.at(-1);
      if (before === undefined || marks.has(epoch.mark)) kept.push(epoch);
      else this.#merge(before, epoch);
    }
    this.#epochs = kept;
  }

  /** What was there before the earlier one counts. */
  #merge(before: Epoch, epoch: Epoch): void {
    for (const [disk, clusters] of epoch.disks) {
      const earlier = clustersOf(before, disk);
      for (const [number, place] of clusters) {
        if (earlier.has(number)) this.#store.remove(place);
        else earlier.set(number, place);
      }
    }
  }

  /** A disk whose changes are noted. */
  noting(disk: BlockBackend): BlockBackend {
    const changing = (
      offset: number,
      length: number,
      change: () => Promise<void>,
    ): Promise<void> =>
      this.#inTurn(async () => {
        this.#changes++;
        await this.#note(disk, offset, length);
        await change();
      });
    return {
      get size(): number {
        return disk.size;
      },
      get readOnly(): boolean {
        return disk.readOnly;
      },
      read: (offset, length, room) =>
        this.#inTurn(() => disk.read(offset, length, room)),
      write: (offset, bytes) =>
        changing(offset, bytes.length, () => disk.write(offset, bytes)),
      discard: (offset, length) =>
        this.#inTurn(() => this.#discard(disk, offset, length)),
      writeZeroes: (offset, length) =>
        changing(offset, length, () => disk.writeZeroes(offset, length)),
      flush: () => this.#inTurn(() => disk.flush()),
      close: () => disk.close(),
    };
  }

  /** What is there now is to be there again. */
  async #note(
    disk: BlockBackend,
    offset: number,
    length: number,
  ): Promise<void> {
    const epoch = this.#epochs.at(-1);
    if (epoch === undefined || length === 0) return;
    const clusters = clustersOf(epoch, disk);
    const end = Math.ceil((offset + length) / CLUSTER_BYTES);
    for (let from = Math.floor(offset / CLUSTER_BYTES); from < end;) {
      if (clusters.has(from)) {
        from++;
        continue;
      }
      // Those that follow come with it.
      let to = from + 1;
      const limit = Math.min(end, from + PIECE / CLUSTER_BYTES);
      while (to < limit && !clusters.has(to)) to++;
      const start = from * CLUSTER_BYTES;
      const stop = Math.min(to * CLUSTER_BYTES, disk.size);
      if (start >= stop) return;
      const bytes = await disk.read(start, stop - start);
      for (let i = from; i < to; i++) {
        const at = (i - from) * CLUSTER_BYTES;
        clusters.set(
          i,
          this.#store.add(bytes.subarray(at, at + CLUSTER_BYTES)),
        );
      }
      from = to;
    }
  }

  /**
   * Most disks keep the bytes, and of a large range nothing is noted then: with
   * a file system a guest discards all of its disk.
   */
  async #discard(
    disk: BlockBackend,
    offset: number,
    length: number,
  ): Promise<void> {
    this.#changes++;
    if (this.#epochs.length === 0) return await disk.discard(offset, length);
    for (let at = offset; at < offset + length;) {
      const next = Math.floor(at / PIECE + 1) * PIECE;
      const size = Math.min(next, offset + length) - at;
      const before = (await disk.read(at, size)).slice();
      await disk.discard(at, size);
      const after = await disk.read(at, size);
      if (!isSame(before, after)) {
        // As it was, to be noted, and again as the disk makes it.
        const cleared = after.slice();
        await disk.write(at, before);
        await this.#note(disk, at, size);
        await disk.write(at, cleared);
      }
      at += size;
    }
  }

  #inTurn<T>(request: () => Promise<T>): Promise<T> {
    const answer = this.#last.then(request);
    this.#last = answer.catch(() => {});
    return answer;
  }

  /** Settles when all requests are done. */
  async settled(): Promise<void> {
    for (let last; last !== this.#last;) await (last = this.#last);
  }

  /** Whether the disks can be made what they were when `keep` gave that. */
  reaches(mark: number): boolean {
    return this.#epochs.some((epoch) => epoch.mark === mark);
  }

  /** Make the disks what they were when `keep` gave that. */
  async undo(mark: number): Promise<void> {
    await this.settled();
    if (!this.reaches(mark)) throw new RangeError("nobody has kept that");
    for (;;) {
      const epoch = this.#epochs.at(-1)!;
      for (const [disk, clusters] of epoch.disks) {
        for (const [number, place] of clusters) {
          const start = number * CLUSTER_BYTES;
          const length = Math.min(CLUSTER_BYTES, disk.size - start);
          await disk.write(start, this.#store.read(place, length));
          this.#store.remove(place);
        }
      }
      epoch.disks.clear();
      if (epoch.mark === mark) break;
      this.#epochs.pop();
    }
    this.#changes = mark;
  }

  /** Let go of all that was noted. */
  close(): void {
    this.#epochs = [];
    this.#store.close();
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function clustersOf({ disks }: Epoch, disk: BlockBackend): Clusters {
  let clusters = disks.get(disk);
  if (clusters === undefined) disks.set(disk, clusters = new Map());
  return clusters;
}
