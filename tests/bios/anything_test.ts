/** INT 10h with any registers, on a machine with all that it may reach. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { inFolder, runBios, tool } from "./machine.ts";

const SOURCE = fromFileUrl(new URL("anything.asm", import.meta.url));
const CALLS = 1500;
const DISK_BYTES = 1 << 20;

for (const seed of [1, 2, 3]) {
  Deno.test(`bios: INT 10h with any registers, ${seed}`, () =>
    inFolder(async (folder) => {
      const disk = `${folder}/disk`;
      const options = [`-DSEED=${seed}`, `-DCALLS=${CALLS}`];
      if (!await tool("nasm", "-f", "bin", ...options, "-o", disk, SOURCE)) {
        return;
      }
      await Deno.truncate(disk, DISK_BYTES);
      const output = await runBios({ machine: "pc", drives: [{ file: disk }] });
      assertEquals(output, "END\0");
    }));
}
