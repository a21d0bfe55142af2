import { assertEquals } from "@std/assert";
import { LOCAL_APIC_BYTES } from "../../../core/bus/apic.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import apicBus, { type ApicBusDevice } from "./apic_bus.ts";
import plugin, { type LocalApicDevice } from "./lapic.ts";
import { LocalApicState } from "./lapic_memory.ts";
import { hasVector } from "./vector_set.ts";

type Bench = DeviceBench<LocalApicDevice>;

// Registers.
const ID = 0x20,
  TPR = 0x80,
  APR = 0x90,
  PPR = 0xa0,
  EOI = 0xb0,
  LDR = 0xd0,
  DFR = 0xe0,
  SVR = 0xf0,
  ISR = 0x100,
  TMR = 0x180,
  IRR = 0x200,
  ESR = 0x280,
  ICR = 0x300,
  ICR_HIGH = 0x310,
  LVT_TIMER = 0x320,
  LVT_LINT0 = 0x350,
  LVT_LINT1 = 0x360,
  LVT_ERROR = 0x370,
  INITIAL = 0x380,
  CURRENT = 0x390,
  DCR = 0x3e0;

/** Read a register; the region begins at 10h. */
function get(bench: Bench, register: number): number {
  return bench.read("registers", register - 0x10, 4);
}

function put(bench: Bench, register: number, value: number): void {
  bench.write("registers", register - 0x10, value, 4);
}

function bus(): Promise<DeviceBench<ApicBusDevice>> {
  return DeviceBench.create<ApicBusDevice>(apicBus);
}

/** A local APIC on a bus, as after power-up. */
async function lapic(
  config: Record<string, unknown> = {},
  on?: DeviceBench<ApicBusDevice>,
): Promise<Bench> {
  const bench = await DeviceBench.create<LocalApicDevice>(plugin, {
    config,
    use: {
      bus: (on ?? await bus()).device,
      pic: { acknowledge: () => 0x2a },
    },
    runningCpu: () => Number(config.id ?? 0),
  });
  bench.device.reset();
  return bench;
}

/** The same, enabled, with EFh for spurious interrupts. */
async function enabled(
  config: Record<string, unknown> = {},
  on?: DeviceBench<ApicBusDevice>,
): Promise<Bench> {
  const bench = await lapic(config, on);
  put(bench, SVR, 0x1ef);
  return bench;
}

/** The vectors in a register of 256 bits. */
function vectors(bench: Bench, register: number): number[] {
  const found: number[] = [];
  for (let vector = 0; vector < 256; vector++) {
    const word = get(bench, register + (vector >> 5) * 16);
    if ((word >>> (vector & 31) & 1) !== 0) found.push(vector);
  }
  return found;
}

/** Take everything that is offered, each ended at once. */
function drain(bench: Bench): number[] {
  const taken: number[] = [];
  while (bench.level("intr")) {
    taken.push(bench.device.acknowledge());
    put(bench, EOI, 0);
  }
  return taken;
}

Deno.test("lapic: after power-up all is masked, or as firmware leaves it", async () => {
  const plain = await lapic();
  // SDM 10.4.7.1.
  for (const lvt of [LVT_TIMER, LVT_LINT0, LVT_LINT1, LVT_ERROR]) {
    assertEquals(get(plain, lvt), 0x10000);
  }
  assertEquals([get(plain, SVR), get(plain, DFR)], [0xff, 0xffffffff]);
  plain.drive("lint0", true);
  assertEquals(plain.level("intr"), false);
  const wired = await lapic({ virtualWire: true });
  wired.drive("lint0", true);
  assertEquals(wired.level("intr"), true);
  assertEquals(wired.device.acknowledge(), 0x2a);
  assertEquals(vectors(wired, ISR), []);
  wired.drive("lint0", false);
  assertEquals(wired.level("intr"), false);
  wired.drive("lint1", true);
  assertEquals(wired.takeEdges("nmi"), [true, false]);
});

Deno.test("lapic: a request that is withdrawn gives the spurious vector", async () => {
  const bench = await enabled();
  put(bench, ICR, 0x40041);
  assertEquals(bench.level("intr"), true);
  put(bench, TPR, 0x40);
  assertEquals(bench.level("intr"), false);
  assertEquals(bench.device.acknowledge(), 0xef);
  assertEquals([vectors(bench, ISR), vectors(bench, IRR)], [[], [0x41]]);
  put(bench, TPR, 0x3f);
  assertEquals(drain(bench), [0x41]);
});

