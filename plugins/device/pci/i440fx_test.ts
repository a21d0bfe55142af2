import { assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { Machine } from "../../../machines/machine.ts";
import plugin, { type I440fx } from "./i440fx.ts";

type Bench = DeviceBench<I440fx>;

async function bridge(): Promise<Bench> {
  const bench = await DeviceBench.create<I440fx>(plugin);
  bench.device.reset();
  return bench;
}

function select(bench: Bench, register: number, place = 0): void {
  const confadd = 0x80000000 + place * 0x100 + (register & 0xfc);
  bench.write("address", 0, confadd, 4);
}

function get(bench: Bench, register: number, width: 1 | 2 | 4 = 1): number {
  select(bench, register);
  return bench.read("data", register & 3, width);
}

function set(bench: Bench, register: number, value: number): void {
  select(bench, register);
  bench.write("data", register & 3, value);
}

Deno.test("i440fx: configuration mechanism 1", async () => {
  const bench = await bridge();
  assertEquals(get(bench, 0, 4), 0x12378086);
  assertEquals(get(bench, 2, 2), 0x1237);
  assertEquals(get(bench, 8, 4), 0x06000002);
  assertEquals(get(bench, 4, 4), 0x02800006);
  bench.write("address", 0, 0xffffffff, 4);
  assertEquals(bench.read("address", 0, 4), 0x80fffffc);
  assertEquals(bench.read("data", 0, 4), 0xffffffff);
  bench.write("address", 0, 0x80010000, 4);
  assertEquals(bench.read("data", 0, 4), 0xffffffff, "another bus");
  select(bench, 0, 8);
  assertEquals(bench.read("data", 0, 4), 0xffffffff, "an empty slot");
  bench.write("address", 0, 0, 4);
  assertEquals(bench.read("data", 0, 4), 0xffffffff, "not enabled");
});

/** Each segment's base and size, with its register and nibble. */
const SEGMENTS: readonly (readonly [number, number, number, number])[] = [
  [0xf0000, 0x10000, 0x59, 4],
  [0xc0000, 0x4000, 0x5a, 0],
  [0xc4000, 0x4000, 0x5a, 4],
  [0xc8000, 0x4000, 0x5b, 0],
  [0xcc000, 0x4000, 0x5b, 4],
  [0xd0000, 0x4000, 0x5c, 0],
  [0xd4000, 0x4000, 0x5c, 4],
  [0xd8000, 0x4000, 0x5d, 0],
  [0xdc000, 0x4000, 0x5d, 4],
  [0xe0000, 0x4000, 0x5e, 0],
  [0xe4000, 0x4000, 0x5e, 4],
  [0xe8000, 0x4000, 0x5f, 0],
  [0xec000, 0x4000, 0x5f, 4],
];

Deno.test("i440fx: PAM's four states, for each segment", async () => {
  const bench = await bridge();
  const { memory } = bench;
  // A "BIOS" that reads as its page's number, and takes writes.
  const written: number[] = [];
  memory.add({
    name: "bios",
    base: 0xc0000,
    size: 0x40000,
    kind: "io",
    handler: {
      widths: [1],
      read: (offset) => offset >> 12,
      write: (offset) => written.push(offset),
    },
  });
  for (const [base, size, register, shift] of SEGMENTS) {
    const last = base + size - 1;
    const beneath = [base, last].map((a) => (a - 0xc0000) >> 12);
    const ends = (): number[] => [base, last].map((a) => memory.read(a, 1));
    const write = (value: number): void => {
      memory.write(base, 1, value);
      memory.write(last, 1, value);
    };
    assertEquals(ends(), beneath, "closed");
    write(1);
    assertEquals(written.splice(0).length, 2);
    set(bench, register, 2 << shift);
    write(0x91);
    assertEquals([ends(), written], [beneath, []], "writes alone");
    set(bench, register, 1 << shift);
    write(0x92);
    assertEquals([ends(), written], [[0x91, 0x91], []], "reads alone");
    set(bench, register, 3 << shift);
    write(0x93);
    assertEquals(ends(), [0x93, 0x93], "both");
    for (const outside of [base - 1, last + 1]) {
      const isBios = outside >= 0xc0000 && outside < 0x100000;
      const expected = isBios ? (outside - 0xc0000) >> 12 : 0xff;
      assertEquals(memory.read(outside, 1), expected, "and no more");
    }
    set(bench, register, 0);
    assertEquals(ends(), beneath);
  }
  set(bench, 0x59, 0x30);
  assertEquals(memory.read(0xf0000, 1), 0x93, "the RAM has kept it");
  bench.device.reset();
  assertEquals(memory.read(0xf0000, 1), 0x30, "reset hides it");
});

Deno.test("i440fx: SMRAM opens, and is locked until reset", async () => {
  const bench = await bridge();
  const { memory } = bench;
  assertEquals(get(bench, 0x72), 0x02);
  set(bench, 0x72, 0x40);
  assertEquals(memory.read(0xa0000, 1), 0xff, "G_SMRAME is off");
  set(bench, 0x72, 0x48);
  memory.write(0xbffff, 1, 0x5a);
  assertEquals(memory.read(0xbffff, 1), 0x5a);
  assertEquals(memory.read(0xc0000, 1), 0xff);
  set(bench, 0x72, 0x58);
  assertEquals([get(bench, 0x72), memory.read(0xbffff, 1)], [0x1a, 0xff]);
  set(bench, 0x72, 0x68);
  assertEquals(get(bench, 0x72), 0x3a, "D_CLS alone can be changed");
  const saved = bench.save();
  bench.device.load(saved);
  set(bench, 0x72, 0x48);
  assertEquals(get(bench, 0x72), 0x1a);
  bench.device.reset();
  set(bench, 0x72, 0x48);
  assertEquals(memory.read(0xbffff, 1), 0x5a);
});

Deno.test("i440fx: pins are swizzled to PIRQA to PIRQD", async () => {
  const bench = await bridge();
  const space = { readConfig: () => 0, writeConfig: () => {} };
  for (const [slot, pin, line] of [[1, 0, "a"], [2, 0, "b"], [3, 3, "b"]]) {
    const place = { slot: slot as number, function: 0 };
    const sink = bench.device.attach(`d${slot}`, place, space)(pin as number);
    sink(true);
    assertEquals(
      ["a", "b", "c", "d"].filter((l) => bench.level(`pirq${l}`)),
      [line],
    );
    sink(false);
  }
});

Deno.test("i440fx: random configuration writes neither throw nor leave RAM", async () => {
  const bench = await bridge();
  let x = 7;
  const random = (): number => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x >>> 0;
  };
  for (let i = 0; i < 3000; i++) {
    const width = ([1, 2, 4] as const)[random() % 3];
    select(bench, random());
    bench.write("data", random() % 4, random(), width);
    bench.memory.write(0xa0000 + random() % 0x60000, width, random());
    bench.memory.read(0xa0000 + random() % 0x60000, width);
    if (i % 100 === 0) bench.device.load(bench.save());
  }
  assertEquals(get(bench, 0, 4), 0x12378086);
  const outside = bench.memory.regions.filter((r) =>
    r.base < 0xa0000 || r.base + r.size > 0x100000
  );
  assertEquals(outside, []);
});

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));

Deno.test("pc.json: a movable region has no place in the definition", async () => {
  await assertRejects(
    () => Machine.load(PC, { set: ["devices.pm.at.pm=1536"] }),
    Error,
    'region "pm" is placed by the guest',
  );
});

Deno.test("pc.json: two devices at one slot and function", async () => {
  const set = ['devices.pm.config={"slot":1,"function":0}'];
  await assertRejects(
    () => Machine.load(PC, { set }),
    Error,
    'devices "isa" and "pm" are both at slot 1, function 0 of the PCI bus',
  );
});
