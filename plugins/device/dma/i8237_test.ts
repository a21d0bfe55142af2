import { assertEquals, assertThrows } from "@std/assert";
import { DeviceBench } from "../../../core/machine/testing.ts";
import plugin, { type I8237 } from "./i8237.ts";

type Bench = DeviceBench<I8237>;
type Region = "dma1" | "dma2";

const PAGE = [0x7, 0x3, 0x1, 0x2, 0xf, 0xb, 0x9, 0xa];
/** Mode register: single mode, by the type of transfer. */
const VERIFY = 0x40;
const WRITE = 0x44;
const READ = 0x48;
const AUTO = 0x10;
const DOWN = 0x20;

async function controllers(): Promise<Bench> {
  const bench = await DeviceBench.create<I8237>(plugin, { ram: 1 << 20 });
  bench.device.reset();
  for (let i = 0; i < bench.ram.length; i++) bench.ram[i] = i ^ i >> 8;
  return bench;
}

/** Write a register of the controller of a channel. */
function out(bench: Bench, channel: number, register: number, value: number) {
  const region: Region = channel < 4 ? "dma1" : "dma2";
  bench.write(region, channel < 4 ? register : register * 2, value);
}

function inb(bench: Bench, channel: number, register: number): number {
  const region: Region = channel < 4 ? "dma1" : "dma2";
  return bench.read(region, channel < 4 ? register : register * 2);
}

/** Program a channel as a driver does, and unmask it. */
function program(
  bench: Bench,
  channel: number,
  mode: number,
  page: number,
  address: number,
  count: number,
): void {
  const n = channel & 3;
  out(bench, channel, 10, 4 | n);
  out(bench, channel, 12, 0);
  out(bench, channel, 11, mode | n);
  out(bench, channel, n * 2, address & 0xff);
  out(bench, channel, n * 2, address >> 8);
  out(bench, channel, n * 2 + 1, count & 0xff);
  out(bench, channel, n * 2 + 1, count >> 8);
  bench.write("page", PAGE[channel], page);
  out(bench, channel, 10, n);
}

function current(bench: Bench, channel: number): number[] {
  const n = channel & 3;
  out(bench, channel, 12, 0);
  return [n * 2, n * 2 + 1].map((register) =>
    inb(bench, channel, register) | inb(bench, channel, register) << 8
  );
}

const bytes = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => i * 7 + 1);

Deno.test("i8237: bytes go to memory and the count ends them", async () => {
  const bench = await controllers();
  const channel = bench.device.attach("floppy", 2, () => {});
  program(bench, 2, WRITE, 3, 0x1000, 99);
  assertEquals(channel.transfer(bytes(60), true), 60);
  assertEquals(channel.terminalCount, false);
  assertEquals(current(bench, 2), [0x103c, 39]);
  assertEquals(channel.transfer(bytes(60), true), 40);
  assertEquals(channel.terminalCount, true);
  assertEquals(bench.ram.subarray(0x31000, 0x3103c), bytes(60));
  assertEquals(bench.ram.subarray(0x3103c, 0x31064), bytes(40));
  // The status tells the terminal count once; the channel is masked.
  assertEquals([inb(bench, 2, 8), inb(bench, 2, 8)], [0x04, 0]);
  assertEquals(current(bench, 2), [0x1064, 0xffff]);
  assertEquals(inb(bench, 2, 15), 0x0f);
  assertEquals(channel.transfer(bytes(1), true), 0);
  assertEquals(channel.terminalCount, false);
});

Deno.test("i8237: bytes come from memory, and none of the wrong way", async () => {
  const bench = await controllers();
  const channel = bench.device.attach("sound", 1, () => {});
  program(bench, 1, READ, 1, 0x200, 255);
  const into = new Uint8Array(16);
  assertEquals(channel.transfer(into, false), 16);
  assertEquals(into, bench.ram.slice(0x10200, 0x10210));
  const before = bench.ram.slice();
  assertEquals(channel.transfer(bytes(16), true), 16);
  assertEquals(bench.ram, before);
  assertEquals(current(bench, 1), [0x220, 223]);
  program(bench, 1, WRITE, 1, 0x200, 255);
  assertEquals(channel.transfer(into, false), 16);
  assertEquals(into, new Uint8Array(16).fill(0xff));
});

