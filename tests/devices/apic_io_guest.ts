/**
 * Bare-metal guests for the I/O APIC and the HPET, that print what
 * they see: vectors in the order in which they come, and registers.
 *
 * @module
 */

import { BEGIN, END } from "./apic_asm.ts";

/** The I/O APIC, and the 8259A behind the local APIC. */
export const IO_APIC_GUEST = `${BEGIN}
  vector 0x31
  vector 0x38
  say "registers: "
  mov dword [0xfec00000], 1
  mov eax, [0xfec00010]
  shr eax, 16             ; the version is another chip's in QEMU
  call dword_
  mov dword [0xfec00000], 0
  mov dword [0xfec00010], 0xffffffff
  showio 0
  mov dword [0xfec00010], 0
  entry 23, 0x1ffff, 0xff000000
  showio 0x10 + 46
  showio 0x10 + 47
  entry 23, 0x10000, 0
  showio 0x10 + 46
  showio 0x3f + 1
  call newline

  say "edge: "
  pit
  entry 2, 0x31, 0
  ticks 3, {entry 2, 0x10031, 0}
  pause
  call newline

  say "edge, logical: "
  apic 0xd0, 0x01000000
  pit
  entry 2, 0x931, 0x01000000
  ticks 3, {entry 2, 0x10031, 0}
  call newline

  say "edge, nobody: "
  entry 2, 0x31, 0x05000000
  pause
  entry 2, 0x10031, 0
  call newline

  say "nmi: "
  gate 2, nmi
  jmp maskable
nmi:
  pusha
  entry 2, 0x10400, 0
  say "nmi "
  inc dword [taken]
  popa
  iret
maskable:
  outb 0x43, 0x30         ; once
  outb 0x40, 1193 & 255
  outb 0x40, 1193 >> 8
  entry 2, 0x400, 0
.again:
  cmp dword [taken], 1
  jb .again
  mov dword [taken], 0
  call newline

  ; COM1's interrupt, with the transmitter empty, stays until it is disabled.
  say "level: "
  gate 0x34, level
  mov dx, 0x3fc
  mov al, 8               ; OUT2 lets it through
  out dx, al
  entry 4, 0x8034, 0
  mov dx, 0x3f9
  mov al, 2
  out dx, al
  mov dword [count], 0
  window
  window
  window
  window
  window
  showio 0x18
  mov eax, [count]
  call dword_
  call newline
  jmp levels
level:
  pusha
  mov eax, [0xfec00010]   ; entry 4 is still selected
  mov [seen], eax
  mov eax, [0xfee001a0 - 0x10]
  mov [seen + 4], eax
  inc dword [count]
  cmp dword [count], 3
  jne .on
  mov dx, 0x3f9
  xor eax, eax
  out dx, al
  mov eax, [seen]
  call dword_             ; the remote IRR
  mov eax, [seen + 4]
  call dword_             ; TMR
.on:
  apic 0xb0, 0
  popa
  iret
seen: dd 0, 0
levels:

  say "level, masked: "
  mov dx, 0x3f9
  mov al, 2
  out dx, al
  mov dword [count], 0
  entry 4, 0x18034, 0
  window
  mov eax, [count]
  call dword_
  mov dword [0xfec00000], 0x18
  mov dword [0xfec00010], 0x8034
  window
  window
  window
  window
  mov eax, [count]
  call dword_
  call newline

  say "remote IRR, cleared as an edge: "
  mov dx, 0x3f9
  mov al, 2
  out dx, al
  entry 4, 0x8034, 0
  showio 0x18
  entry 4, 0x10034, 0
  showio 0x18
  mov dx, 0x3f9
  mov al, 0
  out dx, al
  mov dword [count], 9
  window
  call newline

  ; The 8259A, by LINT0.
  say "virtual wire: "
  gate 0x20, wired
  jmp wire
wired:
  pusha
  mov al, 0x20
  call taking
  mov eax, [0xfee00110]   ; it is not in service here
  mov [count], eax
  outb 0x20, 0x20
  popa
  iret
wire:
  outb 0x21, 0xfe
  pause
  say "masked "
  pit
  apic 0x350, 0x8700
  apic 0x80, 0xff         ; the task priority does not stop it
  ticks 3, {apic 0x350, 0x18700}
  apic 0x80, 0
  outb 0x21, 0xff
  mov eax, [count]
  call dword_
  call newline
${END}`;

