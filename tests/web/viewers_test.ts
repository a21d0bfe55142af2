/**
 * One machine behind two viewers that we did not write: libvncclient at a VNC
 * server and noVNC in Chromium. Both type into the guest, and see the same.
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import type { Browser } from "playwright-core";
import type {
  DisplayBackend,
  PictureSource,
  TextSource,
} from "../../core/backend/display.ts";
import { screenText } from "../../core/backend/memory_display.ts";
import type { DisplayPlugin } from "../../core/machine/plugin.ts";
import { PLUGINS } from "../../machines/registry.ts";
import { Machine } from "../../mod.ts";
import { TEST_CONFIG } from "../../plugins/display/web/testing.ts";
import { WebDisplay } from "../../plugins/display/web/web.ts";
import { VncDisplay } from "../../plugins/display/vnc/vnc.ts";
import { within } from "../limit.ts";
import {
  compileViewer,
  isShifted,
  NativeViewer,
} from "../vnc/native_viewer.ts";
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
const folder = await Deno.makeTempDir();
const compiled = await compileViewer(folder);
globalThis.addEventListener("unload", () => {
  Deno.removeSync(folder, { recursive: true });
});

/** A boot sector that shows what is typed, and no cursor, which would blink. */
const ECHO = Uint8Array.fromHex(
  "b80300cd10" + // mov ax, 3; int 10h: text
    "b401b90020cd10" + // mov ah, 1; mov cx, 2000h; int 10h: the cursor is off
    "b83e0ebb0700cd10" + // mov ax, 0e3eh; mov bx, 7; int 10h: ">"
    "31c0cd16" + // xor ax, ax; int 16h: wait for a key
    "b40ebb0700cd10" + // mov ah, 0eh; mov bx, 7; int 10h: write it
    "ebf3", // jmp to the key
);

/** Both displays in front of one machine. */
class Both implements DisplayBackend {
  readonly web: WebDisplay;
  readonly vnc: VncDisplay;
  readonly input: NonNullable<DisplayBackend["input"]>;

  constructor(web: WebDisplay, vnc: VncDisplay) {
    this.web = web;
    this.vnc = vnc;
    this.input = {
      onEvent(receiver) {
        web.input.onEvent(receiver);
        vnc.input.onEvent(receiver);
      },
      close: () => Promise.resolve(),
    };
  }

  picture(source: PictureSource): void {
    this.web.picture(source);
    this.vnc.picture(source);
  }

  async close(): Promise<void> {
    await Promise.all([this.web.close(), this.vnc.close()]);
  }
}

async function start(): Promise<{ machine: Machine; both: Both }> {
  const sector = new Uint8Array(1 << 20);
  sector.set(ECHO);
  sector.set([0x55, 0xaa], 510);
  const file = join(folder, "disk.img");
  await Deno.writeFile(file, sector);
  let both: Both | undefined;
  const plugin: DisplayPlugin = {
    type: "display",
    name: "both",
    version: "1.0.0",
    async create(_config, context) {
      const vnc = { address: "127.0.0.1", port: 0, shared: true };
      return both = new Both(
        await WebDisplay.open(TEST_CONFIG, context),
        new VncDisplay(vnc, context),
      );
    },
  };
  const machine = await Machine.load(ISAPC, {
    firmware: "builtin",
    drives: [{ file }],
    display: "both",
    log() {},
    plugins: {
      ...PLUGINS,
      display: { both: () => Promise.resolve({ default: plugin }) },
    },
  });
  return { machine, both: both! };
}

/** What a viewer shows as `pictureHash` has it. */
async function shotHash(viewer: NativeViewer): Promise<string> {
  const { width, height, bytes } = await viewer.shot();
  const picture = { width, height, pixels: bytes, generation: 1, changed: [] };
  return await pictureHash({ look: () => picture, watchPicture() {} });
}

async function sameScreen(browser: Browser): Promise<void> {
  if (typeof compiled === "string") throw new Error(compiled);
  const { machine, both } = await start();
  const viewer = await NativeViewer.start(compiled.program, {
    port: both.vnc.port,
    encodings: "copyrect zrle",
  });
  try {
    if (viewer === undefined) throw new Error("refused");
    machine.start();
    const screen = machine.device("vga") as unknown as
      & PictureSource
      & TextSource;
    const { page, errors } = await openPage(browser, both.web.url);
    const alike = () =>
      eventually(async () => {
        const hash = await pictureHash(screen);
        return await canvasHash(page) === hash &&
          await shotHash(viewer) === hash;
      }, true);
    const shows = (text: string) =>
      eventually(() => {
        const shown = screen.text();
        return shown === undefined ? "" : screenText(shown).trim();
      }, text);
    await shows(">");
    await eventually(
      () => page.evaluate("document.body.dataset.screen"),
      "connected",
    );
    const byVnc = 'The quick (brown) fox; ~1 "2" ';
    await viewer.type(byVnc);
    await shows(`>${byVnc.trim()}`);
    await alike();
    const byPage = "JUMPS over {the} lazy_dog? 3 <4>";
    await page.locator(".view[data-name=screen] canvas").click();
    for (const key of byPage) {
      // As a human does: noVNC says which key it is, not what it types.
      await page.keyboard.press(isShifted(key) ? `Shift+${key}` : key);
    }
    await shows(`>${byVnc}${byPage}`);
    await alike();
    assertEquals(errors, []);
  } finally {
    await viewer?.stop();
    await within("the machine's end", machine.stop());
  }
}

browserTest(
  "web: noVNC and libvncclient type into a guest and see the same",
  sameScreen,
  typeof compiled === "string" ? compiled : undefined,
);
