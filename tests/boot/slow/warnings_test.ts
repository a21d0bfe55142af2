/**
 * The kernel warns of nothing in Rhea that it does not warn of in QEMU.
 *
 * QEMU has no machine with just Rhea's parts, so three of its machines stand
 * together for it: the usual PC, the ISA PC (with an APIC its firmware's table
 * of processors makes the kernel panic), and the one without PCI.
 */

import { assertEquals } from "@std/assert";
import { boot, withScript } from "../guest.ts";
import { ISAPC_WARNINGS, warnings } from "../session.ts";

const QEMU = "qemu-system-i386";
const MACHINES: readonly (readonly string[])[] = [
  ["-M", "pc", "-cpu", "pentium3", "-append", "console=ttyS0"],
  [
    ...["-M", "isapc", "-cpu", "pentium3,apic=off"],
    ...["-append", "console=ttyS0 nolapic"],
  ],
  [
    ...["-M", "microvm,acpi=off,pit=on,pic=on,rtc=on,isa-serial=on"],
    ...["-cpu", "pentium3", "-append", "console=ttyS0"],
  ],
];
const LIMIT_MS = 600_000;

async function hasQemu(): Promise<boolean> {
  try {
    const args = ["--version"];
    return (await new Deno.Command(QEMU, { args }).output()).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The output of a guest in QEMU up to a line "the end". */
async function output(args: readonly string[]): Promise<string> {
  const child = new Deno.Command(QEMU, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const timer = setTimeout(() => child.kill(), LIMIT_MS);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    if (text.includes("the end\r\n")) break;
  }
  clearTimeout(timer);
  child.kill();
  await child.status;
  return text;
}

boot(
  "Linux warns of nothing that it does not warn of in QEMU",
  ({ kernel }) =>
    withScript("dmesg -n 1; dmesg -r; echo the end", async (initrd) => {
      if (!await hasQemu()) {
        console.log(`skipped: ${QEMU} is not installed`);
        return;
      }
      const known = new Set<string>();
      for (const machine of MACHINES) {
        const log = await output([
          ...["-accel", "tcg", "-m", "256", "-no-reboot"],
          ...["-display", "none", "-serial", "stdio"],
          ...["-kernel", kernel, "-initrd", initrd, ...machine],
        ]);
        for (const line of warnings(log)) known.add(line);
      }
      assertEquals(ISAPC_WARNINGS.filter((line) => !known.has(line)), []);
    }),
);
