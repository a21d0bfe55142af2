import { assert, assertEquals } from "@std/assert";
import { makeFlowProgram64 } from "./flow64.ts";
import { BANKS, CODE_IN_BANK } from "./flow64_layout.ts";
import { type FlowOptions64, FlowSystem64 } from "./flow64_subject.ts";
import { casesFrom, freshSeed, Prng } from "./prng.ts";

const STEPS = 24;

/** Seeds that have found something. */
const ONCE_FAILED: readonly number[] = [1];
const ONCE_FAILED_32: readonly number[] = [5004];

function compare(
  systems: readonly FlowSystem64[],
  seed: number,
  compatibility: boolean,
): void {
  const p = new Prng(seed);
  const count = systems[0].cpus.length;
  const first = makeFlowProgram64(p, compatibility);
  const { code, values } = first;
  const programs = [
    first,
    // The same code, but other page tables, which change in their own way.
    ...Array.from({ length: count - 1 }, () => ({
      ...makeFlowProgram64(p, compatibility),
      code,
      tables: first.tables,
    })),
  ];
  for (const s of systems) s.load(programs);
  for (let step = 0; step < STEPS; step++) {
    const budget = p.oneIn(3) ? 1 + p.below(30) : 100 + p.below(1500);
    const cpu = p.below(count);
    const irq = !p.oneIn(3);
    const bank = 1 + p.below(BANKS.length - 1);
    const offset = CODE_IN_BANK + (p.pick(values) ?? 0) + p.below(4);
    const byte = values.length > 0 && p.oneIn(3) ? p.below(256) : -1;
    const states = systems.map((s) => {
      if (byte >= 0) s.dma(bank, offset, byte);
      const exit = s.cpus[cpu].run(budget);
      if (irq) s.cpus[cpu].engine.setIrq(true);
      return { exit, cpus: s.cpus.map((c) => c.state()) };
    });
    for (let i = 1; i < states.length; i++) {
      assertEquals(
        states[i],
        states[0],
        `seed ${seed}, step ${step}: ${systems[i].title} differs from ${
          systems[0].title
        }`,
      );
    }
  }
}

const PLAIN = "one instruction at a time";
const SYSTEMS: [string, FlowOptions64][] = [
  [PLAIN, { accel: "plain" }],
  ["interp", { accel: "interp" }],
  ["jit, threshold 1", { accel: "jit" }],
  ["jit, threshold 10", { accel: "jit", threshold: 10 }],
  ["jit, two versions", { accel: "jit", threshold: 2, lookups: 1 }],
  ["jit, cramped", { accel: "jit", threshold: 5, cramped: true }],
  // Profiles of computed jumps are full.
  ["jit, threshold 60", { accel: "jit", threshold: 60 }],
  ["jit, saved and loaded", { accel: "jit", saves: true }],
];
const SEVERAL: [string, FlowOptions64][] = [
  [PLAIN, { accel: "plain", cpus: 3 }],
  ["interp", { accel: "interp", cpus: 3 }],
  ["jit", { accel: "jit", cpus: 3 }],
  ["jit, cramped", { accel: "jit", threshold: 5, cramped: true, cpus: 3 }],
];

for (
  const [title, options, compatibility, cases] of [
    ["random 64-bit procedures", SYSTEMS, false, 4],
    ["on three CPUs that change each other's code", SEVERAL, false, 3],
    ["random procedures in compatibility mode", SYSTEMS, true, 3],
  ] as const
) {
  Deno.test(`${title}, whose pages change while they run: interpreter and compiler agree`, () => {
    const systems = options.map(([name, how]) => new FlowSystem64(name, how));
    const seed = freshSeed();
    const seeds = Array.from({ length: casesFrom(cases) }, (_, i) => seed + i);
    const known = compatibility ? ONCE_FAILED_32 : ONCE_FAILED;
    for (const s of [...known, ...seeds]) compare(systems, s, compatibility);
    const { regions } = systems[2].cpus[0].engine.stats();
    assert(regions > 0);
  });
}
