// REP MOVS, long: blocks of 4 KiB to 256 KiB by doublewords and by bytes.
#include "runtime.h"
const char name[] = "rep_movs";
#define N (256 * 1024)
static u8 from[N + 16], to[N + 16];
static void movsb(void *d, const void *s, u32 n) {
  __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
}
static void movsd(void *d, const void *s, u32 n) {
  __asm__ volatile("rep movsl" : "+D"(d), "+S"(s), "+c"(n)::"memory");
}
u32 bench(void) {
  u32 state = 5, sum = 0;
  for (u32 i = 0; i < N; i++) from[i] = next_random(&state);
  for (u32 round = 0; round < 1300; round++) {
    movsd(to, from, N / 4);
    // Back, shifted by a byte: the contents change with each round.
    movsd(from + 1, to, N / 4);
    for (u32 i = 0; i < 8; i++) movsd(to + i * 8192, from + i * 4096, 1024);
    movsb(from + 3 * 4096, to + round, 65536 + round);
    sum = sum * 31 + to[next_random(&state) % N];
  }
  for (u32 i = 0; i < N; i += 61) sum = sum * 31 + from[i] + to[i];
  return sum;
}
