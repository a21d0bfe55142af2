%include "common.inc"
; Events: INTR with the shadows of STI and MOV SS, HLT, NMI and its blocking,
; A20, self-modifying code under interrupts. Runs on Rhea's bench only: port
; 0x50 raises INTR with the vector written, 0x51 sends an NMI, 0x92 is A20
; (bit 1).

main:
        mov dword [hook], event
        PRINTLN "sti"
        mov dword [mark], .s0
        mov al, 0x40
        out 0x50, al
        nop                     ; IF is 0
.s0:    sti
        nop                     ; shadowed
.s1:    nop
        cli
        PRINTLN "sti with IF set: no shadow to speak of"
        mov dword [mark], .t0
        sti
        nop
        mov al, 0x41
.t0:    out 0x50, al
        nop
        nop
        cli
        PRINTLN "sti, cli: never"
        mov dword [mark], .u0
        mov al, 0x42
        out 0x50, al
.u0:    sti
        cli
        nop
        sti
        nop
        nop
        cli
        PRINTLN "popf"
        mov dword [mark], .p0
        mov al, 0x43
        out 0x50, al
.p0:    push dword 0x202
        popf
.p1:    nop
        nop
        cli
        PRINTLN "mov ss"
        mov dword [mark], .m0
        mov eax, ss
        mov edx, 0x50
        push eax
        sti
        mov al, 0x44
        pop ss
.m0:    out dx, al              ; shadowed; the interrupt comes behind it
.m1:    nop
        cli
        PRINTLN "hlt"
        mov dword [mark], .h0
        mov al, 0x45
        out 0x50, al
        sti
.h0:    hlt
.h1:    cli
        PRINTLN "iret"
        mov dword [mark], .i0
        mov al, 0x46
        out 0x50, al
        push dword 0x202
        push dword CODE0
        push dword .i0
        iret
.i0:    nop
        nop
        cli
        PRINTLN "nmi"
        mov dword [mark], .n0
        mov al, 1
        out 0x51, al
.n0:    nop
        nop
        nop
        PRINTLN "nmi in nmi"
        mov dword [mark], .o0
        mov dword [again], 1
        out 0x51, al
.o0:    nop
        nop
        nop
        PRINTLN "a step of hlt"  ; with nothing else to end it
        mov dword [mark], .k0
        pushf
        or dword [esp], 0x100
        popf
.k0:    hlt
        pushf
        and dword [esp], ~0x100
        popf
        PRINTLN "loop with interrupts"
        mov dword [hook], quiet
        mov ecx, 20000
        xor ebx, ebx
        sti
.loop:  test ecx, 0xff
        jnz .none
        mov al, 0x47
        out 0x50, al
.none:  add ebx, ecx
        dec ecx
        jnz .loop
        cli
        SHOW "sum ", ebx
        SHOW " interrupts ", [count]
        NEWLINE
        ; A20
        mov dword [0x200000], 0x22222222
        mov dword [0x300000], 0x33333333
        mov esi, .a20
        mov edi, 0x8000
        mov ecx, .a20_end - .a20
        rep movsb
        mov edx, .a20_done
        mov ecx, 0x8000
        jmp ecx
.a20:   xor al, al              ; runs at 0x8000: bit 20 of this image is set
        out 0x92, al
        mov ebx, [0x300000]
        mov al, 2
        out 0x92, al
        mov esi, [0x300000]
        jmp edx
.a20_end:
.a20_done:
        SHOW "a20 off ", ebx
        SHOW " on ", esi
        NEWLINE
        ; a store to the next instruction
        mov ecx, 3000
        xor edx, edx
.smc:   mov byte [.patch + 1], cl
.patch: mov al, 0
        add dl, al
        cmp al, cl
        jne .bad
        loop .smc
        SHOW "self-modifying ", edx
        NEWLINE
        ret
.bad:   PRINTLN "stale code"
        ret

event:  SHOW16 " #", ebx
        mov eax, [esp + 4]
        sub eax, [mark]
        SHOW16 " +", eax
        NEWLINE
        cmp dword [again], 0
        je .out
        mov dword [again], 0
        mov al, 1
        out 0x51, al            ; stays pending
        nop
        PRINTLN " in the handler"
        add dword [mark], 0
.out:   mov eax, [saved_eax]
        mov ebx, [saved_ebx]
        add esp, 4
        iret
quiet:  inc dword [count]
        mov eax, [saved_eax]
        mov ebx, [saved_ebx]
        add esp, 4
        iret
align 4
again:  dd 0
count:  dd 0
        FINISH
