/**
 * The instruction table: one line an instruction, in the manual's own letters
 * (SDM volume 2, appendix A). The decoder, the translator and the disassembler
 * are all made from it.
 *
 * A line holds: key, mnemonic, operands (or `-`), attributes.
 *
 * The key is `[prefix.][map.]opcode[/reg][m|r][:rm]`: `66`, `f2`, `f3` or `np` (none of
 * them) where a prefix is part of the opcode (a line without one stands for
 * all that have no line of their own); ModRM's reg field; `m` for memory
 * operands only, `r` for registers only; ModRM's rm field.
 *
 * Operands: E general register or memory, G general register of reg, R general register
 * of rm, M memory, I immediate, J relative, O offset, Z general register of the opcode,
 * S C D segment, control and debug register, P Q N MMX (reg, rm or memory, rm),
 * V W U SSE (likewise), X Y string source and destination, A far pointer, ST STi x87;
 * then the size: b w d q t x 1 2 4 8 10 16 bytes, v z by operand size
 * (z at most 4), y 4 bytes, or 8 with REX.W, p far pointer, bs a byte sign-extended to the operand size.
 * (Lines with a VEX prefix have more: see insns_vex.ts.)
 *
 * Attributes: `=name` the translate function where it is not the mnemonic's;
 * `+name` the feature of the CPU model without which it is #UD; `lock` LOCK is
 * allowed (on a memory destination); in 64-bit mode: `d64` operand size 64 by
 * default, `f64` always, `i64` invalid, `o64` a line for that mode only; `x87`, `x87w`, `mmx`, `sse` its class: what CR0 and CR4 do to it.
 *
 * @module
 */

import { linesOf, vexLines } from "./insns_vex.ts";

