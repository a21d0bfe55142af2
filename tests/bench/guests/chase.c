// Pointer chasing through 32 MiB with paging on: loads that miss every TLB.
// uses: system.c
#include "system.h"
const char name[] = "chase";
#define N (1u << 23)
static u32 follow[N];
u32 bench(void) {
#ifndef NATIVE
  system_init();
  paging_on();
#endif
  // A single cycle through all of it: a generator of full period.
  for (u32 i = 0; i < N; i++) follow[i] = (i * 1664525u + 1013904223u) % N;
  u32 at = 0;
  for (u32 i = 0; i < 4000000; i++) at = follow[at];
  return at;
}
