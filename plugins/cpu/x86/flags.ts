/**
 * Lazy condition codes: the last flag-setting operation is remembered
 * (CC_OP, CC_DST, CC_SRC, CC_SRC2 in the state) instead of the six flags.
 *
 * What the words hold, by CC_OP (see state.ts; the size is in its low 2 bits):
 * - CC_DST, the result: only its low 8, 16, 32 or 64 bits count;
 * - CC_SRC, CC_SRC2: zero-extended.
 * Code of 64-bit mode writes all 64 bits of them, other code the low half.
 *
 * Flags come from them in two ways that must agree: {@linkcode arithFlags} and
 * {@linkcode condition} here in TypeScript, when CC_OP is only known at run
 * time, and `LazyFlags` (lazy_flags.ts) in IR, when it is known while translating.
 *
 * @module
 */

import {
  AF,
  ARITH_FLAGS,
  CC_EFLAGS,
  CC_OVERRIDE,
  CC_ROL,
  CC_ROR,
  CF,
  OF,
  OFF_CC_DST,
  OFF_CC_OP,
  OFF_CC_OVER,
  OFF_CC_SRC,
  OFF_CC_SRC2,
  PF,
  SF,
  ZF,
} from "./state.ts";

/** Groups of CC_OP: all but its size and override. Constants of this file, for the hot switch. */
export const G_EFLAGS = 0,
  G_ADD = 1,
  G_ADC = 2,
  G_SUB = 3,
  G_SBB = 4,
  G_LOGIC = 5,
  G_INC = 6,
  G_DEC = 7,
  G_SHL = 8,
  G_SAR = 9,
  G_MUL = 10,
  G_IMUL = 11;

/** Parity: PF for each byte. */
const PARITY = Uint8Array.from({ length: 256 }, (_, v) => {
  let p = v ^ (v >> 4);
  p ^= p >> 2;
  p ^= p >> 1;
  return (p & 1) !== 0 ? 0 : PF;
});

/** PF, ZF and SF of a result of `size` bytes. */
export function resultFlags(size: number, result: number): number {
  const shift = 32 - 8 * size;
  return PARITY[result & 0xff] | (result << shift === 0 ? ZF : 0) |
    (result << shift < 0 ? SF : 0);
}

/** CF, PF, AF, ZF, SF and OF of a lazy state. */
export function arithFlags(
  op: number,
  dst: number,
  src: number,
  src2: number,
  over: number,
): number {
  const flags = operationFlags(op & ~CC_OVERRIDE, dst, src, src2);
  const kind = op & CC_OVERRIDE;
  if (kind === 0) return flags;
  let bits = over & (CF | OF);
  const top = over >>> 31;
  if (kind === CC_ROL) bits = (over & 1) | ((top ^ (over & 1)) << 11);
  else if (kind === CC_ROR) bits = top | ((top ^ ((over >> 30) & 1)) << 11);
  return flags & ~(CF | OF) | bits;
}

/** The flags of a lazy state without override. */
function operationFlags(
  op: number,
  dst: number,
  src: number,
  src2: number,
): number {
  const group = op >> 2;
  if (group === G_EFLAGS) return src & ARITH_FLAGS;
  const size = op & 3;
  const shift = size === 0 ? 24 : size === 1 ? 16 : 0;
  const mask = size === 0 ? 0xff : size === 1 ? 0xffff : -1;
  const result = dst & mask;
  let flags = PARITY[dst & 0xff] | (result === 0 ? ZF : 0) |
    (dst << shift < 0 ? SF : 0);
  switch (group) {
    case G_ADD:
    case G_ADC: {
      const carryIn = group === G_ADC ? src2 : 0;
      const a = (result - src - carryIn) & mask;
      if (
        carryIn !== 0 ? result >>> 0 <= src >>> 0 : result >>> 0 < src >>> 0
      ) {
        flags |= CF;
      }
      if ((((result ^ a) & (result ^ src)) << shift) < 0) flags |= OF;
      return flags | ((result ^ a ^ src) & AF);
    }
    case G_SUB:
    case G_SBB: {
      const borrow = group === G_SBB ? src2 : 0;
      const a = (result + src + borrow) & mask;
      if (borrow !== 0 ? a >>> 0 <= src >>> 0 : a >>> 0 < src >>> 0) {
        flags |= CF;
      }
      if ((((a ^ src) & (a ^ result)) << shift) < 0) flags |= OF;
      return flags | ((result ^ a ^ src) & AF);
    }
    case G_LOGIC:
      return flags;
    case G_INC:
      if ((result & 15) === 0) flags |= AF;
      if (result << shift === -0x80000000) flags |= OF;
      return flags | (src & CF);
    case G_DEC:
      if ((result & 15) === 15) flags |= AF;
      if (((result + 1) << shift) === -0x80000000) flags |= OF;
      return flags | (src & CF);
    case G_SHL:
      if ((src << shift) < 0) flags |= CF;
      if (((src ^ result) << shift) < 0) flags |= OF;
      return flags;
    case G_SAR:
      if (((src ^ result) << shift) < 0) flags |= OF;
      return flags | (src & CF);
    case G_MUL:
      return src !== 0 ? flags | CF | OF : flags;
    case G_IMUL: {
      // Rounded to a double the product is still on its side of the bound.
      const product = src * src2;
      const bound = size === 1 ? 0x8000 : 0x80000000;
      return product < -bound || product >= bound ? flags | CF | OF : flags;
    }
  }
  throw new Error(`unknown CC_OP ${op}`);
}

