// Matrix product in double precision.
#include "runtime.h"
#define N 96
static double a[N][N], b[N][N], c[N][N];
u32 bench(void) {
  u32 state = 3;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      a[i][j] = (int)(next_random(&state) % 2001) - 1000;
      b[i][j] = (int)(next_random(&state) % 2001) - 1000;
    }
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < N; i++)
#ifdef COLUMNS
      // Sums that a compiler may have in a vector's elements.
      for (int j = 0; j < N; j += 16) {
        double s[16] = {0};
        for (int k = 0; k < N; k++)
          for (int l = 0; l < 16; l++) s[l] += a[i][k] * b[k][j + l];
        for (int l = 0; l < 16; l++) c[i][j + l] = s[l];
      }
#else
      for (int j = 0; j < N; j++) {
        double s = 0;
        for (int k = 0; k < N; k++) s += a[i][k] * b[k][j];
        c[i][j] = s;
      }
#endif
    // Feed something of the result back; all values stay exact integers.
    for (int i = 0; i < N; i++) a[i][i] = (int)c[i][i] % 1000;
  }
  u32 sum = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) sum = sum * 31 + (u32)(int)c[i][j];
  return sum;
}
