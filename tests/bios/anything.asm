; INT 10h with any registers, a great many times. A guest may
; ask for what it likes: the machine goes on.
bits 16
org 0x7c00
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7000
  sti
  cld
  mov dword [count], CALLS
next:
  call random
  mov ecx, eax
  call random
  mov ebx, eax
  call random
  mov esi, eax
  call random
  mov edi, eax
  call random
  mov edx, eax
  ; Buffers in memory that nobody needs: 20000h to 7FFFFh.
  call random
  xor ah, ah
  and al, 0x3f
  add al, 0x20
  shl ax, 8
  mov es, ax
  call random
  mov ebp, eax
  call random
  ; A third VBE, a third one of the VGA's functions, with any subfunction.
  mov bh, ah
  shr eax, 8
  test bh, 3
  jz .call
  cmp bh, 0x60
  jb .vbe
  ; Not a mode each time: that is slow.
  and ah, 0x1f
  jnz .call
  test bh, 0x0c
  jnz next
  and al, 0x1f
  jmp .call
.vbe:
  mov ah, 0x4f
  and al, 0x1f
  cmp al, 2
  jne .call
  and bx, 0x41ff
  or bx, 0x0100
.call:
  int 0x10
  xor ax, ax
  mov ds, ax
  dec dword [count]
  jnz next
  mov si, text
.say:
  mov dx, 0x3f8
  lodsb
  out dx, al
  test al, al
  jnz .say
.sent:
  mov dx, 0x3fd
  in al, dx
  test al, 0x40
  jz .sent
  mov dx, 0xf4
  mov al, 0
  out dx, al
  jmp $
random:
  mov eax, [seed]
  imul eax, 1664525
  add eax, 1013904223
  mov [seed], eax
  ror eax, 16
  ret
seed: dd SEED
count: dd 0
text: db "END", 0
  times 510 - ($ - $$) db 0
  dw 0xaa55