/** Whether condition `cc` (0 O, 2 B, 4 Z, 6 BE, 8 S, 10 P, 12 L, 14 LE; odd: not) holds in `flags`. */
export function condition(cc: number, flags: number): boolean {
  let holds = false;
  switch (cc >> 1) {
    case 0:
      holds = (flags & OF) !== 0;
      break;
    case 1:
      holds = (flags & CF) !== 0;
      break;
    case 2:
      holds = (flags & ZF) !== 0;
      break;
    case 3:
      holds = (flags & (CF | ZF)) !== 0;
      break;
    case 4:
      holds = (flags & SF) !== 0;
      break;
    case 5:
      holds = (flags & PF) !== 0;
      break;
    case 6:
      holds = ((flags >> 7) & 1) !== ((flags >> 11) & 1);
      break;
    case 7:
      holds = (flags & ZF) !== 0 || ((flags >> 7) & 1) !== ((flags >> 11) & 1);
      break;
  }
  return holds !== ((cc & 1) !== 0);
}

/** An unsigned number of 64 bits, from two words. */
export function wideAt(i32: Int32Array, word: number): bigint {
  return BigInt(i32[word + 1] >>> 0) << 32n | BigInt(i32[word] >>> 0);
}

/**
 * The flags of a lazy state of 64-bit operands, without override. Whoever knows
 * the operation while translating does not come here.
 */
export function wideFlags(
  group: number,
  dst: bigint,
  src: bigint,
  src2: bigint,
): number {
  const cut = (v: bigint): bigint => BigInt.asUintN(64, v);
  const negative = (v: bigint): boolean => BigInt.asIntN(64, v) < 0n;
  let flags = PARITY[Number(dst & 0xffn)] | (dst === 0n ? ZF : 0) |
    (negative(dst) ? SF : 0);
  const carryIn = group === G_ADC || group === G_SBB ? src2 : 0n;
  switch (group) {
    case G_ADD:
    case G_ADC: {
      const a = cut(dst - src - carryIn);
      if (carryIn !== 0n ? dst <= src : dst < src) flags |= CF;
      if (negative((dst ^ a) & (dst ^ src))) flags |= OF;
      return flags | Number((dst ^ a ^ src) & BigInt(AF));
    }
    case G_SUB:
    case G_SBB: {
      const a = cut(dst + src + carryIn);
      if (carryIn !== 0n ? a <= src : a < src) flags |= CF;
      if (negative((a ^ src) & (a ^ dst))) flags |= OF;
      return flags | Number((dst ^ a ^ src) & BigInt(AF));
    }
    case G_LOGIC:
      return flags;
    case G_INC:
      if (src !== 0n) flags |= CF;
      if (dst === 1n << 63n) flags |= OF;
      return (dst & 15n) === 0n ? flags | AF : flags;
    case G_DEC:
      if (src !== 0n) flags |= CF;
      if (dst === (1n << 63n) - 1n) flags |= OF;
      return (dst & 15n) === 15n ? flags | AF : flags;
    case G_SHL:
      if (negative(src)) flags |= CF;
      return negative(src ^ dst) ? flags | OF : flags;
    case G_SAR:
      if ((src & 1n) !== 0n) flags |= CF;
      return negative(src ^ dst) ? flags | OF : flags;
    case G_MUL:
      return src !== 0n ? flags | CF | OF : flags;
    case G_IMUL: {
      const product = BigInt.asIntN(64, src) * BigInt.asIntN(64, src2);
      return product === BigInt.asIntN(64, product) ? flags : flags | CF | OF;
    }
  }
  throw new Error(`unknown CC_OP group ${group}`);
}

/** The six arithmetic flags of the CPU whose state stands at byte `base` of `i32`. */
export function stateFlags(i32: Int32Array, base: number): number {
  const op = i32[(base + OFF_CC_OP) >> 2];
  const group = (op & ~CC_OVERRIDE) >> 2;
  if ((op & 3) === 3 && group !== G_EFLAGS) {
    const flags = wideFlags(
      group,
      wideAt(i32, (base + OFF_CC_DST) >> 2),
      wideAt(i32, (base + OFF_CC_SRC) >> 2),
      wideAt(i32, (base + OFF_CC_SRC2) >> 2),
    );
    // The override, over flags that are explicit.
    const explicit = CC_EFLAGS | op & CC_OVERRIDE;
    const over = i32[(base + OFF_CC_OVER) >> 2];
    return arithFlags(explicit, 0, flags, 0, over);
  }
  return arithFlags(
    i32[(base + OFF_CC_OP) >> 2],
    i32[(base + OFF_CC_DST) >> 2],
    i32[(base + OFF_CC_SRC) >> 2],
    i32[(base + OFF_CC_SRC2) >> 2],
    i32[(base + OFF_CC_OVER) >> 2],
  );
}

/** Writes the six arithmetic flags into a CPU's state. */
export function setStateFlags(
  i32: Int32Array,
  base: number,
  flags: number,
): void {
  i32[(base + OFF_CC_OP) >> 2] = CC_EFLAGS;
  i32[(base + OFF_CC_SRC) >> 2] = flags & ARITH_FLAGS;
}
