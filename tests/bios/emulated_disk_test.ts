/** A disc that emulates a hard disk: drive 80h, with its partition's geometry. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { emulationImage } from "./images.ts";
import { inFolder, runBios, tool } from "./machine.ts";

const HERE = fromFileUrl(new URL(".", import.meta.url));
const SOURCE = fromFileUrl(new URL("emulated_disk.asm", import.meta.url));
/** 8 cylinders of 16 heads and 32 sectors. */
const DISK_BYTES = 8 * 16 * 32 * 512;

Deno.test("bios: a disc emulates a hard disk", () =>
  inFolder(async (folder) => {
    const disk = `${folder}/hd.img`;
    const options = ["-f", "bin", "-i", HERE, "-o", disk, SOURCE];
    if (!await tool("nasm", ...options)) return;
    await Deno.truncate(disk, DISK_BYTES);
    const file = await emulationImage(folder, disk, "disk");
    if (file === undefined) return;
    const drives = [{ file, kind: "cdrom" as const }];
    // Drive 80h, last head 15, 32 sectors, the second sector.
    assertEquals(await runBios({ drives }), "800F20there");
  }));
