// The host CPU's decoder as an oracle: for each case (a mode and 15 bytes),
// how many bytes the instruction has and which exception it ends with.
//
// Built by oracle.ts with gcc -m64 -nostdlib -static. Code of 16 and 32 bits
// runs in the same process: in a segment of the LDT, and in Linux's own.
//
// The first n bytes stand at the end of a page that nothing follows. A page
// fault of the fetch behind them says that the CPU wants more; anything else,
// that n were enough. The instruction is single-stepped, if it is one that
// executes. All registers lead to nowhere, the stack pointer too, and RAX is no
// system call's number.

typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#define CODE 0x10000000ul
#define END (CODE + 0x1000)
#define WRITABLE 0x7e0000000000ul
#define NOWHERE 0x50000000ul
#define LONGEST 15
#define BATCH 1024

struct test {
  u8 mode; // bits of the code segment / 16: 1, 2 or 4
  u8 hint; // the length to try first
  u8 bytes[LONGEST];
  u8 reserved[7];
};
struct result {
  u8 length;
  u8 vector;
  u16 error;
};

// The kernel's ucontext (asm/sigcontext.h).
struct context {
  u64 flags, link, stack[3];
  u64 r8, r9, r10, r11, r12, r13, r14, r15;
  u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
  u16 cs, gs, fs, ss;
  u64 err, trapno, oldmask, cr2;
  u8 *fpstate;
};

static struct test tests[BATCH];
static struct result results[BATCH];
static u32 count, now, tried;
static int shorter; // the lengths that are tried go down
static struct result best;
u8 alternate[65536] __attribute__((aligned(64)));

__asm__(".globl restorer\n"
        "restorer:\n"
        "  movl $15, %eax\n" // rt_sigreturn
        "  syscall\n"
        ".globl _start\n"
        "_start:\n"
        "  movq $alternate+32768, %rsp\n"
        "  call main\n");
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

// All of `n` bytes, or fewer at the end of the input.
static u64 transfer(int number, int fd, void *at, u64 n) {
  u64 done = 0;
  while (done < n) {
    long r = syscall3(number, fd, (u64)at + done, n - done);
    if (r == -4) continue; // EINTR
    if (r < 0) quit(1);
    if (r == 0) break;
    done += r;
  }
  return done;
}

// Answers a batch that is done; the next case.
static void next(void) {
  if (++now >= count) {
    if (count > 0) transfer(1, 1, results, count * sizeof(struct result));
    count = transfer(0, 0, tests, sizeof tests) / sizeof(struct test);
    if (count == 0) quit(0);
    now = 0;
  }
  tried = tests[now].hint;
  if (tried < 1 || tried > LONGEST) tried = 1;
  shorter = 1;
  best.length = 0;
}

static u64 start(void) {
  return (tests[now].mode == 1 ? 0x8000 : END) - tried;
}

static void arrange(struct context *c) {
  const u8 *from = tests[now].bytes;
  u8 *to = (u8 *)WRITABLE + 0x1000 - tried;
  for (u32 i = 0; i < tried; i++) to[i] = from[i];
  u64 *gpr = &c->r8;
  for (int i = 0; i < 16; i++) gpr[i] = NOWHERE;
  c->rip = start();
  c->rflags = 0x302; // TF
  c->cs = tests[now].mode == 1 ? 7 : tests[now].mode == 2 ? 0x23 : 0x33;
  c->ss = 0x2b;
  c->fs = c->gs = 0;
  c->fpstate = 0;
}

static void handler(int signal, void *info, struct context *c) {
  (void)signal, (void)info;
  __asm__ volatile("movl %0, %%ds\n  movl %0, %%es" ::"r"(0x2b));
  if (count > 0) {
    // A fetch (bit 4 of the error code) that faults just behind the bytes.
    int wants = c->trapno == 14 && (c->err & 16) != 0 && c->cr2 == END &&
                c->rip == start();
    if (!wants) {
      best.length = tried;
      best.vector = c->trapno;
      best.error = c->err;
      // How much of an undefined one is fetched is up to the CPU.
      if (!shorter || tried == 1 || best.vector == 6) goto done;
      tried--;
    } else if (best.length != 0) {
      goto done;
    } else {
      shorter = 0;
      if (++tried > LONGEST) {
        best.vector = 14;
        goto done;
      }
    }
    arrange(c);
    return;
  done:
    results[now] = best;
  }
  next();
  arrange(c);
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

__attribute__((used)) void main(void) {
  int fd = syscall3(319, (u64) "code", 0, 0); // memfd_create
  if (fd < 0 || syscall3(77, fd, 0x1000, 0) != 0) quit(6);
  // MAP_FIXED | MAP_SHARED: read and execute here, write there.
  if ((u64)syscall6(9, CODE, 0x1000, 5, 0x11, fd, 0) != CODE) quit(5);
  if ((u64)syscall6(9, WRITABLE, 0x1000, 3, 0x11, fd, 0) != WRITABLE) quit(5);
  // Entry 0 of the LDT: code of 16 bits whose offset 8000h is END.
  struct {
    u32 entry, base, limit, flags;
  } segment = {0, END - 0x8000, 0xffff, 2 << 1};
  if (syscall3(154, 1, (u64)&segment, sizeof segment) != 0) quit(7);
  u64 stack[3] = {(u64)alternate, 0, sizeof alternate};
  if (syscall3(131, (u64)stack, 0, 0) != 0) quit(8);
  on(4);  // SIGILL
  on(5);  // SIGTRAP
  on(7);  // SIGBUS
  on(8);  // SIGFPE
  on(11); // SIGSEGV
  __asm__ volatile("int3");
  quit(9);
}
