/** Pictures by registers on the bench; `tests/devices/vga_pictures_test.ts` compares them with QEMU's. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { PciBenchBus } from "../../../core/bus/pci_testing.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import { edid } from "./edid.ts";
import vga, { type Vga } from "./vga.ts";
import vgaPci, { type VgaPci } from "./vga_pci.ts";

type Bench = DeviceBench<Vga>;

const create = (): Promise<Bench> =>
  DeviceBench.create<Vga>(vga, { config: { memory: 0x100000 } });

/** Set an indexed register. */
function set(bench: Bench, port: number, index: number, value: number): void {
  const region = port === 0x3d4 ? "colour" : "registers";
  const at = port === 0x3d4 ? 0 : port - 0x3c0;
  bench.write(region, at, index);
  bench.write(region, at + 1, value);
}

/** Set a register of the attribute controller. */
function setAttr(bench: Bench, index: number, value: number): void {
  bench.read("colour", 6);
  bench.write("registers", 0, index | 0x20);
  bench.write("registers", 0, value);
}

/** Set a register of the Bochs VBE. */
function dispi(bench: Bench, index: number, value: number): void {
  bench.write("dispi", 0, index, 2);
  bench.write("dispi", 1, value, 2);
}

const readDispi = (bench: Bench, index: number): number => {
  bench.write("dispi", 0, index, 2);
  return bench.read("dispi", 1, 2);
};

/** A pixel as 00RRGGBBh. */
function pixel(bench: Bench, x: number, y: number): number {
  const { width, pixels } = bench.device.look(0);
  return new DataView(pixels.buffer).getUint32(4 * (y * width + x), true);
}

/** A glyph of full lines for a character, and the character in the first cell. */
function showBlock(bench: Bench, character: number, attribute: number): void {
  set(bench, 0x3c4, 2, 4);
  set(bench, 0x3c4, 4, 6);
  set(bench, 0x3ce, 5, 0);
  set(bench, 0x3ce, 6, 4);
  for (let line = 0; line < 16; line++) {
    bench.write("window", character * 32 + line, 0xff);
  }
  set(bench, 0x3c4, 2, 3);
  set(bench, 0x3c4, 4, 2);
  set(bench, 0x3ce, 5, 0x10);
  set(bench, 0x3ce, 6, 14);
  bench.write("window", 0x18000, character | attribute << 8, 2);
}

const GREY = 0xa8a8a8;
const BLUE = 0x0000a8;

Deno.test("vga picture: text, the ninth dot, underline and page", async () => {
  const bench = await create();
  // The cursor is off.
  set(bench, 0x3d4, 0x0a, 0x20);
  const { width, height } = bench.device.look(0);
  assertEquals([width, height], [720, 400]);
  showBlock(bench, 0x41, 0x17);
  assertEquals([0, 7, 8, 9].map((x) => pixel(bench, x, 15)), [
    ...[GREY, GREY, BLUE, 0],
  ]);
  showBlock(bench, 0xdb, 0x17);
  assertEquals(pixel(bench, 8, 0), GREY, "it joins the next cell");
  showBlock(bench, 0xb1, 0x17);
  assertEquals(pixel(bench, 8, 0), BLUE);
  setAttr(bench, 0x10, 0x08);
  showBlock(bench, 0xdb, 0x17);
  assertEquals(pixel(bench, 8, 0), BLUE, "line graphics are off");
  // Underline is for monochrome text alone.
  bench.write("window", 0x18000, 0x0120, 2);
  set(bench, 0x3d4, 0x14, 12);
  assertEquals(pixel(bench, 3, 12), 0);
  setAttr(bench, 0x10, 0x0a);
  assertEquals([11, 12, 13].map((y) => pixel(bench, 8, y)), [0, BLUE, 0]);
});

Deno.test("vga picture: after power-on there is a font", async () => {
  const bench = await create();
  set(bench, 0x3d4, 0x0a, 0x20);
  bench.write("window", 0x18000, 0x41);
  const rows = Array.from(
    { length: 16 },
    (_, y) =>
      Array.from({ length: 9 }, (_, x) => pixel(bench, x, y) === 0 ? "." : "#")
        .join("").trimEnd(),
  );
  assertEquals(rows, [
    ".........",
    ".........",
    "...#.....",
    "..###....",
    ".##.##...",
    "##...##..",
    "##...##..",
    "#######..",
    "##...##..",
    "##...##..",
    "##...##..",
    "##...##..",
    ".........",
    ".........",
    ".........",
    ".........",
  ]);
});

