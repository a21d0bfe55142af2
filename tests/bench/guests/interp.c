// A bytecode interpreter: one indirect jump an operation.
#include "runtime.h"
const char name[] = "interp";
enum { PUSH, ADD, XOR, SHL, DUP, SWAP, LOAD, STORE, DEC, JNZ, MUL, HALT };
static const u8 program[] = {
    PUSH, 1,   STORE, 0,                       // acc = 1
    LOAD, 0,   DUP,   PUSH, 5,  SHL, XOR,      // acc ^= acc << 5
    PUSH, 13,  ADD,   DUP,  PUSH, 3, MUL, XOR, // acc = (acc + 13) ^ 3 (acc + 13)
    STORE, 0,  LOAD,  1,    DEC, DUP, STORE, 1, JNZ, 4, LOAD, 0, HALT};
static u32 run(u32 rounds) {
  u32 stack[16], variables[4] = {0, rounds}, *sp = stack;
  const u8 *pc = program;
  for (;;) {
    switch (*pc++) {
    case PUSH: *sp++ = *pc++; break;
    case ADD: sp--; sp[-1] += sp[0]; break;
    case XOR: sp--; sp[-1] ^= sp[0]; break;
    case SHL: sp--; sp[-1] <<= sp[0] & 31; break;
    case DUP: *sp = sp[-1]; sp++; break;
    case SWAP: { u32 t = sp[-1]; sp[-1] = sp[-2]; sp[-2] = t; break; }
    case LOAD: *sp++ = variables[*pc++]; break;
    case STORE: variables[*pc++] = *--sp; break;
    case DEC: sp[-1]--; break;
    case JNZ: pc = *--sp ? program + *pc : pc + 1; break;
    case MUL: sp--; sp[-1] *= sp[0]; break;
    case HALT: return sp[-1];
    }
  }
}
u32 bench(void) { return run(1500000); }
