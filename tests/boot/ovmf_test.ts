/**
 * UEFI: Debian's OVMF from flash chips comes to its shell, which draws on the
 * PCI VGA and takes keys from the keyboard and from the serial port.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { firmwareTest, PATIENCE } from "./firmware.ts";
import { PCI_VGA } from "../pci_vga.ts";
import { pixelsOf } from "../pixels.ts";
import { newVariables, OVMF, PROMPT, uefiPc } from "./uefi.ts";

/** The mode that OVMF sets, and its text in the middle of it: 100 by 31. */
const [WIDTH, HEIGHT] = [1280, 800];
const [CELL_WIDTH, CELL_HEIGHT] = [8, 19];
const LEFT = (WIDTH - 100 * CELL_WIDTH) / 2;
const TOP = Math.floor((HEIGHT - 31 * CELL_HEIGHT) / 2);

firmwareTest(
  "OVMF's shell draws on the screen and takes keys and bytes",
  [OVMF],
  async (folder) => {
    await using pc = await uefiPc(await newVariables(folder), {
      cpu: "x86-64-v2",
      set: PCI_VGA,
    });
    const [serial, screen] = [pc.serial(0), pc.screen()];
    await serial.expect(PROMPT, PATIENCE);
    await screen.type("cls\n");
    await serial.expect(PROMPT, PATIENCE);
    await screen.type("echo aBcaBc\n");
    assertMatch(await serial.expect(PROMPT, PATIENCE), /^aBcaBc\r$/m);
    // What is drawn next has been drawn when the answer to it is there.
    await serial.write("ver\r");
    assertMatch(await serial.expect(PROMPT, PATIENCE), /EDK II/);
    const { width, height, pixels } = pixelsOf(screen.look()!);
    assertEquals([width, height], [WIDTH, HEIGHT]);
    const cell = (row: number, column: number): string =>
      Array.from({ length: CELL_HEIGHT }, (_, y) => {
        const from = (TOP + row * CELL_HEIGHT + y) * WIDTH + LEFT +
          column * CELL_WIDTH;
        return pixels.subarray(from, from + CELL_WIDTH).join();
      }).join(";");
    // The letters as they were typed after "Shell> echo ", and the answer.
    const typed = [0, 1, 2, 3, 4, 5].map((i) => cell(0, 12 + i));
    const said = [0, 1, 2, 3, 4, 5].map((i) => cell(1, i));
    assertEquals(said, typed);
    assertEquals(said.slice(3), said.slice(0, 3));
    assertEquals(new Set([...said, cell(0, 11)]).size, 4, "three and a space");
    serial.write("reset -s\r");
    assertEquals(await pc.wait(), { reason: "poweroff", status: 0 });
  },
);
