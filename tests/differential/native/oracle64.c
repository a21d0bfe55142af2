// The host CPU as an oracle for user-mode code of 64-bit mode: what oracle.c
// is for 32-bit code, which see.
//
// Built by oracle.ts with gcc -m64 -nostdlib -static.
//
// A case and its result have one layout (struct record, 11,184 bytes).
//
// Guest-visible memory: CODE (8 KiB, read, write, execute) and DATA (8 KiB,
// read, write; unmapped on both sides), each once more above 4 GiB. FS and GS
// have bases in the data pages.

typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#define CODE 0x10000000ul
#define DATA 0x20000000ul
#define HIGH_CODE 0x7f1234567000ul
#define HIGH_DATA 0x7f123459b000ul
#define FS_BASE (HIGH_DATA + 0x940)
#define GS_BASE (DATA - 0x1230)
#define PAGES 0x2000ul
#define CODE_BYTES 2048
#define MAGIC 0x34366872u
#define TIMEOUT_VECTOR 0xffu

struct record {
  u32 magic;
  u32 vector;  // case: offset of the code in the code pages
  u32 error;   // case: bytes of code
  u32 reserved;
  u64 address; // result: CR2 of a page fault
  u64 rip;     // case: where the code starts, in CODE or HIGH_CODE
  u64 rflags;
  u64 reserved2;
  u64 gpr[16]; // in encoding order: rax rcx rdx rbx rsp rbp rsi rdi r8-r15
  u8 fx[512];  // FXSAVE64 image
  u8 ymmh[256]; // upper halves of YMM0-YMM15
  u8 code[CODE_BYTES];
  u8 data[PAGES];
} __attribute__((aligned(16)));

// The kernel's ucontext (asm/sigcontext.h).
struct context {
  u64 flags, link, stack[3];
  u64 r8, r9, r10, r11, r12, r13, r14, r15;
  u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
  u16 cs, gs, fs, ss;
  u64 err, trapno, oldmask, cr2;
  u8 *fpstate; // FXSAVE64 image, then XSAVE's
};

static struct record test;
u8 alternate[65536] __attribute__((aligned(64)));
static u32 ticks, started, running;

// What the trampoline loads.
u64 start_gpr[16], start_rflags, start_rip;
// FXSAVE64 image, header with the components x87, SSE and AVX, those of AVX.
u8 start_fx[512 + 64 + 256] __attribute__((aligned(64)));

__asm__(".globl trampoline\n"
        "trampoline:\n"
        "  movl $7, %eax\n"
        "  xorl %edx, %edx\n"
        "  xrstor64 start_fx\n"
        "  movq $start_rflags, %rsp\n"
        "  popfq\n"
        "  movq start_gpr, %rax\n"
        "  movq start_gpr+8, %rcx\n"
        "  movq start_gpr+16, %rdx\n"
        "  movq start_gpr+24, %rbx\n"
        "  movq start_gpr+32, %rsp\n"
        "  movq start_gpr+40, %rbp\n"
        "  movq start_gpr+48, %rsi\n"
        "  movq start_gpr+56, %rdi\n"
        "  movq start_gpr+64, %r8\n"
        "  movq start_gpr+72, %r9\n"
        "  movq start_gpr+80, %r10\n"
        "  movq start_gpr+88, %r11\n"
        "  movq start_gpr+96, %r12\n"
        "  movq start_gpr+104, %r13\n"
        "  movq start_gpr+112, %r14\n"
        "  movq start_gpr+120, %r15\n"
        "  jmp *start_rip\n"
        ".globl trampoline_end\n"
        "trampoline_end:\n"
        ".globl restorer\n"
        "restorer:\n"
        "  movl $15, %eax\n" // rt_sigreturn
        "  syscall\n"
        ".globl _start\n"
        "_start:\n"
        "  movq $alternate+32768, %rsp\n"
        "  call main\n");
void trampoline(void);
void trampoline_end(void);
void restorer(void);

static long syscall6(long n, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
  long r;
  register u64 r10 __asm__("r10") = d;
  register u64 r8 __asm__("r8") = e;
  register u64 r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(r)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return r;
}
static long syscall3(long n, u64 a, u64 b, u64 c) {
  return syscall6(n, a, b, c, 0, 0, 0);
}
static void quit(int status) {
  for (;;) syscall3(231, status, 0, 0);
}

void *memcpy(void *to, const void *from, u64 n) {
  void *r = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
  return r;
}
void *memset(void *to, int v, u64 n) {
  void *r = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(v) : "memory");
  return r;
}

// All of `n` bytes, or the end of the program.
static void transfer(int number, int fd, void *at, u64 n) {
  u8 *p = at;
  while (n > 0) {
    long r = syscall3(number, fd, (u64)p, n);
    if (r == -4) continue; // EINTR
    if (r <= 0) quit(r == 0 ? 0 : 1);
    p += r;
    n -= r;
  }
}