Deno.test("lapic: local interrupts come before the 8259A's", async () => {
  const bench = await lapic({ virtualWire: true });
  bench.drive("lint0", true);
  put(bench, ICR, 0x40041);
  assertEquals(bench.device.acknowledge(), 0x41);
  assertEquals(get(bench, PPR), 0x40);
  assertEquals(bench.device.acknowledge(), 0x2a);
});

Deno.test("lapic: the priority of the task counts when it is as high", async () => {
  const bench = await enabled();
  put(bench, ICR, 0x40041);
  bench.device.acknowledge();
  const seen = [0x30, 0x45, 0x52].map((tpr) => {
    put(bench, TPR, tpr);
    return get(bench, PPR);
  });
  assertEquals(seen, [0x40, 0x45, 0x52]); // SDM 10.8.3.1
});

Deno.test("lapic: TMR has what the last request of a vector was", async () => {
  const on = await bus();
  const bench = await enabled({}, on);
  on.write("messages", 0, 0xc041, 4);
  assertEquals([vectors(bench, TMR), drain(bench)], [[0x41], [0x41]]);
  on.write("messages", 0, 0x41, 4);
  assertEquals([vectors(bench, TMR), drain(bench)], [[], [0x41]]);
  // The end of a level is no interrupt.
  on.write("messages", 0, 0x8041, 4);
  assertEquals(drain(bench), []);
});

Deno.test("lapic: a message asks for the 8259A's vector once", async () => {
  const on = await bus();
  const bench = await enabled({}, on);
  on.write("messages", 0, 0x700, 4);
  assertEquals(bench.level("intr"), true);
  assertEquals(bench.device.acknowledge(), 0x2a);
  assertEquals(bench.level("intr"), false);
});

Deno.test("lapic: a write of less than 32 bits, or across words, is no message", async () => {
  const on = await bus();
  const bench = await enabled({}, on);
  // With the ones that are read in its place, this would be ExtINT.
  on.write("messages", 0, 0xff, 1);
  on.write("messages", 2, 0x4141, 2);
  on.write("messages", 1, 0x41414141, 4);
  assertEquals([bench.level("intr"), drain(bench)], [false, []]);
});

Deno.test("lapic: says what it takes, ends and forgets", async () => {
  const on = await bus();
  const told: unknown[] = [];
  on.device.listen({
    taken: (vector) => told.push("taken", vector),
    ended: (vector) => told.push("ended", vector),
  });
  const bench = await enabled({}, on);
  on.write("messages", 0, 0xc041, 4);
  on.write("messages", 0, 0x51, 4);
  drain(bench);
  assertEquals(told.splice(0), ["taken", 0x51, "taken", 0x41, "ended", 0x41]);
  bench.drive("init", true);
  assertEquals(told.splice(0), ["taken", -1]);
  bench.device.apicBase = 0xfee00100;
  assertEquals(told.splice(0), ["taken", -1]);
});

Deno.test("lapic: the end of an INIT resets nothing", async () => {
  const bench = await enabled();
  put(bench, ICR, 0x8500);
  assertEquals(bench.takeEdges("init"), []);
  put(bench, ICR, 0xc500);
  assertEquals(bench.takeEdges("init"), [true, false]);
});

Deno.test("lapic: arbitration priority", async () => {
  const bench = await enabled();
  put(bench, ICR, 0x40061);
  bench.device.acknowledge();
  put(bench, ICR, 0x40041);
  // SDM 10.6.2.4, with 4 requested and 6 in service.
  for (const [tpr, apr] of [[0x72, 0x72], [0x22, 0x40], [0x65, 0x60]]) {
    put(bench, TPR, tpr);
    assertEquals(get(bench, APR), apr);
  }
});

Deno.test("lapic: errors show in ESR after it is written", async () => {
  const bench = await enabled();
  put(bench, LVT_ERROR, 0x51);
  put(bench, ICR, 0x4000f); // an illegal vector: sent and received
  assertEquals(get(bench, ESR), 0);
  assertEquals(drain(bench), [0x51]);
  put(bench, ESR, 0);
  assertEquals(get(bench, ESR), 0x60);
  put(bench, ESR, 0);
  assertEquals(get(bench, ESR), 0);
  get(bench, 0x40); // there is no such register
  assertEquals(drain(bench), [0x51]);
  put(bench, ESR, 0);
  assertEquals(get(bench, ESR), 0x80);
  put(bench, LVT_TIMER, 5);
  put(bench, INITIAL, 100);
  bench.advance(1000);
  put(bench, ESR, 0);
  assertEquals(get(bench, ESR), 0x40);
});

