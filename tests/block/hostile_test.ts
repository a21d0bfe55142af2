/**
 * Damaged and hostile qcow2 images: every error is a `BlockError`, and a
 * request makes a bounded number of requests of bounded size to the file (the
 * store counts them).
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BlockError } from "../../core/backend/block.ts";
import { BlockModel } from "../../core/backend/block_contract.ts";
import { checkQcow2 } from "../../plugins/block/qcow2_check.ts";
import { Qcow2Block } from "../../plugins/block/qcow2_image.ts";
import { openQcow2 } from "../../plugins/block/qcow2_chain.ts";
import { MemoryStore } from "./memory_store.ts";
import { newImage } from "./new_image.ts";
import { oracleTest, qemuImg, qemuIo, withFolder } from "./oracle.ts";

const ROUNDS = 1500;
const SIZE = 128 << 10;

/** A used image, and its bytes that are not data. */
async function used(clusterBits: number, extendedL2: boolean) {
  const image = newImage({ size: SIZE, clusterBits, extendedL2 });
  const store = new MemoryStore(image);
  const backend = await Qcow2Block.open(store, { readOnly: false });
  const model = new BlockModel(new Uint8Array(SIZE), 5);
  for (let i = 0; i < 40; i++) await model.step(backend, 5000);
  await backend.close();
  return store.bytes;
}

/** Use an image in every way; gives back how many requests were refused. */
async function abuse(bytes: Uint8Array, seed: number): Promise<number> {
  let refused = 0;
  const attempt = async (request: () => Promise<unknown>) => {
    try {
      await request();
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      refused++;
    }
  };
  for (const readOnly of [true, false]) {
    const store = new MemoryStore(bytes);
    let backend: Qcow2Block | undefined;
    await attempt(async () => {
      backend = await Qcow2Block.open(store, { readOnly });
    });
    if (backend === undefined) continue;
    const image = backend;
    const size = Math.min(image.size, 4 * SIZE);
    await attempt(() => image.read(0, size));
    if (size === 0) continue;
    for (let at = 0; at < size; at += 8192) {
      await attempt(() => image.read(at, Math.min(8192, size - at)));
    }
    const model = new BlockModel(new Uint8Array(size), seed);
    for (let i = 0; i < 12; i++) {
      const { offset, length } = model.range(20_000);
      await attempt(() => image.write(offset, model.random(length)));
      await attempt(() => image.discard(offset, length));
      await attempt(() => image.writeZeroes(offset, length));
      await attempt(() => image.flush());
    }
    await attempt(() => image.close());
  }
  return refused;
}

/** Damage images at random and use them. */
async function fuzz(image: Uint8Array, seed: number, rounds: number) {
  const random = new BlockModel(new Uint8Array(1), seed);
  let refused = 0;
  for (let round = 0; round < rounds; round++) {
    const bytes = image.slice();
    for (let flips = 1 + random.below(4); flips > 0; flips--) {
      // The header and the first tables in most cases.
      const limit = [112, 4096, bytes.length][random.below(3)];
      const at = random.below(Math.min(limit, bytes.length));
      bytes[at] = [
        0,
        0xff,
        bytes[at] ^ 1 << random.below(8),
        random.below(256),
      ][random.below(4)];
    }
    const seed = 1 + random.below(1000);
    try {
      refused += await abuse(bytes, seed);
    } catch (cause) {
      throw new Error(`round ${round}`, { cause });
    }
  }
  // Else nothing was damaged.
  assert(refused > rounds, `${refused} requests refused`);
}

Deno.test("qcow2: an image that is whole is not refused", async () => {
  // But for the three kinds of writes to it while it is read-only.
  assertEquals(await abuse(await used(9, false), 1), 12 * 3);
});

Deno.test("qcow2: damaged images, clusters of 512 bytes", async () => {
  await fuzz(await used(9, false), 1, ROUNDS);
});

Deno.test("qcow2: damaged images with extended L2 entries", async () => {
  await fuzz(await used(14, true), 2, ROUNDS / 3);
});

Deno.test("qcow2: damaged images that are to be repaired", async () => {
  const image = await used(9, false);
  image[79] |= 1;
  await fuzz(image, 4, ROUNDS / 3);
});

oracleTest(
  "qcow2: damaged images with snapshots and compression",
  () =>
    withFolder(async (folder) => {
      for (const type of ["zlib", "zstd"]) {
        const image = `${folder}/a.qcow2`;
        const options = `cluster_size=512,compression_type=${type}`;
        await qemuImg("create", "-f", "qcow2", "-o", options, image, `${SIZE}`);
        await qemuIo(image, "write -c -P 3 0 20k", "write -P 4 30k 9k");
        await qemuImg("snapshot", "-c", "one", image);
        await qemuIo(image, "write -c -P 5 60k 8k", "write -P 6 20k 12k");
        await fuzz(await Deno.readFile(image), 3, ROUNDS / 5);
      }
    }),
);

/** An image with one change, opened for writing. */
async function opened(change: (view: DataView) => void, readOnly = false) {
  const bytes = newImage({ size: SIZE, clusterBits: 9 });
  change(new DataView(bytes.buffer));
  return await Qcow2Block.open(new MemoryStore(bytes), { readOnly });
}

