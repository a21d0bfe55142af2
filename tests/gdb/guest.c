// A multiboot kernel for gdb: 32-bit, or in 64-bit mode from its own entry on.
// Interrupts stay off, all registers have values of its own, and where it goes
// is said by variables that gdb sets.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long word;

#ifdef __x86_64__
#define SUFFIX "q"
#define ENTRY_WORDS 4
#else
#define SUFFIX "l"
#define ENTRY_WORDS 2
#endif

__asm__(".section .multiboot, \"a\"\n"
        ".balign 4\n"
        ".long 0x1badb002, 0, -0x1badb002\n"
        ".text\n"
        ".globl _start\n"
        ".code32\n"
        "_start:\n"
        "  cli\n"
        "  cld\n"
        "  movl $stack_top, %esp\n"
        "  lgdt table_register\n"
        "  ljmp $0x08, $1f\n"
        "1: movl $0x10, %eax\n"
        "  movl %eax, %ds\n"
        "  movl %eax, %es\n"
        "  movl %eax, %fs\n"
        "  movl %eax, %gs\n"
        "  movl %eax, %ss\n"
        "  movl %cr4, %eax\n"
        "  orl $0x600, %eax\n" // OSFXSR, OSXMMEXCPT
        "  movl %eax, %cr4\n"
        "  fninit\n"
#ifdef __x86_64__
        "  call enter_long\n"
        "  ljmp $0x18, $2f\n"
        ".code64\n"
        "2: movl $stack_top, %esp\n"
#endif
        "  xorl %eax, %eax\n"
        "  xorl %ebx, %ebx\n"
        "  xorl %ecx, %ecx\n"
        "  xorl %edx, %edx\n"
        "  xorl %esi, %esi\n"
        "  xorl %edi, %edi\n"
        "  xorl %ebp, %ebp\n"
        "  push" SUFFIX " $0\n"
        "  popf" SUFFIX "\n"
        "  call kernel_main\n"
        "3: cli\n"
        "  hlt\n"
        "  jmp 3b\n"
#ifdef __x86_64__
        // 4 GiB at their own addresses in pages of 2 MiB; then IA-32e mode.
        ".code32\n"
        "enter_long:\n"
        "  movl $tables, %edi\n"
        "  movl $tables + 0x1007, (%edi)\n"
        "  leal 0x2007(%edi), %eax\n"
        "  xorl %ecx, %ecx\n"
        "4: movl %eax, 0x1000(%edi,%ecx,8)\n"
        "  addl $0x1000, %eax\n"
        "  incl %ecx\n"
        "  cmpl $4, %ecx\n"
        "  jb 4b\n"
        "  movl $0x87, %eax\n"
        "  xorl %ecx, %ecx\n"
        "5: movl %eax, 0x2000(%edi,%ecx,8)\n"
        "  addl $0x200000, %eax\n"
        "  incl %ecx\n"
        "  cmpl $2048, %ecx\n"
        "  jb 5b\n"
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
        "  ret\n"
        ".code64\n"
#endif
        // The second CPU's start, copied to 8000h.
        ".code16\n"
        ".globl trampoline, trampoline_end\n"
        "trampoline:\n"
        "  cli\n"
        "  xorw %ax, %ax\n"
        "  movw %ax, %ds\n"
        "  lgdtl 0x8000 + low_register - trampoline\n"
        "  movl %cr0, %eax\n"
        "  orl $1, %eax\n"
        "  movl %eax, %cr0\n"
        "  ljmpl $0x08, $other\n"
        "low_register: .word 31\n"
        "  .long table\n"
        "trampoline_end:\n"
        ".code32\n"
        "other:\n"
        "  movl $0x10, %eax\n"
        "  movl %eax, %ds\n"
        "  movl %eax, %es\n"
        "  movl %eax, %ss\n"
        "  movl $other_stack_top, %esp\n"
#ifdef __x86_64__
        "  call enter_long\n"
        "  ljmp $0x18, $6f\n"
        ".code64\n"
        "6:\n"
#endif
        "  call other_main\n"
        "7: jmp 7b\n"
        // An instruction that is none is gone over.
        ".globl on_invalid_opcode\n"
        "on_invalid_opcode:\n"
        "  add" SUFFIX " $2, (%" 
#ifdef __x86_64__
        "rsp)\n"
#else
        "esp)\n"
#endif
        "  incl handled\n"
        "  iret" SUFFIX "\n"
        ".data\n"
        ".balign 8\n"
        "table: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, "
        "0x00af9b000000ffff\n"
        "table_register: .word 31\n"
        "  .long table\n"
        ".bss\n"
        ".balign 4096\n"
        "tables: .skip 0x6000\n"
        "  .skip 0x4000\n"
        "stack_top:\n"
        "  .skip 0x4000\n"
        "other_stack_top:\n"
        ".text\n");