Deno.test("lapic timer: counts down by the divide configuration", async () => {
  const bench = await enabled();
  put(bench, LVT_TIMER, 0x41);
  // SDM figure 10-10: bits 3, 1 and 0.
  const divisors = new Map([
    [0b0000, 2],
    [0b0001, 4],
    [0b0010, 8],
    [0b0011, 16],
    [0b1000, 32],
    [0b1001, 64],
    [0b1010, 128],
    [0b1011, 1],
  ]);
  for (const [value, divisor] of divisors) {
    put(bench, DCR, value);
    put(bench, INITIAL, 1000);
    bench.advance(400 * divisor);
    assertEquals([get(bench, INITIAL), get(bench, CURRENT)], [1000, 600]);
    bench.advance(600 * divisor - 1);
    assertEquals(drain(bench), []);
    bench.advance(1);
    assertEquals(get(bench, CURRENT), 0);
    assertEquals(drain(bench), [0x41]);
    bench.advance(5000 * divisor);
    assertEquals(drain(bench), []);
  }
});

Deno.test("lapic timer: a new divisor goes on from the present count", async () => {
  const bench = await enabled();
  put(bench, LVT_TIMER, 0x41);
  put(bench, DCR, 0b1011);
  put(bench, INITIAL, 1000);
  bench.advance(300);
  put(bench, DCR, 0b0000);
  assertEquals(get(bench, CURRENT), 700);
  bench.advance(399);
  put(bench, DCR, 0b1011);
  assertEquals(get(bench, CURRENT), 501);
  bench.advance(500);
  assertEquals(drain(bench), []);
  bench.advance(1);
  assertEquals(drain(bench), [0x41]);
});

Deno.test("lapic timer: a new mode goes on within the present count", async () => {
  const bench = await enabled();
  put(bench, LVT_TIMER, 0x41);
  put(bench, DCR, 0b1010);
  put(bench, INITIAL, 10);
  bench.advance(192);
  put(bench, LVT_TIMER, 0x20041);
  assertEquals(get(bench, CURRENT), 9);
  bench.advance(64);
  assertEquals(get(bench, CURRENT), 8);
  bench.advance(1024);
  assertEquals(drain(bench), [0x41]);
  put(bench, LVT_TIMER, 0x41);
  bench.advance(1280);
  assertEquals([drain(bench), get(bench, CURRENT)], [[0x41], 0]);
  // What has come to its end stays there until it is started (SDM 10.5.4).
  put(bench, LVT_TIMER, 0x20041);
  bench.advance(1280);
  assertEquals([drain(bench), get(bench, CURRENT)], [[], 0]);
  put(bench, INITIAL, 10);
  bench.advance(1280);
  assertEquals([drain(bench), get(bench, CURRENT)], [[0x41], 10]);
});

Deno.test("lapic timer: a tick that is due comes before what is written", async () => {
  for (
    const [register, value] of [
      [LVT_TIMER, 0x20041], // periodic
      [LVT_TIMER, 0x10041], // masked
      [DCR, 0b0000],
    ]
  ) {
    const bench = await enabled();
    put(bench, LVT_TIMER, 0x41);
    put(bench, DCR, 0b1011);
    // The first of two timers at the same time: the other has not run yet.
    bench.clock.timer(() => put(bench, register, value)).arm(1000);
    put(bench, INITIAL, 1000);
    bench.advance(5000);
    assertEquals([drain(bench), get(bench, CURRENT)], [[0x41], 0]);
  }
});

Deno.test("lapic timer: periodic ticks wait for the guest", async () => {
  const bench = await enabled();
  put(bench, LVT_TIMER, 0x20041);
  put(bench, DCR, 0b1011);
  put(bench, INITIAL, 1000);
  bench.advance(3500);
  // The counter does not wait.
  assertEquals(get(bench, CURRENT), 500);
  let ticks = 0;
  for (let i = 0; i < 10; i++) {
    ticks += drain(bench).length;
    bench.advance(0);
  }
  assertEquals(ticks, 3);
  bench.advance(500);
  assertEquals(drain(bench), [0x41]);
  // What becomes due while it is masked is lost.
  put(bench, LVT_TIMER, 0x30041);
  bench.advance(10_250);
  put(bench, LVT_TIMER, 0x20041);
  bench.advance(0);
  assertEquals([drain(bench), get(bench, CURRENT)], [[], 750]);
  bench.advance(750);
  assertEquals(drain(bench), [0x41]);
  put(bench, INITIAL, 0);
  bench.advance(10_000);
  assertEquals([drain(bench), get(bench, CURRENT)], [[], 0]);
});

