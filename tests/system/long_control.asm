%include "long.inc"
; Control registers, model-specific registers and XCR0, bit by bit: what may be
; set, and what is left of it (SDM volume 2, MOV CR, MOV DR, WRMSR, XSETBV;
; volume 3, 2.5; volume 4).

; one attempt: prints - where it went well, or the vector
%macro ATTEMPT 1+
        lea rax, [%%fault]
        mov [after], rax
        mov [row_rsp], rsp
        mov rax, r15
        %1
        mov al, '-'
        out 0xe9, al
%%fault:
%endmacro
; a register's bits, one by one, other than they are; and those to leave alone
%macro REGISTER 2-3 0
        PRINT %1
        xor r14d, r14d
%%next: mov rcx, %3
        bt rcx, r14
        jc %%leave
        mov r13, %2
        mov r15, r13
        btc r15, r14
        ATTEMPT mov %2, rax
        mov rbx, %2
        mov %2, r13
        xor rbx, r13
        jz %%on
        mov al, '+'              ; it has changed
        jmp %%put
%%leave: mov al, '.'
%%put:  out 0xe9, al
%%on:   inc r14d
        cmp r14d, 64
        jb %%next
        NEWLINE
%endmacro

; MOV of a value to a control register
%macro TRY2 3
        PRINT %1
        PRINT ": "
        mov r15, %3
        ATTEMPT mov %2, rax
        NEWLINE
%endmacro
; type, PCID and address
%macro INVPCID 4
        TRY %1
        mov qword [scratch], %3
        mov rax, %4
        mov [scratch + 8], rax
        mov rcx, %2
        MARK
        invpcid rcx, [scratch]
        ENDTRY
%endmacro
; the same of an MSR
%macro MSR 3-4 0
        PRINT %1
        mov ecx, %2
        mov rdx, %3
        mov r15, %4
        call msr_bits
%endmacro
; writes a value: name, MSR, value
%macro WRITE 3
        PRINT %1
        mov r12d, %2
        mov r15, %3
        call msr_write
%endmacro

main:   lea rax, [faulted]
        mov [hook], rax

        ; (PE, PG and PAE apart, and those that change how this test runs)
        PRINTLN "cr0"
        REGISTER "", cr0, 0x80000001
        PRINTLN "cr3"
        REGISTER "", cr3, 0xfffffff000
        PRINTLN "cr4"
        REGISTER "", cr4, 0x300020
        PRINTLN "cr8"
        mov r12d, 0
