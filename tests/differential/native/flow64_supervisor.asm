; The supervisor of flow64_test.ts. Each entry point has pushed an error code
; (or 0) and its vector. Everything is noted in a ring of 256 records. INT 0x80
; and the interrupt do the next operation of a ring: a change of an entry of a
; page table and its flush. A page fault makes all pages present, writable, the
; user's and executable, and the instruction runs again, unless the last fault
; was at the same address. Anything else goes to the program's start.
;
; The bytes of this stand in flow64_subject.ts: nasm -f bin flow64_supervisor.asm
bits 64
org 0xffff9abcd5e02000
system equ 0xffff9abcd5e00000
op_position equ 0x4000
events equ 0x4008
start equ 0x4010 ; RIP and RSP of the program's start
count equ 0x4020 ; how many entries of page tables there are
last equ 0x4028 ; address of the last page fault
ops equ 0x5000
log equ 0x6000
entries equ 0xa000

entry:
  push rax
  push rcx
  push rdx
  push rbx
  ; 0 rbx, 8 rdx, 16 rcx, 24 rax, 32 vector, 40 error, 48 rip, 56 cs, 64 rflags, 72 rsp
  mov rbx, system
  mov rcx, [rbx+events]
  lea rax, [rcx+1]
  mov [rbx+events], rax
  movzx ecx, cl
  shl ecx, 5
  lea rcx, [rcx+rbx+log]
  mov eax, [rsp+32]
  mov [rcx], eax
  mov edx, [rsp+40]
  mov [rcx+4], edx
  mov rdx, [rsp+48]
  mov [rcx+8], rdx
  mov rdx, [rsp+72]
  mov [rcx+16], rdx
  mov rdx, cr2
  mov [rcx+24], rdx
  cmp eax, 14
  je .page_fault
  cmp eax, 0x20
  je .operation
  cmp eax, 0x80
  je .operation
.recover:
  mov rax, [rbx+start]
  mov [rsp+48], rax
  mov rax, [rbx+start+8]
  mov [rsp+72], rax
  and qword [rsp+64], 0x3000ed5 ; not TF
.return:
  pop rbx
  pop rdx
  pop rcx
  pop rax
  add rsp, 16
  iretq

.page_fault:
  mov rax, cr2
  cmp rax, [rbx+last]
  mov [rbx+last], rax
  je .recover
  mov ecx, [rbx+count]
.repair:
  mov rax, [rbx+entries+rcx*8-8]
  or dword [rax], 7
  and dword [rax+4], 0x7fffffff
  dec ecx
  jnz .repair
  call flush_all
  jmp .return

.operation:
  mov rax, [rbx+op_position]
  lea rcx, [rax+1]
  mov [rbx+op_position], rcx
  and eax, 63
  shl eax, 5
  lea rcx, [rax+rbx+ops]
  mov rax, [rcx]
  test rax, rax
  jz .flush
  mov rdx, [rax]
  and rdx, [rcx+8]
  xor rdx, [rcx+16]
  mov [rax], rdx
.flush:
  mov rdx, [rcx+24]
  cmp rdx, 1
  je .all
  cmp rdx, 2
  je .local
  cmp rdx, 4
  je .other
  invlpg [rdx]
  jmp .return
.all:
  call flush_all
  jmp .return
.other: ; the other space: the page above
  mov rax, cr3
  xor rax, 0x1000
  mov cr3, rax
  jmp .return
.local:
  mov rax, cr3
  mov cr3, rax
  jmp .return

flush_all:
  mov rax, cr4
  mov rdx, rax
  xor rdx, 0x80
  mov cr4, rdx
  mov cr4, rax
  ret
