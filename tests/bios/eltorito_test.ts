/**
 * What a disc starts with, and how INT 13h describes it: with the built-in BIOS
 * as with SeaBIOS on QEMU.
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { emulationImage } from "./images.ts";
import { inFolder, runBios, runQemu, tool } from "./machine.ts";

const HERE = fromFileUrl(new URL(".", import.meta.url));
const SOURCE = fromFileUrl(new URL("eltorito.asm", import.meta.url));

/** A kind of disc. */
interface Kind {
  /** Bytes of the image in the disc. */
  readonly bytes: number;
  /** The words where SeaBIOS differs, and why ours are right. */
  readonly differences: Readonly<Record<number, readonly [string, string]>>;
}

const KINDS: Readonly<Record<"floppy" | "disk" | "none", Kind>> = {
  floppy: {
    bytes: 1440 << 10,
    differences: {
      // It tells of two floppy drives, and goes on when the emulation has ended.
      3: ["6700", "2700"],
      11: ["6700", "2600"],
      // It has heads, sectors and cylinders in the wrong order.
      5: [
        "130200002200000000000000C007010001124F",
        "130200002200000000000000C00701004F1201",
      ],
    },
  },
  disk: {
    // 8 cylinders of 16 heads and 32 sectors.
    bytes: 8 * 16 * 32 * 512,
    differences: {
      // It tells of one disk more; afterwards, too.
      0: ["80000006200F0200", "80000006200F0100"],
      11: ["2601", "2600"],
      // Extended functions are for emulated disks, too.
      2: ["0100000E8001", "3000070E8000"],
      4: ["0000000E8000", "0000070E8000"],
      9: ["010002008001", "000002008000"],
      5: [
        "130480002200000000000000C00701000F2007",
        "130480002200000000000000C007010007200F",
      ],
    },
  },
  none: {
    bytes: 2048,
    // It takes discs for floppies in function 15h.
    differences: { 1: ["01000000E000", "01000000E001"] },
  },
};

/** A disc that starts the image by itself. */
async function plainImage(
  folder: string,
  image: string,
): Promise<string | undefined> {
  const tree = `${folder}/plain`;
  await Deno.mkdir(tree);
  await Deno.copyFile(image, `${tree}/boot.img`);
  const file = `${folder}/plain.iso`;
  const options = "-as mkisofs -quiet -b boot.img -c boot.cat " +
    "-no-emul-boot -boot-load-size 4 -o";
  return await tool("xorriso", ...options.split(" "), file, tree)
    ? file
    : undefined;
}

for (const [name, { bytes, differences }] of Object.entries(KINDS)) {
  Deno.test(`bios: a disc with emulation of: ${name}`, () =>
    inFolder(async (folder) => {
      const image = `${folder}/image`;
      const options = [`-DNO_EMULATION=${name === "none" ? 1 : 0}`];
      options.push("-i", HERE, "-o", image, SOURCE);
      if (!await tool("nasm", "-f", "bin", ...options)) return;
      await Deno.truncate(image, bytes);
      const file = name === "floppy" || name === "disk"
        ? await emulationImage(folder, image, name)
        : await plainImage(folder, image);
      if (file === undefined) return;
      const drives = [{ file, kind: "cdrom" }] as const;
      const ours = (await runBios({ machine: "pc", drives })).split(" ");
      assert(ours.length > 10, ours.join(" "));
      const theirs = (await runQemu(drives, "pc"))?.split(" ");
      if (theirs === undefined) return console.log("not compared: no QEMU");
      for (const [i, [has, expected]] of Object.entries(differences)) {
        assertEquals(theirs[Number(i)], has, i);
        theirs[Number(i)] = expected;
      }
      assertEquals(ours, theirs);
    }));
}
