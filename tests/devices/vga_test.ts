/** The VGA's memory as a guest drives it, here and in QEMU. */

import { assertEquals, assertMatch } from "@std/assert";
import { Machine } from "../../machines/machine.ts";
import { assemble, multiboot } from "../faults/guest.ts";
import { PCI_VGA } from "../pci_vga.ts";
import { qemuOutput } from "../qemu.ts";

const ISAPC = new URL("../../machines/isapc.json", import.meta.url).pathname;
const LIMIT_MS = 60_000;

/** Random numbers, a checksum, how it is written to COM1, and registers. */
const SUBROUTINES = `
%macro reg 3
  mov dx, %1
  mov ax, %2 | %3 << 8
  out dx, ax
%endmacro
  mov esp, 0x180000
  jmp main
seed: dd 12345
sum: dd 0
random:                   ; EAX: a number; its upper bits are the better ones
  mov eax, [seed]
  imul eax, eax, 1664525
  add eax, 1013904223
  mov [seed], eax
  shr eax, 8
  ret
add_sum:                  ; EAX to the checksum
  push edx
  mov edx, [sum]
  rol edx, 5
  xor edx, eax
  imul edx, edx, 0x01000193
  mov [sum], edx
  pop edx
  ret
put:                      ; AL to COM1, by polling
  mov ah, al
  mov edx, 0x3fd
.wait: in al, dx
  test al, 0x20
  jz .wait
  mov al, ah
  mov edx, 0x3f8
  out dx, al
  ret
put_sum:
  mov ecx, 8
.digit:
  rol dword [sum], 4
  mov eax, [sum]
  and eax, 15
  mov al, [digits + eax]
  call put
  loop .digit
  mov al, 10
  jmp put
digits: db "0123456789abcdef"
`;

/**
 * Random registers of the graphics controller and the map mask, random reads
 * and writes, and a checksum of everything that was read; then the same of text
 * mode's addressing with plain writes, for QEMU has no others there.
 */
const PLANES_GUEST = `${SUBROUTINES}
gr_mask: db 15, 15, 15, 0x1f, 3, 0x0b, 5, 15, 255
accesses:                 ; ECX of them, from EDI on; EBP: change registers
  push ecx
  test ebp, ebp
  jz .access
  test ecx, 7
  jnz .access
  call random
  and eax, 15
  cmp eax, 9
  jae .map_mask
  cmp eax, 6
  je .access
  mov ebx, eax
  call random
  and al, [gr_mask + ebx]
  mov ah, al
  mov al, bl
  mov dx, 0x3ce
  out dx, ax
  jmp .access
.map_mask:
  call random
  and eax, 15
  mov ah, al
  mov al, 2
  mov dx, 0x3c4
  out dx, ax
.access:
  call random
  mov ebx, eax
  and ebx, 0x1ff
  call random
  test eax, 0x100
  jz .read
  mov [edi + ebx], al
  jmp .next
.read:
  movzx eax, byte [edi + ebx]
  call add_sum
.next:
  pop ecx
  dec ecx
  jnz accesses
  ret
main:
  reg 0x3c4, 4, 6         ; planar
  reg 0x3c4, 2, 15
  reg 0x3ce, 6, 5         ; 64 KB at A0000h
  reg 0x3ce, 5, 0
  reg 0x3ce, 8, 255
  mov edi, 0xa0000        ; what the firmware left there
  mov ecx, 0x400
  xor eax, eax
  rep stosb
  mov edi, 0xa0000
  mov ecx, 40000
  mov ebp, 1
  call accesses
  call put_sum
  reg 0x3c4, 4, 2         ; odd and even
  reg 0x3c4, 2, 3
  reg 0x3ce, 0, 0
  reg 0x3ce, 1, 0
  reg 0x3ce, 3, 0
  reg 0x3ce, 4, 0
  reg 0x3ce, 5, 0x10
  reg 0x3ce, 6, 14        ; 32 KB at B8000h
  reg 0x3ce, 8, 255
  mov edi, 0xb8000
  mov ecx, 0x400
  mov eax, 0x07200720
  rep stosd
  mov edi, 0xb8000
  mov ecx, 5000
  mov ebp, 0
  call accesses
  call put_sum
  mov al, 0
  out 0xf4, al
  hlt
`;

/**
 * Random values for the Bochs VBE's registers, below what is the limit here, and
 * a checksum of all that they are after each. Left out are the window's bank,
 * which here goes back to 0 when a mode ends, and the lines that the memory has
 * room for, of which QEMU shows 16 bits where there are more.
 */
const DISPI_GUEST = `${SUBROUTINES}
depths: dw 4, 8, 15, 16, 24, 32, 0, 12
registers: db 0, 1, 2, 3, 4, 6, 8, 9, 10, 12
main:
  mov esi, 4
.quarter:
  mov ebp, 2000
.step:
  call random
  mov ebx, eax
  and ebx, 15
  cmp ebx, 11
  ja .step
  call random
  mov ecx, eax
  cmp ebx, 4
  je .enable
  cmp ebx, 3
  jne .size
  and ecx, 7
  movzx ecx, word [depths + 2 * ecx]
  jmp .write
.enable:                  ; on, mostly; the memory cleared, or not
  and ecx, 0xe1
  test ah, 0x30
  jz .write
  or ecx, 1
  jmp .write
.size:
  and ecx, 0xfff
  test ah, 0x20
  jz .write
  and ecx, 0x1ff
.write:
  call select
  mov eax, ecx
  out dx, ax
  mov ecx, 10
.read:
  movzx ebx, byte [registers + ecx - 1]
  call select
  xor eax, eax
  in ax, dx
  call add_sum
  loop .read
  dec ebp
  jnz .step
  push esi
  call put_sum
  pop esi
  dec esi
  jnz .quarter
  mov al, 0
  out 0xf4, al
  hlt
select:                   ; the register EBX; DX is its data's port
  mov edx, 0x1ce
  mov eax, ebx
  out dx, ax
  inc edx
  ret
`;

