import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { lcovOf, listedFunctions } from "../../examples/coverage.ts";
import { linearAddress } from "../../mod.ts";
import { START } from "./guest.ts";

/** Line numbers matter. */
const SOURCE = `
__attribute__((section(".multiboot"), used))
static const unsigned header[] = { 0x1badb002, 0, 0u - 0x1badb002u };
static int twice(int x) {
  if (x > 100)
    return 0;
  return 2 * x;
}
int never(int x) { return x + 1; }
void start(void) {
  int n = 0;
  for (int i = 0; i < 10; i++)
    n += twice(i);
  __asm__ volatile("outb %%al, $0xf4" : : "a"((char)(n == 90)));
  for (;;)
    ;
}
__asm__(".globl _start\\n_start: mov $0x200000, %esp\\ncall start");
`;

const LD = `
ENTRY(_start)
SECTIONS {
  . = 1M;
  .text : { *(.multiboot) *(.text) }
  .data : { *(.data) *(.bss) }
  /DISCARD/ : { *(.note*) *(.comment) *(.eh_frame*) }
}
`;

/** Runs a program; undefined where there is none. */
async function run(
  command: string,
  args: string[],
): Promise<string | undefined> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(command, {
      args,
    }).output();
    const text = new TextDecoder().decode(success ? stdout : stderr);
    if (!success) throw new Error(`${command}: ${text}`);
    return text;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

const directory = await Deno.makeTempDir();
const [source, script, elf, bare] = ["g.c", "g.ld", "g.elf", "bare.elf"].map(
  (name) => `${directory}/${name}`,
);
await Deno.writeTextFile(source, SOURCE);
await Deno.writeTextFile(script, LD);
let built = false;
try {
  // deno-fmt-ignore
  built = await run("gcc", [
    "-g", "-m32", "-O0", "-ffreestanding", "-fno-pic", "-fno-pie",
    "-fno-asynchronous-unwind-tables", "-nostdlib", "-static",
    "-Wl,--build-id=none", "-Wl,-N", `-Wl,-T,${script}`, "-o", elf, source,
  ]) !== undefined &&
    await run("objcopy", ["--strip-debug", elf, bare]) !== undefined;
} catch (error) {
  console.log(`coverage of a kernel: ${error}`);
}
const skipped = built ? "" : " (skipped: there is no gcc -m32 or binutils)";

async function report(kernel: string): Promise<string> {
  const info = `${directory}/coverage.info`;
  const program = new URL("../../examples/coverage.ts", import.meta.url);
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", program.pathname, kernel, info],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return await Deno.readTextFile(info);
}

Deno.test(
  "the example reports the lines and functions of a kernel that were executed" +
    skipped,
  async () => {
    if (!built) return;
    const text = await report(elf);
    const lines = text.split("\n");
    const of = (prefix: string): string[] =>
      lines.filter((line) => line.startsWith(prefix));
    assertStringIncludes(text, `SF:${source}\n`);
    assertEquals(of("DA:").filter((l) => /^DA:(4|5|6|7|9|11|13),/.test(l)), [
      "DA:4,10",
      "DA:5,10",
      "DA:6,0",
      "DA:7,10",
      "DA:9,0",
      "DA:11,1",
      "DA:13,10",
    ]);
    assertEquals(of("FN:").sort(), [
      "FN:10,start",
      "FN:4,twice",
      "FN:9,never",
    ]);
    const calls = of("FNDA:").sort();
    assertEquals(calls, [
      "FNDA:0,never",
      "FNDA:1,start",
      "FNDA:10,twice",
    ]);
    assertEquals(lines.at(-2), "end_of_record");
    const html = `${directory}/html`;
    const info = `${directory}/coverage.info`;
    const summary = await run("lcov", ["--summary", info]);
    if (summary === undefined) {
      return console.log("lcov is not installed: it has not read the report");
    }
    const [found, executed] = [of("LF:"), of("LH:")].map(([l]) => l.slice(3));
    assertStringIncludes(summary, `(${executed} of ${found} lines)`);
    assertStringIncludes(summary, "(2 of 3 functions)");
    await run("genhtml", ["--output-directory", html, info]);
    const pages: string[] = [];
    for await (const { name } of Deno.readDir(html)) {
      const page = `${html}/${name}/g.c.gcov.html`;
      try {
        pages.push(await Deno.readTextFile(page));
      } catch {
        // Not the folder of the source's.
      }
    }
    assertEquals(pages.length, 1);
    assertStringIncludes(pages[0], "return 2 * x;");
  },
);

Deno.test(
  "without debug information there are functions" + skipped,
  async () => {
    if (!built) return;
    const text = await report(bare);
    const list = `${directory}/coverage.info.functions`;
    assertStringIncludes(text, `SF:${list}\n`);
    assertStringIncludes(text, "FNDA:10,twice\n");
    assertStringIncludes(text, "FNDA:0,never\n");
    assertStringIncludes(text, "LF:3\nLH:2\n");
    const rows = (await Deno.readTextFile(list)).split("\n");
    const line = Number(/^FN:(\d+),twice$/m.exec(text)![1]);
    assertMatch(rows[line - 1], /^[0-9a-f]+ twice$/);
    assertStringIncludes(text, `\nDA:${line},10\n`);
    const html = `${directory}/functions`;
    const info = `${directory}/coverage.info`;
    const said = await run("genhtml", ["--output-directory", html, info]);
    if (said === undefined) return console.log("lcov is not installed");
    assertStringIncludes(said, "(2 of 3 functions)");
  },
);

Deno.test(
  "addresses of the upper half are those of symbols" + skipped,
  async () => {
    if (!built) return;
    const high = `${directory}/high.elf`;
    const shift = ["--change-addresses", "0xffffffff80000000"];
    await run("objcopy", ["-O", "elf64-x86-64", bare, `${high}.64`]);
    await run("objcopy", [...shift, `${high}.64`, high]);
    const symbols = await run("nm", [high]);
    const at = /^(\w+) T never$/m.exec(symbols!)![1];
    const linear = Number(BigInt.asIntN(64, BigInt(`0x${at}`)));
    const counts = new Map([[linear, 3], [START, 7]]);
    const { info, list } = await lcovOf(high, { counts, list: "list" });
    assertStringIncludes(info, "FNDA:3,never\n");
    assertStringIncludes(list, `${at} never\n`);
  },
);

Deno.test("functions come from a list of symbols, and names may be there twice", async () => {
  const functions = listedFunctions(`ffffffff81000000 T _text
ffffffff81000010 t init
ffffffff81000020 D data
ffffffff81000030 t init
ffffffffc0000000 t other	[module]
`);
  const first = linearAddress("ffffffff81000010");
  const { info, list } = await lcovOf("not there", {
    counts: new Map([[first, 2]]),
    list: "/list",
    functions,
  });
  assertEquals(
    list,
    `ffffffff81000000 _text
ffffffff81000010 init@ffffffff81000010
ffffffff81000030 init@ffffffff81000030
`,
  );
  assertEquals(
    info,
    `TN:
SF:/list
FN:1,_text
FN:2,init@ffffffff81000010
FN:3,init@ffffffff81000030
FNDA:0,_text
FNDA:2,init@ffffffff81000010
FNDA:0,init@ffffffff81000030
FNF:3
FNH:1
DA:1,0
DA:2,2
DA:3,0
LF:3
LH:1
end_of_record
`,
  );
});

Deno.test({
  name: "remove the kernels",
  fn: () => Deno.remove(directory, { recursive: true }),
});