/** The HPET, on 8259As and the I/O APIC. */
export const HPET_GUEST = `${BEGIN}
%macro hpet 2             ; register, value
  mov dword [0xfed00000 + %1], %2
%endmacro
%macro showh 1
  mov eax, [0xfed00000 + %1]
  call dword_
%endmacro
  vector 0x31
  vector 0x38
  say "registers: "
  hpet 0x10, 0
  showh 0x00
  showh 0x04
  showh 0x10
  hpet 0xf0, 0x12345678
  hpet 0xf4, 0x9abcdef0
  showh 0xf0
  showh 0xf4
  hpet 0x100, 0x1fe       ; all but the interrupt's type and routes
  showh 0x100
  hpet 0x100, 0
  call newline

  say "counter: "
  hpet 0xf0, 0xfffffff0
  hpet 0xf4, 1
  hpet 0x10, 1
  mov eax, [0xfed000f4]
.carry:
  cmp dword [0xfed000f4], 2
  jne .carry
  mov ebx, [0xfed000f0]
.again:
  cmp ebx, [0xfed000f0]
  je .again
  hpet 0x10, 0
  mov ebx, [0xfed000f0]
  cmp ebx, [0xfed000f0]
  sete al
  call byte_              ; it stands
  showh 0xf4
  call newline

  say "legacy, periodic: "
  entry 2, 0x31, 0
  hpet 0x10, 0
  hpet 0xf0, 0
  hpet 0xf4, 0
  hpet 0x100, 0x14c       ; enabled, periodic, 32 bits, the comparator next
  hpet 0x108, 200000      ; the first after 2 ms
  hpet 0x108, 100000      ; then each millisecond
  showh 0x100
  hpet 0x10, 3
  ticks 4, {hpet 0x100, 0x100}
  pit
  pause                   ; the 8254 is cut off
  hpet 0x10, 1
  ticks 1, {entry 2, 0x10031, 0} ; and back
  call newline

  say "legacy, 8259A: "
  gate 0x20, wired
  jmp wire
wired:
  pusha
  mov al, 0x20
  call taking
  outb 0x20, 0x20
  popa
  iret
wire:
  apic 0x350, 0x700
  outb 0x43, 0x30         ; the 8254 is to be silent
  hpet 0x10, 0
  hpet 0xf0, 0
  hpet 0x100, 0x14c
  hpet 0x108, 100000
  hpet 0x108, 100000
  outb 0x21, 0xfe
  hpet 0x10, 3
  ticks 3, {outb 0x21, 0xff}
  apic 0x350, 0x10000
  hpet 0x100, 0x100
  call newline

  say "legacy, IRQ 8, once: "
  entry 8, 0x38, 0
  hpet 0x10, 2
  hpet 0xf0, 0
  hpet 0xf4, 0
  hpet 0x120, 0x104
  hpet 0x128, 100000
  hpet 0x10, 3
  until 1
  pause
  showh 0x128
  hpet 0x120, 0x100
  entry 8, 0x10038, 0
  hpet 0x10, 0
  call newline

  say "level: "
  gate 0x34, level
  jmp levels
level:
  pusha
  showh 0x20
  hpet 0x20, 0            ; ones clear
  showh 0x20
  hpet 0x20, 1
  showh 0x20
  showio 0x14
  apic 0xb0, 0
  showio 0x14
  inc dword [taken]
  popa
  iret
levels:
  entry 2, 0x8034, 0
  hpet 0xf0, 0
  hpet 0x100, 0x106
  hpet 0x108, 100000
  hpet 0x10, 3
  until 1
  pause
  hpet 0x100, 0x100
  entry 2, 0x10034, 0
  hpet 0x10, 0
  call newline

  say "message: "
  vector 0x63
  hpet 0xf0, 0
  hpet 0x150, 0x63
  hpet 0x154, 0xfee00000
  hpet 0x140, 0x4104
  hpet 0x148, 100000
  hpet 0x10, 1
  until 1
  hpet 0x140, 0x414c      ; and again and again
  mov eax, [0xfed000f0]
  add eax, 100000
  mov [0xfed00148], eax
  hpet 0x148, 100000
  ticks 3, {hpet 0x140, 0x4100}
  pause
  showh 0x150
  showh 0x154
  hpet 0x10, 0
  call newline
${END}`;

