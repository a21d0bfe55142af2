/**
 * Linux on `machines/pc.json` finds the PCI bus and what is on it: the same
 * functions, with the same identity, as on QEMU's `pc`, and without complaints
 * that QEMU's guest or the ISA PC's does not have.
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { boot, PATIENCE, withScript } from "../guest.ts";
import { ISAPC_WARNINGS, warnings } from "../session.ts";
import { Machine } from "../../../mod.ts";
import { QEMU, qemuOutput } from "../../qemu.ts";
import { PCI_VGA } from "../../pci_vga.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const LIMIT_MS = 600_000;

/** Prints the log, the devices and their configuration headers. */
const SCRIPT = `dmesg -n 1
dmesg -r
cat /proc/bus/pci/devices
for f in /proc/bus/pci/00/*; do
  echo "config $f" $(hexdump -v -n 64 -e '1/1 "%02x"' $f)
done
echo the end
sleep 1000`;

/** The headers of functions, by place. */
function headers(output: string): Map<string, string> {
  const found = new Map<string, string>();
  const line = /^config \/proc\/bus\/pci\/00\/(\S+) ([0-9a-f]{128})\r?$/gm;
  for (const [, place, bytes] of output.matchAll(line)) found.set(place, bytes);
  return found;
}

/** What firmware does not set: IDs, revision, class, header type, pin. */
function identity(header: string): string {
  const bytes = (from: number, to: number): string =>
    header.slice(from * 2, to * 2);
  return [bytes(0, 4), bytes(8, 12), bytes(14, 15), bytes(0x3d, 0x3e)]
    .join(" ");
}

/** The guest's output in QEMU; undefined where there is none. */
function inQemu(
  kernel: string,
  initrd: string,
): Promise<string | undefined> {
  return qemuOutput(
    [
      ...["-accel", "tcg", "-M", "pc", "-cpu", "pentium3", "-m", "256"],
      ...["-nodefaults", "-vga", "std", "-display", "none", "-serial", "stdio"],
      ...["-kernel", kernel, "-initrd", initrd],
      ...["-append", "console=ttyS0"],
    ],
    LIMIT_MS,
    "the end\r\n",
  );
}

async function inRhea(kernel: string, initrd: string): Promise<string> {
  const machine = await Machine.load(PC, {
    kernel,
    initrd,
    append: "console=ttyS0",
    memory: "256M",
    set: PCI_VGA,
  });
  try {
    await machine.serial(0).expect(/the end\r\n/, PATIENCE);
    return machine.serial(0).output;
  } finally {
    await machine.stop();
  }
}

boot(
  "Linux finds the PCI devices of pc.json",
  ({ kernel }) =>
    withScript(SCRIPT, async (initrd) => {
      const ours = await inRhea(kernel, initrd);
      const functions = headers(ours);
      assertEquals(
        [...functions.keys()].sort(),
        ["00.0", "01.0", "01.1", "01.3", "02.0"],
      );
      const listed = [...ours.matchAll(/^(00[0-9a-f]{2})\t([0-9a-f]{8})\t/gm)]
        .map(([, place, ids]) => `${place} ${ids}`);
      assertEquals(listed, [
        "0000 80861237",
        "0008 80867000",
        "0009 80867010",
        "000b 80867113",
        "0010 12341111",
      ]);

      const theirs = await inQemu(kernel, initrd);
      const known = new Set(ISAPC_WARNINGS);
      if (theirs === undefined) {
        console.log(`not compared: ${QEMU} is not installed`);
      } else {
        const others = headers(theirs);
        for (const [place, header] of functions) {
          const other = others.get(place);
          assertEquals(identity(header), identity(other ?? ""), place);
        }
        for (const line of warnings(theirs)) known.add(line);
      }
      assertEquals([...warnings(ours).difference(known)], []);
    }),
);
