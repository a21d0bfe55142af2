/**
 * SSE, SSE2 and SSE3 without arithmetic that could raise anything: moves,
 * shuffles, bitwise operations, approximations.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { IrBuilder } from "../../../core/ir/builder.ts";
import { Op, type OpName } from "../../../core/ir/ops.ts";
import { MXCSR, XMM } from "./state.ts";
import type { Translate } from "./translate.ts";
import {
  type Binary,
  first,
  lanes,
  LOW_THEN_HIGH,
  lowLow,
  pattern,
  readWd,
  readWq,
  shuffle,
  sse,
  zero,
} from "./translate_simd.ts";

// Approximations. They raise nothing, take denormals for zeros and flush tiny
// results. Hardware promises a relative error of 1.5 * 2^-12 and no bits.

const MIN_SINGLE = [0, 0, 0x80, 0];
const SIGN_SINGLE = [0, 0, 0, 0x80];
const ONES_SINGLE = [0, 0, 0x80, 0x3f];

/** Denormals become zeros of the same sign. */
function withoutDenormals(b: IrBuilder, y: Value): Value {
  const large = b.op(
    Op["f32x4.ge"],
    b.op(Op["f32x4.abs"], y),
    pattern(b, ...MIN_SINGLE),
  );
  return b.op(
    Op["v128.bitselect"],
    y,
    b.op(Op["v128.and"], y, pattern(b, ...SIGN_SINGLE)),
    large,
  );
}

/** The NaNs of `y`, quiet, in place of their lanes of `r`. */
function passNans(b: IrBuilder, y: Value, r: Value): Value {
  return b.op(
    Op["v128.bitselect"],
    b.op(Op["v128.or"], y, pattern(b, 0, 0, 0x40, 0)),
    r,
    b.op(Op["f32x4.ne"], y, y),
  );
}

const rcp: Binary = (b, _x, y) => {
  const r = b.op(
    Op["f32x4.div"],
    pattern(b, ...ONES_SINGLE),
    withoutDenormals(b, y),
  );
  return passNans(b, y, withoutDenormals(b, r));
};

const rsqrt: Binary = (b, _x, y) => {
  const d = withoutDenormals(b, y);
  const r = b.op(
    Op["f32x4.div"],
    pattern(b, ...ONES_SINGLE),
    b.op(Op["f32x4.sqrt"], d),
  );
  const indefinite = b.op(
    Op["v128.bitselect"],
    pattern(b, 0, 0, 0xc0, 0xff),
    r,
    b.op(Op["f32x4.lt"], d, zero(b)),
  );
  return passNans(b, y, indefinite);
};

function approximateScalar(f: Binary): Translate {
  return (t, i) => {
    const b = t.b;
    const y = readWd(t, i);
    const x = first(t, i);
    b.set(XMM[i.reg], shuffle(b, f(b, x, y, 0), x, FIRST_SINGLE));
  };
}

// Moves and shuffles.

/** The first single of one vector, the rest of another. */
const FIRST_SINGLE = lanes(4, [0, 5, 6, 7]);

/** MOVSS, MOVSD: a load clears the rest of the register, a register operand leaves it. */
function moveScalar(single: boolean): Translate {
  const rest = single ? FIRST_SINGLE : LOW_THEN_HIGH;
  return (t, i) => {
    const b = t.b;
    const store = i.opcode === 0x11;
    if (i.mod === 3) {
      const to = XMM[store ? i.rm : i.reg];
      const from = XMM[store ? i.reg : i.rm];
      const old = i.vex ? first(t, i) : b.get(to);
      return b.set(to, shuffle(b, b.get(from), old, rest));
    }
    if (store) {
      const v = b.op(
        single ? Op["i32x4.extract_lane.0"] : Op["i64x2.extract_lane.0"],
        b.get(XMM[i.reg]),
      );
      return t.store(single ? Op["st32"] : Op["st64"], i, v);
    }
    const v = t.load(single ? Op["ld32"] : Op["ld64"], i);
    b.set(
      XMM[i.reg],
      b.op(
        single ? Op["i32x4.replace_lane.0"] : Op["i64x2.replace_lane.0"],
        zero(b),
        v,
      ),
    );
  };
}

