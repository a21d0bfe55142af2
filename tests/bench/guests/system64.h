// 64-bit mode's part of system.c.

// The task state: only the stack of ring 0 is used.
static struct {
  u32 reserved;
  u64 stacks[12];
  u16 reserved2, permissions;
} __attribute__((packed)) task;
static u64 gdt[7];
static u64 idt[256][2] __attribute__((aligned(16)));

__asm__(".text\n"
        "exception_common:\n"
        "  popq %rdi\n"
        "  call unexpected\n"

        ".globl run_user\n"
        "run_user:\n"
        "  pushfq\n"
        "  pushq %rbp\n"
        "  pushq %rbx\n"
        "  pushq %r12\n"
        "  pushq %r13\n"
        "  pushq %r14\n"
        "  pushq %r15\n"
        "  movq %rsp, saved_stack\n"
        "  movq %rdi, %rbx\n"
        "  movq %rsp, %rdi\n"
        "  call set_kernel_stack\n"
        "  pushq $0x1b\n" // USER_DATA
        "  pushq $user_stack + 65536\n"
        "  pushfq\n"
        "  pushq $0x23\n" // USER_CODE
        "  pushq $1f\n"
        "  iretq\n"
        "1: call *%rbx\n"
        "  int $0x81\n" // VECTOR_EXIT

        "exit_entry:\n"
        "  movq saved_stack, %rsp\n"
        "  popq %r15\n"
        "  popq %r14\n"
        "  popq %r13\n"
        "  popq %r12\n"
        "  popq %rbx\n"
        "  popq %rbp\n"
        "  popfq\n"
        "  ret\n");

void set_gate(u8 vector, Entry *entry, u32 privilege) {
  u64 at = (u64)entry;
  u64 high = (at & 0xffff0000u) | 0x8e00 | privilege << 13;
  idt[vector][0] = high << 32 | KERNEL_CODE << 16 | (at & 0xffff);
  idt[vector][1] = at >> 32;
}

void set_kernel_stack(Word top) { task.stacks[0] = top; }

void system_init(void) {
  u64 base = (u64)&task;
  task.permissions = sizeof task; // no I/O permission map
  gdt[1] = flat(0x9b, 2);
  gdt[2] = flat(0x93, 4);
  gdt[3] = flat(0xf3, 4);
  gdt[4] = flat(0xfb, 2);
  gdt[5] = (sizeof task - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
           (base >> 24 & 0xff) << 56;
  gdt[6] = base >> 32;
  for (u32 i = 0; i < 32; i++)
    set_gate(i, (Entry *)(exception_entries + 8 * i), 0);
  set_gate(VECTOR_EXIT, exit_entry, 3);
  use_tables(gdt, sizeof gdt, idt, sizeof idt);
}

static PageTable identity_directory;

void paging_on(void) {
  fill_identity(identity_directory);
  kernel_space.pointers[0] = (Word)identity_directory | ALL_RIGHTS;
  kernel_space.top[0] = (Word)kernel_space.pointers | ALL_RIGHTS;
  load_cr3(&kernel_space);
  u64 cr0;
  __asm__ volatile("movq %%cr0, %0\n"
                   "orq $0x10000, %0\n" // WP
                   "movq %0, %%cr0\n"
                   : "=&r"(cr0)::"memory");
}

void make_space(AddressSpace *space, const PageTable table) {
  space->directory[0] = (Word)table | ALL_RIGHTS;
  space->pointers[0] = (Word)identity_directory | ALL_RIGHTS;
  space->pointers[FREE_ADDRESS >> 30] = (Word)space->directory | ALL_RIGHTS;
  space->top[0] = (Word)space->pointers | ALL_RIGHTS;
}
