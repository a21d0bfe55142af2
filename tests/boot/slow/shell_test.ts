/** Linux to a shell and to its end in the ways that the quick part leaves. */

import { assertEquals, assertMatch } from "@std/assert";
import { boot, isapc, PATIENCE, Shell, withScript } from "../guest.ts";
import { ISAPC_WARNINGS, useShell, warnings } from "../session.ts";

boot("Linux, interp: a shell answers; poweroff -f ends it", async (guest) => {
  const { kernel, initramfs } = guest;
  const machine = await isapc({ kernel, initrd: initramfs, accel: "interp" });
  try {
    const shell = await Shell.of(machine);
    await useShell(shell);
    const seen = warnings((await shell.run("dmesg -r")).output);
    assertEquals([...seen.difference(new Set(ISAPC_WARNINGS))], []);
    await shell.type("poweroff -f");
    const { reason, status } = await machine.wait();
    assertEquals({ reason, status }, { reason: "halt", status: 0 });
    assertMatch(machine.serial(0).output, /reboot: System halted/);
  } finally {
    await machine.stop();
  }
});

for (const accel of ["jit", "interp"] as const) {
  const append = "console=ttyS0 quiet";
  boot(
    `Linux, ${accel}: reboot -f boots again`,
    ({ kernel }) =>
      withScript("echo it is up; reboot -f", async (initrd) => {
        const machine = await isapc({ kernel, initrd, accel, append });
        try {
          for (let i = 0; i < 2; i++) {
            await machine.serial(0).expect(/it is up\r\n/, PATIENCE);
          }
        } finally {
          await machine.stop();
        }
      }),
  );

  boot(
    `Linux, ${accel}: reboot -f ends with --no-reboot`,
    ({ kernel }) =>
      withScript("echo it is up; reboot -f", async (initrd) => {
        const options = { kernel, initrd, accel, append, noReboot: true };
        const machine = await isapc(options);
        try {
          assertEquals(await machine.run(), { reason: "reset", status: 0 });
          assertMatch(machine.serial(0).output, /it is up\r\n/);
        } finally {
          await machine.stop();
        }
      }),
  );
}
