import { assert, assertEquals, assertRejects } from "@std/assert";
import type { BlockBackend } from "../backend/block.ts";
import { Random } from "../../tests/random.ts";
import { CLUSTER_BYTES } from "./cluster_store.ts";
import { DiskUndo } from "./disk_undo.ts";
import { ReplayError } from "./error.ts";

/** A disk in memory. */
function disk(bytes: Uint8Array): BlockBackend {
  const done = Promise.resolve();
  const clear = (offset: number, length: number): Promise<void> => {
    bytes.fill(0, offset, offset + length);
    return done;
  };
  return {
    size: bytes.length,
    readOnly: false,
    read: (offset, length) =>
      Promise.resolve(bytes.slice(offset, offset + length)),
    write: (offset, data) => {
      bytes.set(data, offset);
      return done;
    },
    discard: clear,
    writeZeroes: clear,
    flush: () => done,
    close: () => done,
  };
}

/** Clusters of the tests' disks. */
const CLUSTERS = 6;
/** Less than whole clusters. */
const BYTES = CLUSTERS * CLUSTER_BYTES - 512;

Deno.test("disks: what was written is undone", async () => {
  const bytes = Uint8Array.from({ length: BYTES }, (_, i) => i);
  const before = bytes.slice();
  const undo = new DiskUndo();
  const noted = undo.noting(disk(bytes));
  // While nobody may go back nothing is noted.
  await noted.write(0, before.subarray(0, 512));
  assertEquals([noted.size, noted.readOnly], [BYTES, false]);
  const first = undo.keep();
  const all = [
    noted.write(512, new Uint8Array(1024).fill(1)),
    noted.write(1024, new Uint8Array(CLUSTER_BYTES).fill(2)),
    noted.write(BYTES - 512, new Uint8Array(512).fill(2)),
  ];
  await Promise.all(all);
  const second = undo.keep();
  const between = bytes.slice();
  void noted.discard(0, BYTES);
  void noted.writeZeroes(1024, 512);
  void noted.write(1024, new Uint8Array(512).fill(3));
  // What is under way is done first.
  await undo.undo(second);
  assertEquals(bytes, between);
  assertEquals(await noted.read(512, 512), new Uint8Array(512).fill(1));
  await noted.flush();
  // And as often as one likes.
  await noted.write(BYTES - 1024, new Uint8Array(1024).fill(4));
  assert(undo.reaches(second));
  await undo.undo(first);
  assertEquals(bytes, before);
  assert(undo.reaches(first) && !undo.reaches(second));
  await assertRejects(() => undo.undo(second), RangeError);
  undo.close();
  await noted.close();
});

Deno.test("disks: to undo takes no more than what differs", async () => {
  const bytes = new Uint8Array(BYTES);
  bytes.fill(1, CLUSTER_BYTES);
  const before = bytes.slice();
  // One cluster is in memory, the others are in a file.
  const undo = new DiskUndo({
    memoryClusters: 1,
    mostBytes: 2 * CLUSTERS * CLUSTER_BYTES,
  });
  const noted = undo.noting(disk(bytes));
  const marks = [undo.keep()];
  const states = [before];
  const random = new Random(5);
  for (let state = 1; state < 40; state++) {
    for (let i = 0; i < 200; i++) {
      const at = random.below(BYTES - 512);
      await noted.write(at, new Uint8Array(512).fill(state));
      if (i < 10) await noted.discard(at, 1);
    }
    marks.push(undo.keep());
    states.push(bytes.slice());
    while (undo.isFull) {
      marks.splice(1, 1);
      states.splice(1, 1);
      undo.retain(new Set(marks));
    }
  }
  // (Zeroes take nothing: of the first state there are five.)
  assertEquals(marks.length, 3);
  while (marks.length > 0) {
    await undo.undo(marks.pop()!);
    assertEquals(bytes, states.pop());
    await noted.write(0, new Uint8Array(BYTES).fill(9));
  }
  undo.close();
});

Deno.test("disks: a discarded range that reads as before is not kept", async () => {
  const bytes = new Uint8Array(BYTES).fill(7);
  const plain = disk(bytes);
  const undo = new DiskUndo({ memoryClusters: 1, mostBytes: 0 });
  const noted = undo.noting({ ...plain, discard: () => Promise.resolve() });
  undo.keep();
  await noted.discard(0, BYTES);
  assertEquals(undo.isFull, false);
  await noted.write(0, new Uint8Array(512));
  assertEquals(undo.isFull, true);
  undo.close();
});

Deno.test("disks: where there is no room for what is overwritten it is said", async () => {
  const undo = new DiskUndo({
    memoryClusters: 0,
    makeFile: () => {
      throw new Deno.errors.NotCapable("Requires write access to <TMP>");
    },
  });
  const noted = undo.noting(disk(new Uint8Array(BYTES).fill(7)));
  undo.keep();
  await assertRejects(
    () => noted.write(0, new Uint8Array(512)),
    ReplayError,
    "Cannot keep in a temporary file what the guest overwrites on its disks, " +
      "to go back: Requires write access to <TMP>",
  );
});
