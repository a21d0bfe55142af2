import { assert, assertEquals } from "@std/assert";
import { Bench } from "../system/bench.ts";
import { makeFlowProgram } from "./flow.ts";
import { FlowSubject } from "./flow_subject.ts";
import { casesFrom, freshSeed, Prng } from "./prng.ts";

const SUBJECTS = [
  new FlowSubject("one instruction at a time", "plain"),
  new FlowSubject("interp", "interp"),
  new FlowSubject("jit, threshold 1", "jit", 1),
  new FlowSubject("jit, threshold 10", "jit", 10),
  new FlowSubject("jit, threshold 2, two versions", "jit", 2, false, 1),
  new FlowSubject("jit, threshold 5, cramped", "jit", 5, true),
  // Profiles of computed jumps are full.
  new FlowSubject("jit, threshold 60", "jit", 60),
];
const STEPS = 24;

/** Seeds that have found something. */
const ONCE_FAILED: number[] = [];

function compare(seed: number): void {
  const p = new Prng(seed);
  const program = makeFlowProgram(p);
  for (const s of SUBJECTS) s.load(program);
  for (let step = 0; step < STEPS; step++) {
    const budget = p.oneIn(3) ? 1 + p.below(30) : 100 + p.below(1500);
    const irq = !p.oneIn(3);
    const states = SUBJECTS.map((s) => {
      const exit = s.run(budget);
      if (irq) s.engine.setIrq(true);
      return { exit, ...s.state() };
    });
    for (let i = 1; i < states.length; i++) {
      assertEquals(
        states[i],
        states[0],
        `seed ${seed}, step ${step}: ${SUBJECTS[i].title} differs from ${
          SUBJECTS[0].title
        }`,
      );
    }
  }
}

Deno.test("random procedures whose pages change while they run: interpreter and compiler agree", () => {
  const seed = freshSeed();
  const seeds = Array.from({ length: casesFrom(16) }, (_, i) => seed + i);
  for (const s of [...ONCE_FAILED, ...seeds]) compare(s);
  const { regions } = SUBJECTS[3].engine.stats();
  assert(regions > 0);
});

for (const accel of ["interp", "jit"] as const) {
  for (const how of ["INVLPG", "MOV CR3"]) {
    Deno.test(`${accel}: code behind ${how} is that of the page that it has put in its own place`, () => {
      const bench = new Bench({ accel, threshold: 1 });
      const { memory: { view, u8 }, ram, cpu, engine } = bench;
      engine.reset();
      view.setInt32(ram + 0x1000, 0x83, true); // 4 MiB as they are
      view.setInt32(ram + 0x1004, 0x2003, true);
      view.setInt32(ram + 0x2000, 0x800003, true);
      // deno-fmt-ignore
      const code = (value: number): number[] => [
        0xc7, 0x05, 0, 0x20, 0, 0, 3, 0x00, 0x90, 0, // MOV [0x2000], 0x900003
        ...(how === "INVLPG"
          ? [0x0f, 0x01, 0x3d, 0, 0, 0x40, 0] // INVLPG [0x400000]
          : [0x0f, 0x22, 0xdb]), // MOV CR3, EBX
        0x83, 0xc0, value, // ADD EAX, value
        0x49, // DEC ECX
        0x75, 0xfa, // JNZ to the ADD
        0xf4,
      ];
      u8.set(code(1), ram + 0x800000);
      u8.set(code(2), ram + 0x900000);
      const state: Record<string, number> = {
        cr0: 0x80000011,
        cr3: 0x1000,
        cr4: 0x10,
        eflags: 2,
        eip: 0x400000,
        ebx: 0x1000,
        ecx: 50,
      };
      for (const s of ["cs", "ds", "es", "fs", "gs", "ss"]) {
        state[`${s}.selector`] = s === "cs" ? 8 : 0x10;
        state[`${s}.base`] = 0;
        state[`${s}.limit`] = -1;
        state[`${s}.flags`] = s === "cs" ? 0xc09b : 0xc093;
      }
      engine.enter(state);
      assertEquals(engine.run(1_000_000), "dead");
      assertEquals(cpu.reg32(0), 100);
    });
  }
}
