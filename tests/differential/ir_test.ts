import { assertEquals } from "@std/assert";
import { Engine } from "../../core/exec/engine.ts";
import { CALLS, OPS, SPECIAL } from "../../core/ir/ops.ts";
import { GuestMemory } from "../../core/machine/memory.ts";
import type { PhysicalSpace } from "../../core/mmu/physical_access.ts";
import { casesFrom, Prng, seedFrom } from "./prng.ts";
import {
  CODE_BYTES,
  coveredOps,
  DATA_END,
  DATA_START,
  RandomIsa,
  STATE_BYTES,
} from "./random_isa.ts";

const RAM = DATA_END;

/** One executor with a random program. */
class Subject {
  readonly isa: RandomIsa;
  readonly engine: Engine;
  readonly ram: Uint8Array;
  ioHash = 0;
  /** Whether what is written to a device makes it interrupt, at times. */
  interrupts = false;

  constructor(
    readonly title: string,
    accel: "jit" | "interp",
    threshold: number,
    fold: boolean,
    maxInsns?: number,
    flat = false,
    lookups: 0 | 1 | 2 = 0,
    wide = false,
  ) {
    const memory = new GuestMemory({ guestBytes: RAM, arenaBytes: 2 << 20 });
    const host = memory.alloc(RAM);
    const space: PhysicalSpace = {
      lookupPage: (page) =>
        page < CODE_BYTES >> 12 || page >= DATA_START >> 12 && page < RAM >> 12
          ? { kind: "ram", hostOffset: host + page * 4096, writable: true }
          : { kind: "io", hostOffset: 0, writable: false },
      ramRuns: () => [
        { page: 0, pages: CODE_BYTES >> 12 },
        { page: DATA_START >> 12, pages: (RAM - DATA_START) >> 12 },
      ],
      read: (address, width) => {
        this.#note(address, width);
        return Math.imul(address, 0x1234567) >>> (32 - 8 * width);
      },
      write: (address, width, value) => {
        this.#note(address ^ value, width);
        if (this.interrupts && (this.ioHash & 3) === 0) {
          this.engine.setIrq(true);
        }
      },
    };
    this.isa = new RandomIsa({ fold, flat, wide });
    this.engine = new Engine(this.isa, {
      memory,
      space,
      accel,
      threshold,
      maxInsns,
      lookups,
      exact: true,
    });
    this.ram = memory.u8.subarray(host, host + RAM);
  }

  #note(a: number, b: number): void {
    this.ioHash = Math.imul(this.ioHash ^ a, 0x01000193) + b | 0;
  }

  load(seed: number): void {
    this.engine.reset();
    this.ioHash = 0;
    const p = new Prng(seed);
    for (let i = 0; i < CODE_BYTES; i++) this.ram[i] = p.below(256);
    // Loops come from branches back; make them short programs at times.
    for (let i = DATA_START; i < DATA_END; i++) {
      this.ram[i] = p.oneIn(3) ? p.below(256) : 0;
    }
    const e = this.engine;
    for (let i = 0; i < STATE_BYTES; i += 4) {
      e.i32[(e.base + 0x100 + i) >> 2] = p.oneIn(3)
        ? p.below(5)
        : p.u32() & ~0x40000000;
    }
    this.isa.setPc(p.below(CODE_BYTES / 4) * 4, 0);
  }

  /** What can be seen now; with `all`, also every global. */
  state(all: boolean): Record<string, unknown> {
    const e = this.engine;
    const globals: Record<string, string> = {};
    for (const g of all ? this.isa.globals : []) {
      const size = [4, 8, 4, 8, 16][g.type];
      const at = e.base + g.offset;
      globals[g.name] = Array.from(e.u8.subarray(at, at + size))
        .reverse().map((x) => x.toString(16).padStart(2, "0")).join("");
    }
    let ram = 0;
    for (const x of this.ram) ram = Math.imul(ram ^ x, 0x01000193) | 0;
    return {
      instructions: e.instructions,
      pc: this.isa.pcLo(),
      key: this.isa.key(),
      events: this.isa.events,
      eventHash: this.isa.eventHash,
      io: this.ioHash,
      globals,
      ram,
    };
  }
}