Deno.test("vga picture: the cursor and text blink, and a watcher is told when", async () => {
  const bench = await create();
  showBlock(bench, 0xdb, 0x87);
  let told = 0;
  const look = () => {
    bench.device.watchPicture(() => told++);
    return bench.device.look(0);
  };
  // On its lines 13 and 14 there is the cursor; the text is all ink.
  bench.write("window", 0x18002, 0x8720, 2);
  set(bench, 0x3d4, 0x0f, 1);
  look();
  assertEquals([pixel(bench, 0, 0), pixel(bench, 9, 13)], [GREY, GREY]);
  bench.device.watchPicture(() => told++);
  // 8 pictures of 449 lines of 900 dots at 28.322 MHz.
  const half = 8 * 449 * 900 / 28_322_000 * 1e9;
  told = 0;
  bench.advance(Math.ceil(half));
  assert(told > 0);
  assertEquals([pixel(bench, 0, 0), pixel(bench, 9, 13)], [GREY, 0]);
  bench.device.watchPicture(() => told++);
  told = 0;
  bench.advance(Math.ceil(half));
  assertEquals(told, 1);
  assertEquals([pixel(bench, 0, 0), pixel(bench, 9, 13)], [0, GREY]);
  // Nobody watches: no timer runs.
  assertEquals(bench.clock.nextDeadline(), Infinity);
  // Nothing blinks: no timer runs for a watcher.
  bench.write("window", 0x18000, 0x07200720, 4);
  set(bench, 0x3d4, 0x0a, 0x20);
  bench.device.look(0);
  bench.device.watchPicture(() => told++);
  assertEquals(bench.clock.nextDeadline(), Infinity);
});

Deno.test("vga picture: the cursor's skew moves it, in text too", async () => {
  const bench = await create();
  set(bench, 0x3d4, 0x0f, 0x51);
  bench.write("window", 0x18000 + 2 * 0x53, 0x0720, 2);
  // Lines 13 and 14; skews are 0 to 3 cells.
  for (let skew = 0; skew < 4; skew++) {
    set(bench, 0x3d4, 0x0b, skew << 5 | 14);
    const seen = [0, 1, 2, 3].map((n) => pixel(bench, 9 * (1 + n), 16 + 13));
    assertEquals(seen.map((colour) => colour === GREY), [
      ...[0, 1, 2, 3].map((n) => n === skew),
    ]);
    const { row, column } = bench.device.text()!.cursor!;
    assertEquals([row, column], [1, 1 + skew]);
  }
});

Deno.test("vga picture: a look tells what has changed, each watcher hears once", async () => {
  const bench = await create();
  set(bench, 0x3d4, 0x0a, 0x20);
  showBlock(bench, 0xdb, 0x07);
  const first = bench.device.look(0);
  const told = [0, 0];
  const watch = () =>
    told.forEach((_, i) => bench.device.watchPicture(() => told[i]++));
  watch();
  assertEquals(bench.device.look(first.generation).changed, []);
  assertEquals(told, [0, 0]);
  bench.write("window", 0x18000 + 2 * (80 * 24 + 79), 0xdb);
  bench.write("window", 0x18000 + 2 * (80 * 24 + 78), 0xdb);
  assertEquals(told, [1, 1]);
  const { changed, generation } = bench.device.look(first.generation);
  assertEquals(changed, [{ x: 640, y: 384, width: 80, height: 16 }]);
  assertNotEquals(generation, first.generation);
  // The screen goes off; its size stays.
  bench.read("colour", 6);
  bench.write("registers", 0, 0);
  assertEquals(pixel(bench, 719, 399), 0);
  assertEquals(bench.device.look(0).width, 720);
});

Deno.test("vga picture: a store to the frame buffer is told of after a look", async () => {
  const bench = await create();
  dispi(bench, 1, 640);
  dispi(bench, 2, 480);
  dispi(bench, 3, 32);
  dispi(bench, 4, 0x41);
  let told = 0;
  const { generation, width, height } = bench.device.look(0);
  assertEquals([width, height], [640, 409], "1 MiB has no more lines");
  bench.device.watchPicture(() => told++);
  bench.write("framebuffer", 4 * (640 * 100 + 5), 0xff123456, 4);
  assertEquals(told, 1);
  assertEquals(bench.device.look(generation).changed, [
    { x: 0, y: 96, width: 64, height: 16 },
  ]);
  assertEquals(pixel(bench, 5, 100), 0x123456);
  // By the window too, where the bank is.
  dispi(bench, 5, 3);
  bench.write("window", 0, 0x99);
  assertEquals(bench.read("framebuffer", 0x30000), 0x99);
  assertEquals(bench.read("window", 0), 0x99);
});

