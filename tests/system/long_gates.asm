%include "long.inc"
; The way into handlers of IA-32e mode and back: stacks of the TSS and the
; interrupt stack table, error codes and their EXT bit, gates that are no good,
; conforming code, NMIs, interrupts and their shadows (SDM volume 3, 6.7, 6.8,
; 6.13 to 6.15).

HOLE   equ 0x800000000000
IST2   equ tss + 44
IST5   equ tss + 68

; a hook that prints the frame of vector EBX, and goes back or leaves
%macro HOOK 1
        lea rax, [%1]
        mov [hook], rax
%endmacro
%macro GATES 2                   ; vector, IST and access byte in a word
        mov word [idt + (%1) * 16 + 4], %2
%endmacro

main:
        ; gates that are no good: by INT and by an exception
        TRY "ud2, gate absent"
        GATES 6, 0x0e00
        MARK
        ud2
        ENDTRY
        TRY "ud2, no gate"
        GATES 6, 0x8500
        MARK
        ud2
        ENDTRY
        TRY "ud2, gate of level 0"
        GATES 6, 0x8e00
        MARK
        ud2
        ENDTRY
        TRY3 "3: ud2, gate of level 0"
        ud2
        END3
        mov word [idt + 6 * 16 + 2], 0
        TRY "ud2, null selector"
        ud2
        ENDTRY
        mov word [idt + 6 * 16 + 2], DATA0
        TRY "ud2, data"
        ud2
        ENDTRY
        mov word [idt + 6 * 16 + 2], CODE32
        TRY "ud2, 32-bit code"
        ud2
        ENDTRY
        mov word [idt + 6 * 16 + 2], ABSCODE
        TRY "ud2, absent code"
        ud2
        ENDTRY
        mov word [idt + 6 * 16 + 2], CODE3L
        TRY "ud2, code of level 3"
        ud2
        ENDTRY
        mov word [idt + 6 * 16 + 2], 0xfff8
        TRY "ud2, beyond the gdt"
        ud2
        ENDTRY
        mov word [idt + 6 * 16 + 2], 0xfffc
        TRY "ud2, in no ldt"
        ud2
        ENDTRY
        mov word [idt + 6 * 16 + 2], CODE0 | 3
        TRY "ud2, RPL 3"
        ud2
        ENDTRY
        mov word [idt + 6 * 16 + 2], CODE0
        mov dword [idt + 6 * 16 + 8], 0x8000
        TRY "ud2, not canonical"
        ud2
        ENDTRY
        mov dword [idt + 6 * 16 + 8], 0
        mov word [short_idtr], 0x90 * 16 + 14
        mov rax, idt
        mov [short_idtr + 2], rax
        lidt [short_idtr]
        TRY "int, gate beyond the limit by a byte"
        int 0x90
        ENDTRY
        TRY "int, gate beyond the limit"
        int 0xff
        ENDTRY
        TRY3 "3: int, gate beyond the limit"
        int 0x90
        END3
        inc word [short_idtr]
        lidt [short_idtr]
        TRY "int, last gate"
        int 0x90
        ENDTRY
        lidt [idtr]

        ; stacks
        mov byte [idt + 0x91 * 16 + 5], 0xee
        mov byte [idt + 0x92 * 16 + 5], 0xef
        mov byte [idt + 0x91 * 16 + 4], 5
        lea rax, [ist_stack - 0x805]
        mov [IST5], rax
        mov rax, HOLE
        mov [IST2], rax
        HOOK show
        PRINTLN "int, IST"
        mov rbx, rsp
        int 0x91
        PRINTLN "int, trap gate"
        push 0x202
        popfq
        int 0x92
        cli
        PRINTLN "int, unaligned"
        sub rsp, 5
        int 0x92
        add rsp, 5
        mov qword [hook], 0
        TRY "int, IST not canonical"
        mov byte [idt + 0x91 * 16 + 4], 2
        int 0x91
        ENDTRY
        TRY3 "3: int, IST not canonical"
        int 0x91
        END3
        TRY "ud2, IST not canonical"
        mov byte [idt + 6 * 16 + 4], 2
        MARK
        ud2
        ENDTRY
        mov byte [idt + 6 * 16 + 4], 0
        mov rax, HOLE + 64
        mov [IST2], rax
        TRY "int, IST across the end"
        int 0x91
        ENDTRY
        mov rax, HOLE
        mov [tss + 4], rax
        TRY3 "3: int, RSP0 not canonical"
        int 0x92
        END3
        TRY3 "3: ud2, RSP0 not canonical"
        ud2
        END3
        lea rax, [inner_stack]
        mov [tss + 4], rax
        ; a TSS that is too short for IST5, whose last byte is 75
        mov byte [idt + 0x91 * 16 + 4], 5
        mov word [gdt + MAINTSS], 74
        call reload
        TRY "int, TSS too short"
        int 0x91
        ENDTRY
        TRY3 "3: int, TSS too short"
        int 0x91
        END3
        TRY "ud2, TSS too short"
        mov byte [idt + 6 * 16 + 4], 5
        MARK
        ud2
        ENDTRY
        mov byte [idt + 6 * 16 + 4], 0
        TRY3 "3: in, TSS too short for a map"
        in al, 0xe9
        END3
        mov word [gdt + MAINTSS], 75
        call reload
        TRY "int, TSS long enough"
        int 0x91
        ENDTRY
        ; the map of ports: its last byte is of port 0xef
        mov word [gdt + MAINTSS], 0x68 + 0xe8 / 8
        call reload
        TRY3 "3: in, last byte of the map"
        in al, 0xe9
        END3
        mov word [gdt + MAINTSS], 0x68 + 0xe8 / 8 + 1
        call reload
        TRY3 "3: in, one before the last byte of the map"
        in al, 0xe9
        END3
        TRY3 "3: in of two bytes, the second denied"
        in ax, 0xef
        END3
        TRY3 "3: in beyond the map"
        in al, 0xf8
        END3
        mov word [gdt + MAINTSS], 0x167
        call reload
        ; repeated, and no times
        TRY3 "3: rep insb of nothing"
        mov edx, 0x80
        xor ecx, ecx
        rep insb
        END3
        TRY3 "3: rep outsd of nothing"
        mov edx, 0x80
        xor ecx, ecx
        rep outsd
        END3
        TRY3 "3: rep insb of nothing, allowed, to the hole"
        mov edx, 0xe9
        xor ecx, ecx
        mov rdi, HOLE
        rep insb
        END3
        TRY3 "3: rep insb, a count of ECX"
        mov edx, 0xe9
        mov rcx, 0x100000000
        mov rdi, HOLE
        a32 rep insb
        END3
        TRY3 "3: rep insb, a count above ECX"
        mov edx, 0xe9
        mov rcx, 0x100000000
        mov rdi, HOLE
        rep insb
        END3
        mov qword [user_flags], 0x3002
        TRY3 "3: in, IOPL 3"
        in al, 0x80
        cli
        sti
        cli
        END3
        mov qword [user_flags], 2

        ; conforming code: the level and the stack stay
        mov byte [idt + 0x91 * 16 + 4], 0
        mov word [idt + 0x91 * 16 + 2], CONF
        mov word [idt + 0x91 * 16], conforming - $$
        mov word [idt + 0x91 * 16 + 6], (USER >> 16) + 0x10
        TRY3 "3: int to conforming code"
        mov rbx, rsp
        int 0x91
        END3
        SHOW "cs ", [saved_rax], 4
        SHOW " ss ", [saved_rcx], 4
        SHOW " down ", [saved_rdx], 4
        NEWLINE
        mov word [idt + 0x91 * 16 + 2], CODE0

        ; from compatibility mode with a stack that has a base
        HOOK show
        mov word [gdt + FREE + 2], 0
        mov dword [gdt + FREE], 0xffff
        mov dword [gdt + FREE + 4], 0x40c0f200 | USER & 0xff000000
        PRINTLN "3: int in compatibility mode"
        mov [back_rsp], rsp
        push DATA3
        push user_stack + USER
        push 2
        push CODE3
        lea rax, [.compat + USER]
        push rax
        iretq
