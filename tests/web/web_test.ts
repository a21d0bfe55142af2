/** The `web` display's page in Chromium. */

import { assert, assertEquals } from "@std/assert";
import type {
  Picture,
  PictureSource,
  Rectangle,
} from "../../core/backend/display.ts";
import type { InputEvent } from "../../core/backend/input.ts";
import type { WebLine } from "../../plugins/display/web/line.ts";
import terminal from "../../plugins/display/web/terminal.ts";
import {
  TEST_CONFIG,
  type TestContext,
  testContext,
} from "../../plugins/display/web/testing.ts";
import { WebDisplay } from "../../plugins/display/web/web.ts";
import { within } from "../limit.ts";
import {
  browserTest,
  canvasHash,
  eventually,
  openPage,
  pictureHash,
  terminalText,
} from "./browser.ts";

const encode = (text: string) => new TextEncoder().encode(text);

interface Setup {
  readonly display: WebDisplay;
  readonly context: TestContext;
  readonly line: WebLine;
}

async function withDisplay(
  use: (setup: Setup) => Promise<void>,
  config = TEST_CONFIG,
): Promise<void> {
  const context = testContext();
  const line = await terminal.create({}, { ...context, name: "serial0" });
  const display = await WebDisplay.open(config, context);
  try {
    await use({ display, context, line: line as WebLine });
  } finally {
    await within("the display's end", display.close());
    await line.close();
  }
}

/** A screen on which a test draws. */
class TestPicture implements PictureSource {
  readonly #watchers: (() => void)[] = [];
  #width: number;
  #height: number;
  #pixels: Uint8Array;
  #generation = 1;
  /** What changed in each generation from the second on. */
  #changes: Rectangle[] = [];

  constructor(width: number, height: number) {
    this.#width = width;
    this.#height = height;
    this.#pixels = noise(width * height);
  }

  look(since: number): Picture {
    const { width, height } = { width: this.#width, height: this.#height };
    return {
      width,
      height,
      pixels: this.#pixels,
      generation: this.#generation,
      changed: since === 0
        ? [{ x: 0, y: 0, width, height }]
        : this.#changes.slice(since - 1),
    };
  }

  watchPicture(changed: () => void): void {
    this.#watchers.push(changed);
  }

  #tell(area: Rectangle): void {
    this.#changes.push(area);
    this.#generation++;
    for (const changed of this.#watchers.splice(0)) changed();
  }

  /** Fill a rectangle with a colour, 0xRRGGBB. */
  fill(area: Rectangle, colour: number): void {
    for (let y = area.y; y < area.y + area.height; y++) {
      for (let x = area.x; x < area.x + area.width; x++) {
        const at = (y * this.#width + x) * 4;
        for (const byte of [0, 1, 2]) {
          this.#pixels[at + byte] = colour >> 8 * byte & 0xff;
        }
      }
    }
    this.#tell(area);
  }

  /** Switch to another mode. */
  resize(width: number, height: number): void {
    this.#width = width;
    this.#height = height;
    this.#pixels = noise(width * height);
    this.#tell({ x: 0, y: 0, width, height });
  }
}

/** Pixels of which no two rows are alike. */
function noise(count: number): Uint8Array {
  const words = new Uint32Array(count);
  let seed = count;
  for (let n = 0; n < count; n++) {
    seed = Math.imul(seed, 1664525) + 1013904223 | 0;
    words[n] = n % 7 === 0 ? seed >>> 8 : n & 0xffffff;
  }
  return new Uint8Array(words.buffer);
}

/** Keys that came, as `+KeyA` and `-KeyA`. */
function keysOf(events: readonly InputEvent[]): string {
  return events.filter((event) => event.type === "key")
    .map(({ code, down }) => `${down ? "+" : "-"}${code}`).join(" ");
}

browserTest("web: noVNC shows the picture's pixels", async (browser) => {
  await withDisplay(async ({ display }) => {
    const source = new TestPicture(320, 200);
    display.picture(source);
    const { page, errors, requests } = await openPage(browser, display.url);
    const same = async () =>
      await eventually(() => canvasHash(page), await pictureHash(source));
    await same();
    source.fill({ x: 10, y: 20, width: 100, height: 50 }, 0x123456);
    source.fill({ x: 319, y: 199, width: 1, height: 1 }, 0xfedcba);
    await same();
    source.resize(800, 600);
    await same();
    source.fill({ x: 0, y: 0, width: 800, height: 300 }, 0xff8000);
    await same();
    // Another page sees the same.
    const second = await openPage(browser, display.url);
    await eventually(() => canvasHash(second.page), await pictureHash(source));
    assertEquals([...errors, ...second.errors], []);
    assert(requests.length > 40);
    const elsewhere = requests.filter((url) =>
      !url.startsWith("data:") &&
      new URL(url).host !== `127.0.0.1:${display.port}`
    );
    assertEquals(elsewhere, []);
  });
});

browserTest("web: typing and pointing at the screen", async (browser) => {
  await withDisplay(async ({ display }) => {
    const events: InputEvent[] = [];
    display.input.onEvent((event) => void events.push(event));
    display.picture(new TestPicture(640, 400));
    const { page, errors } = await openPage(browser, display.url);
    const canvas = page.locator(".view[data-name=screen] canvas");
    await eventually(() =>
      page.evaluate(() =>
        // deno-lint-ignore no-explicit-any
        (globalThis as any).document.body.dataset.screen
      ), "connected");
    const box = (await canvas.boundingBox())!;
    await page.mouse.click(box.x + box.width / 2, box.y + box.height / 4);
    await eventually(
      () => events.filter(({ type }) => type === "button").length,
      2,
    );
    const position = events.find(({ type }) => type === "position");
    if (position?.type !== "position") throw new Error("no position came");
    // To a pixel of the screen.
    assert(Math.abs(position.x - 32768) <= 110, `${position.x}`);
    assert(Math.abs(position.y - 16384) <= 170, `${position.y}`);
    events.length = 0;
    await page.keyboard.press("a");
    await page.keyboard.press("Shift+B");
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("F5");
    await eventually(
      () => keysOf(events),
      "+KeyA -KeyA +ShiftLeft +KeyB -KeyB -ShiftLeft " +
        "+ArrowLeft -ArrowLeft +F5 -F5",
    );
    events.length = 0;
    await page.click("#ctrl-alt-del");
    await eventually(
      () => keysOf(events),
      "+ControlLeft +AltLeft +Delete -Delete -AltLeft -ControlLeft",
    );
    // The keys go to the screen again, not to the button.
    events.length = 0;
    await page.keyboard.press("Enter");
    await eventually(() => keysOf(events), "+Enter -Enter");
    assertEquals(errors, []);
  });
});

browserTest("web: a terminal on a serial line", async (browser) => {
  await withDisplay(async ({ display, line }) => {
    line.write(encode("kept \x1b[1;31mred\x1b[0m\r\n"));
    const { page, errors } = await openPage(browser, display.url);
    await page.click("#tabs [data-name=serial0]");
    const shows = (text: string) =>
      eventually(async () => (await terminalText(page)).includes(text), true);
    await shows("kept red");
    line.write(encode("more ├─┤\r\n"));
    await shows("more ├─┤");
    let typed = "";
    line.onInput((bytes) => {
      typed += new TextDecoder().decode(bytes);
      // As a guest does: it echoes.
      line.write(bytes);
    });
    await page.keyboard.type("ls -l é");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Control+C");
    await page.keyboard.press("ArrowUp");
    await eventually(() => typed, "ls -l é\r\x03\x1b[A");
    await shows("ls -l é");
    assertEquals(errors, []);
  });
});

browserTest("web: a terminal behind a flood", async (browser) => {
  await withDisplay(async ({ display, line }) => {
    // xterm.js works in slices between timers: here it has long pauses.
    const { page, errors, requests } = await openPage(
      browser,
      display.url,
      "const timer = setTimeout;" +
        "globalThis.setTimeout = (call, ms) => timer(call, (ms ?? 0) + 60);",
    );
    await page.click("#tabs [data-name=serial0]");
    line.write(encode("ready\r\n"));
    const shows = (text: string) =>
      eventually(async () => (await terminalText(page)).trim(), text);
    await shows("ready");
    // More than xterm.js would take.
    const flood = encode("0123456789 \x1b[31mabc\x1b[0m\r\n".repeat(2500));
    for (let n = 0; n < 1000; n++) {
      await within("a flood's part", Promise.resolve(line.write(flood)));
      // As slices of a guest, it lets others have a turn.
      await new Promise((resolve) => setTimeout(resolve));
    }
    line.write(encode("\x1b[2J\x1b[Hthe end"));
    await shows("the end");
    assertEquals(errors, []);
    // It has hung up when it was too far behind, and come back.
    const sockets = requests.filter((url) => url.endsWith("/serial/serial0"));
    assert(sockets.length > 1);
  });
});

browserTest("web: a page needs the token", async (browser) => {
  await withDisplay(async ({ display, context }) => {
    const { page } = await openPage(browser, display.url);
    await eventually(() => page.textContent("#status"), "not connected");
    await page.click("#reset");
    const url = new URL(display.url);
    url.hash = "token=a+b%26c";
    const second = await openPage(browser, url.href);
    await eventually(() => second.page.textContent("#status"), "");
    await second.page.click("#power");
    await eventually(() => context.pressed, ["power"]);
    assertEquals(second.errors, []);
  }, { ...TEST_CONFIG, token: "a b&c" });
});

browserTest("web: buttons", async (browser) => {
  await withDisplay(async ({ display, context }) => {
    const { page } = await openPage(browser, display.url);
    await eventually(() => page.textContent("#status"), "");
    await page.click("#reset");
    await page.click("#power");
    await eventually(() => context.pressed, ["reset", "power"]);
    await display.close();
    await eventually(
      () => page.textContent("#status"),
      "the machine has stopped",
    );
  });
});