const TABLE = `
00          add         Eb,Gb         lock
01          add         Ev,Gv         lock
02          add         Gb,Eb
03          add         Gv,Ev
04          add         AL,Ib
05          add         rAX,Iz
06          push        ES            =push_sreg i64
07          pop         ES            =pop_sreg i64
08          or          Eb,Gb         lock
09          or          Ev,Gv         lock
0a          or          Gb,Eb
0b          or          Gv,Ev
0c          or          AL,Ib
0d          or          rAX,Iz
0e          push        CS            =push_sreg i64
10          adc         Eb,Gb         lock
11          adc         Ev,Gv         lock
12          adc         Gb,Eb
13          adc         Gv,Ev
14          adc         AL,Ib
15          adc         rAX,Iz
16          push        SS            =push_sreg i64
17          pop         SS            =pop_sreg i64
18          sbb         Eb,Gb         lock
19          sbb         Ev,Gv         lock
1a          sbb         Gb,Eb
1b          sbb         Gv,Ev
1c          sbb         AL,Ib
1d          sbb         rAX,Iz
1e          push        DS            =push_sreg i64
1f          pop         DS            =pop_sreg i64
20          and         Eb,Gb         lock
21          and         Ev,Gv         lock
22          and         Gb,Eb
23          and         Gv,Ev
24          and         AL,Ib
25          and         rAX,Iz
27          daa         -             i64
28          sub         Eb,Gb         lock
29          sub         Ev,Gv         lock
2a          sub         Gb,Eb
2b          sub         Gv,Ev
2c          sub         AL,Ib
2d          sub         rAX,Iz
2f          das         -             i64
30          xor         Eb,Gb         lock
31          xor         Ev,Gv         lock
32          xor         Gb,Eb
33          xor         Gv,Ev
34          xor         AL,Ib
35          xor         rAX,Iz
37          aaa         -             i64
38          cmp         Eb,Gb
39          cmp         Ev,Gv
3a          cmp         Gb,Eb
3b          cmp         Gv,Ev
3c          cmp         AL,Ib
3d          cmp         rAX,Iz
3f          aas         -             i64
40          inc         Zv
41          inc         Zv
42          inc         Zv
43          inc         Zv
44          inc         Zv
45          inc         Zv
46          inc         Zv
47          inc         Zv
48          dec         Zv
49          dec         Zv
4a          dec         Zv
4b          dec         Zv
4c          dec         Zv
4d          dec         Zv
4e          dec         Zv
4f          dec         Zv
50          push        Zv            d64
51          push        Zv            d64
52          push        Zv            d64
53          push        Zv            d64
54          push        Zv            d64
55          push        Zv            d64
56          push        Zv            d64
57          push        Zv            d64
58          pop         Zv            d64
59          pop         Zv            d64
5a          pop         Zv            d64
5b          pop         Zv            d64
5c          pop         Zv            d64
5d          pop         Zv            d64
5e          pop         Zv            d64
5f          pop         Zv            d64
60          pusha       -             i64
61          popa        -             i64
62m         bound       Gv,M          i64
63          arpl        Ew,Gw         i64
63          movsxd      Gv,Ed         o64
68          push        Iz            d64
69          imul        Gv,Ev,Iz      =imul3
6a          push        Ibs           d64
6b          imul        Gv,Ev,Ibs     =imul3
6c          ins         Yb,DX
6d          ins         Yv,DX
6e          outs        DX,Xb
6f          outs        DX,Xv
70          jo          Jb            =jcc f64
71          jno         Jb            =jcc f64
72          jb          Jb            =jcc f64
73          jae         Jb            =jcc f64
74          je          Jb            =jcc f64
75          jne         Jb            =jcc f64
76          jbe         Jb            =jcc f64
77          ja          Jb            =jcc f64
78          js          Jb            =jcc f64
79          jns         Jb            =jcc f64
7a          jp          Jb            =jcc f64
7b          jnp         Jb            =jcc f64
7c          jl          Jb            =jcc f64
7d          jge         Jb            =jcc f64
7e          jle         Jb            =jcc f64
7f          jg          Jb            =jcc f64
80/0        add         Eb,Ib         lock
80/1        or          Eb,Ib         lock
80/2        adc         Eb,Ib         lock
80/3        sbb         Eb,Ib         lock
80/4        and         Eb,Ib         lock
80/5        sub         Eb,Ib         lock
80/6        xor         Eb,Ib         lock
80/7        cmp         Eb,Ib
81/0        add         Ev,Iz         lock
81/1        or          Ev,Iz         lock
81/2        adc         Ev,Iz         lock
81/3        sbb         Ev,Iz         lock
81/4        and         Ev,Iz         lock
81/5        sub         Ev,Iz         lock
81/6        xor         Ev,Iz         lock
81/7        cmp         Ev,Iz
82/0        add         Eb,Ib         lock i64
82/1        or          Eb,Ib         lock i64
82/2        adc         Eb,Ib         lock i64
82/3        sbb         Eb,Ib         lock i64
82/4        and         Eb,Ib         lock i64
82/5        sub         Eb,Ib         lock i64
82/6        xor         Eb,Ib         lock i64
82/7        cmp         Eb,Ib         i64
83/0        add         Ev,Ibs        lock
83/1        or          Ev,Ibs        lock
83/2        adc         Ev,Ibs        lock
83/3        sbb         Ev,Ibs        lock
83/4        and         Ev,Ibs        lock
83/5        sub         Ev,Ibs        lock
83/6        xor         Ev,Ibs        lock
83/7        cmp         Ev,Ibs
84          test        Eb,Gb
85          test        Ev,Gv
86          xchg        Eb,Gb         lock
87          xchg        Ev,Gv         lock
88          mov         Eb,Gb
89          mov         Ev,Gv
8a          mov         Gb,Eb
8b          mov         Gv,Ev
8c          mov         Ev,Sw         =mov_from_sreg
8dm         lea         Gv,M
8e          mov         Sw,Ew         =mov_to_sreg
8f/0        pop         Ev            d64
90          nop         -
f3.90       pause       -
91          xchg        Zv,rAX
92          xchg        Zv,rAX
93          xchg        Zv,rAX
94          xchg        Zv,rAX
95          xchg        Zv,rAX
96          xchg        Zv,rAX
97          xchg        Zv,rAX
98          cbw         -             =cbw
99          cwd         -             =cwd
9a          call        Ap            =callf i64
9b          fwait       -             x87w
9c          pushf       -             d64
9d          popf        -             d64
9e          sahf        -
9f          lahf        -
a0          mov         AL,Ob
a1          mov         rAX,Ov
a2          mov         Ob,AL
a3          mov         Ov,rAX
a4          movs        Yb,Xb
a5          movs        Yv,Xv
a6          cmps        Xb,Yb
a7          cmps        Xv,Yv
a8          test        AL,Ib
a9          test        rAX,Iz
aa          stos        Yb,AL
ab          stos        Yv,rAX
ac          lods        AL,Xb
ad          lods        rAX,Xv
ae          scas        AL,Yb
af          scas        rAX,Yv
b0          mov         Zb,Ib
b1          mov         Zb,Ib
b2          mov         Zb,Ib
b3          mov         Zb,Ib
b4          mov         Zb,Ib
b5          mov         Zb,Ib
b6          mov         Zb,Ib
b7          mov         Zb,Ib
b8          mov         Zv,Iv
b9          mov         Zv,Iv
ba          mov         Zv,Iv
bb          mov         Zv,Iv
bc          mov         Zv,Iv
bd          mov         Zv,Iv
be          mov         Zv,Iv
bf          mov         Zv,Iv
c0/0        rol         Eb,Ib
c0/1        ror         Eb,Ib
c0/2        rcl         Eb,Ib
c0/3        rcr         Eb,Ib
c0/4        shl         Eb,Ib
c0/5        shr         Eb,Ib
c0/6        shl         Eb,Ib
c0/7        sar         Eb,Ib
c1/0        rol         Ev,Ib
c1/1        ror         Ev,Ib
c1/2        rcl         Ev,Ib
c1/3        rcr         Ev,Ib
c1/4        shl         Ev,Ib
c1/5        shr         Ev,Ib
c1/6        shl         Ev,Ib
c1/7        sar         Ev,Ib
c2          ret         Iw            f64
c3          ret         -             f64
c4m         les         Gv,Mp         i64
c5m         lds         Gv,Mp         i64
c6/0        mov         Eb,Ib
c7/0        mov         Ev,Iz
c8          enter       Iw,Ib         d64
c9          leave       -             d64
ca          retf        Iw
cb          retf        -
cc          int3        -
cd          int         Ib
ce          into        -             i64
cf          iret        -
d0/0        rol         Eb,1
d0/1        ror         Eb,1
d0/2        rcl         Eb,1
d0/3        rcr         Eb,1
d0/4        shl         Eb,1
d0/5        shr         Eb,1
d0/6        shl         Eb,1
d0/7        sar         Eb,1
d1/0        rol         Ev,1
d1/1        ror         Ev,1
d1/2        rcl         Ev,1
d1/3        rcr         Ev,1
d1/4        shl         Ev,1
d1/5        shr         Ev,1
d1/6        shl         Ev,1
d1/7        sar         Ev,1
d2/0        rol         Eb,CL
d2/1        ror         Eb,CL
d2/2        rcl         Eb,CL
d2/3        rcr         Eb,CL
d2/4        shl         Eb,CL
d2/5        shr         Eb,CL
d2/6        shl         Eb,CL
d2/7        sar         Eb,CL
d3/0        rol         Ev,CL
d3/1        ror         Ev,CL
d3/2        rcl         Ev,CL
d3/3        rcr         Ev,CL
d3/4        shl         Ev,CL
d3/5        shr         Ev,CL
d3/6        shl         Ev,CL
d3/7        sar         Ev,CL
d4          aam         Ib            i64
d5          aad         Ib            i64
d6          salc        -             i64
d7          xlat        -
d8/0m       fadd        Md            x87
d8/1m       fmul        Md            x87
d8/2m       fcom        Md            x87
d8/3m       fcomp       Md            x87
d8/4m       fsub        Md            x87
d8/5m       fsubr       Md            x87
d8/6m       fdiv        Md            x87
d8/7m       fdivr       Md            x87
d8/0r       fadd        ST,STi        x87
d8/1r       fmul        ST,STi        x87
d8/2r       fcom        ST,STi        x87
d8/3r       fcomp       ST,STi        x87
d8/4r       fsub        ST,STi        x87
d8/5r       fsubr       ST,STi        x87
d8/6r       fdiv        ST,STi        x87
d8/7r       fdivr       ST,STi        x87
d9/0m       fld         Md            x87
d9/2m       fst         Md            x87
d9/3m       fstp        Md            x87
d9/4m       fldenv      M             x87
d9/5m       fldcw       Mw            x87
d9/6m       fnstenv     M             x87
d9/7m       fnstcw      Mw            x87
d9/0r       fld         STi           x87
d9/1r       fxch        STi           x87
d9/2r:0     fnop        -             x87
d9/3r       fstp        STi           x87 =fstpnce
d9/4r:0     fchs        -             x87
d9/4r:1     fabs        -             x87
d9/4r:4     ftst        -             x87
d9/4r:5     fxam        -             x87
d9/5r:0     fld1        -             x87
d9/5r:1     fldl2t      -             x87
d9/5r:2     fldl2e      -             x87
d9/5r:3     fldpi       -             x87
d9/5r:4     fldlg2      -             x87
d9/5r:5     fldln2      -             x87
d9/5r:6     fldz        -             x87
d9/6r:0     f2xm1       -             x87
d9/6r:1     fyl2x       -             x87
d9/6r:2     fptan       -             x87
d9/6r:3     fpatan      -             x87
d9/6r:4     fxtract     -             x87
d9/6r:5     fprem1      -             x87
d9/6r:6     fdecstp     -             x87
d9/6r:7     fincstp     -             x87
d9/7r:0     fprem       -             x87
d9/7r:1     fyl2xp1     -             x87
d9/7r:2     fsqrt       -             x87
d9/7r:3     fsincos     -             x87
d9/7r:4     frndint     -             x87
d9/7r:5     fscale      -             x87
d9/7r:6     fsin        -             x87
d9/7r:7     fcos        -             x87
da/0m       fiadd       Md            x87
da/1m       fimul       Md            x87
da/2m       ficom       Md            x87
da/3m       ficomp      Md            x87
da/4m       fisub       Md            x87
da/5m       fisubr      Md            x87
da/6m       fidiv       Md            x87
da/7m       fidivr      Md            x87
da/0r       fcmovb      ST,STi        x87 +cmov
da/1r       fcmove      ST,STi        x87 +cmov
da/2r       fcmovbe     ST,STi        x87 +cmov
da/3r       fcmovu      ST,STi        x87 +cmov
da/5r:1     fucompp     -             x87
db/0m       fild        Md            x87
db/1m       fisttp      Md            x87 +sse3
db/2m       fist        Md            x87
db/3m       fistp       Md            x87
db/5m       fld         Mt            x87
db/7m       fstp        Mt            x87
db/0r       fcmovnb     ST,STi        x87 +cmov
db/1r       fcmovne     ST,STi        x87 +cmov
db/2r       fcmovnbe    ST,STi        x87 +cmov
db/3r       fcmovnu     ST,STi        x87 +cmov
db/4r:0     fneni       -             x87
db/4r:1     fndisi      -             x87
db/4r:2     fnclex      -             x87
db/4r:3     fninit      -             x87
db/4r:4     fnsetpm     -             x87
db/5r       fucomi      ST,STi        x87 +cmov
db/6r       fcomi       ST,STi        x87 +cmov
dc/0m       fadd        Mq            x87
dc/1m       fmul        Mq            x87
dc/2m       fcom        Mq            x87
dc/3m       fcomp       Mq            x87
dc/4m       fsub        Mq            x87
dc/5m       fsubr       Mq            x87
dc/6m       fdiv        Mq            x87
dc/7m       fdivr       Mq            x87
dc/0r       fadd        STi,ST        x87
dc/1r       fmul        STi,ST        x87
dc/2r       fcom        ST,STi        x87
dc/3r       fcomp       ST,STi        x87
dc/4r       fsubr       STi,ST        x87
dc/5r       fsub        STi,ST        x87
dc/6r       fdivr       STi,ST        x87
dc/7r       fdiv        STi,ST        x87
dd/0m       fld         Mq            x87
dd/1m       fisttp      Mq            x87 +sse3
dd/2m       fst         Mq            x87
dd/3m       fstp        Mq            x87
dd/4m       frstor      M             x87
dd/6m       fnsave      M             x87
dd/7m       fnstsw      Mw            x87
dd/0r       ffree       STi           x87
dd/1r       fxch        STi           x87
dd/2r       fst         STi           x87
dd/3r       fstp        STi           x87
dd/4r       fucom       STi           x87
dd/5r       fucomp      STi           x87
de/0m       fiadd       Mw            x87
de/1m       fimul       Mw            x87
de/2m       ficom       Mw            x87
de/3m       ficomp      Mw            x87
de/4m       fisub       Mw            x87
de/5m       fisubr      Mw            x87
de/6m       fidiv       Mw            x87
de/7m       fidivr      Mw            x87
de/0r       faddp       STi,ST        x87
de/1r       fmulp       STi,ST        x87
de/4r       fsubrp      STi,ST        x87
de/5r       fsubp       STi,ST        x87
de/6r       fdivrp      STi,ST        x87
de/7r       fdivp       STi,ST        x87
de/2r       fcomp       ST,STi        x87
de/3r:1     fcompp      -             x87
df/0m       fild        Mw            x87
df/1m       fisttp      Mw            x87 +sse3
df/2m       fist        Mw            x87
df/3m       fistp       Mw            x87
df/4m       fbld        Mt            x87
df/5m       fild        Mq            x87
df/6m       fbstp       Mt            x87
df/7m       fistp       Mq            x87
df/0r       ffreep      STi           x87
df/1r       fxch        STi           x87
df/2r       fstp        STi           x87
df/3r       fstp        STi           x87
df/4r:0     fnstsw      AX            x87
df/5r       fucomip     ST,STi        x87 +cmov
df/6r       fcomip      ST,STi        x87 +cmov
e0          loopne      Jb            =loop f64
e1          loope       Jb            =loop f64
e2          loop        Jb            f64
e3          jcxz        Jb            f64
e4          in          AL,Ib
e5          in          eAX,Ib
e6          out         Ib,AL
e7          out         Ib,eAX
e8          call        Jz            f64
e9          jmp         Jz            f64
ea          jmp         Ap            =jmpf i64
eb          jmp         Jb            f64
ec          in          AL,DX
ed          in          eAX,DX
ee          out         DX,AL
ef          out         DX,eAX
f1          int1        -
f4          hlt         -
f5          cmc         -
f6/0        test        Eb,Ib
f6/1        test        Eb,Ib
f6/2        not         Eb            lock
f6/3        neg         Eb            lock
f6/4        mul         Eb
f6/5        imul        Eb
f6/6        div         Eb
f6/7        idiv        Eb
f7/0        test        Ev,Iz
f7/1        test        Ev,Iz
f7/2        not         Ev            lock
f7/3        neg         Ev            lock
f7/4        mul         Ev
f7/5        imul        Ev
f7/6        div         Ev
f7/7        idiv        Ev
f8          clc         -
f9          stc         -
fa          cli         -
fb          sti         -
fc          cld         -
fd          std         -
fe/0        inc         Eb            lock
fe/1        dec         Eb            lock
ff/0        inc         Ev            lock
ff/1        dec         Ev            lock
ff/2        call        Ev            =call_indirect f64
ff/3m       call        Mp            =callf_indirect
ff/4        jmp         Ev            =jmp_indirect f64
ff/5m       jmp         Mp            =jmpf_indirect
ff/6        push        Ev            d64
0f.00/0     sldt        Ev
0f.00/1     str         Ev
0f.00/2     lldt        Ew
0f.00/3     ltr         Ew
0f.00/4     verr        Ew
0f.00/5     verw        Ew
0f.01/0m    sgdt        M
0f.01/1m    sidt        M
0f.01/2m    lgdt        M
0f.01/3m    lidt        M
np.0f.01/2r:0 xgetbv    -             +xsave
np.0f.01/2r:1 xsetbv    -             +xsave
0f.01/4     smsw        Ev
0f.01/6     lmsw        Ew
0f.01/7m    invlpg      M
0f.01/1r:2  clac        -             +smap
0f.01/1r:3  stac        -             +smap
0f.01/7r:0  swapgs      -             +lm
0f.01/7r:1  rdtscp      -             +rdtscp
0f.02       lar         Gv,Ev
0f.03       lsl         Gv,Ev
0f.05       syscall     -             +syscall
0f.06       clts        -
0f.07       sysret      -             +syscall
0f.08       invd        -
0f.09       wbinvd      -
0f.0b       ud2         -             =ud
0f.0dm      prefetch    Mb            +3dnowprefetch
0f.0d/1m    prefetchw   Mb            +3dnowprefetch =prefetch
np.0f.10    movups      Vx,Wx         sse +sse
66.0f.10    movupd      Vx,Wx         sse +sse2 =movups
f3.0f.10    movss       Vx,Wd         sse +sse
f2.0f.10    movsd       Vx,Wq         sse +sse2
np.0f.11    movups      Wx,Vx         sse +sse
66.0f.11    movupd      Wx,Vx         sse +sse2 =movups
f3.0f.11    movss       Wd,Vx         sse +sse
f2.0f.11    movsd       Wq,Vx         sse +sse2
np.0f.12r   movhlps     Vx,Ux         sse +sse
np.0f.12m   movlps      Vx,Mq         sse +sse
66.0f.12m   movlpd      Vx,Mq         sse +sse2
f3.0f.12    movsldup    Vx,Wx         sse +sse3
f2.0f.12    movddup     Vx,Wq         sse +sse3
np.0f.13m   movlps      Mq,Vx         sse +sse
66.0f.13m   movlpd      Mq,Vx         sse +sse2
np.0f.14    unpcklps    Vx,Wx         sse +sse
66.0f.14    unpcklpd    Vx,Wx         sse +sse2
np.0f.15    unpckhps    Vx,Wx         sse +sse
66.0f.15    unpckhpd    Vx,Wx         sse +sse2
np.0f.16r   movlhps     Vx,Ux         sse +sse
np.0f.16m   movhps      Vx,Mq         sse +sse
66.0f.16m   movhpd      Vx,Mq         sse +sse2
f3.0f.16    movshdup    Vx,Wx         sse +sse3
np.0f.17m   movhps      Mq,Vx         sse +sse
66.0f.17m   movhpd      Mq,Vx         sse +sse2
0f.18/0m    prefetchnta M             +sse =prefetch
0f.18/1m    prefetcht0  M             +sse =prefetch
0f.18/2m    prefetcht1  M             +sse =prefetch
0f.18/3m    prefetcht2  M             +sse =prefetch
0f.18       nop         Ev            +cmov =nop_modrm
0f.19       nop         Ev            +cmov =nop_modrm
0f.1a       nop         Ev            +cmov =nop_modrm
0f.1b       nop         Ev            +cmov =nop_modrm
0f.1c       nop         Ev            +cmov =nop_modrm
0f.1d       nop         Ev            +cmov =nop_modrm
0f.1e       nop         Ev            +cmov =nop_modrm
0f.1f       nop         Ev            +cmov =nop_modrm
0f.20       mov         Rd,Cd         =mov_from_cr
0f.21       mov         Rd,Dd         =mov_from_dr
0f.22       mov         Cd,Rd         =mov_to_cr
0f.23       mov         Dd,Rd         =mov_to_dr
np.0f.28    movaps      Vx,Wx         sse +sse
66.0f.28    movapd      Vx,Wx         sse +sse2 =movaps
np.0f.29    movaps      Wx,Vx         sse +sse
66.0f.29    movapd      Wx,Vx         sse +sse2 =movaps
np.0f.2a    cvtpi2ps    Vx,Qq         sse +sse
66.0f.2a    cvtpi2pd    Vx,Qq         sse +sse2
f3.0f.2a    cvtsi2ss    Vx,Ey         sse +sse
f2.0f.2a    cvtsi2sd    Vx,Ey         sse +sse2
np.0f.2bm   movntps     Mx,Vx         sse +sse
66.0f.2bm   movntpd     Mx,Vx         sse +sse2 =movntps
np.0f.2c    cvttps2pi   Pq,Wq         sse +sse
66.0f.2c    cvttpd2pi   Pq,Wx         sse +sse2
f3.0f.2c    cvttss2si   Gy,Wd         sse +sse
f2.0f.2c    cvttsd2si   Gy,Wq         sse +sse2
np.0f.2d    cvtps2pi    Pq,Wq         sse +sse
66.0f.2d    cvtpd2pi    Pq,Wx         sse +sse2
f3.0f.2d    cvtss2si    Gy,Wd         sse +sse
f2.0f.2d    cvtsd2si    Gy,Wq         sse +sse2
np.0f.2e    ucomiss     Vx,Wd         sse +sse
66.0f.2e    ucomisd     Vx,Wq         sse +sse2
np.0f.2f    comiss      Vx,Wd         sse +sse
66.0f.2f    comisd      Vx,Wq         sse +sse2
0f.30       wrmsr       -             +msr
0f.31       rdtsc       -             +tsc
0f.32       rdmsr       -             +msr
0f.33       rdpmc       -             +mmx
0f.34       sysenter    -             +sep
0f.35       sysexit     -             +sep
0f.40       cmovo       Gv,Ev         +cmov =cmovcc
0f.41       cmovno      Gv,Ev         +cmov =cmovcc
0f.42       cmovb       Gv,Ev         +cmov =cmovcc
0f.43       cmovae      Gv,Ev         +cmov =cmovcc
0f.44       cmove       Gv,Ev         +cmov =cmovcc
0f.45       cmovne      Gv,Ev         +cmov =cmovcc
0f.46       cmovbe      Gv,Ev         +cmov =cmovcc
0f.47       cmova       Gv,Ev         +cmov =cmovcc
0f.48       cmovs       Gv,Ev         +cmov =cmovcc
0f.49       cmovns      Gv,Ev         +cmov =cmovcc
0f.4a       cmovp       Gv,Ev         +cmov =cmovcc
0f.4b       cmovnp      Gv,Ev         +cmov =cmovcc
0f.4c       cmovl       Gv,Ev         +cmov =cmovcc
0f.4d       cmovge      Gv,Ev         +cmov =cmovcc
0f.4e       cmovle      Gv,Ev         +cmov =cmovcc
0f.4f       cmovg       Gv,Ev         +cmov =cmovcc
np.0f.50r   movmskps    Gd,Ux         sse +sse
66.0f.50r   movmskpd    Gd,Ux         sse +sse2
np.0f.51    sqrtps      Vx,Wx         sse +sse
66.0f.51    sqrtpd      Vx,Wx         sse +sse2
f3.0f.51    sqrtss      Vx,Wd         sse +sse
f2.0f.51    sqrtsd      Vx,Wq         sse +sse2
np.0f.52    rsqrtps     Vx,Wx         sse +sse
f3.0f.52    rsqrtss     Vx,Wd         sse +sse
np.0f.53    rcpps       Vx,Wx         sse +sse
f3.0f.53    rcpss       Vx,Wd         sse +sse
np.0f.54    andps       Vx,Wx         sse +sse
66.0f.54    andpd       Vx,Wx         sse +sse2
np.0f.55    andnps      Vx,Wx         sse +sse
66.0f.55    andnpd      Vx,Wx         sse +sse2
np.0f.56    orps        Vx,Wx         sse +sse
66.0f.56    orpd        Vx,Wx         sse +sse2
np.0f.57    xorps       Vx,Wx         sse +sse
66.0f.57    xorpd       Vx,Wx         sse +sse2
np.0f.58    addps       Vx,Wx         sse +sse
66.0f.58    addpd       Vx,Wx         sse +sse2
f3.0f.58    addss       Vx,Wd         sse +sse
f2.0f.58    addsd       Vx,Wq         sse +sse2
np.0f.59    mulps       Vx,Wx         sse +sse
66.0f.59    mulpd       Vx,Wx         sse +sse2
f3.0f.59    mulss       Vx,Wd         sse +sse
f2.0f.59    mulsd       Vx,Wq         sse +sse2
np.0f.5a    cvtps2pd    Vx,Wq         sse +sse2
66.0f.5a    cvtpd2ps    Vx,Wx         sse +sse2
f3.0f.5a    cvtss2sd    Vx,Wd         sse +sse2
f2.0f.5a    cvtsd2ss    Vx,Wq         sse +sse2
np.0f.5b    cvtdq2ps    Vx,Wx         sse +sse2
66.0f.5b    cvtps2dq    Vx,Wx         sse +sse2
f3.0f.5b    cvttps2dq   Vx,Wx         sse +sse2
np.0f.5c    subps       Vx,Wx         sse +sse
66.0f.5c    subpd       Vx,Wx         sse +sse2
f3.0f.5c    subss       Vx,Wd         sse +sse
f2.0f.5c    subsd       Vx,Wq         sse +sse2
np.0f.5d    minps       Vx,Wx         sse +sse
66.0f.5d    minpd       Vx,Wx         sse +sse2
f3.0f.5d    minss       Vx,Wd         sse +sse
f2.0f.5d    minsd       Vx,Wq         sse +sse2
np.0f.5e    divps       Vx,Wx         sse +sse
66.0f.5e    divpd       Vx,Wx         sse +sse2
f3.0f.5e    divss       Vx,Wd         sse +sse
f2.0f.5e    divsd       Vx,Wq         sse +sse2
np.0f.5f    maxps       Vx,Wx         sse +sse
66.0f.5f    maxpd       Vx,Wx         sse +sse2
f3.0f.5f    maxss       Vx,Wd         sse +sse
f2.0f.5f    maxsd       Vx,Wq         sse +sse2
np.0f.60    punpcklbw   Pq,Qd         mmx +mmx
66.0f.60    punpcklbw   Vx,Wx         sse +sse2
np.0f.61    punpcklwd   Pq,Qd         mmx +mmx
66.0f.61    punpcklwd   Vx,Wx         sse +sse2
np.0f.62    punpckldq   Pq,Qd         mmx +mmx
66.0f.62    punpckldq   Vx,Wx         sse +sse2
np.0f.63    packsswb    Pq,Qq         mmx +mmx
66.0f.63    packsswb    Vx,Wx         sse +sse2
np.0f.64    pcmpgtb     Pq,Qq         mmx +mmx
66.0f.64    pcmpgtb     Vx,Wx         sse +sse2
np.0f.65    pcmpgtw     Pq,Qq         mmx +mmx
66.0f.65    pcmpgtw     Vx,Wx         sse +sse2
np.0f.66    pcmpgtd     Pq,Qq         mmx +mmx
66.0f.66    pcmpgtd     Vx,Wx         sse +sse2
np.0f.67    packuswb    Pq,Qq         mmx +mmx
66.0f.67    packuswb    Vx,Wx         sse +sse2
np.0f.68    punpckhbw   Pq,Qq         mmx +mmx
66.0f.68    punpckhbw   Vx,Wx         sse +sse2
np.0f.69    punpckhwd   Pq,Qq         mmx +mmx
66.0f.69    punpckhwd   Vx,Wx         sse +sse2
np.0f.6a    punpckhdq   Pq,Qq         mmx +mmx
66.0f.6a    punpckhdq   Vx,Wx         sse +sse2
np.0f.6b    packssdw    Pq,Qq         mmx +mmx
66.0f.6b    packssdw    Vx,Wx         sse +sse2
66.0f.6c    punpcklqdq  Vx,Wx         sse +sse2
66.0f.6d    punpckhqdq  Vx,Wx         sse +sse2
np.0f.6e    movd        Pq,Ey         mmx +mmx
66.0f.6e    movd        Vx,Ey         sse +sse2
np.0f.6f    movq        Pq,Qq         mmx +mmx
66.0f.6f    movdqa      Vx,Wx         sse +sse2
f3.0f.6f    movdqu      Vx,Wx         sse +sse2
np.0f.70    pshufw      Pq,Qq,Ib      mmx +sse
66.0f.70    pshufd      Vx,Wx,Ib      sse +sse2
f3.0f.70    pshufhw     Vx,Wx,Ib      sse +sse2
f2.0f.70    pshuflw     Vx,Wx,Ib      sse +sse2
np.0f.71/2r psrlw       Nq,Ib         mmx +mmx
66.0f.71/2r psrlw       Ux,Ib         sse +sse2
np.0f.71/4r psraw       Nq,Ib         mmx +mmx
66.0f.71/4r psraw       Ux,Ib         sse +sse2
np.0f.71/6r psllw       Nq,Ib         mmx +mmx
66.0f.71/6r psllw       Ux,Ib         sse +sse2
np.0f.72/2r psrld       Nq,Ib         mmx +mmx
66.0f.72/2r psrld       Ux,Ib         sse +sse2
np.0f.72/4r psrad       Nq,Ib         mmx +mmx
66.0f.72/4r psrad       Ux,Ib         sse +sse2
np.0f.72/6r pslld       Nq,Ib         mmx +mmx
66.0f.72/6r pslld       Ux,Ib         sse +sse2
np.0f.73/2r psrlq       Nq,Ib         mmx +mmx
66.0f.73/2r psrlq       Ux,Ib         sse +sse2
np.0f.73/6r psllq       Nq,Ib         mmx +mmx
66.0f.73/6r psllq       Ux,Ib         sse +sse2
66.0f.73/3r psrldq      Ux,Ib         sse +sse2
66.0f.73/7r pslldq      Ux,Ib         sse +sse2
np.0f.74    pcmpeqb     Pq,Qq         mmx +mmx
66.0f.74    pcmpeqb     Vx,Wx         sse +sse2
np.0f.75    pcmpeqw     Pq,Qq         mmx +mmx
66.0f.75    pcmpeqw     Vx,Wx         sse +sse2
np.0f.76    pcmpeqd     Pq,Qq         mmx +mmx
66.0f.76    pcmpeqd     Vx,Wx         sse +sse2
np.0f.77    emms        -             mmx +mmx
66.0f.7c    haddpd      Vx,Wx         sse +sse3
f2.0f.7c    haddps      Vx,Wx         sse +sse3
66.0f.7d    hsubpd      Vx,Wx         sse +sse3
f2.0f.7d    hsubps      Vx,Wx         sse +sse3
np.0f.7e    movd        Ey,Pq         mmx +mmx
66.0f.7e    movd        Ey,Vx         sse +sse2
f3.0f.7e    movq        Vx,Wq         sse +sse2
np.0f.7f    movq        Qq,Pq         mmx +mmx
66.0f.7f    movdqa      Wx,Vx         sse +sse2
f3.0f.7f    movdqu      Wx,Vx         sse +sse2
0f.80       jo          Jz            =jcc f64
0f.81       jno         Jz            =jcc f64
0f.82       jb          Jz            =jcc f64
0f.83       jae         Jz            =jcc f64
0f.84       je          Jz            =jcc f64
0f.85       jne         Jz            =jcc f64
0f.86       jbe         Jz            =jcc f64
0f.87       ja          Jz            =jcc f64
0f.88       js          Jz            =jcc f64
0f.89       jns         Jz            =jcc f64
0f.8a       jp          Jz            =jcc f64
0f.8b       jnp         Jz            =jcc f64
0f.8c       jl          Jz            =jcc f64
0f.8d       jge         Jz            =jcc f64
0f.8e       jle         Jz            =jcc f64
0f.8f       jg          Jz            =jcc f64
0f.90       seto        Eb            =setcc
0f.91       setno       Eb            =setcc
0f.92       setb        Eb            =setcc
0f.93       setae       Eb            =setcc
0f.94       sete        Eb            =setcc
0f.95       setne       Eb            =setcc
0f.96       setbe       Eb            =setcc
0f.97       seta        Eb            =setcc
0f.98       sets        Eb            =setcc
0f.99       setns       Eb            =setcc
0f.9a       setp        Eb            =setcc
0f.9b       setnp       Eb            =setcc
0f.9c       setl        Eb            =setcc
0f.9d       setge       Eb            =setcc
0f.9e       setle       Eb            =setcc
0f.9f       setg        Eb            =setcc
0f.a0       push        FS            =push_sreg d64
0f.a1       pop         FS            =pop_sreg d64
0f.a2       cpuid       -             +cpuid
0f.a3       bt          Ev,Gv
0f.a4       shld        Ev,Gv,Ib
0f.a5       shld        Ev,Gv,CL
0f.a8       push        GS            =push_sreg d64
0f.a9       pop         GS            =pop_sreg d64
0f.aa       rsm         -
0f.ab       bts         Ev,Gv         lock
0f.ac       shrd        Ev,Gv,Ib
0f.ad       shrd        Ev,Gv,CL
np.0f.ae/0m fxsave      M             x87 +fxsr
np.0f.ae/1m fxrstor     M             x87 +fxsr
f3.0f.ae/0r rdfsbase    Rv            +fsgsbase
f3.0f.ae/1r rdgsbase    Rv            +fsgsbase
f3.0f.ae/2r wrfsbase    Rv            +fsgsbase
f3.0f.ae/3r wrgsbase    Rv            +fsgsbase
66.0f.38.82m invpcid    Gv,M          +invpcid
np.0f.ae/2m ldmxcsr     Md            sse +sse
np.0f.ae/3m stmxcsr     Md            sse +sse
np.0f.ae/4m xsave       M             +xsave
np.0f.ae/5m xrstor      M             +xsave
np.0f.ae/6m xsaveopt    M             +xsaveopt
np.0f.ae/5r lfence      -             +sse2
np.0f.ae/6r mfence      -             +sse2
np.0f.ae/7r sfence      -             +sse
np.0f.ae/7m clflush     Mb            +clflush
66.0f.ae/6m clwb        Mb            +clwb =clflush
66.0f.ae/7m clflushopt  Mb            +clflushopt =clflush
0f.af       imul        Gv,Ev         =imul2
0f.b0       cmpxchg     Eb,Gb         lock
0f.b1       cmpxchg     Ev,Gv         lock
0f.b2m      lss         Gv,Mp
0f.b3       btr         Ev,Gv         lock
0f.b4m      lfs         Gv,Mp
0f.b5m      lgs         Gv,Mp
0f.b6       movzx       Gv,Eb
0f.b7       movzx       Gv,Ew
f3.0f.b8    popcnt      Gv,Ev         +popcnt
0f.b9       ud1         Gv,Ev         =ud
0f.ba/4     bt          Ev,Ib
0f.ba/5     bts         Ev,Ib         lock
0f.ba/6     btr         Ev,Ib         lock
0f.ba/7     btc         Ev,Ib         lock
0f.bb       btc         Ev,Gv         lock
0f.bc       bsf         Gv,Ev
f3.0f.bc    tzcnt       Gv,Ev
0f.bd       bsr         Gv,Ev
f3.0f.bd    lzcnt       Gv,Ev
0f.be       movsx       Gv,Eb
0f.bf       movsx       Gv,Ew
0f.c0       xadd        Eb,Gb         lock
0f.c1       xadd        Ev,Gv         lock
np.0f.c2    cmpps       Vx,Wx,Ib      sse +sse
66.0f.c2    cmppd       Vx,Wx,Ib      sse +sse2
f3.0f.c2    cmpss       Vx,Wd,Ib      sse +sse
f2.0f.c2    cmpsd       Vx,Wq,Ib      sse +sse2
np.0f.c3m   movnti      My,Gy         +sse2
np.0f.c4    pinsrw      Pq,Ew,Ib      mmx +sse
66.0f.c4    pinsrw      Vx,Ew,Ib      sse +sse2
np.0f.c5r   pextrw      Gd,Nq,Ib      mmx +sse
66.0f.c5r   pextrw      Gd,Ux,Ib      sse +sse2
np.0f.c6    shufps      Vx,Wx,Ib      sse +sse
66.0f.c6    shufpd      Vx,Wx,Ib      sse +sse2
0f.c7/1m    cmpxchg8b   Mq            lock +cx8
np.0f.c7/3m xrstors     M             +xsaves
np.0f.c7/4m xsavec      M             +xsavec
np.0f.c7/5m xsaves      M             +xsaves
np.0f.c7/6r rdrand      Rv            +rdrand
66.0f.c7/6r rdrand      Rv            +rdrand
np.0f.c7/7r rdseed      Rv            +rdseed
66.0f.c7/7r rdseed      Rv            +rdseed
0f.c8       bswap       Zv
0f.c9       bswap       Zv
0f.ca       bswap       Zv
0f.cb       bswap       Zv
0f.cc       bswap       Zv
0f.cd       bswap       Zv
0f.ce       bswap       Zv
0f.cf       bswap       Zv
66.0f.d0    addsubpd    Vx,Wx         sse +sse3
f2.0f.d0    addsubps    Vx,Wx         sse +sse3
np.0f.d1    psrlw       Pq,Qq         mmx +mmx
66.0f.d1    psrlw       Vx,Wx         sse +sse2
np.0f.d2    psrld       Pq,Qq         mmx +mmx
66.0f.d2    psrld       Vx,Wx         sse +sse2
np.0f.d3    psrlq       Pq,Qq         mmx +mmx
66.0f.d3    psrlq       Vx,Wx         sse +sse2
np.0f.d4    paddq       Pq,Qq         mmx +sse2
66.0f.d4    paddq       Vx,Wx         sse +sse2
np.0f.d5    pmullw      Pq,Qq         mmx +mmx
66.0f.d5    pmullw      Vx,Wx         sse +sse2
66.0f.d6    movq        Wq,Vx         sse +sse2
f3.0f.d6r   movq2dq     Vx,Nq         sse +sse2
f2.0f.d6r   movdq2q     Pq,Ux         sse +sse2
np.0f.d7r   pmovmskb    Gd,Nq         mmx +sse
66.0f.d7r   pmovmskb    Gd,Ux         sse +sse2
np.0f.d8    psubusb     Pq,Qq         mmx +mmx
66.0f.d8    psubusb     Vx,Wx         sse +sse2
np.0f.d9    psubusw     Pq,Qq         mmx +mmx
66.0f.d9    psubusw     Vx,Wx         sse +sse2
np.0f.da    pminub      Pq,Qq         mmx +sse
66.0f.da    pminub      Vx,Wx         sse +sse2
np.0f.db    pand        Pq,Qq         mmx +mmx
66.0f.db    pand        Vx,Wx         sse +sse2
np.0f.dc    paddusb     Pq,Qq         mmx +mmx
66.0f.dc    paddusb     Vx,Wx         sse +sse2
np.0f.dd    paddusw     Pq,Qq         mmx +mmx
66.0f.dd    paddusw     Vx,Wx         sse +sse2
np.0f.de    pmaxub      Pq,Qq         mmx +sse
66.0f.de    pmaxub      Vx,Wx         sse +sse2
np.0f.df    pandn       Pq,Qq         mmx +mmx
66.0f.df    pandn       Vx,Wx         sse +sse2
np.0f.e0    pavgb       Pq,Qq         mmx +sse
66.0f.e0    pavgb       Vx,Wx         sse +sse2
np.0f.e1    psraw       Pq,Qq         mmx +mmx
66.0f.e1    psraw       Vx,Wx         sse +sse2
np.0f.e2    psrad       Pq,Qq         mmx +mmx
66.0f.e2    psrad       Vx,Wx         sse +sse2
np.0f.e3    pavgw       Pq,Qq         mmx +sse
66.0f.e3    pavgw       Vx,Wx         sse +sse2
np.0f.e4    pmulhuw     Pq,Qq         mmx +sse
66.0f.e4    pmulhuw     Vx,Wx         sse +sse2
np.0f.e5    pmulhw      Pq,Qq         mmx +mmx
66.0f.e5    pmulhw      Vx,Wx         sse +sse2
66.0f.e6    cvttpd2dq   Vx,Wx         sse +sse2
f3.0f.e6    cvtdq2pd    Vx,Wq         sse +sse2
f2.0f.e6    cvtpd2dq    Vx,Wx         sse +sse2
np.0f.e7m   movntq      Mq,Pq         mmx +sse
66.0f.e7m   movntdq     Mx,Vx         sse +sse2
np.0f.e8    psubsb      Pq,Qq         mmx +mmx
66.0f.e8    psubsb      Vx,Wx         sse +sse2
np.0f.e9    psubsw      Pq,Qq         mmx +mmx
66.0f.e9    psubsw      Vx,Wx         sse +sse2
np.0f.ea    pminsw      Pq,Qq         mmx +sse
66.0f.ea    pminsw      Vx,Wx         sse +sse2
np.0f.eb    por         Pq,Qq         mmx +mmx
66.0f.eb    por         Vx,Wx         sse +sse2
np.0f.ec    paddsb      Pq,Qq         mmx +mmx
66.0f.ec    paddsb      Vx,Wx         sse +sse2
np.0f.ed    paddsw      Pq,Qq         mmx +mmx
66.0f.ed    paddsw      Vx,Wx         sse +sse2
np.0f.ee    pmaxsw      Pq,Qq         mmx +sse
66.0f.ee    pmaxsw      Vx,Wx         sse +sse2
np.0f.ef    pxor        Pq,Qq         mmx +mmx
66.0f.ef    pxor        Vx,Wx         sse +sse2
f2.0f.f0m   lddqu       Vx,Mx         sse +sse3
np.0f.f1    psllw       Pq,Qq         mmx +mmx
66.0f.f1    psllw       Vx,Wx         sse +sse2
np.0f.f2    pslld       Pq,Qq         mmx +mmx
66.0f.f2    pslld       Vx,Wx         sse +sse2
np.0f.f3    psllq       Pq,Qq         mmx +mmx
66.0f.f3    psllq       Vx,Wx         sse +sse2
np.0f.f4    pmuludq     Pq,Qq         mmx +sse2
66.0f.f4    pmuludq     Vx,Wx         sse +sse2
np.0f.f5    pmaddwd     Pq,Qq         mmx +mmx
66.0f.f5    pmaddwd     Vx,Wx         sse +sse2
np.0f.f6    psadbw      Pq,Qq         mmx +sse
66.0f.f6    psadbw      Vx,Wx         sse +sse2
np.0f.f7r   maskmovq    Pq,Nq         mmx +sse
66.0f.f7r   maskmovdqu  Vx,Ux         sse +sse2
np.0f.f8    psubb       Pq,Qq         mmx +mmx
66.0f.f8    psubb       Vx,Wx         sse +sse2
np.0f.f9    psubw       Pq,Qq         mmx +mmx
66.0f.f9    psubw       Vx,Wx         sse +sse2
np.0f.fa    psubd       Pq,Qq         mmx +mmx
66.0f.fa    psubd       Vx,Wx         sse +sse2
np.0f.fb    psubq       Pq,Qq         mmx +sse2
66.0f.fb    psubq       Vx,Wx         sse +sse2
np.0f.fc    paddb       Pq,Qq         mmx +mmx
66.0f.fc    paddb       Vx,Wx         sse +sse2
np.0f.fd    paddw       Pq,Qq         mmx +mmx
66.0f.fd    paddw       Vx,Wx         sse +sse2
np.0f.fe    paddd       Pq,Qq         mmx +mmx
66.0f.fe    paddd       Vx,Wx         sse +sse2
0f.ff       ud0         Gv,Ev         =ud
np.0f.38.00 pshufb      Pq,Qq         mmx +ssse3
66.0f.38.00 pshufb      Vx,Wx         sse +ssse3
np.0f.38.01 phaddw      Pq,Qq         mmx +ssse3
66.0f.38.01 phaddw      Vx,Wx         sse +ssse3
np.0f.38.02 phaddd      Pq,Qq         mmx +ssse3
66.0f.38.02 phaddd      Vx,Wx         sse +ssse3
np.0f.38.03 phaddsw     Pq,Qq         mmx +ssse3
66.0f.38.03 phaddsw     Vx,Wx         sse +ssse3
np.0f.38.04 pmaddubsw   Pq,Qq         mmx +ssse3
66.0f.38.04 pmaddubsw   Vx,Wx         sse +ssse3
np.0f.38.05 phsubw      Pq,Qq         mmx +ssse3
66.0f.38.05 phsubw      Vx,Wx         sse +ssse3
np.0f.38.06 phsubd      Pq,Qq         mmx +ssse3
66.0f.38.06 phsubd      Vx,Wx         sse +ssse3
np.0f.38.07 phsubsw     Pq,Qq         mmx +ssse3
66.0f.38.07 phsubsw     Vx,Wx         sse +ssse3
np.0f.38.08 psignb      Pq,Qq         mmx +ssse3
66.0f.38.08 psignb      Vx,Wx         sse +ssse3
np.0f.38.09 psignw      Pq,Qq         mmx +ssse3
66.0f.38.09 psignw      Vx,Wx         sse +ssse3
np.0f.38.0a psignd      Pq,Qq         mmx +ssse3
66.0f.38.0a psignd      Vx,Wx         sse +ssse3
np.0f.38.0b pmulhrsw    Pq,Qq         mmx +ssse3
66.0f.38.0b pmulhrsw    Vx,Wx         sse +ssse3
66.0f.38.10 pblendvb    Vx,Wx         sse +sse4_1
66.0f.38.14 blendvps    Vx,Wx         sse +sse4_1
66.0f.38.15 blendvpd    Vx,Wx         sse +sse4_1
66.0f.38.17 ptest       Vx,Wx         sse +sse4_1
np.0f.38.1c pabsb       Pq,Qq         mmx +ssse3
66.0f.38.1c pabsb       Vx,Wx         sse +ssse3
np.0f.38.1d pabsw       Pq,Qq         mmx +ssse3
66.0f.38.1d pabsw       Vx,Wx         sse +ssse3
np.0f.38.1e pabsd       Pq,Qq         mmx +ssse3
66.0f.38.1e pabsd       Vx,Wx         sse +ssse3
66.0f.38.20 pmovsxbw    Vx,Wq         sse +sse4_1
66.0f.38.21 pmovsxbd    Vx,Wd         sse +sse4_1
66.0f.38.22 pmovsxbq    Vx,Ww         sse +sse4_1
66.0f.38.23 pmovsxwd    Vx,Wq         sse +sse4_1
66.0f.38.24 pmovsxwq    Vx,Wd         sse +sse4_1
66.0f.38.25 pmovsxdq    Vx,Wq         sse +sse4_1
66.0f.38.28 pmuldq      Vx,Wx         sse +sse4_1
66.0f.38.29 pcmpeqq     Vx,Wx         sse +sse4_1
66.0f.38.2am movntdqa    Vx,Mx         sse +sse4_1
66.0f.38.2b packusdw    Vx,Wx         sse +sse4_1
66.0f.38.30 pmovzxbw    Vx,Wq         sse +sse4_1
66.0f.38.31 pmovzxbd    Vx,Wd         sse +sse4_1
66.0f.38.32 pmovzxbq    Vx,Ww         sse +sse4_1
66.0f.38.33 pmovzxwd    Vx,Wq         sse +sse4_1
66.0f.38.34 pmovzxwq    Vx,Wd         sse +sse4_1
66.0f.38.35 pmovzxdq    Vx,Wq         sse +sse4_1
66.0f.38.37 pcmpgtq     Vx,Wx         sse +sse4_2
66.0f.38.38 pminsb      Vx,Wx         sse +sse4_1
66.0f.38.39 pminsd      Vx,Wx         sse +sse4_1
66.0f.38.3a pminuw      Vx,Wx         sse +sse4_1
66.0f.38.3b pminud      Vx,Wx         sse +sse4_1
66.0f.38.3c pmaxsb      Vx,Wx         sse +sse4_1
66.0f.38.3d pmaxsd      Vx,Wx         sse +sse4_1
66.0f.38.3e pmaxuw      Vx,Wx         sse +sse4_1
66.0f.38.3f pmaxud      Vx,Wx         sse +sse4_1
66.0f.38.40 pmulld      Vx,Wx         sse +sse4_1
66.0f.38.41 phminposuw  Vx,Wx         sse +sse4_1
np.0f.38.c8 sha1nexte   Vx,Wx         sse +sha_ni
np.0f.38.c9 sha1msg1    Vx,Wx         sse +sha_ni
np.0f.38.ca sha1msg2    Vx,Wx         sse +sha_ni
np.0f.38.cb sha256rnds2 Vx,Wx         sse +sha_ni
np.0f.38.cc sha256msg1  Vx,Wx         sse +sha_ni
np.0f.38.cd sha256msg2  Vx,Wx         sse +sha_ni
66.0f.38.db aesimc      Vx,Wx         sse +aes
66.0f.38.dc aesenc      Vx,Wx         sse +aes
66.0f.38.dd aesenclast  Vx,Wx         sse +aes
66.0f.38.de aesdec      Vx,Wx         sse +aes
66.0f.38.df aesdeclast  Vx,Wx         sse +aes
np.0f.38.f0m movbe       Gv,Mv         +movbe
66.0f.38.f0m movbe       Gv,Mv         +movbe
f2.0f.38.f0 crc32       Gy,Eb         +sse4_2
np.0f.38.f1m movbe       Mv,Gv         +movbe
66.0f.38.f1m movbe       Mv,Gv         +movbe
f2.0f.38.f1 crc32       Gy,Ev         +sse4_2
66.0f.38.f6 adcx        Gy,Ey         +adx
f3.0f.38.f6 adox        Gy,Ey         +adx
66.0f.3a.08 roundps     Vx,Wx,Ib      sse +sse4_1
66.0f.3a.09 roundpd     Vx,Wx,Ib      sse +sse4_1
66.0f.3a.0a roundss     Vx,Wd,Ib      sse +sse4_1
66.0f.3a.0b roundsd     Vx,Wq,Ib      sse +sse4_1
66.0f.3a.0c blendps     Vx,Wx,Ib      sse +sse4_1
66.0f.3a.0d blendpd     Vx,Wx,Ib      sse +sse4_1
66.0f.3a.0e pblendw     Vx,Wx,Ib      sse +sse4_1
np.0f.3a.0f palignr     Pq,Qq,Ib      mmx +ssse3
66.0f.3a.0f palignr     Vx,Wx,Ib      sse +ssse3
66.0f.3a.14m pextrb      Mb,Vx,Ib      sse +sse4_1
66.0f.3a.14r pextrb      Rd,Vx,Ib      sse +sse4_1
66.0f.3a.15m pextrw      Mw,Vx,Ib      sse +sse4_1 =pextrw4
66.0f.3a.15r pextrw      Rd,Vx,Ib      sse +sse4_1 =pextrw4
66.0f.3a.16 pextrd      Ey,Vx,Ib      sse +sse4_1
66.0f.3a.17 extractps   Ed,Vx,Ib      sse +sse4_1
66.0f.3a.20m pinsrb      Vx,Mb,Ib      sse +sse4_1
66.0f.3a.20r pinsrb      Vx,Rd,Ib      sse +sse4_1
66.0f.3a.21 insertps    Vx,Wd,Ib      sse +sse4_1
66.0f.3a.22 pinsrd      Vx,Ey,Ib      sse +sse4_1
66.0f.3a.40 dpps        Vx,Wx,Ib      sse +sse4_1
66.0f.3a.41 dppd        Vx,Wx,Ib      sse +sse4_1
66.0f.3a.42 mpsadbw     Vx,Wx,Ib      sse +sse4_1
66.0f.3a.44 pclmulqdq   Vx,Wx,Ib      sse +pclmulqdq
66.0f.3a.60 pcmpestrm   Vx,Wx,Ib      sse +sse4_2
66.0f.3a.61 pcmpestri   Vx,Wx,Ib      sse +sse4_2
66.0f.3a.62 pcmpistrm   Vx,Wx,Ib      sse +sse4_2
66.0f.3a.63 pcmpistri   Vx,Wx,Ib      sse +sse4_2
np.0f.3a.cc sha1rnds4   Vx,Wx,Ib      sse +sha_ni
66.0f.3a.df aeskeygenassist Vx,Wx,Ib      sse +aes
`;

