// Work under timer interrupts: the PIT ticks 4000 times a second. The ticks
// are counted, but what is measured is the work.
// uses: system.c
// native: no
#include "system.h"
const char name[] = "timer";
#define PIT_HZ 1193182
#define TICK_HZ 4000
#define VECTOR_TICK 0x20
volatile u32 ticks;

Entry tick_entry;
__asm__(".text\n"
        "tick_entry:\n"
#ifdef __x86_64__
        "  pushq %rax\n"
#else
        "  pushal\n"
#endif
        "  incl ticks\n"
        "  movb $0x20, %al\n" // end of interrupt
        "  outb %al, $0x20\n"
#ifdef __x86_64__
        "  popq %rax\n"
        "  iretq\n"
#else
        "  popal\n"
        "  iret\n"
#endif
);

static void interrupts_on(void) {
  static const u8 init[][2] = {
      // Both controllers: edges, vectors, cascade, 8086 mode, masks.
      {0x20, 0x11}, {0x21, VECTOR_TICK}, {0x21, 4}, {0x21, 1}, {0x21, 0xfe},
      {0xa0, 0x11}, {0xa1, 0x28},        {0xa1, 2}, {0xa1, 1}, {0xa1, 0xff},
      // Channel 0, low and high byte, rate generator.
      {0x43, 0x34}, {0x40, PIT_HZ / TICK_HZ & 255}, {0x40, PIT_HZ / TICK_HZ >> 8}};
  for (u32 i = 0; i < sizeof init / 2; i++) outb(init[i][0], init[i][1]);
  __asm__ volatile("sti");
}

u32 bench(void) {
  system_init();
  set_gate(VECTOR_TICK, tick_entry, 0);
  interrupts_on();
  // Steps of the Collatz sequences, and a table that they hash to.
  static u32 table[4096];
  u32 sum = 0;
  for (u32 n = 1; n < 5000000; n++) {
    u32 steps = 0;
    for (u32 x = n; x >= n && x != 1; steps++) x = x & 1 ? 3 * x + 1 : x >> 1;
    table[(n * 2654435761u) >> 20] += steps;
    for (u32 k = 0; k < 8; k++) sum = (sum << 5 | sum >> 27) + table[(sum + k) & 4095];
  }
  __asm__ volatile("cli");
  if (ticks < 20) fail("the timer did not tick");
  return sum;
}
