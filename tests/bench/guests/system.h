// What a benchmark needs that is an operating system for a moment: segments,
// gates, rings and pages. It says so with the line `// uses: system.c`.
#pragma once
#include "runtime.h"

// A register's width.
typedef unsigned long Word;

// Selectors, in the order that SYSENTER and SYSEXIT, or SYSCALL and SYSRET want.
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#ifdef __x86_64__
#define USER_CODE 0x23
#define USER_DATA 0x1b
#else
#define USER_CODE 0x1b
#define USER_DATA 0x23
#endif
#define TASK 0x28

// A vector at which ring 3 ends what `run_user` began.
#define VECTOR_EXIT 0x81

#define PAGE_BYTES 4096
#define PAGE_PRESENT 1
#define PAGE_WRITABLE 2
#define PAGE_USER 4

#define PAGE_ENTRIES (PAGE_BYTES / sizeof(Word))
typedef Word PageTable[PAGE_ENTRIES] __attribute__((aligned(PAGE_BYTES)));

// What CR3 points to, and the levels that are an address space's own.
typedef struct {
  PageTable top;
#ifdef __x86_64__
  PageTable pointers, directory; // the latter of FREE_ADDRESS
#endif
} AddressSpace;

// An entry point: saves what it needs itself, and ends with IRET.
typedef void Entry(void);

// Loads segments, a task and gates of our own; any exception is the end.
void system_init(void);

// Gives a vector to an entry point, as an interrupt gate.
void set_gate(u8 vector, Entry *entry, u32 privilege);

// The stack that ring 0 has when it is entered from ring 3.
void set_kernel_stack(Word top);

// Turns paging on with all 64 MiB at their own addresses, open to ring 3.
void paging_on(void);

// The address space that `paging_on` loaded.
extern AddressSpace kernel_space;

// Where no memory is, for page tables of a benchmark's own.
#define FREE_ADDRESS 0x40000000u

// Makes an address space: all that `kernel_space` has, and `table` at
// FREE_ADDRESS. It may be `kernel_space` itself.
void make_space(AddressSpace *space, const PageTable table);

// Runs a function in ring 3 and gives its result. Not to be nested.
u32 run_user(u32 (*function)(void));

// Prints why the benchmark failed and stops.
void fail(const char *why) __attribute__((noreturn));

static inline void load_cr3(const AddressSpace *space) {
  __asm__ volatile("mov %0, %%cr3" ::"r"(space) : "memory");
}
static inline void invalidate_page(Word address) {
  __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}
static inline void write_msr(u32 msr, u64 value) {
  __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)value), "d"((u32)(value >> 32)));
}

// What an entry from ring 3 does first and last, as Linux does it, and how many
// bytes it saves. (In 64-bit mode R15 is the last one.)
#ifdef __x86_64__
#define SAVED 120
#define SAVE                                                                   \
  "  swapgs\n"                                                                 \
  "  pushq %rdi\n  pushq %rsi\n  pushq %rdx\n  pushq %rcx\n  pushq %rax\n"     \
  "  pushq %r8\n  pushq %r9\n  pushq %r10\n  pushq %r11\n  pushq %rbx\n"       \
  "  pushq %rbp\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
#define RESTORE                                                                \
  "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbp\n"          \
  "  popq %rbx\n  popq %r11\n  popq %r10\n  popq %r9\n  popq %r8\n"            \
  "  popq %rax\n  popq %rcx\n  popq %rdx\n  popq %rsi\n  popq %rdi\n"          \
  "  swapgs\n"
#else
#define SAVED 32
#define SAVE                                                                   \
  "  pushal\n"                                                                 \
  "  movl $0x10, %edx\n"                                                       \
  "  movl %edx, %ds\n"                                                         \
  "  movl %edx, %es\n"
#define RESTORE                                                                \
  "  movl $0x23, %edx\n"                                                       \
  "  movl %edx, %ds\n"                                                         \
  "  movl %edx, %es\n"                                                         \
  "  popal\n"
#endif
