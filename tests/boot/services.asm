; A boot sector and a program behind it that asks the BIOS what it can and
; prints the answers on COM1.
  org 0x7c00
  bits 16
%define SECTORS 15
start:
  cli
  xor ax, ax
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov sp, 0x7c00
  sti
  cld
  mov [drive], dl
  mov ax, 0x0200 + SECTORS
  mov bx, 0x7e00
  mov cx, 0x0002
  mov dh, 0
  int 0x13
  jc .bad
  jmp main
.bad:
  mov si, failed
  call text
  hlt
failed: db "cannot read", 13, 10, 0

text:                     ; the string at SI to COM1
  lodsb
  test al, al
  jz .end
  call put
  jmp text
.end: ret
put:                      ; AL to COM1, by polling
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
put_byte:                     ; AL in hexadecimal
  push ax
  shr al, 4
  call .digit
  pop ax
  push ax
  and al, 15
  call .digit
  pop ax
  ret
.digit:
  cmp al, 10
  sbb al, 0x69
  das
  jmp put
put_word:                     ; AX
  xchg al, ah
  call put_byte
  xchg al, ah
  jmp put_byte
space:
  push ax
  mov al, ' '
  call put
  pop ax
  ret
drive: db 0
  times 510 - ($ - $$) db 0
  dw 0xaa55

; EAX, EBX, ECX, EDX and CF, as they are.
show:
  pushf
  push ds
  push es
  pushad
  mov bp, sp
  xor ax, ax
  mov ds, ax
  mov eax, [bp + 28]
  call put_dword
  mov eax, [bp + 16]
  call put_dword
  mov eax, [bp + 24]
  call put_dword
  mov eax, [bp + 20]
  call put_dword
  mov ax, [bp + 36]
  and al, 1
  call put_byte
  mov al, 13
  call put
  mov al, 10
  call put
  popad
  pop es
  pop ds
  popf
  ret
put_dword:
  push eax
  shr eax, 16
  call put_word
  pop eax
  call put_word
  jmp space

%macro label 1
  jmp %%past
%%text: db %1, ": ", 0
%%past:
  mov si, %%text
  call text
%endmacro
; ask NAME, INTERRUPT, EAX, EBX, ECX, EDX, SI, which is 0 when it is not there
%macro ask 6-7 0
  label %1
  mov eax, %3
  mov ebx, %4
  mov ecx, %5
  mov edx, %6
  mov si, %7
  int %2
  call show
%endmacro
%macro dump 3             ; NAME, SEGMENT, OFFSET; CX bytes
  label %1
  mov ax, %2
  mov fs, ax
  mov si, %3
  call bytes
%endmacro
bytes:
  mov al, [fs:si]
  inc si
  call put_byte
  loop bytes
  mov al, 10
  jmp put
sum:                      ; of CX bytes at DI
  xor ax, ax
.next:
  rol ax, 1
  add al, [di]
  adc ah, 0
  inc di
  loop .next
  call put_word
  mov al, 10
  jmp put

main:
  ; The screen.
  ask "mode 3", 0x10, 3, 0, 0, 0
  ask "mode", 0x10, 0x0f00, 0, 0, 0
  ask "shape", 0x10, 0x0100, 0, 0x0607, 0
  ask "move", 0x10, 0x0200, 0, 0, 0x0305
  ask "cursor", 0x10, 0x0300, 0, 0, 0
  ask "write", 0x10, 0x0941, 0x1e, 3, 0
  ask "read", 0x10, 0x0800, 0, 0, 0
  ask "teletype", 0x10, 0x0e42, 7, 0, 0
  ask "cursor", 0x10, 0x0300, 0, 0, 0
  mov bp, failed
  ask "string", 0x10, 0x1301, 0x2f, 13, 0x1702
  ask "cursor", 0x10, 0x0300, 0, 0, 0
  ask "scroll", 0x10, 0x0602, 0x0700, 0x0000, 0x184f
  ask "move", 0x10, 0x0200, 0, 0, 0x0105
  ask "read", 0x10, 0x0800, 0, 0, 0
  ask "down", 0x10, 0x0701, 0x7000, 0x0000, 0x0a4f
  ask "move", 0x10, 0x0200, 0, 0, 0x0205
  ask "read", 0x10, 0x0800, 0, 0, 0
  ask "display", 0x10, 0x1a00, 0, 0, 0
  ask "font", 0x10, 0x1130, 0x0600, 0, 0
  xor ax, ax
  mov es, ax
  ask "palette", 0x10, 0x1015, 7, 0, 0
  ask "page", 0x10, 0x0501, 0, 0, 0
  ask "page 0", 0x10, 0x0500, 0, 0, 0
  mov cx, 32
  dump "video", 0x40, 0x49
  mov ax, 0xb800
  mov fs, ax
  label "line"
  mov si, 160 * 2
  mov cx, 20
  call bytes
  ; The machine.
  ask "equipment", 0x11, 0, 0, 0, 0
  ask "memory", 0x12, 0, 0, 0, 0
  ask "extended", 0x15, 0x8800, 0, 0, 0
  ask "e801", 0x15, 0xe801, 0, 0, 0
  xor ebx, ebx
map:
  mov edi, buffer
  label "e820"
  mov eax, 0xe820
  mov ecx, 20
  mov edx, 0x534d4150
  int 0x15
  call show
  jc .end
  push ebx
  mov cx, 20
  dump "range", 0, buffer
  pop ebx
  test ebx, ebx
  jnz map
