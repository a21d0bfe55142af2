/**
 * What is asked of Linux on a CPU with 64-bit mode, whatever the machine, the
 * model and the number of CPUs.
 *
 * @module
 */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
} from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { type CpioEntry, file, gzip } from "../../core/cli/cpio.ts";
import type { GuestFiles } from "../../core/cli/guest.ts";
import { buildInitramfs } from "../../core/cli/initramfs.ts";
import { Machine, type MachineOptions } from "../../mod.ts";
import { Shell } from "./guest.ts";
import { ISAPC_WARNINGS, useShell, warnings } from "./session.ts";

const MACHINES = fromFileUrl(new URL("../../machines", import.meta.url));
const WORK = fromFileUrl(new URL("./smp_work.c", import.meta.url));

/** What the kernel warns of on QEMU's PC, too. */
const PC_WARNINGS: readonly string[] = [
  "acpi PNP0A03:00: fail to add MMCONFIG information, can't access extended " +
  "PCI configuration space under this bridge.",
];

/** A machine of 64 bits, or its kernel. */
export interface Case {
  /** The machine's file, without its folder and ending. */
  readonly machine: "pc" | "isapc" | "microvm";
  /** The CPU's model. */
  readonly cpu: Model;
  /** How many CPUs there are. */
  readonly smp?: number;
  /** What executes them. */
  readonly accel?: "jit" | "interp";
  /** The kernel's. */
  readonly bits?: 32 | 64;
}

/** Models by name: the level of the x86-64 psABI whose features they have. */
const LEVELS = { "x86-64": 1, "x86-64-v2": 2, "x86-64-v3": 3, "max": 3 };

/** A model with 64-bit mode. */
export type Model = keyof typeof LEVELS;

/** The models with 64-bit mode. */
export const MODELS: readonly Model[] = Object.keys(LEVELS) as Model[];

/** The features of each level (table 3.1 there), as /proc/cpuinfo has them. */
const LEVEL_FLAGS: readonly (readonly string[])[] = [
  ["cmov", "cx8", "fpu", "fxsr", "mmx", "syscall", "sse", "sse2", "lm", "nx"],
  ["cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"],
  ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"],
];
/** Those that the models of a lower level have all the same. */
const ANYWAY: ReadonlySet<string> = new Set(["cx16", "lahf_lm", "pni"]);
/** What makes the kernel rely on the time stamp counter. */
const TSC_FLAGS = ["constant_tsc", "nonstop_tsc", "tsc_adjust"];
/** What `max` has beyond the levels. */
const MAX_FLAGS = [
  ...["aes", "pclmulqdq", "sha_ni", "adx", "rdrand", "rdseed", "rdtscp"],
  ...["invpcid", "smep", "smap", "umip", "fsgsbase", "pdpe1gb", "xsaves"],
];
/** The same, where there is a local APIC. */
const MAX_APIC_FLAGS = ["x2apic", "tsc_deadline_timer"];
/** The same, where the kernel does not hide it: one of 32 bits does. */
const MAX_LONG_FLAGS = ["pcid"];

/**
 * The command line on several CPUs. Without the kernel's watchdogs, which take
 * CPUs for dead that a busy host gives no time: PATIENCE finds those that are.
 */
const SEVERAL = "console=ttyS0 nowatchdog rcupdate.rcu_cpu_stall_suppress=1";

/** One of the machines, with a kernel that talks on its first serial port. */
export async function load(
  name: string,
  options: MachineOptions,
): Promise<Machine> {
  return await Machine.load(join(MACHINES, `${name}.json`), {
    append: "console=ttyS0",
    memory: "256M",
    ...options,
  });
}

