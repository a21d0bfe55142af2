import { assertEquals } from "@std/assert";
import { AddressSpace } from "../core/bus/address_space.ts";
import { Engine } from "../core/exec/engine.ts";
import { GuestMemory } from "../core/machine/memory.ts";
import type { PhysicalSpace } from "../core/mmu/physical_access.ts";
import { X86 } from "../plugins/cpu/x86/cpu.ts";
import { createTranslator } from "../plugins/cpu/x86/mod.ts";
import { MODELS } from "../plugins/cpu/x86/models.ts";
import { casesFrom, Prng, seedFrom } from "./differential/prng.ts";

const RAM = 0x40000;
const CODE = 0x8000;
/** Where the operands are: two pages and a bit. */
const DATA = 0x10000, DATA_BYTES = 0x2400;
const DF = 0x400;

interface Machine {
  cpu: X86;
  engine: Engine;
  ram: Uint8Array;
}

/** A flat 32-bit machine with nothing but memory and perhaps ports, which compiles all or nothing. */
function machine(accel: "interp" | "jit", ports?: AddressSpace): Machine {
  const memory = new GuestMemory({ guestBytes: RAM, arenaBytes: 4 << 20 });
  const host = memory.alloc(RAM);
  const space: PhysicalSpace = {
    lookupPage: (page) =>
      page < RAM >> 12
        ? { kind: "ram", hostOffset: host + page * 4096, writable: true }
        : { kind: "none", hostOffset: 0, writable: false },
    ramRuns: () => [{ page: 0, pages: RAM >> 12 }],
    read: () => 0xff,
    write: () => {},
  };
  const model = MODELS.max;
  const cpu = new X86({
    model,
    ports,
    translator: () => createTranslator(model),
  });
  const engine = new Engine(cpu, { memory, space, accel, threshold: 1 });
  engine.reset();
  return { cpu, engine, ram: memory.u8.subarray(host, host + RAM) };
}

interface Registers {
  eax: number;
  ecx: number;
  esi: number;
  edi: number;
  zf: boolean;
}

/** What a repeated string instruction does, element by element. */
function model(
  name: string,
  size: number,
  repne: boolean,
  down: boolean,
  mask: number,
  ram: Uint8Array,
  r: Registers,
): void {
  const view = new DataView(ram.buffer, ram.byteOffset, ram.length);
  const load = (at: number): number =>
    size === 1
      ? view.getUint8(at)
      : size === 2
      ? view.getUint16(at, true)
      : view.getUint32(at, true);
  const store = (at: number, v: number): void => {
    if (size === 1) view.setUint8(at, v);
    else if (size === 2) view.setUint16(at, v, true);
    else view.setUint32(at, v, true);
  };
  const step = (v: number): number =>
    ((v & ~mask) | ((v + (down ? -size : size)) & mask)) >>> 0;
  const part = 2 ** (8 * size);
  while ((r.ecx & mask) !== 0) {
    const source = (r.esi & mask) >>> 0, target = (r.edi & mask) >>> 0;
    let compared: [number, number] | undefined;
    if (name === "movs") store(target, load(source));
    if (name === "stos") store(target, r.eax % part);
    if (name === "lods") {
      r.eax = r.eax - r.eax % part + load(source);
    }
    if (name === "scas") compared = [r.eax % part, load(target)];
    if (name === "cmps") compared = [load(source), load(target)];
    if (name !== "stos" && name !== "scas") r.esi = step(r.esi);
    if (name !== "lods") r.edi = step(r.edi);
    r.ecx = ((r.ecx & ~mask) | ((r.ecx - 1) & mask)) >>> 0;
    if (compared !== undefined) {
      r.zf = compared[0] === compared[1];
      if (r.zf === repne) return;
    }
  }
}

/** Runs the code at `CODE` until it halts; gives the registers then. */
function run(m: Machine, before: Registers, down: boolean): Registers {
  const { cpu, engine } = m;
  engine.reset();
  engine.enter({
    eip: CODE,
    cr0: 0x11,
    eflags: 2 | (down ? DF : 0) | (before.zf ? 0x40 : 0),
    eax: before.eax,
    ecx: before.ecx,
    edx: 0,
    esi: before.esi,
    edi: before.edi,
    esp: CODE,
    ...Object.fromEntries(
      ["cs", "ds", "es", "ss", "fs", "gs"].flatMap((s) => [
        [s + ".base", 0],
        [s + ".limit", -1],
        [s + ".flags", s === "cs" ? 0xc09b : 0xc093],
      ]),
    ),
  });
  assertEquals(engine.run(1_000_000), "dead");
  return {
    eax: cpu.reg32(0) >>> 0,
    ecx: cpu.reg32(1) >>> 0,
    esi: cpu.reg32(6) >>> 0,
    edi: cpu.reg32(7) >>> 0,
    zf: (cpu.getEflags() & 0x40) !== 0,
  };
}

const OPCODES = { movs: 0xa4, cmps: 0xa6, stos: 0xaa, lods: 0xac, scas: 0xae };

