// Segments, gates, rings and pages for benchmarks in protected mode, or in
// 64-bit mode.
#include "system.h"

AddressSpace kernel_space;
__attribute__((aligned(16))) u8 user_stack[65536];
Word saved_stack;

Entry exit_entry;
extern const u8 exception_entries[];

typedef struct {
  u16 limit;
  Word base;
} __attribute__((packed)) TableRegister;

// One entry for each exception, 8 bytes apart: push its number.
__asm__(".text\n"
        ".balign 8\n"
        "exception_entries:\n"
        "  .set vector, 0\n"
        "  .rept 32\n"
        "  .balign 8\n"
        "  .byte 0x6a, vector\n"
        "  jmp exception_common\n"
        "  .set vector, vector + 1\n"
        "  .endr\n");

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

// A flat segment of 4 GiB; `size` is D/B or L.
static u64 flat(u32 access, u32 size) {
  return 0x008f00000000ffffull | (u64)access << 40 | (u64)size << 52;
}

#define ALL_RIGHTS (PAGE_PRESENT | PAGE_WRITABLE | PAGE_USER)

// Page tables with all 64 MiB at their own addresses.
#define TABLES (64 * 1024 * 1024 / PAGE_BYTES / PAGE_ENTRIES)
static PageTable identity_tables[TABLES];

static void fill_identity(Word *directory) {
  for (u32 i = 0; i < TABLES; i++) {
    for (u32 j = 0; j < PAGE_ENTRIES; j++)
      identity_tables[i][j] = (i * PAGE_ENTRIES + j) * PAGE_BYTES | ALL_RIGHTS;
    directory[i] = (Word)identity_tables[i] | ALL_RIGHTS;
  }
}

static void use_tables(const void *gdt, u32 gdt_bytes, const void *idt,
                       u32 idt_bytes) {
  TableRegister gdtr = {gdt_bytes - 1, (Word)gdt};
  TableRegister idtr = {idt_bytes - 1, (Word)idt};
  __asm__ volatile("lgdt %0\n"
#ifdef __x86_64__
                   "pushq $0x08\n"
                   "pushq $1f\n"
                   "lretq\n"
#else
                   "ljmp $0x08, $1f\n"
#endif
                   "1: movl %2, %%ds\n"
                   "movl %2, %%es\n"
                   "movl %2, %%ss\n"
                   "lidt %1\n"
                   "ltr %w3\n" ::"m"(gdtr),
                   "m"(idtr), "r"(KERNEL_DATA), "r"(TASK)
                   : "memory");
}

#ifdef __x86_64__
#include "system64.h"
#else
#include "system32.h"
#endif
