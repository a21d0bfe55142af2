/**
 * The images of this folder in QEMU.
 *
 * @module
 */

import { hasProgram } from "../programs.ts";

/** Whether there is an assembler. */
export const HAS_NASM: boolean = hasProgram("nasm");
/** Whether there is QEMU. */
export const HAS_QEMU: boolean = hasProgram("qemu-system-i386") &&
  hasProgram("qemu-system-x86_64");

/** QEMU's models of 32 bits that are tested. */
const NARROW: readonly string[] = ["486", "pentium", "pentium3"];

/** Runs an image on a CPU of QEMU's TCG; gives back what it printed. */
export async function runInQemu(
  image: Uint8Array,
  cpu: string,
): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/image`, image);
    // Its "max" is one of 64 bits in the one program only.
    const program = NARROW.includes(cpu)
      ? "qemu-system-i386"
      : "qemu-system-x86_64";
    await new Deno.Command(program, {
      args: `-accel tcg -cpu ${cpu} -m 64 -kernel ${folder}/image
        -display none -serial none -monitor none -no-reboot
        -debugcon file:${folder}/out -device isa-debug-exit,iobase=0xf4`
        .split(/\s+/),
      stdout: "null",
      stderr: "null",
      signal: AbortSignal.timeout(30_000),
    }).output();
    return await Deno.readTextFile(`${folder}/out`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
