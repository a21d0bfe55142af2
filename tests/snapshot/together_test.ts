/**
 * A snapshot is loaded to several disks and the process ends at any of its
 * writes: whoever opens them next finds all loaded or none, in any order.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { type BlockBackend, BlockError } from "../../core/backend/block.ts";
import type { Parts } from "../../core/machine/parts.ts";
import {
  checkSavedDisks,
  completeDisks,
  disksOf,
  loadDisks,
  type SavedDisk,
  saveDisks,
} from "../../core/snapshot/disks.ts";
import { FileStore } from "../../plugins/block/byte_store.ts";
import qcow2 from "../../plugins/block/qcow2.ts";
import raw from "../../plugins/block/raw.ts";
import {
  checkImage,
  oracleTest,
  qemuImg,
  run,
  withFolder,
} from "../block/oracle.ts";

const SIZE = 1 << 20;
const KINDS = { raw, qcow2 };
type Kind = keyof typeof KINDS;
/** Where each disk is written to: in two clusters. */
const PLACES = [0, 300_000];

/** Disks in a folder. */
function fileOf(folder: string, kinds: readonly Kind[], index: number): string {
  return join(folder, `${index}.${kinds[index]}`);
}

async function opened(
  folder: string,
  kinds: readonly Kind[],
  order: readonly number[] = kinds.keys().toArray(),
): Promise<Parts> {
  const backends = new Map<string, BlockBackend>();
  for (const index of order) {
    const file = fileOf(folder, kinds, index);
    const config = { file, readOnly: false, snapshot: false };
    const plugin = KINDS[kinds[index]];
    backends.set(`${index}`, await plugin.create(config, {} as never));
  }
  return { backends } as unknown as Parts;
}

async function closed(parts: Parts): Promise<void> {
  for (const disk of disksOf(parts).values()) {
    // Of a process that has ended nothing is written any more.
    await disk.close().catch(() => {});
  }
}

async function fill(disk: BlockBackend, value: number): Promise<void> {
  for (const at of PLACES) {
    await disk.write(at, new Uint8Array(4096).fill(value));
  }
}

/** What a disk has, where that is the same everywhere. */
async function valueOf(disk: BlockBackend): Promise<number> {
  const values = new Set<number>();
  for (const at of PLACES) {
    for (const byte of await disk.read(at, 4096)) values.add(byte);
  }
  assertEquals(values.size, 1, `a disk is half loaded: ${[...values]}`);
  return [...values][0];
}

/** Disks that were 1 at a snapshot and are 2 now. */
async function prepared(
  folder: string,
  kinds: readonly Kind[],
): Promise<SavedDisk[]> {
  await Deno.mkdir(folder);
  for (const [i, kind] of kinds.entries()) {
    const file = fileOf(folder, kinds, i);
    if (kind === "raw") await Deno.writeFile(file, new Uint8Array(SIZE));
    else await qemuImg("create", "-f", "qcow2", file, `${SIZE}`);
  }
  const parts = await opened(folder, kinds);
  const disks = [...disksOf(parts).values()];
  for (const disk of disks) await fill(disk, 1);
  const saved = await saveDisks(
    parts,
    { name: "one", path: join(folder, "one.rhea") },
    () => Promise.resolve(),
  );
  await completeDisks(parts, saved);
  for (const disk of disks) await fill(disk, 2);
  await closed(parts);
  return saved;
}

/** After so many changes of files none is made any more; whether that was so. */
async function cutOff(
  changes: number,
  action: () => Promise<void>,
): Promise<boolean> {
  const { write, truncate } = FileStore.prototype;
  let left = changes, isCut = false;
  const counted = <A extends unknown[]>(
    method: (this: FileStore, ...args: A) => Promise<void>,
  ) =>
    function (this: FileStore, ...args: A): Promise<void> {
      if (left-- > 0) return method.apply(this, args);
      isCut = true;
      return Promise.reject(new BlockError("io", "the process has ended"));
    };
  FileStore.prototype.write = counted(write);
  FileStore.prototype.truncate = counted(truncate);
  try {
    await action();
  } finally {
    FileStore.prototype.write = write;
    FileStore.prototype.truncate = truncate;
  }
  return isCut;
}

