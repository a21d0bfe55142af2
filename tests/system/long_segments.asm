%include "long.inc"
%include "long_table.inc"
; Every kind of descriptor with the instructions that load segment registers,
; LDTR and TR, or ask for rights and limits, at levels 0 and 3, in 64-bit and in
; compatibility mode (SDM volume 2, MOV, LLDT, LTR, LAR, LSL, VERR; volume 3, 3.4
; and 3.5).

main:   call start_table
        PRINTLN "0: ds, ss, fs, lldt, ltr"
        EACH level0
        PRINTLN "3: ds, ss, fs"
        EACH level3
        PRINTLN "3, 32 bits: ds, ss, fs"
        EACH compat
        PRINTLN "lar, lsl, verr, verw"
        EACH queries
        jmp end_table

level0: SHOW "", r12, 4
        OP mov ds, r12d
        OP mov ss, r12d
        OP mov fs, r12d
        OP lldt r12w
        xor eax, eax
        lldt ax
        OP ltr r12w
        and byte [table + MAINTSS + 5], ~2
        mov eax, MAINTSS
        ltr ax
        NEWLINE
        ret

level3: SHOW "", r12, 4
        OP3 u_ds, CODE3L
        OP3 u_ss, CODE3L
        OP3 u_fs, CODE3L
        NEWLINE
        ret
u_ds:   mov ds, r12d
        int 0x80
u_ss:   mov ss, r12d
        int 0x80
u_fs:   mov fs, r12d
        int 0x80

compat: SHOW "", r12, 4
        mov [selector], r12d
        OP3 c_ds, CODE3
        OP3 c_ss, CODE3
        OP3 c_fs, CODE3
        NEWLINE
        ret
bits 32
c_ds:   mov eax, [cs:selector + USER]
        mov ds, eax
        int 0x80
c_ss:   mov eax, [cs:selector + USER]
        mov ss, eax
        int 0x80
c_fs:   mov eax, [cs:selector + USER]
        mov fs, eax
        int 0x80
bits 64

queries:
        SHOW "", r12, 4
        xor eax, eax
        mov rbx, -1
        lar rbx, r12d
        setz al
        SHOW " ", rax, 1
        SHOW " ", rbx, 16
        mov rbx, -1
        lsl rbx, r12d
        setz al
        SHOW " ", rax, 1
        SHOW " ", rbx, 16
        mov rbx, -1
        lar bx, r12w
        lsl ecx, r12d
        SHOW " ", rbx, 16
        verr r12w
        setz al
        SHOW " ", rax, 1
        verw r12w
        setz al
        SHOW " ", rax, 1
        ; the same at level 3
        mov [row_rsp], rsp
        mov byte [quiet], 1
        lea rax, [.next]
        mov [after], rax
        push DATA3
        push user_stack + USER
        push 2
        push CODE3L
        push .user + USER
        iretq
.user:  xor ebx, ebx
        xor ecx, ecx
        xor edx, edx
        lar ebx, r12d
        lsl ecx, r12d
        verr r12w
        setz dl
        verw r12w
        setz dh
        int 0x80
.next:  mov byte [quiet], 0
        SHOW ", 3: ", [saved_rbx], 8
        SHOW " ", [saved_rcx], 8
        SHOW " ", [saved_rdx], 4
        NEWLINE
        ret

        FINISH
