/**
 * Planar modes: what a boot sector draws by INT 10h and through the planes looks
 * the same with the built-in BIOS and with SeaBIOS's VGA BIOS.
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { PCI_VGA } from "../pci_vga.ts";
import { difference, type Pixels, pixelsOf } from "../pixels.ts";
import { biosMachine, inFolder, seabiosMachine, tool } from "./machine.ts";
import type { Machine } from "../../machines/machine.ts";

const SOURCE = fromFileUrl(new URL("planar.asm", import.meta.url));
const DISK_BYTES = 1 << 20;

/** Modes, and the addresses of a line. */
const MODES: Readonly<Record<number, number>> = {
  0x0d: 40,
  0x0e: 80,
  0x10: 80,
  0x12: 80,
  0x102: 100,
  0x104: 128,
  0x106: 160,
};

/** What is to be seen when the guest has ended. */
async function picture(started: Machine): Promise<Pixels> {
  await using machine = started;
  const limit = setTimeout(() => void machine.stop(), 30_000);
  const { reason } = await machine.run();
  clearTimeout(limit);
  assertEquals(reason, "exit");
  return pixelsOf(machine.screenshot());
}

for (const [mode, line] of Object.entries(MODES)) {
  const number = Number(mode);
  Deno.test(`bios: planar mode ${number.toString(16)}h looks as SeaBIOS's`, () =>
    inFolder(async (folder) => {
      const file = `${folder}/disk`;
      for (const text of [0, 1]) {
        const options = [`-DMODE=${number}`, `-DLINE=${line}`];
        options.push(`-DTEXT=${text}`, "-o", file, SOURCE);
        if (!await tool("nasm", "-f", "bin", ...options)) return;
        await Deno.truncate(file, DISK_BYTES);
        const ours = await picture(
          await biosMachine({
            machine: "pc",
            drives: [{ file }],
            set: PCI_VGA,
          }),
        );
        const seabios = await seabiosMachine(file, "pc", PCI_VGA);
        if (seabios === undefined) return;
        const theirs = await picture(seabios);
        assertEquals(difference(ours, theirs), undefined, `text: ${text}`);
        assert(new Set(ours.pixels).size >= 12);
      }
    }));
}
