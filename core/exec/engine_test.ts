import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type Access,
  PERM_EXECUTE,
  PERM_GLOBAL,
  PERM_READ,
  PERM_WRITE,
} from "../cpu/frontend.ts";
import { GuestMemory } from "../machine/memory.ts";
import type { PhysicalSpace } from "../mmu/physical_access.ts";
import { StateError } from "../state/state.ts";
import { Engine } from "./engine.ts";
import type { EngineOptions } from "./engine_options.ts";
import { TOY, ToyFrontend } from "./testing/toy_frontend.ts";

const RAM = 1 << 20;

/** A toy machine with RAM at 0 and a device above it that remembers writes. */
function machine(
  accel: "jit" | "interp",
  threshold: number,
  more: Partial<EngineOptions> = {},
  below = 0,
  cpu: ToyFrontend = new ToyFrontend(),
): {
  cpu: ToyFrontend;
  engine: Engine;
  ram: DataView;
  io: [number, number, number][];
  onRead: (f: (address: number) => number) => void;
  onWrite: (f: () => void) => void;
} {
  let read = (address: number, width: number): number =>
    (address + width) & 0xff;
  let written = (): void => {};
  const memory = new GuestMemory({
    guestBytes: RAM + below,
    arenaBytes: 4 << 20,
  });
  memory.alloc(below);
  const host = memory.alloc(RAM);
  const io: [number, number, number][] = [];
  const space: PhysicalSpace = {
    lookupPage: (page) =>
      page < RAM >> 12
        ? { kind: "ram", hostOffset: host + page * 4096, writable: true }
        : { kind: "io", hostOffset: 0, writable: false },
    ramRuns: () => [{ page: 0, pages: RAM >> 12 }],
    read: (address, width) => read(address, width),
    write: (address, width, value) => {
      io.push([address, width, value]);
      written();
    },
  };
  cpu.limit = 0x200000;
  const engine = new Engine(cpu, { memory, space, accel, threshold, ...more });
  engine.reset();
  return {
    cpu,
    engine,
    ram: new DataView(memory.memory.buffer, host, RAM),
    io,
    onRead: (f) => read = f,
    onWrite: (f) => written = f,
  };
}

function code(...insns: [number, number, number, number][]): Uint8Array {
  return Uint8Array.from(insns.flat().map((v) => v & 0xff));
}

function load(ram: DataView, at: number, bytes: Uint8Array): void {
  bytes.forEach((b, i) => ram.setUint8(at + i, b));
}

Deno.test("engine, jit: a region without a loop is compiled once it has done enough", () => {
  /** Regions after so many passes through a block of `insns` instructions and a jump, to itself or on. */
  const regionsAfter = (
    insns: number,
    loop: boolean,
    ...passes: number[]
  ): number[] => {
    const { cpu, engine, ram } = machine("jit", 200);
    const body = Array.from(
      { length: insns - 1 },
      (): [number, number, number, number] => [TOY.add, 3, 3, 1],
    );
    load(
      ram,
      0,
      code(
        ...body,
        [TOY.bne, 1, 2, loop ? 1 - insns : 1],
        [TOY.halt, 0, 0, 0],
      ),
    );
    cpu.setReg(2, 1);
    return passes.map((n) => {
      for (; n > 0; n--) {
        if (!loop) cpu.setPc(0, 0);
        engine.run(insns);
      }
      return engine.stats().regions;
    });
  };
  // 60 times the threshold is asked for; a pass is 7 instructions, and 3 for the block.
  assertEquals(regionsAfter(7, false, 1190, 20), [0, 1]);
  // What is hot has done so much already.
  assertEquals(regionsAfter(100, false, 190, 20), [0, 1]);
  assertEquals(regionsAfter(7, true, 190, 20), [0, 1]);
});