/** What gdb sets. */
volatile int start_other, leave, die;
/** What it watches. */
volatile int counter, source = 5, handled, other_count, spins;
volatile double half = 0.5;
volatile char text[16] = "rhea";

static u32 idt[256][ENTRY_WORDS];

static void outb(u16 port, u8 value) {
  __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void set_gate(int vector, void (*handler)(void)) {
  word at = (word)handler;
#ifdef __x86_64__
  idt[vector][0] = 0x18 << 16 | (at & 0xffff);
  idt[vector][2] = at >> 32;
#else
  idt[vector][0] = 0x08 << 16 | (at & 0xffff);
#endif
  idt[vector][1] = (at & 0xffff0000) | 0x8e00;
}

void on_invalid_opcode(void);

static void load_idt(void) {
  struct __attribute__((packed)) {
    u16 limit;
    word base;
  } where = {sizeof idt - 1, (word)idt};
  set_gate(6, on_invalid_opcode);
  __asm__ volatile("lidt %0" : : "m"(where));
}

__attribute__((noinline)) int square(int n) {
  int result = n * n;
  return result;
}

__attribute__((noinline)) void count(void) {
  for (int i = 1; i <= 10; i++) counter += square(i);
}

__attribute__((noinline)) int use_source(int n) { return source + n; }

__attribute__((noinline)) void fault(void) {
  __asm__ volatile(".globl trap_here, trap_after\n"
                   "trap_here: ud2\n"
                   "trap_after: nop");
}

__attribute__((noinline)) double floats(double x) {
  __asm__ volatile("fldpi\n fld1\n");
  double y = x * 3 + half;
  __asm__ volatile(".globl floats_here\n floats_here: fstp %st(0)\n fstp %st(0)");
  return y;
}

void other_main(void) {
  for (;;) {
    other_count++;
    __asm__ volatile("pause");
  }
}

extern u8 trampoline[], trampoline_end[];

static void start_cpu(void) {
  volatile u32 *apic = (u32 *)0xfee00000;
  volatile u8 *low = (u8 *)0x8000;
  for (u8 *p = trampoline; p < trampoline_end; p++) *low++ = *p;
  apic[0xf0 / 4] |= 0x100;
  apic[0x310 / 4] = 1 << 24;
  apic[0x300 / 4] = 0x4500; // INIT
  for (volatile int i = 0; i < 100000; i++) {
  }
  apic[0x310 / 4] = 1 << 24;
  apic[0x300 / 4] = 0x4608; // start at 8000h
  while (other_count < 3) __asm__ volatile("pause");
}

__attribute__((noinline)) void spin(void) {
  while (!leave && !die) {
    spins++;
    if (start_other) {
      start_other = 0;
      start_cpu();
    }
    __asm__ volatile("pause");
  }
}

void kernel_main(void) {
  load_idt();
  counter = 1;
  fault();
  count();
  counter = use_source(2);
  source = counter + use_source(3);
  floats(1.5);
  spin();
  if (die) {
    u32 none[2] = {0, 0};
    __asm__ volatile("lidt %0\n ud2" : : "m"(none));
  }
  outb(0xf4, 20);
  for (;;) __asm__ volatile("cli\n hlt");
}
