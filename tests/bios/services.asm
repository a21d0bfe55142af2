; A boot sector and the code behind it, which call the BIOS's services and
; print what they return on COM1: registers after each call, checksums of
; memory. The same on Rhea's BIOS and on QEMU's SeaBIOS.
bits 16
org 0x7c00
%ifndef SECTORS
%define SECTORS 16
%endif

start:
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7000
  sti
  cld
  mov [boot_drive], dl
  mov dword [pattern], 0
  mov ax, 0x0200 + SECTORS - 1
  mov bx, 0x7e00
  mov cx, 2
  mov dh, 0
  int 0x13
  jc .failed
  jmp main
.failed:
  mov al, 'F'
  call put
  jmp $

put:                      ; AL to COM1
  push dx
  push ax
  mov dx, 0x3fd
.wait: in al, dx
  test al, 0x20
  jz .wait
  pop ax
  mov dx, 0x3f8
  out dx, al
  pop dx
  ret
say:                      ; the text behind the call
  mov [cs:saved_si], si
  pop si
.next: cs lodsb
  test al, al
  jz .end
  call put
  jmp .next
.end: push si
  mov si, [cs:saved_si]
  ret
saved_si: dw 0
byte_:
  push ax
  shr al, 4
  call digit
  pop ax
  and al, 15
digit:
  cmp al, 10
  sbb al, 0x69
  das
  jmp put
word_:
  push ax
  mov al, ah
  call byte_
  pop ax
  jmp byte_
newline:
  mov al, 10
  jmp put
boot_drive: db 0
  times 510 - ($ - $$) db 0
  dw 0xaa55

; What to print of a call.
AX_ equ 1
BX_ equ 2
CX_ equ 4
DX_ equ 8
CF_ equ 16
ZF_ equ 32
AH_ equ 64
AL_ equ 128
DI_ equ 256

; call NAME, VECTOR, AX, BX, CX, DX, what to print
%macro try 7
  call say
  db %1, ": ", 0
  mov eax, %3
  mov ebx, %4
  mov ecx, %5
  mov edx, %6
  int %2
  call save
  mov word [what], %7
  call show
%endmacro
save:                     ; registers and flags, as the call left them
  pushf
  pop word [flags]
  mov [regs], ax
  mov [regs + 2], bx
  mov [regs + 4], cx
  mov [regs + 6], dx
  mov [regs + 8], di
  ret
regs: times 5 dw 0
flags: dw 0
what: dw 0
pattern: dd 0
%macro part 3             ; bit, letter, offset
  test word [what], %1
  jz %%no
  call say
  db %2, 0
  mov ax, [regs + %3]
  call word_
%%no:
%endmacro
show:
  push ds
  push es
  xor ax, ax
  mov ds, ax
  mov es, ax
  part AX_, " ax=", 0
  part BX_, " bx=", 2
  part CX_, " cx=", 4
  part DX_, " dx=", 6
  part DI_, " di=", 8
  test word [what], AH_
  jz .no_ah
  call say
  db " ah=", 0
  mov al, [regs + 1]
  call byte_
.no_ah:
  test word [what], AL_
  jz .no_al
  call say
  db " al=", 0
  mov al, [regs]
  call byte_
.no_al:
  test word [what], CF_
  jz .no_cf
  call say
  db " cf=", 0
  mov al, [flags]
  and al, 1
  call digit
.no_cf:
  test word [what], ZF_
  jz .no_zf
  call say
  db " zf=", 0
  mov al, [flags]
  shr al, 6
  and al, 1
  call digit
.no_zf:
  pop es
  pop ds
  jmp newline
sum:                      ; a checksum of CX bytes at ES:DI
  xor ax, ax
.next: rol ax, 1
  xor al, [es:di]
  add ah, al
  inc di
  loop .next
  call word_
  jmp newline
%macro memory 3           ; name, address, bytes
  call say
  db %1, ": ", 0
  mov ax, %2 >> 4
  mov es, ax
  mov di, %2 & 15
  mov cx, %3
  call sum
  xor ax, ax
  mov es, ax
%endmacro
%macro bytes 3            ; name, address, bytes
  call say
  db %1, ":", 0
  mov si, %2
  mov cx, %3
%%next:
  mov al, ' '
  call put
  lodsb
  call byte_
  loop %%next
  call newline
%endmacro
%macro crtc 2             ; name, register
  call say
  db %1, ": ", 0
  mov dx, 0x3d4
  mov al, %2
  out dx, al
  inc dx
  in al, dx
  call byte_
  call newline
%endmacro
packet: db 16, 0
  dw 2                    ; count
  dw 0xa000, 0            ; buffer
  dd 40, 0                ; block
table: times 80 db 0
gdt: times 16 db 0
  dw 0xffff, 0x9000
  db 0, 0x93, 0, 0
  dw 0xffff, 0x0000
  db 0x20, 0x93, 0, 0
  times 16 db 0

main:
  call say
  db 10, "BEGIN", 10, 0
%include "tests.inc"
  call say
  db "END", 10, 0
  mov al, 0
  mov dx, 0xf4
  out dx, al
  jmp $
  times SECTORS * 512 - ($ - $$) db 0