/** Kinds of operands. */
export const KIND_NONE = 0,
  KIND_E = 1,
  KIND_G = 2,
  KIND_M = 3,
  KIND_I = 4,
  KIND_J = 5,
  KIND_O = 6,
  KIND_Z = 7,
  KIND_REG = 8,
  KIND_S = 9,
  KIND_C = 10,
  KIND_D = 11,
  KIND_R = 12,
  KIND_P = 13,
  KIND_Q = 14,
  KIND_N = 15,
  KIND_V = 16,
  KIND_W = 17,
  KIND_U = 18,
  KIND_A = 19,
  KIND_SREG = 20,
  KIND_ST = 21,
  KIND_STI = 22,
  KIND_ONE = 23,
  KIND_X = 24,
  KIND_Y = 25,
  KIND_H = 26,
  KIND_B = 27,
  KIND_L = 28;

/** Immediates: none; byte; byte sign-extended; word; word and byte; by operand size; far pointer; offset by address size. */
export const IMM_NONE = 0,
  IMM_B = 1,
  IMM_BS = 2,
  IMM_W = 3,
  IMM_WB = 4,
  IMM_Z = 5,
  IMM_AP = 6,
  IMM_O = 7,
  IMM_V = 8;

/** Classes of instructions: none; x87; WAIT; MMX; SSE; AVX. */
export const CLASS_NONE = 0,
  CLASS_X87 = 1,
  CLASS_WAIT = 2,
  CLASS_MMX = 3,
  CLASS_SSE = 4,
  CLASS_AVX = 5;

