%include "long.inc"
; CR8 is the task priority register of the local APIC, bits 4 to 7, by either
; way of access, and decides which interrupts come (SDM volume 3, 10.8.3 and
; 10.8.6). On a PC, for the bench has no local APIC.

APIC   equ 0xfee00000
%define REG(n) [rbp + (n)]
%macro SELF 1                    ; an interrupt to itself
        mov dword REG(0x300), 0x40000 | %1
%endmacro
%macro STATE 1                   ; CR8, TPR, PPR
        PRINT %1
        mov rax, cr8
        SHOW " cr8 ", rax, 16
        mov eax, REG(0x80)
        SHOW " tpr ", rax, 8
        mov eax, REG(0xa0)
        SHOW " ppr ", rax, 8
        NEWLINE
%endmacro
%macro SETCR8 1
        mov eax, %1
        mov cr8, rax
%endmacro

main:   mov rax, APIC | 0x9b     ; 2 MB, not cached
        mov [pd_small + (APIC - SMALL) / 0x200000 * 8], rax
        mov rax, cr3
        mov cr3, rax
        mov ebp, APIC
        mov dword REG(0xf0), 0x1ef
        mov dword REG(0x350), 0x10000
        mov dword REG(0x360), 0x10000
        lea rax, [taken]
        mov [hook], rax

        STATE "reset"
        mov dword REG(0x80), 0x5f
        STATE "tpr 5f"
        SETCR8 9
        STATE "cr8 9"
        SETCR8 15
        STATE "cr8 15"
        mov dword REG(0x80), 0x7
        STATE "tpr 07"
        ; which interrupts it holds back, and when they come
        sti
        SETCR8 6
        SELF 0x6f
        SELF 0x62
        SELF 0x71
        nop
        PRINTLN "held: 6f 62"
        mov eax, REG(0x230)
        SHOW "irr ", rax, 8
        NEWLINE
        SETCR8 5
at5:    nop
        nop
        PRINTLN "class 0 and spurious classes"
        SETCR8 15
        SELF 0xf1
        SELF 0x21
        nop
        SETCR8 14
        nop
        SETCR8 2
        nop
        SETCR8 1
        nop
        ; the sub-class of TPR holds nothing back
        PRINTLN "sub-class"
        mov dword REG(0x80), 0x3f
        SELF 0x31
        SELF 0x41
        nop
        mov dword REG(0x80), 0x2f
        nop
        nop
        ; NMIs pay no attention
        PRINTLN "nmi"
        SETCR8 15
        mov dword REG(0x300), 0x40400
        nop
        SETCR8 0
        ; in a handler: the class in service counts, too
        PRINTLN "nested"
        cli
        lea rax, [nesting]
        mov [hook], rax
        SELF 0x60
        sti
        nop
        nop
        ; an interrupt that is let in comes before the next instruction
        PRINTLN "at once"
        cli
        SETCR8 8
        SELF 0x80
        sti
        nop
        lea rax, [there]
        mov [where], rax
        xor eax, eax
        mov cr8, rax
there:  ud2
        cli
        mov qword [hook], 0
        ; not at level 3, and not in compatibility mode
        TRY3 "3: mov from cr8"
        mov rax, cr8
        END3
        TRY3C "3: mov from cr8, 32 bits"
        db 0x44, 0x0f, 0x20, 0xc0        ; INC ESP; MOV EAX, CR0
        END3
%ifndef QEMU ; 7.2's TCG has no x2APIC mode
        mov ecx, 0x1b
        rdmsr
        or eax, 0x400
        wrmsr
        mov ecx, 0x808
        xor edx, edx
        mov eax, 0xa3
        wrmsr
        mov rax, cr8
        SHOW "x2apic: cr8 ", rax, 16
        SETCR8 4
        mov ecx, 0x808
        rdmsr
        SHOW " tpr ", rax, 8
        NEWLINE
        TRY "tpr of 9 bits"
        mov ecx, 0x808
        xor edx, edx
        mov eax, 0x100
        MARK
        wrmsr
        ENDTRY
%endif
        ret

; says which interrupt it is, and ends it
taken:  SHOW "  #", rbx, 2
        cmp ebx, 2
        je .back
        cmp ebx, 6
        je .behind
        mov rcx, [frame]
        mov rdx, [rcx]
        cmp rdx, [where]
        jne .end
        PRINT " at once"
        add qword [rcx], 2       ; past UD2
.end:   mov dword REG(0xb0), 0
.back:  NEWLINE
.ret:   mov rax, [saved_rax]
        mov rbx, [saved_rbx]
        mov rcx, [saved_rcx]
        mov rdx, [saved_rdx]
        add rsp, 8
        iretq
.behind: PRINT " too late"
        mov rcx, [frame]
        add qword [rcx], 2
        jmp .back
nesting: SHOW "  #", rbx, 2
        lea rax, [taken]
        mov [hook], rax
        SELF 0x6f
        SELF 0x51
        SELF 0x70
        STATE " inside"
        sti
        nop
        SETCR8 5
        STATE " inside, cr8 5"
        SETCR8 6
        STATE " inside, cr8 6"
        SETCR8 0
        nop
        cli
        PRINT "  ended"
        jmp taken.end
align 8
where:  dq 0
        FINISH
