import { assertAlmostEquals, assertEquals } from "@std/assert";
import { IrqLine } from "../../../core/bus/irq_line.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { ManualTime } from "../../../core/time/time_source.ts";
import { VirtualClock } from "../../../core/time/virtual_clock.ts";
import plugin, { I8254, PIT_HZ } from "./i8254.ts";

type Bench = DeviceBench<I8254>;

/** A timer, 0.1 clocks after a clock's edge, so that rounding cannot matter. */
async function timer(): Promise<Bench> {
  const bench = await DeviceBench.create<I8254>(plugin);
  bench.advance(84);
  return bench;
}

/** Let so many input clocks pass. */
const clocks = (bench: Bench, count: number) =>
  bench.advance(Math.round(count * 1e9 / PIT_HZ));

function program(bench: Bench, control: number, count: number): void {
  const counter = control >> 6;
  bench.write("counters", 3, control);
  bench.write("counters", counter, count & 0xff);
  bench.write("counters", counter, count >> 8);
}

function count(bench: Bench, counter: number): number {
  bench.write("counters", 3, counter << 6);
  return bench.read("counters", counter) |
    bench.read("counters", counter) << 8;
}

const OUT2 = 0x20;
const out2 = (bench: Bench) => (bench.read("speaker", 0) & OUT2) !== 0;

Deno.test("i8254: mode 0 counts down and raises OUT once", async () => {
  const bench = await timer();
  bench.write("speaker", 0, 1);
  program(bench, 0xb0, 1000);
  assertEquals(out2(bench), false);
  clocks(bench, 1);
  assertEquals(count(bench, 2), 1000);
  clocks(bench, 999);
  assertEquals([count(bench, 2), out2(bench)], [1, false]);
  clocks(bench, 1);
  assertEquals([count(bench, 2), out2(bench)], [0, true]);
  clocks(bench, 1);
  assertEquals([count(bench, 2), out2(bench)], [0xffff, true]);
  // The first byte of a new count stops it and lowers OUT.
  bench.write("counters", 2, 5);
  assertEquals(out2(bench), false);
  bench.write("counters", 2, 0);
  clocks(bench, 6);
  assertEquals(out2(bench), true);
});

Deno.test("i8254: in mode 0 GATE stops the count", async () => {
  const bench = await timer();
  program(bench, 0xb0, 100);
  clocks(bench, 50);
  assertEquals(count(bench, 2), 100, "loaded, but GATE is low");
  bench.write("speaker", 0, 1);
  clocks(bench, 40);
  bench.write("speaker", 0, 0);
  clocks(bench, 500);
  assertEquals([count(bench, 2), out2(bench)], [60, false]);
  bench.write("speaker", 0, 1);
  clocks(bench, 60);
  assertEquals(out2(bench), true);
});

Deno.test("i8254: mode 1 is a retriggerable one-shot", async () => {
  const bench = await timer();
  program(bench, 0xb2, 10);
  clocks(bench, 100);
  assertEquals(out2(bench), true);
  bench.write("speaker", 0, 1);
  clocks(bench, 1);
  assertEquals(out2(bench), false);
  clocks(bench, 5);
  bench.write("speaker", 0, 0);
  bench.write("speaker", 0, 1);
  clocks(bench, 10);
  assertEquals(out2(bench), false, "triggered again");
  clocks(bench, 1);
  assertEquals(out2(bench), true);
});

Deno.test("i8254: mode 2 divides", async () => {
  const bench = await timer();
  bench.write("speaker", 0, 1);
  program(bench, 0xb4, 4);
  clocks(bench, 1);
  const seen: string[] = [];
  for (let i = 0; i < 8; i++) {
    seen.push(`${count(bench, 2)}${out2(bench) ? "h" : "l"}`);
    clocks(bench, 1);
  }
  assertEquals(seen.join(" "), "4h 3h 2h 1l 4h 3h 2h 1l");
  // A new count waits for the end of the cycle.
  clocks(bench, 1);
  bench.write("counters", 2, 6);
  bench.write("counters", 2, 0);
  assertEquals(count(bench, 2), 3);
  clocks(bench, 3);
  assertEquals(count(bench, 2), 6);
});