/** Three sources of ticks at once, each a millisecond: when each had one, and 300. */
export const TICKS_GUEST = `${BEGIN}
%macro counter 2          ; vector, its count
  gate %1, %%handler
  jmp %%over
%%handler:
  inc dword [%2]
  apic 0xb0, 0
  iret
%%over:
%endmacro
%macro until_each 1       ; sleep until each source had so many ticks
%%again:
  sti
  hlt
  cli
%assign i 0
%rep 3
  cmp dword [counts + i], %1
  jb %%again
%assign i i + 4
%endrep
%endmacro
  counter 0x31, counts
  counter 0x41, counts + 4
  counter 0x51, counts + 8
  jmp main2
counts: times 3 dd 0
main2:
  apic 0x320, 0x20041
  apic 0x3e0, 0xb
  apic 0x380, 1000000
  entry 2, 0x31, 0
  mov dword [0xfed00100], 0x14c
  mov dword [0xfed00108], 100000
  mov dword [0xfed00108], 100000
  mov dword [0xfed00150], 0x51
  mov dword [0xfed00154], 0xfee00000
  mov dword [0xfed00140], 0x414c
  mov dword [0xfed00148], 130000
  mov dword [0xfed00148], 100000
  mov dword [0xfed00010], 3
  until_each 1
  say "ready"
  call newline
  until_each 300
${END}`;

/**
 * Every timer as fast as it can be set, each with a handler that only ends it,
 * while a program counts; then all of them with nobody to take them, and a
 * deadline that has passed set again and again.
 */
export const STORM_GUEST = `${BEGIN}
%macro storm 1            ; vector
  gate %1, storming
%endmacro
%macro periodic 1         ; a timer of the HPET: each count, on pin 20 and up
  mov dword [0xfed00100 + 0x20 * %1], 0x4c + ((20 + %1) << 9)
  mov dword [0xfed00108 + 0x20 * %1], 1
  mov dword [0xfed00108 + 0x20 * %1], 1
  entry 20 + %1, 0x61 + 0x10 * %1, 0
%endmacro
  storm 0x41
  storm 0x51
  storm 0x61
  storm 0x71
  storm 0x81
  jmp main2
storming:
  apic 0xb0, 0
  inc dword [taken]
  iret
count_:                   ; 3,000,000 instructions
  mov ecx, 1000000
.next:
  nop
  dec ecx
  jnz .next
  ret
main2:
  periodic 0
  periodic 1
  periodic 2
  mov dword [0xfed00010], 1
  outb 0x43, 0x34         ; and the 8254
  outb 0x40, 1
  outb 0x40, 0
  entry 2, 0x51, 0
  apic 0x320, 0x20041
  apic 0x3e0, 0xb
  apic 0x380, 1
  sti
  call count_
  cli
  cmp dword [taken], 100
  jb .none
  say "ticks "
.none:
  call count_
  say "held "
  apic 0x320, 0x40041
  mov ebx, 2000
.past:
  mov ecx, 0x6e0
  mov eax, 1
  xor edx, edx
  wrmsr
  sti
  nop
  cli
  dec ebx
  jnz .past
  say "deadlines "
${END}`;
