/** Debian's installer to its first screen. */

import { boot, isapc, PATIENCE } from "../guest.ts";

for (const accel of ["jit", "interp"] as const) {
  boot(`the installer's first screen, ${accel}`, async (guest) => {
    const machine = await isapc({
      kernel: guest.kernel,
      initrd: guest.installer,
      memory: "512M",
      accel,
    });
    try {
      const serial = machine.serial(0);
      await serial.expect(/Select a language/, PATIENCE);
      await serial.expect(/Choose the language to be used/, PATIENCE);
    } finally {
      await machine.stop();
    }
  });
}