Deno.test("every operation of the table is in the random IR", () => {
  const covered = coveredOps();
  assertEquals(
    OPS.filter((o) =>
      !covered.has(o.name) && (o.effects & (SPECIAL | CALLS)) === 0
    ).map((o) => o.name),
    [],
  );
});

/** Seeds that have found something. */
const ONCE_FAILED = [20028];

/** Runs one program in all executors, in steps, and compares after each. */
function compare(
  seed: number,
  subjects: readonly Subject[],
  steps: number,
): void {
  for (const s of subjects) s.load(seed);
  const p = new Prng(seed ^ 0x1234567);
  for (let step = 0; step < steps; step++) {
    const budget = p.oneIn(4) ? 1 + p.below(20) : 200 + p.below(1500);
    const irq = p.oneIn(3);
    const [first, ...others] = subjects.map((s) => {
      const exit = s.engine.run(budget);
      const state: Record<string, unknown> = {
        exit,
        ...s.state(exit === "halted"),
      };
      if (exit === "halted" || irq) s.engine.setIrq(true);
      return state;
    });
    others.forEach((state, i) => {
      assertEquals(
        state,
        first,
        `seed ${seed}, step ${step}: ${subjects[i + 1].title} differs from ${
          subjects[0].title
        }`,
      );
    });
  }
}

Deno.test("random IR: interpreter, compiler and plain translation agree", () => {
  const seed = seedFrom(1);
  const programs = casesFrom(25);
  const subjects = [
    new Subject("interp", "interp", 1, true),
    new Subject("jit, threshold 1", "jit", 1, true),
    new Subject("jit, threshold 5", "jit", 5, true),
    new Subject(
      "interp without folding, one instruction a block",
      "interp",
      1,
      false,
      1,
    ),
    new Subject("jit without folding", "jit", 3, false),
    ...([0, 1, 2] as const).flatMap((lookups) => [
      new Subject(
        `jit, flat, lookups ${lookups}`,
        "jit",
        1 + lookups,
        true,
        undefined,
        true,
        lookups,
      ),
      new Subject(
        `jit, lookups ${lookups}`,
        "jit",
        1,
        lookups < 2,
        undefined,
        false,
        lookups,
      ),
    ]),
  ];
  const seeds = Array.from({ length: programs }, (_, i) => seed + i);
  for (const s of [...ONCE_FAILED, ...seeds]) compare(s, subjects, 16);
});

Deno.test("random IR at addresses of 64 bits: interpreter, compiler and plain translation agree", () => {
  const subject = (
    accel: "interp" | "jit",
    threshold: number,
    fold: boolean,
    lookups: 0 | 1 | 2 = 0,
    maxInsns?: number,
  ): Subject => {
    const title = `${accel}, fold ${fold}, lookups ${lookups}`;
    return new Subject(
      title,
      accel,
      threshold,
      fold,
      maxInsns,
      false,
      lookups,
      true,
    );
  };
  const subjects = [
    subject("interp", 1, true),
    subject("interp", 1, false, 0, 1),
    subject("jit", 1, true),
    subject("jit", 5, true),
    subject("jit", 3, false),
    subject("jit", 1, true, 1),
    subject("jit", 1, false, 2),
  ];
  const seed = seedFrom(2000);
  for (let i = casesFrom(25); i > 0; i--) compare(seed + i, subjects, 16);
});

Deno.test("random IR: a device that interrupts does so after the same instruction in interpreter and compiler", () => {
  const subjects = [
    new Subject("interp", "interp", 1, true),
    ...([0, 1, 2] as const).flatMap((lookups) =>
      [false, true].map((flat) =>
        new Subject(
          `jit, flat ${flat}, lookups ${lookups}`,
          "jit",
          1 + lookups,
          true,
          undefined,
          flat,
          lookups,
        )
      )
    ),
  ];
  for (const s of subjects) s.interrupts = true;
  const seed = seedFrom(1000);
  for (let i = casesFrom(15); i > 0; i--) compare(seed + i, subjects, 16);
});
