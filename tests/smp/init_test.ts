/**
 * CPUs that are started again at bad times, on `machines/pc.json`: what
 * `init.asm` prints is compared with a golden output, and with QEMU's.
 */

import { assertEquals } from "@std/assert";
import { Machine } from "../../mod.ts";
import { inQemu, NASM, PC, QEMU, withKernel } from "./kernels.ts";

const ignore = !NASM;
const skipped = NASM ? "" : " (skipped: there is no nasm)";
const golden = (await Deno.readTextFile(new URL("init.txt", import.meta.url)))
  .split("\n");
/**
 * What QEMU 7.2 differs in: its BIOS has run on the first CPU, and where its
 * threads are when one spins is chance.
 */
const QEMU_DIFFERS = /^(first|INIT while it spins):/;

function load(
  kernel: string,
  more: { accel?: "jit" | "interp"; icount?: boolean } = {},
): Promise<Machine> {
  const options = { kernel, smp: 2, cpu: "max", memory: "64M", ...more };
  return Machine.load(PC, options);
}

for (const accel of ["interp", "jit"] as const) {
  for (const icount of [false, true]) {
    const how = `${accel}${icount ? ", icount" : ""}`;
    Deno.test({
      name: `CPUs that are started again at bad times, ${how}${skipped}`,
      ignore,
      fn: () =>
        withKernel("init", [], async (kernel) => {
          await using machine = await load(kernel, { accel, icount });
          const { reason } = await machine.run();
          assertEquals(machine.serial(0).output.split("\n"), golden);
          assertEquals(reason, "exit");
        }),
    });
  }
}

Deno.test({
  name: `CPUs that are started again: QEMU prints the same${
    NASM && QEMU ? "" : " (skipped: there is no nasm or QEMU)"
  }`,
  ignore: !NASM || !QEMU,
  fn: () =>
    withKernel("init", ["QEMU"], async (kernel, folder) => {
      const out = (await inQemu(kernel, folder, 2, "multi")).split("\n");
      const same = (lines: string[]): string[] =>
        lines.filter((line) => !QEMU_DIFFERS.test(line));
      assertEquals(same(out), same(golden));
    }),
});

Deno.test({
  name: `one of several CPUs shuts down, and the machine with it${skipped}`,
  ignore,
  fn: () =>
    withKernel("init", ["TRIPLE"], async (kernel) => {
      await using machine = await load(kernel);
      const { reason } = await machine.run();
      assertEquals(
        machine.serial(0).output.split("\n").slice(-2),
        ["triple fault", ""],
      );
      assertEquals(reason, "shutdown");
    }),
});

Deno.test({
  name: `a machine of several CPUs is reset while they run${skipped}`,
  ignore,
  fn: () =>
    withKernel("init", [], async (kernel) => {
      await using machine = await load(kernel, { icount: true });
      const serial = machine.serial(0);
      for (const line of ["spins", "halted", "often", "beside"]) {
        await serial.expect(line);
        machine.reset();
      }
      await serial.expect("end\n");
      await machine.wait();
      const last = golden.join("\n");
      assertEquals(serial.output.slice(-last.length), last);
    }),
});
