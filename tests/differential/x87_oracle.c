// The host CPU as an oracle for floating point: reads 64-byte requests on
// stdin, executes one x87 or SSE instruction for each, writes 64-byte answers
// on stdout. Build: gcc -O1 -o x87_oracle x87_oracle.c (x86-64 host).
//
// request: u16 op, u16 control word, u32 mxcsr, 8 pad, ST0/xmm0[16],
//          ST1/xmm1[16], memory[16]
// answer:  u16 status word, u16 abridged tag word, u32 mxcsr, u32 eflags,
//          u32 faulted (SSE #XM), ST0/xmm0[16], ST1[16], memory[16]
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

struct req {
  uint16_t op, cw;
  uint32_t mxcsr;
  uint64_t pad;
  uint8_t a[16], b[16], mem[16];
} __attribute__((aligned(16)));
struct ans {
  uint16_t sw, tw;
  uint32_t mxcsr, eflags, fault;
  uint8_t a[16], b[16], mem[16];
} __attribute__((aligned(16)));

typedef void fn(struct req *, uint8_t *, struct ans *);
static sigjmp_buf escape;
static volatile uint32_t fault_mxcsr;

static void on_fpe(int sig, siginfo_t *info, void *context) {
  (void)sig, (void)info;
  fault_mxcsr = ((ucontext_t *)context)->uc_mcontext.fpregs->mxcsr;
  siglongjmp(escape, 1);
}

#define X87(number, name, ins)                                                \
  case number:                                                                \
  asm volatile("fninit\n fldt 32(%0)\n fldt 16(%0)\n fldcw 2(%0)\n" ins       \
               "\n pushf\n pop %%rax\n mov %%eax, 8(%2)\n fxsave (%1)\n"      \
               "fninit\n" ::"D"(r),                                           \
               "S"(f), "d"(w)                                                 \
               : "memory", "rax", "cc");                                      \
  return;

// xmm0 op= xmm1; memory is 48(%0)
#define SSE(number, name, ins)                                                \
  case number:                                                                \
  asm volatile("movups 16(%0), %%xmm0\n movups 32(%0), %%xmm1\n"              \
               "ldmxcsr 4(%0)\n xor %%eax, %%eax\n" ins                       \
               "\n pushf\n pop %%rcx\n mov %%ecx, 8(%2)\n stmxcsr 4(%2)\n"    \
               "movups %%xmm0, 16(%2)\n mov %%rax, 48(%2)\n" ::"D"(r),        \
               "S"(f), "d"(w)                                                 \
               : "memory", "rax", "rcx", "cc", "xmm0", "xmm1");               \
  return;

