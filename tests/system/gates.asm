%define HAVE_TARGETS
%include "common.inc"
; Far transfers and gates: direct, call gates with and without a change of
; level, returns, interrupt gates, privileged instructions at level 3, I/O
; permission (SDM volume 3, sections 5.8-5.9; volume 1, chapter 19).

main:
        TRY "jmp far null"
        jmp 0:0
        ENDTRY
        TRY "jmp far data"
        jmp DATA0:0
        ENDTRY
        TRY "jmp far level 3 code"
        jmp CODE3:0
        ENDTRY
        TRY "jmp far not present"
        jmp ABSCODE:0
        ENDTRY
        TRY "jmp far RPL above CPL"
        jmp (CODE0 | 1):.ok1
.ok1:
        ENDTRY
        TRY "jmp far level 1 code"
        jmp CODE1:0
        ENDTRY
        TRY "jmp far conforming, RPL 3"
        jmp (CONF | 3):.ok2
.ok2:   mov eax, cs
        SHOW16 "cs=", eax
        PRINT " "
        ENDTRY
        TRY "jmp far beyond the limit"
        jmp SMALLCODE:0x100
        ENDTRY
%ifndef QEMU ; which has no limits
        TRY "run into the limit"
        mov dword [mark], 0xff
        jmp SMALLCODE:0xff
        ENDTRY
%endif
        TRY "jmp call gate"
        mov dword [gate_next], .g1
        jmp GATE32:0x12345678
.g1:    ENDTRY
        TRY "jmp call gate not present"
        jmp ABSGATE:0
        ENDTRY
        TRY "call far"
        call CODE0:far_routine
        ENDTRY
        TRY "call far indirect"
        call far [.pointer]
        jmp .over
.pointer: dd far_routine
        dw CODE0
.over:
        ENDTRY
        TRY "call gate, same level"
        mov dword [gate_next], 0
        call GATE32:0
        ENDTRY
        TRY "call gate, 16-bit"
        call GATE16:0
        ENDTRY
        TRY "call far null"
        call 0:0
        ENDTRY
        TRY "call far data"
        call DATA0:0
        ENDTRY
        TRY "retf to null"
        push dword 0
        push dword 0
        retf
        ENDTRY
        TRY "retf to data"
        push dword DATA0
        push dword 0
        retf
        ENDTRY
        TRY "retf to conforming RPL 0"
        push dword CONF
        push dword .ok3
        retf
.ok3:
        ENDTRY
        TRY "retf n"
        push dword 0x11111111
        push dword CODE0
        push dword .ok4
        retf 4
.ok4:   SHOW "esp-resume=", esp
        PRINT " "
        ENDTRY
        TRY "retf 16-bit"
        push word CODE16
        push word code16_back - 0x100000
        o16 retf
        ENDTRY

        ; interrupts
        TRY "int 0x80 absent gate"
        mov byte [idt + 0x82 * 8 + 5], 0x0e
        int 0x82
        ENDTRY
        TRY "int of a non-gate"
        mov byte [idt + 0x82 * 8 + 5], 0x8a
        int 0x82
        ENDTRY
        TRY "int to null selector"
        mov byte [idt + 0x82 * 8 + 5], 0x8e
        mov word [idt + 0x82 * 8 + 2], 0
        int 0x82
        ENDTRY
        TRY "int to data"
        mov word [idt + 0x82 * 8 + 2], DATA0
        int 0x82
        ENDTRY
        TRY "int to level 3"
        mov word [idt + 0x82 * 8 + 2], CODE3
        int 0x82
        ENDTRY
        TRY "int to absent code"
        mov word [idt + 0x82 * 8 + 2], ABSCODE
        int 0x82
        ENDTRY
        TRY "int beyond the IDT"
        mov word [idtr], 0x82 * 8 - 1
        lidt [idtr]
        int 0x82
        ENDTRY
        mov word [idtr], 0x7ff
        lidt [idtr]
        ; flags in the handler: interrupt gate, trap gate
        mov word [idt + 0x82 * 8 + 2], CODE0
        mov dword [hook], .flags_hook
        mov byte [idt + 0x82 * 8 + 5], 0x8f
        push dword 0x3202
        popf
        int 0x82
        mov byte [idt + 0x82 * 8 + 5], 0x8e
        int 0x82
        push dword 2
        popf
        mov dword [hook], 0
        ; 16-bit gate: pushes words
        mov byte [idt + 0x83 * 8 + 5], 0x86
        mov word [idt + 0x83 * 8], gate16_handler - 0x100000
        mov word [idt + 0x83 * 8 + 6], 0
        mov word [idt + 0x83 * 8 + 2], CODE16
        TRY "int through a 16-bit gate"
        int 0x83
        ENDTRY
        jmp .level3

.flags_hook: ; [esp]: error, eip, cs, eflags
        pushf
        pop eax
        SHOW16 "vector ", ebx
        SHOW " handler flags ", eax
        mov eax, [esp + 12]
        SHOW " pushed ", eax
        NEWLINE
        add esp, 4
        iret

.level3:
        TRY3 "3: cli"
        cli
        END3
        TRY3 "3: sti"
        sti
        END3
        TRY3 "3: hlt"
        hlt
        END3
        TRY3 "3: mov cr0"
        mov eax, cr0
        END3
        TRY3 "3: mov dr7"
        mov eax, dr7
        END3
        TRY3 "3: lgdt"
        lgdt [gdtr]
        END3
        TRY3 "3: lldt"
        lldt ax
        END3
        TRY3 "3: ltr"
        ltr ax
        END3
        TRY3 "3: clts"
        clts
        END3
        TRY3 "3: lmsw"
        lmsw ax
        END3
        TRY3 "3: smsw"
        smsw ax
        END3
        TRY3 "3: invlpg"
        invlpg [eax]
        END3
        TRY3 "3: wbinvd"
        wbinvd
        END3
        TRY3 "3: rdmsr"
        rdmsr
        END3
        TRY3 "3: wrmsr"
        wrmsr
        END3
        TRY3 "3: sgdt"
        sub esp, 8
        sgdt [esp]
        END3
        TRY3 "3: in"
        in al, 0x60
        END3
        TRY3 "3: in, allowed"
        in al, 0xe9
        END3
        TRY3 "3: in word across the map"
        in ax, 0xe8
        END3
        TRY3 "3: in dx beyond the map"
        mov edx, 0x900
        in al, dx
        END3
        TRY3 "3: outsb"
        mov edx, 0x80
        mov esi, multiboot
        outsb
        END3
        TRY3 "3: insb"
        mov edx, 0x80
        mov edi, scratch
        insb
        END3
        TRY3 "3: rep insb of nothing"
        mov edx, 0x80
        xor ecx, ecx
        MARK
        rep insb
        END3
        TRY3 "3: rep outsd of nothing"
        mov edx, 0x80
        xor ecx, ecx
        MARK
        rep outsd
        END3
        TRY3 "3: rep insb of nothing, allowed, nowhere"
        mov edx, 0xe9
        xor ecx, ecx
        mov edi, 0xe0000000
        rep insb
        END3
        mov word [tss + 0x66], 0xffff
        TRY3 "3: in without a map"
        in al, 0xe9
        END3
        mov word [tss + 0x66], 0x88
        mov dword [user_flags], 0x3002
        TRY3 "3: IOPL 3: cli, sti, in"
        cli
        sti
        cli
        in al, 0x60
        END3
        mov dword [user_flags], 2
        TRY3 "3: popf leaves IF and IOPL"
        push dword 0x3202
        popf
        pushf
        pop eax
        and eax, 0x3200
        jz .same
        ud2
.same:
        END3
        TRY3 "3: int 0x40 of level 0"
        int 0x40
        END3
        TRY3 "3: int3 of level 0"
        int3
        END3
        TRY3 "3: into of level 0"
        mov al, 0x7f
        inc al
        into
        END3
        TRY3 "3: int1"
        db 0xf1
        END3
        TRY3 "3: jmp far level 0"
        jmp CODE0:0
        END3
        TRY3 "3: call gate of level 0"
        call GATESAME:0
        END3
        TRY3 "3: call gate"
        mov dword [gate_next], 0
        call GATE32:0
        END3
        TRY3 "3: call gate, 3 parameters"
        push dword 0x333
        push dword 0x222
        push dword 0x111
        mov dword [gate_next], gate_parameters
        call GATEPAR:0
        mov eax, user_stack
        sub eax, esp
        jz .esp_ok
        ud2
