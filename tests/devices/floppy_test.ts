/**
 * A small driver of a floppy drive, run on Rhea and on QEMU: what it prints and
 * what is on the disk afterwards must be the same.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Machine } from "../../core/machine/machine.ts";
import type { BlockPlugin } from "../../core/machine/plugin.ts";
import { PLUGINS } from "../../machines/registry.ts";
import { assemble, multiboot } from "../faults/guest.ts";
import { FLOPPY_BYTES } from "./floppy_bench.ts";
import { FLOPPY_GUESTS } from "./floppy_guest.ts";
import { FakeBlock } from "./ide_bench.ts";
import { asRhea, type Difference, qemuOutput } from "../qemu.ts";

type Kind = keyof typeof FLOPPY_GUESTS;

const ISAPC = new URL("../../machines/isapc.json", import.meta.url).pathname;
const LIMIT_MS = 20_000;

/** What the guest prints, and the image as it leaves it. */
interface Outcome {
  readonly output: string;
  readonly image: Uint8Array;
}

async function onRhea(kernel: string, kind: Kind): Promise<Outcome> {
  const disk = new FakeBlock(FLOPPY_BYTES, kind === "protected");
  const block: BlockPlugin = {
    type: "block",
    name: "fake",
    version: "1",
    create: () => disk,
  };
  const set = kind === "empty"
    ? ['devices.floppy.config.drive0.type="1.44M"']
    : [
      'backends.floppy0={"plugin":"fake"}',
      'devices.floppy.backends.drive0="floppy0"',
    ];
  await using machine = await Machine.load(ISAPC, {
    kernel,
    memory: "16M",
    plugins: {
      ...PLUGINS,
      block: { fake: () => Promise.resolve({ default: block }) },
    },
    set,
  });
  const limit = setTimeout(() => void machine.stop(), LIMIT_MS);
  await machine.run();
  clearTimeout(limit);
  return { output: machine.serial(0).output, image: disk.bytes };
}

/** The same on QEMU; undefined where it is not installed. */
async function onQemu(
  kernel: string,
  kind: Kind,
  directory: string,
): Promise<Outcome | undefined> {
  const image = `${directory}/disk.img`;
  await Deno.writeFile(image, new FakeBlock(FLOPPY_BYTES).bytes);
  const drive = kind === "empty"
    ? "if=floppy"
    : `if=floppy,format=raw,file=${image}` +
      (kind === "protected" ? ",readonly=on" : "");
  const args = "-M isapc -accel tcg -m 16 -nodefaults -display none " +
    "-serial stdio -monitor none -no-reboot " +
    "-device isa-debug-exit,iobase=0xf4,iosize=1 " +
    `-drive ${drive} -kernel ${kernel}`;
  const output = await qemuOutput(args.split(" "), LIMIT_MS);
  if (output === undefined) return undefined;
  return { output, image: await Deno.readFile(image) };
}

/** Where QEMU differs from the datasheet, or the datasheet is silent. */
const DIFFERENCES: Readonly<Record<Kind, readonly Difference[]>> = {
  disk: [
    // QEMU has an 82078, which has this command.
    ["part id ", "41", "80"],
    // SRT with HUT, HLT with ND, and no sector count as yet (DUMPREG).
    ["dumpreg 00 00 00 00 ", "0a 03 12", "af 02 00"],
    // SE is of a seek, and there was none (ST0): the head stays where it is.
    ["last 01 ", "20", "00"],
    ["head 1 01 ", "24", "04"],
    ["cylinder 01 ", "20", "00"],
    ["side 01 ", "24", "04"],
    ["beyond EOT 01 ", "24", "04"],
    ["track 01 ", "20", "00"],
    ["verified 01 ", "20", "00"],
    ["verify 01 ", "20", "00"],
    ["auto 01 ", "20", "00"],
    ["back 01 ", "20", "00"],
    ["write it 01 ", "20", "00"],
    ["read it 01 ", "20", "00"],
    ["and read 01 ", "20", "00"],
    // A sector that is cut off is done, too (table 5-6).
    ["cut off 01 ", "20 00 00 0a 00 03", "00 00 00 0a 00 04"],
    // The end of the cylinder without a terminal count (EN, ST1).
    ["no count 01 ", "20 00", "40 80"],
    ["by hand 01 20 3c \n00000000 ", "00 00 00 3c 00 04", "40 80 00 3d 00 01"],
    ["written by hand 00000000 ", "20 00", "40 80"],
    // A sector that is not there is ND (ST1); QEMU still tells the other side.
    ["no sector 01 ", "44 80", "40 04"],
    // No address was read, so there is none to tell.
    ["id rate 01 40 01 00 ", "0a 00 02 02", "00 00 00 00"],
    // The address in FORMAT TRACK's result is undefined (table 5-1).
    ["format 01 00 00 00 32 00 ", "01", "12"],
  ],
  protected: [
    // SE is of a seek, and nothing goes to a disk that takes nothing.
    ["write 01 ", "60", "40"],
    ["40 02 00 00 00 01 02 \n", "04 00 02 ff ff", "00 00 00 ff 01"],
  ],
  empty: [
    // Without an index hole there is no address mark (MA, ST1). Nor is there
    // an address to tell.
    ["id 01 ", "00 00 00 05 00 02 02", "40 01 00 00 00 00 00"],
    ["read 01 40 ", "00", "01"],
  ],
};

for (const kind of ["disk", "protected", "empty"] as const) {
  Deno.test(`floppy, ${kind}: a driver sees the same on Rhea and on QEMU`, async () => {
    const code = await assemble(FLOPPY_GUESTS[kind]);
    if (code === undefined) {
      console.log("skipped: nasm is not installed");
      return;
    }
    const directory = await Deno.makeTempDir();
    try {
      const kernel = `${directory}/kernel`;
      await Deno.writeFile(kernel, multiboot(code));
      const rhea = await onRhea(kernel, kind);
      assertMatch(rhea.output, /\nEND\n$/);
      const qemu = await onQemu(kernel, kind, directory);
      if (qemu === undefined) {
        console.log("skipped in part: qemu-system-i386 is not installed");
        return;
      }
      assertEquals(rhea.output, asRhea(qemu.output, DIFFERENCES[kind]));
      assertEquals(rhea.image, qemu.image);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}