Deno.test("vga picture: PEL mask and the DAC's width", async () => {
  const bench = await create();
  dispi(bench, 1, 640);
  dispi(bench, 2, 400);
  dispi(bench, 3, 8);
  dispi(bench, 4, 0x61);
  bench.write("registers", 8, 5);
  for (const level of [0xff, 0x81, 0x02]) bench.write("registers", 9, level);
  bench.write("framebuffer", 0, 0xf5);
  bench.write("registers", 6, 0x0f);
  assertEquals(pixel(bench, 0, 0), 0xff8102);
  dispi(bench, 4, 0x41);
  bench.write("registers", 8, 5);
  for (const level of [0xff, 0x81, 0x02]) bench.write("registers", 9, level);
  assertEquals(pixel(bench, 0, 0), 0xff0708);
});

Deno.test("vga picture: VBE modes of 4 bits are planes", async () => {
  const bench = await create();
  dispi(bench, 1, 640);
  dispi(bench, 2, 400);
  dispi(bench, 3, 4);
  dispi(bench, 4, 0x41);
  set(bench, 0x3ce, 5, 2);
  set(bench, 0x3ce, 8, 0xff);
  set(bench, 0x3c4, 2, 15);
  set(bench, 0x3c4, 4, 6);
  // Write mode 2: a colour for eight pixels, in line 2 and the last one.
  bench.write("window", 2 * 80 + 1, 9);
  dispi(bench, 5, 1);
  dispi(bench, 6, 1600);
  bench.write("window", 399 * 200 - 0x10000, 4);
  assertEquals(pixel(bench, 0, 399), 0xa80000);
  dispi(bench, 6, 640);
  assertEquals([7, 8, 15, 16].map((x) => pixel(bench, x, 2)), [
    ...[0, 0x5757ff, 0x5757ff, 0],
  ]);
  dispi(bench, 8, 5);
  dispi(bench, 9, 1);
  assertEquals([2, 3, 10, 11].map((x) => pixel(bench, x, 1)), [
    ...[0, 0x5757ff, 0x5757ff, 0],
  ]);
});

Deno.test("vga: values of the VBE that cannot be become ones that can", async () => {
  const bench = await create();
  assertEquals(readDispi(bench, 0), 0xb0c5);
  assertEquals(readDispi(bench, 10), 16);
  dispi(bench, 0, 0xb0c2);
  dispi(bench, 0, 0x1234);
  assertEquals(readDispi(bench, 0), 0xb0c2);
  dispi(bench, 4, 2);
  assertEquals([1, 2, 3].map((i) => readDispi(bench, i)), [4096, 4096, 32]);
  dispi(bench, 4, 1);
  let x = 99;
  const random = (): number => {
    x = Math.imul(x, 1664525) + 1013904223 >>> 0;
    return x >>> 16;
  };
  for (let i = 0; i < 2000; i++) {
    const index = 1 + random() % 9;
    dispi(bench, index, index === 4 ? random() | 1 : random() & 0xfff);
    if (i % 100 !== 0) continue;
    const { width, height, pixels } = bench.device.look(0);
    assertEquals(pixels.length, 4 * width * height);
    if ((readDispi(bench, 4) & 2) === 0) {
      const [bpp, virtual] = [readDispi(bench, 3), readDispi(bench, 6)];
      const pitch = virtual * (bpp === 15 ? 16 : bpp) / 8;
      assert(virtual >= width && pitch * height <= 0x100000);
    }
    bench.read("window", random() & 0xffff);
  }
});

