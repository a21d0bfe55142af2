/**
 * The undo log of a raw image: what its clusters were at snapshots of the
 * machine, before they were overwritten. `undo_store.ts` says what for and when
 * it is written; this file is its format.
 *
 * | bytes | what |
 * |---|---|
 * | 0 | the magic number, and a sealed record: version, identity, disk's size |
 * | 512, 1024 | two stamps in turns, each a sealed record: the newer one counts |
 * | 4096 on | the log: entries, each after the other |
 *
 * A sealed record is its length (4), its CRC-32 (4) and a state record. An entry
 * is the length of its record (4), that of its data (4), a CRC-32 of both and of
 * the record (4), which begins with that of the entry before, the record, and
 * the data. Numbers are little-endian.
 *
 * Snapshots have rising numbers. An entry `copy` has clusters as they were at
 * the snapshot that was the newest one then, and so at all since the copy before
 * of the same cluster: what a cluster was at a snapshot is in the first copy of
 * it whose number is not less than the snapshot's, and still on the disk when
 * there is none. So nothing is ever changed in the log, whichever snapshots are
 * loaded or made, in whatever tree of the user's they are.
 *
 * A stamp says up to where the log was synced. An entry behind that which is
 * there in part was never relied on; one before it is damage.
 *
 * @module
 */

import { crc32 } from "node:zlib";
import { BlockError } from "../../core/backend/block.ts";
import { encodeRecord } from "../../core/state/record_codec.ts";
import type { StateRecord, StateValue } from "../../core/state/state.ts";
import type { ByteStore } from "./byte_store.ts";
import {
  damaged,
  decoded,
  type ImageState,
  isCount,
  type KeptSnapshot,
  lists,
  type LoadNote,
  LOG_START,
  NO_LOAD,
  readHead,
  readStamp,
  writeHead,
  writeStamp,
} from "./undo_log_format.ts";

/** Bytes of a cluster. */
export const CLUSTER_BYTES: number = 64 << 10;
/** The most clusters of one entry. */
export const BATCH_CLUSTERS = 64;
const HEAD_BYTES = 12;
/** More than any entry's record has: names, or numbers of clusters. */
const MAX_RECORD_BYTES = 64 << 10;
/** Read at once: most entries' records with their heads. */
const SCAN_BYTES = 1024;
/** The most bytes of a snapshot's name and its file's path. */
const MAX_NAME_BYTES = 8192;

/** Where a cluster's content is. */
interface Place {
  /** Of this snapshot and those before that have no other. */
  readonly upTo: number;
  /** Where its bytes are; -1 for zeroes, which have none. */
  readonly at: number;
  readonly sum: number;
}

/** A snapshot's entry: where it is, and the sum that was before it. */
interface Added {
  readonly id: number;
  readonly end: number;
  readonly chain: number;
}

/** A cluster, and the bytes that it has. */
export interface Cluster {
  /** Its number on the disk. */
  readonly cluster: number;
  /** Its bytes. */
  readonly bytes: Uint8Array;
}

/** How many bytes a cluster of a disk has: the last may have less. */
export function clusterLength(cluster: number, size: number): number {
  return Math.min(CLUSTER_BYTES, size - cluster * CLUSTER_BYTES);
}

/** Whether all bytes are zero. */
export function isZero(bytes: Uint8Array): boolean {
  const { buffer, byteOffset, length } = bytes;
  if (byteOffset % 4 !== 0 || length % 4 !== 0) {
    return bytes.every((byte) => byte === 0);
  }
  const words = new Int32Array(buffer, byteOffset, length / 4);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}

