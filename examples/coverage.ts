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
 * and `addr2line` of binutils. Of functions without there is a list in
 * `coverage.info.functions`, a line for each, which the report has as a source
 * file.
 *
 * A kernel without symbols, as distributions have them, needs a list of those:
 * a `System.map`, or what the guest has in `/proc/kallsyms`.
 *
 * ```sh
 * deno run -A examples/coverage.ts --initrd initrd.gz \
 *   --append "console=ttyS0 nokaslr" --symbols kallsyms.txt vmlinuz coverage.info
 * ```
 *
 * @module
 */

import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { linearAddress, Machine } from "../mod.ts";

/** An address of a program, and what stands there. */
interface Place {
  /** The linear address. */
  readonly address: number;
  /** The source file. */
  readonly file: string;
  /** The line, from 1. */
  readonly line: number;
}

/** A function. */
export interface Symbol {
  /** Its name. */
  readonly name: string;
  /** The linear address of its first instruction. */
  readonly address: number;
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

/** The source lines of addresses; undefined where they are not known. */
async function placesOf(
  elf: string,
  addresses: number[],
): Promise<(Place | undefined)[]> {
  if (addresses.length === 0) return [];
  const lines = (await output(
    "addr2line",
    ["--exe", elf],
    addresses.map((address) => `${hexOf(address)}\n`).join(""),
  )).split("\n");
  return addresses.map((address, i) => {
    const found = /^(.+):(\d+)/.exec(lines[i] ?? "");
    if (found === null || found[1] === "??" || found[2] === "0") return;
    return { address, file: found[1], line: Number(found[2]) };
  });
}

/** The addresses at which a statement of a line begins. */
async function statements(elf: string): Promise<number[]> {
  const table = await output("objdump", ["--dwarf=decodedline", elf]);
  const rows = table.matchAll(/^\S.*?\s(\d+)\s+0x([0-9a-f]+)\b.*\bx$/gm);
  return [...new Set([...rows].map(([, , hex]) => linearAddress(hex)))];
}

/** A program's functions. */
async function functionsOf(elf: string): Promise<Symbol[]> {
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
 * The functions in a list of symbols as `nm`, `System.map` and `/proc/kallsyms`
 * have it: address, type and name, without those of modules.
 */
export function listedFunctions(symbols: string): Symbol[] {
  const rows = symbols.matchAll(/^([0-9a-f]+) [tTwW] (\S+)$/gm);
  return [...rows].map(([, hex, name]) => ({
    name,
    address: linearAddress(hex),
  }));
}

/** Functions that have a name in common are told apart by their addresses. */
function apart(functions: readonly Symbol[]): Symbol[] {
  const times = new Map<string, number>();
  for (const { name } of functions) {
    times.set(name, (times.get(name) ?? 0) + 1);
  }
  return functions.map(({ name, address }) =>
    times.get(name) === 1
      ? { name, address }
      : { name: `${name}@${hexOf(address)}`, address }
  );
}

/** What a report is made of. */
export interface Executed {
  /** How often the instruction at each linear address was executed. */
  readonly counts: ReadonlyMap<number, number>;
  /** The file of the functions whose lines are not known. */
  readonly list: string;
  /** The functions; those of the program's symbols when absent. */
  readonly functions?: readonly Symbol[];
}

/** A report, and what `Executed.list` is to have. */
export interface Report {
  /** The lcov tracefile (geninfo(1)). */
  readonly info: string;
  /** A line for each function whose own is not known. */
  readonly list: string;
}

/** What was executed of a program, as lcov has it. */
export async function lcovOf(
  elf: string,
  { counts, list, functions }: Executed,
): Promise<Report> {
  const files = new Map<string, SourceFile>();
  const fileOf = (name: string): SourceFile => {
    let file = files.get(name);
    if (file === undefined) {
      files.set(name, file = { functions: [], lines: new Map() });
    }
    return file;
  };
  const isListed = functions !== undefined;
  const lines = isListed ? [] : await statements(elf);
  for (const place of await placesOf(elf, lines)) {
    if (place === undefined) continue;
    const { lines } = fileOf(place.file);
    const count = counts.get(place.address) ?? 0;
    lines.set(place.line, Math.max(lines.get(place.line) ?? 0, count));
  }
  const all = apart(functions ?? await functionsOf(elf));
  const places = isListed
    ? []
    : await placesOf(elf, all.map(({ address }) => address));
  const rows: string[] = [];
  all.forEach(({ name, address }, i) => {
    const count = counts.get(address) ?? 0;
    const place = places[i];
    const { functions, lines } = fileOf(place?.file ?? list);
    const line = place?.line ??
      rows.push(`${hexOf(address)} ${name}\n`);
    functions.push({ name, line, count });
    if (place === undefined) lines.set(line, count);
  });
  const info = [...files].map(([name, file]) => record(name, file)).join("");
  return { info, list: rows.join("") };
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
  const { values, positionals: [kernel, info] } = parseArgs({
    options: {
      initrd: { type: "string" },
      append: { type: "string" },
      memory: { type: "string" },
      symbols: { type: "string" },
    },
    allowPositionals: true,
  });
  if (info === undefined) {
    console.error(
      "Usage: deno run -A examples/coverage.ts [--initrd FILE] " +
        "[--append TEXT] [--memory SIZE] [--symbols FILE] KERNEL INFO",
    );
    Deno.exit(2);
  }
  const { symbols, ...options } = values;
  const functions = symbols === undefined
    ? undefined
    : listedFunctions(await Deno.readTextFile(symbols));
  const definition = new URL("../machines/isapc.json", import.meta.url);
  await using machine = await Machine.load(definition.pathname, {
    ...options,
    kernel,
    serial: ["stdio"],
  });
  using coverage = await machine.coverage();
  // Of a guest that is ended by Ctrl-C, too; at a terminal it is Ctrl-A x.
  Deno.addSignalListener("SIGINT", () => machine.quit());
  const { reason } = await machine.run();
  const counts = coverage.counts();
  const list = resolve(`${info}.functions`);
  const report = await lcovOf(kernel, { counts, list, functions });
  await Deno.writeTextFile(info, report.info);
  if (report.list !== "") await Deno.writeTextFile(list, report.list);
  console.log(`The guest ended (${reason}); ${info} has what it executed`);
}