static void run(struct req *r, uint8_t *f, struct ans *w) {
  switch (r->op) {
    X87(1, fadd, "fadd %%st(1), %%st")
    X87(2, fsub, "fsub %%st(1), %%st")
    X87(3, fsubr, "fsubr %%st(1), %%st")
    X87(4, fmul, "fmul %%st(1), %%st")
    X87(5, fdiv, "fdiv %%st(1), %%st")
    X87(6, fdivr, "fdivr %%st(1), %%st")
    X87(7, fsqrt, "fsqrt")
    X87(8, fcom, "fcom %%st(1)")
    X87(9, fucom, "fucom %%st(1)")
    X87(10, fcomi, "fcomi %%st(1), %%st")
    X87(11, fucomi, "fucomi %%st(1), %%st")
    X87(12, ftst, "ftst")
    X87(13, fxam, "fxam")
    X87(14, frndint, "frndint")
    X87(15, fscale, "fscale")
    X87(16, fxtract, "fxtract")
    X87(17, fprem, "fprem")
    X87(18, fprem1, "fprem1")
    X87(19, fchs, "fchs")
    X87(20, fabs, "fabs")
    X87(21, fld1, "fld1")
    X87(22, fldl2t, "fldl2t")
    X87(23, fldl2e, "fldl2e")
    X87(24, fldpi, "fldpi")
    X87(25, fldlg2, "fldlg2")
    X87(26, fldln2, "fldln2")
    X87(27, fldz, "fldz")
    X87(28, f2xm1, "f2xm1")
    X87(29, fyl2x, "fyl2x")
    X87(30, fyl2xp1, "fyl2xp1")
    X87(31, fpatan, "fpatan")
    X87(32, fptan, "fptan")
    X87(33, fsin, "fsin")
    X87(34, fcos, "fcos")
    X87(35, fsincos, "fsincos")
    X87(36, fld_m32, "flds 48(%0)")
    X87(37, fld_m64, "fldl 48(%0)")
    X87(38, fild_m16, "filds 48(%0)")
    X87(39, fild_m32, "fildl 48(%0)")
    X87(40, fild_m64, "fildll 48(%0)")
    X87(41, fbld, "fbld 48(%0)")
    X87(42, fstp_m32, "fstps 48(%0)")
    X87(43, fstp_m64, "fstpl 48(%0)")
    X87(44, fist_m16, "fists 48(%0)")
    X87(45, fist_m32, "fistl 48(%0)")
    X87(46, fistp_m64, "fistpll 48(%0)")
    X87(47, fbstp, "fbstp 48(%0)")
    X87(48, fisttp_m16, "fisttps 48(%0)")
    X87(49, fisttp_m32, "fisttpl 48(%0)")
    X87(50, fisttp_m64, "fisttpll 48(%0)")
    X87(51, fadd_m32, "fadds 48(%0)")
    X87(52, fmul_m64, "fmull 48(%0)")
    X87(53, fdivr_m32, "fdivrs 48(%0)")
    X87(54, fcom_m32, "fcoms 48(%0)")
    X87(55, fcom_m64, "fcoml 48(%0)")
    X87(56, fisub_m16, "fisubs 48(%0)")
    X87(57, fidiv_m32, "fidivl 48(%0)")
    X87(58, fld_m80, "fldt 48(%0)")
    X87(59, fstp_m80, "fstpt 48(%0)")
    SSE(128, add32, "addss %%xmm1, %%xmm0")
    SSE(129, add_ps, "addps %%xmm1, %%xmm0")
    SSE(130, sub32, "subss %%xmm1, %%xmm0")
    SSE(131, sub_ps, "subps %%xmm1, %%xmm0")
    SSE(132, mul32, "mulss %%xmm1, %%xmm0")
    SSE(133, mul_ps, "mulps %%xmm1, %%xmm0")
    SSE(134, div32, "divss %%xmm1, %%xmm0")
    SSE(135, div_ps, "divps %%xmm1, %%xmm0")
    SSE(136, sqrt32, "sqrtss %%xmm1, %%xmm0")
    SSE(137, sqrt_ps, "sqrtps %%xmm1, %%xmm0")
    SSE(138, min32, "minss %%xmm1, %%xmm0")
    SSE(139, min_ps, "minps %%xmm1, %%xmm0")
    SSE(140, max32, "maxss %%xmm1, %%xmm0")
    SSE(141, max_ps, "maxps %%xmm1, %%xmm0")
    SSE(142, cmp0_32, "cmpss $0, %%xmm1, %%xmm0")
    SSE(143, cmp1_32, "cmpss $1, %%xmm1, %%xmm0")
    SSE(144, cmp2_32, "cmpss $2, %%xmm1, %%xmm0")
    SSE(145, cmp3_32, "cmpss $3, %%xmm1, %%xmm0")
    SSE(146, cmp4_32, "cmpss $4, %%xmm1, %%xmm0")
    SSE(147, cmp5_32, "cmpss $5, %%xmm1, %%xmm0")
    SSE(148, cmp6_32, "cmpss $6, %%xmm1, %%xmm0")
    SSE(149, cmp7_32, "cmpss $7, %%xmm1, %%xmm0")
    SSE(150, comi32, "comiss %%xmm1, %%xmm0")
    SSE(151, ucomi32, "ucomiss %%xmm1, %%xmm0")
    SSE(152, f32_to_i32, "cvtss2si %%xmm1, %%eax")
    SSE(153, f32_to_i32t, "cvttss2si %%xmm1, %%eax")
    SSE(154, f32_to_i64, "cvtss2si %%xmm1, %%rax")
    SSE(155, f32_to_i64t, "cvttss2si %%xmm1, %%rax")
    SSE(156, i32_to_f32, "cvtsi2ssl 48(%0), %%xmm0")
    SSE(157, i64_to_f32, "cvtsi2ssq 48(%0), %%xmm0")
    SSE(158, add64, "addsd %%xmm1, %%xmm0")
    SSE(159, add_pd, "addpd %%xmm1, %%xmm0")
    SSE(160, sub64, "subsd %%xmm1, %%xmm0")
    SSE(161, sub_pd, "subpd %%xmm1, %%xmm0")
    SSE(162, mul64, "mulsd %%xmm1, %%xmm0")
    SSE(163, mul_pd, "mulpd %%xmm1, %%xmm0")
    SSE(164, div64, "divsd %%xmm1, %%xmm0")
    SSE(165, div_pd, "divpd %%xmm1, %%xmm0")
    SSE(166, sqrt64, "sqrtsd %%xmm1, %%xmm0")
    SSE(167, sqrt_pd, "sqrtpd %%xmm1, %%xmm0")
    SSE(168, min64, "minsd %%xmm1, %%xmm0")
    SSE(169, min_pd, "minpd %%xmm1, %%xmm0")
    SSE(170, max64, "maxsd %%xmm1, %%xmm0")
    SSE(171, max_pd, "maxpd %%xmm1, %%xmm0")
    SSE(172, cmp0_64, "cmpsd $0, %%xmm1, %%xmm0")
    SSE(173, cmp1_64, "cmpsd $1, %%xmm1, %%xmm0")
    SSE(174, cmp2_64, "cmpsd $2, %%xmm1, %%xmm0")
    SSE(175, cmp3_64, "cmpsd $3, %%xmm1, %%xmm0")
    SSE(176, cmp4_64, "cmpsd $4, %%xmm1, %%xmm0")
    SSE(177, cmp5_64, "cmpsd $5, %%xmm1, %%xmm0")
    SSE(178, cmp6_64, "cmpsd $6, %%xmm1, %%xmm0")
    SSE(179, cmp7_64, "cmpsd $7, %%xmm1, %%xmm0")
    SSE(180, comi64, "comisd %%xmm1, %%xmm0")
    SSE(181, ucomi64, "ucomisd %%xmm1, %%xmm0")
    SSE(182, f64_to_i32, "cvtsd2si %%xmm1, %%eax")
    SSE(183, f64_to_i32t, "cvttsd2si %%xmm1, %%eax")
    SSE(184, f64_to_i64, "cvtsd2si %%xmm1, %%rax")
    SSE(185, f64_to_i64t, "cvttsd2si %%xmm1, %%rax")
    SSE(186, i32_to_f64, "cvtsi2sdl 48(%0), %%xmm0")
    SSE(187, i64_to_f64, "cvtsi2sdq 48(%0), %%xmm0")
    SSE(188, f32_to_f64, "cvtss2sd %%xmm1, %%xmm0")
    SSE(189, f64_to_f32, "cvtsd2ss %%xmm1, %%xmm0")
  }
  fprintf(stderr, "unknown op %d\n", r->op);
  _Exit(3);
}

