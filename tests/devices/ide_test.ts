/**
 * A small driver of an IDE disk, run on Rhea and on QEMU: what it prints and
 * what is on the disk afterwards must be the same.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Machine } from "../../core/machine/machine.ts";
import type { BlockPlugin } from "../../core/machine/plugin.ts";
import { PLUGINS } from "../../machines/registry.ts";
import { assemble, multiboot } from "../faults/guest.ts";
import { FakeBlock } from "./ide_bench.ts";
import { CDROM_DMA_GUEST, DISK_DMA_GUEST } from "./ide_dma_guest.ts";
import { CDROM_GUEST, DISK_GUEST } from "./ide_guest.ts";
import { asRhea, type Difference, qemuOutput } from "../qemu.ts";

const MACHINES = new URL("../../machines/", import.meta.url).pathname;
const IMAGE_BYTES = 8 << 20;
const LIMIT_MS = 20_000;

/** A machine with one drive. */
interface Setup {
  readonly machine: "isapc" | "pc";
  readonly kind: "disk" | "cdrom";
  /** Primary device 0 and 1, secondary device 0 and 1. */
  readonly index: number;
}

/** The drive as the machine's definition says it. */
function drive({ machine, kind, index }: Setup): string[] {
  const values = `{"config":{"disk${index}":{"kind":"${kind}"}},` +
    `"backends":{"disk${index}":"image"}`;
  if (machine === "pc") return [`devices.ide=${values}}`];
  return [
    `devices.ide0=${values},"plugin":"ide","at":{"command":"0x1f0",` +
    '"control":"0x3f6"},"wires":{"irq":"pic.irq14"}}',
  ];
}

/** What the guest prints, and the image as it leaves it. */
interface Outcome {
  readonly output: string;
  readonly image: Uint8Array;
}

/** The outcome on Rhea, and when it came, with a disk that takes its time. */
async function onRhea(
  kernel: string,
  setup: Setup,
  { icount = false, delay = 0 } = {},
): Promise<Outcome & { readonly instructions: number; readonly time: number }> {
  const disk = new FakeBlock(IMAGE_BYTES);
  disk.delay = delay;
  const block: BlockPlugin = {
    type: "block",
    name: "fake",
    version: "1",
    create: () => disk,
  };
  await using machine = await Machine.load(`${MACHINES}${setup.machine}.json`, {
    kernel,
    memory: "16M",
    icount,
    plugins: {
      ...PLUGINS,
      block: { fake: () => Promise.resolve({ default: block }) },
    },
    set: [
      'backends.image={"plugin":"fake"}',
      ...drive(setup),
    ],
  });
  const limit = setTimeout(() => void machine.stop(), LIMIT_MS);
  await machine.run();
  clearTimeout(limit);
  return {
    output: machine.serial(0).output,
    image: disk.bytes,
    instructions: machine.cpu.instructions,
    time: machine.clock.now(),
  };
}

/** The same on QEMU; undefined where it is not installed. */
async function onQemu(
  kernel: string,
  { machine, kind, index }: Setup,
  directory: string,
): Promise<Outcome | undefined> {
  const image = `${directory}/disk.img`;
  await Deno.writeFile(image, new FakeBlock(IMAGE_BYTES).bytes);
  const args = `-M ${machine} -accel tcg -m 16 -nodefaults -display none ` +
    "-serial stdio -monitor none -no-reboot " +
    "-device isa-debug-exit,iobase=0xf4,iosize=1 " +
    `-drive if=ide,format=raw,file=${image},index=${index},media=${kind} -kernel ${kernel}`;
  const output = await qemuOutput(args.split(" "), LIMIT_MS);
  if (output === undefined) return undefined;
  return { output, image: await Deno.readFile(image) };
}

/** Where QEMU's disk differs from ATA/ATAPI-6, or the standard is silent. */
const DISK_DIFFERENCES: readonly Difference[] = [
  // QEMU looks for the setting in LBA low rather than in the count.
  ["smart autosave, no such: 01 ", "50 50 00", "41 41 04"],
  // An address that is not on the disk is IDNF (READ SECTOR(S), error outputs); QEMU says ABRT.
  ["beyond the end: 01 41 41 ", "04", "10"],
  ["far beyond: 01 41 41 ", "04", "10"],
  ["far beyond ext: 01 41 41 ", "04", "10"],
  // QEMU verifies nothing; the registers go on as those of READ SECTORS.
  ["verify: 01 50 50 00 ", "02 07", "00 09"],
];