Deno.test("lapic timer: ticks that are later than 2 s are lost", async () => {
  const bench = await enabled();
  put(bench, LVT_TIMER, 0x20041);
  put(bench, DCR, 0b1011);
  put(bench, INITIAL, 10_000_000);
  bench.advance(10_000_000);
  bench.advance(60_000_000_000);
  let ticks = 0;
  while (bench.level("intr")) {
    ticks += drain(bench).length;
    bench.advance(0);
  }
  // The first, that of the 2 s before now, and one that shows the lag.
  assertEquals(ticks, 202);
});

Deno.test("lapic timer: ticks come no closer than a microsecond", async () => {
  const bench = await enabled();
  put(bench, DCR, 0xb);
  put(bench, LVT_TIMER, 0x20040);
  put(bench, INITIAL, 1);
  // A guest that takes each tick at once.
  let ticks = 0;
  const { clock } = bench;
  while (clock.nextDeadline() <= 100_000) {
    bench.advance(clock.nextDeadline() - clock.now());
    ticks += drain(bench).length;
    assertEquals(get(bench, CURRENT), 1);
  }
  assertEquals(ticks, 100);
  // And one that is late.
  bench.advance(1_000_000);
  ticks = 0;
  while (drain(bench).length > 0 && ticks < 10) {
    ticks++;
    bench.advance(0);
  }
  assertEquals(ticks, 2);
});

Deno.test("lapic: LINT0 level triggered asks until it falls", async () => {
  const bench = await enabled();
  put(bench, LVT_LINT0, 0x8061);
  bench.drive("lint0", true);
  assertEquals(get(bench, LVT_LINT0), 0xc061);
  assertEquals(bench.device.acknowledge(), 0x61);
  assertEquals([vectors(bench, TMR), vectors(bench, IRR)], [[0x61], []]);
  put(bench, EOI, 0);
  assertEquals([vectors(bench, IRR), get(bench, LVT_LINT0)], [[0x61], 0xc061]);
  bench.drive("lint0", false);
  assertEquals(drain(bench), [0x61]);
  assertEquals([vectors(bench, IRR), get(bench, LVT_LINT0)], [[], 0x8061]);
  // As an edge it has nothing that could be ended.
  bench.drive("lint0", true);
  put(bench, LVT_LINT0, 0x61);
  assertEquals(get(bench, LVT_LINT0), 0x61);
  assertEquals(drain(bench), [0x61]);
  bench.drive("lint0", false);
  put(bench, LVT_LINT0, 0x62);
  bench.drive("lint0", true);
  assertEquals(drain(bench), [0x62]);
});

Deno.test("lapic: software disables what is fixed, not NMI and INIT", async () => {
  const on = await bus();
  const bench = await enabled({}, on);
  put(bench, LVT_LINT1, 0x400);
  put(bench, SVR, 0xef);
  assertEquals(get(bench, LVT_LINT1), 0x10400);
  put(bench, LVT_LINT1, 0x400);
  assertEquals(get(bench, LVT_LINT1), 0x10400);
  on.write("messages", 0, 0x41, 4);
  assertEquals(vectors(bench, IRR), []);
  on.write("messages", 0, 0x400, 4);
  assertEquals(bench.takeEdges("nmi"), [true, false]);
  on.write("messages", 0, 0x500, 4);
  assertEquals(bench.takeEdges("init"), [true, false]);
});

Deno.test("lapic: software disabled, it holds what it has", async () => {
  const bench = await enabled();
  put(bench, ICR, 0x40041);
  put(bench, SVR, 0xef);
  assertEquals([bench.level("intr"), vectors(bench, IRR)], [false, [0x41]]);
  assertEquals(bench.device.acknowledge(), 0xef);
  put(bench, SVR, 0x1ef);
  assertEquals(drain(bench), [0x41]);
});

Deno.test("lapic: INIT leaves the virtual wire of the start", async () => {
  const bench = await lapic({ virtualWire: true });
  put(bench, LVT_LINT0, 0x10000);
  bench.drive("init", true);
  assertEquals(bench.takeEdges("init"), [true, false]);
  bench.drive("lint0", true);
  assertEquals(bench.level("intr"), true);
});

Deno.test("lapic: INIT leaves the ID and the base", async () => {
  const bench = await enabled();
  put(bench, ID, 0x07000000);
  put(bench, TPR, 0x55);
  put(bench, LVT_TIMER, 0x20041);
  put(bench, INITIAL, 1000);
  bench.device.apicBase = 0xfef00900;
  bench.drive("init", true);
  assertEquals(bench.takeEdges("init"), [true, false]);
  assertEquals(bench.device.apicBase, 0xfef00900);
  const state = [ID, TPR, SVR, LVT_TIMER, INITIAL].map((r) => get(bench, r));
  assertEquals(state, [0x07000000, 0, 0xff, 0x10000, 0]);
  bench.advance(100_000);
  assertEquals(bench.level("intr"), false);
});

Deno.test("lapic: switched off and on it has its own ID again", async () => {
  const bench = await enabled({ id: 3 });
  put(bench, ID, 0x07000000);
  bench.device.apicBase = 0xfee00000;
  bench.device.apicBase = 0xfee00800;
  assertEquals(get(bench, ID), 0x03000000);
});

Deno.test("lapic: off, its pins are those of the CPU", async () => {
  const bench = await enabled();
  put(bench, ICR, 0x40041);
  bench.device.apicBase = 0xfee00100;
  assertEquals(bench.level("intr"), false);
  assertEquals(bench.memory.regions, []);
  bench.drive("lint0", true);
  assertEquals(bench.level("intr"), true);
  assertEquals(bench.device.acknowledge(), 0x2a);
  bench.drive("lint0", false);
  assertEquals(bench.level("intr"), false);
  bench.drive("lint1", true);
  assertEquals(bench.takeEdges("nmi"), [true, false]);
  bench.device.apicBase = 0xfee00900;
  assertEquals(bench.memory.read(0xfee000f0, 4), 0xff);
});

Deno.test("lapic: several on a bus, by destination and by priority", async () => {
  const on = await bus();
  const apics = await Promise.all(
    [0, 1, 2].map((id) => enabled({ id }, on)),
  );
  const [first, second, third] = apics;
  const got = () => apics.map(drain);
  const ipi = (low: number, destination: number): number[][] => {
    put(first, ICR_HIGH, destination * 2 ** 24);
    put(first, ICR, low);
    return got();
  };
  assertEquals(apics.map((a) => a.device.apicBase), [
    0xfee00900,
    0xfee00800,
    0xfee00800,
  ]);
  assertEquals(ipi(0x41, 2), [[], [], [0x41]]);
  assertEquals(ipi(0x41, 0xff), [[0x41], [0x41], [0x41]]);
  assertEquals(ipi(0x80041, 0), [[0x41], [0x41], [0x41]]);
  assertEquals(ipi(0xc0041, 0), [[], [0x41], [0x41]]);
  assertEquals(ipi(0x40041, 2), [[0x41], [], []]);
  apics.forEach((a, i) => put(a, LDR, 2 ** (24 + i)));
  assertEquals(ipi(0x841, 0b110), [[], [0x41], [0x41]]);
  apics.forEach((a, i) => {
    put(a, DFR, 0);
    put(a, LDR, (i < 2 ? 0x11 + i : 0x22) * 2 ** 24);
  });
  assertEquals(ipi(0x841, 0x13), [[0x41], [0x41], []]);
  assertEquals(ipi(0x841, 0xf2), [[], [0x41], [0x41]]); // in all clusters
  apics.forEach((a, i) => {
    put(a, DFR, 0xffffffff);
    put(a, LDR, 2 ** (24 + i));
  });
  // The lowest priority of those that are addressed.
  put(first, TPR, 0x10);
  put(second, TPR, 0x30);
  put(third, TPR, 0x20);
  assertEquals(ipi(0x941, 0b110), [[], [], [0x41]]);
  assertEquals(ipi(0x941, 0b111), [[0x41], [], []]);
  put(third, TPR, 0x40);
  assertEquals(ipi(0x951, 0b110), [[], [0x51], []]);
  // A message with a redirection hint goes to one.
  put(third, TPR, 0);
  on.write("messages", 0x0000600c, 0x41, 4);
  assertEquals(got(), [[], [], [0x41]]);
  on.write("messages", 0x00006004, 0x41, 4);
  assertEquals(got(), [[], [0x41], [0x41]]);
});

