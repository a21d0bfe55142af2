import { assert, assertEquals, assertRejects } from "@std/assert";
import { BlockError } from "../../core/backend/block.ts";
import { FileStore } from "./byte_store.ts";
import { OverlayBlock } from "./overlay.ts";
import { RawBlock } from "./raw_image.ts";

const CLUSTER = 64 << 10;

/** A raw image in a temporary file, each byte of it `fill`. */
async function withImage(
  size: number,
  fill: number,
  test: (path: string) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, new Uint8Array(size).fill(fill));
    await test(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("overlay: the image keeps what it has, several share it", () =>
  withImage(3 * CLUSTER + 512, 7, async (path) => {
    const open = async () =>
      new OverlayBlock(new RawBlock(await FileStore.open(path, true), true));
    const [one, two] = [await open(), await open()];
    await one.write(CLUSTER - 1, new Uint8Array([1, 2]));
    await two.write(3 * CLUSTER, new Uint8Array(512).fill(9));
    assertEquals([...await one.read(CLUSTER - 2, 4)], [7, 1, 2, 7]);
    assertEquals([...await two.read(CLUSTER - 2, 4)], [7, 7, 7, 7]);
    assertEquals((await two.read(3 * CLUSTER + 511, 1))[0], 9);
    const all = await one.read(0, one.size);
    assertEquals(all.filter((byte) => byte !== 7), new Uint8Array([1, 2]));
    await one.close();
    await two.close();
    assert((await Deno.readFile(path)).every((byte) => byte === 7));
  }));

Deno.test("overlay: beyond its memory it is in a file that has no name", () =>
  withImage(8 * CLUSTER, 0, async (path) => {
    let spilled: FileStore | undefined;
    const store = await FileStore.open(path, true);
    const image = new OverlayBlock(new RawBlock(store, true), {
      memoryClusters: 2,
      async spill() {
        const file = await Deno.makeTempFile();
        spilled = await FileStore.open(file, false);
        await Deno.remove(file);
        return spilled;
      },
    });
    for (let i = 0; i < 8; i++) {
      assertEquals(spilled?.size, i < 3 ? undefined : (i - 2) * CLUSTER);
      await image.write(i * CLUSTER + i, new Uint8Array(9).fill(i + 1));
    }
    for (let i = 0; i < 8; i++) {
      const bytes = await image.read(i * CLUSTER, CLUSTER);
      assertEquals(bytes.indexOf(i + 1), i);
      assertEquals(bytes.lastIndexOf(i + 1), i + 8);
    }
    await image.close();
  }));

Deno.test("overlay: without room for more, the write fails", () =>
  withImage(4 * CLUSTER, 3, async (path) => {
    const store = await FileStore.open(path, true);
    const image = new OverlayBlock(new RawBlock(store, true), {
      memoryClusters: 1,
      spill: () => Promise.reject(new BlockError("no-space", "none here")),
    });
    await image.write(0, new Uint8Array(512));
    await assertRejects(
      () => image.write(CLUSTER, new Uint8Array(512)),
      BlockError,
      "none here",
    );
    assertEquals((await image.read(CLUSTER, 1))[0], 3);
    assertEquals((await image.read(0, 1))[0], 0);
    await image.close();
  }));
