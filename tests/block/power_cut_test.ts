/**
 * The order of writes to a qcow2 image: of those since the last sync any may
 * be lost, in any combination, and the image is consistent and has what was
 * flushed.
 */

import { assert } from "@std/assert";
import { BlockModel } from "../../core/backend/block_contract.ts";
import { Qcow2Block } from "../../plugins/block/qcow2_image.ts";
import {
  batches,
  BLOCK_BYTES,
  BLOCKS,
  firstWrongBlock,
  perform,
} from "./load.ts";
import { MemoryStore } from "./memory_store.ts";
import { type NewImage, newImage } from "./new_image.ts";
import { checkImage, contents, oracleTest, run, withFolder } from "./oracle.ts";

const BATCHES = 12;
const CUTS = 60;
const SIZE = BLOCKS * BLOCK_BYTES;

/** What happened to a store: a write, a sync, a flush that came back. */
type Event = { offset: number; bytes: Uint8Array } | "sync" | "flushed";

class RecordingStore extends MemoryStore {
  readonly events: Event[] = [];

  override write(offset: number, bytes: Uint8Array): Promise<void> {
    this.events.push({ offset, bytes: bytes.slice() });
    return super.write(offset, bytes);
  }

  override sync(): Promise<void> {
    this.events.push("sync");
    return super.sync();
  }
}

/** What the file is when the power fails after `cut` events. */
async function afterCut(
  image: Uint8Array,
  events: readonly Event[],
  cut: number,
  random: BlockModel,
): Promise<{ bytes: Uint8Array; flushed: number }> {
  const before = events.slice(0, cut);
  const synced = before.lastIndexOf("sync");
  const store = new MemoryStore(image);
  let flushed = 0;
  for (const [i, event] of before.entries()) {
    if (event === "flushed") flushed++;
    else if (event !== "sync" && (i < synced || random.below(2) === 0)) {
      await store.write(event.offset, event.bytes);
    }
  }
  return { bytes: store.bytes, flushed };
}

const KINDS: NewImage[] = [
  { size: SIZE, clusterBits: 9 },
  { size: SIZE, clusterBits: 9, refcountOrder: 6 },
  { size: SIZE, clusterBits: 12 },
  { size: SIZE, clusterBits: 14, extendedL2: true },
];
for (const [k, kind] of KINDS.entries()) {
  const name =
    `${2 ** kind.clusterBits}${kind.extendedL2 ? ", extended" : ""}` +
    (kind.refcountOrder === undefined ? "" : ", wide refcounts");
  oracleTest(
    `qcow2: power cuts, clusters of ${name}`,
    () =>
      withFolder(async (folder) => {
        const seed = 100 + k;
        const image = newImage(kind);
        const recording = new RecordingStore(image);
        const backend = await Qcow2Block.open(recording, { readOnly: false });
        let count = 0;
        for (const batch of batches(seed)) {
          if (count++ === BATCHES) break;
          await perform(backend, batch);
          await backend.flush();
          recording.events.push("flushed");
        }
        const random = new BlockModel(new Uint8Array(1), seed);
        const { events } = recording;
        const syncs = events.flatMap((event, i) => event === "sync" ? [i] : []);
        for (let i = 0; i < CUTS; i++) {
          // Just before a sync the most is at stake.
          const cut = random.below(2) === 0
            ? random.below(events.length + 1)
            : syncs[random.below(syncs.length)];
          const { bytes, flushed } = await afterCut(image, events, cut, random);
          const file = `${folder}/a.qcow2`;
          await Deno.writeFile(file, bytes);
          const { errors, out } = await checkImage(file);
          assert(!errors, `cut ${cut} of ${events.length}: ${out}`);
          const after = await Qcow2Block.open(new MemoryStore(bytes), {
            readOnly: true,
          });
          const wrong = firstWrongBlock(
            await after.read(0, SIZE),
            seed,
            flushed,
          );
          assert(wrong === undefined, `cut ${cut}: block ${wrong}`);
        }
      }),
  );
}

oracleTest(
  "qcow2: power cuts while snapshots are made, applied and deleted",
  () =>
    withFolder(async (folder) => {
      const seed = 200;
      const image = newImage({ size: SIZE, clusterBits: 9 });
      const recording = new RecordingStore(image);
      const backend = await Qcow2Block.open(recording, { readOnly: false });
      const all = (): Promise<Uint8Array> => backend.read(0, SIZE);
      // What the disk may read as, from each number of events on.
      const shown: { from: number; bytes: Uint8Array[] }[] = [];
      const change = async (action: () => Promise<unknown>): Promise<void> => {
        const before = await all();
        await backend.flush();
        const from = recording.events.length;
        await action();
        const after = await all();
        shown.push({ from, bytes: [before, after] });
        shown.push({ from: recording.events.length, bytes: [after] });
      };
      const work = batches(seed)[Symbol.iterator]();
      const write = async (): Promise<void> => {
        await perform(backend, work.next().value!);
        await backend.flush();
      };
      await write();
      let id = "";
      const make = async (): Promise<void> => {
        id = await backend.createSnapshot({ name: "a", date: 0 });
      };
      await change(make);
      const first = recording.events.length;
      await change(() => backend.applySnapshot(id));
      await change(make);
      await change(() => backend.deleteSnapshot("1"));
      const random = new BlockModel(new Uint8Array(1), seed);
      const { events } = recording;
      assert(first < events.length);
      const start = shown[0].from;
      for (let i = 0; i < CUTS; i++) {
        const cut = start + random.below(events.length + 1 - start);
        const { bytes } = await afterCut(image, events, cut, random);
        const may = shown.findLast(({ from }) => from <= cut)!.bytes;
        const isOne = (found: Uint8Array): boolean =>
          may.some((wanted) => wanted.every((byte, k) => byte === found[k]));
        const after = await Qcow2Block.open(new MemoryStore(bytes), {
          readOnly: true,
        });
        assert(isOne(await after.read(0, SIZE)), `cut ${cut}`);
        // Flags may not say what the counts do, as after a cut in QEMU: what is
        // counted too much is found, and nothing of the disk is lost by it.
        const file = `${folder}/a.qcow2`;
        await Deno.writeFile(file, bytes);
        await run("qemu-img", "check", "-q", "-r", "all", file);
        const { clean, out } = await checkImage(file);
        assert(clean, `cut ${cut} of ${events.length}: ${out}`);
        assert(isOne(await contents(file)), `cut ${cut}, repaired`);
      }
    }),
);
