import { assertEquals } from "@std/assert";
import type { ByteStore } from "./byte_store.ts";
import { CLUSTER_BYTES, UndoLog } from "./undo_log.ts";

/** A store in memory. */
class MemoryStore implements ByteStore {
  #bytes = new Uint8Array(0);

  get size(): number {
    return this.#bytes.length;
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    into.set(this.#bytes.subarray(offset, offset + into.length));
    return Promise.resolve();
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    const end = offset + bytes.length;
    if (end > this.size) void this.truncate(end);
    this.#bytes.set(bytes, offset);
    return Promise.resolve();
  }

  truncate(size: number): Promise<void> {
    const bytes = new Uint8Array(size);
    bytes.set(this.#bytes.subarray(0, size));
    this.#bytes = bytes;
    return Promise.resolve();
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

Deno.test("undo log: written anew, each snapshot finds what it found", async () => {
  const image = { closed: 0n, inUse: false, from: 0, to: 0, loading: 0 };
  const size = 4 * CLUSTER_BYTES;
  const log = await UndoLog.create(new MemoryStore(), { size, image });
  const bytes = (value: number) => new Uint8Array(CLUSTER_BYTES).fill(value);
  // Snapshot by snapshot: the clusters that are copied after it.
  const copied: readonly Record<number, number>[] = [
    { 0: 1, 2: 0 },
    { 0: 2, 1: 3 },
    { 0: 4, 2: 5 },
  ];
  const ids: number[] = [];
  for (const [i, clusters] of copied.entries()) {
    const label = { name: `s${i}`, file: `s${i}.rhea`, date: i };
    ids.push((await log.addSnapshot(label)).id);
    await log.copy(
      Object.entries(clusters).map(([cluster, value]) => ({
        cluster: Number(cluster),
        bytes: bytes(value),
      })),
    );
  }
  const store = new MemoryStore();
  const rewritten = await log.rewrittenIn(store);
  for (const one of [log, rewritten, await UndoLog.open(store)]) {
    assertEquals(one.snapshots, log.snapshots);
    const seen: Record<number, number>[] = [];
    for (const id of ids) {
      const found: Record<number, number> = {};
      for (const cluster of one.changedSince(id)) {
        found[cluster] = (await one.read(cluster, id))[0];
      }
      seen.push(found);
    }
    assertEquals(seen, [
      { 0: 1, 1: 3, 2: 0 },
      { 0: 2, 1: 3, 2: 5 },
      { 0: 4, 2: 5 },
    ]);
  }
});
