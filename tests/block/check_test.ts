/** `rhea image check` on damaged images: it finds, and repairs, as QEMU does. */

import { assert, assertEquals } from "@std/assert";
import { BlockError } from "../../core/backend/block.ts";
import { BlockModel } from "../../core/backend/block_contract.ts";
import { checkQcow2 } from "../../plugins/block/qcow2_check.ts";
import { oracleTest, qemuImg, qemuIo, run, withFolder } from "./oracle.ts";

const ROUNDS = 60;
/** Where the incompatible features have the corrupt bit. */
const FEATURES = 79;
const CORRUPT = 2;

/** The status of a check: 1 where the image cannot even be opened. */
async function ours(file: string, repair: "none" | "all"): Promise<number> {
  try {
    const { corruptions, leaks } = await checkQcow2(file, repair);
    return corruptions > 0 ? 2 : leaks > 0 ? 3 : 0;
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    return 1;
  }
}

async function theirs(file: string): Promise<number> {
  return (await run("qemu-img", "check", "-f", "qcow2", file)).code;
}

/** An image with data, compressed clusters and a snapshot. */
async function usedImage(file: string): Promise<Uint8Array> {
  const options = "cluster_size=512";
  await qemuImg("create", "-f", "qcow2", "-o", options, file, "256k");
  await qemuIo(file, "write 0 20k", "write -c -P 4 40k 4k");
  await qemuImg("snapshot", "-c", "x", file);
  await qemuIo(file, "write 10k 20k");
  return await Deno.readFile(file);
}

oracleTest(
  "image check: random damage, before and after repair",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      const good = await usedImage(file);
      const random = new BlockModel(new Uint8Array(1), 7);
      const seen = new Set<number>();
      for (let round = 0; round < ROUNDS; round++) {
        const bytes = good.slice();
        for (let flips = 1 + random.below(3); flips > 0; flips--) {
          const at = random.below(random.below(2) === 0 ? 4096 : bytes.length);
          bytes[at] = [
            0,
            0xff,
            bytes[at] ^ 1 << random.below(8),
            random.below(256),
          ][random.below(4)];
        }
        await Deno.writeFile(file, bytes);
        const status = await theirs(file);
        assertEquals(await ours(file, "none"), status, `round ${round}`);
        seen.add(status);
        const left = await ours(file, "all");
        if (left !== 1) {
          assertEquals(left, await theirs(file), `round ${round}`);
        }
      }
      assert(seen.has(0) && seen.has(2), [...seen].join());
    }),
);

oracleTest(
  "image check: a repaired image is not marked as damaged",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      const bytes = await usedImage(file);
      bytes[FEATURES] |= CORRUPT;
      await Deno.writeFile(file, bytes);
      assertEquals(await ours(file, "none"), 0);
      assertEquals((await Deno.readFile(file))[FEATURES], bytes[FEATURES]);
      assertEquals(await ours(file, "all"), 0);
      assertEquals((await Deno.readFile(file))[FEATURES] & CORRUPT, 0);
      await qemuIo(file, "write 0 64k");
    }),
);

oracleTest(
  "image check: repair does not write over what a refcount block lies on",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      const options = "cluster_size=512";
      await qemuImg("create", "-f", "qcow2", "-o", options, file, "1M");
      await qemuIo(file, "write -P 1 0 600k");
      const bytes = await Deno.readFile(file);
      const view = new DataView(bytes.buffer);
      const at = (offset: number): number =>
        Number(view.getBigUint64(offset) & 0xffffffffffff00n);
      // The third block is the guest's first cluster.
      view.setBigUint64(at(48) + 16, BigInt(at(at(at(40)))));
      await Deno.writeFile(file, bytes);
      assertEquals([await ours(file, "none"), await theirs(file)], [2, 2]);
      assertEquals([await ours(file, "all"), await theirs(file)], [0, 0]);
      const read = await qemuIo(file, "read -P 1 0 600k");
      assert(!read.includes("failed"), read);
      await qemuIo(file, "write -P 2 0 1M");
      assertEquals(await theirs(file), 0);
    }),
);

oracleTest(
  "image check: reserved bits of an L1 entry",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      const bytes = await usedImage(file);
      const l1 = Number(new DataView(bytes.buffer).getBigUint64(40));
      bytes[l1] |= 0x3f;
      await Deno.writeFile(file, bytes);
      assertEquals([await ours(file, "none"), await theirs(file)], [2, 2]);
    }),
);

oracleTest(
  "image check: a cluster that would begin where the file ends",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      await qemuImg("create", "-f", "qcow2", file, "1M");
      await qemuIo(file, "write 0 64k");
      const bytes = await Deno.readFile(file);
      const view = new DataView(bytes.buffer);
      const at = (offset: number): number =>
        Number(view.getBigUint64(offset) & 0xffffffffffff00n);
      view.setBigUint64(at(at(40)) + 8, BigInt(bytes.length) | 1n << 63n);
      // Its count is 1.
      view.setUint16(at(at(48)) + 2 * (bytes.length >> 16), 1);
      await Deno.writeFile(file, bytes);
      assertEquals([await ours(file, "none"), await theirs(file)], [2, 2]);
    }),
);