Deno.test("engine, jit: a block that is executed seldom is compiled later", () => {
  /** Executions after which a block is compiled that is executed once in so many instructions. */
  const executionsUntilHot = (pace: number): number => {
    const { cpu, engine, ram } = machine("jit", 0, { threshold: undefined });
    const insns = 64;
    const body = Array.from(
      { length: insns - 1 },
      (): [number, number, number, number] => [TOY.add, 3, 3, 1],
    );
    load(ram, 0, code(...body, [TOY.bne, 1, 2, 1]));
    const loop = 0x1000;
    load(ram, loop, code([TOY.add, 3, 3, 1], [TOY.bne, 1, 2, -1]));
    cpu.setReg(2, 1);
    cpu.setPc(loop, 0);
    engine.run(10_000);
    const before = engine.stats().regions;
    for (let n = 0; n < 10_000; n += 10) {
      for (let i = 0; i < 10; i++) {
        cpu.setPc(0, 0);
        engine.run(insns);
      }
      if (engine.stats().regions > before) return n + 10;
      cpu.setPc(loop, 0);
      engine.run((pace - insns) * 10);
    }
    return Infinity;
  };
  assertEquals(executionsUntilHot(1_000), 1_500);
  assertEquals(executionsUntilHot(16_000), 1_500);
  assertEquals(executionsUntilHot(18_000), 6_000);
});

