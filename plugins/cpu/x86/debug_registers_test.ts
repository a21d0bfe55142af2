import { assert, assertEquals, assertThrows } from "@std/assert";
import { AddressSpace } from "../../../core/bus/address_space.ts";
import { Engine } from "../../../core/exec/engine.ts";
import { GuestMemory } from "../../../core/machine/memory.ts";
import { forSeeds, Random } from "../../../tests/random.ts";
import { X86 } from "./cpu.ts";
import type { X86DebugRegisters } from "./debug_registers.ts";
import { MODELS } from "./models.ts";
import { createTranslator } from "./mod.ts";
import { modeKey } from "./mode_key.ts";
import {
  CC_SUB,
  KEY_LONG,
  KEY_PROTECTED,
  OFF_CC_DST,
  OFF_CC_OP,
  OFF_CC_SRC,
  OFF_FPR,
  OFF_FTOP,
} from "./state.ts";

const RAM = 1 << 20;
/** A table of descriptors, and page tables that map the first 2 MiB. */
const GDT = 0x1000, TABLES = 0x2000;
/** Selectors of {@linkcode GDT}. */
const CODE32 = 8, DATA = 0x10, CODE64 = 0x18, ABSENT = 0x20, USER = 0x28;

interface Bench {
  readonly cpu: X86;
  readonly engine: Engine;
  readonly registers: X86DebugRegisters;
  read(name: string): bigint;
  write(name: string, value: bigint): void;
}

async function make(model: string): Promise<Bench> {
  const memory = new GuestMemory({ guestBytes: RAM, arenaBytes: 4 << 20 });
  const hostOffset = memory.alloc(RAM);
  const space = new AddressSpace("memory", 2 ** 32, memory);
  space.add({ name: "ram", base: 0, size: RAM, kind: "ram", hostOffset });
  const view = new DataView(memory.u8.buffer, hostOffset, RAM);
  const descriptors = [
    [0, 0],
    [0xffff, 0x00cf9b00],
    [0xffff, 0x00cf9300],
    [0xffff, 0x00af9b00],
    [0xffff, 0x00cf1300],
    [0xffff, 0x00cff300],
  ];
  descriptors.forEach(([lo, hi], i) => {
    view.setUint32(GDT + 8 * i, lo, true);
    view.setUint32(GDT + 8 * i + 4, hi, true);
  });
  view.setUint32(TABLES, TABLES + 0x1003, true);
  view.setUint32(TABLES + 0x1000, TABLES + 0x2003, true);
  view.setUint32(TABLES + 0x2000, 0x83, true);
  const sheet = MODELS[model];
  const cpu = new X86({
    model: sheet,
    translator: () => createTranslator(sheet),
  });
  const engine = new Engine(cpu, { memory, space, accel: "interp" });
  const registers = await cpu.debugRegisters() as X86DebugRegisters;
  return {
    cpu,
    engine,
    registers,
    read: (name) =>
      registers.read(name).reduceRight((v, b) => v << 8n | BigInt(b), 0n),
    write: (name, value) => {
      const bytes = registers.read(name);
      for (let i = 0; i < bytes.length; i++, value >>= 8n) {
        bytes[i] = Number(value & 0xffn);
      }
      registers.write(name, bytes);
    },
  };
}

/** Flat and protected; with `long`, in IA-32e mode. */
function enter(cpu: X86, long: boolean): void {
  const state: Record<string, number> = {
    eip: 0x4000,
    eflags: 2,
    "gdtr.base": GDT,
    "gdtr.limit": 0x2f,
    cr0: long ? 0x8000_0011 : 0x11,
    ...long ? { cr3: TABLES, cr4: 0x20, efer: 0x100 } : {},
  };
  for (const s of ["cs", "ds", "es", "fs", "gs", "ss"]) {
    const isCode = s === "cs";
    state[`${s}.selector`] = isCode ? long ? CODE64 : CODE32 : DATA;
    state[`${s}.limit`] = -1;
    state[`${s}.flags`] = isCode ? long ? 0xa09b : 0xc09b : 0xc093;
  }
  cpu.enter(state);
}

Deno.test("debug registers: gdb's order, and what the model has", async () => {
  const shape = async (model: string) => {
    const { registers } = await make(model);
    return [
      registers.architecture,
      ...registers.features.map(({ name, registers }) =>
        `${name.replace("org.gnu.gdb.i386.", "")} ${registers.length}: ${
          registers[0].name
        } ${registers.at(-1)!.name}`
      ),
    ];
  };
  assertEquals(await shape("486"), [
    "i386",
    "core 32: eax fop",
    "org.rhea.i386.system 6: fs_base cr4",
  ]);
  assertEquals(await shape("pentium3"), [
    "i386",
    "core 32: eax fop",
    "sse 9: xmm0 mxcsr",
    "org.rhea.i386.system 6: fs_base cr4",
  ]);
  assertEquals(await shape("max"), [
    "i386:x86-64",
    "core 40: rax fop",
    "sse 17: xmm0 mxcsr",
    "segments 2: fs_base gs_base",
    "avx 16: ymm0h ymm15h",
    "org.rhea.i386.system 7: k_gs_base efer",
  ]);
});

