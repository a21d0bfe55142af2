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
async function ours(
  file: string,
  repair: "none" | "leaks" | "all",
): Promise<number> {
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
      assertEquals(await ours(file, "leaks"), 2);
      assertEquals(await Deno.readFile(file), bytes);
      assertEquals([await ours(file, "all"), await theirs(file)], [0, 0]);
      const read = await qemuIo(file, "read -P 1 0 600k");
      assert(!read.includes("failed"), read);
      await qemuIo(file, "write -P 2 0 1M");
      assertEquals(await theirs(file), 0);
    }),
);

oracleTest(
  "image check: what cannot be repaired is left as it is",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      const bytes = await usedImage(file);
      const view = new DataView(bytes.buffer);
      const at = (offset: number): number =>
        Number(view.getBigUint64(offset) & 0xffffffffffff00n);
      // No refcount table of this cluster size goes so far.
      view.setUint16(at(at(40)) + 2, 0x4000);
      await Deno.writeFile(file, bytes);
      assertEquals([await ours(file, "none"), await theirs(file)], [2, 2]);
      assertEquals(await ours(file, "all"), 2);
      assertEquals(await Deno.readFile(file), bytes);
    }),
);

oracleTest(
  "image check: a refcount table behind the file",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      const bytes = await usedImage(file);
      new DataView(bytes.buffer).setUint16(50, 0xff);
      await Deno.writeFile(file, bytes);
      assertEquals([await ours(file, "none"), await theirs(file)], [2, 2]);
      for (const repair of ["leaks", "all"] as const) {
        assertEquals(await ours(file, repair), 2);
        assertEquals(await Deno.readFile(file), bytes);
      }
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

/** Where an entry of the snapshot table has its fields. */
const L1_OFFSET = 0;
const L1_SIZE = 8;
const ID_LENGTH = 12;
const NAME_LENGTH = 14;
const EXTRA_LENGTH = 36;
const STATE_BYTES = 40;
const DISK_BYTES = 48;
const NAMES = ["n".repeat(300), "second", "third"];

type Damage = (view: DataView, entries: readonly number[]) => void;
/** Of three snapshots; the last entry of the table is the last in its file. */
const TABLES: Readonly<Record<string, Damage>> = {
  "nothing": () => {},
  "one entry more": (v) => v.setUint32(60, 4),
  "one entry less": (v) => v.setUint32(60, 2),
  "no entry": (v) => v.setUint32(60, 0),
  "too many entries": (v) => v.setUint32(60, 70_000),
  "a table within a cluster": (v) => v.setUint8(71, 8),
  "a table behind the file": (v) => v.setUint32(68, 1 << 30),
  "a table on the header": (v) => v.setUint32(68, 0),
  "no L1 table": (v, [, e]) => v.setUint32(e + L1_SIZE, 0),
  "an L1 table that is too large": (v, [, e]) => v.setInt32(e + L1_SIZE, -1),
  "an L1 table elsewhere": (v, [, e]) => v.setUint8(e + L1_OFFSET + 7, 8),
  "an L1 table behind the file": (v, [, e]) => v.setUint8(e + L1_OFFSET + 3, 9),
  "an L1 table on the header": (v, [, e]) => v.setBigUint64(e + L1_OFFSET, 0n),
  "the L1 table of another": (v, [, e, f]) =>
    v.setBigUint64(e, v.getBigUint64(f)),
  "the L1 table of the disk": (v, [, e]) =>
    v.setBigUint64(e, v.getBigUint64(40)),
  "a long id": (v, [, , e]) => v.setUint16(e + ID_LENGTH, 0xffff),
  "a long name": (v, [, , e]) => v.setUint16(e + NAME_LENGTH, 0xffff),
  "no extra data": (v, [, , e]) => v.setUint32(e + EXTRA_LENGTH, 0),
  "no size of the disk": (v, [, , e]) => v.setUint32(e + EXTRA_LENGTH, 8),
  "too much extra data": (v, [e]) => v.setUint32(e + EXTRA_LENGTH, 1025),
  "a disk of no bytes": (v, [, e]) => v.setBigUint64(e + DISK_BYTES, 0n),
  "a huge disk": (v, [, e]) => v.setBigUint64(e + DISK_BYTES, 1n << 55n),
  "a huge state": (v, [, e]) => v.setBigUint64(e + STATE_BYTES, 1n << 60n),
};
/** QEMU cannot read the snapshot any more: which clusters it has is guessed. */
const LOST = ["one entry less", "no entry", "no L1 table"];

/** What QEMU reads, of the disk and of each snapshot that it can read. */
async function readings(file: string): Promise<string[]> {
  const found: string[] = [];
  for (const snapshot of [undefined, ...NAMES]) {
    const from = snapshot === undefined ? [] : ["-l", snapshot];
    const raw = `${file}.raw`;
    const args = ["convert", "-f", "qcow2", ...from, "-O", "raw", file, raw];
    const { code } = await run("qemu-img", ...args);
    const bytes = code === 0 ? await Deno.readFile(raw) : new Uint8Array();
    const hash = await crypto.subtle.digest("SHA-256", bytes);
    found.push(new Uint8Array(hash).toHex());
  }
  return found;
}

oracleTest(
  "image check: snapshots of disks of several sizes, and their damaged tables",
  () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      const options = "cluster_size=4k";
      await qemuImg("create", "-f", "qcow2", "-o", options, file, "1M");
      await qemuIo(file, "write -P 1 0 200k", "write -c -P 4 400k 16k");
      await qemuImg("snapshot", "-c", NAMES[0], file);
      await qemuImg("resize", file, "3M");
      await qemuIo(file, "write -P 2 100k 900k", "write -b -P 9 0 50k");
      await qemuImg("snapshot", "-c", NAMES[1], file);
      await qemuIo(file, "write -P 5 500k 100k");
      await qemuImg("snapshot", "-c", NAMES[2], file);
      const good = await Deno.readFile(file);
      const header = new DataView(good.buffer);
      const entries: number[] = [];
      for (let at = Number(header.getBigUint64(64)); entries.length < 3;) {
        entries.push(at);
        const names = header.getUint16(at + ID_LENGTH) +
          header.getUint16(at + NAME_LENGTH);
        const bytes = 40 + header.getUint32(at + EXTRA_LENGTH) + names;
        at = Math.ceil((at + bytes) / 8) * 8;
      }
      for (const [name, damage] of Object.entries(TABLES)) {
        const bytes = good.slice();
        damage(new DataView(bytes.buffer), entries);
        await Deno.writeFile(file, bytes);
        const status = await theirs(file);
        assertEquals(await ours(file, "none"), status, name);
        const before = await readings(file);
        for (const repair of ["leaks", "all"] as const) {
          await Deno.writeFile(file, bytes);
          const left = await ours(file, repair);
          // It is what it was, or better: no leak becomes a contradiction.
          assert(left === status || left === 0, `${name} ${repair}: ${left}`);
          if (left === 0) assertEquals(await theirs(file), 0, name);
          if (!LOST.includes(name)) {
            assertEquals(await readings(file), before, `${name} ${repair}`);
          } else assertEquals((await readings(file))[0], before[0], name);
        }
      }
    }),
);