Deno.test("lapic: what makes the other CPUs start and stop", async () => {
  const on = await bus();
  const apics = await Promise.all(
    [0, 1, 2].map((id) => enabled({ id, virtualWire: true }, on)),
  );
  const [first, second] = apics;
  const pages: number[][] = apics.map(() => []);
  apics.forEach(({ device }, i) =>
    device.onStartup = (page) => pages[i].push(page)
  );
  const edges = (output: string): number[] =>
    apics.map((a) => a.takeEdges(output).length);
  put(first, ICR, 0xc4500); // INIT to all others
  assertEquals(edges("init"), [0, 2, 2]);
  // They are disabled by software then, but take start-up messages and NMI.
  assertEquals(apics.map((a) => get(a, SVR)), [0x1ef, 0xff, 0xff]);
  put(first, ICR, 0xc4608);
  assertEquals(pages, [[], [8], [8]]);
  put(first, ICR_HIGH, 0x01000000);
  put(first, ICR, 0x469f);
  assertEquals(pages, [[], [8, 0x9f], [8]]);
  put(second, ICR, 0xc4400); // NMI to all others
  assertEquals(edges("nmi"), [2, 0, 2]);
  put(first, ICR, 0xc4041); // not heard
  assertEquals(apics.map(drain), [[], [], []]);
});

Deno.test("lapic: each CPU has its own registers at the same address", async () => {
  const on = await bus();
  let running = 0;
  const apics = await Promise.all(
    [0, 1, 2].map((id) =>
      DeviceBench.create<LocalApicDevice>(plugin, {
        config: { id },
        use: { bus: on.device, pic: { acknowledge: () => 0 } },
        runningCpu: () => running,
      })
    ),
  );
  // Whichever of the regions is on top.
  for (const top of apics) {
    const ids = apics.map((_, cpu) => {
      running = cpu;
      return get(top, ID) >>> 24;
    });
    assertEquals(ids, [0, 1, 2]);
  }
  const [first, second] = apics;
  running = 1;
  put(first, TPR, 0x42);
  assertEquals(second.device.taskPriority, 0x42);
  assertEquals(first.device.taskPriority, 0);
  // A CPU whose APIC is elsewhere, or off, finds nothing there.
  second.device.apicBase = 0xfec10800;
  assertEquals(get(first, ID), 0xffffffff);
  put(first, TPR, 0);
  assertEquals(second.device.taskPriority, 0x42);
  second.device.apicBase = 0xfee00000;
  assertEquals(get(first, ID), 0xffffffff);
});

Deno.test("lapic: x2APIC mode", async () => {
  const on = await bus();
  const apics = await Promise.all(
    [0, 1, 2].map((id) => enabled({ id }, on)),
  );
  const [first, second, third] = apics.map(({ device }) => device);
  // MSRs are there in this mode only, registers in memory in the other.
  assertEquals(second.readMsr(0x02), -1);
  assertEquals(second.writeMsr(0x08, 0, 0), false);
  put(apics[1], ID, 0x77000000);
  apics.forEach(({ device }) => device.apicBase += 0x400);
  assertEquals(apics.map((a) => a.memory.read(0xfee00020, 4) >>> 0), [
    0xffffffff,
    0xffffffff,
    0xffffffff,
  ]);
  assertEquals([0x02, 0x03, 0x0d, 0x0f].map((r) => third.readMsr(r)), [
    2,
    0x50014,
    1 << 2,
    0x1ef,
  ]);
  assertEquals(second.readMsr(0x02), 1); // not what was written
  // What is not there, cannot be read, cannot be written, or not so (SDM table 10-6).
  for (const r of [0x00, 0x09, 0x0b, 0x0c, 0x0e, 0x31, 0x3f, 0x40]) {
    assertEquals(first.readMsr(r), -1, r.toString(16));
  }
  for (
    const r of [0x02, 0x03, 0x09, 0x0a, 0x0d, 0x0e, 0x10, 0x20, 0x31, 0x39]
  ) {
    assertEquals(first.writeMsr(r, 0, 0), false, r.toString(16));
  }
  assertEquals(first.writeMsr(0x0b, 1, 0), false);
  assertEquals(first.writeMsr(0x28, 1, 0), false);
  assertEquals(first.writeMsr(0x08, 0, 1), false);
  const end = ({ device }: Bench): number[] => {
    const taken: number[] = [];
    for (; device.acknowledge() !== 0xef;) {
      const word = device.readMsr(0x12);
      taken.push(64 + Math.log2(word));
      assertEquals(device.writeMsr(0x0b, 0, 0), true);
    }
    return taken;
  };
  const ipi = (low: number, destination: number): number[][] => {
    assertEquals(first.writeMsr(0x30, low, destination), true);
    assertEquals([first.readMsr(0x30), first.destination], [low, destination]);
    return apics.map(end);
  };
  assertEquals(ipi(0x4041, 2), [[], [], [0x41]]);
  assertEquals(ipi(0x4041, -1), [[0x41], [0x41], [0x41]]);
  assertEquals(ipi(0x4841, 0b101), [[0x41], [], [0x41]]);
  assertEquals(ipi(0x4841, 0x10001), [[], [], []]); // another cluster
  assertEquals(ipi(0xc4041, 0), [[], [0x41], [0x41]]);
  assertEquals(first.writeMsr(0x3f, 0x45, 0), true);
  assertEquals(apics.map(end), [[0x45], [], []]);
  // A message of an I/O APIC, whose destination has 8 bits.
  on.write("messages", 0x00002004, 0x41, 4);
  assertEquals(apics.map(end), [[], [0x41], []]);
});

