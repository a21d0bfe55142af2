/**
 * 64-bit Linux: to a shell on each machine, its installer, programs for 32-bit
 * x86 under its kernel, and a 32-bit kernel on CPUs that have 64-bit mode.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { type CpioEntry, file } from "../../../core/cli/cpio.ts";
import {
  bootAndUse,
  type Case,
  compile,
  load,
  MODELS,
  withFiles,
} from "../amd64.ts";
import { boot, bootsOf, guestOf, PATIENCE, Shell } from "../guest.ts";
import { type Identity, useShell } from "../session.ts";

const boot64 = await bootsOf("amd64");

const X86_64: Identity = {
  machine: "x86_64",
  model: "Rhea",
  flags: "syscall nx\\b.*\\blm",
};

const CASES: readonly Case[] = [
  ...MODELS.flatMap((cpu): Case[] => [
    { machine: "pc", cpu },
    { machine: "pc", cpu, smp: 4 },
    { machine: "microvm", cpu },
    { machine: "isapc", cpu },
    { machine: "pc", cpu, bits: 32 },
    { machine: "pc", cpu, smp: 4, bits: 32 },
  ]),
  { machine: "pc", cpu: "x86-64-v3", smp: 8 },
  { machine: "pc", cpu: "x86-64-v2", smp: 2, accel: "interp" },
];

for (const options of CASES) {
  const { machine, cpu, smp = 1, accel = "jit", bits = 64 } = options;
  (bits === 64 ? boot64 : boot)(
    `${bits}-bit Linux on ${machine}, ${smp} x ${cpu}, ${accel}: a shell answers`,
    (guest) => bootAndUse(guest, options),
  );
}

for (const smp of [1, 4]) {
  boot64(`the 64-bit installer answers keys, ${smp} CPUs`, async (guest) => {
    const { kernel, installer: initrd } = guest;
    // With less it asks in English whether to go on.
    const machine = await load("pc", { kernel, initrd, memory: "1G", smp });
    try {
      const serial = machine.serial(0);
      await serial.expect(/Select a language/, PATIENCE);
      await serial.expect(/Choose the language to be used/, PATIENCE);
      await serial.write("\r");
      await serial.expect(/Select your location/, PATIENCE);
      await serial.write("\r");
      await serial.expect(/Configure the keyboard/, PATIENCE);
      assertMatch(serial.output, /smp: Brought up 1 node, \d CPU/);
    } finally {
      await machine.stop();
    }
  });
}

/** `calls32.c` as a program; undefined where gcc does not make it. */
function callsProgram(): Promise<Uint8Array | undefined> {
  const source = fromFileUrl(new URL("../calls32.c", import.meta.url));
  return compile(
    source,
    ...["-m32", "-Os", "-nostdlib", "-fno-pic", "-no-pie"],
    ...["-ffreestanding", "-fno-stack-protector"],
  );
}

boot64("32-bit programs under the 64-bit kernel", async (guest) => {
  const [calls, guest32] = [await callsProgram(), await guestOf("i386")];
  const entries: CpioEntry[] = [];
  if (calls !== undefined) entries.push(file("bin/calls32", calls, 0o755));
  if (typeof guest32 !== "string") {
    const busybox = await Deno.readFile(guest32.busybox);
    entries.push(file("bin/busybox32", busybox, 0o755));
  }
  await withFiles(guest, entries, async (initrd) => {
    const { kernel } = guest;
    const machine = await load("pc", { kernel, initrd, cpu: "x86-64" });
    try {
      const shell = await Shell.of(machine);
      if (calls === undefined) console.log("calls32: skipped, gcc -m32 fails");
      else {
        assertEquals(await shell.run("calls32"), {
          status: 7,
          output: "by INT 80h\nby SYSENTER\nby SYSCALL\nsignalled\n",
        });
      }
      if (typeof guest32 === "string") console.log(`busybox32: ${guest32}`);
      else {
        // A shell that finds the commands of the 32-bit program, and it alone.
        await shell.run("mkdir /32; busybox32 --install -s /32");
        await shell.type("exec env PATH=/32 /32/sh");
        assertEquals(
          (await shell.run("readlink /32/gzip")).output,
          "/bin/busybox32\n",
        );
        await useShell(shell, X86_64);
      }
    } finally {
      await machine.stop();
    }
  });
});
