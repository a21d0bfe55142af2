; A boot sector that sets a planar mode of the VGA or of VBE and draws: text by
; INT 10h, pixels by INT 10h, and by itself through the planes, in each of the
; write modes. Then it ends.
bits 16
org 0x7c00
  cld
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7000
%if MODE >= 0x100
  mov ax, 0x4f02
  mov bx, MODE
%else
  mov ax, MODE
%endif
  int 0x10
  ; A line of bytes for each plane, by the map mask.
  mov ax, 0xa000
  mov es, ax
  mov dx, 0x3c4
  mov di, LINE * 100
  mov ax, 0x0102
.plane:
  out dx, ax
  push ax
  mov al, ah
  or al, 0xa0
  mov cx, LINE * 3 + 5
  rep stosb
  pop ax
  sub di, LINE * 2
  shl ah, 1
  cmp ah, 0x10
  jb .plane
  mov ax, 0x0f02
  out dx, ax
  mov dx, 0x3ce
  ; Set/reset and the bit mask.
  mov ax, 0x0900
  out dx, ax
  mov ax, 0x0f01
  out dx, ax
  mov ax, 0x3c08
  out dx, ax
  mov di, LINE * 120
  mov cx, LINE
.masked:
  mov al, [es:di]
  stosb
  loop .masked
  ; Write mode 2, exclusive or.
  mov ax, 0x0001
  out dx, ax
  mov ax, 0x1803
  out dx, ax
  mov ax, 0x0205
  out dx, ax
  mov ax, 0xff08
  out dx, ax
  mov di, LINE * 104
  mov cx, LINE * 2
.exclusive:
  mov al, [es:di]
  mov al, cl
  stosb
  loop .exclusive
  ; Write mode 1 copies.
  mov ax, 0x0003
  out dx, ax
  mov ax, 0x0105
  out dx, ax
  push ds
  push es
  pop ds
  mov si, LINE * 100
  mov di, LINE * 140
  mov cx, LINE * 12
  rep movsb
  pop ds
  ; As a mode leaves them.
  mov ax, 0x0005
  out dx, ax
  mov ax, 0x0000
  out dx, ax
  mov ax, 0x0001
  out dx, ax
  ; Pixels, the last ones exclusive.
  mov cx, 40
.pixel:
  mov dx, cx
  add dx, 20
  mov ax, 0x0c00
  add al, cl
  and al, 0x0f
  mov bx, 0
  cmp cx, 20
  ja .draw
  or al, 0x80
.draw:
  push cx
  shl cx, 2
  int 0x10
  pop cx
  loop .pixel
%if TEXT
  mov ah, 2
  mov bh, 0
  mov dx, 0x0203
  int 0x10
  mov si, words
.letter:
  lodsb
  test al, al
  jz .lettered
  mov ah, 0x0e
  mov bx, 0x000b
  int 0x10
  jmp .letter
.lettered:
  mov ax, 0x0941
  mov bx, 0x008c
  mov cx, 3
  int 0x10
%endif
  mov al, 0
  out 0xf4, al
  hlt
  jmp $
words: db "Planes", 13, 10, "and text", 0
  times 510 - ($ - $$) db 0
  dw 0xaa55
