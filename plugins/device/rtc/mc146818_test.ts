import { assertEquals } from "@std/assert";
import { DeviceBench } from "../../../core/machine/testing.ts";
import plugin, { type Mc146818 } from "./mc146818.ts";

const SECOND = 1_000_000_000;
/** Monday, 28 February 2000, 23:59:50.25 UTC. */
const EPOCH = Date.UTC(2000, 1, 28, 23, 59, 50, 250);

async function clock(config = {}): Promise<DeviceBench<Mc146818>> {
  return await DeviceBench.create<Mc146818>(plugin, { config, epoch: EPOCH });
}

function get(bench: DeviceBench, register: number): number {
  bench.write("ports", 0, register);
  return bench.read("ports", 1);
}

function set(bench: DeviceBench, register: number, value: number): void {
  bench.write("ports", 0, register);
  bench.write("ports", 1, value);
}

function date(bench: DeviceBench): string {
  return [0x32, 9, 8, 7, 6, 4, 2, 0].map((register) =>
    get(bench, register).toString(16).padStart(2, "0")
  ).join(" ");
}

Deno.test("mc146818: the date follows virtual time", async () => {
  const bench = await clock();
  assertEquals(date(bench), "20 00 02 28 02 23 59 50");
  bench.advance(10 * SECOND);
  assertEquals(date(bench), "20 00 02 29 03 00 00 00");
});

Deno.test("mc146818: binary and 12 hours", async () => {
  const bench = await clock();
  set(bench, 0x0b, 0x06);
  assertEquals(date(bench), "14 00 02 1c 02 17 3b 32");
  set(bench, 0x0b, 0x00);
  assertEquals(get(bench, 4), 0x91);
  bench.advance(10 * SECOND);
  assertEquals(get(bench, 4), 0x12);
  // Noon and midnight, as they are written.
  set(bench, 4, 0x92);
  assertEquals(get(bench, 4), 0x92);
  set(bench, 0x0b, 0x02);
  assertEquals(get(bench, 4), 0x12);
  set(bench, 0x0b, 0x00);
  set(bench, 4, 0x12);
  set(bench, 0x0b, 0x02);
  assertEquals(get(bench, 4), 0x00);
});

Deno.test("mc146818: UIP goes up before the update", async () => {
  const bench = await clock();
  assertEquals(get(bench, 0x0a), 0x26);
  bench.advance(SECOND * 3 / 4 - 100_000);
  assertEquals(get(bench, 0x0a), 0xa6);
  bench.advance(100_000);
  assertEquals(get(bench, 0x0a), 0x26);
  assertEquals(get(bench, 0), 0x51);
});

Deno.test("mc146818: setting the calendar", async () => {
  const bench = await clock();
  set(bench, 0x0b, 0x82);
  bench.advance(5 * SECOND);
  assertEquals(get(bench, 0), 0x50, "it stands still");
  for (
    const [register, value] of [
      [0x32, 0x19],
      [9, 0x99],
      [8, 0x12],
      [7, 0x31],
      [6, 0x06],
      [4, 0x23],
      [2, 0x59],
      [0, 0x59],
    ]
  ) set(bench, register, value);
  set(bench, 0x0b, 0x02);
  assertEquals(date(bench), "19 99 12 31 06 23 59 59");
  bench.advance(SECOND);
  assertEquals(date(bench), "20 00 01 01 07 00 00 00");
});

Deno.test("mc146818: the day of the week is the guest's, and goes on from there", async () => {
  const bench = await clock();
  set(bench, 6, 0x05);
  assertEquals(date(bench), "20 00 02 28 05 23 59 50");
  bench.advance(10 * SECOND);
  assertEquals(date(bench), "20 00 02 29 06 00 00 00");
  bench.advance(2 * 86_400 * SECOND);
  assertEquals(get(bench, 6), 0x01);
});

Deno.test("mc146818: the divider's reset", async () => {
  const bench = await clock();
  set(bench, 0x0b, 0x42);
  get(bench, 0x0c);
  set(bench, 0x0a, 0x76);
  bench.advance(SECOND);
  assertEquals([bench.level("irq"), get(bench, 0x0c)], [false, 0]);
  set(bench, 0x0a, 0x26);
  bench.advance(SECOND / 2 - 1);
  assertEquals(get(bench, 0), 0x50);
  bench.advance(1);
  assertEquals(get(bench, 0), 0x51);
});

