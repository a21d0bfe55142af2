%include "long.inc"
; Debug exceptions of IA-32e mode: single steps through its system calls and
; mode switches, breakpoints with addresses of 64 bits, RF, general detect (SDM
; volume 3, 17.2 and 17.3).

%define TF 0x100
%define RF 0x10000

; begins a run whose debug exceptions are printed, RIP relative to here
%macro RUN 1
%push run
        PRINTLN %1
        lea rax, [%$end]
        mov [resume], rax
        mov [resume_rsp], rsp
        lea rax, [%%here]
        mov [mark], rax
        lea rax, [step]
        mov [hook], rax
%%here:
%endmacro
%macro ENDRUN 0
%$end:
%pop
        mov qword [hook], 0
        xor eax, eax
        mov dr7, rax
%endmacro
; sets TF: the instruction after this one is the first to trap
%macro STEP 0
        push 2 | TF
        popfq
%endmacro
%macro UNSTEP 0
        push 2
        popfq
%endmacro
; goes to level 3 with these flags, at the USER alias of a label; level 0 goes on behind it
%macro TO3 3
        mov [run_rsp], rsp
        push DATA3
        push user_stack + USER
        push %1
        push %2
        push %3 + USER
        iretq
%endmacro
; back to level 0 behind this one, by a gate of level 3
%macro TO0 0
        int 0x81
%%here:
%endmacro

main:   mov byte [idt + 0x81 * 16 + 5], 0xee
        mov byte [idt + 0x82 * 16 + 5], 0xee
        mov ecx, 0xc0000081
        mov edx, (CODE3 & ~3) << 16 | CODE0
        xor eax, eax
        wrmsr
        mov ecx, 0xc0000082
        lea rax, [entry]
        xor edx, edx
        wrmsr
        mov ecx, 0x174
        mov eax, CODE0
        wrmsr
        inc ecx
        lea rax, [inner_stack]
        wrmsr
        inc ecx
        lea rax, [fast_entry]
        wrmsr

        RUN "instructions"
        STEP
        nop
        lea rax, [.i1]
        jmp rax
.i1:    call .sub
        push rax
        pop rbx
        mov eax, ss
        mov ss, eax              ; no trap behind this one
        nop
        mov ecx, 2
        lea rdi, [scratch]
        rep stosq
        pushfq
        pop rax
        cpuid
        mov rax, cr0
        mov cr0, rax
        mov rax, dr6
        mov ecx, 0xc0000102
        rdmsr
        wrmsr
        swapgs
        swapgs
        lgdt [gdtr]
        mov eax, DATA0
        mov ds, eax
        invlpg [scratch]
        clts
        in al, 0xe9
        sti
        cli
        cmp eax, eax
        je .i2
.i2:    jne .i2
        mov ecx, 2
.i3:    loop .i3
        db 0xff, 0x2d            ; jmp far [.to32]
        dd .to32 - ($ + 4)
bits 32
.in32:  inc eax
        push eax
        pop eax
        jmp CODE0:.back
bits 64
.back:  push CODE0
        lea rax, [.i4]
        push rax
        retfq
.i4:    mov rax, rsp
        push DATA0
        push rax
        push 2 | TF
        push CODE0
        lea rax, [.i5]
        push rax
        iretq
.i5:    nop
        UNSTEP
        nop
        ENDRUN

        RUN "iretq sets TF"
        mov rax, rsp
        push DATA0
        push rax
        push 2 | TF
        push CODE0
        lea rax, [.t1]
        push rax
        iretq
.t1:    nop
        nop
        UNSTEP
        ENDRUN

        RUN "int"
        STEP
        int 0x82
        nop
        UNSTEP
        ENDRUN

        RUN "a fault"
        STEP
        ud2
.ud2:   nop
        UNSTEP
        ENDRUN

        RUN "level 3"
        TO3 2 | TF, CODE3L, .l3
.l3:    nop
        mov rax, rsp
        int 0x82
        nop
        push 2
        popfq
        TO0
        ENDRUN

        RUN "compatibility mode"
        TO3 2 | TF, CODE3, .c3
bits 32
.c3:    nop
        mov eax, esp
        int 0x82
        jmp CODE3L:.c4 + USER
bits 64
.c4:    mov rax, rsp
        push 2
        popfq
        TO0
        ENDRUN

        ; FMASK has TF: there is no step in the handler, but one where SYSRET
        ; comes back to
        mov ecx, 0xc0000084
        mov eax, 0x4700
        xor edx, edx
        wrmsr
        RUN "syscall, FMASK with TF"
        TO3 2 | TF, CODE3L, .s3
.s3:    nop
        syscall
        nop
        nop
        push 2
        popfq
        TO0
        ENDRUN
        mov byte [sysret_size], 4
        RUN "syscall, sysret to compatibility mode"
        TO3 2 | TF, CODE3L, .s4
.s4:    nop
        syscall
bits 32
        nop
        push dword 2
        popfd
        TO0
bits 64
        ENDRUN
        mov byte [sysret_size], 8
        mov ecx, 0xc0000084
        mov eax, 0x4600
        xor edx, edx
        wrmsr
        RUN "syscall, FMASK without TF"
        TO3 2 | TF, CODE3L, .s5
.s5:    nop
        syscall
        nop
        push 2
        popfq
        TO0
        ENDRUN
        mov ecx, 0xc0000084
        mov eax, 0x4700
        xor edx, edx
        wrmsr
        mov [run_rsp], rsp
        RUN "sysret under TF"
        mov rcx, .s6 + USER
        mov r11d, 2
        STEP
        nop
        o64 sysret
.s6:    nop
        TO0
        ENDRUN
        RUN "sysret with TF, from where there is none"
        mov [run_rsp], rsp
        mov rsp, user_stack + USER
        mov rcx, .s7 + USER
        mov r11d, 2 | TF
        o64 sysret
.s7:    nop
        push 2
        popfq
        TO0
        ENDRUN
        RUN "sysenter, sysexit"
        TO3 2 | TF, CODE3L, .s8
.s8:    lea rdx, [.s9]
        mov rcx, rsp
        sysenter
.s9:    nop
        push 2
        popfq
        TO0
        ENDRUN

        ; breakpoints of instructions: RF is the handler's to set
        RUN "instruction breakpoints"
        mov rdi, scratch
        mov ecx, 5
        lea rax, [.b1]
        mov dr0, rax
        lea rax, [.b2]
        mov dr1, rax
        mov rax, HIGH
        lea rbx, [.b3]
        add rax, rbx
        mov dr2, rax
        mov eax, 0x415           ; L0, L1, L2
        mov dr7, rax
.b1:    nop
.b2:    rep stosb                ; once only
.b3:    nop                      ; its alias has a breakpoint
        mov rax, HIGH
        lea rbx, [.b4]
        add rbx, rax
        mov dr2, rbx
        jmp rbx
.b4:    nop
        lea rax, [.b5]
        jmp rax
.b5:    mov rax, .b6
        jmp rax
.b6:    ENDRUN
        RUN "RF in what a fault and a trap push"
        lea rax, [.r9]
        mov dr0, rax
        mov eax, 0x401
        mov dr7, rax
        ud2
        int 0x82
        STEP
        nop
        UNSTEP
.r9:    nop
        ENDRUN
        RUN "RF by iretq for one instruction"
        lea rax, [.r1]
        mov dr0, rax
        mov eax, 0x401
        mov dr7, rax
        mov rax, rsp
        push DATA0
        push rax
        push 2 | RF
        push CODE0
        lea rax, [.r1]
        push rax
        mov ecx, 2
        iretq
.r1:    dec ecx
        jnz .r1
        ENDRUN
        RUN "RF by popfq is none"
        lea rax, [.r2]
        mov dr0, rax
        mov eax, 0x401
        mov dr7, rax
        push 2 | RF
        popfq
.r2:    nop
        ENDRUN
        RUN "a breakpoint and a step"
        lea rax, [.r3]
        mov dr0, rax
        mov eax, 0x401
        mov dr7, rax
        STEP
        nop
.r3:    nop
        UNSTEP
        ENDRUN
        RUN "a breakpoint at level 3"
        lea rax, [.r4]
        add rax, USER
        mov dr0, rax
        mov eax, 0x401
        mov dr7, rax
        TO3 2, CODE3L, .r4
