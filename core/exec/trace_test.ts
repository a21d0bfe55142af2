import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Disassembler } from "../cpu/disassembler.ts";
import { GuestMemory } from "../machine/memory.ts";
import { FunctionPrinter } from "../wasm/text.ts";
import { RegionDump } from "./dump.ts";
import { Engine } from "./engine.ts";
import { TOY, ToyFrontend } from "./testing/toy_frontend.ts";
import { BlockTrace } from "./trace.ts";

const RAM = 1 << 20;

const DISASSEMBLER: Disassembler = {
  insn: (code, start) => `toy ${code.slice(start, start + 4).join(" ")}`,
  mode: (key) => `mode ${key}`,
};

/** A loop from 8 to 16 that runs 20 times. */
const LOOP = [
  [TOY.li, 1, 0, 0],
  [TOY.li, 2, 20, 0],
  [TOY.addi, 1, 1, 1], // 8
  [TOY.triple, 3, 1, 0],
  [TOY.bne, 1, 2, -2 & 0xff],
  [TOY.halt, 0, 0, 0],
];

function machine(): Engine {
  const memory = new GuestMemory({ guestBytes: RAM, arenaBytes: 4 << 20 });
  const host = memory.alloc(RAM);
  memory.u8.set(LOOP.flat(), host);
  const engine = new Engine(new ToyFrontend(), {
    memory,
    space: {
      lookupPage: (page) => ({
        kind: "ram",
        hostOffset: host + page * 4096,
        writable: true,
      }),
      ramRuns: () => [],
      read: () => 0,
      write: () => {},
    },
    threshold: 4,
  });
  engine.reset();
  return engine;
}

Deno.test("a trace has a line for each block and region", () => {
  const engine = machine();
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  engine.observe(new BlockTrace(write, DISASSEMBLER));
  assertEquals(engine.run(1 << 20), "dead");
  const compiled = lines.findIndex((line) => line.startsWith("region"));
  assertMatch(
    lines[compiled],
    /^region 1 entry 00000008 physical 00000008 blocks 1 insns 3 wasm \d+ ms \d+\.\d\d mode mode 0$/,
  );
  assertEquals(lines.toSpliced(compiled, 1), [
    "block 00000000 physical 00000000 insns 5 bytes 20 mode mode 0",
    "block 00000008 physical 00000008 insns 3 bytes 12 mode mode 0",
    "block 00000014 physical 00000014 insns 1 bytes 4 mode mode 0",
  ]);
  lines.length = 0;
  engine.invalidate(8, 1);
  assertEquals(lines, ["region 1 entry 00000008 physical 00000008 died"]);
  engine.observe(undefined);
  engine.reset();
  assertEquals(engine.run(1 << 20), "dead");
  assertEquals(lines.length, 1);
});

Deno.test("without a disassembler the mode is a number", () => {
  const engine = machine();
  const lines: string[] = [];
  engine.observe(new BlockTrace((line) => lines.push(line), undefined));
  engine.run(1 << 20);
  assertMatch(lines[0], /mode 0x0$/);
});

Deno.test("a dump has guest code, IR and WebAssembly in rows", async () => {
  const engine = machine();
  let text = "";
  const printer = await FunctionPrinter.load();
  const write = (part: string): void => void (text += part);
  // In the middle of the region, and where there is none.
  const dump = new RegionDump([13, 0x500], write, printer, DISASSEMBLER);
  engine.observe(dump);
  engine.run(1 << 20);
  assertEquals(dump.missing, [0x500]);
  assertMatch(text, /^region 1 at 00000008: blocks 1, insns 3, wasm \d+ bytes/);
  assertMatch(text, /\n\(func \$region1 .*\n\(local \$budget i32\).*\$r1 i32/);
  assertMatch(text, /\nexits\n/);
  // Rows of cells, continued in lines whose first cell is empty.
  const rows: string[][][] = [];
  for (const line of text.split("\n")) {
    const cells = line.split(" | ").map((cell) => cell.trim());
    if (cells.length !== 3) continue;
    if (cells[0] !== "" || rows.length === 0) rows.push([[], [], []]);
    cells.forEach((cell, i) => cell !== "" && rows.at(-1)![i].push(cell));
  }
  assertEquals(rows.map(([guest]) => guest), [
    [],
    ["00000008  toy 3 1 1 1"],
    ["0000000c  toy 10 3 1 0"],
    ["00000010  toy 6 1 2 254"],
  ]);
  assertEquals(rows[1][1], [
    "v1 = r1",
    "v2 = const32 0x1",
    "v3 = i32.add v1, v2",
    "r1 = v3",
  ]);
  assertEquals(rows[3][1].at(-1), "branch v6, 0x8, 0x14");
  assert(rows[1][2].includes("local.set $r1"), text);
  assert(rows[2][2].includes("call $triple"), text);
  assert(rows[3][2].some((line) => line.startsWith("br ")), text);
});
