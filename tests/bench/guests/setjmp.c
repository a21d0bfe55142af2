// Non-local exits: setjmp, a few calls deep, longjmp past their returns.
#include "runtime.h"
const char name[] = "setjmp";
typedef unsigned long Context[8];
__attribute__((returns_twice)) u32 save_context(Context c);
__attribute__((noreturn)) void load_context(const Context c, u32 value);
__asm__(".text\n"
#ifdef __x86_64__
        "save_context:\n"
        "  movq (%rsp), %rdx\n"
        "  leaq 8(%rsp), %rcx\n"
        "  movq %rbx, (%rdi)\n"
        "  movq %rbp, 8(%rdi)\n"
        "  movq %r12, 16(%rdi)\n"
        "  movq %r13, 24(%rdi)\n"
        "  movq %r14, 32(%rdi)\n"
        "  movq %r15, 40(%rdi)\n"
        "  movq %rcx, 48(%rdi)\n"
        "  movq %rdx, 56(%rdi)\n"
        "  xorl %eax, %eax\n"
        "  ret\n"
        "load_context:\n"
        "  movl %esi, %eax\n"
        "  movq (%rdi), %rbx\n"
        "  movq 8(%rdi), %rbp\n"
        "  movq 16(%rdi), %r12\n"
        "  movq 24(%rdi), %r13\n"
        "  movq 32(%rdi), %r14\n"
        "  movq 40(%rdi), %r15\n"
        "  movq 48(%rdi), %rsp\n"
        "  jmp *56(%rdi)\n"
#else
        "save_context:\n"
        "  movl 4(%esp), %edx\n"
        "  movl (%esp), %ecx\n"
        "  movl %ebx, (%edx)\n"
        "  movl %esi, 4(%edx)\n"
        "  movl %edi, 8(%edx)\n"
        "  movl %ebp, 12(%edx)\n"
        "  movl %ecx, 20(%edx)\n"
        "  leal 4(%esp), %ecx\n"
        "  movl %ecx, 16(%edx)\n"
        "  xorl %eax, %eax\n"
        "  ret\n"
        "load_context:\n"
        "  movl 4(%esp), %edx\n"
        "  movl 8(%esp), %eax\n"
        "  movl (%edx), %ebx\n"
        "  movl 4(%edx), %esi\n"
        "  movl 8(%edx), %edi\n"
        "  movl 12(%edx), %ebp\n"
        "  movl 16(%edx), %esp\n"
        "  jmp *20(%edx)\n"
#endif
);

static Context handlers[4];
static u32 level;

__attribute__((noinline)) static void throw(u32 value) {
  load_context(handlers[--level], value);
}
__attribute__((noinline, optimize("no-optimize-sibling-calls"))) static u32
descend(u32 depth, u32 x) {
  if (depth == 0) {
    if (x & 3) throw(x | 1);
    return x >> 2;
  }
  return descend(depth - 1, x * 5 + depth) + 1;
}
// A handler that sees some and throws the rest on.
__attribute__((noinline)) static u32 guarded(u32 x) {
  u32 caught = save_context(handlers[level]);
  if (caught) {
    if (caught % 5 == 0) throw(caught ^ 64);
    return caught * 3;
  }
  level++;
  u32 result = descend(x & 7, x);
  level--;
  return result;
}
u32 bench(void) {
  volatile u32 sum = 1;
  for (volatile u32 i = 0; i < 5000000; i++) {
    u32 caught = save_context(handlers[0]);
    if (caught) {
      sum = sum * 31 + caught;
      continue;
    }
    level = 1;
    sum = sum * 33 ^ guarded(sum + i);
    level = 0;
  }
  return sum;
}
