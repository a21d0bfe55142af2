/**
 * Runs that are recorded while people sit at their screens, in a browser and at
 * a viewer: what they type and where they point is in the recording, and who
 * sits at the replay sees it and changes nothing.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Browser, Page } from "playwright-core";
import { ExpectError } from "../../core/backend/memory_char.ts";
import { Machine } from "../../machines/machine.ts";
import type { Machine as Instance } from "../../core/machine/machine.ts";
import { interrupts, PRELUDE, PRINT } from "../devices/asm.ts";
import { guest } from "../debug/guest.ts";
import { until, within } from "../limit.ts";
import { browserTest, openPage } from "../web/browser.ts";
import { freePort } from "../vnc/free_port.ts";
import { WireViewer } from "../vnc/wire_viewer.ts";
import type { PictureSource } from "../../core/backend/display.ts";
import { endOf, ISAPC, LISTENER, placeOf, withFolder } from "./guests.ts";

/**
 * Prints each byte of the keyboard, the mouse and the second serial line, with
 * the time stamp counter, and whatever it was doing: it works for a while after
 * each, and then halts. What it prints it shows in its text screen's first cell.
 */
const DESK = `${PRELUDE}${PRINT}
main:${interrupts(0xe1, 0xef)}
  gate 0x21, keyboard
  gate 0x23, line
  gate 0x2c, mouse
  outb 0x2fc, 0x0b
  outb 0x2f9, 0x01
  outb 0x64, 0xa8           ; the mouse's port
  outb 0x64, 0x60
  outb 0x60, 0x03           ; both interrupt, codes are not translated
  outb 0x64, 0xd4
  outb 0x60, 0xf4           ; report
  sti
  say "ready"
  call newline
rest:
  hlt
  mov ecx, 0x20000
.work:
  inc dword [0x200000]
  loop .work
  jmp rest

report:                     ; AL: who, AH: the byte
  mov [0xb8000], al
  call put
  mov al, ah
  call byte_
  mov eax, [0x200000]
  call dword_
  rdtsc
  call dword_
  call newline
  ret
%macro input 3              ; label, port, letter
%1:
  pusha
  mov dx, %2
  in al, dx
  mov ah, al
  push eax
  outb 0xa0, 0x20
  outb 0x20, 0x20
  pop eax
  mov al, %3
  call report
  popa
  iret
%endmacro
input keyboard, 0x60, 'k'
input mouse, 0x60, 'm'
input line, 0x2f8, 's'
`;

/** Record with a display, do something, and replay with someone at it again. */
async function recorded(
  display: string,
  act: (machine: Instance, url: string) => Promise<void>,
  meddle: (machine: Instance, url: string) => Promise<void>,
): Promise<string> {
  let output = "";
  await withFolder(async (folder) => {
    const made = await guest(DESK);
    if (made === undefined) return;
    const log = `${folder}/log`;
    let url = "";
    const options = {
      serial: ["memory", "web-terminal"],
      log: (line: string) => url = /http:\S+/.exec(line)?.[0] ?? url,
    };
    await using machine = await Machine.load(ISAPC, {
      ...options,
      kernel: made.kernel,
      memory: "16M",
      display,
      record: log,
    });
    const run = machine.run();
    await machine.serial(0).expect("ready");
    await act(machine, url);
    machine.quit();
    await within("the end of the recorded run", run);
    const end = endOf(machine);
    await within("the end of the machine", machine.stop());
    await using again = await Machine.replay(log, options);
    const replayer = await again.replayer();
    // Someone is there meanwhile.
    for (const part of [0.5, 0.9, 0.7]) {
      const count = Math.floor(end.instructions * part);
      await Promise.all([
        within(`the way to ${count}`, replayer.seek(count)),
        meddle(again, url),
      ]);
    }
    await Promise.all([
      within("the end of the replay", again.run()),
      meddle(again, url),
    ]);
    const { output: _, instructions: __, ...place } = end;
    assertEquals(placeOf(again), place);
    await within("the end of the machine replayed", again.stop());
    // And at once.
    await using whole = await Machine.replay(log, options);
    await within("the end of the second replay", whole.run());
    assertEquals(endOf(whole), end);
    await whole.stop();
    await made.remove();
    ({ output } = end);
  });
  return output;
}

/** Sit at a page: keys, the pointer, a serial line. */
async function sit(page: Page): Promise<void> {
  const canvas = page.locator(".view[data-name=screen] canvas");
  await page.click("#tabs [data-name=screen]");
  await canvas.waitFor();
  const box = (await canvas.boundingBox())!;
  await canvas.click({ position: { x: 20, y: 20 } });
  for (let i = 0; i < 6; i++) {
    await page.mouse.move(box.x + 20 + i * 17, box.y + 40 + i * 9);
    await page.keyboard.press("abcdef"[i]);
  }
  await page.mouse.click(box.x + 60, box.y + 60, { button: "right" });
  await page.click("#tabs [data-name=serial1]");
  await page.keyboard.type("xy");
}

