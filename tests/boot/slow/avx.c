// Three processes, each with other numbers in YMM0-YMM7 and the x87 unit, that
// yield to one another and take signals whose handler clears them. No libc.
//
// Built by avx_test.ts with gcc -m32 -nostdlib -static.

typedef unsigned int u32;

#define PROCESSES 3
#define ROUNDS 3000

static int syscall3(int n, u32 a, u32 b, u32 c) {
  int r;
  __asm__ volatile("int $0x80"
                   : "=a"(r)
                   : "a"(n), "b"(a), "c"(b), "d"(c)
                   : "memory");
  return r;
}

static int syscall4(int n, u32 a, u32 b, u32 c, u32 d) {
  int r;
  __asm__ volatile("int $0x80"
                   : "=a"(r)
                   : "a"(n), "b"(a), "c"(b), "d"(c), "S"(d)
                   : "memory");
  return r;
}

static void say(const char *text) {
  u32 n = 0;
  while (text[n] != 0) n++;
  syscall3(4, 1, (u32)text, n);
}

static volatile u32 taken;

static void handler(int signal) {
  (void)signal;
  taken++;
  __asm__ volatile("vzeroall\n  fninit");
}

__asm__(".globl restorer\n"
        "restorer:\n"
        "  movl $173, %eax\n"
        "  int $0x80\n"
        ".globl _start\n"
        "_start:\n"
        "  andl $-16, %esp\n"
        "  call main\n");
void restorer(void);

static u32 numbers[8][8] __attribute__((aligned(32)));
static u32 found[8][8] __attribute__((aligned(32)));

#define EACH(op)                                                               \
  op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7)
#define LOAD(n) "vmovaps numbers+32*" #n ", %%ymm" #n "\n"
#define STORE(n) "vmovaps %%ymm" #n ", found+32*" #n "\n"

static int run(u32 id) {
  for (u32 n = 0; n < 8; n++)
    for (u32 k = 0; k < 8; k++) numbers[n][k] = id << 24 | n << 8 | k;
  struct {
    void (*handler)(int);
    u32 flags;
    void (*restorer)(void);
    u32 mask[2];
  } action = {handler, 0x04000004, restorer, {0, 0}};
  if (syscall4(174, 10, (u32)&action, 0, 8) != 0) return 1; // SIGUSR1
  int pid = syscall3(20, 0, 0, 0);
  for (u32 round = 0; round < ROUNDS; round++) {
    u32 x87 = 0;
    // All of it in one piece: nothing else may use the registers.
    __asm__ volatile(EACH(LOAD) "fildl %5\n"
                     "movl $158, %%eax\n  int $0x80\n" // sched_yield
                     "movl $37, %%eax\n  int $0x80\n"  // kill
                     EACH(STORE) "fistpl %0\n"
                     : "=m"(x87), "=m"(found)
                     : "b"(pid), "c"(10), "m"(numbers), "m"(id)
                     : "eax", "memory");
    for (u32 n = 0; n < 8; n++)
      for (u32 k = 0; k < 8; k++)
        if (found[n][k] != numbers[n][k]) return 2;
    if (x87 != id) return 3;
  }
  return taken == ROUNDS ? 0 : 4;
}

__attribute__((used)) void main(void) {
  for (u32 id = 1; id <= PROCESSES; id++)
    if (syscall3(2, 0, 0, 0) == 0) syscall3(1, run(id), 0, 0);
  int bad = 0;
  for (u32 id = 1; id <= PROCESSES; id++) {
    int status = 0;
    if (syscall3(7, -1, (u32)&status, 0) < 0 || status != 0) bad = 1;
  }
  say(bad ? "registers are wrong\n" : "registers are right\n");
  syscall3(1, bad, 0, 0);
}
