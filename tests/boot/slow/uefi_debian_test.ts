/**
 * 64-bit Debian under UEFI: GRUB that `grub-install` puts on the EFI system
 * partition and in firmware's boot entries, from inside; a reboot by the
 * firmware's own services; variables that stay.
 */

import { assertEquals, assertMatch } from "@std/assert";
import type { Machine, MachineOptions } from "../../../mod.ts";
import { DebianError, ensureDebian, fsck } from "../debian.ts";
import { firmwareTest } from "../firmware.ts";
import { Shell } from "../guest.ts";
import {
  newVariables,
  UEFI_DISK,
  UEFI_ROOT_OFFSET,
  uefiDisk,
  uefiPc,
} from "../uefi.ts";

let disk: string | undefined;
let why = "";
try {
  disk = await ensureDebian("amd64");
} catch (error) {
  if (!(error instanceof DebianError)) throw error;
  why = ` (skipped: ${error.message})`;
}

const ESP = "/boot/efi";
/** What all installations have in common. */
const INSTALL = `grub-install --target=x86_64-efi --efi-directory=${ESP}`;
const VARIABLE =
  "/sys/firmware/efi/efivars/RheaTest-6a1b2c3d-0000-4000-8000-00526865610a";

/** Commands that have to succeed. */
function commands(shell: Shell): (command: string) => Promise<string> {
  return async (command) => {
    const { status, output } = await shell.run(command);
    assertEquals(status, 0, `${command}: ${output}`);
    return output;
  };
}

/** Log in where Linux has the firmware's variables and the ESP at hand. */
async function login(
  pc: Machine,
): Promise<{ shell: Shell; says: (command: string) => Promise<string> }> {
  const shell = await Shell.login(pc);
  const says = commands(shell);
  // Debian's systemd mounts the variables by itself.
  await says("test -d /sys/firmware/efi/efivars");
  await says(`mkdir -p ${ESP} && mount LABEL=ESP ${ESP}`);
  return { shell, says };
}

/** What `efibootmgr` says of the entry that was booted: its name. */
function booted(listed: string): string | undefined {
  const current = /^BootCurrent: (\w{4})$/m.exec(listed)?.[1];
  return new RegExp(`^Boot${current}\\*? ([^\\t\\n]*)`, "m").exec(listed)?.[1];
}

async function ends(pc: Machine, shell: Shell): Promise<void> {
  await shell.type("poweroff");
  const { reason, status } = await pc.wait();
  assertEquals({ reason, status }, { reason: "poweroff", status: 0 });
}

function test(
  name: string,
  fn: (folder: string) => Promise<void>,
): void {
  if (disk === undefined) {
    Deno.test({ name: `${name}${why}`, ignore: true, fn() {} });
  } else firmwareTest(name, UEFI_DISK, fn);
}

test("Debian installs GRUB for UEFI from inside, and both ways start", async (folder) => {
  const image = await uefiDisk(disk!, folder);
  const variables = await newVariables(folder);
  const options: MachineOptions = {
    cpu: "x86-64-v2",
    memory: "512M",
    // Nothing here follows the host's clock: menus need not be waited for.
    icount: true,
    drives: [{ file: image, format: "raw", if: "virtio" }],
  };
  {
    await using pc = await uefiPc(variables, options);
    const { shell, says } = await login(pc);
    assertMatch(await says("dmesg"), /efi: EFI v2\.70 by EDK II/);
    // An entry of the firmware's, with nothing behind it that a disk has.
    await says(`rm -r ${ESP}/EFI/BOOT; sync`);
    assertMatch(
      await says(`${INSTALL} --bootloader-id=debian 2>&1`),
      /Installation finished\. No error reported\./,
    );
    assertMatch(await says("efibootmgr"), /^Boot\w{4}\* debian/m);
    // Four bytes of attributes (non-volatile, at boot, at run time), a text.
    await says(`printf '\\7\\0\\0\\0kept' > ${VARIABLE}`);
    // By ResetSystem of the firmware's runtime services.
    await says(
      "echo efi > /sys/kernel/reboot/type; cat /sys/kernel/reboot/type",
    );
    await shell.type("reboot");
    const again = await login(pc);
    const listed = await again.says("efibootmgr");
    assertEquals(booted(listed), "debian", listed);
    assertEquals(await again.says(`tail -c 4 ${VARIABLE}`), "kept");
    await again.says(`${INSTALL} --removable --no-nvram 2>&1`);
    await again.says(`rm -r ${ESP}/EFI/debian; sync`);
    await ends(pc, again.shell);
  }
  {
    // The entry's file is gone; the disk has one that all firmware starts.
    await using pc = await uefiPc(variables, options);
    const { shell, says } = await login(pc);
    const listed = await says("efibootmgr");
    assertMatch(listed, /^Boot\w{4}\* debian/m);
    assertMatch(booted(listed) ?? "", /^UEFI /, listed);
    assertEquals(await says(`tail -c 4 ${VARIABLE}`), "kept");
    await ends(pc, shell);
  }
  const { code, text } = await fsck(image, UEFI_ROOT_OFFSET);
  assertEquals(code, 0, text);
});
