/**
 * What bare-metal guests of this folder have in common, for nasm: a stack, the
 * interrupt table, the interrupt controllers and the serial port.
 *
 * @module
 */

/**
 * `outb PORT, VALUE`; `gate VECTOR, HANDLER` in the table that `idtr` tells;
 * `put` writes AL to COM1. The guest begins at `main`, which must follow.
 */
export const PRELUDE = `
  mov esp, 0x180000
  jmp main
%macro outb 2
  mov al, %2
%if %1 < 256
  out %1, al
%else
  mov dx, %1
  out dx, al
%endif
%endmacro
%macro gate 2             ; vector, handler
  mov eax, %2
  mov [0x1f0000 + %1 * 8], ax
  mov word [0x1f0000 + %1 * 8 + 2], cs
  mov word [0x1f0000 + %1 * 8 + 4], 0x8e00
  shr eax, 16
  mov [0x1f0000 + %1 * 8 + 6], ax
%endmacro
idtr: dw 0x7ff
  dd 0x1f0000
put:                      ; AL to COM1, by polling
  push edx
  push eax
  mov edx, 0x3fd
.wait: in al, dx
  test al, 0x20
  jz .wait
  pop eax
  mov edx, 0x3f8
  out dx, al
  pop edx
  ret
`;

/**
 * `say TEXT`; `byte_` writes AL and `dword_` EAX in hexadecimal, with a blank;
 * `newline` ends a line.
 */
export const PRINT: string = `
%macro say 1
  mov esi, %%text
  call print
  jmp %%over
%%text: db %1, 0
%%over:
%endmacro
print:                    ; the text at ESI
  lodsb
  test al, al
  jz .end
  call put
  jmp print
.end: ret
byte_:                    ; AL and a blank
  push eax
  push eax
  shr al, 4
  call digit
  pop eax
  and al, 15
  call digit
  mov al, ' '
  call put
  pop eax
  ret
digit:
  add al, '0'
  cmp al, '9'
  jbe put
  add al, 'a' - '9' - 1
  jmp put
dword_:                   ; EAX and a blank
  mov ecx, 4
.next: rol eax, 8
  cmp ecx, 1
  je byte_
  push eax
  push ecx
  push eax
  shr al, 4
  call digit
  pop eax
  and al, 15
  call digit
  pop ecx
  pop eax
  dec ecx
  jmp .next
newline:
  mov al, 10
  jmp put
`;

/** Interrupt controllers at 20h and 28h with these masks, and an empty table. */
export function interrupts(master: number, slave: number): string {
  return `
  outb 0x20, 0x11
  outb 0x21, 0x20
  outb 0x21, 0x04
  outb 0x21, 0x01
  outb 0xa0, 0x11
  outb 0xa1, 0x28
  outb 0xa1, 0x02
  outb 0xa1, 0x01
  outb 0x21, ${master}
  outb 0xa1, ${slave}
  lidt [idtr]
`;
}
