/**
 * Guests whose output depends on when they are told what: what they print is
 * the same only if every input comes at the same instruction.
 *
 * @module
 */

import { assemble, multiboot } from "../faults/guest.ts";
import { interrupts, PRELUDE, PRINT } from "../devices/asm.ts";

/**
 * Works, and for each tick (of a thousand a second), key code and serial byte
 * prints what it was, how far the work had come and the time stamp counter's
 * low word. "q" ends it. In between it looks at the clock chip and at video
 * memory, which is a device's, and halts now and then.
 */
const LISTENER = `${PRELUDE}${PRINT}
main:${interrupts(0xe8, 0xff)}
  gate 0x20, tick
  gate 0x21, key
  gate 0x24, serial
  outb 0x43, 0x34
  outb 0x40, 1193 & 255
  outb 0x40, 1193 >> 8
  outb 0x3fc, 0x0b          ; OUT2: the port's interrupt reaches the PIC
  outb 0x3f9, 0x01          ; received data
  mov edi, 0x300000
  sti
  say "ready"
  call newline
work:
  mov eax, [0x200000]
  imul eax, eax, 1103515245
  add eax, 12345
  mov [0x200000], eax
  inc dword [0x200004]
  mov ecx, eax
  and ecx, 0xff
  push edi
  rep stosb
  pop edi
  test dword [0x200004], 0x3ff
  jnz .no_video
  mov [0xb8000], ax
  mov dx, [0xb8000]
  add [0x200008], dx
  mov word [0xa0000], ax    ; nothing there in text mode: the device is asked
.no_video:
  test dword [0x200004], 0x7fff
  jnz work
  outb 0x70, 0
  in al, 0x71
  add [0x200008], al
  hlt
  jmp work

report:                     ; AL: what, AH: its byte
  call put
  mov al, ah
  call byte_
  mov eax, [0x200004]
  call dword_
  rdtsc
  call dword_
  call newline
  ret
tick:
  pusha
  outb 0x20, 0x20
  inc dword [0x20000c]
  test dword [0x20000c], 0x3f
  jnz .done
  mov ax, 't'
  call report
.done:
  popa
  iret
key:
  pusha
  in al, 0x60
  mov ah, al
  mov al, 'k'
  push eax
  outb 0x20, 0x20
  pop eax
  call report
  popa
  iret
serial:
  pusha
.more:
  mov dx, 0x3fd
  in al, dx
  test al, 1
  jz .done
  mov dx, 0x3f8
  in al, dx
  cmp al, 'q'
  je .quit
  mov ah, al
  mov al, 's'
  call report
  jmp .more
.done:
  outb 0x20, 0x20
  popa
  iret
.quit:
  outb 0xf4, 0
  jmp .quit
`;

/** The listener as a multiboot kernel; undefined where nasm is not installed. */
export async function listener(): Promise<Uint8Array | undefined> {
  const code = await assemble(LISTENER);
  if (code === undefined) console.log("skipped: nasm is not installed");
  return code && multiboot(code);
}

/**
 * A procedure writes through a pointer, in the midst of timer interrupts; once
 * the pointer is wrong and it writes over another one. The guest goes on for
 * long, looks at that one, and does not like it.
 */
export const CRASHER: string = `${PRELUDE}
main:${interrupts(0xfe, 0xff)}
  gate 0x20, tick
  outb 0x43, 0x34
  outb 0x40, 1193 & 255
  outb 0x40, 1193 >> 8
  mov dword [victim], fine
  sti
  xor ebx, ebx
again:
  mov edi, 0x300000
  cmp ebx, 1000000
  jne .right
  mov edi, victim
.right:
  call store
  inc ebx
  cmp ebx, 3000000
  jne again
crash:
  jmp [victim]
store:
  mov eax, ebx
write:
  stosd
  ret
tick:
  push eax
  inc dword [0x300010]
  outb 0x20, 0x20
  pop eax
  iret
fine:
  outb 0xf4, 0
victim: dd 0
`;