/** In {@linkcode Row.sizes}: 4, or 8 with REX.W. */
export const SIZE_Y = 12;

/** One line of the table. */
export interface Row {
  /** Its place in {@linkcode ROWS}. */
  readonly index: number;
  /** The key. */
  readonly key: string;
  /** The mnemonic. */
  readonly name: string;
  /** The operands as written. */
  readonly operands: readonly string[];
  /** Name of the translate function. */
  readonly handler: string;
  /** Kind of each operand: one of the `KIND_` constants. */
  readonly kinds: readonly number[];
  /** Size of each operand in bytes; 0: the operand size. */
  readonly sizes: readonly number[];
  /** Register number of each operand that is a fixed register. */
  readonly fixed: readonly number[];
  /** Immediates: one of the `IMM_` constants. */
  readonly imm: number;
  /** LOCK is allowed. */
  readonly lock: boolean;
  /** Reads and writes operand 0: a page fault of the read is reported as one of a write. */
  readonly modifies: boolean;
  /** Operand size 64 by default in 64-bit mode. */
  readonly default64: boolean;
  /** Operand size 64 in 64-bit mode, whatever the prefixes. */
  readonly force64: boolean;
  /** Undefined in 64-bit mode. */
  readonly invalid64: boolean;
  /** Defined in 64-bit mode only, in place of what else the opcode is. */
  readonly only64: boolean;
  /** The feature that it needs, or "". */
  readonly feature: string;
  /** One of the `CLASS_` constants. */
  readonly class: number;
  /** One of its operands stands in the VEX prefix. */
  readonly usesVvvv: boolean;
}

