%include "long.inc"
; Addresses that are not canonical: of branches, of the stack, of operands that
; begin or end where the canonical ones do, of code (SDM volume 1, 3.3.7.1;
; volume 2, JMP, CALL, RET: the branch faults, not the fetch of its target).

HOLE   equ 0x800000000000        ; the first address that is not canonical
LAST   equ HOLE - 4096           ; the page below: `last_page`
FIRST  equ HIGH                  ; the one above the hole is an alias of page 0

; a trial with something in rbx
%macro WITH 2+
        mov rbx, %1
        MARK
        %2
        ENDTRY
%endmacro

main:
        ; a page at the end of the lower half
        mov rax, hole_pdpt
        or eax, 7
        mov [pml4 + 255 * 8], rax
        mov rax, hole_pd + 7
        mov [hole_pdpt + 511 * 8], rax
        mov rax, hole_pt + 7
        mov [hole_pd + 511 * 8], rax
        mov rax, last_page + 7
        mov [hole_pt + 511 * 8], rax
        mov rax, cr3
        mov cr3, rax

        mov rax, cr4
        or eax, 0x600            ; SSE
        mov cr4, rax

        ; near branches
        TRY "jmp register"
        WITH HOLE, jmp rbx
        TRY "jmp memory"
        mov rax, HOLE
        mov [scratch], rax
        MARK
        jmp [scratch]
        ENDTRY
        TRY "call register"
        WITH HOLE, call rbx
        TRY "call memory"
        MARK
        call [scratch]
        ENDTRY
        TRY "ret"
        push qword [scratch]
        MARK
        ret
        ENDTRY
        TRY "ret and 16 bytes"
        sub rsp, 16
        push qword [scratch]
        MARK
        ret 16
        ENDTRY
        TRY "ret, highest bit"
        mov rax, 0x8000000000101000
        push rax
        MARK
        ret
        ENDTRY
        TRY "jmp to the last one"
        WITH HOLE - 1, jmp rbx
        TRY "jmp below the upper half"
        WITH HIGH - 1, jmp rbx
        TRY3 "3: jmp"
        mov rbx, HOLE
        jmp rbx
        END3
        TRY3 "3: call"
        mov rbx, HOLE
        call rbx
        END3
        TRY3 "3: ret"
        mov rbx, HOLE
        push rbx
        ret
        END3
        TRY3 "3: jmp memory"
        mov rbx, HOLE
        mov [user_stack - 8], rbx
        jmp [user_stack - 8]
        END3
        ; many times, so that it is compiled; the last one faults
        TRY "ret in a loop"
        mov ecx, 64
        lea rbx, [.again]
.loop:  push rbx
        jmp .ret
.again: dec ecx
        jnz .loop
        mov rbx, HOLE
        push rbx
        lea rax, [.ret]
        mov [mark], rax
.ret:   ret
        ENDTRY
        TRY "jmp in a loop"
        mov ecx, 64
        lea rbx, [.next]