const MODES = [["interp", 1], ["jit", 1], ["jit", 3]] as const;
for (const [accel, threshold] of MODES) {
  const title = `engine, ${accel} with threshold ${threshold}`;

  Deno.test(`${title}: a loop counts, and so does the engine`, () => {
    const { cpu, engine, ram } = machine(accel, threshold);
    load(
      ram,
      0,
      code(
        [TOY.li, 1, 0, 0],
        [TOY.li, 2, 100, 0],
        [TOY.addi, 1, 1, 1], // 8
        [TOY.add, 3, 3, 1],
        [TOY.bne, 1, 2, -2],
        [TOY.halt, 0, 0, 0],
      ),
    );
    assertEquals(engine.run(1 << 20), "dead");
    assertEquals([cpu.reg(1), cpu.reg(3)], [100, 5050]);
    assertEquals(engine.instructions, 2 + 300 + 1);
  });

  Deno.test(`${title}: a budget ends a run, and the next goes on`, () => {
    const { cpu, engine, ram } = machine(accel, threshold);
    load(
      ram,
      0,
      code([TOY.addi, 1, 1, 1], [TOY.bne, 1, 2, -1], [TOY.halt, 0, 0, 0]),
    );
    cpu.setReg(2, 5000);
    let runs = 0;
    while (engine.run(100) === "budget") runs++;
    assertEquals(runs, 100);
    assertEquals(engine.instructions, 10001);
  });

  Deno.test(`${title}: faults and traps are precise`, () => {
    const { cpu, engine, ram } = machine(accel, threshold);
    load(
      ram,
      0,
      code(
        [TOY.addi, 1, 1, 1],
        [TOY.add, 4, 1, 1],
        [TOY.lw, 5, 6, 0], // 8: faults, r6 is out of memory
        [TOY.addi, 4, 4, 1],
        [TOY.trapz, 7, 0, 0], // 16
        [TOY.addi, 3, 3, 1],
        [TOY.bne, 1, 2, -6],
        [TOY.halt, 0, 0, 0],
      ),
    );
    cpu.setReg(2, 20);
    cpu.setReg(6, 0x300000);
    cpu.setReg(5, 77);
    assertEquals(engine.run(1 << 20), "dead");
    assertEquals(cpu.events.length, 40);
    assertEquals(cpu.events[38], [8, "fault 300000"]);
    assertEquals(cpu.events[39], [16, "trap 7"]);
    assertEquals([cpu.reg(1), cpu.reg(3), cpu.reg(4), cpu.reg(5)], [
      20,
      20,
      41,
      77,
    ]);
  });

  Deno.test(`${title}: device memory, accesses across pages`, () => {
    const { cpu, engine, ram, io } = machine(accel, threshold);
    load(
      ram,
      0,
      code(
        [TOY.addi, 1, 1, 1],
        [TOY.sw, 1, 6, 4],
        [TOY.sb, 1, 6, 1],
        [TOY.lw, 5, 6, 8],
        [TOY.sw, 1, 8, -2],
        [TOY.lw, 9, 8, -2],
        [TOY.bne, 1, 2, -6],
        [TOY.halt, 0, 0, 0],
      ),
    );
    cpu.setReg(2, 10);
    cpu.setReg(6, 0x100000);
    cpu.setReg(8, 0x5000);
    engine.run(1 << 20);
    assertEquals(io.length, 20);
    assertEquals(io[18], [0x100004, 4, 10]);
    assertEquals(io[19], [0x100001, 1, 10]);
    assertEquals(cpu.reg(5), 12);
    assertEquals(cpu.reg(9), 10);
    assertEquals(ram.getInt32(0x4ffe, true), 10);
  });

  Deno.test(`${title}: a program that changes its next instruction`, () => {
    const { cpu, engine, ram } = machine(accel, threshold);
    load(
      ram,
      0,
      code(
        [TOY.addi, 1, 1, 1],
        [TOY.sb, 1, 6, 11], // changes the immediate at 11
        [TOY.addi, 3, 0, 99], // 8
        [TOY.add, 4, 4, 3],
        [TOY.bne, 1, 2, -4],
        [TOY.halt, 0, 0, 0],
      ),
    );
    cpu.setReg(2, 50);
    assertEquals(engine.run(1 << 20), "dead");
    assertEquals(cpu.reg(4), 1275);
    assertEquals(engine.instructions, 50 * 5 + 1);
  });

  Deno.test(`${title}: indirect calls, helpers and interrupts`, () => {
    const { cpu, engine, ram } = machine(accel, threshold);
    load(
      ram,
      0,
      code(
        [TOY.addi, 1, 1, 1],
        [TOY.jalr, 14, 7, 0],
        [TOY.bne, 1, 2, -2],
        [TOY.halt, 0, 0, 0],
      ),
    );
    load(
      ram,
      0x2000,
      code([TOY.triple, 5, 1, 0], [TOY.add, 4, 4, 5], [TOY.jalr, 13, 14, 0]),
    );
    cpu.setReg(2, 200);
    cpu.setReg(7, 0x2000);
    engine.run(300);
    engine.setIrq(true);
    assertEquals(engine.run(1 << 20), "dead");
    assertEquals(cpu.reg(4), 3 * 200 * 201 / 2);
    assertEquals(cpu.events.length, 1);
    assert(engine.instructions === 200 * 6 + 1);
  });

  Deno.test(`${title}: a fault soon after code changed itself is precise`, () => {
    const { cpu, engine, ram } = machine(accel, threshold);
    load(
      ram,
      0,
      code(
        [TOY.addi, 1, 1, 1],
        [TOY.addi, 9, 9, 1], // 4
        [TOY.sb, 1, 6, 7], // 8: changes the immediate at 7
        [TOY.lw, 5, 7, 0], // 12: faults
        [TOY.bne, 1, 2, -4],
        [TOY.halt, 0, 0, 0],
      ),
    );
    cpu.setReg(2, 50);
    cpu.setReg(7, 0x300000);
    assertEquals(engine.run(1 << 20), "dead");
    assertEquals(
      cpu.events,
      Array.from({ length: 50 }, () => [12, "fault 300000"]),
    );
    // The faulting instruction does not count.
    assertEquals(engine.instructions, 50 * 4 + 1);
  });

  Deno.test(`${title}: code that a device changes is not run any more`, () => {
    const { cpu, engine, ram, onWrite } = machine(accel, threshold);
    load(
      ram,
      0,
      code(
        [TOY.addi, 1, 1, 1],
        [TOY.bne, 1, 0, 1], // a block of its own
        [TOY.addi, 3, 3, 1], // 8: made `addi 3, 3, 2` by the device
        [TOY.bne, 1, 2, 2],
        [TOY.halt, 0, 0, 0],
        [TOY.bne, 1, 4, -5], // 20
        [TOY.sw, 1, 6, 0], // 24: tells the device
        [TOY.bne, 1, 2, -7],
        [TOY.halt, 0, 0, 0],
      ),
    );
    onWrite(() => {
      ram.setUint8(11, 2);
      engine.invalidate(11, 1);
    });
    cpu.setReg(2, 2000);
    cpu.setReg(4, 1000);
    cpu.setReg(6, 0x100000);
    assertEquals(engine.run(1 << 20), "dead");
    assertEquals(cpu.reg(3), 1000 + 2 * 1000);
  });

  Deno.test(`${title}: a guest that only faults cannot keep the host`, () => {
    const { cpu, engine } = machine(accel, threshold);
    cpu.deliver = () => true; // the handler faults as well
    cpu.setPc(0x300000, 0);
    assertEquals(engine.run(1 << 20), "budget");
    assertEquals(engine.instructions, 0);
  });

  Deno.test(`${title}: code in a device is read each time`, () => {
    const { cpu, engine, ram, io, onRead, onWrite } = machine(accel, threshold);
    load(ram, 0, code([TOY.jalr, 14, 7, 0]));
    const device = code(
      [TOY.addi, 1, 1, 1],
      [TOY.addi, 3, 3, 1], // 4: becomes `addi 3, 3, 3`
      [TOY.sw, 1, 6, 0],
      [TOY.bne, 1, 2, -3],
      [TOY.halt, 0, 0, 0],
    );
    onRead((address) => device[address - 0x100000] ?? 0);
    cpu.setReg(2, 20);
    cpu.setReg(6, 0x100800);
    cpu.setReg(7, 0x100000);
    onWrite(() => {
      if (io.length === 10) device[7] = 3;
    });
    assertEquals(engine.run(1 << 20), "dead");
    assertEquals(io.length, 20);
    assertEquals(cpu.reg(3), 10 * 1 + 10 * 3);
  });

  Deno.test(`${title}: a saved CPU that has halted is halted when loaded`, () => {
    const program = code(
      [TOY.addi, 1, 1, 1],
      [TOY.halt, 0, 0, 0],
      [TOY.halt, 0, 0, 0],
    );
    const first = machine(accel, threshold);
    load(first.ram, 0, program);
    const running = first.engine.save();
    assertEquals(first.engine.run(100), "dead");
    const halted = first.engine.save();
    assertEquals([running.halted, halted.halted], [false, true]);

    const { cpu, engine, ram } = machine(accel, threshold);
    load(ram, 0, program);
    engine.load(halted);
    assertEquals(engine.save(), halted);
    assertEquals(
      [engine.run(100), engine.instructions],
      ["dead", halted.instructions as number],
    );
    cpu.irq = true;
    assertEquals([engine.run(100), cpu.events.length], ["dead", 1]);
    engine.load(running);
    cpu.setPc(0, 0);
    engine.run(100);
    assertEquals(cpu.reg(1), 2);
    const { halted: _, ...without } = halted;
    assertThrows(() => engine.load(without), StateError, "cpu.halted");
  });

  Deno.test(`${title}: any budget makes progress`, () => {
    const { cpu, engine, ram } = machine(accel, threshold);
    load(
      ram,
      0,
      code(
        [TOY.addi, 1, 1, 1],
        [TOY.add, 3, 3, 1],
        [TOY.add, 3, 3, 1],
        [TOY.bne, 1, 2, -3],
        [TOY.halt, 0, 0, 0],
      ),
    );
    cpu.setReg(2, 10);
    let runs = 0;
    while (engine.run(1) === "budget" && runs < 1000) runs++;
    assertEquals(cpu.reg(1), 10);
    assertEquals(engine.instructions, 41);
  });
}

