%include "common.inc"
; Virtual-8086 mode: entry, exits through gates, IOPL-sensitive instructions,
; I/O, segment limits, VME with its redirection map (SDM volume 3, chapter 20).

; V86 "name", code label: runs 16-bit code copied to 0x10000 (1000:0000) with
; the flags [v86_flags]; ends by INT 0x80 or the exception it raises.
%macro V86 2
%push v86
        PRINT %1
        PRINT ": "
        mov esi, %2
        call copy
        mov dword [resume], %$fault
        mov [resume_esp], esp
        mov dword [mark], 0
        push dword 0x5000       ; gs
        push dword 0x4000       ; fs
        push dword 0x3000       ; ds
        push dword 0x3000       ; es
        push dword 0x2000       ; ss
        push dword 0x8000       ; esp
        push dword [v86_flags]
        push dword 0x1000       ; cs
        push dword 0
        iret
%$fault:
%pop
%endmacro
%define IOPL3 0x3000

main:
        mov dword [hook], look
        V86 "registers", .r1
        jmp .n1
bits 16
.r1:    mov ax, ds
        mov bx, ss
        mov cx, fs
        mov dx, gs
        int 0x80
bits 32
.n1:    mov dword [v86_flags], 0x23002
        V86 "registers, IOPL 3", .r1
        V86 "cli sti pushf popf iret, IOPL 3", .r2
        jmp .n2
bits 16
.r2:    sti
        cli
        pushf
        popf
        pushf
        push cs
        push word .r2b - .r2
        iret
.r2b:   pushf
        pop ax
        int 0x80
bits 32
.n2:    mov dword [v86_flags], 0x20002
        V86 "cli, IOPL 0", .r3
        V86 "sti, IOPL 0", .r4
        V86 "pushf, IOPL 0", .r5
        V86 "popf, IOPL 0", .r6
        V86 "iret, IOPL 0", .r7
        V86 "int, IOPL 0", .r8
        V86 "int3, IOPL 0", .r9
        V86 "into, IOPL 0", .r10
        V86 "hlt", .r11
        V86 "mov cr0", .r12
        V86 "lmsw", .r13
        V86 "smsw", .r14
        V86 "lldt", .r15
        V86 "sldt", .r16
        V86 "lar", .r17
        V86 "arpl", .r18
        V86 "clts", .r19
        V86 "in", .r20
        V86 "in allowed", .r21
        V86 "pushfd, IOPL 0", .r22
        jmp .n3
bits 16
.r3:    cli
.r4:    sti
.r5:    pushf
.r6:    popf
.r7:    iret
.r8:    int 0x80
.r9:    int3
.r10:   mov al, 0x7f
        inc al
        into
.r11:   hlt
.r12:   mov eax, cr0
.r13:   lmsw ax
.r14:   smsw ax
        jmp short $ + 20
        times 18 nop
.r14b:  hlt
.r15:   lldt ax
.r16:   sldt ax
.r17:   lar ax, bx
.r18:   arpl ax, bx
.r19:   clts
.r20:   in al, 0x60
.r21:   in al, 0xe9
        hlt
.r22:   pushfd
bits 32
.n3:    mov dword [v86_flags], 0x23002
        V86 "in, IOPL 3", .r20
        V86 "segments", .r30
        V86 "far call and return", .r31
        V86 "limit: word at ffff", .r32
        V86 "limit: 32-bit offset", .r33
        V86 "limit: stack", .r34
%ifndef QEMU ; which runs on there
        V86 "limit: ip", .r35
%endif
        V86 "int 0x80 with a gate of level 0", .r36
        jmp .n4
bits 16
.r30:   mov ax, 0xffff
        mov ds, ax
        mov bl, [0x10]          ; ffff:0010 = 1 MB
        mov ax, 0x1000
        push ax
        pop fs
        mov cx, [fs:0]
        lgs dx, [cs:.r30p - .r30]
        mov dx, gs
        int 0x80
.r30p:  dw 0x1234, 0x5678
.r31:   call 0x1000:.r31b - .r31
        mov ax, sp
        int 0x80
.r31b:  mov bx, cs
        retf
.r32:   mov ax, [0xffff]
        hlt
.r33:   mov eax, 0x10000
        mov al, [eax]
        hlt
.r34:   mov sp, 1
        push ax
        hlt
.r35:   mov eax, 0xffff
        jmp eax
.r36:   int 0x40
bits 32
.n4:
        ; VME
        mov eax, 1
        cpuid
        test edx, 2
        jz .end
        mov eax, cr4
        or eax, 1
        mov cr4, eax
        ; vector 0x80 and above go to protected mode, others to 1000:0100
        mov edi, 0
        mov ecx, 256
        mov eax, 0x10000100
        rep stosd
        mov edi, tss + 0x68
        mov ecx, 16
        xor al, al
        rep stosb
        mov ecx, 16
        mov al, 0xff
        rep stosb
        mov dword [v86_flags], 0x20002
        V86 "VME: cli, sti", .r40
        V86 "VME: pushf", .r41
        V86 "VME: popf sets VIF", .r42
        V86 "VME: popf sets TF", .r43
        V86 "VME: int 0x21 redirected", .r44
        V86 "VME: int 0x90 not redirected", .r45
        V86 "VME: pushfd", .r22
        mov dword [v86_flags], 0x120002
        V86 "VME: sti with VIP", .r40
        V86 "VME: popf IF with VIP", .r42
        V86 "VME: iret IF with VIP", .r46
        mov dword [v86_flags], 0xa0002
        V86 "VME: iret clears VIF", .r47
        mov dword [v86_flags], 0x23202
        V86 "VME: int 0x21, IOPL 3", .r44
        mov dword [v86_flags], 0x2b202
        V86 "VME: pushf, IOPL 3", .r41
.end:   ret
bits 16
.r40:   sti
        int 0x80                ; goes to protected mode
.r41:   cli
        pushf
        pop ax
        int 0x80
.r42:   push word 0x0202
        popf
        int 0x80
.r43:   push word 0x0102
        popf
        int 0x80
.r44:   int 0x21
        mov ax, sp
        int 0x80
        times 0x100 - ($ - .r44) nop
        mov bp, sp
        mov bx, [bp + 4]
        mov cx, [bp]
        mov dx, cs
        push word 0x0000        ; IRET with IF clear
        popf
        iret
.r45:   int 0x90
.r46:   push word 0x0202
        push cs
        push word 0
        iret
.r47:   push word 0x0002
        push cs
        push word .r47b - .r47
        iret
.r47b:  int 0x80
bits 32

; the exception, then what V86 mode left: [esp] error code
look:   and dword [esp + 12], ~0x10000 ; RF: QEMU does not set it
        SHOW16 "#", ebx
        SHOW16 " err ", [esp]
        SHOW16 " eip ", [esp + 4]
        SHOW16 " cs ", [esp + 8]
        SHOW " efl ", [esp + 12]
        SHOW16 " ss ", [esp + 20]
        SHOW16 " sp ", [esp + 16]
        SHOW16 " es ", [esp + 24]
        SHOW16 " ds ", [esp + 28]
        SHOW16 " fs ", [esp + 32]
        SHOW16 " gs ", [esp + 36]
        SHOW16 " ax ", [saved_eax]
        SHOW16 " bx ", [saved_ebx]
        SHOW16 " cx ", ecx
        SHOW16 " dx ", edx
        mov eax, fs
        SHOW16 " now fs ", eax
        NEWLINE
        jmp caught.leave

copy:   mov edi, 0x10000
        mov ecx, 0x200
        rep movsb
        ret
align 4
v86_flags: dd 0x20002
        FINISH
