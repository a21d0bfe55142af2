/**
 * Looks for contradictions in a qcow2 image: counts from its tables how often
 * each cluster is used, and compares with its refcounts (as QEMU does,
 * block/qcow2-refcount.c, `qcow2_check_refcounts`). What cannot be read is a
 * corruption; nothing of it is an error.
 *
 * @module
 */

import { BlockError, type BlockErrorKind } from "../../core/backend/block.ts";
import type { ImageCheck } from "../../core/backend/image_format.ts";
import { type ByteStore, FileStore } from "./byte_store.ts";
import {
  clearCorrupt,
  clearDirty,
  entriesPerTable,
  type Qcow2Header,
  readHeader,
} from "./qcow2_header.ts";
import { Refcounts } from "./qcow2_refcounts.ts";
import { repair as recount, repairFlags } from "./qcow2_repair.ts";
import { readSnapshots, type SnapshotTable } from "./qcow2_snapshots.ts";
import { L2Table, Tables } from "./qcow2_tables.ts";

/** Lines that are kept. */
const MAX_LINES = 100;
/** The most clusters of a file that are counted: 16 TiB in 64 KiB ones. */
const MAX_CLUSTERS = 1 << 28;
/** The most table entries that are looked at: 16 TiB in 64 KiB clusters. */
const MAX_ENTRIES = 1 << 28;
const OFFSET_MASK = 0x00ffffffffffffffn;
const COPIED = 1n << 63n;
/** Bits of an L1 entry that must be 0; of low ones `OFFSET_MASK` has care. */
const L1_RESERVED = 0x7f00000000000000n;

function tooLarge(): never {
  throw new BlockError(
    "unsupported",
    "Cannot check the qcow2 image: it is too large",
  );
}

/** What one look found. */
interface Findings extends ImageCheck {
  problems: string[];
  corruptions: number;
  leaks: number;
  corruptionsFixed: number;
  leaksFixed: number;
  endOffset: number;
  allocatedClusters: number;
  fragmentedClusters: number;
  compressedClusters: number;
}

const NOTHING: ImageCheck = {
  problems: [],
  corruptions: 0,
  leaks: 0,
  corruptionsFixed: 0,
  leaksFixed: 0,
  endOffset: 0,
  totalClusters: 0,
  allocatedClusters: 0,
  fragmentedClusters: 0,
  compressedClusters: 0,
};

/** The result for an image of which a table cannot be read. */
function unreadable(problem: string): ImageCheck {
  return { ...NOTHING, problems: [`ERROR ${problem}`], corruptions: 1 };
}

class Checker {
  readonly #store: ByteStore;
  readonly #header: Qcow2Header;
  readonly #refcounts: Refcounts;
  readonly #clusters: number;
  /** Entries looked at. */
  #looked = 0;
  /** How often each cluster is used. */
  #uses: Uint32Array;
  readonly found: Findings;
  /** Refcounts may be written: nothing else lies where they are. */
  canCount = true;

  constructor(store: ByteStore, header: Qcow2Header, refcounts: Refcounts) {
    this.#store = store;
    this.#header = header;
    this.#refcounts = refcounts;
    this.#clusters = Math.ceil(store.size / header.clusterSize);
    if (this.#clusters > MAX_CLUSTERS) tooLarge();
    this.#uses = new Uint32Array(this.#clusters);
    this.found = {
      ...NOTHING,
      problems: [],
      totalClusters: Math.ceil(header.size / header.clusterSize),
    };
  }

  #say(line: string): void {
    if (this.found.problems.length < MAX_LINES) this.found.problems.push(line);
  }

