// A multiboot v1 kernel around one benchmark; with -DNATIVE a Linux program.
#include "runtime.h"

#ifdef NATIVE
#include <stdio.h>
int main(void) {
  printf("BEGIN %s\n", name);
  fflush(stdout);
  printf("END %s %08x\n", name, bench());
  return 0;
}
#else

#define COM1 0x3f8
#define DEBUG_EXIT 0xf4

__asm__(".section .multiboot, \"a\"\n"
        ".balign 4\n"
        ".long 0x1badb002, 0, -0x1badb002\n"
        ".text\n"
        ".globl _start\n"
        "_start:\n"
        "  cli\n"
        "  movl $stack_top, %esp\n"
        "  movl %cr0, %eax\n"
        "  andl $~4, %eax\n" // EM off
        "  orl $2, %eax\n"   // MP on
        "  movl %eax, %cr0\n"
        "  movl %cr4, %eax\n"
        "  orl $0x600, %eax\n" // OSFXSR, OSXMMEXCPT
        "  movl %eax, %cr4\n"
        "  fninit\n"
        "  call kernel_main\n"
        "1: cli\n"
        "  hlt\n"
        "  jmp 1b\n"
        ".bss\n"
        ".balign 16\n"
        "  .skip 262144\n"
        "stack_top:\n"
        ".text\n");

void print(const char *s) {
  for (; *s; s++) {
    while (!(inb(COM1 + 5) & 0x20)) {
    }
    outb(COM1, *s);
  }
}

void *memset(void *to, int v, u32 n) {
  for (u8 *p = to; n--;) *p++ = v;
  return to;
}
void *memcpy(void *to, const void *from, u32 n) {
  const u8 *f = from;
  for (u8 *p = to; n--;) *p++ = *f++;
  return to;
}

void stop(void) {
  outb(DEBUG_EXIT, 0);
  for (;;) __asm__ volatile("cli\n hlt");
}

void kernel_main(void) {
  print("BEGIN ");
  print(name);
  print("\n");
  u32 sum = bench();
  char hex[9];
  for (int i = 0; i < 8; i++) hex[i] = "0123456789abcdef"[sum >> (28 - 4 * i) & 15];
  hex[8] = 0;
  print("END ");
  print(name);
  print(" ");
  print(hex);
  print("\n");
  stop();
}
#endif
