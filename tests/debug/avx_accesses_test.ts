/**
 * What vector instructions access, as watches tell of it: 32 bytes, also across
 * pages and the ends of what is watched; lanes that a mask lets through;
 * gathered elements.
 */

import { assertEquals } from "@std/assert";
import { guest, load } from "./guest.ts";

const RAM = 0x180000;
/** Which instruction is next. */
const CURRENT = 0x1e0000;
/** Masks and indices. */
const TABLE = 0x1e0100;

/** Eight dwords at {@linkcode TABLE}, 32 bytes each. */
const VALUES: Readonly<Record<string, readonly number[]>> = {
  all: [-1, -1, -1, -1, -1, -1, -1, -1],
  none: [0, 1, 2, 3, 4, 5, 6, 7],
  inner: [0, -1, -1, 0, 0, -1, 0, 0],
  ends: [-1, 0, 0, 0, 0, 0, 0, -1],
  /** Quadwords: the second and the third. */
  quads: [0, 0, -1, -1, -1, -1, 0, 0],
  /** Indices: forwards, backwards, the same, across the end of a page. */
  steps: [1, 2, 3, 5, 4, 1, 1023, 1024],
  /** Quadwords. */
  wide: [3, 0, 512, 0, 511, 0, -1, -1],
};

const at = (name: string): number =>
  TABLE + 32 * Object.keys(VALUES).indexOf(name);

type Access = readonly ["r" | "w", number, number];

/** An instruction, and what it is to access of the bytes from RAM on: first byte, how many. */
const ACCESSES: readonly (readonly [string, readonly Access[]])[] = [
  ["vmovups ymm0, [RAM + 1]", [["r", 1, 32]]],
  ["vmovups [RAM + 33], ymm0", [["w", 33, 32]]],
  ["vmovaps ymm0, [RAM + 64]", [["r", 64, 32]]],
  ["vmovntps [RAM + 96], ymm0", [["w", 96, 32]]],
  ["vlddqu ymm0, [RAM + 5]", [["r", 5, 32]]],
  // Across two pages.
  ["vmovups ymm0, [RAM + 4080]", [["r", 4080, 32]]],
  ["vmovdqu [RAM + 4095], ymm0", [["w", 4095, 32]]],
  ["vmovupd [RAM + 4065], ymm0", [["w", 4065, 32]]],
  ["vaddps ymm0, ymm1, [RAM + 4090]", [["r", 4090, 32]]],
  ["vfmadd213ps ymm0, ymm1, [RAM + 4084]", [["r", 4084, 32]]],
  // Over the ends of what is watched.
  ["vmovups ymm0, [RAM - 16]", [["r", 0, 16]]],
  ["vmovups [RAM - 31], ymm0", [["w", 0, 1]]],
  ["vmovups ymm0, [RAM - 32]", []],
  ["vmovups [RAM + 8176], ymm0", [["w", 8176, 16]]],
  ["vmovups [RAM + 8192], ymm0", []],
  // Narrower ones.
  ["vmovups xmm0, [RAM + 4090]", [["r", 4090, 16]]],
  ["vbroadcastss ymm0, [RAM + 4094]", [["r", 4094, 4]]],
  ["vbroadcastsd ymm0, [RAM + 4092]", [["r", 4092, 8]]],
  ["vbroadcastf128 ymm0, [RAM + 4088]", [["r", 4088, 16]]],
  ["vpbroadcastb ymm0, [RAM + 7]", [["r", 7, 1]]],
  ["vinsertf128 ymm0, ymm0, [RAM + 4081], 1", [["r", 4081, 16]]],
  ["vextractf128 [RAM + 4087], ymm0, 1", [["w", 4087, 16]]],
  ["vpmovzxbd ymm0, [RAM + 4092]", [["r", 4092, 8]]],
  ["vcvtps2ph [RAM + 4090], ymm0, 0", [["w", 4090, 16]]],
  ["vcvtph2ps ymm0, [RAM + 4089]", [["r", 4089, 16]]],
  ["vpextrw [RAM + 4095], xmm0, 3", [["w", 4095, 2]]],
  ["vmovhps [RAM + 4093], xmm0", [["w", 4093, 8]]],
  ["vptest ymm0, [RAM + 8]", [["r", 8, 32]]],
  // Lanes of a mask: what stands next to each other is one access.
  [`${masked("all")}\n  vmaskmovps ymm0, ymm7, [RAM + 4084]`, [[
    "r",
    4084,
    32,
  ]]],
  [`${masked("none")}\n  vmaskmovps ymm0, ymm7, [RAM + 4084]`, []],
  [`${masked("inner")}\n  vmaskmovps ymm0, ymm7, [RAM + 4086]`, [
    ["r", 4090, 8],
    ["r", 4106, 4],
  ]],
  [`${masked("all")}\n  vmaskmovps [RAM + 4084], ymm7, ymm0`, [[
    "w",
    4084,
    32,
  ]]],
  [`${masked("none")}\n  vmaskmovpd [RAM + 4084], ymm7, ymm0`, []],
  [`${masked("inner")}\n  vpmaskmovd [RAM + 4086], ymm7, ymm0`, [
    ["w", 4090, 8],
    ["w", 4106, 4],
  ]],
  [`${masked("ends")}\n  vpmaskmovd ymm0, ymm7, [RAM - 4]`, [["r", 24, 4]]],
  [`${masked("ends")}\n  vmaskmovps [RAM + 8188], ymm7, ymm0`, [[
    "w",
    8188,
    4,
  ]]],
  [`${masked("quads")}\n  vpmaskmovq ymm0, ymm7, [RAM + 4080]`, [[
    "r",
    4088,
    16,
  ]]],
  [`${masked("quads")}\n  vmaskmovpd [RAM + 4077], ymm7, ymm0`, [[
    "w",
    4085,
    16,
  ]]],
  [`${masked("inner")}\n  vmaskmovps xmm0, xmm7, [RAM]`, [["r", 4, 8]]],
  [`${masked("inner")}\n  mov edi, RAM + 4090\n  vmaskmovdqu xmm0, xmm7`, [[
    "w",
    4094,
    8,
  ]]],
  // Elements in their order; what stands next to the one before is one access with it.
  [`${masked("all", "steps")}\n  vpgatherdd ymm0, [RAM + ymm6 * 4], ymm7`, [
    ["r", 4, 12],
    ["r", 16, 8],
    ["r", 4, 4],
    ["r", 4092, 8],
  ]],
  [`${masked("inner", "steps")}\n  vgatherdps ymm0, [RAM + ymm6 * 4], ymm7`, [
    ["r", 4, 12],
  ]],
  [`${masked("none", "steps")}\n  vgatherdps ymm0, [RAM + ymm6 * 4], ymm7`, []],
  [`${masked("all", "wide")}\n  vgatherqpd ymm0, [RAM + ymm6 * 8 + 4], ymm7`, [
    ["r", 28, 8],
    ["r", 4100, 8],
    ["r", 4092, 8],
    ["r", 0, 4],
  ]],
  [`${masked("quads", "steps")}\n  vpgatherdq ymm0, [RAM + xmm6 * 8], ymm7`, [
    ["r", 16, 16],
  ]],
];

