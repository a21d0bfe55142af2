/**
 * Boot loaders of Debian's packages, started by SeaBIOS from disks and discs,
 * and what they start.
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { GuestFiles } from "../../../core/cli/guest.ts";
import type { MachineInstance } from "../../../mod.ts";
import {
  firmwareTest,
  linuxTest,
  PATIENCE,
  SEABIOS_PACKAGE,
  seabiosPc,
} from "../firmware.ts";
import { Shell } from "../guest.ts";
import {
  type Files,
  GRUB,
  grubDisc,
  ISOLINUX,
  isolinuxDisc,
  MEMTEST,
  MEMTEST_PACKAGE,
  SYSLINUX,
  syslinuxDisk,
} from "../loaders.ts";

/** The loaders' prompts. */
const GRUB_PROMPT = /^grub>$/m;
const SYSLINUX_PROMPT = /^boot:$/m;

firmwareTest(
  "Memtest86+ runs its first tests without errors",
  [SEABIOS_PACKAGE, MEMTEST_PACKAGE, ...SYSLINUX],
  async (folder) => {
    const disk = await syslinuxDisk(folder, { memtest: MEMTEST });
    await using pc = await seabiosPc({
      drives: [{ file: disk, format: "raw" }],
      memory: "32M",
    });
    const screen = pc.screen();
    await screen.expect(SYSLINUX_PROMPT, PATIENCE);
    await screen.type("memtest\n");
    await screen.expect(/Memtest86\+ v\d/, PATIENCE);
    const text = await screen.expect(/Test #4 /, PATIENCE);
    assertMatch(text, /Pass: +0 +Errors: 0$/m);
  },
);

/** Type lines that start Linux, and ask it what it has from the firmware. */
async function startLinux(
  pc: MachineInstance,
  prompt: RegExp,
  lines: readonly string[],
): Promise<Shell> {
  const screen = pc.screen();
  for (const line of lines) {
    await screen.expect(prompt, PATIENCE);
    await screen.type(`${line}\n`);
  }
  // The prompt before a reboot has not been read.
  await pc.serial(0).expect("Linux version", PATIENCE);
  const shell = await Shell.of(pc);
  const { output } = await shell.run("dmesg");
  assertMatch(output, /SMBIOS \d\.\d+ present/);
  assertMatch(output, /ACPI: PM: \(supports S0 S5\)/);
  assertMatch(output, /BIOS-e820: \[mem 0x0+-0x000000000009fbff\] usable/);
  return shell;
}

/** The files by the names that the loaders know. */
function files({ kernel, initramfs }: GuestFiles): Files {
  return { linux: kernel, "initrd.gz": initramfs };
}

linuxTest(
  "SYSLINUX starts Linux, which reboots and powers off",
  [SEABIOS_PACKAGE, ...SYSLINUX],
  async (folder, guest) => {
    const file = await syslinuxDisk(folder, files(guest));
    await using pc = await seabiosPc({
      drives: [{ file, format: "raw" }],
      memory: "256M",
    });
    const first = await startLinux(pc, SYSLINUX_PROMPT, ["linux"]);
    await first.type("reboot -f");
    const again = await startLinux(pc, SYSLINUX_PROMPT, ["linux"]);
    await again.type("poweroff -f");
    assertEquals(await pc.wait(), { reason: "poweroff", status: 0 });
  },
);

linuxTest(
  "ISOLINUX starts Linux",
  [SEABIOS_PACKAGE, ...ISOLINUX],
  async (folder, guest) => {
    const cdrom = await isolinuxDisc(folder, files(guest));
    await using pc = await seabiosPc({ cdrom, memory: "256M" });
    await startLinux(pc, SYSLINUX_PROMPT, ["linux"]);
  },
);

linuxTest(
  "a GRUB disc starts Linux",
  [SEABIOS_PACKAGE, ...GRUB],
  async (folder, guest) => {
    const cdrom = await grubDisc(folder, files(guest));
    await using pc = await seabiosPc({ cdrom, memory: "256M" });
    await startLinux(pc, GRUB_PROMPT, [
      "linux (cd)/linux console=ttyS0",
      "initrd (cd)/initrd.gz",
      "boot",
    ]);
  },
);
