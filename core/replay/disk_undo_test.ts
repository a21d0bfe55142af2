import { assertEquals } from "@std/assert";
import type { BlockBackend } from "../backend/block.ts";
import { DiskUndo } from "./disk_undo.ts";

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

Deno.test("disks: what was written is undone, the last first", async () => {
  const bytes = Uint8Array.from({ length: 4096 }, (_, i) => i);
  const before = bytes.slice();
  const undo = new DiskUndo();
  const noted = undo.noting(disk(bytes));
  // While nobody may go back nothing is noted.
  await noted.write(0, before.subarray(0, 512));
  assertEquals([undo.mark, noted.size, noted.readOnly], [0, 4096, false]);
  undo.isOn = true;
  const all = [
    noted.write(512, new Uint8Array(1024).fill(1)),
    noted.write(1024, new Uint8Array(1024).fill(2)),
  ];
  await Promise.all(all);
  const mark = undo.mark;
  const between = bytes.slice();
  void noted.discard(0, 2048);
  void noted.writeZeroes(1024, 512);
  void noted.write(1024, new Uint8Array(512).fill(3));
  // What is under way is done first.
  await undo.undo(mark);
  assertEquals(bytes, between);
  assertEquals(await noted.read(512, 512), new Uint8Array(512).fill(1));
  await noted.flush();
  await undo.undo(0);
  assertEquals(bytes, before);
  await noted.close();
});
