/**
 * The integer SIMD instructions: MMX and their SSE2 forms, written once for
 * both register sets (SDM volume 1, chapters 9 and 11.4.2).
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { ACCESS_WRITE } from "../../../core/cpu/frontend.ts";
import type { IrBuilder } from "../../../core/ir/builder.ts";
import { Op, type OpName } from "../../../core/ir/ops.ts";
import type { Insn } from "./decode.ts";
import { define } from "./helpers.ts";
import {
  FTAG,
  FTOP,
  KEY_ALIGN,
  MM,
  OFF_SCRATCH,
  SCRATCH128,
  XMM,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import {
  type Binary,
  binaryOf,
  both,
  checkAlignment,
  checkPendingX87,
  enterMmx,
  first,
  fromI64,
  lanes,
  pattern,
  readQ,
  readW,
  readWUnaligned,
  setMm,
  shuffle,
  sse,
  withBinary,
  zero,
} from "./translate_simd.ts";

const v = (name: OpName): Binary => {
  const op = Op[name];
  return (b, x, y) => b.op(op, x, y);
};

// Packing. The MMX form packs the low halves of both operands.

const lowHalves = (b: IrBuilder, x: Value, y: Value): Value =>
  shuffle(b, x, y, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);

function pack(name: OpName): Translate {
  const op = Op[name];
  return both((b, x, y) => {
    const z = lowHalves(b, x, y);
    return b.op(op, z, z);
  }, v(name));
}

// Interleaving.

/** Interleaves lanes of `width` bytes from lane `first` on. */
function interleave(width: number, first: number): Binary {
  const n = 8 / width;
  const indices: number[] = [];
  for (let k = 0; k < n; k++) {
    indices.push(first + k, first + k + 16 / width);
  }
  const bytes = lanes(width, indices);
  return (b, x, y) => shuffle(b, x, y, bytes);
}
/** The MMX form reads only 32 bits of memory. */
const unpackLow = (width: number): Translate => {
  const f = interleave(width, 0);
  const onSse = sse(f);
  return withBinary((t, i) => {
    if (i.has66 !== 0) return onSse(t, i);
    const y = i.mod === 3
      ? t.b.get(MM[i.rm & 7])
      : t.b.op(Op["i32x4.splat"], t.load(Op["ld32"], i));
    const v = f(t.b, t.b.get(MM[i.reg & 7]), y, i.imm);
    enterMmx(t);
    setMm(t, i.reg & 7, v);
  }, f);
};
const unpackHigh = (width: number): Translate =>
  // An MMX register's upper half starts in the middle of the low half.
  both(interleave(width, 4 / width), interleave(width, 8 / width));

// Multiplication.

/** The upper words of the products of words. */
function mulHigh(low: OpName, high: OpName): Binary {
  const bytes = lanes(2, [1, 3, 5, 7, 9, 11, 13, 15]);
  return (b, x, y) =>
    shuffle(b, b.op(Op[low], x, y), b.op(Op[high], x, y), bytes);
}

const EVEN_DWORDS = lanes(4, [0, 2, 0, 2]);
const pmuludq: Binary = (b, x, y) =>
  b.op(
    Op["i64x2.extmul_low_i32x4_u"],
    shuffle(b, x, x, EVEN_DWORDS),
    shuffle(b, y, y, EVEN_DWORDS),
  );

/** Sum of absolute differences of bytes, per half. */
const psadbw: Binary = (b, x, y) => {
  const difference = b.op(
    Op["i8x16.sub"],
    b.op(Op["i8x16.max_u"], x, y),
    b.op(Op["i8x16.min_u"], x, y),
  );
  const words = b.op(Op["i16x8.extadd_pairwise_i8x16_u"], difference);
  const sums = b.op(Op["i32x4.extadd_pairwise_i16x8_u"], words);
  return b.op(
    Op["v128.and"],
    b.op(
      Op["i64x2.add"],
      sums,
      b.op(Op["i64x2.shr_u"], sums, b.i32(32)),
    ),
    pattern(b, 0xff, 0xff, 0, 0, 0, 0, 0, 0),
  );
};

// Shifts.

/** How a shift is made: its op, the lane's bits, and whether it is arithmetic. */
export interface Shift {
  readonly op: number;
  readonly bits: number;
  readonly arithmetic: boolean;
}
const shiftOf = (name: OpName, bits: number, arithmetic = false): Shift => ({
  op: Op[name],
  bits,
  arithmetic,
});

