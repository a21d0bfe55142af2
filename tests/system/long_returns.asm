%include "long.inc"
; Returns to an outer level in IA-32e mode: what becomes of the data segment
; registers, with and without a descriptor, and which stack segments go with
; which code (SDM volume 2, IRET and RET; volume 3, 3.4.4 and 5.8.6).

; selector, and what is printed before it
%macro DROP 2
        PRINT %1
        mov r12d, %2
        call drop
%endmacro
; selectors of SS and CS
%macro STACKS 3
        mov r13d, %2
        mov r14d, %3
        PRINT %1
        call stacks
%endmacro

main:   mov word [gdt + FREE + 2], 0     ; conforming code of level 3, readable
        mov dword [gdt + FREE], 0xffff
        mov dword [gdt + FREE + 4], 0x00affe00
        PRINTLN "registers: ds es fs gs fsbase gsbase: by iretq; by retfq"
        DROP "null 0  ", 0
        DROP "null 1  ", 1
        DROP "null 2  ", 2
        DROP "null 3  ", 3
        DROP "data 0  ", DATA0
        DROP "data 3  ", DATA3
        DROP "data 3, RPL 0  ", DATA3 & ~3
        DROP "read only, level 0  ", RDATA
        DROP "with a base, level 3  ", FSDATA | 3
        and byte [gdt + FSDATA + 5], ~0x60
        DROP "with a base, level 0  ", FSDATA
        or byte [gdt + FSDATA + 5], 0x60
        DROP "code, level 0  ", CODE0
        DROP "code, level 3  ", CODE3
        DROP "conforming code, level 0  ", CONF
        DROP "conforming code, level 3  ", FREE

        PRINTLN "stacks of 64-bit code, iretq and retfq"
        STACKS "null 3, level 3", 3, CODE3L
        STACKS "null 0, level 3", 0, CODE3L
        STACKS "null 0, level 0", 0, CODE0
        STACKS "null 1, level 0", 1, CODE0
        STACKS "null 3, level 0", 3, CODE0
        STACKS "data 0, level 0", DATA0, CODE0
        STACKS "data 0, RPL 3, level 0", DATA0 | 3, CODE0
        STACKS "data 3, level 3", DATA3, CODE3L
        STACKS "data 3, RPL 0, level 3", DATA3 & ~3, CODE3L
        STACKS "data 3, RPL 1, level 3", DATA3 & ~3 | 1, CODE3L
        STACKS "data 0, level 3", DATA0, CODE3L
        STACKS "data 0, RPL 3, level 3", DATA0 | 3, CODE3L
        STACKS "read only, RPL 3, level 3", RDATA | 3, CODE3L
        STACKS "code, level 3", CODE3, CODE3L
        STACKS "beyond the gdt, level 3", 0xfff0 | 3, CODE3L
        STACKS "data 3, code of level 3 with RPL 0", DATA3, CODE3L & ~3
        STACKS "data 3, code of level 0 with RPL 3", DATA3, CODE0 | 3
        STACKS "data 3, conforming code with RPL 3", DATA3, CONF | 3
        STACKS "null 3, conforming code with RPL 3", 3, CONF | 3
        STACKS "data 3, conforming code of level 3", DATA3, FREE | 3
        STACKS "data 0, conforming code of level 3, RPL 0", DATA0, FREE
        PRINTLN "stacks of 32-bit code"
        STACKS "null 0, 32-bit code of level 0", 0, CODE32
        STACKS "null 3, 32-bit code of level 3", 3, CODE3
        STACKS "data 3, level 3", DATA3, CODE3

        ; inward: from level 3
        TRY3 "3: iretq to level 0"
        push DATA0
        push kernel_stack
        push 2
        push CODE0
        push gate_target
        iretq
        END3
        TRY3 "3: retfq to level 0"
        push CODE0
        push gate_target
        retfq
        END3
        TRY3 "3: iretq to conforming code with RPL 0"
        push DATA3
        push user_stack + USER
        push 2
        push CONF
        push gate_target
        iretq
        END3
        ret

; loads R12D into all data segment registers and goes to level 3, twice
drop:   mov [resume_rsp], rsp
        lea rax, [.shown]
        mov [hook], rax
        call load
        push DATA3
        push user_stack + USER
        push 2
        push CODE3L
        lea rax, [look + USER]
        push rax
        iretq
.shown: call show
        lea rax, [.last]
        mov [hook], rax
        call load
        lea rax, [look + USER]
        push DATA3
        push user_stack + USER
        push CODE3L
        push rax
        o64 retf 0
.last:  call show
        mov qword [hook], 0
        NEWLINE
        ret

; selectors first: in 64-bit mode they may change the bases
load:   mov ds, r12d
        mov es, r12d
        mov fs, r12d
        mov gs, r12d
        cmp r12d, 4
        jae .done
        mov ecx, 0xc0000100
        mov eax, 0x89abcdef
        mov edx, 0x1234
        wrmsr
        inc ecx
        inc eax
        wrmsr
.done:  ret

look:   mov eax, ds
        mov ebx, es
        mov ecx, fs
        mov edx, gs
        int 0x80

; in the hook: vector in EBX
show:   pop r15
        cmp ebx, 0x80
        jne .bad
        SHOW " ", [saved_rax], 4
        SHOW " ", [saved_rbx], 4
        SHOW " ", [saved_rcx], 4
        SHOW " ", [saved_rdx], 4
        mov ecx, 0xc0000100
        rdmsr
        SHOW " ", rdx, 4
        SHOW "", rax, 8
        inc ecx
        rdmsr
        SHOW " ", rdx, 4
        SHOW "", rax, 8
        PRINT ";"
        jmp .leave
.bad:   SHOW " #", rbx, 2
.leave: mov eax, DATA0
        mov ss, eax
        mov ds, eax
        mov es, eax
        mov rsp, [resume_rsp]
        jmp r15

; returns to code R14D with stack R13D; prints what came of it
stacks: mov [resume_rsp], rsp
        lea rax, [.first]
        mov [hook], rax
        push r13
        push user_stack + USER
        push 2
        push r14
        lea rax, [arrive + USER]
        push rax
        iretq
.first: call outcome
        lea rax, [.second]
        mov [hook], rax
        mov eax, r14d
        and eax, 3
        jz .last                 ; of the same level: it takes no stack
        push r13
        push user_stack + USER
        push r14
        lea rax, [arrive + USER]
        push rax
        o64 retf 0
.second: call outcome
.last:  mov qword [hook], 0
        NEWLINE
        ret
arrive: mov eax, ss
        int 0x80                 ; the same in 32-bit code
; the vector and error code, or SS as it has arrived
outcome:
        pop r15
        cmp ebx, 0x80
        jne .fault
        SHOW " ss ", [saved_rax], 4
        jmp .leave
.fault: SHOW " #", rbx, 2
        pop rax
        SHOW " ", rax, 4
.leave: mov eax, DATA0
        mov ss, eax
        mov rsp, [resume_rsp]
        jmp r15
        FINISH
