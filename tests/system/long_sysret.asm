%include "long.inc"
; SYSRET: where it may go to, what it leaves of registers, and the level at
; which it faults (SDM volume 2, SYSRET).

; RCX and R11; of 64 or of 32 bits
%macro ROW 4
        TRY %1
        mov rcx, %2
        mov r11, %3
        lea rax, [%%at]
        mov [mark], rax
%%at:
%if %4 = 64
        o64 sysret
%else
        o32 sysret
%endif
        ENDTRY
%if %4 = 64
        SHOW "  rcx ", [saved_rcx], 16
%else
        SHOW "  ecx ", [saved_rcx], 8
%endif
        NEWLINE
%endmacro
; the same, and the stack and the flags with which it arrived at level 3
%macro ROWF 4
        ROW %1, %2, %3, %4
        mov rax, [frame]
        PRINT "  "
        PRINT %1
        SHOW ": ss ", [rax + 32], 4
        mov rax, [rax + 16]
        btr eax, 16              ; RF, of the page fault
        SHOW " flags ", rax, 8
        NEWLINE
%endmacro

main:   mov ecx, 0xc0000081
        mov edx, (CODE3 & ~3) << 16 | CODE0
        xor eax, eax
        wrmsr
        ; #GP with CPL 0 where the address is not canonical
        ROWF "highest", 0x7fffffffffff, 2, 64
        ROW "above it", 0x800000000000, 2, 64
        ROW "in the hole", 0x8000000000000000, 2, 64
        ROW "below the upper half", 0xffff7fffffffffff, 2, 64
        ROW "upper half", 0xffff800000001000, 2, 64
        ROW "all ones", -1, 2, 64
        ; 32 bits are not looked at further
        ROW "32: above the lower half", 0x800000001000, 2, 32
        ROWF "32: in the hole", 0x80000000fffff000, 2, 32
        ; flags: RF and VM go, bit 1 is there, reserved ones are not
        ROWF "flags", 0x1000, 0xffffffff & ~0x1c0300, 64
        ROWF "flags, VIF and VIP", 0x1000, 0x180000, 64
        ROWF "flags, AC", 0x1000, 0x40000, 64
        ROWF "32: no flags", 0x1000, 0, 32
        ; selectors: the RPL is 3 whatever STAR has; SS as well
        mov ecx, 0xc0000081
        mov edx, 0xfff2 << 16 | CODE0
        xor eax, eax
        wrmsr
        ROWF "selectors that wrap", 0x1000, 2, 64
        mov ecx, 0xc0000081
        mov edx, (CODE3 & ~3) << 16 | CODE0
        xor eax, eax
        wrmsr
        TRY3 "3: sysret"
        o64 sysret
        END3
        mov ecx, 0xc0000080
        rdmsr
        and eax, ~1
        wrmsr
        TRY "without SCE"
        o64 sysret
        ENDTRY
        ret
        FINISH
