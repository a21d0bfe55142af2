/**
 * A throw-away overlay: what is written lies before an image and goes when it
 * is closed. Whole clusters are copied on the first write to each.
 *
 * The first clusters are in memory. More of them go to a temporary file, which
 * has no name from the moment it is open, so that nothing of it stays however
 * the process ends.
 *
 * @module
 */

import {
  type BlockBackend,
  BlockError,
  type BlockSnapshots,
  checkRange,
  readInto,
} from "../../core/backend/block.ts";
import type { StateRecord } from "../../core/state/state.ts";
import { otherKind } from "./disk_states.ts";
import { FileStore } from "./byte_store.ts";
import { RwLock } from "./rw_lock.ts";

/** Bytes of a cluster. */
const CLUSTER_BYTES = 64 << 10;
/** Clusters in memory: 64 MiB. */
const MEMORY_CLUSTERS = 1024;

/** How much goes where. */
export interface OverlayOptions {
  /** Clusters that stay in memory. */
  readonly memoryClusters?: number;
  /** Makes what takes the others: a temporary file unless it is given. */
  readonly spill?: () => Promise<FileStore>;
}

/** An image with a throw-away overlay. */
export class OverlayBlock implements BlockBackend {
  /** The image's size. */
  readonly size: number;
  /** Writes are taken, though the image has none of them. */
  readonly readOnly = false;
  readonly #base: BlockBackend;
  readonly #memoryClusters: number;
  readonly #makeSpill: () => Promise<FileStore>;
  /** Where each written cluster is: an index into memory, then the file. */
  readonly #slots = new Map<number, number>();
  readonly #memory: Uint8Array[] = [];
  readonly #lock = new RwLock();
  #spill: FileStore | undefined;
  /** What the image was, where the overlay lies on that. */
  #past:
    | { readonly record: StateRecord; readonly disk: BlockBackend }
    | undefined;

  /** An overlay on an image, which is closed with it. */
  constructor(base: BlockBackend, options: OverlayOptions = {}) {
    this.size = base.size;
    this.#base = base;
    this.#memoryClusters = options.memoryClusters ?? MEMORY_CLUSTERS;
    this.#makeSpill = options.spill ?? temporaryStore;
  }

  /** That of the image; see `BlockBackend.format`. */
  get format(): string | undefined {
    return this.#base.format;
  }

