/**
 * qcow2 against QEMU: images of every kind, made by `qemu-img`, written by
 * Rhea beside a model, read back by both.
 */

import { assert, assertEquals } from "@std/assert";
import { BlockModel } from "../../core/backend/block_contract.ts";
import { openQcow2 } from "../../plugins/block/qcow2_chain.ts";
import {
  checkImage,
  contents,
  oracleTest,
  qemuImg,
  qemuIo,
  withFolder,
} from "./oracle.ts";

const STEPS = 60;

interface Kind {
  readonly name: string;
  /** Options of `qemu-img create`. */
  readonly options: string;
  /** Bytes of the disk, and the most of one request. */
  readonly size: number;
  readonly max: number;
}

const SMALL = { size: 700 << 10, max: 40_000 };
const LARGE = { size: 9 << 20, max: 3 << 20 };

const KINDS: Kind[] = [
  ...["512", "4k", "64k", "2M"].flatMap((cluster) =>
    ["0.10", "1.1"].map((compat) => ({
      name: `clusters of ${cluster}, compat ${compat}`,
      options: `cluster_size=${cluster},compat=${compat}`,
      ...cluster === "2M" ? LARGE : SMALL,
    }))
  ),
  ...[1, 2, 4, 8, 16, 32, 64].map((bits) => ({
    name: `refcounts of ${bits} bits`,
    options: `refcount_bits=${bits},cluster_size=512`,
    ...SMALL,
  })),
  {
    name: "extended L2 entries, clusters of 64k",
    options: "extended_l2=on,cluster_size=64k",
    size: 1 << 20,
    max: 100_000,
  },
  {
    name: "extended L2 entries, clusters of 16k",
    options: "extended_l2=on,cluster_size=16k",
    ...SMALL,
  },
  { name: "lazy refcounts", options: "lazy_refcounts=on", ...SMALL },
  {
    name: "preallocated metadata",
    options: "preallocation=metadata,cluster_size=4k",
    ...SMALL,
  },
  {
    name: "preallocated metadata and extended L2 entries",
    options: "preallocation=metadata,cluster_size=16k,extended_l2=on",
    ...SMALL,
  },
];

/** Write to an image and compare: Rhea now, QEMU, and Rhea again. */
async function exercise(
  image: string,
  before: Uint8Array,
  max: number,
  seed: number,
): Promise<void> {
  const model = new BlockModel(before, seed);
  const backend = await openQcow2(image, false);
  assertEquals(backend.size, before.length);
  model.compare(await backend.read(0, backend.size), 0);
  for (let i = 0; i < STEPS; i++) await model.step(backend, max);
  model.compare(await backend.read(0, backend.size), 0);
  await backend.close();
  const { clean, out } = await checkImage(image);
  assert(clean, out);
  model.compare(await contents(image), 0);
  const again = await openQcow2(image, true);
  model.compare(await again.read(0, again.size), 0);
  await again.close();
}

/** Some random content for an image, as a raw file. */
async function randomRaw(path: string, size: number, seed: number) {
  const model = new BlockModel(new Uint8Array(size), seed);
  for (let i = 0; i < 12; i++) {
    const { offset, length } = model.range(size / 6);
    model.bytes.set(model.random(length), offset);
  }
  await Deno.writeFile(path, model.bytes);
  return model.bytes;
}

for (const [i, { name, options, size, max }] of KINDS.entries()) {
  oracleTest(`qcow2: ${name}`, () =>
    withFolder(async (folder) => {
      const image = `${folder}/a.qcow2`;
      await qemuImg("create", "-f", "qcow2", "-o", options, image, `${size}`);
      await exercise(image, new Uint8Array(size), max, i + 1);
    }));
}

const COMPRESSED = [
  ["zlib", "cluster_size=64k"],
  ["zlib", "cluster_size=512"],
  ["zlib", "cluster_size=2M"],
  ["zlib", "cluster_size=64k,compat=0.10"],
  ["zlib", "cluster_size=16k,extended_l2=on"],
  ["zstd", "cluster_size=64k"],
  ["zstd", "cluster_size=4k"],
  ["zstd", "cluster_size=2M"],
];
for (const [i, [type, options]] of COMPRESSED.entries()) {
  oracleTest(
    `qcow2: compressed with ${type}, ${options}`,
    () =>
      withFolder(async (folder) => {
        const image = `${folder}/a.qcow2`;
        const size = options.includes("2M") ? 5 << 20 : 700 << 10;
        const bytes = await randomRaw(`${folder}/a.raw`, size, i + 1);
        const all = type === "zstd"
          ? `${options},compression_type=zstd`
          : options;
        await qemuImg(
          ...["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", all],
          `${folder}/a.raw`,
          image,
        );
        await exercise(image, bytes, 40_000, i + 1);
      }),
  );
}

