import { assert, assertEquals } from "@std/assert";
import { FlowSubject, makeFlowProgram } from "./flow.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";

const SUBJECTS = [
  new FlowSubject("one instruction at a time", "plain"),
  new FlowSubject("interp", "interp"),
  new FlowSubject("jit, threshold 1", "jit", 1),
  new FlowSubject("jit, threshold 10", "jit", 10),
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
  const seed = seedFrom(Date.now() % 1_000_000);
  const seeds = Array.from({ length: casesFrom(12) }, (_, i) => seed + i);
  for (const s of [...ONCE_FAILED, ...seeds]) compare(s);
  const { regions } = SUBJECTS[3].engine.stats();
  assert(regions > 0);
});
