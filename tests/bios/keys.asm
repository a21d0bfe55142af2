; A boot sector that prints each word of INT 16h, 10h on COM1, until F12 is
; pressed.
bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7000
  sti
  mov si, begin
.text: lodsb
  test al, al
  jz .next
  call put
  jmp .text
.next:
  mov ah, 0x10
  int 0x16
  push ax
  call word_
  mov al, 10
  call put
  pop ax
  cmp ax, 0x8600
  jne .next
  mov al, 0
  mov dx, 0xf4
  out dx, al
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
word_:
  push ax
  mov al, ah
  call byte_
  pop ax
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
begin: db 10, "BEGIN", 10, 0
  times 510 - ($ - $$) db 0
  dw 0xaa55
