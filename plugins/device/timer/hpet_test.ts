import { assertEquals } from "@std/assert";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { randomBelow } from "../../../tests/random.ts";
import plugin, { type Hpet } from "./hpet.ts";

type Bench = DeviceBench<Hpet>;

// Registers.
const CONF = 0x10, STATUS = 0x20, COUNTER = 0xf0;
const T0 = 0x100, T1 = 0x120, T2 = 0x140;
const COMP = 8, FSB = 0x10;
// Bits of a timer's configuration.
const LEVEL = 2, ENABLE = 4, PERIODIC = 8, SET = 0x40, MODE32 = 0x100;
/** Nanoseconds of a count: COUNTER_CLK_PERIOD says so. */
const COUNT = 10;

async function hpet(): Promise<Bench> {
  const bench = await DeviceBench.create<Hpet>(plugin);
  bench.device.reset();
  assertEquals(get(bench, 4), COUNT * 1e6);
  return bench;
}

function get(bench: Bench, register: number): number {
  return bench.read("registers", register, 4);
}

function put(bench: Bench, register: number, value: number): void {
  bench.write("registers", register, value, 4);
}

/** The rising edges of an output since the last call. */
function rises(bench: Bench, output: string): number {
  return bench.takeEdges(output).filter((level) => level).length;
}

Deno.test("hpet: the counter has 64 bits, and stands while it is off", async () => {
  const bench = await hpet();
  put(bench, COUNTER, 0xffffff00);
  put(bench, COUNTER + 4, 0xffffffff);
  bench.advance(1000);
  assertEquals(get(bench, COUNTER), 0xffffff00);
  put(bench, CONF, 1);
  bench.advance(0xff * COUNT);
  assertEquals([get(bench, COUNTER), get(bench, COUNTER + 4)], [
    0xffffffff,
    0xffffffff,
  ]);
  bench.advance(COUNT);
  assertEquals([get(bench, COUNTER), get(bench, COUNTER + 4)], [0, 0]);
  bench.advance(2 ** 33 * COUNT + 70);
  bench.advance(COUNT / 2);
  put(bench, CONF, 3); // a count that has begun goes on
  bench.advance(COUNT / 2);
  assertEquals(get(bench, COUNTER), 8);
  put(bench, CONF, 0);
  bench.advance(12345);
  assertEquals([get(bench, COUNTER), get(bench, COUNTER + 4)], [8, 2]);
});

Deno.test("hpet: the words of the counter are read as one", async () => {
  const bench = await hpet();
  put(bench, COUNTER, 0xffffffff);
  put(bench, CONF, 1);
  assertEquals(get(bench, COUNTER), 0xffffffff);
  bench.advance(COUNT);
  assertEquals(get(bench, COUNTER + 4), 0);
  assertEquals([get(bench, COUNTER), get(bench, COUNTER + 4)], [0, 1]);
  // They are two reads when there is time between them.
  put(bench, COUNTER, 0xffffffff);
  assertEquals(get(bench, COUNTER), 0xffffffff);
  bench.advance(1000);
  assertEquals(get(bench, COUNTER + 4), 2);
});

/** A timer that is looked at in each count (specification 2.3.9). */
interface CountedTimer {
  readonly conf: number;
  readonly period: bigint;
  comparator: bigint;
}

Deno.test("hpet: timers are where those are that are counted one by one", async () => {
  const random = randomBelow(1);
  const bench = await hpet();
  const mask32 = 0xffffffffn;
  for (let round = 0; round < 12; round++) {
    const low = [0, 0xffffff00, 0xfffff000, 12345][random(4)];
    const high = [0, 1, 0xffffffff][random(3)];
    put(bench, CONF, 0);
    put(bench, STATUS, 7);
    put(bench, COUNTER, low);
    put(bench, COUNTER + 4, high);
    let counter = BigInt(high) << 32n | BigInt(low);
    const timers = Array.from({ length: 3 }, (_, n): CountedTimer => {
      const at = T0 + n * (T1 - T0);
      const conf = [0, PERIODIC][random(2)] | [0, MODE32][random(2)] |
        [0, ENABLE][random(2)] | LEVEL;
      let comparator = BigInt.asUintN(64, counter + BigInt(50 + random(5000)));
      if ((conf & MODE32) !== 0) comparator &= mask32;
      const period = BigInt(150 + random(3000));
      put(bench, at, conf | ((conf & PERIODIC) !== 0 ? SET : 0));
      put(bench, at + COMP, Number(comparator & mask32));
      put(bench, at + COMP + 4, Number(comparator >> 32n));
      if ((conf & PERIODIC) !== 0) {
        put(bench, at + COMP, Number(period));
        put(bench, at + COMP + 4, 0);
      }
      return { conf, period, comparator };
    });
    let status = 0;
    put(bench, CONF, 1);
    for (let step = 0; step < 40; step++) {
      const counts = [1, 2, 60, 500, 3000][random(5)];
      bench.advance(counts * COUNT);
      for (let i = 0; i < counts; i++) {
        counter = BigInt.asUintN(64, counter + 1n);
        timers.forEach((timer, n) => {
          const bits = (timer.conf & MODE32) !== 0 ? 32 : 64;
          if (BigInt.asUintN(bits, counter) !== timer.comparator) return;
          status |= 1 << n;
          if ((timer.conf & PERIODIC) === 0) return;
          timer.comparator = BigInt.asUintN(
            bits,
            timer.comparator + timer.period,
          );
        });
      }
      const what = `round ${round}, step ${step}`;
      assertEquals(get(bench, COUNTER), Number(counter & mask32), what);
      assertEquals(get(bench, COUNTER + 4), Number(counter >> 32n), what);
      assertEquals(get(bench, STATUS), status, what);
      timers.forEach(({ comparator }, n) => {
        const at = T0 + n * (T1 - T0) + COMP;
        assertEquals(get(bench, at), Number(comparator & mask32), what);
        assertEquals(get(bench, at + 4), Number(comparator >> 32n), what);
      });
      const clear = random(8);
      put(bench, STATUS, clear);
      status &= ~clear;
    }
  }
});

Deno.test("hpet: once, by 64 bits and by 32", async () => {
  const bench = await hpet();
  put(bench, COUNTER + 4, 1);
  put(bench, T0, ENABLE);
  put(bench, T0 + COMP, 100);
  put(bench, T0 + COMP + 4, 2);
  put(bench, T1, ENABLE | MODE32);
  put(bench, T1 + COMP, 100);
  put(bench, T1 + COMP + 4, 5); // is not there
  assertEquals(get(bench, T1 + COMP + 4), 0);
  put(bench, CONF, 3);
  bench.advance(100 * COUNT - 1);
  assertEquals([rises(bench, "irq0"), rises(bench, "irq8")], [0, 0]);
  bench.advance(1);
  assertEquals([rises(bench, "irq0"), rises(bench, "irq8")], [0, 1]);
  bench.advance(2 ** 32 * COUNT);
  // 32 bits have gone round.
  assertEquals([rises(bench, "irq0"), rises(bench, "irq8")], [1, 1]);
  bench.advance(2 ** 32 * COUNT);
  assertEquals([rises(bench, "irq0"), rises(bench, "irq8")], [0, 1]);
});

Deno.test("hpet: the period is added at each match", async () => {
  const bench = await hpet();
  put(bench, T0, ENABLE | PERIODIC | SET | MODE32);
  put(bench, T0 + COMP, 300);
  assertEquals(get(bench, T0) & SET, 0);
  put(bench, T0 + COMP, 100);
  assertEquals(get(bench, T0 + COMP), 300);
  put(bench, CONF, 3);
  bench.advance(299 * COUNT);
  assertEquals(rises(bench, "irq0"), 0);
  bench.advance(COUNT);
  assertEquals([rises(bench, "irq0"), get(bench, T0 + COMP)], [1, 400]);
  bench.advance(1000 * COUNT);
  assertEquals([rises(bench, "irq0"), get(bench, T0 + COMP)], [10, 1400]);
  // A new period from the next match on.
  put(bench, T0 + COMP, 250);
  bench.advance(100 * COUNT);
  assertEquals([rises(bench, "irq0"), get(bench, T0 + COMP)], [1, 1650]);
  // Without an interrupt it goes on as well.
  put(bench, T0, PERIODIC | MODE32);
  bench.advance(1000 * COUNT);
  assertEquals([rises(bench, "irq0"), get(bench, T0 + COMP)], [0, 2650]);
  bench.advance(1100 * COUNT);
  put(bench, T0, ENABLE | PERIODIC | MODE32);
  bench.advance(149 * COUNT);
  assertEquals(rises(bench, "irq0"), 0);
  bench.advance(COUNT);
  assertEquals([rises(bench, "irq0"), get(bench, T0 + COMP)], [1, 3900]);
});

