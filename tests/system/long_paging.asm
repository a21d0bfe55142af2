%include "long.inc"
; Paging of four levels: pages of 4 KB, 2 MB and 1 GB, access rights, no-execute,
; SMEP, SMAP, reserved bits, accessed and dirty bits, PCIDs (SDM volume 3, 4.5 to
; 4.10), and UMIP.

PT     equ small_pt
%define PAGE(n) (SMALL + (n) * 4096)

; sets entry n of the small pages' table
%macro SET 2
        mov rax, %2
        mov [PT + (%1) * 8], rax
        mov rax, PAGE(%1)
        invlpg [rax]
%endmacro
; sets bits of CR4
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
%macro LOAD 2
        TRY %1
        mov rbx, %2
        MARK
        mov eax, [rbx]
        ENDTRY
%endmacro
%macro STORE 2
        TRY %1
        mov rbx, %2
        MARK
        mov [rbx], ecx
        ENDTRY
%endmacro
%macro CALLS 2
        TRY %1
        mov rbx, %2
        call rbx
        ENDTRY
%endmacro
%macro LOAD3 2
        TRY3 %1
        mov rbx, %2
        mov eax, [rbx]
        END3
%endmacro
%macro STORE3 2
        TRY3 %1
        mov rbx, %2
        mov [rbx], ecx
        END3
%endmacro
%macro CALLS3 2
        TRY3 %1
        mov rbx, %2
        call rbx
        END3
%endmacro

main:
        ; code that returns, in each small page
        mov ecx, 16
        mov rdi, scratch
