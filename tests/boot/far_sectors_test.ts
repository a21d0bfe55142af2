/** Sectors behind those that 28 and 32 bits count, by firmware. */

import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { Machine } from "../../mod.ts";
import {
  assembleDisk,
  FIRMWARES,
  firmwareTest,
  NASM,
  PATIENCE,
  PC,
} from "./firmware.ts";

const SOURCE = fromFileUrl(new URL("far_sectors.asm", import.meta.url));
/** 3 TiB, most of it never written. */
const BYTES = 3 * 2 ** 40;
/** Where the program writes, and what is in the first of the sectors there. */
const PLACES = [[2 ** 28 - 2, 0x11], [2 ** 32 - 2, 0x15]] as const;
const SECTOR = 512;
const SECTORS = 4;

for (const { name, firmware, needs } of FIRMWARES) {
  for (const bus of ["ide", "virtio"] as const) {
    firmwareTest(
      `${name} reaches all sectors of a large disk on ${bus}`,
      [NASM, ...needs],
      async (folder) => {
        const image = join(folder, "disk.img");
        await assembleDisk(SOURCE, image, BYTES);
        {
          await using pc = await Machine.load(PC, {
            firmware,
            drives: [{ file: image, format: "raw", if: bus }],
          });
          const said = await pc.serial(0).expect(".", PATIENCE);
          assertEquals(said, "AAy\nAAy\n.");
        }
        using file = await Deno.open(image);
        for (const [first, fill] of PLACES) {
          for (let n = 0; n < SECTORS; n++) {
            await file.seek((first + n) * SECTOR, Deno.SeekMode.Start);
            const sector = new Uint8Array(SECTOR);
            assertEquals(await file.read(sector), SECTOR);
            assertEquals(sector, new Uint8Array(SECTOR).fill(fill + n));
          }
        }
      },
    );
  }
}
