import { assert, assertEquals, assertLess } from "@std/assert";
import type { BlockBackend } from "../backend/block.ts";
import { Recorder } from "../replay/recorder.ts";
import { HostTime, InstructionTime } from "../time/time_source.ts";
import { MILLISECOND } from "../time/clock.ts";
import { VirtualClock } from "../time/virtual_clock.ts";
import { BlockRequests } from "./block_requests.ts";
import type { CpuExit } from "./cpu.ts";
import { RunLoop, type RunLoopParts } from "./run_loop.ts";
import { InertCpu } from "../../tests/inert_cpu.ts";
import { within } from "../../tests/limit.ts";

/** A CPU whose program is a function of its state. */
class FakeCpu extends InertCpu {
  stops = 0;
  irq = false;
  quiet = false;
  readonly step: (cpu: FakeCpu, budget: number) => CpuExit;
  constructor(step: (cpu: FakeCpu, budget: number) => CpuExit) {
    super();
    this.step = step;
  }
  run(budget: number): CpuExit {
    return this.step(this, budget);
  }
  override requestStop(): void {
    this.stops++;
  }
  override setIrq(level: boolean): void {
    this.irq = level;
  }
}

/** Some work that takes time, about a nanosecond an instruction. */
function spin(cpu: FakeCpu, budget: number): CpuExit {
  const end = performance.now() + budget / 1e6;
  while (performance.now() < end);
  cpu.instructions += budget;
  return "budget";
}

/** A tick's callback may read the clock a few times: 1 us each. */
const LATE_NS = 5000;

function hostLoop(
  cpu: FakeCpu,
  parts: Partial<RunLoopParts> = {},
): { loop: RunLoop; clock: VirtualClock } {
  const time = parts.time ?? new HostTime(() => cpu.instructions);
  const clock = new VirtualClock(time, 0);
  const loop = new RunLoop({
    cpu,
    clock,
    time,
    between: () => false,
    blocks: new BlockRequests(),
    ...parts,
  });
  return { loop, clock };
}