Deno.test("repeated string instructions do what their elements would", () => {
  const machines = [machine("interp"), machine("jit")];
  const { ram } = machines[0];
  const random = new Prng(seedFrom(1));
  const count = casesFrom(500);
  for (let n = 0; n < count; n++) {
    const names = Object.keys(OPCODES) as (keyof typeof OPCODES)[];
    const name = names[random.below(names.length)];
    const size = 1 << random.below(3);
    const repne = random.oneIn(2);
    const down = random.oneIn(3);
    const short = random.oneIn(4);
    const mask = short ? 0xffff : 0xffffffff;
    // 16-bit addresses reach the first 64 KB only.
    const base = short ? 0xc000 : DATA;
    for (let k = 0; k < DATA_BYTES; k++) {
      // Runs of equal bytes, so that comparisons go on for a while.
      ram[base + k] = random.oneIn(40) ? random.below(256) : 0x11;
    }
    // More than one call of a helper does.
    const long = !short && size === 1 && random.oneIn(20);
    const elements = long
      ? 0x3000 + random.below(0x6000)
      : random.oneIn(3)
      ? random.below(20)
      : random.below(0x800 / size);
    const span = elements * size;
    const place = (): number =>
      long
        ? base + (down ? span : 0) + random.below(0x10000)
        : base + 0x800 + (down ? span : 0) + random.below(0x1200 - span);
    const esi = place();
    const near = esi + random.below(24) - 12;
    const edi = random.oneIn(2) ? near : place();
    const high = short ? 0x55550000 : 0;
    const before: Registers = {
      eax: random.oneIn(2) ? 0x11111111 : 0x12345678,
      ecx: (high | elements) >>> 0,
      esi: (high | esi) >>> 0,
      edi: (high | edi) >>> 0,
      zf: random.oneIn(2),
    };
    const code: number[] = [];
    // Most times the pages are in the TLB: MOV DL, [page] and MOV [page], DL.
    if (!random.oneIn(4)) {
      for (let at = base & ~0xfff; at < base + DATA_BYTES; at += 0x1000) {
        const address = [0, at >> 8 & 0xff, at >> 16, 0];
        code.push(0x8a, 0x15, ...address, 0x88, 0x15, ...address);
      }
    }
    code.push(repne ? 0xf2 : 0xf3);
    if (size === 2) code.push(0x66);
    if (short) code.push(0x67);
    code.push(OPCODES[name] | (size > 1 ? 1 : 0), 0xf4);
    ram.set(code, CODE);
    const expectedRam = ram.slice();
    const expected = { ...before };
    model(name, size, repne, down, mask, expectedRam, expected);

    machines[1].ram.set(ram);
    const what = `case ${n}: ${repne ? "repne" : "rep"} ${name} ` +
      `${size} bytes, ${JSON.stringify(before)}${down ? ", down" : ""}`;
    const instructions = machines.map((m) => {
      const from = m.engine.instructions;
      assertEquals(run(m, before, down), expected, what);
      const differs = m.ram.findIndex((v, k) => v !== expectedRam[k]);
      assertEquals(differs, -1, what);
      return m.engine.instructions - from;
    });
    assertEquals(instructions[0], instructions[1], what);
  }
  assertEquals(machines[1].engine.compiler.stats().regions > 0, true);
});

Deno.test("INS over code that has run loses nothing of what it reads", () => {
  // It gives what is next, as the data register of a disk does.
  let reads = 0;
  const ports = new AddressSpace("ports", 65536);
  ports.add({
    name: "queue",
    base: 0,
    size: 65536,
    kind: "io",
    handler: { widths: [1, 2, 4], read: () => ++reads, write: () => {} },
  });
  const machines = [machine("interp", ports), machine("jit", ports)];
  // Functions up to a page's end, and behind it.
  const PAGE = 0x10000, FUNCTIONS = 16;
  const INS: readonly [size: number, code: number[]][] = [
    [1, [0x6c]],
    [2, [0x66, 0x6d]],
    [4, [0x6d]],
  ];
  for (const m of machines) {
    for (const [size, ins] of INS) {
      reads = 0;
      const code: number[] = [];
      for (let i = 0; i < FUNCTIONS; i++) {
        const at = PAGE + 4 * (i - FUNCTIONS / 2);
        // NOP, NOP, NOP, RET
        m.ram.set([0x90, 0x90, 0x90, 0xc3], at);
        const from = CODE + code.length + 5;
        code.push(0xe8, at - from & 0xff, at - from >> 8, 0, 0);
      }
      m.ram.set([...code, 0xf3, ...ins, 0xf4], CODE);
      // One element lies across the pages.
      const edi = PAGE - 2 * FUNCTIONS + size - 1;
      const ecx = 4 * FUNCTIONS / size;
      const registers = { eax: 0, ecx, esi: 0, edi, zf: false };
      const after = run(m, registers, false);
      assertEquals(after.edi, edi + ecx * size);
      const view = new DataView(m.ram.buffer, m.ram.byteOffset + edi);
      const got = Array.from(
        { length: ecx },
        (_, i) => view.getUint8(i * size),
      );
      assertEquals(got, Array.from({ length: ecx }, (_, i) => i + 1));
      assertEquals(reads, ecx);
    }
  }
});