.ret:   mov byte [rdi], 0xc3
        mov [rdi + 8], ecx
        add rdi, 4096
        dec ecx
        jnz .ret

        ; aliases
        mov rbx, HIGH
        mov eax, [rbx + multiboot]
        SHOW "high ", rax, 8
        mov eax, [USER + multiboot]
        SHOW " user ", rax, 8
        mov rbx, SMALL + 8
        mov eax, [rbx]
        SHOW " small ", rax, 8
        mov qword [pdpt + 16], 0x83 | 4
        mov ebx, 0x80000000
        mov eax, [rbx + multiboot]
        SHOW " 1 GB ", rax, 8
        mov rdx, HIGH
        mov eax, [rdx + rbx + multiboot]
        SHOW " high ", rax, 8
        NEWLINE
        mov rbx, pd + 8
        and qword [rbx], ~0x60
        mov rbx, cr3
        mov cr3, rbx
        mov rax, [abs 0x200000]
        mov rbx, [pd + 8]
        SHOW "2 MB read ", rbx, 16
        mov [abs 0x200000], rax
        mov rbx, [pd + 8]
        SHOW " written ", rbx, 16
        mov rbx, [pdpt + 16]
        SHOW " 1 GB read ", rbx, 16
        mov rbx, [pml4 + 256 * 8]
        sub rbx, pdpt
        SHOW " top ", rbx, 16
        NEWLINE
        SET 1, scratch + 0x1000 + 7
        mov rbx, PAGE(1)
        mov eax, [rbx]
        mov rdx, [PT + 8]
        sub rdx, scratch
        SHOW "4 KB read ", rdx, 16
        mov [rbx], eax
        mov rdx, [PT + 8]
        sub rdx, scratch
        SHOW " written ", rdx, 16
        NEWLINE

        ; rights
        SET 2, scratch + 0x2000 + 3
        LOAD3 "3: load, supervisor's page", PAGE(2)
        STORE3 "3: store, supervisor's page", PAGE(2)
        CALLS3 "3: call, supervisor's page", PAGE(2)
        SET 3, scratch + 0x3000 + 5
        LOAD3 "3: load, read only", PAGE(3)
        STORE3 "3: store, read only", PAGE(3)
        STORE "store, read only", PAGE(3)
        mov rax, cr0
        btr rax, 16
        mov cr0, rax
        STORE "store, read only, without WP", PAGE(3)
        STORE3 "3: store, read only, without WP", PAGE(3)
        mov rax, cr0
        bts rax, 16
        mov cr0, rax
        LOAD "load, not present", PAGE(100)
        STORE "store, not present", PAGE(100)
        CALLS "call, not present", PAGE(100)
        LOAD3 "3: load, no table", SMALL + 0x400000
        LOAD "load, no directory", HIGH + 0x8000000000
        LOAD "load, no directory below", 0x123456789000
        and byte [pd_small], ~2
        mov rax, cr3
        mov cr3, rax
        STORE3 "3: store, directory read only", PAGE(1)
        or byte [pd_small], 2
        and byte [pdpt + 24], ~4
        mov rax, cr3
        mov cr3, rax
        LOAD3 "3: load, supervisor's directory", PAGE(1)
        or byte [pdpt + 24], 4
        mov rax, cr3
        mov cr3, rax
        LOAD3 "3: load", PAGE(1)

        ; no-execute
        SET 4, scratch + 0x4000 + 7 + (1 << 63)
        LOAD "load, no-execute", PAGE(4)
        CALLS "call, no-execute", PAGE(4)
        CALLS3 "3: call, no-execute", PAGE(4)
        bts qword [pd_small], 63
        mov rax, cr3
        mov cr3, rax
        CALLS "call, directory no-execute", PAGE(1)
        btr qword [pd_small], 63
        mov rax, cr3
        mov cr3, rax
        CALLS "call", PAGE(1)
        mov ecx, 0xc0000080
        rdmsr
        btr eax, 11
        wrmsr
        LOAD "load, no-execute without NXE", PAGE(4)
        CALLS "call, not present, without NXE", PAGE(100)
        mov ecx, 0xc0000080
        rdmsr
        bts eax, 11
        wrmsr
        ; reserved bits
        SET 5, scratch + 0x5000 + 7 + (1 << 51)
        LOAD "load, physical address too large", PAGE(5)
        SET 5, scratch + 0x5000 + 7 + (1 << 52) + (0x7f << 56) + 0xe00
        LOAD "load, ignored bits", PAGE(5)
        or dword [pdpt + 16], 0x4000
        mov rax, cr3
        mov cr3, rax
        LOAD "load, 1 GB, reserved bit", 0x80000000
        and dword [pdpt + 16], ~0x4000
        or dword [pd + 16], 0x4000
        mov rax, cr3
        mov cr3, rax
        LOAD "load, 2 MB, reserved bit", 0x400000
        and dword [pd + 16], ~0x4000
        or byte [pml4 + 256 * 8], 0x80
        mov rax, cr3
        mov cr3, rax
        LOAD "load, large page at the top", HIGH
        and byte [pml4 + 256 * 8], ~0x80

        ; an address above 4 GB that nothing answers
        SET 6, (1 << 36) + 7
        LOAD "load, nothing there", PAGE(6)
        ; a page that changes
        SET 7, scratch + 0x7000 + 7
        mov rbx, PAGE(7)
        mov eax, [rbx + 8]
        SHOW "page ", rax, 2
        SET 7, scratch + 0x8000 + 7
        mov eax, [rbx + 8]
        SHOW " then ", rax, 2
        mov rax, scratch + 0x9000 + 7
        mov [PT + 7 * 8], rax
        mov rax, cr3
        mov cr3, rax
        mov eax, [rbx + 8]
        SHOW " then ", rax, 2
        NEWLINE

        ; SMEP
        CR4SET 1 << 20
        CALLS "call, user's page, SMEP", PAGE(1)
        CALLS "call, supervisor's page, SMEP", PAGE(2)
        CALLS3 "3: call, user's page, SMEP", PAGE(1)
        LOAD "load, user's page, SMEP", PAGE(1)
        CR4CLEAR 1 << 20
        CALLS "call, user's page", PAGE(1)
        ; SMAP
        CR4SET 1 << 21
        LOAD "load, user's page, SMAP", PAGE(1)
        STORE "store, user's page, SMAP", PAGE(1)
        CALLS "call, user's page, SMAP", PAGE(2)
        TRY "load, user's page, SMAP, AC"
        mov rbx, PAGE(1)
        stac
        mov eax, [rbx]
        clac
        MARK
        mov eax, [rbx]
        ENDTRY
        TRY "load, user's page, SMAP, AC by POPF"
        mov rbx, PAGE(1)
        push 0x40002
        popfq
        mov eax, [rbx]
        mov [rbx], eax
        push 2
        popfq
        MARK
        mov eax, [rbx]
        ENDTRY
        TRY "stores, user's page, SMAP, AC, many times"
        mov rbx, PAGE(1)
        mov ecx, 200
.many:  mov rax, cr3
        mov cr3, rax
        stac
        mov [rbx], ecx
        mov eax, [rbx + 8]
        clac
        dec ecx
        jnz .many
        ENDTRY
        ; what AC let through is not seen without it, nor is what has changed
        TRY "load, user's page, SMAP, AC again and again"
        mov rbx, PAGE(1)
        mov ecx, 200
        xor edx, edx
.again: stac
        add edx, [rbx + 8]
        mov [rbx + 16], edx
        clac
        dec ecx
        jnz .again
        SHOW "sum ", rdx, 8
        MARK
        mov eax, [rbx]
        ENDTRY
        TRY "store, user's page, SMAP, after AC"
        mov rbx, PAGE(1)
        stac
        mov [rbx + 16], eax
        clac
        MARK
        mov [rbx + 16], eax
        ENDTRY
        ; by turns: code that has run before
        TRY "another page by INVLPG, SMAP, AC"
        mov rbx, PAGE(1)
        mov ecx, 9
        xor edx, edx
.turn:  mov rax, scratch + 0x4000 + 7
        test cl, 1
        jz .even
        add rax, 0x1000
.even:  mov [PT + 8], rax
        invlpg [rbx]
        stac
        imul edx, edx, 3
        add edx, [rbx + 8]
        clac
        dec ecx
        jnz .turn
        SHOW "sum ", rdx, 8
        ENDTRY
        TRY "another page by CR3, SMAP, AC"
        mov rbx, PAGE(1)
        mov ecx, 9
        xor edx, edx
.turn3: mov rax, scratch + 0x4000 + 7
        test cl, 1
        jz .even3
        add rax, 0x1000
.even3: mov [PT + 8], rax
        mov rax, cr3
        mov cr3, rax
        stac
        imul edx, edx, 3
        add edx, [rbx + 8]
        clac
        dec ecx
        jnz .turn3
        SHOW "sum ", rdx, 8
        ENDTRY
        TRY "no page any more, SMAP, AC"
        mov rbx, PAGE(1)
        stac
        mov ecx, [rbx + 8]
        clac
        SET 1, 0
        mov rbx, PAGE(1)
        stac
        MARK
        mov ecx, [rbx + 8]
        ENDTRY
        SET 1, scratch + 0x1000 + 7
        TRY "read-only, SMAP, AC"
        mov rbx, PAGE(1)
        stac
        mov [rbx + 16], ecx
        clac
        SET 1, scratch + 0x1000 + 5
        mov rbx, PAGE(1)
        stac
        mov ecx, [rbx + 8]
        MARK
        mov [rbx + 16], ecx
        ENDTRY
        SET 1, scratch + 0x1000 + 7
        TRY "code written through a user's page, SMAP, AC"
        xor edx, edx
        mov ecx, 200
        mov rbx, PAGE(1)
.write: stac
        mov byte [rbx + 0x100], 0xb0   ; mov al, cl; ret
        mov [rbx + 0x101], cl
        mov byte [rbx + 0x102], 0xc3
        clac
        call scratch + 0x1000 + 0x100
        movzx eax, al
        add edx, eax
        dec ecx
        jnz .write
        SHOW "sum ", rdx, 8
        ENDTRY
        TRY "twenty pages, SMAP, AC"
        mov ecx, 20
        xor edx, edx
        mov rbx, USER + scratch
        stac
