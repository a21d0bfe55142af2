import { assert, assertEquals } from "@std/assert";
import { CHECK, INPUTS } from "./log.ts";
import { LogFile } from "./log_file.ts";
import { Recorder } from "./recorder.ts";

Deno.test("recorder: a slow run to which nothing comes is on the disk up to half a second ago", () => {
  const parts: Uint8Array[] = [];
  const now = performance.now;
  let [host, count] = [0, 0];
  performance.now = () => host;
  try {
    const recorder = new Recorder({
      append: (bytes) => parts.push(bytes),
      close: () => {},
    });
    recorder.attach({
      position: () => ({ count, time: 4 * count }),
      save: () => ({}),
      memory: new Uint8Array(),
      awaitsDisk: false,
      isCut: false,
      forgetMappings: () => {},
      skipTo: () => {},
      stop: () => {},
      wake: () => {},
    });
    recorder.begin({});
    for (let slice = 0; slice < 2_000; slice++) {
      recorder.take(slice < 50);
      // Whoever debugs lets the guest stand for long: that is one place.
      for (let stood = 0; stood < 3 && slice < 50; stood++) {
        host += 1_000;
        recorder.take(true);
      }
      host += 10;
      count += 10_000;
      if (slice < 50) continue;
      // What a process that ends now leaves behind.
      const entries = [
        ...new LogFile(Uint8Array.from(parts.flatMap((part) => [...part]))),
      ];
      const last = entries.at(-1)!;
      assert(count - last.count <= 500_000, `${last.count} of ${count}`);
      assertEquals(last.time, 4 * last.count);
      if (slice % 500 !== 0) continue;
      const places = entries.map(({ count, time }) => `${count} ${time}`);
      assertEquals(new Set(places).size, places.length);
      const types = new Set(entries.map(({ type }) => type));
      assertEquals(types.has(INPUTS), true);
      assertEquals(types.has(CHECK), count > 16_777_216);
    }
  } finally {
    performance.now = now;
  }
});
