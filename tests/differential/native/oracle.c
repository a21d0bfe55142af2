// The host CPU as an oracle for user-mode x86: reads test cases on standard
// input, executes each natively and writes the state it ended in to standard
// output. No libc: nothing may use GS or the FPU behind the tests' back.
//
// Built by oracle.ts with gcc -m32 -nostdlib -static.
//
// A case and its result have one layout (struct record, 9,344 bytes). A test
// ends with an exception: INT3 where nothing else happens. Every signal
// handler call therefore takes one result and starts the next case, by
// returning to a trampoline that loads the registers.
//
// Guest-visible memory: CODE (8 KiB, read, write, execute), DATA (8 KiB, read,
// write; unmapped on both sides) and LOW, the same pages as DATA again below
// 64 KiB for 16-bit addressing.

typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#define CODE 0x10000000u
#define DATA 0x20000000u
#define LOW 0x4000u
#define PAGES 0x2000u
#define CODE_BYTES 448
#define MAGIC 0x61656872u
#define TIMEOUT_VECTOR 0xffu

struct record {
  u32 magic;
  u32 vector;  // case: offset of the code in CODE
  u32 error;   // case: bytes of code
  u32 address; // result: CR2 of a page fault
  u32 gpr[8];  // in encoding order: eax ecx edx ebx esp ebp esi edi
  u32 eip;
  u32 eflags;
  u32 reserved[2];
  u8 fx[512]; // FXSAVE image
  u8 ymmh[128]; // upper halves of YMM0-YMM7
  u8 code[CODE_BYTES];
  u8 data[PAGES];
} __attribute__((aligned(16)));

// The kernel's ucontext for 32-bit programs (asm/sigcontext.h).
struct context {
  u32 flags, link, stack[3];
  u32 gs, fs, es, ds;
  u32 edi, esi, ebp, esp, ebx, edx, ecx, eax;
  u32 trapno, err, eip, cs, eflags, esp_at_signal, ss;
  u8 *fpstate; // FSAVE image (112 bytes), then XSAVE area
  u32 oldmask, cr2;
};

static struct record test;
u8 alternate[65536] __attribute__((aligned(64)));
static u32 ticks, started, running;

// What the trampoline loads.
u32 start_gpr[8], start_eflags, start_eip;
// FXSAVE image, header with the components x87, SSE and AVX, those of AVX.
u8 start_fx[512 + 64 + 256] __attribute__((aligned(64)));

__asm__(".globl trampoline\n"
        "trampoline:\n"
        "  movl $7, %eax\n"
        "  xorl %edx, %edx\n"
        "  xrstor start_fx\n"
        "  movl $start_eflags, %esp\n"
        "  popfl\n"
        "  movl start_gpr, %eax\n"
        "  movl start_gpr+4, %ecx\n"
        "  movl start_gpr+8, %edx\n"
        "  movl start_gpr+12, %ebx\n"
        "  movl start_gpr+16, %esp\n"
        "  movl start_gpr+20, %ebp\n"
        "  movl start_gpr+24, %esi\n"
        "  movl start_gpr+28, %edi\n"
        "  jmp *start_eip\n"
        ".globl restorer\n"
        "restorer:\n"
        "  movl $173, %eax\n" // rt_sigreturn
        "  int $0x80\n"
        ".globl _start\n"
        "_start:\n"
        "  movl $alternate+32768, %esp\n"
        "  call main\n");
void trampoline(void);
void restorer(void);

static int syscall6(int n, u32 a, u32 b, u32 c, u32 d, u32 e, u32 f) {
  u32 args[2] = {(u32)n, f};
  int r;
  __asm__ volatile("pushl %%ebp\n  movl (%%eax), %%ebp\n  pushl %%ebp\n"
                   "  movl 4(%%eax), %%ebp\n  popl %%eax\n  int $0x80\n"
                   "  popl %%ebp\n"
                   : "=a"(r)
                   : "a"(args), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                   : "memory");
  return r;
}
static int syscall3(int n, u32 a, u32 b, u32 c) {
  return syscall6(n, a, b, c, 0, 0, 0);
}
static void quit(int status) {
  for (;;) syscall3(1, status, 0, 0);
}

void *memcpy(void *to, const void *from, u32 n) {
  void *r = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)::"memory");
  return r;
}
void *memset(void *to, int v, u32 n) {
  void *r = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(v) : "memory");
  return r;
}

// All of `n` bytes, or the end of the program.
static void transfer(int number, int fd, void *at, u32 n) {
  u8 *p = at;
  while (n > 0) {
    int r = syscall3(number, fd, (u32)p, n);
    if (r == -4) continue; // EINTR
    if (r <= 0) quit(r == 0 ? 0 : 1);
    p += r;
    n -= r;
  }
}

// Reads the next case and arranges for it to run when `c` is returned to.
static void next(struct context *c) {
  transfer(3, 0, &test, sizeof test);
  if (test.magic != MAGIC || test.vector + test.error > PAGES) quit(2);
  memset((void *)CODE, 0xcc, PAGES);
  memcpy((void *)(CODE + test.vector), test.code, test.error);
  memcpy((void *)DATA, test.data, PAGES);
  memcpy(start_gpr, test.gpr, sizeof start_gpr);
  memcpy(start_fx, test.fx, sizeof test.fx);
  start_fx[512] = 7;
  memcpy(start_fx + 576, test.ymmh, sizeof test.ymmh);
  start_eflags = test.eflags;
  start_eip = CODE + test.vector;
  started = ticks;
  running = 1;
  c->eip = (u32)trampoline;
  c->eflags = 0x202;
  c->ds = c->es = c->ss = 0x2b;
  c->cs = 0x23;
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
  if (c->eip - CODE > PAGES && c->eip - (u32)trampoline < 80) quit(3);
  test.vector = c->trapno;
  test.error = c->err;
  test.address = c->trapno == 14 ? c->cr2 : 0;
  test.gpr[0] = c->eax;
  test.gpr[1] = c->ecx;
  test.gpr[2] = c->edx;
  test.gpr[3] = c->ebx;
  test.gpr[4] = c->esp;
  test.gpr[5] = c->ebp;
  test.gpr[6] = c->esi;
  test.gpr[7] = c->edi;
  test.eip = c->eip;
  test.eflags = c->eflags;
  memcpy(test.fx, c->fpstate + 112, 512);
  // The kernel leaves out what is in its initial state.
  if (c->fpstate[112 + 512] & 4)
    memcpy(test.ymmh, c->fpstate + 112 + 576, sizeof test.ymmh);
  else
    memset(test.ymmh, 0, sizeof test.ymmh);
  u32 readable = CODE + PAGES - start_eip;
  memcpy(test.code, (void *)start_eip,
         readable < CODE_BYTES ? readable : CODE_BYTES);
  memcpy(test.data, (void *)DATA, PAGES);
  transfer(4, 1, &test, sizeof test);
  next(c);
}

static void on(int signal) {
  struct {
    void *handler;
    u32 flags;
    void *restorer;
    u32 mask[2];
  } a = {handler, 0x4 | 0x04000000 | 0x08000000, restorer, {~0u, ~0u}};
  if (syscall6(174, signal, (u32)&a, 0, 8, 0, 0) != 0) quit(4);
}

static void map(u32 at, u32 protection, int fd) {
  // MAP_FIXED | MAP_SHARED, or MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS
  u32 flags = fd >= 0 ? 0x11 : 0x32;
  if ((u32)syscall6(192, at, PAGES, protection, flags, fd, 0) != at) quit(5);
}

__attribute__((used)) void main(void) {
  int fd = syscall3(356, (u32) "data", 0, 0); // memfd_create
  if (fd < 0 || syscall3(93, fd, PAGES, 0) != 0) quit(6);
  map(CODE, 7, -1);
  map(DATA, 3, fd);
  map(LOW, 3, fd);
  // Away with the kernel's stack and vDSO: a wild access must fault. The lower
  // half of `alternate` is the stack until the first test.
  if (syscall3(91, 0xc0000000u, 0x3fffe000u, 0) != 0) quit(9); // munmap
  u32 stack[3] = {(u32)alternate, 0, sizeof alternate};
  if (syscall3(186, (u32)stack, 0, 0) != 0) quit(7);
  on(4);  // SIGILL
  on(5);  // SIGTRAP
  on(7);  // SIGBUS
  on(8);  // SIGFPE
  on(11); // SIGSEGV
  on(14); // SIGALRM
  u32 interval[4] = {0, 20000, 0, 20000};
  if (syscall3(104, 0, (u32)interval, 0) != 0) quit(8);
  // The first case is started from a signal as all others are: its "result"
  // must not be written, so it is taken here by a small fake context.
  static struct context first;
  next(&first);
  __asm__ volatile("movl $0x2b, %eax\n  mov %eax, %ds\n  mov %eax, %es\n"
                   "  xorl %eax, %eax\n  mov %eax, %fs\n  mov %eax, %gs\n"
                   "  jmp trampoline");
}