/** A count beyond the lane's bits gives 0, or the sign for an arithmetic shift. */
export function shiftImmediate(
  b: IrBuilder,
  s: Shift,
  x: Value,
  count: number,
): Value {
  if (count >= s.bits) {
    if (!s.arithmetic) return zero(b);
    count = s.bits - 1;
  }
  return count === 0 ? x : b.op(s.op, x, b.i32(count));
}

/** The count is the low half of `y`. */
function shiftVariable(s: Shift): Binary {
  return (b, x, y) => {
    const count = b.op(Op["i64x2.extract_lane.0"], y);
    const fits = b.op(Op["i64.lt_u"], count, b.i64(s.bits, 0));
    const low = b.op(Op["i32.wrap_i64"], count);
    if (s.arithmetic) {
      return b.op(s.op, x, b.select(fits, low, b.i32(s.bits - 1)));
    }
    return b.op(Op["v128.select"], b.op(s.op, x, low), zero(b), fits);
  };
}

/** `op Nq/Udq, Ib` or `op Pq/Vdq, Qq/Wdq`, by the opcode. */
function shift(s: Shift): Translate {
  const variable = both(shiftVariable(s));
  return withBinary((t, i) => {
    if (i.opcode >= 0x80) return variable(t, i);
    const count = i.imm & 0xff;
    onRegister(t, i, (b, x) => shiftImmediate(b, s, x, count));
  }, binaryOf(variable));
}

/** The shifts of lanes. */
export const SHIFTS = {
  psrlw: shiftOf("i16x8.shr_u", 16),
  psrld: shiftOf("i32x4.shr_u", 32),
  psrlq: shiftOf("i64x2.shr_u", 64),
  psraw: shiftOf("i16x8.shr_s", 16, true),
  psrad: shiftOf("i32x4.shr_s", 32, true),
  psllw: shiftOf("i16x8.shl", 16),
  pslld: shiftOf("i32x4.shl", 32),
  psllq: shiftOf("i64x2.shl", 64),
} satisfies Record<string, Shift>;

/** An instruction that changes the register in ModRM's rm field. */
function onRegister(
  t: Translator,
  i: Insn,
  f: (b: IrBuilder, x: Value) => Value,
): void {
  if (i.has66 !== 0) {
    t.b.set(XMM[i.rm], f(t.b, t.b.get(XMM[i.rm])));
  } else {
    const x = f(t.b, t.b.get(MM[i.rm & 7]));
    enterMmx(t);
    setMm(t, i.rm & 7, x);
  }
}

/** Shifts a vector by bytes; `sign` 1 is to the right. */
export const shiftBytes = (sign: 1 | -1): Binary => (b, x, _y, imm) => {
  const count = Math.min(imm & 0xff, 16);
  const bytes = Array.from({ length: 16 }, (_, k) => {
    const from = k + sign * count;
    return from >= 0 && from < 16 ? from : 16;
  });
  return shuffle(b, x, zero(b), bytes);
};
const onBytes = (f: Binary): Translate => (t, i) =>
  onRegister(t, i, (b, x) => f(b, x, x, i.imm));

// Shuffles by an immediate.

const select4 = (imm: number): number[] =>
  [0, 2, 4, 6].map((n) => (imm >> n) & 3);

const pshufw: Translate = (t, i) => {
  const y = readQ(t, i);
  const words = select4(i.imm);
  const r = shuffle(t.b, y, y, lanes(2, [...words, ...words]));
  enterMmx(t);
  setMm(t, i.reg & 7, r);
};

function shuffleW(indices: (imm: number) => number[]): Translate {
  return sse((b, _x, y, imm) => shuffle(b, y, y, indices(imm)));
}
const pshufd = shuffleW((imm) => lanes(4, select4(imm)));
const pshuflw = shuffleW((imm) => lanes(2, [...select4(imm), 4, 5, 6, 7]));
const pshufhw = shuffleW((imm) =>
  lanes(2, [0, 1, 2, 3, ...select4(imm).map((n) => n + 4)])
);

// Moves.