Deno.test("engine, jit: a region that lost a block is compiled again", () => {
  const { cpu, engine, ram } = machine("jit", 3);
  load(
    ram,
    0,
    code(
      [TOY.addi, 1, 1, 1],
      [TOY.bne, 1, 4, -1],
      [TOY.addi, 3, 3, 1], // 8: runs once
      [TOY.bne, 1, 2, -3],
      [TOY.halt, 0, 0, 0],
    ),
  );
  cpu.setReg(2, 1 << 20);
  cpu.setReg(4, 2);
  engine.run(10_000);
  const compiled = (): boolean =>
    engine.cache.find(0, 0, 0, 0)?.region !== undefined;
  assert(compiled());
  ram.setUint8(11, 2);
  engine.invalidate(11, 1);
  assert(!compiled());
  engine.run(10_000);
  assert(compiled());
});

Deno.test("engine, jit: no more regions live than the limit", () => {
  const { cpu, engine, ram } = machine("jit", 1, { maxRegions: 8 });
  // 64 loops, each on a page of its own, that go round twice.
  for (let i = 0; i < 64; i++) {
    load(
      ram,
      i * 4096,
      code(
        [TOY.addi, 1, 1, 1],
        [TOY.bne, 1, 2, -1],
        [TOY.addi, 1, 0, 0],
        [TOY.jalr, 13, 14, 0],
      ),
    );
  }
  cpu.setReg(2, 2);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 64; i++) {
      cpu.setPc(i * 4096, 0);
      cpu.setReg(14, ((i + 1) % 64) * 4096);
      assertEquals(engine.run(6), "budget");
    }
  }
  assertEquals(engine.instructions, 3 * 64 * 6);
  assert(engine.stats().arenaFlushes >= 3 * 64 / 8 - 1);
});

