import { assertEquals, assertRejects } from "@std/assert";
import type { BlockBackend } from "../../../core/backend/block.ts";
import type { DevicePlugin } from "../../../core/machine/plugin.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import pflash from "./pflash.ts";

const CODE_BYTES = 256 * 1024;
const VARS_BYTES = 32 * 1024;
const CODE_BASE = 2 ** 32 - CODE_BYTES;
const VARS_BASE = CODE_BASE - VARS_BYTES;

/** An image in memory. */
class Image implements BlockBackend {
  readonly bytes: Uint8Array;
  readonly readOnly: boolean;
  /** Settled requests wait for it. */
  gate: Promise<void> = Promise.resolve();
  writes = 0;
  /** Where they went. */
  readonly places: number[] = [];
  failing = false;

  constructor(size: number, readOnly = false) {
    this.bytes = Uint8Array.from({ length: size }, (_, i) => i * 7 + (i >> 8));
    this.readOnly = readOnly;
  }

  get size(): number {
    return this.bytes.length;
  }
  read(offset: number, length: number): Promise<Uint8Array> {
    return Promise.resolve(this.bytes.slice(offset, offset + length));
  }
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.writes++;
    this.places.push(offset);
    await this.gate;
    if (this.failing) throw new Error("the disk is full");
    this.bytes.set(bytes, offset);
  }
  discard(): Promise<void> {
    return Promise.resolve();
  }
  writeZeroes(): Promise<void> {
    return Promise.resolve();
  }
  flush(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The plugin with images, which the bench has not. */
function withImages(images: Record<string, BlockBackend>): DevicePlugin {
  return {
    ...pflash,
    create: (config, context) =>
      pflash.create(config, { ...context, block: (role) => images[role] }),
  };
}

async function chips(readOnly = false) {
  const code = new Image(CODE_BYTES, true);
  const vars = new Image(VARS_BYTES, readOnly);
  const images = { flash0: code, flash1: vars };
  const bench = await DeviceBench.create(withImages(images));
  const put = (offset: number, ...values: number[]): void => {
    for (const value of values) {
      bench.memory.write(VARS_BASE + offset, 1, value);
    }
  };
  const get = (offset: number): number =>
    bench.memory.read(VARS_BASE + offset, 1);
  return { bench, code, vars, put, get };
}

/** Lets a backend's promises settle. */
const settle = () => new Promise((done) => setTimeout(done));

Deno.test("pflash: the chips end at 4 GiB, and the first is seen below 1 MiB", async () => {
  const { bench, code, vars } = await chips();
  const { memory } = bench;
  for (const at of [0, 1, CODE_BYTES - 16]) {
    assertEquals(memory.read(CODE_BASE + at, 1), code.bytes[at]);
  }
  assertEquals(memory.read(VARS_BASE, 1), vars.bytes[0]);
  const low = CODE_BYTES - 128 * 1024;
  assertEquals(memory.read(0xe0000, 1), code.bytes[low]);
  assertEquals(memory.read(0xfffff, 1), code.bytes[CODE_BYTES - 1]);
  assertEquals(memory.lookupPage(CODE_BASE / 4096).kind, "rom");
  assertEquals(memory.lookupPage(VARS_BASE / 4096 - 1).kind, "none");
});

Deno.test("pflash: OVMF tells the chip from RAM and ROM", async () => {
  const { put, get } = await chips();
  const before = get(5);
  put(5, 0x50);
  assertEquals(get(5), before, "no RAM");
  put(5, 0x70);
  assertEquals(get(5), 0, "a cleared status");
  put(5, 0xff);
  assertEquals(get(5), before);
});

Deno.test("pflash: bytes are programmed, sectors erased, and the image has them", async () => {
  const { bench, vars, put, get } = await chips();
  const page = VARS_BASE / 4096 + 1;
  put(0x1003, 0x40);
  assertEquals(bench.memory.lookupPage(page).kind, "io");
  put(0x1003, 0xa5);
  assertEquals(get(0), 0x80, "ready");
  put(0x1003, 0x10, 0x5a);
  put(0x1003, 0xff);
  assertEquals(bench.memory.lookupPage(page).kind, "rom");
  assertEquals(get(0x1003), 0x5a);
  await settle();
  assertEquals(vars.bytes[0x1003], 0x5a);
  const neighbours = [vars.bytes[0xfff], vars.bytes[0x2000]];
  put(0x1234, 0x20, 0xd0, 0xff);
  assertEquals([get(0x1000), get(0x1003), get(0x1fff)], [0xff, 0xff, 0xff]);
  assertEquals([get(0xfff), get(0x2000)], neighbours);
  await settle();
  assertEquals(
    vars.bytes.slice(0x1000, 0x2000),
    new Uint8Array(4096).fill(255),
  );
});

Deno.test("pflash: the write buffer programs one block when it is confirmed", async () => {
  const { put, get, vars } = await chips();
  put(0x200, 0xe8, 3);
  for (let i = 0; i < 4; i++) put(0x2fc + i, 0x11 * (i + 1));
  put(0x200, 0xff);
  assertEquals(get(0x2fc), vars.bytes[0x2fc], "not confirmed");
  put(0x200, 0xe8, 3);
  for (let i = 0; i < 4; i++) put(0x2fc + i, 0x11 * (i + 1));
  put(0x200, 0xd0);
  assertEquals(get(0x200), 0x80);
  put(0x200, 0xff);
  assertEquals([0, 1, 2, 3].map((i) => get(0x2fc + i)), [17, 34, 51, 68]);
  // Beyond its block programming fails, and nothing is changed.
  put(0x200, 0xe8, 1);
  put(0x2ff, 0xaa);
  put(0x300, 0xaa);
  put(0x200, 0x70);
  put(0x200, 0x70);
  assertEquals(get(0x200), 0x90);
  put(0x200, 0xff);
  assertEquals(get(0x2ff), 68);
});

Deno.test("pflash: a query says how large the chip and its sectors are", async () => {
  const { put, get } = await chips();
  put(0x55, 0x98);
  const text = (at: number, length: number): string =>
    String.fromCharCode(...Array.from({ length }, (_, i) => get(at + i)));
  assertEquals(text(0x10, 3), "QRY");
  assertEquals(text(get(0x15), 3), "PRI");
  assertEquals(2 ** get(0x27), VARS_BYTES);
  const sectors = 1 + get(0x2d) + get(0x2e) * 256;
  assertEquals(sectors * (get(0x2f) * 256 + get(0x30) * 65536), VARS_BYTES);
  assertEquals(2 ** get(0x2a), 256);
  put(0, 0x70);
  assertEquals(get(0x10), "Q".charCodeAt(0), "only a reset ends it");
  put(0, 0xff, 0x90);
  assertEquals([get(0), get(1)], [0, 0]);
});

Deno.test("pflash: lock bits are accepted, what is no command is not", async () => {
  const { bench, put, get } = await chips();
  for (const confirm of [0x01, 0xd0]) {
    put(0, 0x50, 0x60, confirm);
    assertEquals(get(0), 0x80);
  }
  put(0, 0xff);
  const before = get(0);
  put(0, 0x33);
  assertEquals(get(0), before);
  assertEquals(bench.log.length, 1);
});

Deno.test("pflash: an image that takes no writes is neither programmed nor erased", async () => {
  const { vars, put, get } = await chips(true);
  const before = vars.bytes.slice();
  put(7, 0x40, 0x00);
  assertEquals(get(7), 0x90);
  put(7, 0x50, 0x20, 0xd0);
  assertEquals(get(7), 0xa0);
  put(7, 0x50, 0xe8, 0, 0x11, 0xd0);
  put(7, 0xff);
  await settle();
  assertEquals(get(7), before[7]);
  assertEquals(vars.writes, 0);
});

Deno.test("pflash: what is programmed while the image is written goes there too", async () => {
  const { bench, vars, put } = await chips();
  const gate = Promise.withResolvers<void>();
  vars.gate = gate.promise;
  put(0, 0x40, 1);
  await settle();
  for (let i = 1; i < 200; i++) put(i, 0x40, i);
  put(0, 0xff);
  gate.resolve();
  await settle();
  assertEquals(
    vars.bytes.slice(1, 200),
    Uint8Array.from({ length: 199 }, (_, i) => i + 1),
  );
  assertEquals(vars.writes, 2);
  vars.failing = true;
  put(0, 0x40, 9);
  await settle();
  assertEquals(bench.log.length, 1);
});

Deno.test("pflash: the image gets sectors in the guest's order, whatever it does", async () => {
  const { vars, put } = await chips();
  const gate = Promise.withResolvers<void>();
  vars.gate = gate.promise;
  // A record, what it announces (all of it in one request), the record again.
  put(0x3000, 0x40, 0x7f);
  for (let i = 0; i < 4096; i++) put(0x1000 + i, 0x40, i & 0xff);
  put(0x3000, 0x40, 0x3f);
  put(0x2000, 0x20, 0xd0, 0xff);
  // A machine that ends now has given all of it.
  await Promise.resolve();
  assertEquals(vars.places, [0x3000, 0x1000, 0x3000, 0x2000]);
  gate.resolve();
  await settle();
  assertEquals([vars.bytes[0x3000], vars.bytes[0x10ff]], [0x3f, 0xff]);
});

Deno.test("pflash: an image that takes nothing is not given ever more", async () => {
  const { vars, put } = await chips();
  const gate = Promise.withResolvers<void>();
  vars.gate = gate.promise;
  for (let i = 0; i < 3000; i++) put(i % 2 * 0x1000 + (i & 0xfff), 0x40, i);
  await settle();
  const waiting = vars.writes;
  gate.resolve();
  await settle();
  assertEquals([waiting, vars.writes - waiting], [1024, 2]);
  assertEquals([vars.bytes[2998], vars.bytes[0x1000 + 2999]], [0xb6, 0xb7]);
});

Deno.test("pflash: a reset shows the bytes, which stay", async () => {
  const { bench, put, get } = await chips();
  put(9, 0x40, 0x77);
  bench.device.reset();
  assertEquals(get(9), 0x77);
  put(9, 0x40);
  const saved = bench.device.save();
  put(9, 0x12, 0xff);
  bench.device.load(saved);
  put(9, 0x34);
  put(9, 0xff);
  assertEquals(get(9), 0x34);
});

Deno.test("pflash: images that do not fit are refused", async () => {
  const refused = async (flash0: number, flash1: number, text: string) => {
    const images = { flash0: new Image(flash0), flash1: new Image(flash1) };
    await assertRejects(
      () => DeviceBench.create(withImages(images)),
      Error,
      text,
    );
  };
  await refused(512, 4096, "expected a multiple of 4K");
  await refused(8192 * 1024, 4096, "8M at most");
  await refused(8192 * 1024 + 4096, 4096, "8M at most");
});