/** `movd Pd/Vd, Ed`. */
const movdFromGeneral: Translate = (t, i) => {
  const b = t.b;
  const isSse = i.has66 !== 0;
  const e = t.read(1);
  const isQuad = t.size(1) === 8;
  const lane = isQuad ? "i64x2.replace_lane.0" : "i32x4.replace_lane.0";
  const x = b.op(Op[lane], zero(b), e);
  if (isSse) return b.set(XMM[i.reg], x);
  enterMmx(t);
  setMm(t, i.reg & 7, x);
};

/** `movd Ed, Pd/Vd`. */
const movdToGeneral: Translate = (t, i) => {
  const b = t.b;
  const isSse = i.has66 !== 0;
  const isQuad = t.size(0) === 8;
  const x = b.op(
    Op[isQuad ? "i64x2.extract_lane.0" : "i32x4.extract_lane.0"],
    b.get(isSse ? XMM[i.reg] : MM[i.reg & 7]),
  );
  if (i.mod !== 3) t.write(0, x);
  if (!isSse) enterMmx(t);
  if (i.mod === 3) t.write(0, x);
};

const movd: Translate = (t, i) =>
  i.opcode === 0x6e ? movdFromGeneral(t, i) : movdToGeneral(t, i);

/** The low half of a vector as i64. */
const low64 = (b: IrBuilder, x: Value): Value =>
  b.op(Op["i64x2.extract_lane.0"], x);
const clearHigh = (b: IrBuilder, x: Value): Value =>
  b.op(Op["i64x2.replace_lane.1"], x, b.i64(0, 0));

/** `movq` in its four forms: 0F 6F, 0F 7F (MMX), F3 0F 7E, 66 0F D6 (SSE2). */
const movq: Translate = (t, i) => {
  const b = t.b;
  switch (i.opcode) {
    case 0x6f: {
      const y = readQ(t, i);
      enterMmx(t);
      return setMm(t, i.reg & 7, y);
    }
    case 0x7f:
      if (i.mod === 3) {
        enterMmx(t);
        return setMm(t, i.rm & 7, b.get(MM[i.reg & 7]));
      }
      t.store(Op["st64"], i, low64(b, b.get(MM[i.reg & 7])));
      return enterMmx(t);
    case 0x7e: {
      const y = i.mod === 3
        ? b.get(XMM[i.rm])
        : fromI64(b, t.load(Op["ld64"], i));
      return b.set(XMM[i.reg], clearHigh(b, y));
    }
    default:
      if (i.mod === 3) b.set(XMM[i.rm], clearHigh(b, b.get(XMM[i.reg])));
      else t.store(Op["st64"], i, low64(b, b.get(XMM[i.reg])));
  }
};

const movq2dq: Translate = (t, i) => {
  checkPendingX87(t);
  const y = clearHigh(t.b, t.b.get(MM[i.rm & 7]));
  enterMmx(t);
  t.b.set(XMM[i.reg], y);
};

const movdq2q: Translate = (t, i) => {
  checkPendingX87(t);
  const y = t.b.get(XMM[i.rm]);
  enterMmx(t);
  setMm(t, i.reg & 7, y);
};

const movntq: Translate = (t, i) => {
  t.store(Op["st64"], i, low64(t.b, t.b.get(MM[i.reg & 7])));
  enterMmx(t);
};

/** Aligned load or store of a whole register; bit 0 of the load opcodes tells nothing, so the caller says which opcode stores. */
function moveAligned(storeOpcode: number): Translate {
  return (t, i) => {
    const b = t.b;
    if (i.opcode !== storeOpcode) return b.set(XMM[i.reg], readW(t, i));
    if (i.mod === 3) return b.set(XMM[i.rm], b.get(XMM[i.reg]));
    t.alignEa(i, 16, true);
    t.store(Op["st128"], i, b.get(XMM[i.reg]));
  };
}
function moveUnaligned(storeOpcode: number): Translate {
  return (t, i) => {
    const b = t.b;
    if (i.opcode !== storeOpcode) {
      return b.set(XMM[i.reg], readWUnaligned(t, i));
    }
    if (i.mod === 3) return b.set(XMM[i.rm], b.get(XMM[i.reg]));
    checkAlignment(t, i, true);
    t.store(Op["st128"], i, b.get(XMM[i.reg]));
  };
}

// Words, masks.

