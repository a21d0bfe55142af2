/**
 * Builds the benchmark guests with gcc.
 *
 * @module
 */

const FOLDER = new URL("./guests/", import.meta.url).pathname;

/** The benchmarks, in the order in which they are reported. */
export const BENCHMARKS = [
  "sieve",
  "fib",
  "sha256",
  "crc32",
  "qsort",
  "interp",
  "bignum",
  "matmul_x87",
  "matmul_sse2",
  "chase",
] as const;

/** Compiles one benchmark to a multiboot kernel or, for `native`, a program. */
export async function buildGuest(
  name: string,
  directory: string,
  native = false,
): Promise<string> {
  const source = `${FOLDER}${name}.c`;
  const text = await Deno.readTextFile(source);
  const flags = /^\/\/ flags: (.*)$/m.exec(text)?.[1].split(" ") ??
    (native ? [] : ["-mgeneral-regs-only"]);
  const out = `${directory}/${name}${native ? ".native" : ".elf"}`;
  const args = ["-m32", "-march=pentium3", "-O2", ...flags];
  if (native) args.push("-DNATIVE");
  else {
    args.push(
      "-ffreestanding",
      "-fno-stack-protector",
      "-fno-pic",
      "-no-pie",
      "-nostdlib",
      "-static",
      "-fno-tree-loop-distribute-patterns",
      `-Wl,-T,${FOLDER}kernel.ld,--build-id=none,--no-warn-rwx-segments`,
    );
  }
  args.push("-o", out, `${FOLDER}runtime.c`, source, "-lgcc");
  const r = await new Deno.Command("gcc", { args, stdin: "null" }).output();
  if (!r.success) {
    throw new Error(
      `gcc cannot build ${name}: ${new TextDecoder().decode(r.stderr)}`,
    );
  }
  return out;
}
