// Page faults of ring 3: pages that come on demand, pages shared until they
// are written, and the kernel that takes them away again.
// uses: system.c
// native: no
#include "system.h"
const char name[] = "pagefault";
#define PAGES 512
static PageTable table;
static u8 frames[PAGES][PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static u8 shared[PAGE_BYTES] __attribute__((aligned(PAGE_BYTES)));
static u32 next_frame, on_demand, on_write;

__attribute__((used)) void page_fault(Word address, Word error) {
  u32 page = (address - FREE_ADDRESS) / PAGE_BYTES;
  if (address - FREE_ADDRESS >= PAGES * PAGE_BYTES) fail("page fault");
  if (error & 2) { // written: a frame of its own
    u8 *frame = frames[next_frame++ % PAGES];
    if (error & 1) on_write++;
    else on_demand++;
    *(u32 *)frame = page;
    table[page] = (Word)frame | PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER;
  } else { // read: all see the same page
    on_demand++;
    table[page] = (Word)shared | PAGE_PRESENT | PAGE_USER;
  }
  invalidate_page(address);
}

// Takes all pages back.
__attribute__((used)) void discard(void) {
  for (u32 i = 0; i < PAGES; i++) table[i] = 0;
  load_cr3(&kernel_space);
}

Entry fault_entry, discard_entry;
__asm__(".text\n"
        "fault_entry:\n" SAVE
#ifdef __x86_64__
        "  movq 120(%rsp), %rsi\n" // the error code
        "  movq %cr2, %rdi\n"
        "  call page_fault\n" RESTORE
        "  addq $8, %rsp\n"
        "  iretq\n"
#else
        "  pushl 32(%esp)\n" // the error code
        "  movl %cr2, %eax\n"
        "  pushl %eax\n"
        "  call page_fault\n"
        "  addl $8, %esp\n" RESTORE
        "  addl $4, %esp\n"
        "  iret\n"
#endif
        "discard_entry:\n" SAVE
        "  call discard\n" RESTORE
#ifdef __x86_64__
        "  iretq\n"
#else
        "  iret\n"
#endif
);

static u32 user(void) {
  u32 sum = 0, state = 9;
  volatile u32 *memory = (u32 *)FREE_ADDRESS;
  for (u32 round = 0; round < 1000; round++) {
    for (u32 i = 0; i < PAGES; i++) {
      volatile u32 *page = memory + i * (PAGE_BYTES / 4);
      u32 kind = next_random(&state) % 3;
      if (kind != 0) sum += page[1];        // on demand, shared
      if (kind != 1) page[2] = sum += round; // on demand or on write
      sum = sum * 31 + page[0];
    }
    __asm__ volatile("int $0x80" ::: "memory");
  }
  return sum;
}

u32 bench(void) {
  system_init();
  paging_on();
  make_space(&kernel_space, table);
  load_cr3(&kernel_space);
  set_gate(14, fault_entry, 0);
  set_gate(0x80, discard_entry, 3);
  u32 sum = run_user(user);
  return sum * 31 + on_demand * 7 + on_write;
}