const pinsrw: Translate = (t, i) => {
  const b = t.b;
  const isSse = i.has66 !== 0;
  const e = i.mod === 3 ? t.reg(4, i.rm) : t.load(Op["ld16u"], i);
  const lane = i.imm & (isSse ? 7 : 3);
  const op = Op[`i16x8.replace_lane.${lane}` as OpName];
  if (isSse) return b.set(XMM[i.reg], b.op(op, first(t, i), e));
  const x = b.op(op, b.get(MM[i.reg & 7]), e);
  enterMmx(t);
  setMm(t, i.reg & 7, x);
};

const pextrw: Translate = (t, i) => {
  const b = t.b;
  const isSse = i.has66 !== 0;
  const lane = i.imm & (isSse ? 7 : 3);
  const op = Op[`i16x8.extract_lane_u.${lane}` as OpName];
  const x = b.op(op, b.get(isSse ? XMM[i.rm] : MM[i.rm & 7]));
  if (!isSse) enterMmx(t);
  t.setReg(4, i.reg, x);
};

const pmovmskb: Translate = (t, i) => {
  const b = t.b;
  const isSse = i.has66 !== 0;
  const x = b.op(Op["i8x16.bitmask"], b.get(isSse ? XMM[i.rm] : MM[i.rm & 7]));
  if (!isSse) enterMmx(t);
  t.setReg(4, i.reg, isSse ? x : b.zext8(x));
};

/** In the mask of {@linkcode MASKMOV}: the operand has 16 bytes, not 8. */
const MASKMOV_16 = 0x10000;
/**
 * Stores the bytes of SCRATCH128[1] that the mask has: arguments are address,
 * mask and MMU index. All of the operand must be writable, whatever the mask.
 */
const MASKMOV = define(
  "maskmov",
  3,
  { faults: true, reads: [SCRATCH128[1]], writes: [] },
  (cpu) => (low, mask, mmu) => {
    const address = cpu.addressArgument(low);
    const bytes = cpu.state8, memory = cpu.engine.mmu;
    const size = (mask & MASKMOV_16) !== 0 ? 16 : 8;
    // Sixteen bytes are two stores (Zen 5).
    if (size === 16) memory.probe(address, 8, ACCESS_WRITE, mmu);
    memory.probe(address, size, ACCESS_WRITE, mmu);
    for (let k = 0; k < 16; k++) {
      if ((mask & (1 << k)) !== 0) {
        memory.write8(address + k, bytes[OFF_SCRATCH + 80 + k], mmu);
      }
    }
    return 0;
  },
);

/** MASKMOVQ and MASKMOVDQU: to DS:rDI, segment overrides allowed. */
const maskmov: Translate = (t, i) => {
  const b = t.b;
  const isSse = i.has66 !== 0;
  const register = (n: number): Value => b.get(isSse ? XMM[n] : MM[n & 7]);
  const mask = b.op(Op["i8x16.bitmask"], register(i.rm));
  const edi = t.reg(i.addrSize, 7);
  if (!isSse) enterMmx(t); // as hardware does even when the store faults
  const address = t.linear(
    i.segment,
    t.long ? t.resize(8, edi) : edi,
    isSse ? 16 : 8,
    true,
  );
  if (isSse && (t.key & KEY_ALIGN) !== 0) {
    // Not to 16 bytes, as MOVDQU (Zen 4, whatever the mask).
    t.checkAligned(address, 8);
  }
  b.set(SCRATCH128[1], register(i.reg));
  const what = isSse ? b.or(mask, b.i32(MASKMOV_16)) : b.zext8(mask);
  b.call(MASKMOV, t.addressArgument(address), what, b.i32(t.mmu));
};

const emms: Translate = (t) => {
  t.b.set(FTAG, t.b.i32(0));
  t.b.set(FTOP, t.b.i32(0));
};

