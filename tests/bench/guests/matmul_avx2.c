// Matrix product in double precision, four columns at a time.
// flags: -mavx2 -mfma -O3
#define ROUNDS 40
#define COLUMNS
#include "matmul.h"
const char name[] = "matmul_avx2";
