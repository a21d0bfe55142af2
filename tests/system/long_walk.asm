%include "long.inc"
; The page walk of four levels, exhaustively: what each right at each level does
; to each kind of access, with WP, SMEP, SMAP and NXE; reserved bits; what is
; marked accessed and dirty; what INVLPG and page faults forget; accesses across
; pages; tables that are not there (SDM volume 3, 4.5 to 4.10).

; The page: entry 2 of the PML4, 5 of its table, 2 of its, 0 of the last. All
; three sizes of pages that lead there have physical address 0x400000.
LINEAR equ 2 << 39 | 5 << 30 | 2 << 21
FRAME  equ 0x400000
E4     equ pml4 + 2 * 8
E3     equ w_pdpt + 5 * 8
E2     equ w_pd + 2 * 8
E1     equ w_pt

%macro FLUSH 0
        mov rax, cr3
        mov cr3, rax
%endmacro
%macro CR4SET 1
        mov rax, cr4
        or rax, %1
        mov cr4, rax
%endmacro
%macro CR4CLEAR 1
        mov rax, cr4
        and rax, ~(%1)
        mov cr4, rax
%endmacro
; a trial with what is across the small pages' boundaries
%macro ACROSS 1
        TRY %1
        mov rbx, SMALL + 0x2000
        mov rsi, SMALL + 0x3000
%endmacro
; six accesses with bits of an entry other than they are: entry, bits, name
%macro ROW 3
        call fresh
        mov rax, %2
        xor [%1], rax
        PRINT %3
        call row
%endmacro
%macro MATRIX 0
        ROW E1, 0, "as it is"
        ROW E4, 2, "4 read only"
        ROW E3, 2, "3 read only"
        ROW E2, 2, "2 read only"
        ROW E1, 2, "1 read only"
        ROW E4, 4, "4 supervisor"
        ROW E3, 4, "3 supervisor"
        ROW E2, 4, "2 supervisor"
        ROW E1, 4, "1 supervisor"
        ROW E1, 6, "1 supervisor, read only"
        ROW E4, 1 << 63, "4 no-execute"
        ROW E3, 1 << 63, "3 no-execute"
        ROW E2, 1 << 63, "2 no-execute"
        ROW E1, 1 << 63, "1 no-execute"
%endmacro

