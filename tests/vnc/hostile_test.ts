/**
 * Viewers that do not keep to the protocol: they are closed, the others go on,
 * and nothing grows.
 */

import { assert, assertEquals } from "@std/assert";
import type { InputEvent } from "../../core/backend/input.ts";
import type { VncConfig, VncDisplay } from "../../plugins/display/vnc/vnc.ts";
import { FakeScreen, PATTERNS } from "./fake_screen.ts";
import { Server } from "./server.ts";
import { WireViewer } from "./wire_viewer.ts";

const WHOLE = { x: 0, y: 0, width: 40, height: 30 };

async function withServer(
  use: (
    display: VncDisplay,
    screen: FakeScreen,
    events: InputEvent[],
  ) => Promise<void>,
  config: Partial<VncConfig> = {},
  screen: FakeScreen = new FakeScreen(WHOLE.width, WHOLE.height),
): Promise<void> {
  const server = new Server(screen, config);
  try {
    await use(server.display, screen, server.events);
  } finally {
    await server.close();
  }
}

/** The whole screen in 32 bits, raw: what an honest viewer gets. */
async function assertServes(
  viewer: WireViewer,
  screen: FakeScreen,
): Promise<void> {
  await viewer.request(false, WHOLE);
  const header = await viewer.reader.take(16);
  assertEquals([header.getUint8(0), header.getUint16(2)], [0, 1]);
  assertEquals(header.getInt32(12), 0);
  for (let row = 0; row < WHOLE.height; row++) {
    const view = await viewer.reader.take(WHOLE.width * 4);
    for (let x = 0; x < WHOLE.width; x++) {
      const word = screen.words[row * WHOLE.width + x];
      assertEquals(view.getUint32(4 * x, true), word);
    }
  }
}

for (const version of ["003.003", "003.007", "003.008"]) {
  Deno.test(`vnc: version ${version}`, () =>
    withServer(async (display, screen) => {
      screen.draw(WHOLE, PATTERNS.noise);
      const viewer = await WireViewer.begin(display.port, `RFB ${version}\n`);
      await assertServes(viewer, screen);
      viewer.close();
    }));
}

