import { Buffer } from "node:buffer";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { BlockModel } from "../../core/backend/block_contract.ts";
import { BlockError, type BlockSnapshots } from "../../core/backend/block.ts";
import type { StateRecord } from "../../core/state/state.ts";
import type { ByteStore } from "./byte_store.ts";
import { CLUSTER_BYTES } from "./undo_log.ts";
import { LEASE_MS, type UndoFiles, UndoStore } from "./undo_store.ts";

/** Some clusters, and the last of them in part. */
const SIZE = 9 * CLUSTER_BYTES + 1024;

/** A random number below `limit`, the same for the same seed. */
function generator(seed: number): (limit: number) => number {
  const model = new BlockModel(new Uint8Array(1), seed);
  return (limit) => limit > 0 ? model.below(limit) : 0;
}

/** What happened to a file: a write, a new size, a sync. */
type Event =
  | { readonly file: File; readonly offset: number; bytes: Uint8Array }
  | { readonly file: File; readonly size: number }
  | { readonly file: File; readonly isSync: true };

/** A file of a host whose power can be cut. */
class File {
  size: number;
  bytes: Uint8Array;
  /** What it was at the beginning. */
  readonly first: Uint8Array;
  readonly host: Host;
  written = 0n;

  constructor(host: Host, bytes: Uint8Array) {
    this.host = host;
    this.first = bytes.slice();
    this.bytes = bytes.slice();
    this.size = bytes.length;
  }

  apply(event: Event): void {
    if ("bytes" in event) {
      const end = event.offset + event.bytes.length;
      this.resize(Math.max(this.bytes.length, end));
      this.bytes.set(event.bytes, event.offset);
    } else if ("size" in event) this.resize(event.size);
  }

  resize(size: number): void {
    const next = new Uint8Array(size);
    next.set(this.bytes.subarray(0, size));
    this.bytes = next;
    this.size = size;
  }
}

/** An open file. */
class Handle implements ByteStore {
  readonly #file: File;

  constructor(file: File) {
    this.#file = file;
  }

  get size(): number {
    return this.#file.size;
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    into.fill(0);
    into.set(
      this.#file.bytes.subarray(offset, offset + into.length),
    );
    return Promise.resolve();
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    const { host } = this.#file;
    const end = offset + bytes.length;
    if (end > this.size) {
      host.room -= end - this.size;
      if (host.room < 0) {
        host.room += end - this.size;
        return Promise.reject(new BlockError("no-space", "the host is full"));
      }
    }
    const now = BigInt(Date.now()) * 1_000_000n;
    // No two writes are of the same time.
    const next = this.#file.written + 1n;
    this.#file.written = now > next ? now : next;
    host.note({ file: this.#file, offset, bytes: bytes.slice() });
    return Promise.resolve();
  }

  truncate(size: number): Promise<void> {
    this.#file.host.room += Math.max(0, this.size - size);
    this.#file.host.note({ file: this.#file, size });
    return Promise.resolve();
  }

  sync(): Promise<void> {
    this.#file.host.note({ file: this.#file, isSync: true });
    return Promise.resolve();
  }

  async lastWritten(): Promise<bigint> {
    await this.sync();
    return this.#file.written;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** A host with an image, its undo log and snapshots' files. */
class Host implements UndoFiles {
  readonly path = "disk.img.rhea-undo";
  readonly events: Event[] = [];
  room = Infinity;
  image: File;
  log: File | undefined;
  #part: File | undefined;
  readonly snapshots = new Set<string>();

  constructor(image: Uint8Array) {
    this.image = new File(this, image);
  }

  note(event: Event): void {
    this.events.push(event);
    event.file.apply(event);
  }

  start(): Promise<UndoStore> {
    return UndoStore.open(new Handle(this.image), this);
  }

  open(): Promise<ByteStore | undefined> {
    return Promise.resolve(this.log && new Handle(this.log));
  }

  create(): Promise<ByteStore> {
    this.#part = new File(this, new Uint8Array(0));
    return Promise.resolve(new Handle(this.#part));
  }

  publish(): Promise<void> {
    this.log = this.#part;
    return Promise.resolve();
  }

  discard(): Promise<void> {
    return Promise.resolve();
  }

  remove(): Promise<void> {
    this.log = undefined;
    return Promise.resolve();
  }

  isThere(path: string): Promise<boolean> {
    const isThere = path === this.path
      ? this.log !== undefined
      : this.snapshots.has(path);
    return Promise.resolve(isThere);
  }

  isDecided(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

function filled(random: (limit: number) => number, length: number): Uint8Array {
  // Zeroes are kept in another way.
  return new Uint8Array(length).fill(random(3) === 0 ? 0 : random(256));
}

/** The same bytes: `assertEquals` takes its time over so many. */
function assertSame(found: Uint8Array, wanted: Uint8Array, where = ""): void {
  if (Buffer.compare(found, wanted) === 0) return;
  const at = found.findIndex((byte, i) => byte !== wanted[i]);
  assert(false, `${where}: byte ${at} is ${found[at]}, not ${wanted[at]}`);
}

async function contents(store: ByteStore): Promise<Uint8Array> {
  const bytes = new Uint8Array(SIZE);
  await store.read(0, bytes);
  return bytes;
}

function put(): Promise<void> {
  throw new Error("nothing of it goes into the machine's snapshot");
}

async function keep(
  host: Host,
  snapshots: BlockSnapshots,
  name: string,
): Promise<StateRecord> {
  const record = await snapshots.save(name, put, name);
  host.snapshots.add(name);
  await snapshots.complete!(record);
  return record;
}

async function load(store: UndoStore, record: StateRecord): Promise<void> {
  assertEquals(await store.snapshots.check(record), undefined);
  await store.snapshots.prepare!(record);
  await store.snapshots.load(record);
}

Deno.test("undo log: random writes, saves, loads and removals", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = generator(seed);
    const host = new Host(filled(random, SIZE));
    let store = await host.start();
    let now = await contents(store);
    let kept: { record: StateRecord; bytes: Uint8Array }[] = [];
    for (let step = 0; step < 120; step++) {
      const what = random(20);
      const one = kept[random(kept.length)];
      if (what < 10) {
        const offset = random(SIZE / 512) * 512;
        const length = Math.min(SIZE - offset, 512 << random(10));
        const bytes = filled(random, length);
        await store.write(offset, bytes);
        now.set(bytes, offset);
      } else if (what < 13) {
        const record = await keep(host, store.snapshots, `s${step}`);
        kept.push({ record, bytes: now.slice() });
      } else if (what < 16 && one !== undefined) {
        await load(store, one.record);
        now = one.bytes.slice();
      } else if (what < 18 && one !== undefined) {
        await store.snapshots.remove(one.record);
        kept = kept.filter((other) => other !== one);
        assertEquals(host.log !== undefined, kept.length > 0);
      } else if (what === 18) {
        await store.close();
        store = await host.start();
      } else {
        // As after a kill: not closed.
        store = await host.start();
      }
      assertSame(await contents(store), now, `seed ${seed}, step ${step}`);
      assertSame(host.image.bytes, now);
    }
    for (const { record, bytes } of kept) {
      await load(store, record);
      assertSame(await contents(store), bytes, `seed ${seed}`);
    }
  }
});

Deno.test("undo log: the power is cut at any write", async () => {
  let loads = 0;
  for (let seed = 1; seed <= 6; seed++) {
    const random = generator(seed);
    const host = new Host(filled(random, SIZE));
    const store = await host.start();
    const kept: { record: StateRecord; bytes: Uint8Array }[] = [];
    const write = (): Promise<void> => {
      const offset = random(SIZE / 512) * 512;
      const length = Math.min(SIZE - offset, 512 << random(9));
      return store.write(offset, filled(random, length));
    };
    for (let i = 0; i < 3; i++) {
      kept.push({
        record: await keep(host, store.snapshots, `s${i}`),
        bytes: await contents(store),
      });
      for (let k = 0; k < 6; k++) await Promise.all([write(), write()]);
    }
    await store.sync();
    const start = host.events.length;
    const before = await contents(store);
    const { record, bytes: after } = kept[random(3)];
    await load(store, record);
    const loaded = host.events.length;
    await Promise.all([write(), write(), write()]);
    for (let cut = start; cut <= host.events.length; cut++) {
      // Of what was not synced any part may be lost.
      const cutHost = new Host(host.image.first);
      cutHost.log = new File(cutHost, new Uint8Array(0));
      for (const name of host.snapshots) cutHost.snapshots.add(name);
      const copies = new Map([
        [host.image, cutHost.image],
        [host.log, cutHost.log],
      ]);
      const synced = (file: File): number =>
        host.events.slice(0, cut).findLastIndex((event) =>
          event.file === file && "isSync" in event
        );
      const until = new Map([...copies.keys()].map((f) => [f, synced(f!)]));
      for (const [i, event] of host.events.slice(0, cut).entries()) {
        const isLost = i > until.get(event.file)! && random(2) === 0;
        if (!isLost) copies.get(event.file)!.apply(event);
      }
      cutHost.image.written = BigInt(Date.now()) * 1_000_000n;
      const again = await cutHost.start();
      const where = `seed ${seed}, cut ${cut} of ${host.events.length}`;
      if (cut <= loaded) {
        const found = await contents(again);
        const isBefore = Buffer.compare(found, before) === 0;
        assert(isBefore || Buffer.compare(found, after) === 0, where);
        if (!isBefore) loads++;
      }
      for (const { record, bytes } of kept) {
        await load(again, record);
        assertSame(await contents(again), bytes, where);
      }
    }
  }
  assert(loads > 0);
});

Deno.test("undo log: a full host keeps what there is, and lets go", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = generator(seed);
    const host = new Host(filled(random, SIZE));
    const store = await host.start();
    const kept: { record: StateRecord; bytes: Uint8Array }[] = [];
    host.room = random(12 * CLUSTER_BYTES);
    const now = await contents(store);
    let refused = 0;
    for (let step = 0; step < 40; step++) {
      try {
        if (random(4) === 0) {
          const record = await store.snapshots.save(`s${step}`, put, "");
          kept.push({ record, bytes: now.slice() });
        } else {
          const offset = random(SIZE / 512) * 512;
          const bytes = filled(random, Math.min(SIZE - offset, 4096));
          await store.write(offset, bytes);
          now.set(bytes, offset);
        }
      } catch (error) {
        assert(error instanceof BlockError && error.kind === "no-space");
        refused++;
      }
      assertSame(await contents(store), now);
    }
    if (seed > 30) {
      // What has just been kept goes without any room.
      host.room = 512;
      const last = await store.snapshots.save("last", put, "").catch(() => {});
      host.room = 0;
      if (last !== undefined) {
        await store.snapshots.remove(last);
        assert(await store.snapshots.check(last) !== undefined);
      }
    }
    for (const { record, bytes } of kept) {
      host.room = Infinity;
      assertEquals(await store.snapshots.check(record), undefined);
      // Loading needs room, too, and says so before it changes anything.
      host.room = random(3) * CLUSTER_BYTES;
      const before = await contents(store);
      try {
        await store.snapshots.prepare!(record);
      } catch (error) {
        assert(error instanceof BlockError && error.kind === "no-space");
        assertSame(await contents(store), before);
        refused++;
        host.room = Infinity;
      }
      await store.snapshots.load(record);
      assertSame(await contents(store), bytes, `seed ${seed}`);
    }
    assert(refused > 0 || seed < 40);
  }
});

Deno.test("undo log: damage is found, or does not matter", async () => {
  const random = generator(5);
  const host = new Host(filled(random, SIZE));
  const kept: { record: StateRecord; bytes: Uint8Array }[] = [];
  {
    const store = await host.start();
    for (let i = 0; i < 3; i++) {
      const name = `s${i}`;
      const record = await keep(host, store.snapshots, name);
      kept.push({ record, bytes: await contents(store) });
      for (let k = 0; k < 3; k++) {
        const cluster = random(9) * CLUSTER_BYTES;
        await store.write(cluster, new Uint8Array(9000).fill(1 + random(255)));
      }
    }
    await store.close();
  }
  const whole = host.log!.bytes.slice();
  const image = host.image.bytes.slice();
  let refused = 0;
  for (let i = 0; i < 400; i++) {
    const bytes = whole.slice();
    // The head, the stamps and entries' heads are small: look there as often.
    const at = i % 2 === 0
      ? random(bytes.length)
      : random(2) === 0
      ? random(1536)
      : 4096 + random(400);
    if (i % 5 === 0) host.log!.resize(at);
    else {
      bytes[at] ^= 1 << random(8);
      host.log!.resize(bytes.length);
      host.log!.bytes.set(bytes);
    }
    host.image.bytes.set(image);
    const written = host.image.written;
    const store = await host.start();
    assertSame(await contents(store), image);
    const { record, bytes: wanted } = kept[random(3)];
    try {
      const problem = await store.snapshots.check(record);
      if (problem !== undefined) throw new BlockError("corrupt", problem);
      await store.snapshots.prepare!(record);
      await store.snapshots.load(record);
      assertSame(await contents(store), wanted, `byte ${at}`);
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      assert(/damaged|version|kept nothing/.test(error.message), `${error}`);
      assertSame(await contents(store), image);
      refused++;
    }
    host.image.written = written;
    host.log!.resize(whole.length);
    host.log!.bytes.set(whole);
  }
  assert(refused > 100 && refused < 400, `${refused}`);
});

Deno.test("undo log: what another program wrote is noticed", async () => {
  const start = async () => {
    const host = new Host(new Uint8Array(SIZE));
    const store = await host.start();
    const record = await keep(host, store.snapshots, "s");
    await store.write(0, new Uint8Array(512).fill(1));
    return { host, store, record };
  };
  const check = async (host: Host, record: StateRecord) => {
    const store = await host.start();
    return [await store.snapshots.check(record) ?? "", store] as const;
  };
  {
    // After it was closed: any other time.
    const { host, store, record } = await start();
    await store.close();
    assertEquals((await check(host, record))[0], "");
    host.image.written += 1n;
    const [problem, again] = await check(host, record);
    assert(problem.startsWith("has been changed by something else"), problem);
    const error = await assertRejects(
      () => again.snapshots.save("t", put, "t"),
      BlockError,
      'delete "disk.img.rhea-undo" to give up',
    );
    assertEquals(error.kind, "unsupported");
    // It goes on as a disk, and what was kept stays what it was.
    await again.write(0, new Uint8Array(512).fill(2));
    await again.close();
    assert((await check(host, record))[0] !== "");
    // To give up its snapshots makes it one like any other.
    await again.snapshots.remove(record);
    assertEquals(host.log, undefined);
    await again.snapshots.save("t", put, "t");
  }
  {
    // After a kill: as long as Rhea has said that it writes.
    const { host, record } = await start();
    assertEquals((await check(host, record))[0], "");
    const lease = BigInt(LEASE_MS) * 1_000_000n;
    host.image.written += 2n * lease;
    assert((await check(host, record))[0] !== "");
    host.image.written -= 3n * lease;
    assert((await check(host, record))[0] !== "");
  }
  {
    const { host, store, record } = await start();
    await store.close();
    host.image.resize(SIZE + 512);
    assert((await check(host, record))[0].includes(`has ${SIZE + 512} bytes`));
  }
});

Deno.test("undo log: what is kept for a snapshot that never was, goes", async () => {
  const host = new Host(new Uint8Array(SIZE));
  const store = await host.start();
  const first = await keep(host, store.snapshots, "first");
  const second = await store.snapshots.save("second", put, "second");
  const third = await store.snapshots.save("third", put, "third");
  host.snapshots.add("third");
  const again = await host.start();
  const { check } = again.snapshots;
  assertEquals(await check(first), undefined);
  assert((await check(second))!.startsWith("has kept nothing"));
  assertEquals(await check(third), undefined);
});

Deno.test("undo log: to give up a snapshot gives back its room", async () => {
  const host = new Host(new Uint8Array(SIZE).fill(1));
  const store = await host.start();
  const old = await keep(host, store.snapshots, "old");
  await store.write(0, new Uint8Array(SIZE).fill(2));
  const newer = await keep(host, store.snapshots, "newer");
  const before = host.log!.size;
  assert(before > SIZE);
  await store.write(0, new Uint8Array(512).fill(3));
  await store.snapshots.remove(old);
  assert(host.log!.size < 2 * CLUSTER_BYTES, `${host.log!.size}`);
  await load(store, newer);
  assertSame(await contents(store), new Uint8Array(SIZE).fill(2));
  await store.snapshots.remove(newer);
  assertEquals(host.log, undefined);
});