main:   mov qword [E4], w_pdpt + 7
        mov byte [FRAME], 0xc3
        mov byte [FRAME + 0x200000], 0xc3
        PRINTLN "plain"
        MATRIX
        ROW E4, 1, "4 absent"
        ROW E3, 1, "3 absent"
        ROW E2, 1, "2 absent"
        ROW E1, 1, "1 absent"
        ROW E1, 0xfff0000000000e98, "1 ignored"
        ROW E2, 0x7ff0000000000f58, "2 ignored"
        ROW E3, 0x7ff0000000000f58, "3 ignored"
        ROW E4, 0x7ff0000000000f58, "4 ignored"
        ROW E1, 1 << 51, "reserved 1"
        ROW E2, 1 << 51, "reserved 2"
        ROW E3, 1 << 40, "reserved 3"
        ROW E4, 1 << 40, "reserved 4"
        ROW E4, 1 << 7, "reserved 4 large"
        ROW E1, 1 << 51 | 4, "reserved 1 supervisor"
        ROW E1, 1 << 51 | 1, "1 reserved and absent"
        mov byte [size], 2
        PRINTLN "2 MB"
        ROW E2, 0, "as it is"
        ROW E2, 2, "2 read only"
        ROW E2, 4, "2 supervisor"
        ROW E2, 1 << 63, "2 no-execute"
        ROW E3, 2, "3 read only"
        ROW E3, 1 << 63, "3 no-execute"
        ROW E2, 0x7ff0000000001f18, "2 ignored, PAT"
        ROW E2, 1 << 13, "reserved 2"
        ROW E2, 1 << 20, "reserved 2"
        ROW E2, 1 << 45, "reserved 2"
        mov byte [size], 3
        PRINTLN "1 GB"
        ROW E3, 0, "as it is"
        ROW E3, 2, "3 read only"
        ROW E3, 4, "3 supervisor"
        ROW E3, 1 << 63, "3 no-execute"
        ROW E4, 2, "4 read only"
        ROW E4, 1 << 63, "4 no-execute"
        ROW E3, 0x7ff0000000001f18, "3 ignored, PAT"
        ROW E3, 1 << 13, "reserved 3"
        ROW E3, 1 << 29, "reserved 3"
        ROW E3, 1 << 41, "reserved 3"
        mov byte [size], 1
        PRINTLN "without WP"
        mov rax, cr0
        btr rax, 16
        mov cr0, rax
        MATRIX
        mov rax, cr0
        bts rax, 16
        mov cr0, rax
        PRINTLN "SMEP"
        CR4SET 1 << 20
        MATRIX
        PRINTLN "SMEP and SMAP"
        CR4SET 1 << 21
        MATRIX
        PRINTLN "SMAP"
        CR4CLEAR 1 << 20
        MATRIX
        PRINTLN "SMAP, AC"
        mov qword [user_flags], 0x40002
        stac
        MATRIX
        clac
        mov qword [user_flags], 2
        CR4CLEAR 1 << 21
        PRINTLN "without NXE"
        mov ecx, 0xc0000080
        rdmsr
        btr eax, 11
        wrmsr
        ROW E1, 0, "as it is"
        ROW E1, 1, "1 absent"
        ROW E1, 4, "1 supervisor"
        ROW E1, 1 << 63, "reserved 1"
        ROW E2, 1 << 63, "reserved 2"
        ROW E3, 1 << 63, "reserved 3"
        ROW E4, 1 << 63, "reserved 4"
        CR4SET 1 << 20
        ROW E1, 0, "as it is, SMEP"
        ROW E1, 1, "1 absent, SMEP"
        CR4CLEAR 1 << 20
        mov ecx, 0xc0000080
        rdmsr
        bts eax, 11
        wrmsr

        ; accessed and dirty
        PRINTLN "accessed and dirty"
        mov byte [size], 1
