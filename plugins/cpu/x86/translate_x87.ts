/**
 * x87 instructions: operands in IR, everything else in helpers (x87_helpers.ts).
 * The dispatcher has tested CR0 before; a pending exception is tested here.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import type { Insn } from "./decode.ts";
import { AC } from "./operands.ts";
import {
  CS,
  FCS,
  FCW,
  FDP,
  FDP64,
  FDS,
  FIP,
  FIP64,
  FOP,
  FSW,
  FTAG,
  FTOP,
  KEY_ALIGN,
  KEY_NE,
  KEY_PROTECTED,
  SELECTOR,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import { checkPendingX87 } from "./translate_simd.ts";
import {
  ABS,
  CHS,
  COS,
  F2XM1,
  type Format,
  FORMAT_BCD,
  FORMAT_F32,
  FORMAT_F64,
  FORMAT_F80,
  FORMAT_I16,
  FORMAT_I32,
  FORMAT_I64,
  PATAN,
  POP,
  PREM,
  PREM1,
  PTAN,
  RNDINT,
  SCALE,
  SIN,
  SINCOS,
  SQRT,
  STORE_POP,
  STORE_TRUNCATE,
  TO_OPERAND,
  XTRACT,
  YL2X,
  YL2XP1,
} from "./x87.ts";
import { IMAGE_32, IMAGE_PROTECTED } from "./x87_images.ts";
import {
  H_CLEAR,
  H_COMPARE,
  H_COMPARE_FLAGS,
  H_COMPUTE,
  H_CONSTANT,
  H_EXAMINE,
  H_EXCHANGE,
  H_F32,
  H_F64,
  H_FXRSTOR,
  H_FXSAVE,
  H_INITIALIZE,
  H_INTEGER,
  H_LDMXCSR,
  H_LOAD_BCD,
  H_LOAD_ENV,
  H_LOAD_F32,
  H_LOAD_F64,
  H_LOAD_F80,
  H_LOAD_I32,
  H_LOAD_I64,
  H_LOAD_REGISTER,
  H_MOVE_IF,
  H_MOVE_REGISTER,
  H_REGISTERS,
  H_RESTORE,
  H_SAVE,
  H_SET_CONTROL,
  H_STORE,
  H_STORE_ENV,
  H_STORE_LONG,
  H_STORE_REGISTER,
  H_TEST,
  POINTERS,
} from "./x87_helpers.ts";

// What instructions share.

/** Notes the instruction in the unit's pointers. Call when it can no longer fault. */
function note(t: Translator, i: Insn): void {
  const b = t.b;
  const modrm = (i.mod << 6) | ((i.reg & 7) << 3) | (i.rm & 7);
  b.set(FOP, b.i32(((i.opcode & 7) << 8) | modrm));
  if (t.long) b.set(FIP64, t.pc(t.eip));
  else b.set(FIP, t.pc(t.eip));
  b.set(FCS, b.get(SELECTOR[CS]));
  if (i.mod !== 3) {
    if (t.long) b.set(FDP64, t.offset(i));
    else b.set(FDP, t.offset(i));
    b.set(FDS, b.get(SELECTOR[i.segment]));
  }
}

/** The halves of an i64. */
function halves(t: Translator, v: Value): [Value, Value] {
  const b = t.b;
  return [
    b.op(Op["i32.wrap_i64"], v),
    b.op(Op["i32.wrap_i64"], b.op(Op["i64.shr_u"], v, b.i64(32, 0))),
  ];
}

/** The address of 80 bits of memory; their alignment is 8. */
function address80(t: Translator, i: Insn, write: boolean): Value {
  const address = t.ea(i, 10, write);
  if ((t.key & KEY_ALIGN) !== 0) {
    t.trap(t.misaligned(address, 8), AC, 0);
  }
  return address;
}

/** 80 bits of memory as three words. */
function load80(t: Translator, i: Insn): [Value, Value, Value] {
  const address = address80(t, i, false);
  const low = t.b.load(Op["ld64"], address, 0, t.mmu);
  const high = t.b.load(Op["ld16u"], address, 8, t.mmu);
  return [...halves(t, low), high];
}

/** The form of environment images here. */
function imageForm(t: Translator, i: Insn): number {
  return (i.opSize >= 4 ? IMAGE_32 : 0) |
    ((t.key & KEY_PROTECTED) !== 0 ? IMAGE_PROTECTED : 0);
}

// Arithmetic: the operation is ModRM's reg field in every form.

