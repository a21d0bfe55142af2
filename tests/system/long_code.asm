%include "long.inc"
; Code whose pages change: other frames, other rights, other sizes, at addresses
; that compiled code jumps to; code that is stored over; code at the 4 GB
; boundary (SDM volume 3, 4.10 and 11.6).

FRAMES equ 0x400000              ; two of 2 MB

%macro FLUSH 0
        mov rax, cr3
        mov cr3, rax
%endmacro
; calls the page ten times
%macro TEN 0
        mov ebp, 10
%%next: call r13
        dec ebp
        jnz %%next
        SHOW " ", rax, 4
%endmacro

main:   ; frame N of the small pages: mov eax, N; jmp to the next page and back
        xor ecx, ecx
        mov rdi, scratch
.fill:  mov byte [rdi], 0xb8     ; mov eax, N
        mov [rdi + 1], ecx
        mov byte [rdi + 5], 0xe9 ; jmp to 0x800 of the next page
        mov dword [rdi + 6], 0x1800 - 10
        mov byte [rdi + 0x800], 0xc1        ; shl eax, 8
        mov byte [rdi + 0x801], 0xe0
        mov byte [rdi + 0x802], 8
        mov byte [rdi + 0x803], 0x0c        ; or al, N
        mov [rdi + 0x804], cl
        mov byte [rdi + 0x805], 0xc3
        add rdi, 4096
        inc ecx
        cmp ecx, 16
        jb .fill

        mov r13, SMALL + 0x1000
        PRINT "as it is"
        TEN
        PRINT ", the target elsewhere"
        mov qword [small_pt + 16], scratch + 0x5000 + 7
        invlpg [r13 + 0x1000]
        TEN
        PRINT ", the start elsewhere"
        mov qword [small_pt + 8], scratch + 0x6000 + 7
        invlpg [r13]
        TEN
        PRINT ", both by CR3"
        mov qword [small_pt + 8], scratch + 0x7000 + 7
        mov qword [small_pt + 16], scratch + 0x8000 + 7
        FLUSH
        TEN
        NEWLINE
        PRINT "another table"
        mov rsi, small_pt
        mov rdi, other_pt
        mov ecx, 512
        rep movsq
        mov qword [other_pt + 8], scratch + 0x9000 + 7
        mov rax, other_pt + 7
        mov [pd_small], rax
        invlpg [r13]
        invlpg [r13 + 0x1000]
        TEN
        mov rax, small_pt + 7
        mov [pd_small], rax
        FLUSH
        TEN
        PRINT ", another PML4"
        mov rsi, pml4
        mov rdi, other_pml4
        mov ecx, 512
        rep movsq
        mov rsi, pdpt
        mov rdi, other_pdpt
        mov ecx, 512
        rep movsq
        mov rsi, pd_small
        mov rdi, other_pd
        mov ecx, 512
        rep movsq
        mov rax, other_pdpt + 7
        mov [other_pml4], rax
        mov rax, other_pd + 7
        mov [other_pdpt + 24], rax
        mov rax, other_pt + 7
        mov [other_pd], rax
        mov r14d, 5
