%include "common.inc"
; Paging: permissions, error codes, accessed and dirty bits, WP, large pages,
; global pages, INVLPG, PAE and no-execute, reserved bits (SDM volume 3,
; chapter 4).

PD      equ 0x400000    ; page directory
PT      equ 0x401000    ; tables: 0-4 MB identity, then of 8 MB and up
PT2     equ 0x402000
FRAME   equ 0x410000    ; the frames that test pages map
PDPT    equ 0x420000    ; PAE
PAEPD   equ 0x421000
PAEPT   equ 0x422000    ; of 8 MB and up
T       equ 0x800000    ; test pages

; sets the entry of test page %1 to %2 and flushes it
%macro PTE 2
        mov dword [PT2 + (%1) * 4], %2
        invlpg [T + (%1) * 0x1000]
%endmacro
%macro PAEPTE 3
        mov dword [PAEPT + (%1) * 8], %2
        mov dword [PAEPT + (%1) * 8 + 4], %3
        invlpg [T + (%1) * 0x1000]
%endmacro
%macro SHOWPTE 1
        SHOW " pte=", [PT2 + (%1) * 4]
        NEWLINE
%endmacro

main:
        mov edi, PD
        xor eax, eax
        mov ecx, 0x30000 / 4
        rep stosd
        ; identity: 4 MB pages would need PSE; the first 8 MB by tables
        mov dword [PD], PT + 7
        mov dword [PD + 4], PT + 0x3007
        mov dword [PD + 8], PT2 + 7
        mov edi, PT
        mov eax, 7
        mov ecx, 1024
        call .fill
        mov edi, PT + 0x3000
        mov ecx, 1024
        call .fill
        jmp .on
.fill:  stosd
        add eax, 0x1000
        loop .fill
        ret
.on:    mov eax, PD
        mov cr3, eax
        mov [tss + 0x1c], eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp .paged
.paged:
        TRY "read of an absent page"
        mov eax, [T + 0x123]
        ENDTRY
        TRY "write of an absent page"
        mov [T + 0x123], eax
        ENDTRY
        TRY "execute an absent page"
        mov eax, T + 0x10
        mov dword [mark], T + 0x10
        jmp eax
        ENDTRY
        TRY "absent table"
        mov eax, [0xdeadbe00]
        ENDTRY
        TRY "dword across into an absent page"
        PTE 0, FRAME + 7
        MARK
        mov eax, [T + 0xffe]
        ENDTRY
        TRY "write across into an absent page"
        MARK
        mov [T + 0xffe], eax
        ENDTRY
        PTE 2, FRAME + 7
        TRY3 "3: push across into an absent page"
        mov esp, T + 0x2002
        push dword 1
        END3
        TRY3 "3: enter, absent new top"
        mov esp, T + 0x3000
        enter 0x1100, 0
        END3
        TRY3 "3: popa out of an absent page"
        mov ebp, 0xb
        mov esi, 0x5
        mov edi, 0xd
        mov esp, T + 0xff0
        MARK
        popa
        END3
        SHOW "ebp ", ebp
        SHOW " esi", esi
        SHOW " edi", edi
        NEWLINE
        TRY3 "3: read of a supervisor page"
        mov eax, [T + 0x1000]
        END3
        PTE 1, FRAME + 0x1003
        TRY3 "3: read of a present supervisor page"
        mov eax, [T + 0x1000]
        END3
        TRY3 "3: write of a present supervisor page"
        mov [T + 0x1000], eax
        END3
        PTE 1, FRAME + 0x1005
        TRY3 "3: read of a read-only page"
        mov eax, [T + 0x1000]
        END3
        TRY3 "3: write of a read-only page"
        mov [T + 0x1000], eax
        END3
        TRY3 "3: modify a read-only page"
        inc dword [T + 0x1000]
        END3
        TRY3 "3: enter, read-only new top"
        mov esp, T + 0x3000
        enter 0x1100, 0
        END3
        TRY "0: write of a read-only page, WP=0"
        mov [T + 0x1000], eax
        ENDTRY
        mov eax, cr0
        or eax, 0x10000
        mov cr0, eax
        TRY "0: write of a read-only page, WP=1"
        mov [T + 0x1000], eax
        ENDTRY
        TRY "0: read of it"
        mov eax, [T + 0x1000]
        ENDTRY
        mov dword [PD + 8], PT2 + 5
        PTE 1, FRAME + 0x1007
        TRY "0: read-only directory entry, WP=1"
        mov [T + 0x1000], eax
        ENDTRY
        mov eax, cr0
        and eax, ~0x10000
        mov cr0, eax
        TRY3 "3: read-only directory entry"
        mov [T + 0x1000], eax
        END3
        mov dword [PD + 8], PT2 + 3
        mov eax, cr3
        mov cr3, eax
        TRY3 "3: supervisor directory entry"
        mov eax, [T + 0x1000]
        END3
        mov dword [PD + 8], PT2 + 7
        mov eax, cr3
        mov cr3, eax

        ; accessed and dirty
        PTE 3, FRAME + 7
        PRINT "fresh"
        SHOWPTE 3
        mov eax, [T + 0x3000]
        PRINT "read"
        SHOWPTE 3
        mov [T + 0x3000], eax
        PRINT "written"
        SHOWPTE 3
        SHOW "directory ", [PD + 8]
        NEWLINE
        PTE 3, FRAME + 7
        mov [T + 0x3000], eax
        PRINT "written first"
        SHOWPTE 3
        PTE 4, FRAME + 5
        TRY3 "3: denied write marks nothing"
        mov [T + 0x4000], eax
        END3
        PRINT "denied"
        SHOWPTE 4
        PTE 5, FRAME + 0x1007
        mov eax, [T + 0x5000]
        PTE 5, 0
        ; a mapping changes
        PTE 6, FRAME + 0x1007
        mov dword [FRAME + 0x1000], 0x11111111
        mov dword [FRAME + 0x2000], 0x22222222
        SHOW "old ", [T + 0x6000]
        PTE 6, FRAME + 0x2007
        SHOW " new ", [T + 0x6000]
        mov dword [PT2 + 24], FRAME + 0x1007
        mov eax, cr3
        mov cr3, eax
        SHOW " cr3 ", [T + 0x6000]
        NEWLINE
        ; a handler that copies a page does not flush it (4.10.4.1)
        PTE 6, FRAME + 0x1005
        mov eax, cr0
        or eax, 0x10000
        mov cr0, eax
        SHOW "shared ", [T + 0x6000]
        NEWLINE
        TRY "write of the shared page"
        mov [T + 0x6000], eax
        ENDTRY
        mov dword [PT2 + 24], FRAME + 0x2007
        SHOW "copied ", [T + 0x6000]
        NEWLINE
        PTE 6, FRAME + 0x1007
        mov eax, cr0
        and eax, ~0x10000
        mov cr0, eax
        ; code pages that change places
        mov dword [FRAME + 0x1000], 0xc3c03141 ; inc ecx; xor eax,eax; ret (41 31 c0 c3)
        mov dword [FRAME + 0x2000], 0xc3c03142 ; inc edx
        xor ecx, ecx
        xor edx, edx
        call T + 0x6000
        PTE 6, FRAME + 0x2007
        call T + 0x6000
        PTE 6, FRAME + 0x1007
        call T + 0x6000
        SHOW "ecx ", ecx
        SHOW " edx ", edx
        NEWLINE
        ; REP across pages, the second absent: registers say how far it came
        PTE 7, FRAME + 7
        PTE 8, 0
        TRY "rep stosb into an absent page"
        mov edi, T + 0x7ff0
        mov ecx, 0x30
        mov eax, 0x5a
        MARK
        rep stosb
        ENDTRY
        SHOW "edi ", edi
        SHOW " ecx ", ecx
        NEWLINE
        TRY "rep movsd from an absent page"
        mov esi, T + 0x7ff6
        mov edi, scratch
        mov ecx, 8
        MARK
        rep movsd
        ENDTRY
        SHOW "esi ", esi
        mov eax, edi
        sub eax, scratch
        SHOW " moved ", eax
        SHOW " ecx ", ecx
        NEWLINE

        ; 4 MB pages
        mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov dword [PD + 12], 0x400000 + 0x87
        mov dword [FRAME + 0x100], 0x4d4d4d4d
        SHOW "4M ", [0xc00000 + 0x10100]
        SHOW " pde ", [PD + 12]
        mov [0xc00000 + 0x10100], eax
        SHOW " pde ", [PD + 12]
        NEWLINE
        mov dword [PD + 12], 0x400000 + 0x83
        mov eax, cr3
        mov cr3, eax
        TRY3 "3: 4M supervisor"
        mov eax, [0xc00000]
        END3
        mov dword [PD + 12], 0x600000 + 0x87
        mov eax, cr3
        mov cr3, eax
        TRY "4M reserved bit"
        mov eax, [0xc00000]
        ENDTRY
        mov dword [PD + 12], 0
        ; global pages
        mov eax, cr4
        or eax, 0x80
        mov cr4, eax
        mov dword [FRAME + 0x1000], 0x11111111
        mov dword [FRAME + 0x2000], 0x22222222
        PTE 9, FRAME + 0x1107
        SHOW "global ", [T + 0x9000]
        mov dword [PT2 + 36], FRAME + 0x2107
        mov eax, cr3
        mov cr3, eax
        SHOW " cr3 ", [T + 0x9000]
        invlpg [T + 0x9000]
        SHOW " invlpg ", [T + 0x9000]
        mov dword [PT2 + 36], FRAME + 0x1107
        mov eax, cr4
        and eax, ~0x80
        mov cr4, eax
        SHOW " cr4 ", [T + 0x9000]
        NEWLINE

        ; PAE
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov dword [PDPT], PAEPD + 1
        mov dword [PAEPD], 0x83
        mov dword [PAEPD + 8], 0x200083
        mov dword [PAEPD + 16], 0x400083
        mov dword [PAEPD + 24], 0x600083
        mov dword [PAEPD + 32], PAEPT + 7
        ; user code and stack are below 2 MB
        or dword [PAEPD], 4
        mov eax, cr4
        or eax, 0x20
        mov cr4, eax
        mov eax, PDPT
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp .pae
.pae:
        TRY "PAE: absent page"
        mov eax, [T]
        ENDTRY
        TRY "PAE: absent pointer"
        mov eax, [0x40000000]
        ENDTRY
        PAEPTE 0, FRAME + 7, 0
        TRY "PAE: page"
        mov eax, [T]
        mov [T + 4], eax
        SHOW "pte ", [PAEPT]
        SHOW " pde ", [PAEPD + 32]
        SHOW " large ", [PAEPD]
        PRINT " "
        ENDTRY
        PAEPTE 1, FRAME + 5, 0
        TRY3 "PAE: 3: write of a read-only page"
        mov [T + 0x1000], eax
        END3
        PAEPTE 1, FRAME + 3, 0
        TRY3 "PAE: 3: read of a supervisor page"
        mov eax, [T + 0x1000]
        END3
        PAEPTE 1, FRAME + 7, 0x80000000
        TRY "PAE: XD without NXE is reserved"
        mov eax, [T + 0x1000]
        ENDTRY
        PAEPTE 1, FRAME + 7, 0x100
        TRY "PAE: physical bit 40"
        mov eax, [T + 0x1000]
        ENDTRY
        mov dword [PAEPD + 40], 0x402087
        TRY "PAE: reserved bit in a large page"
        mov eax, [0xa00000]
        ENDTRY
        TRY "PAE: reserved bit in a pointer"
        mov dword [PDPT + 8], 0x421003
        mov eax, cr3
        MARK
        mov cr3, eax
        ENDTRY
        TRY "PAE: the same, CD of CR0 set"
        mov eax, cr0
        or eax, 0x40000000
        MARK
        mov cr0, eax
        ENDTRY
        TRY "PAE: the same, MP of CR0 set"
        mov eax, cr0
        or eax, 2
        MARK
        mov cr0, eax
        ENDTRY
        TRY "PAE: the same, PGE of CR4 changed"
        mov eax, cr4
        xor eax, 0x80
        MARK
        mov cr4, eax
        ENDTRY
        mov dword [PDPT + 8], 0
        mov eax, 0x80000001
        cpuid
        test edx, 1 << 20
        jz .nonx
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x800
        wrmsr
        mov dword [FRAME], 0xc3c3c3c3
        PAEPTE 1, FRAME + 7, 0x80000000
        TRY "NX: read"
        mov eax, [T + 0x1000]
        ENDTRY
        TRY "NX: execute"
        mov dword [mark], T + 0x1000
        call T + 0x1000
        ENDTRY
        TRY "NX: execute an absent page"
        mov dword [mark], T + 0x2000
        call T + 0x2000
        ENDTRY
        TRY3 "NX: 3: execute"
        mov eax, T + 0x1000
        mov dword [mark], T + 0x1000
        call eax
        END3
        PAEPTE 1, FRAME + 7, 0
        TRY "NX: execute after XD is cleared"
        call T + 0x1000
        ENDTRY
        or dword [PAEPD + 36], 0x80000000
        mov eax, cr3
        mov cr3, eax
        TRY "NX: execute, XD in the directory"
        mov dword [mark], T + 0x1000
        call T + 0x1000
        ENDTRY
        mov dword [PAEPD + 36], 0
.nonx:
%ifndef QEMU ; which checks none of these
        TRY "PG without PE"
        mov eax, 0x80000010
        mov cr0, eax
        ENDTRY
        TRY "NW without CD"
        mov eax, cr0
        or eax, 0x20000000
        MARK
        mov cr0, eax
        ENDTRY
        TRY "reserved bit of CR4"
        mov eax, cr4
        or eax, 0x80000
        MARK
        mov cr4, eax
        ENDTRY
%endif
        ret
        FINISH
