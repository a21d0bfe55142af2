// Port I/O: registers of the UART and the interrupt controller, written and
// read back, and a port behind which is nothing.
// native: no
#include "runtime.h"
const char name[] = "port_io";
#define UART_SCRATCH 0x3ff
#define UART_LINE_STATUS 0x3fd
#define PIC_MASK 0x21
#define POST 0x80
u32 bench(void) {
  u32 sum = 0;
  for (u32 i = 0; i < 1300000; i++) {
    outb(PIC_MASK, i | 1);
    sum = sum * 31 + inb(PIC_MASK);
    outb(UART_SCRATCH, i * 7);
    sum = sum * 31 + inb(UART_SCRATCH);
    sum += inb(UART_LINE_STATUS) & 1;
    outb(POST, i);
  }
  outb(PIC_MASK, 0xff);
  return sum;
}
