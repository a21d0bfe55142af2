// Calls and returns: naive Fibonacci numbers.
#include "runtime.h"
const char name[] = "fib";
__attribute__((noinline, optimize("no-optimize-sibling-calls"))) static u32
fib(u32 n) {
  return n < 2 ? n : fib(n - 1) + fib(n - 2);
}
u32 bench(void) {
  u32 sum = 0;
  for (u32 i = 0; i < 5; i++) sum += fib(30 + i);
  return sum;
}
