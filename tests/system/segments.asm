%include "common.inc"
; Segment registers: what may be loaded, limits and types of accesses, LAR and
; its kin (SDM volume 3, sections 5.3-5.6).

main:
        TRY "mov ds, null"
        xor eax, eax
        mov ds, ax
        mov ax, DATA0
        mov ds, ax
        ENDTRY
        TRY "use of null ds"
        xor eax, eax
        mov ds, ax
        MARK
        mov eax, [eax]
        ENDTRY
        TRY "mov ss, null"
        xor eax, eax
        mov ss, ax
        ENDTRY
        TRY "mov ds, beyond the GDT"
        mov eax, 0x1f8
        mov ds, ax
        ENDTRY
        TRY "mov ds, in absent LDT"
        mov eax, 0x0c
        mov ds, ax
        ENDTRY
        TRY "mov ds, not present"
        mov eax, ABSENT
        mov ds, ax
        ENDTRY
        TRY "mov ss, not present"
        mov eax, ABSENT
        mov ss, ax
        ENDTRY
        TRY "mov ds, execute only"
        mov eax, XONLY
        mov ds, ax
        ENDTRY
        TRY "mov ds, readable code"
        mov eax, CODE0
        mov ds, ax
        mov eax, [multiboot]
        ENDTRY
        TRY "write to readable code"
        mov eax, CODE0
        mov ds, ax
        MARK
        mov [scratch], eax
        ENDTRY
        TRY "mov ss, read only"
        mov eax, RONLY
        mov ss, ax
        ENDTRY
        TRY "write to read only"
        mov eax, RONLY
        mov ds, ax
        MARK
        mov byte [scratch], 2
        ENDTRY
        TRY "mov ss, code"
        mov eax, CODE0
        mov ss, ax
        ENDTRY
        TRY "mov ss, other RPL"
        mov eax, DATA0 | 3
        mov ss, ax
        ENDTRY
        TRY "mov ss, level 3 data"
        mov eax, DATA3
        mov ss, ax
        ENDTRY
        TRY "mov ds, RPL 3 of level 0 data"
        mov eax, DATA0 | 3
        mov ds, ax
        ENDTRY
        TRY "mov ds, call gate"
        mov eax, GATE32
        mov ds, ax
        ENDTRY
        TRY "mov ds, TSS"
        mov eax, MAINTSS
        mov ds, ax
        ENDTRY
        TRY "mov cs"
        db 0x8e, 0xc8
        ENDTRY
        TRY "mov from sreg 6"
        db 0x8c, 0xf0
        ENDTRY

        ; limits
        TRY "small: last byte"
        mov eax, SMALL
        mov es, ax
        mov al, [es:0xfff]
        ENDTRY
        TRY "small: byte beyond"
        mov eax, SMALL
        mov es, ax
        MARK
        mov al, [es:0x1000]
        ENDTRY
        TRY "small: word across"
        mov eax, SMALL
        mov es, ax
        MARK
        mov ax, [es:0xfff]
        ENDTRY
        TRY "small: dword across, write"
        mov eax, SMALL
        mov es, ax
        MARK
        mov [es:0xffd], eax
        ENDTRY
        TRY "small: far above"
        mov eax, SMALL
        mov es, ax
        MARK
        mov eax, [es:0xfffffffc]
        ENDTRY
        TRY "fs small: beyond"
        mov eax, SMALL
        mov fs, ax
        MARK
        mov eax, [fs:0x1000]
        ENDTRY
        TRY "down: first byte"
        mov eax, DOWN
        mov es, ax
        mov al, [es:0x1000000]
        mov al, [es:0x1000]
        ENDTRY
        TRY "down: below"
        mov eax, DOWN
        mov es, ax
        MARK
        mov al, [es:0xfff]
        ENDTRY
        TRY "down 16-bit: last"
        mov eax, DOWN16
        mov es, ax
        mov al, [es:0xffff]
        ENDTRY
        TRY "down 16-bit: beyond"
        mov eax, DOWN16
        mov es, ax
        MARK
        mov al, [es:0x10000]
        ENDTRY
        TRY "down 16-bit: across the end"
        mov eax, DOWN16
        mov es, ax
        MARK
        mov eax, [es:0xfffd]
        ENDTRY
        TRY "ss limit: push"
        mov [saved_esp], esp
        mov eax, DATA16
        mov ss, ax
        mov esp, 0x12345
        mov eax, 2
        jmp .p1