.esp_ok:
        END3
        mov dword [gate_next], 0
        TRY3 "3: jmp call gate to level 0"
        jmp GATE32:0
        END3
        TRY3 "3: call far conforming"
        call CONF:far_routine
        END3
        TRY3 "3: retf to level 0"
        push dword CODE0
        push dword 0
        retf
        END3
        TRY3 "3: iret to level 0"
        push dword 2
        push dword CODE0
        push dword 0
        iret
        END3
        TRY3 "3: iret with NT"
        pushf
        or dword [esp], 0x4000
        popf
        MARK
        iret
        END3
        ; bad inner stacks: a gate to level 1
        mov dword [gdt + FREE], CODE1 << 16 | ((gate_target - $$) & 0xffff)
        mov dword [gdt + FREE + 4], 0x10ec00
        mov word [tss + 16], DATA3
        TRY3 "3: call gate, level 3 SS in TSS"
        call FREE:0
        END3
        mov word [tss + 16], 0
        TRY3 "3: call gate, null SS in TSS"
        call FREE:0
        END3
        mov word [tss + 16], DATA1
        TRY3 "3: call gate, other RPL in SS in TSS"
        call FREE:0
        END3
        mov word [tss + 16], ABSENT | 1
        TRY3 "3: call gate, absent SS in TSS"
        call FREE:0
        END3
        mov byte [gdt + ABSENT + 5], 0x32
        TRY3 "3: call gate, absent level 1 SS in TSS"
        call FREE:0
        END3
        mov word [tss + 16], DATA1 | 1
        TRY3 "3: call gate to level 1"
        mov dword [gate_next], level1_routine
        call FREE:0
        END3
        mov dword [gate_next], 0
        mov word [gdt + MAINTSS], 11
%ifndef QEMU ; which crashes
        mov eax, MAINTSS
        mov byte [gdt + MAINTSS + 5], 0x89
        ltr ax
        TRY3 "3: call gate, TSS too short"
        call FREE:0
        END3
        mov word [gdt + MAINTSS], 0x188
        mov eax, MAINTSS
        mov byte [gdt + MAINTSS + 5], 0x89
        ltr ax
%endif
        ; IRET to level 3 empties segment registers
        mov dword [resume], .emptied
        mov [resume_esp], esp
        mov dword [hook], .look
        mov eax, DATA0
        mov fs, ax
        mov eax, CONF
        mov gs, ax
        push dword DATA3
        push dword user_stack
        push dword 2
        push dword CODE3
        push dword .user
        mov eax, DATA3
        mov es, ax
        iret
.user:  mov eax, ds
        mov ebx, es
        mov ecx, fs
        mov edx, gs
        int 0x81
.look:  SHOW16 "ds ", [saved_eax]
        SHOW16 " es ", [saved_ebx]
        SHOW16 " fs ", ecx
        SHOW16 " gs ", edx
        NEWLINE
        jmp caught.leave
.emptied:
        mov dword [hook], 0
        ; IRET checks of the outer frame
        TRY "iret: null ss"
        push dword 0
        push dword 0
        push dword 2
        push dword CODE3
        push dword 0
        iret
        ENDTRY
        TRY "iret: ss of level 0"
        push dword DATA0
        push dword 0
        push dword 2
        push dword CODE3
        push dword 0
        iret
        ENDTRY
        TRY "iret: null cs"
        push dword 2
        push dword 0
        push dword 0
        iret
        ENDTRY
        TRY "iret: cs RPL 3 of level 0 code"
        push dword 2
        push dword CODE0 | 3
        push dword 0
        iret
        ENDTRY
        TRY "iret: conforming"
        push dword 2
        push dword CONF
        push dword .iret_ok
        iret
.iret_ok:
        ENDTRY
        ; level 1
        TRY "to level 1 and back by a gate"
        push dword DATA1 | 1
        push dword user_stack
        push dword 2
        push dword CODE1 | 1
        push dword .level1
        iret
.level1: mov eax, ss
        SHOW16 "ss=", eax
        PRINT " "
        int 0x80
        ENDTRY
        ret

far_routine:
        push eax
        mov eax, cs
        and eax, 0xfffc
        pop eax
        retf

gate_target:
        cmp dword [cs:gate_next], 0
        jne .next
        retf
.next:  jmp [cs:gate_next]
level1_routine:
        push eax
        mov eax, ss
        SHOW16 "ss=", eax
        PRINT " "
        pop eax
        retf
gate_parameters:
        push eax
        mov eax, ss
        SHOW16 "ss=", eax
        SHOW " p1=", [esp + 12]
        SHOW " p2=", [esp + 16]
        SHOW " p3=", [esp + 20]
        SHOW16 " old ss=", [esp + 28]
        mov eax, [esp + 24]
        sub eax, user_stack
        SHOW " old esp=", eax
        PRINT " "
        pop eax
        retf 12
bits 16
gate_target16:
gate16_handler:
        jmp dword CODE0:caught16
code16_back:
        jmp dword CODE0:leave_ok
bits 32
; the 16-bit frame: IP, CS and, of an interrupt, FLAGS
caught16:
        mov eax, [resume_esp]
        sub eax, esp
        SHOW "frame bytes ", eax
        SHOW16 " cs=", [esp + 2]
        PRINT " "
        jmp leave_ok
gate_next: dd 0
        FINISH
