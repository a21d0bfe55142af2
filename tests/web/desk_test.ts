/**
 * A human at the page: other layouts, the mouse's buttons, several pages and
 * several serial lines, and a page that is loaded anew.
 */

import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import type { InputEvent } from "../../core/backend/input.ts";
import terminal from "../../plugins/display/web/terminal.ts";
import type { WebLine } from "../../plugins/display/web/line.ts";
import { TEST_CONFIG, testContext } from "../../plugins/display/web/testing.ts";
import { WebDisplay } from "../../plugins/display/web/web.ts";
import { within } from "../limit.ts";
import { FakeScreen } from "../vnc/fake_screen.ts";
import { browserTest, eventually, openPage } from "./browser.ts";

const LINES = ["serial0", "serial1", "serial2"] as const;

interface Setup {
  readonly display: WebDisplay;
  readonly lines: readonly WebLine[];
  /** What the guest gets, in short. */
  readonly events: string[];
}

/** An event in short; positions are left out. */
function inShort(event: InputEvent): string[] {
  switch (event.type) {
    case "key":
      return [`${event.down ? "+" : "-"}${event.code}`];
    case "button":
      return [`${event.down ? "+" : "-"}${event.button}`];
    case "motion":
      return [event.wheel < 0 ? "up" : "down"];
    default:
      return [];
  }
}

async function withDisplay(
  use: (setup: Setup) => Promise<void>,
): Promise<void> {
  const context = testContext();
  const lines: WebLine[] = [];
  for (const name of LINES) {
    lines.push(await terminal.create({}, { ...context, name }) as WebLine);
  }
  const display = await WebDisplay.open(TEST_CONFIG, context);
  const events: string[] = [];
  display.input.onEvent((event) => void events.push(...inShort(event)));
  display.picture(new FakeScreen(640, 400));
  try {
    await use({ display, lines, events });
  } finally {
    await within("the display's end", display.close());
    for (const line of lines) await line.close();
  }
}

/** Wait until the page sees the screen; gives back where its middle is. */
async function connected(page: Page): Promise<[x: number, y: number]> {
  await eventually(
    () => page.evaluate("document.body.dataset.screen"),
    "connected",
  );
  const canvas = page.locator(".view[data-name=screen] canvas");
  const { x, y, width, height } = (await canvas.boundingBox())!;
  return [x + width / 2, y + height / 2];
}

/** A key as a browser tells of it, whatever the layout: down and up. */
async function stroke(page: Page, code: string, key: string): Promise<void> {
  await page.evaluate(([code, key]) => {
    // deno-lint-ignore no-explicit-any
    const { document, KeyboardEvent } = globalThis as any;
    const canvas = document.querySelector(".view[data-name=screen] canvas");
    for (const type of ["keydown", "keyup"]) {
      canvas.dispatchEvent(
        new KeyboardEvent(type, { code, key, bubbles: true, cancelable: true }),
      );
    }
  }, [code, key]);
}

browserTest(
  "web: keys are keys, whatever the layout makes of them",
  (browser) =>
    withDisplay(async ({ display, events }) => {
      const { page, errors } = await openPage(browser, display.url);
      await connected(page);
      for (
        const [code, key] of [
          // A German layout, a dead key, and a key that types nothing there.
          ["KeyY", "z"],
          ["Minus", "ß"],
          ["Equal", "Dead"],
          ["IntlBackslash", "<"],
          ["AltRight", "AltGraph"],
          ["KeyQ", "@"],
          ["Backquote", "Process"],
          ["NumpadEnter", "Enter"],
          ["Pause", "Pause"],
          ["PrintScreen", "PrintScreen"],
          ["ContextMenu", "ContextMenu"],
        ]
      ) {
        events.length = 0;
        await stroke(page, code, key);
        await eventually(() => events, [`+${code}`, `-${code}`]);
      }
      assertEquals(errors, []);
    }),
);

browserTest(
  "web: the mouse's buttons and its wheel",
  (browser) =>
    withDisplay(async ({ display, events }) => {
      const { page, errors } = await openPage(browser, display.url);
      const [x, y] = await connected(page);
      await page.mouse.move(x, y);
      for (const button of ["left", "middle", "right"] as const) {
        await page.mouse.click(x, y, { button });
      }
      await eventually(() => events, ["+0", "-0", "+1", "-1", "+2", "-2"]);
      events.length = 0;
      await page.mouse.wheel(0, 120);
      await eventually(() => events, ["down"]);
      await page.mouse.wheel(0, -120);
      await eventually(() => events, ["down", "up"]);
      assertEquals(errors, []);
    }),
);

browserTest(
  "web: what a page held is released when it is loaded anew",
  (browser) =>
    withDisplay(async ({ display, events }) => {
      const { page, errors } = await openPage(browser, display.url);
      const [x, y] = await connected(page);
      await page.mouse.move(x, y);
      await page.mouse.down();
      await page.keyboard.down("Control");
      await page.keyboard.down("k");
      await eventually(() => events, ["+0", "+ControlLeft", "+KeyK"]);
      events.length = 0;
      await page.reload();
      await eventually(
        () => events.toSorted(),
        ["-0", "-ControlLeft", "-KeyK"],
      );
      await connected(page);
      events.length = 0;
      await page.keyboard.up("k");
      await page.keyboard.up("Control");
      await page.keyboard.press("a");
      await eventually(() => events, ["+KeyA", "-KeyA"]);
      assertEquals(errors, []);
    }),
);

browserTest(
  "web: several lines, on several pages",
  (browser) =>
    withDisplay(async ({ display, lines }) => {
      const typed: Record<string, string> = {};
      for (const [n, line] of lines.entries()) {
        line.onInput((bytes) => {
          typed[n] = (typed[n] ?? "") + new TextDecoder().decode(bytes);
        });
        line.write(new TextEncoder().encode(`line ${n}\r\n`));
      }
      const pages = [
        await openPage(browser, display.url),
        await openPage(browser, display.url),
      ];
      const text = (page: Page, name: string): Promise<string> =>
        page.evaluate((name) =>
          // deno-lint-ignore no-explicit-any
          (globalThis as any).document.querySelector(
            `.view[data-name=${name}] .xterm-rows`,
          )?.innerText.trim() ?? "", name);
      for (const [n, name] of LINES.entries()) {
        for (const { page } of pages) {
          await page.click(`#tabs [data-name=${name}]`);
          await eventually(() => text(page, name), `line ${n}`);
        }
      }
      // One types on the first line, the other on the last.
      await pages[0].page.click("#tabs [data-name=serial0]");
      await pages[0].page.keyboard.type("abc");
      await pages[1].page.keyboard.type("xyz");
      await eventually(() => typed, { 0: "abc", 2: "xyz" });
      lines[2].write(new TextEncoder().encode("for all"));
      await pages[0].page.click("#tabs [data-name=serial2]");
      for (const { page } of pages) {
        await eventually(
          async () => (await text(page, "serial2")).slice(-7),
          [
            ..."for all",
          ].join(""),
        );
      }
      await pages[0].page.reload();
      await pages[0].page.click("#tabs [data-name=serial1]");
      await eventually(() => text(pages[0].page, "serial1"), "line 1");
      assertEquals(pages.flatMap(({ errors }) => errors), []);
    }),
);