.end:
  ask "a20", 0x15, 0x2402, 0, 0, 0
  ask "a20 off", 0x15, 0x2400, 0, 0, 0
  ask "a20", 0x15, 0x2402, 0, 0, 0
  ask "a20 on", 0x15, 0x2401, 0, 0, 0
  label "wait"
  mov ax, 0x8600
  mov cx, 0
  mov dx, 20000
  int 0x15
  call show
  ; A move to 2 MiB and back, in protected mode.
  ask "move", 0x15, 0x8700, 0, 256, 0, moves
  mov di, buffer
  mov cx, 512
  mov al, 0
  rep stosb
  mov byte [moves + 0x12 + 2], 0x20
  mov word [moves + 0x12], 0
  mov word [moves + 0x1a], buffer
  mov byte [moves + 0x1c], 0
  ask "move", 0x15, 0x8700, 0, 256, 0, moves
  label "moved"
  mov di, buffer
  mov cx, 512
  call sum
  ask "apm", 0x15, 0x5300, 0, 0, 0
  ; The keyboard.
  ask "keys", 0x16, 0x0100, 0, 0, 0
  ask "shift", 0x16, 0x0200, 0, 0, 0
  ask "put key", 0x16, 0x0500, 0, 0x1e61, 0
  ask "get key", 0x16, 0x0000, 0, 0, 0
  ; The disk.
  mov dl, [drive]
  ask "reset", 0x13, 0, 0, 0, 0x80
  xor di, di
  ask "geometry", 0x13, 0x0800, 0, 0, 0x80
  xor ax, ax
  mov es, ax
  ask "type", 0x13, 0x1500, 0, 0, 0x80
  ask "edd", 0x13, 0x4100, 0x55aa, 0, 0x80
  mov word [buffer], 30
  ask "drive", 0x13, 0x4800, 0, 0, 0x80, buffer
  mov cx, 26
  dump "drive", 0, buffer
  ask "read", 0x13, 0x0210, buffer, 0x0001, 0x0080
  label "sum"
  mov di, buffer
  mov cx, 8192
  call sum
  ask "write", 0x13, 0x0308, buffer, 0x0511, 0x0380
  ask "verify", 0x13, 0x0408, buffer, 0x0511, 0x0380
  ask "edd read", 0x13, 0x4200, 0, 0, 0x80, packet
  label "sum"
  mov di, buffer + 8192
  mov cx, 4096
  call sum
  ask "no sector", 0x13, 0x0201, buffer, 0x0000, 0x0080
  ask "no head", 0x13, 0x0201, buffer, 0x0001, 0xfe80
  mov dword [packet + 8], 0x7fffffff
  ask "no block", 0x13, 0x4200, 0, 0, 0x80, packet
  ask "no drive", 0x13, 0x0201, buffer, 0x0001, 0x0081
  ask "status", 0x13, 0x0100, 0, 0, 0x80
  ; PCI.
  ask "pci", 0x1a, 0xb101, 0, 0, 0
  ask "find", 0x1a, 0xb102, 0, 0x7000, 0x8086
  ask "class", 0x1a, 0xb103, 0, 0x00010180, 0
  mov di, 0
  ask "config", 0x1a, 0xb10a, 0x0008, 0, 0
  mov di, 0x20
  ask "bar 4", 0x1a, 0xb10a, 0x0009, 0, 0
  mov di, 0x60
  ask "pirq", 0x1a, 0xb10a, 0x0008, 0, 0
  ; Protected mode with segments of 16 bits, and real mode with large ones.
  label "protected"
  cli
  lgdt [gdtr]
  mov eax, cr0
  or al, 1
  mov cr0, eax
  jmp 0x08:.protected
.protected:
  mov ax, 0x10
  mov ds, ax
  mov ax, 0x18
  mov es, ax
  mov dword [es:0x300000], 0x12345678
  sldt bx
  smsw cx
  mov eax, cr0
  and al, 0xfe
  mov cr0, eax
  jmp 0:.real
.real:
  xor ax, ax
  mov ds, ax
  sti
  ; ES keeps its limit of 4 GiB.
  mov edx, [es:0x300000]
  mov ax, es
  movzx ebx, bx
  movzx ecx, cx
  movzx eax, ax
  clc
  call show
  mov es, ax
  mov cx, 0
  ; What the BIOS has left in its data area and its vectors.
  label "vectors"
  mov di, 0
  mov cx, 0x120
  call sum
  mov cx, 0x17
  dump "data", 0x40, 0x00
  mov cx, 4
  dump "buffer", 0x40, 0x80
  label "end"
  mov al, 10
  call put
  mov al, 0
  out 0xf4, al
  hlt

align 8
gdtr: dw 31
  dd gdt
align 8
gdt: dq 0
  dw 0xffff, 0, 0x9b00, 0x0000
  dw 0xffff, 0, 0x9300, 0x0000
  dw 0xffff, 0, 0x9300, 0x00cf
moves: dq 0, 0
  dw 0xffff, start, 0x9300, 0
  dw 0xffff, 0, 0x9320, 0
  dq 0, 0
packet: db 16, 0
  dw 8
  dw buffer + 8192, 0
  dq 0
times (SECTORS + 1) * 512 - ($ - $$) db 0
buffer equ 0xa000
