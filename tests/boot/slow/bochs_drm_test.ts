/**
 * Linux's driver for the Bochs VBE (`bochs`) on `machines/pc.json`: it takes the
 * mode that the EDID prefers, and what is written to its frame buffer is on the
 * screen.
 */

import { assert, assertEquals, assertMatch, assertNotMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../../mod.ts";
import { file } from "../../../core/cli/cpio.ts";
import { boot, PATIENCE, withScript } from "../guest.ts";
import { kernelModules } from "../modules.ts";
import { PCI_VGA } from "../../pci_vga.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const [WIDTH, HEIGHT] = [1280, 800];

/** Lines of the picture, four bytes a pixel; no two are the same. */
function picture(): Uint8Array {
  const words = new Uint32Array(WIDTH * HEIGHT);
  for (let i = 0; i < words.length; i++) {
    words[i] = Math.imul(i, 2654435761) >>> 8;
  }
  return new Uint8Array(words.buffer);
}

const SESSION = `mkdir -p /sys
mount -t sysfs none /sys
mount -t devtmpfs none /dev
while [ ! -e /dev/fb0 ]; do sleep 0.1; done
cat /sys/class/graphics/fb0/virtual_size /sys/class/graphics/fb0/name
echo 0 > /sys/class/vtconsole/vtcon1/bind
cat /picture > /dev/fb0
sleep 1
echo drawn
read line
dmesg
poweroff -f`;

boot("boot: Linux's driver for the Bochs VBE draws", async ({ kernel }) => {
  const modules = await kernelModules(kernel, ["bochs"]);
  if (typeof modules === "string") return console.log(`skipped: ${modules}`);
  const drawn = picture();
  await withScript(`${modules.script}${SESSION}`, async (initrd) => {
    await using machine = await Machine.load(PC, {
      kernel,
      initrd,
      append: "console=ttyS0",
      memory: "192M",
      set: PCI_VGA,
    });
    const serial = machine.serial(0);
    await serial.expect(/^drawn\r\n/m, PATIENCE);
    const shown = machine.screenshot();
    assertEquals([shown.width, shown.height], [WIDTH, HEIGHT]);
    const differ = drawn.findIndex((byte, i) => shown.pixels[i] !== byte);
    assertEquals(differ, -1);
    await serial.write("\n");
    const { reason } = await machine.wait();
    assert(reason === "halt" || reason === "poweroff", reason);
    assertMatch(serial.output, /^1280,800\r\nbochs/m);
    assertMatch(serial.output, /Found bochs VGA, ID 0xb0c5/);
    assertMatch(serial.output, /Framebuffer size 16384 kB @ /);
    assertNotMatch(serial.output, /\[drm[^\n]*(ERROR|failed)/);
  }, [...modules.entries, file("picture", drawn)]);
});