/** Time by instructions, and a recorder of what comes. */
function recorded(cpu: FakeCpu): Pick<RunLoopParts, "time" | "inputs"> {
  const time = new InstructionTime(() => cpu.instructions, 4);
  const inputs = new Recorder({ append: () => {}, close: () => {} });
  inputs.attach({
    position: () => ({ count: cpu.instructions, time: time.now() }),
    save: () => ({}),
    memory: new Uint8Array(),
    awaitsDisk: false,
    isCut: false,
    forgetMappings: () => {},
    skipTo: (to) => time.skipTo(to),
    stop: () => {},
    wake: () => {},
  });
  inputs.begin({});
  return { time, inputs };
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

Deno.test("the speed of a guest with many ticks is learnt", async () => {
  // Each slice is too short to be measured alone.
  const cpu = new FakeCpu(spin);
  const { loop, clock } = hostLoop(cpu);
  let ticks = 0;
  const timer = clock.timer((deadline) => {
    timer.arm(deadline + MILLISECOND / 4);
    if (++ticks === 400) loop.stop();
  });
  timer.arm(MILLISECOND / 4);
  assertEquals(await loop.run(), "stop");
  assertLess(loop.slices, 400 * 5);
});

Deno.test("a guest that looks never sees a time after a tick that it lacks", async () => {
  const PERIOD = 400_000;
  let ticks = 0;
  let worst = 0;
  // The loop takes it for slow, and then it is ten times as fast; and now and
  // then the host stops it.
  const cpu: FakeCpu = new FakeCpu((cpu, budget) => {
    const speed = ticks % 100 < 50 ? 1 : 10;
    if (ticks % 40 === 0) spin(cpu, 5_000_000);
    for (let done = 0; done < budget * 10; done += 1000) {
      const end = performance.now() + 0.01 / speed;
      while (performance.now() < end);
      cpu.instructions += 1000;
      worst = Math.max(worst, clock.now() - (ticks + 1) * PERIOD);
    }
    return "budget";
  });
  const { loop, clock } = hostLoop(cpu);
  const timer = clock.timer((deadline) => {
    assertLess(clock.now() - deadline, LATE_NS);
    timer.arm(deadline + PERIOD);
    if (++ticks === 500) loop.stop();
  });
  timer.arm(PERIOD);
  await loop.run();
  assertEquals(worst, 0);
  assert(cpu.stops > 0, "looking ends a slice that is too long");
});

Deno.test("ticks slept through come each at its own time", async () => {
  const cpu = new FakeCpu((cpu) => {
    cpu.instructions += 100;
    return "halted";
  });
  const { loop, clock } = hostLoop(cpu);
  let ticks = 0;
  let wakeUps = 0;
  let last = performance.now();
  const timer = clock.timer((deadline) => {
    assertLess(clock.now() - deadline, LATE_NS);
    timer.arm(deadline + 4 * MILLISECOND);
    const now = performance.now();
    if (now - last > 10) wakeUps++;
    last = now;
    if (++ticks === 250) loop.stop();
  });
  timer.arm(4 * MILLISECOND);
  await loop.run();
  // One in 40 ms, once it has been quiet for 100.
  assertLess(wakeUps, 60);
});

Deno.test("ticks slept through are fewer where a timer has slack", async () => {
  // Programs its next tick at each one, 4 ms from when it sees it.
  const cpu = new FakeCpu((cpu) => {
    cpu.instructions += 100;
    return "halted";
  });
  const { loop, clock } = hostLoop(cpu);
  const SLACK = 16 * MILLISECOND;
  let ticks = 0;
  let worst = 0;
  const timer = clock.timer((deadline) => {
    worst = Math.max(worst, clock.now() - deadline);
    timer.arm(clock.now() + 4 * MILLISECOND, SLACK);
    ticks++;
    if (clock.now() > 1000 * MILLISECOND) loop.stop();
  });
  timer.arm(4 * MILLISECOND, SLACK);
  await loop.run();
  // 250 without slack; 25 in the first 100 ms, then one in 20 ms.
  assertLess(ticks, 120);
  assertLess(worst, SLACK + LATE_NS);
});

Deno.test("the CPU is told when the guest is quiet, and when it works again", async () => {
  const seen: boolean[] = [];
  let work = false;
  const cpu: FakeCpu = new FakeCpu((cpu, budget) => {
    if (seen.at(-1) !== cpu.quiet) seen.push(cpu.quiet);
    if (work) return spin(cpu, budget);
    cpu.instructions += 100;
    return "halted";
  });
  const { loop, clock } = hostLoop(cpu);
  let ticks = 0;
  const timer = clock.timer((deadline) => {
    timer.arm(deadline + 4 * MILLISECOND);
    work = ++ticks > 100;
    if (ticks === 200) loop.stop();
  });
  timer.arm(4 * MILLISECOND);
  await loop.run();
  assertEquals(seen, [false, true, false]);
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
  // A busy host may make it late, but not early.
  assert(wall > 290, `${wall} ms`);
  assert(loop.sleptMs > wall / 2, `it slept for ${loop.sleptMs} of ${wall} ms`);
});

Deno.test("a host event wakes an idle guest", async () => {
  let seen = false;
  const cpu = new FakeCpu((cpu) => {
    if (!cpu.irq) return "halted";
    seen = true;
    loop.stop();
    return "stop";
  });
  const { loop } = hostLoop(cpu);
  const run = loop.run();
  // Without it the loop sleeps on, until it is ended from outside.
  const limit = setTimeout(() => loop.stop(), 60_000);
  setTimeout(() => {
    cpu.irq = true;
    loop.wake();
  }, 20);
  assertEquals(await run, "stop");
  clearTimeout(limit);
  assert(seen, "it slept");
});

Deno.test("the event loop is served while the guest is busy", async () => {
  // The loop's own clock shows what the guest takes, and nothing of what the
  // host does meanwhile: a busy host would make slices longer or shorter.
  const clockOfHost = performance.now;
  let now = clockOfHost.call(performance);
  const asleep = new Int32Array(new SharedArrayBuffer(4));
  const cpu = new FakeCpu((cpu, budget) => {
    if (loop.slices === 60) loop.stop();
    now += budget / 1e6;
    // Long enough for a timer of the event loop to be due.
    Atomics.wait(asleep, 0, 0, 4);
    cpu.instructions += budget;
    return "budget";
  });
  performance.now = () => now;
  const { loop } = hostLoop(cpu);
  let [turns, isOver, last, longest] = [0, false, now, 0];
  const next = (): void => {
    turns++;
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setTimeout(next);
  };
  setTimeout(next);
  try {
    assertEquals(await loop.run(), "stop");
  } finally {
    isOver = true;
    performance.now = clockOfHost;
  }
  assert(turns >= 20, `${turns} turns in 60 slices`);
  // Two slices of 2 ms, where the first was a little short of its time.
  assertLess(longest, 4);
  await new Promise((resolve) => setTimeout(resolve, 5));
});

Deno.test("what comes by a socket is heard soon by a busy guest", async () => {
  // As above, the loop's own clock: slices are as long as they should be.
  const clockOfHost = performance.now;
  let now = clockOfHost.call(performance);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const [ours, theirs] = await Promise.all([
    listener.accept(),
    Deno.connect({ hostname: "127.0.0.1", port }),
  ]);
  const waits: number[] = [];
  const hear = async (): Promise<void> => {
    const byte = new Uint8Array(1);
    while (await ours.read(byte) !== null) {
      waits.push(loop.slices - sent);
      sent = -1;
    }
  };
  let sent = -1;
  const cpu = new FakeCpu((cpu, budget) => {
    now += budget / 1e6;
    cpu.instructions += budget;
    if (waits.length === 20) loop.stop();
    if (sent < 0) {
      sent = loop.slices;
      theirs.write(new Uint8Array(1));
    }
    return "budget";
  });
  performance.now = () => now;
  const { loop } = hostLoop(cpu);
  loop.hasSockets = true;
  try {
    const heard = hear();
    assertEquals(await loop.run(), "stop");
    theirs.close();
    await heard;
  } finally {
    performance.now = clockOfHost;
    ours.close();
  }
  // 20 ms are 10 slices; Deno looks by itself at every 61st.
  assertLess(Math.max(...waits.slice(1)), 30, `${waits}`);
});

Deno.test("the event loop is served while the guest is slow", async () => {
  // All memory-mapped I/O, say: 2 us an instruction.
  const perInstruction = 0.002;
  const budgets: number[] = [];
  const cpu = new FakeCpu((cpu, budget) => {
    budgets.push(budget);
    const end = performance.now() + budget * perInstruction;
    while (performance.now() < end);
    cpu.instructions += budget;
    if (budgets.length === 40) loop.stop();
    return "budget";
  });
  const { loop } = hostLoop(cpu);
  assertEquals(await loop.run(), "stop");
  // The first slices find out; a busy host makes later ones shorter, not longer.
  assertLess(Math.max(...budgets.slice(20)) * perInstruction, 20);
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
    const loop = new RunLoop({
      cpu,
      clock,
      time,
      between: () => false,
      blocks: new BlockRequests(),
    });
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
    blocks: new BlockRequests(),
    between: () => {
      // Requested by the first run; carried out after it.
      return cpu.instructions++ === 1 && ++resets === 1;
    },
  });
  assertEquals(await loop.run(), "dead");
  assertEquals(resets, 1);
});