for (const model of ["486", "pentium3", "x86-64", "max"]) {
  Deno.test(`debug registers: each is read, and what was read is taken back, ${model}`, async () => {
    const { cpu, registers } = await make(model);
    for (const long of [false, true]) {
      if (long && !MODELS[model].features.has("lm")) continue;
      enter(cpu, long);
      const before = JSON.stringify(cpu.save());
      for (const feature of registers.features) {
        for (const { name, bits } of feature.registers) {
          const bytes = registers.read(name);
          assertEquals(bytes.length * 8, bits, name);
          registers.write(name, bytes);
        }
      }
      assertEquals(JSON.stringify(cpu.save()), before);
    }
  });
}

Deno.test("debug registers: plain ones keep what is written", async () => {
  const { cpu, read, write, registers } = await make("max");
  enter(cpu, true);
  let value = 0x1122_3344_5566_7788_99aa_bbcc_ddee_ff01n;
  for (const { registers: list } of registers.features) {
    for (const { name, bits } of list) {
      if (!/^(r[a-z0-9]+|st\d|[xy]mm.*|f[io]off|fop)$/.test(name)) continue;
      if (name === "rip") continue;
      const mask = name === "fop" ? 0x7ffn : (1n << BigInt(bits)) - 1n;
      write(name, value & mask);
      assertEquals(read(name), value & mask, name);
      value += 0x0101n;
    }
  }
  // The two halves of a YMM register are apart.
  write("xmm3", 3n);
  write("ymm3h", 4n);
  assertEquals([read("xmm3"), read("ymm3h")], [3n, 4n]);
});

Deno.test("debug registers: a 64-bit CPU in 32-bit mode", async () => {
  const { cpu, read, write, registers } = await make("x86-64");
  enter(cpu, true);
  write("rax", 0x1234_5678_9abc_def0n);
  write("r9", 9n);
  enter(cpu, false);
  cpu.state[(0x100 >> 2) + 1] = 0x12345678;
  assertEquals(registers.architecture, "i386:x86-64");
  assertEquals([read("rax"), read("r9")], [0x9abc_def0n, 0n]);
  write("rax", 0xffff_ffff_0000_0001n);
  assertEquals(read("rax"), 1n);
  assertThrows(() => write("r9", 1n), RangeError, "64-bit mode only");
  assertThrows(() => write("rip", 0x1_0000_0000n), RangeError, "no code");
});

Deno.test("debug registers: flags are the lazy ones too", async () => {
  const { cpu, read, write } = await make("pentium3");
  enter(cpu, false);
  // 1 - 1: ZF and PF.
  cpu.state[OFF_CC_OP >> 2] = CC_SUB + 2;
  cpu.state[OFF_CC_DST >> 2] = 0;
  cpu.state[OFF_CC_SRC >> 2] = 1;
  assertEquals(read("eflags"), 0x46n);
  write("eflags", 0x0000_0ad5n);
  assertEquals(read("eflags"), 0xad7n);
  assertEquals(cpu.getEflags(), 0xad7);
  // Reserved bits stay, VM is not to be had so.
  write("eflags", 0xffc0_802an);
  assertEquals(read("eflags"), 2n);
  assertThrows(() => write("eflags", 0x20002n), RangeError, "EFLAGS.VM");
});

Deno.test("debug registers: segments, with all checks", async () => {
  const { cpu, read, write } = await make("x86-64");
  enter(cpu, false);
  const before = JSON.stringify(cpu.save());
  for (
    const [name, value] of [
      ["ss", 0],
      ["ss", USER],
      ["ds", ABSENT],
      ["ds", 0x100],
      ["cs", DATA],
      ["cs", 0],
      ["cs", 0x100],
    ] as const
  ) {
    assertThrows(
      () => write(name, BigInt(value)),
      RangeError,
      `the CPU does not take 0x${value.toString(16)} for ${name} now`,
    );
    assertEquals(JSON.stringify(cpu.save()), before, name);
  }
  assertThrows(() => write("ds", 0x10010n), RangeError, "16 bits");
  write("es", BigInt(USER));
  assertEquals(read("es"), BigInt(USER));
  assertEquals(cpu.segLimit(0), 0xffffffff);
  write("es", 0n);
  assertEquals(cpu.segAttr(0), 0);
  // In real mode any selector is a base.
  cpu.reset();
  write("ds", 0x1234n);
  assertEquals(cpu.segBase(3), 0x12340);
  write("cs", 0x2000n);
  assertEquals(cpu.linear(cpu.pcLo(), cpu.pcHi()), 0x2fff0);
});

