import { assert, assertEquals, assertThrows } from "@std/assert";
import { GUEST_FAULT } from "../../../core/cpu/frontend.ts";
import { createTranslator } from "./mod.ts";
import { X86 } from "./cpu.ts";
import { cpuid } from "./cpuid.ts";
import { MODELS } from "./models.ts";
import { readMsr, writeMsr } from "./msr.ts";
import {
  AREA_END,
  CS,
  KEY_CODE32,
  KEY_FLAT_CS,
  KEY_FLAT_DATA,
  KEY_IOPL_OK,
  KEY_LIMIT_64K,
  KEY_PROTECTED,
  KEY_STACK32,
  KEY_V86,
  OFF_APIC,
  OFF_FSW,
} from "./state.ts";
import { createStamps } from "./time_stamp.ts";

function make(model = "pentium3"): X86 {
  const m = MODELS[model];
  return new X86({ model: m, translator: () => createTranslator(m) });
}

/** As a loader starts a 32-bit kernel. */
const FLAT: Record<string, number> = { cr0: 0x11, eip: 0x1234, eflags: 2 };
for (const s of ["cs", "ds", "es", "fs", "gs", "ss"]) {
  FLAT[`${s}.selector`] = s === "cs" ? 0x10 : 0x18;
  FLAT[`${s}.base`] = 0;
  FLAT[`${s}.limit`] = 0xffffffff;
  FLAT[`${s}.flags`] = s === "cs" ? 0xc09b : 0xc093;
}

Deno.test("reset: the first instruction is at fffffff0 in real mode", () => {
  const cpu = make();
  assertEquals(cpu.linear(cpu.pcLo(), cpu.pcHi()) >>> 0, 0xfffffff0);
  assertEquals(cpu.getEflags(), 2);
  assertEquals(cpu.cr0 >>> 0, 0x60000010);
  assertEquals(cpu.reg32(2), MODELS.pentium3.signature);
  assertEquals(cpu.key() & (KEY_PROTECTED | KEY_V86 | KEY_CODE32), 0);
  assert((cpu.key() & KEY_LIMIT_64K) !== 0);
  assert((cpu.key() & KEY_IOPL_OK) !== 0);
});

Deno.test("enter: a flat kernel has the flat key", () => {
  const cpu = make();
  cpu.enter(FLAT);
  const flat = KEY_PROTECTED | KEY_CODE32 | KEY_STACK32 | KEY_FLAT_CS |
    KEY_FLAT_DATA | KEY_IOPL_OK;
  assertEquals(cpu.key() & flat, flat);
  assertEquals(cpu.segAttr(CS), 0xc09b00);
  assertEquals(cpu.pcLo(), 0x1234);
  assertThrows(() => cpu.enter({ r16: 1 }), Error, "r16");
});

Deno.test("eflags: lazy and plain flags are one register", () => {
  const cpu = make();
  cpu.setEflags(0x8d5 | 0x200, -1);
  assertEquals(cpu.getEflags(), 0x8d5 | 0x202);
  cpu.setEflags(0, 0x40);
  assertEquals(cpu.getEflags(), 0x895 | 0x202);
  cpu.setEflags(0x20000, 0x20000);
  assertEquals(cpu.key() & KEY_V86, 0, "VM means nothing in real mode");
});

Deno.test("save, load, save is the identity", () => {
  const cpu = make();
  cpu.enter(FLAT);
  cpu.setReg32(0, 0x12345678);
  cpu.setEflags(0x246, -1);
  writeMsr(cpu, 0x277, 0x01000504, 0);
  writeMsr(cpu, 0x2ff, 0xc00, 0);
  cpu.nmiPending = true;
  const saved = cpu.save();
  const other = make();
  other.load(saved);
  const again = other.save();
  assertEquals(again, saved);
  assertEquals(other.key(), cpu.key());
  assertThrows(
    () => make("max").load({ ...cpu.save() }),
    Error,
    'it is "pentium3", expected "max"',
  );
});

