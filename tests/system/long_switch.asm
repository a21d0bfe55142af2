%include "long.inc"
; From every mode into 64-bit mode and back: 16-bit and 32-bit code, with and
; without paging, real mode, PAE paging, virtual-8086 mode's absence (SDM volume
; 3, 9.8.5 and 9.9; volume 2, MOV CR).

ALIAS16 equ FREE + 8

bits 64
%macro GO32 1                    ; to compatibility mode
        push CODE32
        push %1
        retfq
bits 32
%endmacro
%macro SHOW32 2                  ; text, value; in 32-bit code
        mov esi, %%text
        mov ebx, %2
        call show32
        jmp %%over
%%text: db %1, 0
%%over:
%endmacro

main:   mov [saved_rsp], rsp
        mov dword [gdt + ALIAS16], 0xffff
        mov dword [gdt + ALIAS16 + 4], 0x9210
        mov word [idt32 + 13 * 8], gp32 - $$
        ; high halves in compatibility mode, and after it
        mov r8, 0x123456789abcdef0
        mov r15, 0xfedcba9876543210
        GO32 .c1
.c1:    mov eax, -1
        inc eax
        mov ecx, -2
        mov [low + 4], esp
        push dword 0x11223344
        pop edx
        jmp CODE0:.b1
bits 64
.b1:    SHOW "r8 ", r8, 16
        SHOW " r15 ", r15, 16
        SHOW " rax ", rax, 8
        SHOW " rdx ", rdx, 8
        SHOW " rsp is ", [low + 4], 8
        NEWLINE
        ; 16-bit code: addresses and stack of 16 bits
        push CODE16
        push .c2 - $$
        retfq
bits 16
.c2:    mov ax, ALIAS16
        mov ss, ax
        mov sp, 0xff00
        mov ax, 0x1234
        push ax
        pop bx
        mov [dword low], bx
        mov [dword low + 4], esp
        mov ax, DATA0
        mov ss, ax
        jmp dword CODE0:.b2
bits 64
.b2:    mov rsp, [saved_rsp]
        SHOW "16 bits: ", [low], 4
        SHOW " esp ", [low + 4], 8
        NEWLINE
        ; a limit and a base in compatibility mode
        lea rax, [data32]
        mov [gdt + FREE + 2], ax
        shr eax, 16
        mov [gdt + FREE + 4], al
        mov word [gdt + FREE], 7
        mov byte [gdt + FREE + 5], 0x92
        mov byte [gdt + FREE + 6], 0x40
        GO32 .c3
.c3:    mov eax, FREE
        mov fs, eax
        mov eax, [fs:4]
        mov [low], eax
        jmp CODE0:.b3
bits 64
.b3:    SHOW "fs:4 ", [low], 8
        mov eax, [fs:4]          ; the base, and no limit
        mov ebx, [fs:8]
        SHOW " in 64-bit mode ", rax, 8
        SHOW " fs:8 ", rbx, 8
        NEWLINE
%ifndef QEMU ; which has no limits and no types of segments
        TRY "beyond the limit in compatibility mode"
        mov dword [mark], .l3
        GO32 .c4
.c4:    mov eax, FREE
        mov fs, eax
.l3:    mov eax, [fs:5]
bits 64
        ENDTRY
        TRY "null ds in compatibility mode"
        mov dword [mark], .l4
        GO32 .c5
.c5:    xor eax, eax
        mov ds, eax
.l4:    mov eax, [low]
bits 64
        ENDTRY
        TRY "null ss in compatibility mode"
        mov dword [mark], .l5
        xor eax, eax
        push CODE32
        push .c6
        mov rbx, rsp
        mov ss, eax
        retfq
bits 32
.c6:
.l5:    push eax
bits 64
        ENDTRY
%endif
        TRY "mov ss, 0 in compatibility mode"
        mov dword [mark], .l6
        GO32 .c7
.c7:    xor eax, eax
.l6:    mov ss, eax
bits 64
        ENDTRY
%ifndef QEMU
        TRY "write to code in compatibility mode"
        mov dword [mark], .l7
        GO32 .c8
.c8:
.l7:    mov [cs:low], eax
bits 64
        ENDTRY
