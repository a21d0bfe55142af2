// System call round trips: SYSENTER from ring 3 and SYSEXIT back.
// uses: system.c
// native: no
#define ROUNDS 3000000
#include "syscall.h"
const char name[] = "sys_enter";

static inline u32 system_call(u32 number, u32 a, u32 b) {
  u32 result;
  __asm__ volatile("pushl %%ebp\n"
                   "movl %%esp, %%ebp\n"
                   "movl $1f, %%edx\n"
                   "sysenter\n"
                   "1: popl %%ebp"
                   : "=a"(result), "+b"(a), "+c"(b)
                   : "a"(number)
                   : "edx", "memory");
  return result;
}

Entry sysenter_entry;
__asm__(".text\n"
        "sysenter_entry:\n"
        "  pushl %ebp\n" // the user's stack
        "  pushl %edx\n" // where the user goes on
        "  pushl %edi\n"
        "  pushl %esi\n"
        "  pushl %ecx\n"
        "  pushl %ebx\n"
        "  cld\n"
        "  call *call_table(,%eax,4)\n"
        "  popl %ebx\n"
        "  popl %ecx\n"
        "  popl %esi\n"
        "  popl %edi\n"
        "  popl %edx\n"
        "  popl %ecx\n"
        "  movl %ecx, %ebp\n"
        "  sysexit\n");

static u8 kernel_stack[8192] __attribute__((aligned(16)));

u32 bench(void) {
  system_init();
  paging_on();
  write_msr(0x174, KERNEL_CODE);
  write_msr(0x175, (u32)kernel_stack + sizeof kernel_stack);
  write_msr(0x176, (u32)sysenter_entry);
  return run_user(user);
}
