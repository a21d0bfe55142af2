/**
 * What old software does with the VGA, dot by dot, against QEMU's screendump of
 * the same guest; what QEMU 7.2 has not (panning, rows of text that begin in
 * their midst, the cursor's skew), against its picture without that, moved.
 */

import { assertEquals } from "@std/assert";
import { difference, type Pixels } from "../pixels.ts";
import {
  CGA4,
  CGA6,
  CHAINED,
  changed,
  PLANES,
  PLANES_320,
  type Registers,
  type Scene,
  TEXT,
  UNCHAINED,
} from "./vga_guest.ts";
import { both } from "./vga_pair.ts";

/** Mode 0Eh: 640x200, 16 colours. */
const PLANES_200: Registers = changed(PLANES, {
  crtc: {
    ...{ 0x06: 0xbf, 0x07: 0x1f, 0x09: 0xc0, 0x10: 0x9c, 0x11: 0x8e },
    ...{ 0x12: 0x8f, 0x15: 0x96, 0x16: 0xb9 },
  },
});
/** Mode 10h: 640x350, 16 colours. */
const PLANES_350: Registers = changed(PLANES, {
  crtc: {
    ...{ 0x06: 0xbf, 0x07: 0x1f, 0x09: 0x40, 0x10: 0x83, 0x11: 0x85 },
    ...{ 0x12: 0x5d, 0x15: 0x63, 0x16: 0xba },
  },
});
/** 360x480 pixels of 256 colours, as found by John Bridges. */
const WIDE: Registers = {
  ...changed(UNCHAINED, {
    crtc: {
      ...{ 0x00: 0x6b, 0x01: 0x59, 0x02: 0x5a, 0x03: 0x8e, 0x04: 0x5e },
      ...{ 0x05: 0x8a, 0x09: 0x40, 0x13: 0x2d },
    },
  }),
  misc: 0xe7,
};

/** Scenes that are the same here and in QEMU. */
const SAME: readonly Scene[] = [
  { name: "mode 0Eh", registers: PLANES_200, fill: "planes" },
  { name: "mode 10h", registers: PLANES_350, fill: "planes" },
  { name: "360x480x256", registers: WIDE, fill: "planes" },
  {
    name: "mode X, the second page",
    registers: changed(UNCHAINED, { crtc: { 0x0c: 0x4b } }),
    fill: "planes",
  },
  {
    name: "320x400x256",
    registers: changed(CHAINED, {
      seq: { 4: 0x06 },
      crtc: { 0x09: 0x40, 0x14: 0x00, 0x17: 0xe3 },
    }),
    fill: "planes",
  },
  {
    name: "mode 13h from an odd start address",
    registers: changed(CHAINED, { crtc: { 0x0c: 0x01, 0x0d: 0x43 } }),
    fill: "window",
  },
  {
    name: "mode 13h of 100 lines",
    registers: changed(CHAINED, { crtc: { 0x09: 0x43 } }),
    fill: "window",
  },
  {
    name: "mode 5: mode 4 with other colours",
    registers: changed(CGA4, { attr: { 1: 0x13, 2: 0x15, 3: 0x17 } }),
    fill: "cga",
  },
  {
    name: "mode 4 from another address",
    registers: changed(CGA4, { crtc: { 0x0d: 0x50 } }),
    fill: "cga",
  },
  {
    name: "text, 132 columns",
    registers: changed(TEXT, {
      seq: { 1: 0x01 },
      crtc: { 0x01: 0x83, 0x13: 0x42 },
    }),
    fill: "text",
  },
  {
    name: "VBE 640x360x4 with offsets",
    registers: CHAINED,
    fill: "planes",
    vbe: {
      ...{ width: 640, height: 360, depth: 4, virtual: 800, offset: [8, 20] },
      keeps: true,
    },
  },
  {
    name: "VBE 800x600x8, 8 bits a colour",
    registers: CHAINED,
    fill: "linear",
    vbe: { width: 800, height: 600, depth: 8, wideDac: true },
  },
  {
    name: "VBE 1280x1024x16 with offsets",
    registers: CHAINED,
    fill: "linear",
    vbe: {
      ...{ width: 1280, height: 1024, depth: 16, virtual: 2048 },
      offset: [332, 501],
    },
  },
  {
    name: "VBE 1600x1200x24 by banks",
    registers: CHAINED,
    fill: "banks",
    vbe: { width: 1600, height: 1200, depth: 24, offset: [0, 7] },
  },
];

/** What of a scene is what of QEMU's picture of another one. */
interface Moved {
  readonly scene: Scene;
  /** The scene that QEMU shows. */
  readonly qemu: Scene;
  /** Lines of the picture, from the first on, and up to one. */
  readonly lines: readonly [first: number, end: number];
  /** Dots and lines further on in QEMU's picture. */
  readonly by: readonly [x: number, y: number];
}

/** A scene here is one without what QEMU lacks, moved. */
function moved(
  name: string,
  fill: Scene["fill"],
  [registers, without]: readonly [Registers, Registers],
  [x, y]: Moved["by"],
  [first, end]: Moved["lines"],
): Moved {
  return {
    scene: { name, registers, fill },
    qemu: { name: `${name}: QEMU's`, registers: without, fill },
    ...{ by: [x, y], lines: [first, end] },
  };
}

