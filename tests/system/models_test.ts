/**
 * What each CPU model executes, and how a CPU without handlers ends.
 *
 * @module
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { X86 } from "../../plugins/cpu/x86/cpu.ts";
import { Bench } from "./bench.ts";

/** How a run ended, and the CPU then. */
interface Ended {
  readonly exit: string;
  readonly cpu: X86;
}

/** Runs bytes in protected mode without an IDT: "dead" by the HLT behind them, or "shutdown" by a fault. */
function run(model: string, bytes: readonly number[]): Ended {
  const bench = new Bench({ accel: "interp", model });
  bench.memory.u8.set([...bytes, 0xf4], bench.ram + 0x1000);
  const state: Record<string, number> = {
    cr0: 0x11,
    cr4: model === "486" || model === "pentium" ? 0 : 0x200,
    eip: 0x1000,
    esp: 0x8000,
    "idtr.limit": 0,
  };
  for (const s of ["cs", "ds", "es", "ss"]) {
    state[`${s}.selector`] = 8;
    state[`${s}.base`] = 0;
    state[`${s}.limit`] = -1;
    state[`${s}.flags`] = s === "cs" ? 0xc09b : 0xc093;
  }
  bench.engine.enter(state);
  for (let i = 0; i < 100; i++) {
    const exit = bench.engine.run(1000);
    if (exit !== "budget" && exit !== "stop") return { exit, cpu: bench.cpu };
  }
  return { exit: "hang", cpu: bench.cpu };
}

const CODE: Readonly<Record<string, readonly number[]>> = {
  nop: [0x90],
  cpuid: [0x0f, 0xa2],
  bswap: [0x0f, 0xc8],
  rdtsc: [0x0f, 0x31],
  cmpxchg8b: [0x0f, 0xc7, 0x0d, 0, 0x20, 0, 0],
  cmov: [0x0f, 0x44, 0xc1],
  fcomi: [0xdb, 0xf0],
  emms: [0x0f, 0x77],
  fxsave: [0x0f, 0xae, 0x05, 0, 0x20, 0, 0],
  xorps: [0x0f, 0x57, 0xc0],
  xorpd: [0x66, 0x0f, 0x57, 0xc0],
  clflush: [0x0f, 0xae, 0x3d, 0, 0x20, 0, 0],
  addsubps: [0xf2, 0x0f, 0xd0, 0xc0],
  pshufb: [0x66, 0x0f, 0x38, 0x00, 0xc0],
  blendps: [0x66, 0x0f, 0x3a, 0x0c, 0xc0, 0],
  crc32: [0xf2, 0x0f, 0x38, 0xf0, 0xc0],
  // Without the feature they are BSR and BSF.
  lzcnt: [0xf3, 0x0f, 0xbd, 0xc0],
  tzcnt: [0xf3, 0x0f, 0xbc, 0xc0],
  popcnt: [0xf3, 0x0f, 0xb8, 0xc0],
  movbe: [0x0f, 0x38, 0xf0, 0x05, 0, 0x20, 0, 0],
  adcx: [0x66, 0x0f, 0x38, 0xf6, 0xc0],
  aesenc: [0x66, 0x0f, 0x38, 0xdc, 0xc0],
  pclmulqdq: [0x66, 0x0f, 0x3a, 0x44, 0xc0, 0],
  sha1nexte: [0x0f, 0x38, 0xc8, 0xc0],
  rdrand: [0x0f, 0xc7, 0xf0],
  rdseed: [0x0f, 0xc7, 0xf8],
  rdtscp: [0x0f, 0x01, 0xf9],
  prefetchw: [0x0f, 0x0d, 0x0d, 0, 0x20, 0, 0],
  clflushopt: [0x66, 0x0f, 0xae, 0x3d, 0, 0x20, 0, 0],
  clwb: [0x66, 0x0f, 0xae, 0x35, 0, 0x20, 0, 0],
  andn: [0xc4, 0xe2, 0x78, 0xf2, 0xc0],
  rorx: [0xc4, 0xe3, 0x7b, 0xf0, 0xc0, 1],
  // CR4.OSXSAVE is clear.
  xgetbv: [0x0f, 0x01, 0xd0],
  vaddps: [0xc5, 0xf8, 0x58, 0xc0],
  ud2: [0x0f, 0x0b],
  syscall: [0x0f, 0x05],
  rsm: [0x0f, 0xaa],
};

