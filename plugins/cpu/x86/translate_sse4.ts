/**
 * The integer instructions and moves of SSE4.1 and SSE4.2 (SDM volume 1,
 * 12.10-12.12); translate_sse4_float.ts and translate_pcmpstr.ts have the rest.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op, type OpName } from "../../../core/ir/ops.ts";
import type { Insn } from "./decode.ts";
import { CF, XMM, ZF } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import {
  type Binary,
  first,
  lanes,
  readW,
  readWd,
  readWq,
  shuffle,
  sse,
  withBinary,
  zero,
} from "./translate_simd.ts";

const v = (name: OpName): Translate => sse((b, x, y) => b.op(Op[name], x, y));

// Blends.

/** Lanes of the source where the immediate has ones, of the destination elsewhere. */
function blend(width: number): Translate {
  const count = 16 / width;
  return sse((b, x, y, imm) => {
    const chosen = Array.from(
      { length: count },
      (_, k) => (imm >> k & 1) !== 0 ? count + k : k,
    );
    return shuffle(b, x, y, lanes(width, chosen));
  });
}

/** Lanes of the source where XMM0's are negative. */
function blendVariable(gt: OpName): Translate {
  return (t, i) => {
    const b = t.b;
    const y = readW(t, i);
    const negative = b.op(Op[gt], zero(b), b.get(XMM[0]));
    b.set(
      XMM[i.reg],
      b.op(Op["v128.bitselect"], y, b.get(XMM[i.reg]), negative),
    );
  };
}

/** PTEST: ZF if the operands have no common bit, CF if the source has none beyond the destination's. */
const ptest: Translate = (t, i) => {
  const b = t.b;
  const y = readW(t, i);
  const x = b.get(XMM[i.reg]);
  const none = (op: OpName): Value =>
    b.eqz(b.op(Op["v128.any_true"], b.op(Op[op], y, x)));
  t.setArithFlags(
    b.or(
      b.mul(none("v128.and"), b.i32(ZF)),
      b.mul(none("v128.andnot"), b.i32(CF)),
    ),
  );
};

// Extensions.

const EXTEND: Readonly<Record<string, readonly OpName[]>> = {
  sxbw: ["i16x8.extend_low_i8x16_s"],
  sxwd: ["i32x4.extend_low_i16x8_s"],
  sxdq: ["i64x2.extend_low_i32x4_s"],
  zxbw: ["i16x8.extend_low_i8x16_u"],
  zxwd: ["i32x4.extend_low_i16x8_u"],
  zxdq: ["i64x2.extend_low_i32x4_u"],
};

/** The low 16, 32 or 64 bits of a register, or so many of memory. */
export function readPart(t: Translator, i: Insn): Value {
  switch (t.size(1)) {
    case 8:
      return readWq(t, i);
    case 4:
      return readWd(t, i);
    default:
      return i.mod === 3
        ? t.b.get(XMM[i.rm])
        : t.b.op(Op["i32x4.splat"], t.load(Op["ld16u"], i));
  }
}

/** Extends the low lanes, in as many steps as are named. */
function extend(...steps: string[]): Translate {
  const ops = steps.flatMap((step) => EXTEND[step]);
  const f: Binary = (b, _x, y) => ops.reduce((v, op) => b.op(Op[op], v), y);
  return withBinary((t, i) => {
    const y = readPart(t, i);
    t.b.set(XMM[i.reg], f(t.b, y, y, 0));
  }, f);
}

// Multiplication, sums, the least word.

const EVEN_DWORDS = lanes(4, [0, 2, 0, 2]);
const pmuldq: Binary = (b, x, y) =>
  b.op(
    Op["i64x2.extmul_low_i32x4_s"],
    shuffle(b, x, x, EVEN_DWORDS),
    shuffle(b, y, y, EVEN_DWORDS),
  );

/** Eight words from the bytes `from` on of a vector, for {@linkcode shuffle} with zeros. */
const wordsFrom = (from: number): number[] =>
  Array.from({ length: 16 }, (_, k) => k & 1 ? 16 : from + (k >> 1));

/** One byte as eight words. */
const wordsOf = (byte: number): number[] =>
  Array.from({ length: 16 }, (_, k) => k & 1 ? 16 : byte);

/** Sums of the absolute differences of four bytes of the source and, eight times, of those at each byte of the destination. */
const mpsadbw: Binary = (b, x, y, imm) => {
  const first = 4 * (imm & 3), window = imm & 4;
  let sum: Value = 0;
  for (let k = 0; k < 4; k++) {
    const difference = b.op(
      Op["i16x8.abs"],
      b.op(
        Op["i16x8.sub"],
        shuffle(b, x, zero(b), wordsFrom(window + k)),
        shuffle(b, y, zero(b), wordsOf(first + k)),
      ),
    );
    sum = sum === 0 ? difference : b.op(Op["i16x8.add"], sum, difference);
  }
  return sum;
};

/** The least unsigned word and the number of the first lane that has it. */
const phminposuw: Binary = (b, _x, y) => {
  let least = y;
  for (const step of [4, 2, 1]) {
    const turned = lanes(2, [0, 1, 2, 3, 4, 5, 6, 7].map((n) => n ^ step));
    least = b.op(Op["i16x8.min_u"], least, shuffle(b, least, least, turned));
  }
  const at = b.op(
    Op["i32.ctz"],
    b.op(Op["i16x8.bitmask"], b.op(Op["i16x8.eq"], y, least)),
  );
  const word = b.op(Op["i16x8.extract_lane_u.0"], least);
  return b.op(
    Op["i32x4.replace_lane.0"],
    zero(b),
    b.or(word, b.shl(at, b.i32(16))),
  );
};