const encoder = new TextEncoder();
/** What is sent in place of a handshake. */
const BEGINNINGS: Record<string, Uint8Array[]> = {
  "a browser": [encoder.encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
  "an old version": [encoder.encode("RFB 002.000\n")],
  "a version without a number": [encoder.encode("RFB 00x.00y\n")],
  "no such security": [encoder.encode("RFB 003.008\n"), Uint8Array.of(16)],
  "not the security that is offered": [
    encoder.encode("RFB 003.007\n"),
    Uint8Array.of(2),
  ],
};
for (const [what, parts] of Object.entries(BEGINNINGS)) {
  Deno.test(`vnc: who begins with ${what} is closed`, () =>
    withServer(async (display, screen) => {
      const viewer = await WireViewer.connect(display.port);
      for (const part of parts) await viewer.send(part);
      await viewer.ended();
      viewer.close();
      const other = await WireViewer.begin(display.port);
      await assertServes(other, screen);
      other.close();
    }));
}

Deno.test("vnc: who does not know the password sees nothing", () =>
  withServer(async (display) => {
    for (const version of ["003.003", "003.007", "003.008"]) {
      const viewer = await WireViewer.connect(display.port);
      await viewer.text(12);
      await viewer.send(encoder.encode(`RFB ${version}\n`));
      if (version === "003.003") {
        assertEquals((await viewer.reader.take(4)).getUint32(0), 2);
      } else {
        assertEquals((await viewer.reader.take(2)).getUint16(0), 0x0102);
        await viewer.send([2]);
      }
      await viewer.reader.take(16);
      // An answer, ClientInit and a request, in the hope that nobody looks.
      await viewer.send([...new Uint8Array(16), 1, 3, 0, 0, 0, 0, 0, 0, 1, 0]);
      assertEquals((await viewer.reader.take(4)).getUint32(0), 1);
      if (version === "003.008") {
        const length = (await viewer.reader.take(4)).getUint32(0);
        assertEquals(await viewer.text(length), "the password is wrong");
      }
      await viewer.ended();
      viewer.close();
    }
    assertEquals(display.viewers, 0);
  }, { password: "x" }));

Deno.test("vnc: many who guess the password are told one after another", () =>
  withServer(async (display) => {
    const guess = async (): Promise<number> => {
      const viewer = await WireViewer.connect(display.port);
      await viewer.text(12);
      await viewer.send(encoder.encode("RFB 003.008\n"));
      await viewer.reader.take(2);
      await viewer.send([2]);
      await viewer.reader.take(16);
      await viewer.send(new Uint8Array(16));
      assertEquals((await viewer.reader.take(4)).getUint32(0), 1);
      const told = performance.now();
      viewer.close();
      return told;
    };
    const start = performance.now();
    const told = await Promise.all([guess(), guess(), guess()]);
    // At least a second each, but for the clock's grain.
    const last = Math.max(...told) - start;
    assert(last > 2900, `three in ${last} ms`);
  }, { password: "x" }));

/** Messages that cannot be. */
const MALFORMED: Record<string, ["u8" | "u16" | "u32", number][]> = {
  "no such message": [["u8", 77]],
  "a clipboard of 4 GiB": [["u32", 0x06000000], ["u32", 0xffffffff]],
  "24 bits of a pixel": [
    ["u32", 0],
    ...[24, 24, 0, 1].map((byte) => ["u8", byte] as ["u8", number]),
    ...new Array(3).fill(["u32", 0x00ff00ff]),
  ],
  "a shift of 255": [
    ["u32", 0],
    ["u32", 0x20180001],
    ...new Array(3).fill(["u32", 0xffffffff]),
  ],
  "QEMU's audio": [["u8", 255], ["u8", 1], ["u16", 0]],
};
for (const [what, parts] of Object.entries(MALFORMED)) {
  Deno.test(`vnc: who sends ${what} is closed`, () =>
    withServer(async (display, screen) => {
      const other = await WireViewer.begin(display.port);
      const viewer = await WireViewer.begin(display.port);
      await viewer.message(...parts);
      await viewer.ended();
      viewer.close();
      await assertServes(other, screen);
      assertEquals(display.viewers, 1);
      other.close();
    }));
}

Deno.test("vnc: what has a length and no use is read and forgotten", () =>
  withServer(async (display, screen) => {
    const viewer = await WireViewer.begin(display.port);
    await viewer.message(["u32", 0x06000000], ["u32", 1 << 20]);
    await viewer.send(new Uint8Array(1 << 20));
    // 65,535 encodings that nobody knows.
    await viewer.message(["u16", 0x0200], ["u16", 0xffff]);
    await viewer.send(new Uint8Array(4 * 0xffff).fill(0x55));
    // Another size, with 255 screens.
    await viewer.message(["u32", 0xfb000040], ["u16", 64], ["u16", 0xff00]);
    await viewer.send(new Uint8Array(255 * 16));
    // Parts of the screen that are not there, or empty.
    await viewer.request(true, { x: 40, y: 0, width: 1, height: 1 });
    await viewer.request(false, {
      x: 65535,
      y: 65535,
      width: 65535,
      height: 1,
    });
    await viewer.request(false, { ...WHOLE, width: 0 });
    await assertServes(viewer, screen);
    viewer.close();
  }));

Deno.test("vnc: a pointer and keys from nowhere", () =>
  withServer(async (display, screen, events) => {
    const viewer = await WireViewer.begin(display.port);
    await viewer.message(["u16", 0x05ff], ["u16", 65535], ["u16", 65535]);
    for (const keysym of [0, 0xffffffff, 0x0110ffff, 0x01110000, 0x0100d800]) {
      await viewer.message(["u16", 0x0401], ["u16", 0], ["u32", keysym]);
      const scan = keysym;
      await viewer.message(
        ...[["u16", 0xff00], ["u16", 1], ["u32", 0], ["u32", scan]] as [
          "u16",
          number,
        ][],
      );
    }
    await assertServes(viewer, screen);
    assertEquals(events.filter(({ type }) => type === "key"), []);
    assertEquals(events[0], { type: "position", x: 65535, y: 65535 });
    viewer.close();
  }));

/** Numbers that are the same in each run (xorshift32). */
function randomNumbers(seed: number): (limit: number) => number {
  let x = seed | 1;
  return (limit) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % limit;
  };
}