Deno.test("engine: guest memory beyond 2 GiB of the shared memory", () => {
  const { cpu, engine, ram } = machine("jit", 3, {}, 2 ** 31);
  load(
    ram,
    0,
    code(
      [TOY.addi, 1, 1, 1],
      [TOY.sb, 1, 6, 15], // 4: changes the immediate at 15
      [TOY.sw, 1, 8, -2], // across two pages
      [TOY.addi, 3, 0, 99], // 12
      [TOY.lw, 9, 8, -2],
      [TOY.add, 4, 4, 3],
      [TOY.bne, 1, 2, -6],
      [TOY.halt, 0, 0, 0],
    ),
  );
  cpu.setReg(2, 50);
  cpu.setReg(8, 0x5000);
  assertEquals(engine.run(1 << 20), "dead");
  assertEquals([cpu.reg(4), cpu.reg(9)], [1275, 50]);
  assertEquals(ram.getInt32(0x4ffe, true), 50);
});

for (const [accel, threshold] of MODES) {
  Deno.test(`engine, ${accel} with threshold ${threshold}: a page that was written before it had code is watched when it has`, () => {
    const { cpu, engine, ram } = machine(accel, threshold);
    load(
      ram,
      0,
      code(
        [TOY.addi, 1, 1, 1],
        [TOY.sb, 1, 6, 3], // the immediate of the procedure
        [TOY.jalr, 14, 6, 0],
        [TOY.sb, 1, 6, 7], // and of its second instruction
        [TOY.jalr, 14, 6, 0],
        [TOY.bne, 1, 2, -5],
        [TOY.halt, 0, 0, 0],
      ),
    );
    load(
      ram,
      0x2000,
      code([TOY.addi, 3, 3, 0], [TOY.addi, 4, 4, 0], [TOY.jalr, 13, 14, 0]),
    );
    cpu.setReg(2, 100);
    cpu.setReg(6, 0x2000);
    assertEquals(engine.run(1 << 20), "dead");
    const sum = 100 * 101 / 2;
    assertEquals([cpu.reg(3), cpu.reg(4)], [2 * sum, 2 * sum - 100]);
  });
}

/** The toy with pages and modes: mode n fetches through TLB n modulo 2. */
class PagedToy extends ToyFrontend {
  mode = 0;
  /** Physical page and whether it is global, of linear pages that are not as they are. */
  readonly map = new Map<number, [number, boolean]>();

  override key(): number {
    return this.mode;
  }
  override fetchMmu(): number {
    return this.mode & 1;
  }
  override walk(
    address: number,
    access: Access,
    mmu: number,
    probe: boolean,
  ): boolean {
    if (!super.walk(address, access, mmu, probe)) return false;
    const page = address >>> 12;
    const [physical, isGlobal] = this.map.get(page) ?? [page, true];
    this.pageWalk.physical = physical * 4096;
    this.pageWalk.permissions = PERM_READ | PERM_WRITE | PERM_EXECUTE |
      (isGlobal ? PERM_GLOBAL : 0);
    return true;
  }
}