Deno.test("i8254: mode 3 makes a square wave, odd counts too", async () => {
  const bench = await timer();
  bench.write("speaker", 0, 1);
  program(bench, 0xb6, 4);
  clocks(bench, 1);
  let seen = "";
  for (let i = 0; i < 8; i++) {
    seen += `${count(bench, 2)}${out2(bench) ? "h" : "l"} `;
    clocks(bench, 1);
  }
  assertEquals(seen, "4h 2h 4l 2l 4h 2h 4l 2l ");
  program(bench, 0xb6, 5);
  clocks(bench, 1);
  seen = "";
  for (let i = 0; i < 10; i++) {
    seen += `${count(bench, 2)}${out2(bench) ? "h" : "l"} `;
    clocks(bench, 1);
  }
  assertEquals(seen, "4h 2h 0h 4l 2l 4h 2h 0h 4l 2l ");
  // GATE low forces OUT high at once.
  clocks(bench, 3);
  assertEquals(out2(bench), false);
  bench.write("speaker", 0, 0);
  assertEquals(out2(bench), true);
});

Deno.test("i8254: mode 3 takes a new count after the half cycle", async () => {
  const bench = await timer();
  bench.write("speaker", 0, 1);
  program(bench, 0xb6, 8);
  clocks(bench, 2);
  bench.write("counters", 2, 4);
  bench.write("counters", 2, 0);
  let seen = "";
  for (let i = 0; i < 11; i++) {
    seen += out2(bench) ? "h" : "l";
    clocks(bench, 1);
  }
  assertEquals(seen, "hhhllhhllhh");
});

Deno.test("i8254: modes 4 and 5 strobe", async () => {
  const bench = await timer();
  bench.write("speaker", 0, 1);
  program(bench, 0xb8, 3);
  clocks(bench, 1);
  let seen = "";
  for (let i = 0; i < 6; i++) {
    seen += out2(bench) ? "h" : "l";
    clocks(bench, 1);
  }
  assertEquals(seen, "hhhlhh");
  bench.write("speaker", 0, 0);
  program(bench, 0xba, 3);
  clocks(bench, 20);
  assertEquals(out2(bench), true);
  bench.write("speaker", 0, 1);
  clocks(bench, 4);
  assertEquals(out2(bench), false);
  clocks(bench, 1);
  assertEquals(out2(bench), true);
});

Deno.test("i8254: BCD, and one-byte counts", async () => {
  const bench = await timer();
  bench.write("speaker", 0, 1);
  program(bench, 0xb1, 0x1000);
  clocks(bench, 2);
  assertEquals(count(bench, 2), 0x0999);
  program(bench, 0xb1, 0);
  clocks(bench, 2);
  assertEquals(count(bench, 2), 0x9999);
  bench.write("counters", 3, 0x90); // low byte only
  bench.write("counters", 2, 9);
  clocks(bench, 2);
  assertEquals(bench.read("counters", 2), 8);
  bench.write("counters", 3, 0xa0); // high byte only
  bench.write("counters", 2, 2);
  clocks(bench, 2);
  assertEquals(bench.read("counters", 2), 1);
});

Deno.test("i8254: a latch holds until it is read", async () => {
  const bench = await timer();
  program(bench, 0x34, 1000);
  clocks(bench, 11);
  bench.write("counters", 3, 0x00);
  clocks(bench, 100);
  bench.write("counters", 3, 0x00);
  assertEquals(bench.read("counters", 0), 990 & 0xff);
  assertEquals(bench.read("counters", 0), 990 >> 8);
  assertEquals(count(bench, 0), 890);
});

Deno.test("i8254: read-back of status and count", async () => {
  const bench = await timer();
  program(bench, 0x34, 1000);
  bench.write("counters", 3, 0xe2); // status of counter 0
  assertEquals(bench.read("counters", 0), 0xf4, "OUT high, null count");
  clocks(bench, 1);
  bench.write("counters", 3, 0xc2); // both
  assertEquals(bench.read("counters", 0), 0xb4);
  assertEquals(bench.read("counters", 0), 1000 & 0xff);
  assertEquals(bench.read("counters", 0), 1000 >> 8);
});

Deno.test("i8254: 1000 Hz ticks do not drift", async () => {
  const bench = await timer();
  program(bench, 0x34, 1193);
  bench.takeEdges("out0");
  bench.advance(1_000_000_000);
  const rises = bench.takeEdges("out0").filter((level) => level).length;
  assertEquals(rises, Math.floor((PIT_HZ - 1) / 1193));
});

/** A timer wired to an interrupt controller that the test plays. */
function wired() {
  const time = new ManualTime();
  const clock = new VirtualClock(time, 0);
  let ticks = 0;
  // High from the edge to the acknowledgement, as the controller's pending0.
  let request = false;
  const line = new IrqLine((level) => {
    if (!level) return;
    ticks++;
    setRequest(true);
  });
  const chip = new I8254({ name: "pit", clock, output: () => line });
  function setRequest(level: boolean): void {
    if (level === request) return;
    request = level;
    chip.setPending(level);
  }
  const { write } = chip.counterPorts;
  write(3, 1, 0x34);
  ticks = 0;
  setRequest(false);
  write(0, 1, 1193 & 0xff);
  write(0, 1, 1193 >> 8);
  return {
    pass(ms: number): void {
      time.set(time.now() + ms * 1e6);
      clock.runDue();
    },
    acknowledge: () => setRequest(false),
    /** Whether there is no tick to take. */
    isIdle: () => !request,
    /** The timer is saved and loaded. */
    reload: () => chip.load(chip.save()),
    mask: (level: boolean) => chip.setMasked(level),
    runDue: () => clock.runDue(),
    take: () => {
      const taken = ticks;
      ticks = 0;
      return taken;
    },
  };
}