/** A start address and 192 lines before the split. */
const SPLIT_TEXT = { 0x07: 0x0f, 0x09: 0x0f, 0x0c: 0x07, 0x18: 191 };
const SPLIT_TEXT_PANNED = changed(TEXT, {
  crtc: { ...SPLIT_TEXT, 0x08: 0x45 },
  attr: { 0x13: 0x02 },
});
const SPLIT_TEXT_APART = changed(SPLIT_TEXT_PANNED, {
  attr: { 0x10: 0x24 },
});
const SPLIT = changed(TEXT, { crtc: SPLIT_TEXT });

/** 43 rows of 8 lines and 6 lines of another. */
const TEXT_350 = changed(TEXT, {
  crtc: { 0x09: 0x47, 0x12: 0x5d, 0x10: 0x83, 0x15: 0x63 },
});
const TEXT_14 = changed(TEXT, { seq: { 3: 0x1e }, crtc: { 0x09: 0x4d } });

const MOVED: readonly Moved[] = [
  // QEMU shows whole rows alone.
  moved("80x43", "text", [TEXT_350, TEXT_350], [0, 0], [0, 344]),
  moved(
    "text with two fonts at once, cells of 14 lines",
    "text",
    [TEXT_14, TEXT_14],
    [0, 0],
    [0, 392],
  ),
  moved(
    "text that scrolls by lines",
    "text",
    [changed(TEXT, { crtc: { 0x08: 0x0b } }), TEXT],
    [0, 11],
    [0, 389],
  ),
  moved(
    "text of 9 dots, panned by 3",
    "text",
    [changed(TEXT, { attr: { 0x13: 0x02 } }), TEXT],
    [3, 0],
    [0, 400],
  ),
  moved(
    "text of 8 dots, panned by 5 and 3 cells",
    "text",
    [
      changed(TEXT, {
        seq: { 1: 1 },
        crtc: { 0x08: 0x60 },
        attr: { 0x13: 0x05 },
      }),
      changed(TEXT, { seq: { 1: 1 } }),
    ],
    [3 * 8 + 5, 0],
    [0, 400],
  ),
  moved(
    "text of 9 dots, not panned",
    "text",
    [changed(TEXT, { attr: { 0x13: 0x08 } }), TEXT],
    [0, 0],
    [0, 400],
  ),
  moved(
    "mode X, panned by 3 pixels",
    "planes",
    [changed(UNCHAINED, { attr: { 0x13: 0x06 } }), UNCHAINED],
    [6, 0],
    [0, 480],
  ),
  moved(
    "mode 0Dh, panned by 5 pixels and 2 bytes",
    "planes",
    [
      changed(PLANES_320, { crtc: { 0x08: 0x40 }, attr: { 0x13: 0x05 } }),
      PLANES_320,
    ],
    [2 * (2 * 8 + 5), 0],
    [0, 400],
  ),
  // The upper part is moved by 2 cells, 3 dots and 5 lines: the split ends it
  // where it is.
  moved(
    "text above a split, panned",
    "text",
    [SPLIT_TEXT_PANNED, SPLIT],
    [2 * 9 + 3, 5],
    [0, 187],
  ),
  // The lower one by dots and cells, for nothing forbids it.
  moved(
    "text below a split, panned",
    "text",
    [SPLIT_TEXT_PANNED, SPLIT],
    [2 * 9 + 3, 0],
    [192, 400],
  ),
  moved(
    "text above a split that is panned apart",
    "text",
    [SPLIT_TEXT_APART, SPLIT],
    [2 * 9 + 3, 5],
    [0, 187],
  ),
  moved(
    "text below a split that is panned apart",
    "text",
    [SPLIT_TEXT_APART, SPLIT],
    [0, 0],
    [192, 400],
  ),
  // The last address of CGA 6's lines of both banks.
  moved(
    "mode 6, which QEMU counts twice",
    "cga",
    [
      changed(CGA6, { crtc: { 0x0d: 0x50 } }),
      changed(CGA6, { crtc: { 0x09: 0xc0, 0x0d: 0x50 } }),
    ],
    [0, 0],
    [0, 400],
  ),
];

/** Lines of a picture, moved; as wide as what both have. */
function part(
  { width, height, pixels }: Pixels,
  [x, y]: Moved["by"],
  [first, end]: Moved["lines"],
  dots: number,
): Pixels {
  const result = new Uint32Array(dots * (end - first));
  for (let line = first; line < end; line++) {
    const at = (line + y) * width + x;
    if (line + y >= height) throw new RangeError("not in the picture");
    result.set(pixels.subarray(at, at + dots), (line - first) * dots);
  }
  return { width: dots, height: end - first, pixels: result };
}

Deno.test("vga: what old software shows, as in QEMU", async () => {
  const pairs = MOVED.flatMap(({ scene, qemu }) => [scene, qemu]);
  const pictures = await both([...SAME, ...pairs]);
  if (pictures === undefined) return;
  const [ours, qemu] = pictures;
  const differ = SAME.map((
    { name },
    i,
  ) => [name, difference(ours[i], qemu[i])]);
  for (const [i, { scene: { name }, by, lines }] of MOVED.entries()) {
    const at = SAME.length + 2 * i;
    const dots = ours[at].width - by[0];
    const here = part(ours[at], [0, 0], lines, dots);
    const there = part(qemu[at + 1], by, lines, dots);
    differ.push([name, difference(here, there)]);
  }
  assertEquals(differ.filter(([, what]) => what !== undefined), []);
});
