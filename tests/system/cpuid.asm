%include "common.inc"
; All leaves of CPUID, a line each: leaf, subleaf, EAX, EBX, ECX, EDX. The last
; lines are of leaves above the highest ones (SDM volume 2, CPUID).

main:   mov esi, leaves
.next:  mov eax, [esi]
        mov ecx, [esi + 4]
        push esi
        mov edi, eax
        mov ebp, ecx
        cpuid
        mov [values], eax
        mov [values + 4], ebx
        mov [values + 8], ecx
        mov [values + 12], edx
        mov eax, edi
        call show
        mov eax, ebp
        call show
        mov eax, [values]
        call show
        mov eax, [values + 4]
        call show
        mov eax, [values + 8]
        call show
        mov eax, [values + 12]
        call show
        mov al, 10
        call putc
        pop esi
        add esi, 8
        cmp esi, leaves_end
        jb .next
        ret
show:   mov ecx, 8
        call hex
        mov al, ' '
        jmp putc

values: dd 0, 0, 0, 0
leaves: dd 0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 4, 1, 4, 2, 4, 3, 5, 0, 6, 0
        dd 7, 0, 7, 1, 7, 2, 0xa, 0, 0xb, 0, 0xb, 1, 0xb, 2
        dd 0xd, 0, 0xd, 1, 0xd, 2, 0xd, 3
        dd 0x80000000, 0, 0x80000001, 0, 0x80000002, 0, 0x80000003, 0
        dd 0x80000004, 0, 0x80000005, 0, 0x80000006, 0, 0x80000007, 0
        dd 0x80000008, 0, 0x8000000a, 0, 0x10, 0, 0x7fffffff, 0
        dd 0x90000000, 0, 0xffffffff, 0
leaves_end:
        FINISH
