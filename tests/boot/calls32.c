/*
 * A program for 32-bit x86 without a library: it calls the kernel in every way
 * that it has (INT 80h; the entry that the kernel names, by SYSENTER; and
 * SYSCALL, from the kernel's 64-bit code segment), and gets a signal.
 */

#define AT_SYSINFO 32
#define SYS_EXIT 1
#define SYS_WRITE 4
#define SYS_GETPID 20
#define SYS_KILL 37
#define SYS_SIGNAL 48
#define SYS_WRITE_64 1
#define SIGUSR1 10

static unsigned sysinfo;
static volatile int signals;

static int by_int80(int number, int a, const void *b, int c) {
  int result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "0"(number), "b"(a), "c"(b), "d"(c)
                   : "memory");
  return result;
}

static int by_sysinfo(int number, int a, const void *b, int c) {
  int result;
  __asm__ volatile("call *%5"
                   : "=a"(result)
                   : "0"(number), "b"(a), "c"(b), "d"(c), "m"(sysinfo)
                   : "memory");
  return result;
}

/* To Linux's 64-bit user code segment and back to the 32-bit one. */
static int by_syscall(int number, int a, const void *b, int c) {
  int result;
  __asm__ volatile("pushl %%ebx\n"
                   "pushl $0x23\n"
                   "pushl $2f\n"
                   "ljmp $0x33, $1f\n"
                   ".code64\n"
                   "1: movslq %%esi, %%rsi\n"
                   "syscall\n"
                   "lretl\n"
                   ".code32\n"
                   "2: popl %%ebx"
                   : "=a"(result)
                   : "0"(number), "D"(a), "S"(b), "d"(c)
                   : "ecx", "memory");
  return result;
}

static void on_signal(int signal) { signals += signal; }

__attribute__((used, noreturn)) void program(unsigned *stack) {
  unsigned *at = stack + 1 + stack[0] + 1;
  while (*at++) {
  }
  for (; at[0]; at += 2)
    if (at[0] == AT_SYSINFO) sysinfo = at[1];
  by_int80(SYS_WRITE, 1, "by INT 80h\n", 11);
  if (sysinfo) by_sysinfo(SYS_WRITE, 1, "by SYSENTER\n", 12);
  by_syscall(SYS_WRITE_64, 1, "by SYSCALL\n", 11);
  int pid = by_int80(SYS_GETPID, 0, 0, 0);
  by_int80(SYS_SIGNAL, SIGUSR1, (const void *)on_signal, 0);
  for (int i = 0; i < 2; i++) {
    by_int80(SYS_SIGNAL, SIGUSR1, (const void *)on_signal, 0);
    by_int80(SYS_KILL, pid, (const void *)SIGUSR1, 0);
  }
  if (signals == 2 * SIGUSR1) by_sysinfo(SYS_WRITE, 1, "signalled\n", 10);
  by_int80(SYS_EXIT, 7, 0, 0);
  for (;;) {
  }
}

__asm__(".globl _start\n"
        "_start: movl %esp, %eax\n"
        "  andl $-16, %esp\n"
        "  subl $12, %esp\n"
        "  pushl %eax\n"
        "  call program\n");
