/**
 * What is asked of a shell, whatever executes the guest.
 *
 * @module
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Shell } from "./guest.ts";

async function sha256(text: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(
    new Uint8Array(digest),
    (byte) => byte.toString(16).padStart(2, "0"),
  ).join("");
}

async function prints(
  shell: Shell,
  command: string,
  expected: string,
): Promise<void> {
  assertEquals(await shell.run(command), { status: 0, output: expected });
}

/** What a guest says of the CPU that it is on. */
export interface Identity {
  /** As `uname -m` says. */
  readonly machine: string;
  /** What the line `model name` in `/proc/cpuinfo` begins with. */
  readonly model: string;
  /** Flags there, as a regular expression. */
  readonly flags: string;
}

const PENTIUM3: Identity = {
  machine: "i686",
  model: "Pentium III",
  flags: "fxsr sse",
};

/** Type commands and check their answers. */
export async function useShell(
  shell: Shell,
  { machine, model, flags }: Identity = PENTIUM3,
): Promise<void> {
  await prints(
    shell,
    "echo $((6 * 7)) $((0x7fffffff * 3 / -5))",
    "42 -1288490188\n",
  );
  await prints(shell, "uname -s -m", `Linux ${machine}\n`);
  assertEquals((await shell.run("false")).status, 1);

  const cpu = (await shell.run("cat /proc/cpuinfo")).output;
  assertMatch(cpu, /^vendor_id\t: GenuineIntel$/m);
  assertMatch(cpu, new RegExp(`^model name\t: ${model}`, "m"));
  assertMatch(cpu, new RegExp(`^flags\t\t: .*\\b${flags}\\b`, "m"));

  const lines = Array.from({ length: 20_000 }, (_, i) => `${i + 1}\n`).join("");
  await prints(shell, "seq 1 20000 > numbers", "");
  await prints(
    shell,
    "sha256sum numbers",
    `${await sha256(lines)}  numbers\n`,
  );
  await prints(
    shell,
    "gzip -c numbers > packed; gunzip -c packed | cmp - numbers && echo same",
    "same\n",
  );
  const copied = await shell.run(
    "dd if=numbers of=copy bs=512 skip=3 count=100",
  );
  assertEquals(copied.status, 0);
  assertMatch(copied.output, /^100\+0 records in\n100\+0 records out\n/);
  await prints(
    shell,
    "sha256sum < copy",
    `${await sha256(lines.slice(3 * 512, 103 * 512))}  -\n`,
  );

  const processes = (await shell.run("ps")).output;
  assertMatch(processes, /^ +1 .*init/m);
  assertMatch(processes, /^ +2 .*\[kthreadd\]$/m);
  await prints(
    shell,
    "seq 1 1000 | grep 7 | sort -r | head -n 3 | tr '\\n' ' '",
    "997 987 979 ",
  );
  // Floating point, with timer interrupts between.
  let sum = 0;
  for (let i = 1; i <= 10_000; i++) sum += 1 / (i * i);
  await prints(
    shell,
    "awk 'BEGIN { for (i = 1; i <= 10000; i++) s += 1 / (i * i); " +
      'printf "%.9f\\n", s }\'',
    `${sum.toFixed(9)}\n`,
  );
  await prints(
    shell,
    "(for i in 1 2 3; do (sleep 0.$i; echo $i) & done; wait) | sort",
    "1\n2\n3\n",
  );
}

/** A tick of the guest, in nanoseconds. */
const TICK_NS = 4_000_000;

/** What the kernel says when its watchdog finds the TSC and the PIT apart. */
const APART =
  /^clocksource: |^tsc: Marking TSC unstable|^TSC found unstable|^sched_clock: Marking unstable|^Unstable clock detected|^If you want to keep using the local clock|^"trace_clock=local"|^on the kernel command line/;

/**
 * Whether the watchdog found the clocks apart by its own mistake: it takes the
 * PIT's count for a place within the tick, but with high resolution timers the
 * count runs to the next timer, wherever in the tick that is. A program that
 * sleeps is enough, on a machine without another timer, and with exact time
 * (`icount`) and in QEMU as well. Ticks that come late are apart by more.
 */
function isWithinTick(log: string): boolean {
  const [pit, tsc] = [
    /'pit' wd_nsec: (\d+)/.exec(log),
    /'tsc(?:-early)?' cs_nsec: (\d+)/.exec(log),
  ];
  return pit !== null && tsc !== null &&
    Math.abs(Number(pit[1]) - Number(tsc[1])) < TICK_NS;
}

/**
 * Warnings and errors (levels 0 to 4) in `dmesg -r`, without times. Those of a
 * watchdog that is mistaken are only printed.
 */
export function warnings(log: string): Set<string> {
  const found = new Set<string>();
  const mistaken = isWithinTick(log);
  for (const line of log.split(/\r?\n/)) {
    const match = /^<([0-4])>\[ *\d+\.\d+\] (.*)$/.exec(line);
    const text = match?.[2].trim();
    if (text === undefined) continue;
    if (mistaken && APART.test(text)) console.log(`mistaken: ${text}`);
    else found.add(text);
  }
  assert(/^<6>\[/m.test(log), "it is no log");
  return found;
}

/**
 * What a kernel warns of on an ISA PC without ACPI and APIC. That QEMU's
 * guests see the same is checked by `slow/warnings_test.ts`.
 */
export const ISAPC_WARNINGS: readonly string[] = [
  "ACPI BIOS Error (bug): A valid RSDP was not found (20220331/tbxfroot-210)",
  "L1TF: Kernel not compiled for PAE. No mitigation for L1TF",
  "smpboot: weird, boot CPU (#0) not listed by the BIOS",
  "PMU not available due to virtualization, using software events only.",
  "PCI: Fatal: No config space access function found",
];
