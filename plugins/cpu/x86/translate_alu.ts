/**
 * Integer arithmetic and logic.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import { define } from "./helpers.ts";
import { DE } from "./operands.ts";
import {
  CC_ADC,
  CC_ADD,
  CC_DEC,
  CC_IMUL,
  CC_INC,
  CC_LOGIC,
  CC_MUL,
  CC_SBB,
  CC_SUB,
  OFF_GPR,
  OFF_SCRATCH,
  SCRATCH,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";

const EXTEND_U = Op["i64.extend_i32_u"];
const EXTEND_S = Op["i64.extend_i32_s"];
const WRAP = Op["i32.wrap_i64"];
const DIV_U = Op["i32.div_u"], DIV_S = Op["i32.div_s"];

/** Whether operands 0 and 1 are one register: the result of XOR and SUB is then 0 whatever it holds. */
function sameRegister(t: Translator): boolean {
  const i = t.insn;
  return i.mod === 3 && i.reg === i.rm && i.row.imm === 0 &&
    i.row.operands.length === 2 && i.row.operands[1][0] !== "I";
}

const add: Translate = (t) => {
  const size = t.size(0);
  const a = t.read(0), v = t.read(1);
  const r = t.b.add(a, v);
  t.write(0, r);
  t.setFlags(CC_ADD, size, r, v, 0, a);
};

const sub: Translate = (t) => {
  const size = t.size(0);
  if (sameRegister(t)) {
    const zero = t.constant(size, 0);
    t.write(0, zero);
    return t.setFlags(CC_LOGIC, size, zero);
  }
  const a = t.read(0), v = t.read(1);
  // The pattern (x + y) - y would fold to x's temp, which is right as well.
  const r = t.b.sub(a, v);
  t.write(0, r);
  t.setFlags(CC_SUB, size, r, v, 0, a);
};

const cmp: Translate = (t) => {
  const size = t.size(0);
  const a = t.read(0), v = t.read(1);
  t.setFlags(CC_SUB, size, t.b.sub(a, v), v, 0, a);
};

const adc: Translate = (t) => {
  const b = t.b;
  const size = t.size(0);
  const a = t.read(0), v = t.read(1);
  const carry = t.carry();
  const r = b.add(b.add(a, v), t.resize(size, carry));
  t.write(0, r);
  t.setFlags(CC_ADC, size, r, v, carry, a);
};

const sbb: Translate = (t) => {
  const b = t.b;
  const size = t.size(0);
  const a = t.read(0), v = t.read(1);
  const borrow = t.carry();
  const r = b.sub(b.sub(a, v), t.resize(size, borrow));
  t.write(0, r);
  t.setFlags(CC_SBB, size, r, v, borrow, a);
};

function logic(op: number, writes = true): Translate {
  return (t) => {
    const size = t.size(0);
    const r = t.b.typed(op, t.read(0), t.read(1));
    if (writes) t.write(0, r);
    t.setFlags(CC_LOGIC, size, r);
  };
}

const xor: Translate = (t) => {
  const size = t.size(0);
  const r = sameRegister(t)
    ? t.constant(size, 0)
    : t.b.xor(t.read(0), t.read(1));
  t.write(0, r);
  t.setFlags(CC_LOGIC, size, r);
};

function step(op: number, delta: number): Translate {
  return (t) => {
    const size = t.size(0);
    const r = t.b.add(t.read(0), t.constant(size, delta));
    const carry = t.carry();
    t.write(0, r);
    t.setFlags(op, size, r, carry);
  };
}

const neg: Translate = (t) => {
  const size = t.size(0);
  const v = t.read(0), zero = t.constant(size, 0);
  const r = t.b.sub(zero, v);
  t.write(0, r);
  t.setFlags(CC_SUB, size, r, v, 0, zero);
};

const not: Translate = (t) => {
  t.write(0, t.b.xor(t.read(0), t.constant(t.size(0), -1)));
};

/** The low 16 bits of `low`, `high` to AL:AH, or all to AX:DX, EAX:EDX or RAX:RDX. */
function writePair(t: Translator, size: number, low: Value, high: Value): void {
  const b = t.b;
  if (size === 1) {
    return t.setReg(2, 0, b.or(b.zext8(low), b.shl(high, b.i32(8))));
  }
  t.setReg(size, 0, low);
  t.setReg(size, 2, high);
}

