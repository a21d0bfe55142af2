/**
 * CR8 and the local APIC: `long_priority.asm` on `machines/pc.json` prints what
 * it does on QEMU's PC.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { Machine } from "../../mod.ts";
import { assemble } from "./bench.ts";
import { HAS_NASM, HAS_QEMU, runInQemu } from "./qemu.ts";

const PC = fromFileUrl(new URL("../../machines/pc.json", import.meta.url));
const GOLDEN = new URL("golden/long_priority.max.txt", import.meta.url);
const NAME = "long_priority";

async function onRhea(
  image: Uint8Array,
  accel: "jit" | "interp",
): Promise<string> {
  const kernel = await Deno.makeTempFile();
  try {
    await Deno.writeFile(kernel, image);
    await using machine = await Machine.load(PC, {
      kernel,
      accel,
      cpu: "max",
      memory: "64M",
      set: ["devices.debug.backends.char=serial0", "devices.com1=null"],
    });
    await machine.run();
    return machine.serial(0).output;
  } finally {
    await Deno.remove(kernel);
  }
}

for (const accel of ["interp", "jit"] as const) {
  Deno.test({
    name: `CR8 and the local APIC, ${accel}${
      HAS_NASM ? "" : " (skipped: there is no nasm)"
    }`,
    ignore: !HAS_NASM,
    async fn() {
      const image = await assemble(NAME);
      if (image === undefined) throw new Error("there is no nasm");
      const out = await onRhea(image, accel);
      if (Deno.args.includes("--update")) await Deno.writeTextFile(GOLDEN, out);
      assertEquals(out, await Deno.readTextFile(GOLDEN));
    },
  });
}

Deno.test({
  name: `CR8 and the local APIC: QEMU prints the same${
    HAS_NASM && HAS_QEMU ? "" : " (skipped: there is no nasm or QEMU)"
  }`,
  ignore: !HAS_NASM || !HAS_QEMU,
  async fn() {
    const image = await assemble(NAME, ["QEMU"]);
    if (image === undefined) throw new Error("there is no nasm");
    const out = await runInQemu(image, "max,vendor=GenuineIntel");
    const golden = (await Deno.readTextFile(GOLDEN)).split("\n");
    // What is left out there.
    const same = golden.filter((line) => !/^(x2apic|tpr of)/.test(line));
    assertEquals(out.split("\n"), same);
  },
});