/** A disk of a host that takes so many milliseconds for an answer. */
function slowDisk(milliseconds: number): BlockBackend {
  const answer = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
  };
  return {
    size: 512,
    readOnly: false,
    read: (_offset, length) => answer().then(() => new Uint8Array(length)),
    write: answer,
    discard: answer,
    writeZeroes: answer,
    flush: answer,
    close: answer,
  };
}

Deno.test("icount: a disk's answers come at the same instructions, however slow the host is", async () => {
  const run = async (
    milliseconds: number,
    idle: boolean,
  ): Promise<number[]> => {
    const seen: number[] = [];
    const cpu: FakeCpu = new FakeCpu((cpu, budget) => {
      // The guest asks in the middle of its first slice.
      const asks = cpu.instructions === 0;
      const count = asks ? Math.min(budget, 777) : budget;
      cpu.instructions += count;
      if (asks) ask();
      if (seen.length === 5) loop.stop();
      if (asks || seen.length === 5) return "stop";
      return idle ? "halted" : "budget";
    });
    const time = new InstructionTime(() => cpu.instructions, 4);
    const clock = new VirtualClock(time, 0);
    const blocks = new BlockRequests(clock);
    const disk = blocks.behind(slowDisk(milliseconds));
    const loop = new RunLoop({
      cpu,
      clock,
      time,
      blocks,
      between: () => false,
    });
    const ask = async (): Promise<void> => {
      for (let i = 0; i < 5; i++) {
        await disk.read(0, 512);
        seen.push(clock.now());
      }
    };
    await loop.run();
    return [...seen, cpu.instructions];
  };
  for (const idle of [false, true]) {
    const first = await run(0, idle);
    assertEquals(first.length, 6);
    assertEquals(await run(7, idle), first);
  }
});

