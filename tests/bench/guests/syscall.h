// What both ways into the kernel share: a table of calls and who asks for them.
#include "system.h"

#define CALLS 4
static u32 counter, mailbox[16];

static u32 call_identity(u32 a, u32 b) { return 42 + a - b; }
static u32 call_count(u32 a, u32 b) { return counter += a ^ b; }
static u32 call_store(u32 a, u32 b) { return mailbox[a & 15] = b; }
static u32 call_load(u32 a, u32 b) { return mailbox[a & 15] + b; }

__attribute__((used)) u32 (*const call_table[CALLS])(u32, u32) = {
    call_identity, call_count, call_store, call_load};

// A system call of ring 3: EAX which one, EBX and ECX (EDI and ESI in 64-bit
// mode) its arguments.
static inline u32 system_call(u32 number, u32 a, u32 b);

static u32 user(void) {
  u32 sum = 1;
  for (u32 i = 0; i < ROUNDS; i++)
    sum = sum * 31 + system_call(i % CALLS, sum, i);
  return sum;
}
