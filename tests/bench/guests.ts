/**
 * Builds the bare-metal guests with gcc.
 *
 * @module
 */

const FOLDER = new URL("./guests/", import.meta.url).pathname;

/** The bare-metal benchmarks, in the order in which they are reported. */
export const BENCHMARKS = [
  // Computation
  "sieve",
  "fib",
  "sha256",
  "crc32",
  "qsort",
  "interp",
  "bignum",
  "vcalls",
  "strings",
  "compress",
  "json",
  "setjmp",
  // Floating point
  "matmul_x87",
  "matmul_sse2",
  // Memory
  "chase",
  "rep_movs",
  "rep_stos",
  "rep_short",
  // The system
  "sys_int80",
  "sys_enter",
  "pagefault",
  "ctxswitch",
  "smc",
  "port_io",
  "timer",
] as const;

/** How many bits a guest's registers have. */
export type Bits = 32 | 64;

/** What is measured in 64-bit mode: the same, and what only it can do. */
export const BENCHMARKS_64: readonly string[] = BENCHMARKS.flatMap((name) =>
  name === "matmul_sse2" ? [name, "matmul_avx2"] : [name]
);

/** What a guest's source says about how it is built, in comments. */
interface Recipe {
  /** `// flags:` more flags for gcc. */
  readonly flags?: readonly string[];
  /** `// uses:` more sources, for the kernel only. */
  readonly sources: readonly string[];
  /** Unless `// native: no`, it can be a program for the host as well. */
  readonly native: boolean;
}

async function readRecipe(name: string): Promise<Recipe> {
  const text = await Deno.readTextFile(`${FOLDER}${name}.c`);
  const line = (key: string): string | undefined =>
    new RegExp(`^// ${key}: (.*)$`, "m").exec(text)?.[1];
  return {
    flags: line("flags")?.split(" "),
    sources: line("uses")?.split(" ") ?? [],
    native: line("native") !== "no",
  };
}

/** One benchmark, ready to run. */
export interface Guest {
  /** Its name. */
  readonly name: string;
  /** A multiboot kernel. */
  readonly kernel: string;
  /** A program for the host, if it can be one. */
  readonly native?: string;
}

/** Compiles a benchmark into `directory`. */
export async function buildGuest(
  name: string,
  directory: string,
  bits: Bits = 32,
): Promise<Guest> {
  const recipe = await readRecipe(name);
  const common = bits === 32
    ? ["-m32", "-march=pentium3", "-O2"]
    : ["-m64", "-march=x86-64", "-O2"];
  const freestanding = bits === 32 ? [] : ["-mno-red-zone", "-mcmodel=small"];
  const kernel = `${directory}/${name}.elf`;
  await compile(name, [
    ...common,
    ...recipe.flags ?? ["-mgeneral-regs-only"],
    ...freestanding,
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-pic",
    "-no-pie",
    "-nostdlib",
    "-static",
    "-fno-tree-loop-distribute-patterns",
    `-Wl,-T,${FOLDER}kernel.ld,--build-id=none,--no-warn-rwx-segments`,
    ...["-o", kernel],
    ...["runtime.c", ...recipe.sources, `${name}.c`].map((f) => FOLDER + f),
    "-lgcc",
  ]);
  if (bits === 64) await toElf32(name, kernel);
  if (!recipe.native) return { name, kernel };
  const native = `${directory}/${name}.native`;
  await compile(name, [
    ...common,
    ...recipe.flags ?? [],
    "-DNATIVE",
    ...["-o", native, `${FOLDER}runtime.c`, `${FOLDER}${name}.c`],
  ]);
  return { name, kernel, native };
}

/** Multiboot's ELF files have the 32-bit form, whatever the code is. */
async function toElf32(name: string, kernel: string): Promise<void> {
  await build(name, "objcopy", [
    "-I",
    "elf64-x86-64",
    "-O",
    "elf32-i386",
    kernel,
  ]);
}

async function compile(name: string, args: string[]): Promise<void> {
  await build(name, "gcc", args);
}

async function build(
  name: string,
  program: string,
  args: string[],
): Promise<void> {
  const r = await new Deno.Command(program, { args, stdin: "null" }).output();
  if (r.success) return;
  const message = new TextDecoder().decode(r.stderr);
  throw new Error(`${program} cannot build ${name}: ${message}`);
}
