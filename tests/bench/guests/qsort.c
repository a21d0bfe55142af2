// Quicksort with a comparison by function pointer: indirect calls.
#include "runtime.h"
const char name[] = "qsort";
#define N 200000
static u32 array[N];
static int ascending(const u32 *a, const u32 *b) {
  return *a < *b ? -1 : *a > *b;
}
static int by_low_half(const u32 *a, const u32 *b) {
  u32 x = *a & 0xffff, y = *b & 0xffff;
  return x < y ? -1 : x > y ? 1 : ascending(a, b);
}
static int (*volatile compares[2])(const u32 *, const u32 *) = {ascending,
                                                                by_low_half};
static void sort(int lo, int hi, int (*compare)(const u32 *, const u32 *)) {
  while (lo < hi) {
    u32 pivot = array[lo + (hi - lo) / 2];
    int i = lo, j = hi;
    while (i <= j) {
      while (compare(&array[i], &pivot) < 0) i++;
      while (compare(&array[j], &pivot) > 0) j--;
      if (i <= j) {
        u32 t = array[i];
        array[i++] = array[j];
        array[j--] = t;
      }
    }
    if (j - lo < hi - i) {
      sort(lo, j, compare);
      lo = i;
    } else {
      sort(i, hi, compare);
      hi = j;
    }
  }
}
u32 bench(void) {
  u32 state = 99, sum = 0;
  for (int round = 0; round < 6; round++) {
    for (int i = 0; i < N; i++) array[i] = next_random(&state);
    sort(0, N - 1, compares[round & 1]);
    for (int i = 0; i < N; i += 1000) sum = sum * 31 + array[i];
  }
  return sum;
}