%endif
        TRY "address that wraps"
        GO32 .c9
.c9:    mov ebx, -16
        mov eax, [ebx + low + 16]
        mov ebx, 0x80000000
        mov eax, [ebx + ebx + low]
        jmp CODE0:.b9
bits 64
.b9:    ENDTRY
        ; instructions that 64-bit mode has not
        TRY "in compatibility mode: daa, pusha, les, bound, into, push es"
        GO32 .ca
.ca:    daa
        pusha
        popa
        les eax, [farp]
        mov eax, 5
        bound eax, [bounds]
        xor eax, eax
        into
        push es
        pop es
        aam
        salc
        arpl ax, ax
        jmp CODE0:.ba
bits 64
.ba:    ENDTRY
        ; out: paging off, and what is in force then
        GO32 .out
.out:   mov eax, DATA0
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, kernel_stack - 0x400
        mov eax, cr0
        btr eax, 31
        mov cr0, eax
        mov ecx, 0xc0000080
        rdmsr
        SHOW32 "out: efer ", eax
        mov eax, cr4
        SHOW32 " cr4 ", eax
        call newline
        ; PAE paging with the same PAE bit: a directory of four
        mov ecx, 0xc0000080
        rdmsr
        btr eax, 8
        wrmsr
        mov dword [pae], pd + 1
        mov eax, pae
        mov cr3, eax
        mov eax, cr0
        bts eax, 31
        mov cr0, eax
        rdmsr
        SHOW32 "PAE: efer ", eax
        call newline
        mov eax, cr0             ; CS.L means nothing here
        btr eax, 31
        mov cr0, eax
        jmp CODE0:.legacy        ; L, but D is clear: 16-bit code
bits 16
.legacy:
        mov ax, 0x1111
        o32 mov eax, 0x22222222
        mov [dword low], eax
        jmp dword CODE32:.again32
bits 32
.again32: mov eax, [low]
        SHOW32 "L without LMA: ", eax
        call newline
        ; LME with a TSS of 16 bits, or with L
        and byte [gdt + TSS16 + 5], ~2
        mov eax, TSS16
        ltr ax
        mov ecx, 0xc0000080
        rdmsr
        bts eax, 8
        wrmsr
        mov eax, pml4
        mov cr3, eax
        lidt [idtr32]
        mov dword [resume], .r1
        mov eax, cr0
        bts eax, 31
        mov cr0, eax             ; #GP
        jmp CODE0:.oops
.r1:    and byte [gdt + MAINTSS + 5], ~2
        mov eax, MAINTSS
        ltr ax
        jmp CODE0:.withl
bits 16
.withl: o32 mov dword [dword resume], .r2
        mov eax, cr0
        bts eax, 31
        mov cr0, eax             ; #GP
        ud2
bits 32
.r2:    mov eax, cr0             ; and in again
        bts eax, 31
        mov cr0, eax
        jmp CODE0:.in
bits 64
.oops:  PRINTLN "no fault"
.in:    mov rsp, [saved_rsp]
        lidt [idtr]
        mov ecx, 0xc0000080
        rdmsr
        SHOW "in: efer ", rax, 4
        SHOW " r8 ", r8, 16
        NEWLINE
        ret
bits 32
gp32:   mov eax, [esp]           ; error code
        SHOW32 "#GP ", eax
        call newline
        mov esp, kernel_stack - 0x400
        jmp [resume]
show32: lodsb
        test al, al
        jz .value
        out 0xe9, al
        jmp show32
.value: mov ecx, 8
.digit: rol ebx, 4
        mov al, bl
        and al, 15
        cmp al, 10
        jb .low
        add al, 'a' - 10 - '0'
.low:   add al, '0'
        out 0xe9, al
        loop .digit
        ret
newline: mov al, 10
        out 0xe9, al
        ret
idtr32: dw 0x7f
        dd idt32
align 8
idt32:  times 16 dw 0, CODE32, 0x8e00, 0x10
align 32
pae:    times 4 dq 0
saved_rsp: dq 0
low:    dq 0
data32: dd 0x11111111, 0x22222222, 0x33333333
farp:   dd 0
        dw DATA0
bounds: dd 0, 10
bits 64
        FINISH
