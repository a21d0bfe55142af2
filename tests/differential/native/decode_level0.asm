; Instructions at level 0 of IA-32e mode, in code of 64, 32 and 16 bits. Every
; exception gets its stack from the IST, so that nothing an instruction does to
; RSP or SS matters.

%include "decode_guest.inc"

%define END 0x30001000
%define PML4 0x800000
%define PDPT 0x801000
%define PD 0x802000
%define LOW_TABLE 0x803000       ; the first 2 MB
%define CODE_TABLE 0x804000
%define IDT 0x805000
%define IST_TOP 0x80a000
%define CR0 0x80000031           ; PG, NE, ET, PE

CODE64 equ 0x08
DATA0  equ 0x10
CODE32 equ 0x18
CODE16 equ 0x20
TSS    equ 0x28

align 16
gdt:    dq 0
        DESC 0, 0xfffff, 0x9a, 0xa
        DESC 0, 0xfffff, 0x92, 0xc
        DESC 0, 0xfffff, 0x9a, 0xc
        DESC END - 0x8000, 0xffff, 0x9a, 0
        dw 0x67, 0
        db 0, 0x89, 0, 0
        dq 0
gdt_end:
gdtr:   dw gdt_end - gdt - 1
        dq gdt
idtr:   dw 256 * 16 - 1
        dq IDT

start:  cli
        cld
        mov al, 0xff             ; no interrupts from the 8259s
        out 0x21, al
        out 0xa1, al
        lgdt [gdtr]
        mov edi, PML4
        xor eax, eax
        mov ecx, 0x6000 / 4
        rep stosd
        mov dword [PML4], PDPT + 3
        mov dword [PDPT], PD + 3
        mov dword [PD], LOW_TABLE + 3
        mov eax, 0x200083
        mov edi, 1
.pd:    mov [PD + edi * 8], eax
        add eax, 0x200000
        inc edi
        cmp edi, 8
        jb .pd
        mov eax, 0x100003        ; nothing below 1 MB
        mov edi, 256
.pt:    mov [LOW_TABLE + edi * 8], eax
        add eax, 0x1000
        inc edi
        cmp edi, 512
        jb .pt
        mov dword [PD + (END >> 21) * 8], CODE_TABLE + 3
        mov dword [CODE_TABLE], CODE_PAGE + 3
        mov eax, tss
        mov [gdt + TSS + 2], ax
        shr eax, 16
        mov [gdt + TSS + 4], al
        mov [gdt + TSS + 7], ah
        mov eax, stubs           ; gates: IST 1
        mov edi, IDT
        mov ecx, 256
.gate:  mov [edi], ax
        mov word [edi + 2], CODE64
        mov word [edi + 4], 0x8e01
        mov edx, eax
        shr edx, 16
        mov [edi + 6], dx
        add eax, 16
        add edi, 16
        loop .gate
        mov eax, PML4
        mov cr3, eax
        mov eax, cr4
        or eax, 0x50620          ; PAE, OSFXSR, OSXMMEXCPT, FSGSBASE, OSXSAVE
        mov cr4, eax
        mov ecx, 0xc0000080      ; EFER: SCE, LME, NXE
        rdmsr
        or eax, 0x901
        wrmsr
        mov ecx, 0xc0000082      ; LSTAR
        mov eax, NOWHERE
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000081      ; STAR
        xor eax, eax
        mov edx, CODE64
        wrmsr
        mov eax, CR0
        mov cr0, eax
        jmp CODE64:start64

bits 64
start64:
        lidt [abs idtr]
        mov ax, TSS
        ltr ax
        xor ecx, ecx
        mov eax, 7               ; x87, SSE, AVX
        xor edx, edx
        xsetbv
        mov eax, DATA0
        mov ss, eax
        jmp fresh

LOOP

attempt:
        mov esp, IST_TOP
        mov eax, DATA0
        mov ds, eax
        mov es, eax
        push rax
        mov eax, NOWHERE
        push rax
        push 2
        mov edx, [mode]
        mov ecx, [selectors + edx * 4]
        push rcx
        mov ecx, [first]
        push rcx
        mov ecx, eax
        mov edx, eax
        mov ebx, eax
        mov ebp, eax
        mov esi, eax
        mov edi, eax
        mov r8d, eax
        mov r9d, eax
        mov r10d, eax
        mov r11d, eax
        mov r12d, eax
        mov r13d, eax
        mov r14d, eax
        mov r15d, eax
        iretq

caught: pop rax
        mov [abs vector], eax
        pop rax
        pop rax
        mov [abs ip], eax
        mov rax, cr2
        mov [abs address], eax
        mov eax, CR0
        mov cr0, rax
        xor eax, eax
        mov dr7, rax
        jmp judge

STUBS
DATA
tops:   dd END, END, 0x8000
selectors: dd CODE64, CODE32, CODE16
align 8
tss:    dd 0
        times 4 dq 0
        dq IST_TOP
        times 7 dq 0
        dw 0, 0x68
align 16
cases:
