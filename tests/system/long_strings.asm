%include "long.inc"
; Repeated string instructions in 64-bit mode: faults in the middle, at the ends
; of pages and of the canonical halves, both directions, addresses of 32 bits,
; and code that they write (SDM volume 2, REP).

PT     equ small_pt
%define PAGE(n) (SMALL + (n) * 4096)
; the last page of each of: 4 GB, the lower half, all addresses
END32  equ 0xfffff000
ENDLOW equ 0x00007ffffffff000
ENDALL equ 0xfffffffffffff000
JUNK   equ 0xabcdef01 << 32

; sets entry n of the small pages' table
%macro SET 2
        mov rax, %2
        mov [PT + (%1) * 8], rax
%endmacro
%macro FLUSH 0
        mov rax, cr3
        mov cr3, rax
%endmacro

; runs an instruction and prints what comes out: "name", RCX, RSI, RDI, instruction
%macro RUN 5+
        RUNS {%1}, {%2}, {%3}, {%4}, cld, %5
%endmacro
; the same downwards
%macro RUND 5+
        RUNS {%1}, {%2}, {%3}, {%4}, std, %5
%endmacro
%macro RUNS 6+
        %strcat run_name %1
        mov rcx, %2
        mov rsi, %3
        mov rdi, %4
        TRY run_name
        mov rax, [value]
        xor ebp, ebp
        %5
        MARK
        %6
        pushfq
        pop rbp
        ENDTRY
        call report
%endmacro

; prints the registers, the flags of a comparison, and a sum over the pages
report: mov rcx, [saved_rcx]
        PRINT "  "
        SHOW "rcx ", rcx, 16
        SHOW " rsi ", rsi, 16
        SHOW " rdi ", rdi, 16
        and ebp, 0x8d5
        SHOW " flags ", rbp, 4
        SHOW " rax ", [saved_rax], 16
        mov rdi, scratch
        mov ecx, 65536 / 8
        xor eax, eax
.sum:   rol rax, 7
        add rax, [rdi]
        add rdi, 8
        dec ecx
        jnz .sum
        SHOW " sum ", rax, 16
        NEWLINE
        ret

; the pages' contents: a pattern with long equal runs
fill:   mov rdi, scratch
        xor ecx, ecx
.next:  mov eax, ecx
        shr eax, 9
        imul eax, eax, 0x9d
        mov [rdi + rcx], al
        inc ecx
        cmp ecx, 65536
        jb .next
        ret

; bytes of an element, its letter twice
%macro SIZES 3
        ; to an absent page, an element across
        RUN {"movs", %3, " to an absent page"}, 100, PAGE(1) + 1, PAGE(4) - 20 * %1 - (%1 / 2), rep movs%2
        RUN {"movs", %3, " from an absent page"}, 100, PAGE(4) - 33 * %1 - (%1 / 2), PAGE(1) + 3, rep movs%2
        RUN {"movs", %3, " to a read-only page"}, 3000, PAGE(1), PAGE(6) - 700 * %1, rep movs%2
        RUN {"movs", %3, " overlapping"}, 600, PAGE(1), PAGE(1) + %1, rep movs%2
        RUN {"stos", %3, " to an absent page"}, 5000, 7, PAGE(4) - 300 * %1 - (%1 / 2), rep stos%2
        RUN {"lods", %3, " from an absent page"}, 5000, PAGE(4) - 30 * %1 - (%1 / 2), 7, rep lods%2
        call fill
        RUN {"cmps", %3, " equal, to an absent page"}, 5000, PAGE(4) - 40 * %1, PAGE(4) - 40 * %1 - 8, repe cmps%2
        RUN {"cmps", %3, " equal, all"}, 40, PAGE(4) - 40 * %1, PAGE(4) - 40 * %1, repe cmps%2
        RUN {"cmps", %3, " until a difference"}, 5000, PAGE(1) + 8, PAGE(1) + 512, repe cmps%2
        RUN {"cmps", %3, " none"}, 0, 7, 8, repe cmps%2
        RUN {"scas", %3, " to an absent page"}, 5000, 7, PAGE(4) - 300 * %1 - (%1 / 2), repne scas%2
        RUN {"scas", %3, " found"}, 50000, 7, PAGE(1), repne scas%2
        ; the other way
        RUND {"movs", %3, " down to an absent page"}, 100, PAGE(2) + 0x800, PAGE(5) + 20 * %1 + (%1 / 2), rep movs%2
        RUND {"movs", %3, " down from an absent page"}, 100, PAGE(5) + 33 * %1 + (%1 / 2), PAGE(2) + 0x803, rep movs%2
        RUND {"movs", %3, " down across pages"}, 700, PAGE(2) + 0x11, PAGE(3) + 0x20, rep movs%2
        RUND {"stos", %3, " down to an absent page"}, 5000, 7, PAGE(5) + 300 * %1, rep stos%2
        RUND {"cmps", %3, " down to an absent page"}, 5000, PAGE(2) + 0x300, PAGE(5) + 0x100, repne cmps%2
        RUND {"scas", %3, " down to an absent page"}, 5000, 7, PAGE(5) + 0x100, repne scas%2
        ; the ends
        RUN {"stos", %3, " beyond the lower half"}, 1000, 7, ENDLOW + 0xf00, rep stos%2
        RUN {"movs", %3, " beyond the lower half"}, 1000, ENDLOW + 0xf00 - (%1 / 2), PAGE(1), rep movs%2
        RUN {"stos", %3, " through the top"}, 300, 7, ENDALL + 0xf80, rep stos%2
        RUND {"stos", %3, " down beyond the upper half"}, 1000, 7, HIGH + 0x40, rep stos%2
        RUN {"scas", %3, " not canonical"}, 10, 7, 0x123456789abcdef0, repne scas%2
        ; addresses of 32 bits
        RUN {"stos", %3, " of 32 bits to an absent page"}, JUNK | 5000, 7, JUNK | PAGE(4) - 30 * %1, a32 rep stos%2
        RUN {"movs", %3, " of 32 bits, none"}, JUNK, JUNK | 7, JUNK | 9, a32 rep movs%2
        RUN {"movs", %3, " of 32 bits, absent"}, JUNK | 5, JUNK | PAGE(1), JUNK | PAGE(4), a32 rep movs%2
        RUN {"stos", %3, " of 32 bits through 4 GB"}, 100, 7, END32 + 0x1000 - 50 * %1, a32 rep stos%2
        RUN {"stos", %3, " beyond 4 GB"}, 100, 7, END32 + 0x1000 - 50 * %1, rep stos%2
        RUND {"stos", %3, " of 32 bits down through 0"}, 100, 7, 8 * %1, a32 rep stos%2
        call fill
