/** The built-in BIOS starts systems by Debian's boot loaders. */

import { assertEquals } from "@std/assert";
import {
  emulationImage,
  grubImage,
  isolinuxImage,
  syslinuxImage,
} from "../../bios/images.ts";
import { biosMachine, type BiosOptions, inFolder } from "../../bios/machine.ts";
import { boot, PATIENCE } from "../guest.ts";

const CONFIG = `PROMPT 0
DEFAULT linux
LABEL linux
  KERNEL linux
  INITRD initrd.gz
  APPEND console=ttyS0
`;
const MEMTEST = "/usr/lib/memtest86+/memtest86+ia32.iso";

/** Linux comes to its shell, which answers, and switches the machine off. */
async function answers(options: BiosOptions, type = ""): Promise<void> {
  await using machine = await biosMachine({ memory: "128M", ...options });
  if (type !== "") {
    await machine.screen().expect(/grub>/, PATIENCE);
    await machine.screen().type("cat /words\n");
    await machine.screen().expect(/^on the disc$/m, PATIENCE);
    await machine.screen().type(type);
  }
  const serial = machine.serial(0);
  await serial.expect(/\/root # /, PATIENCE);
  await serial.write("echo $((6 * 7))\n");
  await serial.expect(/^42/m, PATIENCE);
}

boot(
  "built-in BIOS: SYSLINUX starts Linux from a disk",
  (guest) =>
    inFolder(async (folder) => {
      const { kernel: linux, initramfs } = guest;
      const files = { linux, "initrd.gz": initramfs };
      const file = await syslinuxImage(folder, 32 << 20, CONFIG, files);
      if (file === undefined) return;
      for (const machine of ["isapc", "pc"] as const) {
        await answers({ machine, drives: [{ file }] });
      }
    }),
);

boot(
  "built-in BIOS: ISOLINUX starts Linux from a disc",
  (guest) =>
    inFolder(async (folder) => {
      const { kernel: linux, initramfs } = guest;
      const files = { linux, "initrd.gz": initramfs };
      const file = await isolinuxImage(folder, CONFIG, files);
      if (file === undefined) return;
      await answers({ drives: [{ file, kind: "cdrom" }] });
    }),
);

boot(
  "built-in BIOS: GRUB starts Linux from a disc and from a disk",
  (guest) =>
    inFolder(async (folder) => {
      const { kernel: linux, initramfs } = guest;
      const files = { linux, "initrd.gz": initramfs };
      const file = await grubImage(folder, files);
      if (file === undefined) return;
      for (const kind of ["cdrom", "disk"] as const) {
        await answers(
          { machine: "pc", drives: [{ file, kind }] },
          "linux /linux console=ttyS0\ninitrd /initrd.gz\nboot\n",
        );
      }
    }),
);

Deno.test("built-in BIOS: drives that a disc emulates", () =>
  inFolder(async (folder) => {
    const config = "PROMPT 1\nTIMEOUT 0\nSAY It is there.\n";
    const floppy = await syslinuxImage(folder, 1440 << 10, config);
    if (floppy === undefined) return;
    const file = await emulationImage(folder, floppy, "floppy");
    if (file === undefined) return;
    await using machine = await biosMachine({
      drives: [{ file, kind: "cdrom" }],
    });
    await machine.screen().expect(/It is there\.\nboot:/, PATIENCE);
  }));

Deno.test("built-in BIOS: memtest86+ passes its first tests", async () => {
  try {
    await Deno.stat(MEMTEST);
  } catch {
    return console.log("skipped: memtest86+ is not installed");
  }
  await using machine = await biosMachine({
    machine: "pc",
    drives: [{ file: MEMTEST, kind: "cdrom" }],
  });
  const text = await machine.screen().expect(/Test #[3-9]/, PATIENCE);
  assertEquals(/Errors: (\d+)/.exec(text)?.[1], "0");
});