.switch: mov rax, other_pml4
        mov cr3, rax
        TEN
        mov rax, pml4
        mov cr3, rax
        TEN
        dec r14d
        jnz .switch
        NEWLINE
        PRINT "global pages"
        mov rax, cr4
        or eax, 0x80
        mov cr4, rax
        or qword [small_pt + 8], 0x100
        FLUSH
        TEN
        mov rax, scratch + 0xa000 + 0x107
        mov [small_pt + 8], rax
        invlpg [r13]
        TEN
        mov rax, scratch + 0xb000 + 7
        mov [small_pt + 8], rax
        mov rax, cr4
        btr eax, 7
        mov cr4, rax
        TEN
        NEWLINE
        ; large pages
        mov rdi, FRAMES
        call plant
        mov rdi, FRAMES + 0x200000
        call plant
        mov byte [FRAMES + 0x200001], 0x77
        mov rax, FRAMES + 0x87
        mov [pd_small + 8], rax
        FLUSH
        mov r13, SMALL + 0x200000
        PRINT "2 MB"
        TEN
        mov rax, FRAMES + 0x200000 + 0x87
        mov [pd_small + 8], rax
        lea rax, [r13 + 0x123456]
        invlpg [rax]
        TEN
        PRINT " split"
        mov rax, other_pt + 7
        mov qword [other_pt], FRAMES + 7
        mov [pd_small + 8], rax
        lea rax, [r13 + 0x123456]
        invlpg [rax]
        TEN
        PRINT " and joined"
        mov rax, FRAMES + 0x200000 + 0x87
        mov [pd_small + 8], rax
        invlpg [r13]
        TEN
        NEWLINE

        ; rights that go while code is linked
        mov r13, SMALL + 0x3000
        TEN
        NEWLINE
        TRY "no-execute now"
        bts qword [small_pt + 3 * 8], 63
        invlpg [r13]
        call r13
        ENDTRY
        btr qword [small_pt + 3 * 8], 63
        FLUSH
        TRY "the next page no-execute now"
        bts qword [small_pt + 4 * 8], 63
        mov r13, SMALL + 0x3000
        invlpg [r13 + 0x1000]
        call r13
        ENDTRY
        btr qword [small_pt + 4 * 8], 63
        FLUSH
        TRY "the next page absent now"
        btr qword [small_pt + 4 * 8], 0
        mov r13, SMALL + 0x3000
        invlpg [r13 + 0x1000]
        call r13
        ENDTRY
        bts qword [small_pt + 4 * 8], 0
        FLUSH
        TRY "users' now, SMEP"
        mov rax, cr4
        bts rax, 20
        mov cr4, rax
        mov r13, SMALL + 0x3000
        call r13
        ENDTRY
        mov rax, cr4
        btr rax, 20
        mov cr4, rax
        TRY3 "3: it"
        mov r13, SMALL + 0x3000
        call r13
        call r13
        END3
        btr qword [small_pt + 4 * 8], 2
        FLUSH
        TRY3 "3: the next page supervisor's now"
        mov r13, SMALL + 0x3000
        call r13
        END3
        bts qword [small_pt + 4 * 8], 2
        FLUSH

        ; stores over code, by another address
        mov r13, SMALL + 0x3000
        PRINT "stored over"
        TEN
        mov byte [scratch + 0x3001], 0x42
        TEN
        mov rax, HIGH
        mov byte [rax + scratch + 0x3001], 0x43
        TEN
        mov byte [USER + scratch + 0x4804], 0x44
        TEN
        mov word [r13 + 0x1803], 0x450c
        TEN
        lock inc byte [scratch + 0x4804]
        TEN
        lea rdi, [scratch + 0x3001]
        mov al, 0x11
        stosb
        TEN
        mov ecx, 1
        lea rdi, [scratch + 0x3001]
        mov al, 0x12
        rep stosb
        TEN
        fninit
        mov qword [low], 0x13
        fild qword [low]
        mov al, [scratch + 0x3008]
        fistp qword [scratch + 0x3001] ; and what is behind it
        mov dword [scratch + 0x3005], 0x17f6e9
        mov word [scratch + 0x3008], 0
        mov dword [scratch + 0x3006], 0x1800 - 10
        TEN
        NEWLINE

        ; the 4 GB boundary, and a jump across it
        mov rax, other_pt + 7
        mov [pd_small + 511 * 8], rax
        mov rax, scratch + 0xe000 + 7
        mov [other_pt + 511 * 8], rax
        mov rax, high_pd + 7
        mov [pdpt + 4 * 8], rax
        mov rax, high_pt + 7
        mov [high_pd], rax
        mov rax, scratch + 0xf000 + 7
        mov [high_pt], rax
        FLUSH
        mov rdi, scratch + 0xe000
        mov ecx, 0x2000
        mov al, 0x90
        rep stosb
        mov dword [scratch + 0xeffc], 0x00058d48
        mov dword [scratch + 0xf000], 0xc3000000  ; lea rax, [rip + 0]; ret
        mov r13, 0xfffffff8
        PRINT "4 GB"
        mov ebp, 10
.across: call r13
        dec ebp
        jnz .across
        SHOW " ", rax, 16
        mov dword [scratch + 0xeff8], 0x000010e9  ; jmp to 0x10000000d
        mov byte [scratch + 0xeffc], 0
        mov dword [scratch + 0xf00d], 0x00058d48
        mov dword [scratch + 0xf011], 0xe9000000  ; jmp back
        mov dword [scratch + 0xf015], -0x100000019 + 0xfffffff0
        mov dword [scratch + 0xeff0], 0xc3c3c3c3
        mov ebp, 10
.jumps: call r13
        dec ebp
        jnz .jumps
        SHOW " ", rax, 16
        NEWLINE
        ret

; mov eax, 0x66; ret
plant:  mov dword [rdi], 0x66b8
        mov word [rdi + 4], 0xc300
        ret
align 8
low:    dq 0
align 4096
other_pml4: times 512 dq 0
other_pdpt: times 512 dq 0
other_pd: times 512 dq 0
other_pt: times 512 dq 0
high_pd: times 512 dq 0
high_pt: times 512 dq 0
        FINISH
