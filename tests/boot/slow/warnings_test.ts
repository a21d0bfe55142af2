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
import { QEMU, qemuOutput } from "../../qemu.ts";

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

boot(
  "Linux warns of nothing that it does not warn of in QEMU",
  ({ kernel }) =>
    withScript("dmesg -n 1; dmesg -r; echo the end", async (initrd) => {
      const known = new Set<string>();
      for (const machine of MACHINES) {
        const log = await qemuOutput(
          [
            ...["-accel", "tcg", "-m", "256", "-no-reboot"],
            ...["-display", "none", "-serial", "stdio"],
            ...["-kernel", kernel, "-initrd", initrd, ...machine],
          ],
          LIMIT_MS,
          "the end\r\n",
        );
        if (log === undefined) {
          console.log(`skipped: ${QEMU} is not installed`);
          return;
        }
        for (const line of warnings(log)) known.add(line);
      }
      assertEquals(ISAPC_WARNINGS.filter((line) => !known.has(line)), []);
    }),
);
