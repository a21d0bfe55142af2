import { assert, assertEquals } from "@std/assert";
import type { Timer } from "./clock.ts";
import { ManualTime } from "./time_source.ts";
import { VirtualClock } from "./virtual_clock.ts";

Deno.test("timers fire in the order of deadlines, then of arming", () => {
  const time = new ManualTime();
  const clock = new VirtualClock(time, 0);
  const seen: string[] = [];
  const timer = (name: string): Timer =>
    clock.timer((deadline) => seen.push(`${name}${deadline}`));
  const [a, b, c, d] = ["a", "b", "c", "d"].map(timer);
  a.arm(30);
  b.arm(10);
  c.arm(10);
  d.arm(20);
  d.cancel();
  assertEquals(clock.nextDeadline(), 10);
  time.set(100);
  assertEquals(clock.runDue(), true);
  assertEquals(seen, ["b10", "c10", "a30"]);
  assertEquals(clock.nextDeadline(), Infinity);
  assertEquals(clock.runDue(), false);
  assertEquals(a.deadline, Infinity);
});

Deno.test("the latest deadline is that of the timer with the least slack left", () => {
  const clock = new VirtualClock(new ManualTime(), 0);
  assertEquals(clock.latestDeadline(), Infinity);
  const [a, b] = [clock.timer(() => {}), clock.timer(() => {})];
  a.arm(10, 100);
  b.arm(50);
  assertEquals(clock.nextDeadline(), 10);
  assertEquals(clock.latestDeadline(), 50);
  b.arm(200);
  assertEquals(clock.latestDeadline(), 110);
  // Slack belongs to one arming.
  a.arm(20);
  assertEquals(clock.latestDeadline(), 20);
});

Deno.test("a late periodic timer fires once a call", () => {
  const time = new ManualTime();
  const clock = new VirtualClock(time, 0);
  const seen: number[] = [];
  const timer = clock.timer((deadline) => {
    seen.push(deadline);
    timer.arm(deadline + 10);
  });
  timer.arm(10);
  time.set(35);
  clock.runDue();
  assertEquals(seen, [10]);
  assertEquals(clock.nextDeadline(), 20);
  clock.runDue();
  clock.runDue();
  clock.runDue();
  assertEquals(seen, [10, 20, 30]);
  assertEquals(clock.nextDeadline(), 40);
});

Deno.test("a callback may cancel and re-arm others", () => {
  const time = new ManualTime();
  const clock = new VirtualClock(time, 0);
  const seen: string[] = [];
  const b = clock.timer(() => seen.push("b"));
  const late = clock.timer(() => {
    seen.push("late");
    late.arm(1);
  });
  const a = clock.timer(() => {
    seen.push("a");
    b.cancel();
    late.cancel();
  });
  late.arm(1);
  a.arm(5);
  b.arm(6);
  time.set(10);
  clock.runDue();
  assertEquals(seen, ["late", "a"]);
  clock.runDue();
  assertEquals(seen, ["late", "a"]);
});

Deno.test("a timer that is behind and has fired may be cancelled or armed by a later one", () => {
  for (const deadline of [Infinity, 20]) {
    const time = new ManualTime();
    const clock = new VirtualClock(time, 0);
    const seen: number[] = [];
    const behind = clock.timer((at) => {
      seen.push(at);
      if (at === 1) behind.arm(2);
    });
    behind.arm(1);
    clock.timer(() => behind.arm(deadline)).arm(3);
    time.set(10);
    clock.runDue();
    assertEquals(clock.nextDeadline(), deadline);
    assertEquals(clock.firingOrder(), deadline === 20 ? [0] : []);
    time.set(30);
    clock.runDue();
    clock.runDue();
    assertEquals(seen, deadline === 20 ? [1, 20] : [1]);
    assertEquals(clock.nextDeadline(), Infinity);
  }
});

Deno.test("random arming and cancelling keeps the order", () => {
  const time = new ManualTime();
  const clock = new VirtualClock(time, 0);
  let seed = 1;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
  };
  let last = 0;
  let fired = 0;
  const timers = Array.from({ length: 50 }, () =>
    clock.timer((deadline) => {
      assert(deadline >= last);
      last = deadline;
      fired++;
    }));
  for (let round = 0; round < 2000; round++) {
    const timer = timers[random(50)];
    if (random(4) === 0) timer.cancel();
    else timer.arm(time.now() + 1 + random(1000));
    if (random(8) === 0) {
      time.set(Math.min(clock.nextDeadline(), time.now() + 500));
      clock.runDue();
      const earliest = Math.min(...timers.map((t) => t.deadline));
      assertEquals(clock.nextDeadline(), earliest);
    }
  }
  assert(fired > 100);
});

Deno.test("arming the earliest timer is told", () => {
  const clock = new VirtualClock(new ManualTime(), 0);
  const told: number[] = [];
  clock.onEarlier = (deadline) => told.push(deadline);
  const a = clock.timer(() => {});
  const b = clock.timer(() => {});
  a.arm(100);
  b.arm(200);
  b.arm(50);
  a.arm(60);
  assertEquals(told, [100, 50]);
});

Deno.test("timers that were armed anew in another order fire in that of before", () => {
  const fired = (arm: (timers: Timer[]) => void, order?: number[]) => {
    const time = new ManualTime();
    const clock = new VirtualClock(time, 0);
    const seen: number[] = [];
    const timers = [0, 1, 2, 3, 4].map((n) => clock.timer(() => seen.push(n)));
    arm(timers);
    if (order !== undefined) clock.reorder(order);
    const firing = clock.firingOrder();
    time.set(100);
    clock.runDue();
    assertEquals(seen, firing);
    return firing;
  };
  const before = fired((timers) => {
    for (const n of [3, 1, 4, 0]) timers[n].arm(n === 4 ? 10 : 50);
  });
  assertEquals(before, [4, 3, 1, 0]);
  const after = fired((timers) => {
    for (const n of [0, 1, 2, 3, 4]) timers[n].arm(n === 4 ? 10 : 50);
  }, before);
  // One that was not armed then comes behind them.
  assertEquals(after, [4, 3, 1, 0, 2]);
});

Deno.test("timers for viewers fire, and are no part of the order", () => {
  const time = new ManualTime();
  const clock = new VirtualClock(time, 0);
  const fired: string[] = [];
  clock.timer(() => fired.push("viewers"), "viewers").arm(10);
  clock.timer(() => fired.push("guest")).arm(20);
  assertEquals(clock.firingOrder(), [0]);
  assertEquals(clock.nextDeadline(), 10);
  time.set(20);
  clock.runDue();
  assertEquals(fired, ["viewers", "guest"]);
});
