/** Programs that write code, and data beside it, in both executors. */

import { assert, assertEquals } from "@std/assert";
import { GuestMemory } from "../machine/memory.ts";
import type { PhysicalSpace } from "../mmu/physical_access.ts";
import { Engine } from "./engine.ts";
import { TOY, ToyFrontend } from "./testing/toy_frontend.ts";

const RAM = 1 << 20;

function machine(accel: "jit" | "interp", threshold: number): {
  cpu: ToyFrontend;
  engine: Engine;
  ram: DataView;
  load: (at: number, insns: [number, number, number, number][]) => void;
} {
  const memory = new GuestMemory({ guestBytes: RAM, arenaBytes: 4 << 20 });
  const host = memory.alloc(RAM);
  const space: PhysicalSpace = {
    lookupPage: (page) => ({
      kind: page < RAM >> 12 ? "ram" : "none",
      hostOffset: host + page * 4096,
      writable: page < RAM >> 12,
    }),
    ramRuns: () => [{ page: 0, pages: RAM >> 12 }],
    read: () => 0,
    write: () => {},
  };
  const cpu = new ToyFrontend();
  cpu.limit = RAM;
  const engine = new Engine(cpu, { memory, space, accel, threshold });
  engine.reset();
  const ram = new DataView(memory.memory.buffer, host, RAM);
  const load = (at: number, insns: [number, number, number, number][]): void =>
    insns.flat().forEach((b, i) => ram.setUint8(at + i, b & 0xff));
  return { cpu, engine, ram, load };
}

const MODES = [["interp", 1], ["jit", 1], ["jit", 3]] as const;
for (const [accel, threshold] of MODES) {
  const title = `${accel} with threshold ${threshold}`;

  Deno.test(`self-modifying code, ${title}: data beside code`, () => {
    const { cpu, engine, ram, load } = machine(accel, threshold);
    load(0, [
      [TOY.addi, 1, 1, 1],
      [TOY.sw, 1, 6, 0],
      [TOY.addi, 6, 6, 1], // walks unaligned, across granules
      [TOY.bne, 1, 2, -3],
      [TOY.halt, 0, 0, 0],
    ]);
    cpu.setReg(2, 1000);
    cpu.setReg(6, 64);
    assertEquals(engine.run(1 << 20), "dead");
    assertEquals(engine.instructions, 4 * 1000 + 1);
    for (let n = 1; n < 1000; n++) assertEquals(ram.getUint8(63 + n), n & 0xff);
    assertEquals(ram.getUint32(63 + 1000, true), 1000);
    const { blocksInvalidated, modified, slowAccesses } = engine.stats();
    assertEquals([blocksInvalidated, modified], [0, 0]);
    if (accel === "jit") assert(slowAccesses < 40, `${slowAccesses} slow`);
  });

  Deno.test(`self-modifying code, ${title}: stores come nearer to a function and change it`, () => {
    const { cpu, engine, load } = machine(accel, threshold);
    load(0, [
      [TOY.addi, 1, 1, 1],
      [TOY.sb, 12, 6, 0],
      [TOY.addi, 6, 6, 1],
      [TOY.jalr, 14, 7, 0],
      [TOY.bne, 1, 2, -4],
      [TOY.halt, 0, 0, 0],
    ]);
    load(0x80, [[TOY.addi, 4, 4, 1], [TOY.jalr, 13, 14, 0]]);
    cpu.setReg(2, 100);
    cpu.setReg(6, 0x20);
    cpu.setReg(7, 0x80);
    cpu.setReg(12, TOY.addi);
    assertEquals(engine.run(1 << 20), "dead");
    // The last three stores make it add to r3, from r3, and 3.
    assertEquals(TOY.addi, 3);
    assertEquals([cpu.reg(4), cpu.reg(3)], [97, 99 + 3]);
    assertEquals(engine.instructions, 100 * 7 + 1);
    assertEquals(engine.stats().blocksInvalidated, 3);
  });

  Deno.test(`self-modifying code, ${title}: another block of the loop`, () => {
    const { cpu, engine, load } = machine(accel, threshold);
    load(0, [
      [TOY.addi, 1, 1, 1],
      [TOY.sb, 1, 6, 19], // the immediate at 19
      [TOY.bne, 1, 0, 2],
      [TOY.halt, 0, 0, 0],
      [TOY.addi, 3, 0, 99], // 16
      [TOY.add, 4, 4, 3],
      [TOY.bne, 1, 2, -6],
      [TOY.halt, 0, 0, 0],
    ]);
    cpu.setReg(2, 100);
    assertEquals(engine.run(1 << 20), "dead");
    assertEquals(cpu.reg(4), 5050);
    assertEquals(engine.instructions, 6 * 100 + 1);
    assertEquals(engine.stats().modified, 0);
  });

  Deno.test(`self-modifying code, ${title}: what is written is what was there`, () => {
    const { cpu, engine, load } = machine(accel, threshold);
    load(0, [
      [TOY.addi, 1, 1, 1],
      [TOY.sb, 5, 6, 10], // the next instruction's second register
      [TOY.add, 4, 4, 1],
      [TOY.bne, 1, 2, -3],
      [TOY.halt, 0, 0, 0],
    ]);
    cpu.setReg(2, 100);
    cpu.setReg(5, 4);
    assertEquals(engine.run(1 << 20), "dead");
    assertEquals(cpu.reg(4), 5050);
    const { blocksInvalidated, modified } = engine.stats();
    assertEquals([blocksInvalidated, modified], [0, 0]);
  });
}
