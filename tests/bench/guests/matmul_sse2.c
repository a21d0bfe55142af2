// flags: -msse2 -mfpmath=sse -O3
#define ROUNDS 30
#include "matmul.h"
const char name[] = "matmul_sse2";