Deno.test("hpet: a comparator of 64 bits is set as two words", async () => {
  const bench = await hpet();
  put(bench, COUNTER, 0xffffff00);
  put(bench, COUNTER + 4, 1);
  put(bench, T0, ENABLE | PERIODIC | SET);
  put(bench, T0 + COMP, 0x10);
  put(bench, T0 + COMP + 4, 2);
  put(bench, T0 + COMP, 0xfffffff8);
  put(bench, T0 + COMP + 4, 0);
  const comparator = () => [get(bench, T0 + COMP), get(bench, T0 + COMP + 4)];
  assertEquals(comparator(), [0x10, 2]);
  put(bench, CONF, 3);
  bench.advance(0x110 * COUNT);
  assertEquals([rises(bench, "irq0"), ...comparator()], [1, 8, 3]);
  bench.advance(0xfffffff8 * COUNT);
  assertEquals([rises(bench, "irq0"), ...comparator()], [1, 0, 4]);
});

Deno.test("hpet: ticks on IRQ 0 wait for the guest, unless it wants none", async () => {
  const bench = await hpet();
  put(bench, T0, ENABLE | PERIODIC | SET | MODE32);
  put(bench, T0 + COMP, 100_000);
  put(bench, CONF, 3);
  bench.advance(1_000_000);
  assertEquals(rises(bench, "irq0"), 1);
  bench.drive("pending", true);
  bench.advance(5_000_000);
  assertEquals(rises(bench, "irq0"), 0);
  bench.drive("pending", false);
  bench.advance(0);
  assertEquals(rises(bench, "irq0"), 5);
  bench.drive("pending", true);
  bench.drive("masked", true);
  bench.advance(600_000_000);
  bench.drive("masked", false);
  bench.drive("pending", false);
  bench.advance(0);
  // The one that is due just now, not the 600 before it.
  assertEquals(rises(bench, "irq0"), 1);
});

Deno.test("hpet: ticks that are later than 2 s are lost", async () => {
  const bench = await hpet();
  put(bench, T0, ENABLE | PERIODIC | SET | MODE32);
  put(bench, T0 + COMP, 1_000_000);
  put(bench, CONF, 3);
  bench.advance(10_000_000);
  assertEquals(rises(bench, "irq0"), 1);
  bench.drive("pending", true);
  bench.advance(60_000_000_000);
  bench.drive("pending", false);
  bench.advance(0);
  // The one that shows the lag, and those of the 2 s before now.
  assertEquals(rises(bench, "irq0"), 202);
});

Deno.test("hpet: a level stays until its status is cleared", async () => {
  const bench = await hpet();
  put(bench, T2, LEVEL | ENABLE | MODE32 | 21 << 9);
  put(bench, T2 + COMP, 100);
  put(bench, CONF, 1);
  bench.advance(2000);
  assertEquals([get(bench, STATUS), bench.level("irq21")], [4, true]);
  put(bench, STATUS, 3);
  assertEquals(bench.level("irq21"), true);
  put(bench, STATUS, 4);
  assertEquals([get(bench, STATUS), bench.level("irq21")], [0, false]);
  // Without an interrupt there is the status alone.
  put(bench, T2, LEVEL | MODE32 | 21 << 9);
  put(bench, T2 + COMP, get(bench, COUNTER) + 100);
  bench.advance(2000);
  assertEquals([get(bench, STATUS), bench.level("irq21")], [4, false]);
});

