; The supervisor of flow_test.ts. Each entry point has pushed an error code (or
; 0) and its vector. Everything is noted in a ring of 512 records. INT 0x80 and
; the interrupt do the next operation of a ring: a change of a page table and
; its flush. INT 0x81 goes on at the other privilege level. A page fault makes
; the page present, writable and the user's. Anything else goes to the
; program's start.
;
; The bytes of this stand in flow.ts: nasm -f bin flow_supervisor.asm
bits 32
org 0xc0002000
ops equ 0xc0004000
op_position equ 0xc0004ff0
events equ 0xc0004ff4
start equ 0xc0004ff8 ; EIP of the program's start
log equ 0xc0005000
directory_a equ 0xc0010000
directory_b equ 0xc0011000
tables equ 0xc0012000
user_code equ 0x23
user_data equ 0x2b
kernel_code equ 0x10

entry:
  pushad
  ; 0 pushad, 32 vector, 36 error, 40 eip, 44 cs, 48 eflags, 52 esp
  mov ebx, [events]
  lea eax, [ebx+1]
  mov [events], eax
  and ebx, 511
  shl ebx, 5
  add ebx, log
  mov eax, [esp+32]
  mov [ebx], eax
  mov ecx, [esp+40]
  mov [ebx+4], ecx
  mov ecx, [esp+36]
  mov [ebx+8], ecx
  mov ecx, [esp+48]
  mov [ebx+12], ecx
  mov ecx, [esp+44]
  mov [ebx+16], ecx
  mov ecx, cr2
  mov [ebx+20], ecx
  cmp eax, 14
  je .page_fault
  cmp eax, 0x81
  je .mode
  cmp eax, 0x20
  je .operation
  cmp eax, 0x80
  je .operation
.recover:
  mov ecx, [start]
  mov [esp+40], ecx
.return:
  popad
  add esp, 8
  iret

.page_fault:
  mov edx, ecx
  mov ebx, ecx
  shr ecx, 24
  sub ecx, 8
  cmp ecx, 5
  jae .recover
  and edx, 0xffffff
  shr edx, 12
  cmp edx, 13
  jae .recover
  shr ebx, 22
  or dword [directory_a+ebx*4], 7
  or dword [directory_b+ebx*4], 7
  shl ecx, 12
  or dword [tables+ecx+edx*4], 7
  test ecx, ecx
  jnz .return
  or dword [tables+0x5000+edx*4], 7
  jmp .return

.operation:
  mov ebx, [op_position]
  lea eax, [ebx+1]
  mov [op_position], eax
  and ebx, 63
  shl ebx, 4
  add ebx, ops
  mov esi, [ebx]
  mov edx, [ebx+12]
  test esi, esi
  jz .flush
  mov eax, [ebx+4]
  and [esi], eax
  mov eax, [ebx+8]
  xor [esi], eax
.flush:
  mov eax, edx
  and eax, 0xfff
  and edx, 0xfffff000
  dec eax
  jz .invlpg
  dec eax
  jz .cr3
  dec eax
  jz .pge
  dec eax
  jnz .return
  mov eax, cr3
  xor eax, 0x1000
  mov cr3, eax
  jmp .return
.invlpg:
  invlpg [edx]
  jmp .return
.cr3:
  mov eax, cr3
  mov cr3, eax
  jmp .return
.pge:
  mov eax, cr4
  xor eax, 0x80
  mov cr4, eax
  xor eax, 0x80
  mov cr4, eax
  jmp .return

.mode:
  popad
  add esp, 8
  test byte [esp+4], 3
  jz .to_user
  ; to the kernel on the user's stack: an IRET frame there, below it EAX
  push eax
  push ebx
  mov eax, [esp+20]
  sub eax, 16
  mov ebx, [esp+4]
  mov [eax], ebx
  mov ebx, [esp+8]
  mov [eax+4], ebx
  mov dword [eax+8], kernel_code
  mov ebx, [esp+16]
  mov [eax+12], ebx
  pop ebx
  mov esp, eax
  pop eax
  iret
.to_user:
  push eax
  lea eax, [esp+16]
  push dword user_data
  push eax
  push dword [esp+20]
  push dword user_code
  push dword [esp+20]
  mov eax, [esp+20]
  iret
