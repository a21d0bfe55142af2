; A multiboot kernel that starts all other CPUs and has them interrupt each
; other in all ways. It prints on COM1 and ends through isa-debug-exit at 0xf4.
; What it prints does not depend on who is first, if PAUSE gives the others
; their turns.
; With X2APIC it goes on in x2APIC mode, which QEMU 7.2's TCG does not have.

ROUNDS    equ 20000
PATIENCE  equ 3000000
TURNS     equ 1000
%include "smp.inc"

; In real mode, copied to START.
bits 16
trampoline:
        cli
        mov ax, cs
        mov ds, ax
        mov bx, ax              ; the page that the message gave
        o32 lgdt [tramp_gdtr - trampoline]
        mov eax, cr0
        or al, 1
        and eax, 0x9fffffff
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
        mov esi, trampoline
        mov ecx, trampoline_end - trampoline
        rep movsb
        mov edi, idt
        mov edx, ignored
        mov ecx, 256
.gates: call gate
        loop .gates
        mov edi, idt + 2 * 8
        mov edx, on_nmi
        call gate
        mov edi, idt + 0x40 * 8
        mov edx, on_40
        call gate
        mov edx, on_41
        call gate
        mov edx, on_42
        call gate
        mov edx, on_43
        call gate
        lidt [idtr]
        call apic_on
        mov ecx, 0x1b
        rdmsr
        and eax, 0xfff
        PRINT "BSP, base "
        call hex
        call newline
        sti

        ; The others.
        IPI 0, 0xc4500          ; INIT to all others
        call delay
        IPI 0, 0xc4600 | START >> 12
        call delay
        IPI 0, 0xc4600 | START >> 12
        WAIT started, CPUS - 1
        call delay
        mov eax, [started]
        PRINT "started "
        call hex
        PRINT ", pages"
        mov esi, pages + 4
        mov ecx, CPUS - 1
        call list
        PRINT "base of others"
        mov esi, bases + 4
        mov ecx, CPUS - 1
        call list

        ; Atomic additions, and a lock.
        mov dword [go], 1
        call add_up
        WAIT added, CPUS
        mov eax, [atomic]
        PRINT "locked "
        call hex
        mov eax, [guarded]
        PRINT " guarded "
        call hex
        call newline

        ; Interrupts.
%macro GOT 1+
        call delay
        PRINT %1
        call counts
%endmacro
        IPI 1, 0x4040
        GOT "fixed, physical 1: "
        IPI 0, 0xc4040
        GOT "all others: "
        IPI 0, 0x84040
        GOT "all: "
        IPI 0, 0x44040
        GOT "self: "
        IPI 0xff, 0x4040
        GOT "physical ff: "
        IPI 0b1010, 0x4840
        GOT "logical 1010: "
        IPI 0xff, 0x4840
        GOT "logical ff: "
        IPI 0b1100, 0x4940
        GOT "lowest priority of 1100, same: "
        IPI 2, 0x4400
        GOT "NMI to 2: "
        IPI 0, 0xc4400
        GOT "NMI to others: "

        ; A CPU that masks by priority.
        mov dword [ICR_HIGH], 1 << 24
        mov dword [ICR], 0x4041 ; its TPR becomes 50h
        call delay
        IPI 1, 0x4040
        GOT "1 has TPR 50: "
        IPI 1, 0x4400           ; and 0 again, by NMI
        GOT "TPR 0: "

        ; Each answers the one before it.
        mov dword [ICR_HIGH], 1 << 24
        mov dword [ICR], 0x4042
        call delay
        PRINT "round: "
        call counts

        ; Code that another CPU changes.
        mov ebx, 5
.code:  mov [patch + 1], ebx
        mov dword [calls_done], 0
        mov dword [call_it], 1
        IPI 1, 0x4043
        WAIT calls_done, 1
        mov eax, [calls_sum]
        PRINT "sum "
        call hex
        call newline
        ; The same by the CPU that writes: it has its own translation.
        call many
        mov eax, edx
        PRINT "own "
        call hex
        call newline
        dec ebx
        jnz .code

        ; INIT one, which then hears nothing, and start it again.
        IPI 1, 0x4500
        call delay
        IPI 1, 0x4040
        GOT "1 waits: "
        IPI 2, 0x4600 | START >> 12
        IPI 1, 0x4600 | START >> 12
        WAIT started, CPUS
        GOT "2 goes on, 1 is started again: "
        IPI 1, 0x4040
        GOT "1 hears: "

        ; Errors.
        mov dword [ESR], 0
        IPI 1, 0x4005           ; an illegal vector
        mov dword [ESR], 0
        mov eax, [ESR]
        PRINT "error "
        and eax, 0x20
        call hex
        call newline
        mov dword [ESR], 0

