import { assert, assertEquals } from "@std/assert";
import { makeFlowProgram64 } from "./flow64.ts";
import { FlowSubject64 } from "./flow64_subject.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";

const SUBJECTS = [
  new FlowSubject64("one instruction at a time", "plain"),
  new FlowSubject64("interp", "interp"),
  new FlowSubject64("jit, threshold 1", "jit", 1),
  new FlowSubject64("jit, threshold 10", "jit", 10),
  new FlowSubject64("jit, threshold 2, two versions", "jit", 2, false, 1),
  new FlowSubject64("jit, threshold 5, cramped", "jit", 5, true),
  // Profiles of computed jumps are full.
  new FlowSubject64("jit, threshold 60", "jit", 60),
];
const STEPS = 24;

/** Seeds that have found something. */
const ONCE_FAILED: number[] = [1];

function compare(seed: number): void {
  const p = new Prng(seed);
  const program = makeFlowProgram64(p);
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

Deno.test("random 64-bit procedures whose pages change while they run: interpreter and compiler agree", () => {
  const seed = seedFrom(Date.now() % 1_000_000);
  const seeds = Array.from({ length: casesFrom(6) }, (_, i) => seed + i);
  for (const s of [...ONCE_FAILED, ...seeds]) compare(s);
  const { regions } = SUBJECTS[3].engine.stats();
  assert(regions > 0);
});