/** Type on the serial line until the guest has it: the page may not be ready. */
async function typeThere(page: Page, machine: Instance): Promise<void> {
  const serial = machine.serial(0);
  for (let left = 30;; left--) {
    await page.keyboard.type("z");
    try {
      return void await serial.expect(/^s7a/m, { timeout: 2000 });
    } catch (error) {
      if (!(error instanceof ExpectError) || left === 0) throw error;
    }
  }
}

async function inBrowser(browser: Browser): Promise<void> {
  let isReset = false;
  const output = await recorded("web=0", async (machine, url) => {
    const { page, errors } = await openPage(browser, url);
    const serial = machine.serial(0);
    await sit(page);
    await typeThere(page, machine);
    await page.click("#reset");
    await serial.expect("ready");
    isReset = true;
    await sit(page);
    await typeThere(page, machine);
    assertEquals(errors, []);
    await page.close();
  }, async (_, url) => {
    const { page } = await openPage(browser, url);
    await sit(page);
    await page.click("#reset");
    await page.close();
  });
  if (output === "") return;
  assert(isReset);
  for (const letter of "kms") {
    assertMatch(output, new RegExp(`^${letter}`, "m"));
  }
}

browserTest("a run with people at a browser is replayed", inBrowser);

Deno.test("a run with people at a VNC viewer is replayed", async () => {
  const port = freePort();
  const at = async (
    use: (viewer: WireViewer) => Promise<void>,
  ): Promise<void> => {
    const viewer = await WireViewer.begin(port);
    await use(viewer);
    viewer.close();
  };
  const act = async (viewer: WireViewer): Promise<void> => {
    for (let i = 0; i < 20; i++) {
      await viewer.pointer(10 + i * 9, 20 + i * 5, i & 1);
      // KeyEvent (RFC 6143, 7.5.4): "a" and so on.
      const key = 0x61 + i;
      await viewer.message(["u8", 4], ["u8", 1], ["u16", 0], ["u32", key]);
      await viewer.message(["u8", 4], ["u8", 0], ["u16", 0], ["u32", key]);
      const area = { x: 0, y: 0, width: 720, height: 400 };
      await viewer.request(true, area);
      await new Promise((resolve) => setTimeout(resolve, i));
    }
  };
  const output = await recorded(`vnc=127.0.0.1::${port}`, async (machine) => {
    await at(async (viewer) => {
      await act(viewer);
      // The last one goes up: F0 2C.
      await machine.serial(0).expect(/^kf0.*\n(?:m.*\n)*k2c/m);
    });
  }, () => at(act));
  if (output === "") return;
  for (const letter of "km") {
    assertMatch(output, new RegExp(`^${letter}`, "m"));
  }
});

/** Look at a machine's screen, and again whenever it has changed. */
function look(machine: Instance): { times: number } {
  const screen = machine.device("vga") as unknown as PictureSource;
  const looks = { times: 0 };
  const again = (): void => {
    looks.times++;
    screen.look(0);
    screen.watchPicture(() => queueMicrotask(again));
  };
  again();
  return looks;
}

for (
  const [name, ...isLooked] of [
    ["a run that was looked at is replayed where nobody looks", true, false],
    [
      "a run at which nobody looked is looked at when it is replayed",
      false,
      true,
    ],
  ] as const
) {
  Deno.test(name, () =>
    withFolder(async (folder) => {
      const made = await guest(LISTENER);
      if (made === undefined) return;
      const log = `${folder}/log`;
      const machine = await Machine.load(ISAPC, {
        kernel: made.kernel,
        memory: "16M",
        noReboot: true,
        display: "none",
        record: log,
      });
      const looks = isLooked[0] ? look(machine) : undefined;
      const run = machine.run();
      const serial = machine.serial(0);
      await serial.expect("ready");
      // Over some checks.
      await until("60 million instructions", () => {
        void machine.screen().press("KeyA");
        return machine.cpu.instructions >= 60_000_000;
      });
      void serial.write("q");
      await within("the end of the recorded run", run);
      const end = endOf(machine);
      await machine.stop();
      const again = await Machine.replay(log);
      const more = isLooked[1] ? look(again) : undefined;
      await within("the end of the replay", again.run());
      assertEquals(endOf(again), end);
      for (const { times } of [looks ?? more!]) assert(times > 3, `${times}`);
      await again.stop();
      await made.remove();
    }));
}
