// Many short string instructions, as inline strcpy, strlen, memcmp and memset.
#include "runtime.h"
const char name[] = "rep_short";
#define N 65536
static u8 text[N + 64], copy[N + 64];
u32 bench(void) {
  u32 state = 17, sum = 0;
  for (u32 i = 0; i < N + 63; i++) {
    u32 r = next_random(&state);
    text[i] = r % 12 == 0 ? 0 : 'a' + r % 23;
  }
  text[N + 63] = 0;
  for (u32 round = 0; round < 6000000; round++) {
    u32 at = next_random(&state) % N;
    // Its length, by REPNE SCASB.
    const u8 *s = text + at;
    u32 n = ~0u;
    __asm__ volatile("repne scasb" : "+D"(s), "+c"(n) : "a"(0) : "memory");
    n = ~n;
    // Copied to another place, doublewords and then bytes.
    const void *from = text + at;
    void *to = copy + (at ^ 0x5a5);
    u32 words = n >> 2, rest = n & 3;
    __asm__ volatile("rep movsl\n movl %3, %%ecx\n rep movsb"
                     : "+D"(to), "+S"(from), "+c"(words)
                     : "r"(rest)
                     : "memory");
    // Compared with what is elsewhere.
    const u8 *a = text + at, *b = copy + (at ^ 0x5a0);
    u32 left = n;
    u8 equal;
    __asm__ volatile("cmpl %%ecx, %%ecx\n repe cmpsb\n sete %3"
                     : "+D"(a), "+S"(b), "+c"(left), "=&a"(equal)::"memory");
    sum = sum * 31 + n + left + equal;
    // And a few bytes are filled.
    void *fill = copy + (next_random(&state) % N);
    u32 few = round & 7;
    __asm__ volatile("rep stosb" : "+D"(fill), "+c"(few) : "a"(round) : "memory");
  }
  for (u32 i = 0; i < N; i += 7) sum = sum * 31 + copy[i];
  return sum;
}