Deno.test("i8237: verify counts without memory", async () => {
  const bench = await controllers();
  const channel = bench.device.attach("floppy", 2, () => {});
  program(bench, 2, VERIFY, 0, 0xfff0, 31);
  const before = bench.ram.slice();
  assertEquals(channel.transfer(bytes(32), true), 32);
  assertEquals(channel.terminalCount, true);
  assertEquals(current(bench, 2)[0], 0x0010);
  program(bench, 2, VERIFY | DOWN, 0, 0x10, 31);
  assertEquals(channel.transfer(bytes(32), true), 32);
  assertEquals(current(bench, 2)[0], 0xfff0);
  assertEquals(bench.ram, before);
});

Deno.test("i8237: the address wraps within the page", async () => {
  const bench = await controllers();
  const channel = bench.device.attach("floppy", 2, () => {});
  program(bench, 2, WRITE, 2, 0xfffc, 7);
  assertEquals(channel.transfer(bytes(8), true), 8);
  assertEquals(bench.ram.subarray(0x2fffc, 0x30000), bytes(4));
  assertEquals(bench.ram.subarray(0x20000, 0x20004), bytes(8).subarray(4));
});

Deno.test("i8237: channels 5 to 7 move words, and A16 is the count's", async () => {
  const bench = await controllers();
  const channel = bench.device.attach("sound", 5, () => {});
  // Bit 0 of the page is left out; the address counts words.
  program(bench, 5, WRITE, 3, 0xfffe, 3);
  assertEquals(channel.transfer(bytes(9), true), 8);
  assertEquals(channel.terminalCount, true);
  assertEquals(bench.ram.subarray(0x3fffc, 0x40000), bytes(4));
  assertEquals(bench.ram.subarray(0x20000, 0x20004), bytes(8).subarray(4));
  // The other controller's flip-flop, mask and status are its own.
  assertEquals([inb(bench, 5, 8), inb(bench, 0, 8)], [0x02, 0]);
});

Deno.test("i8237: autoinitialisation loads both base registers", async () => {
  const bench = await controllers();
  const channel = bench.device.attach("sound", 1, () => {});
  program(bench, 1, READ | AUTO, 0, 0x100, 9);
  const into = new Uint8Array(25);
  assertEquals(channel.transfer(into, false), 10);
  assertEquals(channel.terminalCount, true);
  assertEquals(current(bench, 1), [0x100, 9]);
  assertEquals(channel.transfer(into.subarray(10), false), 10);
  assertEquals(into.subarray(0, 10), into.subarray(10, 20));
  assertEquals(inb(bench, 1, 15) & 2, 0);
});

Deno.test("i8237: decrementing addresses", async () => {
  const bench = await controllers();
  const channel = bench.device.attach("floppy", 2, () => {});
  program(bench, 2, WRITE | DOWN, 0, 0x1, 3);
  assertEquals(channel.transfer(bytes(4), true), 4);
  assertEquals([bench.ram[1], bench.ram[0]], [1, 8]);
  assertEquals([bench.ram[0xffff], bench.ram[0xfffe]], [15, 22]);
  const words = bench.device.attach("sound", 6, () => {});
  program(bench, 6, WRITE | DOWN, 4, 0x10, 1);
  assertEquals(words.transfer(bytes(4), true), 4);
  assertEquals(bench.ram.subarray(0x40020, 0x40022), bytes(2));
  assertEquals(bench.ram.subarray(0x4001e, 0x40020), bytes(4).subarray(2));
});