%endmacro

main:
        mov dword [pdpt + 511 * 8], pd_small + 7
        mov dword [pd_small + 511 * 8], small_pt + 7
        mov eax, [pml4]
        mov [pml4 + 255 * 8], eax
        mov [pml4 + 511 * 8], eax
        ; pages that do not stand in a row
        SET 0, scratch + 0x3000 + 7
        SET 1, scratch + 0x1000 + 7
        SET 2, scratch + 0x5000 + 7
        SET 3, scratch + 0x2000 + 7
        SET 4, 0
        SET 5, scratch + 0x8000 + 7
        SET 6, scratch + 0x7000 + 5
        SET 511, scratch + 0xa000 + 7
        FLUSH
        call fill
        mov rax, 0x1122334455667788
        mov [value], rax
        SIZES 1, b, "b"
        SIZES 2, w, "w"
        SIZES 4, d, "d"
        SIZES 8, q, "q"

        ; at level 3
        TRY3 "3: stosq to a read-only page"
        mov rdi, PAGE(6) - 24
        xor eax, eax
        xor ebp, ebp
        mov ecx, 10
        rep stosq
        END3
        call report
        TRY3 "3: movsb from a supervisor's page"
        mov rsi, scratch
        mov rdi, PAGE(1)
        xor eax, eax
        mov ecx, 10
        rep movsb
        END3
        call report

        ; FS has a base
        mov ecx, 0xc0000100
        mov rax, PAGE(2) - 0x1000
        xor edx, edx
        wrmsr
        RUN "movsq with fs", 300, 0xf00, PAGE(1), fs rep movsq
        RUN "movsq with fs to an absent page", 900, 0x1f00, PAGE(1), fs rep movsq
        RUN "movsw with fs of 32 bits", 300, JUNK | 0xf00, PAGE(1), a32 fs rep movsw

        ; what was code before
        SET 9, scratch + 0x9000 + 7
        FLUSH
        mov rsi, code
        mov rdi, PAGE(9)
        mov ecx, code_end - code
        rep movsb
        mov r8d, 5
.again: mov rdx, PAGE(9)
        call rdx
        SHOW "code ", rax, 8
        NEWLINE
        mov al, [rdx + 1]
        add al, 17
        mov rdi, PAGE(9) + 1
        mov ecx, 3
        rep stosb
        dec r8d
        jnz .again
        ; and what comes next: eight increments over NOPs
        mov rdx, PAGE(9) + own - code
        xor eax, eax
        call rdx
        SHOW "own ", rax, 8
        NEWLINE
        ret

code:   mov eax, 0x01020304
        ret
own:    lea rsi, [increments]
        lea rdi, [nops]
        mov ecx, 2
        rep movsq
nops:   times 16 nop
        ret
increments:
        times 8 db 0xff, 0xc0
code_end:

align 8
value:  dq 0
FINISH
