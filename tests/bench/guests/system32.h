// Protected mode's part of system.c.

// The task state: only the stack of ring 0 is used.
static u32 task[26];
static u64 gdt[6];
static u64 idt[256];

__asm__(".text\n"
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

void set_gate(u8 vector, Entry *entry, u32 privilege) {
  u32 at = (u32)entry;
  u32 high = (at & 0xffff0000u) | 0x8e00 | privilege << 13;
  idt[vector] = (u64)high << 32 | KERNEL_CODE << 16 | (at & 0xffff);
}

void set_kernel_stack(Word top) { task[1] = top; }

void system_init(void) {
  u32 base = (u32)task;
  task[2] = KERNEL_DATA;
  task[25] = sizeof task << 16; // no I/O permission map
  gdt[1] = flat(0x9b, 4);
  gdt[2] = flat(0x93, 4);
  gdt[3] = flat(0xfb, 4);
  gdt[4] = flat(0xf3, 4);
  gdt[5] = (sizeof task - 1) | (u64)(base & 0xffffff) << 16 | 0x89ull << 40 |
           (u64)(base >> 24) << 56;
  for (u32 i = 0; i < 32; i++)
    set_gate(i, (Entry *)(exception_entries + 8 * i), 0);
  set_gate(VECTOR_EXIT, exit_entry, 3);
  use_tables(gdt, sizeof gdt, idt, sizeof idt);
}

void paging_on(void) {
  fill_identity(kernel_space.top);
  load_cr3(&kernel_space);
  u32 cr0;
  __asm__ volatile("movl %%cr0, %0\n"
                   "orl $0x80010000, %0\n" // PG, WP
                   "movl %0, %%cr0\n"
                   : "=&r"(cr0)::"memory");
}

void make_space(AddressSpace *space, const PageTable table) {
  for (u32 i = 0; i < PAGE_ENTRIES; i++) space->top[i] = kernel_space.top[i];
  space->top[FREE_ADDRESS >> 22] = (Word)table | ALL_RIGHTS;
}
