// Self-modifying code: an operand patched in place, whole functions written
// anew, and data that lies in a page with code.
#include "runtime.h"
const char name[] = "smc";
typedef u32 Function(u32);
// Room for code that may be written.
__asm__(".section .smc, \"awx\", @progbits\n"
        ".balign 4096\n"
        ".globl smc_page\n"
        "smc_page: .skip 8192\n"
        ".text\n");
extern u8 smc_page[8192];

// Where the first operand lies in a function.
#ifdef __x86_64__
#define OPERAND 3
#else
#define OPERAND 5
#endif

static void put32(u8 *at, u32 v) { *(volatile u32 *)at = v; }

// Writes a function that starts at a multiple of 32 bytes.
static Function *generate(u8 *at, u32 kind, u32 operand) {
  static const u8 opcodes[4] = {0x05, 0x35, 0x2d, 0x0d}; // ADD XOR SUB OR EAX
  volatile u8 *p = at;
#ifdef __x86_64__
  *p++ = 0x89; // mov eax, edi
  *p++ = 0xf8;
#else
  *p++ = 0x8b; // mov eax, [esp + 4]
  *p++ = 0x44;
  *p++ = 0x24;
  *p++ = 0x04;
#endif
  *p++ = opcodes[kind & 3];
  put32((u8 *)p, operand);
  p += 4;
  *p++ = 0x69; // imul eax, eax, 69069
  *p++ = 0xc0;
  put32((u8 *)p, 69069);
  p += 4;
  *p++ = 0xc3; // ret
  return (Function *)at;
}

u32 bench(void) {
  u32 sum = 1, state = 3;
  // An operand patched, then a few calls.
  Function *f = generate(smc_page, 0, 1);
  for (u32 i = 0; i < 20000; i++) {
    put32(smc_page + OPERAND, next_random(&state));
    for (u32 j = 0; j < 10; j++) sum = f(sum);
  }
  // A small code cache that is overwritten round robin.
  for (u32 i = 0; i < 20000; i++) {
    u8 *at = smc_page + 1024 + i % 64 * 32;
    f = generate(at, next_random(&state), state);
    for (u32 j = 0; j < 3; j++) sum = f(sum + j);
  }
  // Counters beside code, in its page.
  f = generate(smc_page + 4096, 1, 12345);
  volatile u32 *data = (volatile u32 *)(smc_page + 4096 + 256);
  for (u32 i = 0; i < 200000; i++) {
    sum = f(sum);
    data[i & 63] += sum;
  }
  return sum ^ data[5];
}
