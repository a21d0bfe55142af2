import { assertEquals, assertThrows } from "@std/assert";
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
  assertEquals(history.length, 200);
  assertEquals(history.last?.count, 299_000);
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