  /**
   * What was written goes into the snapshot; the image must stay what it is. Of
   * a machine that wrote to the image a snapshot is taken, too: the overlay then
   * lies on what the image was.
   */
  get machineSnapshots(): BlockSnapshots {
    const base = this.#base.machineSnapshots;
    const { size } = this;
    // What lies below, and what shows that where the image may be other now.
    const below = (record: StateRecord) => {
      const image = imageIn(record);
      const isNow = image === undefined || image.kind === "fixed";
      return { image, past: isNow ? undefined : base?.past };
    };
    return {
      save: async (name, put, file) => {
        const record = this.#past?.record ?? await base?.save(name, put, file);
        for (const cluster of [...this.#slots.keys()].sort((a, b) => a - b)) {
          const start = cluster * CLUSTER_BYTES;
          const length = Math.min(CLUSTER_BYTES, size - start);
          await put(start, await this.read(start, length));
        }
        return { kind: "overlay", size, base: record ?? null };
      },
      check: async (record) => {
        const { image, past } = below(record);
        const other = past === undefined
          ? otherKind(record, "overlay")
          : undefined;
        if (other !== undefined) return other;
        if (record.size !== size) {
          return `has ${size} bytes, it had ${record.size}`;
        }
        return image && await (past ?? base)?.check(image);
      },
      load: async (record) => {
        const { image, past } = below(record);
        const disk = image && await past?.open(image);
        await this.#lock.exclusive(async () => {
          const before = this.#past;
          this.#past = disk && { record: image, disk };
          this.#slots.clear();
          this.#memory.length = 0;
          await before?.disk.close();
          await this.#spill?.truncate(0);
        });
      },
      put: (offset, bytes) => this.write(offset, bytes),
      remove: async () => {},
    };
  }

  /** See `BlockBackend.read`. */
  async read(
    offset: number,
    length: number,
    room?: Uint8Array,
  ): Promise<Uint8Array> {
    checkRange(offset, length, this.size);
    const bytes = room ?? new Uint8Array(length);
    await this.#lock.shared(() => this.#read(offset, bytes));
    return bytes;
  }

  /** See `BlockBackend.write`. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    checkRange(offset, bytes.length, this.size);
    const end = offset + bytes.length;
    const first = Math.floor(offset / CLUSTER_BYTES);
    const put = () => this.#put(offset, bytes);
    for (let c = first; c * CLUSTER_BYTES < end; c++) {
      if (!this.#slots.has(c)) return await this.#lock.exclusive(put);
    }
    await this.#lock.shared(put);
  }

  /** Does nothing: the bytes stay. */
  // deno-lint-ignore require-await
  async discard(offset: number, length: number): Promise<void> {
    checkRange(offset, length, this.size);
  }

  /** Writes zeroes. */
  async writeZeroes(offset: number, length: number): Promise<void> {
    checkRange(offset, length, this.size);
    const zeroes = new Uint8Array(Math.min(length, CLUSTER_BYTES));
    for (let done = 0; done < length; done += zeroes.length) {
      const rest = Math.min(zeroes.length, length - done);
      await this.write(offset + done, zeroes.subarray(0, rest));
    }
  }

  /** Does nothing: nothing of it is to survive. */
  async flush(): Promise<void> {}

  /** Throw away what was written, and close the image. */
  async close(): Promise<void> {
    this.#slots.clear();
    this.#memory.length = 0;
    try {
      await this.#spill?.close();
      await this.#past?.disk.close();
    } finally {
      await this.#base.close();
    }
  }

  get #under(): BlockBackend {
    return this.#past?.disk ?? this.#base;
  }

  async #read(offset: number, into: Uint8Array): Promise<void> {
    const jobs: Promise<void>[] = [];
    for (let done = 0; done < into.length;) {
      const at = offset + done;
      const slot = this.#slots.get(Math.floor(at / CLUSTER_BYTES));
      let end = clusterEnd(at);
      // What the image has of several clusters is one request.
      while (
        slot === undefined && end < offset + into.length &&
        !this.#slots.has(end / CLUSTER_BYTES)
      ) end += CLUSTER_BYTES;
      const part = into.subarray(done, Math.min(into.length, end - offset));
      done += part.length;
      jobs.push(
        slot === undefined
          ? readInto(this.#under, at, part)
          : this.#readSlot(slot, at % CLUSTER_BYTES, part),
      );
    }
    await settled(jobs);
  }

  async #readSlot(slot: number, within: number, into: Uint8Array) {
    const bytes = this.#memory[slot];
    if (bytes !== undefined) {
      into.set(bytes.subarray(within, within + into.length));
    } else await this.#spill!.read(this.#place(slot) + within, into);
  }

  async #put(offset: number, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const at = offset + done;
      const cluster = Math.floor(at / CLUSTER_BYTES);
      const within = at % CLUSTER_BYTES;
      const part = bytes.subarray(done, done + CLUSTER_BYTES - within);
      done += part.length;
      const slot = this.#slots.get(cluster);
      if (slot === undefined) await this.#add(cluster, within, part);
      else if (slot < this.#memory.length) this.#memory[slot].set(part, within);
      else await this.#spill!.write(this.#place(slot) + within, part);
    }
  }

  /** A cluster's first write: the rest of it is the image's. */
  async #add(cluster: number, within: number, part: Uint8Array): Promise<void> {
    const start = cluster * CLUSTER_BYTES;
    const bytes = new Uint8Array(CLUSTER_BYTES);
    const length = Math.min(CLUSTER_BYTES, this.size - start);
    if (part.length < length) bytes.set(await this.#under.read(start, length));
    bytes.set(part, within);
    const slot = this.#slots.size;
    if (slot < this.#memoryClusters) this.#memory.push(bytes);
    else {
      this.#spill ??= await this.#makeSpill();
      await this.#spill.write(this.#place(slot), bytes);
    }
    this.#slots.set(cluster, slot);
  }

  #place(slot: number): number {
    return (slot - this.#memoryClusters) * CLUSTER_BYTES;
  }
}

/** What a snapshot's record says of the image, where it says anything. */
function imageIn(record: StateRecord): StateRecord | undefined {
  const image = record.kind === "overlay" ? record.base : record;
  return typeof image === "object"
    ? image as StateRecord ?? undefined
    : undefined;
}

/** Where the cluster of the byte at `offset` ends. */
function clusterEnd(offset: number): number {
  return (Math.floor(offset / CLUSTER_BYTES) + 1) * CLUSTER_BYTES;
}

async function settled(jobs: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(jobs)) {
    if (result.status === "rejected") throw result.reason;
  }
}

async function temporaryStore(): Promise<FileStore> {
  let path: string;
  try {
    path = await Deno.makeTempFile({ prefix: "rhea-overlay-" });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : `${cause}`;
    throw new BlockError(
      "no-space",
      `Cannot make a temporary file for the overlay, whose memory is full: ` +
        reason,
      { cause },
    );
  }
  try {
    return await FileStore.open(path, false);
  } finally {
    // On Windows a file that is open keeps its name.
    await Deno.remove(path).catch(() => {});
  }
}
