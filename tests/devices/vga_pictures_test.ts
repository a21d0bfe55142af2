/**
 * What the VGA shows, dot by dot, against QEMU's screendump of the same guest.
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Machine } from "../../machines/machine.ts";
import { assemble, multiboot } from "../faults/guest.ts";
import { PCI_VGA } from "../pci_vga.ts";
import { difference, type Pixels } from "../pixels.ts";
import {
  CGA4,
  CGA6,
  CHAINED,
  changed,
  DRAWING_GUEST,
  PLANES,
  PLANES_320,
  type Scene,
  TEXT,
  UNCHAINED,
} from "./vga_guest.ts";
import { both, LIMIT_MS, PC } from "./vga_pair.ts";

const ACCELERATED = { registers: CHAINED, fill: "linear" } as const;

/** Scenes that are the same here and in QEMU. */
const SAME: readonly Scene[] = [
  { name: "text 80x25, 9 dots", registers: TEXT, fill: "text" },
  {
    name: "text 80x25, 8 dots, two fonts elsewhere",
    registers: changed(TEXT, { seq: { 1: 0x01, 3: 0x2d } }),
    fill: "text",
  },
  {
    name: "text 40x25",
    registers: changed(TEXT, {
      seq: { 1: 0x09 },
      crtc: { 0x01: 0x27, 0x13: 0x14 },
    }),
    fill: "text",
  },
  {
    name: "text 80x50, start address, palette",
    registers: changed(TEXT, {
      seq: { 3: 0x31 },
      crtc: { 0x09: 0x47, 0x0c: 0x03, 0x0d: 0x21 },
      attr: { 1: 0x3f, 2: 0x2a, 0x10: 0x84, 0x14: 0x07 },
    }),
    fill: "text",
  },
  {
    name: "text, split screen",
    registers: changed(TEXT, {
      crtc: { 0x07: 0x0f, 0x09: 0x0f, 0x0c: 0x07, 0x18: 159 },
    }),
    fill: "text",
  },
  { name: "640x480x16", registers: PLANES, fill: "planes" },
  {
    name: "640x480x16, colour select, planes, pitch and start",
    registers: changed(PLANES, {
      crtc: { 0x0c: 0x12, 0x0d: 0x34, 0x13: 0x33 },
      attr: { 3: 0x3a, 0x10: 0x81, 0x12: 0x0b, 0x14: 0x06 },
    }),
    fill: "planes",
  },
  {
    name: "640x480x16, split screen",
    registers: changed(PLANES, {
      crtc: { 0x07: 0x2e, 0x09: 0x00, 0x0c: 0x12, 0x18: 200 },
    }),
    fill: "planes",
  },
  { name: "320x200x16", registers: PLANES_320, fill: "planes" },
  { name: "320x200x256", registers: CHAINED, fill: "window" },
  { name: "mode X, 320x240", registers: UNCHAINED, fill: "planes" },
  {
    name: "mode X, split screen and pitch",
    registers: changed(UNCHAINED, {
      crtc: { 0x07: 0x2e, 0x09: 0x01, 0x0d: 0x50, 0x13: 0x30, 0x18: 201 },
    }),
    fill: "planes",
  },
  { name: "CGA 4", registers: CGA4, fill: "cga" },
  {
    name: "VBE 640x480x8",
    ...ACCELERATED,
    vbe: { width: 640, height: 480, depth: 8 },
  },
  {
    name: "VBE 640x480x8 by banks",
    registers: CHAINED,
    fill: "banks",
    vbe: { width: 640, height: 480, depth: 8 },
  },
  {
    name: "VBE 800x600x15",
    ...ACCELERATED,
    vbe: { width: 800, height: 600, depth: 15 },
  },
  {
    name: "VBE 800x600x16",
    ...ACCELERATED,
    vbe: { width: 800, height: 600, depth: 16, offset: [16, 3] },
  },
  {
    name: "VBE 800x600x24",
    ...ACCELERATED,
    vbe: { width: 800, height: 600, depth: 24 },
  },
  {
    name: "VBE 1024x768x32 with offsets",
    ...ACCELERATED,
    vbe: {
      width: 1024,
      height: 768,
      depth: 32,
      virtual: 1280,
      offset: [100, 50],
    },
  },
  {
    name: "VBE 1920x1200x32",
    ...ACCELERATED,
    vbe: { width: 1920, height: 1200, depth: 32 },
  },
];

