/** Linux to a shell that answers, and to a proper end: the quick part. */

import { assertEquals, assertMatch } from "@std/assert";
import { boot, isapc, Shell } from "./guest.ts";
import { ISAPC_WARNINGS, useShell, warnings } from "./session.ts";

boot("Linux, jit: a shell answers; poweroff -f ends it", async (guest) => {
  const { kernel, initramfs } = guest;
  const machine = await isapc({ kernel, initrd: initramfs, accel: "jit" });
  try {
    const shell = await Shell.of(machine);
    await useShell(shell);
    const seen = warnings((await shell.run("dmesg -r")).output);
    assertEquals([...seen.difference(new Set(ISAPC_WARNINGS))], []);
    await shell.type("poweroff -f");
    const { reason, status } = await machine.wait();
    // Without ACPI there is no switch: the kernel halts with interrupts off.
    assertEquals({ reason, status }, { reason: "halt", status: 0 });
    assertMatch(machine.serial(0).output, /reboot: System halted/);
  } finally {
    await machine.stop();
  }
});
