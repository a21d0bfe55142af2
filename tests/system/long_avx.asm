%include "long.inc"
; VEX-encoded instructions in 64-bit mode: sixteen registers, 64-bit operands and
; addresses, XSAVE. The golden output is what `body` leaves in its buffer on a
; Zen 4, but for MXCSR_MASK.

bits 64
; rsi: input (64-byte aligned, 1024 bytes), rdi: output (64-byte aligned, 4096 bytes, zero)
%macro OUTY 1
        vmovdqu [rdi], ymm%1
        add rdi, 32
%endmacro
%macro OUTR 1
        mov [rdi], %1
        add rdi, 8
%endmacro
body:   push rbx
        push rbp
        vmovups ymm8, [rsi]
        vmovups ymm9, [rsi+32]
        vmovups ymm1, [rsi+64]
        vmovaps ymm15, [rsi+96]
        vaddps ymm10, ymm8, ymm9
        OUTY 10
        vmulpd ymm2, ymm15, ymm1
        OUTY 2
        vpaddd xmm11, xmm15, xmm8
        OUTY 11
        vfmadd231ps ymm10, ymm8, ymm15
        OUTY 10
        vfmadd213sd xmm9, xmm15, [rsi+128]
        OUTY 9
        vblendvps ymm12, ymm8, ymm15, ymm9
        OUTY 12
        vpermd ymm13, ymm8, ymm15
        OUTY 13
        mov rax, 0x123456789abcdef0
        mov r9, 0xfedcba9876543210
        mov rbx, 0x00ff00ff0ff0f00f
        mov rdx, 0x8000000000000003
        vmovq xmm14, rax
        OUTY 14
        vmovq rcx, xmm14
        OUTR rcx
        vmovd r10d, xmm14
        OUTR r10
        vpinsrq xmm14, xmm14, r9, 1
        OUTY 14
        vpextrq r11, xmm14, 1
        OUTR r11
        vpinsrd xmm14, xmm14, r9d, 2
        OUTY 14
        vpextrb r11d, xmm14, 9
        OUTR r11
        andn r8, rax, r9
        OUTR r8
        pushfq
        pop r8
        and r8, 0x8c1
        OUTR r8
        bextr r8, rax, r9
        OUTR r8
        mov ecx, 0x2408
        bextr r8, rax, rcx
        OUTR r8
        blsr r8, r9
        OUTR r8
        blsi r8, rax
        OUTR r8
        blsmsk r8, rax
        OUTR r8
        mov ecx, 41
        bzhi r8, r9, rcx
        OUTR r8
        pushfq
        pop r8
        and r8, 0x8c1
        OUTR r8
        mov ecx, 64
        bzhi r8, r9, rcx
        OUTR r8
        pushfq
        pop r8
        and r8, 0x8c1
        OUTR r8
        mulx r8, r12, r9
        OUTR r8
        OUTR r12
        pdep r8, rax, rbx
        OUTR r8
        pext r8, rax, rbx
        OUTR r8
        pext r8d, eax, ebx
        OUTR r8
        rorx r8, rax, 37
        OUTR r8
        mov ecx, 77
        sarx r8, r9, rcx
        OUTR r8
        shlx r8, r9, rcx
        OUTR r8
        shrx r8, r9, rcx
        OUTR r8
        vcvtsi2sd xmm9, xmm8, r9
        OUTY 9
        vcvtsi2ss xmm9, xmm8, eax
        OUTY 9
        vcvttsd2si r8, [rsi+256]
        OUTR r8
        ; gathers: dword indices, qword pointers
        vmovdqu ymm9, [rsi+288]
        vpcmpeqd ymm10, ymm10, ymm10
        vpxor ymm11, ymm11, ymm11
        vpgatherdd ymm11, [rsi+ymm9*4], ymm10
        OUTY 11
        OUTY 10
        vmovq xmm12, rsi
        vpbroadcastq ymm12, xmm12
        vpmovzxdq ymm13, xmm9
        vpsllq ymm13, ymm13, 3
        vpaddq ymm12, ymm12, ymm13
        vpcmpeqd ymm10, ymm10, ymm10
        vpgatherqq ymm11, [ymm12*1+8], ymm10
        OUTY 11
        ; pages above 4 GB of offsets: base + big negative displacement of an index
        mov rax, 0x7fffffff0000
        vmovq xmm12, rax
        vpsubq xmm13, xmm15, xmm15
        vpsubq xmm12, xmm13, xmm12
        lea rbp, [rsi+rax]
        vpcmpeqd xmm10, xmm10, xmm10
        vpsrldq xmm10, xmm10, 8
        vpxor xmm11, xmm11, xmm11
        vpgatherqq xmm11, [rbp+xmm12*1], xmm10
        OUTY 11
        ; masked moves
        vmovdqu ymm9, [rsi+320]
        vmaskmovps ymm10, ymm9, [rsi+32]
        OUTY 10
        vpmaskmovq [rdi], ymm9, ymm8
        add rdi, 32
        vpsllvq ymm10, ymm15, ymm13
        OUTY 10
        vmovmskps r8d, ymm9
        OUTR r8
        vptest ymm8, ymm9
        pushfq
        pop r8
        and r8, 0x8d5
        OUTR r8
        vcvtps2ph [rdi], ymm8, 0
        add rdi, 16
        vextractf128 [rdi], ymm15, 1
        add rdi, 16
        mov eax, 7
        xor edx, edx
        lea rbp, [rdi+63]
        and rbp, -64
        xsavec [rbp]
        vzeroall
        OUTY 15
        mov eax, 7
        xor edx, edx
        xrstor [rbp]
        mov rax, [rbp+512]
        lea rdi, [rbp+1024]
        OUTR rax
        OUTY 15
        OUTY 8
        OUTY 3
        vzeroupper
        OUTY 15
        pop rbp
        pop rbx
        ret

