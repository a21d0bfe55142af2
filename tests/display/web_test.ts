/** The `web` display's page in Chromium. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Page } from "playwright-core";
import type { WebLine } from "../../plugins/display/web/line.ts";
import terminal from "../../plugins/display/web/terminal.ts";
import {
  TEST_CONFIG,
  type TestContext,
  testContext,
} from "../../plugins/display/web/testing.ts";
import { WebDisplay } from "../../plugins/display/web/web.ts";
import { browserTest, eventually, openPage } from "./browser.ts";

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
    await display.close();
    await line.close();
  }
}

/** The rows of a terminal as text. */
function terminalText(page: Page): Promise<string> {
  return page.evaluate(() =>
    // deno-lint-ignore no-explicit-any
    (globalThis as any).document.querySelector(".xterm-rows")?.innerText ?? ""
  );
}

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

browserTest("web: buttons", async (browser) => {
  await withDisplay(async ({ display, context }) => {
    const { page } = await openPage(browser, display.url);
    await eventually(() => page.textContent("#status"), "");
    await page.click("#reset");
    await page.click("#power");
    await eventually(() => context.pressed, ["reset", "power"]);
  });
});