/** Instructions that are MMX ones without a mandatory prefix. */
const INTEGER: Readonly<Record<string, Translate>> = {
  punpcklbw: unpackLow(1),
  punpcklwd: unpackLow(2),
  punpckldq: unpackLow(4),
  punpcklqdq: sse(interleave(8, 0)),
  punpckhbw: unpackHigh(1),
  punpckhwd: unpackHigh(2),
  punpckhdq: unpackHigh(4),
  punpckhqdq: sse(interleave(8, 1)),
  packsswb: pack("i8x16.narrow_i16x8_s"),
  packuswb: pack("i8x16.narrow_i16x8_u"),
  packssdw: pack("i16x8.narrow_i32x4_s"),
  pcmpeqb: both(v("i8x16.eq")),
  pcmpeqw: both(v("i16x8.eq")),
  pcmpeqd: both(v("i32x4.eq")),
  pcmpgtb: both(v("i8x16.gt_s")),
  pcmpgtw: both(v("i16x8.gt_s")),
  pcmpgtd: both(v("i32x4.gt_s")),
  paddb: both(v("i8x16.add")),
  paddw: both(v("i16x8.add")),
  paddd: both(v("i32x4.add")),
  paddq: both(v("i64x2.add")),
  paddsb: both(v("i8x16.add_sat_s")),
  paddsw: both(v("i16x8.add_sat_s")),
  paddusb: both(v("i8x16.add_sat_u")),
  paddusw: both(v("i16x8.add_sat_u")),
  psubb: both(v("i8x16.sub")),
  psubw: both(v("i16x8.sub")),
  psubd: both(v("i32x4.sub")),
  psubq: both(v("i64x2.sub")),
  psubsb: both(v("i8x16.sub_sat_s")),
  psubsw: both(v("i16x8.sub_sat_s")),
  psubusb: both(v("i8x16.sub_sat_u")),
  psubusw: both(v("i16x8.sub_sat_u")),
  pmullw: both(v("i16x8.mul")),
  pmulhw: both(
    mulHigh("i32x4.extmul_low_i16x8_s", "i32x4.extmul_high_i16x8_s"),
  ),
  pmulhuw: both(
    mulHigh("i32x4.extmul_low_i16x8_u", "i32x4.extmul_high_i16x8_u"),
  ),
  pmaddwd: both(v("i32x4.dot_i16x8_s")),
  pmuludq: both(pmuludq),
  psadbw: both(psadbw),
  pavgb: both(v("i8x16.avgr_u")),
  pavgw: both(v("i16x8.avgr_u")),
  pminub: both(v("i8x16.min_u")),
  pminsw: both(v("i16x8.min_s")),
  pmaxub: both(v("i8x16.max_u")),
  pmaxsw: both(v("i16x8.max_s")),
  pand: both(v("v128.and")),
  pandn: both((b, x, y) => b.op(Op["v128.andnot"], y, x)),
  por: both(v("v128.or")),
  pxor: both((b, x, y) => x === y ? zero(b) : b.op(Op["v128.xor"], x, y)),
  psrlw: shift(SHIFTS.psrlw),
  psrld: shift(SHIFTS.psrld),
  psrlq: shift(SHIFTS.psrlq),
  psraw: shift(SHIFTS.psraw),
  psrad: shift(SHIFTS.psrad),
  psllw: shift(SHIFTS.psllw),
  pslld: shift(SHIFTS.pslld),
  psllq: shift(SHIFTS.psllq),
  psrldq: onBytes(shiftBytes(1)),
  pslldq: onBytes(shiftBytes(-1)),
  pshufw,
  pshufd,
  pshuflw,
  pshufhw,
  movd,
  movq,
  movntq,
  pinsrw,
  pextrw,
  pmovmskb,
  maskmovq: maskmov,
  maskmovdqu: maskmov,
  emms,
};

/** An MMX instruction raises #MF if an x87 exception is pending. */
export function waiting(f: Translate): Translate {
  return withBinary((t, i) => {
    if ((i.has66 | i.rep) === 0) checkPendingX87(t);
    f(t, i);
  }, binaryOf(f));
}

/** MMX and SSE2 integer instructions, and moves of whole registers, by mnemonic. */
export const MMX: Readonly<Record<string, Translate>> = {
  ...Object.fromEntries(
    Object.entries(INTEGER).map(([name, f]) => [name, waiting(f)]),
  ),
  movq2dq,
  movdq2q,
  movdqa: moveAligned(0x7f),
  movdqu: moveUnaligned(0x7f),
  lddqu: moveUnaligned(-1),
  movntdq: moveAligned(0xe7),
  movaps: moveAligned(0x29),
  movapd: moveAligned(0x29),
  movups: moveUnaligned(0x11),
  movupd: moveUnaligned(0x11),
  movntps: moveAligned(0x2b),
  movntpd: moveAligned(0x2b),
};
