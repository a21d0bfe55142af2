; A multiboot kernel whose CPUs are started again at bad times: by themselves,
; while they spin, with interrupts pending. It tells what of a CPU outlives an
; INIT. It prints on COM1 and ends through isa-debug-exit at 0xf4.

AGAIN     equ 0x9000            ; another place to start
PATIENCE  equ 300000
TURNS     equ 2000
%include "smp.inc"

; Start CPU 1 at a page, in a way.
%macro RUN 2
        mov dword [way], %2
        mov dword [reached], 0
        IPI 1, 0x4600 | %1 >> 12
        WAIT reached, 1
%endmacro

; In real mode, copied to START and AGAIN.
bits 16
trampoline:
        cli
        mov ax, cs
        mov ds, ax
        mov bx, ax              ; the page that the message gave
        o32 lgdt [tramp_gdtr - trampoline]
        mov eax, cr0
        mov ecx, eax
        or al, 1
        mov cr0, eax
        jmp dword 8:other
tramp_gdtr:
        dw 23
        dd gdt
trampoline_end:
bits 32

main:
        FLAT
        mov edi, START
        call copy
        mov edi, AGAIN
        call copy
        mov edi, idt
        mov edx, ignored
        mov ecx, 256
.gates: call gate
        loop .gates
        mov edi, idt + 0x40 * 8
        mov edx, tick
        call gate
        lidt [idtr]
        mov dword [SVR], 0x1ff

        PRINT "first:"
        IPI 1, 0x4500
        call delay
        RUN START, 1
        call report

        ; A start-up message is nothing to a CPU that runs.
        PRINT "spins, is started once more:"
        IPI 1, 0x4600 | AGAIN >> 12
        call delay
        call spinning

        ; INIT while it spins without PAUSE.
        PRINT "INIT while it spins:"
        IPI 1, 0x4500
        call delay
        call spinning
%ifndef QEMU                    ; 7.2 ends by a segmentation fault
        IPI 1, 0x4400           ; an NMI that nobody waits for
%endif
        IPI 1, 0x4040
        call delay
        RUN AGAIN, 1
        call report

        ; It halts with interrupts disabled.
        PRINT "INIT while it is halted:"
        IPI 1, 0x4500
        call delay
        RUN START, 2
        IPI 1, 0x4500
        RUN START, 1
        call report

        ; It sends INIT to itself.
        PRINT "INIT to itself:"
        IPI 1, 0x4500
        call delay
        RUN START, 3
        call delay
        mov eax, [after]
        call hex
        RUN AGAIN, 1
        call report

        ; A start-up message in the same breath as INIT.
        PRINT "at once:"
        mov dword [way], 1
        mov dword [reached], 0
        IPI 1, 0x4500
        IPI 1, 0x4600 | START >> 12
        WAIT reached, 1
        call report

        ; INIT without a start-up message, again and again.
        PRINT "often:"
        mov ebx, 50
.often: IPI 1, 0x4500
        dec ebx
        jnz .often
        RUN START, 1
        call report

        ; The others wait or halt; the first one sleeps for some ticks.
        PRINT "ticks:"
        IPI 1, 0x4500
        call delay
        RUN START, 2
        mov dword [DIVIDE], 0xb
        mov dword [LVT_TIMER], 0x20040
        mov dword [INITIAL], 20000000
        sti
.sleep: hlt
        cmp dword [ticks], 3
        jb .sleep
        cli
        mov eax, [ticks]
        call hex
        call newline

        ; The same while the other one spins.
        PRINT "ticks beside a spinning CPU:"
        IPI 1, 0x4500
        call delay
        RUN START, 1
        mov dword [ticks], 0
        sti
.nap:   hlt
        cmp dword [ticks], 3
        jb .nap
        cli
        mov eax, [ticks]
        call hex
        call spinning
%ifdef TRIPLE
        PRINT "triple fault", 10
        IPI 1, 0x4500
        call delay
        mov dword [way], 4
        IPI 1, 0x4600 | START >> 12
.wait:  hlt
        jmp .wait
%endif
        PRINT "end", 10
        mov al, 0
        out 0xf4, al
.end:   hlt
        jmp .end

; The other CPU, in protected mode.
other:
        mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, stacks + 8192
        mov [got + 0], ecx      ; CR0 as it was
        movzx ebx, bx
        mov [got + 4], ebx
        mov eax, cr4
        or eax, 0x200
        mov cr4, eax
        movd eax, xmm1
        mov [got + 8], eax
        stmxcsr [got + 12]
        fnstcw [got + 16]
        mov ecx, 0x174          ; IA32_SYSENTER_CS
        rdmsr
        mov [got + 20], eax
        mov ecx, 0xc0000103     ; IA32_TSC_AUX
        rdmsr
        mov [got + 24], eax
        mov ecx, 0x277          ; IA32_PAT
        rdmsr
        mov [got + 28], eax
        mov eax, dr0
        mov [got + 32], eax
        mov eax, cr2
        mov [got + 36], eax

        ; Marks of this life.
        inc dword [life]
        mov eax, [life]
        mov dr0, eax
        mov cr2, eax
        movd xmm1, eax
        fninit
        or eax, 0x340
        mov [got + 40], eax
        fldcw [got + 40]
        mov eax, [life]
        shl eax, 13
        and eax, 0x6000
        or eax, 0x1f80
        mov [got + 40], eax
        ldmxcsr [got + 40]
        mov eax, [life]
        xor edx, edx
        mov ecx, 0x174
        wrmsr
        mov ecx, 0xc0000103
        wrmsr
        mov eax, 0x00010406
        mov edx, 0x00070406
        mov ecx, 0x277
        wrmsr
        mov dword [SVR], 0x1ff
        mov dword [reached], 1
        mov eax, [way]
        cmp eax, 2
        je .halt
        cmp eax, 3
        je .self
        cmp eax, 4
        je .triple
.spin:  inc dword [beats]
        jmp .spin
.halt:  cli
        hlt
        jmp .halt
.self:  mov dword [ICR_HIGH], 1 << 24
        mov dword [ICR], 0x4500
        mov ecx, 100000
.late:  pause
        loop .late
        mov dword [after], 1    ; it did not go
        jmp .halt
.triple:
        lidt [no_idt]
        int3

copy:   mov esi, trampoline
        mov ecx, trampoline_end - trampoline
        rep movsb
        ret

; What the other CPU has found.
report:
        mov esi, got
        mov ecx, 10
        jmp list

; Whether it counts.
spinning:
        mov eax, [beats]
        mov ecx, PATIENCE
.again: cmp eax, [beats]
        jne .counts
        pause
        loop .again
        PRINT " no", 10
        ret
.counts:
        PRINT " yes", 10
        ret

tick:   inc dword [ticks]
        mov dword [EOI], 0
ignored:
        iret

align 4
image_end:
absolute image_end
bss:
idt:        resb 256 * 8
way:        resd 1
reached:    resd 1
beats:      resd 1
after:      resd 1
life:       resd 1
ticks:      resd 1
got:        resd 16
stacks:     resb 4 * 4096
bss_end:
