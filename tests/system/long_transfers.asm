%include "long.inc"
%include "long_table.inc"
; Every kind of descriptor with far jumps, calls and returns, IRET, and in gates
; of the IDT, at levels 0 and 3, in 64-bit and in compatibility mode (SDM volume
; 2, JMP, CALL, RET, IRET, INT; volume 3, 5.8 and 6.14).

main:   call start_table
        mov byte [idt + 0x91 * 16 + 5], 0xee
        PRINTLN "0: jmp, call, retf, iretq, gate"
        EACH level0
        PRINTLN "3: jmp, call, retf, iretq, gate"
        EACH level3
        PRINTLN "3, 32 bits: jmp, call, retf, iretd"
        EACH compat
        jmp end_table

; a far pointer, and a gate, to the landing with this selector
targets: mov dword [pointer], landed + USER
        mov [pointer + 4], r12w
        mov word [idt + 0x91 * 16], landed - $$
        mov word [idt + 0x91 * 16 + 6], (USER >> 16) + 0x10
        mov [idt + 0x91 * 16 + 2], r12w
        ret

level0: SHOW "", r12, 4
        call targets
        OP jmp far dword [pointer]
        OP call far dword [pointer]
        mov [row_rsp], rsp
        lea rax, [.r1]
        mov [after], rax
        STACKOF
        push rax
        push user_stack + USER
        push r12
        push landed + USER
        retfq
.r1:    lea rax, [.r2]
        mov [after], rax
        STACKOF
        push rax
        push user_stack + USER
        push 2
        push r12
        push landed + USER
        iretq
.r2:    OP int 0x91
        NEWLINE
        ret

level3: SHOW "", r12, 4
        call targets
        OP3 u_jmp, CODE3L
        OP3 u_call, CODE3L
        OP3 u_retf, CODE3L
        OP3 u_iret, CODE3L
        OP3 u_gate, CODE3L
        NEWLINE
        ret
u_jmp:  jmp far dword [pointer]
u_call: call far dword [pointer]
u_retf: push DATA3
        push user_stack + USER
        push r12
        push landed + USER
        retfq
u_iret: push DATA3
        push user_stack + USER
        push 2
        push r12
        push landed + USER
        iretq
u_gate: int 0x91
        int 0x80

compat: SHOW "", r12, 4
        call targets
        mov [selector], r12d
        OP3 c_jmp, CODE3
        OP3 c_call, CODE3
        OP3 c_retf, CODE3
        OP3 c_iret, CODE3
        NEWLINE
        ret
bits 32
c_jmp:  jmp far [cs:pointer + USER]
c_call: call far [cs:pointer + USER]
c_retf: push dword DATA3
        push dword user_stack + USER
        push dword [cs:selector + USER]
        push dword landed + USER
        retf
c_iret: push dword 2
        push dword [cs:selector + USER]
        push dword landed + USER
        iret
bits 64

        FINISH
