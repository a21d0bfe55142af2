/**
 * Clusters of disks that may be needed again: some in memory, the others in a
 * temporary file, which has no name from the moment it is open, so that nothing
 * of it stays however the process ends.
 *
 * @module
 */

import { ReplayError } from "./error.ts";

/** Bytes of a cluster: that of a throw-away overlay. */
export const CLUSTER_BYTES: number = 64 << 10;
/** Clusters in memory: 64 MiB. */
const MEMORY_CLUSTERS = 1024;
/** Stands for a cluster of zeroes, which takes no room. */
const ZEROES = -1;

/** Takes clusters, and gives each back as long as it is not removed. */
export class ClusterStore {
  readonly #memoryClusters: number;
  readonly #makeFile: () => Deno.FsFile;
  readonly #memory: Uint8Array[] = [];
  /** Places that were taken and are free, in memory and in the file. */
  readonly #freeMemory: number[] = [];
  readonly #freeFile: number[] = [];
  #fileClusters = 0;
  #file: Deno.FsFile | undefined;

  /** An empty one, with so many clusters in memory at most; `makeFile` makes what takes the others. */
  constructor(
    memoryClusters: number = MEMORY_CLUSTERS,
    makeFile: () => Deno.FsFile = temporaryFile,
  ) {
    this.#memoryClusters = memoryClusters;
    this.#makeFile = makeFile;
  }

  /** Bytes that it takes now. */
  get bytes(): number {
    const free = this.#freeMemory.length + this.#freeFile.length;
    const all = this.#memory.length + this.#fileClusters;
    return (all - free) * CLUSTER_BYTES;
  }

  /**
   * Keep a copy of these bytes, a cluster or its beginning; gives back where it
   * is. Throws a `ReplayError` when the host has no room.
   */
  add(bytes: Uint8Array): number {
    if (isZero(bytes)) return ZEROES;
    const free = this.#freeMemory.pop();
    const isRoom = this.#memory.length < this.#memoryClusters;
    const place = free ?? (isRoom ? this.#memory.length : undefined);
    if (place === undefined) return this.#addToFile(bytes);
    this.#memory[place] = bytes.slice();
    return place;
  }

  /** The bytes at a place: so many as were kept. */
  read(place: number, length: number): Uint8Array {
    if (place === ZEROES) return new Uint8Array(length);
    if (place < this.#memoryClusters) return this.#memory[place];
    const bytes = new Uint8Array(length);
    const file = this.#file!;
    this.#onHost(() => {
      file.seekSync(this.#offset(place), Deno.SeekMode.Start);
      for (let at = 0; at < length;) {
        const read = file.readSync(bytes.subarray(at));
        if (read === null) throw new Error("the temporary file is too short");
        at += read;
      }
    });
    return bytes;
  }

  /** What is at a place is not needed any more. */
  remove(place: number): void {
    if (place === ZEROES) return;
    if (place >= this.#memoryClusters) this.#freeFile.push(place);
    else {
      this.#memory[place] = NOTHING;
      this.#freeMemory.push(place);
    }
  }

  /** Let go of all of it. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #addToFile(bytes: Uint8Array): number {
    const place = this.#freeFile.pop() ??
      this.#memoryClusters + this.#fileClusters++;
    this.#onHost(() => {
      const file = this.#file ??= this.#makeFile();
      file.seekSync(this.#offset(place), Deno.SeekMode.Start);
      for (let at = 0; at < bytes.length;) {
        at += file.writeSync(bytes.subarray(at));
      }
    });
    return place;
  }

  #offset(place: number): number {
    return (place - this.#memoryClusters) * CLUSTER_BYTES;
  }

  #onHost(action: () => void): void {
    try {
      action();
    } catch (cause) {
      if (!(cause instanceof Error)) throw cause;
      throw new ReplayError(
        "io",
        "Cannot keep in a temporary file what the guest overwrites on its " +
          `disks, to go back: ${cause.message}`,
        { cause },
      );
    }
  }
}

const NOTHING = new Uint8Array();

function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}

function temporaryFile(): Deno.FsFile {
  const path = Deno.makeTempFileSync({ prefix: "rhea-undo-" });
  try {
    return Deno.openSync(path, { read: true, write: true });
  } finally {
    try {
      Deno.removeSync(path);
    } catch {
      // On Windows a file that is open keeps its name.
    }
  }
}
