; A multiboot kernel that enters virtual-8086 mode, as DOS under EMM386 does:
; code at 1000:0100 that writes memory, calls, and has interrupts which the
; handler of #GP goes over.

bits 32
section .multiboot
  dd 0x1badb002, 0, -0x1badb002
section .text
global _start, user, handler, call_here, gate_here, function
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
  mov eax, tss
  mov [table + 0x18 + 2], ax
  shr eax, 16
  mov [table + 0x18 + 4], al
  mov [table + 0x18 + 7], ah
  mov ax, 0x18
  ltr ax
  mov eax, handler
  mov [idt + 13 * 8], ax
  mov dword [idt + 13 * 8 + 2], 8
  shr eax, 16
  mov [idt + 13 * 8 + 6], ax
  mov word [idt + 13 * 8 + 4], 0x8e00
  lidt [idt_register]
  mov esi, user
  mov edi, 0x10100
  mov ecx, user_end - user
  rep movsb
  push dword 0x2000  ; GS
  push dword 0x2000  ; FS
  push dword 0x2000  ; DS
  push dword 0x2000  ; ES
  push dword 0x3000  ; SS
  push dword 0xfff0  ; ESP
  push dword 0x23002 ; EFLAGS: VM, IOPL 3
  push dword 0x1000  ; CS
  push dword 0x100   ; EIP
  iretd

; The gate of INT 21h is none.
handler:
  add esp, 4
  add word [esp], 2
  inc dword [ss:handled]
  iretd

bits 16
user:
  mov ax, 0x1234
  mov bx, 1
.again:
  inc bx
  mov [0x10], bx
  mov [0x21], bx
  push bx
  pop dx
call_here:
  call function
gate_here:
  int 0x21
  mov cx, [0x10]
  jmp user.again
function:
  push ax
  add ax, 3
  pop ax
  ret
user_end:

section .data
table: dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x0000890000000067
table_register: dw 31
  dd table
idt_register: dw 255 * 8
  dd idt
tss: dd 0, 0x98000, 0x10
  times 22 dd 0
  dd 0x680000
handled: dd 0
section .bss
idt: resb 2048
