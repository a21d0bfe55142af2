import { assert, assertEquals } from "@std/assert";
import { Bench } from "../system/bench.ts";

const AT = 0x100000;

/** A flat 32-bit machine with code at {@linkcode AT}. */
function machine(
  accel: "jit" | "interp",
  start: number,
  ...code: number[]
): Bench {
  const bench = new Bench({ accel, threshold: 40 });
  bench.engine.reset();
  bench.memory.u8.set(code, bench.ram + start);
  const state: Record<string, number> = { cr0: 0x11, eflags: 2 };
  for (const s of ["cs", "ds", "es", "fs", "gs", "ss"]) {
    state[`${s}.selector`] = s === "cs" ? 8 : 0x10;
    state[`${s}.base`] = 0;
    state[`${s}.limit`] = -1;
    state[`${s}.flags`] = s === "cs" ? 0xc09b : 0xc093;
  }
  bench.engine.enter({ ...state, eip: start });
  return bench;
}

for (const accel of ["interp", "jit"] as const) {
  Deno.test(`regions, ${accel}: a branch that is known not to be taken leaves by its other side`, () => {
    // The jump to the block across two pages is never part of a region.
    // deno-fmt-ignore
    const { cpu, engine } = machine(accel, AT + 0xff0,
      0xf4, 0x90, 0x90, 0x90, 0x90, // ff0: hlt
      0x41, // ff5: inc ecx
      0x09, 0xc0, // or eax, eax: clears CF
      0xeb, 0x00, // jmp ffa
      0x72, 0xf4, // ffa: jb ff0
      0xbb, 1, 2, 3, 4, // ffc: mov ebx, 0x04030201
      0x81, 0xf9, 0xe8, 0x03, 0x00, 0x00, // 1001: cmp ecx, 1000
      0x75, 0xec, // jne ff5
      0xf4,
    );
    cpu.eip = AT + 0xff5;
    assertEquals(engine.run(1_000_000), "dead");
    assertEquals(cpu.reg32(1), 1000);
    assertEquals(cpu.eip, AT + 0x100a);
  });

  Deno.test(`regions, ${accel}: flags survive the end of a slice between two branches on them`, () => {
    // deno-fmt-ignore
    const { cpu, engine } = machine(accel, AT,
      0x40, 0x83, 0xe0, 0x07, // 0: inc eax; and eax, 7
      0x39, 0xd8, // cmp eax, ebx
      0x74, 0x0c, // je 20
      0x72, 0x05, // 8: jb 15
      0x83, 0xc1, 0x01, // 10: add ecx, 1
      0xeb, 0x0a, // jmp 25
      0x83, 0xc7, 0x01, // 15: add edi, 1
      0xeb, 0x05, // jmp 25
      0x83, 0xc5, 0x01, // 20: add ebp, 1
      0xeb, 0x00, // jmp 25
      0x4e, // 25: dec esi
      0x75, 0xe4, // jnz 0
      0xf4,
    );
    cpu.setReg32(3, 3);
    cpu.setReg32(6, 8000);
    for (let budget = 40; engine.run(budget) !== "dead";) {
      budget = 40 + (budget * 7 + 3) % 31;
    }
    assertEquals([cpu.reg32(1), cpu.reg32(7), cpu.reg32(5)], [
      4000,
      3000,
      1000,
    ]);
  });

  Deno.test(`regions, ${accel}: flags survive the end of a slice before a loop's head`, () => {
    // deno-fmt-ignore
    const { cpu, engine } = machine(accel, AT,
      0x72, 0x05, // 0: jb 7
      0x83, 0xc1, 0x01, // 2: add ecx, 1
      0xeb, 0x05, // jmp 12
      0x83, 0xc7, 0x01, // 7: add edi, 1
      0xeb, 0x00, // jmp 12
      0x40, 0x83, 0xe0, 0x07, // 12: inc eax; and eax, 7
      0x4e, 0x74, 0x04, // dec esi; jz 23
      0x39, 0xd8, // 19: cmp eax, ebx
      0xeb, 0xe9, // jmp 0
      0xf4,
    );
    cpu.setReg32(3, 3);
    cpu.setReg32(6, 8000);
    for (let budget = 40; engine.run(budget) !== "dead";) {
      budget = 40 + (budget * 7 + 3) % 31;
    }
    assertEquals([cpu.reg32(1), cpu.reg32(7)], [5001, 2999]);
  });

  Deno.test(`regions, ${accel}: INVLPG forgets all of a large page`, () => {
    // deno-fmt-ignore
    const { cpu, engine, memory, ram } = machine(accel, AT,
      0xb8, 0x10, 0, 0, 0, 0x0f, 0x22, 0xe0, // CR4 = PSE
      0xb8, 0, 0, 0x20, 0, 0x0f, 0x22, 0xd8, // CR3 = 0x200000
      0x0f, 0x20, 0xc0, 0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0, // CR0 |= PG
      0x8b, 0x15, 0, 0x10, 0x40, 0, // mov edx, [0x401000]
      0xc7, 0x05, 4, 0, 0x20, 0, 0x83, 0, 0x80, 0, // PDE 1 = 0x800083
      0x0f, 0x01, 0x3d, 0, 0, 0x40, 0, // invlpg [0x400000]
      0x8b, 0x1d, 0, 0x10, 0x40, 0, // mov ebx, [0x401000]
      0xf4,
    );
    memory.view.setInt32(ram + 0x200000, 0x83, true);
    memory.view.setInt32(ram + 0x200004, 0x400083, true);
    memory.view.setInt32(ram + 0x401000, 4, true);
    memory.view.setInt32(ram + 0x801000, 8, true);
    assertEquals(engine.run(1_000_000), "dead");
    assertEquals([cpu.reg32(2), cpu.reg32(3)], [4, 8]);
  });

  Deno.test(`regions, ${accel}: an interrupt shadow outlives the end of a budget`, () => {
    // A page ends behind STI, so that the shadow is one across blocks.
    // deno-fmt-ignore
    const { cpu, engine } = machine(accel, AT + 0xffe,
      0x90, 0xfb, // nop; sti
      0x40, // inc eax
      0xf4,
    );
    engine.setIrq(true);
    assertEquals(engine.run(2), "budget");
    assertEquals(cpu.eip, AT + 0x1000);
    // INC is in the shadow; the interrupt comes behind it (and, without an
    // interrupt table, ends in a shutdown).
    assertEquals(engine.run(100), "shutdown");
    assertEquals(cpu.reg32(0), 1);
  });
}

/** Runs a machine to its end; for each region its blocks' distances from {@linkcode AT}, the entry's first. */
function regionsOf({ engine }: Bench): number[][] {
  const regions: number[][] = [];
  engine.observe({
    block() {},
    region: ({ blocks }) =>
      void regions.push(blocks.map((b) => b.physical - AT)),
    regionDied() {},
  });
  assertEquals(engine.run(1_000_000), "dead");
  return regions;
}

Deno.test("regions: a small procedure is part of each loop that calls it", () => {
  // The procedure is hot first, and a region with the first loop starts with it.
  // deno-fmt-ignore
  const bench = machine("jit", AT,
    0xe8, 0xfb, 0, 0, 0, // 0: call 100
    0xe8, 0xf6, 0, 0, 0, // 5: call 100
    0x49, 0x75, 0xf3, // a: dec ecx; jnz 0
    0xe9, 0xee, 1, 0, 0, // d: jmp 200
  );
  const { cpu, memory, ram } = bench;
  memory.u8.set([0x43, 0xc3], ram + AT + 0x100); // inc ebx; ret
  // deno-fmt-ignore
  memory.u8.set([
    0xe8, 0xfb, 0xfe, 0xff, 0xff, // 200: call 100
    0x4a, 0x75, 0xf8, // dec edx; jnz 200
    0xf4,
  ], ram + AT + 0x200);
  cpu.setReg32(4, AT + 0x8000);
  cpu.setReg32(1, 100);
  cpu.setReg32(2, 100);
  const regions = regionsOf(bench);
  assertEquals(cpu.reg32(3), 300);
  const first = regions.find((blocks) => blocks[0] === 0x100)!;
  assert(first.length > 2, `${first}`);
  assertEquals(regions.find((blocks) => blocks[0] === 0x200), [
    ...[0x200, 0x100, 0x205],
  ]);
});

Deno.test("regions: a procedure that a region calls returns to its calls alone", () => {
  // deno-fmt-ignore
  const bench = machine("jit", AT,
    0x85, 0xc0, 0x74, 0x05, // 0: test eax, eax; jz 9
    0xe8, 0xf7, 0, 0, 0, // 4: call 100
    0x49, 0x75, 0xf4, // 9: dec ecx; jnz 0
    0xff, 0xe5, // jmp ebp
  );
  const { cpu, memory, ram } = bench;
  memory.u8.set([0x43, 0xc3], ram + AT + 0x100); // inc ebx; ret
  // deno-fmt-ignore
  memory.u8.set([
    0xe8, 0xfb, 0xfe, 0xff, 0xff, // 200: call 100
    0x46, 0x4a, 0x75, 0xf7, // 205: inc esi; dec edx; jnz 200
    0xb9, 40, 0, 0, 0, // mov ecx, 40
    0x40, 0x81, 0xc5, 0, 1, 0, 0, // inc eax; add ebp, 100h
    0xe9, 0xe6, 0xfd, 0xff, 0xff, // jmp 0
  ], ram + AT + 0x200);
  memory.u8[ram + AT + 0x300] = 0xf4;
  cpu.setReg32(4, AT + 0x8000);
  // 30 executions of the loop's head, then 20 of the other loop, whose returns
  // are still among the last ones when the head is hot.
  cpu.setReg32(1, 30);
  cpu.setReg32(2, 20);
  cpu.setReg32(5, AT + 0x200);
  const regions = regionsOf(bench);
  assertEquals([cpu.reg32(3), cpu.reg32(6)], [60, 20]);
  const loop = regions.find((blocks) => blocks[0] === 0)!;
  assertEquals(new Set(loop), new Set([0, 4, 9, 0x100]));
});