.r4:    nop
        nop
        TO0
        ENDRUN
        RUN "a breakpoint in compatibility mode"
        lea rax, [.r5]
        add rax, USER
        mov dr0, rax
        mov eax, 0x401
        mov dr7, rax
        TO3 2, CODE3, .r5
bits 32
.r5:    nop
        nop
        TO0
bits 64
        ENDRUN

        ; data
        RUN "data of 8 bytes"
        mov rbx, HIGH
        lea rax, [scratch + 8]
        mov dr0, rax             ; 8 bytes, writes
        add rax, 0x38
        mov dr1, rax             ; 8 bytes, any access
        add rax, rbx
        mov dr2, rax             ; 4 bytes, another linear address
        mov eax, 0x0fb90415
        mov dr7, rax
        mov rax, [scratch + 8]
.d0:    mov [scratch + 8], rax
        mov [scratch + 15], al
        mov [scratch + 16], al
        mov [scratch + 7], al
        mov [scratch + 7], ax
        mov [scratch], rax
        mov al, [scratch + 0x47]
        mov rax, [scratch + 0x39]
        mov rax, [scratch + 0x48]
        lea rax, [scratch + rbx]
        mov ecx, [rax + 0x40]
        mov ecx, [rax + 0x44]
        add qword [scratch + 8], 1
        lock xadd [scratch + 8], rax
        cmp rax, [scratch + 0x40]
        push qword [scratch + 0x40]
        pop qword [scratch + 8]
        mov eax, 0x600
        mov rdx, cr4
        or rdx, rax
        mov cr4, rdx
        movups xmm0, [scratch + 0x38]
        movups [scratch], xmm0
        cmpxchg16b [scratch + 0x40]
        lea rdi, [scratch]
        lea rsi, [scratch + 0x80]
        mov ecx, 3
        rep movsq
        lea rsi, [scratch + 0x40]
        lodsb
        xor eax, eax
        mov dr7, rax
        ENDRUN
        RUN "data at level 3"
        lea rax, [user_stack + USER - 8]
        mov dr0, rax
        mov eax, 0x00090401
        mov dr7, rax
        TO3 2, CODE3L, .d3
.d3:    push rax
        pop rax
        push 0x5555
        pop rax
        call .d4
.d4:    mov eax, [rsp]
        TO0
        ENDRUN
        RUN "data and ss"
        mov word [scratch], DATA0
        lea rax, [scratch]
        mov dr0, rax
        mov eax, 0x00030401
        mov dr7, rax
        mov ss, [scratch]
        nop                      ; the trap is behind this one
        nop
        ENDRUN
        RUN "ports"
        mov rax, cr4
        or eax, 8
        mov cr4, rax
        mov eax, 0x80
        mov dr0, rax
        mov eax, 0x00060401      ; 2 bytes
        mov dr7, rax
        in al, 0x80
        in al, 0x82
        in al, 0x7f
        in ax, 0x7f
        out 0x81, al
        mov edx, 0x80
        mov rax, 0x100000000
        in al, dx
        ENDRUN
        ; MOV SS: no breakpoint at the next instruction, and no step behind it
        RUN "a breakpoint behind mov ss"
        lea rax, [.h1]
        mov dr0, rax
        mov eax, 0x401
        mov dr7, rax
        mov ecx, 2
        mov eax, ss
        mov ss, eax
.h1:    nop                      ; the second time there is one
        dec ecx
        jnz .h1
        ENDRUN
        RUN "a step, mov ss and int"
        mov eax, ss
        STEP
        mov ss, eax
        int 0x82
        nop
        UNSTEP
        ENDRUN
        RUN "a step, mov ss and int1"
        mov eax, ss
        STEP
        mov ss, eax
        int1
        int1
        UNSTEP
        ENDRUN
        RUN "a step, mov ss and general detect"
        mov ecx, ss
        mov eax, 0x2400
        mov dr7, rax
        STEP
        mov ss, ecx
        mov dr3, rax
        nop
        UNSTEP
        ENDRUN
        mov word [scratch], DATA0
        RUN "data, mov ss and int1: one trap"
        lea rax, [scratch]
        mov dr0, rax
        mov eax, 0x00030401
        mov dr7, rax
        mov ss, [scratch]
        int1
        nop
        ENDRUN
        ; the registers themselves
        mov eax, 0xffff4ffe      ; what was hit before, and a step
        mov dr6, rax
        TRY "breakpoint 0"
        lea rax, [.h2]
        mov dr0, rax
        mov eax, 0x401
        mov dr7, rax
        MARK
