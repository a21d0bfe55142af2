/**
 * memtest86+ tests the RAM of `machines/pc.json` with all CPUs at once: it
 * finds them in ACPI's tables, starts them by INIT and SIPI, and has them meet
 * at barriers in every test.
 */

import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { PATIENCE } from "../guest.ts";
import { Machine } from "../../../mod.ts";

const PC = fromFileUrl(new URL("../../../machines/pc.json", import.meta.url));
const CPUS = 4;

for (
  const [image, cpu] of [
    ["x64", "x86-64-v2"],
    ["ia32", "x86-64-v2"],
    ["ia32", "pentium3"],
  ]
) {
  const kernel = `/boot/memtest86+${image}.bin`;
  const name = `memtest86+ ${image} on ${CPUS} CPUs ${cpu}`;
  const isThere = await Deno.stat(kernel).then(() => true, () => false);
  Deno.test({
    name: name + (isThere ? "" : " (skipped: memtest86+ is not installed)"),
    ignore: !isThere,
    async fn() {
      const machine = await Machine.load(PC, {
        kernel,
        cpu,
        smp: CPUS,
        memory: "24M",
        display: "none",
      });
      const ended = machine.run();
      try {
        const screen = machine.screen();
        // The last test waits for bits to fade, on one CPU.
        await screen.expect("Test #10", PATIENCE);
        const { text } = screen;
        assert(text.includes(`SMP: ${CPUS}T (PAR)`), text);
        assertEquals(/Errors: (\d+)/.exec(text)?.[1], "0");
      } finally {
        await machine.stop();
        await ended;
      }
    },
  });
}