// Reads the next case and arranges for it to run when `c` is returned to.
static void next(struct context *c) {
  transfer(0, 0, &test, sizeof test);
  if (test.magic != MAGIC || test.vector + test.error > PAGES) quit(2);
  if (test.rip != CODE + test.vector && test.rip != HIGH_CODE + test.vector)
    quit(2);
  memset((void *)CODE, 0xcc, PAGES);
  memcpy((void *)(CODE + test.vector), test.code, test.error);
  memcpy((void *)DATA, test.data, PAGES);
  memcpy(start_gpr, test.gpr, sizeof start_gpr);
  memcpy(start_fx, test.fx, sizeof test.fx);
  start_fx[512] = 7;
  memcpy(start_fx + 576, test.ymmh, sizeof test.ymmh);
  // A case may have changed them.
  if (syscall3(158, 0x1002, FS_BASE, 0) != 0) quit(10); // ARCH_SET_FS
  if (syscall3(158, 0x1001, GS_BASE, 0) != 0) quit(10); // ARCH_SET_GS
  start_rflags = test.rflags;
  start_rip = test.rip;
  started = ticks;
  running = 1;
  c->rip = (u64)trampoline;
  c->rflags = 0x202;
  c->cs = 0x33;
  c->ss = 0x2b;
  c->fs = c->gs = 0;
  c->fpstate = 0;
}

static void handler(int signal, void *info, struct context *c) {
  (void)info;
  if (signal == 14) { // SIGALRM
    // The first case may be long in coming on a busy host.
    if (++ticks - started < 3 || !running) return;
    c->trapno = TIMEOUT_VECTOR;
  }
  if (c->rip >= (u64)trampoline && c->rip < (u64)trampoline_end) {
    if (signal == 14) return; // it has not begun
    quit(3);
  }
  u32 offset = test.vector;
  test.vector = c->trapno;
  test.error = c->err;
  test.address = c->trapno == 14 ? c->cr2 : 0;
  test.gpr[0] = c->rax;
  test.gpr[1] = c->rcx;
  test.gpr[2] = c->rdx;
  test.gpr[3] = c->rbx;
  test.gpr[4] = c->rsp;
  test.gpr[5] = c->rbp;
  test.gpr[6] = c->rsi;
  test.gpr[7] = c->rdi;
  test.gpr[8] = c->r8;
  test.gpr[9] = c->r9;
  test.gpr[10] = c->r10;
  test.gpr[11] = c->r11;
  test.gpr[12] = c->r12;
  test.gpr[13] = c->r13;
  test.gpr[14] = c->r14;
  test.gpr[15] = c->r15;
  test.rip = c->rip;
  test.rflags = c->rflags;
  memcpy(test.fx, c->fpstate, 512);
  // The kernel leaves out what is in its initial state.
  if (c->fpstate[512] & 4)
    memcpy(test.ymmh, c->fpstate + 576, sizeof test.ymmh);
  else
    memset(test.ymmh, 0, sizeof test.ymmh);
  u64 readable = PAGES - offset;
  memcpy(test.code, (void *)(CODE + offset),
         readable < CODE_BYTES ? readable : CODE_BYTES);
  memcpy(test.data, (void *)DATA, PAGES);
  transfer(1, 1, &test, sizeof test);
  next(c);
}

static void on(int signal) {
  struct {
    void *handler;
    u64 flags;
    void *restorer;
    u64 mask;
  } a = {handler, 0x4 | 0x04000000 | 0x08000000, restorer, ~0ul};
  if (syscall6(13, signal, (u64)&a, 0, 8, 0, 0) != 0) quit(4);
}

static void map(u64 at, u32 protection, int fd) {
  // MAP_FIXED | MAP_SHARED
  if ((u64)syscall6(9, at, PAGES, protection, 0x11, fd, 0) != at) quit(5);
}

static int pages(const char *name) {
  int fd = syscall3(319, (u64)name, 0, 0); // memfd_create
  if (fd < 0 || syscall3(77, fd, PAGES, 0) != 0) quit(6);
  return fd;
}

__attribute__((used)) void main(void) {
  int code = pages("code"), data = pages("data");
  // Away with the kernel's stack and vDSO: a wild access must fault. The lower
  // half of `alternate` is the stack until the first test.
  if (syscall3(11, 0x7f8000000000ul, 0x7ffffff000ul, 0) != 0) quit(9); // munmap
  map(CODE, 7, code);
  map(DATA, 3, data);
  map(HIGH_CODE, 7, code);
  map(HIGH_DATA, 3, data);
  u64 stack[3] = {(u64)alternate, 0, sizeof alternate};
  if (syscall3(131, (u64)stack, 0, 0) != 0) quit(7);
  on(4);  // SIGILL
  on(5);  // SIGTRAP
  on(7);  // SIGBUS
  on(8);  // SIGFPE
  on(11); // SIGSEGV
  on(14); // SIGALRM
  u64 interval[4] = {0, 20000, 0, 20000};
  if (syscall3(38, 0, (u64)interval, 0) != 0) quit(8);
  // The first case is started from a signal as all others are: its "result"
  // must not be written, so it is taken here by a small fake context.
  static struct context first;
  next(&first);
  __asm__ volatile("jmp trampoline");
}
