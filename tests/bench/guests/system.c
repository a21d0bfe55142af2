// Segments, gates, rings and pages for benchmarks in protected mode.
#include "system.h"

typedef struct {
  u16 limit;
  u32 base;
} __attribute__((packed)) TableRegister;

// The 32-bit task state: only the stack of ring 0 is used.
static u32 task[26];
static u64 gdt[6];
static u64 idt[256];
static PageTable identity_tables[16];
PageTable page_directory;

__attribute__((aligned(16))) u8 user_stack[65536];
u32 saved_stack;

Entry exit_entry;
extern const u8 exception_entries[];

__asm__(".text\n"
        // One entry for each exception, 8 bytes apart: push its number.
        ".balign 8\n"
        "exception_entries:\n"
        "  .set vector, 0\n"
        "  .rept 32\n"
        "  .balign 8\n"
        "  .byte 0x6a, vector\n"
        "  jmp exception_common\n"
        "  .set vector, vector + 1\n"
        "  .endr\n"
        "exception_common:\n"
        "  movl $0x10, %eax\n"
        "  movl %eax, %ds\n"
        "  movl %eax, %es\n"
        "  call unexpected\n"

        ".globl run_user\n"
        "run_user:\n"
        "  movl 4(%esp), %eax\n"
        "  pushfl\n"
        "  pushl %ebp\n"
        "  pushl %ebx\n"
        "  pushl %esi\n"
        "  pushl %edi\n"
        "  movl %esp, saved_stack\n"
        "  pushl %eax\n"
        "  pushl %esp\n"
        "  call set_kernel_stack\n"
        "  addl $4, %esp\n"
        "  popl %eax\n"
        "  movl $0x23, %ecx\n" // USER_DATA
        "  movl %ecx, %ds\n"
        "  movl %ecx, %es\n"
        "  pushl %ecx\n"
        "  pushl $user_stack + 65536\n"
        "  pushfl\n"
        "  pushl $0x1b\n" // USER_CODE
        "  pushl $1f\n"
        "  iret\n"
        "1: call *%eax\n"
        "  int $0x81\n" // VECTOR_EXIT

        "exit_entry:\n"
        "  movl $0x10, %ecx\n" // KERNEL_DATA
        "  movl %ecx, %ds\n"
        "  movl %ecx, %es\n"
        "  movl saved_stack, %esp\n"
        "  popl %edi\n"
        "  popl %esi\n"
        "  popl %ebx\n"
        "  popl %ebp\n"
        "  popfl\n"
        "  ret\n");

void fail(const char *why) {
  print("FAIL ");
  print(why);
  print("\n");
  stop();
}

__attribute__((used)) void unexpected(u32 vector) {
  static char text[] = "exception 00";
  text[10] = '0' + vector / 10;
  text[11] = '0' + vector % 10;
  fail(text);
}

// A flat segment of 4 GiB.
static u64 flat(u32 access) { return 0x00cf00000000ffffull | (u64)access << 40; }

void set_gate(u8 vector, Entry *entry, u32 privilege) {
  u32 at = (u32)entry;
  u32 high = (at & 0xffff0000u) | 0x8e00 | privilege << 13;
  idt[vector] = (u64)high << 32 | KERNEL_CODE << 16 | (at & 0xffff);
}

void set_kernel_stack(u32 top) { task[1] = top; }

void system_init(void) {
  u32 base = (u32)task;
  task[2] = KERNEL_DATA;
  task[25] = sizeof task << 16; // no I/O permission map
  gdt[1] = flat(0x9b);
  gdt[2] = flat(0x93);
  gdt[3] = flat(0xfb);
  gdt[4] = flat(0xf3);
  gdt[5] = (sizeof task - 1) | (u64)(base & 0xffffff) << 16 | 0x89ull << 40 |
           (u64)(base >> 24) << 56;
  for (u32 i = 0; i < 32; i++)
    set_gate(i, (Entry *)(exception_entries + 8 * i), 0);
  set_gate(VECTOR_EXIT, exit_entry, 3);
  TableRegister gdtr = {sizeof gdt - 1, (u32)gdt};
  TableRegister idtr = {sizeof idt - 1, (u32)idt};
  __asm__ volatile("lgdt %0\n"
                   "ljmp $0x08, $1f\n"
                   "1: movl %2, %%ds\n"
                   "movl %2, %%es\n"
                   "movl %2, %%ss\n"
                   "lidt %1\n"
                   "ltr %w3\n" ::"m"(gdtr),
                   "m"(idtr), "r"(KERNEL_DATA), "r"(TASK)
                   : "memory");
}

void paging_on(void) {
  for (u32 i = 0; i < 16; i++) {
    for (u32 j = 0; j < 1024; j++)
      identity_tables[i][j] = (i << 22 | j << 12) | PAGE_PRESENT |
                              PAGE_WRITABLE | PAGE_USER;
    page_directory[i] =
        (u32)identity_tables[i] | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
  }
  load_cr3(page_directory);
  u32 cr0;
  __asm__ volatile("movl %%cr0, %0\n"
                   "orl $0x80010000, %0\n" // PG, WP
                   "movl %0, %%cr0\n"
                   : "=&r"(cr0)::"memory");
}
