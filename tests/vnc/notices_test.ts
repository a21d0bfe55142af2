/** What viewers are told beside pixels, and a pointer that tells its motion. */

import { assertEquals } from "@std/assert";
import { FakeScreen } from "./fake_screen.ts";
import { Server } from "./server.ts";
import { WireViewer } from "./wire_viewer.ts";

const WHOLE = { x: 0, y: 0, width: 40, height: 30 };
const RAW = 0;
const RELATIVE_POINTER = -257;
const EXTENDED_KEYS = -258;
const EXTENDED_DESKTOP_SIZE = -308;
/** No motion of a relative pointer. */
const STILL = 0x7fff;

async function withViewer(
  use: (viewer: WireViewer, server: Server) => Promise<void>,
): Promise<void> {
  const server = new Server(new FakeScreen(WHOLE.width, WHOLE.height));
  const viewer = await WireViewer.begin(server.port);
  try {
    await use(viewer, server);
  } finally {
    viewer.close();
    await server.close();
  }
}

/** SetEncodings. */
async function setEncodings(
  viewer: WireViewer,
  ...encodings: number[]
): Promise<void> {
  await viewer.message(
    ["u16", 0x0200],
    ["u16", encodings.length],
    ...encodings.map((number) => ["u32", number] as ["u32", number]),
  );
}

/** The rectangles of the next update: their encodings with x, y and size. */
async function nextUpdate(viewer: WireViewer): Promise<string[]> {
  const { reader } = viewer;
  const count = (await reader.take(4)).getUint16(2);
  const rectangles: string[] = [];
  for (let n = 0; n < count; n++) {
    const head = await reader.take(12);
    const [x, y, width, height] = [0, 2, 4, 6].map((at) => head.getUint16(at));
    const encoding = head.getInt32(8);
    rectangles.push(`${encoding}: ${x},${y} ${width}x${height}`);
    if (encoding === RAW) await reader.skip(4 * width * height);
    if (encoding === EXTENDED_DESKTOP_SIZE) await reader.skip(4 + 16);
  }
  return rectangles;
}

const PIXELS = "0: 0,0 40x30";

Deno.test("vnc: what a viewer knows is told once, however often it says so", () =>
  withViewer(async (viewer) => {
    await setEncodings(viewer, RAW, EXTENDED_KEYS);
    await setEncodings(viewer, RAW, EXTENDED_KEYS);
    await viewer.request(false, WHOLE);
    assertEquals(await nextUpdate(viewer), ["-258: 0,0 0x0", PIXELS]);
    await setEncodings(viewer, RAW, EXTENDED_KEYS);
    await viewer.request(false, WHOLE);
    assertEquals(await nextUpdate(viewer), [PIXELS]);
    // It has forgotten meanwhile.
    await setEncodings(viewer, RAW);
    await setEncodings(viewer, RAW, EXTENDED_KEYS);
    await viewer.request(false, WHOLE);
    assertEquals(await nextUpdate(viewer), ["-258: 0,0 0x0", PIXELS]);
  }));

Deno.test("vnc: who asks for the whole screen is told its size, if he knows how", () =>
  withViewer(async (viewer) => {
    await setEncodings(viewer, RAW, EXTENDED_DESKTOP_SIZE);
    for (let n = 0; n < 2; n++) {
      await viewer.request(false, WHOLE);
      assertEquals(await nextUpdate(viewer), ["-308: 0,0 40x30", PIXELS]);
    }
    // Another size is refused: reason 1, status 1.
    await viewer.message(["u32", 0xfb000040], ["u16", 64], ["u16", 0]);
    await viewer.request(true, WHOLE);
    assertEquals(await nextUpdate(viewer), ["-308: 1,1 40x30"]);
    // Who knows it no more is not told.
    await viewer.message(["u32", 0xfb000040], ["u16", 64], ["u16", 0]);
    await setEncodings(viewer, RAW);
    await viewer.request(false, WHOLE);
    assertEquals(await nextUpdate(viewer), [PIXELS]);
  }));

Deno.test("vnc: a pointer tells its motion, from when it is told to", () =>
  withViewer(async (viewer, server) => {
    await viewer.pointer(10, 10, 0);
    await server.arrived(1);
    await setEncodings(viewer, RAW, RELATIVE_POINTER);
    await viewer.pointer(39, 29, 0);
    assertEquals(await server.arrived(1), [
      { type: "position", x: 65535, y: 65535 },
    ]);
    await viewer.request(false, WHOLE);
    assertEquals(await nextUpdate(viewer), ["-257: 0,0 0x0", PIXELS]);
    // The first was on its way: its position is no motion, its button counts.
    await viewer.pointer(20, 20, 1);
    await viewer.pointer(STILL + 7, STILL - 9, 1);
    await viewer.pointer(STILL, STILL, 0x11);
    await viewer.pointer(STILL - 300, STILL, 0);
    assertEquals(await server.arrived(5), [
      { type: "button", button: 0, down: true },
      { type: "motion", dx: 7, dy: -9, wheel: 0 },
      { type: "motion", dx: 0, dy: 0, wheel: 1 },
      { type: "button", button: 0, down: false },
      { type: "motion", dx: -300, dy: 0, wheel: 0 },
    ]);
    await setEncodings(viewer, RAW);
    await viewer.pointer(0, 0, 0);
    assertEquals(await server.arrived(1), [{ type: "position", x: 0, y: 0 }]);
  }));

Deno.test("vnc: motion that the guest is too slow for adds up", () =>
  withViewer(async (viewer, server) => {
    await setEncodings(viewer, RAW, RELATIVE_POINTER);
    await viewer.request(false, WHOLE);
    await nextUpdate(viewer);
    const taken = Promise.withResolvers<void>();
    server.display.input.onEvent(() => taken.promise);
    for (let n = 0; n < 10; n++) await viewer.pointer(STILL + 2, STILL - 1, 0);
    // It is answered after all of them are there.
    await viewer.request(false, WHOLE);
    await nextUpdate(viewer);
    taken.resolve();
    assertEquals(await server.arrived(2), [
      { type: "motion", dx: 2, dy: -1, wheel: 0 },
      { type: "motion", dx: 18, dy: -9, wheel: 0 },
    ]);
  }));
