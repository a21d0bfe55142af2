// Pointer chasing through 8 MiB: loads that miss the small TLBs.
#include "runtime.h"
const char name[] = "chase";
#define N (1 << 21)
static u32 follow[N];
u32 bench(void) {
  // A single cycle (Sattolo).
  u32 state = 12345;
  for (u32 i = 0; i < N; i++) follow[i] = i;
  for (u32 i = N - 1; i > 0; i--) {
    u32 j = next_random(&state) % i, t = follow[i];
    follow[i] = follow[j];
    follow[j] = t;
  }
  u32 at = 0;
  for (u32 i = 0; i < 6000000; i++) at = follow[at];
  return at;
}