.sizes: call fresh
        mov rbx, LINEAR
        mov al, [rbx]
        call marks
        call fresh
        mov byte [rbx], 0xc3
        call marks
        call fresh
        call rbx
        call marks
        call fresh
        prefetcht0 [rbx]
        xor eax, eax
        lock xadd [rbx], al
        call marks
        call fresh               ; read, then written
        mov al, [rbx]
        mov [rbx], al
        call marks
        call fresh               ; a compare that fails writes all the same
        xor eax, eax
        mov ecx, 1
        cmpxchg [rbx], cl
        call marks
        call fresh
        xor ecx, ecx
        mov rdi, rbx
        rep stosb                ; nothing
        call marks
        inc byte [size]
        cmp byte [size], 3
        jbe .sizes
        mov byte [size], 1

        ; what INVLPG forgets
        PRINTLN "INVLPG"
        mov byte [FRAME], 0x11
        mov byte [FRAME + 0x5123], 0x12
        mov byte [FRAME + 0x200000], 0x21
        mov byte [FRAME + 0x205123], 0x22
        mov byte [FRAME + 0x1ffff0], 0x13
        mov byte [FRAME + 0x3ffff0], 0x23
        mov byte [size], 2
        call fresh
        mov rbx, LINEAR
        mov rsi, LINEAR + 0x5123
        mov rdi, LINEAR + 0x1ffff0
        call three
        mov rax, FRAME + 0x200000 + 0x87
        mov [E2], rax
        invlpg [rsi]
        call three
        mov rax, FRAME + 0x87 + 0x100
        mov [E2], rax
        invlpg [rdi]
        CR4SET 1 << 7
        call three
        mov rax, FRAME + 0x200000 + 0x87 + 0x100
        mov [E2], rax
        invlpg [rbx]             ; a global page as well
        call three
        mov rax, FRAME + 0x87 + 0x100
        mov [E2], rax
        CR4CLEAR 1 << 7          ; and so does this
        call three
        mov byte [size], 3
        call fresh
        call three
        mov qword [E3], w_pd + 7 ; now of 2 MB, and elsewhere
        mov rax, FRAME + 0x200000 + 0x87
        mov [E2], rax
        mov rax, LINEAR + 0x3fe00000 - 0x400000
        invlpg [rax]             ; any address in the page of 1 GB
        call three
        mov qword [E3], 0x87
        FLUSH
        call three
        NEWLINE
        mov byte [FRAME], 0xc3
        mov byte [size], 1

        ; a page fault forgets: the handler changes the entry and comes back
        PRINTLN "repaired by the handler"
        mov rbx, LINEAR
        call fresh
        and qword [E1], ~2
        FLUSH
        mov al, [rbx]
        mov qword [repair_at], E1
        mov qword [repair], 2
        lea rax, [repairs]
        mov [hook], rax
        mov byte [rbx], 0xc3
        call fresh
        and qword [E3], ~2
        FLUSH
        mov al, [rbx]
        mov qword [repair_at], E3
        mov byte [rbx], 0xc3
        call fresh
        bts qword [E1], 63
        FLUSH
        mov al, [rbx]
        mov qword [repair_at], E1
        mov rax, 1 << 63
        mov [repair], rax
        call rbx
        call fresh
        and qword [E2], ~1
        FLUSH
        mov qword [repair_at], E2
        mov qword [repair], 1
        mov al, [rbx]
        mov qword [hook], 0

        ; across two pages: small pages 1, 2, 3; the third is absent
        mov qword [small_pt + 3 * 8], 0
        mov rax, scratch + 0x1000 + 7
        mov [small_pt + 8], rax
        mov rax, scratch + 0x2000 + 5
        mov [small_pt + 16], rax
        FLUSH
        mov rax, -1
        mov [scratch + 0x1ff8], rax
        ACROSS "load, second page absent"
        MARK
        mov rax, [rsi - 1]
        ENDTRY
        ACROSS "store, second page read only"
        xor eax, eax
        MARK
        mov [rbx - 4], rax
        ENDTRY
        SHOW "left ", [scratch + 0x1ff8], 16
        NEWLINE
        ACROSS "store, first page read only, second absent"
        MARK
        mov [rsi - 4], rax
        ENDTRY
        ACROSS "add, second page read only"
        MARK
        add qword [rbx - 4], 1
        ENDTRY
        ACROSS "lock xadd, second page read only"
        MARK
        lock xadd [rbx - 4], rax
        ENDTRY
        ACROSS "cmpxchg that fails, second page read only"
        mov rax, 5
        MARK
        cmpxchg [rbx - 4], rcx
        ENDTRY
        ACROSS "push"
        lea rsp, [rbx + 4]
        MARK
        push rax
        ENDTRY
        ACROSS "push of memory that is absent"
        MARK
        push qword [rsi - 1]
        ENDTRY
        ACROSS "pop to memory that is read only"
        push rax
        MARK
        pop qword [rbx - 1]
        ENDTRY
        SHOW "left ", [scratch + 0x1ff8], 16
        NEWLINE
        CR4SET 0x600
        ACROSS "movups"
        MARK
        movups [rbx - 8], xmm0
        ENDTRY
        ACROSS "movups of the absent one"
        MARK
        movups xmm0, [rsi - 8]
        ENDTRY
        ACROSS "fxsave"
        lea rax, [rbx - 0x100]
        MARK
        fxsave [rax]
        ENDTRY
        ACROSS "movsq"
        lea rdi, [rbx - 12]
        lea rsi, [multiboot]
        mov ecx, 4
        MARK
        rep movsq
        ENDTRY
        SHOW "left ", [scratch + 0x1ff8], 16
        NEWLINE
        ACROSS "stosb down"
        mov rdi, SMALL + 0x4002
        mov ecx, 10
        std
        MARK
        rep stosb
        ENDTRY
        TRY3 "3: store"
        mov rbx, SMALL + 0x2000
        mov [rbx - 2], eax
        END3
        mov dword [scratch + 0x2ffc], 0xb8909090 ; mov eax, imm32
        ACROSS "code across"
        mov rbx, SMALL + 0x2ffc
        jmp rbx
        ENDTRY
        mov dword [scratch + 0x2ffc], 0x90909090
        ACROSS "code up to the end"
        mov rbx, SMALL + 0x2ffc
        jmp rbx
        ENDTRY

        ; the CPU's own tables in pages that are absent, or users'
        ; (an LDT, for the handlers need the GDT)
        mov rax, scratch + 0x1000 + 7
        mov [small_pt + 8], rax
        lea rsi, [gdt]
        lea rdi, [scratch + 0x1000]
        mov ecx, gdt_end - gdt
        rep movsb
        mov word [gdt + LDTSEL], 0xfff
        mov word [gdt + LDTSEL + 2], 0x1000
        mov byte [gdt + LDTSEL + 4], (SMALL >> 16) & 0xff
        mov byte [gdt + LDTSEL + 7], SMALL >> 24
        FLUSH
        mov eax, LDTSEL
        lldt ax
        TRY "ldt in a user's page"
        mov eax, DATA0 | 4
        mov ds, eax
        ENDTRY
        CR4SET 1 << 21
        TRY "ldt in a user's page, SMAP"
        mov eax, DATA0 | 4
        MARK
        mov ds, eax
        ENDTRY
        TRY3 "3: ldt in a user's page, SMAP"
        mov eax, DATA3 | 4
        mov ds, eax
        END3
        mov qword [user_flags], 0x40002
        TRY3 "3: ldt in a user's page, SMAP, AC"
        mov eax, DATA3 | 4
        mov ds, eax
        END3
        mov qword [user_flags], 2
        TRY "ldt in a user's page, SMAP, AC"
        stac
        mov rbx, SMALL + 0x1000
        mov rax, [rbx]           ; which the program may read
        mov eax, DATA0 | 4
        MARK
        mov ds, eax
        ENDTRY
        clac
        CR4CLEAR 1 << 21
        mov qword [small_pt + 8], 0
        FLUSH
        TRY "ldt absent"
        mov eax, DATA0 | 4
        MARK
        mov ds, eax
        ENDTRY
        TRY3 "3: ldt absent"
        mov eax, DATA3 | 4
        mov ds, eax
        END3
        TRY "lar"
        mov eax, DATA0 | 4
        MARK
        lar ebx, eax
        ENDTRY
        TRY "far return"
        push CODE0 | 4
        push 0
        MARK
        retfq
        ENDTRY
        TRY "iretq"
        push DATA0 | 4
        push 0
        push 2
        push CODE0
        push 0
        MARK
        iretq
        ENDTRY
        mov rax, scratch + 0x1000 + 5
        mov [small_pt + 8], rax
        TRY "ldt read only"
        mov eax, RDATA | 4
        MARK
        mov ds, eax
        ENDTRY
        TRY "ldt read only, descriptor not accessed"
        and byte [scratch + 0x1000 + RDATA + 5], ~1
        mov eax, RDATA | 4
        MARK
        mov ds, eax
        ENDTRY
        and byte [scratch + 0x1000 + CODE32 + 5], ~1
        TRY "far return to 32-bit code, ldt read only, not accessed"
        mov rsi, 0x123456789abcdef0
        push CODE32 | 4
        push leave_ok
        MARK
        retfq
        ENDTRY
        SHOW "rsi ", rsi, 16     ; whole
        NEWLINE
        ; an IDT of which one gate is in an absent page
        mov word [other_gdt], 0xfff
        mov rax, SMALL + 0x3000 - 0x800
        mov [other_gdt + 2], rax
        lea rsi, [idt]
        lea rdi, [scratch + 0x3000 - 0x800]
        mov ecx, 0x800
        rep movsb
        lidt [other_gdt]
        TRY "int, gate absent"
        int 0x90
        ENDTRY
        TRY3 "3: int, gate absent"
        int 0x90
        END3
        lidt [idtr]
        ; the stack of a handler
        mov rax, SMALL + 0x3008
        mov [tss + 4], rax
        mov byte [idt + 14 * 16 + 4], 1
        TRY3 "3: ud2, stack absent"
        ud2
        END3
        mov rax, SMALL + 0x3000
        mov [tss + 4], rax
        TRY3 "3: ud2, stack read only"
        ud2
        END3
        mov byte [idt + 14 * 16 + 4], 0
        lea rax, [inner_stack]
        mov [tss + 4], rax
        ret