Deno.test("a guest that waits for its disk hears of the answer", async () => {
  // Halted, with and without a timer, or polling.
  for (const [exit, timer] of [["halted", 0], ["halted", 1], ["budget", 0]]) {
    let answered = false;
    const cpu: FakeCpu = new FakeCpu((cpu, budget) => {
      if (cpu.instructions === 0) {
        void disk.read(0, 512).then(() => {
          answered = true;
          loop.wake();
        });
      }
      spin(cpu, budget);
      if (!answered) return exit as CpuExit;
      loop.stop();
      return "stop";
    });
    const time = new HostTime(() => cpu.instructions);
    const clock = new VirtualClock(time, 0);
    const blocks = new BlockRequests();
    const disk = blocks.behind(slowDisk(5));
    const loop = new RunLoop({
      cpu,
      clock,
      time,
      blocks,
      between: () => false,
    });
    if (timer !== 0) clock.timer(() => {}).arm(3600e9);
    assertEquals(await loop.run(), "stop");
    assertEquals([answered, blocks.outstanding], [true, false]);
  }
});

Deno.test("a loop that is held stands still, and its run does not end by it", async () => {
  const cpu = new FakeCpu(spin);
  const { loop } = hostLoop(cpu);
  const log: string[] = [];
  let ended = false;
  const run = loop.run().then(() => ended = true);
  const still = async (name: string): Promise<void> => {
    const before = cpu.instructions;
    await new Promise((resolve) => setTimeout(resolve, 10));
    assertEquals(cpu.instructions, before);
    log.push(name);
  };
  // One after another, also when one fails.
  const results = await Promise.allSettled([
    loop.hold(() => still("a")),
    loop.hold(() => Promise.reject(new Error("b"))),
    loop.hold(() => still("c")),
  ]);
  assertEquals(results.map(({ status }) => status), [
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  assertEquals([log, ended], [["a", "c"], false]);
  const before = cpu.instructions;
  while (cpu.instructions === before) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  // What stops it meanwhile waits.
  await loop.hold(async () => {
    loop.stop();
    await still("d");
    assertEquals(ended, false);
  });
  await run;
  // Without a run there is nothing to wait for, and one that begins does.
  let begun: Promise<unknown> | undefined;
  await loop.hold(async () => {
    begun = loop.run();
    await still("e");
  });
  loop.stop();
  await begun;
  assertEquals(log, ["a", "c", "d", "e"]);
});

Deno.test("what is requested as the CPU halts is done, though no timer would wake it", async () => {
  for (const kind of ["host", "icount", "recorded"]) {
    // In the midst of the slice, and in the host's turn after it.
    for (const isLater of [false, true]) {
      let isRequested = false;
      const cpu: FakeCpu = new FakeCpu((cpu) => {
        const request = (): void => {
          isRequested = true;
          loop.interrupt();
        };
        if (cpu.instructions === 0) {
          if (isLater) setImmediate(request);
          else request();
        }
        cpu.instructions = 10;
        return "halted";
      });
      const { time, inputs } = recorded(cpu);
      const { loop } = hostLoop(cpu, {
        ...kind !== "host" && { time },
        ...kind === "recorded" && { inputs },
        between: () => {
          if (isRequested) loop.stop();
          return false;
        },
      });
      const what = `${kind}, ${isLater ? "later" : "at once"}`;
      assertEquals(await within(what, loop.run()), "stop");
    }
  }
});

Deno.test("a run that is recorded is stopped though the host takes nothing", async () => {
  for (const isByTimer of [false, true]) {
    const cpu: FakeCpu = new FakeCpu((cpu) => {
      if (cpu.instructions > 0) throw new Error("the guest went on");
      cpu.instructions = 10;
      parts.inputs!.sent(new Uint8Array(2 ** 20), new Promise(() => {}));
      return "budget";
    });
    const parts = recorded(cpu);
    const { loop, clock } = hostLoop(cpu, parts);
    if (isByTimer) clock.timer(() => loop.stop()).arm(10);
    const run = loop.run();
    if (!isByTimer) {
      let isOver = false;
      run.then(() => isOver = true, () => isOver = true);
      for (let i = 0; i < 10; i++) {
        // One that only wants it to look does not let the guest go on.
        loop.interrupt();
        await new Promise<void>((resolve) => setImmediate(() => resolve()));
      }
      assertEquals(isOver, false);
      loop.stop();
    }
    assertEquals(await within("the run", run), "stop");
  }
});

Deno.test("a run is stopped that is about to begin", async () => {
  const { loop } = hostLoop(new FakeCpu(() => "halted"));
  for (let i = 0; i < 2; i++) {
    loop.begin();
    loop.stop();
    assertEquals(await within(`run ${i}`, loop.run()), "stop");
  }
  // A stop is for one run.
  loop.begin();
  let isOver = false;
  const run = loop.run().then(() => isOver = true);
  for (let i = 0; i < 10; i++) {
    await new Promise<void>((resolve) => setImmediate(() => resolve()));
  }
  assertEquals(isOver, false);
  loop.stop();
  await within("the last run", run);
});

Deno.test("who hears that the guest stands still may let it go on at once", async () => {
  const cpu: FakeCpu = new FakeCpu(() => {
    loop.stop();
    return "stop";
  });
  const { loop } = hostLoop(cpu);
  const letGo = loop.standStill();
  loop.onStand = letGo;
  assertEquals(await within("the run", loop.run()), "stop");
});

Deno.test("what is requested of a run that is held while another has it is done", async () => {
  let isDone = false;
  let isRequested = false;
  const cpu: FakeCpu = new FakeCpu(() => {
    isDone = true;
    loop.stop();
    isRequested = true;
    loop.interrupt();
    return "stop";
  });
  const { loop } = hostLoop(cpu, {
    between: () => {
      if (isRequested) loop.stop();
      return false;
    },
  });
  const { promise: stands, resolve } = Promise.withResolvers<void>();
  loop.onStand = resolve;
  loop.standStill();
  const run = loop.run();
  await stands;
  await loop.runHeld(() => isDone);
  assertEquals(await within("the run that was held", run), "stop");
});
