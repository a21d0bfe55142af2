/**
 * The bare CPU that runs random programs of `flow.ts`.
 *
 * @module
 */

import { Engine } from "../../core/exec/engine.ts";
import { INDEX_BYTES } from "../../core/exec/layout.ts";
import { GuestMemory } from "../../core/machine/memory.ts";
import type { PhysicalSpace } from "../../core/mmu/physical_access.ts";
import { SCRATCH_BYTES } from "../../core/translate/block_translator.ts";
import { X86 } from "../../plugins/cpu/x86/cpu.ts";
import { createTranslator } from "../../plugins/cpu/x86/mod.ts";
import { MODELS } from "../../plugins/cpu/x86/models.ts";
import { HAS_ERROR } from "./rhea.ts";
import {
  CODE,
  DATA_AT,
  DIRECTORIES,
  EVENTS,
  type FlowProgram,
  IRQ_EVENTS,
  IRQ_VECTOR,
  KERNEL,
  OP_POSITION,
  OPS,
  PAGE,
  PAGES,
  RAM,
  START,
  SYSTEM,
  TABLE_PAGES,
  VERSION_AT,
} from "./flow_layout.ts";

/** `native/flow_supervisor.asm`, assembled. */
const SUPERVISOR =
  "608b1df44f00c08d4301a3f44f00c081e3ff010000c1e30581c3005000c08b44" +
  "242089038b4c2428894b048b4c2424894b088b4c2430894b0c8b4c242c894b10" +
  "0f20d1894b1483f80e74263d810000000f84e900000083f820745f3d80000000" +
  "74588b0df84f00c0894c24286183c408cf89ca89cbc1e91883e90883f90573e2" +
  "81e2ffffff00c1ea0c83fa0d73d4c1eb16830c9d000001c007830c9d001001c0" +
  "07c1e10c838c91002001c00785c975bc830c95007001c007ebb28b1df04f00c0" +
  "8d4301a3f04f00c083e33fc1e30481c3004000c08b338b530c85f6740a8b4304" +
  "21068b4308310689d025ff0f000081e200f0ffff48741d48742248742a480f85" +
  "68ffffff0f20d835001000000f22d8e958ffffff0f013ae950ffffff0f20d80f" +
  "22d8e945ffffff0f20e035800000000f22e035800000000f22e0e92dffffff61" +
  "83c408f644240403742950538b44241483e8108b5c240489188b5c2408895804" +
  "c74008100000008b5c241089580c5b89c458cf508d4424106a2b50ff7424146a" +
  "23ff7424148b442414cf";

/** A CPU that runs such programs. */
export class FlowSubject {
  /** The CPU. */
  readonly cpu: X86;
  /** Its engine. */
  readonly engine: Engine;
  readonly #ram: Uint8Array;
  readonly #view: DataView;

  readonly #plain: boolean;

  /**
   * Makes the CPU. `plain`: it looks into the page tables for each instruction,
   * and knows nothing of the ones before. `cramped`: there is room for few
   * blocks and few regions. `lookups`: how regions look accesses up at first.
   */
  constructor(
    readonly title: string,
    accel: "plain" | "interp" | "jit",
    threshold = 1,
    cramped = false,
    lookups: 0 | 1 | 2 = 0,
  ) {
    this.#plain = accel === "plain";
    const memory = new GuestMemory({
      guestBytes: RAM,
      arenaBytes: cramped ? INDEX_BYTES + SCRATCH_BYTES + 2 * 65536 : 4 << 20,
    });
    const host = memory.alloc(RAM);
    const space: PhysicalSpace = {
      lookupPage: (page) =>
        page < RAM >> 12
          ? { kind: "ram", hostOffset: host + page * PAGE, writable: true }
          : { kind: "none", hostOffset: 0, writable: false },
      ramRuns: () => [{ page: 0, pages: RAM >> 12 }],
      read: (_, width) => width === 4 ? 0xffffffff : (1 << 8 * width) - 1,
      write: () => {},
    };
    this.cpu = new X86({
      model: MODELS["max"],
      acknowledge: () => {
        this.engine.setIrq(false);
        return IRQ_VECTOR;
      },
      translator: () => createTranslator(MODELS["max"]),
    });
    this.engine = new Engine(this.cpu, {
      memory,
      space,
      accel: accel === "jit" ? "jit" : "interp",
      threshold,
      maxInsns: this.#plain ? 1 : undefined,
      maxRegions: cramped ? 12 : undefined,
      lookups,
      exact: true,
    });
    this.#ram = memory.u8.subarray(host, host + RAM);
    this.#view = new DataView(memory.memory.buffer, host, RAM);
  }