.cr8:   mov r15, r12
        ATTEMPT mov cr8, rax
        inc r12d
        cmp r12d, 18
        jb .cr8
        xor eax, eax
        mov cr8, rax
        NEWLINE
        PRINTLN "cr2"
        REGISTER "", cr2
        PRINTLN "dr0"
        REGISTER "", dr0
        PRINTLN "dr6"
        REGISTER "", dr6
        PRINTLN "dr7"
        REGISTER "", dr7, 0x20ff
        ; combinations
        TRY2 "PG without PE", cr0, 0x80010010
        TRY2 "NW without CD", cr0, 0xa0010011
        TRY2 "CD and NW", cr0, 0xe0010011
        TRY2 "CD", cr0, 0xc0010011
        mov rax, 0x80010011
        mov cr0, rax
        PRINT "lmsw 0: "
        mov r15d, 0
        ATTEMPT lmsw ax
        mov rax, cr0
        SHOW " ", rax, 16
        PRINT " lmsw 14: "
        mov r15d, 14
        ATTEMPT lmsw ax
        mov rax, cr0
        SHOW " ", rax, 16
        clts
        mov rax, cr0
        SHOW " clts ", rax, 16
        mov rax, 0x80010011
        mov cr0, rax
        smsw rbx
        SHOW " smsw ", rbx, 16
        mov rbx, -1
        smsw ebx
        SHOW " ", rbx, 16
        mov rbx, -1
        smsw bx
        SHOW " ", rbx, 16
        mov rbx, -1
        mov [scratch], rbx
        smsw [scratch]
        SHOW " ", [scratch], 16
        NEWLINE
        mov rbx, -1
        str rbx
        SHOW "str ", rbx, 16
        mov rbx, -1
        str ebx
        SHOW " ", rbx, 16
        mov rbx, -1
        str bx
        SHOW " ", rbx, 16
        mov rbx, -1
        sldt rbx
        SHOW " sldt ", rbx, 16
        mov rbx, -1
        sldt bx
        SHOW " ", rbx, 16
        mov rbx, -1
        mov rbx, ds
        SHOW " ds ", rbx, 16
        mov rbx, -1
        mov ebx, ds
        SHOW " ", rbx, 16
        mov rbx, -1
        mov bx, ds
        SHOW " ", rbx, 16
        NEWLINE

        ; MSRs
        MSR "efer  ", 0xc0000080, 0x500
        MSR "star  ", 0xc0000081, 0
        MSR "lstar ", 0xc0000082, 0
        MSR "cstar ", 0xc0000083, 0
        MSR "fmask ", 0xc0000084, 0
        MSR "fs    ", 0xc0000100, 0
        MSR "gs    ", 0xc0000101, 0
        MSR "kernel", 0xc0000102, 0
        MSR "aux   ", 0xc0000103, 0
        MSR "se cs ", 0x174, 0
        MSR "se esp", 0x175, 0
        MSR "se eip", 0x176, 0
        MSR "pat   ", 0x277, 0
        MSR "mtrr0 ", 0x200, 0
        MSR "mask0 ", 0x201, 0
        MSR "fixed ", 0x250, 0
        MSR "deftyp", 0x2ff, 0
        MSR "spec  ", 0x48, 0
        MSR "xss   ", 0xda0, 0
        WRITE "lstar, highest ", 0xc0000082, 0x7fffffffffff
        WRITE "lstar, in the hole ", 0xc0000082, 0x800000000000
        WRITE "lstar, upper half ", 0xc0000082, 0xffff800000000000
        WRITE "lstar, below the upper half ", 0xc0000082, 0xffff7fffffffffff
        WRITE "pat 7 ", 0x277, 0x0706050401000607
        WRITE "pat 2 ", 0x277, 0x0207040600070406
        WRITE "pat 3 ", 0x277, 0x0307040600070406
        WRITE "pat 8 ", 0x277, 0x0807040600070406
        WRITE "pat ", 0x277, 0x0007040600070406
        WRITE "mtrrcap ", 0xfe, 0
        WRITE "mcg_cap ", 0x179, 0
        WRITE "capabilities ", 0x10a, 0
        WRITE "pred_cmd ", 0x49, 1
        WRITE "pred_cmd 2 ", 0x49, 2
        WRITE "unknown ", 0x12345678, 0
        WRITE "unknown, AMD ", 0xc0010010, 0
        WRITE "x2APIC where there is none ", 0x802, 0
        WRITE "deadline where there is none ", 0x6e0, 0
        PRINT "rdmsr unknown "
        mov ecx, 0x12345678
        ATTEMPT rdmsr
        NEWLINE
        ; what they leave of registers
        mov rax, -1
        mov rdx, -1
        mov rcx, 0xffffffff00000174
        rdmsr
        SHOW "rdmsr ", rax, 16
        SHOW " ", rdx, 16
        mov rax, -1
        mov rdx, -1
        rdtsc
        shr rax, 32
        shr rdx, 32
        SHOW " rdtsc ", rax, 8
        SHOW " ", rdx, 8
        mov rax, 0xffffffff00000000
        mov rbx, -1
        mov rcx, -1
        mov rdx, -1
        cpuid
        shr rax, 32
        shr rbx, 32
        shr rcx, 32
        shr rdx, 32
        SHOW " cpuid ", rax, 8
        SHOW " ", rbx, 8
        SHOW " ", rcx, 8
        SHOW " ", rdx, 8
        NEWLINE
        mov ecx, 0xc0000103
        mov eax, 0x87654321
        xor edx, edx
        wrmsr
        mov rcx, -1
        rdtscp
        SHOW "rdtscp ", rcx, 16
        NEWLINE
        PRINT "rdpmc "
        xor r15d, r15d
        mov rcx, 0x100
        ATTEMPT rdpmc
        PRINT " monitor "
        ATTEMPT monitor
        PRINT " mwait "
        xor ecx, ecx
        ATTEMPT mwait
        PRINT " rsm "
        ATTEMPT rsm
        PRINT " vmcall "
        ATTEMPT vmcall
        PRINT " xgetbv "
        ATTEMPT xgetbv
        PRINT " xsetbv "
        ATTEMPT xsetbv
        PRINT " xsave "
        ATTEMPT xsave [scratch]
        NEWLINE

        ; XCR0
        mov rax, cr4
        bts rax, 18
        mov cr4, rax
        PRINT "xcr0 "
        xor r12d, r12d
