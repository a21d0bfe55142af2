/** Boot loaders from Debian's packages reach their prompts and take commands. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { syslinuxImage } from "./images.ts";
import { biosMachine, inFolder } from "./machine.ts";

Deno.test("bios: SYSLINUX on a FAT disk", () =>
  inFolder(async (folder) => {
    const file = await syslinuxImage(
      folder,
      4 << 20,
      "PROMPT 1\nTIMEOUT 0\nSAY It is there.\n",
    );
    if (file === undefined) return;
    await using machine = await biosMachine({ drives: [{ file }] });
    const screen = machine.screen();
    await screen.expect(/It is there\.\nboot:/);
    await screen.type("nothing\n");
    await screen.expect(/nothing\.\.\. failed: No such file or directory/);
  }));

Deno.test("bios: SYSLINUX on a floppy", () =>
  inFolder(async (folder) => {
    const floppy = await syslinuxImage(
      folder,
      1440 << 10,
      "PROMPT 1\nTIMEOUT 0\nSAY It is there.\n",
    );
    if (floppy === undefined) return;
    await using machine = await biosMachine({ floppy });
    const text = await machine.screen().expect(/It is there\.\nboot:/);
    assertMatch(text, /Booting from floppy/);
  }));

Deno.test("bios: the boot menu, and nothing to start", () =>
  inFolder(async (folder) => {
    // The second disk has code that writes a letter.
    const files = [`${folder}/first.img`, `${folder}/second.img`];
    const code = new Uint8Array(1 << 20);
    await Deno.writeFile(files[0], code);
    code.set([0xb8, 0x21, 0x0e, 0xcd, 0x10, 0xf4, 0xeb, 0xfd]);
    code.set([0x55, 0xaa], 510);
    await Deno.writeFile(files[1], code);
    const drives = files.map((file) => ({ file }));
    {
      await using machine = await biosMachine({ drives });
      const text = await machine.screen().expect(/!/);
      // The first one is passed over.
      assertMatch(text, /hard disk\.\.\.\nNot bootable\.\nBooting.*\n!/);
    }
    {
      await using machine = await biosMachine({
        drives,
        config: { menu: true, menuWait: 60_000 },
      });
      const screen = machine.screen();
      await screen.expect(/Press F12/);
      await screen.press("F12");
      const menu = await screen.expect(/or Esc to go on/);
      assertMatch(menu, /1\. hard disk: .*\n2\. hard disk: /);
      await screen.type("2");
      const text = await screen.expect(/!/);
      assert(!text.includes("Not bootable"), text);
    }
    {
      await using machine = await biosMachine({
        drives: [drives[0]],
        config: { console: 1 },
      });
      await machine.screen().expect(/No bootable device\./);
      // The serial console has it too, and the machine waits.
      assertMatch(machine.serial(0).output, /No bootable device\.\r\n$/);
      assertEquals(machine.running, true);
      // Ctrl-Alt-Del starts again.
      await machine.screen().press("ControlLeft", "AltLeft", "Delete");
      await machine.serial(0).expect(/device\.[^]*Rhea BIOS[^]*device\./);
    }
  }));