/** An undo log that is open. */
export class UndoLog {
  /** What tells it from any other log. */
  readonly identity: string;
  /** Bytes of the disk. */
  readonly size: number;
  readonly #store: ByteStore;
  readonly #places = new Map<number, Place[]>();
  readonly #snapshots = new Map<number, KeptSnapshot>();
  /** A bit for each cluster: its content at the newest snapshot is here. */
  #copied: Uint8Array;
  #newest = 0;
  /** The highest number that was ever seen. */
  #highest = 0;
  #end = LOG_START;
  /** The sum with which the next entry's begins. */
  #chain: number;
  #image: ImageState;
  #stamps: number;
  #note: LoadNote = NO_LOAD;
  /** The snapshot whose entry is the last one, and what was before it. */
  #added: Added | undefined;
  /** Changes are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    store: ByteStore,
    { identity, size, image, stamps }: {
      identity: string;
      size: number;
      image: ImageState;
      stamps: number;
    },
  ) {
    this.#store = store;
    this.identity = identity;
    this.size = size;
    this.#image = image;
    this.#stamps = stamps;
    this.#chain = crc32(identity);
    this.#copied = new Uint8Array(Math.ceil(size / CLUSTER_BYTES / 8));
  }

  /** Begin one in an empty store. Rejects with a `BlockError`. */
  static async create(
    store: ByteStore,
    { size, image, identity = crypto.randomUUID() }: {
      readonly size: number;
      readonly image: ImageState;
      readonly identity?: string;
    },
  ): Promise<UndoLog> {
    await writeHead(store, { identity, size });
    const log = new UndoLog(store, { identity, size, image, stamps: 0 });
    // Both stamps.
    await log.setImage({});
    await log.setImage({});
    return log;
  }

  /**
   * Open the one in a store. Rejects with a `BlockError`, whose message is the
   * end of a sentence that begins with the file.
   */
  static async open(store: ByteStore): Promise<UndoLog> {
    const { identity, size } = await readHead(store);
    const { image, end, number } = await readStamp(store);
    const log = new UndoLog(store, { identity, size, image, stamps: number });
    await log.#scan(end);
    return log;
  }

  /** What the last stamp in a store says of the image; rejects as `open`. */
  static async imageState(store: ByteStore): Promise<ImageState> {
    await readHead(store);
    return (await readStamp(store)).image;
  }

  /** What is said of the image. */
  get image(): ImageState {
    return this.#image;
  }

  /** What is said of a load together with other disks. */
  get note(): LoadNote {
    return this.#note;
  }