const arithmetic: Translate = (t, i) => {
  const b = t.b;
  const op = b.i32(i.reg);
  if (i.mod === 3) {
    const how = (i.opcode & 4) === 0
      ? 0
      : TO_OPERAND | (i.opcode === 0xde ? POP : 0);
    note(t, i);
    b.call(H_REGISTERS, op, b.i32(i.rm), b.i32(how));
    return;
  }
  switch (i.opcode) {
    case 0xd8: {
      const v = t.load(Op["ld32"], i);
      note(t, i);
      b.call(H_F32, op, v);
      return;
    }
    case 0xdc: {
      const [lo, hi] = halves(t, t.load(Op["ld64"], i));
      note(t, i);
      b.call(H_F64, op, lo, hi);
      return;
    }
    default: {
      const v = t.load(i.opcode === 0xda ? Op["ld32"] : Op["ld16s"], i);
      note(t, i);
      b.call(H_INTEGER, op, v);
    }
  }
};

/** FCOM and FCOMP in all encodings; FUCOM and FUCOMP. */
function compare(pops: number, quiet: boolean): Translate {
  return (t, i) => {
    if (i.mod !== 3) return arithmetic(t, i);
    const b = t.b;
    note(t, i);
    b.call(H_COMPARE, b.i32(i.rm), b.i32(pops), b.i32(quiet ? 1 : 0));
  };
}

function compareFlags(pop: boolean, quiet: boolean): Translate {
  return (t, i) => {
    const b = t.b;
    note(t, i);
    t.setArithFlags(
      b.call(
        H_COMPARE_FLAGS,
        b.i32(i.rm),
        b.i32(pop ? 1 : 0),
        b.i32(quiet ? 1 : 0),
      ),
    );
  };
}

/** FCMOVcc: `cc` as in Jcc. */
function moveIf(cc: number): Translate {
  return (t, i) => {
    const condition = t.condition(cc);
    note(t, i);
    t.b.call(H_MOVE_IF, t.b.i32(i.rm), condition);
  };
}

// Loads and stores.

const fld: Translate = (t, i) => {
  const b = t.b;
  if (i.mod === 3) {
    note(t, i);
    b.call(H_LOAD_REGISTER, b.i32(i.rm));
  } else if (i.opcode === 0xd9) {
    const v = t.load(Op["ld32"], i);
    note(t, i);
    b.call(H_LOAD_F32, v);
  } else if (i.opcode === 0xdd) {
    const [lo, hi] = halves(t, t.load(Op["ld64"], i));
    note(t, i);
    b.call(H_LOAD_F64, lo, hi);
  } else {
    const [lo, hi, top] = load80(t, i);
    note(t, i);
    b.call(H_LOAD_F80, lo, hi, top);
  }
};

const fild: Translate = (t, i) => {
  const b = t.b;
  if (i.opcode === 0xdf && i.reg === 5) {
    const [lo, hi] = halves(t, t.load(Op["ld64"], i));
    note(t, i);
    b.call(H_LOAD_I64, lo, hi);
  } else {
    const v = t.load(i.opcode === 0xdb ? Op["ld32"] : Op["ld16s"], i);
    note(t, i);
    b.call(H_LOAD_I32, v);
  }
};

const fbld: Translate = (t, i) => {
  const [lo, hi, top] = load80(t, i);
  note(t, i);
  t.b.call(H_LOAD_BCD, lo, hi, top);
};

function storeMemory(
  t: Translator,
  i: Insn,
  format: Format,
  how: number,
): void {
  const b = t.b;
  const size = format === FORMAT_I16
    ? 2
    : format === FORMAT_F32 || format === FORMAT_I32
    ? 4
    : format === FORMAT_F64 || format === FORMAT_I64
    ? 8
    : 10;
  const address = size === 10 ? address80(t, i, true) : t.ea(i, size, true);
  b.call(
    t.long ? H_STORE_LONG : H_STORE,
    t.addressArgument(address),
    b.i32(format | how),
    b.i32(t.mmu),
  );
  note(t, i);
}

/** FST and FSTP. */
function store(pop: boolean): Translate {
  return (t, i) => {
    const b = t.b;
    if (i.mod === 3) {
      note(t, i);
      b.call(H_STORE_REGISTER, b.i32(i.rm), b.i32(pop ? 1 : 0));
      return;
    }
    const format = i.opcode === 0xd9
      ? FORMAT_F32
      : i.opcode === 0xdd
      ? FORMAT_F64
      : FORMAT_F80;
    storeMemory(t, i, format, pop ? STORE_POP : 0);
  };
}

/** FIST, FISTP, FISTTP. */
function storeInteger(how: number): Translate {
  return (t, i) => {
    const is64 = i.opcode === 0xdd || (i.opcode === 0xdf && i.reg === 7);
    const format = is64
      ? FORMAT_I64
      : i.opcode === 0xdb
      ? FORMAT_I32
      : FORMAT_I16;
    storeMemory(t, i, format, how);
  };
}