Deno.test("mc146818: update interrupt", async () => {
  const bench = await clock();
  set(bench, 0x0b, 0x92);
  assertEquals(get(bench, 0x0b), 0x82, "SET clears UIE");
  set(bench, 0x0b, 0x12);
  bench.advance(SECOND * 3 / 4 - 1);
  assertEquals(bench.level("irq"), false);
  bench.advance(1);
  assertEquals(bench.level("irq"), true);
  assertEquals(get(bench, 0x0c) & 0xb0, 0x90);
  assertEquals(bench.level("irq"), false);
  assertEquals(get(bench, 0x0c), 0);
  bench.advance(SECOND);
  assertEquals(bench.level("irq"), true);
});

Deno.test("mc146818: periodic interrupt at 1024 Hz", async () => {
  const bench = await clock();
  set(bench, 0x0b, 0x42);
  let count = 0;
  for (let i = 0; i < 10_000; i++) {
    bench.advance(100_000);
    if (!bench.level("irq")) continue;
    count++;
    assertEquals(get(bench, 0x0c) & 0xc0, 0xc0);
  }
  assertEquals(count, 1024);
});

Deno.test("mc146818: the flags come without their interrupts", async () => {
  const bench = await clock();
  bench.advance(SECOND);
  assertEquals(bench.level("irq"), false);
  assertEquals(get(bench, 0x0c), 0x50);
});

Deno.test("mc146818: alarm, exact and with don't-care", async () => {
  const bench = await clock();
  set(bench, 5, 0x00);
  set(bench, 3, 0x00);
  set(bench, 1, 0x05);
  set(bench, 0x0b, 0x22);
  bench.advance(SECOND * 14);
  assertEquals(bench.level("irq"), false);
  bench.advance(SECOND);
  assertEquals(bench.level("irq"), true);
  assertEquals(get(bench, 0x0c) & 0xa0, 0xa0);
  set(bench, 5, 0xff);
  set(bench, 3, 0xff);
  set(bench, 1, 0x30);
  bench.advance(SECOND * 24);
  assertEquals(bench.level("irq"), false);
  bench.advance(SECOND * 1);
  assertEquals(bench.level("irq"), true);
});

Deno.test("mc146818: an armed device wakes nobody needlessly", async () => {
  const bench = await clock();
  assertEquals(bench.clock.nextDeadline(), Infinity);
  set(bench, 0x0b, 0x12);
  bench.advance(SECOND);
  // Until register C is read there is nothing more to say.
  assertEquals(bench.clock.nextDeadline(), Infinity);
});

Deno.test("mc146818: reset keeps what the battery keeps", async () => {
  const bench = await clock();
  set(bench, 0x40, 0xaa);
  set(bench, 0x0b, 0x7a);
  set(bench, 7, 0x05);
  bench.advance(SECOND);
  bench.device.reset();
  assertEquals(bench.level("irq"), false);
  assertEquals(get(bench, 0x0b), 0x02);
  assertEquals([get(bench, 0x40), get(bench, 7)], [0xaa, 0x05]);
});

Deno.test("mc146818: memory sizes and their checksum", async () => {
  const bench = await clock({ memory: "128M" });
  const word = (at: number) => get(bench, at) | get(bench, at + 1) << 8;
  assertEquals(word(0x15), 640);
  assertEquals(word(0x17), 0xffff);
  assertEquals(word(0x30), 0xffff);
  assertEquals(word(0x34), 112 * 16);
  let sum = 0;
  for (let i = 0x10; i < 0x2e; i++) sum += get(bench, i);
  assertEquals(get(bench, 0x2e) << 8 | get(bench, 0x2f), sum);
});

Deno.test("mc146818: memory from 4 GiB on is told by itself", async () => {
  const bench = await DeviceBench.create(plugin, {
    config: { memory: "3800M" },
    survey: {
      ram: [
        { base: 0, size: 3 * 2 ** 30 },
        { base: 2 ** 32, size: 728 * 2 ** 20 },
      ],
      devices: [],
    },
  });
  const byte = (at: number): number => {
    bench.write("ports", 0, at);
    return bench.read("ports", 1);
  };
  assertEquals([byte(0x34), byte(0x35)], [0x00, 0xbf]);
  assertEquals([byte(0x5b), byte(0x5c), byte(0x5d)], [0x80, 0x2d, 0x00]);
});

Deno.test("mc146818: other devices write themselves down, and the sum is right", async () => {
  const bench = await clock({ memory: "128M" });
  bench.device.preset(0x10, 0xf0, 0x40);
  bench.device.preset(0x14, 0xc1, 0x41);
  bench.device.preset(0x10, 0x0f, 0x02);
  assertEquals([get(bench, 0x10), get(bench, 0x14)], [0x42, 0x43]);
  let sum = 0;
  for (let i = 0x10; i < 0x2e; i++) sum += get(bench, i);
  assertEquals(get(bench, 0x2e) << 8 | get(bench, 0x2f), sum);
});
