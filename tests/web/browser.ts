/**
 * A headless Chromium for tests, driven by Playwright.
 *
 * @module
 */

import { type Browser, chromium, type Page } from "playwright-core";
import { assertEquals } from "@std/assert";
import type { PictureSource } from "../../core/backend/display.ts";
import { limited, within } from "../limit.ts";

/** Debian's package. */
const CHROMIUM = "/usr/bin/chromium";

/** A page that was opened, and what went wrong on it. */
export interface OpenPage {
  /** The page. */
  readonly page: Page;
  /** Errors on its console and exceptions of its scripts. */
  readonly errors: readonly string[];
  /** Addresses that it asked for. */
  readonly requests: readonly string[];
}

function hasChromium(): boolean {
  try {
    return Deno.statSync(CHROMIUM).isFile;
  } catch {
    return false;
  }
}

/** Why there can be no browser; undefined where there can. */
export function noBrowser(): string | undefined {
  return hasChromium() ? undefined : `${CHROMIUM} is not installed`;
}

/** Use a browser. */
export async function withBrowser(
  use: (browser: Browser) => Promise<void>,
): Promise<void> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    // Tests run as root in containers; it opens this project's page only.
    chromiumSandbox: false,
  });
  try {
    await use(browser);
  } finally {
    await within("the browser's end", browser.close());
  }
}

/**
 * A test with a browser; skipped with the reason where there is none, or where
 * something else is `missing`.
 */
export function browserTest(
  name: string,
  use: (browser: Browser) => Promise<void>,
  missing?: string,
): void {
  const reason = noBrowser() ?? missing;
  Deno.test({
    name: reason === undefined ? name : `${name} (skipped: ${reason})`,
    ignore: reason !== undefined,
    fn: () => withBrowser(use),
  });
}

/** Chromium's advice on performance to who reads pixels, as tests do. */
const ADVICE = /^Canvas2D: Multiple readback operations/;

/** Open an address and note what happens; `script` runs before the page's. */
export async function openPage(
  browser: Browser,
  url: string,
  script = "",
): Promise<OpenPage> {
  const opened = await within(
    "a new page",
    browser.newPage({ viewport: { width: 1100, height: 800 } }),
  );
  // Playwright's own limits are on what it looks for in the page: its keyboard
  // and mouse, a script and the page's end may be waited for without one.
  const page = limited("page", opened);
  const errors: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    const text = message.text();
    if (!["error", "warning"].includes(message.type())) return;
    if (!ADVICE.test(text)) errors.push(text);
  });
  page.on("pageerror", (error) => void errors.push(error.message));
  page.on("request", (request) => void requests.push(request.url()));
  page.on("websocket", (socket) => void requests.push(socket.url()));
  await page.addInitScript(script);
  await page.goto(url);
  return { page, errors, requests };
}

/** Ask until the answer is the expected one. */
export async function eventually<T>(
  ask: () => T | Promise<T>,
  expected: T,
): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    const answer = await ask();
    if (JSON.stringify(answer) === JSON.stringify(expected)) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  assertEquals(await ask(), expected);
}

/** The rows of the page's terminal as text. */
export function terminalText(page: Page): Promise<string> {
  return page.evaluate(() =>
    // deno-lint-ignore no-explicit-any
    (globalThis as any).document.querySelector(".xterm-rows")?.innerText ?? ""
  );
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", bytes);
  return new Uint8Array(hash).toHex();
}

/** A picture's size and the hash of its pixels as a canvas has them. */
export async function pictureHash(source: PictureSource): Promise<string> {
  const { width, height, pixels } = source.look(0);
  const rgba = new Uint8Array(pixels.length);
  for (let at = 0; at < pixels.length; at += 4) {
    rgba.set([pixels[at + 2], pixels[at + 1], pixels[at], 255], at);
  }
  return `${width}x${height} ${await digest(rgba)}`;
}

/** The same of the page's screen. */
export function canvasHash(page: Page): Promise<string> {
  return page.evaluate(async () => {
    // deno-lint-ignore no-explicit-any
    const { document, OffscreenCanvas } = globalThis as any;
    const canvas = document.querySelector(".view[data-name=screen] canvas");
    if (canvas === null) return "no canvas";
    const { width, height } = canvas;
    if (width === 0 || height === 0) return "empty";
    const copy = new OffscreenCanvas(width, height)
      .getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    const hash = await crypto.subtle.digest("SHA-256", data);
    return `${width}x${height} ${new Uint8Array(hash).toHex()}`;
  });
}