bits 32
.compat: mov eax, FREE | 3
        mov ss, eax
        mov esp, user_stack
        push eax
        int 0x92
        int 0x80
bits 64
after_compat:
        ; IRET of other operand sizes
        PRINTLN "iretw"
        mov rax, rsp
        mov [saved_rsp], rsp
        sub rsp, 10
        mov word [rsp], iretw_target - $$
        mov word [rsp + 2], CODE16
        mov word [rsp + 4], 0xed7
        mov [rsp + 6], ax
        mov word [rsp + 8], DATA0
        o16 iret
bits 16
iretw_target:
        jmp dword CODE0:.back
bits 64
.back:  mov rax, rsp             ; SP was zero-extended
        mov rcx, kernel_stack
        movzx ecx, cx
        sub rax, rcx
        SHOW "rsp ", rax, 16
        mov rsp, [saved_rsp]
        pushfq
        pop rax
        SHOW " flags ", rax, 16
        NEWLINE
        push 2
        popfq
        mov qword [hook], 0

%ifndef QEMU
        ; NMI: blocked until IRET, one is kept
        HOOK nmi
        PRINTLN "nmi"
        out 0x51, al
        nop
        PRINTLN "back"
        mov dword [nmis], 0
        mov byte [idt + 2 * 16 + 4], 5
        lea rax, [ist_stack - 0x805]
        mov [IST5], rax
        out 0x51, al
        nop
        PRINTLN "back"
        mov dword [nmis], 0
        push DATA3
        push user_stack + USER
        push 0x3002
        push CODE3L
        lea rax, [.nmi3 + USER]
        push rax
        mov [back_rsp], rsp
        add qword [back_rsp], 40
        iretq