/** MUL and IMUL with one operand. */
function multiply(signed: boolean): Translate {
  return (t) => {
    const b = t.b;
    const size = t.size(0);
    const v = t.read(0), a = t.reg(size, 0);
    if (size === 8) {
      const low = b.mul(a, v);
      const high = t.productHigh(signed, a, v);
      writePair(t, size, low, high);
      const sign = signed ? b.shrS(low, b.i64(63)) : b.i64(0);
      return t.setFlags(CC_MUL, size, low, b.ne(high, sign));
    }
    if (size === 4) {
      const extend = signed ? EXTEND_S : EXTEND_U;
      const wide = b.op(Op["i64.mul"], b.op(extend, a), b.op(extend, v));
      const low = b.op(WRAP, wide);
      const high = b.op(WRAP, b.op(Op["i64.shr_u"], wide, b.i64(32)));
      writePair(t, size, low, high);
      return t.setFlags(
        CC_MUL,
        size,
        low,
        signed ? b.ne(high, b.shrS(low, b.i32(31))) : high,
      );
    }
    const r = signed ? b.mul(t.sext(size, a), t.sext(size, v)) : b.mul(a, v);
    const high = b.shrU(r, b.i32(8 * size));
    if (size === 1) t.setReg(2, 0, r);
    else writePair(t, size, r, high);
    t.setFlags(CC_MUL, size, r, signed ? b.ne(r, t.sext(size, r)) : high);
  };
}

/** IMUL with a destination register: the product of two operands, cut. */
function multiplyTo(first: number): Translate {
  return (t) => {
    const b = t.b;
    const size = t.size(0);
    const x = t.sext(size, t.read(first));
    const y = t.sext(size, t.read(first + 1));
    const r = b.mul(x, y);
    t.write(0, r);
    t.setFlags(CC_IMUL, size, r, x, y);
  };
}

/** The dividend of an 8- or 16-bit division: AX, or DX:AX. */
function dividend(t: Translator, size: number): Value {
  const b = t.b;
  return size === 1
    ? t.reg(2, 0)
    : b.or(t.reg(2, 0), b.shl(t.reg(4, 2), b.i32(16)));
}

/**
 * The low half of the remainder, from those of dividend and quotient: a second
 * division would take several times as long.
 */
function rest(t: Translator, dividend: Value, q: Value, divisor: Value): Value {
  return t.b.sub(dividend, t.b.mul(q, divisor));
}

/**
 * The division of RDX:RAX by the i64 in SCRATCH[0], which is not 0. The quotient
 * goes to SCRATCH[0], the remainder to SCRATCH[1]; #DE if the quotient does not
 * fit.
 */
function define128(name: string, signed: boolean): Helper {
  const options = { faults: true, writes: [SCRATCH[0], SCRATCH[1]] };
  return define(name, 0, options, (cpu) => () => {
    const s = cpu.state;
    const at = (offset: number): bigint =>
      BigInt(s[(offset >> 2) + 1] >>> 0) << 32n | BigInt(s[offset >> 2] >>> 0);
    const put = (offset: number, v: bigint): void => {
      s[offset >> 2] = Number(BigInt.asIntN(32, v));
      s[(offset >> 2) + 1] = Number(BigInt.asIntN(32, v >> 32n));
    };
    const dividend = at(OFF_GPR + 16) << 64n | at(OFF_GPR);
    const divisor = at(OFF_SCRATCH);
    const n = signed ? BigInt.asIntN(128, dividend) : dividend;
    const d = signed ? BigInt.asIntN(64, divisor) : divisor;
    const q = n / d;
    if ((signed ? BigInt.asIntN(64, q) : BigInt.asUintN(64, q)) !== q) {
      cpu.raise(DE);
    }
    put(OFF_SCRATCH, q);
    put(OFF_SCRATCH + 8, n - q * d);
    return 0;
  });
}

const DIV128 = define128("div128", false), IDIV128 = define128("idiv128", true);

/**
 * DIV and IDIV of RDX:RAX. A dividend of 64 bits, which most are, is divided
 * here; others by a helper.
 */
function divide64(t: Translator, v: Value, signed: boolean): void {
  const b = t.b;
  const [low, high] = [t.reg(8, 0), t.reg(8, 2)];
  const sign = signed ? b.shrS(low, b.i64(63)) : b.i64(0);
  let isLong = b.ne(high, sign);
  if (signed) {
    // The one quotient of 64 bits that overflows is the helper's as well.
    const isLowest = b.eq(low, b.i64(0, 0x80000000));
    isLong = b.or(isLong, b.and(isLowest, b.eq(v, b.i64(-1))));
  }
  b.set(SCRATCH[0], v);
  b.set(SCRATCH[1], b.i64(0));
  b.callIf(isLong, signed ? IDIV128 : DIV128);
  const one = b.i64(1);
  const safe = b.select(isLong, one, v);
  const q = b.typed(Op[signed ? "i32.div_s" : "i32.div_u"], low, safe);
  const quotient = b.select(isLong, b.get(SCRATCH[0]), q);
  const remainder = b.select(isLong, b.get(SCRATCH[1]), rest(t, low, q, v));
  writePair(t, 8, quotient, remainder);
}

const div: Translate = (t) => {
  const b = t.b;
  const size = t.size(0);
  const v = t.read(0);
  t.trap(b.eqz(v), DE);
  if (size === 8) return divide64(t, v, false);
  if (size === 4) {
    // The quotient fits if the dividend's high half is below the divisor.
    t.trap(b.op(Op["i32.ge_u"], t.reg(4, 2), v), DE);
    const n = b.op(
      Op["i64.or"],
      b.op(EXTEND_U, t.reg(4, 0)),
      b.op(Op["i64.shl"], b.op(EXTEND_U, t.reg(4, 2)), b.i64(32)),
    );
    const d = b.op(EXTEND_U, v);
    const q = b.op(WRAP, b.op(Op["i64.div_u"], n, d));
    return writePair(t, size, q, rest(t, t.reg(4, 0), q, v));
  }
  const n = dividend(t, size);
  const q = b.op(DIV_U, n, v);
  t.trap(b.op(Op["i32.gt_u"], q, b.i32(size === 1 ? 0xff : 0xffff)), DE);
  writePair(t, size, q, rest(t, n, q, v));
};

const idiv: Translate = (t) => {
  const b = t.b;
  const size = t.size(0);
  const v = t.read(0);
  t.trap(b.eqz(v), DE);
  if (size === 8) return divide64(t, v, true);
  if (size === 4) {
    const n = b.op(
      Op["i64.or"],
      b.op(EXTEND_U, t.reg(4, 0)),
      b.op(Op["i64.shl"], b.op(EXTEND_U, t.reg(4, 2)), b.i64(32)),
    );
    // The one dividend whose quotient overflows 64 bits.
    t.trap(
      b.and(
        b.op(Op["i64.eq"], n, b.i64(0, 0x80000000 | 0)),
        b.eq(v, b.i32(-1)),
      ),
      DE,
    );
    const d = b.op(EXTEND_S, v);
    const q = b.op(Op["i64.div_s"], n, d);
    const low = b.op(WRAP, q);
    t.trap(b.op(Op["i64.ne"], q, b.op(EXTEND_S, low)), DE);
    return writePair(t, size, low, rest(t, t.reg(4, 0), low, v));
  }
  const n = size === 1 ? b.sext16(t.reg(4, 0)) : dividend(t, size);
  const d = t.sext(size, v);
  if (size === 2) {
    t.trap(
      b.and(b.eq(n, b.i32(0x80000000)), b.eq(d, b.i32(-1))),
      DE,
    );
  }
  const q = b.op(DIV_S, n, d);
  t.trap(b.ne(q, t.sext(size, q)), DE);
  writePair(t, size, q, rest(t, n, q, d));
};

/** Arithmetic and logic instructions. */
export const ALU: Readonly<Record<string, Translate>> = {
  add,
  or: logic(Op["i32.or"]),
  adc,
  sbb,
  and: logic(Op["i32.and"]),
  sub,
  xor,
  cmp,
  test: logic(Op["i32.and"], false),
  inc: step(CC_INC, 1),
  dec: step(CC_DEC, -1),
  neg,
  not,
  mul: multiply(false),
  imul: multiply(true),
  imul2: multiplyTo(0),
  imul3: multiplyTo(1),
  div,
  idiv,
};