.p1:    MARK
        mov eax, [ss:esp]
        ENDTRY
        TRY "push wraps in a 16-bit stack"
        mov ebx, esp
        mov eax, DATA16
        mov ss, ax
        mov esp, 0x12340000
        push dword 0x55667788
        mov edx, esp
        mov ecx, [ss:0xfffc]
        mov eax, DATA0
        mov ss, ax
        mov esp, ebx
        SHOW "esp=", edx
        SHOW " top=", ecx
        PRINT " "
        ENDTRY
        ; LAR, LSL, VERR, VERW, ARPL
        mov esi, .selectors
.lar:   movzx eax, word [esi]
        SHOW16 "sel ", eax
        mov edx, 0xdeadbeef
        lar edx, eax
        call zf
        SHOW " lar ", edx
        mov edx, 0xdeadbeef
        lsl edx, eax
        call zf
        SHOW " lsl ", edx
        verr ax
        call zf
        verw ax
        call zf
        NEWLINE
        add esi, 2
        cmp esi, .selectors_end
        jb .lar
        jmp .arpl
.selectors:
        dw 0, 3, CODE0, CODE0 | 3, DATA0, DATA0 | 1, CODE3, DATA3, CODE16
        dw CONF, CONF | 3, DOWN, SMALL, ABSENT, XONLY, RONLY, GATE32, GATE16
        dw MAINTSS, TASKGATE, ABSGATE, CODE1, 0xe8, 0x1f8, 0xc
.selectors_end:
.arpl:  mov eax, 0x11110010
        mov ecx, 3
        arpl ax, cx
        call zf
        SHOW " arpl ", eax
        mov ecx, 1
        arpl ax, cx
        call zf
        SHOW " arpl ", eax
        NEWLINE
        TRY "lldt, not an LDT"
        mov eax, DATA0
        lldt ax
        ENDTRY
        TRY "lldt null"
        xor eax, eax
        lldt ax
        ENDTRY
        TRY "ltr busy"
        mov eax, MAINTSS
        ltr ax
        ENDTRY
%ifndef QEMU ; which loads it, and dies of it later
        TRY "ltr null"
        xor eax, eax
        ltr ax
        ENDTRY
%endif
        TRY "lldt beyond"
        mov eax, 0x1f8
        lldt ax
        ENDTRY
        ; an LDT with one data segment
        mov eax, ldt
        mov word [gdt + LDTSEL], 15
        mov [gdt + LDTSEL + 2], ax
        shr eax, 16
        mov [gdt + LDTSEL + 4], al
        mov byte [gdt + LDTSEL + 5], 0x82
        TRY "lldt"
        mov eax, LDTSEL
        lldt ax
        ENDTRY
        TRY "ldt data"
        mov eax, 0x0c
        mov es, ax
        mov eax, [es:multiboot]
        SHOW "", eax
        PRINT " "
        ENDTRY
        TRY "ldt null entry"
        mov eax, 0x04
        mov es, ax
        ENDTRY
        TRY "beyond the ldt"
        mov eax, 0x14
        mov es, ax
        ENDTRY
        sldt eax
        SHOW "sldt ", eax
        str eax
        SHOW " str ", eax
        mov eax, [gdt + MAINTSS + 4]
        and eax, 0xff00
        SHOW " busy ", eax
        mov eax, [ldt + 12]
        SHOW " accessed ", eax
        NEWLINE
        ; level 3
        TRY3 "3: mov ds, level 0 data"
        mov eax, DATA0
        mov ds, ax
        END3
        TRY3 "3: mov ds, RPL 0 of level 3 data"
        mov eax, DATA3 & ~3
        mov ds, ax
        END3
        TRY3 "3: mov ds, conforming"
        mov eax, CONF
        mov ds, ax
        END3
        TRY3 "3: mov ss, RPL 0"
        mov eax, DATA3 & ~3
        mov ss, ax
        END3
        TRY3 "3: lar of level 0"
        mov eax, CODE0
        lar edx, eax
        jz .bad
        END3
.bad:
        ret

zf:     jz .set
        PRINT " 0"
        ret
.set:   PRINT " 1"
        cmp eax, eax
        ret

align 8
saved_esp: dd 0, 0
ldt:    dq 0
        DESC 0, 0xfffff, 0x92, 0xc
        FINISH
