/** Every way in which a guest starts the PC again leads to its boot sector. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { inFolder, runBios, tool } from "./machine.ts";

const SOURCE = fromFileUrl(new URL("restart.asm", import.meta.url));
const DISK_BYTES = 1 << 20;
/** By their numbers in the source. */
const WAYS = [
  "CF9h, hard",
  "CF9h, soft",
  "port 92h",
  "the keyboard controller",
  "a triple fault",
  "the entry at F000:FFF0",
  "INT 19h",
];

/** Without PCI there is no reset control register. */
const ISA = WAYS.slice(2).map((name) => ["isapc", name] as const);
const ALL = [...WAYS.map((name) => ["pc", name] as const), ...ISA];

for (const [machine, name] of ALL) {
  Deno.test(`bios: ${machine}, started again by ${name}`, () =>
    inFolder(async (folder) => {
      const disk = `${folder}/disk`;
      const options = [
        "-f",
        "bin",
        `-DHOW=${WAYS.indexOf(name)}`,
        "-o",
        disk,
        SOURCE,
      ];
      if (!await tool("nasm", ...options)) return;
      await Deno.truncate(disk, DISK_BYTES);
      const output = await runBios({ machine, drives: [{ file: disk }] });
      assertEquals(output, "123");
    }));
}
