/** Watched memory while page tables change: linear addresses and physical ones. */

import { assertEquals } from "@std/assert";
import type { WatchedAccess } from "../../core/debug/events.ts";
import { guest, load } from "./guest.ts";

/** Writes its numbers to A (300000h) and B (301000h) by 800000h and 801000h, which it maps to and fro. */
const GUEST = `
%define TABLE 0x1e2000
start:
  mov esp, 0x1f0000
  lgdt [gdtr]
  jmp 8:flat
flat:
  mov eax, 16
  mov ds, eax
  mov es, eax
  mov ss, eax
  mov dword [0x1e0000], 0x83
  mov dword [0x1e0008], TABLE | 3
  mov dword [TABLE], 0x300003
  mov dword [TABLE + 4], 0x300003
  mov eax, 0x1e0000
  mov cr3, eax
  mov eax, cr4
  or eax, 0x10
  mov cr4, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  mov ecx, 20
again:
  ; Both are A.
  mov dword [0x800010], 1
  mov dword [0x801010], 2
  ; The first one is B now, and is once more A by another CR3.
  mov dword [TABLE], 0x301003
  invlpg [0x800000]
  mov dword [0x800010], 3
  mov dword [TABLE], 0x300003
  mov eax, cr3
  mov cr3, eax
  mov dword [0x800010], 4
  mov dword [TABLE + 4], 0x301003
  invlpg [0x801000]
  mov dword [0x801010], 5
  mov dword [TABLE + 4], 0x300003
  invlpg [0x801000]
  ; Without paging A has its physical address alone.
  mov eax, cr0
  and eax, 0x7fffffff
  mov cr0, eax
  mov dword [0x300010], 6
  or eax, 0x80000000
  mov cr0, eax
  dec ecx
  jnz again
  xor eax, eax
  out 0xf4, al
  hlt
align 8
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr: dw 23
  dd gdt
`;

const made = await guest(GUEST);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

for (const accel of ["interp", "jit"] as const) {
  Deno.test(`watches follow their linear or physical addresses through changed mappings: ${accel}${skipped}`, async () => {
    if (made === undefined) return;
    await using machine = await load(made, { accel });
    const debug = await machine.debug();
    const [cpu] = debug.cpus;
    const listener = (told: number[], base: number) => (e: WatchedAccess) => {
      assertEquals([e.address - base, e.size, e.access], [0x10, 4, "write"]);
      // The instruction's number: its last four bytes.
      const code = new Uint8Array(10);
      cpu.read(e.pc!, code);
      assertEquals(code.subarray(0, 2), Uint8Array.of(0xc7, 0x05));
      told.push(code[6]);
    };
    const linear: number[] = [], physical: number[] = [], other: number[] = [];
    const range = { size: 4, access: "write" } as const;
    await machine.watch(
      { ...range, address: 0x800010 },
      listener(linear, 0x800000),
    );
    await machine.watch(
      { ...range, address: 0x300010, space: "physical" },
      listener(physical, 0x300000),
    );
    await machine.watch(
      { ...range, address: 0x301010, space: "physical" },
      listener(other, 0x301000),
    );
    assertEquals((await machine.run()).reason, "exit");
    const rounds = (numbers: number[]): number[] =>
      Array.from({ length: 20 }, () => numbers).flat();
    assertEquals(linear, rounds([1, 3, 4]));
    assertEquals(physical, rounds([1, 2, 4, 6]));
    assertEquals(other, rounds([3, 5]));
  });
}

Deno.test({ name: "remove the guest", fn: async () => await made?.remove() });
