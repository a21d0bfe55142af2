/**
 * What the guests of the APICs and the HPET have in common: macros for the
 * registers, handlers that print their vectors, and ways to wait.
 *
 * @module
 */

import { interrupts, PRELUDE, PRINT } from "./asm.ts";

/** The macros of a script and the code they call. */
const ROUTINES = `
%macro apic 2             ; register, value
  mov dword [0xfee00000 + %1], %2
%endmacro
%macro show 1             ; a register of the local APIC
  mov eax, [0xfee00000 + %1]
  call dword_
%endmacro
%macro entry 3            ; pin of the I/O APIC, low word, high word
  mov dword [0xfec00000], 0x11 + 2 * %1
  mov dword [0xfec00010], %3
  mov dword [0xfec00000], 0x10 + 2 * %1
  mov dword [0xfec00010], %2
%endmacro
%macro showio 1           ; a register of the I/O APIC
  mov dword [0xfec00000], %1
  mov eax, [0xfec00010]
  call dword_
%endmacro
%macro vector 1           ; its handler says its number, and ends it
  gate %1, %%handler
  jmp %%over
%%handler:
  pusha
  mov al, %1
  call taking
  apic 0xb0, 0
  popa
  iret
%%over:
%endmacro
%macro self 1             ; an interrupt to itself, by shorthand
  apic 0x300, 0x40000 + %1
%endmacro
%macro window 0           ; let in what waits
  sti
  nop
  nop
  nop
  cli
%endmacro
%macro until 1            ; until so many have been taken
%%again:
  sti
  hlt
  cli
  cmp dword [taken], %1
  jb %%again
  mov dword [taken], 0
%endmacro
%macro pause 0            ; 20 ms, by the local APIC's timer: vector 50h
  apic 0x320, 0x50
  apic 0x3e0, 0xb
  apic 0x380, 20000000
  until 1
  apic 0x320, 0x10050
%endmacro
%macro pit 0              ; 1000 Hz
  outb 0x43, 0x34
  outb 0x40, 1193 & 255
  outb 0x40, 1193 >> 8
%endmacro
%macro ticks 2            ; so many, then a line that stops them
  mov byte [quiet], 1
  until %1
  %2
  window
  mov dword [taken], 0
  mov byte [quiet], 0
  mov al, [last]
  call byte_
%endmacro
taking:                   ; the interrupt AL
  inc dword [taken]
  mov [last], al
  cmp byte [quiet], 0
  je byte_
  ret
taken: dd 0
count: dd 0
last: db 0
quiet: db 0               ; ticks may be more than one waits for
`;

/** Everything masked, the APIC on with vector EFh for spurious interrupts. */
export const BEGIN = `${PRELUDE}${PRINT}${ROUTINES}
main:${interrupts(0xff, 0xff)}
  apic 0x350, 0x10000
  apic 0x360, 0x10000
  apic 0x370, 0x10000
  apic 0xf0, 0x1ef
  apic 0x80, 0
  vector 0x50
`;

/** Says so, and ends. */
export const END = `
  say "END"
  call newline
  outb 0xf4, 0
`;