// Single lanes.

/** An operation on one of several lanes. */
const laneOp = (name: string, n: number): number =>
  Op[`${name}.${n}` as OpName];

/** PEXTRB. There is an operation for words only. */
const pextrb: Translate = (t, i) => {
  const b = t.b;
  const word = b.op(
    laneOp("i16x8.extract_lane_u", i.imm >> 1 & 7),
    b.get(XMM[i.reg]),
  );
  t.write(0, (i.imm & 1) !== 0 ? b.shrU(word, b.i32(8)) : b.zext8(word));
};

/** PEXTRW with the destination in ModRM's rm. */
const pextrw: Translate = (t, i) =>
  t.write(
    0,
    t.b.op(laneOp("i16x8.extract_lane_u", i.imm & 7), t.b.get(XMM[i.reg])),
  );

/** PEXTRD, PEXTRQ, EXTRACTPS. */
const pextrd: Translate = (t, i) => {
  const op = t.size(0) === 8
    ? laneOp("i64x2.extract_lane", i.imm & 1)
    : laneOp("i32x4.extract_lane", i.imm & 3);
  t.write(0, t.b.op(op, t.b.get(XMM[i.reg])));
};

const pinsrb: Translate = (t, i) => {
  const b = t.b;
  const e = b.op(Op["i8x16.splat"], t.read(i.vex ? 2 : 1));
  const bytes = Array.from({ length: 16 }, (_, k) => k);
  bytes[i.imm & 15] = 16;
  b.set(XMM[i.reg], shuffle(b, first(t, i), e, bytes));
};

/** PINSRD, PINSRQ. */
const pinsrd: Translate = (t, i) => {
  const b = t.b;
  const source = i.vex ? 2 : 1;
  const op = t.size(source) === 8
    ? laneOp("i64x2.replace_lane", i.imm & 1)
    : laneOp("i32x4.replace_lane", i.imm & 3);
  const e = t.read(source);
  b.set(XMM[i.reg], b.op(op, first(t, i), e));
};

/** INSERTPS: a lane of the source (in memory there is but one) into one of the destination; then the immediate's zeros. */
const insertps: Translate = (t, i) => {
  const b = t.b;
  const y = readWd(t, i);
  const from = i.mod === 3 ? i.imm >> 6 & 3 : 0;
  const chosen = [0, 1, 2, 3];
  chosen[i.imm >> 4 & 3] = 4 + from;
  const r = shuffle(b, first(t, i), y, lanes(4, chosen));
  const kept = [0, 1, 2, 3].map((k) => (i.imm >> k & 1) !== 0 ? 4 : k);
  b.set(XMM[i.reg], shuffle(b, r, zero(b), lanes(4, kept)));
};

/** MOVNTDQA: memory of any type is plain memory here. */
const movntdqa: Translate = (t, i) => t.b.set(XMM[i.reg], readW(t, i));

/** SSE4.1 and SSE4.2 without floating point and strings, by mnemonic. */
export const SSE4: Readonly<Record<string, Translate>> = {
  blendps: blend(4),
  blendpd: blend(8),
  pblendw: blend(2),
  blendvps: blendVariable("i32x4.gt_s"),
  blendvpd: blendVariable("i64x2.gt_s"),
  pblendvb: blendVariable("i8x16.gt_s"),
  ptest,
  pmovsxbw: extend("sxbw"),
  pmovsxbd: extend("sxbw", "sxwd"),
  pmovsxbq: extend("sxbw", "sxwd", "sxdq"),
  pmovsxwd: extend("sxwd"),
  pmovsxwq: extend("sxwd", "sxdq"),
  pmovsxdq: extend("sxdq"),
  pmovzxbw: extend("zxbw"),
  pmovzxbd: extend("zxbw", "zxwd"),
  pmovzxbq: extend("zxbw", "zxwd", "zxdq"),
  pmovzxwd: extend("zxwd"),
  pmovzxwq: extend("zxwd", "zxdq"),
  pmovzxdq: extend("zxdq"),
  pmuldq: sse(pmuldq),
  pmulld: v("i32x4.mul"),
  pcmpeqq: v("i64x2.eq"),
  pcmpgtq: v("i64x2.gt_s"),
  packusdw: v("i16x8.narrow_i32x4_u"),
  pminsb: v("i8x16.min_s"),
  pminsd: v("i32x4.min_s"),
  pminuw: v("i16x8.min_u"),
  pminud: v("i32x4.min_u"),
  pmaxsb: v("i8x16.max_s"),
  pmaxsd: v("i32x4.max_s"),
  pmaxuw: v("i16x8.max_u"),
  pmaxud: v("i32x4.max_u"),
  mpsadbw: sse(mpsadbw),
  phminposuw: sse(phminposuw),
  pextrb,
  pextrw4: pextrw,
  pextrd,
  extractps: pextrd,
  pinsrb,
  pinsrd,
  insertps,
  movntdqa,
};
