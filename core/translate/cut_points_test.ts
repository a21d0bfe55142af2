import { assert, assertEquals } from "@std/assert";
import { CutPoints } from "./cut_points.ts";

Deno.test("cut points are known in the pages that were fetched as theirs", () => {
  const cuts = new CutPoints();
  const forgotten: number[] = [];
  const forget = (code: number): void => void forgotten.push(code);
  assert(cuts.isEmpty);
  // Of the upper half, in 64-bit mode.
  assertEquals(cuts.set([0x5123, -0xedd], forget), [0x5000, -0x1000]);
  assertEquals(forgotten, []);
  assert(cuts.isWanted(0x5123) && cuts.isWanted(-0xedd));
  assert(!cuts.isWanted(0x6123));
  assert(!cuts.has(0x9123));
  cuts.fetched(0x5fff, 9, forget);
  cuts.fetched(0x6000, 10, forget);
  cuts.fetched(-1, 11, forget);
  assertEquals(forgotten, [0x9123, 0xb123]);
  assert(cuts.has(0x9123) && cuts.has(0xb123) && !cuts.has(0xa123));
  // The same page again, and another one behind the same address.
  cuts.fetched(0x5000, 9, forget);
  cuts.fetched(0x5000, 12, forget);
  assertEquals(forgotten, [0x9123, 0xb123, 0xc123]);
  assert(cuts.isWithin(0x9120, 4) && !cuts.isWithin(0x9120, 3));
  assert(!cuts.isWithin(0x9123, 100));
});

Deno.test("what is taken away and put back is not forgotten anew", () => {
  const cuts = new CutPoints();
  const forgotten: number[] = [];
  const forget = (code: number): void => void forgotten.push(code);
  cuts.set([0x5123], forget);
  cuts.fetched(0x5000, 9, forget);
  assertEquals(cuts.set([0x5123, 0x5200], forget), []);
  assertEquals(forgotten, [0x9123, 0x9200]);
  assertEquals(cuts.set([0x5123], forget), []);
  assert(!cuts.has(0x9200));
  assertEquals(forgotten, [0x9123, 0x9200]);
  cuts.set([], forget);
  assert(cuts.isEmpty && !cuts.has(0x9123));
  assertEquals(cuts.set([0x5123], forget), [0x5000]);
});