.xcr:   mov r15, r12
        xor ecx, ecx
        xor edx, edx
        ATTEMPT xsetbv
        inc r12d
        cmp r12d, 17
        jb .xcr
        mov r15d, 7
        xor ecx, ecx
        mov edx, 1
        ATTEMPT xsetbv
        mov r15d, 7
        mov ecx, 1
        xor edx, edx
        ATTEMPT xsetbv
        mov r15d, 7
        mov rcx, 0x100000000
        xor edx, edx
        ATTEMPT xsetbv
        mov rax, -1
        mov rdx, -1
        xor ecx, ecx
        xgetbv
        SHOW " ", rax, 16
        SHOW " ", rdx, 16
        PRINT " xgetbv 1, 2 "
        mov ecx, 1
        ATTEMPT xgetbv
        mov ecx, 2
        ATTEMPT xgetbv
        NEWLINE
        mov qword [hook], 0
        TRY3 "3: xsetbv"
        xor ecx, ecx
        xor edx, edx
        mov eax, 7
        xsetbv
        END3
        TRY3 "3: xgetbv"
        xor ecx, ecx
        xgetbv
        END3
        TRY3 "3: rdpmc"
        xor ecx, ecx
        rdpmc
        END3
        TRY3 "3: rdtsc"
        rdtsc
        END3
        mov rax, cr4
        or eax, 4
        mov cr4, rax
        TRY3 "3: rdtsc, TSD"
        rdtsc
        END3
        TRY3 "3: rdtscp, TSD"
        rdtscp
        END3
        TRY "rdtsc, TSD"
        rdtsc
        ENDTRY
        TRY3 "3: mov from cr0"
        mov rax, cr0
        END3
        TRY3 "3: mov to cr8"
        mov cr8, rax
        END3
        TRY3 "3: cr1"
        db 0x0f, 0x20, 0xc8
        END3
        TRY3 "3: rdmsr"
        rdmsr
        END3
        TRY3 "3: wrmsr"
        wrmsr
        END3
        TRY3 "3: lgdt"
        lgdt [scratch]
        END3
        TRY3 "3: lidt"
        lidt [scratch]
        END3
        TRY3 "3: lldt"
        lldt ax
        END3
        TRY3 "3: ltr"
        ltr ax
        END3
        TRY3 "3: lmsw"
        lmsw ax
        END3
        TRY3 "3: clts"
        clts
        END3
        TRY3 "3: invlpg"
        invlpg [rax]
        END3
        TRY3 "3: invd"
        invd
        END3
        TRY3 "3: wbinvd"
        wbinvd
        END3
        TRY3 "3: sysexit"
        sysexit
        END3
        TRY3 "3: clac"
        clac
        END3
        TRY3 "3: xsaves"
        xor eax, eax
        xor edx, edx
        xsaves [user_stack + USER - 0x800]
        END3
        TRY "cr9"
        db 0x44, 0x0f, 0x20, 0xc8
        ENDTRY
        TRY "cr5"
        db 0x0f, 0x22, 0xe8
        ENDTRY
        TRY "mov cr with mod 0"
        db 0x0f, 0x20, 0x00      ; mod means nothing
        ENDTRY
        TRY "sgdt of a register"
        db 0x0f, 0x01, 0xc7
        ENDTRY
        TRY "lgdt of a register"
        db 0x0f, 0x01, 0xd7
        ENDTRY
        TRY "invlpg of a register"
        db 0x0f, 0x01, 0xfa
        ENDTRY
        TRY "invpcid of a register"
        db 0x66, 0x0f, 0x38, 0x82, 0xc1
        ENDTRY
        TRY "cmpxchg16b of a register"
        db 0x48, 0x0f, 0xc7, 0xc9
        ENDTRY
        ; invpcid, without PCIDs in use
        INVPCID "invpcid, type 0", 0, 0, 0
        INVPCID "invpcid, type 0 of PCID 1", 0, 1, 0
        INVPCID "invpcid, type 1 of PCID 1", 1, 1, 0
        INVPCID "invpcid, type 2 of PCID 1", 2, 1, 0
        INVPCID "invpcid, type 3 of PCID 1", 3, 1, 0
        INVPCID "invpcid, type 3, reserved bits", 3, 0x1000, 0
        INVPCID "invpcid, type 2, not canonical", 2, 0, 0x800000000000
        INVPCID "invpcid, type 0, not canonical", 0, 0, 0x800000000000
        INVPCID "invpcid, type 4", 4, 0, 0
        mov rax, 0x100000000
        mov [scratch + 16], rax
        INVPCID "invpcid, type of 64 bits", [scratch + 16], 0, 0
        ret

; EBX vector, [rsp] error code and frame
faulted: mov rsp, [row_rsp]
        mov al, bl
        add al, 'a' - 10         ; d for #GP
        cmp bl, 10
        jae .letter
        mov al, bl
        add al, '0'
.letter: out 0xe9, al
        mov rbx, [saved_rbx]
        push 2
        popfq
        jmp [after]

; ECX the MSR, RDX bits to leave alone, R15 what to begin with
msr_bits:
        mov r12d, ecx
        mov r11, rdx
        PRINT " "
        ATTEMPT rdmsr
        lea rax, [.out]
        mov [after], rax
        mov ecx, r12d
        rdmsr
        shl rdx, 32
        mov ebx, eax
        or rbx, rdx
        xor r14d, r14d
.next:  bt r11, r14
        jc .leave
        mov r15, rbx
        btc r15, r14
        mov ecx, r12d
        mov rdx, r15
        shr rdx, 32
        ATTEMPT wrmsr
        mov ecx, r12d
        lea rax, [.leave]
        mov [after], rax
        rdmsr
        shl rdx, 32
        mov eax, eax
        or rdx, rax
        cmp rdx, rbx
        mov al, '+'
        je .same
.put:   out 0xe9, al
.same:  mov ecx, r12d
        mov rax, rbx
        mov rdx, rbx
        shr rdx, 32
        lea rbp, [.on]
        mov [after], rbp
        wrmsr
.on:    inc r14d
        cmp r14d, 64
        jb .next
        NEWLINE
        ret
.out:   NEWLINE
        ret
.leave: mov al, '.'
        out 0xe9, al
        jmp .on

msr_write:
        mov ecx, r12d
        mov rdx, r15
        shr rdx, 32
        ATTEMPT wrmsr
        NEWLINE
        ret

align 8
after:  dq 0
row_rsp: dq 0
        FINISH
