import { assertEquals } from "@std/assert";
import { WriteWatches } from "./write_watches.ts";

Deno.test("write watches: armed once, by pages", () => {
  const watches = new WriteWatches();
  const told: string[] = [];
  watches.arm(0x2000, 0x1800, () => told.push("a"));
  watches.arm(0x8000, 1, () => told.push("b"));
  watches.arm(0x8000, 1, () => told.push("c"));
  assertEquals([1, 2, 3, 4, 8].map((page) => watches.has(page)), [
    ...[false, true, true, false, true],
  ]);
  for (const { changed } of watches.take(0, 1)) changed();
  assertEquals(told, []);
  for (const { changed } of watches.take(3, 8)) changed();
  assertEquals([told, watches.isEmpty], [["a", "c"], true]);
});
