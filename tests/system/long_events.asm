%include "long.inc"
; Interrupts, exceptions and system calls of 64-bit mode (SDM volume 3, 6.14;
; volume 2, SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS).

; what a handler sees: hook of a vector
%macro HOOK 1
        lea rax, [%1]
        mov [hook], rax
%endmacro

main:
        ; frames
        HOOK frames
        xor r15d, r15d
        mov rbx, rsp
        int 0x40
        PRINT "int: "
        call show_frame
        mov rbx, rsp
        sub rsp, 3               ; the frame is aligned to 16
        int 0x40
        add rsp, 3
        PRINT "unaligned: "
        call show_frame
        mov rbx, rsp
        ud2
after_ud2:
        PRINT "ud2: "
        call show_frame
        mov byte [idt + 0x40 * 16 + 4], 1
        mov rbx, rsp
        int 0x40
        PRINT "ist: "
        call show_frame
        mov byte [idt + 0x40 * 16 + 4], 0
        mov qword [hook], 0

        TRY "int3"
        int3
        ENDTRY
        TRY "int through an empty gate"
        mov byte [idt + 0x41 * 16 + 5], 0x0e
        int 0x41
        ENDTRY
        TRY "int through a 32-bit type of gate"
        mov byte [idt + 0x41 * 16 + 5], 0x85
        int 0x41
        ENDTRY
        TRY "int to 32-bit code"
        mov byte [idt + 0x41 * 16 + 5], 0x8e
        mov word [idt + 0x41 * 16 + 2], CODE32
        int 0x41
        ENDTRY
        TRY "int to code that is not present"
        mov word [idt + 0x41 * 16 + 2], ABSCODE
        int 0x41
        ENDTRY
%ifndef QEMU
        TRY "int to an address that is not canonical"
        mov word [idt + 0x41 * 16 + 2], CODE0
        mov dword [idt + 0x41 * 16 + 8], 0x8000
        int 0x41
        ENDTRY
%endif
        mov dword [idt + 0x41 * 16 + 8], 0
        mov word [idt + 0x41 * 16 + 2], CODE0
        TRY3 "3: int of level 0"
        int 0x41
        END3
        TRY3 "3: ud2"
        ud2
        END3
        TRY3 "3: hlt"
        hlt
        END3
        TRY3 "3: in"
        in al, 0x80
        END3
        TRY3 "3: in that the map allows"
        in al, 0xe9
        END3
        TRY3 "3: cli"
        cli
        END3
        TRY3C "3: int from compatibility mode"
        mov eax, 0x12345678
        push eax
        END3
        SHOW "rax ", [saved_rax], 16
        mov rax, [frame]
        SHOW " rsp ", [rax + 24], 16
        SHOW " ss ", [rax + 32], 4
        NEWLINE
        TRY3C "3: strings above 2 GB in compatibility mode"
        mov edi, SMALL + 0x64000
        mov ecx, 4
        rep stosd
        END3
        TRY3C "3: pusha above 2 GB in compatibility mode"
        mov esp, SMALL + 0x64000
        pusha
        END3
        TRY3C "3: fxsave above 2 GB in compatibility mode"
        fxsave [SMALL + 0x64000]
        END3
        TRY3C "3: ud2 in compatibility mode"
        ud2
        END3
%ifndef QEMU ; which has it as AMD has
        TRY3C "3: syscall in compatibility mode"
        syscall
        END3
%endif
        TRY "into"
        db 0xce
        ENDTRY
        TRY "bound"
        db 0x62, 0x07
        nop
        ENDTRY

        ; addresses that are not canonical
        TRY "load"
        mov rbx, 0x800000000000
        MARK
        mov rax, [rbx]
        ENDTRY
        TRY "store by rbp"
        mov rbp, 0xffff7fffffffffff
        MARK
        mov [rbp], al
        ENDTRY
        TRY "push"
        mov rsp, 0x800000000010
        MARK
        push rax
        ENDTRY
        TRY "call"
        mov rsp, 0xffff800000000000
        MARK
        call rax
        ENDTRY
        TRY3 "3: load"
        mov rbx, 0x8000000000000000
        mov rax, [rbx]
        END3
        TRY3 "3: kernel"
        mov rbx, HIGH
        mov rax, [rbx + 16]
        END3
        TRY "invlpg"
        mov rbx, 0x800000000000
        invlpg [rbx]
        ENDTRY

        ; double fault: no stack for the handler of #UD at level 3
        mov rax, 0x800000000000
        mov [tss + 4], rax
        mov byte [idt + 0x80 * 16 + 4], 1
        TRY3 "3: handler without a stack"
        ud2
        END3
        mov rax, SMALL + 0x400000
        mov [tss + 4], rax
        TRY3 "3: handler's stack not mapped"
        mov ebx, 0
        div ebx
        END3
        mov byte [idt + 14 * 16 + 4], 1
        TRY3 "3: the same with a stack for #PF"
        mov ebx, 0
        div ebx
        END3
        mov byte [idt + 14 * 16 + 4], 0
        lea rax, [inner_stack]
        mov [tss + 4], rax
        TRY "double fault"
        mov rsp, SMALL + 0x400000
        MARK
        ud2
        ENDTRY

        ; system calls
        mov ecx, 0xc0000081
        mov edx, (CODE3 & ~3) << 16 | CODE0
        xor eax, eax
        wrmsr
        mov ecx, 0xc0000082
        lea rax, [entry]
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000084
        mov eax, 0x4700
        wrmsr
        TRY3 "3: syscall"
        stc
        std
        mov rdx, 0x1122334455667788
        syscall