  #corrupt(line: string): void {
    this.found.corruptions++;
    this.#say(`ERROR ${line}`);
  }

  /** Something uses these bytes. */
  #use(offset: number, length: number, what: string): void {
    if (length === 0) return;
    const { clusterSize } = this.#header;
    const first = Math.floor(offset / clusterSize);
    const last = Math.floor((offset + length - 1) / clusterSize);
    // The file may end within its last cluster.
    if (offset + length - this.#store.size >= clusterSize) {
      this.#corrupt(`${what} at ${offset} is beyond the end of the file`);
      return;
    }
    if (last >= this.#uses.length) {
      const grown = new Uint32Array(last + 1);
      grown.set(this.#uses);
      this.#uses = grown;
    }
    for (let cluster = first; cluster <= last; cluster++) this.#uses[cluster]++;
  }

  async run(snapshots: SnapshotTable): Promise<Findings> {
    const header = this.#header;
    const { clusterSize } = header;
    this.#use(0, clusterSize, "the header");
    await this.#table(header.l1Offset, header.l1Size, true);
    this.#use(header.snapshotsOffset, snapshots.bytes, "the snapshot table");
    for (const [i, snapshot] of snapshots.snapshots.entries()) {
      if (header.version >= 3 && snapshot.diskSize === undefined) {
        this.#corrupt(`snapshot ${i} does not say how large the disk was`);
      }
      await this.#table(snapshot.l1Offset, snapshot.l1Size, false);
    }
    this.#use(
      header.refcountTableOffset,
      header.refcountTableClusters * clusterSize,
      "the refcount table",
    );
    for (const [i, offset] of this.#refcounts.table.entries()) {
      if (offset === 0) continue;
      this.#use(offset, clusterSize, "a refcount block");
      const uses = this.#uses[offset / clusterSize];
      // To write a count would be to write over something else.
      if (uses === 1) continue;
      this.#corrupt(`refcount block ${i} refcount=${uses}`);
      this.canCount = false;
    }
    await this.#compare();
    return this.found;
  }

  /** Many L1 entries may lead to one table, and many snapshots to one of L1. */
  #look(entries: number): void {
    this.#looked += entries;
    if (this.#looked > MAX_ENTRIES) tooLarge();
  }

  /** An L1 table and all it leads to. */
  async #table(offset: number, size: number, active: boolean): Promise<void> {
    const { clusterSize } = this.#header;
    this.#use(offset, size * 8, "an L1 table");
    this.#look(size);
    const l1 = new Uint8Array(size * 8);
    await this.#store.read(offset, l1);
    const view = new DataView(l1.buffer);
    const words = new Uint32Array(l1.buffer);
    for (let i = 0; i < size; i++) {
      // Most of a large table is empty, which takes no big number to see.
      if ((words[2 * i] | words[2 * i + 1]) === 0) continue;
      const entry = view.getBigUint64(i * 8);
      const at = Number(entry & OFFSET_MASK);
      if (at === 0) continue;
      if ((entry & L1_RESERVED) !== 0n) {
        this.#corrupt(`L1 entry ${i} has reserved bits set`);
      }
      if (at % clusterSize !== 0 || at >= this.#store.size) {
        this.#corrupt(`L1 entry ${i} is impossible: an L2 table at ${at}`);
        continue;
      }
      this.#use(at, clusterSize, "an L2 table");
      if (active) await this.#copied(`L2 table ${i}`, at, entry);
      const table = new L2Table(this.#header, at);
      await this.#store.read(at, table.bytes);
      await this.#entries(table, active);
    }
  }

  async #entries(table: L2Table, active: boolean): Promise<void> {
    const { clusterSize } = this.#header;
    const { found } = this;
    const count = entriesPerTable(this.#header);
    this.#look(count);
    // Where the next cluster would be if nothing were fragmented.
    let next = 0;
    for (let i = 0; i < count; i++) {
      let mapping: ReturnType<L2Table["get"]>;
      try {
        mapping = table.get(i);
      } catch (error) {
        if (!(error instanceof BlockError)) throw error;
        this.#corrupt(error.message);
        continue;
      }
      const { compressed, host, copied } = mapping;
      if (compressed !== undefined) {
        this.#use(compressed.offset, compressed.length, "a compressed cluster");
        if (!active) continue;
        found.allocatedClusters++;
        found.compressedClusters++;
        // They are by nature.
        found.fragmentedClusters++;
      } else if (host !== 0) {
        this.#use(host, clusterSize, "a cluster");
        if (!active) continue;
        const flag = copied ? COPIED : 0n;
        await this.#copied("a cluster", host, flag);
        found.allocatedClusters++;
        if (next !== 0 && host !== next) found.fragmentedClusters++;
        next = host + clusterSize;
      }
    }
  }

  /** The flag that nothing else uses a cluster must be right. */
  async #copied(what: string, offset: number, entry: bigint): Promise<void> {
    const count = await this.#refcounts.get(offset / this.#header.clusterSize);
    if ((count === 1) === ((entry & COPIED) !== 0n)) return;
    this.#corrupt(`OFLAG_COPIED of ${what} at ${offset}: refcount is ${count}`);
  }

  async #compare(): Promise<void> {
    const { clusterSize } = this.#header;
    const { found } = this;
    const counted = this.#refcounts.table.length * this.#refcounts.perBlock;
    const end = Math.max(this.#uses.length, Math.min(counted, this.#clusters));
    for (let cluster = 0; cluster < end; cluster++) {
      const count = await this.#refcounts.get(cluster);
      const uses = this.#uses[cluster] ?? 0;
      if (count > 0 || uses > 0) found.endOffset = (cluster + 1) * clusterSize;
      if (count === uses) continue;
      const line = `cluster ${cluster} refcount=${count} reference=${uses}`;
      if (count < uses) this.#corrupt(line);
      else {
        found.leaks++;
        this.#say(`Leaked ${line}`);
      }
    }
  }

  /** Count the leaked clusters as what they are. */
  async repairLeaks(): Promise<void> {
    for (let cluster = 0; cluster < this.#clusters; cluster++) {
      const uses = this.#uses[cluster] ?? 0;
      if (await this.#refcounts.get(cluster) > uses) {
        await this.#refcounts.set(cluster, uses);
      }
    }
    await this.#refcounts.write();
    await this.#store.sync();
    // What is counted once now, as after a snapshot has gone, is the disk's
    // own. Where anything else is wrong, the counts do not say that.
    if (this.found.corruptions > 0) return;
    const tables = await Tables.open(
      this.#store,
      this.#header,
      this.#refcounts,
    );
    await repairFlags(this.#header, tables, (cluster) => this.#uses[cluster]);
    await tables.write();
    await this.#store.sync();
  }
}