Deno.test("vga: a record with values that cannot be is loaded as the nearest", async () => {
  const bench = await create();
  dispi(bench, 1, 640);
  dispi(bench, 2, 480);
  dispi(bench, 3, 8);
  dispi(bench, 4, 1);
  const good = bench.save();
  bench.device.load(good);
  assertEquals(bench.save(), good);
  // Whole registers at a time, then numbers here and there.
  const absurd = [1e9, -1, 0.5, NaN, Infinity, 2 ** 32, 0xffff];
  const numbers = Object.keys(good).filter((key) =>
    typeof good[key] === "number"
  );
  for (const value of absurd) {
    const registers = (good.dispi as number[]).map((old, i) =>
      i === 4 ? 1 : i === 3 && value === 1e9 ? old : value
    );
    bench.device.load({ ...good, dispi: registers });
    const { width, height } = bench.device.look(0);
    assert(width >= 8 && width <= 4096 && height >= 1 && height <= 4096);
    for (let index = 0; index <= 10; index++) {
      const now = readDispi(bench, index);
      assert(now >= 0 && now <= 0xffff && Number.isInteger(now), `${index}`);
    }
    assertEquals(bench.read("window", 0x8000) & ~0xff, 0);
    bench.write("window", 0x8000, 1);
    for (const key of numbers) {
      bench.device.load({ ...good, [key]: value });
      for (let port = 0; port < 16; port++) {
        const byte = bench.read("registers", port);
        assert(byte >= 0 && byte <= 0xff && Number.isInteger(byte), key);
        if (port < 4) bench.write("registers", 9, 0x15);
      }
      readDispi(bench, 1);
      bench.device.look(0);
      bench.device.text();
      const saved = bench.save();
      bench.device.load(saved);
      assertEquals(bench.save(), saved, key);
    }
  }
});

Deno.test("vga: any registers make a picture of a bounded size", async () => {
  const bench = await create();
  let x = 7;
  const random = (): number => {
    x = Math.imul(x, 1664525) + 1013904223 >>> 0;
    return x >>> 24;
  };
  for (let i = 0; i < 20; i++) {
    for (let index = 0; index < 0x19; index++) {
      set(bench, 0x3d4, index, index === 0x11 ? 0 : random());
    }
    for (const index of [1, 3]) set(bench, 0x3c4, index, random() & ~0x20);
    for (const index of [5, 6]) set(bench, 0x3ce, index, random());
    for (let index = 0; index < 21; index++) setAttr(bench, index, random());
    const { width, height } = bench.device.look(0);
    assert(width <= 256 * 18 && height <= 1024);
  }
});

Deno.test("vga picture: who looks only when he is told misses nothing", async () => {
  // The twin is given the same state and memory before each look: all is drawn.
  const [bench, twin] = [await create(), await create()];
  let x = 20261122;
  const random = (limit: number): number => {
    x = Math.imul(x, 1664525) + 1013904223 >>> 0;
    return (x >>> 8) % limit;
  };
  const modes = [
    () => set(bench, 0x3ce, 6, [5, 14, 4, 0][random(4)]),
    () => set(bench, 0x3ce, 5, [0, 0x10, 0x20, 0x40][random(4)]),
    () => set(bench, 0x3c4, 1, random(16) & 0x0d | (random(9) && 1) << 5 ^ 32),
    () => set(bench, 0x3c4, 3, random(64)),
    () => set(bench, 0x3c4, 4, 2 * random(8)),
    () => set(bench, 0x3d4, 0x11, 0),
    () => set(bench, 0x3d4, 1, 20 + random(60)),
    () => set(bench, 0x3d4, [7, 9, 0x12][random(3)], random(256)),
    () => set(bench, 0x3d4, [8, 0x14, 0x17, 0x18][random(4)], random(256)),
    () => bench.write("registers", 3, random(4) === 0 ? 0 : 1),
    () => dispi(bench, 1 + random(3), [8, 100, 64, 200, 32, 15][random(6)]),
    () => dispi(bench, 4, random(3) === 0 ? 0x61 : 0),
    () => dispi(bench, 5 + random(5), random(40)),
    () => bench.device.load(bench.device.save()),
  ];
  const details = [
    () => set(bench, 0x3d4, 0x0a + random(6), random(4) * random(32)),
    () => set(bench, 0x3c4, 2, random(16)),
    () => setAttr(bench, random(21), random(64)),
    () => bench.write("registers", 0, random(8) === 0 ? 0 : 0x20),
    () => bench.write("registers", 6, random(256)),
    () => bench.write("registers", 8, random(256)),
    () => bench.write("registers", 9, random(256)),
    () => bench.write("window", random(0x800) * random(64), random(256)),
    () => bench.write("window", 0x18000 + random(4000), random(256)),
    () => bench.write("framebuffer", random(0x80) * random(0x800), random(256)),
    () => {
      const nanoseconds = random(300) * 1_000_000;
      bench.advance(nanoseconds);
      twin.advance(nanoseconds);
    },
  ];
  let told = true;
  let [width, height, generation] = [0, 0, 0];
  let seen = new Uint32Array(0);
  let changes = 0;
  for (let step = 0; step < 1500; step++) {
    const kind = random(12) === 0 ? modes : details;
    kind[random(kind.length)]();
    if (told) {
      told = false;
      const picture = bench.device.look(generation);
      const words = new Uint32Array(picture.pixels.buffer);
      if (picture.width !== width || picture.height !== height) {
        ({ width, height } = picture);
        seen = new Uint32Array(width * height);
        assertEquals(picture.changed, [{ x: 0, y: 0, width, height }]);
      }
      for (const area of picture.changed) {
        for (let y = area.y; y < area.y + area.height; y++) {
          const at = y * width + area.x;
          seen.set(words.subarray(at, at + area.width), at);
        }
        changes++;
      }
      generation = picture.generation;
      bench.device.watchPicture(() => told = true);
    }
    twin.backing.set(bench.backing);
    twin.device.load(bench.device.save());
    const { pixels } = twin.device.look(0);
    const expected = new Uint32Array(pixels.buffer);
    assertEquals(expected.length, seen.length, `size in step ${step}`);
    const wrong = expected.findIndex((word, i) => word !== seen[i]);
    assertEquals(wrong, -1, `pixel in step ${step}`);
  }
  assert(changes > 100);
});