.back:  mov eax, cs
        mov ebx, ss
        mov rcx, rsp
        pushfq
        pop rdx
        END3
        call show_back
        mov byte [sysret_size], 4
        TRY3 "3: syscall, sysret to compatibility mode"
        syscall
bits 32
        mov eax, cs
        mov ebx, ss
        mov ecx, esp
        pushfd
        pop edx
        END3
        call show_back
        TRY3 "3: sysret"
        db 0x48
        sysret
        END3
        TRY "sysret, not canonical"
        mov rcx, 0x800000000000
        MARK
        db 0x48, 0x0f, 0x07
        ENDTRY
        mov ecx, 0xc0000080
        rdmsr
        btr eax, 0
        wrmsr
        TRY3 "3: syscall without SCE"
        syscall
        END3
        TRY "lstar, not canonical"
        mov ecx, 0xc0000082
        mov edx, 0x8000
        MARK
        wrmsr
        ENDTRY
        TRY "fmask, high bits"
        mov ecx, 0xc0000084
        mov edx, 1
        MARK
        wrmsr
        ENDTRY
        mov ecx, 0x174
        mov eax, CODE0
        xor edx, edx
        wrmsr
        inc ecx
        lea rax, [inner_stack]
        wrmsr
        inc ecx
        lea rax, [fast_entry]
        wrmsr
%ifdef SYSEXIT
        TRY3 "3: sysenter, sysexit"
        lea rdx, [.back2 + USER]
        mov rcx, rsp
        sysenter
.back2: mov eax, cs
        mov ebx, ss
        mov rcx, rsp
        pushfq
        pop rdx
        END3
        call show_back
%endif

        ; SWAPGS and the bases
        mov ecx, 0xc0000101
        mov eax, 0x11111111
        mov edx, 0x1111
        wrmsr
        inc ecx
        mov eax, 0x22222222
        mov edx, 0x2222
        wrmsr
        swapgs
        call show_gs
        swapgs
        call show_gs
        TRY3 "3: swapgs"
        swapgs
        END3
        TRY3 "3: rdfsbase without CR4"
        rdfsbase rax
        END3
        mov rax, cr4
        bts rax, 16
        mov cr4, rax
        TRY3 "3: wrfsbase, rdgsbase"
        mov rax, 0x7fffedcba987
        wrfsbase rax
        rdfsbase rbx
        rdgsbase rax
        mov ecx, -1
        wrgsbase ecx
        rdgsbase rcx
        END3
        SHOW "fs ", [saved_rbx], 16
        SHOW " gs ", [saved_rax], 16
        SHOW " ", [saved_rcx], 16
        NEWLINE
        TRY "wrgsbase, not canonical"
        mov rax, 0x800000000000
        MARK
        wrgsbase rax
        ENDTRY
        TRY3C "3: rdfsbase in compatibility mode"
        db 0xf3, 0x0f, 0xae, 0xc0
        END3
        TRY "gs base"
        lea rax, [gs_data]
        wrgsbase rax
        mov rax, [gs:8]
        ENDTRY
        SHOW "gs:8 ", [saved_rax], 16
        NEWLINE
        TRY "gs base and a displacement, not canonical"
        mov rax, 0x7fffffffffff
        wrgsbase rax
        MARK
        mov rax, [gs:8]
        ENDTRY
        ; an interrupted level 3 keeps the bases of null FS and GS
        mov rax, 0x5555aaaa
        wrfsbase rax
        TRY3 "3: fs base after a return"
        rdfsbase rax
        END3
        SHOW "fs ", [saved_rax], 16
        NEWLINE
        ; flags
        TRY "popfq"
        push -1 & ~0x100 & ~0x20000
        popfq
        pushfq
        pop rax
        push 2
        popfq
        ENDTRY
        SHOW "flags ", [saved_rax], 16
        NEWLINE
        TRY3 "3: popfq"
        push 0x247ed7
        popfq
        pushfq
        pop rax
        END3
        SHOW "flags ", [saved_rax], 16
        NEWLINE
        ; debug: steps, breakpoints with 64-bit addresses
        TRY "single step"
        push 0x102
        popfq
        nop
        nop
        ENDTRY
        call show_dr6
        TRY "breakpoint of 8 bytes"
        mov rbx, HIGH
        lea rax, [rbx + gs_data]
        mov dr0, rax
        mov eax, 0x00090402      ; global, writes, 8 bytes
        mov dr7, rax
        mov eax, [gs_data + 4]   ; another linear address
        mov [gs_data + 4], eax
        mov eax, [rbx + gs_data + 4]
        MARK
        mov [rbx + gs_data + 4], eax
        nop
        ENDTRY
        call show_dr6
        TRY "breakpoint of strings"
        mov rbx, HIGH
        lea rax, [rbx + gs_data]
        mov dr0, rax
        mov eax, 0x00090402
        mov dr7, rax
        lea rdi, [rbx + gs_data - 8]
        xor eax, eax
        mov ecx, 2
        MARK
        rep stosq
        nop
        ENDTRY
        call show_dr6
        TRY "breakpoint of an instruction"
        lea rax, [.here]
        mov dr1, rax
        mov eax, 0x408
        mov dr7, rax
        nop
        lea rax, [.here]
        mov [mark], rax