const REFUSED: [string, BlockError["kind"], string, (v: DataView) => void][] = [
  ["version 4", "unsupported", "version", (v) => v.setUint32(4, 4)],
  ["no magic", "corrupt", "no qcow2", (v) => v.setUint8(0, 0)],
  ["encryption", "unsupported", "encrypted", (v) => v.setUint32(32, 2)],
  ["external data", "unsupported", "external", (v) => v.setUint8(79, 4)],
  ["a new feature", "unsupported", "0x20", (v) => v.setUint8(79, 32)],
  ["a new high feature", "unsupported", "known", (v) => v.setUint8(72, 1)],
  ["the corrupt bit", "corrupt", "only be read", (v) => v.setUint8(79, 2)],
  ["tiny clusters", "corrupt", "cluster_bits", (v) => v.setUint32(20, 8)],
  ["huge clusters", "corrupt", "cluster_bits", (v) => v.setUint32(20, 22)],
  ["wide refcounts", "corrupt", "refcount_order", (v) => v.setUint32(96, 7)],
  ["a huge L1 table", "corrupt", "l1_size", (v) => v.setUint32(36, 1 << 30)],
  ["a small L1 table", "corrupt", "too small", (v) => v.setUint32(36, 1)],
  ["an L1 table elsewhere", "corrupt", "L1", (v) => v.setUint32(40, 1)],
  ["a huge refcount table", "corrupt", "ters", (v) => v.setUint32(56, 1e6)],
  ["many snapshots", "corrupt", "nb_snap", (v) => v.setUint32(60, 65537)],
  ["snapshots elsewhere", "corrupt", "snapshot", (v) => v.setUint32(60, 1)],
  ["a refcount block twice", "corrupt", "two", (v) => v.setUint32(516, 512)],
  ["an L2 table on metadata", "corrupt", "L2", (v) => v.setUint32(1540, 512)],
];
for (const [name, kind, message, change] of REFUSED) {
  Deno.test(`qcow2: refuses ${name}`, async () => {
    const error = await assertRejects(
      () => opened(change),
      BlockError,
      message,
    );
    assertEquals(error.kind, kind);
  });
}

Deno.test("qcow2: with the corrupt bit it can be read", async () => {
  const image = await opened((view) => view.setUint8(79, 2), true);
  assertEquals((await image.read(0, 1))[0], 0);
});

/** An image whose snapshots all lead to one empty L1 table, behind the rest. */
function manySnapshots(count: number, l1Entries: number) {
  const clusterBits = 16;
  const image = newImage({ size: SIZE, clusterBits });
  const entry = 56;
  const table = image.length;
  const l1 = table + (Math.ceil(count * entry / 65536) << clusterBits);
  const bytes = new Uint8Array(l1);
  bytes.set(image);
  const view = new DataView(bytes.buffer);
  view.setUint32(60, count);
  view.setBigUint64(64, BigInt(table));
  for (let at = table; at < table + count * entry; at += entry) {
    view.setBigUint64(at, BigInt(l1));
    view.setUint32(at + 8, l1Entries);
    view.setUint32(at + 36, 16);
  }
  return { bytes, size: l1 + l1Entries * 8 };
}

Deno.test("qcow2: snapshots that would be repaired for ever", async () => {
  const { bytes, size } = manySnapshots(5, 1 << 22);
  bytes[79] |= 1;
  const store = new MemoryStore(bytes);
  await store.truncate(size);
  await assertRejects(
    () => Qcow2Block.open(store, { readOnly: false }),
    BlockError,
    "too large",
  );
});

Deno.test("qcow2: snapshots that would be checked for ever", () =>
  withFolder(async (folder) => {
    const { bytes, size } = manySnapshots(65, 1 << 22);
    const path = `${folder}/a`;
    await Deno.writeFile(path, bytes);
    await Deno.truncate(path, size);
    await assertRejects(
      () => checkQcow2(path, "none"),
      BlockError,
      "too large",
    );
  }));

/** Writes an image into a folder, with a backing file's name. */
async function writeOverlay(path: string, backing: string): Promise<void> {
  const bytes = newImage({ size: SIZE, clusterBits: 12 });
  const name = new TextEncoder().encode(backing);
  bytes.set(name, 512);
  const view = new DataView(bytes.buffer);
  view.setUint32(12, 512);
  view.setUint32(16, name.length);
  await Deno.writeFile(path, bytes);
}

Deno.test("qcow2: backing files that are refused", () =>
  withFolder(async (folder) => {
    const path = `${folder}/a.qcow2`;
    const refuses = async (backing: string, message: string) => {
      await writeOverlay(path, backing);
      await assertRejects(() => openQcow2(path, false), BlockError, message);
    };
    await refuses("a.qcow2", "loop");
    await refuses("./../" + folder.split("/").at(-1) + "/a.qcow2", "loop");
    await refuses("nbd://host/disk", "only files");
    await refuses('json:{"driver":"file"}', "only files");
    await refuses("absent", "Cannot open image");
    // A guest could have written this header on its raw disk.
    await writeOverlay(`${folder}/b.qcow2`, "/etc/passwd");
    await refuses("b.qcow2", "its format is not given");
    // All that was opened is closed: a writer gets in.
    await Deno.writeFile(`${folder}/low`, new Uint8Array(512).fill(7));
    await writeOverlay(path, "low");
    const image = await openQcow2(path, false);
    assertEquals((await image.read(511, 2)).join(), "7,0");
    await image.close();
  }));