Deno.test("vga-pci: EDID, ports and the VBE in memory, the frame buffer where the BAR says", async () => {
  const bus = new PciBenchBus();
  const bench = await DeviceBench.create<VgaPci>(vgaPci, { use: { bus } });
  assertEquals(bus.space.readConfig(0, 4), 0x11111234);
  assertEquals(bus.space.readConfig(8, 4), 0x03000002);
  bus.space.writeConfig(0x10, 4, 0xffffffff);
  bus.space.writeConfig(0x18, 4, 0xffffffff);
  assertEquals(bus.space.readConfig(0x10, 4), 0xff000008);
  assertEquals(bus.space.readConfig(0x18, 4), 0xfffff000);
  bus.space.writeConfig(0x10, 4, 0xe0000000);
  bus.space.writeConfig(0x18, 4, 0xe1000000);
  bus.space.writeConfig(4, 2, 2);
  const at = (offset: number): number => 0xe1000000 + offset;
  const block = edid(1280, 800);
  const seen = block.map((_, i) => bench.memory.read(at(i), 1));
  assertEquals(seen, block);
  assertEquals(bench.memory.read(at(0x600), 4), 8);
  assertEquals(bench.memory.read(at(0x604), 4), 0x1e1e1e1e);
  // Index and data in one access, as at the ports.
  bench.memory.write(at(0x414), 2, 0x210e);
  bench.write("colour", 0, 0x0e);
  assertEquals(bench.read("colour", 1), 0x21);
  assertEquals(bench.memory.read(at(0x500), 2), 0xb0c5);
  assertEquals(bench.memory.read(at(0x501), 1), 0xb0);
  for (const [index, value] of [[1, 800], [2, 600], [3, 32], [4, 0x41]]) {
    bench.memory.write(at(0x500 + 2 * index), 2, value);
  }
  assertEquals(bench.memory.read(at(0x50c), 2), 800);
  bench.memory.write(0xe0000000 + 4 * (800 * 599 + 799), 4, 0xabcdef);
  const { width, height, pixels } = bench.device.look(0);
  assertEquals([width, height], [800, 600]);
  assertEquals([...pixels.subarray(-4)], [0xef, 0xcd, 0xab, 0]);
});

Deno.test("edid: a block of the right sum that prefers a mode", () => {
  for (const [width, height] of [[1280, 800], [1920, 1200], [640, 480]]) {
    const block = edid(width, height);
    assertEquals(block.reduce((sum, byte) => sum + byte, 0) & 0xff, 0);
    const timing = block.subarray(54);
    assertEquals(timing[2] | timing[4] >> 4 << 8, width);
    assertEquals(timing[5] | timing[7] >> 4 << 8, height);
    const total = (width + 160) * (height + timing[6]);
    const clock = 10_000 * (timing[0] | timing[1] << 8);
    assert(Math.abs(clock / total - 60) < 0.05);
  }
});