int main(void) {
  static struct req r;
  static struct ans w;
  static uint8_t fx[512] __attribute__((aligned(16)));
  struct sigaction sa = {0};
  sa.sa_sigaction = on_fpe;
  sa.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGFPE, &sa, 0);
  static char out[1 << 16], in[1 << 16];
  setvbuf(stdout, out, _IOFBF, sizeof out);
  setvbuf(stdin, in, _IOFBF, sizeof in);
  while (fread(&r, sizeof r, 1, stdin) == 1) {
    memset(&w, 0, sizeof w);
    if (r.op < 128) {
      run(&r, fx, &w);
      memcpy(&w.sw, fx + 2, 2);
      w.tw = fx[4];
      memcpy(w.a, fx + 32, 10);
      memcpy(w.b, fx + 48, 10);
      memcpy(w.mem, r.mem, 16);
    } else if (!sigsetjmp(escape, 0)) {
      run(&r, fx, &w);
    } else {
      w.fault = 1;
      w.mxcsr = fault_mxcsr;
      memcpy(w.a, r.a, 16);
      w.eflags = 0;
    }
    uint32_t quiet = 0x1f80;
    asm volatile("ldmxcsr %0" ::"m"(quiet));
    fwrite(&w, sizeof w, 1, stdout);
  }
  return 0;
}
