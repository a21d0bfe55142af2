%include "common.inc"
; Task switches by JMP, CALL, IRET, task gates and interrupts, 32- and 16-bit
; TSS, busy and NT rules, the double fault task (SDM volume 3, chapter 8).

%macro TSSDESC 4 ; selector, address, limit, access
        mov eax, %2
        mov word [gdt + %1], %3
        mov [gdt + %1 + 2], ax
        shr eax, 16
        mov [gdt + %1 + 4], al
        mov byte [gdt + %1 + 5], %4
        mov [gdt + %1 + 7], ah
%endmacro
; fills a 32-bit TSS at %1: EIP %2, ESP %3
%macro FILL32 3
        mov edi, %1
        xor eax, eax
        mov ecx, 26
        rep stosd
        mov dword [%1 + 0x20], %2
        mov dword [%1 + 0x24], 2
        mov dword [%1 + 0x38], %3
        mov word [%1 + 0x48], DATA0
        mov word [%1 + 0x4c], CODE0
        mov word [%1 + 0x50], DATA0
        mov word [%1 + 0x54], DATA0
        mov word [%1 + 0x58], DATA0
        mov word [%1 + 0x5c], DATA0
        mov word [%1 + 0x66], 0x68
%endmacro

main:
        TSSDESC TSS32B, tssb, 0x67, 0x89
        TSSDESC TSS16B, tss16, 0x2b, 0x81
        TSSDESC DFTSS, tssdf, 0x67, 0x89

        ; CALL and IRET
        FILL32 tssb, .b1, stackb
        mov dword [tssb + 0x28], 0xaaaa0001
        mov dword [tssb + 0x44], 0xd1d1d1d1
        TRY "call TSS"
        mov ebx, 0xb0b0b0b0
        call TSS32B:0
        SHOW "ebx=", ebx
        pushf
        pop eax
        SHOW " flags=", eax
        str eax
        SHOW16 " tr=", eax
        movzx eax, byte [gdt + TSS32B + 5]
        SHOW16 " b=", eax
        movzx eax, byte [gdt + MAINTSS + 5]
        SHOW16 " a=", eax
        PRINT " "
        ENDTRY
        jmp .after1
.b1:    SHOW "[eax=", eax
        SHOW " edi=", edi
        pushf
        pop eax
        SHOW " flags=", eax
        mov eax, cr0
        SHOW " cr0=", eax
        clts
        str eax
        SHOW16 " tr=", eax
        movzx eax, word [tssb]
        SHOW16 " link=", eax
        movzx eax, byte [gdt + TSS32B + 5]
        SHOW16 " b=", eax
        movzx eax, byte [gdt + MAINTSS + 5]
        SHOW16 " a=", eax
        PRINT "] "
        iret
        PRINT "[again] "        ; the saved EIP is behind the IRET
        iret
        jmp .b1
.after1:
        TRY "call TSS again"
        call TSS32B:0
        ENDTRY
        ; JMP there and back
        FILL32 tssb, .b2, stackb
        TRY "jmp TSS"
        jmp TSS32B:0
        pushf
        pop eax
        SHOW " flags=", eax
        movzx eax, byte [gdt + TSS32B + 5]
        SHOW16 " b=", eax
        PRINT " "
        ENDTRY
        jmp .after2
.b2:    pushf
        pop eax
        SHOW "[flags=", eax
        movzx eax, byte [gdt + MAINTSS + 5]
        SHOW16 " a=", eax
        movzx eax, byte [gdt + TSS32B + 5]
        SHOW16 " b=", eax
        PRINT "]"
        jmp MAINTSS:0
.after2:
        TRY "jmp to the busy task"
        jmp MAINTSS:0
        ENDTRY
        TRY "call to the busy task"
        call MAINTSS:0
        ENDTRY
        mov word [gdt + TSS32B], 0x66
        TRY "TSS too short"
        jmp TSS32B:0
        ENDTRY
        mov word [gdt + TSS32B], 0x67
        mov byte [gdt + TSS32B + 5], 0x09
        TRY "TSS not present"
        jmp TSS32B:0
        ENDTRY
        mov byte [gdt + TSS32B + 5], 0x89
        TRY3 "3: jmp TSS of level 0"
        jmp TSS32B:0
        END3
        ; task gate
        FILL32 tssb, .b3, stackb
        TRY "call task gate"
        call TASKGATE:0
        ENDTRY
        jmp .after3
.b3:    PRINT "[in] "
        iret
        jmp .b3
