%include "long.inc"
; Process-context identifiers: translations of each kept apart, what a load of
; CR3, INVLPG and INVPCID forget at least, and the way in and out (SDM volume 3,
; 4.10.1, 4.10.4 and 2.5; volume 2, MOV to CR3 and INVPCID). What a processor may
; keep or forget as it likes is not looked at.

WHERE  equ SMALL + 0x8000        ; the page that each space has elsewhere
SHARED equ SMALL + 0x9000        ; a global page
G      equ 0x100

; loads CR3: table, PCID, bit 63 (0 or 1)
%macro SPACE 3
        mov rax, %1 + %2
%if %3
        bts rax, 63
%endif
        mov cr3, rax
%endmacro
; an entry of a space's table: table, page of SMALL, frame of scratch, flags
%macro ENTRY 4
        mov rax, scratch + (%3) * 0x1000 + 7 + %4
        mov [%1 + %2 * 8], rax
%endmacro
%macro LOOK 1
        PRINT %1
        movzx eax, byte [r13]
        SHOW " ", rax, 2
%endmacro
%macro INVPCID 3                 ; type, PCID, address
        mov rax, %2
        mov [descriptor], rax
        mov rax, %3
        mov [descriptor + 8], rax
        mov ecx, %1
        invpcid rcx, [descriptor]
%endmacro

main:   ; each frame of scratch begins with its number
        lea rdi, [scratch]
        xor ecx, ecx
.frames: mov [rdi], cl
        add rdi, 0x1000
        inc ecx
        cmp ecx, 16
        jb .frames
        mov r13, WHERE
        mov r14, SHARED
        ; the second space: as the first one, but for the table of SMALL
        lea rsi, [pml4]
        lea rdi, [pml4b]
        mov ecx, 512
        rep movsq
        lea rsi, [pdpt]
        lea rdi, [pdptb]
        mov ecx, 512
        rep movsq
        mov rax, pdptb + 7
        mov [pml4b], rax
        mov rax, pdb + 7
        mov [pdptb + 24], rax
        mov rax, ptb + 7
        mov [pdb], rax
        lea rsi, [small_pt]
        lea rdi, [ptb]
        mov ecx, 512
        rep movsq
        ENTRY small_pt, 8, 1, 0
        ENTRY ptb, 8, 2, 0

        TRY "bit 63 without PCIDE"
        mov rax, pml4
        bts rax, 63
        MARK
        mov cr3, rax
        ENDTRY
        TRY "PCIDE with bits in CR3"
        mov rax, pml4 + 1
        mov cr3, rax
        mov rax, cr4
        bts rax, 17
        MARK
        mov cr4, rax
        ENDTRY
        mov rax, cr3
        SHOW "cr3, low bits ", rax, 3    ; CR3 has but PWT and PCD
        NEWLINE
        mov rax, pml4
        mov cr3, rax
        mov rax, cr4
        bts rax, 17
        bts rax, 7               ; PGE
        mov cr4, rax
        TRY "PCIDE"
        ENDTRY

        ; kept apart, flushed or not
        SPACE pml4, 1, 0
        LOOK "space 1"
        SPACE pml4b, 2, 0
        LOOK ", 2"
        SPACE pml4, 1, 1
        LOOK ", 1 kept"
        SPACE pml4b, 2, 1
        LOOK ", 2 kept"
        SPACE pml4, 1, 1
        LOOK ", 1 kept"
        mov rax, cr3
        sub rax, pml4
        SHOW " cr3+", rax, 16
        NEWLINE
        ; many times, in a loop that gets compiled
        xor ebx, ebx
        mov r12d, 200