const FIRST: Readonly<Record<string, number>> = {
  nop: 0,
  cpuid: 0,
  bswap: 0,
  rdtsc: 1,
  cmpxchg8b: 1,
  cmov: 2,
  fcomi: 2,
  emms: 2,
  fxsave: 2,
  xorps: 2,
  xorpd: 3,
  clflush: 3,
  addsubps: 4,
  pshufb: 4,
  blendps: 4,
  crc32: 4,
  lzcnt: 0,
  tzcnt: 0,
  popcnt: 4,
  movbe: 4,
  adcx: 4,
  aesenc: 4,
  pclmulqdq: 4,
  sha1nexte: 4,
  rdrand: 4,
  rdseed: 4,
  rdtscp: 4,
  prefetchw: 4,
  clflushopt: 4,
  clwb: 4,
  andn: 4,
  rorx: 4,
  xgetbv: 9,
  vaddps: 9,
  ud2: 9,
  syscall: 9,
  rsm: 9,
};

["486", "pentium", "pentium3", "pentium4", "max"].forEach((model, age) => {
  Deno.test(`models: what raises #UD on ${model}`, () => {
    const found: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [name, bytes] of Object.entries(CODE)) {
      found[name] = run(model, bytes).exit;
      expected[name] = FIRST[name] <= age ? "dead" : "shutdown";
    }
    assertEquals(found, expected);
  });
});

Deno.test("models: RDTSCP gives what IA32_TSC_AUX was made", () => {
  const code = [
    ...[0xb9, 0x03, 0x01, 0x00, 0xc0], // mov ecx, 0xc0000103
    ...[0xb8, 0x78, 0x56, 0x34, 0x12], // mov eax, 0x12345678
    ...[0x31, 0xd2], // xor edx, edx
    ...[0x0f, 0x30], // wrmsr
    ...[0x0f, 0x31], // rdtsc
    ...[0x89, 0xc3], // mov ebx, eax
    ...[0x0f, 0x01, 0xf9], // rdtscp
  ];
  const { exit, cpu } = run("max", code);
  assertEquals(exit, "dead");
  assertEquals(cpu.reg32(1), 0x12345678);
  assert(cpu.reg32(0) > cpu.reg32(3));
  // Its upper half is reserved.
  const upper = [...code.slice(0, 10), 0xb2, 1, ...code.slice(12)]; // mov dl, 1
  assertEquals(run("max", upper).exit, "shutdown");
  assertEquals(run("pentium4", code).exit, "shutdown");
});

Deno.test("models: RDRAND and RDSEED say by CF that there is a number", () => {
  const code = [
    ...[0xb8, 0xff, 0xff, 0xff, 0xff], // mov eax, -1
    ...[0x40], // inc eax: ZF, AF, PF
    ...[0x0f, 0xc7, 0xf3], // rdrand ebx
    ...[0x0f, 0xc7, 0xfe], // rdseed esi
    ...[0x66, 0x0f, 0xc7, 0xf0], // rdrand ax
  ];
  const { exit, cpu } = run("max", code);
  assertEquals(exit, "dead");
  assertEquals(cpu.arithFlags(), 1);
  assertNotEquals(cpu.reg32(3), cpu.reg32(6));
  assertEquals(cpu.reg32(0) >>> 16, 0);
});