Deno.test("lapic: reserved bits of registers that are MSRs", async () => {
  const bench = await enabled();
  const { device } = bench;
  device.apicBase += 0x400;
  // What may be set (SDM table 10-6); remote IRR and delivery status are
  // there, and are not reserved.
  const writable = new Map([
    [0x08, 0xff], // TPR
    [0x0b, 0], // EOI
    [0x0f, 0x3ff], // SVR
    [0x28, 0], // ESR
    [0x30, 0xcdfff], // ICR
    [0x32, 0x350ff], // LVT: timer
    [0x33, 0x157ff], // thermal sensor
    [0x34, 0x157ff], // performance counters
    [0x35, 0x1f7ff], // LINT0
    [0x36, 0x1f7ff], // LINT1
    [0x37, 0x150ff], // error
    [0x38, 0xffffffff], // initial count
    [0x3e, 0xb], // DCR
    [0x3f, 0xff], // SELF IPI
  ]);
  const check = () => {
    for (const [register, bits] of writable) {
      for (let bit = 0; bit < 32; bit++) {
        assertEquals(
          device.writeMsr(register, 1 << bit, register === 0x30 ? 1 : 0),
          (bits >>> bit & 1) !== 0,
          `${register.toString(16)} ${bit}`,
        );
      }
    }
  };
  check();
  device.hasDeadline = true;
  writable.set(0x32, 0x750ff);
  check();
});

Deno.test("lapic: 32 bits have an ID of FFh that is not all", async () => {
  const on = await bus();
  const apics = await Promise.all([0, 1].map((id) => enabled({ id }, on)));
  apics.forEach(({ device }) => device.apicBase += 0x400);
  const [{ device }] = apics;
  const irr = () => apics.map((a) => a.device.readMsr(0x22));
  device.writeMsr(0x30, 0x4041, 0xff);
  assertEquals(irr(), [0, 0]);
  device.writeMsr(0x30, 0x4841, 0xff); // of cluster 0, all
  assertEquals(irr(), [2, 2]);
});

Deno.test("lapic: SELF IPI with an illegal vector", async () => {
  const bench = await enabled();
  const { device } = bench;
  device.apicBase += 0x400;
  device.writeMsr(0x3f, 0xf, 0);
  device.writeMsr(0x28, 0, 0);
  assertEquals(device.readMsr(0x28), 0x60);
});

Deno.test("lapic: the lowest priority is that of who takes vectors", async () => {
  const on = await bus();
  const apics = await Promise.all([0, 1, 2].map((id) => enabled({ id }, on)));
  apics.forEach((a, i) => {
    put(a, LDR, 2 ** (24 + i));
    put(a, TPR, 0x10 * i);
  });
  put(apics[0], SVR, 0xef);
  on.write("messages", 0x0000700c, 0x41, 4);
  assertEquals(apics.map((a) => vectors(a, IRR)), [[], [0x41], []]);
  assertEquals(get(apics[0], PPR), 0);
});

Deno.test("lapic: registers have 32 bits", async () => {
  const bench = await enabled();
  put(bench, LVT_LINT1, 0x10456);
  const at = LVT_LINT1 - 0x10;
  bench.write("registers", at, 0xff, 1);
  bench.write("registers", at + 1, 0xff, 1);
  bench.write("registers", at + 2, 0, 2);
  assertEquals(get(bench, LVT_LINT1), 0x10456);
  assertEquals(
    [[0, 1], [1, 1], [2, 1], [0, 2], [2, 2]].map(([offset, width]) =>
      bench.read("registers", at + offset, width as 1 | 2)
    ),
    [0x56, 4, 1, 0x456, 1],
  );
});