.loop:  SPACE pml4b, 2, 1
        movzx eax, byte [r13]
        lea rbx, [rbx + rax * 8]
        SPACE pml4, 1, 1
        movzx eax, byte [r13]
        add rbx, rax
        dec r12d
        jnz .loop
        SHOW "200 times ", rbx, 8
        NEWLINE

        ; a change of the other space, then a load of CR3 that flushes
        LOOK "changed elsewhere: before"
        SPACE pml4b, 2, 1
        ENTRY small_pt, 8, 3, 0
        SPACE pml4, 1, 0
        LOOK ", after"
        NEWLINE
        ; INVLPG in this space
        ENTRY small_pt, 8, 4, 0
        invlpg [r13]
        LOOK "invlpg"
        NEWLINE
        ; INVPCID of another space, before it is entered without a flush
        SPACE pml4b, 2, 1
        LOOK "invpcid 0 of 1: here"
        ENTRY small_pt, 8, 5, 0
        INVPCID 0, 1, WHERE
        SPACE pml4, 1, 1
        LOOK ", there"
        SPACE pml4b, 2, 1
        ENTRY small_pt, 8, 6, 0
        INVPCID 1, 1, 0
        SPACE pml4, 1, 1
        LOOK ", type 1"
        SPACE pml4b, 2, 1
        ENTRY small_pt, 8, 7, 0
        INVPCID 3, 0, 0
        SPACE pml4, 1, 1
        LOOK ", type 3"
        SPACE pml4b, 2, 1
        ENTRY small_pt, 8, 1, 0
        INVPCID 2, 0, 0
        SPACE pml4, 1, 1
        LOOK ", type 2"
        NEWLINE
        ; global translations: of all spaces; INVLPG and type 2 forget them
        ENTRY small_pt, 9, 8, G
        ENTRY ptb, 9, 8, G
        movzx eax, byte [r14]
        SHOW "global ", rax, 2
        SPACE pml4b, 2, 1
        movzx eax, byte [r14]
        SHOW " ", rax, 2
        ENTRY small_pt, 9, 9, G
        ENTRY ptb, 9, 9, G
        invlpg [r14]
        movzx eax, byte [r14]
        SHOW ", invlpg ", rax, 2
        SPACE pml4, 1, 1
        movzx eax, byte [r14]
        SHOW " ", rax, 2
        ENTRY small_pt, 9, 10, G
        ENTRY ptb, 9, 10, G
        INVPCID 2, 0, 0
        movzx eax, byte [r14]
        SHOW ", type 2 ", rax, 2
        SPACE pml4b, 2, 1
        movzx eax, byte [r14]
        SHOW " ", rax, 2
        ; a change of CR4.PGE forgets all of all spaces
        ENTRY small_pt, 8, 11, 0
        ENTRY small_pt, 9, 11, G
        ENTRY ptb, 9, 11, G
        mov rax, cr4
        btc rax, 7
        mov cr4, rax
        btc rax, 7
        mov cr4, rax
        SPACE pml4, 1, 1
        LOOK ", PGE"
        movzx eax, byte [r14]
        SHOW " ", rax, 2
        NEWLINE
        ; an accessed bit that was cleared is set again after INVPCID
        and byte [small_pt + 8 * 8], ~0x20
        INVPCID 0, 1, WHERE
        movzx eax, byte [r13]
        mov rax, [small_pt + 8 * 8]
        and eax, 0xff
        SHOW "accessed ", rax, 2
        NEWLINE

        ; reserved bits, with PCIDE
        TRY "cr3, bit 62"
        mov rax, pml4
        bts rax, 62
        MARK
        mov cr3, rax
        ENDTRY
        TRY "cr3, bit 52"
        mov rax, pml4
        bts rax, 52
        MARK
        mov cr3, rax
        ENDTRY
        TRY "cr3, all of the PCID"
        mov rax, pml4 + 0xfff
        mov cr3, rax
        ENDTRY
        mov rax, cr3
        SHOW "cr3, low bits ", rax, 3
        NEWLINE
        ; the way out
        TRY "PG cleared with PCIDE"
        mov rax, cr0
        btr rax, 31
        MARK
        mov cr0, rax
        ENDTRY
        TRY "PCIDE cleared"
        SPACE pml4, 1, 1
        ENTRY small_pt, 8, 12, 0
        mov rax, cr4
        btr rax, 17
        mov cr4, rax
        ENDTRY
        LOOK "without"
        mov rax, cr3
        SHOW " cr3, low bits ", rax, 3
        NEWLINE
        ret
align 16
descriptor: dq 0, 0
        FINISH
absolute bss_end
alignb 4096
pml4b:  resb 4096
pdptb:  resb 4096
pdb:    resb 4096
ptb:    resb 4096
