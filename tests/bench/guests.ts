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
): Promise<Guest> {
  const recipe = await readRecipe(name);
  const common = ["-m32", "-march=pentium3", "-O2"];
  const kernel = `${directory}/${name}.elf`;
  await compile(name, [
    ...common,
    ...recipe.flags ?? ["-mgeneral-regs-only"],
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

async function compile(name: string, args: string[]): Promise<void> {
  const r = await new Deno.Command("gcc", { args, stdin: "null" }).output();
  if (r.success) return;
  const message = new TextDecoder().decode(r.stderr);
  throw new Error(`gcc cannot build ${name}: ${message}`);
}
