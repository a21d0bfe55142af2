/**
 * Code without paging reads and writes all kinds of physical pages: RAM, code,
 * ROM, a device, nothing, their borders, with the A20 gate closed and while the
 * memory map changes. Interpreter and compiler must agree on all of it.
 */

import { assertEquals } from "@std/assert";
import { Engine } from "../../core/exec/engine.ts";
import { GuestMemory } from "../../core/machine/memory.ts";
import { X86 } from "../../plugins/cpu/x86/cpu.ts";
import { createTranslator } from "../../plugins/cpu/x86/mod.ts";
import { MODELS } from "../../plugins/cpu/x86/models.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";

const PAGE = 4096;
/** RAM from 0 to 64 KiB, and as much from 1 MiB on: closing A20 makes one of the other. */
const PAGES = 16;
const HIGH = 0x100;
const RAM = (HIGH + PAGES) * PAGE;
const CODE = 0x8000;
const TABLE = 0xa000;
/** A device, ROM, write-protected memory. */
const DEVICE = 4, ROM = 5, PROTECTED = 6;

/** Runs of RAM: each of them, so that the longest without code is another one. */
const RUNS = [
  [
    { page: 0, pages: DEVICE },
    { page: PROTECTED + 1, pages: PAGES - PROTECTED - 1 },
    { page: HIGH, pages: PAGES },
  ],
  [{ page: 0, pages: DEVICE }, { page: HIGH, pages: 1 }],
  [{ page: PROTECTED + 1, pages: PAGES - PROTECTED - 1 }],
];

/** For each address of the table: loads and, if its flag says so, stores of all widths around it. */
// deno-fmt-ignore
const PROGRAM = [
  0xe8, 0xfb, 0x07, 0, 0,   // next: call adder
  0x8b, 0x3e,               // mov edi, [esi]
  0x03, 0x1f,               // add ebx, [edi]
  0x03, 0x5f, 0x3c,         // add ebx, [edi+0x3c]
  0x0f, 0xb7, 0x47, 0x05,   // movzx eax, word [edi+5]
  0x01, 0xc3,               // add ebx, eax
  0xf6, 0x46, 0x04, 0x01,   // test byte [esi+4], 1
  0x74, 0x09,               // jz skip
  0x89, 0x1f,               // mov [edi], ebx
  0x88, 0x5f, 0x11,         // mov [edi+0x11], bl
  0x66, 0x89, 0x5f, 0x3e,   // mov [edi+0x3e], bx
  0x83, 0xc6, 0x08,         // skip: add esi, 8
  0x49,                     // dec ecx
  0x75, 0xd9,               // jnz next
  0xeb, 0xfe,               // jmp $
];

/** A procedure whose immediate is written now and then. */
const ADDER = 0x800;
// deno-fmt-ignore
const ADDER_CODE = [
  0x81, 0xc3, 1, 2, 3, 4,   // adder: add ebx, imm32
  0xc3,                     // ret
];
const STACK = 0x9f00;

class Machine {
  readonly cpu: X86;
  readonly engine: Engine;
  readonly memory = new GuestMemory({
    guestBytes: 2 * RAM + PAGE,
    arenaBytes: 4 << 20,
  });
  readonly low = this.memory.alloc(RAM);
  readonly rom = this.memory.alloc(PAGE);
  readonly other = this.memory.alloc(RAM);
  readonly device: string[] = [];
  /** Physical memory is the other one. */
  swapped = false;
  #run = 0;

  constructor(accel: "interp" | "jit") {
    const { rom } = this;
    const model = MODELS.max;
    this.cpu = new X86({ model, translator: () => createTranslator(model) });
    const space = {
      lookupPage: (page: number) => {
        if (page === DEVICE) {
          return { kind: "io" as const, hostOffset: 0, writable: false };
        }
        if (page === ROM) {
          return { kind: "rom" as const, hostOffset: rom, writable: false };
        }
        if (page >= PAGES && page < HIGH || page >= HIGH + PAGES) {
          return { kind: "none" as const, hostOffset: 0, writable: false };
        }
        const hostOffset = (this.swapped ? this.other : this.low) + page * PAGE;
        const writable = page !== PROTECTED;
        return { kind: "ram" as const, hostOffset, writable };
      },
      ramRuns: () => RUNS[this.#run],
      read: (address: number, width: number) =>
        (address * 0x9e3779b1 >>> 0) % 2 ** (8 * width),
      write: (address: number, width: number, value: number) => {
        this.device.push(`${address.toString(16)} ${width} ${value}`);
      },
    };
    const { memory } = this;
    this.engine = new Engine(this.cpu, { memory, space, accel, threshold: 1 });
    this.engine.reset();
  }

  /** The other physical memory; regions learn of other parts of it that they need not ask for. */
  swap(): void {
    this.swapped = !this.swapped;
    this.#run = (this.#run + 1) % RUNS.length;
    this.engine.flushMapping();
  }

  /** The RAM that physical addresses mean now. */
  get ram(): Uint8Array {
    const at = this.swapped ? this.other : this.low;
    return this.memory.u8.subarray(at, at + RAM);
  }

  run(count: number): unknown {
    this.engine.enter({
      eip: CODE,
      cr0: 0x11,
      eflags: 2,
      ebx: 1,
      ecx: count,
      esp: STACK,
      esi: TABLE,
      ...Object.fromEntries(
        ["cs", "ds", "es", "ss", "fs", "gs"].flatMap((s) => [
          [s + ".base", 0],
          [s + ".limit", -1],
          [s + ".flags", s === "cs" ? 0xc09b : 0xc093],
        ]),
      ),
    });
    // It ends in a loop.
    assertEquals(this.engine.run(25 * count), "budget");
    assertEquals(this.cpu.reg32(1), 0);
    return [this.cpu.reg32(3), this.cpu.reg32(6), this.device.splice(0)];
  }
}

Deno.test("accesses without paging: interpreter and compiler agree", () => {
  const random = new Prng(seedFrom(42));
  const machines = [new Machine("interp"), new Machine("jit")];
  const fill = Uint8Array.from(
    { length: RAM },
    () => random.below(256),
  );
  for (const m of machines) {
    m.memory.u8.set(fill.subarray(0, PAGE), m.rom);
    for (const at of [m.low, m.other]) {
      m.memory.u8.set(fill, at);
      m.memory.u8.set(PROGRAM, at + CODE);
      m.memory.u8.set(ADDER_CODE, at + CODE + ADDER);
    }
  }
  let regions = 0;
  const cases = casesFrom(60);
  for (let n = 0; n < cases; n++) {
    const count = 200;
    const table = new DataView(new ArrayBuffer(8 * count));
    // Not to the program's own bytes, nor to the stack or the table.
    const pages = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15, 16, 200, 256];
    for (let i = 0; i < count; i++) {
      const page = random.pick(pages);
      const near = random.oneIn(2);
      let offset = near ? PAGE - 80 + random.below(80) : random.below(PAGE);
      if (page === CODE / PAGE && offset < 64) offset += 64;
      const inAdder = offset > ADDER - 64 && offset < ADDER + 8;
      if (page === CODE / PAGE && inAdder) offset = ADDER + 8;
      // What goes on to the program would change it.
      if (page + 1 === CODE / PAGE && offset > PAGE - 64) offset = PAGE - 64;
      const patch = random.oneIn(10);
      table.setUint32(
        8 * i,
        patch ? CODE + ADDER + 2 : page * PAGE + offset,
        true,
      );
      table.setUint8(8 * i + 4, random.below(2));
    }
    const a20 = !random.oneIn(4);
    const swap = random.oneIn(6);
    const results = machines.map((m) => {
      if (swap) {
        m.swap();
      }
      m.ram.set(new Uint8Array(table.buffer), TABLE);
      m.engine.invalidate(TABLE, 8 * count);
      m.engine.setInput("a20", a20);
      return m.run(count);
    });
    assertEquals(results[1], results[0], `case ${n}, a20 ${a20}`);
    const different = machines[0].ram.findIndex((b, i) =>
      b !== machines[1].ram[i]
    );
    assertEquals(different, -1, `memory, case ${n}`);
    regions += machines[1].engine.stats().regions;
  }
  assertEquals(regions > 0, true);
});