const SETS: readonly (readonly Kind[])[] = [
  ["raw", "raw"],
  ["raw", "qcow2"],
  ["qcow2", "raw"],
  ["qcow2", "qcow2"],
  ["raw", "qcow2", "raw"],
];

for (const kinds of SETS) {
  oracleTest(
    `a load to ${kinds.join(", ")} that ends early: all or none`,
    () =>
      withFolder(async (folder) => {
        const saved = await prepared(join(folder, "as-saved"), kinds);
        const found = new Set<number>();
        const here = join(folder, "here");
        const orders = [[...kinds.keys()], [...kinds.keys()].reverse()];
        for (let changes = 0;; changes++) {
          // With the times of the files, by which changes are told.
          await run("cp", "-a", join(folder, "as-saved"), here);
          const parts = await opened(here, kinds);
          await checkSavedDisks(parts, saved);
          const isCut = await cutOff(changes, async () => {
            await loadDisks(parts, saved).catch(() => {});
            await closed(parts);
          });
          const say = `after ${changes} changes`;
          const order = orders[changes % 2];
          for (const alone of order) {
            // As another machine's, which has none of the others.
            if (changes % 3 === 0) {
              await closed(await opened(here, kinds, [alone]));
            }
          }
          const again = await opened(here, kinds, order);
          const values = new Set<number>();
          for (const disk of disksOf(again).values()) {
            values.add(await valueOf(disk));
          }
          assertEquals(values.size, 1, `${say}: ${[...values]}`);
          for (const value of values) found.add(value);
          for (const disk of disksOf(again).values()) await fill(disk, 3);
          await closed(again);
          // What was written since is not taken back, and nothing else is lost.
          const later = await opened(here, kinds);
          for (const disk of disksOf(later).values()) {
            assertEquals(await valueOf(disk), 3, say);
          }
          await checkSavedDisks(later, saved);
          await loadDisks(later, saved);
          for (const disk of disksOf(later).values()) {
            assertEquals(await valueOf(disk), 1, say);
          }
          await closed(later);
          for (const [i, kind] of kinds.entries()) {
            if (kind !== "qcow2") continue;
            const file = fileOf(here, kinds, i);
            const { out } = await checkImage(file);
            const errors = out.split("\n").filter((line) =>
              line.startsWith("ERROR") && !line.includes("OFLAG_COPIED")
            );
            assertEquals(errors, [], say);
            const list = await qemuImg("snapshot", "-l", file);
            assert(!list.includes("rhea-load"), `${say}: ${list}`);
          }
          await Deno.remove(here, { recursive: true });
          if (!isCut) break;
        }
        assertEquals([...found].sort(), [1, 2]);
      }),
  );
}

oracleTest(
  "without the disk that decides, the others say so",
  () =>
    withFolder(async (folder) => {
      for (const kinds of [["raw", "qcow2"], ["qcow2", "raw"]] as Kind[][]) {
        const here = join(folder, kinds[0]);
        const saved = await prepared(here, kinds);
        const parts = await opened(here, kinds);
        const [first, second] = saved.map(({ backend, record }) => ({
          record,
          together: disksOf(parts).get(backend)!
            .machineSnapshots!.together!,
        }));
        const id = crypto.randomUUID();
        const decider = first.together.place;
        await second.together.begin(second.record, { id, decider });
        await closed(parts);
        await Deno.rename(decider, `${decider}.moved`);
        await assertRejects(
          () => opened(here, kinds, [1]),
          BlockError,
          `cannot tell whether that was to be: `,
        );
        await Deno.rename(`${decider}.moved`, decider);
        const again = await opened(here, kinds);
        for (const disk of disksOf(again).values()) {
          assertEquals(await valueOf(disk), 2);
        }
        await closed(again);
      }
    }),
);
