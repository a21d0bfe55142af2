; The first sector of a hard disk in a disc's image: says on COM1 which drive it
; is, how the BIOS describes it and what its second sector begins with.
bits 16
org 0x7c00
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  cld
  mov al, dl
  call byte_
  mov ah, 8
  push dx
  int 0x13
  mov al, dh
  call byte_
  mov al, cl
  call byte_
  pop dx
  mov ax, 0x0201
  mov bx, 0x8000
  mov cx, 2
  mov dh, 0
  int 0x13
  mov si, 0x8000
  mov cx, 5
.next:
  lodsb
  call put
  loop .next
  mov al, 0
  mov dx, 0xf4
  out dx, al
  jmp $
%include "print.inc"
  times 446 - ($ - $$) db 0
  ; Bootable, from 0/1/1, FAT16, to cylinder 7, head 15, sector 32.
  db 0x80, 1, 1, 0, 0x06, 15, 32, 7
  dd 32, 4064
  times 510 - ($ - $$) db 0
  dw 0xaa55
  db "there"
  times 1024 - ($ - $$) db 0
