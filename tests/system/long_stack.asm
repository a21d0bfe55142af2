%include "long.inc"
; What instructions of 64-bit mode do to the stack: how many bytes, and what is
; in them (SDM volume 1, 6.2.5; volume 2, PUSH, POP, ENTER, LEAVE, CALL, RET).

; the bytes that an instruction moves RSP down by, and the top of the stack
%macro DOWN_OF 0
        call dirty
%endmacro
%macro END_DOWN 1
        call shown
        PRINT %1
        NEWLINE
%endmacro
%macro DOWN 2+
        DOWN_OF
        %2
        END_DOWN %1
%endmacro
; the bytes that one moves RSP up by
%macro UP_OF 0
        call dirty
        sub rsp, 64
        mov rax, 0x1122334455667788
        mov [rsp], rax
        mov [rsp + 8], rax
        mov r14, rsp
        mov rax, -1
%endmacro
%macro END_UP 1
        mov r15, rsp
        sub r15, r14
        mov rsp, r13
        SHOW "", r15, 4
        PRINT " "
        PRINT %1
%endmacro
%macro UP 2+
        UP_OF
        %2
        END_UP %1
%endmacro

main:   push -1
        mov eax, FSDATA
        mov fs, eax
        mov eax, DATA3
        mov gs, eax
        DOWN "push fs", push fs
        DOWN "push gs", push gs
        DOWN "o16 push fs", o16 push fs
        DOWN "push rax", push rax
        DOWN "o16 push ax", push ax
        DOWN "push r9", push r9
        DOWN "push imm8", push -5
        DOWN "push imm32", push 0x12345678
        DOWN "push imm32, negative", push -0x12345678
        DOWN "o16 push imm8", db 0x66, 0x6a, 0xfb
        DOWN "o16 push imm16", push word 0x1234
        DOWN "push memory", push qword [value]
        DOWN "o16 push memory", push word [value]
        DOWN "push rsp", push rsp
        DOWN "pushfq", pushfq
        DOWN "o16 pushf", pushfw
        DOWN "enter 0, 0", enter 0, 0
        DOWN "enter 32, 0", enter 32, 0
        DOWN "enter 16, 1", enter 16, 1
        DOWN "enter 16, 3", enter 16, 3
        DOWN "o16 enter 16, 0", o16 enter 16, 0
        DOWN_OF
        call .here
.here:
        END_DOWN "call"
%ifndef QEMU
        DOWN_OF
        db 0x66
        call .here2
.here2: END_DOWN "o16 call"
%endif
        DOWN_OF
        lea rbx, [.there]
        call rbx
.there: END_DOWN "call through rbx"
%ifndef QEMU ; where the prefix means what it means to AMD
        DOWN_OF
        lea rbx, [.there2]
        db 0x66
        call rbx
.there2: END_DOWN "o16 call through rbx"
%endif
        mov qword [value2], 0
        UP "pop rax", pop rax
        SHOW " rax ", rax, 16
        NEWLINE
        UP "o16 pop ax", pop ax
        SHOW " rax ", rax, 16
        NEWLINE
        UP "pop memory", pop qword [value2]
        SHOW " ", [value2], 16
        NEWLINE
        mov qword [value2], 0
        UP "o16 pop memory", pop word [value2]
        SHOW " ", [value2], 16
        NEWLINE
        UP_OF
        pop qword [rsp + 8]
        mov rbx, [r14 + 16]
        END_UP "pop by rsp"
        SHOW " ", rbx, 16
        NEWLINE
        UP_OF
        mov [rsp], rsp
        pop rsp
        END_UP "pop rsp"
        NEWLINE
        UP_OF
        mov rbp, rsp
        leave
        END_UP "leave"
        SHOW " rbp ", rbp, 16
        NEWLINE
        mov rbp, 0x123456789abcdef0
        UP_OF
        mov rbp, rsp
        o16 leave
        END_UP "o16 leave"
        mov rax, rbp
        shr rax, 16
        shr r14, 16
        sub rax, r14
        SHOW " rbp ", rbp, 4
        SHOW " ", rax, 16
        NEWLINE
        UP_OF
        mov qword [rsp], 0xd7
        popfq
        END_UP "popfq"
        NEWLINE
        UP_OF
        mov qword [rsp], 0xd7
        popfw
        END_UP "o16 popf"
        NEWLINE
        UP_OF
        lea rax, [.r1]
        mov [rsp], rax
        ret
.r1:
        END_UP "ret"
        NEWLINE
        UP_OF
        lea rax, [.r2]
        mov [rsp], rax
        ret 16
.r2:
        END_UP "ret 16"
        NEWLINE
%ifndef QEMU
        UP_OF
        lea rax, [.r3]
        mov [rsp], rax
        db 0x66
        ret
.r3:
        END_UP "o16 ret"
        NEWLINE
%endif
        UP_OF
        lea rax, [.r4]
        mov [rsp], eax
        mov dword [rsp + 4], CODE0
        retf
.r4:
        END_UP "retf"
        NEWLINE
        UP_OF
        lea rax, [.r5]
        mov [rsp], rax
        mov qword [rsp + 8], CODE0
        o64 retf 8
.r5:
        END_UP "retfq 8"
        NEWLINE
        UP_OF
        mov qword [rsp], 0xffff0000 + DATA3
        pop gs
        END_UP "pop gs"
        mov rax, -1
        mov eax, gs
        SHOW " ", rax, 16
        NEWLINE
        UP_OF
        mov word [rsp], FSDATA
        o16 pop gs
        END_UP "o16 pop gs"
        mov rax, -1
        mov ax, gs
        SHOW " ", rax, 16
        NEWLINE
        add rsp, 8
        ret

; a stack of ones, RSP in r13; registers that are told apart
dirty:  pop rdx
        mov r13, rsp
        mov rax, -1
        lea rdi, [rsp - 0x200]
        mov ecx, 0x40
        cld
        rep stosq
        mov rax, 0xaaaaaaaabbbbbbbb
        mov r9, 0x9999999988888888
        lea rbp, [frames + 64]
        jmp rdx
shown:  pop rdx
        mov r15, r13
        sub r15, rsp
        SHOW "", r15, 4
        mov rax, [rsp]
        mov rcx, rax
        sub rcx, r13             ; addresses as distances
        cmp rcx, -0x200
        cmovae rax, rcx
        mov rcx, rax
        sub rcx, $$
        cmp rcx, 0x10000
        jae .value
        mov eax, 0xc0de
.value: SHOW " ", rax, 16
        mov rsp, r13
        PRINT " "
        jmp rdx
align 8
value:  dq 0x0123456789abcdef
value2: dq 0
frames: dq 1, 2, 3, 4, 5, 6, 7, 8, 9
        FINISH
