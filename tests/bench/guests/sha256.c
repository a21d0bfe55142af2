// SHA-256 (FIPS 180-4): rotates, adds and table reads.
#include "runtime.h"
const char name[] = "sha256";
static u32 k[64], h[8];
static u8 buffer[65536];
#define ROR(x, n) ((x) >> (n) | (x) << (32 - (n)))

// The constants are the fractional parts of roots of primes; found here by
// integer bisection so that no table needs to be copied.
static u32 root(u32 prime, int cube) {
  // The root in 2.32 .. 5.32 fixed point, bit by bit.
  u64 r = 0;
  for (int bit = 35 + 2; bit >= 0; bit--) {
    u64 t = r | 1ull << bit;
    // Compare t^2 with prime << 64, or t^3 with prime << 96.
    u32 w[4] = {(u32)t, (u32)(t >> 32), 0, 0};
    u32 p[8] = {1};
    int n = 1;
    for (int e = 0; e < (cube ? 3 : 2); e++) {
      u32 q[8] = {0};
      for (int i = 0; i < n; i++) {
        u64 carry = 0;
        for (int j = 0; j < 2; j++) {
          u64 v = (u64)p[i] * w[j] + q[i + j] + carry;
          q[i + j] = (u32)v;
          carry = v >> 32;
        }
        q[i + 2] += (u32)carry;
      }
      n += 2;
      if (n > 6) n = 6;
      for (int i = 0; i < 8; i++) p[i] = q[i];
    }
    int top = cube ? 3 : 2;
    u32 high = p[top], above = 0;
    for (int i = top + 1; i < 8; i++) above |= p[i];
    if (!above && high < prime) r = t;
  }
  return (u32)r;
}

static void block(const u8 *p) {
  u32 w[64];
  for (int i = 0; i < 16; i++)
    w[i] = (u32)p[4 * i] << 24 | p[4 * i + 1] << 16 | p[4 * i + 2] << 8 | p[4 * i + 3];
  for (int i = 16; i < 64; i++) {
    u32 a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + w[i - 7] + (ROR(a, 7) ^ ROR(a, 18) ^ a >> 3) +
           (ROR(b, 17) ^ ROR(b, 19) ^ b >> 10);
  }
  u32 s[8];
  for (int i = 0; i < 8; i++) s[i] = h[i];
  for (int i = 0; i < 64; i++) {
    u32 e = s[4], a = s[0];
    u32 t1 = s[7] + (ROR(e, 6) ^ ROR(e, 11) ^ ROR(e, 25)) +
             ((e & s[5]) ^ (~e & s[6])) + k[i] + w[i];
    u32 t2 = (ROR(a, 2) ^ ROR(a, 13) ^ ROR(a, 22)) +
             ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
    s[7] = s[6], s[6] = s[5], s[5] = e, s[4] = s[3] + t1;
    s[3] = s[2], s[2] = s[1], s[1] = a, s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) h[i] += s[i];
}

u32 bench(void) {
  int n = 0;
  for (u32 p = 2; n < 64; p++) {
    int prime = 1;
    for (u32 d = 2; d * d <= p; d++) prime &= p % d != 0;
    if (!prime) continue;
    k[n] = root(p, 1);
    if (n < 8) h[n] = root(p, 0);
    n++;
  }
  u32 state = 1;
  for (u32 i = 0; i < sizeof buffer; i++) buffer[i] = next_random(&state);
  for (int round = 0; round < 400; round++)
    for (u32 i = 0; i < sizeof buffer; i += 64) block(buffer + i);
  return h[0];
}
