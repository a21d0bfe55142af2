import { assertEquals } from "@std/assert";
import { MemoryChar } from "../../../core/backend/memory_char.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import plugin from "./ns16550a.ts";

const IER = 1, IIR = 2, FCR = 2, LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7;

interface Setup {
  readonly bench: DeviceBench;
  readonly char: MemoryChar;
  readonly get: (register: number) => number;
  readonly set: (register: number, value: number) => void;
}

async function uart(): Promise<Setup> {
  const char = new MemoryChar();
  const bench = await DeviceBench.create(plugin, { char: { char } });
  return {
    bench,
    char,
    get: (register) => bench.read("registers", register),
    set: (register, value) => bench.write("registers", register, value),
  };
}

Deno.test("ns16550a: reset values", async () => {
  const { get } = await uart();
  assertEquals([1, 2, 3, 4, 5, 6, 7].map(get), [0, 1, 0, 0, 0x60, 0xb0, 0]);
});

Deno.test("ns16550a: scratch, divisor and interrupt enables", async () => {
  const { get, set } = await uart();
  set(SCR, 0xa5);
  assertEquals(get(SCR), 0xa5);
  set(LCR, 0x83);
  set(0, 0x34);
  set(1, 0x12);
  assertEquals([get(0), get(1), get(LCR)], [0x34, 0x12, 0x83]);
  set(LCR, 0x03);
  set(IER, 0xff);
  assertEquals(get(IER), 0x0f, "the upper bits are always 0");
});

Deno.test("ns16550a: output is sent in batches", async () => {
  const { char, set } = await uart();
  for (const c of "hello") set(0, c.charCodeAt(0));
  assertEquals(char.output, "");
  await Promise.resolve();
  assertEquals(char.output, "hello");
});

Deno.test("ns16550a: Linux' loopback test", async () => {
  const { get, set } = await uart();
  set(MCR, 0x1a);
  assertEquals(get(MSR) & 0xf0, 0x90);
  set(0, 0x55);
  assertEquals([get(LSR) & 1, get(0), get(LSR) & 1], [1, 0x55, 0]);
  set(MCR, 0x1f);
  assertEquals(get(MSR), 0xf2);
  // Only the trailing edge of RI is told.
  set(MCR, 0x1b);
  assertEquals(get(MSR), 0xb4);
  assertEquals(get(MSR), 0xb0);
});

Deno.test("ns16550a: the chip is a 16550A, not something newer", async () => {
  const { get, set } = await uart();
  set(FCR, 0x01);
  assertEquals(get(IIR) & 0xf0, 0xc0);
  set(LCR, 0xbf);
  assertEquals(get(IIR) & 0xf0, 0xc0, "there is no EFR");
  set(LCR, 0);
  set(FCR, 0x00);
  assertEquals(get(IIR) & 0xf0, 0x00);
});

Deno.test("ns16550a: the interrupt passes OUT2", async () => {
  const { bench, get, set } = await uart();
  set(IER, 0x02);
  assertEquals(bench.level("irq"), false);
  set(MCR, 0x08);
  assertEquals(bench.level("irq"), true);
  assertEquals(get(IIR), 0x02);
  assertEquals(bench.level("irq"), false, "reading IIR clears it");
  assertEquals(get(IIR), 0x01);
  set(0, 0x40);
  set(MCR, 0x18);
  assertEquals(bench.level("irq"), false, "in loopback OUT2 is a pin no more");
  set(MCR, 0x08);
  assertEquals([bench.level("irq"), get(IIR)], [true, 0x02]);
  // Each character raises it again, with an edge.
  bench.takeEdges("irq");
  set(0, 0x41);
  set(0, 0x42);
  assertEquals(bench.takeEdges("irq"), [true, false, true]);
  // So does enabling it anew.
  get(IIR);
  set(IER, 0x00);
  set(IER, 0x02);
  assertEquals(bench.level("irq"), true);
});

Deno.test("ns16550a: priorities", async () => {
  const { get, set } = await uart();
  set(MCR, 0x10);
  set(IER, 0x0f);
  set(0, 1);
  set(0, 2); // overrun
  const sources: number[] = [];
  sources.push(get(IIR));
  assertEquals(get(LSR), 0x63);
  assertEquals(get(LSR), 0x61, "reading clears the error");
  sources.push(get(IIR));
  assertEquals(get(0), 2, "without a FIFO the new one replaces the old");
  sources.push(get(IIR), get(IIR));
  get(MSR);
  sources.push(get(IIR));
  assertEquals(sources, [0x06, 0x04, 0x02, 0x00, 0x01]);
});

