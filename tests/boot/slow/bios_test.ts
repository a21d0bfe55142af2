/** The built-in BIOS starts systems by Debian's boot loaders. */

import { assertEquals, assertMatch } from "@std/assert";
import type { Machine } from "../../../mod.ts";
import {
  emulationImage,
  type Files,
  grubImage,
  isolinuxImage,
  syslinuxImage,
} from "../../bios/images.ts";
import { biosMachine, inFolder } from "../../bios/machine.ts";
import { boot, PATIENCE } from "../guest.ts";
import { PCI_VGA } from "../../pci_vga.ts";

const CONFIG = `PROMPT 0
DEFAULT linux
LABEL linux
  KERNEL linux
  INITRD initrd.gz
  APPEND console=ttyS0
`;
const MEMTEST = "/usr/lib/memtest86+/memtest86+ia32.iso";
const memory = "128M";

/** A test with Linux in files that a loader loads. */
function withLinux(
  name: string,
  test: (folder: string, files: Files) => Promise<void>,
): void {
  boot(
    name,
    ({ kernel, initramfs }) =>
      inFolder((folder) =>
        test(folder, { "linux": kernel, "initrd.gz": initramfs })
      ),
  );
}

/** Linux comes to its shell, which answers. */
async function answers(machine: Machine): Promise<void> {
  const serial = machine.serial(0);
  await serial.expect(/\/root # /, PATIENCE);
  await serial.write("echo $((6 * 7))\n");
  await serial.expect(/^42/m, PATIENCE);
}

withLinux("built-in BIOS: SYSLINUX on a disk", async (folder, files) => {
  const file = await syslinuxImage(folder, 32 << 20, CONFIG, files);
  if (file === undefined) return;
  for (const machine of ["isapc", "pc"] as const) {
    await using pc = await biosMachine({ machine, memory, drives: [{ file }] });
    await answers(pc);
  }
});

withLinux("built-in BIOS: Linux in a mode of VBE", async (folder, files) => {
  // 800x600 in 24 bits, which Linux's setup code asks the BIOS for.
  const config = CONFIG.replace("ttyS0", "ttyS0 vga=0x315");
  const file = await syslinuxImage(folder, 32 << 20, config, files);
  if (file === undefined) return;
  await using machine = await biosMachine({
    machine: "pc",
    memory,
    drives: [{ file }],
    set: PCI_VGA,
  });
  await answers(machine);
  const serial = machine.serial(0);
  await serial.write("dmesg | grep -i -e vesa -e fb0 -e EDID; echo over\n");
  const said = await serial.expect(/^over/m, PATIENCE);
  assertMatch(said, /vesafb: mode is 800x600x24, linelength=2400/);
});

withLinux("built-in BIOS: ISOLINUX on a disc", async (folder, files) => {
  const file = await isolinuxImage(folder, CONFIG, files);
  if (file === undefined) return;
  const drives = [{ file, kind: "cdrom" as const }];
  await using machine = await biosMachine({ memory, drives });
  await answers(machine);
});

withLinux(
  "built-in BIOS: GRUB on a disc, and on a disk",
  async (folder, files) => {
    const file = await grubImage(folder, files);
    if (file === undefined) return;
    for (const kind of ["cdrom", "disk"] as const) {
      await using machine = await biosMachine({
        machine: "pc",
        memory,
        drives: [{ file, kind }],
      });
      const screen = machine.screen();
      await screen.expect(/grub>/, PATIENCE);
      // In pieces: the type-ahead buffer has room for 15 keys.
      for (
        const [line, answer] of [
          ["cat /words", /on the disc\s+grub>/],
          ["linux /linux console=ttyS0", /ttyS0\s+grub>/],
          ["initrd /initrd.gz", /initrd\.gz\s+grub>/],
        ] as const
      ) {
        for (let at = 0; at < line.length; at += 8) {
          await screen.type(line.slice(at, at + 8));
          const typed = line.slice(0, at + 8).trimEnd();
          await screen.expect(`grub> ${typed}`, PATIENCE);
        }
        await screen.type("\n");
        await screen.expect(answer, PATIENCE);
      }
      await screen.type("boot\n");
      await answers(machine);
    }
  },
);

Deno.test("built-in BIOS: a floppy that a disc emulates", () =>
  inFolder(async (folder) => {
    const config = "PROMPT 1\nTIMEOUT 0\nSAY It is there.\n";
    const floppy = await syslinuxImage(folder, 1440 << 10, config);
    if (floppy === undefined) return;
    const file = await emulationImage(folder, floppy, "floppy");
    if (file === undefined) return;
    const drives = [{ file, kind: "cdrom" as const }];
    await using machine = await biosMachine({ drives });
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
