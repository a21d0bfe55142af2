// Nothing: what is measured is the time until its first line.
// native: no
#include "runtime.h"
const char name[] = "start";
u32 bench(void) { return 0; }