Deno.test("i8237: a channel that becomes free calls who waits", async () => {
  const bench = await controllers();
  let calls = 0;
  const channel = bench.device.attach("floppy", 2, () => calls++);
  channel.request(true);
  assertEquals(inb(bench, 2, 8), 0x40);
  out(bench, 2, 10, 2);
  assertEquals(calls, 1);
  out(bench, 2, 8, 4); // disabled
  assertEquals([calls, channel.transfer(bytes(1), true)], [1, 0]);
  out(bench, 2, 8, 0);
  assertEquals(calls, 2);
  // The other controller carries the requests of this one.
  out(bench, 4, 10, 4);
  assertEquals([calls, channel.transfer(bytes(1), true)], [2, 0]);
  out(bench, 4, 10, 0);
  assertEquals([calls, channel.transfer(bytes(1), true)], [3, 1]);
  // What masters the bus itself uses no address of the channel.
  out(bench, 2, 11, 0xc2);
  assertEquals(channel.transfer(bytes(1), true), 0);
  channel.request(false);
  assertEquals(inb(bench, 2, 8) >> 4, 0);
});

Deno.test("i8237: without a cascade there are no channels 0 to 3", async () => {
  const bench = await controllers();
  const channel = bench.device.attach("floppy", 2, () => {});
  program(bench, 2, WRITE, 0, 0, 31);
  out(bench, 4, 11, 0x40);
  assertEquals(channel.transfer(bytes(1), true), 0);
  out(bench, 4, 11, 0xc0);
  assertEquals(channel.transfer(bytes(1), true), 1);
});

Deno.test("i8237: a request by software runs in block mode, masked or not", async () => {
  const bench = await controllers();
  program(bench, 3, 0x84, 5, 0x100, 15);
  out(bench, 3, 10, 7);
  out(bench, 3, 9, 7);
  assertEquals(bench.ram.subarray(0x50100, 0x50110), bytes(16).fill(0xff));
  assertEquals(bench.ram[0x50110], 0x10 ^ 0x01);
  assertEquals(inb(bench, 3, 8), 0x08);
  // In single mode it waits, until it is taken back.
  program(bench, 3, WRITE, 5, 0x200, 15);
  out(bench, 3, 9, 7);
  assertEquals(inb(bench, 3, 8), 0x80);
  out(bench, 3, 9, 3);
  assertEquals([inb(bench, 3, 8), bench.ram[0x50200]], [0, 0x02]);
});

Deno.test("i8237: master clear, clear mask and all masks", async () => {
  const bench = await controllers();
  out(bench, 0, 15, 5);
  assertEquals(inb(bench, 0, 15), 5);
  out(bench, 0, 14, 0);
  assertEquals(inb(bench, 0, 15), 0);
  out(bench, 0, 0, 0x12); // the flip-flop is at the high byte now
  out(bench, 0, 8, 0xff);
  out(bench, 0, 13, 0);
  assertEquals(inb(bench, 0, 15), 15);
  out(bench, 0, 0, 0x34);
  assertEquals(current(bench, 0)[0], 0x34);
  assertEquals(inb(bench, 0, 13), 0);
  // The command's disabling goes, too.
  const channel = bench.device.attach("floppy", 2, () => {});
  program(bench, 2, WRITE, 0, 0, 31);
  out(bench, 2, 8, 4);
  assertEquals(channel.transfer(bytes(1), true), 0);
  out(bench, 2, 13, 0);
  out(bench, 2, 14, 0);
  assertEquals(channel.transfer(bytes(1), true), 1);
});

Deno.test("i8237: a channel has one device", async () => {
  const bench = await controllers();
  bench.device.attach("floppy", 2, () => {});
  assertThrows(
    () => bench.device.attach("sound", 2, () => {}),
    Error,
    'devices "floppy" and "sound" are both on DMA channel 2',
  );
  assertThrows(() => bench.device.attach("sound", 4, () => {}), Error);
});

Deno.test("i8237: the page registers keep what is written, port 80h too", async () => {
  const bench = await controllers();
  for (let port = 0; port < 16; port++) bench.write("page", port, port * 17);
  for (let port = 0; port < 16; port++) {
    assertEquals(bench.read("page", port), port * 17);
  }
});
