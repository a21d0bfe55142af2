/**
 * A headless Chromium for tests, driven by Playwright.
 *
 * @module
 */

import { type Browser, chromium, type Page } from "playwright-core";
import { assertEquals } from "@std/assert";

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

/** Whether there is a Chromium. */
export function hasChromium(): boolean {
  try {
    return Deno.statSync(CHROMIUM).isFile;
  } catch {
    return false;
  }
}

/** Run a test with a browser; it is skipped, and says why, where there is none. */
export function browserTest(
  name: string,
  use: (browser: Browser) => Promise<void>,
): void {
  const isThere = hasChromium();
  Deno.test({
    name: isThere ? name : `${name} (skipped: ${CHROMIUM} is not installed)`,
    ignore: !isThere,
    // Playwright keeps a process and timers of its own.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const browser = await chromium.launch({
        executablePath: CHROMIUM,
        // Tests run as root in containers; it opens this project's page only.
        chromiumSandbox: false,
      });
      try {
        await use(browser);
      } finally {
        await browser.close();
      }
    },
  });
}

/** Open an address and note what happens. */
export async function openPage(
  browser: Browser,
  url: string,
): Promise<OpenPage> {
  const page = await browser.newPage({
    viewport: { width: 1100, height: 800 },
  });
  const errors: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) {
      errors.push(message.text());
    }
  });
  page.on("pageerror", (error) => void errors.push(error.message));
  page.on("request", (request) => void requests.push(request.url()));
  page.on("websocket", (socket) => void requests.push(socket.url()));
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
