/**
 * Loops whose accesses one lookup does not serve: two pages that share an entry
 * of the TLB; a loop whose frame lies across two pages that are not neighbours in
 * physical memory. What one lookup serves elsewhere is looked up one by one, and
 * after a while the loop is compiled anew for that.
 */

import { assertEquals } from "@std/assert";
import { Engine } from "../../core/exec/engine.ts";
import { GuestMemory } from "../../core/machine/memory.ts";
import { X86 } from "../../plugins/cpu/x86/cpu.ts";
import { createTranslator } from "../../plugins/cpu/x86/mod.ts";
import { MODELS } from "../../plugins/cpu/x86/models.ts";

const PAGE = 4096;
const RAM = 16 * PAGE;
const CODE = 0x8000, DIRECTORY = 0x1000, TABLE = 0x2000;
/** Linear pages of the frame, and where they are. */
const LOWER = 0xa, UPPER = 0xb, LOWER_FRAME = 0xe, UPPER_FRAME = 0x4;

// deno-fmt-ignore
const PROGRAM = [
  0x8b, 0x45, 0xfc,         // next: mov eax, [ebp-4]
  0x03, 0x45, 0xe0,         // add eax, [ebp-32]
  0x89, 0x45, 0xdc,         // mov [ebp-36], eax
  0x01, 0x45, 0xfe,         // add [ebp-2], eax
  0x66, 0x31, 0x45, 0xe3,   // xor [ebp-29], ax
  0xfe, 0x45, 0xf0,         // inc byte [ebp-16]
  0x83, 0x6d, 0xee, 0x07,   // sub dword [ebp-18], 7
  0x01, 0xcb,               // add ebx, ecx
  0x31, 0xc3,               // xor ebx, eax
  0x49,                     // dec ecx
  0x75, 0xe2,               // jnz next
  0xeb, 0xfe,               // jmp $
];

/** Goes from one page to another one, 16 MiB further, which has the same entry of the TLB. */
// deno-fmt-ignore
const SWAPPING = [
  0x8b, 0x06,               // next: mov eax, [esi]
  0x01, 0xc3,               // add ebx, eax
  0x89, 0x1f,               // mov [edi], ebx
  0x49,                     // dec ecx
  0x75, 0xf7,               // jnz next
  0xeb, 0xfe,               // jmp $
];

/** Reads a number, writes one to the same page at another address, reads again. */
// deno-fmt-ignore
const ALIASED = [
  0x8b, 0x06,                   // next: mov eax, [esi]
  0x01, 0xc3,                   // add ebx, eax
  0x89, 0x8e, 0, 0x30, 0, 0,    // mov [esi+0x3000], ecx
  0x8b, 0x06,                   // mov eax, [esi]
  0x01, 0xc3,                   // add ebx, eax
  0x49,                         // dec ecx
  0x75, 0xef,                   // jnz next
  0xeb, 0xfe,                   // jmp $
];

/** An engine with a program at `CODE`, and its RAM. */
function load(
  accel: "interp" | "jit",
  program: readonly number[],
  exact = false,
): { cpu: X86; engine: Engine; ram: Uint8Array } {
  const memory = new GuestMemory({ guestBytes: RAM, arenaBytes: 4 << 20 });
  const host = memory.alloc(RAM);
  const ram = memory.u8.subarray(host, host + RAM);
  const model = MODELS.max;
  const cpu = new X86({ model, translator: () => createTranslator(model) });
  const engine = new Engine(cpu, {
    memory,
    accel,
    threshold: 10,
    exact,
    space: {
      lookupPage: (page) =>
        page < RAM / PAGE
          ? { kind: "ram", hostOffset: host + page * PAGE, writable: true }
          : { kind: "none", hostOffset: 0, writable: false },
      ramRuns: () => [{ page: 0, pages: RAM / PAGE }],
      read: () => 0xff,
      write: () => {},
    },
  });
  const words = new DataView(ram.buffer, ram.byteOffset, RAM);
  // At 0, and again at 16 MiB.
  for (const entry of [0, 4]) {
    words.setUint32(DIRECTORY + 4 * entry, TABLE | 3, true);
  }
  for (let page = 0; page < RAM / PAGE; page++) {
    const frame = page === LOWER
      ? LOWER_FRAME
      : page === UPPER
      ? UPPER_FRAME
      : page;
    words.setUint32(TABLE + 4 * page, frame * PAGE | 3, true);
  }
  ram.set(program, CODE);
  for (const frame of [LOWER_FRAME, UPPER_FRAME]) {
    for (let i = 0; i < PAGE; i++) ram[frame * PAGE + i] = i * 7 + frame;
  }
  engine.reset();
  return { cpu, engine, ram };
}

/** Enters the program with paging and these registers. */
function enter(engine: Engine, registers: Record<string, number>): void {
  engine.enter({
    eip: CODE,
    cr0: 0x80000011 | 0,
    cr3: DIRECTORY,
    eflags: 2,
    ...registers,
    ...Object.fromEntries(
      ["cs", "ds", "es", "ss", "fs", "gs"].flatMap((s) => [
        [s + ".base", 0],
        [s + ".limit", -1],
        [s + ".flags", s === "cs" ? 0xc09b : 0xc093],
      ]),
    ),
  });
}

/** Runs the loop `count` times with EBP so far above the border; the registers, the frame's pages, how many regions became narrow. */
function run(
  accel: "interp" | "jit",
  above: number,
  count: number,
): { result: unknown; narrowed: number } {
  const { cpu, engine, ram } = load(accel, PROGRAM);
  enter(engine, { ecx: count, ebp: UPPER * PAGE + above });
  assertEquals(engine.run(11 * count + 1000), "budget");
  assertEquals(cpu.reg32(1), 0);
  const frames = [LOWER_FRAME, UPPER_FRAME].map((frame) =>
    ram.slice(frame * PAGE, (frame + 1) * PAGE)
  );
  const registers = [0, 3, 5].map((r) => cpu.reg32(r));
  const { narrowed } = engine.stats();
  return { result: [registers, frames], narrowed };
}

Deno.test("a frame across two pages: interpreter and compiler agree, before and after it is compiled anew", () => {
  for (const count of [100, 25_000]) {
    for (const above of [0, 2, 4, 16, 30, 31, 35, 100]) {
      const compiled = run("jit", above, count);
      const { result } = run("interp", above, count);
      assertEquals(compiled.result, result, `${above}, ${count} times`);
      // From EBP - 36 to EBP + 1.
      const crosses = above < 36;
      const expected = crosses && count > 20_000 ? 1 : 0;
      assertEquals(compiled.narrowed, expected, `${above}, ${count} times`);
    }
  }
});

Deno.test("two pages that share an entry of the TLB: interpreter and compiler agree at each stop, before and after it is compiled anew", () => {
  const [interp, jit] = (["interp", "jit"] as const).map((accel) => {
    const { cpu, engine, ram } = load(accel, SWAPPING, true);
    enter(engine, {
      ecx: 25_000,
      esi: LOWER * PAGE + 0x10,
      edi: (16 << 20) + LOWER * PAGE + 0x20,
    });
    const states: number[][] = [];
    for (let n = 0; n < 14; n++) {
      assertEquals(engine.run(9_999), "budget");
      const { instructions } = engine;
      states.push([0, 1, 3].map((r) => cpu.reg32(r)).concat(instructions));
    }
    const { doubled, narrowed } = engine.stats();
    return { states, ram: ram.slice(), doubled, narrowed };
  });
  assertEquals(jit.states, interp.states);
  assertEquals(jit.ram, interp.ram);
  // It is slow in the second version, too, which counts as well.
  assertEquals([jit.doubled, jit.narrowed], [1, 1]);
});

Deno.test("a page at two addresses: what is stored at the one is loaded at the other", () => {
  for (const accel of ["interp", "jit"] as const) {
    const { cpu, engine, ram } = load(accel, ALIASED);
    const words = new DataView(ram.buffer, ram.byteOffset, RAM);
    words.setUint32(TABLE + 4 * (LOWER + 3), LOWER_FRAME * PAGE | 3, true);
    const before = words.getUint32(LOWER_FRAME * PAGE + 0x10, true);
    const count = 1000;
    enter(engine, { ecx: count, esi: LOWER * PAGE + 0x10 });
    assertEquals(engine.run(7 * count + 100), "budget");
    // Each number is read back at once and, but for the last, in the next pass.
    const sum = before + count * (count + 1) - 1;
    assertEquals([cpu.reg32(1), cpu.reg32(3)], [0, sum | 0], accel);
    assertEquals(engine.stats().regions > 0, accel === "jit");
  }
});
