/**
 * Budgets that end at a jump to a page that was not accessed: its accessed bit
 * must not tell whether the jump was in a block, alone, linked or compiled.
 */

import { assertEquals } from "@std/assert";
import { Engine } from "../../core/exec/engine.ts";
import { GuestMemory } from "../../core/machine/memory.ts";
import { X86 } from "../../plugins/cpu/x86/cpu.ts";
import { updateLma } from "../../plugins/cpu/x86/long_mode.ts";
import { createTranslator } from "../../plugins/cpu/x86/mod.ts";
import { MODELS } from "../../plugins/cpu/x86/models.ts";
import {
  CS,
  DS,
  ES,
  OFF_CR,
  OFF_EFER,
  OFF_EIP,
  OFF_GPR,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  SS,
} from "../../plugins/cpu/x86/state.ts";

const PAGE = 4096;
const RAM = 0x40000;
const CODE = 0x1000, TARGET = 0x3000, OTHER = 0x5000, DEVICE = 0x9000;
/** The tables: of one page each, the last one maps the lowest pages. */
const TABLES = 0x20000;
const EAX = 0, ECX = 1, ESP = 4;
const ACCESSED = 0x20;

/** A program at {@linkcode CODE}, to which it returns by `jmp CODE` at its targets. */
interface Program {
  readonly title: string;
  readonly code: readonly number[];
  /** Its instructions up to the jump. */
  readonly length: number;
  /** What the stack pointer is. */
  readonly stack: number;
}

function rel32(from: number, to: number): number[] {
  const d = to - from;
  return [d & 255, d >> 8 & 255, d >> 16 & 255, d >> 24 & 255];
}

/** NOPs, and an instruction with a displacement to the target. */
function far(nops: number, ...opcode: number[]): number[] {
  const code = [...new Array(nops).fill(0x90), ...opcode];
  return [...code, ...rel32(CODE + code.length + 4, TARGET)];
}

const STACK = 0x8000;
const PROGRAMS: readonly Program[] = [
  { title: "jmp", code: far(2, 0xe9), length: 3, stack: STACK },
  { title: "jcc", code: far(2, 0x0f, 0x81), length: 3, stack: STACK },
  { title: "call", code: far(2, 0xe8), length: 3, stack: STACK },
  // What it pushes stands in the block that is running, before the call.
  {
    title: "call that pushes into its block",
    code: far(8, 0xe8),
    length: 9,
    stack: CODE + 8,
  },
  {
    title: "call that pushes into its block, across two pages",
    code: far(2, 0xe8),
    length: 3,
    stack: CODE + 2,
  },
  // A device's stack.
  {
    title: "call that pushes to a device",
    code: far(2, 0xe8),
    length: 3,
    stack: DEVICE + 64,
  },
  // In an interrupt shadow: STI alone.
  { title: "sti, jmp", code: far(0, 0xfb, 0xe9), length: 2, stack: STACK },
  {
    title: "sti, call that pushes to a device",
    code: far(1, 0xfb, 0xe8),
    length: 3,
    stack: DEVICE + 64,
  },
  // mov eax, TARGET; jmp eax.
  {
    title: "computed jmp",
    code: [0xb8, ...rel32(0, TARGET), 0xff, 0xe0],
    length: 2,
    stack: STACK,
  },
  {
    title: "computed call that pushes into its block",
    code: [0xb8, ...rel32(0, TARGET), 0x90, 0x90, 0x90, 0xff, 0xd0],
    length: 5,
    stack: CODE + 8,
  },
];

