%include "common.inc"
; SYSENTER, MSRs, CPUID, time stamp counter, shadows, flags
; (SDM volume 2; volume 4).

main:
        ; CPUID
        xor eax, eax
        cpuid
        SHOW "vendor ", ebx
        NEWLINE
        pushfd
        pop eax
        mov ecx, eax
        xor eax, 0x240000       ; AC, ID
        push eax
        popfd
        pushfd
        pop eax
        xor eax, ecx
        push ecx
        popfd
        SHOW "AC and ID change ", eax
        NEWLINE
        mov eax, 1
        cpuid
        mov [features], edx

        ; SYSENTER
        test edx, 1 << 11
        jz .nosep
        TRY "sysenter with CS 0"
        sysenter
        ENDTRY
        mov ecx, 0x174
        mov eax, CODE0
        xor edx, edx
        wrmsr
        mov ecx, 0x175
        mov eax, inner_stack
        wrmsr
        mov ecx, 0x176
        mov eax, .entered
        wrmsr
        rdmsr
        sub eax, .entered
        SHOW "msr 176 +", eax
        NEWLINE
        TRY3 "3: sysenter, sysexit"
        mov ecx, esp
        mov edx, .back3
        sysenter
        ; SYSEXIT goes to CS + 16 | 3 and SS + 24 | 3
.back3: mov eax, cs
        mov ebx, ss
        END3
        jmp .sepdone
.entered:
        mov eax, ss
        SHOW16 "ss=", eax
        mov eax, cs
        SHOW16 " cs=", eax
        mov eax, esp
        sub eax, inner_stack
        SHOW16 " esp+", eax
        PRINT " "
        mov eax, DATA3
        sysexit
.sepdone:
        SHOW16 "cs=", [saved_eax]
        SHOW16 " ss=", [saved_ebx]
        NEWLINE
        TRY3 "3: sysexit"
        sysexit
        END3
.nosep:
        ; MSRs
        TRY "rdmsr unknown"
        mov ecx, 0x12345678
        MARK
        rdmsr
        ENDTRY
        TRY "wrmsr unknown"
        mov ecx, 0x12345678
        MARK
        wrmsr
        ENDTRY
        TRY "rdpmc"
        mov ecx, 5
        MARK
        rdpmc
        ENDTRY
        ; TSC
        rdtsc
        mov esi, eax
        mov edi, edx
        rdtsc
        sub eax, esi
        sbb edx, edi
        jc .bad_tsc
        or eax, edx
        jz .bad_tsc
        PRINTLN "tsc runs"
.bad_tsc:
        mov eax, cr4
        or eax, 4
        mov cr4, eax
        TRY3 "3: rdtsc with TSD"
        rdtsc
        END3
        TRY "0: rdtsc with TSD"
        rdtsc
        ENDTRY
        mov eax, cr4
        and eax, ~4
        mov cr4, eax
        TRY3 "3: rdtsc"
        rdtsc
        END3
        ; PAT, MTRR
        mov ecx, 0x277
        rdmsr
        SHOW "pat ", eax
        NEWLINE
        TRY "pat of a bad type"
        mov ecx, 0x277
        mov eax, 0x02000000
        xor edx, edx
        MARK
        wrmsr
        ENDTRY
        ; SMSW, LMSW
        smsw eax
        SHOW "smsw ", eax
        mov eax, 0xe
        lmsw ax
        smsw ax
        and eax, 0xffff
        SHOW16 " lmsw ", eax
        mov eax, 1
        lmsw ax
        smsw ax
        and eax, 0xffff
        SHOW16 " lmsw ", eax
        NEWLINE
        ; POPF: which bits can be changed at level 0 and 3
        push dword 0x003cfed5 & ~0x300
        popfd
        pushfd
        push dword 2
        popfd
        pop eax
        SHOW "flags at 0 ", eax
        NEWLINE
        TRY3 "3: popf"
        push dword 0x003cfed5 & ~0x40300
        popfd
        pushfd
        push dword 2
        popfd
        pop eax
        END3
        SHOW "flags at 3 ", [saved_eax]
        NEWLINE
        ; POPF and IRET of 16 bits leave the upper half
        push dword 0x200002
        popfd
        push word 0x0cd5
        popfw
        pushfd
        pop eax
        SHOW "popfw ", eax
        NEWLINE
        push dword 2
        popfd
        ; SLDT, STR, SMSW to memory write 16 bits
        mov dword [scratch], -1
        str [scratch]
        SHOW "str m ", [scratch]
        mov dword [scratch], -1
        sldt [scratch]
        SHOW " sldt m ", [scratch]
        mov dword [scratch], -1
        mov [scratch], ds
        SHOW " mov m, ds ", [scratch]
        mov eax, -1
        mov eax, ds
        SHOW " mov eax, ds ", eax
        mov eax, -1
        o16 mov ax, ds
        SHOW " mov ax, ds ", eax
        push ds
        pop eax
        SHOW " push ds ", eax
        NEWLINE
        sgdt [scratch]
        mov eax, [scratch + 2]
        sub eax, gdt
        SHOW "sgdt base+", eax
        SHOW16 " limit ", [scratch]
        NEWLINE
        ; LSS and the others
        mov dword [scratch], 0x12345678
        mov word [scratch + 4], DATA3
        les ebx, [scratch]
        mov eax, es
        SHOW "les ", ebx
        SHOW16 " es ", eax
        lfs bx, [scratch + 2]
        mov eax, fs
        SHOW " lfs ", ebx
        SHOW16 " fs ", eax
        NEWLINE
        TRY "lds of a bad selector"
        mov word [scratch + 4], 0x1f8
        mov ebx, 1
        MARK
        lds ebx, [scratch]
        ENDTRY
        SHOW "ebx stays ", ebx
        NEWLINE
        mov eax, [scratch]
        mov [scratch + 8], esp
        mov word [scratch + 12], DATA0
        lss esp, [scratch + 8]
        PRINTLN "lss"
        ret
features: dd 0
        FINISH
