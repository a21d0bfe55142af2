import { assertEquals } from "@std/assert";
import { DeviceBench } from "../../../core/machine/testing.ts";
import plugin, { type I8042 } from "./i8042.ts";
import type { Ps2Device } from "./ps2.ts";

type Bench = DeviceBench<I8042>;

const create = () => DeviceBench.create<I8042>(plugin);
const status = (bench: Bench) => bench.read("command", 0);
const data = (bench: Bench) => bench.read("data", 0);

function command(bench: Bench, value: number, parameter?: number): void {
  bench.write("command", 0, value);
  if (parameter !== undefined) bench.write("data", 0, parameter);
}

/** A device that is told what to say. */
class Talker implements Ps2Device {
  readonly heard: number[] = [];
  readonly queue: number[] = [];
  receive(byte: number): void {
    this.heard.push(byte);
  }
  take(): number {
    return this.queue.shift() ?? -1;
  }
}

Deno.test("i8042: what Linux' probe asks", async () => {
  const bench = await create();
  assertEquals(status(bench) & 1, 0, "nothing to flush");
  command(bench, 0x20);
  assertEquals(status(bench) & 0x31, 0x11);
  const ctr = data(bench);
  command(bench, 0x20);
  assertEquals(data(bench), ctr);
  command(bench, 0xaa);
  assertEquals(data(bench), 0x55);
  command(bench, 0xab);
  assertEquals(data(bench), 0x00);
  command(bench, 0xa9);
  assertEquals(data(bench), 0x00);
  // The auxiliary loop that shows the second port, and its disabling.
  command(bench, 0xd3, 0x5a);
  assertEquals(status(bench) & 0x21, 0x21);
  assertEquals(data(bench), 0x5a);
  command(bench, 0xa7);
  command(bench, 0x20);
  assertEquals(data(bench) & 0x20, 0x20);
  command(bench, 0xa8);
  command(bench, 0x20);
  assertEquals(data(bench) & 0x20, 0);
});

Deno.test("i8042: the auxiliary loop interrupts", async () => {
  const bench = await create();
  command(bench, 0x60, 0x47);
  command(bench, 0xd3, 0xa5);
  assertEquals([bench.level("kbd"), bench.level("aux")], [false, true]);
  assertEquals(data(bench), 0xa5);
  assertEquals(bench.level("aux"), false);
  command(bench, 0xd2, 0x1e);
  assertEquals(bench.level("kbd"), true);
  command(bench, 0x60, 0x46);
  assertEquals(bench.level("kbd"), false);
});

Deno.test("i8042: A20 by output port and by command", async () => {
  const bench = await create();
  bench.device.reset();
  assertEquals(bench.level("a20"), true);
  command(bench, 0xd1, 0xdd);
  assertEquals(bench.level("a20"), false);
  command(bench, 0xd0);
  assertEquals(data(bench) & 0x03, 0x01);
  command(bench, 0xd1, 0xdf);
  assertEquals(bench.level("a20"), true);
  command(bench, 0xdd);
  assertEquals(bench.level("a20"), false);
  command(bench, 0xdf);
  assertEquals(bench.level("a20"), true);
});

Deno.test("i8042: reset by pulse and by output port", async () => {
  const bench = await create();
  command(bench, 0xfe);
  assertEquals(bench.takeEdges("reset"), [true, false]);
  command(bench, 0xff);
  assertEquals(bench.takeEdges("reset"), []);
  command(bench, 0xd1, 0xde);
  assertEquals(bench.takeEdges("reset"), [true, false]);
});

Deno.test("i8042: an empty port times out", async () => {
  const bench = await create();
  bench.write("data", 0, 0xf2);
  assertEquals(status(bench) & 0x61, 0x41);
  assertEquals(data(bench), 0xfe);
  command(bench, 0xd4, 0xf2);
  assertEquals(status(bench) & 0x61, 0x61);
  assertEquals(data(bench), 0xfe);
  assertEquals(status(bench) & 0x61, 0);
});

Deno.test("i8042: a keyboard's codes are translated and queue", async () => {
  const bench = await create();
  const keyboard = new Talker();
  const port = bench.device.attach("keyboard", keyboard);
  keyboard.queue.push(0x1c, 0xf0, 0x1c, 0xe0, 0x75, 0x83, 0xfa);
  port.notify();
  const codes: number[] = [];
  while ((status(bench) & 1) !== 0) codes.push(data(bench));
  assertEquals(codes, [0x1e, 0x9e, 0xe0, 0x48, 0x41, 0xfa]);
  // Every byte is an edge.
  assertEquals(bench.takeEdges("kbd").filter((level) => level).length, 6);
  bench.write("data", 0, 0xed);
  assertEquals(keyboard.heard, [0xed]);
});

Deno.test("i8042: a disabled port keeps its bytes", async () => {
  const bench = await create();
  const mouse = new Talker();
  const port = bench.device.attach("auxiliary", mouse);
  command(bench, 0xa7);
  mouse.queue.push(0x08);
  port.notify();
  assertEquals(status(bench) & 1, 0);
  command(bench, 0xa8);
  assertEquals([status(bench) & 0x21, data(bench)], [0x21, 0x08]);
  command(bench, 0xd4, 0xf4);
  assertEquals(mouse.heard, [0xf4]);
});

Deno.test("i8042: answers that nobody reads are bounded, and a self test forgets them", async () => {
  const bench = await create();
  for (let i = 0; i < 1000; i++) command(bench, 0xe0);
  let read = 0;
  for (; (status(bench) & 1) !== 0; read++) assertEquals(data(bench), 0x03);
  assertEquals(read, 1 + 16, "the buffer, and what waits behind it");
  command(bench, 0xe0);
  command(bench, 0xc0);
  command(bench, 0xaa);
  assertEquals([data(bench), status(bench) & 1], [0x55, 0]);
});

Deno.test("i8042: a loaded one drives its lines", async () => {
  const first = await create();
  command(first, 0xdd);
  command(first, 0x60, 0x47);
  command(first, 0xd3, 0x5a);
  const second = await create();
  second.device.load(first.save());
  assertEquals([second.level("a20"), second.level("aux")], [false, true]);
  assertEquals(data(second), 0x5a);
  assertEquals(second.level("aux"), false);
});
