// Context switches: tasks of ring 3 in address spaces of their own hand over
// to each other; each switch reloads CR3.
// uses: system.c
// native: no
#include "system.h"
const char name[] = "ctxswitch";
#define TASKS 4
#define PAGES 16
#define ROUNDS 40000

static AddressSpace spaces[TASKS];
static PageTable tables[TASKS];
static u8 frames[TASKS][PAGES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static Word kernel_stacks[TASKS][1024] __attribute__((aligned(16)));
static Word stack_of[TASKS];
static u32 current;

// Saves the stack of one task and goes on with another's.
void switch_stack(Word *save, Word load, const AddressSpace *space);
Entry yield_entry, first_return;
__asm__(".text\n"
        "switch_stack:\n"
#ifdef __x86_64__
        "  pushq %rbp\n"
        "  pushq %rbx\n"
        "  pushq %r12\n"
        "  pushq %r13\n"
        "  pushq %r14\n"
        "  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  movq %rdx, %cr3\n"
        "  popq %r15\n"
        "  popq %r14\n"
        "  popq %r13\n"
        "  popq %r12\n"
        "  popq %rbx\n"
        "  popq %rbp\n"
        "  ret\n"
#else
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
#endif
        "yield_entry:\n" SAVE
        "  call yield\n"
        "first_return:\n" RESTORE
#ifdef __x86_64__
        "  iretq\n"
#else
        "  iret\n"
#endif
);
// What `switch_stack` has on a stack besides where it returns to.
#ifdef __x86_64__
#define SWITCH_SAVED 6
#else
#define SWITCH_SAVED 4
#endif

__attribute__((used)) void yield(void) {
  u32 last = current;
  current = (current + 1) % TASKS;
  set_kernel_stack((Word)(kernel_stacks[current] + 1024));
  switch_stack(&stack_of[last], stack_of[current], &spaces[current]);
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
    make_space(&spaces[t], tables[t]);
    // Pages of its own, and behind them a stack.
    for (u32 i = 0; i < PAGES; i++)
      tables[t][i] =
          (Word)frames[t][i] | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
    ((u32 *)frames[t][0])[1] = 77 * t + 1;
    // As if it had been interrupted at its first instruction.
    Word *top = kernel_stacks[t] + 1024;
    *--top = USER_DATA;
    *--top = FREE_ADDRESS + PAGES * PAGE_BYTES - 16;
    *--top = 2; // EFLAGS
    *--top = USER_CODE;
    *--top = (Word)task;
    top -= SAVED / sizeof *top;
    *--top = (Word)first_return;
    top -= SWITCH_SAVED;
    stack_of[t] = (Word)top;
  }
  load_cr3(&spaces[0]);
  run_user(start);
  u32 sum = 0;
  for (u32 t = 0; t < TASKS; t++)
    for (u32 i = 0; i < PAGES; i++)
      for (u32 j = 0; j < 1024; j++)
        // The last page holds the stack too: return addresses.
        if (i < PAGES - 1) sum = sum * 31 + ((u32 *)frames[t][i])[j];
  return sum;
}
