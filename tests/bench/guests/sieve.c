// Sieve of Eratosthenes over bytes.
#include "runtime.h"
const char name[] = "sieve";
#define N 2000000
static u8 composite[N];
u32 bench(void) {
  u32 count = 0;
  for (int round = 0; round < 36; round++) {
    for (u32 i = 0; i < N; i++) composite[i] = 0;
    for (u32 i = 2; i * i < N; i++)
      if (!composite[i])
        for (u32 j = i * i; j < N; j += i) composite[j] = 1;
    for (u32 i = 2; i < N; i++) count += !composite[i];
  }
  return count;
}
