; What the random programs' exceptions and interrupts lead to. Each entry point
; has pushed an error code (or 0) and its vector. A fault is written to a ring
; of 32 records of 1 KiB with all registers, and the program goes on in its
; next slot of 32 bytes; an interrupt is noted and returns.
;
; The bytes of this stand in programs_test.ts: nasm -f bin supervisor.asm
bits 32
org 0x6b3c3000
log equ 0x6b3c4000
code equ 0x10000000
code_bytes equ 0x2000

entry:
  pushad
  push ds
  push es
  mov edx, ss
  mov ds, edx
  mov es, edx
  cld
  ; 0 es, 4 ds, 8 pushad, 40 vector, 44 error, 48 eip, 52 cs, 56 eflags, 60 esp
  mov ebx, [position]
  lea eax, [ebx+1]
  mov [position], eax
  and ebx, 31
  shl ebx, 10
  add ebx, log
  mov eax, [esp+40]
  mov [ebx], eax
  mov ecx, [esp+48]
  mov [ebx+4], ecx
  cmp eax, 32
  jae .return
  mov edx, [esp+44]
  mov [ebx+8], edx
  mov edx, [esp+56]
  mov [ebx+12], edx
  mov edx, cr2
  mov [ebx+16], edx
  mov edx, [esp+60]
  mov [ebx+20], edx
  mov edx, ecx
  lea esi, [esp+8]
  lea edi, [ebx+32]
  mov ecx, 8
  rep movsd
  fxsave [ebx+512]
  ; on in the next slot; out of the code: in a slot by the count of events
  mov ecx, edx
  sub ecx, code
  cmp ecx, code_bytes - 32
  jb .inside
  mov ecx, [position]
  shl ecx, 5
.inside:
  and ecx, code_bytes - 32
  add ecx, code + 32
  cmp ecx, code + code_bytes
  jb .go
  mov ecx, code
.go:
  mov [esp+48], ecx
  and dword [esp+56], 0xfffbbeff ; no TF, NT, AC
  ; with segments and pointers as they were at first
  mov dword [esp+60], 0x20001000
  mov dword [esp], 0x2b
  mov dword [esp+4], 0x2b
  mov dword [esp+8], 0x20001100
  mov dword [esp+12], 0x20000f00
  mov dword [esp+16], 0x20000e80
  mov dword [esp+24], 0x20001040
  fnclex
.return:
  pop es
  pop ds
  popad
  add esp, 8
  iret
position equ 0x6b3c3ffc