const fbstp: Translate = (t, i) => storeMemory(t, i, FORMAT_BCD, STORE_POP);

/** The alias D9 /3 of FSTP ST(i), "no check of empty". */
const fstpnce: Translate = (t, i) => {
  note(t, i);
  t.b.call(H_MOVE_REGISTER, t.b.i32(i.rm));
};

const fxch: Translate = (t, i) => {
  note(t, i);
  t.b.call(H_EXCHANGE, t.b.i32(i.rm));
};

/** FLD1 to FLDZ: the constant is ModRM's rm field. */
const constant: Translate = (t, i) => {
  note(t, i);
  t.b.call(H_CONSTANT, t.b.i32(i.rm));
};

function compute(what: number): Translate {
  return (t, i) => {
    note(t, i);
    t.b.call(H_COMPUTE, t.b.i32(what));
  };
}

function simple(h: Helper): Translate {
  return (t, i) => {
    note(t, i);
    t.b.call(h);
  };
}

// The stack without arithmetic.

const C1 = 0x200;

function rotate(by: number): Translate {
  return (t, i) => {
    const b = t.b;
    note(t, i);
    b.set(FTOP, b.and(b.add(b.get(FTOP), b.i32(by)), b.i32(7)));
    b.set(FSW, b.and(b.get(FSW), b.i32(~C1)));
  };
}

function free(t: Translator, n: Value): void {
  const b = t.b;
  b.set(
    FTAG,
    b.and(b.get(FTAG), b.xor(b.shl(b.i32(1), n), b.i32(-1))),
  );
}

/** FFREE and FFREEP. */
function release(pop: boolean): Translate {
  return (t, i) => {
    const b = t.b;
    note(t, i);
    const top = b.get(FTOP);
    free(t, b.and(b.add(top, b.i32(i.rm)), b.i32(7)));
    b.set(FSW, b.and(b.get(FSW), b.i32(~C1)));
    if (!pop) return;
    free(t, top);
    b.set(FTOP, b.and(b.add(top, b.i32(1)), b.i32(7)));
  };
}

const fnop: Translate = (t, i) => note(t, i);

// Control. These leave the pointers alone.

/** FNENI, FNDISI, FNSETPM, FWAIT: the checks were all. */
const nothing: Translate = () => {};

const fldcw: Translate = (t, i) => {
  const b = t.b;
  const v = t.load(Op["ld16u"], i);
  if ((t.key & KEY_NE) === 0) {
    b.call(H_SET_CONTROL, v);
    return;
  }
  const cw = b.or(b.and(v, b.i32(0x1f7f)), b.i32(0x40));
  const sw = b.get(FSW);
  const pending = b.and(
    b.and(sw, b.i32(0x3f)),
    b.xor(cw, b.i32(-1)),
  );
  b.set(FCW, cw);
  const rest = b.and(sw, b.i32(~0x8080));
  b.set(FSW, b.select(pending, b.or(rest, b.i32(0x8080)), rest));
};

const fnstcw: Translate = (t, i) => t.store(Op["st16"], i, t.b.get(FCW));

const fnstsw: Translate = (t, i) => {
  const b = t.b;
  const v = b.or(b.get(FSW), b.shl(b.get(FTOP), b.i32(11)));
  if (i.mod === 3) t.setReg(2, 0, v);
  else t.store(Op["st16"], i, v);
};

const fnclex: Translate = (t) => {
  const b = t.b;
  if ((t.key & KEY_NE) === 0) b.call(H_CLEAR);
  else b.set(FSW, b.and(b.get(FSW), b.i32(0x7f00)));
};

const fninit: Translate = (t) => {
  const b = t.b;
  if ((t.key & KEY_NE) === 0) {
    b.call(H_INITIALIZE);
    return;
  }
  const zero = b.i32(0);
  b.set(FCW, b.i32(0x37f));
  for (const g of [FSW, FTOP, FTAG, ...POINTERS]) b.set(g, zero);
};

function image(
  h: Helper,
  size16: number,
  size32: number,
  write: boolean,
): Translate {
  return (t, i) => {
    const b = t.b;
    const address = t.ea(i, i.opSize >= 4 ? size32 : size16, write);
    t.checkAligned(address, i.opSize >= 4 ? 4 : 2);
    b.call(h, t.addressArgument(address), b.i32(imageForm(t, i)), b.i32(t.mmu));
  };
}

/** The address of the FXSAVE area: its ends are checked. */
function area(t: Translator, i: Insn, write: boolean): Value {
  const b = t.b;
  t.alignEa(i, 16, write);
  const address = t.ea(i, 16, write);
  if (!t.long && !t.isFlat(i.segment)) {
    t.linear(i.segment, b.add(t.offset(i), b.i32(496)), 16, write);
  }
  return address;
}