/** A message whose type and length are right, mostly. */
function randomMessage(random: (limit: number) => number): number[] {
  const bytes = (count: number) =>
    Array.from({ length: count }, () => random(256));
  const known = [0, 2, 3, 4, 5, 6, 251, 255];
  const type = random(20) === 0 ? random(256) : known[random(known.length)];
  const count = random(5);
  const lie = random(12) === 0 ? random(65536) : count;
  switch (type) {
    case 0: {
      const bits = [8, 16, 32, random(256)][random(4)];
      const shifts = Array.from({ length: 3 }, () => random(40));
      return [0, 0, 0, 0, bits, ...bytes(9), ...shifts, 0, 0, 0];
    }
    case 2: {
      const list = Array.from({ length: count }, () => {
        const all = [0, 1, 5, 6, 16, -223, -258, -308, random(2 ** 31)];
        const number = all[random(all.length)];
        return [number >> 24, number >> 16, number >> 8, number];
      });
      return [2, 0, lie >> 8, lie, ...list.flat()];
    }
    case 3:
      return [3, random(2), 0, random(50), 0, random(40), ...bytes(4)];
    case 4:
      return [4, random(2), 0, 0, 0, 0, random(256), random(256)];
    case 5:
      return [5, random(256), 0, random(60), 0, random(60)];
    case 6:
      return [6, 0, 0, 0, 0, 0, lie >> 8, lie, ...bytes(count)];
    case 251:
      return [251, 0, ...bytes(4), random(3), 0, ...bytes(16 * random(3))];
    case 255:
      return [255, random(9) === 0 ? 1 : 0, 0, random(2), ...bytes(8)];
    default:
      return [type, ...bytes(random(20))];
  }
}

Deno.test("vnc: random messages, cut off anywhere, harm nobody", () =>
  withServer(async (display, screen) => {
    const random = randomNumbers(20261122);
    const honest = await WireViewer.begin(display.port);
    for (let run = 0; run < 200; run++) {
      const viewer = run % 8 === 0
        ? await WireViewer.connect(display.port)
        : await WireViewer.begin(display.port);
      let bytes: number[] = [];
      for (let n = random(30); n >= 0; n--) {
        bytes.push(...randomMessage(random));
      }
      if (random(2) === 0) bytes = bytes.slice(0, random(bytes.length + 1));
      await viewer.send(bytes);
      if (run % 10 === 0) {
        screen.draw(WHOLE, (x, y) => PATTERNS.noise(x, y + run));
      }
      // It reads no more than it has to.
      if (random(2) === 0) {
        await viewer.finish();
        await viewer.ended();
      }
      viewer.close();
      if (run % 20 === 0) await assertServes(honest, screen);
    }
    await assertServes(honest, screen);
    honest.close();
  }));

Deno.test("vnc: more connections than there is room for are closed", () =>
  withServer(async (display, screen) => {
    const honest = await WireViewer.begin(display.port);
    const idle: WireViewer[] = [];
    for (let n = 0; n < 31; n++) {
      idle.push(await WireViewer.connect(display.port));
      await idle[n].text(12);
    }
    const late = await WireViewer.connect(display.port);
    await late.ended();
    late.close();
    await assertServes(honest, screen);
    for (const viewer of idle) viewer.close();
    honest.close();
  }));

