// Long arithmetic: a factorial by 32 x 32 -> 64 multiplication, then its
// decimal digits by 64 / 32 division.
#include "runtime.h"
const char name[] = "bignum";
#define WORDS 8200
static u32 number[WORDS];
u32 bench(void) {
  u32 n = 1, sum = 0;
  number[0] = 1;
  for (u32 f = 2; f <= 20000; f++) {
    u32 carry = 0;
    for (u32 i = 0; i < n; i++) {
      u64 v = (u64)number[i] * f + carry;
      number[i] = (u32)v;
      carry = (u32)(v >> 32);
    }
    if (carry) number[n++] = carry;
  }
  while (n > 0) {
    u32 rest = 0;
    for (u32 i = n; i-- > 0;) {
      u32 q;
      __asm__("divl %4" : "=a"(q), "=d"(rest) : "0"(number[i]), "1"(rest), "r"(1000000000u) : "cc");
      number[i] = q;
    }
    sum = sum * 31 + rest;
    while (n > 0 && number[n - 1] == 0) n--;
  }
  return sum;
}
