/**
 * Linux keeps the YMM registers of its processes, across switches and signals:
 * XSAVE, XRSTOR and XCR0 as an operating system uses them.
 */

import { assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { file } from "../../../core/cli/cpio.ts";
import { boot, isapc, PATIENCE, withScript } from "../guest.ts";

const SOURCE = fromFileUrl(new URL("./avx.c", import.meta.url));

/** The program; the reason as text where it cannot be built. */
async function build(): Promise<Uint8Array | string> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/avx`;
  try {
    const { success, stderr } = await new Deno.Command("gcc", {
      args: [
        ...[
          "-m32",
          "-O1",
          "-static",
          "-nostdlib",
          "-ffreestanding",
          "-fno-pic",
        ],
        ...["-no-pie", "-fno-stack-protector", "-mgeneral-regs-only"],
        ...["-o", path, SOURCE],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    if (!success) return `gcc -m32: ${new TextDecoder().decode(stderr)}`;
    return await Deno.readFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return "gcc is not installed";
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

boot("Linux keeps the YMM registers of its processes", async ({ kernel }) => {
  const program = await build();
  if (typeof program === "string") {
    console.log(`skipped: ${program}`);
    return;
  }
  const script = `dmesg | grep -i xstate
/avx
echo the end
sleep 1000`;
  await withScript(script, async (initrd) => {
    const machine = await isapc({ kernel, initrd, cpu: "max" });
    try {
      const text = await machine.serial(0).expect(/the end\r\n/, PATIENCE);
      assertMatch(text, /Supporting XSAVE feature 0x004: 'AVX registers'/);
      assertMatch(text, /using 'compacted' format/);
      assertMatch(text, /registers are right\r\n/);
    } finally {
      await machine.stop();
    }
  }, [file("avx", program, 0o755)]);
});
