/** A machine's own screen in the page of the `web` display. */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { Browser } from "playwright-core";
import type { PictureSource } from "../../core/backend/display.ts";
import { Machine } from "../../mod.ts";
import { within } from "../limit.ts";
import {
  browserTest,
  canvasHash,
  eventually,
  openPage,
  pictureHash,
} from "./browser.ts";

const ISAPC = fromFileUrl(
  new URL("../../machines/isapc.json", import.meta.url),
);

async function showsScreen(browser: Browser): Promise<void> {
  let url = "";
  const machine = await Machine.load(ISAPC, {
    firmware: "builtin",
    display: "web=0",
    log: (line) => url = /http:\S+/.exec(line)?.[0] ?? url,
  });
  try {
    machine.start();
    const screen = machine.device("vga") as unknown as PictureSource;
    const { page, errors } = await openPage(browser, url);
    await eventually(
      () => screen.look(0).pixels.some((value) => value !== 0),
      true,
    );
    await eventually(
      async () => await canvasHash(page) === await pictureHash(screen),
      true,
    );
    assert(/^720x400 /.test(await canvasHash(page)));
    assertEquals(errors, []);
  } finally {
    await within("the machine's end", machine.stop());
  }
}

browserTest("web: the screen of a PC", showsScreen);