const LETTERS: Readonly<Record<string, number>> = {
  E: KIND_E,
  G: KIND_G,
  M: KIND_M,
  I: KIND_I,
  J: KIND_J,
  O: KIND_O,
  Z: KIND_Z,
  S: KIND_S,
  C: KIND_C,
  D: KIND_D,
  R: KIND_R,
  P: KIND_P,
  Q: KIND_Q,
  N: KIND_N,
  V: KIND_V,
  W: KIND_W,
  U: KIND_U,
  A: KIND_A,
  X: KIND_X,
  Y: KIND_Y,
  H: KIND_H,
  B: KIND_B,
  L: KIND_L,
};
const SIZES: Readonly<Record<string, number>> = {
  b: 1,
  w: 2,
  d: 4,
  q: 8,
  t: 10,
  x: 16,
  o: 16,
  y: SIZE_Y,
};
const FIXED: Readonly<Record<string, readonly [number, number, number]>> = {
  // kind, size, number
  AL: [KIND_REG, 1, 0],
  CL: [KIND_REG, 1, 1],
  AX: [KIND_REG, 2, 0],
  DX: [KIND_REG, 2, 2],
  eAX: [KIND_REG, 0, 0],
  rAX: [KIND_REG, 0, 0],
  ES: [KIND_SREG, 2, 0],
  CS: [KIND_SREG, 2, 1],
  SS: [KIND_SREG, 2, 2],
  DS: [KIND_SREG, 2, 3],
  FS: [KIND_SREG, 2, 4],
  GS: [KIND_SREG, 2, 5],
  ST: [KIND_ST, 10, 0],
  STi: [KIND_STI, 10, 0],
  "1": [KIND_ONE, 1, 0],
};
const CLASSES: Readonly<Record<string, number>> = {
  x87: CLASS_X87,
  x87w: CLASS_WAIT,
  mmx: CLASS_MMX,
  sse: CLASS_SSE,
  avx: CLASS_AVX,
};

