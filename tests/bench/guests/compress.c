// A compressor: LZ77 with hash chains and lazy matches, then unpacked again.
#include "runtime.h"
const char name[] = "compress";
#define N (160 * 1024)
#define WINDOW 32768
#define HASH_BITS 13
#define MIN_MATCH 4
#define MAX_MATCH 258
#define CHAIN 12
static u8 input[N], packed[N + N / 8 + 64], output[N];
static u32 head[1 << HASH_BITS], previous[WINDOW];

// Text of words that repeat, as in a log.
static void fill(u32 seed) {
  u32 state = seed;
  for (u32 at = 0; at < N;) {
    u32 r = next_random(&state), length = 3 + r % 9;
    u32 word = (r >> 8) & (r >> 16) & 511;
    for (u32 i = 0; i < length && at < N; i++)
      input[at++] = 'a' + (word * (i + 3) + (word >> i)) % 26;
    if (at < N) input[at++] = r % 13 ? ' ' : '\n';
  }
}
static u32 read32(const u8 *p) {
  return p[0] | p[1] << 8 | p[2] << 16 | (u32)p[3] << 24;
}
static u32 slot(u32 at) {
  return read32(input + at) * 2654435761u >> (32 - HASH_BITS);
}
static void insert(u32 at) {
  if (at + MIN_MATCH > N) return;
  u32 h = slot(at);
  previous[at % WINDOW] = head[h];
  head[h] = at + 1;
}
static u32 longest(u32 at, u32 *distance) {
  u32 best = 0, limit = N - at < MAX_MATCH ? N - at : MAX_MATCH;
  if (limit < MIN_MATCH) return 0;
  u32 candidate = head[slot(at)];
  for (u32 i = 0; i < CHAIN && candidate && at - (candidate - 1) < WINDOW; i++) {
    const u8 *a = input + at, *b = input + candidate - 1;
    if (b[best] == a[best]) {
      u32 n = 0;
      while (n < limit && a[n] == b[n]) n++;
      if (n > best) {
        best = n, *distance = at - (candidate - 1);
        if (n == limit) break;
      }
    }
    candidate = previous[(candidate - 1) % WINDOW];
  }
  return best < MIN_MATCH ? 0 : best;
}
// Eight items behind a byte that says which of them are matches.
static u32 pack(void) {
  for (u32 i = 0; i < 1 << HASH_BITS; i++) head[i] = 0;
  u32 at = 0, out = 0, flags = 0, items = 8;
  while (at < N) {
    if (items == 8) flags = out++, packed[flags] = 0, items = 0;
    u32 distance = 0, next_distance = 0;
    u32 length = longest(at, &distance);
    insert(at);
    if (length && at + 1 < N && longest(at + 1, &next_distance) > length)
      length = 0; // the next is better
    if (length) {
      packed[flags] |= 1 << items;
      packed[out++] = distance;
      packed[out++] = distance >> 8;
      packed[out++] = length - MIN_MATCH;
      for (u32 i = 1; i < length; i++) insert(at + i);
      at += length;
    } else packed[out++] = input[at++];
    items++;
  }
  return out;
}
static u32 unpack(u32 length) {
  u32 at = 0, in = 0;
  while (in < length) {
    u32 flags = packed[in++];
    for (u32 i = 0; i < 8 && in < length; i++, flags >>= 1)
      if (flags & 1) {
        u32 distance = packed[in] | packed[in + 1] << 8;
        u32 n = packed[in + 2] + MIN_MATCH;
        in += 3;
        for (; n--; at++) output[at] = output[at - distance];
      } else output[at++] = packed[in++];
  }
  return at;
}
u32 bench(void) {
  u32 sum = 0;
  for (u32 round = 0; round < 45; round++) {
    fill(round + 1);
    u32 length = pack();
    if (unpack(length) != N) return 0;
    for (u32 i = 0; i < N; i++)
      if (input[i] != output[i]) return i;
    sum = sum * 31 + length;
    for (u32 i = 0; i < length; i++) sum = sum * 33 ^ packed[i];
  }
  return sum;
}