async function look(store: ByteStore) {
  const header = await readHeader(store);
  if (header.bitmaps) {
    throw new BlockError(
      "unsupported",
      "Cannot check the qcow2 image: it has bitmaps",
    );
  }
  let snapshots: SnapshotTable;
  let refcounts: Refcounts;
  try {
    snapshots = await readSnapshots(store, header);
    refcounts = await Refcounts.open(store, header);
  } catch (error) {
    return messageOf(error, ["corrupt"]);
  }
  const checker = new Checker(store, header, refcounts);
  await checker.run(snapshots);
  return { header, snapshots, refcounts, checker };
}

/** What is wrong with an image, of these kinds; other errors are thrown. */
function messageOf(error: unknown, kinds: readonly BlockErrorKind[]): string {
  if (error instanceof BlockError && kinds.includes(error.kind)) {
    return error.message;
  }
  throw error;
}

/** Check an image, and repair it as far as asked. Throws a `BlockError`. */
export async function checkQcow2(
  file: string,
  mode: "none" | "leaks" | "all",
  lock?: boolean,
): Promise<ImageCheck> {
  const store = await FileStore.open(file, mode === "none", { lock });
  try {
    const looked = await look(store);
    // Without refcounts there is nothing to compare with. Without snapshots,
    // what they use would be taken for leaked.
    if (typeof looked === "string") return unreadable(looked);
    const { header, snapshots, refcounts, checker } = looked;
    const before = checker.found;
    const wrong = before.corruptions > 0 || header.dirty || header.corrupt;
    if (mode === "all" && (wrong || before.leaks > 0)) {
      try {
        const tables = await Tables.open(store, header, refcounts);
        await recount(store, header, refcounts, tables, snapshots);
      } catch (error) {
        // Nothing has been written: it counts first.
        const problem = messageOf(error, ["corrupt", "unsupported"]);
        return { ...before, problems: [...before.problems, problem] };
      }
      if (header.dirty) await clearDirty(store);
    } else if (mode === "leaks" && before.leaks > 0 && checker.canCount) {
      await checker.repairLeaks();
    } else return before;
    const again = await look(store);
    if (typeof again === "string") return unreadable(again);
    const after = again.checker.found;
    if (mode === "all" && header.corrupt && after.corruptions === 0) {
      await clearCorrupt(store);
    }
    return {
      ...after,
      corruptionsFixed: Math.max(0, before.corruptions - after.corruptions),
      leaksFixed: Math.max(0, before.leaks - after.leaks),
    };
  } finally {
    await store.close();
  }
}