Deno.test("all that a CPU is stands in its area", () => {
  const stamps = createStamps();
  const made = (): X86 => new X86({ model: MODELS.max, stamps });
  const cpu = made();
  cpu.enter(FLAT);
  cpu.setEflags(0x246, -1);
  cpu.setInput("a20", false);
  cpu.setInput("ignne", false);
  cpu.setIrq(true);
  cpu.nmi();
  cpu.nmiBlocked = true;
  cpu.debugTrap(1);
  cpu.tsc.write(1e15);
  cpu.tsc.read();
  writeMsr(cpu, 0x277, 0x01000504, 0);
  writeMsr(cpu, 0x2ff, 0xc00, 0);
  writeMsr(cpu, 0xc0000103 | 0, 7, 0);
  cpu.committed = cpu.suppressStep = cpu.userAccess = true;
  const other = made();
  other.state8.set(cpu.state8);
  other.updateKey();
  assertEquals(other.save(), cpu.save());
  assertEquals(other.key(), cpu.key());
  assertEquals(
    [other.committed, other.suppressStep, other.userAccess],
    [true, true, true],
  );
});

Deno.test("reset leaves the lines alone, and INIT the MSRs as well", () => {
  const cpu = make("max");
  const pat = (): number => {
    readMsr(cpu, 0x277);
    return cpu.reg32(0);
  };
  cpu.setInput("a20", false);
  cpu.setInput("ignne", false);
  cpu.setIrq(true);
  writeMsr(cpu, 0x277, 0x01000504, 0);
  cpu.userAccess = true;
  const lines = (): boolean[] => [cpu.a20, cpu.ignne, cpu.irqLevel];
  cpu.init();
  assertEquals(lines(), [false, false, true]);
  assertEquals([pat(), cpu.userAccess], [0x01000504, false]);
  cpu.reset();
  assertEquals(lines(), [false, false, true]);
  assertEquals(pat(), 0x00070406);
});

Deno.test("reset and INIT leave the local APIC's registers to the device", () => {
  const cpu = make("max");
  const apic = cpu.state8.subarray(OFF_APIC, AREA_END);
  for (let i = 0; i < apic.length; i++) apic[i] = i;
  const before = apic.slice();
  cpu.reset();
  cpu.init();
  assertEquals(apic, before);
});

Deno.test("a record with an MSR that there is not is refused", () => {
  const cpu = make();
  for (const msrs of [[[0x12345, 0, 0]], [5], [[]]]) {
    assertThrows(() => cpu.load({ ...cpu.save(), msrs }), Error, "cpu.msrs");
  }
});

Deno.test("cpuid: leaves of each model", () => {
  for (const name of Object.keys(MODELS)) {
    const cpu = make(name);
    cpu.setReg32(0, 0);
    cpuid(cpu);
    assertEquals(cpu.reg32(0), MODELS[name].maxLeaf);
    assertEquals(cpu.reg32(3), 0x756e6547); // Genu
    cpu.setReg32(0, 1);
    cpuid(cpu);
    assertEquals(cpu.reg32(0), MODELS[name].signature);
    assertEquals(cpu.reg32(2), MODELS[name].leaf1Edx);
  }
});

Deno.test("cpuid: features since the Pentium 4", () => {
  const cpu = make("max");
  const leaf = (n: number): number[] => {
    cpu.setReg32(0, n);
    cpu.setReg32(1, 0);
    cpuid(cpu);
    return [3, 1, 2].map((r) => cpu.reg32(r));
  };
  const bits = (v: number, ...all: number[]): boolean =>
    all.every((n) => (v >>> n & 1) !== 0);
  // SSE3, PCLMULQDQ, SSSE3, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, RDRAND
  assert(bits(leaf(1)[1], 0, 1, 9, 19, 20, 22, 23, 25, 30));
  // BMI1, RDSEED, ADX, CLFLUSHOPT, CLWB, SHA
  assert(bits(leaf(7)[0], 3, 18, 19, 23, 24, 29));
  // LZCNT, PREFETCHW; NX, RDTSCP
  assert(bits(leaf(0x80000001)[1], 5, 8));
  assert(bits(leaf(0x80000001)[2], 20, 27));
});