%ifdef X2APIC
        mov eax, 1
        cpuid
        and ecx, 1 << 21 | 1 << 24
        mov eax, ecx
        PRINT "x2APIC "
        call hex
        call newline
        mov eax, 0xb
        mov ecx, 1
        cpuid
        PRINT "topology "
        mov eax, ebx
        call hex
        mov eax, ecx
        call hex
        mov eax, edx
        call hex
        call newline
        mov ecx, 0x1b
        rdmsr
        or eax, 0x400
        wrmsr
        PRINT "ids"
        mov ecx, 0x802
        rdmsr
        call hex
        mov ecx, 0x80d
        rdmsr
        call hex
        call newline
        mov dword [x2], 1
        mov ecx, 0x83f
        mov eax, 0x40
        xor edx, edx
        wrmsr
        GOT "self: "
        mov ecx, 0x830
        mov eax, 0x4040
        mov edx, 2
        wrmsr
        GOT "to 2: "
        mov ecx, 0x830
        mov eax, 0x4040
        mov edx, -1
        wrmsr
        GOT "to all: "
        mov ecx, 0x830
        mov eax, 0xc4040
        wrmsr
        GOT "to others: "
        mov ecx, 0x830
        rdmsr
        PRINT "command "
        call hex
        mov eax, edx
        call hex
        call newline
        ; One tick at a time stamp.
        mov ecx, 0x832
        mov eax, 0x40040
        xor edx, edx
        wrmsr
        rdtsc
        add eax, 1000000
        adc edx, 0
        mov ecx, 0x6e0
        wrmsr
        rdmsr
        or eax, edx
        setnz al
        movzx eax, al
        PRINT "armed "
        call hex
        call newline
        rdtsc
        mov ebx, eax
.later: pause
        rdtsc
        sub eax, ebx
        cmp eax, 1100000
        jb .later
        mov ecx, 0x6e0
        rdmsr
        or eax, edx
        PRINT "then "
        call hex
        GOT " tick: "
%endif
        PRINT "end", 10
        mov al, 0
        out 0xf4, al
.end:   hlt
        jmp .end

; Another CPU, in protected mode.
other:
        mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov edx, [ID]
        shr edx, 24
        mov eax, edx
        shl eax, 12
        lea esp, [stacks + eax + 4096]
        movzx ebx, bx
        mov [pages + edx * 4], ebx
        mov ecx, 0x1b
        push edx
        rdmsr
        pop edx
        and eax, 0xfff
        mov [bases + edx * 4], eax
        lidt [idtr]
        call apic_on
        lock inc dword [started]
        sti
        cmp dword [added], CPUS
        je .idle
.wait:  pause
        cmp dword [go], 1
        jne .wait
        call add_up
.idle:  hlt
        cmp dword [call_it], 1
        jne .idle
        ; Only one CPU is told to.
        mov edx, [ID]
        shr edx, 24
        cmp edx, 1
        jne .idle
        mov dword [call_it], 0
        call many
        mov [calls_sum], edx
        mov dword [calls_done], 1
        jmp .idle

; Enable the local APIC; its logical ID is its bit.
apic_on:
        mov dword [SVR], 0x1ff
        mov ecx, [ID]
        shr ecx, 24
        mov eax, 1 << 24
        shl eax, cl
        mov [LDR], eax
        mov dword [TPR], 0
        ret

add_up:
        mov ecx, ROUNDS
.next:  lock inc dword [atomic]
.lock:  mov eax, 1
        xchg eax, [lock_word]
        test eax, eax
        jz .got
        pause
        jmp .lock
.got:   mov eax, [guarded]
        inc eax
        mov [guarded], eax
        mov dword [lock_word], 0
        loop .next
        lock inc dword [added]
        ret

; The sum of what many calls give, in EDX.
many:
        mov ecx, ROUNDS
        xor edx, edx
.next:  call patch
        add edx, eax
        loop .next
        ret

align 64
patch:  mov eax, 0
        ret
align 64

; An interrupt of vector %1 counts for the CPU that takes it, in byte %1 & 3.
%macro COUNT 1
        push eax
        push ecx
        push edx
        mov eax, 1
        xor ecx, ecx
        call cpu_number
        lock inc byte [taken + edx * 4 + %1]
%endmacro
%macro DONE 0
        call ended
        pop edx
        pop ecx
        pop eax
        iret
%endmacro

cpu_number:                     ; into EDX
%ifdef X2APIC
        push eax
        push ebx
        push ecx
        mov eax, 1
        cpuid
        mov edx, ebx
        pop ecx
        pop ebx
        pop eax
%else
        mov edx, [ID]
%endif
        shr edx, 24
        ret

ended:
%ifdef X2APIC
        test edx, edx           ; only the first CPU is in x2APIC mode
        jnz .memory
        cmp dword [x2], 0
        je .memory
        mov ecx, 0x80b
        xor eax, eax
        xor edx, edx
        wrmsr
        ret
.memory:
%endif
        mov dword [EOI], 0
        ret

on_40:  COUNT 0
        DONE
on_41:  COUNT 1
        mov dword [TPR], 0x50
        DONE
on_42:  COUNT 2                 ; on to the next CPU, and from the last to 0
        mov eax, edx
        test eax, eax
        jz .done
        inc eax
        cmp eax, CPUS
        jb .send
        xor eax, eax
.send:  shl eax, 24
        mov [ICR_HIGH], eax
        mov dword [ICR], 0x4042
.done:  DONE
on_43:  COUNT 3
        DONE
on_nmi:
        COUNT 3
        mov dword [TPR], 0
        pop edx
        pop ecx
        pop eax
        iret
ignored:
        iret

counts:                         ; of each CPU, and begin anew
        push esi
        push ecx
        mov esi, taken
        mov ecx, CPUS
        call list
        mov edi, taken
        mov ecx, CPUS
        xor eax, eax
        rep stosd
        pop ecx
        pop esi
        ret

align 4
image_end:
absolute image_end
bss:
idt:        resb 256 * 8
started:    resd 1
go:         resd 1
atomic:     resd 1
guarded:    resd 1
lock_word:  resd 1
added:      resd 1
call_it:    resd 1
calls_done: resd 1
calls_sum:  resd 1
x2:         resd 1
pages:      resd 8
bases:      resd 8
taken:      resd 8
stacks:     resb 8 * 4096
bss_end:
