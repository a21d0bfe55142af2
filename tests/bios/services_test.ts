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
const FLOPPY_BYTES = 1440 << 10;
const SECTOR = 512;

/** A program and what it needs. */
interface Program {
  /** The board; the ISA PC when absent. */
  readonly machine?: "isapc" | "pc";
  /** Sectors of the program; 16 when absent. */
  readonly sectors?: number;
  /** What else the machine has, as `--set` takes it. */
  readonly set?: readonly string[];
  /** MiB of RAM; 32 when absent. */
  readonly mebibytes?: number;
  /** There is a floppy of 1.44 MB in the first drive. */
  readonly floppy?: boolean;
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
  disk: {
    differences: [
      // A seek is no check of addresses there, and disks are not formatted.
      ["beyond the end:  ah=00 cf=0", "beyond the end:  ah=04 cf=1"],
      ["format:  ah=01 cf=1", "format:  ah=00 cf=0"],
      // It does not look at BX, nor at the size of packets.
      [
        "without the word:  bx=AA55 ah=30 cf=0",
        "without the word:  bx=0000 ah=01 cf=1",
      ],
      ["small a packet:  ah=00 cf=0", "small a packet:  ah=01 cf=1"],
      // It tells of an emulation that there is not.
      ["no emulation:  ah=00 cf=0", "no emulation:  ah=01 cf=1"],
      ["emulation at all:  ah=00 cf=0", "emulation at all:  ah=01 cf=1"],
    ],
  },
  drive_path: {
    machine: "pc",
    differences: [
      // It fills the whole table and says that it has filled less.
      [
        "a path:  ah=00 cf=0\nsize: 1E",
        "a path:  ah=00 cf=0\nsize: 42",
      ],
      [
        "some room:  ah=00 cf=0\nsize: 1E",
        "some room:  ah=00 cf=0\nsize: 42",
      ],
      [
        "T13's path:  ah=00 cf=0\nsize: 1E",
        "T13's path:  ah=00 cf=0\nsize: 4A",
      ],
    ],
  },
  floppy: {
    floppy: true,
    differences: [
      // As IBM's has it, where there is no such drive; ours tells of changes.
      [
        "no drive:  ax=0100 bx=0000 cx=0000 dx=0002 cf=1",
        "no drive:  ax=0000 bx=0000 cx=0000 dx=0001 cf=0",
      ],
      ["type of no drive:  ah=01 cf=1", "type of no drive:  ah=00 cf=0"],
      ["\ntype:  ah=01", "\ntype:  ah=02"],
      ["changed:  ah=06 cf=1", "changed:  ah=00 cf=0"],
      // It does not let a medium be chosen.
      ["set type:  ah=01 cf=1", "set type:  ah=00 cf=0"],
      ["set medium:  ah=01 cf=1", "set medium:  ah=00 cf=0"],
      ["another medium:  ah=01 cf=1", "another medium:  ah=0C cf=1"],
      // QEMU's controller does not fill sectors with F6h.
      ["formatted: 8405", "formatted: 4372"],
    ],
  },
  system: {
    differences: [
      // QEMU writes disks' types down, for none of which SeaBIOS looks.
      ["00 00 F0 00 06 80 02", "00 00 00 00 06 80 02"],
      ["SysReq:  ah=86 cf=1", "SysReq:  ah=00 cf=0"],
    ],
  },
  apm: {
    machine: "pc",
    differences: [
      // It does not say which error.
      [/(cx=0000|device: |no function: ) ah=53 cf=1/g, "$1 ah=86 cf=1"],
    ],
  },
  memory: { mebibytes: 128 },
  teletype: {},
  pci: {
    machine: "pc",
    differences: [
      // Errors that the PCI BIOS' specification names, and it does not check.
      ["no vendor:  ah=86", "no vendor:  ah=83"],
      ["odd word:  ah=00 cf=0", "odd word:  ah=87 cf=1"],
      ["beyond the space:  ah=00 cf=0", "beyond the space:  ah=87 cf=1"],
    ],
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

/** Sectors that are all different. */
function numbered(image: Uint8Array): Uint8Array {
  for (let i = 0; i < image.length; i++) {
    image[i] = Math.floor(i / SECTOR) * 7 + i % SECTOR * 3;
  }
  return image;
}

/** The program in front of such sectors. */
function imageWith(program: Uint8Array): Uint8Array {
  const image = numbered(new Uint8Array(IMAGE_BYTES));
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
      const [floppy, another] = program.floppy
        ? [`${folder}/floppy`, `${folder}/another`]
        : [];
      if (floppy !== undefined && another !== undefined) {
        await Deno.writeFile(floppy, numbered(new Uint8Array(FLOPPY_BYTES)));
        await Deno.copyFile(floppy, another);
      }
      const output = await runBios({
        machine,
        drives: [{ file: ours }],
        set,
        memory: `${program.mebibytes ?? 32}M`,
        ...floppy === undefined ? {} : { floppy, config: { order: "ca" } },
      });
      assertMatch(output, /BEGIN\n[^]*\nEND\n$/);
      let expected = await runQemu(
        [{ file: theirs }],
        machine,
        another,
        program.mebibytes,
      );
      if (expected === undefined) {
        return console.log("skipped in part: QEMU is not installed");
      }
      const printed = (text: string): string =>
        text.slice(text.indexOf("\nBEGIN\n"));
      if (onRhea) {
        const seabios = await runSeabios(`${folder}/ours`);
        if (seabios !== undefined) {
          assertEquals(printed(seabios), printed(expected));
        }
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
      if (floppy === undefined || another === undefined) return;
      assertEquals(await Deno.readFile(floppy), await Deno.readFile(another));
    }));
}
