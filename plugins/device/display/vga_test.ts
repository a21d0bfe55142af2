import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { MemoryDisplay } from "../../../core/backend/memory_display.ts";
import { DeviceBench } from "../../../core/machine/testing.ts";
import plugin, { type Vga } from "./vga.ts";
import type { VgaConfig } from "./vga_core.ts";

type Bench = DeviceBench<Vga>;

const create = (config: Partial<VgaConfig> = {}): Promise<Bench> =>
  DeviceBench.create<Vga>(plugin, { config });

const port = (bench: Bench, offset: number) => bench.read("registers", offset);
const setPort = (bench: Bench, offset: number, value: number) =>
  bench.write("registers", offset, value);
/** Index and data ports as one word, which drivers write. */
const setSeq = (bench: Bench, index: number, value: number) =>
  bench.write("registers", 4, index | value << 8, 2);
const setGfx = (bench: Bench, index: number, value: number) =>
  bench.write("registers", 14, index | value << 8, 2);
const setCrtc = (bench: Bench, index: number, value: number) =>
  bench.write("colour", 0, index | value << 8, 2);
function crtc(bench: Bench, index: number): number {
  bench.write("colour", 0, index);
  return bench.read("colour", 1);
}
function setAttr(bench: Bench, index: number, value: number): void {
  bench.read("colour", 6);
  setPort(bench, 0, index);
  setPort(bench, 0, value);
}

Deno.test("vga: each register keeps the bits that it has", async () => {
  const bench = await create();
  setCrtc(bench, 0x11, 0);
  const kept = (
    address: number,
    data: number,
    count: number,
    region: "registers" | "colour" = "registers",
  ): number[] =>
    Array.from({ length: count }, (_, index) => {
      bench.write(region, address, index);
      bench.write(region, data, 0xff);
      const ones = bench.read(region, data);
      bench.write(region, data, 0x00);
      assertEquals(bench.read(region, data), 0);
      bench.write(region, data, 0xff);
      return ones;
    });
  assertEquals(kept(4, 5, 8), [3, 0x3d, 15, 0x3f, 14, 0, 0, 0]);
  assertEquals(
    kept(14, 15, 10),
    [15, 15, 15, 0x1f, 3, 0x7b, 15, 15, 0xff, 0],
  );
  // Without CR11, which would protect the others.
  const controller = kept(0, 1, 0x11, "colour");
  assertEquals(controller, new Array(0x11).fill(0xff));
  const attributes = Array.from({ length: 0x18 }, (_, index) => {
    setAttr(bench, index, 0xff);
    bench.read("colour", 6);
    setPort(bench, 0, index);
    return port(bench, 1);
  });
  assertEquals(attributes, [
    ...new Array(16).fill(0x3f),
    ...[0xef, 0xff, 0x3f, 15, 15, 0, 0, 0],
  ]);
});

Deno.test("vga: the attribute controller's flip-flop", async () => {
  const bench = await create();
  bench.read("colour", 6);
  setPort(bench, 0, 0x21);
  assertEquals(port(bench, 0), 0x21);
  // Input status 1 makes the next write an address again.
  bench.read("colour", 6);
  setPort(bench, 0, 0x22);
  setPort(bench, 0, 0x15);
  assertEquals([port(bench, 0), port(bench, 1)], [0x22, 0x15]);
  setPort(bench, 0, 0x21);
  assertEquals(port(bench, 1), 0x01, "the palette's entry 1 is as it was");
});

Deno.test("vga: CR11 protects CR0 to CR7, but for the line compare", async () => {
  const bench = await create();
  const before = Array.from({ length: 8 }, (_, i) => crtc(bench, i));
  for (let i = 0; i < 8; i++) setCrtc(bench, i, ~before[i] & 0xff);
  const after = Array.from({ length: 8 }, (_, i) => crtc(bench, i));
  assertEquals(after, [...before.slice(0, 7), before[7] ^ 0x10]);
  setCrtc(bench, 0x0a, 0x20);
  assertEquals(crtc(bench, 0x0a), 0x20);
  setCrtc(bench, 0x11, 0x0e);
  setCrtc(bench, 0, 0x12);
  assertEquals(crtc(bench, 0), 0x12);
});

Deno.test("vga: the CRT controller is at one of two places", async () => {
  const bench = await create();
  assertEquals(port(bench, 12), 0x67);
  bench.write("mono", 0, 0x0f);
  assertEquals(bench.read("mono", 0), 0xff);
  setPort(bench, 2, 0x66);
  bench.write("mono", 0, 0x0f);
  assertEquals(bench.read("mono", 0), 0x0f);
  assertEquals(bench.read("colour", 0), 0xff);
  bench.write("mono", 6, 0x03);
  assertEquals(port(bench, 10), 0x03, "feature control");
});

Deno.test("vga: the DAC counts colours for reading and for writing", async () => {
  const bench = await create();
  setPort(bench, 8, 254);
  for (const value of [1, 2, 3, 0xff, 5, 6, 7, 8]) setPort(bench, 9, value);
  assertEquals([port(bench, 8), port(bench, 7)], [0, 0]);
  setPort(bench, 7, 254);
  assertEquals(port(bench, 7), 3);
  const read = Array.from({ length: 9 }, () => port(bench, 9));
  // Colour 0 was not complete.
  assertEquals(read, [1, 2, 3, 0x3f, 5, 6, 0, 0, 0]);
  setPort(bench, 7, 0x3f);
  assertEquals([port(bench, 9), port(bench, 9)], [0x3f, 0x3f]);
  setPort(bench, 7, 0x14);
  assertEquals(
    [port(bench, 9), port(bench, 9), port(bench, 9)],
    [0x2a, 0x15, 0],
    "brown",
  );
});

Deno.test("vga: the retrace is 70 times a second, of virtual time", async () => {
  const bench = await create();
  const step = 10_000;
  let [frames, retrace, display] = [0, 0, 0];
  let was = false;
  for (let t = 0; t < 1_000_000_000; t += step) {
    const status = bench.read("colour", 6);
    const now = (status & 8) !== 0;
    if (now && !was) frames++;
    if (now) {
      retrace++;
      assertEquals(status & 1, 1, "no display during the retrace");
    }
    if ((status & 1) === 0) display++;
    was = now;
    bench.advance(step);
  }
  // 449 lines of 900 dots at 28.322 MHz; 2 lines of retrace, 400 are shown.
  assertEquals(frames, 70);
  const share = (count: number) => count * step / 1e9;
  assert(Math.abs(share(retrace) - 2 / 449) < 0.0005);
  assert(Math.abs(share(display) - 400 / 449 * 80 / 100) < 0.01);
  // It ends when the line's low four bits are CR11's: after 16 lines at most.
  setCrtc(bench, 0x11, crtc(bench, 0x10) & 0x0f);
  retrace = 0;
  for (let t = 0; t < 100_000_000; t += step) {
    if ((bench.read("colour", 6) & 8) !== 0) retrace++;
    bench.advance(step);
  }
  assert(Math.abs(10 * share(retrace) - 16 / 449) < 0.005);
});

Deno.test("vga: switched off it answers at 3C3h alone", async () => {
  const bench = await create();
  setPort(bench, 3, 0);
  assertEquals([port(bench, 3), port(bench, 12)], [0, 0xff]);
  assertEquals(bench.read("window", 0x18000), 0xff);
  assertEquals(bench.device.text(), undefined);
  setPort(bench, 3, 1);
  assertEquals([port(bench, 12), bench.read("window", 0x18000)], [0x67, 0x20]);
});

/** Write text as a guest does in mode 3: character and attribute in turn. */
function print(bench: Bench, cell: number, text: string, attribute = 7): void {
  for (const [i, character] of Array.from(text).entries()) {
    const word = character.charCodeAt(0) | attribute << 8;
    bench.write("window", 0x18000 + 2 * (cell + i), word, 2);
  }
}

Deno.test("vga: text, colours and cursor after power-on", async () => {
  const bench = await create();
  const empty = bench.device.text()!;
  assertEquals([empty.columns, empty.rows, empty.cellHeight], [80, 25, 16]);
  assertEquals(new Set(empty.characters), new Set([0x20]));
  assertEquals(new Set(empty.colours), new Set([0x07]));
  assertEquals(empty.cursor, { row: 0, column: 0, top: 13, bottom: 14 });
  print(bench, 82, "A\xb0", 0x9e);
  setCrtc(bench, 0x0f, 85);
  const text = bench.device.text()!;
  assertEquals(String.fromCharCode(...text.characters.slice(81, 85)), " A░ ");
  assertEquals(text.colours[82], 0x1e, "bit 7 blinks");
  assertEquals(text.cursor, { row: 1, column: 5, top: 13, bottom: 14 });
  setAttr(bench, 0x30, 0x04);
  assertEquals(bench.device.text()!.colours[82], 0x9e, "bit 7 is bright");
  setCrtc(bench, 0x0a, 0x2d);
  assertEquals(bench.device.text()!.cursor, undefined);
});

Deno.test("vga: the start address scrolls, around the memory's end", async () => {
  const bench = await create();
  // The last cell of the 32 KB, and the first.
  print(bench, 0x3fff, "Z");
  print(bench, 0, "Y");
  setCrtc(bench, 0x0c, 0x3f);
  setCrtc(bench, 0x0d, 0xff);
  const text = bench.device.text()!;
  assertEquals([text.start, text.characters[0]], [0x3fff, 0x5a]);
  setCrtc(bench, 0x0c, 0xff);
  assertEquals(bench.device.text()!.characters[1], 0x59, "65536 counts to 0");
  // A split screen: lines from 64 on are from address 0.
  setCrtc(bench, 0x0c, 0x10);
  setCrtc(bench, 0x0d, 0x00);
  setCrtc(bench, 0x11, 0x0e);
  setCrtc(bench, 0x07, 0x0f);
  setCrtc(bench, 0x09, 0x0f);
  setCrtc(bench, 0x18, 63);
  const split = bench.device.text()!;
  assertEquals([split.characters[3 * 80], split.characters[4 * 80]], [
    0x20,
    0x59,
  ]);
  // Panned by a cell, the lower part too; then that apart.
  setCrtc(bench, 0x08, 0x20);
  print(bench, 1, "X");
  assertEquals(bench.device.text()!.characters[4 * 80], 0x58);
  setAttr(bench, 0x30, 0x2c);
  assertEquals(bench.device.text()!.characters[4 * 80], 0x59);
});

Deno.test("vga: other geometries, and no text at all", async () => {
  const bench = await create();
  setCrtc(bench, 0x11, 0x0e);
  setCrtc(bench, 0x09, 0x47);
  assertEquals(bench.device.text()!.rows, 50);
  setCrtc(bench, 0x01, 39);
  setCrtc(bench, 0x13, 20);
  print(bench, 40, "x");
  assertEquals(bench.device.text()!.columns, 40);
  assertEquals(bench.device.text()!.characters[40], 0x78);
  const shown = (change: () => void, restore: () => void): boolean => {
    change();
    const text = bench.device.text();
    restore();
    assertNotEquals(bench.device.text(), undefined);
    return text !== undefined;
  };
  const no = [
    shown(() => setSeq(bench, 1, 0x20), () => setSeq(bench, 1, 0)),
    shown(() => setSeq(bench, 0, 1), () => setSeq(bench, 0, 3)),
    shown(() => setGfx(bench, 6, 5), () => setGfx(bench, 6, 14)),
    shown(() => setAttr(bench, 0x30, 0x41), () => setAttr(bench, 0x30, 12)),
    shown(() => setAttr(bench, 0, 0), () => setAttr(bench, 0x20, 0)),
  ];
  assertEquals(no, [false, false, false, false, false]);
  const blank = await create({ blank: true });
  assertEquals(blank.device.text(), undefined);
  assertEquals(port(blank, 12), 0);
});

Deno.test("vga: any registers make a text screen of a bounded size", async () => {
  const bench = await create();
  let x = 7;
  const random = (): number => {
    x = Math.imul(x, 1664525) + 1013904223 >>> 0;
    return x >>> 24;
  };
  setCrtc(bench, 0x11, 0);
  for (let i = 0; i < 200; i++) {
    for (let index = 0; index < 0x19; index++) {
      setCrtc(bench, index, index === 0x11 ? 0 : random());
    }
    const { columns, rows, characters, cursor } = bench.device.text()!;
    assertEquals(characters.length, columns * rows);
    assert(columns <= 256 && rows <= 1024);
    assert(cursor === undefined || cursor.row < rows);
    bench.read("colour", 6);
  }
});

Deno.test("vga: a display hears of a change once, until it looks again", async () => {
  const display = new MemoryDisplay();
  const bench = await DeviceBench.create<Vga>(plugin, { display: { display } });
  let changes = 0;
  const watch = () => bench.device.watch(() => changes++);
  watch();
  bench.read("window", 0x18000);
  bench.read("colour", 6);
  bench.advance(1e9);
  assertEquals(changes, 0);
  print(bench, 0, "hello");
  assertEquals(changes, 1);
  watch();
  setCrtc(bench, 0x0f, 5);
  setCrtc(bench, 0x0f, 6);
  assertEquals(changes, 2);
  assertEquals(display.content.split("\n")[0], "hello");
  const waiting = display.expect(/^login:$/m);
  print(bench, 80, "login:");
  await waiting;
  await display.close();
});