Deno.test("i8254: a one-shot tick may be late for an idle guest, a periodic one not", () => {
  const time = new ManualTime();
  const clock = new VirtualClock(time, 0);
  const chip = new I8254({
    name: "pit",
    clock,
    output: () => new IrqLine(() => {}),
  });
  const { write } = chip.counterPorts;
  const slackOf = (mode: number): number => {
    write(3, 1, 0x30 | mode << 1);
    write(0, 1, 1193 & 0xff);
    write(0, 1, 1193 >> 8);
    return clock.latestDeadline() - clock.nextDeadline();
  };
  assertEquals([0, 4].map(slackOf), [16e6, 16e6]);
  assertEquals([2, 3].map(slackOf), [0, 0]);
});

Deno.test("i8254: late ticks wait until the guest takes them", () => {
  const { pass, acknowledge, runDue, take } = wired();
  pass(1.1);
  assertEquals(take(), 1);
  pass(50);
  assertEquals(take(), 0, "the first is not taken yet");
  let ticks = 1;
  let quarters = 0;
  for (;;) {
    acknowledge();
    runDue();
    assertEquals(take(), 0, "the guest is let on before the next one");
    pass(0.25);
    quarters++;
    const more = take();
    if (more === 0) break;
    assertEquals(more, 1);
    ticks += more;
  }
  // All that have become due, at four times the rate.
  assertEquals(ticks, 51 + Math.floor(quarters / 4));
});

Deno.test("i8254: late ticks are as far apart in a timer that is loaded", () => {
  const { pass, acknowledge, take, reload } = wired();
  pass(10.1);
  take();
  acknowledge();
  pass(0.1);
  assertEquals(take(), 0);
  reload();
  pass(0.1);
  assertEquals(take(), 0);
  pass(0.1);
  assertEquals(take(), 1);
});

Deno.test("i8254: ticks masked for long are lost, for short kept", () => {
  for (const [ms, expected] of [[100, 101], [600, 2]]) {
    const { pass, acknowledge, mask, take, isIdle } = wired();
    pass(1.1);
    acknowledge();
    take();
    mask(true);
    pass(ms);
    mask(false);
    let passed = 0;
    do {
      acknowledge();
      pass(0.25);
      passed += 0.25;
    } while (!isIdle());
    acknowledge();
    pass(1.1);
    assertEquals(take(), expected + Math.floor(passed));
  }
});

Deno.test("i8254: ticks older than two seconds are forgotten", () => {
  const { pass, acknowledge, take, isIdle } = wired();
  pass(1.1);
  pass(60_000);
  let passed = 0;
  do {
    acknowledge();
    pass(0.25);
    passed += 0.25;
  } while (!isIdle());
  assertEquals(take() <= 2 * PIT_HZ / 1193 + 2 + passed, true);
});

Deno.test("i8254: mode 4 gives one interrupt a count", async () => {
  const bench = await timer();
  bench.write("counters", 3, 0x38);
  bench.takeEdges("out0");
  for (let i = 0; i < 3; i++) {
    bench.write("counters", 0, 0xe8);
    bench.write("counters", 0, 0x03);
    clocks(bench, 1001);
    assertEquals(bench.takeEdges("out0"), []);
    clocks(bench, 2);
    assertEquals(bench.takeEdges("out0"), [false, true]);
    clocks(bench, 100_000);
    assertEquals(bench.takeEdges("out0"), []);
  }
});

Deno.test("i8254: port 61h keeps its bits and toggles", async () => {
  const bench = await timer();
  bench.write("speaker", 0, 0xff);
  assertEquals(bench.read("speaker", 0) & 0xcf, 0x0f);
  let toggles = 0;
  let last = bench.read("speaker", 0) & 0x10;
  for (let i = 0; i < 2000; i++) {
    bench.advance(500);
    const now = bench.read("speaker", 0) & 0x10;
    if (now !== last) toggles++;
    last = now;
  }
  assertAlmostEquals(toggles, 1_000_000 / 15_085, 1);
});

/** Port 61h: gate and speaker. */
const GATE_AND_SPEAKER = 3;
/** A count that gives 1000 Hz. */
const TONE = 1193;

Deno.test("i8254: a tone comes out at the speaker while port 61h lets it", async () => {
  const bench = await timer();
  program(bench, 0xb6, TONE);
  bench.advance(10_000_000);
  assertEquals(bench.takeEdges("out2"), []);
  bench.write("speaker", 0, GATE_AND_SPEAKER);
  bench.takeEdges("out2");
  bench.advance(1_000_000_000);
  // Two edges a period of a second's 1193182 clocks.
  const edges = bench.takeEdges("out2");
  assertEquals(edges.length, Math.floor(PIT_HZ / TONE * 2));
  assertEquals(edges.slice(0, 4), [false, true, false, true]);
  // The duty cycle is a half: the level follows OUT, as port 61h shows it.
  for (let i = 0; i < 50; i++) {
    clocks(bench, 97);
    assertEquals(bench.level("out2"), out2(bench));
  }
  // Speaker data off: silence, and nothing is waited for.
  bench.write("speaker", 0, 1);
  assertEquals(bench.level("out2"), false);
  assertEquals(bench.clock.nextDeadline(), Infinity);
  // The gate off: OUT is high in mode 3 and stands still.
  bench.write("speaker", 0, 2);
  bench.takeEdges("out2");
  bench.advance(100_000_000);
  assertEquals(bench.takeEdges("out2"), []);
  assertEquals([bench.level("out2"), out2(bench)], [true, true]);
});

Deno.test("i8254: a one-shot clicks the speaker, a tone too high does not", async () => {
  const bench = await timer();
  bench.write("speaker", 0, GATE_AND_SPEAKER);
  program(bench, 0xb0, 500);
  assertEquals(bench.level("out2"), false);
  bench.takeEdges("out2");
  clocks(bench, 502);
  assertEquals(bench.takeEdges("out2"), [true]);
  program(bench, 0xb6, 20);
  clocks(bench, 2);
  bench.takeEdges("out2");
  bench.advance(1_000_000);
  assertEquals(bench.takeEdges("out2"), []);
  assertEquals(bench.clock.nextDeadline(), Infinity);
});

Deno.test("i8254: without a listener a tone arms nothing", () => {
  const clock = new VirtualClock(new ManualTime(), 0);
  const device = new I8254({
    name: "pit",
    clock,
    output: () => new IrqLine(),
  });
  device.speakerPort.write(0, 1, GATE_AND_SPEAKER);
  device.counterPorts.write(3, 1, 0xb6);
  device.counterPorts.write(2, 1, TONE & 255);
  device.counterPorts.write(2, 1, TONE >> 8);
  assertEquals(clock.nextDeadline(), Infinity);
});

/** A 1 kHz timer, and a controller that keeps a tick only while it works. */
function driven() {
  const time = new ManualTime();
  const clock = new VirtualClock(time, 0);
  let [ticks, works, isHeld] = [0, true, false];
  const hold = (held: boolean): void => {
    if (held === isHeld) return;
    isHeld = held;
    chip.setPending(held);
  };
  const line = new IrqLine((level) => {
    if (!level) return;
    ticks++;
    if (works) hold(true);
  });
  const chip = new I8254({ name: "pit", clock, output: () => line });
  const { write } = chip.counterPorts;
  const setPeriod = (clocks: number): void => {
    write(0, 1, clocks & 0xff);
    write(0, 1, clocks >> 8);
  };
  write(3, 1, 0x34);
  setPeriod(1193);
  hold(false);
  const pass = (ms: number): void => {
    time.set(time.now() + ms * 1e6);
    clock.runDue();
  };
  return {
    setPeriod,
    pass,
    setWorks: (on: boolean) => works = on,
    /** Let time pass while ticks are taken; gives back how many. */
    take: (ms: number): number => {
      ticks = 0;
      for (let i = 0; i < ms * 10; i++) {
        hold(false);
        clock.runDue();
        pass(0.1);
      }
      return ticks;
    },
  };
}

Deno.test("i8254: a new period leaves ticks due that are late", () => {
  const { pass, setPeriod, take } = driven();
  take(1.5);
  pass(50);
  setPeriod(11932);
  const late = take(20);
  assertEquals(late >= 49 && late <= 53, true, `${late} ticks`);
  assertEquals(take(100), 10);
});

Deno.test("i8254: ticks that a controller does not keep are not made up for", () => {
  const { pass, setWorks, take } = driven();
  take(1.5);
  setWorks(false);
  pass(100);
  setWorks(true);
  const next = take(10);
  assertEquals(next >= 9 && next <= 11, true, `${next} ticks`);
});