Deno.test("vnc: who does not read gets fewer updates, and the others all", async () => {
  const big = new FakeScreen(1600, 1000);
  await withServer(
    async (display) => {
      const whole = { x: 0, y: 0, width: 1600, height: 1000 };
      const slow = await WireViewer.begin(display.port);
      for (let n = 0; n < 20; n++) await slow.request(false, whole);
      const honest = await WireViewer.begin(display.port);
      const part = { x: 0, y: 0, width: 8, height: 1 };
      let looks = 0;
      for (let n = 1; n <= 30; n++) {
        big.draw(whole, () => n);
        await honest.request(true, part);
        const header = await honest.reader.take(4 + 12 + 8 * 4);
        assertEquals(header.getUint32(16, true), n);
        if (n === 10) looks = big.looks;
        for (let k = 0; k < 20; k++) await slow.request(true, whole);
      }
      // Only the honest one has looked meanwhile: once to see, once to wait.
      assert(big.looks - looks <= 2 * 20, `${big.looks - looks} looks`);
      slow.close();
      honest.close();
    },
    {},
    big,
  );
});

Deno.test("vnc: a viewer with a colour map is told the colours", () =>
  withServer(async (display, screen) => {
    const viewer = await WireViewer.begin(display.port);
    screen.draw(WHOLE, (x) => x % 2 === 0 ? 0xff0000 : 0x0000ff);
    await viewer.message(["u32", 0], ["u32", 0x08080000], ["u32", 0], [
      "u32",
      0,
    ], ["u32", 0]);
    await viewer.request(false, { x: 0, y: 0, width: 2, height: 1 });
    const head = await viewer.reader.take(6);
    assertEquals([head.getUint8(0), head.getUint16(4)], [1, 256]);
    const colours: number[][] = [];
    for (let n = 0; n < 256; n++) {
      const view = await viewer.reader.take(6);
      colours.push([0, 2, 4].map((at) => view.getUint16(at)));
    }
    await viewer.reader.take(4 + 12);
    const pixels = await viewer.reader.take(2);
    assertEquals(colours[pixels.getUint8(0)], [65535, 0, 0]);
    assertEquals(colours[pixels.getUint8(1)], [0, 0, 65535]);
    viewer.close();
  }));

Deno.test("vnc: big-endian pixels", () =>
  withServer(async (display, screen) => {
    const viewer = await WireViewer.begin(display.port);
    screen.draw(WHOLE, () => 0x12abef);
    const format = async (...bytes: number[]) => {
      await viewer.send([0, 0, 0, 0, ...bytes, 0, 0, 0]);
      await viewer.request(false, { x: 3, y: 3, width: 1, height: 1 });
      await viewer.reader.take(4 + 12);
    };
    await format(32, 24, 1, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0);
    assertEquals((await viewer.reader.take(4)).getUint32(0), 0x12abef);
    await format(16, 16, 1, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0);
    const expected = Math.round(0x12 * 31 / 255) << 11 |
      Math.round(0xab * 63 / 255) << 5 | Math.round(0xef * 31 / 255);
    assertEquals((await viewer.reader.take(2)).getUint16(0), expected);
    viewer.close();
  }));

Deno.test("vnc: what scrolls is copied", () =>
  withServer(
    async (display, screen) => {
      const viewer = await WireViewer.begin(display.port);
      await viewer.message(["u16", 0x0200], ["u16", 2], ["u32", 0], ["u32", 1]);
      const { width, height } = screen;
      const whole = { x: 0, y: 0, width, height };
      screen.draw(whole, PATTERNS.noise);
      await viewer.request(false, whole);
      const skipPixels = async (bytes: number): Promise<void> =>
        await viewer.reader.skip(bytes);
      const count = (await viewer.reader.take(4)).getUint16(2);
      for (let n = 0; n < count; n++) {
        const head = await viewer.reader.take(12);
        await skipPixels(4 * head.getUint16(4) * head.getUint16(6));
      }
      screen.scroll(16, (x, y) => PATTERNS.noise(y, x));
      await viewer.request(true, whole);
      assertEquals((await viewer.reader.take(4)).getUint16(2), 2);
      const copy = await viewer.reader.take(16);
      assertEquals(
        [0, 2, 4, 6, 10, 12, 14].map((at) => copy.getUint16(at)),
        [0, 0, width, height - 16, 1, 0, 16],
      );
      const rest = await viewer.reader.take(12);
      assertEquals([rest.getUint16(2), rest.getUint16(6)], [height - 16, 16]);
      viewer.close();
    },
    {},
    new FakeScreen(200, 150),
  ));
