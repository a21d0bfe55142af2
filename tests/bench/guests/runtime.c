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
#ifdef __x86_64__
        ".code32\n"
#endif
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
#ifdef __x86_64__
        // All 4 GiB at their own addresses in pages of 2 MiB; then 64-bit mode.
        "  movl $tables, %edi\n"
        "  movl $tables + 0x1007, (%edi)\n"
        "  leal 0x2007(%edi), %eax\n"
        "  xorl %ecx, %ecx\n"
        "2: movl %eax, 0x1000(%edi,%ecx,8)\n"
        "  addl $0x1000, %eax\n"
        "  incl %ecx\n"
        "  cmpl $4, %ecx\n"
        "  jb 2b\n"
        "  movl $0x87, %eax\n" // large, user, writable, present
        "  xorl %ecx, %ecx\n"
        "3: movl %eax, 0x2000(%edi,%ecx,8)\n"
        "  addl $0x200000, %eax\n"
        "  incl %ecx\n"
        "  cmpl $2048, %ecx\n"
        "  jb 3b\n"
        "  movl %edi, %cr3\n"
        "  movl %cr4, %eax\n"
        "  orl $0x20, %eax\n" // PAE
        "  movl %eax, %cr4\n"
        "  movl $0xc0000080, %ecx\n" // EFER
        "  rdmsr\n"
        "  orl $0x100, %eax\n" // LME
        "  wrmsr\n"
        "  movl %cr0, %eax\n"
        "  orl $0x80000000, %eax\n" // PG
        "  movl %eax, %cr0\n"
        "  lgdt table_register\n"
        "  ljmp $0x08, $4f\n"
        ".balign 8\n"
        "table: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff\n"
        "table_register: .word 23\n"
        "  .long table\n"
        ".code64\n"
        "4: movl $0x10, %eax\n"
        "  movl %eax, %ds\n"
        "  movl %eax, %es\n"
        "  movl %eax, %ss\n"
#ifdef __AVX__
        "  movq %cr4, %rax\n"
        "  orl $0x40000, %eax\n" // OSXSAVE
        "  movq %rax, %cr4\n"
        "  xorl %ecx, %ecx\n"
        "  xorl %edx, %edx\n"
        "  movl $7, %eax\n" // x87, SSE, AVX
        "  xsetbv\n"
#endif
#endif
        "  call kernel_main\n"
        "1: cli\n"
        "  hlt\n"
        "  jmp 1b\n"
        ".bss\n"
#ifdef __x86_64__
        ".balign 4096\n"
        "tables: .skip 0x6000\n"
#endif
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