main:   mov rax, cr4
        or eax, 0x40600          ; OSFXSR, OSXMMEXCPT, OSXSAVE
        mov cr4, rax
        mov rax, cr0
        and eax, ~0xc            ; EM, TS
        or eax, 2
        mov cr0, rax
        xor ecx, ecx
        xor edx, edx
        mov eax, 7
        xsetbv
        fninit
        lea rsi, [input]
        lea rdi, [output]
        call body
        lea rbx, [output]
        mov ecx, OUTPUT_BYTES
.byte:  mov al, [rbx]
        shr al, 4
        call .digit
        mov al, [rbx]
        and al, 15
        call .digit
        inc rbx
        test bl, 31
        jnz .more
        mov al, 10
        out 0xe9, al
.more:  dec ecx
        jnz .byte
        ret
.digit: add al, '0'
        cmp al, '9'
        jbe .put
        add al, 39
.put:   out 0xe9, al
        ret

OUTPUT_BYTES equ 4096
align 64
input:
        dd 0x400d952f, 0x40aa0810, 0x408a2e7c, 0xc107a581
        dd 0x40ff5f9c, 0x40e6eb2f, 0xbf0e87a3, 0x3f49a669
        dd 0x408b44f1, 0x40fed9f3, 0x40f3425b, 0xbf1e692b
        dd 0x402b9e62, 0xc0decb1a, 0xc091f95b, 0x3faa5c4a
        dd 0xbeb5ad26, 0xc0218723, 0x7cb8fed4, 0xc00fc129
        dd 0xfd814378, 0x401321d9, 0x6aa5bb10, 0x40156503
        dd 0x7f539eb8, 0xc014653c, 0xf0cea030, 0x401dfa13
        dd 0xd724861b, 0xc018822c, 0x2b704c4f, 0xc01a023d
        dd 0x00000000, 0x3ff40000, 0x00000000, 0x00000000
        dd 0x00000000, 0x00000000, 0x00000000, 0x00000000
        dd 0x00000000, 0x00000000, 0x00000000, 0x00000000
        dd 0x00000000, 0x00000000, 0x00000000, 0x00000000
        dd 0x00000000, 0x00000000, 0x00000000, 0x00000000
        dd 0x00000000, 0x00000000, 0x00000000, 0x00000000
        dd 0x00000000, 0x00000000, 0x00000000, 0x00000000
        dd 0x00000000, 0x00000000, 0x00000000, 0x00000000
        dd 0xef585a00, 0xc37b6951, 0x00000000, 0x00000000
        dd 0x00000000, 0x00000000, 0x00000000, 0x00000000
        dd 0x0000004f, 0x00000038, 0x00000010, 0x00000010
        dd 0x00000000, 0x00000000, 0x0000001a, 0x00000063
        dd 0x80000001, 0x80000001, 0x80000001, 0x00000001
        dd 0x00000001, 0x80000001, 0x80000001, 0x80000001
        dd 0x0b98c464, 0x4a54d4b8, 0x9aa92187, 0x9e21ad01
        dd 0xa1f69cb5, 0x5af1f65e, 0xb70b831d, 0xbbd609ce
        dd 0x17e704c0, 0x7d3c645c, 0x80b5b0ec, 0x97bc37ec
        dd 0x6a2edd12, 0xae4bb9ae, 0xa29f2f8d, 0x4c285a9c
        dd 0x1852f79e, 0x7910cf29, 0xd7e980b0, 0xfc101c4a
        dd 0x43426aab, 0xde5636d3, 0xd71e4cbe, 0x56e84896
        dd 0xf5a2f9e8, 0xcef0958c, 0x5bc1394b, 0x2d5cadff
        dd 0x20b88bfb, 0xba9c11b6, 0x9687f88f, 0xf2055bae
        dd 0xed8ca680, 0x8cb2b693, 0x58b3d1b0, 0x48abbae6
        dd 0xf4b96555, 0x57d52890, 0x0e8a9ad7, 0x5ce15164
        dd 0xf1155c70, 0x441b5473, 0xf75ca238, 0xeed41263
        dd 0x6824c2b3, 0xb300bf79, 0x3ad18ecf, 0x309a12bf
        dd 0xb496ad97, 0xbdd1d642, 0xc35048ef, 0x2e4465f4
        dd 0x37c300b3, 0xc0a648a6, 0xfc73dddb, 0xc4c2f595
        dd 0xfe9a8551, 0xa30ad480, 0x4992fb9d, 0xe33e0cf4
        dd 0x4514967d, 0x8cf506c8, 0x7d12f27c, 0x924f89fa
        dd 0x3cf3fc96, 0x90994008, 0xed0d97ac, 0x1243b8b3
        dd 0x37e98101, 0xdadb0761, 0xc8f3c5f6, 0x21ee9764
        dd 0x92dd019b, 0x54499ff1, 0x4ea9fef4, 0x752318d9
        dd 0x0d202b88, 0xcf23dbaa, 0x3e3f19f9, 0x95443870
        dd 0x5e5d4ce0, 0x6d2252d3, 0x24c23716, 0xcc3c1d8f
        dd 0x2edd0544, 0xb4fafaa1, 0x96461cbf, 0x8670944d
        dd 0x91827820, 0xe8be7844, 0x09435bc7, 0x2e122bae
        dd 0xc77ae83f, 0x37a5f5ec, 0x4d1bc40f, 0x2a3b72db
        dd 0xc0476cfb, 0xaa9478b5, 0x45c1c5b2, 0xb9dd97b7
        dd 0xca5c6e12, 0x10123120, 0x1464675f, 0x00b2f6fa
        dd 0xdb99f0da, 0x33eceea5, 0x24514f62, 0x4df0c5bf
        dd 0x528e3882, 0xf6107892, 0xa1bcb010, 0xf1e90b1e
        dd 0x95a63c4f, 0x11537ae8, 0x28760c66, 0x5e9fbacd
        dd 0x2290b9ef, 0x597b53ef, 0x8adc166a, 0xe71fec03
        dd 0x111756d2, 0x792430b3, 0x1bf12ffb, 0xcbfe197c
        dd 0xd082181e, 0x131a9ce4, 0x60ce5b63, 0x37a02b77
        dd 0x6d26522c, 0xf9b7e108, 0x0643c0d8, 0x3b72e59d
        dd 0x2cf79f47, 0x43a0ce86, 0x7df12942, 0x8d7ddb2b
        dd 0x187ffc1f, 0x32bf9266, 0xc2a0d724, 0x0e439200
        dd 0x180949e2, 0xc33689da, 0x9c21a442, 0xfe864656
        dd 0x201192a5, 0x193e0e0e, 0x84dfb642, 0x40db7608
        dd 0xb7a967b9, 0x30535306, 0xe4495789, 0xaa3cdbde
        dd 0xec74e4a2, 0x18e257de, 0x00fbf252, 0x1ad64035
        dd 0x7810006a, 0xedc9b5f6, 0x668d676e, 0xbb7bb69b
        dd 0xfd1f7fb4, 0x4949b2cd, 0x13c3fa7a, 0x32cb5630
        dd 0xf4a56690, 0xc0652ef0, 0xc75e3505, 0x9f0da20b
align 64
output: times OUTPUT_BYTES db 0
FINISH