/** Instructions that lock or modify their first operand. */
const MODIFIES = new Set(
  "add or adc sbb and sub xor inc dec neg not rol ror rcl rcr shl shr sar shld shrd xchg cmpxchg xadd cmpxchg8b bts btr btc"
    .split(" "),
);

function immediateOf(operands: readonly string[]): number {
  if (operands[0] === "Iw") return operands[1] === "Ib" ? IMM_WB : IMM_W;
  for (const o of operands) {
    if (o === "Ib" || o[0] === "L") return IMM_B;
    if (o === "Ibs" || o === "Jb") return IMM_BS;
    if (o === "Iv") return IMM_V;
    if (o === "Iz" || o === "Jz") return IMM_Z;
    if (o === "Ap") return IMM_AP;
    if (o[0] === "O") return IMM_O;
  }
  return IMM_NONE;
}

type Operands = Pick<Row, "operands" | "kinds" | "sizes" | "fixed" | "imm">;
type Attributes =
  & Pick<
    Row,
    | "lock"
    | "default64"
    | "force64"
    | "invalid64"
    | "only64"
    | "feature"
    | "class"
  >
  & {
    /** The translate function, or "". */
    readonly handler: string;
  };

function parseOperands(list: string): Operands {
  const operands = list === "-" ? [] : list.split(",");
  const kinds = [0, 0, 0, 0], sizes = [0, 0, 0, 0], fixed = [0, 0, 0, 0];
  operands.forEach((o, k) => {
    const f = FIXED[o];
    if (f !== undefined) {
      [kinds[k], sizes[k], fixed[k]] = f;
      return;
    }
    const kind = LETTERS[o[0]];
    if (kind === undefined) throw new Error(`bad operand ${o} in ${list}`);
    kinds[k] = kind;
    sizes[k] = o === "Ibs" ? 0 : SIZES[o.slice(1)] ?? 0;
  });
  return { operands, kinds, sizes, fixed, imm: immediateOf(operands) };
}

function parseAttributes(text: string): Attributes {
  const attributes = text === "" ? [] : text.split(" ");
  let handler = "", feature = "", cls = CLASS_NONE;
  for (const a of attributes) {
    if (a[0] === "=") handler = a.slice(1);
    else if (a[0] === "+") feature = a.slice(1);
    else if (a in CLASSES) cls = CLASSES[a];
    else if (!/^(lock|[dfio]64)$/.test(a)) {
      throw new Error(`bad attribute ${a} in ${text}`);
    }
  }
  return {
    handler,
    lock: attributes.includes("lock"),
    default64: attributes.includes("d64"),
    force64: attributes.includes("f64"),
    invalid64: attributes.includes("i64"),
    only64: attributes.includes("o64"),
    feature,
    class: cls,
  };
}

/** Parses each text once: many lines have the same operands and attributes. */
function memo<T>(parse: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    let value = known.get(text);
    if (value === undefined) known.set(text, value = parse(text));
    return value;
  };
}

// All of this runs once in each process, in code that V8 has not seen before:
// patterns that take arrays and objects apart cost it most.

const operandsOf = memo(parseOperands);
const attributesOf = memo(parseAttributes);
/** A line whose columns are one space apart. */
function parse(line: string, index: number): Row {
  const key = line.slice(0, line.indexOf(" "));
  const nameAt = key.length + 1;
  const nameEnd = line.indexOf(" ", nameAt);
  if (nameEnd < 0) throw new Error(`bad line: ${line}`);
  const name = line.slice(nameAt, nameEnd);
  const operandsAt = nameEnd + 1;
  const space = line.indexOf(" ", operandsAt);
  const operandsEnd = space < 0 ? line.length : space;
  const o = operandsOf(line.slice(operandsAt, operandsEnd));
  const a = attributesOf(line.slice(operandsEnd + 1));
  const kinds = o.kinds;
  return {
    index,
    key,
    name,
    operands: o.operands,
    handler: a.handler === "" ? name : a.handler,
    kinds,
    sizes: o.sizes,
    fixed: o.fixed,
    imm: o.imm,
    modifies: MODIFIES.has(name) &&
      (kinds[0] === KIND_E || kinds[0] === KIND_M),
    lock: a.lock,
    default64: a.default64,
    force64: a.force64,
    invalid64: a.invalid64,
    only64: a.only64,
    feature: a.feature,
    class: a.class,
    usesVvvv: kinds.includes(KIND_H) || kinds.includes(KIND_B),
  };
}

