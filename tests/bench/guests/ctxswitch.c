// Context switches: tasks of ring 3 in address spaces of their own hand over
// to each other; each switch reloads CR3.
// uses: system.c
// native: no
#include "system.h"
const char name[] = "ctxswitch";
#define TASKS 4
#define PAGES 16
#define ROUNDS 40000

static PageTable directories[TASKS], tables[TASKS];
static u8 frames[TASKS][PAGES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static u32 kernel_stacks[TASKS][1024] __attribute__((aligned(16)));
static u32 stack_of[TASKS];
static u32 current;

// Saves the stack of one task and goes on with another's.
void switch_stack(u32 *save, u32 load, const void *directory);
Entry yield_entry, first_return;
__asm__(".text\n"
        "switch_stack:\n"
        "  movl 4(%esp), %eax\n"
        "  movl 8(%esp), %edx\n"
        "  movl 12(%esp), %ecx\n"
        "  pushl %ebp\n"
        "  pushl %ebx\n"
        "  pushl %esi\n"
        "  pushl %edi\n"
        "  movl %esp, (%eax)\n"
        "  movl %edx, %esp\n"
        "  movl %ecx, %cr3\n"
        "  popl %edi\n"
        "  popl %esi\n"
        "  popl %ebx\n"
        "  popl %ebp\n"
        "  ret\n"
        "yield_entry:\n"
        "  pushal\n"
        "  movl $0x10, %edx\n"
        "  movl %edx, %ds\n"
        "  movl %edx, %es\n"
        "  call yield\n"
        "first_return:\n"
        "  movl $0x23, %edx\n"
        "  movl %edx, %ds\n"
        "  movl %edx, %es\n"
        "  popal\n"
        "  iret\n");

__attribute__((used)) void yield(void) {
  u32 last = current;
  current = (current + 1) % TASKS;
  set_kernel_stack((u32)(kernel_stacks[current] + 1024));
  switch_stack(&stack_of[last], stack_of[current], directories[current]);
}

// What every task does: its own pages at the same addresses as the others'.
static void task(void) {
  volatile u32 *own = (u32 *)FREE_ADDRESS;
  u32 step = own[1];
  for (u32 round = 0; round < ROUNDS; round++) {
    for (u32 page = 0; page < PAGES; page += 3) {
      u32 at = page * (PAGE_BYTES / 4) + (round & 511);
      own[at] = own[at] * 5 + (step + page);
    }
    own[0] = own[0] * 31 + own[round & 1023];
    __asm__ volatile("int $0x80" ::: "memory");
  }
  // The first task is the first to be done.
  __asm__ volatile("int $0x81");
}

// Begins the first task; the exit gate returns from here.
static u32 start(void) {
  task();
  return 0;
}

u32 bench(void) {
  system_init();
  paging_on();
  set_gate(0x80, yield_entry, 3);
  for (u32 t = 0; t < TASKS; t++) {
    for (u32 i = 0; i < 1024; i++) directories[t][i] = page_directory[i];
    directories[t][FREE_ADDRESS >> 22] =
        (u32)tables[t] | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
    // Pages of its own, and behind them a stack.
    for (u32 i = 0; i < PAGES; i++)
      tables[t][i] =
          (u32)frames[t][i] | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
    ((u32 *)frames[t][0])[1] = 77 * t + 1;
    // As if it had been interrupted at its first instruction.
    u32 *top = kernel_stacks[t] + 1024;
    *--top = USER_DATA;
    *--top = FREE_ADDRESS + PAGES * PAGE_BYTES - 16;
    *--top = 2; // EFLAGS
    *--top = USER_CODE;
    *--top = (u32)task;
    top -= 8; // PUSHA
    *--top = (u32)first_return;
    top -= 4; // EBP, EBX, ESI, EDI
    stack_of[t] = (u32)top;
  }
  load_cr3(directories[0]);
  run_user(start);
  u32 sum = 0;
  for (u32 t = 0; t < TASKS; t++)
    for (u32 i = 0; i < PAGES; i++)
      for (u32 j = 0; j < 1024; j++)
        // The last page holds the stack too: return addresses.
        if (i < PAGES - 1) sum = sum * 31 + ((u32 *)frames[t][i])[j];
  return sum;
}