/** Where QEMU's CD-ROM drive differs from MMC-5 and SPC-3, or may. */
const CDROM_DIFFERENCES: readonly Difference[] = [
  // ABRT stands beside the sense key of an illegal request.
  ["a0 01 41 ", "50 03", "54 03"],
  // There is no information that the bit could say is valid (SPC-3, fixed format).
  ["", "f0 00 ", "70 00 "],
  // Sense data are told once (SPC-3, REQUEST SENSE).
  [
    "sense again: 58 00 01 00 00 08 a0 02 00 12 01 50 00 03 \n70 00 ",
    "05 00 00 00 00 0a 00 00 00 00 21 ",
    "00 00 00 00 00 0a 00 00 00 00 00 ",
  ],
  // Format 2 has control 4 for the lead-out on QEMU too.
  ["00 ", "16 aa ", "14 aa "],
  // The first track of the last session (MMC-5, READ TOC).
  ["\n00 0a 01 01 00 ", "00 00 00 00 00 ", "14 01 00 00 00 "],
  // Rhea tells more features; this is their length.
  ["\n00 00 00 ", "10 00 00 00 08 ", "44 00 00 00 08 "],
  // 70h is "door closed, no disc"; there is one (SFF-8020i).
  ["\n00 0e ", "70 ", "01 "],
  // The length counts what follows it (MMC-5).
  ["\n00 ", "04 04 10 00 02 ", "06 04 10 00 02 "],
  // Removal prevented is an illegal request (MMC-5).
  ["eject: 58 00 01 00 00 08 a0 01 41 ", "20 03", "54 03"],
  [
    "70 00 ",
    "02 00 00 00 00 0a 00 00 00 00 53",
    "05 00 00 00 00 0a 00 00 00 00 53",
  ],
  // The door is open (MMC-5, MECHANISM STATUS).
  [
    "3a 00 00 00 00 00 \nmechanism: 58 00 01 00 00 08 a0 02 00 08 01 50 00 03 \n00 ",
    "00 ",
    "10 ",
  ],
];

/** A device 0 that is not there aborts commands, and interrupts, in QEMU. */
const DISK_DMA_DIFFERENCES: readonly Difference[] = [
  ["masters 00 00 00300000 00 ", "04 00000000 00 64 ", "00 00000000 00 60 "],
];
const CDROM_DMA_DIFFERENCES: readonly Difference[] = [
  ["masters 00 ", "04 ", "00 "],
];

/** Use a kernel made of a driver; not at all where nasm is not installed. */
async function withKernel(
  source: string,
  use: (kernel: string, directory: string) => Promise<void>,
): Promise<void> {
  const code = await assemble(source);
  if (code === undefined) {
    console.log("skipped: nasm is not installed");
    return;
  }
  const directory = await Deno.makeTempDir();
  try {
    const kernel = `${directory}/kernel`;
    await Deno.writeFile(kernel, multiboot(code));
    await use(kernel, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Run a driver on both machines and compare. */
async function compare(
  source: string,
  setup: Setup,
  differences: readonly Difference[],
): Promise<void> {
  await withKernel(source, async (kernel, directory) => {
    const rhea = await onRhea(kernel, setup);
    assertMatch(rhea.output, /\nEND\n$/);
    const qemu = await onQemu(kernel, setup, directory);
    if (qemu === undefined) {
      console.log("skipped in part: qemu-system-i386 is not installed");
      return;
    }
    assertEquals(rhea.output, asRhea(qemu.output, differences));
    assertEquals(rhea.image, qemu.image);
  });
}

const DISK: Setup = { machine: "isapc", kind: "disk", index: 0 };
const CDROM: Setup = { machine: "isapc", kind: "cdrom", index: 0 };

Deno.test("IDE: a disk's driver sees the same on Rhea and on QEMU", async () => {
  await compare(DISK_GUEST, DISK, DISK_DIFFERENCES);
});

Deno.test("IDE: a CD-ROM's driver sees the same on Rhea and on QEMU", async () => {
  await compare(CDROM_GUEST, CDROM, CDROM_DIFFERENCES);
});

Deno.test("PIIX3 IDE: DMA of a disk is the same on Rhea and on QEMU", async () => {
  const setup: Setup = { machine: "pc", kind: "disk", index: 0 };
  await compare(DISK_DMA_GUEST, setup, DISK_DMA_DIFFERENCES);
});

Deno.test("PIIX3 IDE: DMA of a CD-ROM is the same on Rhea and on QEMU", async () => {
  const setup: Setup = { machine: "pc", kind: "cdrom", index: 2 };
  await compare(CDROM_DMA_GUEST, setup, CDROM_DMA_DIFFERENCES);
});

Deno.test("IDE, icount: runs are alike, however slow the host's disk is", async () => {
  const setups: [string, Setup][] = [
    [DISK_GUEST, DISK],
    [DISK_DMA_GUEST, { machine: "pc", kind: "disk", index: 0 }],
    [CDROM_DMA_GUEST, { machine: "pc", kind: "cdrom", index: 2 }],
  ];
  for (const [source, setup] of setups) {
    await withKernel(source, async (kernel) => {
      const first = await onRhea(kernel, setup, { icount: true });
      assertMatch(first.output, /\nEND\n$/);
      const again = await onRhea(kernel, setup, { icount: true, delay: 6 });
      assertEquals(again, first);
    });
  }
});