Deno.test("ns16550a: trigger level and timeout", async () => {
  const { bench, char, get, set } = await uart();
  set(LCR, 0x80);
  set(0, 1); // 115200
  set(LCR, 0x03);
  set(FCR, 0x81); // 8
  set(MCR, 0x08);
  set(IER, 0x01);
  await char.send("1234567");
  assertEquals(bench.level("irq"), false);
  assertEquals(get(LSR) & 1, 1);
  bench.advance(340_000);
  assertEquals(bench.level("irq"), false);
  bench.advance(10_000);
  assertEquals(get(IIR), 0xcc);
  get(0);
  assertEquals(get(IIR), 0xc1, "reading a character ends the timeout");
  bench.advance(350_000);
  assertEquals(get(IIR), 0xcc);
  for (let i = 0; i < 6; i++) get(0);
  await char.send("abcdefgh");
  assertEquals(get(IIR), 0xc4);
  bench.advance(350_000);
  assertEquals(get(IIR), 0xc4, "there is data; a timeout says less");
  get(0);
  assertEquals(get(IIR), 0xc1);
});

Deno.test("ns16550a: long input comes a FIFO at a time, nothing lost", async () => {
  const { bench, char, get, set } = await uart();
  set(FCR, 0xc1);
  const text = Array.from({ length: 20_000 }, (_, i) => i % 10).join("");
  let sent = false;
  const done = char.send(text).then(() => sent = true);
  await Promise.resolve();
  await Promise.resolve();
  assertEquals(sent, false, "the sender is held back");
  let read = "";
  while (read.length < text.length) {
    let burst = 0;
    while ((get(LSR) & 1) !== 0) {
      read += String.fromCharCode(get(0));
      burst++;
    }
    assertEquals(burst <= 16, true);
    bench.advance(10_000);
  }
  await done;
  assertEquals(read, text);
});

Deno.test("ns16550a: FCR clears the receiver", async () => {
  const { char, get, set } = await uart();
  set(FCR, 0x01);
  await char.send("abc");
  set(FCR, 0x03);
  assertEquals(get(LSR), 0x60);
  await char.send("d");
  assertEquals(get(0), 0x64);
  // So does switching the FIFOs on or off.
  await char.send("ef");
  set(FCR, 0x00);
  assertEquals(get(LSR), 0x60);
});

Deno.test("ns16550a: a divisor of 0 is one: its timeout comes in time", async () => {
  const { bench, char, get, set } = await uart();
  set(LCR, 0x80);
  set(0, 0);
  set(LCR, 0x03);
  set(FCR, 0x81);
  set(IER, 0x01);
  await char.send("1");
  bench.advance(340_000);
  assertEquals(get(IIR), 0xc1);
  bench.advance(10_000);
  assertEquals(get(IIR), 0xcc);
});

Deno.test("ns16550a: what the host has sent waits for a loopback's end and for a reset's", async () => {
  const { bench, char, get, set } = await uart();
  set(MCR, 0x10);
  await char.send("abc");
  assertEquals(get(LSR), 0x60);
  set(MCR, 0x00);
  assertEquals([get(LSR), get(0)], [0x61, 0x61]);
  bench.advance(10_000);
  assertEquals(get(LSR), 0x61);
  bench.device.reset();
  assertEquals([get(LSR), get(0)], [0x61, 0x63], "its character is gone");
});

Deno.test("ns16550a: a slow host makes the guest wait", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let taken = 0;
  const char = {
    write: (bytes: Uint8Array) => {
      taken += bytes.length;
      return promise;
    },
    onInput() {},
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const bench = await DeviceBench.create(plugin, { char: { char } });
  bench.write("registers", 0, 0x41);
  await Promise.resolve();
  assertEquals(taken, 1);
  let count = 0;
  while ((bench.read("registers", LSR) & 0x20) !== 0) {
    bench.write("registers", 0, 0x42);
    count++;
  }
  assertEquals(count, 65536);
  bench.write("registers", IER, 0x02);
  assertEquals(bench.read("registers", IIR), 0x01);
  resolve();
  await promise;
  await Promise.resolve();
  assertEquals(taken, count + 1);
  assertEquals(bench.read("registers", LSR), 0x60);
  assertEquals(bench.read("registers", IIR), 0x02);
});
