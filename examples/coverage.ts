/**
 * Runs a kernel and writes which of its lines and functions were executed, as
 * lcov has them: `genhtml` makes pages of that.
 *
 * ```sh
 * deno run -A examples/coverage.ts kernel.elf coverage.info
 * genhtml --output-directory coverage coverage.info
 * ```
 *
 * The kernel is an ELF file that multiboot or Linux's protocol loads where it
 * is linked. Its lines come from its debug information (`gcc -g`), by `objdump`
 * and `addr2line` of binutils; of one without there are only functions, from
 * its symbols.
 *
 * @module
 */

import { linearAddress, Machine } from "../mod.ts";

/** An address of a program, and what stands there. */
interface Place {
  /** The linear address. */
  readonly address: number;
  /** The source file; the program itself where that is not known. */
  readonly file: string;
  /** The line, from 1; 0 where that is not known. */
  readonly line: number;
}

/** What was executed of a source file. */
interface SourceFile {
  readonly functions: { name: string; line: number; count: number }[];
  readonly lines: Map<number, number>;
}

/** What a tool prints, given some input. */
async function output(
  command: string,
  args: string[],
  input = "",
): Promise<string> {
  const child = new Deno.Command(command, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = child.stdin.getWriter();
  const fed = writer.write(new TextEncoder().encode(input))
    .then(() => writer.close())
    .catch(() => {}); // it has ended: its status says why
  const { stdout, success } = await child.output();
  await fed;
  if (!success) throw new Error(`${command} ${args.join(" ")} failed`);
  return new TextDecoder().decode(stdout);
}

function hexOf(address: number): string {
  return BigInt.asUintN(64, BigInt(address)).toString(16);
}

/** The source lines of addresses. */
async function placesOf(elf: string, addresses: number[]): Promise<Place[]> {
  const lines = (await output(
    "addr2line",
    ["--exe", elf],
    addresses.map((address) => `${hexOf(address)}\n`).join(""),
  )).split("\n");
  return addresses.map((address, i) => {
    const found = /^(.+):(\d+)/.exec(lines[i] ?? "");
    return found === null || found[1] === "??"
      ? { address, file: elf, line: 0 }
      : { address, file: found[1], line: Number(found[2]) };
  });
}

/** The addresses at which a statement of a line begins. */
async function statements(elf: string): Promise<number[]> {
  const table = await output("objdump", ["--dwarf=decodedline", elf]);
  const rows = table.matchAll(/^\S.*?\s(\d+)\s+0x([0-9a-f]+)\b.*\bx$/gm);
  return [...new Set([...rows].map(([, , hex]) => linearAddress(hex)))];
}

/** A program's functions. */
async function functionsOf(
  elf: string,
): Promise<{ name: string; address: number }[]> {
  const symbols = await output("readelf", ["--syms", "--wide", elf]);
  const rows = symbols.matchAll(
    /^\s*\d+: ([0-9a-f]+)\s+\S+ FUNC\s+\S+\s+\S+\s+\d+ (\S+)$/gm,
  );
  return [...rows].map(([, hex, name]) => ({
    name,
    address: linearAddress(hex),
  }));
}

/**
 * What was executed of a program, as an lcov tracefile (geninfo(1)). `counts`
 * has how often the instruction at each linear address was executed.
 */
export async function lcovOf(
  elf: string,
  counts: ReadonlyMap<number, number>,
): Promise<string> {
  const files = new Map<string, SourceFile>();
  const fileOf = (name: string): SourceFile => {
    let file = files.get(name);
    if (file === undefined) {
      files.set(name, file = { functions: [], lines: new Map() });
    }
    return file;
  };
  for (const place of await placesOf(elf, await statements(elf))) {
    if (place.line === 0) continue;
    const { lines } = fileOf(place.file);
    const count = counts.get(place.address) ?? 0;
    lines.set(place.line, Math.max(lines.get(place.line) ?? 0, count));
  }
  const functions = await functionsOf(elf);
  const places = await placesOf(elf, functions.map(({ address }) => address));
  functions.forEach(({ name, address }, i) => {
    const { file, line } = places[i];
    const count = counts.get(address) ?? 0;
    fileOf(file).functions.push({ name, line, count });
  });
  return [...files].map(([name, file]) => record(name, file)).join("");
}

function record(name: string, { functions, lines }: SourceFile): string {
  const sorted = [...lines].sort(([a], [b]) => a - b);
  const executed = (counts: readonly number[]): number =>
    counts.filter((count) => count > 0).length;
  return [
    "TN:",
    `SF:${name}`,
    ...functions.map(({ name, line }) => `FN:${line},${name}`),
    ...functions.map(({ name, count }) => `FNDA:${count},${name}`),
    `FNF:${functions.length}`,
    `FNH:${executed(functions.map(({ count }) => count))}`,
    ...sorted.map(([line, count]) => `DA:${line},${count}`),
    `LF:${sorted.length}`,
    `LH:${executed(sorted.map(([, count]) => count))}`,
    "end_of_record",
    "",
  ].join("\n");
}

if (import.meta.main) {
  const [kernel, info] = Deno.args;
  if (info === undefined) {
    console.error("Usage: deno run -A examples/coverage.ts KERNEL INFO");
    Deno.exit(2);
  }
  const definition = new URL("../machines/isapc.json", import.meta.url);
  await using machine = await Machine.load(definition.pathname, { kernel });
  using coverage = await machine.coverage();
  const { reason } = await machine.run();
  const text = await lcovOf(kernel, coverage.counts());
  await Deno.writeTextFile(info, text);
  console.log(`The guest ended (${reason}); ${info} has what it executed`);
}