/** MOV EAX, value */
const eax = (v: number): number[] => [
  0xb8,
  v & 0xff,
  v >> 8 & 0xff,
  v >> 16 & 0xff,
  v >>> 24,
];
const OSXSAVE = [
  ...[0x0f, 0x20, 0xe0], // mov eax, cr4
  ...[0x0d, 0, 0, 4, 0], // or eax, 0x40000
  ...[0x0f, 0x22, 0xe0], // mov cr4, eax
];
/** XCR0 = value. */
const xcr0 = (v: number): number[] => [
  ...[0x31, 0xc9, 0x31, 0xd2], // xor ecx, ecx; xor edx, edx
  ...eax(v),
  ...[0x0f, 0x01, 0xd1], // xsetbv
];
const VADDPS_YMM = [0xc5, 0xfc, 0x58, 0xc1];

Deno.test("models: AVX is there when CR4.OSXSAVE is set and XCR0 has it", () => {
  const ends = (...parts: number[][]): string => run("max", parts.flat()).exit;
  assertEquals(ends(OSXSAVE, VADDPS_YMM), "shutdown");
  assertEquals(ends(OSXSAVE, xcr0(3), VADDPS_YMM), "shutdown");
  assertEquals(ends(OSXSAVE, xcr0(7), VADDPS_YMM), "dead");
  assertEquals(ends(OSXSAVE, xcr0(7), xcr0(1), VADDPS_YMM), "shutdown");
  // Bits that are not there; AVX without SSE; no x87.
  for (const bad of [8, 5, 6, 2, 0]) {
    assertEquals(ends(OSXSAVE, xcr0(bad)), "shutdown", `${bad}`);
  }
  assertEquals(ends(xcr0(7)), "shutdown");
  assertEquals(run("pentium4", [...OSXSAVE]).exit, "shutdown");
});

Deno.test("models: CPUID has the sizes of the XSAVE area", () => {
  const leaf = (subleaf: number, ...before: number[][]): number[] => {
    const { exit, cpu } = run("max", [
      ...before.flat(),
      ...eax(0xd),
      ...[0xb9, subleaf, 0, 0, 0, 0x0f, 0xa2], // mov ecx, subleaf; cpuid
    ]);
    assertEquals(exit, "dead");
    return [0, 3, 1, 2].map((n) => cpu.reg32(n));
  };
  assertEquals(leaf(0), [7, 576, 832, 0]);
  assertEquals(leaf(0, OSXSAVE, xcr0(7)), [7, 832, 832, 0]);
  assertEquals(leaf(1, OSXSAVE, xcr0(7)), [15, 832, 0, 0]);
  assertEquals(leaf(2), [256, 576, 0, 0]);
  assertEquals(leaf(3), [0, 0, 0, 0]);
  const ecx = (...before: number[][]): number => {
    const { cpu } = run("max", [...before.flat(), ...eax(1), 0x0f, 0xa2]);
    return cpu.reg32(1) >>> 26 & 3;
  };
  assertEquals([ecx(), ecx(OSXSAVE)], [1, 3]);
});

Deno.test("models: XSAVES and XRSTORS bring AVX back, XGETBV says what is in use", () => {
  const area = [0x05, 0, 0x20, 0, 0]; // [0x2000]
  const inUse = [0xb9, 1, 0, 0, 0, 0x0f, 0x01, 0xd0]; // mov ecx, 1; xgetbv
  const { exit, cpu } = run("max", [
    ...OSXSAVE,
    ...xcr0(7),
    ...[0xc5, 0xf4, 0xc2, 0xd1, 0x0f], // vcmptrueps ymm2, ymm1, ymm1
    ...inUse,
    ...[0x89, 0xc3], // mov ebx, eax
    ...eax(7),
    ...[0x0f, 0xc7, 0x28 | area[0], ...area.slice(1)], // xsaves
    ...[0xc5, 0xfc, 0x77], // vzeroall
    ...inUse,
    ...[0x89, 0xc6], // mov esi, eax
    ...eax(7),
    ...[0x0f, 0xc7, 0x18 | area[0], ...area.slice(1)], // xrstors
    ...[0xc5, 0xfc, 0x50, 0xfa], // vmovmskps edi, ymm2
  ]);
  assertEquals(exit, "dead");
  assertEquals(cpu.reg32(3) & 6, 6);
  assertEquals(cpu.reg32(6) & 6, 0);
  assertEquals(cpu.reg32(7), 0xff);
});
