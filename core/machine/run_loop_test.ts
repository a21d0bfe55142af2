import { assert, assertEquals, assertLess } from "@std/assert";
import { HostTime, InstructionTime } from "../time/time_source.ts";
import { MILLISECOND } from "../time/clock.ts";
import { VirtualClock } from "../time/virtual_clock.ts";
import type { CpuCore, CpuExit } from "./cpu.ts";
import { RunLoop } from "./run_loop.ts";

/** A CPU whose program is a function of its state. */
class FakeCpu implements CpuCore {
  instructions = 0;
  stops = 0;
  irq = false;
  readonly step: (cpu: FakeCpu, budget: number) => CpuExit;
  constructor(step: (cpu: FakeCpu, budget: number) => CpuExit) {
    this.step = step;
  }
  run(budget: number): CpuExit {
    return this.step(this, budget);
  }
  reset(): void {}
  enter(): void {}
  requestStop(): void {
    this.stops++;
  }
  setIrq(level: boolean): void {
    this.irq = level;
  }
  nmi(): void {}
  setInput(): void {}
  invalidate(): void {}
  flushMapping(): void {}
  save(): Record<string, never> {
    return {};
  }
  load(): void {}
  stats(): Record<string, number> {
    return {};
  }
  describe(): string {
    return "fake";
  }
}

/** Some work that takes time, about a nanosecond an instruction. */
function spin(cpu: FakeCpu, budget: number): CpuExit {
  const end = performance.now() + budget / 1e6;
  while (performance.now() < end);
  cpu.instructions += budget;
  return "budget";
}

function hostLoop(cpu: FakeCpu): { loop: RunLoop; clock: VirtualClock } {
  const time = new HostTime(() => cpu.instructions);
  const clock = new VirtualClock(time, 0);
  const loop = new RunLoop({ cpu, clock, time, between: () => false });
  return { loop, clock };
}

Deno.test("a busy guest sees every tick of a 1000 Hz timer", async () => {
  const cpu = new FakeCpu(spin);
  const { loop, clock } = hostLoop(cpu);
  let ticks = 0;
  const timer = clock.timer((deadline) => {
    timer.arm(deadline + MILLISECOND);
    if (++ticks === 200) loop.stop();
  });
  timer.arm(MILLISECOND);
  assertEquals(await loop.run(), "stop");
  assertEquals(ticks, 200);
  assertLess(Math.abs(clock.now() / MILLISECOND - 200), 20);
});

Deno.test("an idle guest sleeps, with a 100 Hz timer too", async () => {
  const cpu = new FakeCpu((cpu) => {
    cpu.instructions += 100;
    return "halted";
  });
  const { loop, clock } = hostLoop(cpu);
  let ticks = 0;
  const timer = clock.timer((deadline) => {
    timer.arm(deadline + 10 * MILLISECOND);
    if (++ticks === 30) loop.stop();
  });
  timer.arm(10 * MILLISECOND);
  const start = performance.now();
  await loop.run();
  const wall = performance.now() - start;
  assertLess(Math.abs(wall - 300), 80);
  assertLess(wall - loop.sleptMs, 30);
});

Deno.test("a host event wakes an idle guest", async () => {
  const cpu = new FakeCpu((cpu) => cpu.irq ? "budget" : "halted");
  const { loop } = hostLoop(cpu);
  const run = loop.run();
  const start = performance.now();
  setTimeout(() => {
    cpu.irq = true;
    loop.wake();
    setTimeout(() => loop.stop(), 5);
  }, 20);
  assertEquals(await run, "stop");
  assertLess(performance.now() - start, 500);
});

Deno.test("the event loop is served while the guest is busy", async () => {
  const cpu = new FakeCpu(spin);
  const { loop } = hostLoop(cpu);
  let beats = 0;
  const beat = setInterval(() => beats++, 5);
  setTimeout(() => loop.stop(), 100);
  await loop.run();
  clearInterval(beat);
  assert(beats >= 3, `${beats} beats in 100 ms`);
});

Deno.test("a timer armed within a slice ends the slice", async () => {
  const cpu: FakeCpu = new FakeCpu((_cpu, budget) => {
    cpu.instructions += Math.min(budget, 100);
    if (cpu.stops === 0) timer.arm(clock.now() + 1);
    return "budget";
  });
  const { loop, clock } = hostLoop(cpu);
  const timer = clock.timer(() => loop.stop());
  await loop.run();
  assert(cpu.stops >= 1);
});

Deno.test("with icount timers fire at exact instructions", async () => {
  const run = async (): Promise<number[]> => {
    const cpu: FakeCpu = new FakeCpu((cpu, budget) => {
      // Halts every 70 000 instructions.
      const left = 70_000 - cpu.instructions % 70_000;
      const done = Math.min(left, budget);
      cpu.instructions += done;
      return done === left ? "halted" : "budget";
    });
    const time = new InstructionTime(() => cpu.instructions, 4);
    const clock = new VirtualClock(time, 0);
    const loop = new RunLoop({ cpu, clock, time, between: () => false });
    const seen: number[] = [];
    const timer = clock.timer((deadline) => {
      seen.push(cpu.instructions, clock.now());
      timer.arm(deadline + 333_333);
      if (seen.length >= 100) loop.stop();
    });
    timer.arm(333_333);
    await loop.run();
    return seen;
  };
  const first = await run();
  assertEquals(first, await run());
  assertLess(first[1], 333_333 + 4);
});

Deno.test("a dead CPU ends the loop unless a reset was requested", async () => {
  const cpu = new FakeCpu(() => "dead");
  const time = new HostTime(() => cpu.instructions);
  const clock = new VirtualClock(time, 0);
  let resets = 0;
  const loop = new RunLoop({
    cpu,
    clock,
    time,
    between: () => {
      // Requested by the first run; carried out after it.
      return cpu.instructions++ === 1 && ++resets === 1;
    },
  });
  assertEquals(await loop.run(), "dead");
  assertEquals(resets, 1);
});
