import { assert, assertEquals, assertThrows } from "@std/assert";
import { Random } from "../../tests/random.ts";
import { History, type Moment } from "./history.ts";

const PAGES = 8;

function moment(count: number): Moment {
  const place = { next: 0, refused: [], sums: [] };
  return {
    count,
    time: count,
    record: {},
    counts: [count],
    place,
    disks: 0,
    media: { changes: 0, contents: new Map() },
  };
}

Deno.test("history: any state that is kept has its memory, when some were forgotten, too", () => {
  const memory = new Uint8Array(PAGES * 4096);
  const history = new History(memory);
  const copies = new Map<Moment, Uint8Array>();
  let seed = 1;
  const random = (limit: number): number =>
    (seed = Math.imul(seed, 1103515245) + 12345 >>> 0) % 65521 % limit;
  for (let i = 0; i < 300; i++) {
    for (let n = random(4); n > 0; n--) memory[random(memory.length)] ^= 0x55;
    const at = moment(i * 1000);
    history.add(at);
    copies.set(at, memory.slice());
  }
  assertEquals(history.moments.length, 200);
  assertEquals(history.last.count, 299_000);
  assertEquals(history.before(0)?.count, 0);
  assertEquals(history.before(299_500)?.count, 299_000);
  let kept = 0;
  for (const [at, copy] of copies) {
    if (history.before(at.count) !== at) {
      assertThrows(() => history.restore(at), RangeError);
      continue;
    }
    kept++;
    memory.fill(0xff);
    history.restore(at);
    assertEquals(memory, copy);
  }
  assertEquals(kept, 200);
  // The last ones are close to each other.
  assertEquals(history.before(298_999)?.count, 298_000);
});

Deno.test("history: states are added anywhere, and what differs is bounded", () => {
  const memory = new Uint8Array(PAGES * 4096);
  const words = new Uint32Array(memory.buffer);
  const history = new History(memory, { states: 12, bytes: 40 * 4096 });
  /** What the memory is at an instruction; pages come back to what they were. */
  const fill = (count: number): void => {
    memory.fill(0);
    for (let i = 0; i < PAGES; i++) words[i * 1024] = count >> i & 3;
  };
  fill(0);
  history.add(moment(0));
  const random = new Random(3);
  for (let i = 0; i < 500; i++) {
    const count = random.below(1000);
    const near = history.before(count)!;
    if (near.count === count) {
      memory.fill(0xff);
      history.restore(near);
      const restored = memory.slice();
      fill(count);
      assertEquals(restored, memory);
      continue;
    }
    fill(count);
    history.add(moment(count));
    assert(history.moments.some((at) => at.count === count));
    assertThrows(() => history.add(moment(count)), RangeError);
  }
  const counts = history.moments.map(({ count }) => count);
  assertEquals(counts, counts.toSorted((a, b) => a - b));
  assertEquals(counts[0], 0);
  for (const at of history.moments) {
    history.restore(at);
    const restored = memory.slice();
    fill(at.count);
    assertEquals(restored, memory, `${at.count}`);
  }
  while (history.forget());
  assert(history.moments.length <= 3);
});
