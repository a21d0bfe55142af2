/**
 * Kernels in assembly for several CPUs, and QEMU to compare with.
 *
 * @module
 */

import { assert } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { hasProgram } from "../programs.ts";

const HERE = fromFileUrl(new URL(".", import.meta.url));
/** The machine. */
export const PC: string = fromFileUrl(
  new URL("../../machines/pc.json", import.meta.url),
);

/** Whether there is nasm. */
export const NASM: boolean = hasProgram("nasm");
/** Whether there is QEMU. */
export const QEMU: boolean = hasProgram("qemu-system-x86_64");

/** Gives a test one of the kernels, assembled with these symbols. */
export async function withKernel(
  name: string,
  symbols: readonly string[],
  use: (kernel: string, folder: string) => Promise<void>,
): Promise<void> {
  const source = await Deno.readTextFile(`${HERE}${name}.asm`);
  await withSource(source, symbols, use);
}

/** The same with the source of one, which may include `smp.inc`. */
export async function withSource(
  source: string,
  symbols: readonly string[],
  use: (kernel: string, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const kernel = `${folder}/kernel`;
    await Deno.writeTextFile(`${kernel}.asm`, source);
    const { success } = await new Deno.Command("nasm", {
      args: [
        "-f",
        "bin",
        `-I${HERE}`,
        ...symbols.map((symbol) => `-D${symbol}`),
        "-o",
        kernel,
        `${kernel}.asm`,
      ],
    }).output();
    assert(success, "nasm");
    await use(kernel, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a kernel prints in QEMU. */
export async function inQemu(
  kernel: string,
  folder: string,
  cpus: number,
  threads: "single" | "multi",
): Promise<string> {
  await new Deno.Command("qemu-system-x86_64", {
    args: `-accel tcg,thread=${threads} -smp ${cpus} -cpu max -m 64
      -kernel ${kernel} -display none -serial file:${folder}/out -monitor none
      -no-reboot -device isa-debug-exit,iobase=0xf4`.split(/\s+/),
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(60_000),
  }).output();
  return await Deno.readTextFile(`${folder}/out`);
}
