%include "common.inc"
; Real mode: exceptions through the vector table, limits, far transfers,
; unreal mode, shadows of STI and MOV SS, HLT (SDM volume 3, chapter 20).

RSEG    equ 0x800               ; real-mode code at 0x8000
IVT     equ 0x20000

; R "name" ... REND: a line with the exception (vector, IP from the start) or ok
%macro R 1
%push r
        mov si, %%name - rbase
        call rputs
        mov word [cs:rresume - rbase], %$next - rbase
        mov word [cs:rmark - rbase], %$start - rbase
                jmp %$start
%%name: db %1, ": ", 0
%$start:
%endmacro
%macro REND 0
        call rok
%$next:
%pop
%endmacro

main:
        ; a 16-bit code segment with base 0x8000
        mov dword [gdt + FREE], 0x8000ffff
        mov dword [gdt + FREE + 4], 0x00009a00
        mov esi, real_image
        mov edi, 0x8000
        mov ecx, real_end - real_image
        rep movsb
        mov edi, IVT
        mov eax, (RSEG << 16) + (rstubs_ - rbase)
        mov ecx, 256
.ivt:   stosd
        add eax, 5
        loop .ivt
        lidt [.ridt]
        mov [saved_stack], esp
        jmp FREE:renter - rbase
.ridt:  dw 0x3ff
        dd IVT
back32: ; from real mode
        mov ax, DATA0
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov esp, [saved_stack]
        lidt [idtr]
        ret
saved_stack: dd 0

real_image:
rbase:
bits 16
renter: mov ax, DATA16
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov fs, ax
        mov gs, ax
        mov eax, cr0
        and al, 0xfe
        mov cr0, eax
        jmp RSEG:.real - rbase
.real:  xor ax, ax
        mov ss, ax
        mov sp, 0x7000
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        R "div by 0"
        xor cx, cx
        div cx
        REND
        R "int 0x21"
        int 0x21
        REND
        R "word at ffff"
        mov ax, [0xffff]
        REND
        R "dword at fffd, write"
        mov [0xfffd], eax
        REND
        R "word at ffff of ss"
        mov bp, 0xffff
        mov ax, [bp]
        REND
        R "32-bit offset above 64K"
        mov eax, 0x10000
        mov al, [eax]
        REND
        R "push wraps"
        xor sp, sp
        push ax
        mov ax, sp
        call rhex
        REND
        R "jmp beyond ffff"
        mov eax, 0x10000
        jmp eax
        REND
        R "far call and return"
        call RSEG:rfar - rbase
        REND
        R "write to cs"
        mov byte [cs:rscratch - rbase], 1
        REND
        R "mov cs"
        db 0x8e, 0xc8
        REND
        R "arpl"
        db 0x63, 0xc0
        REND
        R "lldt"
        lldt ax
        REND
        R "str"
        str ax
        REND
        R "verr"
        verr ax
        REND
        R "bound"
        mov bx, 5
        bound bx, [cs:rbounds - rbase]
        REND
        R "pushf popf"
        push word 0xffff
        popf
        pushf
        push word 0x0002
        popf
        pop ax
        and ax, ~0x100          ; TF came back
        call rhex
        REND
        R "iret with IOPL"
        push word 0x3002
        push cs
        push word .after - rbase
        iret
.after: pushf
        pop ax
        call rhex
        REND
        R "lock"
        db 0xf0, 0x90
        REND
        R "into"
        mov al, 0x7f
        inc al
        into
        REND
        R "int3"
        int3
        REND
        R "bad opcode"
        ud2
        REND
        R "sgdt"
        sub sp, 8
        mov bp, sp
        sgdt [bp]
        mov ax, [bp]
        call rhex
        REND
        R "a20: ffff:0010 is 1 MB"
        mov ax, 0xffff
        mov es, ax
        mov ax, [es:0x10]
        call rhex
        REND
        R "vector beyond the limit"
        mov word [cs:rscratch - rbase], 0x3f
        lidt [cs:rscratch - rbase]
        int 0x21
        REND
        mov word [cs:rscratch - rbase], 0x3ff
        lidt [cs:rscratch - rbase]
        ; unreal mode: a 4 GB limit outlives protected mode
        mov eax, cr0
        or al, 1
        mov cr0, eax
        mov bx, DATA0
        mov es, bx
        and al, 0xfe
        mov cr0, eax
        xor bx, bx
        mov es, bx
        R "unreal"
        mov ebx, 0x100000
        mov eax, [es:ebx]
        call rhex
        REND
        ; back
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp dword CODE0:back32

rfar:   mov bp, sp
        mov ax, [bp + 2]
        call rhex
        retf
rok:    push cs
        pop ds
        mov si, rtext_ok - rbase
        call rputs
        jmp rleave
rputs:  push ax
.next:  mov al, [cs:si]
        inc si
        test al, al
        jz .done
        out 0xe9, al
        jmp .next
.done:  pop ax
        ret
rhex:   push cx
        push ax
        mov cx, 4
.next:  rol ax, 4
        push ax
        and al, 15
        cmp al, 10
        jb .d
        add al, 'a' - 10 - '0'
.d:     add al, '0'
        out 0xe9, al
        pop ax
        loop .next
        mov al, ' '
        out 0xe9, al
        pop ax
        pop cx
        ret
rcaught: ; [sp]: return address of the stub, ip, cs, flags
        pop bx
        sub bx, rstubs_ - rbase + 3
        mov ax, bx
        mov bl, 5
        div bl
        xor ah, ah
        mov si, rtext_exc - rbase
        call rputs
        call rhex
        mov si, rtext_ip - rbase
        call rputs
        pop ax
        sub ax, [cs:rmark - rbase]
        call rhex
        pop ax
        call rhex
        mov al, 10
        out 0xe9, al
rleave: xor ax, ax
        mov ss, ax
        mov sp, 0x7000
        mov ds, ax
        mov es, ax
        push word 2
        popf
        jmp [cs:rresume - rbase]
rtext_ok: db "ok", 10, 0
rtext_exc: db "#", 0
rtext_ip: db "ip+", 0
rresume: dw 0
rmark:  dw 0
rbounds: dw -1, 4
rscratch: dw 0
        dd IVT
rstubs_:
%rep 256
        call rcaught            ; 3 bytes
        nop
        nop
%endrep
bits 32
real_end:
        FINISH