/** The mode key may have changed: goes on by way of the state. */
function leave(t: Translator): void {
  t.setPc(t.pc(t.nextEip));
  t.jumpState();
}

const fxsave: Translate = (t, i) => {
  const b = t.b;
  const at = t.addressArgument(area(t, i, true));
  b.call(H_FXSAVE, at, b.i32(i.opSize === 8 ? 1 : 0), b.i32(t.mmu));
};

const fxrstor: Translate = (t, i) => {
  const b = t.b;
  const at = t.addressArgument(area(t, i, false));
  b.call(H_FXRSTOR, at, b.i32(i.opSize === 8 ? 1 : 0), b.i32(t.mmu));
  leave(t);
};

const ldmxcsr: Translate = (t, i) => {
  const v = t.load(Op["ld32"], i);
  t.b.call(H_LDMXCSR, v);
  leave(t);
};

/** Instructions that wait for, and raise, a pending exception. */
const WAITING: Readonly<Record<string, Translate>> = {
  fadd: arithmetic,
  faddp: arithmetic,
  fiadd: arithmetic,
  fmul: arithmetic,
  fmulp: arithmetic,
  fimul: arithmetic,
  fsub: arithmetic,
  fsubp: arithmetic,
  fisub: arithmetic,
  fsubr: arithmetic,
  fsubrp: arithmetic,
  fisubr: arithmetic,
  fdiv: arithmetic,
  fdivp: arithmetic,
  fidiv: arithmetic,
  fdivr: arithmetic,
  fdivrp: arithmetic,
  fidivr: arithmetic,
  ficom: arithmetic,
  ficomp: arithmetic,
  fcom: compare(0, false),
  fcomp: compare(1, false),
  fcompp: compare(2, false),
  fucom: compare(0, true),
  fucomp: compare(1, true),
  fucompp: compare(2, true),
  fcomi: compareFlags(false, false),
  fcomip: compareFlags(true, false),
  fucomi: compareFlags(false, true),
  fucomip: compareFlags(true, true),
  ftst: simple(H_TEST),
  fxam: simple(H_EXAMINE),
  fcmovb: moveIf(2),
  fcmove: moveIf(4),
  fcmovbe: moveIf(6),
  fcmovu: moveIf(10),
  fcmovnb: moveIf(3),
  fcmovne: moveIf(5),
  fcmovnbe: moveIf(7),
  fcmovnu: moveIf(11),
  fld,
  fild,
  fbld,
  fst: store(false),
  fstp: store(true),
  fist: storeInteger(0),
  fistp: storeInteger(STORE_POP),
  fisttp: storeInteger(STORE_POP | STORE_TRUNCATE),
  fbstp,
  fstpnce,
  fxch,
  fld1: constant,
  fldl2t: constant,
  fldl2e: constant,
  fldpi: constant,
  fldlg2: constant,
  fldln2: constant,
  fldz: constant,
  fchs: compute(CHS),
  fabs: compute(ABS),
  fsqrt: compute(SQRT),
  frndint: compute(RNDINT),
  f2xm1: compute(F2XM1),
  fsin: compute(SIN),
  fcos: compute(COS),
  fscale: compute(SCALE),
  fprem: compute(PREM),
  fprem1: compute(PREM1),
  fyl2x: compute(YL2X),
  fyl2xp1: compute(YL2XP1),
  fpatan: compute(PATAN),
  fptan: compute(PTAN),
  fsincos: compute(SINCOS),
  fxtract: compute(XTRACT),
  fincstp: rotate(1),
  fdecstp: rotate(-1),
  ffree: release(false),
  ffreep: release(true),
  fnop,
  fwait: nothing,
  fldcw,
  fldenv: image(H_LOAD_ENV, 14, 28, false),
  frstor: image(H_RESTORE, 94, 108, false),
};

/** Instructions that do not. */
const NOT_WAITING: Readonly<Record<string, Translate>> = {
  fneni: nothing,
  fndisi: nothing,
  fnsetpm: nothing,
  fnstcw,
  fnstsw,
  fnclex,
  fninit,
  fnstenv: image(H_STORE_ENV, 14, 28, true),
  fnsave: image(H_SAVE, 94, 108, true),
  fxsave,
  fxrstor,
  ldmxcsr,
};

function waiting(f: Translate): Translate {
  return (t, i) => {
    checkPendingX87(t);
    f(t, i);
  };
}

/** x87 instructions, and those that save and restore the SIMD state, by mnemonic. */
export const X87: Readonly<Record<string, Translate>> = {
  ...Object.fromEntries(
    Object.entries(WAITING).map(([name, f]) => [name, waiting(f)]),
  ),
  ...NOT_WAITING,
};
