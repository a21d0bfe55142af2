; Instructions in virtual-8086 mode, at IOPL 0.

%include "decode_guest.inc"

%define END 0x21000
%define DIRECTORY 0x800000
%define LOW_TABLE 0x801000       ; the first 4 MB
%define IDT 0x805000
%define STACK_TOP 0x80a000

CODE0  equ 0x08
DATA0  equ 0x10
TSS    equ 0x18
CODE   equ (END - 0x8000) >> 4   ; segments
EMPTY  equ 0x4000

align 16
gdt:    dq 0
        DESC 0, 0xfffff, 0x9a, 0xc
        DESC 0, 0xfffff, 0x92, 0xc
        dw 0x67, 0
        db 0, 0x89, 0, 0
gdt_end:
gdtr:   dw gdt_end - gdt - 1
        dd gdt
idtr:   dw 256 * 8 - 1
        dd IDT

start:  cli
        cld
        mov al, 0xff             ; no interrupts from the 8259s
        out 0x21, al
        out 0xa1, al
        lgdt [gdtr]
        mov esp, STACK_TOP
        mov edi, DIRECTORY
        xor eax, eax
        mov ecx, 0x2000 / 4
        rep stosd
        mov dword [DIRECTORY], LOW_TABLE + 7
        mov eax, 0x400083
        mov edi, 1
.pd:    mov [DIRECTORY + edi * 4], eax
        add eax, 0x400000
        inc edi
        cmp edi, 4
        jb .pd
        mov eax, 0x100003        ; nothing below 1 MB
        mov edi, 256
.pt:    mov [LOW_TABLE + edi * 4], eax
        add eax, 0x1000
        inc edi
        cmp edi, 1024
        jb .pt
        mov dword [LOW_TABLE + (END >> 12) * 4 - 4], CODE_PAGE + 7
        mov eax, tss
        mov [gdt + TSS + 2], ax
        shr eax, 16
        mov [gdt + TSS + 4], al
        mov [gdt + TSS + 7], ah
        mov eax, stubs
        mov edi, IDT
        mov ecx, 256
.gate:  mov [edi], ax
        mov word [edi + 2], CODE0
        mov word [edi + 4], 0x8e00
        mov edx, eax
        shr edx, 16
        mov [edi + 6], dx
        add eax, 16
        add edi, 8
        loop .gate
        mov eax, DIRECTORY
        mov cr3, eax
        mov eax, cr4
        or eax, 0x40610          ; PSE, OSFXSR, OSXMMEXCPT, OSXSAVE
        mov cr4, eax
        mov eax, 0x80000031      ; PG, NE, ET, PE
        mov cr0, eax
        jmp CODE0:.flat
.flat:  lidt [idtr]
        mov ax, TSS
        ltr ax
        xor ecx, ecx
        mov eax, 7               ; x87, SSE, AVX
        xor edx, edx
        xsetbv
        mov eax, DATA0
        mov ss, eax
        mov ds, eax
        mov es, eax
        jmp fresh

LOOP

attempt:
        mov esp, STACK_TOP
        mov ecx, EMPTY
        push ecx                 ; GS, FS, DS, ES, SS
        push ecx
        push ecx
        push ecx
        push ecx
        mov eax, NOWHERE
        push eax
        push 0x20002             ; VM
        push CODE
        push dword [first]
        mov ecx, eax
        mov edx, eax
        mov ebx, eax
        mov ebp, eax
        mov esi, eax
        mov edi, eax
        iretd

caught: mov eax, DATA0
        mov ds, eax
        mov es, eax
        pop eax
        mov [vector], eax
        pop eax
        pop eax
        mov [ip], eax
        mov eax, cr2
        mov [address], eax
        jmp judge

STUBS
DATA
tops:   dd 0x8000
align 4
tss:    dd 0, STACK_TOP, DATA0
        times 22 dd 0
        dw 0, 0x68
align 16
cases:
