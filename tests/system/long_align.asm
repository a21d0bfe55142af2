%include "long.inc"
; Alignment checks in 64-bit mode and in compatibility mode: which accesses are
; checked and by how much (SDM volume 3, 6.15, #AC and table 6-7), and what goes
; before it. An EPYC has the same rows, but #AC for FXSAVE and FXRSTOR by 1 and
; 2, which the manual leaves open, and none for BOUND; SGDT is the manual's
; (3.5.1). It, too, finds #AC before #PF.

DATA   equ scratch + USER
HOLE   equ 0x800000000000

; misaligned by 1, 2, 4 and 8 at level 3: name, and instructions on [rbx]
%macro ROW 2+
        PRINT %1
        PRINT ":"
        lea r12, [%%code + USER]
        call row
        jmp %%over
%%code: %2
        int 0x80
%%over:
%endmacro
; the same in compatibility mode
%macro ROW32 2+
        PRINT %1
        PRINT ":"
        lea r12, [%%code + USER]
        mov word [row_cs], CODE3
        call row
        mov word [row_cs], CODE3L
        jmp %%over
bits 32
%%code: %2
        int 0x80
bits 64
%%over:
%endmacro

main:   mov rax, cr4
        or eax, 0x600            ; OSFXSR, OSXMMEXCPT
        bts eax, 18
        mov cr4, rax
        mov eax, 7
        xor edx, edx
        xor ecx, ecx
        xsetbv
        call rows                ; without AM nothing is checked
        mov rax, cr0
        or eax, 0x40000
        mov cr0, rax
        PRINTLN "AM: misaligned by 0, 1, 2, 4, 8"
        call rows
        mov byte [flags + 2], 0
        PRINTLN "AM, AC clear"
        ROW "qword", mov rax, [rbx]
        mov byte [flags + 2], 4
        ; what goes before it
        PRINTLN "other faults"
        mov qword [user_flags], 0x40002
        TRY3 "3: not canonical"
        mov rbx, HOLE + 1
        mov rax, [rbx]
        END3
        TRY3 "3: stack not canonical"
        mov rsp, HOLE + 1
        push rax
        END3
        TRY3 "3: not present"
        mov rbx, SMALL + 0x100001
        mov rax, [rbx]
        END3
        TRY3 "3: the supervisor's"
        mov rbx, scratch + 1
        mov rax, [rbx]
        END3
        TRY3 "3: across a page, the second not present"
        mov rbx, SMALL + 0xffff
        mov eax, [rbx]
        END3
        TRY3 "3: write, across a page, the second not present"
        mov rbx, SMALL + 0xffff
        mov [rbx], eax
        END3
        mov qword [user_flags], 2
        push 0x40002
        popfq
        TRY "level 0"
        mov rax, [scratch + 1]
        ENDTRY
        ; a handler clears nothing: AC is in the image
        push 2
        popfq
        ret

rows:   ROW "byte", mov al, [rbx]
        ROW "word", mov ax, [rbx]
        ROW "dword", mov eax, [rbx]
        ROW "qword", mov rax, [rbx]
        ROW "word, write", mov [rbx], ax
        ROW "dword, write", mov [rbx], eax
        ROW "qword, write", mov [rbx], rax
        ROW "qword, add", add [rbx], rax
        ROW "dword, movsxd", movsxd rax, dword [rbx]
        ROW "word, movzx", movzx eax, word [rbx]
        ROW "lock xadd", lock xadd [rbx], rax
        ROW "xchg", xchg [rbx], eax
        ROW "cmpxchg8b", cmpxchg8b [rbx]
        ROW "bt dword", bt dword [rbx], 3
        ROW "bts qword", bts qword [rbx], 3
        ROW "movnti", movnti [rbx], rax
        ROW "push of memory", push qword [rbx]
        ROW "pop to memory", pop qword [rbx]
        lea r12, [.push + USER]
        PRINT "push:"
        call row
        PRINT "pop:"
        lea r12, [.pop + USER]
        call row
        PRINT "call:"
        lea r12, [.call + USER]
        call row
        PRINT "enter:"
        lea r12, [.enter + USER]
        call row
        PRINT "pushw:"
        lea r12, [.pushw + USER]
        call row
        ROW "jmp indirect", jmp [rbx]
        PRINT "lodsq:"
        lea r12, [.lods + USER]
        call row
        PRINT "rep stosd:"
        lea r12, [.stos + USER]
        call row
        PRINT "movsw:"
        lea r12, [.movs + USER]
        call row
        ROW "lock cmpxchg8b", lock cmpxchg8b [rbx]
        ROW "cmpxchg16b", cmpxchg16b [rbx]
        PRINT "bt by register:"
        lea r12, [.bt + USER]
        call row
        ROW "movbe", movbe rax, [rbx]
        ROW "crc32", crc32 rax, qword [rbx]
        ROW "lar", lar eax, [rbx]
        ROW "mov from a segment", mov [rbx], ds
        ROW "lss", lss eax, [rbx]
        ROW "lgs", lgs eax, [rbx]
        ROW "lgs of 80 bits", lgs rax, [rbx]
        ROW "sgdt", sgdt [rbx]
        ROW "fld m32", fld dword [rbx]
        ROW "fld m64", fld qword [rbx]
        ROW "fld m80", fld tword [rbx]
        PRINT "fstp m80:"
        lea r12, [.fstp + USER]
        call row
        ROW "fild m64", fild qword [rbx]
        ROW "fild m16", fild word [rbx]
        ROW "fnstcw", fnstcw [rbx]
        ROW "fnstenv", fnstenv [rbx]
        ROW "fnstenv, 16 bits", o16 fnstenv [rbx]
        ROW "fldenv", fldenv [rbx]
        ROW "frstor", frstor [rbx]
        ROW "fldcw", fldcw [rbx]
        ROW "fbld", fbld [rbx]
        ROW "fnsave", fnsave [rbx]
        ROW "fbstp", fbstp [rbx]
        ROW "movq mmx", movq mm0, [rbx]
        ROW "movss", movss xmm0, [rbx]
        ROW "movsd", movsd xmm0, [rbx]
        ROW "movups", movups xmm0, [rbx]
        ROW "movups, store", movups [rbx], xmm0
        ROW "movhps", movhps xmm0, [rbx]
        ROW "pinsrw", pinsrw xmm0, [rbx], 1
        ROW "pextrw", pextrw [rbx], xmm0, 1
        ROW "movaps", movaps xmm0, [rbx]
        ROW "lddqu", lddqu xmm0, [rbx]
        ROW "ldmxcsr", ldmxcsr [rbx]
        ROW "stmxcsr", stmxcsr [rbx]
        ROW "vmovups ymm", vmovups ymm0, [rbx]
        ROW "vmovdqa ymm", vmovdqa ymm0, [rbx]
        ROW "vmovups ymm, store", vmovups [rbx], ymm0
        ROW "vaddps ymm", vaddps ymm0, ymm1, [rbx]
        ROW "vpmovzxbw ymm", vpmovzxbw ymm0, [rbx]
        ROW "vbroadcasti128", vbroadcasti128 ymm0, [rbx]
        PRINT "vmaskmovps:"
        lea r12, [.maskmov + USER]
        call row
        PRINT "vpgatherdd:"
        lea r12, [.gather + USER]
        call row
        PRINT "maskmovdqu:"
        lea r12, [.maskdqu + USER]
        call row
        PRINT "xsave:"
        lea r12, [.xsave + USER]
        call row
        ROW "clflush", clflush [rbx]
        ROW "prefetch", prefetcht0 [rbx]
        ROW "vaddps xmm", vaddps xmm0, xmm1, [rbx]
        ROW "fxsave", fxsave [rbx]
        ROW "fxrstor", fxrstor [rbx]
        ROW32 "32: dword", mov eax, [ebx]
        ROW32 "32: qword", fld qword [ebx]
        ROW32 "32: bound", bound eax, [ebx]
        ROW32 "32: les", les eax, [ebx]
        NEWLINE
        ret
.bt:    xor eax, eax
        bt [rbx], rax
        int 0x80
.gather: vpcmpeqd xmm0, xmm0, xmm0
        vpxor xmm1, xmm1, xmm1
        vpgatherdd xmm2, [rbx + xmm1], xmm0
        int 0x80
.maskmov: vpcmpeqd xmm0, xmm0, xmm0
        vmaskmovps xmm2, xmm0, [rbx]
        int 0x80
.maskdqu: mov rdi, rbx
        maskmovdqu xmm0, xmm0
        int 0x80
.fstp:  fldz
        fstp tword [rbx]
        int 0x80
.xsave: mov eax, 1
        xor edx, edx
        xsave [rbx]
        int 0x80
.push:  mov rsp, rbx
        push rax
        int 0x80
.pop:   mov rsp, rbx
        pop rax
        int 0x80
.call:  mov rsp, rbx
        call .called
.called: int 0x80
.enter: mov rsp, rbx
        enter 0, 0
        int 0x80
.pushw: mov rsp, rbx
        push ax
        int 0x80
.lods:  mov rsi, rbx
        lodsq
        int 0x80
.stos:  mov rdi, rbx
        mov ecx, 2
        rep stosd
        int 0x80
.movs:  mov rsi, rbx
        mov edi, DATA + 0x200
        movsw
        int 0x80

; code R12 with RBX misaligned by each; a letter each: - or the vector
row:    push rbx
        push r12
        lea rax, [.caught]
        mov [hook], rax
        xor r13d, r13d
.next:  mov [resume_rsp], rsp
        ; what it reads: zeroes, which is a state that FXRSTOR takes
        lea rdi, [scratch]
        xor eax, eax
        mov ecx, 0x400 / 8
        rep stosq
        mov dword [scratch + 24 + 0x100], 0x1f80
        lea rbx, [rel landing + USER]
        fninit
        ldmxcsr [mxcsr]
        lea rax, [distances]
        movzx ebx, byte [rax + r13]
        add ebx, DATA + 0x100
        mov ecx, DATA3
        mov ds, ecx
        mov es, ecx
        push DATA3
        push user_stack + USER
        push qword [flags]
        push qword [row_cs]
        push r12
        iretq
.caught: mov rsp, [resume_rsp]
        mov eax, DATA0
        mov ss, eax
        mov ds, eax
        mov es, eax
        push 2
        popfq
        mov al, '-'
        cmp ebx, 0x80
        je .put
        mov al, bl
        add al, '0'
        cmp bl, 10
        jb .put
        add al, 'a' - 10 - '0'   ; d #GP, h #AC
.put:   out 0xe9, al
        inc r13d
        cmp r13d, 5
        jb .next
        mov qword [hook], 0
        NEWLINE
        pop r12
        pop rbx
        ret
landing: int 0x80
distances: db 0, 1, 2, 4, 8
align 8
flags:  dq 0x40002
row_cs: dq CODE3L
mxcsr:  dd 0x1f80
        FINISH
