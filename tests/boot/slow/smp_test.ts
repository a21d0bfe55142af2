/**
 * Linux on several CPUs of `machines/pc.json`: it finds them in ACPI's MADT,
 * starts them, and what processes compute on all of them is right.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { boot, Shell } from "../guest.ts";
import { useShell } from "../session.ts";
import { Machine } from "../../../mod.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
/** 160,000 zeros through three processes. */
const JOB =
  "dd if=/dev/zero bs=1000 count=160 2>/dev/null | tr '\\0' 0 | md5sum";

/** The counts of a line of /proc/interrupts, a CPU each. */
function interrupts(text: string, name: string, cpus: number): number[] {
  const line = new RegExp(`^ *${name}:((?: +\\d+){${cpus}}) `, "m").exec(text);
  if (line === null) throw new Error(`no ${name} in ${text}`);
  return line[1].trim().split(/ +/).map(Number);
}

for (const cpus of [2, 4]) {
  boot(`Linux on ${cpus} CPUs`, async (guest) => {
    const { kernel, initramfs: initrd } = guest;
    const append = "console=ttyS0";
    const machine = await Machine.load(PC, {
      kernel,
      initrd,
      append,
      memory: "256M",
      smp: cpus,
    });
    try {
      const shell = await Shell.of(machine);
      await useShell(shell, {
        machine: "i686",
        model: "Rhea x86-64-v2",
        flags: "nx\\b.*\\blm",
      });
      const log = (await shell.run("dmesg")).output;
      assertMatch(log, new RegExp(`Brought up 1 node, ${cpus} CPUs`));
      assert(
        !/unstable|not synchronized|soft lockup|stall|Call Trace|APIC error/i
          .test(log),
        log,
      );
      assertEquals((await shell.run("nproc")).output.trim(), `${cpus}`);
      const jobs = `for i in 1 2 3 4 5 6 7 8; do (${JOB}) & done; wait`;
      const { output } = await shell.run(`(${jobs}) 2>/dev/null`);
      const sums = output.match(/[0-9a-f]{32}/g) ?? [];
      const one = (await shell.run(JOB)).output.match(/[0-9a-f]{32}/)![0];
      assertEquals(sums, new Array(8).fill(one));
      const counts = (await shell.run("cat /proc/interrupts")).output;
      for (const name of ["LOC", "CAL", "RES"]) {
        const each = interrupts(counts, name, cpus);
        assert(each.every((n) => n > 0), `${name} ${each}`);
      }
      assertMatch(counts, /^ *ERR: +0$/m);
    } finally {
      await machine.stop();
    }
  });
}