/** The row of everything that is undefined. */
export const UD_ROW = 0;

/** The table. */
export const ROWS: readonly Row[] = [
  "- (bad) - =ud",
  ...linesOf(TABLE),
  ...vexLines(),
].map(parse);

/**
 * Maps: 0 to 3 without a VEX prefix; with one `MAP_VEX` + (0 for `0F`, 1 for
 * `0F 38`, 2 for `0F 3A`) + 3 * W + 6 * L; the last one is empty.
 */
export const MAP_VEX = 4, MAP_NONE = 16;
const MAP_COUNT = 17;

/** Whether an opcode (map << 8 | opcode) is followed by a ModRM byte. */
export const MODRM: Uint8Array = new Uint8Array(MAP_COUNT * 256);

// Finding a row: ROOT has the row of each opcode, or -1 - (its group). A group
// has a row for each prefix (none, 66, F3, F2), memory or register, reg and rm.
const ROOT = new Int16Array(MAP_COUNT * 256);
const groups: Int16Array[] = [];
const GROUP_ENTRIES = 4 * 2 * 8 * 8;

/** The number in {@linkcode ROWS} of an opcode (map << 8 | opcode), a prefix (0 none, 1 66, 2 F3, 3 F2) and the fields of ModRM. */
export function rowOf(
  opcode: number,
  prefix: number,
  mod: number,
  reg: number,
  rm: number,
): number {
  const root = ROOT[opcode];
  if (root >= 0) return root;
  return groups[-1 - root][
    (prefix << 7) | (mod === 3 ? 64 : 0) | (reg << 3) | rm
  ];
}

const KEY =
  /^(?:(v)(?:w([01]))?(?:l([01]))?\.)?(?:(np|66|f3|f2)\.)?(0f\.(?:38\.|3a\.)?)?([0-9a-f]{2})(?:\/([0-7]))?([mr])?(?::([0-7]))?$/;
const PREFIXES = ["np", "66", "f3", "f2"];
const MAPS: readonly (string | undefined)[] = [
  undefined,
  "0f.",
  "0f.38.",
  "0f.3a.",
];
const FORMS = ["m", "r"];
/** By kind, as bits: operands that stand in ModRM. */
const MODRM_KINDS = 1 << KIND_E | 1 << KIND_G | 1 << KIND_M | 1 << KIND_S |
  1 << KIND_C | 1 << KIND_D | 1 << KIND_R | 1 << KIND_P | 1 << KIND_Q |
  1 << KIND_N | 1 << KIND_V | 1 << KIND_W | 1 << KIND_U | 1 << KIND_H |
  1 << KIND_B | 1 << KIND_L;

/** What a key says; a field that it does not mention is -1. */
interface Place {
  readonly row: number;
  readonly opcode: number;
  readonly prefix: number;
  readonly form: number;
  readonly reg: number;
  readonly rm: number;
  /** How much it says: what says more wins over what says less. */
  readonly weight: number;
}

/** Weights are less than this. */
const WEIGHTS = 16;

/** The number that a part of a key is, or -1. */
function numberIn(part: string | undefined): number {
  return part === undefined ? -1 : Number(part);
}

/** Calls `each` with the places of a row in all maps that its line stands in. */
function placesOf(row: Row, each: (place: Place) => void): void {
  const m = KEY.exec(row.key);
  if (m === null) throw new Error(`bad key: ${row.key}`);
  const map = MAPS.indexOf(m[5]);
  if (m[1] === undefined) return each(placeOf(row, m, map));
  eachOf(numberIn(m[2]), 2, (wide) =>
    eachOf(
      numberIn(m[3]),
      2,
      (long) => each(placeOf(row, m, MAP_VEX + map - 1 + 3 * wide + 6 * long)),
    ));
}

function placeOf(row: Row, m: RegExpExecArray, map: number): Place {
  const kinds = row.kinds;
  const opcode = (map << 8) | parseInt(m[6], 16);
  const prefix = PREFIXES.indexOf(m[4]);
  const reg = numberIn(m[7]);
  const form = FORMS.indexOf(m[8]);
  const rm = numberIn(m[9]);
  let isInModrm = reg >= 0 || form >= 0;
  for (let i = 0; i < kinds.length; i++) {
    if ((MODRM_KINDS >> kinds[i] & 1) !== 0) isInModrm = true;
  }
  if (isInModrm) MODRM[opcode] = 1;
  const weight = (prefix >= 0 ? 8 : 0) | (reg >= 0 ? 4 : 0) |
    (form >= 0 ? 2 : 0) | (rm >= 0 ? 1 : 0);
  return { row: row.index, opcode, prefix, form, reg, rm, weight };
}

/** Calls `each` with the one number that is said, or with all below `count`. */
function eachOf(
  said: number,
  count: number,
  each: (value: number) => void,
): void {
  if (said >= 0) return each(said);
  for (let value = 0; value < count; value++) each(value);
}

/** Enters a place; those that say less must have been entered. */
function enter(p: Place): void {
  const root = ROOT[p.opcode];
  if (p.weight === 0) {
    ROOT[p.opcode] = p.row;
    return;
  }
  if (root >= 0) {
    ROOT[p.opcode] = -1 - groups.length;
    groups.push(new Int16Array(GROUP_ENTRIES).fill(root));
  }
  const group = groups[-1 - ROOT[p.opcode]];
  eachOf(p.prefix, 4, (prefix) =>
    eachOf(p.form, 2, (form) => {
      const part = (prefix << 7) | (form << 6);
      if (p.rm < 0) {
        // The entries of one reg are neighbours, and so are all regs.
        const from = part | (p.reg < 0 ? 0 : p.reg << 3);
        group.fill(p.row, from, from + (p.reg < 0 ? 64 : 8));
      } else {
        eachOf(p.reg, 8, (reg) => group[part | (reg << 3) | p.rm] = p.row);
      }
    }));
}

/** How many opcodes (map << 8 | opcode) there are. */
export const OPCODES: number = MAP_COUNT * 256;

/**
 * By prefix (0 none, 1 66, 2 F3, 3 F2) * {@linkcode OPCODES} + opcode: the row
 * that it has in 64-bit mode instead of its others, or -1.
 */
export const LONG_ROWS: Int16Array = new Int16Array(4 * OPCODES).fill(-1);

const byWeight: Place[][] = Array.from({ length: WEIGHTS }, () => []);
for (let i = UD_ROW + 1; i < ROWS.length; i++) {
  const row = ROWS[i];
  placesOf(row, (place) => {
    if (!row.only64) byWeight[place.weight].push(place);
    else {
      eachOf(place.prefix, 4, (prefix) => {
        LONG_ROWS[prefix * OPCODES + place.opcode] = row.index;
      });
    }
  });
}
for (const places of byWeight) places.forEach(enter);