Deno.test("lapic timer: a deadline that nobody waits for passes", async () => {
  const bench = await enabled();
  const { device } = bench;
  device.hasDeadline = true;
  put(bench, LVT_TIMER, 0x50041);
  device.deadline = 500;
  bench.advance(499);
  assertEquals(device.deadline, 500);
  bench.advance(1);
  assertEquals(device.deadline, 0); // SDM 10.5.4.1
  device.deadline = 600;
  bench.advance(100);
  put(bench, LVT_TIMER, 0x40041);
  bench.advance(0);
  assertEquals([device.deadline, drain(bench)], [0, []]);
});

Deno.test("lapic timer: TSC-deadline mode", async () => {
  const bench = await enabled();
  const { device } = bench;
  put(bench, LVT_TIMER, 0x40041);
  // Only where the CPU has it.
  assertEquals(get(bench, LVT_TIMER), 0x41);
  device.hasDeadline = true;
  device.deadline = 500;
  assertEquals(device.deadline, 0);
  put(bench, LVT_TIMER, 0x40041);
  put(bench, INITIAL, 1000); // means nothing
  assertEquals([get(bench, INITIAL), get(bench, CURRENT)], [0, 0]);
  device.deadline = 500;
  bench.advance(499);
  assertEquals([device.deadline, drain(bench)], [500, []]);
  const saved = bench.save();
  bench.advance(1);
  assertEquals([device.deadline, drain(bench)], [0, [0x41]]);
  bench.advance(10_000);
  assertEquals(drain(bench), []);
  // What has passed is due at once; 0 disarms; so does another mode.
  device.deadline = 1;
  assertEquals([device.deadline, drain(bench)], [0, [0x41]]);
  device.deadline = 20_000;
  device.deadline = 0;
  bench.advance(20_000);
  device.deadline = 50_000;
  put(bench, LVT_TIMER, 0x41);
  put(bench, LVT_TIMER, 0x40041);
  bench.advance(50_000);
  assertEquals([device.deadline, drain(bench)], [0, []]);
  device.load(saved);
  assertEquals(device.deadline, 500);
});

Deno.test("lapic: a saved timer goes on", async () => {
  const bench = await enabled();
  put(bench, LVT_TIMER, 0x20041);
  put(bench, DCR, 0b1011);
  put(bench, INITIAL, 1000);
  bench.advance(400);
  const saved = bench.save();
  bench.advance(300);
  put(bench, INITIAL, 0);
  bench.device.load(saved);
  bench.advance(299);
  assertEquals(drain(bench), []);
  bench.advance(1);
  assertEquals(drain(bench), [0x41]);
});

Deno.test("lapic: its registers move to where its CPU has them", async () => {
  const bench = await enabled();
  const { device } = bench;
  put(bench, TPR, 0x21);
  put(bench, LVT_TIMER, 0x20041);
  put(bench, INITIAL, 0xfffffff0);
  put(bench, ICR, 0x40051);
  const saved = device.save();
  const memory = new SharedArrayBuffer(LOCAL_APIC_BYTES + 64);
  const bytes = new Uint8Array(memory).fill(0xa5);
  device.storeIn(memory, 32);
  assertEquals(device.save(), saved);
  // Others see what it does there, and it what they do.
  const other = new LocalApicState(memory, 32);
  put(bench, TPR, 0x31);
  assertEquals(other.record() as unknown, { ...saved, TPR: 0x31 });
  other.TPR = 0;
  assertEquals(device.acknowledge(), 0x51);
  assertEquals(hasVector(other.ISR, 0x51), true);
  for (let i = 0; i < 32; i++) {
    assertEquals([bytes[i], bytes[bytes.length - 1 - i]], [0xa5, 0xa5]);
  }
});

Deno.test("lapic: a record as it has always been", async () => {
  const { device } = await enabled();
  const record = {
    base: 0xfee00900,
    id: 3,
    TPR: 0x20,
    LDR: 8,
    DFR: 15,
    SVR: 0x1ef,
    ISR: [0, 0, 1 << 31, 0, 0, 0, 0, 0],
    TMR: [0, 0, 0, 2, 0, 0, 0, 0],
    IRR: [0, 0, 0, 0, 0, 0, 0, 1],
    ESR: 0x40,
    errors: 0x20,
    ICRL: 0x4051,
    ICRH: -(1 << 24),
    LVT: [0x20041, 0x10000, 0x10000, 0x8700, 0x400, 0xfe],
    timer: {
      initial: 0xffffffff,
      DCR: 11,
      count: 0xfffffffe,
      since: 2 ** 50 + 1,
      deadline: 0,
    },
    lint: 1,
    extint: true,
  };
  device.load(record);
  assertEquals(device.save(), record);
});