.h2:    nop
        ENDTRY
        mov rax, dr6
        SHOW "dr6 of it ", rax, 8
        NEWLINE
        mov eax, 0xffff0ff0
        mov dr6, rax
        xor eax, eax
        mov dr7, rax
        TRY "dr4 with DE"
        db 0x0f, 0x21, 0xe0
        ENDTRY
        mov rax, cr4
        and eax, ~8
        mov cr4, rax
        TRY "dr5 without DE"
        db 0x0f, 0x21, 0xe8
        mov rbx, dr7
        sub rax, rbx
        ENDTRY
        SHOW "difference ", [saved_rax], 16
        NEWLINE
        TRY "dr8"
        db 0x44, 0x0f, 0x21, 0xc0
        ENDTRY
        TRY "mov to dr8"
        db 0x44, 0x0f, 0x23, 0xc0
        ENDTRY
        TRY3 "3: dr0"
        mov rax, dr0
        END3
        TRY3 "3: mov to dr7"
        mov dr7, rax
        END3
        TRY3 "3: dr8"
        db 0x44, 0x0f, 0x21, 0xc0
        END3
        TRY "general detect"
        mov eax, 0x2400
        mov dr7, rax
        MARK
        mov dr3, rax
        ENDTRY
        mov rax, dr6
        SHOW "dr6 ", rax, 16
        mov rax, dr7
        SHOW " dr7 ", rax, 16
        mov rax, 0xffffffff
        mov dr6, rax
        mov rax, dr6
        SHOW " all ones: dr6 ", rax, 16
        mov rax, 0xffffdc00
        mov dr7, rax
        mov rax, dr7
        SHOW " dr7 ", rax, 16
        xor eax, eax
        mov dr7, rax
        mov rax, dr7
        SHOW " zeros: ", rax, 16
        mov rax, 0xfedcba9876543210
        mov dr3, rax
        mov rbx, dr3
        SHOW " dr3 ", rbx, 16
        NEWLINE
        TRY "int1"
        int1
        ENDTRY
        TRY "int3"
        int3
        ENDTRY
        TRY3 "3: int1"
        int1
        END3
        ret
.sub:   ret

align 8
.to32:  dd .in32
        dw CODE32
align 8
run_rsp: dq 0
sysret_size: db 8

; prints [frame] of vector EBX and goes on behind or at it
step:   push rsi
        push rdi
        mov rsi, [frame]
        cmp ebx, 0x81
        je .out
        SHOW " #", rbx, 2
        mov rax, [rsi]
        cmp word [rsi + 8], CODE0
        je .level0
        sub rax, USER
.level0: sub rax, [mark]
        SHOW " +", rax, 4
        SHOW " cs ", [rsi + 8], 2
        mov rax, dr6
        SHOW " dr6 ", rax, 8
        mov rax, [rsi + 16]
        and eax, TF | RF
        SHOW " TF RF ", rax, 5
        NEWLINE
        mov rax, dr6
        test al, 15
        mov eax, 0xffff0ff0
        mov dr6, rax
        jz .norf
        or dword [rsi + 16], RF
.norf:
        cmp ebx, 13
        je caught.leave
        cmp ebx, 14
        je caught.leave
        cmp ebx, 6
        jne .on
        add qword [rsi], 2
.on:    pop rdi
        pop rsi
        mov rax, [saved_rax]
        mov rbx, [saved_rbx]
        mov rcx, [saved_rcx]
        mov rdx, [saved_rdx]
        add rsp, 8
        iretq
.out:   ; from level 3 to level 0 at the same place
        mov rax, [rsi]
        mov rcx, USER
        sub rax, rcx
        mov ecx, DATA0
        mov ss, ecx
        mov rsp, [run_rsp]
        jmp rax
entry:  ; of SYSCALL
        nop
        cmp byte [sysret_size], 4
        je .d
        o64 sysret
.d:     o32 sysret
fast_entry:
        nop
        push 2
        popfq
        nop
        o64 sysexit

        FINISH
