/**
 * 64-bit Linux: to a shell on each machine, its installer, programs for 32-bit
 * x86 under its kernel, and a 32-bit kernel on CPUs that have 64-bit mode.
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { type CpioEntry, file, gzip } from "../../../core/cli/cpio.ts";
import { buildInitramfs } from "../../../core/cli/initramfs.ts";
import { Machine, type MachineOptions } from "../../../mod.ts";
import { boot, bootsOf, guestOf, PATIENCE, Shell } from "../guest.ts";
import {
  type Identity,
  ISAPC_WARNINGS,
  useShell,
  warnings,
} from "../session.ts";

const MACHINES = fromFileUrl(new URL("../../../machines", import.meta.url));
const boot64 = await bootsOf("amd64");

const X86_64: Identity = {
  machine: "x86_64",
  model: "Rhea",
  flags: "syscall nx\\b.*\\blm",
};

/** What the kernel warns of on QEMU's PC, too. */
const PC_WARNINGS: readonly string[] = [
  "acpi PNP0A03:00: fail to add MMCONFIG information, can't access extended " +
  "PCI configuration space under this bridge.",
];

/** One of the machines, with a kernel that talks on its first serial port. */
async function load(name: string, options: MachineOptions): Promise<Machine> {
  return await Machine.load(join(MACHINES, `${name}.json`), {
    append: "console=ttyS0",
    memory: "256M",
    ...options,
  });
}

const CASES = [
  // Only the PC has a switch; the others halt with interrupts off.
  ["pc", "x86-64", "jit", "poweroff", PC_WARNINGS],
  ["pc", "max", "jit", "poweroff", PC_WARNINGS],
  ["pc", "x86-64", "interp", "poweroff", PC_WARNINGS],
  ["isapc", "x86-64", "jit", "halt", ISAPC_WARNINGS],
  ["microvm", "x86-64", "jit", "halt", ISAPC_WARNINGS],
] as const;

for (const [name, cpu, accel, end, known] of CASES) {
  boot64(
    `64-bit Linux on ${name} with the CPU ${cpu}, ${accel}: a shell answers`,
    async ({ kernel, initramfs }) => {
      const machine = await load(name, {
        ...{ kernel, initrd: initramfs, cpu, accel },
      });
      try {
        const shell = await Shell.of(machine);
        await useShell(shell, X86_64);
        const seen = warnings((await shell.run("dmesg -r")).output);
        assertEquals([...seen.difference(new Set(known))], []);
        await shell.type("poweroff -f");
        const { reason, status } = await machine.wait();
        assertEquals({ reason, status }, { reason: end, status: 0 });
      } finally {
        await machine.stop();
      }
    },
  );
}

boot64("the 64-bit installer's first screen", async (guest) => {
  const machine = await load("pc", {
    kernel: guest.kernel,
    initrd: guest.installer,
    cpu: "x86-64",
    // With less it asks in English whether to go on.
    memory: "1G",
  });
  try {
    const serial = machine.serial(0);
    await serial.expect(/Select a language/, PATIENCE);
    await serial.expect(/Choose the language to be used/, PATIENCE);
  } finally {
    await machine.stop();
  }
});

for (const cpu of ["x86-64", "max"]) {
  boot(`32-bit Linux on the 64-bit CPU ${cpu}`, async (guest) => {
    const { kernel, initramfs } = guest;
    const machine = await load("pc", { kernel, initrd: initramfs, cpu });
    try {
      const shell = await Shell.of(machine);
      await useShell(shell, {
        machine: "i686",
        model: "Rhea",
        flags: "nx\\b.*\\blm",
      });
      const seen = warnings((await shell.run("dmesg -r")).output);
      const known = new Set([...PC_WARNINGS, ...ISAPC_WARNINGS]);
      assertEquals([...seen.difference(known)], []);
      await shell.type("poweroff -f");
      const { reason, status } = await machine.wait();
      assertEquals({ reason, status }, { reason: "poweroff", status: 0 });
    } finally {
      await machine.stop();
    }
  });
}

/** `calls32.c` as a program; undefined where gcc does not make it. */
async function callsProgram(): Promise<Uint8Array | undefined> {
  const source = fromFileUrl(new URL("../calls32.c", import.meta.url));
  const path = await Deno.makeTempFile();
  try {
    const { success } = await new Deno.Command("gcc", {
      args: [
        ...["-m32", "-Os", "-nostdlib", "-static", "-fno-pic", "-no-pie"],
        ...["-ffreestanding", "-fno-stack-protector", "-o", path, source],
      ],
      stderr: "null",
    }).output();
    return success ? await Deno.readFile(path) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  } finally {
    await Deno.remove(path);
  }
}

boot64("32-bit programs under the 64-bit kernel", async (guest) => {
  const [calls, guest32] = [await callsProgram(), await guestOf("i386")];
  const entries: CpioEntry[] = [];
  if (calls !== undefined) entries.push(file("bin/calls32", calls, 0o755));
  if (typeof guest32 !== "string") {
    const busybox = await Deno.readFile(guest32.busybox);
    entries.push(file("bin/busybox32", busybox, 0o755));
  }
  const archive = buildInitramfs(await Deno.readFile(guest.busybox), entries);
  const initrd = await Deno.makeTempFile({ suffix: ".gz" });
  await Deno.writeFile(initrd, await gzip(archive));
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
    await Deno.remove(initrd);
  }
});