  /** Puts the CPU at a program's start. */
  load(program: FlowProgram): void {
    const ram = this.#ram;
    const put = (at: number, x: number): void =>
      this.#view.setUint32(at, x >>> 0, true);
    ram.fill(0, 0, DATA_AT + 3 * 2 * TABLE_PAGES * PAGE);
    program.code.forEach((bytes, i) => ram.set(bytes, VERSION_AT[i]));
    for (const [at, value] of program.entries) put(at, value);
    ram.set(program.tables, DATA_AT + 3 * PAGE);
    const { base } = program;
    const start = CODE - base;
    put(SYSTEM + START, start);
    for (let at = 0; at < 64; at += 4) {
      put(DATA_AT + 5 * PAGE - 64 + at, start);
    }
    program.ops.forEach((x, i) => put(SYSTEM + OPS + 4 * i, x));
    // The system's pages: descriptors, entry points, the supervisor.
    [[0x10, 0x9b], [0x18, 0x93], [0x28, 0xf3]].forEach(
      ([selector, access]) => {
        put(SYSTEM + selector, 0xffff);
        put(SYSTEM + selector + 4, 0x00cf0000 | access << 8);
      },
    );
    put(SYSTEM + 0x20, 0xffff | base << 16);
    put(SYSTEM + 0x24, 0x00cffb00 | base >>> 16 & 0xff);
    put(SYSTEM + 0x404, KERNEL + 0x4000);
    put(SYSTEM + 0x408, 0x18);
    for (let n = 0; n < 256; n++) {
      const at = SYSTEM + 0x1000 + 16 * n;
      const entry = KERNEL + 0x1000 + 16 * n;
      const dpl = IRQ_EVENTS.includes(n) ? 0x6000 : 0;
      put(SYSTEM + 0x800 + 8 * n, 0x100000 | entry & 0xffff);
      put(SYSTEM + 0x804 + 8 * n, entry & 0xffff0000 | 0x8e00 | dpl);
      let i = at;
      if (!HAS_ERROR.has(n)) {
        ram.set([0x6a, 0x00], i); // PUSH 0
        i += 2;
      }
      ram[i] = 0x68; // PUSH n
      put(i + 1, n);
      ram[i + 5] = 0xe9; // JMP
      put(i + 6, SYSTEM + 0x2000 - (i + 10));
    }
    for (let i = 0; i < SUPERVISOR.length; i += 2) {
      ram[SYSTEM + 0x2000 + i / 2] = parseInt(SUPERVISOR.slice(i, i + 2), 16);
    }
    const { engine } = this;
    engine.setIrq(false);
    engine.reset();
    const user = program.cpl === 3;
    const state: Record<string, number> = {
      cr0: 0x80010033,
      cr3: DIRECTORIES,
      cr4: program.cr4,
      "gdtr.base": KERNEL,
      "gdtr.limit": 0x7f,
      "idtr.base": KERNEL + 0x800,
      "idtr.limit": 0x7ff,
      "tr.selector": 0x40,
      "tr.base": KERNEL + 0x400,
      "tr.limit": 0x67,
      "tr.flags": 0x8b,
      eip: start,
      eflags: 0x202,
    };
    for (const s of ["cs", "ds", "es", "ss"]) {
      const level = s !== "ds" && s !== "es" && !user ? 0 : 3;
      const selector = level === 0 ? (s === "cs" ? 0x10 : 0x18) : 0x20;
      state[`${s}.selector`] = level === 0
        ? selector
        : s === "cs"
        ? 0x23
        : 0x2b;
      state[`${s}.base`] = s === "cs" ? base : 0;
      state[`${s}.limit`] = -1;
      state[`${s}.flags`] = (s === "cs" ? 0xc09b : 0xc093) | level << 5;
    }
    "eax ecx edx ebx esp ebp esi edi".split(" ").forEach((name, i) => {
      state[name] = program.registers[i];
    });
    engine.enter(state);
    // Memory has changed behind the translator's back.
    engine.flushMapping();
  }

  /** Executes exactly `budget` instructions. */
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

  /** What can be seen. */
  state(): Record<string, unknown> {
    const { cpu, engine } = this;
    return {
      instructions: engine.instructions,
      events: this.#view.getUint32(SYSTEM + EVENTS, true),
      operations: this.#view.getUint32(SYSTEM + OP_POSITION, true),
      eip: (cpu.eip >>> 0).toString(16),
      cpl: cpu.cpl,
      eflags: cpu.getEflags().toString(16),
      registers: Array.from(
        { length: 8 },
        (_, i) => (cpu.reg32(i) >>> 0).toString(16),
      ),
      tables: this.#hash(DIRECTORIES, SYSTEM),
      log: this.#hash(SYSTEM + 0x4000, SYSTEM + 0x9000),
      data: this.#hash(DATA_AT, DATA_AT + 6 * TABLE_PAGES * PAGE),
      code: VERSION_AT.map((at) => this.#hash(at, at + PAGES * PAGE)),
    };
  }

  #hash(from: number, to: number): number {
    let h = 0;
    for (let at = from; at < to; at += 4) {
      h = Math.imul(h ^ this.#view.getInt32(at, true), 0x01000193);
      h ^= h >>> 15;
    }
    return h;
  }

  /** The last events, newest first: vector, EIP, error code, CS, CR2. */
  log(most: number): string[] {
    const lines: string[] = [];
    const n = this.#view.getUint32(SYSTEM + EVENTS, true);
    for (let i = n - 1; i >= 0 && lines.length < most; i--) {
      const at = SYSTEM + 0x5000 + (i & 511) * 32;
      const word = (k: number): string =>
        this.#view.getUint32(at + 4 * k, true).toString(16);
      lines.push(
        `vector ${word(0)} at ${word(4)}:${word(1)}, error ${word(2)}, ` +
          `cr2 ${word(5)}`,
      );
    }
    return lines;
  }
}
