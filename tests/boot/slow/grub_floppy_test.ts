/** A floppy with GRUB takes typed commands, whatever firmware starts it. */

import { assertMatch } from "@std/assert";
import { Machine } from "../../../mod.ts";
import { FIRMWARES, firmwareTest, PATIENCE, PC } from "../firmware.ts";
import { GRUB, grubFloppy } from "../loaders.ts";

for (const { name, firmware, needs } of FIRMWARES) {
  firmwareTest(
    `a GRUB floppy takes typed commands, started by ${name}`,
    [...needs, ...GRUB],
    async (folder) => {
      const floppy = [await grubFloppy(folder)];
      await using pc = await Machine.load(PC, { firmware, floppy });
      const screen = pc.screen();
      await screen.expect(/^grub>$/m, PATIENCE);
      await screen.type("echo one two\n");
      await screen.expect(/^grub> echo one two\none two\n/m, PATIENCE);
      await screen.type("ls\n");
      await screen.expect(/^\(fd0\)/m, PATIENCE);
      // The screen scrolls by INT 10h.
      for (let i = 1; i <= 20; i++) {
        await screen.type(`echo line ${i}\n`);
        const line = new RegExp(`^line ${i}\n+grub>\\n*$`, "m");
        await screen.expect(line, PATIENCE);
      }
      assertMatch(screen.text, /^grub> echo line 9\nline 9\n/);
    },
  );
}
