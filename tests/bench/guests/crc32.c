// CRC-32 (IEEE 802.3) by table: a dependent chain of loads.
#include "runtime.h"
const char name[] = "crc32";
static u32 table[256];
static u8 buffer[65536];
u32 bench(void) {
  for (u32 i = 0; i < 256; i++) {
    u32 c = i;
    for (int b = 0; b < 8; b++) c = c >> 1 ^ (c & 1 ? 0xedb88320u : 0);
    table[i] = c;
  }
  u32 state = 7;
  for (u32 i = 0; i < sizeof buffer; i++) buffer[i] = next_random(&state);
  u32 c = ~0u;
  for (int round = 0; round < 1400; round++)
    for (u32 i = 0; i < sizeof buffer; i++)
      c = c >> 8 ^ table[(c ^ buffer[i]) & 255];
  return ~c;
}
