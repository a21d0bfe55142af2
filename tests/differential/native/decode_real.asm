; Instructions in real mode, where nothing tells how much of one is fetched: all
; 15 bytes are there, and TF is set. The length is where the trap finds IP; 0
; where the instruction faults, jumps or repeats itself.

%include "decode_guest.inc"

%define LOW 0x1000               ; where the 16-bit code stands
%define AT(x) ((x) - low + LOW)
%define SEGMENT 0x2000           ; of the instruction
%define OFFSET 0x8000
%define SCRATCH 0x4000           ; the segment of data and stack
%define WORDS 0x7302             ; what is on the stack: flags with TF, even, no PE
%define POINTER (NOWHERE & 0xffff)

CODE0  equ 0x08
DATA0  equ 0x10
CODE16 equ 0x18
DATA16 equ 0x20

align 16
gdt:    dq 0
        DESC 0, 0xfffff, 0x9a, 0xc
        DESC 0, 0xfffff, 0x92, 0xc
        DESC 0, 0xffff, 0x9a, 0
        DESC 0, 0xffff, 0x92, 0
gdt_end:
gdtr:   dw gdt_end - gdt - 1
        dd gdt

start:  cli
        cld
        mov al, 0xff             ; no interrupts from the 8259s
        out 0x21, al
        out 0xa1, al
        mov esi, low
        mov edi, LOW
        mov ecx, low_end - low
        rep movsb
        xor edi, edi             ; vectors
        mov eax, AT(stubs)
.ivt:   mov [edi], eax
        add eax, 8
        add edi, 4
        cmp edi, 0x400
        jb .ivt
        mov eax, cr4
        or eax, 0x40600          ; OSFXSR, OSXMMEXCPT, OSXSAVE
        mov cr4, eax
        xor ecx, ecx
        mov eax, 7               ; x87, SSE, AVX
        xor edx, edx
        xsetbv
        lgdt [gdtr]
        jmp CODE0:next

next:   mov eax, DATA0
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, 0x80000
        cld
        mov eax, [count]
        shl eax, 4
        add eax, cases
        mov esi, [now]
        cmp esi, eax
        jae finish
        mov edi, SEGMENT * 16 + OFFSET
        mov ecx, LONGEST
        rep movsb
        mov al, 0xcc
        mov ecx, 16
        rep stosb
        mov eax, WORDS << 16 | WORDS
        mov edi, SCRATCH * 16 + POINTER - 64
        mov ecx, 64
        rep stosd
        fninit
        jmp CODE16:AT(to_real)

; Here after the exception: [AT(vector16)], [AT(ip16)], [AT(cs16)].
judge:  mov eax, DATA0
        mov ds, eax
        mov dl, [AT(vector16)]
        xor eax, eax
        cmp dl, 1
        jne .say
        cmp word [AT(cs16)], SEGMENT
        jne .say
        movzx eax, word [AT(ip16)]
        sub eax, OFFSET
        cmp eax, LONGEST
        jbe .say
        xor eax, eax
.say:   out 0xe9, al
        mov al, dl
        out 0xe9, al
        add dword [now], CASE
        jmp next

finish: mov al, 0x10
        out 0xf4, al
.halt:  hlt
        jmp .halt

now:    dd cases

bits 16
low:
to_real:
        mov ax, DATA16
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov eax, 0x30            ; NE, ET
        mov cr0, eax
        jmp 0:AT(.real)
.real:  xor ax, ax
        mov ds, ax
        lidt [AT(vectors)]
        mov ax, SCRATCH
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        mov ss, ax
        mov esp, POINTER + 6     ; IRET leaves it there less 6
        sub sp, 6
        push word 0x302
        push word SEGMENT
        push word OFFSET
        mov eax, NOWHERE
        mov ecx, eax
        mov edx, eax
        mov ebx, eax
        mov ebp, eax
        mov esi, eax
        mov edi, eax
        iret

caught: pop word [cs:AT(vector16)]
        pop word [cs:AT(ip16)]
        pop word [cs:AT(cs16)]
        o32 lgdt [cs:AT(table)]
        mov eax, 0x31
        mov cr0, eax
        jmp dword CODE0:judge

align 8
stubs:
%assign i 0
%rep 256
        push word i
        jmp near caught
        align 8
%assign i i + 1
%endrep
vectors: dw 0x3ff
        dd 0
table:  dw gdt_end - gdt - 1
        dd gdt
vector16: dw 0
ip16:   dw 0
cs16:   dw 0
low_end:
align 16
cases:
