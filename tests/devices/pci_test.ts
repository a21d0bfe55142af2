/**
 * The PCI devices of `machines/pc.json`, as a small guest sees them; QEMU's
 * `pc` shows the same guest the same.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Machine } from "../../machines/machine.ts";
import { assemble, multiboot } from "../faults/guest.ts";
import { QEMU, qemuOutput } from "../qemu.ts";

const PC = new URL("../../machines/pc.json", import.meta.url).pathname;
const LIMIT_MS = 20_000;

const GUEST = `
  mov esp, 0x180000
  jmp main
put:                      ; AL to COM1, by polling
  push edx
  mov ah, al
  mov edx, 0x3fd
.wait: in al, dx
  test al, 0x20
  jz .wait
  mov al, ah
  mov edx, 0x3f8
  out dx, al
  pop edx
  ret
hex:                      ; EBX as eight digits and a space
  mov ecx, 8
.digit:
  rol ebx, 4
  mov al, bl
  and al, 15
  cmp al, 10
  sbb al, 0x69
  das
  call put
  loop .digit
  mov al, ' '
  jmp put
select:                   ; EAX: function and register
  push edx
  or eax, 0x80000000
  mov edx, 0xcf8
  out dx, eax
  pop edx
  ret
%macro show 1             ; a doubleword of configuration space
  mov eax, %1
  call select
  mov edx, 0xcfc
  in eax, dx
  mov ebx, eax
  call hex
%endmacro
%macro setb 2
  mov eax, (%1) & ~3
  call select
  mov edx, 0xcfc + ((%1) & 3)
  mov al, %2
  out dx, al
%endmacro
%macro setd 2
  mov eax, %1
  call select
  mov edx, 0xcfc
  mov eax, %2
  out dx, eax
%endmacro
main:
  show 0x0000
  show 0x0008
  show 0x0800
  show 0x0808
  show 0x080c
  show 0x0900
  show 0x0908
  show 0x0b00
  show 0x0b08
  show 0x0b80 + 0x7f00    ; nothing is there
  setb 0x0860, 0x0b       ; PIRQA to 11
  setb 0x0861, 0x80
  setb 0x0862, 0x80
  setb 0x0863, 0x8a
  show 0x0860
  mov edx, 0xcf9          ; a byte beneath CONFADD
  mov al, 2
  out dx, al
  show 0x0800
  ; PAM: RAM at D0000h, with code that changes under way
  setb 0x5c, 0x33
  mov dword [0xd0000], 0xc3c34040 ; inc eax twice; ret
  mov dword [0xd7ffc], 0x12345678
  xor eax, eax
  mov ebx, 0xd0000
  call ebx
  mov ebx, eax
  call hex
  setb 0x5c, 0x11
  mov dword [0xd0000], 0xc3c3c3c3
  mov dword [0xd7ffc], 0
  mov ebx, [0xd7ffc]
  call hex
  xor eax, eax
  mov ebx, 0xd0000
  call ebx
  mov ebx, eax
  call hex
  setb 0x5c, 0x33
  mov byte [0xd0000], 0xc3
  xor eax, eax
  mov ebx, 0xd0000
  call ebx
  mov ebx, eax
  call hex
  ; the registers of power management, and off
  setd 0x0b40, 0x601
  setb 0x0b80, 1
  mov edx, 0x602
  mov ax, 0x21
  out dx, ax
  in ax, dx
  movzx ebx, ax
  call hex
  mov edx, 0x608
  in eax, dx
  mov esi, eax
.again:
  in eax, dx
  cmp eax, esi
  je .again
  mov edx, 0x604
  mov ax, 0x2000
  out dx, ax
.halt:
  hlt
  jmp .halt
`;

/** What the guest prints in QEMU; undefined where there is none. */
function inQemu(kernel: string): Promise<string | undefined> {
  return qemuOutput([
    ...["-accel", "tcg", "-M", "pc", "-m", "16", "-nodefaults"],
    ...["-display", "none", "-serial", "stdio", "-kernel", kernel],
  ], LIMIT_MS);
}

/** Use a kernel made of the guest; not at all where nasm is not installed. */
async function withGuest(
  use: (kernel: string) => Promise<void>,
): Promise<void> {
  const code = await assemble(GUEST);
  if (code === undefined) {
    console.log("skipped: nasm is not installed");
    return;
  }
  const kernel = await Deno.makeTempFile();
  try {
    await Deno.writeFile(kernel, multiboot(code));
    await use(kernel);
  } finally {
    await Deno.remove(kernel);
  }
}

Deno.test("PCI: a guest sees what it sees in QEMU, and switches off", () =>
  withGuest(async (kernel) => {
    const theirs = await inQemu(kernel);
    if (theirs === undefined) {
      console.log(`not compared: ${QEMU} is not installed`);
    }
    for (const accel of ["jit", "interp"] as const) {
      const machine = await Machine.load(PC, { kernel, memory: "16M", accel });
      const limit = setTimeout(() => void machine.stop(), LIMIT_MS);
      const { reason, status } = await machine.run();
      clearTimeout(limit);
      await machine.stop();
      const ours = machine.serial(0).output;
      assertEquals({ reason, status }, { reason: "poweroff", status: 0 });
      assertMatch(ours, /^12378086 06000002 70008086 .* 12345678 0000000/);
      if (theirs !== undefined) assertEquals(ours, theirs, accel);
    }
  }));
