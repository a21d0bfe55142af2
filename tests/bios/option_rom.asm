; An option ROM that says on COM1 with which registers it was called. The last
; one takes INT 19h and ends the run there.
bits 16
org 0
  dw 0xaa55
  db 2                      ; 1 KiB
  jmp init
  times 0x18 - ($ - $$) db 0
  dw pcir
pcir:
  db "PCIR"
  dw 0x1d5c, 0x0002, 0, 0x18
  db 0, 0, 0, 2
  dw 2, 0
  db 0, 0x80
  dw 0
put:
  push dx
  push ax
  mov dx, 0x3fd
.wait:
  in al, dx
  test al, 0x20
  jz .wait
  pop ax
  mov dx, 0x3f8
  out dx, al
  pop dx
  ret
digit:
  and al, 15
  cmp al, 10
  sbb al, 0x69
  das
  jmp put
word_:
  mov cx, 4
.next:
  rol bx, 4
  mov al, bl
  call digit
  loop .next
  mov al, ' '
  jmp put
init:
  push dx
  push bx
  mov bx, ax
  call word_
  pop bx
  call word_
  pop bx
  call word_
  mov bx, cs
  call word_
  mov cx, 4                 ; the Plug and Play header
.header:
  mov al, [es:di]
  call put
  inc di
  loop .header
%ifdef BEV
  xor ax, ax
  mov ds, ax
  mov word [0x19 * 4], start
  mov [0x19 * 4 + 2], cs
  ; It may be written while it is called.
  mov byte [cs:changed], 'w'
%endif
  mov al, 10
  call put
  ; A ROM may leave anything in these.
  mov eax, 0x12345678
  mov ds, ax
  mov es, ax
  mov ebp, eax
  sti
  retf
start:
  mov byte [cs:changed], 'X'
  mov al, [cs:changed]
  call put
  mov al, 10
  call put
  mov al, 0
  mov dx, 0xf4
  out dx, al
  jmp $
changed: db '-'
  times 1023 - ($ - $$) db 0
  db 0
