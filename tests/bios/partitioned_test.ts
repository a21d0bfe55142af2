/**
 * A disk is read by the geometry by which it was partitioned, as with QEMU,
 * wherever it comes from.
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { inFolder, runBios, runQemu, tool } from "./machine.ts";

const HERE = fromFileUrl(new URL(".", import.meta.url));
const SOURCE = fromFileUrl(new URL("partitioned.asm", import.meta.url));
const CYLINDERS = 306;
const SECTOR = 512;

for (const [heads, sectors] of [[4, 17], [6, 26], [16, 32], [16, 63]]) {
  Deno.test(`bios: a disk of ${heads} heads and ${sectors} sectors`, () =>
    inFolder(async (folder) => {
      const file = `${folder}/disk`;
      const options = [`-DHEADS=${heads}`, `-DSECTORS=${sectors}`];
      options.push("-i", HERE, "-o", file, SOURCE);
      if (!await tool("nasm", "-f", "bin", ...options)) return;
      const image = new Uint8Array(CYLINDERS * heads * sectors * SECTOR);
      image.set(await Deno.readFile(file));
      const place = (200 * heads + heads - 1) * sectors + sectors - 1;
      image.set([0xca, 0xfe, heads, sectors], place * SECTOR);
      await Deno.writeFile(file, image);
      const drives = [{ file }];
      const ours = await runBios({ drives });
      const last = CYLINDERS - 2;
      const hex = (byte: number) =>
        byte.toString(16).padStart(2, "0").toUpperCase();
      assertEquals(
        ours,
        [last & 0xff, last >> 8 << 6 | sectors, heads - 1].map(hex).join("") +
          `CAFE${hex(heads)}${hex(sectors)}`,
      );
      const theirs = await runQemu(drives);
      if (theirs === undefined) console.log("not compared: no QEMU");
      else assertEquals(ours, theirs);
    }));
}
