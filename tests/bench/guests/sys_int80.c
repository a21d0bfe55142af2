// System call round trips: INT 80h from ring 3, the kernel saves as Linux does.
// uses: system.c
// native: no
#define ROUNDS 2000000
#include "syscall.h"
const char name[] = "sys_int80";

#ifdef __x86_64__
#define ARGUMENTS(a, b) "D"(a), "S"(b)
#else
#define ARGUMENTS(a, b) "b"(a), "c"(b)
#endif

static inline u32 system_call(u32 number, u32 a, u32 b) {
  u32 result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(number), ARGUMENTS(a, b)
                   : "memory");
  return result;
}

Entry int80_entry;
__asm__(".text\n"
#ifdef __x86_64__
        "int80_entry:\n" SAVE
        "  cld\n"
        "  call *call_table(,%rax,8)\n"
        "  movq %rax, 80(%rsp)\n" RESTORE
        "  iretq\n"
#else
        "int80_entry:\n"
        "  pushl %fs\n"
        "  pushl %es\n"
        "  pushl %ds\n"
        "  pushl %eax\n"
        "  pushl %ebp\n"
        "  pushl %edi\n"
        "  pushl %esi\n"
        "  pushl %edx\n"
        "  pushl %ecx\n"
        "  pushl %ebx\n"
        "  movl $0x10, %edx\n"
        "  movl %edx, %ds\n"
        "  movl %edx, %es\n"
        "  cld\n"
        "  call *call_table(,%eax,4)\n" // its arguments are where EBX, ECX lie
        "  movl %eax, 24(%esp)\n"
        "  popl %ebx\n"
        "  popl %ecx\n"
        "  popl %edx\n"
        "  popl %esi\n"
        "  popl %edi\n"
        "  popl %ebp\n"
        "  popl %eax\n"
        "  popl %ds\n"
        "  popl %es\n"
        "  popl %fs\n"
        "  iret\n"
#endif
);

u32 bench(void) {
  system_init();
  paging_on();
  set_gate(0x80, int80_entry, 3);
  return run_user(user);
}
