/** Option ROMs of cards and of PCI functions are called after a reset. */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../machines/machine.ts";
import { inFolder, tool } from "./machine.ts";

const path = (name: string): string =>
  fromFileUrl(new URL(name, import.meta.url));
const PC = path("../../machines/pc.json");
const FUNCTION = path("../fixtures/pci_rom.ts");

/** Assemble the ROM; its last byte makes the sum 0. */
async function assemble(
  file: string,
  ...args: readonly string[]
): Promise<boolean> {
  const source = path("option_rom.asm");
  if (!await tool("nasm", "-f", "bin", ...args, "-o", file, source)) {
    return false;
  }
  const bytes = await Deno.readFile(file);
  bytes[bytes.length - 1] = -bytes.reduce((a, b) => a + b, 0);
  await Deno.writeFile(file, bytes);
  return true;
}

Deno.test("bios: option ROMs of a card and of a PCI function are called", () =>
  inFolder(async (folder) => {
    const [card, pci, bad] = ["card", "pci", "bad"].map((n) =>
      `${folder}/${n}`
    );
    if (!await assemble(card) || !await assemble(pci, "-DBEV")) return;
    // One with a wrong sum is none.
    const bytes = await Deno.readFile(card);
    bytes[bytes.length - 1]++;
    await Deno.writeFile(bad, bytes);
    const rom = (file: string, at: string): string[] => {
      const name = `rom${at}`;
      return [
        `memories.${name}={"file":${JSON.stringify(file)},"kind":"rom"}`,
        `spaces.memory.regions.${name}={"memory":"${name}","at":"${at}"}`,
      ];
    };
    await using machine = await Machine.load(PC, {
      memory: "32M",
      set: [
        ...rom(bad, "0xc8000"),
        ...rom(card, "0xc9000"),
        `devices.card={"plugin":${JSON.stringify(FUNCTION)},` +
        `"config":{"slot":9,"image":${JSON.stringify(pci)}},` +
        `"use":{"bus":"pci"}}`,
      ],
    });
    const limit = setTimeout(() => void machine.stop(), 60_000);
    await machine.run();
    clearTimeout(limit);
    assertEquals(machine.serial(0).output.split("\n"), [
      // AX, BX, DX, CS, what ES:DI names.
      "0000 FFFF FFFF C900 $PnP",
      "0048 FFFF FFFF CC00 $PnP",
      // Nobody can write it any more.
      "w",
      "",
    ]);
  }));