.pages: cmp dword [rbx], -1
        adc edx, 1
        add rbx, 4096
        dec ecx
        jnz .pages
        clac
        SHOW "pages ", rdx, 2
        sub rbx, 4096
        MARK
        mov eax, [rbx]
        ENDTRY
        LOAD3 "3: load, SMAP", PAGE(1)
        mov qword [user_flags], 0x40002
        LOAD3 "3: load, SMAP, AC", PAGE(1)
        mov qword [user_flags], 2
        TRY3 "3: stac"
        stac
        END3
        CR4CLEAR 1 << 21
        LOAD "load, user's page", PAGE(1)
        ; UMIP
        CR4SET 1 << 11
        TRY3 "3: sgdt, UMIP"
        sgdt [user_stack + USER - 64]
        END3
        TRY3 "3: sidt, UMIP"
        sidt [user_stack + USER - 64]
        END3
        TRY3 "3: sldt, UMIP"
        sldt eax
        END3
        TRY3 "3: str, UMIP"
        str eax
        END3
        TRY3 "3: smsw, UMIP"
        smsw eax
        END3
        TRY "sgdt, UMIP"
        sgdt [scratch]
        ENDTRY
        CR4CLEAR 1 << 11
        TRY3 "3: sgdt"
        sgdt [user_stack + USER - 64]
        END3
        TRY3 "3: smsw"
        smsw rax
        END3

%ifndef QEMU ; 7.2 has no PCIDs
        TRY "PCIDE with bits in CR3"
        mov rax, cr3
        or rax, 8
        mov cr3, rax
        mov rax, cr4
        bts rax, 17
        MARK
        mov cr4, rax
        ENDTRY
        mov rax, pml4
        mov cr3, rax
        CR4SET 1 << 17
        mov rbx, PAGE(8)
        SET 8, scratch + 0x8000 + 7
        mov rax, pml4 + 5
        mov cr3, rax
        mov eax, [rbx + 8]
        SHOW "pcid 5 ", rax, 2
        mov rax, scratch + 0x9000 + 7
        mov [PT + 8 * 8], rax
        mov rax, pml4 + 6
        mov cr3, rax
        mov eax, [rbx + 8]
        SHOW " pcid 6 ", rax, 2
        mov rax, scratch + 0xa000 + 7
        mov [PT + 8 * 8], rax
        sub rsp, 16
        mov qword [rsp], 6
        mov [rsp + 8], rbx
        xor ecx, ecx
        invpcid rcx, [rsp]
        mov eax, [rbx + 8]
        SHOW " invpcid 0 ", rax, 2
        mov rax, scratch + 0xb000 + 7
        mov [PT + 8 * 8], rax
        mov ecx, 1
        invpcid rcx, [rsp]
        mov eax, [rbx + 8]
        SHOW " 1 ", rax, 2
        mov rax, scratch + 0xc000 + 7
        mov [PT + 8 * 8], rax
        mov ecx, 2
        invpcid rcx, [rsp]
        mov eax, [rbx + 8]
        SHOW " 2 ", rax, 2
        mov rax, scratch + 0xd000 + 7
        mov [PT + 8 * 8], rax
        mov ecx, 3
        invpcid rcx, [rsp]
        mov eax, [rbx + 8]
        SHOW " 3 ", rax, 2
        mov rax, pml4 + 5
        bts rax, 63
        mov cr3, rax
        mov rax, cr3
        sub rax, pml4
        SHOW " cr3+", rax, 16
        NEWLINE
        TRY "invpcid 4"
        mov ecx, 4
        MARK
        invpcid rcx, [rsp]
        ENDTRY
        TRY "invpcid of a bad descriptor"
        mov dword [rsp + 4], 1
        mov ecx, 2
        MARK
        invpcid rcx, [rsp]
        ENDTRY
        TRY "invpcid of an address that is not canonical"
        mov qword [rsp], 0
        mov rax, 0x800000000000
        mov [rsp + 8], rax
        xor ecx, ecx
        MARK
        invpcid rcx, [rsp]
        ENDTRY
        TRY3 "3: invpcid"
        xor ecx, ecx
        invpcid rcx, [rsp - 16]
        END3
        add rsp, 16
%endif
        ret
        FINISH
