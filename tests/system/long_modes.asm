%ifndef QEMU
%define BEFORE
%endif
%include "long.inc"
; The way into IA-32e mode and out of it, code of 64 bits and of 32 bits, far
; transfers between them (SDM volume 3, 9.8.5; volume 2, JMP, CALL, RET, IRET).

bits 32
; outcomes of MOV before there is an IDT of 64 bits: a 32-bit one for #GP
before: mov dword [idt32 + 13 * 8], .gp - $$
        mov eax, .gp
        mov [idt32 + 13 * 8], ax
        mov word [idt32 + 13 * 8 + 2], CODE32
        shr eax, 16
        mov word [idt32 + 13 * 8 + 4], 0x8e00
        mov [idt32 + 13 * 8 + 6], ax
        lidt [.idtr]
        jmp CODE32:.cs
.cs:    mov eax, DATA0
        mov ss, ax
        mov ds, ax
        ; PG with LME and without PAE
        mov ecx, 0xc0000080
        mov eax, 0x100
        xor edx, edx
        wrmsr
        mov eax, pml4
        mov cr3, eax
        mov byte [.letter], 'p'
        mov dword [.after], .a1
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
.a1:    ; PCIDE outside IA-32e mode
        mov byte [.letter], 'c'
        mov dword [.after], .a2
        mov eax, 0x20020
        mov cr4, eax
.a2:    ; a reserved bit of EFER
        mov byte [.letter], 'e'
        mov dword [.after], .a3
        mov ecx, 0xc0000080
        mov eax, 0x102
        xor edx, edx
        wrmsr
.a3:    ; LMA is no bit to write
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x400
        wrmsr
        rdmsr
        test eax, 0x400
        mov al, '+'
        jnz .lma
        mov al, '-'
.lma:   out 0xe9, al
        mov al, 10
        out 0xe9, al
        ret
.gp:    mov al, [.letter]
        out 0xe9, al
        add esp, 16
        jmp [.after]
.idtr:  dw 0x7ff
        dd idt32
.letter: db 0
align 4
.after: dd 0
idt32:  times 16 dq 0

bits 64
; far transfers through memory, with 32 and 64 bits
%macro JMPF 1
        db 0xff, 0x2d
        dd (%1) - ($ + 4)
%endmacro
%macro CALLF 1
        db 0xff, 0x1d
        dd (%1) - ($ + 4)
%endmacro
%macro JMPFQ 1
        db 0x48, 0xff, 0x2d
        dd (%1) - ($ + 4)
%endmacro
%macro CALLFQ 1
        db 0x48, 0xff, 0x1d
        dd (%1) - ($ + 4)
%endmacro

main:
        mov ecx, 0xc0000080
        rdmsr
        SHOW "efer ", rax, 4
        mov rax, cr0
        SHOW " cr0 ", rax, 16
        mov rax, cr4
        SHOW " cr4 ", rax, 16
        NEWLINE
%ifndef QEMU ; which checks little of this
        TRY "PG cleared in 64-bit mode"
        mov rax, cr0
        btr rax, 31
        MARK
        mov cr0, rax
        ENDTRY
        TRY "PAE cleared"
        mov rax, cr4
        btr rax, 5
        MARK
        mov cr4, rax
        ENDTRY
        TRY "LME cleared"
        mov ecx, 0xc0000080
        rdmsr
        btr eax, 8
        MARK
        wrmsr
        ENDTRY
        TRY "high bits of cr0"
        mov rax, cr0
        bts rax, 32
        MARK
        mov cr0, rax
        ENDTRY
        TRY "high bits of cr4"
        mov rax, cr4
        bts rax, 40
        MARK
        mov cr4, rax
        ENDTRY
        TRY "cr3 above the physical addresses"
        mov rax, cr3
        bts rax, 60
        MARK
        mov cr3, rax
        ENDTRY
        TRY "cr3 with bit 63"
        mov rax, cr3
        bts rax, 63
        MARK
        mov cr3, rax
        ENDTRY
        TRY "cr1"
        db 0x0f, 0x20, 0xc8
        ENDTRY
        TRY "dr7 high"
        mov rax, 0x100000400
        MARK
        mov dr7, rax
        ENDTRY
        TRY "dr6 high"
        mov rax, 0x1ffff0ff0
        MARK
        mov dr6, rax
        ENDTRY
        mov rax, 0x123456789abcdef0
        mov dr0, rax
        mov rbx, dr0
        SHOW "dr0 ", rbx, 16
        mov rax, 0xfedcba9876543210
        mov cr2, rax
        mov rbx, cr2
        SHOW " cr2 ", rbx, 16
        mov rbx, cr8
        SHOW " cr8 ", rbx, 16
        NEWLINE
        TRY "cr8 too large"
        mov eax, 16
        MARK
        mov cr8, rax
        ENDTRY

%endif
        ; far transfers
        TRY "jmp far to 32-bit code and back"
        JMPF .to32
bits 32
.in32:  mov eax, 0x80000000
        inc eax
        mov [low_eax], eax
        jmp CODE0:.back
bits 64
.back:
        ENDTRY
        SHOW "eax in 32-bit code ", [low_eax], 8
        NEWLINE
        TRY "jmp far with a 64-bit offset"
        JMPFQ .high
.inhigh: lea rax, [.ud2]
        mov [mark], rax
.ud2:   ud2
        ENDTRY
%ifndef QEMU
        TRY "jmp far to both L and D"
        JMPF .both
        ENDTRY
%endif
        TRY "jmp far to a null selector"
        JMPF .null
        ENDTRY
        TRY "jmp far to code that is not present"
        JMPF .absent
        ENDTRY
%ifndef QEMU
        TRY "jmp far, not canonical"
        JMPFQ .noncanonical
        ENDTRY
%endif
        TRY "jmp far to 32-bit code above 4 GB"
        JMPFQ .above
        ENDTRY
        mov byte [gate_jump], 1
        TRY "jmp far through a gate"
        JMPF .gate
        ENDTRY
        mov byte [gate_jump], 0
        TRY "call far through a gate"
        mov rbx, rsp
        CALLF .gatecall
        sub rbx, rsp
        ENDTRY
        SHOW "left on the stack ", [saved_rbx], 8
        NEWLINE
        TRY "call far through a gate to 32-bit code"
        CALLF .gatebad
        ENDTRY
        TRY "call far to a TSS"
        CALLF .tss
        ENDTRY
        TRY "call far, 32-bit operands"
        mov qword [.want], .c32
        CALLF .to64
.c32:   ENDTRY
        TRY "call far, 64-bit operands"
        CALLFQ .to64q
        ENDTRY
        TRY "retf to level 3"
        push DATA3
        push user_stack + USER
        push CODE3L
        lea rax, [.user + USER]
        push rax
        retfq
.user:  mov eax, cs
        mov ebx, ss
        int 0x80
.over:
        ENDTRY
        SHOW "cs ", [saved_rax], 4
        SHOW " ss ", [saved_rbx], 4
        NEWLINE
        TRY "retf, same level"
        push CODE0
        lea rax, [.inner]
        push rax
        retfq
.inner:
        ENDTRY
        TRY "retf, not canonical"
        push CODE0
        mov rax, 0x800000000000
        push rax
        MARK
        retfq
        ENDTRY
        TRY "ret, not canonical"
        mov rax, 0x800000000000
        push rax
        MARK
        ret
        ENDTRY
        TRY "jmp, not canonical"
        mov rax, 0xffff7fffffffffff
        MARK
        jmp rax
        ENDTRY

        ; IRET
        TRY "iretq with NT"
        pushfq
        or qword [rsp], 0x4000
        popfq
        MARK
        iretq
        ENDTRY
        TRY "iretq, same level, SS null"
        mov rax, rsp
        push 0
        push rax
        push 2
        push CODE0
        lea rbx, [.i1]
        push rbx
        iretq