/** A CPU in 32- or 64-bit mode, without anything in its page tables accessed. */
class Subject {
  readonly cpu: X86;
  readonly engine: Engine;
  readonly #memory = new GuestMemory({
    guestBytes: RAM,
    arenaBytes: 4 << 20,
  });
  readonly #ram: Uint8Array;
  readonly #view: DataView;
  readonly #plain: boolean;
  readonly #wide: boolean;

  constructor(accel: "plain" | "interp" | "jit", wide: boolean) {
    this.#plain = accel === "plain";
    this.#wide = wide;
    const memory = this.#memory;
    const host = memory.alloc(RAM);
    this.#ram = memory.u8.subarray(host, host + RAM);
    this.#view = new DataView(memory.u8.buffer, host, RAM);
    const model = MODELS.max;
    this.cpu = new X86({
      model,
      acknowledge: () => {
        this.engine.setIrq(false);
        return 0x20;
      },
      translator: () => createTranslator(model),
    });
    this.engine = new Engine(this.cpu, {
      memory,
      space: {
        lookupPage: (page) =>
          page === DEVICE / PAGE
            ? { kind: "io", hostOffset: 0, writable: false }
            : page < RAM / PAGE
            ? { kind: "ram", hostOffset: host + page * PAGE, writable: true }
            : { kind: "none", hostOffset: 0, writable: false },
        ramRuns: () => [{ page: 0, pages: DEVICE / PAGE }],
        read: (_, width) => width === 4 ? CODE : 0,
        write: () => {},
      },
      accel: accel === "jit" ? "jit" : "interp",
      threshold: 1,
      maxInsns: this.#plain ? 1 : undefined,
      exact: true,
    });
  }

  /** The program's start, with memory as at first and what is translated forgotten or not. */
  load({ code, stack }: Program): void {
    const ram = this.#ram;
    ram.fill(0);
    ram.set(code, CODE);
    for (const at of [TARGET, OTHER]) {
      ram.set([0xe9, ...rel32(at + 5, CODE)], at);
    }
    const s = this.cpu.state;
    const view = this.#view;
    const { engine, cpu } = this;
    engine.setIrq(false);
    engine.reset();
    const levels = this.#wide ? 4 : 2;
    const bytes = this.#wide ? 8 : 4;
    for (let i = 0; i < levels - 1; i++) {
      view.setUint32(TABLES + i * PAGE, TABLES + (i + 1) * PAGE | 3, true);
    }
    const last = TABLES + (levels - 1) * PAGE;
    for (let page = 0; page < RAM / PAGE; page++) {
      view.setUint32(last + bytes * page, page * PAGE | 3, true);
    }
    // Vector 20h leads to the other page.
    const gate = 0x7000 + (this.#wide ? 16 : 8) * 0x20;
    view.setUint32(gate, 0x08 << 16 | OTHER, true);
    view.setUint32(gate + 4, 0x8e00, true);
    view.setUint32(0x6008, 0xffff, true);
    view.setUint32(0x600c, this.#wide ? 0x00af9b00 : 0x00cf9b00, true);
    s[OFF_CR >> 2] = 0x80050033 | 0;
    s[(OFF_CR >> 2) + 6] = TABLES;
    s[(OFF_CR >> 2) + 8] = this.#wide ? 0x20 : 0;
    if (this.#wide) {
      s[OFF_EFER >> 2] = 0x100;
      updateLma(cpu);
    }
    s[OFF_IDT_BASE >> 2] = 0x7000;
    s[OFF_IDT_LIMIT >> 2] = 0xfff;
    cpu.setSeg(CS, 8, 0, -1, this.#wide ? 0xaf9b00 : 0xcf9b00);
    for (const seg of [SS, DS, ES]) cpu.setSeg(seg, 0x10, 0, -1, 0xcf9300);
    s[(OFF_GPR >> 2) + 2 * EAX] = TARGET;
    s[(OFF_GPR >> 2) + 2 * ECX] = 3;
    s[(OFF_GPR >> 2) + 2 * ESP] = stack;
    s[OFF_EIP >> 2] = CODE;
    cpu.setEflags(2, -1);
    cpu.updateKey();
    engine.flushMapping();
    engine.keyChanged();
  }

  run(budget: number): string {
    const { engine } = this;
    if (!this.#plain) return engine.run(budget);
    const end = engine.instructions + budget;
    let exit: string = "budget";
    while (engine.instructions < end && exit === "budget") {
      engine.mmu.flush(false);
      exit = engine.run(1);
    }
    return exit;
  }

  /** The pages that are marked as accessed, and where the CPU is. */
  state(): Record<string, unknown> {
    const [levels, bytes] = this.#wide ? [4, 8] : [2, 4];
    const last = TABLES + (levels - 1) * PAGE;
    const accessed: string[] = [];
    for (let page = 0; page < RAM / PAGE; page++) {
      const entry = this.#view.getUint32(last + bytes * page, true);
      if ((entry & ACCESSED) !== 0) accessed.push((page * PAGE).toString(16));
    }
    const s = this.cpu.state;
    return {
      accessed,
      eip: s[OFF_EIP >> 2].toString(16),
      esp: s[(OFF_GPR >> 2) + 2 * ESP].toString(16),
    };
  }
}

for (const wide of [false, true]) {
  Deno.test(`a budget's end at a jump to a page that was not accessed leaves the page tables alike: ${wide ? 64 : 32} bits`, () => {
    const plain = new Subject("plain", wide);
    const others = (["interp", "jit"] as const).map(
      (accel) => [accel, new Subject(accel, wide)] as const,
    );
    for (const program of PROGRAMS) {
      const { title, length } = program;
      // Cold, compiled, and once the links and the jump cache lead there.
      for (const turn of ["cold", "warm", "warmer"]) {
        for (let budget = 1; budget <= length + 2; budget++) {
          for (const irq of [false, true]) {
            const all = [plain, ...others.map(([, s]) => s)].map((s) => {
              s.load(program);
              s.engine.setIrq(irq);
              return { exit: s.run(budget), ...s.state() };
            });
            others.forEach(([accel], i) =>
              assertEquals(
                all[i + 1],
                all[0],
                `${title}, ${accel}, ${turn}, budget ${budget}, irq ${irq}`,
              )
            );
          }
        }
      }
    }
  });
}
