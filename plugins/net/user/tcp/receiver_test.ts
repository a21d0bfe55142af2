import { assertEquals } from "@std/assert";
import { FIN, TcpSegment } from "../pdu/tcp.ts";
import { RING_MAX, RING_MIN, RingBudget } from "./byte_ring.ts";
import { Receiver } from "./receiver.ts";

/** A segment whose bytes are their places in the stream. */
function segment(
  sequence: number,
  from: number,
  length: number,
  flags = 0,
): TcpSegment {
  return Object.assign(new TcpSegment(), {
    bytes: Uint8Array.from({ length }, (_, i) => from + i),
    length,
    sequence: sequence + from | 0,
    flags,
  });
}

/** A receiver that has given its first window to a stream from `sequence` on. */
function begun(sequence: number, budget = new RingBudget(RING_MAX)): Receiver {
  const receiver = new Receiver(budget);
  receiver.begin(sequence - 1 | 0);
  receiver.windowField(false);
  return receiver;
}

/** All that it has, and that it is the stream from its start on. */
function taken({ ring }: Receiver): number {
  const bytes = new Uint8Array(ring.length);
  ring.get(0, bytes.length, bytes, 0);
  assertEquals(bytes.every((byte, i) => byte === (i & 255)), true);
  return bytes.length;
}

for (const start of [0, 0x7fff_f000, 0xffff_f000]) {
  Deno.test(`segments in any order, doubled and overlapping, from ${start} on`, () => {
    const receiver = begun(start);
    const take = (from: number, length: number, flags = 0) =>
      receiver.take(segment(start, from, length, flags));
    assertEquals(take(0, 1000), true);
    assertEquals(take(9000, 1000, FIN), false);
    assertEquals(take(3000, 3000), false);
    assertEquals(take(500, 1500), true);
    assertEquals(take(0, 2000), false);
    assertEquals([taken(receiver), receiver.finReceived], [2000, false]);
    assertEquals(take(1900, 1200), true);
    assertEquals(taken(receiver), 6000);
    assertEquals(take(5000, 4500), true);
    assertEquals([taken(receiver), receiver.finReceived], [10_000, true]);
    assertEquals(receiver.expected, start + 10_001 | 0);
    assertEquals(take(0, 10_000, FIN), false);
  });
}

Deno.test("what is beyond the window that was given is not taken", () => {
  const receiver = begun(100);
  const window = receiver.edge - receiver.expected;
  assertEquals(window, RING_MAX);
  assertEquals(
    receiver.take(segment(100, 0, window + 5, FIN)),
    true,
  );
  assertEquals([taken(receiver), receiver.finReceived], [window, false]);
  assertEquals(receiver.windowField(false), 0);
  // What had no room comes again, and then the end.
  receiver.ring.drop(1000);
  assertEquals(receiver.windowField(false), 1000 >> 5);
  assertEquals(receiver.take(segment(100, window, 5)), true);
  assertEquals(receiver.finReceived, false);
  assertEquals(receiver.take(segment(100, window + 5, 0, FIN)), true);
  assertEquals(receiver.finReceived, true);
});

Deno.test("windows of who does not scale fit their field", () => {
  const receiver = new Receiver(new RingBudget(RING_MAX));
  receiver.shift = 0;
  receiver.begin(-1);
  assertEquals(receiver.windowField(true), 0xffff);
  assertEquals(receiver.edge, 0xffff);
  receiver.take(segment(0, 0, 10));
  // What is free never takes back what was given.
  assertEquals(receiver.windowField(false), 0xffff);
  assertEquals(receiver.edge, 10 + 0xffff);
});

Deno.test("memory that others have taken since: as much as there is room for", () => {
  const budget = new RingBudget(RING_MAX);
  const receiver = begun(0, budget);
  budget.left = 0;
  assertEquals(receiver.take(segment(0, 0, 64_000, FIN)), true);
  assertEquals([taken(receiver), receiver.finReceived], [RING_MIN, false]);
  assertEquals(receiver.take(segment(0, RING_MIN, 1000)), false);
  receiver.ring.drop(RING_MIN);
  assertEquals(receiver.take(segment(0, 0, 64_000, FIN)), true);
  assertEquals([receiver.ring.length, receiver.finReceived], [RING_MIN, false]);
});
