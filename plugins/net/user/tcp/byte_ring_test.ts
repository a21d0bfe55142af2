import { assertEquals } from "@std/assert";
import { ByteRing, RING_MAX, RING_MIN, RingBudget } from "./byte_ring.ts";
import { Gaps } from "./gaps.ts";
import { RoundTrip } from "./round_trip.ts";

Deno.test("a ring gives back what was put, around its end and when it grows", () => {
  const ring = new ByteRing(new RingBudget(RING_MAX));
  let put = 0;
  let got = 0;
  for (let round = 0; round < 600; round++) {
    const room = ring.space();
    const length = Math.min(room.length, 1 + round * 37 % 3000);
    for (let i = 0; i < length; i++) room[i] = put++ % 251;
    ring.extend(length);
    const head = ring.head();
    const taken = Math.min(head.length, 1 + round * 91 % 2500);
    for (let i = 0; i < taken; i++) {
      if (head[i] !== got++ % 251) throw new Error(`byte ${got - 1}`);
    }
    ring.drop(taken);
  }
  assertEquals(ring.length, put - got);
  const rest = new Uint8Array(ring.length);
  ring.get(0, rest.length, rest, 0);
  assertEquals([...rest], Array.from(rest, (_, i) => (got + i) % 251));
});

Deno.test("what lies beyond a ring's end is kept when it grows", () => {
  const ring = new ByteRing(new RingBudget(RING_MAX));
  ring.reserve(RING_MIN);
  // The start is not at the memory's.
  ring.extend(RING_MIN - 10);
  ring.drop(RING_MIN - 10);
  ring.put(100, new Uint8Array([1, 2, 3]), 0, 3);
  ring.put(8, new Uint8Array([7, 8, 9]), 0, 3);
  ring.reserve(4 * RING_MIN);
  ring.extend(200);
  const bytes = new Uint8Array(103);
  ring.get(0, 103, bytes, 0);
  assertEquals([...bytes.subarray(8, 11)], [7, 8, 9]);
  assertEquals([...bytes.subarray(100)], [1, 2, 3]);
});

Deno.test("rings share their budget, and have a little without it", () => {
  const budget = new RingBudget(RING_MIN);
  const [a, b] = [new ByteRing(budget), new ByteRing(budget)];
  assertEquals(a.reserve(2 * RING_MIN), true);
  assertEquals([b.reserve(RING_MIN), b.reserve(RING_MIN + 1)], [true, false]);
  assertEquals(a.reserve(RING_MAX + 1), false);
  a.release();
  assertEquals(budget.left, RING_MIN);
  assertEquals(b.reserve(RING_MIN + 1), true);
});

Deno.test("ranges join, and go when all before them has come", () => {
  const gaps = new Gaps();
  gaps.add(30, 40);
  gaps.add(10, 20);
  gaps.add(50, 60);
  assertEquals(gaps.advance(5), 5);
  gaps.add(20, 30);
  assertEquals(gaps.advance(10), 40);
  gaps.add(45, 55);
  assertEquals(gaps.advance(45), 60);
  assertEquals(gaps.empty, true);
});

Deno.test("ranges cross the end of the numbers, and are not many", () => {
  const gaps = new Gaps();
  const last = 0x7fffffff;
  gaps.add(last - 5, last + 6 | 0);
  assertEquals(gaps.advance(last - 5), last + 6 | 0);
  let kept = 0;
  while (gaps.add(kept * 10, kept * 10 + 5)) kept++;
  assertEquals(kept, 64);
  assertEquals(gaps.add(2, 7), true);
});

Deno.test("the timeout follows what is measured, and doubles", () => {
  const roundTrip = new RoundTrip();
  assertEquals(roundTrip.timeout, 1000);
  roundTrip.sample(100);
  assertEquals(roundTrip.timeout, 300);
  roundTrip.back();
  roundTrip.back();
  assertEquals(roundTrip.timeout, 1200);
  for (let i = 0; i < 100; i++) roundTrip.back();
  assertEquals(roundTrip.timeout, 60_000);
  for (let i = 0; i < 100; i++) roundTrip.sample(1);
  assertEquals(roundTrip.timeout, 200);
});
