/** Coverage of code that several address spaces, CPUs and programs have at one address. */

import { assertEquals } from "@std/assert";
import { type Guest, guest, load } from "./guest.ts";

/** Two programs at 800000h, each in an address space of its own, and one after the other at 810000h. */
const SPACES = `
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
  mov dword [0x1e0008], 0x1e2003
  mov dword [0x1e1000], 0x83
  mov dword [0x1e1008], 0x1e3003
  mov dword [0x1e2000], 0x301003
  mov dword [0x1e3000], 0x302003
  mov dword [0x1e2040], 0x303003
  mov dword [0x1e3040], 0x303003
  mov eax, 0x1e0000
  mov cr3, eax
  mov eax, cr4
  or eax, 0x10
  mov cr4, eax
  ; dec ecx; jnz; ret, after one and after two nops.
  mov dword [0x301000], 0xfd754990
  mov byte [0x301004], 0xc3
  mov dword [0x302000], 0x75499090
  mov word [0x302004], 0xc3fd
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax
  mov ebx, 20
both:
  mov eax, 0x1e0000
  mov cr3, eax
  mov ecx, 5
  mov eax, 0x800000
  call eax
  mov eax, 0x1e1000
  mov cr3, eax
  mov ecx, 7
  mov eax, 0x800000
  call eax
  ; A program that is written anew each time: inc eax, or dec eax, and ret.
  mov word [0x303000], 0xc340
  mov eax, 0x810000
  call eax
  mov word [0x303000], 0xc348
  mov eax, 0x810000
  call eax
  dec ebx
  jnz both
  xor eax, eax
  out 0xf4, al
  hlt
align 8
gdt: dq 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr: dw 23
  dd gdt
`;

const made = await guest(SPACES);
const skipped = made === undefined ? " (skipped: there is no nasm)" : "";

/** The counts of the addresses of a page. */
function page(
  counts: ReadonlyMap<number, number>,
  at: number,
): [number, number][] {
  return [...counts].filter(([address]) => address >> 12 === at >> 12)
    .map(([address, n]): [number, number] => [address - at, n])
    .sort(([a], [b]) => a - b);
}

for (const accel of ["interp", "jit"] as const) {
  Deno.test(`programs at one linear address are counted together, or apart by physical ones: ${accel}${skipped}`, async () => {
    if (made === undefined) return;
    await using machine = await load(made, { accel });
    using linear = await machine.coverage();
    using physical = await machine.coverage({ space: "physical" });
    using some = await machine.coverage({
      range: { address: 0x302000, size: 3 },
      space: "physical",
    });
    assertEquals((await machine.run()).reason, "exit");
    const [together, apart] = [linear.counts(), physical.counts()];
    // The first one's instructions begin at 0, 1, 2 and 4, the second one's at 0, 1, 2, 3 and 5.
    const first: [number, number][] = [[0, 20], [1, 100], [2, 100], [4, 20]];
    // deno-fmt-ignore
    const second: [number, number][] = [[0, 20], [1, 20], [2, 140], [3, 140], [5, 20]];
    assertEquals(page(apart, 0x301000), first);
    assertEquals(page(apart, 0x302000), second);
    assertEquals(page(together, 0x800000), [
      [0, 40],
      [1, 120],
      [2, 240],
      [3, 140],
      [4, 20],
      [5, 20],
    ]);
    assertEquals(page(some.counts(), 0x302000), second.slice(0, 3));
    // Both that were there, one after the other.
    const changing: [number, number][] = [[0, 40], [1, 40]];
    assertEquals(page(together, 0x810000), changing);
    assertEquals(page(apart, 0x303000), changing);
    const total = [...together.values()].reduce((a, b) => a + b, 0);
    assertEquals(total, machine.cpu.instructions);
    linear.clear();
    assertEquals(linear.counts().size, 0);
  });
}

/** The second CPU starts in real mode at 8000h and counts to 70. */
const SMP = `
start:
  mov esp, 0x200000
  mov esi, trampoline
  mov edi, 0x8000
  mov ecx, trampoline_end - trampoline
  rep movsb
  mov eax, [0xfee000f0]
  or eax, 0x100
  mov [0xfee000f0], eax
  mov dword [0xfee00300], 0xc4500
  mov dword [0xfee00300], 0xc4608
  mov ecx, 30
shared:
  dec ecx
  jnz shared
finish:
  cmp dword [0x90000], 70
  pause
  jne finish
  xor eax, eax
  out 0xf4, al
  hlt
trampoline:
bits 16
  mov ax, 0x9000
  mov ds, ax
  mov cx, 70
theirs:
  inc dword [0]
  loop theirs
  hlt
bits 32
trampoline_end:
`;

Deno.test(`what several CPUs execute is counted together, or of one${skipped}`, async () => {
  const both: Guest | undefined = await guest(SMP);
  if (both === undefined) return;
  for (const accel of ["interp", "jit"] as const) {
    const options = { accel, smp: 2, definition: "pc.json", memory: "32M" };
    await using machine = await load(both, options);
    using all = await machine.coverage();
    using second = await machine.coverage({ cpu: 1 });
    assertEquals((await machine.run()).reason, "exit");
    const theirs = 0x8000 + both.at("theirs") - both.at("trampoline");
    const [together, mine] = [all.counts(), second.counts()];
    assertEquals(together.get(both.at("shared")), 30);
    assertEquals(together.get(theirs), 70);
    assertEquals(mine.get(both.at("shared")), undefined);
    assertEquals(mine.get(theirs), 70);
    const total = [...together.values()].reduce((a, b) => a + b, 0);
    assertEquals(total, machine.cpu.instructions);
  }
  await both.remove();
});

Deno.test({ name: "remove the guest", fn: async () => await made?.remove() });
