; A disk that was partitioned on a machine of old: 306 cylinders of HEADS heads
; and SECTORS sectors. Its first sector tells on COM1 how the BIOS describes the
; disk, and what a sector has at its end by that geometry.
bits 16
org 0x7c00
CYLINDERS equ 306
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  cld
  mov dl, 0x80
  mov ah, 8
  int 0x13
  mov al, ch
  call byte_
  mov al, cl
  call byte_
  mov al, dh
  call byte_
  mov dl, 0x80
  mov ax, 0x0201
  mov bx, 0x8000
  mov cx, 200 << 8 | SECTORS
  mov dh, HEADS - 1
  int 0x13
  mov si, 0x8000
  mov cx, 4
.next:
  lodsb
  call byte_
  loop .next
  mov al, 0
  mov dx, 0xf4
  out dx, al
  jmp $
%include "print.inc"
  times 446 - ($ - $$) db 0
  ; All but the first track.
  db 0x80, 1, 1, 0, 0x04
  db HEADS - 1, (CYLINDERS - 1) >> 8 << 6 | SECTORS, (CYLINDERS - 1) & 0xff
  dd SECTORS, CYLINDERS * HEADS * SECTORS - SECTORS
  times 510 - ($ - $$) db 0
  dw 0xaa55
