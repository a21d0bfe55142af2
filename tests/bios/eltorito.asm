; What a disc starts: tells on COM1 which drive it is and the high byte of CS; of
; functions 08h, 15h and 41h AH, CX, DX and the carry; how many drives there are;
; the emulation; what it reads, and whether it can write; function 48h; and how
; many drives there are when the emulation has ended.
bits 16
%if NO_EMULATION
org 0
  jmp 0x07c0:begin
begin:
  mov ax, cs
%else
org 0x7c00
  xor ax, ax
%endif
  mov ds, ax
  mov es, ax
  xor ax, ax
  mov ss, ax
  mov sp, 0x7000
  sti
  cld
  mov [drive], dl
  mov al, dl
  call byte_
  mov ax, cs
  mov al, ah
  call byte_
  mov ah, 8
  call disk
  mov ax, ds
  mov es, ax
  mov ah, 0x15
  call disk
  mov ah, 0x41
  mov bx, 0x55aa
  call disk
  call counts
  mov si, packet
  mov ax, 0x4b01
  call disk
  mov si, packet
  mov cx, 0x13
.specification:
  lodsb
  call byte_
  loop .specification
  mov al, ' '
  call put
%if NO_EMULATION
  mov si, address
  mov ah, 0x42
  call disk
  mov si, where + 1
  mov cx, 5
%else
  mov bx, where
  mov cx, 2
  mov dh, 0
  mov ax, 0x0201
  call disk
  mov si, where
  mov cx, 5
%endif
.next:
  lodsb
  call byte_
  loop .next
  mov al, ' '
  call put
%if !NO_EMULATION
  mov bx, where
  mov cx, 2
  mov dh, 0
  mov ax, 0x0301
  call disk
%endif
  mov si, table
  mov word [table], 0x1a
  mov ah, 0x48
  call disk
  mov si, packet
  mov ax, 0x4b00
  call disk
  call counts
  mov al, 0
  mov dx, 0xf4
  out dx, al
  jmp $
counts:                   ; the equipment word, and how many disks there are
  int 0x11
  call byte_
  push ds
  xor ax, ax
  mov ds, ax
  mov al, [0x475]
  pop ds
  call byte_
  mov al, ' '
  jmp put
disk:                     ; INT 13h on the drive; AH, the carry, CX and DX
  mov dl, [drive]
  int 0x13
  pushf
  push dx
  push cx
  mov al, ah
  call byte_
  pop cx
  mov al, ch
  call byte_
  mov al, cl
  call byte_
  pop dx
  push dx
  mov al, dh
  call byte_
  pop dx
  mov al, dl
  call byte_
  pop ax
  and al, 1
  call byte_
  mov al, ' '
  jmp put
%include "print.inc"
drive: db 0
packet: times 0x13 db 0x99
table: times 0x1a db 0
; The disc's volume descriptor.
address: db 16, 0
  dw 1, where
%if NO_EMULATION
  dw 0x07c0
%else
  dw 0
%endif
  dd 16, 0
where equ $$ + 0x400
  times 446 - ($ - $$) db 0
  db 0x80, 1, 1, 0, 0x06, 15, 32, 7
  dd 32, 4064
  times 510 - ($ - $$) db 0
  dw 0xaa55
  db "there"
  times 1024 - ($ - $$) db 0
