// REP STOS, long: blocks of 4 KiB to 256 KiB by doublewords and by bytes.
#include "runtime.h"
const char name[] = "rep_stos";
#define N (256 * 1024)
static u8 buffer[N];
static void stosb(void *d, u32 v, u32 n) {
  __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(v) : "memory");
}
static void stosd(void *d, u32 v, u32 n) {
  __asm__ volatile("rep stosl" : "+D"(d), "+c"(n) : "a"(v) : "memory");
}
u32 bench(void) {
  u32 state = 11, sum = 0;
  for (u32 round = 0; round < 2000; round++) {
    stosd(buffer, next_random(&state), N / 4);
    for (u32 page = 0; page < 32; page++)
      stosd(buffer + page * 4096, next_random(&state), 1024);
    stosb(buffer + round, next_random(&state), 65536 - round);
    sum = sum * 31 + buffer[next_random(&state) % N];
  }
  for (u32 i = 0; i < N; i += 61) sum = sum * 31 + buffer[i];
  return sum;
}
