// What a benchmark needs: it defines `name` and `bench`, which returns a
// checksum. The runtime prints `BEGIN name` and `END name checksum` on COM1,
// so that the time is taken from outside.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

extern const char name[];
u32 bench(void);

// xorshift32: the same data everywhere.
static inline u32 next_random(u32 *state) {
  u32 x = *state;
  x ^= x << 13;
  x ^= x >> 17;
  x ^= x << 5;
  return *state = x;
}
