/**
 * A viewer that we did not write sees what is on the screen, in every encoding
 * and several pixel formats, and what it types arrives.
 */

import { assert, assertEquals } from "@std/assert";
import { FakeScreen, PATTERNS } from "./fake_screen.ts";
import {
  compileViewer,
  NativeViewer,
  type Shot,
  type ViewerOptions,
} from "./native_viewer.ts";
import { Server } from "./server.ts";

const folder = await Deno.makeTempDir();
const compiled = await compileViewer(folder);
const program = typeof compiled === "string" ? "" : compiled.program;
globalThis.addEventListener("unload", () => {
  Deno.removeSync(folder, { recursive: true });
});

function test(name: string, run: () => Promise<void>): void {
  const reason = typeof compiled === "string" ? ` (${compiled})` : "";
  Deno.test({ name: `vnc: ${name}${reason}`, ignore: reason !== "", fn: run });
}

/** A viewer of a server that lets it in. */
async function view(
  { port }: Server,
  options: Omit<ViewerOptions, "port"> = {},
): Promise<NativeViewer> {
  const viewer = await NativeViewer.start(program, { port, ...options });
  if (viewer === undefined) throw new Error("refused");
  return viewer;
}

/** The screen in a viewer's format, by its own reckoning. */
function inFormat(
  screen: FakeScreen,
  format: ViewerOptions["format"],
): Uint8Array {
  const { words } = screen;
  const part = (word: number, from: number, max: number): number =>
    Math.round((word >> from & 0xff) * max / 255);
  switch (format) {
    case "565":
      return new Uint8Array(
        Uint16Array.from(
          words,
          (word) =>
            part(word, 16, 31) << 11 | part(word, 8, 63) << 5 |
            part(word, 0, 31),
        ).buffer,
      );
    case "332":
      return Uint8Array.from(
        words,
        (word) =>
          part(word, 16, 7) | part(word, 8, 7) << 3 | part(word, 0, 3) << 6,
      );
    case "rgba":
      return new Uint8Array(
        Uint32Array.from(
          words,
          (word) => (word & 0xff) << 16 | word & 0xff00 | word >> 16 & 0xff,
        ).buffer,
      );
    default:
      return new Uint8Array(words.buffer.slice(0));
  }
}

/** Without the fourth byte, which is nothing's. */
function colours(bytes: Uint8Array, depth32: boolean): Uint8Array {
  return depth32 ? bytes.map((byte, i) => i % 4 === 3 ? 0 : byte) : bytes;
}

async function assertShows(
  viewer: NativeViewer,
  screen: FakeScreen,
  format: ViewerOptions["format"] = "bgra",
): Promise<Shot> {
  const expected = inFormat(screen, format);
  const depth32 = format === "bgra" || format === "rgba";
  const same = (a: Uint8Array): boolean =>
    a.length === expected.length &&
    colours(a, depth32).every((byte, i) => byte === expected[i]);
  const shot = await viewer.shotWhen(({ bytes, width, height }) =>
    width === screen.width && height === screen.height && same(bytes)
  );
  assertEquals([shot.width, shot.height], [screen.width, screen.height]);
  const seen = colours(shot.bytes, depth32);
  const first = seen.findIndex((byte, i) => byte !== expected[i]);
  assertEquals(first, -1, "the first byte that differs");
  return shot;
}

for (const encodings of ["raw", "zlib", "zrle", "copyrect zrle"]) {
  for (const format of ["bgra", "rgba", "565", "332"] as const) {
    test(`a viewer sees the same: ${encodings}, ${format}`, async () => {
      const screen = new FakeScreen(333, 201);
      const server = new Server(screen);
      const viewer = await view(server, { encodings, format });
      await assertShows(viewer, screen, format);
      const whole = { x: 0, y: 0, width: 333, height: 201 };
      const part = { x: 17, y: 40, width: 150, height: 71 };
      for (const pattern of Object.values(PATTERNS)) {
        screen.draw(whole, pattern);
        await assertShows(viewer, screen, format);
        screen.draw(part, (x, y) => pattern(y, x) ^ 0xffffff);
        await assertShows(viewer, screen, format);
      }
      // What scrolls is copied, where that can be asked for.
      for (let n = 0; n < 4; n++) {
        screen.scroll(16, (x, y) => PATTERNS.noise(x, y + n));
        await assertShows(viewer, screen, format);
      }
      await viewer.stop();
      await server.close();
    });
  }
}

test("the screen's size changes", async () => {
  const screen = new FakeScreen(640, 400);
  const server = new Server(screen);
  const viewer = await view(server, { encodings: "zrle" });
  await assertShows(viewer, screen);
  for (
    const [width, height] of [[720, 400], [1, 1], [1920, 1200], [320, 200]]
  ) {
    screen.resize(width, height);
    screen.draw({ x: 0, y: 0, width, height }, PATTERNS.manyRuns);
    await assertShows(viewer, screen);
  }
  await viewer.stop();
  await server.close();
});

