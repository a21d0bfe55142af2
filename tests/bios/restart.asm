; A boot sector that counts its starts in a byte of the CMOS, tells the count on
; COM1 and starts the machine again, the way that HOW says; at the third start
; it ends.
bits 16
org 0x7c00
COUNT equ 0x6e
  cli
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0x7000
  mov al, COUNT
  out 0x70, al
  in al, 0x71
  inc al
  mov bl, al
  mov al, COUNT
  out 0x70, al
  mov al, bl
  out 0x71, al
  mov dx, 0x3f8
  mov al, bl
  add al, '0'
  out dx, al
  cmp bl, 3
  jae end
%if HOW == 0              ; reset control: a hard reset
  mov dx, 0xcf9
  mov al, 2
  out dx, al
  mov al, 6
  out dx, al
%elif HOW == 1            ; reset control: a soft one, of the CPU alone
  mov dx, 0xcf9
  mov al, 0
  out dx, al
  mov al, 4
  out dx, al
%elif HOW == 2            ; port 92h
  in al, 0x92
  or al, 1
  out 0x92, al
%elif HOW == 3            ; the keyboard controller
  mov al, 0xfe
  out 0x64, al
%elif HOW == 4            ; a triple fault
  lidt [idt]
  int3
%elif HOW == 5            ; the entry, as DOS programs call it
  mov word [0x472], 0x1234
  jmp 0xffff:0
%elif HOW == 6            ; the boot strap alone
  int 0x19
%endif
  hlt
  jmp $
end:
  mov al, 0
  out 0xf4, al
  hlt
idt:
  dw 0
  dd 0
  times 510 - ($ - $$) db 0
  dw 0xaa55