/**
 * Random bytes for the VGA's ports, and a checksum of what they are after each.
 * Left out are the PEL mask, which QEMU has not, and numbers of registers that
 * there are not.
 */
const PORTS_GUEST = `${SUBROUTINES}
written: db 0xc0, 0xc0, 0xc0, 0xc0, 0xc2, 0xc4, 0xc5, 0xc5, 0xc7, 0xc8, 0xc9
  db 0xc9, 0xc9, 0xce, 0xcf, 0xcf, 0xd4, 0xd5, 0xd5, 0xda
read: db 0xc1, 0xc4, 0xc5, 0xc7, 0xc8, 0xc9, 0xca, 0xcc, 0xce, 0xcf, 0xd4, 0xd5
main:
  mov edx, 0x3c2
  mov al, 0x67
  out dx, al
  reg 0x3d4, 0x11, 0
  mov edx, 0x3c8          ; the colours are 0
  xor eax, eax
  out dx, al
  inc edx
  mov ecx, 768
.colour: out dx, al
  loop .colour
  mov ecx, 5
  mov edx, 0x3c4
  call clear
  mov ecx, 9
  mov edx, 0x3ce
  call clear
  mov ecx, 0x19
  mov edx, 0x3d4
  call clear
  mov edx, 0x3da
  in al, dx
  mov edx, 0x3c0
  xor eax, eax
.attribute: out dx, al
  xchg al, ah
  out dx, al
  xchg al, ah
  inc eax
  cmp eax, 21
  jb .attribute
  mov esi, 4
.quarter:
  mov ebp, 2000
.step:
  call random
  mov ebx, eax
  and ebx, 31
  cmp ebx, 20
  jae .step
  movzx edx, byte [written + ebx]
  call random
  mov ah, 0xff            ; the greatest number that may be
  cmp edx, 0xc4
  jne .gfx
  mov ah, 4
.gfx: cmp edx, 0xce
  jne .crtc
  mov ah, 8
.crtc: cmp edx, 0xd4
  jne .number
  mov ah, 0x18
.number: cmp ah, 0xff
  je .any
  and al, 0x1f
.any: cmp al, ah
  ja .step
  cmp edx, 0xc2           ; the CRT controller stays where it is
  jne .status
  or al, 1
.status: cmp edx, 0xc9    ; QEMU keeps all bits of a colour
  jne .port
  and al, 0x3f
.port: add edx, 0x300
  cmp edx, 0x3da
  je .reset
  out dx, al
  jmp .show
.reset: in al, dx
.show:
  mov ecx, 12
.next:
  movzx edx, byte [read + ecx - 1]
  add edx, 0x300
  xor eax, eax
  in al, dx
  call add_sum
  loop .next
  dec ebp
  jnz .step
  push esi
  call put_sum
  pop esi
  dec esi
  jnz .quarter
  mov al, 0
  out 0xf4, al
  hlt
clear:                    ; ECX registers at DX
  mov eax, ecx
  dec eax
  out dx, ax
  loop clear
  ret
`;

async function here(kernel: string): Promise<string> {
  const machine = await Machine.load(ISAPC, { kernel, memory: "16M" });
  try {
    await machine.run();
    return machine.serial(0).output;
  } finally {
    await machine.stop();
  }
}

/** What the guest writes in QEMU; undefined where QEMU is not installed. */
function inQemu(kernel: string): Promise<string | undefined> {
  return qemuOutput([
    ...["-accel", "tcg", "-m", "16M", "-vga", "std", "-display", "none"],
    ...["-serial", "stdio", "-monitor", "none", "-no-reboot"],
    ...["-device", "isa-debug-exit,iobase=0xf4", "-kernel", kernel],
  ], LIMIT_MS);
}

/** What a guest writes, here and in QEMU. */
async function assertSame(guest: string, expected: RegExp): Promise<void> {
  const payload = await assemble(guest);
  if (payload === undefined) return console.log("skipped: no nasm");
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, multiboot(payload));
    const [ours, qemu] = await Promise.all([here(path), inQemu(path)]);
    assertMatch(ours, expected);
    if (qemu === undefined) return console.log("skipped: no QEMU");
    assertEquals(ours, qemu);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("vga: planes and text addressing as in QEMU", () =>
  assertSame(PLANES_GUEST, /^([0-9a-f]{8}\n){2}$/));

Deno.test("vga: the Bochs VBE's registers as in QEMU", () =>
  assertSame(DISPI_GUEST, /^([0-9a-f]{8}\n){4}$/));

Deno.test("vga: ports as in QEMU", () =>
  assertSame(PORTS_GUEST, /^([0-9a-f]{8}\n){4}$/));

Deno.test("vga: the VBE is where its frame buffer is, and nowhere else", async () => {
  const PC = new URL("../../machines/pc.json", import.meta.url).pathname;
  for (
    const [file, set, id] of [
      [ISAPC, [], 0xb0c5],
      // The firmware and the guest would draw to nothing.
      [PC, [], 0xffff],
      [PC, PCI_VGA, 0xb0c5],
    ] as const
  ) {
    await using machine = await Machine.load(file, { set: [...set] });
    const ports = machine.space("ports");
    ports.write(0x1ce, 2, 0);
    assertEquals(ports.read(0x1cf, 2), id);
  }
});