  /** The snapshots, the oldest first. */
  get snapshots(): readonly KeptSnapshot[] {
    return [...this.#snapshots.values()];
  }

  /** Bytes of it. */
  get bytes(): number {
    return this.#end;
  }

  /** Whether overwriting this cluster loses nothing. */
  isCopied(cluster: number): boolean {
    return this.#newest === 0 ||
      (this.#copied[cluster >> 3] >> (cluster & 7) & 1) !== 0;
  }

  /** A snapshot. */
  find(id: StateValue, key: StateValue): KeptSnapshot | undefined {
    const found = this.#snapshots.get(id as number);
    return found?.key === key ? found : undefined;
  }

  /** The clusters that may be other now than at a snapshot, in their order. */
  changedSince(id: number): number[] {
    return [...this.#places.keys()]
      .filter((cluster) => this.#place(cluster, id) !== undefined)
      .sort((a, b) => a - b);
  }

  /** What a changed cluster was at a snapshot. Rejects with a `BlockError`. */
  async read(cluster: number, id: number): Promise<Uint8Array> {
    const place = this.#place(cluster, id)!;
    const bytes = new Uint8Array(clusterLength(cluster, this.size));
    if (place.at < 0) return bytes;
    await this.#store.read(place.at, bytes);
    if (crc32(bytes) !== place.sum) {
      throw damaged(`the checksum of the disk's cluster ${cluster} is wrong`);
    }
    return bytes;
  }

  /** The disk's clusters of which a copy is not what was written. */
  async damagedClusters(): Promise<number[]> {
    const bad = new Set<number>();
    for (const [cluster, places] of this.#places) {
      for (const { at, sum } of places) {
        if (at < 0) continue;
        const bytes = new Uint8Array(clusterLength(cluster, this.size));
        await this.#store.read(at, bytes);
        if (crc32(bytes) !== sum) bad.add(cluster);
      }
    }
    return [...bad].sort((a, b) => a - b);
  }

  /** Say this of the image; it is on the host's disk then. */
  setImage(change: Partial<ImageState>): Promise<void> {
    return this.#inTurn(async () => {
      const image = { ...this.#image, ...change };
      // Whichever stamp is lost, the other says of a load what this does.
      const times = image.loading === this.#image.loading ? 1 : 2;
      for (let i = 0; i < times; i++) {
        await this.#stamp({ image, end: this.#end });
        await this.#store.sync();
      }
      this.#image = image;
    });
  }

  /** Add a snapshot; gives back what finds it. */
  async addSnapshot(
    label: { readonly name: string; readonly date: number; file: string },
  ): Promise<KeptSnapshot> {
    checkName(label.name + label.file);
    const snapshot = {
      ...label,
      id: this.#highest + 1,
      key: crypto.randomUUID(),
      complete: false,
    };
    await this.#append({ kind: "snapshot", ...snapshot });
    return snapshot;
  }

  /** Whether a machine's snapshot is to be relied on, and its file. */
  async setFile(id: number, file: string, complete: boolean): Promise<void> {
    checkName(file);
    await this.#append({ kind: "file", id, file, complete });
  }

  /** Say this of a load together with other disks; nothing, when absent. */
  async setNote(note: LoadNote = NO_LOAD): Promise<void> {
    checkName(note.decider);
    await this.#append({ kind: "load", ...note });
  }

  /** Take a snapshot out; `rewrittenIn` gives back its room. */
  async removeSnapshot(id: number): Promise<void> {
    if (this.#added?.id === id) await this.#takeBack(this.#added);
    else await this.#append({ kind: "gone", id });
  }

  /** Keep clusters, at most a batch, as they were at the newest snapshot. */
  async copy(clusters: readonly Cluster[]): Promise<void> {
    const some = clusters.filter(({ bytes }) => !isZero(bytes));
    const sums = clusters.map((one) =>
      some.includes(one) ? crc32(one.bytes) : null
    );
    await this.#append(
      {
        kind: "copy",
        upTo: this.#newest,
        clusters: clusters.map(({ cluster }) => cluster),
        sums,
      },
      some.map(({ bytes }) => bytes),
    );
  }

  /** What part of the log no snapshot needs, from 0 to 1. */
  get waste(): number {
    let all = 0, dead = 0;
    for (const [cluster, places] of this.#places) {
      const live = this.#live(cluster);
      all += places.length;
      dead += places.length - live.length;
    }
    return all === 0 ? 0 : dead / all;
  }

  /** A log with what this one's snapshots need, in an empty store. */
  async rewrittenIn(store: ByteStore): Promise<UndoLog> {
    const { identity, size } = this;
    const log = await UndoLog.create(store, {
      identity,
      size,
      image: this.#image,
    });
    for (const snapshot of this.#snapshots.values()) {
      await log.#append({ kind: "snapshot", ...snapshot });
    }
    if (this.#note !== NO_LOAD) await log.setNote(this.#note);
    // By their numbers: so those of each cluster keep their order.
    const byNumber = new Map<number, [number, Place][]>();
    for (const cluster of this.#places.keys()) {
      for (const place of this.#live(cluster)) {
        const list = byNumber.get(place.upTo) ?? [];
        byNumber.set(place.upTo, list);
        list.push([cluster, place]);
      }
    }
    for (const upTo of [...byNumber.keys()].sort((a, b) => a - b)) {
      const list = byNumber.get(upTo)!;
      for (let i = 0; i < list.length; i += BATCH_CLUSTERS) {
        const some = list.slice(i, i + BATCH_CLUSTERS);
        const data: Uint8Array[] = [];
        for (const [cluster, { at }] of some) {
          if (at >= 0) data.push(await this.read(cluster, upTo));
        }
        await log.#append(
          {
            kind: "copy",
            upTo,
            clusters: some.map(([cluster]) => cluster),
            sums: some.map(([, { at, sum }]) => at < 0 ? null : sum),
          },
          data,
        );
      }
    }
    return log;
  }

  /** Let go of the store. */
  async close(): Promise<void> {
    await this.#last;
    await this.#store.close();
  }

  /** What it was at a snapshot; undefined: what it is now. */
  #place(cluster: number, id: number): Place | undefined {
    return this.#places.get(cluster)?.find(({ upTo }) => upTo >= id);
  }

  /** The copies of a cluster that some snapshot needs. */
  #live(cluster: number): Place[] {
    let before = 0;
    return this.#places.get(cluster)!.filter(({ upTo }) => {
      const from = before;
      before = upTo;
      for (const id of this.#snapshots.keys()) {
        if (id > from && id <= upTo) return true;
      }
      return false;
    });
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const done = this.#last.then(action);
    this.#last = done.catch(() => {});
    return done;
  }

  /** Write the stamp whose turn it is. */
  async #stamp(
    { image, end }: { readonly image: ImageState; readonly end: number },
  ): Promise<void> {
    const number = this.#stamps + 1;
    await writeStamp(this.#store, { number, end, image });
    this.#stamps = number;
  }

  /** Add an entry: it is on the host's disk then, or not there. */
  #append(record: StateRecord, data: readonly Uint8Array[] = []) {
    return this.#inTurn(async () => {
      const body = encodeRecord(record);
      const at = this.#end;
      const length = data.reduce((sum, { length }) => sum + length, 0);
      const start = HEAD_BYTES + body.length;
      const bytes = new Uint8Array(start + length);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, body.length, true);
      view.setUint32(4, length, true);
      bytes.set(body, HEAD_BYTES);
      const sum = crc32(body, crc32(bytes.subarray(0, 8), this.#chain));
      view.setUint32(8, sum, true);
      let end = start;
      for (const part of data) {
        bytes.set(part, end);
        end += part.length;
      }
      try {
        await this.#store.write(at, bytes);
        await this.#store.sync();
        await this.#stamp({ image: this.#image, end: at + bytes.length });
      } catch (error) {
        // Whatever of it is there is nothing by its sum, and its room may help.
        await this.#store.truncate(at).catch(() => {});
        throw error;
      }
      this.#added = record.kind === "snapshot"
        ? { id: record.id as number, end: at, chain: this.#chain }
        : undefined;
      this.#end = at + bytes.length;
      this.#chain = sum;
      this.#take(record, at + start);
    });
  }

  /** Take out the last entry, a snapshot's: this needs no room. */
  #takeBack({ id, end, chain }: Added) {
    return this.#inTurn(async () => {
      await this.#stamp({ image: this.#image, end });
      await this.#store.sync();
      await this.#store.truncate(end);
      this.#end = end;
      this.#chain = chain;
      this.#added = undefined;
      this.#forget(id);
    });
  }

  #forget(id: number): void {
    this.#snapshots.delete(id);
    if (this.#note.id === id) this.#note = NO_LOAD;
    this.#setNewest(Math.max(0, ...this.#snapshots.keys()));
  }

  /** Read all entries; up to `synced` they must be whole. */
  async #scan(synced: number): Promise<void> {
    const buffer = new Uint8Array(HEAD_BYTES + MAX_RECORD_BYTES);
    while (this.#end + HEAD_BYTES <= this.#store.size) {
      const entry = await this.#entry(buffer);
      if (entry === undefined) break;
      const { record, start, length, sum } = entry;
      if (start + length > synced && !await this.#hasData(entry)) break;
      this.#take(record, start);
      this.#end = start + length;
      this.#chain = sum;
    }
    if (this.#end < synced) {
      throw damaged(`what is at byte ${this.#end} is not what was written`);
    }
  }

  /** The entry at the end; undefined when none begins there that is whole. */
  async #entry(buffer: Uint8Array) {
    const room = this.#store.size - this.#end;
    let bytes = buffer.subarray(0, Math.min(room, SCAN_BYTES));
    await this.#store.read(this.#end, bytes);
    const view = new DataView(buffer.buffer);
    const body = view.getUint32(0, true);
    const length = view.getUint32(4, true);
    const start = HEAD_BYTES + body;
    if (body > MAX_RECORD_BYTES || start + length > room) return undefined;
    if (start > bytes.length) {
      bytes = buffer.subarray(0, start);
      await this.#store.read(this.#end, bytes);
    }
    const coded = bytes.subarray(HEAD_BYTES, start);
    const sum = crc32(coded, crc32(bytes.subarray(0, 8), this.#chain));
    if (sum !== view.getUint32(8, true)) return undefined;
    const record = decoded(coded);
    return { record, start: this.#end + start, length, sum };
  }

  /** Whether an entry's data are what they are to be. */
  async #hasData(
    { record, start, length }: {
      readonly record: StateRecord;
      readonly start: number;
      readonly length: number;
    },
  ): Promise<boolean> {
    if (record.kind !== "copy") return true;
    const { clusters, sums } = lists(record);
    let at = start;
    for (const [i, cluster] of clusters.entries()) {
      if (sums[i] === null) continue;
      const bytes = new Uint8Array(this.#lengthOf(cluster));
      await this.#store.read(at, bytes);
      if (crc32(bytes) !== sums[i]) return false;
      at += bytes.length;
    }
    return at === start + length;
  }

  #lengthOf(cluster: number): number {
    const length = clusterLength(cluster, this.size);
    if (!Number.isSafeInteger(cluster) || cluster < 0 || !(length > 0)) {
      throw damaged(`the disk has no cluster ${cluster}`);
    }
    return length;
  }

  /** What an entry changes; its data begin at `start`. */
  #take(record: StateRecord, start: number): void {
    switch (record.kind) {
      case "snapshot":
        return this.#takeSnapshot(record);
      case "file": {
        const { file, complete } = record;
        if (typeof file !== "string" || typeof complete !== "boolean") {
          throw damaged("it has a file that is none");
        }
        const found = this.#mustFind(record.id);
        this.#snapshots.set(found.id, { ...found, file, complete });
        return;
      }
      case "gone":
        return this.#forget(this.#mustFind(record.id).id);
      case "load":
        return this.#takeNote(record);
      case "copy":
        return this.#takeCopy(record, start);
    }
    throw damaged(`it has an entry "${record.kind}"`);
  }

  #mustFind(id: StateValue): KeptSnapshot {
    const found = this.#snapshots.get(id as number);
    if (found === undefined) throw damaged(`it has no snapshot ${id}`);
    return found;
  }

  #takeSnapshot(record: StateRecord): void {
    const { id, key, name, date, file, complete } = record;
    if (
      !isCount(id) || id === 0 || id <= this.#newest ||
      typeof key !== "string" || typeof name !== "string" ||
      typeof file !== "string" || typeof date !== "number" ||
      typeof complete !== "boolean"
    ) throw damaged("it has a snapshot that is none");
    this.#snapshots.set(id, { id, key, name, date, file, complete });
    this.#highest = Math.max(this.#highest, id);
    this.#setNewest(id);
  }

  #takeNote({ load, id, decider }: StateRecord): void {
    if (
      typeof load !== "string" || typeof decider !== "string" || !isCount(id)
    ) throw damaged("it has a load that is none");
    if (id !== 0) this.#mustFind(id);
    this.#note = load === "" ? NO_LOAD : { load, id, decider };
  }

  #takeCopy(record: StateRecord, start: number): void {
    const { upTo } = record;
    const { clusters, sums } = lists(record);
    if (!isCount(upTo)) throw damaged("it has a copy of no snapshot");
    let at = start;
    for (const [i, cluster] of clusters.entries()) {
      const length = this.#lengthOf(cluster);
      const places = this.#places.get(cluster) ?? [];
      if (upTo <= (places.at(-1)?.upTo ?? 0)) {
        throw damaged(`it has the disk's cluster ${cluster} twice`);
      }
      const sum = sums[i];
      places.push({ upTo, at: sum === null ? -1 : at, sum: sum ?? 0 });
      this.#places.set(cluster, places);
      if (sum !== null) at += length;
      if (upTo >= this.#newest) this.#mark(cluster);
    }
    this.#highest = Math.max(this.#highest, upTo);
  }

  #mark(cluster: number): void {
    this.#copied[cluster >> 3] |= 1 << (cluster & 7);
  }

  #setNewest(id: number): void {
    this.#newest = id;
    this.#copied.fill(0);
    for (const [cluster, places] of this.#places) {
      if (places.at(-1)!.upTo >= id) this.#mark(cluster);
    }
  }
}

function checkName(name: string): void {
  if (new TextEncoder().encode(name).length > MAX_NAME_BYTES) {
    throw new BlockError("no-space", "The snapshot's name is too long");
  }
}
