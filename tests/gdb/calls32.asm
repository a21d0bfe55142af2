; A multiboot kernel in 32-bit mode with a user's code at level 3: SYSENTER,
; interrupts, a call gate, and instructions that a step is not to go over.

bits 32
section .multiboot
  dd 0x1badb002, 0, -0x1badb002
section .text
global _start, user, on_interrupt, on_breakpoint, on_overflow, on_sysenter
global on_gate, after_sysenter, shadowed, strings
_start:
  cli
  mov esp, 0x90000
  lgdt [table_register]
  jmp 8:.flat
.flat:
  mov ax, 0x10
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov ebx, on_breakpoint
  mov ecx, 3
  call set_gate
  mov ebx, on_overflow
  mov ecx, 4
  call set_gate
  mov ebx, on_interrupt
  mov ecx, 0x80
  call set_gate
  lidt [idt_register]
  mov eax, on_gate
  mov [table + 0x30], ax
  mov word [table + 0x32], 8
  mov word [table + 0x34], 0xec00
  shr eax, 16
  mov [table + 0x36], ax
  mov eax, tss
  mov [table + 0x38 + 2], ax
  shr eax, 16
  mov [table + 0x38 + 4], al
  mov ax, 0x38
  ltr ax
  mov ecx, 0x174 ; SYSENTER_CS, _ESP, _EIP
  mov eax, 8
  xor edx, edx
  wrmsr
  mov ecx, 0x175
  mov eax, 0x98000
  wrmsr
  mov ecx, 0x176
  mov eax, on_sysenter
  wrmsr
  fninit
  mov eax, 0x23
  mov ds, eax
  mov es, eax
  xor ebx, ebx
  push dword 0x23
  push dword 0x97000
  push dword 0x2
  push dword 0x1b
  push dword user
  iretd

set_gate:
  mov [idt + ecx * 8], bx
  mov word [idt + ecx * 8 + 2], 8
  mov word [idt + ecx * 8 + 4], 0xee00
  shr ebx, 16
  mov [idt + ecx * 8 + 6], bx
  ret

on_sysenter:
  nop
  mov edx, after_sysenter
  mov ecx, 0x96000
  sysexit
on_interrupt:
  nop
  iretd
on_breakpoint:
  nop
  iretd
on_overflow:
  nop
  iretd
on_gate:
  nop
  retf

user:
  inc eax
  int 0x80
  sysenter
after_sysenter:
  int3
  call 0x33:0
  mov al, 0x7f
  add al, 1
  into
  mov ecx, ss
shadowed:
  mov ss, ecx
  mov esp, 0x96000
  push ss
  pop ss
  nop
  pushf
  or dword [esp], 0x400
  popf
  cld
  enter 16, 1
  leave
strings:
  mov esi, 0x200000
  mov edi, 0x200fff
  mov ecx, 3
  rep movsw
  mov ecx, 2
.again:
  loop .again
  mov dword [0x200ffe], 0x12345678
  xchg [0x201001], eax
  lock inc word [0x201fff]
  fld1
  fstp tword [0x202ffc]
  jmp user

section .data
table: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
  dq 0x00cffb000000ffff, 0x00cff3000000ffff ; 18h, 20h: level 3, SYSEXIT
  dq 0, 0, 0x0000890000000067
table_register: dw 0x3f
  dd table
idt_register: dw 0x7ff
  dd idt
tss: dd 0, 0x98000, 0x10
  times 22 dd 0
  dd 0x680000
section .bss
idt: resb 2048
