/** Linux behind the `web` display: its terminal, and the machine's buttons. */

import { assertEquals } from "@std/assert";
import type { Page } from "playwright-core";
import {
  eventually,
  noBrowser,
  openPage,
  terminalText,
  withBrowser,
} from "../web/browser.ts";
import { boot, isapc } from "./guest.ts";

const reason = noBrowser();
const name = "Linux on the web display's terminal, with its buttons";

/** Wait for the terminal to show a text. */
async function shows(page: Page, pattern: RegExp): Promise<void> {
  const isThere = async (): Promise<boolean> =>
    pattern.test(await terminalText(page));
  // A guest may take its time on a busy host.
  for (let tries = 0; tries < 30 && !await isThere(); tries++) {
    await eventually(isThere, true).catch(() => {});
  }
  assertEquals(await isThere(), true, await terminalText(page));
}

if (reason !== undefined) {
  Deno.test.ignore(`${name} (skipped: ${reason})`, () => {});
} else {
  boot(name, ({ kernel, initramfs }) =>
    withBrowser(async (browser) => {
      let url = "";
      const machine = await isapc({
        kernel,
        initrd: initramfs,
        append: "console=ttyS0 quiet",
        display: "web=0",
        serial: ["web-terminal"],
        log: (line) => url = /http:\S+/.exec(line)?.[0] ?? url,
      });
      try {
        machine.start();
        const { page, errors } = await openPage(browser, url);
        await page.click("#tabs [data-name=serial0]");
        const prompt = /\/root #\s*$/;
        await shows(page, prompt);
        await page.keyboard.type("clear; echo $((6*7)) > n; cat n n\n");
        await shows(page, /^42\n42\n\/root #\s*$/);
        // The file is gone with the guest's memory.
        await page.click("#reset");
        await page.click("#tabs [data-name=serial0]");
        await shows(page, /42\n42\n\/root #[^]*\/root #\s*$/);
        await page.keyboard.type("clear; cat n\n");
        await shows(page, /^cat: .*No such file or directory\n\/root #\s*$/);
        assertEquals(errors, []);
        // This machine has no power button that would ask the guest.
        await page.click("#power");
        const { reason } = await machine.wait();
        assertEquals(reason, "quit");
      } finally {
        await machine.stop();
      }
    }));
}
