// What a benchmark needs that is an operating system for a moment: segments,
// gates, rings and pages. It says so with the line `// uses: system.c`.
#pragma once
#include "runtime.h"

// Selectors, in the order that SYSENTER and SYSEXIT want.
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_CODE 0x1b
#define USER_DATA 0x23
#define TASK 0x28

// A vector at which ring 3 ends what `run_user` began.
#define VECTOR_EXIT 0x81

#define PAGE_BYTES 4096
#define PAGE_PRESENT 1
#define PAGE_WRITABLE 2
#define PAGE_USER 4

typedef u32 PageTable[1024] __attribute__((aligned(PAGE_BYTES)));

// An entry point: saves what it needs itself, and ends with IRET.
typedef void Entry(void);

// Loads segments, a task and gates of our own; any exception is the end.
void system_init(void);

// Gives a vector to an entry point, as an interrupt gate.
void set_gate(u8 vector, Entry *entry, u32 privilege);

// The stack that ring 0 has when it is entered from ring 3.
void set_kernel_stack(u32 top);

// Turns paging on with all 64 MiB at their own addresses, open to ring 3.
void paging_on(void);

// The page directory that `paging_on` loaded.
extern PageTable page_directory;

// Where no memory is, for page tables of a benchmark's own.
#define FREE_ADDRESS 0x40000000u

// Runs a function in ring 3 and gives its result. Not to be nested.
u32 run_user(u32 (*function)(void));

// Prints why the benchmark failed and stops.
void fail(const char *why) __attribute__((noreturn));

static inline void load_cr3(const void *directory) {
  __asm__ volatile("movl %0, %%cr3" ::"r"(directory) : "memory");
}
static inline void invalidate_page(u32 address) {
  __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}
static inline void write_msr(u32 msr, u32 value) {
  __asm__ volatile("wrmsr" ::"c"(msr), "a"(value), "d"(0));
}