const CHAINS = [
  "cluster_size=64k",
  "cluster_size=512",
  "cluster_size=64k,compat=0.10",
  "cluster_size=16k,extended_l2=on",
  "cluster_size=2M",
];
for (const [i, options] of CHAINS.entries()) {
  oracleTest(
    `qcow2: a chain on raw, ${options}`,
    () =>
      withFolder(async (folder) => {
        // The lowest image is the shortest, and not whole clusters.
        const size = 700 << 10;
        const low = await randomRaw(`${folder}/low.raw`, 500_736, i + 50);
        const middle = `${folder}/middle.qcow2`;
        const top = `${folder}/top.qcow2`;
        const create = (path: string, base: string, format: string) =>
          qemuImg(
            ...[
              "create",
              "-f",
              "qcow2",
              "-o",
              options,
              "-b",
              base,
              "-F",
              format,
            ],
            path,
            `${size}`,
          );
        await create(middle, "low.raw", "raw");
        const model = new Uint8Array(size);
        model.set(low);
        await exercise(middle, model, 40_000, i + 1);
        await create(top, "middle.qcow2", "qcow2");
        const kept = await Deno.readFile(middle);
        await exercise(top, await contents(middle), 40_000, i + 9);
        assertEquals(await Deno.readFile(middle), kept);
        assertEquals((await Deno.stat(`${folder}/low.raw`)).size, low.length);
      }),
  );
}

for (const options of ["cluster_size=4k", "cluster_size=16k,extended_l2=on"]) {
  oracleTest(
    `qcow2: written by qemu-io, ${options}`,
    () =>
      withFolder(async (folder) => {
        const image = `${folder}/a.qcow2`;
        await qemuImg("create", "-f", "qcow2", "-o", options, image, "1M");
        await qemuIo(
          image,
          "write -P 0x11 1000 60000",
          "write -P 0x22 300k 100k",
          "write -z 320k 16k",
          "write -zu 20k 8k",
          "discard 340k 8k",
          "write -c -P 0x33 512k 32k",
        );
        await exercise(image, await contents(image), 30_000, 3);
      }),
  );

  oracleTest(
    `qcow2: snapshots keep what they have, ${options}`,
    () =>
      withFolder(async (folder) => {
        const image = `${folder}/a.qcow2`;
        await qemuImg("create", "-f", "qcow2", "-o", options, image, "1M");
        await qemuIo(image, "write -P 0x11 0 300k", "write -c -P 2 512k 16k");
        const first = await contents(image);
        await qemuImg("snapshot", "-c", "first", image);
        await exercise(image, first.slice(), 30_000, 1);
        const second = await contents(image);
        await qemuImg("snapshot", "-c", "zwei", image);
        await exercise(image, second.slice(), 30_000, 2);
        const backend = await openQcow2(image, true);
        assertEquals(
          backend.snapshots.map(({ id, name }) => [id, name]),
          [["1", "first"], ["2", "zwei"]],
        );
        await backend.close();
        await qemuImg("snapshot", "-a", "first", image);
        new BlockModel(first, 1).compare(await contents(image), 0);
        await exercise(image, first.slice(), 30_000, 3);
        await qemuImg("snapshot", "-a", "zwei", image);
        new BlockModel(second, 1).compare(await contents(image), 0);
      }),
  );
}

oracleTest(
  "qcow2: refcounts left behind are repaired",
  () =>
    withFolder(async (folder) => {
      const image = `${folder}/a.qcow2`;
      const options = "lazy_refcounts=on,cluster_size=4k";
      await qemuImg("create", "-f", "qcow2", "-o", options, image, "1M");
      // qemu-io that aborts is killed by a signal.
      await qemuIo(image, "write -P 5 0 500k", "flush", "abort").catch(
        () => {},
      );
      assert((await checkImage(image)).out.includes("ERROR"));
      const expected = new Uint8Array(1 << 20);
      expected.fill(5, 0, 500 << 10);
      await exercise(image, expected, 30_000, 4);
    }),
);

oracleTest(
  "qcow2: a refcount table that must grow",
  () =>
    withFolder(async (folder) => {
      const image = `${folder}/a.qcow2`;
      const options = "cluster_size=512,refcount_bits=64";
      await qemuImg("create", "-f", "qcow2", "-o", options, image, "12M");
      const backend = await openQcow2(image, false);
      const model = new BlockModel(new Uint8Array(12 << 20), 1);
      for (let at = 0; at < 12 << 20; at += 1 << 20) {
        const bytes = model.random(1 << 20);
        await backend.write(at, bytes);
        model.bytes.set(bytes, at);
      }
      await backend.close();
      const { clean, out } = await checkImage(image);
      assert(clean, out);
      model.compare(await contents(image), 0);
    }),
);