/** MOVLPS, MOVHPS and their PD twins: half a register from or to memory. */
function moveHalf(lane: 0 | 1): Translate {
  const storeOpcode = lane === 0 ? 0x13 : 0x17;
  return (t, i) => {
    const b = t.b;
    if (i.opcode === storeOpcode) {
      const op = lane === 0 ? "i64x2.extract_lane.0" : "i64x2.extract_lane.1";
      return t.store(Op["st64"], i, b.op(Op[op], b.get(XMM[i.reg])));
    }
    const op = lane === 0 ? "i64x2.replace_lane.0" : "i64x2.replace_lane.1";
    const v = t.load(Op["ld64"], i);
    b.set(XMM[i.reg], b.op(Op[op], first(t, i), v));
  };
}

const movhlps: Translate = (t, i) => {
  const b = t.b;
  b.set(
    XMM[i.reg],
    shuffle(b, b.get(XMM[i.rm]), first(t, i), lanes(8, [1, 3])),
  );
};
const movlhps: Translate = (t, i) => {
  const b = t.b;
  b.set(XMM[i.reg], lowLow(b, first(t, i), b.get(XMM[i.rm])));
};

const movddup: Translate = (t, i) => {
  const y = readWq(t, i);
  t.b.set(XMM[i.reg], lowLow(t.b, y, y));
};
const duplicate = (indices: readonly number[]): Translate =>
  sse((b, _x, y) => shuffle(b, y, y, lanes(4, indices)));

/** SHUFPS, SHUFPD: the low lanes come from the destination, the high ones from the source. */
const shufps: Translate = sse((b, x, y, n) =>
  shuffle(
    b,
    x,
    y,
    lanes(4, [n & 3, (n >> 2) & 3, 4 + ((n >> 4) & 3), 4 + ((n >> 6) & 3)]),
  )
);
const shufpd: Translate = sse((b, x, y, n) =>
  shuffle(b, x, y, lanes(8, [n & 1, 2 + ((n >> 1) & 1)]))
);
const permute = (width: number, indices: readonly number[]): Translate => {
  const bytes = lanes(width, indices);
  return sse((b, x, y) => shuffle(b, x, y, bytes));
};

const movmsk = (op: OpName): Translate => (t, i) =>
  t.setReg(4, i.reg, t.b.op(Op[op], t.b.get(XMM[i.rm])));

/** MOVNTI: a plain store. */
const movnti: Translate = (t) => t.write(0, t.read(1));

// Control.

const stmxcsr: Translate = (t, i) => t.store(Op["st32"], i, t.b.get(MXCSR));

/** CLFLUSH faults as a load does. */
const clflush: Translate = (t, i) => {
  t.load(Op["ld8u"], i);
};

/** Fences, prefetches: memory is strongly ordered here already. */
const nothing: Translate = () => {};

const bitwise = (op: OpName): Translate => sse((b, x, y) => b.op(Op[op], x, y));
const andNot: Translate = sse((b, x, y) => b.op(Op["v128.andnot"], y, x));
const xor: Translate = sse((b, x, y) =>
  x === y ? zero(b) : b.op(Op["v128.xor"], x, y)
);

/** SSE instructions that compute nothing, and the approximations, by mnemonic. */
export const SSE_MOVES: Readonly<Record<string, Translate>> = {
  rcpps: sse(rcp),
  rcpss: approximateScalar(rcp),
  rsqrtps: sse(rsqrt),
  rsqrtss: approximateScalar(rsqrt),
  andps: bitwise("v128.and"),
  andpd: bitwise("v128.and"),
  andnps: andNot,
  andnpd: andNot,
  orps: bitwise("v128.or"),
  orpd: bitwise("v128.or"),
  xorps: xor,
  xorpd: xor,
  movss: moveScalar(true),
  movsd: moveScalar(false),
  movlps: moveHalf(0),
  movlpd: moveHalf(0),
  movhps: moveHalf(1),
  movhpd: moveHalf(1),
  movhlps,
  movlhps,
  movddup,
  movsldup: duplicate([0, 0, 2, 2]),
  movshdup: duplicate([1, 1, 3, 3]),
  shufps,
  shufpd,
  unpcklps: permute(4, [0, 4, 1, 5]),
  unpckhps: permute(4, [2, 6, 3, 7]),
  unpcklpd: permute(8, [0, 2]),
  unpckhpd: permute(8, [1, 3]),
  movmskps: movmsk("i32x4.bitmask"),
  movmskpd: movmsk("i64x2.bitmask"),
  movnti,
  stmxcsr,
  clflush,
  lfence: nothing,
  mfence: nothing,
  sfence: nothing,
  prefetch: nothing,
};
