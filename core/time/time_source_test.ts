import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { HostTime, InstructionTime } from "./time_source.ts";

/** Let the host's time pass. */
function pass(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

Deno.test("host time stops and goes on", async () => {
  const time = new HostTime(() => 0);
  assertEquals(time.now(), 0);
  time.resume();
  await new Promise((resolve) => setTimeout(resolve, 10));
  time.pause();
  time.settle();
  const stopped = time.now();
  assert(stopped >= 9e6 && Number.isInteger(stopped));
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(time.now(), stopped);
  time.set(5e9);
  assert(Math.abs(time.now() - 5e9) < 10);
});

Deno.test("who looks while time is stopped does not move it on", () => {
  let count = 0;
  const time = new HostTime(() => count);
  time.resume();
  pass(2);
  const before = time.now();
  time.pause();
  // It is behind the host.
  assertEquals([time.now(), time.now()], [before, before]);
  count += 10;
  const later = time.now();
  assert(later > before, "a debugger's step took its time");
  assertEquals(time.now(), later);
  time.resume();
  assert(time.now() > later);
});

Deno.test("a gap of the host's is hidden from a guest that polls", () => {
  let count = 0;
  const time = new HostTime(() => count);
  time.resume();
  time.now();
  const end = performance.now() + 5;
  while (performance.now() < end);
  let last = time.now();
  assert(last < 100_000);
  let steps = 0;
  for (; last < 5e6; steps++) {
    count += 10;
    const now = time.now();
    assert(now >= last && now - last <= 1500);
    last = now;
  }
  assert(steps > 1000);
});

/** A guest that is `ms` behind and the time at which it looked last. */
function behind(ms: number) {
  const guest = { count: 0 };
  const time = new HostTime(() => guest.count);
  time.resume();
  const last = time.now();
  pass(ms);
  return { guest, time, last };
}

Deno.test("time does not pass the barrier", () => {
  const { guest, time, last } = behind(5);
  let barrier = last + 300_000;
  let reached = 0;
  time.barrier = () => barrier;
  time.onBarrier = () => reached++;
  guest.count += 10_000;
  assertEquals([time.now() < barrier, reached], [true, 0]);
  guest.count += 10_000;
  assertEquals([time.now(), reached], [barrier, 1]);
  guest.count += 1_000_000;
  assertEquals([time.now(), reached], [barrier, 2]);
  time.settle();
  assertEquals(time.now(), barrier);
  // What was held back is no gap for who looks next.
  barrier += 4e6;
  const next = time.now();
  assert(next - last <= 302_000, `it is ${next - last}`);
  // And nothing is lost.
  time.pause();
  barrier = Infinity;
  guest.count += 1_000_000;
  assert(time.now() >= 5e6);
});

Deno.test("a barrier in the past stops time and does not turn it back", () => {
  const { guest, time } = behind(1);
  guest.count += 100_000;
  const now = time.now();
  time.barrier = () => 5;
  guest.count += 100_000;
  assertEquals(time.now(), now);
  time.settle();
  assertEquals(time.now(), now);
});

Deno.test("the way to a deadline: by what is behind, or by the speed", () => {
  const { guest, time } = behind(5);
  guest.count += 50_000;
  const now = time.now();
  // 20 ns for each instruction while it catches up.
  assertEquals(time.instructionsUntil(now + 1e6, 0.5), 50_000);
  // No time passes between the two.
  time.pause();
  time.settle();
  const level = time.now();
  assertAlmostEquals(time.instructionsUntil(level + 1e6, 0.5), 5e5, 1);
});

Deno.test("who gets little of the host catches up in larger steps", () => {
  for (
    // Instructions a nanosecond, and nanoseconds an instruction.
    const [rate, expected] of [[1, 20], [0.1, 20], [0.03, 67], [1e-4, 200]]
  ) {
    const { guest, time } = behind(5);
    time.rate = rate;
    guest.count += 1000;
    const now = time.now();
    guest.count += 1000;
    assertEquals(time.now() - now, 1000 * expected + 1000);
  }
});

Deno.test("a jump is for a long stop only", () => {
  const { time, last } = behind(2);
  const { now: clock } = performance;
  const host = clock.call(performance);
  const barrier = last + 1e6;
  time.barrier = () => barrier;
  try {
    for (const [seconds, jumps] of [[4, false], [60, true]] as const) {
      performance.now = () => host + seconds * 1000;
      time.jump();
      assertEquals(time.now() > barrier, jumps);
    }
    assertAlmostEquals(time.now() / 1e9, 60, 1);
  } finally {
    performance.now = clock;
  }
});

Deno.test("instruction time counts, skips and never goes back", () => {
  let count = 0;
  const time = new InstructionTime(() => count, 4);
  count = 10;
  assertEquals(time.now(), 40);
  assertEquals(time.instructionsUntil(61), 6);
  assertEquals(time.instructionsUntil(0), 1);
  time.skipTo(100);
  time.skipTo(50);
  assertEquals(time.now(), 100);
  count = 11;
  assertEquals(time.now(), 104);
  time.set(7);
  assertEquals(time.now(), 7);
});
