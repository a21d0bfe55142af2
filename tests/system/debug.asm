%include "common.inc"
; Debug exceptions: single step, breakpoints, watchpoints, RF, INT1, INT3,
; INTO, BOUND, general detect (SDM volume 3, chapter 17), and other exceptions
; that instructions raise.

; counts the debug exceptions of some code and prints each
main:
        mov dword [hook], step
        mov dword [resume], .s1
        mov [resume_esp], esp
        PRINTLN "single step"
        mov dword [mark], .s0
        pushf
        or dword [esp], 0x100
        popf
.s0:    nop
        mov eax, 1
        inc eax
        push eax
        pop ecx
        call .sub
        jmp .j
.j:     mov ebx, scratch
        mov ecx, 3
        mov edi, scratch
        rep stosb
        pushf
        pop eax
        test eax, 0x100
        jnz .tf
        PRINTLN "TF is lost"
.tf:    mov ax, ss
        mov ss, ax              ; no trap after this one
        nop
        cpuid
        xor eax, eax
        pushf
        and dword [esp], ~0x100
        popf                    ; traps
        nop                     ; does not
        jmp .s1
.sub:   ret
.s1:
        ; INT clears TF, and the handler is not stepped
        PRINTLN "step into int"
        mov dword [mark], .i0
        pushf
        or dword [esp], 0x100
        popf
.i0:    int 0x81
.i1:    pushf
        and dword [esp], ~0x100
        popf
        ; a fault under TF
        PRINTLN "step into a fault"
        mov dword [mark], .f0
        mov dword [resume], .f1
        mov [resume_esp], esp
        pushf
        or dword [esp], 0x100
        popf
.f0:    ud2
.f1:
        ; instruction breakpoint
        PRINTLN "instruction breakpoint"
        mov dword [mark], .b0
        mov eax, .b0
        mov dr0, eax
        mov eax, .b1
        mov dr1, eax
        mov eax, 0x405          ; L0, L1
        mov dr7, eax
.b0:    nop
        inc ecx
.b1:    mov eax, dr7
        SHOW "dr7 ", eax
        NEWLINE
        ; data
        PRINTLN "watchpoints"
        mov dword [mark], .w0
        mov eax, scratch
        mov dr0, eax
        mov eax, scratch + 8
        mov dr1, eax
        mov eax, 0x00f50000 | 0x405 ; DR0 write 2 bytes, DR1 access 4
        mov dr7, eax
.w0:    mov [scratch + 2], eax  ; beside
        mov [scratch + 1], al   ; hits 0
.w1:    mov eax, [scratch]      ; read: no hit of a write breakpoint
        mov eax, [scratch + 8]  ; hits 1
.w2:    mov [scratch - 2], eax  ; across: hits 0
.w3:    mov al, [scratch + 11]  ; hits 1
.w4:    mov al, [scratch + 12]
        mov edi, scratch - 4
        mov ecx, 4
        xor eax, eax
        rep stosd               ; hits both on its way
.w5:    push dword [scratch + 8]
        pop eax
.w6:    inc dword [scratch]     ; hits 0
        xchg [scratch + 8], eax ; hits 1
        mov eax, 0x400
        mov dr7, eax
        PRINTLN "I/O breakpoint"
        mov eax, cr4
        or eax, 8
        mov cr4, eax
        mov dword [mark], .o0
        mov eax, 0xf1
        mov dr2, eax
        mov eax, 0x02000410
        mov dr7, eax
.o0:    in al, 0xf1
        in al, 0xf2
        mov eax, 0x400
        mov dr7, eax
        mov dword [hook], 0
        TRY "mov dr4 with DE"
        db 0x0f, 0x21, 0xe0     ; mov eax, dr4
        ENDTRY
        mov eax, cr4
        and eax, ~8
        mov cr4, eax
        TRY "mov dr4 without DE"
        db 0x0f, 0x21, 0xe0
        db 0x0f, 0x21, 0xf1     ; mov ecx, dr6
        cmp eax, ecx
        jne .dr4
        PRINT "is dr6 "
