import { assertEquals } from "@std/assert";
import { GuestMemory } from "../machine/memory.ts";
import type { PhysicalSpace } from "../mmu/physical_access.ts";
import { Engine } from "./engine.ts";
import { SharedCode } from "./shared_code.ts";
import { TOY, ToyFrontend } from "./testing/toy_frontend.ts";

const RAM = 1 << 20;
/** A page that holds code of both CPUs. */
const PAGE = 0x1000;

type Insn = readonly [number, number, number, number];
/** What a CPU stores: the instruction that has register 1 be `value`. */
const answer = (value: number): Insn => [TOY.li, 1, value, 0];
const HALT: Insn = [TOY.halt, 0, 0, 0];
/** Store register 2 where register 3 points to. */
const STORE: Insn = [TOY.sw, 2, 3, 0];

interface Cpu {
  readonly engine: Engine;
  /** Run from an address to the next halt: register 1. */
  run(pc: number): number;
  /** Run a program from an address that stores an instruction. */
  store(pc: number, to: number, insn: Insn): void;
}

/** Two CPUs with one memory; `put` writes code before any has run. */
function machine(accel: "interp" | "jit"): {
  first: Cpu;
  second: Cpu;
  put: (at: number, ...insns: Insn[]) => void;
} {
  const memory = new GuestMemory({
    cpus: 2,
    guestBytes: RAM,
    arenaBytes: 8 << 20,
  });
  const host = memory.alloc(RAM);
  const space: PhysicalSpace = {
    lookupPage: (page) =>
      page < RAM >> 12
        ? { kind: "ram", hostOffset: host + page * 4096, writable: true }
        : { kind: "io", hostOffset: 0, writable: false },
    ramRuns: () => [{ page: 0, pages: RAM >> 12 }],
    read: () => 0,
    write: () => {},
  };
  const shared = new SharedCode();
  const [first, second] = [0, 1].map((index): Cpu => {
    const cpu = new ToyFrontend();
    cpu.limit = 0x200000;
    const engine = new Engine(cpu, {
      memory,
      space,
      accel,
      threshold: 2,
      cpu: index,
      shared,
    });
    engine.reset();
    const run = (pc: number): number => {
      engine.resume();
      cpu.setPc(pc, 0);
      engine.run(1000);
      return cpu.reg(1);
    };
    return {
      engine,
      run,
      store: (pc, to, insn) => {
        cpu.setReg(2, word(insn));
        cpu.setReg(3, to);
        run(pc);
      },
    };
  });
  return {
    first,
    second,
    put: (at, ...insns) =>
      insns.forEach((insn, i) =>
        memory.view.setInt32(host + at + 4 * i, word(insn), true)
      ),
  };
}

function word([op, d, a, b]: Insn): number {
  return op | d << 8 | a << 16 | b << 24;
}

for (const accel of ["interp", "jit"] as const) {
  /** As often as it takes to be compiled. */
  const TIMES = accel === "jit" ? 8 : 1;
  const times = (f: () => unknown): void => {
    for (let i = 0; i < TIMES; i++) f();
  };

  Deno.test(`several engines, ${accel}: a store into a page that is another one's code`, () => {
    const { first, second, put } = machine(accel);
    put(0, STORE, HALT);
    put(PAGE, answer(5), HALT);
    // Its TLB knows the page as plain memory.
    times(() => first.store(0, PAGE + 0x800, HALT));
    times(() => assertEquals(second.run(PAGE), 5));
    for (const value of [6, 7]) {
      first.store(0, PAGE, answer(value));
      times(() => assertEquals(second.run(PAGE), value));
    }
  });

  Deno.test(`several engines, ${accel}: a store beside the own code into another one's`, () => {
    const { first, second, put } = machine(accel);
    put(PAGE, answer(5), HALT);
    put(PAGE + 0x400, STORE, HALT);
    times(() => first.store(PAGE + 0x400, PAGE + 0x800, HALT));
    times(() => assertEquals(second.run(PAGE), 5));
    for (const value of [6, 7]) {
      first.store(PAGE + 0x400, PAGE, answer(value));
      times(() => assertEquals(second.run(PAGE), value));
    }
  });

  Deno.test(`several engines, ${accel}: after the own code in those 64 bytes is gone`, () => {
    const { first, second, put } = machine(accel);
    put(0, STORE, HALT);
    put(PAGE, answer(5), HALT);
    put(PAGE + 0x10, answer(8), HALT);
    // This keeps the page one with code.
    put(PAGE + 0x400, STORE, HALT);
    first.store(PAGE + 0x400, PAGE + 0x800, HALT);
    times(() => assertEquals(first.run(PAGE + 0x10), 8));
    times(() => assertEquals(second.run(PAGE), 5));
    first.store(0, PAGE + 0x10, HALT);
    times(() => first.store(0, PAGE, answer(6)));
    assertEquals(second.run(PAGE), 6);
  });

  Deno.test(`several engines, ${accel}: after one has forgotten all of its own`, () => {
    const { first, second, put } = machine(accel);
    put(PAGE, answer(5), HALT);
    put(PAGE + 0x400, STORE, HALT);
    first.store(PAGE + 0x400, PAGE + 0x800, HALT);
    times(() => assertEquals(second.run(PAGE), 5));
    first.engine.reset();
    first.store(PAGE + 0x400, PAGE, answer(6));
    assertEquals(second.run(PAGE), 6);
    // And of a bus master both hear.
    put(PAGE, answer(7), HALT);
    first.engine.invalidate(PAGE, 4);
    second.engine.invalidate(PAGE, 4);
    assertEquals([first.run(PAGE), second.run(PAGE)], [7, 7]);
  });

  Deno.test(`several engines, ${accel}: all stores go fast when the code is gone`, () => {
    const { first, second, put } = machine(accel);
    put(0, STORE, HALT);
    put(PAGE, answer(5), HALT);
    times(() => assertEquals(second.run(PAGE), 5));
    // Over both instructions: nothing is left of the page's code.
    first.store(0, PAGE, HALT);
    first.store(0, PAGE + 4, answer(1));
    first.engine.mmu.flush(false);
    first.store(0, PAGE, answer(2));
    const { slow } = first.engine.mmu;
    times(() => first.store(0, PAGE, answer(3)));
    assertEquals(first.engine.mmu.slow, slow);
  });
}