.i1:    mov ebx, ss
        ENDTRY
        SHOW "ss ", [saved_rbx], 4
        NEWLINE
        TRY "iretq to level 3, SS null"
        push 3
        push user_stack
        push 2
        push CODE3L
        lea rbx, [.i2]
        push rbx
        MARK
        iretq
.i2:
        ENDTRY
        TRY "iretq to 32-bit code, SS null"
        push 0
        push kernel_stack
        push 2
        push CODE32
        lea rbx, [.i2]
        push rbx
        MARK
        iretq
        ENDTRY
        TRY "iretq, not canonical"
        mov rax, rsp
        push 0
        push rax
        push 2
        push CODE0
        mov rbx, 0x800000000000
        push rbx
        MARK
        iretq
        ENDTRY
        TRY "iretq to read only SS"
        mov rax, rsp
        push RDATA
        push rax
        push 2
        push CODE0
        lea rbx, [.i2]
        push rbx
        MARK
        iretq
        ENDTRY
        TRY "iretd"
        mov eax, esp
        sub rsp, 20
        lea rbx, [.i3]
        mov [rsp], ebx
        mov dword [rsp + 4], CODE0
        mov dword [rsp + 8], 2
        mov [rsp + 12], eax
        mov dword [rsp + 16], DATA0
        iretd
.i3:
        ENDTRY
        TRY3C "3: compatibility mode"
        mov eax, cs
        mov ebx, ss
        mov ecx, esp
        END3
        SHOW "cs ", [saved_rax], 4
        SHOW " ss ", [saved_rbx], 4
        SHOW " esp ", [saved_rcx], 16
        NEWLINE
        TRY3C "3: call gate from compatibility mode"
        call GATE3:0
        mov eax, esp
        END3
        SHOW "esp ", [saved_rax], 16
        NEWLINE
        TRY3C "3: call gate of level 0"
        call GATE64:0
        END3
        TRY3 "3: call gate"
        CALLF .gate3
        mov rax, rsp
        mov ebx, ss
        END3
        SHOW "rsp ", [saved_rax], 16
        SHOW " ss ", [saved_rbx], 4
        NEWLINE
        TRY3C "3: jmp to 64-bit code"
        jmp CODE3L:.l64 + USER
bits 64
.l64:   mov rax, 0x123456789
        END3
        SHOW "rax ", [saved_rax], 16
        NEWLINE
        TRY3C "3: 16-bit stack"
        mov eax, DATA16
        mov ss, ax
        mov esp, 0x12340000
        push dword 1
        END3
        TRY3C "3: limit of code"
        jmp dword [.beyond + USER]
        END3

        ; segment registers
        TRY "null SS at level 0"
        xor eax, eax
        mov ss, eax
        push rax
        pop rax
        ENDTRY
        TRY "null SS with RPL 3"
        mov eax, 3
        mov ss, eax
        ENDTRY
        TRY3 "3: null SS"
        mov eax, 3
        mov ss, eax
        END3
        TRY "null DS and ES"
        xor eax, eax
        mov ds, eax
        mov es, eax
        mov [scratch], eax
        mov rax, [scratch]
        ENDTRY
        mov eax, FSDATA
        mov fs, eax
        mov ecx, 0xc0000100
        rdmsr
        SHOW "fs base ", rax, 8
        SHOW " ", rdx, 8
        mov rax, 0x123456789
        mov edx, 1
        mov eax, 0x23456789
        wrmsr
        rdmsr
        SHOW ", ", rdx, 8
        xor edx, edx
        mov fs, edx
        rdmsr
        SHOW ", null: ", rax, 8
        NEWLINE
        TRY "fs base, not canonical"
        mov ecx, 0xc0000100
        mov edx, 0x8000
        xor eax, eax
        MARK
        wrmsr
        ENDTRY
        TRY "lldt"
        mov eax, LDTSEL
        MARK
        lldt ax
        sldt ebx
        ENDTRY
        SHOW "ldt ", [saved_rbx], 4
        NEWLINE
        mov dword [gdt + LDTSEL + 8], 0x8000
        TRY "lldt, not canonical"
        mov eax, LDTSEL
        MARK
        lldt ax
        ENDTRY
        mov dword [gdt + LDTSEL + 8], 0
        mov dword [gdt + LDTSEL + 12], 0x100
        TRY "lldt, type in the second half"
        mov eax, LDTSEL
        MARK
        lldt ax
        ENDTRY
        TRY "ltr of a busy TSS"
        mov eax, MAINTSS
        MARK
        ltr ax
        ENDTRY
        TRY "ltr of a 16-bit TSS"
        mov eax, TSS16
        MARK
        ltr ax
        ENDTRY
        mov ebx, -1
        mov eax, TSS16
        lar ebx, eax
        pushfq
        pop rcx
        and ecx, 0x40
        SHOW "lar of a 16-bit TSS ", rcx, 2
        mov rbx, -1
        mov eax, LDTSEL + 0x100
        lar ebx, eax
        SHOW " leaves ", rbx, 16
        mov eax, MAINTSS
        lar ebx, eax
        SHOW " of the TSS ", rbx, 16
        lsl rcx, eax
        SHOW " lsl ", rcx, 16
        NEWLINE
        ; tables
        sgdt [scratch]
        sidt [scratch + 16]
        mov rax, [scratch + 2]
        sub rax, gdt
        SHOW "gdt+", rax, 16
        SHOW " limit ", [scratch], 4
        SHOW " idt limit ", [scratch + 16], 4
        NEWLINE
        mov word [scratch], 0xff
        mov rax, 0x800000000000
        mov [scratch + 2], rax
