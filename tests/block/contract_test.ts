/** The block contract, on each format, and what files' locks promise. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { type BlockBackend, BlockError } from "../../core/backend/block.ts";
import {
  blockContract,
  type BlockSubject,
} from "../../core/backend/block_contract.ts";
import type { BlockPlugin } from "../../core/machine/plugin.ts";
import { FileStore } from "../../plugins/block/byte_store.ts";
import qcow2 from "../../plugins/block/qcow2.ts";
import image from "../../plugins/block/image.ts";
import { OverlayBlock } from "../../plugins/block/overlay.ts";
import type { StateRecord } from "../../core/state/state.ts";
import raw from "../../plugins/block/raw.ts";
import { RawBlock } from "../../plugins/block/raw_image.ts";
import { MemoryStore } from "./memory_store.ts";
import { newImage } from "./new_image.ts";
import { withFolder } from "./oracle.ts";

const SIZE = 1 << 20;
const CONTEXT = {
  name: "test",
  log: { guest() {}, warn() {} },
  quit() {},
};

function open(plugin: BlockPlugin, file: string, readOnly: boolean) {
  return Promise.resolve(
    plugin.create({ file, readOnly, snapshot: false }, CONTEXT),
  ) as Promise<BlockBackend>;
}

function subject(plugin: BlockPlugin, bytes: Uint8Array) {
  return async (): Promise<BlockSubject> => {
    const file = await Deno.makeTempFile();
    await Deno.writeFile(file, bytes);
    return {
      open: (readOnly) => open(plugin, file, readOnly),
      dispose: () => Deno.remove(file),
    };
  };
}

/** A raw image that keeps what it was whenever it is opened. */
async function keeping(): Promise<BlockSubject> {
  const file = await Deno.makeTempFile();
  await Deno.writeFile(file, new Uint8Array(SIZE));
  let first: StateRecord | undefined;
  return {
    async open(readOnly) {
      const disk = await open(raw, file, readOnly);
      if (readOnly) return disk;
      const { save } = disk.machineSnapshots!;
      const record = await save("a", () => Promise.resolve(), file);
      first ??= record;
      return disk;
    },
    async dispose() {
      if (first !== undefined) {
        const disk = await open(raw, file, false);
        await disk.machineSnapshots!.load(first);
        const bytes = await disk.read(0, SIZE);
        assert(bytes.every((byte) => byte === 0));
        await disk.close();
        await Deno.remove(`${file}.rhea-undo`);
      }
      await Deno.remove(file);
    },
  };
}

/**
 * An overlay, which is thrown away when the test is over and not when it closes
 * it: what the contract wants to see again is gone then.
 */
function overlay(memoryClusters: number) {
  return async (): Promise<BlockSubject> => {
    const base = new MemoryStore(new Uint8Array(SIZE));
    const kept = new OverlayBlock(new RawBlock(base, true), { memoryClusters });
    return await Promise.resolve({
      open: (readOnly) =>
        Promise.resolve({
          size: kept.size,
          readOnly,
          read: (offset, length) => kept.read(offset, length),
          write: (offset, bytes) =>
            readOnly ? refused() : kept.write(offset, bytes),
          discard: (offset, length) =>
            readOnly ? refused() : kept.discard(offset, length),
          writeZeroes: (offset, length) =>
            readOnly ? refused() : kept.writeZeroes(offset, length),
          flush: () => kept.flush(),
          close: () => Promise.resolve(),
        }),
      async dispose() {
        await kept.close();
        assert(base.bytes.every((byte) => byte === 0));
      },
    });
  };
}

function refused(): Promise<never> {
  return Promise.reject(new BlockError("read-only", "the test's own"));
}

const SUBJECTS: [string, () => Promise<BlockSubject>][] = [
  ["raw", subject(raw, new Uint8Array(SIZE))],
  ["raw with snapshots", keeping],
  ["image/raw", subject(image, new Uint8Array(SIZE))],
  ["image/qcow2", subject(image, newImage({ size: SIZE, clusterBits: 12 }))],
  ["overlay in memory", overlay(1024)],
  ["overlay in a file", overlay(3)],
  ["qcow2/512", subject(qcow2, newImage({ size: SIZE, clusterBits: 9 }))],
  ["qcow2/64k", subject(qcow2, newImage({ size: SIZE, clusterBits: 16 }))],
  [
    "qcow2/16k extended",
    subject(qcow2, newImage({ size: SIZE, clusterBits: 14, extendedL2: true })),
  ],
];
for (const [name, make] of SUBJECTS) {
  for (const test of blockContract(name, make)) Deno.test(test.name, test.run);
}