Deno.test("random numbers: the host's, or the same in two runs", () => {
  const fixed = new X86({ model: MODELS.max, random: () => 0x1234 });
  assertEquals(fixed.random(), 0x1234);
  const run = (): number[] => {
    const cpu = new X86({ model: MODELS.max, timestamp: () => 1000 });
    return Array.from({ length: 100 }, () => cpu.random());
  };
  assertEquals(run(), run());
  assertEquals(new Set(run()).size, 100);
});

Deno.test("the time stamp counter runs and can be set", () => {
  let now = 100;
  const cpu = new X86({ model: MODELS.max, timestamp: () => now });
  const first = cpu.tsc.read();
  assert(cpu.tsc.read() > first, "no two readings are equal");
  now = 1000;
  assertEquals(cpu.tsc.read(), 1000);
  cpu.tsc.write(5);
  now = 1010;
  assertEquals(cpu.tsc.read(), 15);
});

Deno.test("cpuid: several CPUs are the cores of a package, each with its caches", () => {
  const leaf = (name: string, count: number, n: number, sub = 0): number[] => {
    const cpu = new X86({ model: MODELS[name], count });
    cpu.setReg32(0, n);
    cpu.setReg32(1, sub);
    cpuid(cpu);
    return [0, 3, 1, 2].map((r) => cpu.reg32(r) >>> 0);
  };
  const HTT = 1 << 28;
  const together = (name: string, count: number): number[] => {
    const [, ebx, , edx] = leaf(name, count, 1);
    return [ebx >>> 16 & 0xff, edx & HTT];
  };
  assertEquals(together("x86-64-v2", 4), [4, HTT]);
  assertEquals(together("x86-64-v2", 1), [0, 0]);
  assertEquals(together("pentium4", 4), [0, 0], "it has no leaf 4");
  for (const name of ["x86-64", "x86-64-v2", "x86-64-v3", "max"]) {
    const bytes = (sub: number): number[] => {
      const [eax, ebx, ecx] = leaf(name, 4, 4, sub);
      assertEquals(eax >>> 26, 3);
      const [ways, parts, line] = [ebx >>> 22, ebx >>> 12 & 0x3ff, ebx & 0xfff];
      const size = (ways + 1) * (parts + 1) * (line + 1) * (ecx + 1);
      return [eax & 0x1f, eax >>> 5 & 7, eax >>> 14 & 0xfff, size];
    };
    assertEquals([bytes(0), bytes(1)], [
      [1, 1, 0, 8 << 10],
      [3, 2, 0, leaf(name, 4, 0x80000006)[2] >>> 16 << 10],
    ]);
    assertEquals(leaf(name, 4, 4, 2), [0, 0, 0, 0]);
    assertEquals(leaf(name, 4, 4, 0xffffffff), [0, 0, 0, 0]);
  }
});

Deno.test("cpuid: a machine like this one has leaves that say so", () => {
  const cpu = make("max");
  const leaf = (n: number): number[] => {
    cpu.setReg32(0, n);
    cpu.setReg32(1, 0);
    cpuid(cpu);
    return [0, 3, 1, 2].map((r) => cpu.reg32(r));
  };
  assert(leaf(1)[2] < 0, "the hypervisor's bit");
  const rhea = 0x61656852;
  assertEquals(leaf(0x40000000), [0x40000000, rhea, rhea, rhea]);
  assertEquals(leaf(0x40000001), [0, 0, 0, 0]);
  // Beyond them, and beyond all others: what the highest leaf gives.
  assertEquals(leaf(0x40000100), leaf(0xd));
  assertEquals(leaf(0x80000009), leaf(0xd));
});

