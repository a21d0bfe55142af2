/** `rhea image` with raw images beside which snapshots of machines have an undo log. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { RAW_FORMAT } from "../../plugins/block/raw_format.ts";
import { CLUSTER_BYTES } from "../../plugins/block/undo_log.ts";
import { image, rhea } from "./rhea_image.ts";

const CLUSTERS = 20;
const SIZE = CLUSTERS * CLUSTER_BYTES;

/** An image that was written to since a snapshot, of which clusters 3 to 6 are in its log. */
async function withImage(
  test: (paths: { file: string; log: string; folder: string }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const file = `${folder}/a.img`;
  try {
    await Deno.writeFile(file, new Uint8Array(SIZE).map((_, i) => i >> 8 | 1));
    const disk = await RAW_FORMAT.open(file, { readOnly: false });
    const snapshots = disk.machineSnapshots!;
    const saved = `${folder}/booted.rhea`;
    await Deno.writeTextFile(saved, "");
    const record = await snapshots.save("booted", async () => {}, saved);
    await snapshots.complete!(record);
    await disk.write(3 * CLUSTER_BYTES, new Uint8Array(4 * CLUSTER_BYTES));
    await disk.close();
    await test({ file, log: `${file}.rhea-undo`, folder });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("image info tells of an undo log and its snapshots, image check reads all of it", () =>
  withImage(async ({ file, log, folder }) => {
    const text = await rhea("info", file);
    assert(text.includes(`undo log: ${log} (260 KiB)`), text);
    assertMatch(text, /Snapshots of machines with this image:\n {4}booted: \d/);
    assert(text.includes(`, ${folder}/booted.rhea\n`), text);
    const json = JSON.parse(await rhea("info", "--output=json", file));
    const { size, snapshots, problem } = json["undo-log"];
    assertEquals(size, (await Deno.stat(log)).size);
    assertEquals([snapshots[0].name, snapshots[0].complete], ["booted", true]);
    assertEquals(problem, undefined);
    const clean = await rhea("check", file);
    assert(clean.includes("No errors were found"), clean);

    // A byte of a cluster's copy is another one.
    const bytes = await Deno.readFile(log);
    const copy = bytes.length - CLUSTER_BYTES / 2;
    bytes[copy] ^= 1;
    await Deno.writeFile(log, bytes);
    const damaged = await image("check", file);
    assertEquals(damaged.status, 2);
    assert(damaged.out.includes("has another cluster 6 of the disk"));
    // Its head is.
    bytes[20] ^= 1;
    await Deno.writeFile(log, bytes);
    assertEquals((await image("check", file)).status, 2);
    assert((await rhea("info", file)).includes("is damaged"));
    await Deno.remove(log);
    assertEquals((await image("check", file)).status, 63);
    assert(!(await rhea("info", file)).includes("undo"));
  }));

Deno.test("image info and check say that something else has changed an image with snapshots", () =>
  withImage(async ({ file }) => {
    const bytes = await Deno.readFile(file);
    await Deno.writeFile(file, bytes);
    assert((await rhea("info", file)).includes("they cannot be loaded"));
    const { status, out } = await image("check", file);
    assertEquals(status, 2);
    assert(out.includes("changed by something else than Rhea"), out);
  }));

Deno.test("an image with an undo log is neither resized nor replaced, and what is written into it is undone by its snapshot", () =>
  withImage(async ({ file, log, folder }) => {
    const other = `${folder}/other.img`;
    await Deno.writeFile(other, new Uint8Array(SIZE).fill(7));
    const before = await Deno.readFile(file);
    for (
      const args of [
        ["resize", file, "+1M"],
        ["resize", "--shrink", file, "64K"],
        ["create", file, "1M"],
        ["convert", other, file],
        ["convert", "-O", "qcow2", other, file],
      ]
    ) {
      const { status, messages } = await image(...args);
      assertEquals(status, 1, args.join(" "));
      const [message] = messages;
      assert(message.includes("machines have snapshots with it"), message);
      assert(message.includes(log), message);
      assertEquals(await Deno.readFile(file), before);
    }
    const large = `${folder}/large.qcow2`;
    await rhea(
      ...["create", "-f", "qcow2", "-b", file, "-F", "raw", large],
      `${2 * SIZE}`,
    );
    const { status, messages } = await image("commit", large);
    assertEquals(status, 1);
    assert(messages[0].includes("Cannot resize"), messages[0]);
    assertEquals(await Deno.readFile(file), before);
    // Into it, and through what lies on it.
    await rhea("convert", "-n", other, file);
    assertEquals(await Deno.readFile(file), await Deno.readFile(other));
    const top = `${folder}/top.qcow2`;
    await rhea("create", "-f", "qcow2", "-b", file, "-F", "raw", top);
    await rhea("commit", top);
    await rhea("check", file);
    // Read, it is what it is now.
    const copy = `${folder}/copy.img`;
    await rhea("convert", file, copy);
    assertEquals(await Deno.readFile(copy), await Deno.readFile(other));
    const json = JSON.parse(await rhea("info", "--output=json", file));
    assertEquals(json["undo-log"].problem, undefined);
    // All of what it was is in the log.
    assert(json["undo-log"].size > SIZE);
  }));
