/**
 * Snapshots within qcow2 images: made, applied and deleted by Rhea, looked at by
 * `qemu-img`, and the other way round.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { BlockError } from "../../core/backend/block.ts";
import { BlockModel } from "../../core/backend/block_contract.ts";
import { openQcow2 } from "../../plugins/block/qcow2_chain.ts";
import type { Qcow2Block } from "../../plugins/block/qcow2_image.ts";
import {
  checkImage,
  contents,
  oracleTest,
  qemuImg,
  withFolder,
} from "./oracle.ts";

const SIZE = 700 << 10;
const MAX = 40_000;
const STEPS = 25;

const KINDS: Record<string, string> = {
  "clusters of 512": "cluster_size=512",
  "clusters of 64k, compat 0.10": "cluster_size=64k,compat=0.10",
  "clusters of 4k": "cluster_size=4k",
  "refcounts of 4 bits": "refcount_bits=4,cluster_size=1k",
  "refcounts of 64 bits": "refcount_bits=64,cluster_size=512",
  "extended L2 entries": "extended_l2=on,cluster_size=16k",
  "lazy refcounts": "lazy_refcounts=on,cluster_size=4k",
  "preallocated metadata": "preallocation=metadata,cluster_size=4k",
};

async function all(image: Qcow2Block): Promise<Uint8Array> {
  return await image.read(0, image.size);
}

async function mustBeClean(path: string, when: string): Promise<void> {
  const { clean, out } = await checkImage(path);
  assert(clean, `${when}: ${out}`);
}

for (const [name, options] of Object.entries(KINDS)) {
  oracleTest(
    `qcow2 snapshots, ${name}: qemu-img sees what Rhea does`,
    () =>
      withFolder(async (folder) => {
        const path = `${folder}/a.qcow2`;
        await qemuImg("create", "-f", "qcow2", "-o", options, path, `${SIZE}`);
        const kept = new Map<string, Uint8Array>();
        let bytes = new Uint8Array(SIZE);
        for (const [i, label] of ["one", "two", "three"].entries()) {
          const image = await openQcow2(path, false);
          const model = new BlockModel(bytes, i + 1);
          for (let k = 0; k < STEPS; k++) await model.step(image, MAX);
          const id = await image.createSnapshot({
            name: label,
            date: 1e12 + i,
          });
          kept.set(id, await all(image));
          for (let k = 0; k < STEPS; k++) await model.step(image, MAX);
          bytes = await all(image) as Uint8Array<ArrayBuffer>;
          await image.close();
          await mustBeClean(path, `after "${label}"`);
          const list = await qemuImg("snapshot", "-l", path);
          assert(list.includes(label), list);
          assertEquals(await contents(path), bytes);
        }
        for (const [id, was] of kept) {
          const image = await openQcow2(path, true, { snapshot: id });
          assertEquals(await all(image), was);
          await image.close();
        }
        // Applied and written to, each snapshot stays what it is.
        for (const [id, was] of [...kept].reverse()) {
          const image = await openQcow2(path, false);
          await image.applySnapshot(id);
          assertEquals(await all(image), was);
          const model = new BlockModel(was.slice(), Number(id) + 7);
          for (let k = 0; k < STEPS; k++) await model.step(image, MAX);
          const now = await all(image);
          await image.close();
          await mustBeClean(path, `after going back to ${id}`);
          assertEquals(await contents(path), now);
        }
        // QEMU applies what Rhea has made.
        for (const [id, was] of kept) {
          await qemuImg("snapshot", "-a", id, path);
          assertEquals(await contents(path), was);
        }
        await mustBeClean(path, "after qemu-img has applied them");
        for (const id of [...kept.keys()].sort().reverse()) {
          const image = await openQcow2(path, false);
          const before = await all(image);
          await image.deleteSnapshot(id);
          assertEquals(await all(image), before);
          await image.close();
          await mustBeClean(path, `after ${id} was deleted`);
        }
        const last = await openQcow2(path, false);
        assertEquals(last.snapshots, []);
        await last.close();
      }),
  );
}

oracleTest(
  "qcow2 snapshots that QEMU has made are applied and deleted",
  () =>
    withFolder(async (folder) => {
      const path = `${folder}/a.qcow2`;
      await qemuImg("create", "-f", "qcow2", path, `${SIZE}`);
      const model = new BlockModel(new Uint8Array(SIZE), 1);
      const first = await openQcow2(path, false);
      for (let k = 0; k < STEPS; k++) await model.step(first, MAX);
      const was = await all(first);
      await first.close();
      await qemuImg("snapshot", "-c", "theirs", path);
      const image = await openQcow2(path, false);
      for (let k = 0; k < STEPS; k++) await model.step(image, MAX);
      const [{ id }] = image.snapshots;
      await image.applySnapshot(id);
      assertEquals(await all(image), was);
      await image.deleteSnapshot(id);
      assertEquals(await all(image), was);
      await image.close();
      await mustBeClean(path, "afterwards");
    }),
);

oracleTest(
  "counts that are too narrow for a snapshot refuse it",
  () =>
    withFolder(async (folder) => {
      const path = `${folder}/a.qcow2`;
      const options = "refcount_bits=1,cluster_size=512";
      await qemuImg("create", "-f", "qcow2", "-o", options, path, `${SIZE}`);
      const image = await openQcow2(path, false);
      await image.write(0, new Uint8Array(5000).fill(1));
      await assertRejects(
        () => image.createSnapshot({ name: "a", date: 0 }),
        BlockError,
        "Refcounts of 1 bits",
      );
      await image.write(700, new Uint8Array(5000).fill(2));
      await image.close();
      await mustBeClean(path, "afterwards");
    }),
);

oracleTest(
  "a snapshot of compressed clusters and a backing file",
  () =>
    withFolder(async (folder) => {
      const raw = `${folder}/a.raw`;
      const path = `${folder}/a.qcow2`;
      const over = `${folder}/b.qcow2`;
      await Deno.writeFile(raw, new Uint8Array(SIZE).fill(7));
      const convert = ["convert", "-f", "raw", "-O", "qcow2", "-c"];
      await qemuImg(...convert, "-o", "cluster_size=4k", raw, path);
      await qemuImg("create", "-f", "qcow2", "-F", "qcow2", "-b", path, over);
      for (const file of [over, path]) {
        const image = await openQcow2(file, false);
        const model = new BlockModel(await all(image), 3);
        const before = await all(image);
        const id = await image.createSnapshot({ name: "a", date: 0 });
        for (let k = 0; k < STEPS; k++) await model.step(image, MAX);
        await image.applySnapshot(id);
        assertEquals(await all(image), before);
        await image.deleteSnapshot(id);
        await image.close();
        await mustBeClean(file, "afterwards");
      }
    }),
);