Deno.test("hpet: routes are those that the timer can have", async () => {
  const bench = await hpet();
  const routes = get(bench, T0 + 4);
  for (let route = 0; route < 32; route++) {
    put(bench, T0, 20 << 9);
    put(bench, T0, route << 9);
    const kept = (routes >>> route & 1) !== 0 ? route : 20;
    assertEquals(get(bench, T0) >> 9 & 31, kept);
  }
});

Deno.test("hpet: a message is a write to memory", async () => {
  const bench = await hpet();
  put(bench, T1 + FSB, 0x12345678);
  put(bench, T1 + FSB + 4, 0x2003); // a word's address
  put(bench, T1, 0x4000 | ENABLE | MODE32);
  put(bench, T1 + COMP, 100);
  put(bench, CONF, 3);
  bench.advance(2000);
  assertEquals([...bench.ram.subarray(0x2000, 0x2005)], [
    0x78,
    0x56,
    0x34,
    0x12,
    0,
  ]);
  assertEquals(bench.level("irq8"), false);
  // A level has its status, but no line.
  put(bench, T2, 0x4000 | LEVEL | ENABLE | MODE32 | 21 << 9);
  put(bench, T2 + COMP, get(bench, COUNTER) + 100);
  bench.advance(2000);
  put(bench, STATUS, 1);
  assertEquals([get(bench, STATUS), bench.level("irq21")], [4, false]);
});

Deno.test("hpet: an edge's line falls when its timer is switched off", async () => {
  const bench = await hpet();
  put(bench, T2, ENABLE | MODE32 | 22 << 9);
  put(bench, T2 + COMP, 100);
  put(bench, CONF, 1);
  bench.advance(2000);
  assertEquals(bench.level("irq22"), true);
  put(bench, T2, MODE32 | 22 << 9);
  assertEquals(bench.level("irq22"), false);
  put(bench, T2, ENABLE | MODE32 | 22 << 9);
  assertEquals(bench.level("irq22"), false);
});

Deno.test("hpet: 32 bits have no high words", async () => {
  const bench = await hpet();
  put(bench, T0, PERIODIC | SET);
  put(bench, T0 + COMP + 4, 5);
  put(bench, T0, PERIODIC | MODE32);
  put(bench, T0, PERIODIC);
  assertEquals(get(bench, T0 + COMP + 4), 0);
});

Deno.test("hpet: matches that are too close together are one", async () => {
  const bench = await hpet();
  put(bench, T1, ENABLE | PERIODIC | SET | MODE32);
  put(bench, T1 + COMP, 1);
  put(bench, CONF, 3);
  bench.advance(1_000_000);
  // A thousand in a millisecond, not a hundred thousand.
  assertEquals(rises(bench, "irq8"), 1000);
});

Deno.test("hpet: the 8254 and the RTC pass through while not replaced", async () => {
  const bench = await hpet();
  bench.drive("pit", true);
  bench.drive("rtc", true);
  assertEquals([bench.level("irq0"), bench.level("irq8")], [true, true]);
  put(bench, CONF, 2);
  assertEquals([bench.level("irq0"), bench.level("irq8")], [false, false]);
  bench.drive("pit", false);
  put(bench, CONF, 0);
  assertEquals([bench.level("irq0"), bench.level("irq8")], [false, true]);
});

Deno.test("hpet: a change of the rest leaves a running period alone", async () => {
  const bench = await hpet();
  put(bench, T0, ENABLE | PERIODIC | SET | MODE32);
  put(bench, T0 + COMP, 100);
  put(bench, CONF, 3);
  bench.advance(150 * COUNT);
  assertEquals(rises(bench, "irq0"), 1);
  bench.drive("pending", true);
  bench.advance(300 * COUNT);
  put(bench, CONF, 1);
  put(bench, CONF, 3);
  assertEquals(get(bench, T0 + COMP), 500);
  bench.drive("pending", false);
  bench.advance(50 * COUNT);
  assertEquals(rises(bench, "irq0"), 1);
});
