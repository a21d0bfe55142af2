; A multiboot kernel in 64-bit mode with a user's code at level 3: SYSCALL,
; an interrupt, SYSENTER and back; stores over the ends of pages.

bits 32
section .multiboot
  dd 0x1badb002, 0, -0x1badb002
section .text
global _start, user, on_syscall, on_interrupt, on_sysenter, after_sysenter
global stores, repeated
_start:
  cli
  mov esp, 0x90000
  lgdt [table_register]
  ; 1 GiB at its own addresses in pages of 2 MiB, also for level 3.
  mov edi, 0x80000
  mov dword [edi], 0x81007
  mov dword [edi + 0x1000], 0x82007
  mov eax, 0x87
  xor ecx, ecx
.page:
  mov [edi + 0x2000 + ecx * 8], eax
  add eax, 0x200000
  inc ecx
  cmp ecx, 512
  jb .page
  mov cr3, edi
  mov eax, cr4
  or eax, 0x620       ; PAE, OSFXSR, OSXMMEXCPT
  mov cr4, eax
  mov ecx, 0xc0000080 ; EFER
  rdmsr
  or eax, 0x101       ; LME, SCE
  wrmsr
  mov eax, cr0
  or eax, 0x80000000  ; PG
  mov cr0, eax
  jmp 8:flat
bits 64
flat:
  fninit
  mov ax, 0x10
  mov ss, ax
  mov ds, ax
  mov es, ax
  mov ecx, 0xc0000081 ; STAR
  xor eax, eax
  mov edx, 0x00200008
  wrmsr
  mov ecx, 0xc0000082 ; LSTAR
  mov eax, on_syscall
  xor edx, edx
  wrmsr
  mov ecx, 0x174      ; SYSENTER_CS, _ESP, _EIP
  mov eax, 0x38
  wrmsr
  mov ecx, 0x175
  mov eax, 0x98000
  wrmsr
  mov ecx, 0x176
  mov eax, on_sysenter
  wrmsr
  mov eax, on_interrupt
  mov edi, idt + 0x80 * 16
  mov dword [edi], 0x80000
  mov [edi], ax
  shr eax, 16
  shl eax, 16
  mov ax, 0xee00
  mov [edi + 4], eax
  lidt [idt_register]
  mov eax, tss
  mov edi, table + 0x70
  mov [edi + 2], ax
  shr eax, 16
  mov [edi + 4], al
  mov ax, 0x70
  ltr ax
  xor ebx, ebx
  xor esi, esi
  xor edi, edi
  push 0x2b
  push 0x97000
  push 0x202
  push 0x33
  push user
  iretq
on_syscall:
  nop
  o64 sysret
on_sysenter:
  nop
  mov edx, after_sysenter
  mov ecx, 0x96000
  o64 sysexit
on_interrupt:
  nop
  iretq

user:
  mov eax, 1
  mov r8, 0x1122334455667788
.again:
  inc eax
  syscall
  inc ebx
  int 0x80
  inc esi
  sysenter
after_sysenter:
  inc edi
  rol r8, 3
stores:
  mov [0x200ffd], r8  ; over the end of 4 KiB
  mov [0x3fffff], r8w ; and of 2 MiB
  mov rbp, [0x3ffffe]
  movq xmm0, r8
  punpcklqdq xmm0, xmm0
  movdqu [0x201ff8], xmm0
  mov ecx, 5
  mov rdi, 0x202ffe
  mov al, r8b
repeated:
  rep stosb
  add byte [0x202fff], 3
  mov [0x300000], r8d
  mov r9d, [0x300000]
  jmp user.again

section .data
table: dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0
  dq 0, 0x00cff3000000ffff, 0x00affb000000ffff ; 28h, 30h: level 3 by SYSRET
  dq 0x00af9b000000ffff, 0x00cf93000000ffff    ; 38h: SYSENTER
  dq 0x00cffb000000ffff, 0x00cff3000000ffff
  dq 0x00affb000000ffff, 0x00cff3000000ffff    ; 58h: SYSEXIT
  dq 0, 0x0000890000000067, 0
table_register: dw 0x7f
  dd table
idt_register: dw 0xfff
  dq idt
tss: dd 0
  dq 0x98000
  times 22 dd 0
  dd 0x680000
section .bss
idt: resb 4096