; fresh entries, for pages of [size]
fresh:  push rax
        mov rax, w_pdpt + 7
        mov [E4], rax
        mov rax, w_pd + 7
        mov [E3], rax
        mov rax, w_pt + 7
        mov [E2], rax
        mov rax, FRAME + 7
        mov [E1], rax
        cmp byte [size], 2
        jb .done
        je .two
        mov qword [E3], 0x87
        jmp .done
.two:   mov rax, FRAME + 0x87
        mov [E2], rax
.done:  FLUSH
        pop rax
        ret

; prints the accessed and dirty bits of the entries
marks:  push rax
        PRINT " "
%macro MARKED 1
        mov rax, [%1]
        and eax, 0x60
        shr eax, 5
        SHOW "", rax, 1
%endmacro
        MARKED E4
        MARKED E3
        MARKED E2
        MARKED E1
        NEWLINE
        pop rax
        ret

three:  SHOW " ", [rbx], 2
        SHOW " ", [rsi], 2
        SHOW " ", [rdi], 2
        PRINT ";"
        ret

; prints what six accesses give
row:    FLUSH
        pushfq
        pop qword [row_flags]
        mov [row_rsp], rsp
        lea rax, [faulted]
        mov [hook], rax
%macro ACCESS 1+
        lea rax, [%%next]
        mov [after], rax
        mov rbx, LINEAR
        mov eax, 0xc3
        %1
        PRINT " --"