/**
 * A loop on page 0 that calls a procedure at 0x2000. Physical pages 2 to 5 have
 * one each, which adds its page's number to r3.
 */
function paged(
  accel: "jit" | "interp",
  threshold: number,
  more: Partial<EngineOptions> = {},
): { cpu: PagedToy; engine: Engine; go: () => number } {
  const cpu = new PagedToy();
  const { engine, ram } = machine(accel, threshold, more, 0, cpu);
  load(
    ram,
    0,
    code(
      [TOY.addi, 1, 1, 1],
      [TOY.jalr, 14, 7, 0],
      [TOY.bne, 1, 2, -2],
      [TOY.halt, 0, 0, 0],
    ),
  );
  for (let page = 2; page <= 5; page++) {
    load(
      ram,
      page * 4096,
      code([TOY.addi, 3, 3, page], [TOY.jalr, 13, 14, 0]),
    );
  }
  cpu.setReg(7, 0x2000);
  cpu.setReg(2, -1);
  /** Three times round: what r3 grew by. */
  const go = (): number => {
    const before = cpu.reg(3);
    assertEquals(engine.run(15), "budget");
    assertEquals(cpu.pcLo(), 0);
    return cpu.reg(3) - before;
  };
  return { cpu, engine, go };
}

for (const [accel, threshold] of MODES) {
  const title = `engine, ${accel} with threshold ${threshold}`;

  Deno.test(`${title}: tags of the jump cache that start again mean nothing of what they meant`, () => {
    for (const maxJumpTags of [1, 2, 3, 5, 8]) {
      const { cpu, engine, go } = paged(accel, threshold, { maxJumpTags });
      for (let i = 0; i < 60; i++) {
        const page = 2 + (i * 7 >> 1) % 4;
        cpu.map.set(2, [page, false]);
        if (i % 3 === 0) engine.mmu.flush(false);
        else if (i % 3 === 1) engine.mmu.flush(true);
        else engine.mmu.flushPage(0x2000);
        cpu.mode = i * 5 % 7;
        engine.keyChanged();
        assertEquals(go(), 3 * page, `${maxJumpTags} tags, round ${i}`);
        cpu.mode = i % 4;
        engine.keyChanged();
        assertEquals(go(), 3 * page, `${maxJumpTags} tags, round ${i}`);
      }
    }
  });

  Deno.test(`${title}: jumps on global pages survive a flush of the others, each mode's by its own TLB`, () => {
    const { cpu, engine, go } = paged(accel, threshold);
    const set = (mode: number): void => {
      cpu.mode = mode;
      engine.keyChanged();
    };
    /** Trips to the dispatcher for jumps in three rounds. */
    const trips = (expected: number): number => {
      const before = engine.stats().indirect;
      assertEquals(go(), 3 * expected);
      return engine.stats().indirect - before;
    };
    // Mode 0 and 2 (TLB 0) know page 2 as global, mode 1 as local.
    for (const mode of [0, 2]) {
      set(mode);
      for (let i = 0; i < 4; i++) go();
    }
    cpu.map.set(2, [3, false]);
    set(1);
    for (let i = 0; i < 4; i++) assertEquals(go(), 9);
    cpu.map.set(2, [4, false]);
    engine.mmu.flush(true);
    assert(trips(4) > 0);
    for (const mode of [0, 2, 0]) {
      set(mode);
      assertEquals(trips(2), 0);
    }
    // All of it goes with the page, in every mode.
    engine.mmu.flushPage(0x2000);
    for (const mode of [2, 0, 1]) {
      set(mode);
      assertEquals(go(), 12);
    }
    cpu.map.set(2, [5, true]);
    engine.mmu.flush(true);
    for (const mode of [1, 2, 0]) {
      set(mode);
      assertEquals(go(), 15);
    }
  });
}