.nmi3:  out 0x51, al
        nop
        int 0x80
after_nmi:
        ; interrupts
        HOOK interrupt
        mov al, 0xa0
        out 0x50, al
        PRINTLN "IF clear"
        sti
        PRINTLN "not in the shadow"      ; (its first instruction)
        cli
        mov al, 0xa1
        out 0x50, al
        mov ecx, ss
        sti
        mov ss, ecx
        nop
        cli
        PRINTLN "shadow of mov ss"
        cli
        mov al, 0xa2
        out 0x50, al
        sti
        hlt
        PRINTLN "behind hlt"
        cli
        mov al, 0xa3
        out 0x50, al
        push 0x202
        popfq
        nop
        PRINTLN "behind popfq"
        cli
        mov al, 0xa4
        out 0x50, al
        mov rax, rsp
        push DATA0
        push rax
        push 0x202
        push CODE0
        lea rax, [.iret]
        push rax
        iretq
.iret:  nop
        PRINTLN "behind iretq"
        cli
        mov al, 0xa5
        out 0x50, al
        mov ecx, 0xc0000081
        mov edx, (CODE3 & ~3) << 16 | CODE0
        xor eax, eax
        wrmsr
        lea rax, [after_interrupts]
        mov [back_rsp], rsp
        mov rcx, .user + USER
        mov r11d, 0x3202
        mov rsp, user_stack + USER
        o64 sysret
.user:  nop
        int 0x80
after_interrupts:
        mov qword [hook], 0
%else
after_nmi:
after_interrupts:
%endif
        ret

reload: and byte [gdt + MAINTSS + 5], ~2
        mov eax, MAINTSS
        ltr ax
        ret

; prints the frame and goes back; vector 0x80 leaves level 3
show:   push rsi
        mov rsi, [frame]
        SHOW " #", rbx, 2
        mov rax, rsp
        add rax, 16
        sub rax, rsi
        SHOW " frame ", rax, 2
        mov rax, rsi
        and eax, 15
        SHOW " at ", rax, 1
        mov eax, ss
        SHOW " ss ", rax, 4
        mov eax, cs
        SHOW " cs ", rax, 4
        pushfq
        pop rax
        and eax, 0x4700
        SHOW " flags ", rax, 4
        SHOW ", pushed cs ", [rsi + 8], 4
        SHOW " ss ", [rsi + 32], 16
        mov rax, [rsi + 16]
        and eax, 0x4700
        SHOW " flags ", rax, 4
        mov rax, [rsi + 24]
        sub rax, rsi
        shr rax, 32
        SHOW " distance ", rax, 8
        mov rax, [rsi + 24]
        and eax, 15
        SHOW " rsp ", rax, 1
        NEWLINE
        pop rsi
        cmp ebx, 0x80
        je .leave
        add rsp, 8
        iretq
.leave: mov rsp, [back_rsp]
        mov eax, DATA0
        mov ss, eax
        jmp after_compat

conforming: mov eax, cs
        mov ecx, ss
        mov rdx, rbx
        sub rdx, rsp
        int 0x80

nmi:    SHOW " #", rbx, 2
        cmp ebx, 0x80
        je .leave
        mov rax, rsp
        mov rcx, ist_stack
        sub rcx, rax
        cmp rcx, 0x1000
        jae .other
        PRINT " on the interrupt stack"
.other: cmp ebx, 2
        jne .more
        inc dword [nmis]
        cmp dword [nmis], 3
        jae .last
        out 0x51, al             ; comes behind IRET
        jmp .more
.last:  jne .more
        cmp byte [idt + 2 * 16 + 4], 0
        jne .more                ; it would overwrite its own frame
        out 0x51, al
        PRINT " then"
        int 0x93                 ; its IRET ends the blocking
        PRINT " and"
.more:  NEWLINE
        add rsp, 8
        iretq
.leave: NEWLINE
        mov rsp, [back_rsp]
        mov eax, DATA0
        mov ss, eax
        jmp after_nmi
interrupt:
        SHOW "interrupt ", rbx, 2
        mov rcx, [frame]
        mov rax, [rcx]
        SHOW " before ", [rax], 2
        SHOW " cs ", [rcx + 8], 4
        NEWLINE
        cmp ebx, 0x80
        je .leave
        mov rax, [saved_rax]
        mov rcx, [saved_rcx]
        mov rdx, [saved_rdx]
        add rsp, 8
        iretq
.leave: mov rsp, [back_rsp]
        mov eax, DATA0
        mov ss, eax
        jmp after_interrupts
align 8
back_rsp: dq 0
saved_rsp: dq 0
short_idtr: dw 0, 0, 0, 0, 0
nmis:   dd 0
        FINISH
