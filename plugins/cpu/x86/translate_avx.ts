/**
 * AVX and AVX2 instructions that SSE has nothing like: broadcasts, permutations
 * across halves, moves of halves, masked moves, shifts by a count for each lane.
 *
 * @module
 */

import { ACCESS_WRITE } from "../../../core/cpu/frontend.ts";
import type { Value } from "../../../core/ir/block.ts";
import type { IrBuilder } from "../../../core/ir/builder.ts";
import { Op, type OpName } from "../../../core/ir/ops.ts";
import { EXC_PF } from "./exceptions.ts";
import { define } from "./helpers.ts";
import type { X86 } from "./cpu.ts";
import {
  KEY_LONG,
  OFF_EXC_VECTOR,
  OFF_SCRATCH,
  SCRATCH,
  SCRATCH128,
  XMM,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import { lanes, pattern, readW, shuffle, zero } from "./translate_simd.ts";
import {
  elementAddress,
  readWide,
  register,
  setRegister,
  store128,
  type Wide,
} from "./vex_operands.ts";

type Half = (b: IrBuilder, x: Value, y: Value, imm: number) => Value;

/** `op Vx,Hx,Wx`, half by half; `bits`: how many bits of the immediate each half has. */
function halves(f: Half, bits = 0): Translate {
  return (t, i) => {
    const y = readWide(t, i);
    const x = register(t, i, i.vvvv);
    const hi = i.vexL === 0 ? 0 : f(t.b, x.hi, y.hi, i.imm >> bits);
    setRegister(t, i.reg, { lo: f(t.b, x.lo, y.lo, i.imm), hi });
  };
}

// Broadcasts.

/** From a register's lowest lane or from memory. */
function broadcast(width: number, load: OpName, splat: OpName): Translate {
  const bytes = lanes(width, new Array(16 / width).fill(0));
  return (t, i) => {
    const b = t.b;
    let v: Value;
    if (i.mod === 3) {
      const x = b.get(XMM[i.rm]);
      v = shuffle(b, x, x, bytes);
    } else v = b.op(Op[splat], t.load(Op[load], i));
    setRegister(t, i.reg, { lo: v, hi: i.vexL === 0 ? 0 : v });
  };
}

const broadcast128: Translate = (t, i) => {
  const v = readW(t, i);
  setRegister(t, i.reg, { lo: v, hi: v });
};

// Permutations within a half.

const select4 = (imm: number): number[] =>
  [0, 2, 4, 6].map((n) => (imm >> n) & 3);

/** Byte indices from a vector of dword indices 0 to 3. */
function dwordIndices(b: IrBuilder, control: Value): Value {
  const n = b.op(Op["v128.and"], control, pattern(b, 3, 0, 0, 0));
  const first = b.op(Op["i32x4.mul"], n, pattern(b, 4));
  return b.op(Op["i32x4.add"], first, pattern(b, 0, 1, 2, 3));
}

const permuteSingles: Half = (b, x, y) =>
  b.op(Op["i8x16.swizzle"], x, dwordIndices(b, y));

/** Bit 1 of each control chooses. */
const permuteDoubles: Half = (b, x, y) => {
  const n = b.op(
    Op["v128.and"],
    b.op(Op["i64x2.shr_u"], y, b.i32(1)),
    pattern(b, 1, 0, 0, 0, 0, 0, 0, 0),
  );
  const first = b.op(Op["i64x2.mul"], n, pattern(b, 8));
  return b.op(
    Op["i8x16.swizzle"],
    x,
    b.op(Op["i64x2.add"], first, pattern(b, 0, 1, 2, 3, 4, 5, 6, 7)),
  );
};

const vpermilps: Translate = (t, i) =>
  (i.row.usesVvvv ? variableSingles : immediateSingles)(t, i);
const variableSingles = halves(permuteSingles);
const immediateSingles = halves((b, _x, y, imm) =>
  shuffle(b, y, y, lanes(4, select4(imm)))
);
const vpermilpd: Translate = (t, i) =>
  (i.row.usesVvvv ? variableDoubles : immediateDoubles)(t, i);
const variableDoubles = halves(permuteDoubles);
const immediateDoubles = halves(
  (b, _x, y, imm) => shuffle(b, y, y, lanes(8, [imm & 1, (imm >> 1) & 1])),
  2,
);

// Permutations across halves.

/** VPERMD, VPERMPS: VEX.vvvv has the indices. */
const permute8: Translate = (t, i) => {
  const b = t.b;
  const y = readWide(t, i);
  const control = register(t, i, i.vvvv);
  const half = (c: Value): Value => {
    const bytes = dwordIndices(b, c);
    const upper = b.op(
      Op["i32x4.shr_s"],
      b.op(Op["i32x4.shl"], c, b.i32(29)),
      b.i32(31),
    );
    return b.op(
      Op["v128.bitselect"],
      b.op(Op["i8x16.swizzle"], y.hi, bytes),
      b.op(Op["i8x16.swizzle"], y.lo, bytes),
      upper,
    );
  };
  setRegister(t, i.reg, { lo: half(control.lo), hi: half(control.hi) });
};

/** VPERMQ, VPERMPD. */
const permute4: Translate = (t, i) => {
  const { lo, hi } = readWide(t, i);
  const [p, q, r, s] = select4(i.imm);
  setRegister(t, i.reg, {
    lo: shuffle(t.b, lo, hi, lanes(8, [p, q])),
    hi: shuffle(t.b, lo, hi, lanes(8, [r, s])),
  });
};

/** VPERM2F128, VPERM2I128: four bits for each half of the result. */
const permute2: Translate = (t, i) => {
  const y = readWide(t, i);
  const x = register(t, i, i.vvvv);
  const from = [x.lo, x.hi, y.lo, y.hi];
  const half = (control: number): Value =>
    (control & 8) !== 0 ? zero(t.b) : from[control & 3];
  setRegister(t, i.reg, { lo: half(i.imm), hi: half(i.imm >> 4) });
};

const insert128: Translate = (t, i) => {
  const y = readW(t, i);
  const x = register(t, i, i.vvvv);
  setRegister(
    t,
    i.reg,
    (i.imm & 1) === 0 ? { lo: y, hi: x.hi } : { lo: x.lo, hi: y },
  );
};

const extract128: Translate = (t, i) => {
  const x = register(t, i, i.reg);
  const v = (i.imm & 1) === 0 ? x.lo : x.hi;
  if (i.mod === 3) return setRegister(t, i.rm, { lo: v, hi: 0 });
  store128(t, i, v);
};

// Blends.

/** Lanes of the second source where the immediate has a bit. */
const vpblendd = halves(
  (b, x, y, imm) =>
    shuffle(
      b,
      x,
      y,
      lanes(4, [0, 1, 2, 3].map((n) => n + ((imm >> n) & 1) * 4)),
    ),
  4,
);

/** By the signs of the lanes of a fourth register. */
function blendVariable(signs: (b: IrBuilder, mask: Value) => Value): Translate {
  return (t, i) => {
    const b = t.b;
    const y = readWide(t, i);
    const x = register(t, i, i.vvvv);
    const m = register(t, i, i.immRegister);
    const half = (p: Value, q: Value, mask: Value): Value =>
      b.op(Op["v128.bitselect"], q, p, signs(b, mask));
    const hi = i.vexL === 0 ? 0 : half(x.hi, y.hi, m.hi);
    setRegister(t, i.reg, { lo: half(x.lo, y.lo, m.lo), hi });
  };
}

// Tests.

/** ZF: no bit is in both; CF: none of the source is missing in the destination. The others are 0. */
function test(bitsOf: (b: IrBuilder, v: Value) => Value): Translate {
  return (t, i) => {
    const b = t.b;
    const y = readWide(t, i);
    const x = register(t, i, i.reg);
    const none = (op: OpName): Value => {
      let bits = bitsOf(b, b.op(Op[op], y.lo, x.lo));
      if (y.hi !== 0) bits = b.or(bits, bitsOf(b, b.op(Op[op], y.hi, x.hi)));
      return b.eqz(bits);
    };
    const zf = b.shl(none("v128.and"), b.i32(6));
    t.setArithFlags(b.or(zf, none("v128.andnot")));
  };
}

// Shifts with a count for each lane.

type Count = (b: IrBuilder, v: Value, n: Value) => Value;

/** Shifts dwords; counts of 32 and more give `beyond`. */
function shiftDwords(op: OpName, arithmetic: boolean): Half {
  const one: Count = (b, v, n) => {
    const inside = b.ltU(n, b.i32(32));
    if (arithmetic) return b.op(Op[op], v, b.select(inside, n, b.i32(31)));
    return b.select(inside, b.op(Op[op], v, n), b.i32(0));
  };
  return (b, x, y) => {
    let r = x;
    for (let n = 0; n < 4; n++) {
      const get = Op[`i32x4.extract_lane.${n}` as OpName];
      const put = Op[`i32x4.replace_lane.${n}` as OpName];
      r = b.op(put, r, one(b, b.op(get, x), b.op(get, y)));
    }
    return r;
  };
}

function shiftQwords(op: OpName): Half {
  return (b, x, y) => {
    let r = x;
    for (let n = 0; n < 2; n++) {
      const get = Op[`i64x2.extract_lane.${n}` as OpName];
      const put = Op[`i64x2.replace_lane.${n}` as OpName];
      const count = b.op(get, y);
      const shifted = b.op(Op[op], b.op(get, x), count);
      const inside = b.op(Op["i64.lt_u"], count, b.i64(64));
      r = b.op(put, r, b.op(Op["i64.select"], shifted, b.i64(0), inside));
    }
    return r;
  };
}

// Masked moves.

// In the second argument of the helpers of masked moves, above the mask: lanes
// have 8 bytes, not 4; there are eight, not four; the segment.
const QWORDS = 0x100, LONG = 0x200, SEGMENT_SHIFT = 12;
/** The operands: two vectors side by side. */
const DATA = OFF_SCRATCH + 80;

/** A lane of 8 bytes on its way. */
const element = new Int32Array(2);

/**
 * A lane at this offset has faulted. In 32-bit code one past the end of 4 GiB
 * does so before its page is looked at.
 */
function noteFault(cpu: X86, offset: number, isStore: boolean): void {
  if (offset < 2 ** 32 || (cpu.key() & KEY_LONG) !== 0) return;
  if (cpu.state[OFF_EXC_VECTOR >> 2] === EXC_PF) cpu.recordEnd(isStore);
}

/** Loads the lanes that the mask has, clears the others. Arguments: offset, mask, MMU index. */
const MASK_LOAD = define(
  "mask_load",
  3,
  {
    faults: true,
    reads: [SCRATCH[0]],
    writes: [SCRATCH128[1], SCRATCH128[2]],
  },
  (cpu) => (low, what, mmu) => {
    const s = cpu.state, offset = cpu.addressArgument(low);
    const words = (what & QWORDS) !== 0 ? 2 : 1;
    const size = 4 * words;
    const count = (what & LONG) !== 0 ? 8 : 4;
    const segment = what >> SEGMENT_SHIFT;
    s.fill(0, DATA >> 2, (DATA >> 2) + count);
    let n = 0;
    try {
      for (; n < count; n += words) {
        if ((what & (1 << n / words)) === 0) continue;
        const at = elementAddress(cpu, segment, offset + 4 * n, size, false);
        const to = (DATA >> 2) + n;
        if (words === 1) s[to] = cpu.mmu.read32(at, mmu);
        else {
          cpu.mmu.read64(at, element, mmu);
          s[to] = element[0];
          s[to + 1] = element[1];
        }
      }
    } catch (error) {
      noteFault(cpu, offset + 4 * n, false);
      throw error;
    }
    return 0;
  },
);

/** Stores the lanes that the mask has; none if one of them faults. */
const MASK_STORE = define(
  "mask_store",
  3,
  {
    faults: true,
    reads: [SCRATCH[0], SCRATCH128[1], SCRATCH128[2]],
    writes: [],
  },
  (cpu) => (low, what, mmu) => {
    const s = cpu.state, offset = cpu.addressArgument(low);
    const words = (what & QWORDS) !== 0 ? 2 : 1;
    const size = 4 * words;
    const count = (what & LONG) !== 0 ? 8 : 4;
    const segment = what >> SEGMENT_SHIFT;
    let lane = 0;
    try {
      for (; lane < count; lane += words) {
        if ((what & (1 << lane / words)) === 0) continue;
        const at = elementAddress(cpu, segment, offset + 4 * lane, size, true);
        cpu.mmu.probe(at, size, ACCESS_WRITE, mmu);
      }
    } catch (error) {
      noteFault(cpu, offset + 4 * lane, true);
      throw error;
    }
    for (let n = 0; n < count; n += words) {
      if ((what & (1 << n / words)) === 0) continue;
      const at = elementAddress(cpu, segment, offset + 4 * n, size, true);
      const from = (DATA >> 2) + n;
      if (words === 1) cpu.mmu.write32(at, s[from], mmu);
      else {
        element[0] = s[from];
        element[1] = s[from + 1];
        cpu.mmu.write64(at, element, mmu);
      }
    }
    return 0;
  },
);

/** VMASKMOVPS, VPMASKMOVD and their kin: masks are signs of the lanes of VEX.vvvv. */
function maskMove(width: 4 | 8): Translate {
  const op = Op[width === 4 ? "i32x4.bitmask" : "i64x2.bitmask"];
  const count = 16 / width;
  const signs = (t: Translator, { lo, hi }: Wide): Value => {
    const b = t.b;
    const low = b.op(op, lo);
    return hi === 0 ? low : b.or(low, b.shl(b.op(op, hi), b.i32(count)));
  };
  return (t, i) => {
    const b = t.b;
    const isStore = (i.opcode & 2) !== 0; // not 2C, 2D, 8C
    const mask = signs(t, register(t, i, i.vvvv));
    const form = (width === 8 ? QWORDS : 0) | (i.vexL !== 0 ? LONG : 0) |
      i.segment << SEGMENT_SHIFT;
    const what = b.or(mask, b.i32(form));
    // In 64-bit mode there is no segment to be checked for each lane.
    const at = t.long ? t.ea(i, 16 << i.vexL, isStore) : t.offset(i);
    const offset = t.addressArgument(at);
    if (isStore) {
      const { lo, hi } = register(t, i, i.reg);
      b.set(SCRATCH128[1], lo);
      if (hi !== 0) b.set(SCRATCH128[2], hi);
      b.call(MASK_STORE, offset, what, b.i32(t.mmu));
    } else {
      b.call(MASK_LOAD, offset, what, b.i32(t.mmu));
      setRegister(t, i.reg, {
        lo: b.get(SCRATCH128[1]),
        hi: i.vexL === 0 ? 0 : b.get(SCRATCH128[2]),
      });
    }
  };
}
const maskMove4 = maskMove(4), maskMove8 = maskMove(8);

/** The functions, by the names that the instruction table uses. */
export const AVX: Readonly<Record<string, Translate>> = {
  vbroadcastss: broadcast(4, "ld32", "i32x4.splat"),
  vbroadcastsd: broadcast(8, "ld64", "i64x2.splat"),
  vbroadcastf128: broadcast128,
  vbroadcasti128: broadcast128,
  vpbroadcastb: broadcast(1, "ld8u", "i8x16.splat"),
  vpbroadcastw: broadcast(2, "ld16u", "i16x8.splat"),
  vpbroadcastd: broadcast(4, "ld32", "i32x4.splat"),
  vpbroadcastq: broadcast(8, "ld64", "i64x2.splat"),
  vpermilps,
  vpermilpd,
  vpermd: permute8,
  vpermps: permute8,
  vpermq: permute4,
  vpermpd: permute4,
  vperm2f128: permute2,
  vperm2i128: permute2,
  vinsertf128: insert128,
  vinserti128: insert128,
  vextractf128: extract128,
  vextracti128: extract128,
  vpblendd,
  vblendvps: blendVariable((b, m) => b.op(Op["i32x4.shr_s"], m, b.i32(31))),
  vblendvpd: blendVariable((b, m) => b.op(Op["i64x2.shr_s"], m, b.i32(63))),
  vpblendvb: blendVariable((b, m) => b.op(Op["i8x16.gt_s"], zero(b), m)),
  vptest: test((b, v) => b.op(Op["v128.any_true"], v)),
  vtestps: test((b, v) => b.op(Op["i32x4.bitmask"], v)),
  vtestpd: test((b, v) => b.op(Op["i64x2.bitmask"], v)),
  vpsllvd: halves(shiftDwords("i32.shl", false)),
  vpsrlvd: halves(shiftDwords("i32.shr_u", false)),
  vpsravd: halves(shiftDwords("i32.shr_s", true)),
  vpsllvq: halves(shiftQwords("i64.shl")),
  vpsrlvq: halves(shiftQwords("i64.shr_u")),
  vmaskmovps: maskMove4,
  vmaskmovpd: maskMove8,
  vpmaskmovd: maskMove4,
  vpmaskmovq: maskMove8,
};