/** Loads the mask, and indices. */
function masked(mask: string, indices = "steps"): string {
  return `vmovups ymm7, [${at(mask)}]\n  vmovups ymm6, [${at(indices)}]`;
}

/** Eight rounds of them all. */
const ROUNDS = 8;
const made = await guest(`
%define RAM ${RAM}
start:
  mov esp, 0x1f0000
  lgdt [gdtr]
  jmp 8:flat
flat:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov eax, cr4
  or eax, 0x40600
  mov cr4, eax
  xor edx, edx
  xor ecx, ecx
  mov eax, 7
  xsetbv
  mov esi, values
  mov edi, ${TABLE}
  mov ecx, ${32 * Object.keys(VALUES).length}
  rep movsb
  mov ebp, ${ROUNDS}
round:
${
  ACCESSES.map(([text], i) =>
    `  mov dword [${CURRENT}], ${i}\n  vxorps ymm0, ymm0\n  ${text}\n`
  ).join("")
}
  mov dword [${CURRENT}], -1
  dec ebp
  jnz near round
  xor eax, eax
  out 0xf4, al
  hlt
align 8
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr: dw 23
  dd gdt
values: dd ${Object.values(VALUES).flat().join(", ")}
`);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

for (const accel of ["interp", "jit"] as const) {
  for (const space of ["linear", "physical"] as const) {
    Deno.test(`what vector instructions access of watched memory is told: ${space}, ${accel}${skipped}`, async () => {
      if (made === undefined) return;
      await using plain = await load(made, { accel, threshold: 1 });
      const result = await plain.run();
      await using machine = await load(made, { accel, threshold: 1 });
      const told: Access[][] = [];
      const current = new Uint8Array(4);
      const memory = machine.space("memory");
      let last = -1;
      await machine.watch(
        { address: CURRENT, size: 4, access: "write" },
        () => {
          memory.peek(CURRENT, current);
          last = new DataView(current.buffer).getInt32(0, true);
          if (last >= 0) told.push([]);
        },
      );
      await machine.watch(
        { address: RAM, size: 8192, access: "access", space },
        ({ access, address, size }) => {
          if (last < 0) return;
          told.at(-1)!.push([
            access === "read" ? "r" : "w",
            address - RAM,
            size,
          ]);
        },
      );
      assertEquals(await machine.run(), result);
      assertEquals(machine.cpu.instructions, plain.cpu.instructions);
      assertEquals(machine.save().cpu, plain.save().cpu);
      assertEquals(told.length, ROUNDS * ACCESSES.length);
      assertEquals(
        told.map((list, n) => [ACCESSES[n % ACCESSES.length][0], list]),
        told.map((_, n) => ACCESSES[n % ACCESSES.length]),
      );
    });
  }
}

Deno.test({ name: "remove the guest", fn: async () => await made?.remove() });