test("several viewers see and type, each in its own format", async () => {
  const screen = new FakeScreen(200, 100);
  const server = new Server(screen);
  const formats = ["bgra", "565", "332"] as const;
  const viewers = await Promise.all(
    formats.map((format) => view(server, { encodings: "zrle", format })),
  );
  const whole = { x: 0, y: 0, width: 200, height: 100 };
  for (const pattern of Object.values(PATTERNS)) {
    screen.draw(whole, pattern);
    for (const [i, viewer] of viewers.entries()) {
      await assertShows(viewer, screen, formats[i]);
    }
  }
  assertEquals(server.display.viewers, 3);
  for (const viewer of viewers) {
    await viewer.key(0x61, true);
    await viewer.key(0x61, false);
    assertEquals(await server.arrived(2), [
      { type: "key", code: "KeyA", down: true },
      { type: "key", code: "KeyA", down: false },
    ]);
  }
  for (const viewer of viewers) await viewer.stop();
  await server.close();
});

test("nobody looks while nothing changes", async () => {
  const screen = new FakeScreen(200, 100);
  const server = new Server(screen);
  assertEquals(screen.looks, 0);
  screen.draw({ x: 0, y: 0, width: 200, height: 100 }, PATTERNS.noise);
  const viewers = [await view(server), await view(server)];
  for (const viewer of viewers) await assertShows(viewer, screen);
  const { looks } = screen;
  const { updates } = await viewers[0].shot();
  for (let n = 0; n < 20; n++) await viewers[0].shot();
  await new Promise((resolve) => setTimeout(resolve, 200));
  // Each has asked for what is new, and been told to wait.
  assert(screen.looks - looks <= 2);
  assertEquals((await viewers[0].shot()).updates, updates);
  assertEquals(screen.watchers, 1);
  for (const viewer of viewers) await viewer.stop();
  await server.close();
});

test("who knows the password is let in", async () => {
  const screen = new FakeScreen(64, 64);
  const server = new Server(screen, { password: "geheim!" });
  const { port } = server;
  screen.draw({ x: 0, y: 0, width: 64, height: 64 }, PATTERNS.noise);
  const viewer = await view(server, { encodings: "zrle", password: "geheim!" });
  await assertShows(viewer, screen);
  for (const password of ["geheim", "Geheim!", ""]) {
    const refused = await NativeViewer.start(program, { port, password });
    assertEquals(refused, undefined);
  }
  assertEquals(server.display.viewers, 1);
  await viewer.stop();
  await server.close();
});

test("a new viewer replaces the last where they do not share", async () => {
  const screen = new FakeScreen(64, 64);
  const server = new Server(screen, { shared: false });
  const first = await view(server);
  const second = await view(server);
  await assertShows(second, screen);
  assertEquals(server.display.viewers, 1);
  await first.stop();
  await second.stop();
  await server.close();
});

test("keys and the pointer arrive", async () => {
  const screen = new FakeScreen(101, 51);
  const server = new Server(screen);
  const viewer = await view(server);
  await assertShows(viewer, screen);
  const key = (code: string, down: boolean) => ({ type: "key", code, down });
  await viewer.key(0xffe1, true);
  await viewer.key("?".charCodeAt(0), true);
  await viewer.key("?".charCodeAt(0), false);
  await viewer.key(0xffe1, false);
  assertEquals(await server.arrived(4), [
    key("ShiftLeft", true),
    key("Slash", true),
    key("Slash", false),
    key("ShiftLeft", false),
  ]);
  // The extension's scan code counts, not the keysym.
  await viewer.key("z".charCodeAt(0), true, 0x15);
  await viewer.key("z".charCodeAt(0), false, 0x15);
  await viewer.key(0xff53, true, 0xcd);
  assertEquals(await server.arrived(3), [
    key("KeyY", true),
    key("KeyY", false),
    key("ArrowRight", true),
  ]);
  await viewer.pointer(50, 50, 0);
  await viewer.pointer(50, 50, 1);
  await viewer.pointer(50, 50, 0);
  await viewer.pointer(50, 50, 8);
  assertEquals(await server.arrived(4), [
    { type: "position", x: 32768, y: 65535 },
    { type: "button", button: 0, down: true },
    { type: "button", button: 0, down: false },
    { type: "motion", dx: 0, dy: 0, wheel: -1 },
  ]);
  await viewer.pointer(50, 50, 4);
  assertEquals((await server.arrived(1)).length, 1);
  // Who goes releases what is held.
  await viewer.stop();
  assertEquals(await server.arrived(2), [
    key("ArrowRight", false),
    { type: "button", button: 2, down: false },
  ]);
  await server.close();
});
