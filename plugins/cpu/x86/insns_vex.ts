/**
 * The lines of the instruction table (insns.ts) with a VEX prefix.
 *
 * The key of a line begins with `v`, then `w0` or `w1` where VEX.W and `l0` or
 * `l1` where VEX.L must be that; `66`, `f2`, `f3` and `np` are VEX.pp.
 *
 * More letters of operands: H vector register and B general register of
 * VEX.vvvv, L vector register of the immediate's upper half. Size `x` is 16 or 32
 * bytes by VEX.L, `o` always 16. A feature `+a:b` is `a` for 128 and `b` for 256 bits.
 *
 * @module
 */

const TABLE = `
v.np.0f.10          vmovups         Vx,Wx          avx +avx
v.66.0f.10          vmovupd         Vx,Wx          avx +avx
v.f3.0f.10m         vmovss          Vo,Md          avx +avx
v.f3.0f.10r         vmovss          Vo,Ho,Uo       avx +avx
v.f2.0f.10m         vmovsd          Vo,Mq          avx +avx
v.f2.0f.10r         vmovsd          Vo,Ho,Uo       avx +avx
v.np.0f.11          vmovups         Wx,Vx          avx +avx
v.66.0f.11          vmovupd         Wx,Vx          avx +avx
v.f3.0f.11m         vmovss          Md,Vo          avx +avx
v.f3.0f.11r         vmovss          Uo,Ho,Vo       avx +avx
v.f2.0f.11m         vmovsd          Mq,Vo          avx +avx
v.f2.0f.11r         vmovsd          Uo,Ho,Vo       avx +avx
vl0.np.0f.12m       vmovlps         Vo,Ho,Mq       avx +avx
vl0.np.0f.12r       vmovhlps        Vo,Ho,Uo       avx +avx
vl0.66.0f.12m       vmovlpd         Vo,Ho,Mq       avx +avx
vl0.f2.0f.12        vmovddup        Vo,Wq          avx +avx
vl1.f2.0f.12        vmovddup        Vx,Wx          avx +avx
v.f3.0f.12          vmovsldup       Vx,Wx          avx +avx
vl0.np.0f.13m       vmovlps         Mq,Vo          avx +avx
vl0.66.0f.13m       vmovlpd         Mq,Vo          avx +avx
v.np.0f.14          vunpcklps       Vx,Hx,Wx       avx +avx
v.66.0f.14          vunpcklpd       Vx,Hx,Wx       avx +avx
v.np.0f.15          vunpckhps       Vx,Hx,Wx       avx +avx
v.66.0f.15          vunpckhpd       Vx,Hx,Wx       avx +avx
vl0.np.0f.16m       vmovhps         Vo,Ho,Mq       avx +avx
vl0.np.0f.16r       vmovlhps        Vo,Ho,Uo       avx +avx
vl0.66.0f.16m       vmovhpd         Vo,Ho,Mq       avx +avx
v.f3.0f.16          vmovshdup       Vx,Wx          avx +avx
vl0.np.0f.17m       vmovhps         Mq,Vo          avx +avx
vl0.66.0f.17m       vmovhpd         Mq,Vo          avx +avx
v.np.0f.28          vmovaps         Vx,Wx          avx +avx
v.66.0f.28          vmovapd         Vx,Wx          avx +avx
v.np.0f.29          vmovaps         Wx,Vx          avx +avx
v.66.0f.29          vmovapd         Wx,Vx          avx +avx
v.f3.0f.2a          vcvtsi2ss       Vo,Ho,Ev       avx +avx
v.f2.0f.2a          vcvtsi2sd       Vo,Ho,Ev       avx +avx
v.np.0f.2bm         vmovntps        Mx,Vx          avx +avx
v.66.0f.2bm         vmovntpd        Mx,Vx          avx +avx
v.f3.0f.2c          vcvttss2si      Gv,Wd          avx +avx
v.f2.0f.2c          vcvttsd2si      Gv,Wq          avx +avx
v.f3.0f.2d          vcvtss2si       Gv,Wd          avx +avx
v.f2.0f.2d          vcvtsd2si       Gv,Wq          avx +avx
v.np.0f.2e          vucomiss        Vo,Wd          avx +avx
v.66.0f.2e          vucomisd        Vo,Wq          avx +avx
v.np.0f.2f          vcomiss         Vo,Wd          avx +avx
v.66.0f.2f          vcomisd         Vo,Wq          avx +avx
v.np.0f.50r         vmovmskps       Gd,Ux          avx +avx
v.66.0f.50r         vmovmskpd       Gd,Ux          avx +avx
v.np.0f.51          vsqrtps         Vx,Wx          avx +avx
v.66.0f.51          vsqrtpd         Vx,Wx          avx +avx
v.f3.0f.51          vsqrtss         Vo,Ho,Wd       avx +avx
v.f2.0f.51          vsqrtsd         Vo,Ho,Wq       avx +avx
v.np.0f.52          vrsqrtps        Vx,Wx          avx +avx
v.f3.0f.52          vrsqrtss        Vo,Ho,Wd       avx +avx
v.np.0f.53          vrcpps          Vx,Wx          avx +avx
v.f3.0f.53          vrcpss          Vo,Ho,Wd       avx +avx
v.np.0f.54          vandps          Vx,Hx,Wx       avx +avx
v.66.0f.54          vandpd          Vx,Hx,Wx       avx +avx
v.np.0f.55          vandnps         Vx,Hx,Wx       avx +avx
v.66.0f.55          vandnpd         Vx,Hx,Wx       avx +avx
v.np.0f.56          vorps           Vx,Hx,Wx       avx +avx
v.66.0f.56          vorpd           Vx,Hx,Wx       avx +avx
v.np.0f.57          vxorps          Vx,Hx,Wx       avx +avx
v.66.0f.57          vxorpd          Vx,Hx,Wx       avx +avx
v.np.0f.58          vaddps          Vx,Hx,Wx       avx +avx
v.66.0f.58          vaddpd          Vx,Hx,Wx       avx +avx
v.f3.0f.58          vaddss          Vo,Ho,Wd       avx +avx
v.f2.0f.58          vaddsd          Vo,Ho,Wq       avx +avx
v.np.0f.59          vmulps          Vx,Hx,Wx       avx +avx
v.66.0f.59          vmulpd          Vx,Hx,Wx       avx +avx
v.f3.0f.59          vmulss          Vo,Ho,Wd       avx +avx
v.f2.0f.59          vmulsd          Vo,Ho,Wq       avx +avx
vl0.np.0f.5a        vcvtps2pd       Vo,Wq          avx +avx
vl1.np.0f.5a        vcvtps2pd       Vx,Wo          avx +avx
v.66.0f.5a          vcvtpd2ps       Vo,Wx          avx +avx
v.f3.0f.5a          vcvtss2sd       Vo,Ho,Wd       avx +avx
v.f2.0f.5a          vcvtsd2ss       Vo,Ho,Wq       avx +avx
v.np.0f.5b          vcvtdq2ps       Vx,Wx          avx +avx
v.66.0f.5b          vcvtps2dq       Vx,Wx          avx +avx
v.f3.0f.5b          vcvttps2dq      Vx,Wx          avx +avx
v.np.0f.5c          vsubps          Vx,Hx,Wx       avx +avx
v.66.0f.5c          vsubpd          Vx,Hx,Wx       avx +avx
v.f3.0f.5c          vsubss          Vo,Ho,Wd       avx +avx
v.f2.0f.5c          vsubsd          Vo,Ho,Wq       avx +avx
v.np.0f.5d          vminps          Vx,Hx,Wx       avx +avx
v.66.0f.5d          vminpd          Vx,Hx,Wx       avx +avx
v.f3.0f.5d          vminss          Vo,Ho,Wd       avx +avx
v.f2.0f.5d          vminsd          Vo,Ho,Wq       avx +avx
v.np.0f.5e          vdivps          Vx,Hx,Wx       avx +avx
v.66.0f.5e          vdivpd          Vx,Hx,Wx       avx +avx
v.f3.0f.5e          vdivss          Vo,Ho,Wd       avx +avx
v.f2.0f.5e          vdivsd          Vo,Ho,Wq       avx +avx
v.np.0f.5f          vmaxps          Vx,Hx,Wx       avx +avx
v.66.0f.5f          vmaxpd          Vx,Hx,Wx       avx +avx
v.f3.0f.5f          vmaxss          Vo,Ho,Wd       avx +avx
v.f2.0f.5f          vmaxsd          Vo,Ho,Wq       avx +avx
v.66.0f.60          vpunpcklbw      Vx,Hx,Wx       avx +avx:avx2
v.66.0f.61          vpunpcklwd      Vx,Hx,Wx       avx +avx:avx2
v.66.0f.62          vpunpckldq      Vx,Hx,Wx       avx +avx:avx2
v.66.0f.63          vpacksswb       Vx,Hx,Wx       avx +avx:avx2
v.66.0f.64          vpcmpgtb        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.65          vpcmpgtw        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.66          vpcmpgtd        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.67          vpackuswb       Vx,Hx,Wx       avx +avx:avx2
v.66.0f.68          vpunpckhbw      Vx,Hx,Wx       avx +avx:avx2
v.66.0f.69          vpunpckhwd      Vx,Hx,Wx       avx +avx:avx2
v.66.0f.6a          vpunpckhdq      Vx,Hx,Wx       avx +avx:avx2
v.66.0f.6b          vpackssdw       Vx,Hx,Wx       avx +avx:avx2
v.66.0f.6c          vpunpcklqdq     Vx,Hx,Wx       avx +avx:avx2
v.66.0f.6d          vpunpckhqdq     Vx,Hx,Wx       avx +avx:avx2
vl0.66.0f.6e        vmovd           Vo,Ev          avx +avx
v.66.0f.6f          vmovdqa         Vx,Wx          avx +avx
v.f3.0f.6f          vmovdqu         Vx,Wx          avx +avx
v.66.0f.70          vpshufd         Vx,Wx,Ib       avx +avx:avx2
v.f3.0f.70          vpshufhw        Vx,Wx,Ib       avx +avx:avx2
v.f2.0f.70          vpshuflw        Vx,Wx,Ib       avx +avx:avx2
v.66.0f.71/2r       vpsrlw          Hx,Ux,Ib       avx +avx:avx2
v.66.0f.71/4r       vpsraw          Hx,Ux,Ib       avx +avx:avx2
v.66.0f.71/6r       vpsllw          Hx,Ux,Ib       avx +avx:avx2
v.66.0f.72/2r       vpsrld          Hx,Ux,Ib       avx +avx:avx2
v.66.0f.72/4r       vpsrad          Hx,Ux,Ib       avx +avx:avx2
v.66.0f.72/6r       vpslld          Hx,Ux,Ib       avx +avx:avx2
v.66.0f.73/2r       vpsrlq          Hx,Ux,Ib       avx +avx:avx2
v.66.0f.73/3r       vpsrldq         Hx,Ux,Ib       avx +avx:avx2
v.66.0f.73/6r       vpsllq          Hx,Ux,Ib       avx +avx:avx2
v.66.0f.73/7r       vpslldq         Hx,Ux,Ib       avx +avx:avx2
v.66.0f.74          vpcmpeqb        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.75          vpcmpeqw        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.76          vpcmpeqd        Vx,Hx,Wx       avx +avx:avx2
vl0.np.0f.77        vzeroupper      -              avx +avx
vl1.np.0f.77        vzeroall        -              avx +avx
v.66.0f.7c          vhaddpd         Vx,Hx,Wx       avx +avx
v.f2.0f.7c          vhaddps         Vx,Hx,Wx       avx +avx
v.66.0f.7d          vhsubpd         Vx,Hx,Wx       avx +avx
v.f2.0f.7d          vhsubps         Vx,Hx,Wx       avx +avx
vl0.66.0f.7e        vmovd           Ev,Vo          avx +avx
vl0.f3.0f.7e        vmovq           Vo,Wq          avx +avx
v.66.0f.7f          vmovdqa         Wx,Vx          avx +avx
v.f3.0f.7f          vmovdqu         Wx,Vx          avx +avx
vl0.np.0f.ae/2m     vldmxcsr        Md             avx +avx
vl0.np.0f.ae/3m     vstmxcsr        Md             avx +avx
v.np.0f.c2          vcmpps          Vx,Hx,Wx,Ib    avx +avx
v.66.0f.c2          vcmppd          Vx,Hx,Wx,Ib    avx +avx
v.f3.0f.c2          vcmpss          Vo,Ho,Wd,Ib    avx +avx
v.f2.0f.c2          vcmpsd          Vo,Ho,Wq,Ib    avx +avx
vl0.66.0f.c4        vpinsrw         Vo,Ho,Ew,Ib    avx +avx
vl0.66.0f.c5r       vpextrw         Gd,Uo,Ib       avx +avx
v.np.0f.c6          vshufps         Vx,Hx,Wx,Ib    avx +avx
v.66.0f.c6          vshufpd         Vx,Hx,Wx,Ib    avx +avx
v.66.0f.d0          vaddsubpd       Vx,Hx,Wx       avx +avx
v.f2.0f.d0          vaddsubps       Vx,Hx,Wx       avx +avx
v.66.0f.d1          vpsrlw          Vx,Hx,Wo       avx +avx:avx2
v.66.0f.d2          vpsrld          Vx,Hx,Wo       avx +avx:avx2
v.66.0f.d3          vpsrlq          Vx,Hx,Wo       avx +avx:avx2
v.66.0f.d4          vpaddq          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.d5          vpmullw         Vx,Hx,Wx       avx +avx:avx2
vl0.66.0f.d6        vmovq           Wq,Vo          avx +avx
v.66.0f.d7r         vpmovmskb       Gd,Ux          avx +avx:avx2
v.66.0f.d8          vpsubusb        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.d9          vpsubusw        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.da          vpminub         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.db          vpand           Vx,Hx,Wx       avx +avx:avx2
v.66.0f.dc          vpaddusb        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.dd          vpaddusw        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.de          vpmaxub         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.df          vpandn          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.e0          vpavgb          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.e1          vpsraw          Vx,Hx,Wo       avx +avx:avx2
v.66.0f.e2          vpsrad          Vx,Hx,Wo       avx +avx:avx2
v.66.0f.e3          vpavgw          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.e4          vpmulhuw        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.e5          vpmulhw         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.e6          vcvttpd2dq      Vo,Wx          avx +avx
vl0.f3.0f.e6        vcvtdq2pd       Vo,Wq          avx +avx
vl1.f3.0f.e6        vcvtdq2pd       Vx,Wo          avx +avx
v.f2.0f.e6          vcvtpd2dq       Vo,Wx          avx +avx
v.66.0f.e7m         vmovntdq        Mx,Vx          avx +avx
v.66.0f.e8          vpsubsb         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.e9          vpsubsw         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.ea          vpminsw         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.eb          vpor            Vx,Hx,Wx       avx +avx:avx2
v.66.0f.ec          vpaddsb         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.ed          vpaddsw         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.ee          vpmaxsw         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.ef          vpxor           Vx,Hx,Wx       avx +avx:avx2
v.f2.0f.f0m         vlddqu          Vx,Mx          avx +avx
v.66.0f.f1          vpsllw          Vx,Hx,Wo       avx +avx:avx2
v.66.0f.f2          vpslld          Vx,Hx,Wo       avx +avx:avx2
v.66.0f.f3          vpsllq          Vx,Hx,Wo       avx +avx:avx2
v.66.0f.f4          vpmuludq        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.f5          vpmaddwd        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.f6          vpsadbw         Vx,Hx,Wx       avx +avx:avx2
vl0.66.0f.f7r       vmaskmovdqu     Vo,Uo          avx +avx
v.66.0f.f8          vpsubb          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.f9          vpsubw          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.fa          vpsubd          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.fb          vpsubq          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.fc          vpaddb          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.fd          vpaddw          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.fe          vpaddd          Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.00       vpshufb         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.01       vphaddw         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.02       vphaddd         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.03       vphaddsw        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.04       vpmaddubsw      Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.05       vphsubw         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.06       vphsubd         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.07       vphsubsw        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.08       vpsignb         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.09       vpsignw         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.0a       vpsignd         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.0b       vpmulhrsw       Vx,Hx,Wx       avx +avx:avx2
vw0.66.0f.38.0c     vpermilps       Vx,Hx,Wx       avx +avx
vw0.66.0f.38.0d     vpermilpd       Vx,Hx,Wx       avx +avx
vw0.66.0f.38.0e     vtestps         Vx,Wx          avx +avx
vw0.66.0f.38.0f     vtestpd         Vx,Wx          avx +avx
vw0l0.66.0f.38.13   vcvtph2ps       Vo,Wq          avx +f16c
vw0l1.66.0f.38.13   vcvtph2ps       Vx,Wo          avx +f16c
vw0l1.66.0f.38.16   vpermps         Vx,Hx,Wx       avx +avx2
v.66.0f.38.17       vptest          Vx,Wx          avx +avx
vw0.66.0f.38.18m    vbroadcastss    Vx,Md          avx +avx
vw0.66.0f.38.18r    vbroadcastss    Vx,Uo          avx +avx2
vw0l1.66.0f.38.19m  vbroadcastsd    Vx,Mq          avx +avx
vw0l1.66.0f.38.19r  vbroadcastsd    Vx,Uo          avx +avx2
vw0l1.66.0f.38.1am  vbroadcastf128  Vx,Mo          avx +avx
v.66.0f.38.1c       vpabsb          Vx,Wx          avx +avx:avx2
v.66.0f.38.1d       vpabsw          Vx,Wx          avx +avx:avx2
v.66.0f.38.1e       vpabsd          Vx,Wx          avx +avx:avx2
vl0.66.0f.38.20     vpmovsxbw       Vo,Wq          avx +avx
vl1.66.0f.38.20     vpmovsxbw       Vx,Wo          avx +avx2
vl0.66.0f.38.21     vpmovsxbd       Vo,Wd          avx +avx
vl1.66.0f.38.21     vpmovsxbd       Vx,Wq          avx +avx2
vl0.66.0f.38.22     vpmovsxbq       Vo,Ww          avx +avx
vl1.66.0f.38.22     vpmovsxbq       Vx,Wd          avx +avx2
vl0.66.0f.38.23     vpmovsxwd       Vo,Wq          avx +avx
vl1.66.0f.38.23     vpmovsxwd       Vx,Wo          avx +avx2
vl0.66.0f.38.24     vpmovsxwq       Vo,Wd          avx +avx
vl1.66.0f.38.24     vpmovsxwq       Vx,Wq          avx +avx2
vl0.66.0f.38.25     vpmovsxdq       Vo,Wq          avx +avx
vl1.66.0f.38.25     vpmovsxdq       Vx,Wo          avx +avx2
v.66.0f.38.28       vpmuldq         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.29       vpcmpeqq        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.2am      vmovntdqa       Vx,Mx          avx +avx:avx2
v.66.0f.38.2b       vpackusdw       Vx,Hx,Wx       avx +avx:avx2
vw0.66.0f.38.2cm    vmaskmovps      Vx,Hx,Mx       avx +avx
vw0.66.0f.38.2dm    vmaskmovpd      Vx,Hx,Mx       avx +avx
vw0.66.0f.38.2em    vmaskmovps      Mx,Hx,Vx       avx +avx
vw0.66.0f.38.2fm    vmaskmovpd      Mx,Hx,Vx       avx +avx
vl0.66.0f.38.30     vpmovzxbw       Vo,Wq          avx +avx
vl1.66.0f.38.30     vpmovzxbw       Vx,Wo          avx +avx2
vl0.66.0f.38.31     vpmovzxbd       Vo,Wd          avx +avx
vl1.66.0f.38.31     vpmovzxbd       Vx,Wq          avx +avx2
vl0.66.0f.38.32     vpmovzxbq       Vo,Ww          avx +avx
vl1.66.0f.38.32     vpmovzxbq       Vx,Wd          avx +avx2
vl0.66.0f.38.33     vpmovzxwd       Vo,Wq          avx +avx
vl1.66.0f.38.33     vpmovzxwd       Vx,Wo          avx +avx2
vl0.66.0f.38.34     vpmovzxwq       Vo,Wd          avx +avx
vl1.66.0f.38.34     vpmovzxwq       Vx,Wq          avx +avx2
vl0.66.0f.38.35     vpmovzxdq       Vo,Wq          avx +avx
vl1.66.0f.38.35     vpmovzxdq       Vx,Wo          avx +avx2
vw0l1.66.0f.38.36   vpermd          Vx,Hx,Wx       avx +avx2
v.66.0f.38.37       vpcmpgtq        Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.38       vpminsb         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.39       vpminsd         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.3a       vpminuw         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.3b       vpminud         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.3c       vpmaxsb         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.3d       vpmaxsd         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.3e       vpmaxuw         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.3f       vpmaxud         Vx,Hx,Wx       avx +avx:avx2
v.66.0f.38.40       vpmulld         Vx,Hx,Wx       avx +avx:avx2
vl0.66.0f.38.41     vphminposuw     Vo,Wo          avx +avx
vw0.66.0f.38.45     vpsrlvd         Vx,Hx,Wx       avx +avx2
vw1.66.0f.38.45     vpsrlvq         Vx,Hx,Wx       avx +avx2
vw0.66.0f.38.46     vpsravd         Vx,Hx,Wx       avx +avx2
vw0.66.0f.38.47     vpsllvd         Vx,Hx,Wx       avx +avx2
vw1.66.0f.38.47     vpsllvq         Vx,Hx,Wx       avx +avx2
vw0.66.0f.38.58     vpbroadcastd    Vx,Wd          avx +avx2
vw0.66.0f.38.59     vpbroadcastq    Vx,Wq          avx +avx2
vw0l1.66.0f.38.5am  vbroadcasti128  Vx,Mo          avx +avx2
vw0.66.0f.38.78     vpbroadcastb    Vx,Wb          avx +avx2
vw0.66.0f.38.79     vpbroadcastw    Vx,Ww          avx +avx2
vw0.66.0f.38.8cm    vpmaskmovd      Vx,Hx,Mx       avx +avx2
vw1.66.0f.38.8cm    vpmaskmovq      Vx,Hx,Mx       avx +avx2
vw0.66.0f.38.8em    vpmaskmovd      Mx,Hx,Vx       avx +avx2
vw1.66.0f.38.8em    vpmaskmovq      Mx,Hx,Vx       avx +avx2
vw0.66.0f.38.90m    vpgatherdd      Vx,M,Hx        avx +avx2
vw1.66.0f.38.90m    vpgatherdq      Vx,M,Hx        avx +avx2
vw0.66.0f.38.91m    vpgatherqd      Vx,M,Hx        avx +avx2
vw1.66.0f.38.91m    vpgatherqq      Vx,M,Hx        avx +avx2
vw0.66.0f.38.92m    vgatherdps      Vx,M,Hx        avx +avx2
vw1.66.0f.38.92m    vgatherdpd      Vx,M,Hx        avx +avx2
vw0.66.0f.38.93m    vgatherqps      Vx,M,Hx        avx +avx2
vw1.66.0f.38.93m    vgatherqpd      Vx,M,Hx        avx +avx2
vw0.66.0f.38.96     vfmaddsub132ps  Vx,Hx,Wx       avx +fma
vw1.66.0f.38.96     vfmaddsub132pd  Vx,Hx,Wx       avx +fma
vw0.66.0f.38.97     vfmsubadd132ps  Vx,Hx,Wx       avx +fma
vw1.66.0f.38.97     vfmsubadd132pd  Vx,Hx,Wx       avx +fma
vw0.66.0f.38.98     vfmadd132ps     Vx,Hx,Wx       avx +fma
vw1.66.0f.38.98     vfmadd132pd     Vx,Hx,Wx       avx +fma
vw0.66.0f.38.99     vfmadd132ss     Vo,Ho,Wd       avx +fma
vw1.66.0f.38.99     vfmadd132sd     Vo,Ho,Wq       avx +fma
vw0.66.0f.38.9a     vfmsub132ps     Vx,Hx,Wx       avx +fma
vw1.66.0f.38.9a     vfmsub132pd     Vx,Hx,Wx       avx +fma
vw0.66.0f.38.9b     vfmsub132ss     Vo,Ho,Wd       avx +fma
vw1.66.0f.38.9b     vfmsub132sd     Vo,Ho,Wq       avx +fma
vw0.66.0f.38.9c     vfnmadd132ps    Vx,Hx,Wx       avx +fma
vw1.66.0f.38.9c     vfnmadd132pd    Vx,Hx,Wx       avx +fma
vw0.66.0f.38.9d     vfnmadd132ss    Vo,Ho,Wd       avx +fma
vw1.66.0f.38.9d     vfnmadd132sd    Vo,Ho,Wq       avx +fma
vw0.66.0f.38.9e     vfnmsub132ps    Vx,Hx,Wx       avx +fma
vw1.66.0f.38.9e     vfnmsub132pd    Vx,Hx,Wx       avx +fma
vw0.66.0f.38.9f     vfnmsub132ss    Vo,Ho,Wd       avx +fma
vw1.66.0f.38.9f     vfnmsub132sd    Vo,Ho,Wq       avx +fma
vw0.66.0f.38.a6     vfmaddsub213ps  Vx,Hx,Wx       avx +fma
vw1.66.0f.38.a6     vfmaddsub213pd  Vx,Hx,Wx       avx +fma
vw0.66.0f.38.a7     vfmsubadd213ps  Vx,Hx,Wx       avx +fma
vw1.66.0f.38.a7     vfmsubadd213pd  Vx,Hx,Wx       avx +fma
vw0.66.0f.38.a8     vfmadd213ps     Vx,Hx,Wx       avx +fma
vw1.66.0f.38.a8     vfmadd213pd     Vx,Hx,Wx       avx +fma
vw0.66.0f.38.a9     vfmadd213ss     Vo,Ho,Wd       avx +fma
vw1.66.0f.38.a9     vfmadd213sd     Vo,Ho,Wq       avx +fma
vw0.66.0f.38.aa     vfmsub213ps     Vx,Hx,Wx       avx +fma
vw1.66.0f.38.aa     vfmsub213pd     Vx,Hx,Wx       avx +fma
vw0.66.0f.38.ab     vfmsub213ss     Vo,Ho,Wd       avx +fma
vw1.66.0f.38.ab     vfmsub213sd     Vo,Ho,Wq       avx +fma
vw0.66.0f.38.ac     vfnmadd213ps    Vx,Hx,Wx       avx +fma
vw1.66.0f.38.ac     vfnmadd213pd    Vx,Hx,Wx       avx +fma
vw0.66.0f.38.ad     vfnmadd213ss    Vo,Ho,Wd       avx +fma
vw1.66.0f.38.ad     vfnmadd213sd    Vo,Ho,Wq       avx +fma
vw0.66.0f.38.ae     vfnmsub213ps    Vx,Hx,Wx       avx +fma
vw1.66.0f.38.ae     vfnmsub213pd    Vx,Hx,Wx       avx +fma
vw0.66.0f.38.af     vfnmsub213ss    Vo,Ho,Wd       avx +fma
vw1.66.0f.38.af     vfnmsub213sd    Vo,Ho,Wq       avx +fma
vw0.66.0f.38.b6     vfmaddsub231ps  Vx,Hx,Wx       avx +fma
vw1.66.0f.38.b6     vfmaddsub231pd  Vx,Hx,Wx       avx +fma
vw0.66.0f.38.b7     vfmsubadd231ps  Vx,Hx,Wx       avx +fma
vw1.66.0f.38.b7     vfmsubadd231pd  Vx,Hx,Wx       avx +fma
vw0.66.0f.38.b8     vfmadd231ps     Vx,Hx,Wx       avx +fma
vw1.66.0f.38.b8     vfmadd231pd     Vx,Hx,Wx       avx +fma
vw0.66.0f.38.b9     vfmadd231ss     Vo,Ho,Wd       avx +fma
vw1.66.0f.38.b9     vfmadd231sd     Vo,Ho,Wq       avx +fma
vw0.66.0f.38.ba     vfmsub231ps     Vx,Hx,Wx       avx +fma
vw1.66.0f.38.ba     vfmsub231pd     Vx,Hx,Wx       avx +fma
vw0.66.0f.38.bb     vfmsub231ss     Vo,Ho,Wd       avx +fma
vw1.66.0f.38.bb     vfmsub231sd     Vo,Ho,Wq       avx +fma
vw0.66.0f.38.bc     vfnmadd231ps    Vx,Hx,Wx       avx +fma
vw1.66.0f.38.bc     vfnmadd231pd    Vx,Hx,Wx       avx +fma
vw0.66.0f.38.bd     vfnmadd231ss    Vo,Ho,Wd       avx +fma
vw1.66.0f.38.bd     vfnmadd231sd    Vo,Ho,Wq       avx +fma
vw0.66.0f.38.be     vfnmsub231ps    Vx,Hx,Wx       avx +fma
vw1.66.0f.38.be     vfnmsub231pd    Vx,Hx,Wx       avx +fma
vw0.66.0f.38.bf     vfnmsub231ss    Vo,Ho,Wd       avx +fma
vw1.66.0f.38.bf     vfnmsub231sd    Vo,Ho,Wq       avx +fma
vl0.66.0f.38.db     vaesimc         Vo,Wo          avx +aes
vl0.66.0f.38.dc     vaesenc         Vo,Ho,Wo       avx +aes
vl0.66.0f.38.dd     vaesenclast     Vo,Ho,Wo       avx +aes
vl0.66.0f.38.de     vaesdec         Vo,Ho,Wo       avx +aes
vl0.66.0f.38.df     vaesdeclast     Vo,Ho,Wo       avx +aes
vl0.np.0f.38.f2     andn            Gv,Bv,Ev       +bmi1
vl0.np.0f.38.f3/1   blsr            Bv,Ev          +bmi1
vl0.np.0f.38.f3/2   blsmsk          Bv,Ev          +bmi1
vl0.np.0f.38.f3/3   blsi            Bv,Ev          +bmi1
vl0.np.0f.38.f5     bzhi            Gv,Ev,Bv       +bmi2
vl0.f3.0f.38.f5     pext            Gv,Bv,Ev       +bmi2
vl0.f2.0f.38.f5     pdep            Gv,Bv,Ev       +bmi2
vl0.f2.0f.38.f6     mulx            Gv,Bv,Ev       +bmi2
vl0.np.0f.38.f7     bextr           Gv,Ev,Bv       +bmi1
vl0.66.0f.38.f7     shlx            Gv,Ev,Bv       +bmi2
vl0.f3.0f.38.f7     sarx            Gv,Ev,Bv       +bmi2
vl0.f2.0f.38.f7     shrx            Gv,Ev,Bv       +bmi2
vw1l1.66.0f.3a.00   vpermq          Vx,Wx,Ib       avx +avx2
vw1l1.66.0f.3a.01   vpermpd         Vx,Wx,Ib       avx +avx2
vw0.66.0f.3a.02     vpblendd        Vx,Hx,Wx,Ib    avx +avx2
vw0.66.0f.3a.04     vpermilps       Vx,Wx,Ib       avx +avx
vw0.66.0f.3a.05     vpermilpd       Vx,Wx,Ib       avx +avx
vw0l1.66.0f.3a.06   vperm2f128      Vx,Hx,Wx,Ib    avx +avx
v.66.0f.3a.08       vroundps        Vx,Wx,Ib       avx +avx
v.66.0f.3a.09       vroundpd        Vx,Wx,Ib       avx +avx
v.66.0f.3a.0a       vroundss        Vo,Ho,Wd,Ib    avx +avx
v.66.0f.3a.0b       vroundsd        Vo,Ho,Wq,Ib    avx +avx
v.66.0f.3a.0c       vblendps        Vx,Hx,Wx,Ib    avx +avx
v.66.0f.3a.0d       vblendpd        Vx,Hx,Wx,Ib    avx +avx
v.66.0f.3a.0e       vpblendw        Vx,Hx,Wx,Ib    avx +avx:avx2
v.66.0f.3a.0f       vpalignr        Vx,Hx,Wx,Ib    avx +avx:avx2
vl0.66.0f.3a.14m    vpextrb         Mb,Vo,Ib       avx +avx
vl0.66.0f.3a.14r    vpextrb         Rd,Vo,Ib       avx +avx
vl0.66.0f.3a.15m    vpextrw         Mw,Vo,Ib       avx +avx =vpextrw4
vl0.66.0f.3a.15r    vpextrw         Rd,Vo,Ib       avx +avx =vpextrw4
vw1l0.66.0f.3a.16   vpextrq         Eq,Vo,Ib       avx +avx o64 =vpextrd
vw1l0.66.0f.3a.22   vpinsrq         Vo,Ho,Eq,Ib    avx +avx o64 =vpinsrd
vw0l0.66.0f.3a.16   vpextrd         Ed,Vo,Ib       avx +avx
vl0.66.0f.3a.17     vextractps      Ed,Vo,Ib       avx +avx
vw0l1.66.0f.3a.18   vinsertf128     Vx,Hx,Wo,Ib    avx +avx
vw0l1.66.0f.3a.19   vextractf128    Wo,Vx,Ib       avx +avx
vw0l0.66.0f.3a.1d   vcvtps2ph       Wq,Vo,Ib       avx +f16c
vw0l1.66.0f.3a.1d   vcvtps2ph       Wo,Vx,Ib       avx +f16c
vl0.66.0f.3a.20m    vpinsrb         Vo,Ho,Mb,Ib    avx +avx
vl0.66.0f.3a.20r    vpinsrb         Vo,Ho,Rd,Ib    avx +avx
vl0.66.0f.3a.21     vinsertps       Vo,Ho,Wd,Ib    avx +avx
vw0l0.66.0f.3a.22   vpinsrd         Vo,Ho,Ed,Ib    avx +avx
vw0l1.66.0f.3a.38   vinserti128     Vx,Hx,Wo,Ib    avx +avx2
vw0l1.66.0f.3a.39   vextracti128    Wo,Vx,Ib       avx +avx2
v.66.0f.3a.40       vdpps           Vx,Hx,Wx,Ib    avx +avx
vl0.66.0f.3a.41     vdppd           Vo,Ho,Wo,Ib    avx +avx
v.66.0f.3a.42       vmpsadbw        Vx,Hx,Wx,Ib    avx +avx:avx2
vl0.66.0f.3a.44     vpclmulqdq      Vo,Ho,Wo,Ib    avx +pclmulqdq
vw0l1.66.0f.3a.46   vperm2i128      Vx,Hx,Wx,Ib    avx +avx2
vw0.66.0f.3a.4a     vblendvps       Vx,Hx,Wx,Lx    avx +avx
vw0.66.0f.3a.4b     vblendvpd       Vx,Hx,Wx,Lx    avx +avx
vw0.66.0f.3a.4c     vpblendvb       Vx,Hx,Wx,Lx    avx +avx:avx2
vl0.66.0f.3a.60     vpcmpestrm      Vo,Wo,Ib       avx +avx
vl0.66.0f.3a.61     vpcmpestri      Vo,Wo,Ib       avx +avx
vl0.66.0f.3a.62     vpcmpistrm      Vo,Wo,Ib       avx +avx
vl0.66.0f.3a.63     vpcmpistri      Vo,Wo,Ib       avx +avx
vl0.66.0f.3a.df     vaeskeygenassist Vo,Wo,Ib       avx +aes
vl0.f2.0f.3a.f0     rorx            Gv,Ev,Ib       +bmi2
`;

/** The lines of a table, their columns one space apart. */
export function linesOf(table: string): string[] {
  return table.trim().replace(/ +/g, " ").split("\n");
}

/** The lines, those with two features as two. */
export function vexLines(): string[] {
  const lines: string[] = [];
  for (const line of linesOf(TABLE)) {
    // Few lines have two: no pattern is tried on the others.
    const colon = line.indexOf(":");
    if (colon < 0) {
      lines.push(line);
      continue;
    }
    const plus = line.lastIndexOf("+", colon);
    const dot = line.indexOf(".");
    const key = line.slice(0, dot), rest = line.slice(dot, plus);
    lines.push(
      `${key}l0${rest}+${line.slice(plus + 1, colon)}`,
      `${key}l1${rest}+${line.slice(colon + 1)}`,
    );
  }
  return lines;
}