for (const plugin of [raw, qcow2, image]) {
  Deno.test(`${plugin.name}: a writer has the file alone`, () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      await Deno.writeFile(file, newImage({ size: SIZE, clusterBits: 12 }));
      const refused = async (readOnly: boolean, message: string) => {
        const error = await assertRejects(
          () => open(plugin, file, readOnly),
          BlockError,
          message,
        );
        assertEquals(error.kind, "io");
      };
      const writer = await open(plugin, file, false);
      await refused(false, "in use elsewhere");
      await refused(true, "open for writing elsewhere");
      await writer.close();
      const readers = [
        await open(plugin, file, true),
        await open(plugin, file, true),
      ];
      await refused(false, "a writer needs it alone");
      for (const reader of readers) await reader.close();
      await (await open(plugin, file, false)).close();
    }));

  Deno.test(`${plugin.name}: what the machine asks of the plugin`, async () => {
    assertEquals(plugin.parse!("disk.img"), { file: "disk.img" });
    const file = "/images/a";
    const needs = (readOnly: boolean, snapshot = false) =>
      plugin.permissions!({ file, readOnly, snapshot });
    // A raw image's log is beside it. What "image" is on is not there.
    const log = plugin === raw ? [`${file}.rhea-undo`] : [];
    const own = [file, ...log, ...log.map((path) => `${path}.part`)];
    assertEquals(await needs(false), { read: own, write: own });
    const only = { read: [file, ...log], write: [] };
    assertEquals(await needs(true), only);
    assertEquals(await needs(false, true), only);
    const url = "https://host/a";
    assertEquals(
      await plugin.permissions!({
        file: url,
        readOnly: false,
        snapshot: false,
      }),
      { net: ["host:443"] },
    );
    const check = (file: string) =>
      plugin.check!({ file, readOnly: true, snapshot: false });
    assertEquals(await check("/absent/a"), ['there is no file "/absent/a"']);
    assertEquals(await check("/"), ['"/" is not a regular file']);
    assertEquals(await check(import.meta.filename!), []);
  });
}

Deno.test("raw: a last sector that is there in part", () =>
  withFolder(async (folder) => {
    const file = `${folder}/a`;
    await Deno.writeFile(file, new Uint8Array(700).fill(1));
    const image = await open(raw, file, false);
    assertEquals(image.size, 1024);
    const bytes = await image.read(512, 512);
    assertEquals(bytes.lastIndexOf(1), 187);
    await image.write(1020, new Uint8Array(4).fill(2));
    await image.close();
    const written = await Deno.readFile(file);
    assertEquals([written.length, written[700], written[1023]], [1024, 0, 2]);
  }));

/** A place that no file of ext4 has. */
const BEYOND = 2 ** 52;
/** Whether a file has it here: tmpfs' and XFS' do. */
const hasBeyond: boolean = await (async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.truncate(path, BEYOND);
    return true;
  } catch {
    return false;
  } finally {
    await Deno.remove(path);
  }
})();
const noLimit = hasBeyond ? " (skipped: files have no limit here)" : "";

Deno.test("file store: far offsets, and requests at once", () =>
  withFolder(async (folder) => {
    const file = `${folder}/a`;
    await Deno.writeFile(file, new Uint8Array());
    const store = await FileStore.open(file, false);
    const far = 5 * 2 ** 30;
    const all = Array.from({ length: 300 }, (_, i) => (i * 7919) % 300);
    await Promise.all(
      all.map((i) => store.write(far + i * 64, new Uint8Array(64).fill(i))),
    );
    assertEquals(store.size, far + 300 * 64);
    await Promise.all(all.map(async (i) => {
      const bytes = new Uint8Array(64);
      await store.read(far + i * 64, bytes);
      assert(bytes.every((byte) => byte === (i & 0xff)));
    }));
    await store.truncate(10);
    const bytes = new Uint8Array(4).fill(9);
    await store.read(far, bytes);
    assertEquals([store.size, ...bytes], [10, 0, 0, 0, 0]);
    await store.close();
  }));

Deno.test("file store: the event loop turns while it writes", () =>
  withFolder(async (folder) => {
    const file = `${folder}/a`;
    await Deno.writeFile(file, new Uint8Array());
    const store = await FileStore.open(file, false);
    const bytes = new Uint8Array(32 << 20).fill(1);
    // A write on this thread lets it turn once or twice; a turn takes 3 us, so
    // that some of these see many, however busy the host is.
    let most = 0;
    for (let i = 0; i < 8 && most < 20; i++) {
      let done = false;
      const written = store.write(0, bytes).then(() => done = true);
      let turns = 0;
      for (; !done; turns++) await new Promise((go) => setImmediate(go));
      await written;
      most = Math.max(most, turns);
    }
    await store.close();
    assert(most >= 20, `${most} turns`);
  }));

Deno.test({
  name: `file store: a write that fails is alone in that${noLimit}`,
  ignore: hasBeyond,
  fn: () =>
    withFolder(async (folder) => {
      const file = `${folder}/a`;
      await Deno.writeFile(file, new Uint8Array(8));
      const store = await FileStore.open(file, false);
      const results = await Promise.allSettled([
        store.write(0, new Uint8Array(4).fill(1)),
        store.write(BEYOND, new Uint8Array(4)),
        store.write(2, new Uint8Array(4).fill(2)),
        store.sync(),
      ]);
      assertEquals(
        results.map(({ status }) => status),
        ["fulfilled", "rejected", "fulfilled", "fulfilled"],
      );
      const far = await assertRejects(
        () => store.write(BEYOND, new Uint8Array(1)),
        BlockError,
      );
      assertEquals(far.kind, "no-space");
      // Closing waits for what was asked before.
      const last = store.write(6, new Uint8Array(2).fill(3));
      await store.close();
      await last;
      assertEquals([...await Deno.readFile(file)], [1, 1, 2, 2, 2, 2, 3, 3]);
      const error = await assertRejects(
        () => store.write(0, new Uint8Array(1)),
        BlockError,
      );
      assertEquals(error.kind, "io");
      const reader = await FileStore.open(file, true);
      await assertRejects(() => reader.write(0, new Uint8Array(1)), BlockError);
      await reader.close();
    }),
});