/** Build a program; undefined where gcc cannot. */
export async function compile(
  source: string,
  ...flags: string[]
): Promise<Uint8Array | undefined> {
  const path = await Deno.makeTempFile();
  try {
    const { success } = await new Deno.Command("gcc", {
      args: [...flags, "-static", "-o", path, source],
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

/** Use an initial RAM disk with a shell and more files, a temporary file. */
export async function withFiles<T>(
  guest: GuestFiles,
  entries: readonly CpioEntry[],
  use: (initrd: string) => Promise<T>,
): Promise<T> {
  const archive = buildInitramfs(await Deno.readFile(guest.busybox), entries);
  const initrd = await Deno.makeTempFile({ suffix: ".gz" });
  try {
    await Deno.writeFile(initrd, await gzip(archive));
    return await use(initrd);
  } finally {
    await Deno.remove(initrd);
  }
}

/** The words of a line of /proc/cpuinfo, for each CPU. */
function cpuLines(cpuinfo: string, name: string): string[][] {
  return [...cpuinfo.matchAll(new RegExp(`^${name}\\s*: (.*)$`, "gm"))]
    .map(([, words]) => words.split(" "));
}

/** Check what the kernel has found of its CPUs. */
async function checkCpus(
  shell: Shell,
  { machine, cpu, smp = 1, bits = 64 }: Case,
): Promise<void> {
  const cpuinfo = (await shell.run("cat /proc/cpuinfo")).output;
  const flags = cpuLines(cpuinfo, "flags").map((each) => new Set(each));
  assertEquals(flags.length, smp);
  const level = LEVELS[cpu];
  const max = [
    ...MAX_FLAGS,
    ...(machine === "pc" ? MAX_APIC_FLAGS : []),
    ...(bits === 64 ? MAX_LONG_FLAGS : []),
  ];
  for (const found of flags) {
    // SYSCALL is there in 64-bit mode only, and CPUID says so.
    const has = (name: string): boolean =>
      found.has(name) || bits === 32 && name === "syscall";
    const [there, absent] = [
      [...LEVEL_FLAGS.slice(0, level).flat(), ...TSC_FLAGS],
      LEVEL_FLAGS.slice(level).flat().filter((name) => !ANYWAY.has(name)),
    ];
    assertEquals(there.filter((name) => !has(name)), []);
    assertEquals(absent.filter(has), []);
    const missing = max.filter((name) => !has(name));
    if (cpu === "max") assertEquals(missing, []);
    else assertNotEquals(missing, []);
  }
  assertEquals((await shell.run("nproc")).output, `${smp}\n`);
  // They are cores of one package, so that the kernel takes what it measured
  // of the first one for all: measured while others run it is far too low.
  assertEquals(
    (await shell.run(
      "cat /sys/devices/system/cpu/cpu*/topology/core_siblings_list | sort -u",
    )).output,
    smp === 1 ? "0\n" : `0-${smp - 1}\n`,
  );
  assertEquals(new Set(cpuLines(cpuinfo, "bogomips").flat()).size, 1);
}

/** Have all CPUs work together, if there is the program for it. */
async function work(shell: Shell, smp: number, level?: number): Promise<void> {
  const parts = ["turns", "mutex", "atomic", "order", "clock", "rights"]
    .concat("code", "registers", "ring").map((name) => `${name} ok\n`);
  assertEquals(await shell.run(`/bin/smp_work ${smp}`), {
    status: 0,
    output: parts.join("") + (level === undefined ? "" : `level ${level}\n`),
  });
}

/** The clock's alarm: the kernel forgets it when it has come. */
async function alarm(shell: Shell): Promise<void> {
  const { output } = await shell.run(
    "cd /sys/class/rtc/rtc0; echo +1 > wakealarm; " +
      'for i in 1 2 3 4 5 6 7 8 9; do [ -z "$(cat wakealarm)" ] && break; ' +
      "sleep 1; done; cat wakealarm; cd",
  );
  assertEquals(output, "");
}

/** Boot Linux, use it, and turn the machine off. */
export async function bootAndUse(
  guest: GuestFiles,
  wanted: Case,
): Promise<void> {
  const { machine: name, cpu, smp = 1, accel = "jit", bits = 64 } = wanted;
  const program = await compile(WORK, `-m${bits}`, "-O2", "-pthread");
  if (program === undefined) console.log(`smp_work: gcc -m${bits} fails`);
  const entries = program === undefined
    ? []
    : [file("bin/smp_work", program, 0o755)];
  await withFiles(guest, entries, async (initrd) => {
    const { kernel } = guest;
    const options = { kernel, initrd, cpu, accel };
    const machine = await load(
      name,
      smp > 1 ? { ...options, smp, append: SEVERAL } : options,
    );
    try {
      const shell = await Shell.of(machine);
      await useShell(shell, {
        machine: bits === 64 ? "x86_64" : "i686",
        model: "Rhea",
        flags: "nx\\b.*\\blm",
      });
      await checkCpus(shell, wanted);
      if (program !== undefined) {
        await work(shell, smp, bits === 64 ? LEVELS[cpu] : undefined);
      }
      if (name === "pc") await alarm(shell);
      await checkLog(shell, name, smp, bits);
      await shell.type("poweroff -f");
      const { reason, status } = await machine.wait();
      // Only the PC has a switch; the others halt with interrupts off.
      const end = name === "pc" ? "poweroff" : "halt";
      assertEquals({ reason, status }, { reason: end, status: 0 });
    } finally {
      await machine.stop();
    }
  });
}

/** Check that the kernel is content, and with which clock. */
async function checkLog(
  shell: Shell,
  name: string,
  smp: number,
  bits: 32 | 64,
): Promise<void> {
  const known = new Set([
    ...(name === "pc" ? PC_WARNINGS : []),
    ...(name !== "pc" || bits === 32 ? ISAPC_WARNINGS : []),
  ]);
  const seen = [...warnings((await shell.run("dmesg -r")).output)]
    .filter((line) => !known.has(line));
  if (smp === 1) assertEquals(seen, []);
  else {
    // The parts of a line that counts CPUs; and a CPU waits for its turn in the
    // middle of an interrupt, which the kernel finds long.
    const usual = /^#\d$|^hrtimer: interrupt took \d+ ns$/;
    assertEquals(seen.filter((line) => !usual.test(line)), []);
  }
  const log = (await shell.run("dmesg")).output;
  assert(!/Consider using "lpj="|APIC error|Call Trace/.test(log), log);
  if (smp > 1) assertMatch(log, new RegExp(`Brought up 1 node, ${smp} CPUs`));
  const clocks = "/sys/devices/system/clocksource/clocksource0";
  assertEquals(
    (await shell.run(`cat ${clocks}/current_clocksource`)).output,
    "tsc\n",
  );
}