Deno.test("IA32_TSC_ADJUST and the time stamp counter change by the same", () => {
  let now = 1000;
  const cpu = new X86({ model: MODELS["x86-64"], timestamp: () => now });
  const adjust = (): number[] => {
    readMsr(cpu, 0x3b);
    return [cpu.reg32(2), cpu.reg32(0)];
  };
  assertEquals(adjust(), [0, 0]);
  writeMsr(cpu, 0x3b, -10, -1);
  assertEquals(adjust(), [-1, -10]);
  assertEquals(cpu.tsc.read(), 990);
  now = 2000;
  writeMsr(cpu, 0x10, 6, 1);
  assertEquals(adjust(), [0, 2 ** 32 + 6 - 2000 | 0]);
  now = 2010;
  assertEquals(cpu.tsc.read(), 2 ** 32 + 16);
  writeMsr(cpu, 0x3b, 0, 0x7fff_ffff);
  assertEquals(adjust(), [0x7fff_ffff, 0]);
  cpu.reset();
  assertEquals(adjust(), [0, 0]);
  // Software is told of both, or of neither.
  for (const [name, { features }] of Object.entries(MODELS)) {
    const model = new X86({ model: MODELS[name] });
    for (const [leaf, register, bit] of [[7, 3, 1], [0x80000007, 2, 8]]) {
      model.setReg32(0, leaf);
      model.setReg32(1, 0);
      cpuid(model);
      const told = model.reg32(register) >>> bit & 1;
      if (features.has("lm")) assertEquals(told, 1, name);
    }
  }
});

Deno.test("time stamps go on behind those that were read before a state was saved", () => {
  const make = (): X86 =>
    new X86({ model: MODELS["max"], timestamp: () => 1000 });
  const cpu = make();
  cpu.tsc.write(5000);
  for (let i = 0; i < 4; i++) cpu.tsc.read();
  const other = make();
  other.load(cpu.save());
  assertEquals(other.save(), cpu.save());
  assertEquals(other.tsc.read(), 5004);
  assertEquals(cpu.tsc.read(), 5004);
  // As it was kept before.
  const { stamp: _, ...old } = cpu.save();
  other.load(old);
  assertEquals(other.tsc.read(), 5000);
});

Deno.test("FERR# and IGNNE# come back with a saved state", () => {
  const levels: boolean[] = [];
  const make = (): X86 =>
    new X86({ model: MODELS.max, ferr: (level) => levels.push(level) });
  const cpu = make();
  cpu.state[OFF_FSW >> 2] = 0x8081;
  cpu.driveFerr();
  assertEquals([cpu.ignne, ...levels.splice(0)], [false, true]);
  cpu.setInput("ignne", true);
  const saved = cpu.save();
  const other = make();
  other.load(saved);
  assertEquals([other.ignne, ...levels.splice(0)], [true, true]);
  assertEquals(other.save(), saved);
  // Where nobody has FERR#, nothing waits for it.
  assertEquals(new X86({ model: MODELS.max }).ignne, true);
});

Deno.test("msr: the registers of family 6 depend on what came with IA-32e mode", () => {
  const registers = (model: string, addresses: number[]): boolean[] => {
    const cpu = make(model);
    return addresses.map((address) => {
      try {
        readMsr(cpu, address);
        return true;
      } catch (e) {
        assertEquals(e, GUEST_FAULT);
        return false;
      }
    });
  };
  // IA32_MISC_ENABLE, IA32_THERM_STATUS, and the last branch of a P6. The code
  // that starts a 64-bit Linux asks a CPU of family 6 for the first one.
  const addresses = [0x1a0, 0x19c, 0x1db];
  assertEquals(registers("pentium3", addresses), [false, false, true]);
  assertEquals(registers("pentium4", addresses), [true, true, false]);
  assertEquals(registers("x86-64-v2", addresses), [true, true, false]);
  const tsc = (model: string): number => {
    const cpu = make(model);
    writeMsr(cpu, 0x10, 0, 7);
    readMsr(cpu, 0x10);
    return cpu.reg32(2);
  };
  assertEquals(tsc("pentium3"), 0);
  assertEquals(tsc("x86-64-v2"), 7);
});