.here:  nop
        ENDTRY
        call show_dr6
        ret

show_dr6:
        xor eax, eax
        mov dr7, rax
        mov rax, dr6
        SHOW "dr6 ", rax, 16
        NEWLINE
        mov eax, 0xffff0ff0
        mov dr6, rax
        ret

align 8
        dq 0
gs_data: dq 0, 0x123456789abcdef
sysret_size: dq 8

show_back:
        SHOW "cs ", [saved_rax], 4
        SHOW " ss ", [saved_rbx], 4
        SHOW " rsp ", [saved_rcx], 16
        SHOW " flags ", [saved_rdx], 8
        NEWLINE
        ret
show_gs:
        mov ecx, 0xc0000101
        rdmsr
        SHOW "gs ", rdx, 8
        SHOW ":", rax, 8
        inc ecx
        rdmsr
        SHOW " kernel ", rdx, 8
        SHOW ":", rax, 8
        NEWLINE
        ret
entry:  ; SYSCALL comes here
        mov [saved_rsp], rsp
        lea rsp, [inner_stack]
        push rax
        push rcx
        mov eax, ss
        SHOW "ss ", rax, 4
        mov eax, cs
        SHOW " cs ", rax, 4
        SHOW " r11 ", r11, 16
        pushfq
        pop rax
        SHOW " flags ", rax, 16
        PRINT " "
        pop rcx
        pop rax
        mov rsp, [saved_rsp]
        cmp byte [sysret_size], 4
        je .sysretd
        db 0x48, 0x0f, 0x07
.sysretd:
        db 0x0f, 0x07
saved_rsp: dq 0
fast_entry:
        push rax
        mov eax, ss
        SHOW "ss ", rax, 4
        mov eax, cs
        SHOW " cs ", rax, 4
        mov rax, rsp
        sub rax, inner_stack
        SHOW " rsp+", rax, 4
        PRINT " "
        pop rax
        db 0x48, 0x0f, 0x35

; prints [frame] and goes on behind the instruction
frames:
        mov rax, [frame]
        mov rdi, copy
        mov ecx, 5
        mov rsi, rax
        rep movsq
        sub rbx, rbx
        mov qword [hook_rsp], rsp
        cmp word [rax], ((after_ud2 - $$) & 0xffff) - 2
        jne .out
        add qword [rax], 2
.out:   add rsp, 8
        iretq
hook_rsp: dq 0
copy:   times 5 dq 0
show_frame:
        mov rax, [copy + 24]
        sub rax, rsp
        SHOW "rsp+", rax, 4
        mov rax, [hook_rsp]
        and eax, 15
        SHOW " at ", rax, 2
        SHOW " ss ", [copy + 32], 4
        SHOW " cs ", [copy + 8], 4
        SHOW " flags ", [copy + 16], 8
        mov rax, [hook_rsp]
        sub rax, [copy + 24]
        mov rcx, ist_stack
        sub rcx, [hook_rsp]
        cmp rcx, 64
        ja .same
        PRINT " on the interrupt stack"
        jmp .done
.same:  SHOW " down ", rax, 4
.done:  NEWLINE
        ret
        FINISH
