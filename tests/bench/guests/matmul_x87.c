// flags: -mfpmath=387 -mno-sse
#define ROUNDS 12
#include "matmul.h"
const char name[] = "matmul_x87";
