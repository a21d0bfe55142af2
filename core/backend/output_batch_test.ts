import { assertEquals } from "@std/assert";
import { OutputBatch } from "./output_batch.ts";

/** A sink that holds what it is given until it is let go. */
class Sink {
  readonly sizes: number[] = [];
  #held = Promise.withResolvers<void>();

  readonly write = (bytes: Uint8Array): Promise<void> => {
    this.sizes.push(bytes.length);
    return this.#held.promise;
  };

  async release(): Promise<void> {
    const held = this.#held;
    this.#held = Promise.withResolvers();
    held.resolve();
    for (let i = 0; i < 3; i++) await Promise.resolve();
  }
}

/** Push so many bytes; gives back how many were taken. */
function push(batch: OutputBatch, count: number): number {
  let taken = 0;
  for (let i = 0; i < count; i++) if (batch.push(i)) taken++;
  return taken;
}

Deno.test("output batch: a turn's bytes go out together, at most 4096", async () => {
  const sink = new Sink();
  const batch = new OutputBatch((bytes) => void sink.sizes.push(bytes.length));
  push(batch, 10);
  assertEquals(sink.sizes, []);
  await Promise.resolve();
  push(batch, 5000);
  await Promise.resolve();
  assertEquals(sink.sizes, [10, 4096, 904]);
});

Deno.test("output batch: behind a host that does not take it, it is full and then loses", async () => {
  const sink = new Sink();
  let drains = 0;
  const batch = new OutputBatch(sink.write, () => drains++);
  push(batch, 1);
  await Promise.resolve();
  assertEquals(push(batch, 65535), 65535);
  assertEquals(batch.full, false);
  assertEquals([push(batch, 1), batch.full], [1, true]);
  // Who goes on all the same has a megabyte.
  assertEquals(push(batch, 2 ** 21), 2 ** 20 - 65536);
  await sink.release();
  assertEquals(sink.sizes, [1, 2 ** 20]);
  assertEquals([batch.full, drains], [false, 1]);
});
