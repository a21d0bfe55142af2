/**
 * A boot sector that calls the BIOS's services, on Rhea's BIOS and on QEMU's
 * SeaBIOS: what it prints and what is on the disk afterwards must be the same.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { inFolder, runBios, runQemu, runSeabios, tool } from "./machine.ts";
import { PCI_VGA } from "../pci_vga.ts";

const HERE = fromFileUrl(new URL(".", import.meta.url));
const MOUSE = fromFileUrl(new URL("../fixtures/ps2_mouse.ts", import.meta.url));
/** 20 MiB: 40 cylinders of 16 heads and 63 sectors. */
const IMAGE_BYTES = 20 << 20;
const SECTOR = 512;

/** A program and what it needs. */
interface Program {
  /** The board; the ISA PC when absent. */
  readonly machine?: "isapc" | "pc";
  /** Sectors of the program; 16 when absent. */
  readonly sectors?: number;
  /** What else the machine has, as `--set` takes it. */
  readonly set?: readonly string[];
  /** SeaBIOS and its VGA BIOS print the same on Rhea's board, too. */
  readonly onRhea?: boolean;
  /** Where SeaBIOS or QEMU's board differ, and why it is right. */
  readonly differences?:
    readonly (readonly [qemu: string | RegExp, rhea: string])[];
}

/** Whether the ISA PC has a mouse. */
const HAS_MOUSE = (await Deno.readTextFile(
  new URL("../../machines/isapc.json", import.meta.url),
)).includes('"ps2-mouse"');

const PROGRAMS: Readonly<Record<string, Program>> = {
  disk: {},
  system: {
    // There is a PS/2 mouse on QEMU's board: bit 2.
    differences: HAS_MOUSE
      ? []
      : [["equipment:  ax=0426", "equipment:  ax=0422"]],
  },
  video: {},
  modes: {
    sectors: 32,
    onRhea: true,
    differences: [
      // Before mode 7 SeaBIOS resets the flip-flop at 3DAh, not 3BAh.
      [
        "attributes 13 08 08 08 08 08 08 08 20",
        "attributes 00 08 08 08 08 08 08 08 10",
      ],
      // SeaBIOS draws on the first page of planar modes, whatever BH says.
      ["its memory: 00", "its memory: 01"],
    ],
  },
  settings: {
    sectors: 40,
    onRhea: true,
    differences: [
      // SeaBIOS leaves lines under the last row of a font that does not fit.
      [/(8x14, rows: [^]*?end: )8F/, "$187"],
      // It loads the palette although it was told not to.
      [
        "it is:  cx=002A dx=2A00\npalette: ",
        "it is:  cx=1122 dx=3300\npalette: ",
      ],
      // It tells the last row, not how many.
      ["rows: 18", "rows: 19"],
    ],
  },
  mouse: {
    // A mouse that has moved when it is enabled; QEMU's lies still.
    set: [
      ...HAS_MOUSE ? ["devices.mouse=null"] : [],
      `devices.moving={"plugin":${JSON.stringify(MOUSE)},` +
      '"use":{"controller":"keyboard"}}',
    ],
    differences: [
      // IBM's code for a value that cannot be.
      ["no size:  ah=03", "no size:  ah=02"],
      ["packets:\n", "packets: 29 05 FD 00 29 05 FD 00\n"],
    ],
  },
  vbe: {
    machine: "pc",
    set: PCI_VGA,
    sectors: 32,
    differences: [
      // Functions that SeaBIOS has not: the longest line, the palette.
      ["the longest:  ax=014F", "the longest:  ax=004F"],
      ["palette:  ax=0100", "palette:  ax=004F"],
      ["palette is:  ax=0100", "palette is:  ax=004F"],
      [
        /^colours: .*$/m,
        "colours: 01 02 03 00 28 32 3C 00 3F 3E 3D 00 0B 0B 0B 00",
      ],
      // A planar mode that is 102h by another number.
      [/^mode 006A004F: .*\n/m, ""],
    ],
  },
  vbe_text: {
    machine: "pc",
    set: PCI_VGA,
    sectors: 32,
    differences: [
      // In the planes of 102h, SeaBIOS does not read the pixels that it wrote.
      ["it is:  al=00\nit is:  al=0F", "it is:  al=05\nit is:  al=0E"],
      ["planes: AD80", "planes: BDE3"],
      ["planes: 597A", "planes: 7E28"],
    ],
  },
};

/** The program in front of sectors that are all different. */
function imageWith(program: Uint8Array): Uint8Array {
  const image = new Uint8Array(IMAGE_BYTES);
  for (let i = 0; i < image.length; i++) {
    image[i] = Math.floor(i / SECTOR) * 7 + i % SECTOR * 3;
  }
  image.set(program);
  return image;
}

for (const [name, program] of Object.entries(PROGRAMS)) {
  const { machine = "isapc", sectors = 16, differences = [], set, onRhea } =
    program;
  Deno.test(`bios: ${name} services as SeaBIOS has them`, () =>
    inFolder(async (folder) => {
      const binary = `${folder}/program`;
      await Deno.copyFile(`${HERE}${name}.inc`, `${folder}/tests.inc`);
      const source = `${HERE}services.asm`;
      const made = await tool(
        "nasm",
        ...[
          "-f",
          "bin",
          `-DSECTORS=${sectors}`,
          "-i",
          `${folder}/`,
          "-o",
          binary,
          source,
        ],
      );
      if (!made) return;
      const image = imageWith(await Deno.readFile(binary));
      const [ours, theirs] = [`${folder}/ours`, `${folder}/theirs`];
      await Deno.writeFile(ours, image);
      await Deno.writeFile(theirs, image);
      const output = await runBios({ machine, drives: [{ file: ours }], set });
      assertMatch(output, /BEGIN\n[^]*\nEND\n$/);
      let expected = await runQemu([{ file: theirs }], machine);
      if (expected === undefined) {
        return console.log("skipped in part: QEMU is not installed");
      }
      const printed = (text: string): string =>
        text.slice(text.indexOf("\nBEGIN\n"));
      if (onRhea) {
        const seabios = await runSeabios(`${folder}/ours`);
        if (seabios === undefined) {
          console.log("skipped in part: seabios is not installed");
        } else assertEquals(printed(seabios), printed(expected));
      }
      for (const [qemu, rhea] of differences) {
        const before: string = expected;
        expected = typeof qemu === "string"
          ? before.replaceAll(qemu, rhea)
          : before.replace(qemu, rhea);
        assert(expected !== before, `${qemu}`);
      }
      assertEquals(printed(output), printed(expected));
      assertEquals(await Deno.readFile(ours), await Deno.readFile(theirs));
    }));
}
