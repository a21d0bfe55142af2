; A boot sector that writes four sectors at each of two places of its disk by
; INT 13h function 43h, reads them by 42h, and says on COM1 what it found: a
; line with the statuses and whether the bytes are the same.
;
;   nasm -f bin -o disk.img far_sectors.asm
bits 16
org 0x7c00

SECTORS equ 4
BUFFER equ 0x8000

  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  sti
  cld
  mov [drive], dl
  mov ax, 0x00e3                ; 9600 baud, 8 bits
  xor dx, dx
  int 0x14
  mov si, places
.place:
  lodsw
  mov [packet + 8], ax
  lodsw
  mov [packet + 10], ax
  lodsw
  mov [packet + 12], ax
  push si
  ; Each sector has bytes of its own.
  mov di, BUFFER
  mov al, [fill]
.sector:
  mov cx, 512
  rep stosb
  inc ax
  cmp di, BUFFER + SECTORS * 512
  jne .sector
  mov ax, 0x4300
  call transfer
  mov di, BUFFER
  mov cx, SECTORS * 512 / 2
  xor ax, ax
  rep stosw
  mov ax, 0x4200
  call transfer
  mov di, BUFFER
  mov dl, 'y'
  mov al, [fill]
.compare:
  mov cx, 512
  repe scasb
  je .same
  mov dl, 'n'
.same:
  inc ax
  cmp di, BUFFER + SECTORS * 512
  jb .compare
  mov [fill], al
  mov al, dl
  call put
  mov al, 10
  call put
  pop si
  cmp si, places.end
  jne .place
  mov al, '.'
  call put
.halt:
  hlt
  jmp .halt

; AX's function; its status as a letter from A on, and a C for carry.
transfer:
  mov si, packet
  mov dl, [drive]
  int 0x13
  mov al, ah
  jnc .fine
  push ax
  mov al, 'C'
  call put
  pop ax
.fine:
  add al, 'A'
put:                            ; AL
  pusha
  mov ah, 1
  xor dx, dx
  int 0x14
  popa
  ret

drive: db 0
fill: db 0x11
align 4
packet:
  db 16, 0
  dw SECTORS, BUFFER, 0
  dq 0
; Where 28 bits of an address end, and where 32 do.
places:
  dw 0xfffe, 0x0fff, 0
  dw 0xfffe, 0xffff, 0
.end:
  times 510 - ($ - $$) db 0
  dw 0xaa55