%%next:
%endmacro
        ACCESS mov al, [rbx]
        ACCESS mov [rbx], al
        ACCESS call rbx
        PRINT ","
%assign k 0
%rep 3
        lea rax, [.n %+ k]
        mov [after], rax
        push DATA3
        push user_stack + USER
        push qword [user_flags]
        push CODE3L
        mov rax, user_code + USER + k * 32
        push rax
        iretq
.n %+ k:
%assign k k + 1
%endrep
        mov qword [hook], 0
        NEWLINE
        ret

align 32
user_code: mov rbx, LINEAR
        mov al, [rbx]
        int 0x80
align 32
        mov rbx, LINEAR
        mov al, 0xc3
        mov [rbx], al
        int 0x80
align 32
        mov rbx, LINEAR
        call rbx
        int 0x80

faulted: mov eax, DATA0
        mov ss, eax
        cmp ebx, 0x80
        je .none
        pop rax
        mov rsp, [row_rsp]
        cmp ebx, 14
        je .code
        SHOW " #", rbx, 2
.code:  SHOW " ", rax, 2
        mov rax, cr2
        mov rbx, LINEAR
        cmp rax, rbx
        je .on
        SHOW "?", rax, 16
.on:    push qword [row_flags]
        popfq
        jmp [after]
.none:  mov rsp, [row_rsp]
        PRINT " --"
        jmp .on

repairs: pop rax                 ; error code
        SHOW " ", rax, 2
        mov rax, cr2
        SHOW " cr2 ", rax, 16
        NEWLINE
        push rbx
        mov rbx, [repair_at]
        mov rax, [repair]
        xor [rbx], rax
        pop rbx
        mov rax, [saved_rax]
        mov rbx, [saved_rbx]
        iretq

align 8
after:  dq 0
row_rsp: dq 0
row_flags: dq 0
repair_at: dq 0
repair: dq 0
other_gdt: dw 0, 0, 0, 0, 0
size:   db 1
align 4096
w_pdpt: times 512 dq 0
w_pd:   times 512 dq 0
w_pt:   times 512 dq 0
        FINISH
