/**
 * Programs that reset the CPU and go on: by each of the CMOS's shutdown codes,
 * after each kind of reset; after one of the CPU alone as with SeaBIOS.
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { inFolder, runBios, runSeabios, tool } from "./machine.ts";

const SOURCE = fromFileUrl(new URL("shutdown.asm", import.meta.url));
const DISK_BYTES = 1 << 20;
/** By their numbers in the source. */
const WAYS = ["port 92h", "the keyboard controller", "a triple fault", "CF9h"];
/** A jump with and without an end of interrupt, IRET, RETF. */
const CODES = [0x05, 0x0a, 0x0b, 0x0c];

for (const code of CODES) {
  Deno.test(`bios: shutdown code ${code.toString(16)}`, () =>
    inFolder(async (folder) => {
      for (const [how, way] of WAYS.entries()) {
        const file = `${folder}/disk`;
        const options = [`-DCODE=${code}`, `-DHOW=${how}`, "-o", file, SOURCE];
        if (!await tool("nasm", "-f", "bin", ...options)) return;
        await Deno.truncate(file, DISK_BYTES);
        // The ISA PC has no reset control register.
        for (const machine of ["isapc", "pc"] as const) {
          if (way === "CF9h" && machine === "isapc") continue;
          const output = await runBios({ machine, drives: [{ file }] });
          assertEquals(output, "R", `${machine}, ${way}`);
        }
        // On QEMU each of these is a reset of all, and SeaBIOS boots again.
        if (way !== "CF9h") continue;
        const theirs = await runSeabios(file, "pc");
        if (theirs !== undefined) assertEquals(theirs, "R", "SeaBIOS");
      }
    }));
}
