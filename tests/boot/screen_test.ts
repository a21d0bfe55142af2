/** Linux on its text screen and keyboard, without a serial console. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { ScreenPort } from "../../mod.ts";
import { boot, isapc, PATIENCE } from "./guest.ts";

/** The prompt in `/root`, in the line of the cursor. */
const PROMPT = /^\/root #\n*$/m;

/** Wait for the cursor, which Linux moves after the text and hides meanwhile. */
async function cursorAt(
  screen: ScreenPort,
  row: number,
  column: number,
): Promise<void> {
  const isThere = (): boolean => {
    const cursor = screen.cells?.cursor;
    return cursor?.row === row && cursor.column === column;
  };
  for (let tries = 0; !isThere(); tries++) {
    assert(tries < 3000, JSON.stringify(screen.cells?.cursor));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

boot("Linux on the VGA's screen takes typed keys", async (guest) => {
  const { kernel, initramfs } = guest;
  const machine = await isapc({
    kernel,
    initrd: initramfs,
    append: "console=tty0",
  });
  try {
    const screen = machine.screen();
    await screen.expect(PROMPT, PATIENCE);
    await screen.type("dmesg -n 1; clear; dmesg | grep Console:\n");
    await screen.expect(
      /^\[ +\d+\.\d+\] Console: colour VGA\+ 80x25\n\/root #\n+$/,
      PATIENCE,
    );
    await screen.type("clear\n");
    await screen.expect(/^\/root #\n+$/, PATIENCE);
    await screen.type('echo "A""bc" $((6 * 7)) ~!@#% | tr b-c "{}"\n');
    const text = await screen.expect(
      /^A\{\} 42 ~!@#%\n\/root #\n+$/m,
      PATIENCE,
    );
    assertMatch(text, /^\/root # echo "A""bc"/);
    await cursorAt(screen, 2, "/root # ".length);
    // Colours, and line drawing of code page 437.
    await screen.type(
      "clear; printf '\\033%%G\\342\\224\\200\\033[1;31mX\\n'\n",
    );
    await screen.expect(/^─X\n/, PATIENCE);
    assertEquals(screen.cells?.colours[1], 0x0c);
    // Keys with modifiers, and those with a prefix.
    // It says when it is there to be interrupted: the shell takes its time.
    await screen.type("sh -c 'echo up; exec sleep 1000'\n");
    await screen.expect(/^up$/m, PATIENCE);
    await screen.press("ControlLeft", "KeyC");
    await screen.expect(/^up\n\^C\n\/root #\n+$/m, PATIENCE);
    await screen.type("xecho left");
    await screen.press("Home");
    await screen.press("Delete");
    await screen.press("End");
    await screen.press("ArrowLeft");
    await screen.press("Backspace");
    await screen.type("as\n");
    await screen.expect(/^least\n/m, PATIENCE);
    // The screen scrolls by its start address.
    await screen.type("clear; seq 1 1000\n");
    await screen.expect(/^978\n(.*\n)*1000\n\/root #\n$/m, PATIENCE);
    assertEquals(machine.serial(0).output, "");
    await screen.type("poweroff -f\n");
    const { reason, status } = await machine.wait();
    assertEquals({ reason, status }, { reason: "halt", status: 0 });
    assertMatch(screen.text, /reboot: System halted/);
  } finally {
    await machine.stop();
  }
});
