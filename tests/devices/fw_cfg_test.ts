/**
 * fw_cfg as a small guest sees it, by the data register and by DMA; QEMU's `pc`
 * shows the same guest the same where the items are the same.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Machine } from "../../machines/machine.ts";
import { assemble, multiboot } from "../faults/guest.ts";
import { PRELUDE } from "./asm.ts";
import { QEMU, qemuOutput } from "../qemu.ts";

const PC = new URL("../../machines/pc.json", import.meta.url).pathname;
const LIMIT_MS = 20_000;

const GUEST = PRELUDE + `
digit:
  add al, '0'
  cmp al, '9'
  jbe put
  add al, 'a' - '9' - 1
  jmp put
byte_:
  push eax
  push eax
  shr al, 4
  call digit
  pop eax
  and al, 15
  call digit
  pop eax
  ret
dump:                     ; ECX bytes at ESI, and a new line
  lodsb
  call byte_
  loop dump
  mov al, 10
  jmp put
select:                   ; AX
  mov edx, 0x510
  out dx, ax
  inc edx
  ret
%macro item 2             ; a key, and how many bytes of it
  mov ax, %1
  call select
  mov edi, buffer
  mov ecx, %2
  rep insb
  mov esi, buffer
  mov ecx, %2
  call dump
%endmacro
start:                    ; the descriptor, and what becomes of it
  mov edx, 0x514
  xor eax, eax
  out dx, eax
  add edx, 4
  mov eax, descriptor
  bswap eax
  out dx, eax
  mov esi, descriptor
  mov ecx, 16
  call dump
  mov esi, buffer
  mov ecx, 8
  jmp dump
%macro dma 3              ; control, length, address
  mov dword [buffer], 0xeeeeeeee
  mov dword [buffer + 4], 0xeeeeeeee
  mov eax, %1
  bswap eax
  mov [descriptor], eax
  mov eax, %2
  bswap eax
  mov [descriptor + 4], eax
  mov dword [descriptor + 8], 0
  mov eax, %3
  bswap eax
  mov [descriptor + 12], eax
  call start
%endmacro
buffer equ 0x190000
descriptor equ 0x1a0000
directory equ 0x1b0000
main:
  cld
  item 0x00, 6            ; signature
  item 0x01, 6            ; ID
  item 0x03, 10           ; RAM
  item 0x05, 4            ; CPUs
  item 0x0f, 4
  item 0x8002, 6
  item 0x7000, 4          ; nothing
  ; bytes do not select, and both bytes of the registers read data
  mov ax, 0
  call select
  mov al, 1
  dec edx
  out dx, al
  in al, dx
  call byte_
  inc edx
  mov al, 1
  out dx, al
  in al, dx
  call byte_
  ; the DMA address register, whole and in parts
  mov edx, 0x514
  in eax, dx
  mov [buffer], eax
  mov edx, 0x518
  in eax, dx
  mov [buffer + 4], eax
  mov edx, 0x515
  in al, dx
  mov [buffer + 8], al
  mov edx, 0x51a
  in ax, dx
  mov [buffer + 9], ax
  mov esi, buffer
  mov ecx, 11
  call dump
  dma 0x0000000a, 4, buffer      ; select and read
  dma 0x00000002, 4, buffer      ; what follows
  dma 0x0000000c, 2, buffer      ; select and skip
  dma 0x00000002, 3, buffer
  dma 0x0000001a, 2, buffer      ; read before write
  dma 0x00000018, 2, buffer      ; it cannot be written
  dma 0x00000008, 2, buffer      ; only selected
  dma 0x00000002, 2, buffer
  dma 0x0000000c, 0xffffffff, 0
  dma 0x00000002, 2, buffer
  dma 0x7000000a, 2, buffer      ; nothing
  dma 0x0000000a, 2, 0xf0000000  ; nowhere
  ; the file etc/e820, found in the directory
  mov ax, 0x19
  call select
  mov edi, directory
  mov ecx, 4
  rep insb
  mov ecx, [directory]
  bswap ecx
  shl ecx, 6
  rep insb
  mov ebx, directory + 4
.next:
  cmp dword [ebx + 8], 'etc/'
  jne .other
  cmp dword [ebx + 12], 'e820'
  je .found
.other:
  add ebx, 64
  jmp .next
.found:
  mov esi, ebx
  mov ecx, 4
  call dump
  mov ax, [ebx + 4]
  xchg al, ah
  call select
  mov edi, buffer
  mov ecx, 20
  rep insb
  mov esi, buffer
  mov ecx, 20
  call dump
  mov al, '.'
  call put
  ; off, by the power management in slot 1
%macro config 2
  mov edx, 0xcf8
  mov eax, %1
  out dx, eax
  mov edx, 0xcfc
  mov eax, %2
  out dx, eax
%endmacro
  config 0x80000b40, 0x601
  config 0x80000b80, 1
  mov edx, 0x604
  mov ax, 0x2000
  out dx, ax
  hlt
`;

/** What the guest prints in QEMU; undefined where there is none. */
function inQemu(kernel: string): Promise<string | undefined> {
  return qemuOutput([
    ...["-accel", "tcg", "-M", "pc", "-m", "16", "-nodefaults"],
    ...["-display", "none", "-serial", "stdio", "-kernel", kernel],
  ], LIMIT_MS);
}

Deno.test("fw_cfg: a guest reads what it reads in QEMU", async () => {
  const code = await assemble(GUEST);
  if (code === undefined) {
    console.log("skipped: nasm is not installed");
    return;
  }
  const kernel = await Deno.makeTempFile();
  try {
    await Deno.writeFile(kernel, multiboot(code));
    await using machine = await Machine.load(PC, { kernel, memory: "16M" });
    const limit = setTimeout(() => void machine.stop(), LIMIT_MS);
    const { reason } = await machine.run();
    clearTimeout(limit);
    assertEquals(reason, "poweroff");
    const ours = machine.serial(0).output;
    assertMatch(ours, /^51454d550000\n/);
    const theirs = await inQemu(kernel);
    if (theirs === undefined) {
      console.log(`not compared: ${QEMU} is not installed`);
    } else {
      assertEquals(ours, theirs);
    }
  } finally {
    await Deno.remove(kernel);
  }
});