%ifndef QEMU
        TRY "lgdt, not canonical"
        lgdt [scratch]
        ENDTRY
%endif
%ifndef QEMU
        TRY "lidt, not canonical"
        lidt [scratch]
        ENDTRY
%endif
        ; out and in again
        JMPF .leave
bits 32
.leave32:
        mov eax, DATA0
        mov ds, ax
        mov ss, ax
        mov eax, cr0
        btr eax, 31
        mov cr0, eax
        mov ecx, 0xc0000080
        rdmsr
        mov [saved_rax], eax
        mov dword [saved_rax + 4], 0
        mov eax, cr0
        bts eax, 31
        mov cr0, eax
        jmp CODE0:.again
bits 64
.again: SHOW "efer outside ", [saved_rax], 4
        mov ecx, 0xc0000080
        rdmsr
        SHOW " and inside ", rax, 4
        NEWLINE
        ret

align 8
.to32:  dd .in32
        dw CODE32
.high:  dq .inhigh + HIGH
        dw CODE0
.both:  dd 0
        dw BOTH
.null:  dd 0
        dw 0
.absent: dd 0
        dw ABSCODE
.noncanonical: dq 0x800000000000
        dw CODE0
.above: dq 0x100000000
        dw CODE32
.gate:  dd 0
        dw GATE64
.gatecall: dd 0
        dw GATE64
.gatebad: dd 0
        dw GATEBAD
.gate3: dd 0
        dw GATE3
.tss:   dd 0
        dw MAINTSS
.to64:  dd .r32
        dw CODE0
.to64q: dq .r64
        dw CODE0
.leave: dd .leave32
        dw CODE32
.beyond: dd 0xfffffff0
.want:  dq 0
.r32:   mov eax, [rsp]
        sub rax, [.want]
        SHOW "pushed ", rax, 8
        SHOW " and ", [rsp + 4], 8
        PRINT " "
        o32 retf
.r64:   SHOW "pushed ", [rsp + 8], 8
        PRINT " "
        retfq

%define HAVE_TARGETS
gate_target:
        cmp byte [gate_jump], 0
        jne leave_ok
        push rax
        mov eax, ss
        SHOW "ss ", rax, 4
        pop rax
        mov rax, [rsp + 8]
        SHOW " cs ", rax, 4
        PRINT " "
        retfq
gate_jump: db 0
low_eax: dq 0
        FINISH