/** Scenes of which QEMU shows something else, and with what that compares. */
const PANNED: Scene = {
  name: "640x480x16, panned, upper part only",
  registers: changed(PLANES, {
    crtc: { 0x07: 0x2e, 0x08: 0x20, 0x09: 0x00, 0x0c: 0x12, 0x18: 200 },
    attr: { 0x10: 0x21, 0x13: 0x03 },
  }),
  fill: "planes",
};
const PANNED_QEMU: Scene = {
  ...PANNED,
  registers: changed(PANNED.registers, { crtc: { 0x08: 0 } }),
};
const PANNED_LINES = 201;
const PANNED_DOTS = 8 + 3;
const CGA6_QEMU: Scene = {
  name: "CGA 6 for QEMU, which counts the lines of a row twice",
  registers: changed(CGA6, { crtc: { 0x09: 0xc0 } }),
  fill: "cga",
};
const CURSOR: Scene = {
  name: "text with a cursor",
  registers: changed(TEXT, {
    crtc: { 0x0a: 0x0b, 0x0b: 0x0d, 0x0e: 0x01, 0x0f: 0x23 },
  }),
  fill: "text",
};
const OTHER: readonly Scene[] = [
  { name: "CGA 6", registers: CGA6, fill: "cga" },
  CGA6_QEMU,
  PANNED,
  PANNED_QEMU,
  CURSOR,
];

/** The low bits that QEMU leaves clear in modes of 15 bits. */
function fiveBits({ pixels, ...size }: Pixels): Pixels {
  return { ...size, pixels: pixels.map((pixel) => pixel & 0xf8f8f8) };
}

Deno.test("vga: pictures of all modes as in QEMU", async () => {
  // Each starts from the same numbers: pairs have the same memory.
  const pictures = await both([...SAME, ...OTHER]);
  if (pictures === undefined) return;
  const [ours, qemu] = pictures;
  const differ = SAME.flatMap(({ name, vbe }, i) => {
    const found = vbe?.depth === 15
      ? difference(fiveBits(ours[i]), fiveBits(qemu[i]))
      : difference(ours[i], qemu[i]);
    return found === undefined ? [] : [`${name}: ${found}`];
  });
  assertEquals(differ, []);
  const at = (scene: number): number => SAME.length + scene;
  assertEquals(difference(ours[at(0)], qemu[at(1)]), undefined, "CGA 6");
  // This version of QEMU has no panning.
  const [panned, still] = [ours[at(2)], qemu[at(3)]];
  const { width } = panned;
  for (let y = 0; y < panned.height; y++) {
    const dots = y < PANNED_LINES ? PANNED_DOTS : 0;
    const row = panned.pixels.subarray(y * width, (y + 1) * width - dots);
    const other = still.pixels.subarray(y * width + dots, (y + 1) * width);
    assertEquals(row, other, `line ${y}`);
  }
  // It blinks, in another rhythm: one of the two is the picture with it.
  assertCursor(ours[at(4)], qemu[at(4)]);
});

Deno.test("vga: stores to the frame buffer are seen after a look, each time", async () => {
  const payload = await assemble(DRAWING_GUEST);
  if (payload === undefined) return console.log("skipped: no nasm");
  const kernel = await Deno.makeTempFile();
  try {
    await Deno.writeFile(kernel, multiboot(payload));
    await using machine = await Machine.load(PC, {
      kernel,
      memory: "32M",
      set: PCI_VGA,
    });
    const [serial, screen] = [machine.serial(0), machine.screen()];
    await serial.expect("!", { timeout: LIMIT_MS });
    let { generation } = screen.look()!;
    for (let line = 0; line < 200; line++) {
      let told = 0;
      screen.watchPicture(() => told++);
      assertEquals(screen.look(generation)!.changed, []);
      await serial.write("\n");
      await serial.expect("!", { timeout: LIMIT_MS });
      assertEquals(told, 1);
      const picture = screen.look(generation)!;
      const y = (100 + line) & ~15;
      assertEquals(picture.changed, [{ x: 0, y, width: 128, height: 16 }]);
      const row = picture.pixels.subarray(4 * 640 * (100 + line));
      const [last, next] = [row.subarray(4 * 99), row.subarray(4 * 100)];
      assertEquals([...last.subarray(0, 4)], [0x56, 0x34, 0x12, 0]);
      assertNotEquals([...next.subarray(0, 4)], [0x56, 0x34, 0x12, 0]);
      ({ generation } = picture);
    }
  } finally {
    await Deno.remove(kernel);
  }
});

/** Nothing differs but, if at all, the cursor's cell. */
function assertCursor(ours: Pixels, qemu: Pixels): void {
  const [left, top] = [(0x123 % 80) * 9, Math.floor(0x123 / 80) * 16];
  for (const [i, pixel] of ours.pixels.entries()) {
    if (pixel === qemu.pixels[i]) continue;
    const [x, y] = [i % ours.width, Math.floor(i / ours.width)];
    assert(x >= left && x < left + 9 && y >= top + 11 && y <= top + 13);
  }
}
