// System call round trips: SYSENTER from ring 3 and SYSEXIT back; in 64-bit mode
// SYSCALL and SYSRET, with a stack that SWAPGS leads to.
// uses: system.c
// native: no
#define ROUNDS 5000000
#include "syscall.h"
const char name[] = "sys_enter";

#ifdef __x86_64__
static inline u32 system_call(u32 number, u32 a, u32 b) {
  u64 result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"((u64)number), "D"(a), "S"(b)
                   : "rcx", "r11", "memory");
  return result;
}

// What GS points to in the kernel: its stack, and room for the user's.
static Word per_cpu[2];

Entry syscall_entry;
__asm__(".text\n"
        "syscall_entry:\n"
        "  swapgs\n"
        "  movq %rsp, %gs:8\n"
        "  movq %gs:0, %rsp\n"
        "  pushq %gs:8\n"
        "  pushq %r11\n" // flags
        "  pushq %rcx\n" // where the user goes on
        "  pushq %rdi\n"
        "  pushq %rsi\n"
        "  pushq %rdx\n"
        "  pushq %r8\n"
        "  pushq %r9\n"
        "  pushq %r10\n"
        "  call *call_table(,%rax,8)\n"
        "  popq %r10\n"
        "  popq %r9\n"
        "  popq %r8\n"
        "  popq %rdx\n"
        "  popq %rsi\n"
        "  popq %rdi\n"
        "  popq %rcx\n"
        "  popq %r11\n"
        "  popq %rsp\n"
        "  swapgs\n"
        "  sysretq\n");
#else
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
#endif

static u8 kernel_stack[8192] __attribute__((aligned(16)));

u32 bench(void) {
  system_init();
  paging_on();
#ifdef __x86_64__
  u32 efer;
  __asm__ volatile("rdmsr" : "=a"(efer) : "c"(0xc0000080) : "edx");
  write_msr(0xc0000080, efer | 1);                              // SCE
  write_msr(0xc0000081, (u64)(KERNEL_CODE | KERNEL_DATA << 16) << 32); // STAR
  write_msr(0xc0000082, (Word)syscall_entry);                   // LSTAR
  write_msr(0xc0000084, 0x700);                                 // TF, IF, DF
  write_msr(0xc0000102, (Word)per_cpu); // the base that SWAPGS brings
  per_cpu[0] = (Word)kernel_stack + sizeof kernel_stack;
#else
  write_msr(0x174, KERNEL_CODE);
  write_msr(0x175, (u32)kernel_stack + sizeof kernel_stack);
  write_msr(0x176, (u32)sysenter_entry);
#endif
  return run_user(user);
}