.jump:  jmp rbx
.next:  lea rax, [.jump]
        mov [mark], rax
        dec ecx
        jnz .jump
        mov rbx, HOLE + 0x123456
        jmp .jump
        ENDTRY

        ; the stack and what is not the stack
        TRY "push, pointer in the hole"
        mov rsp, HOLE + 16
        MARK
        push rax
        ENDTRY
        TRY "push across the end"
        mov rsp, HOLE + 4
        MARK
        push rax
        ENDTRY
        TRY "push below the end"
        mov rsp, HOLE
        push rax
        pop rbx
        ENDTRY
        TRY "push from memory"
        WITH HOLE, push qword [rbx]
        TRY "push from memory to a bad stack"
        mov rsp, HOLE + 16
        MARK
        push qword [scratch]
        ENDTRY
        TRY "pop to memory"
        mov rbx, HOLE
        push rax
        MARK
        pop qword [rbx]
        ENDTRY
        TRY "pop"
        mov rsp, HOLE
        MARK
        pop rax
        ENDTRY
        TRY "pop by rsp"
        mov rsp, HOLE - 8
        MARK
        pop qword [rsp]
        ENDTRY
        TRY "leave"
        mov rbp, HOLE
        MARK
        leave
        ENDTRY
        TRY "enter"
        mov rsp, HOLE + 8
        MARK
        enter 16, 0
        ENDTRY
        TRY "call to a bad stack"
        lea rbx, [leave_ok]
        mov rsp, HOLE + 8
        MARK
        call rbx
        ENDTRY
        TRY "call from memory"
        WITH HOLE, call qword [rbx]
        TRY "jmp from memory"
        WITH HOLE, jmp qword [rbx]
        TRY "ret from a bad stack"
        mov rsp, HOLE
        MARK
        ret
        ENDTRY
        TRY "iretq from a bad stack"
        mov rsp, HOLE - 16
        MARK
        iretq
        ENDTRY
        TRY "retfq from a bad stack"
        mov rsp, HOLE - 8
        MARK
        retfq
        ENDTRY
        TRY "pushfq"
        mov rsp, HIGH + 4
        MARK
        pushfq
        ENDTRY
        TRY "popfq"
        mov rsp, HOLE - 4
        MARK
        popfq
        ENDTRY
        TRY "load by rbp"
        mov rbp, HOLE
        MARK
        mov rax, [rbp]
        ENDTRY
        TRY "load by rsp"
        mov rsp, HOLE
        MARK
        mov rax, [rsp + 8]
        ENDTRY
        TRY "load by rbp and an index"
        mov rbp, HOLE
        xor eax, eax
        MARK
        mov rax, [rbp + rax * 8]
        ENDTRY
        TRY "load by an index of rbp"
        mov rbp, HOLE
        xor eax, eax
        MARK
        mov rax, [rax + rbp * 1]
        ENDTRY
        TRY "load by r13"
        mov r13, HOLE
        MARK
        mov rax, [r13]
        ENDTRY
        TRY "load by r12"
        mov r12, HOLE
        MARK
        mov rax, [r12]
        ENDTRY
        TRY "load by rbp in ds"
        mov rbp, HOLE
        MARK
        mov rax, [ds:rbp]
        ENDTRY
        TRY "load by rbp in fs"
        mov rbp, HOLE
        MARK
        mov rax, [fs:rbp]
        ENDTRY
        TRY "load by rbx in ss"
        mov rbx, HOLE
        MARK
        db 0x36
        mov rax, [rbx]
        ENDTRY
        TRY "store by rbp of 16 bytes"
        mov rbp, HOLE - 0x1000
        movups [rbp + 0xff1], xmm0
        ENDTRY

        ; operands across the end
        TRY "lea"
        mov rbx, HOLE
        lea rax, [rbx + rbx * 8 + 1]
        ENDTRY
        TRY "1 byte below the end"
        WITH HOLE, mov al, [rbx - 1]
        TRY "8 bytes below the end"
        WITH HOLE, mov rax, [rbx - 8]
        TRY "8 bytes across the end"
        WITH HOLE, mov rax, [rbx - 7]
        TRY "2 bytes across the end, store"
        WITH HOLE, mov [rbx - 1], ax
        TRY "8 bytes across the beginning of the upper half"
        WITH HIGH, mov rax, [rbx - 1]
        TRY "8 bytes at the beginning of the upper half"
        WITH HIGH, mov rax, [rbx]
        TRY "8 bytes across 0"
        WITH -4, mov rax, [rbx]
        TRY "16 bytes across the end"
        WITH HOLE, movups xmm0, [rbx - 8]
        TRY "16 bytes, not aligned and not canonical"
        WITH HOLE + 8, movaps xmm0, [rbx]
        TRY "add to memory"
        WITH HOLE, add dword [rbx - 2], 1
        TRY "cmpxchg16b, not canonical"
        WITH HOLE, cmpxchg16b [rbx]
        TRY "cmpxchg16b, not aligned"
        WITH LAST + 8, cmpxchg16b [rbx]
        TRY "bt beyond"
        mov rax, 0x400000
        WITH HOLE - 0x1000, bt [rbx], rax
        TRY "fxsave across the end"
        WITH HOLE - 496, fxsave64 [rbx]
        TRY "lgdt across the end"
        WITH HOLE - 8, lgdt [rbx]
        TRY "sgdt across the end"
        WITH HOLE - 8, sgdt [rbx]
        TRY "movabs"
        mov rax, [qword 0x8000000000000000]
        ENDTRY
        TRY "far pointer across the end"
        WITH HOLE - 8, jmp far [rbx]
        TRY "prefetch"
        WITH HOLE, prefetcht0 [rbx]
        TRY "clflush"
        WITH HOLE, clflush [rbx]
        TRY "nop with an operand"
        WITH HOLE, nop dword [rbx]
        TRY "invlpg"
        WITH HOLE, invlpg [rbx]
        ; strings
        TRY "movsq into the hole"
        mov rdi, HOLE - 16
        lea rsi, [multiboot]
        mov ecx, 4
        MARK
        rep movsq
        ENDTRY
        TRY "stosb into the hole"
        mov rdi, HOLE - 16
        mov ecx, 100
        MARK
        rep stosb
        ENDTRY
        TRY "lodsq across the end"
        mov rsi, HOLE - 4
        MARK
        lodsq
        ENDTRY
        TRY "scasb down into the hole"
        mov rdi, HIGH
        mov ecx, 10
        mov al, 0x77
        std
        MARK
        repne scasb
        ENDTRY
        TRY "cmpsb out of the hole"
        mov rdi, HOLE
        lea rsi, [multiboot]
        mov ecx, 10
        MARK
        repe cmpsb
        ENDTRY
        TRY "insb into the hole"
        mov rdi, HOLE
        mov edx, 0xe9
        MARK
        insb
        ENDTRY
        TRY "outsb from the hole"
        mov rsi, HOLE
        mov edx, 0x80
        MARK
        outsb
        ENDTRY
        TRY "strings of 32-bit addresses"
        mov rdi, 0xabcdef0000000000 + scratch
        mov rsi, 0xabcdef0000000000 + scratch
        mov ecx, 2
        a32 rep movsb
        ENDTRY
        TRY "base of gs and an offset that wrap"
        mov ecx, 0xc0000101
        mov eax, scratch + 0x1000
        xor edx, edx
        wrmsr
        mov rbx, -0x1000
        mov rax, [gs:rbx]
        ENDTRY
        TRY "base of gs in the hole by the sum"
        mov rbx, HOLE - 0x1000
        MARK
        mov rax, [gs:rbx]
        ENDTRY
        TRY "32-bit address and a base"
        mov rbx, -0x1000
        MARK
        mov rax, [gs:ebx]
        ENDTRY

        ; code
        mov dword [last_page + 4092], 0x90909090
        TRY "code runs into the hole"
        mov rbx, HOLE - 4
        jmp rbx
        ENDTRY
        mov byte [last_page + 4095], 0xb8    ; mov eax, imm32
        TRY "an instruction across the end"
        mov rbx, HOLE - 1
        jmp rbx
        ENDTRY
        mov word [last_page + 4094], 0x00eb  ; jmp to the next
        TRY "jmp short into the hole"
        mov rbx, HOLE - 2
        jmp rbx
        ENDTRY
        mov byte [last_page + 4095], 0x10
        TRY "jmp short farther into the hole"
        mov rbx, HOLE - 2
        jmp rbx
        ENDTRY
        mov word [last_page + 4094], 0x1074
        TRY "jz that is not taken at the end"
        mov rbx, HOLE - 2
        or eax, 1
        jmp rbx
        ENDTRY
        TRY "jz that is taken at the end"
        mov rbx, HOLE - 2
        xor eax, eax
        jmp rbx
        ENDTRY
        mov dword [last_page + 4088], 0xe8
        mov dword [last_page + 4089], 0x1000
        TRY "call into the hole"
        mov rbx, HOLE - 8
        mov [saved_rdx], rsp
        jmp rbx
        ENDTRY
        mov word [last_page + 4094], 0xd3ff  ; call rbx
        TRY "call at the end"
        lea rbx, [.popped]
        mov rcx, HOLE - 2
        jmp rcx
.popped: pop rbx
        SHOW "return ", rbx, 16
        PRINT " "
        ENDTRY
        mov dword [last_page + 4092], 0x050f9090
        TRY "syscall at the end"
        mov ecx, 0xc0000082
        lea rax, [.entry]
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000081
        mov edx, (CODE3 & ~3) << 16 | CODE0
        xor eax, eax
        wrmsr
        mov rbx, HOLE - 2
        jmp rbx
.entry: SHOW "rcx ", rcx, 16
        PRINT " "
        ENDTRY
        TRY "sysret to the hole"
        mov rcx, HOLE
        MARK
        o64 sysret
        ENDTRY
        ret

align 4096
hole_pdpt: times 512 dq 0
hole_pd: times 512 dq 0
hole_pt: times 512 dq 0
last_page: times 512 dq 0
        FINISH