.after3:
        TRY3 "3: call task gate"
        call TASKGATE:0
        END3
        mov word [gdt + TASKGATE + 2], MAINTSS
        TRY "task gate to the busy task"
        call TASKGATE:0
        ENDTRY
        mov word [gdt + TASKGATE + 2], DATA0
        TRY "task gate to data"
        call TASKGATE:0
        ENDTRY
        mov word [gdt + TASKGATE + 2], 0
        TRY "task gate to null"
        call TASKGATE:0
        ENDTRY
        mov word [gdt + TASKGATE + 2], TSS32B
        ; interrupt through a task gate; exception with an error code
        mov dword [idt + 0x84 * 8], TSS32B << 16
        mov dword [idt + 0x84 * 8 + 4], 0xe500
        FILL32 tssb, .b3, stackb
        TRY "int task gate"
        int 0x84
        ENDTRY
        FILL32 tssb, .b4, stackb
        mov eax, [idt + 13 * 8]
        mov [saved], eax
        mov eax, [idt + 13 * 8 + 4]
        mov [saved + 4], eax
        mov dword [idt + 13 * 8], TSS32B << 16
        mov dword [idt + 13 * 8 + 4], 0x8500
        TRY "#GP through a task gate"
        mov eax, 0x1f8
        mov ds, ax
.resumed:
        ENDTRY
        jmp .after4
.b4:    pop eax
        SHOW16 "[error ", eax
        mov eax, [tss + 0x20]
        sub eax, .resumed
        SHOW " eip-", eax
        mov dword [tss + 0x20], .resumed
        SHOW " flags ", [tss + 0x24]
        PRINT "] "
        iret
.after4:
        mov eax, [saved]
        mov [idt + 13 * 8], eax
        mov eax, [saved + 4]
        mov [idt + 13 * 8 + 4], eax
        ; faults in the new task
        FILL32 tssb, .b3, stackb
        mov word [tssb + 0x54], 0x1f8
        TRY "new task: bad ds"
        jmp TSS32B:0
        ENDTRY
        call .fix
        FILL32 tssb, .b3, stackb
        mov word [tssb + 0x4c], DATA0
        TRY "new task: bad cs"
        jmp TSS32B:0
        ENDTRY
        call .fix
        FILL32 tssb, .b5, stackb
        mov word [tssb + 0x64], 1
        TRY "new task: T bit"
        jmp TSS32B:0
        ENDTRY
        mov eax, dr6
        SHOW "dr6 ", eax
        NEWLINE
        call .fix
        ; 16-bit TSS
        mov edi, tss16
        xor eax, eax
        mov ecx, 11
        rep stosd
        mov word [tss16 + 0x0e], task16 - 0x100000
        mov word [tss16 + 0x10], 2
        mov word [tss16 + 0x12], 0x1111
        mov word [tss16 + 0x1a], 0x8000
        mov word [tss16 + 0x22], DATA0
        mov word [tss16 + 0x24], CODE16
        mov word [tss16 + 0x26], DATA16
        mov word [tss16 + 0x28], DATA0
        TRY "call 16-bit TSS"
        call TSS16B:0
        movzx eax, word [tss16]
        SHOW16 "link ", eax
        PRINT " "
        ENDTRY
        ; double fault in a task of its own
        FILL32 tssdf, .df, stackdf
        mov dword [idt + 8 * 8], DFTSS << 16
        mov dword [idt + 8 * 8 + 4], 0x8500
        TRY "double fault task"
        mov dword [df_resume], .df_back
        mov byte [idt + 13 * 8 + 5], 0x0e ; #GP handler absent
        mov eax, 0x1f8
        mov ds, ax
.df_back:
        PRINT "back "
        mov byte [idt + 13 * 8 + 5], 0x8e
        ENDTRY
        TRY "double fault: bad stack"
        mov dword [df_resume], .df_back2
        mov dword [df_esp], esp
        mov eax, SMALL
        mov byte [gdt + SMALL + 5], 0x92
        mov ss, ax
        mov esp, 0x1002
        push eax
.df_back2:
        mov byte [gdt + SMALL + 5], 0xf2
        PRINT "back "
        ENDTRY
        ret
.df:    pop eax
        SHOW16 "[df error ", eax
        mov eax, [df_resume]
        mov [tss + 0x20], eax
        mov word [tss + 0x50], DATA0
        mov word [tss + 0x54], DATA0
        mov eax, [resume_esp]
        mov [tss + 0x38], eax
        PRINT "] "
        iret
        jmp .df
.b5:    PRINT "no trap "       ; (QEMU)
        jmp leave_ok
.fix:   ; the main task is left without IRET: back to it by hand
        mov byte [gdt + MAINTSS + 5], 0x89
        mov byte [gdt + TSS32B + 5], 0x89
        mov eax, MAINTSS
        ltr ax
        clts
        ret

bits 16
task16: mov cx, ss
        mov dx, ds
        mov word [es:task16_seen], ax
        mov word [es:task16_seen + 2], cx
        mov word [es:task16_seen + 4], dx
        iret
        jmp task16
bits 32
align 4
task16_seen equ scratch
saved:  dd 0, 0
df_resume: dd 0
df_esp: dd 0
align 16
tssb:   times 0x68 db 0
tssdf:  times 0x68 db 0
tss16:  times 0x2c db 0
        times 1024 db 0
stackb: times 1024 db 0
stackdf:
        FINISH