.dr4:   ENDTRY
        TRY "general detect"
        mov eax, 0x2400
        mov dr7, eax
        MARK
        mov eax, dr0
        ENDTRY
        mov eax, dr6
        SHOW "dr6 ", eax
        mov eax, dr7
        SHOW " dr7 ", eax
        NEWLINE
        mov eax, -1
        mov dr6, eax
        mov eax, dr6
        SHOW "all ones: dr6 ", eax
        NEWLINE
        mov eax, 0x400
        mov dr7, eax
        TRY "int3"
        int3
        ENDTRY
        TRY "int 3"
        db 0xcd, 3
        ENDTRY
        TRY "int1"
        db 0xf1
        ENDTRY
        TRY "into, no overflow"
        xor eax, eax
        into
        ENDTRY
        TRY "into, overflow"
        mov al, 0x7f
        inc al
        into
        ENDTRY
        TRY "bound, inside"
        mov eax, 5
        bound eax, [.bounds]
        ENDTRY
        TRY "bound, below"
        mov eax, -6
        bound eax, [.bounds]
        ENDTRY
        TRY "bound, above"
        mov eax, 8
        bound eax, [.bounds]
        ENDTRY
        TRY "bound, register"
        db 0x62, 0xc0
        ENDTRY
        TRY "div by 0"
        xor ecx, ecx
        div ecx
        ENDTRY
        TRY "div overflow"
        mov edx, 1
        mov ecx, 1
        div ecx
        ENDTRY
        TRY "aam 0"
        db 0xd4, 0
        ENDTRY
        TRY "ud2"
        ud2
        ENDTRY
        TRY "lock nop"
        db 0xf0, 0x90
        ENDTRY
        TRY "lock add to register"
        db 0xf0, 0x01, 0xc0
        ENDTRY
        TRY "lock add to memory"
        lock add [scratch], eax
        ENDTRY
        TRY "15 bytes"
        times 7 db 0x66
        db 0x81, 0x05
        dd scratch
        dw 0x1234
        ENDTRY
        TRY "16 bytes"
        times 15 db 0x66
        nop
        ENDTRY
        TRY "lea of a register"
        db 0x8d, 0xc0
        ENDTRY
        TRY "les of a register"
        db 0xc4, 0xc0
        ENDTRY
        TRY "fpu with TS"
        mov eax, cr0
        or eax, 8
        mov cr0, eax
        MARK
        fnop
        ENDTRY
        TRY "wait with TS, MP=0"
        fwait
        ENDTRY
        mov eax, cr0
        or eax, 2
        mov cr0, eax
        TRY "wait with TS, MP=1"
        fwait
        ENDTRY
        clts
        mov eax, cr0
        or eax, 4
        mov cr0, eax
        TRY "fpu with EM"
        fnop
        ENDTRY
        mov eax, cr0
        and eax, ~0xc
        or eax, 0x20
        mov cr0, eax
        TRY "x87 error"
        fninit
        fldz
        push word 0x37b         ; division unmasked
        fldcw [esp]
        fld1
        fdiv st1
        MARK
        fwait
        ENDTRY
        TRY "x87 error: not by a no-wait instruction"
        fnstsw ax
        SHOW16 "sw ", eax
        fninit
        PRINT " "
        ENDTRY
        TRY "sse without OSFXSR"
        xorps xmm0, xmm0
        ENDTRY
        ; alignment
        mov eax, cr0
        or eax, 0x40000
        mov cr0, eax
        mov dword [user_flags], 0x40002
        TRY3 "3: aligned"
        mov eax, [scratch]
        END3
        TRY3 "3: misaligned dword"
        mov eax, [scratch + 2]
        END3
        TRY3 "3: misaligned word, write"
        mov [scratch + 1], ax
        END3
        TRY3 "3: misaligned push"
        sub esp, 1
        push eax
        END3
        mov dword [user_flags], 2
        TRY3 "3: misaligned, AC=0"
        mov eax, [scratch + 2]
        END3
        TRY "0: misaligned"
        push dword 0x40002
        popf
        mov eax, [scratch + 2]
        ENDTRY
        ret
.bounds: dd -5, 7

; prints the exception and goes on behind it
step:   SHOW16 " #", ebx
        mov eax, [esp + 4]
        sub eax, [mark]
        SHOW16 " +", eax
        mov eax, dr6
        SHOW " dr6 ", eax
        mov eax, [esp + 12]
        and eax, 0x10100
        SHOW " TF RF ", eax
        NEWLINE
        xor eax, eax
        mov dr6, eax
        cmp ebx, 6
        je .out
        ; an instruction breakpoint would hit again but for RF
        or dword [esp + 12], 0x10000
        mov eax, [saved_eax]
        mov ebx, [saved_ebx]
        add esp, 4
        iret
.out:   jmp caught.leave
        FINISH
