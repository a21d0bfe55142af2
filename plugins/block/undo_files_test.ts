import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { fromFileUrl } from "@std/path";
import { BlockError } from "../../core/backend/block.ts";
import type { StateRecord } from "../../core/state/state.ts";
import { FileStore } from "./byte_store.ts";
import { RAW_FORMAT } from "./raw_format.ts";
import { openRaw } from "./undo_files.ts";
import { UndoLog } from "./undo_log.ts";

const SIZE = 256 << 10;
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

/** A raw image of ones, its snapshot, and twos written to it since. */
async function withImage(
  test: (image: string, log: string, record: StateRecord) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "rhea-undo-" });
  try {
    const image = `${folder}/disk.img`;
    await Deno.writeFile(image, new Uint8Array(SIZE).fill(1));
    const disk = await open(image);
    const { save, complete } = disk.machineSnapshots!;
    const record = await save("a", () => Promise.resolve(), image);
    await complete!(record);
    await disk.write(0, new Uint8Array(SIZE).fill(2));
    await disk.close();
    await test(image, `${image}.rhea-undo`, record);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function open(image: string, readOnly = false) {
  const store = await FileStore.open(image, readOnly);
  return await openRaw(image, store, readOnly);
}

Deno.test("undo log: nobody reads an image that is half loaded", () =>
  withImage(async (image, path) => {
    const store = await FileStore.open(path, false);
    const log = await UndoLog.open(store);
    const [{ id }] = log.snapshots;
    await log.setImage({ loading: id });
    await log.close();
    for (
      const read of [
        () => open(image, true),
        () => RAW_FORMAT.open(image, { readOnly: true, lock: false }),
      ]
    ) {
      const error = await assertRejects(
        read,
        BlockError,
        "Rhea was ended while it loaded a snapshot",
      );
      assertEquals(error.kind, "unsupported");
    }
    // Who writes ends it first, or says why not.
    const bytes = await Deno.readFile(path);
    bytes[4096 + 70_000] ^= 1;
    await Deno.writeFile(path, bytes);
    await assertRejects(
      () => open(image),
      BlockError,
      "Rhea was ended while it loaded a snapshot, and cannot complete that: " +
        `"${path}" is damaged`,
    );
    bytes[4096 + 70_000] ^= 1;
    await Deno.writeFile(path, bytes);
    const disk = await open(image);
    assertEquals((await disk.read(0, 512))[0], 1);
    await disk.close();
    const reader = await open(image, true);
    assertEquals((await reader.read(SIZE - 512, 512))[0], 1);
    await reader.close();
    const all = await Deno.readFile(image);
    assert(all.every((byte) => byte === 1));
  }));

Deno.test("undo log: a last sector that is there in part", () =>
  withImage(async (image) => {
    await Deno.remove(`${image}.rhea-undo`);
    await Deno.truncate(image, 700);
    const save = async () => {
      const disk = await open(image);
      const record = await disk.machineSnapshots!.save(
        "a",
        () => Promise.resolve(),
        image,
      );
      await disk.write(512, new Uint8Array(512).fill(3));
      await disk.close();
      return record;
    };
    const records = [await save(), await save()];
    const disk = await open(image);
    for (const [i, record] of records.entries()) {
      assertEquals(await disk.machineSnapshots!.check(record), undefined);
      await disk.machineSnapshots!.load(record);
      const bytes = await disk.read(512, 512);
      assertEquals([bytes[0], bytes[200]], i === 0 ? [2, 0] : [3, 3]);
    }
    await disk.close();
  }));

Deno.test("undo log: an image keeps its size while it has snapshots", () =>
  withImage(async (image, _path, record) => {
    const resize = () => RAW_FORMAT.resize(image, 2 * SIZE, "off");
    await assertRejects(resize, BlockError, "machines have snapshots with it");
    const disk = await open(image);
    await disk.machineSnapshots!.remove(record);
    await disk.close();
    await resize();
    assertEquals((await Deno.stat(image)).size, 2 * SIZE);
  }));

Deno.test("undo log: an image is the same by whichever name", () =>
  withImage(async (image, path, record) => {
    const link = `${image}.link`;
    await Deno.symlink(image, link);
    const part = `${path}.part`;
    await Deno.writeFile(part, new Uint8Array(5));
    const disk = await open(link);
    assertEquals(await disk.machineSnapshots!.check(record), undefined);
    await disk.machineSnapshots!.load(record);
    assertEquals((await disk.read(0, 512))[0], 1);
    await disk.close();
    // What was left of one that was written anew is no more.
    await assertRejects(() => Deno.stat(part), Deno.errors.NotFound);
  }));

Deno.test("undo log: without the permission to read it, the disk is one", () =>
  withImage(async (image, path, record) => {
    const script = `
      import { FileStore } from "${import.meta.resolve("./byte_store.ts")}";
      import { openRaw } from "${import.meta.resolve("./undo_files.ts")}";
      const image = Deno.args[0];
      const disk = await openRaw(image, await FileStore.open(image, false), false);
      await disk.write(0, new Uint8Array(512).fill(7));
      const { save, check } = disk.machineSnapshots;
      const problem = await save("b", () => {}, image).catch((e) => e.message);
      await disk.close();
      console.log(problem);
    `;
    const main = `${image}.ts`;
    await Deno.writeTextFile(main, script);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", "--no-check", "--config", CONFIG],
        `--allow-read=${image}`,
        ...[`--allow-write=${image}`, main, image],
      ],
    }).output();
    const text = new TextDecoder();
    assertEquals(code, 0, text.decode(stderr));
    assertEquals(
      text.decode(stdout).trim(),
      `"${path}" is there, or may not be looked for`,
    );
    // It has written without a copy: that is noticed.
    const disk = await open(image);
    assertEquals((await disk.read(0, 512))[0], 7);
    const problem = await disk.machineSnapshots!.check(record);
    assert(problem?.startsWith("has been changed"), problem);
    await disk.close();
  }));

Deno.test("a file is looked at when its next write gets another time", async () => {
  const path = await Deno.makeTempFile();
  try {
    const file = await FileStore.open(path, false);
    const sector = new Uint8Array(512);
    for (let i = 0; i < 20; i++) {
      await file.write(0, sector);
      const time = await file.lastWritten();
      Deno.writeFileSync(path, sector);
      assertNotEquals(await file.lastWritten(), time);
    }
    await file.close();
  } finally {
    await Deno.remove(path);
  }
});
