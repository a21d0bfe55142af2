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

#ifndef NATIVE
// Prints on COM1.
void print(const char *text);
// Ends the run.
void stop(void) __attribute__((noreturn));

static inline void outb(u16 port, u8 v) {
  __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static inline u8 inb(u16 port) {
  u8 v;
  __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
  return v;
}
#endif