Deno.test("debug registers: code segments change the mode", async () => {
  const { cpu, read, write } = await make("x86-64");
  enter(cpu, true);
  assert((cpu.key() & KEY_LONG) !== 0);
  write("cs", BigInt(CODE32));
  assertEquals(cpu.key() & KEY_LONG, 0);
  assertEquals(read("rip"), 0x4000n);
  write("cs", BigInt(CODE64));
  assert((cpu.key() & KEY_LONG) !== 0);
  write("rip", 0xffff_8000_0000_4000n);
  assertEquals(cpu.pc, -(2 ** 47) + 0x4000);
  // Compatibility mode has no such address.
  assertThrows(() => write("cs", BigInt(CODE32)), RangeError);
  assertThrows(() => write("rip", 1n << 47n), RangeError, "no code");
  assertEquals(read("rip"), 0xffff_8000_0000_4000n);
});

Deno.test("debug registers: control registers have MOV's checks and consequences", async () => {
  const { cpu, read, write } = await make("x86-64");
  assertThrows(() => write("cr0", 0x8000_0010n), RangeError);
  assertEquals(cpu.key() & KEY_PROTECTED, 0);
  write("cr0", 0x11n);
  assert((cpu.key() & KEY_PROTECTED) !== 0);
  enter(cpu, true);
  assertThrows(() => write("cr4", 0n), RangeError);
  assertThrows(() => write("cr4", 1n << 31n), RangeError);
  assertThrows(() => write("cr0", 0x11n), RangeError);
  assertThrows(() => write("cr3", 1n << 63n), RangeError);
  assertEquals(read("cr0"), 0x8000_0011n);
  write("cr2", 0xdead_beef_0000_0001n);
  assertEquals(read("cr2"), 0xdead_beef_0000_0001n);
  write("efer", 0x501n);
  assertEquals(read("efer"), 0x501n);
  assertThrows(() => write("efer", 0x2n), RangeError);
  write("fs_base", 0xffff_8000_1234_5678n);
  assertEquals(read("fs_base"), 0xffff_8000_1234_5678n);
  assertThrows(() => write("gs_base", 1n << 50n), RangeError);
  assertThrows(() => write("cr8", 3n), RangeError, "no local APIC");
  assertThrows(() => write("mxcsr", 0x10000n), RangeError);
  write("mxcsr", 0x1fa0n);
  assertEquals(read("mxcsr"), 0x1fa0n);
});

Deno.test("debug registers: the x87 stack begins at its top", async () => {
  const { cpu, read, write } = await make("pentium3");
  write("fstat", 0x3800n);
  assertEquals(cpu.state[OFF_FTOP >> 2], 7);
  write("st1", 0x3fff_8000_0000_0000_0000n);
  const one = (OFF_FPR >> 2) + 1;
  assertEquals(cpu.state[one] >>> 0, 0x8000_0000);
  write("ftag", 0xfffcn);
  assertEquals(read("ftag"), 0xfffcn);
  write("fctrl", 0x37en);
  assertEquals(read("fctrl"), 0x37en);
  // What is unmasked now is pending: ES and B.
  write("fstat", 0x3801n);
  assertEquals(read("fstat"), 0xb881n);
});

Deno.test("debug registers: what there is not", async () => {
  const { registers } = await make("pentium3");
  for (const name of ["rax", "xmm8", "ymm0h", "cr8", "pc", "toString"]) {
    assertThrows(() => registers.read(name), RangeError, name);
    assertThrows(
      () => registers.write(name, new Uint8Array(4)),
      RangeError,
      name,
    );
  }
  assertThrows(
    () => registers.write("eax", new Uint8Array(8)),
    RangeError,
    "4 bytes",
  );
});

for (const model of ["486", "pentium3", "max"]) {
  Deno.test(`debug registers: whatever is written, the CPU goes on, ${model}`, async () => {
    await forSeeds(8, async (seed) => {
      const random = new Random(seed);
      const { cpu, engine, registers, write } = await make(model);
      const isLong = MODELS[model].features.has("lm");
      enter(cpu, isLong && random.below(2) === 0);
      const all = registers.features.flatMap(({ registers }) => registers);
      for (let n = 0; n < 300; n++) {
        const { name, bits } = random.of(all);
        let value = 0n;
        for (let i = 0; i < bits; i += 16) {
          value = value << 16n | BigInt(random.below(0x10000));
        }
        // Most of what a CPU takes is small, or one bit.
        const kind = random.below(3);
        if (kind === 0) value = 1n << value % BigInt(bits);
        else if (kind === 1) value &= 0x3fn;
        const before = registers.read(name);
        try {
          write(name, value);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          assertEquals(registers.read(name), before, name);
        }
        assertEquals(cpu.key(), modeKey(cpu.state), name);
        if (n % 20 === 0) engine.run(500);
      }
    });
  });
}
