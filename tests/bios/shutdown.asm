; A boot sector that resets the CPU as programs for an 80286 do to leave its
; protected mode: the CMOS says by CODE how to go on, through 40h:67h. HOW is what
; resets. It tells on COM1 where it has got to.
bits 16
org 0x7c00
  cli
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7000
  mov al, 0x0f
  out 0x70, al
  mov al, CODE
  out 0x71, al
%if CODE == 0x0b          ; IRET from there
  push word 0x0003        ; flags: carry
  push word 0x0700
  push word resumed - 0x7000
  mov [0x467], sp
  mov [0x469], ss
%elif CODE == 0x0c        ; RETF from there
  push word 0x0700
  push word resumed - 0x7000
  mov [0x467], sp
  mov [0x469], ss
%else                     ; a jump
  mov word [0x467], resumed - 0x7000
  mov word [0x469], 0x0700
%endif
  stc
  sti
%if HOW == 0              ; port 92h
  in al, 0x92
  or al, 1
  out 0x92, al
%elif HOW == 1            ; the keyboard controller
  mov al, 0xfe
  out 0x64, al
%elif HOW == 2            ; a triple fault
  lidt [cs:idt]
  int3
%elif HOW == 3            ; reset control: the CPU alone
  mov dx, 0xcf9
  mov al, 0
  out dx, al
  mov al, 4
  out dx, al
%endif
  hlt
  jmp $
resumed:
  pushf
  mov bp, sp
  mov bx, cs
  cmp bx, 0x0700
  jne bad
%if CODE == 0x0b || CODE == 0x0c
  mov ax, ss
  test ax, ax
  jnz bad
  cmp sp, 0x6ffe
  jne bad
%endif
%if CODE == 0x0b
  test byte [bp], 1
  jz bad
%endif
  pop ax
  test ah, 2              ; interrupts are off
  jnz bad
  mov al, 0x0f            ; the code is used up
  out 0x70, al
  in al, 0x71
  test al, al
  jnz bad
  mov al, 'R'
  jmp tell
bad:
  mov al, 'B'
tell:
  mov dx, 0x3f8
  out dx, al
  mov dx, 0x3fd
.sent:
  in al, dx
  test al, 0x40
  jz .sent
  mov al, 0
  out 0xf4, al
  hlt
idt:
  dw 0
  dd 0
  times 510 - ($ - $$) db 0
  dw 0xaa55
