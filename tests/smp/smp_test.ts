/**
 * Four CPUs on `machines/pc.json`, without an operating system: `smp.asm`
 * starts them, has them interrupt each other, lock, and change each other's
 * code. What it prints is compared with a golden output, and with QEMU's; in
 * x2APIC mode, which QEMU 7.2's TCG does not have, with the golden output only.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../mod.ts";
import { inQemu, NASM, PC, QEMU, withKernel } from "./kernels.ts";

const CPUS = 4;
/** Where QEMU 7.2 is not like the manual: no error for an illegal vector. */
const QEMU_DIFFERS = /^error /;
const ignore = !NASM;
const skipped = NASM ? "" : " (skipped: there is no nasm)";

/** Give a test the program, assembled with these symbols. */
function assembled(
  symbols: readonly string[],
  use: (kernel: string, folder: string) => Promise<void>,
): Promise<void> {
  return withKernel("smp", [`CPUS=${CPUS}`, ...symbols], use);
}

function load(
  kernel: string,
  more: { accel?: "jit" | "interp"; icount?: boolean; smp?: number } = {},
): Promise<Machine> {
  const options = { kernel, smp: CPUS, cpu: "max", memory: "64M", ...more };
  return Machine.load(PC, options);
}

const golden = (await Deno.readTextFile(new URL("golden.txt", import.meta.url)))
  .split("\n");

for (const accel of ["interp", "jit"] as const) {
  Deno.test({
    name:
      `several CPUs: interrupts, locks and changed code, ${accel}${skipped}`,
    ignore,
    fn: () =>
      assembled(["X2APIC"], async (kernel) => {
        await using machine = await load(kernel, { accel });
        const { reason } = await machine.run();
        assertEquals(machine.serial(0).output.split("\n"), golden);
        assertEquals(reason, "exit");
      }),
  });
}

Deno.test({
  name: `several CPUs: QEMU prints the same${
    NASM && QEMU ? "" : " (skipped: there is no nasm or QEMU)"
  }`,
  ignore: !NASM || !QEMU,
  fn: () =>
    assembled([], async (kernel, folder) => {
      const out = (await inQemu(kernel, folder, CPUS, "single")).split("\n");
      // Behind the errors comes x2APIC mode.
      const end = golden.findIndex((line) => QEMU_DIFFERS.test(line));
      assert(QEMU_DIFFERS.test(out[end]), out[end]);
      assertEquals(out.slice(0, end), golden.slice(0, end));
    }),
});

Deno.test({
  name: `several CPUs: with icount two runs are the same${skipped}`,
  ignore,
  fn: () =>
    assembled(["X2APIC"], async (kernel) => {
      const run = async (): Promise<[string, number]> => {
        await using machine = await load(kernel, { icount: true });
        await machine.run();
        return [machine.serial(0).output, machine.cpu.instructions];
      };
      const [output, instructions] = await run();
      assertEquals(output.split("\n"), golden);
      assertEquals(await run(), [output, instructions]);
    }),
});

Deno.test({
  name: `several CPUs: a saved machine goes on as it would have${skipped}`,
  ignore,
  fn: () =>
    assembled(["X2APIC"], async (kernel) => {
      await using machine = await load(kernel, { icount: true });
      const serial = machine.serial(0);
      const memory = machine.space("memory");
      const ram = new Uint8Array(2 << 20);
      await serial.expect("pages");
      await machine.pause();
      const from = serial.output.length;
      assert(!serial.output.includes("end\n"), "it ended too early");
      const state = machine.save();
      memory.readBytes(0, ram);
      await machine.run();
      const rest = serial.output.slice(from);
      const end = serial.output.length;
      memory.writeBytes(0, ram);
      machine.load(state);
      assertEquals(machine.save(), state);
      await machine.run();
      assertEquals(serial.output.slice(end), rest);
      assert(rest.endsWith("end\n"), rest);
    }),
});

Deno.test("several CPUs: what cannot be is refused", async () => {
  const wrong = async (more: { smp: number; cpu?: string }, text: string) => {
    const error = await assertRejects(() =>
      Machine.load(PC, { memory: "64M", ...more })
    );
    assert(error instanceof Error && error.message.includes(text), `${error}`);
  };
  await wrong({ smp: 9 }, "--smp 9: cpu.count: ");
  await wrong({ smp: 0 }, "--smp 0: cpu.count: ");
  await wrong({ smp: 2, cpu: "486" }, "has no local APIC");
  const isapc = fromFileUrl(
    new URL("../../machines/isapc.json", import.meta.url),
  );
  const error = await assertRejects(() => Machine.load(isapc, { smp: 2 }));
  assert(
    error instanceof Error && error.message.includes("serves one CPU only"),
    `${error}`,
  );
});
