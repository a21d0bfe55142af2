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
 * time, and {@linkcode LazyFlags} in IR, when it is known while translating.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import { define } from "./helpers.ts";
import { ARITHMETIC_FLAGS, CONDITION } from "./integer_kernel.ts";
import { Operands } from "./operands.ts";
import {
  AF,
  ARITH_FLAGS,
  CC_BITS,
  CC_DST,
  CC_DST64,
  CC_EFLAGS,
  CC_LOGIC,
  CC_OP,
  CC_OVER,
  CC_OVERRIDE,
  CC_ROL,
  CC_ROR,
  CC_SRC,
  CC_SRC2,
  CC_SRC2_64,
  CC_SRC64,
  CC_SUB,
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

// Same-file constants for the hot switch: groups of CC_OP.
const G_EFLAGS = 0,
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

/**
 * The `aux` word of an instruction (see `Frontend.restore`): CC_OP at its start
 * in the low byte, 0xff when the state's is right;
 */
export const AUX_CC_OP = 0xff;
/** and this bit unless a page fault of its loads is to be reported as one of a store. */
export const AUX_NOT_MODIFIES = 0x100;
/** In the same word: its accesses are not to the stack segment, so that an address that is not canonical raises #GP. */
export const AUX_NOT_STACK = 0x200;
/** And these: what it stores (PUSH and CALL with an operand in memory), or loads (POP), is not of the stack segment. */
export const AUX_NOT_PUSH = 0x400, AUX_NOT_POP = 0x800;
/** And this one unless the segments that it accesses begin at 0 and have 4 GiB (not asked in 64-bit mode). */
export const AUX_NOT_FLAT = 0x1000;
/** And this one unless it has an operand of 32 bytes, which two accesses make. */
export const AUX_NOT_WIDE = 0x2000;

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

const READS = [CC_OP, CC_DST, CC_SRC, CC_SRC2, CC_OVER];
/** The six flags as bits. */
const CC_FLAGS: Helper = define(
  "cc_flags",
  0,
  { reads: READS, writes: [], pure: true, native: ARITHMETIC_FLAGS },
  (cpu) => () => stateFlags(cpu.state, 0),
);
/** Condition number a: 0 or 1. */
const CC_CONDITION: Helper = define(
  "cc_condition",
  1,
  { reads: READS, writes: [], pure: true, native: CONDITION },
  (cpu) => (cc) => condition(cc, stateFlags(cpu.state, 0)) ? 1 : 0,
);

const POPCNT = Op["i32.popcnt"];
const LT_S = Op["i32.lt_s"];
const LE_S = Op["i32.le_s"];
const GE_S = Op["i32.ge_s"];
const GT_S = Op["i32.gt_s"];
const LT_U = Op["i32.lt_u"];
const LE_U = Op["i32.le_u"];
const GE_U = Op["i32.ge_u"];
const GT_U = Op["i32.gt_u"];

/** Lazy flags while a block is translated: what is known of CC_OP statically. */
export class LazyFlags extends Operands {
  /** CC_OP at this point if it is known, else -1: then the state's is right. */
  ccOp: number = -1;
  /** The block is compiled with its neighbours. */
  protected compiled = false;
  /** Knowing CC_OP at the block's start would have made better IR. */
  wantsEntry = false;
  /** CC_OP in the state is right. */
  #stored = true;
  /** CC_OP is still what it was at the block's start. */
  #untouched = true;
  /** First operand of the last SUB, SBB, ADD or ADC, or 0 if it is not at hand. */
  #first: Value = 0;

  /** Starts a block: CC_OP is `entry`, or unknown (-1); either way the state is right. */
  protected startFlags(entry: number): void {
    this.ccOp = entry;
    this.wantsEntry = false;
    this.#untouched = true;
    this.#stored = true;
    this.#first = 0;
  }

  /** The `aux` word of an instruction that starts here: see `Frontend.restore`. */
  get ccAux(): number {
    return this.#stored ? -1 : this.ccOp | ~AUX_CC_OP;
  }

  /**
   * Notes a flag-setting operation: `op` is one of the CC_ groups, `size` its
   * operand size in bytes, `dst` the result. `src` and `src2` as state.ts says
   * (zero-extended); `first` the first operand, if it is at hand.
   */
  setFlags(
    op: number,
    size: number,
    dst: Value,
    src: Value = 0,
    src2: Value = 0,
    first: Value = 0,
  ): void {
    const b = this.b;
    this.#setDst(dst);
    // What the operation does not use is overwritten all the same: what was
    // there (the carry that INC keeps, got by a helper) is dead then, even if
    // the block is left by a fault before its end.
    if (src !== 0) this.#setSrc(src);
    else if (this.compiled) this.#setSrc(b.i32(0));
    if (src2 !== 0) {
      if (this.long) b.set(CC_SRC2_64, this.resize(8, src2));
      else b.set(CC_SRC2, src2);
    }
    this.ccOp = op + logOf(size);
    this.#untouched = false;
    this.#stored = false;
    this.#first = first;
  }

  #setDst(v: Value): void {
    if (this.long) this.b.set(CC_DST64, this.resize(8, v));
    else this.b.set(CC_DST, v);
  }

  #setSrc(v: Value): void {
    if (this.long) this.b.set(CC_SRC64, this.resize(8, v));
    else this.b.set(CC_SRC, v);
  }

  /** The result, as a value of `size` bytes. */
  #dst(size: number): Value {
    const b = this.b;
    return this.resize(size, b.get(this.long ? CC_DST64 : CC_DST));
  }

  /** The source, as a value of `size` bytes. */
  #src(size: number): Value {
    const b = this.b;
    return this.resize(size, b.get(this.long ? CC_SRC64 : CC_SRC));
  }

  /** The second source, as a value of `size` bytes. */
  #src2(size: number): Value {
    const b = this.b;
    return this.resize(size, b.get(this.long ? CC_SRC2_64 : CC_SRC2));
  }

  /** Makes the flags those bits of `v` (others are ignored). */
  setArithFlags(v: Value): void {
    this.#setSrc(this.b.and(v, this.b.i32(ARITH_FLAGS)));
    this.ccOp = CC_EFLAGS;
    this.#untouched = false;
    this.#stored = false;
  }

  /**
   * Makes CF and OF come from `v`, as CC_ROL, CC_ROR or CC_BITS says; the other
   * flags stay. `count`: only if it is not 0, when it is given.
   */
  override(kind: number, v: Value, count: Value = 0): void {
    const b = this.b;
    const known = this.known;
    const isSame = known && (this.ccOp & CC_OVERRIDE) === kind;
    const old = known ? b.i32(this.ccOp) : b.get(CC_OP);
    const changed = b.or(b.and(old, b.i32(~CC_OVERRIDE)), b.i32(kind));
    const always = count === 0 || b.isConst(count);
    b.set(CC_OVER, always ? v : b.select(count, v, b.get(CC_OVER)));
    this.#untouched = false;
    if (isSame) return;
    if (known && always) {
      this.ccOp = b.constOf(changed);
      this.#stored = false;
    } else {
      b.set(CC_OP, always ? changed : b.select(count, changed, old));
      this.ccOp = -1;
      this.#stored = true;
    }
  }

  /** Sets CF to `bit` (0 or 1) and clears OF; the other flags stay. */
  setCarry(bit: Value): void {
    this.override(CC_BITS, bit);
  }

  /**
   * Makes the flags depend on a condition known only at run time: if it is not
   * 0 those of the given operation, else the present ones.
   */
  setFlagsIf(
    condition: Value,
    op: number,
    size: number,
    dst: Value,
    src: Value,
  ): void {
    const b = this.b;
    const old = this.known ? b.i32(this.ccOp) : b.get(CC_OP);
    b.set(CC_OP, b.select(condition, b.i32(op + logOf(size)), old));
    const all = this.long ? 8 : 4;
    const [d, s] = [this.#dst(all), this.#src(all)];
    this.#setDst(b.select(condition, this.resize(all, dst), d));
    this.#setSrc(b.select(condition, this.resize(all, src), s));
    this.ccOp = -1;
    this.#untouched = false;
    this.#stored = true;
  }

  /** Stores CC_OP, so that the flags in the state are right. */
  syncFlags(): void {
    if (this.#stored) return;
    if (this.compiled && (this.ccOp & ~CC_OVERRIDE) >> 2 === G_LOGIC) {
      // The flags of a comparison with 0: blocks that end in TEST and in CMP
      // then agree on CC_OP.
      this.ccOp += CC_SUB - CC_LOGIC;
      this.#setSrc(this.b.i32(0));
      this.#first = 0;
    }
    this.b.set(CC_OP, this.b.i32(this.ccOp));
    this.#stored = true;
  }

  /** A helper has written the flags in the state: nothing is known of them. */
  forgetFlags(): void {
    this.ccOp = -1;
    this.#untouched = false;
    this.#stored = true;
    this.#first = 0;
  }

  /** Whether CC_OP is known; asking notes that it is wanted. */
  protected get known(): boolean {
    if (this.ccOp >= 0) return true;
    if (this.#untouched) this.wantsEntry = true;
    return false;
  }

  /** The first operand of a subtraction. */
  #minuend(withBorrow: boolean): Value {
    if (this.#first !== 0) return this.#first;
    const b = this.b;
    const size = 1 << (this.ccOp & 3);
    let v = b.add(this.#dst(size), this.#src(size));
    if (withBorrow) v = b.add(v, this.#src2(size));
    return this.zext(size, v);
  }

  /** CF of the override, as 0 or not. */
  #overCarry(kind: number): Value {
    const b = this.b;
    const v = b.get(CC_OVER);
    return kind === CC_ROR ? b.shrU(v, b.i32(31)) : b.and(v, b.i32(1));
  }

  /** OF of the override, as 0 or not. */
  #overOverflow(kind: number): Value {
    const b = this.b;
    const v = b.get(CC_OVER);
    if (kind === CC_BITS) return b.and(v, b.i32(OF));
    const other = kind === CC_ROL ? v : b.shrU(v, b.i32(30));
    return b.and(b.xor(b.shrU(v, b.i32(31)), other), b.i32(1));
  }

  /** The sign of the low `size` bytes of `v`, as a value that is 0 or not. */
  #sign(size: number, v: Value): Value {
    const b = this.b;
    return size >= 4
      ? b.ltS(v, b.like(v, 0))
      : b.and(v, b.i32(size === 2 ? 0x8000 : 0x80));
  }

  #call(cc: number): Value {
    this.syncFlags();
    return this.b.call(CC_CONDITION, this.b.i32(cc));
  }

  /** Makes a truth value 0 or 1. */
  bool(v: Value): Value {
    return this.b.ne(v, this.b.i32(0));
  }

  /** Condition `cc` (as in the opcodes: 0 O, 1 NO, 2 B .. 15 G) as 0 or 1. */
  conditionBool(cc: number): Value {
    return this.bool(this.condition(cc));
  }

  /** CF as 0 or 1. */
  carry(): Value {
    return this.conditionBool(2);
  }

  /**
   * Condition `cc` (as in the opcodes: 0 O, 1 NO, 2 B .. 15 G): a value that is
   * 0 when it does not hold.
   */
  condition(cc: number): Value {
    const b = this.b;
    if (!this.known) return this.#call(cc);
    const group = (this.ccOp & ~CC_OVERRIDE) >> 2;
    const size = 1 << (this.ccOp & 3);
    const not = (cc & 1) !== 0;
    const kind = this.ccOp & CC_OVERRIDE;
    if (kind !== 0) {
      switch (cc >> 1) {
        case 0: // O
          return this.#invert(not, this.#overOverflow(kind));
        case 1: // B
          return this.#invert(not, this.#overCarry(kind));
        case 3: // BE
          return this.#invert(
            not,
            b.or(this.bool(this.#overCarry(kind)), this.conditionBool(4)),
          );
        case 6: // L
          return this.#invert(
            not,
            b.xor(
              this.conditionBool(8),
              this.bool(this.#overOverflow(kind)),
            ),
          );
        case 7: // LE
          return this.#invert(
            not,
            b.or(this.conditionBool(12), this.conditionBool(4)),
          );
      }
    }
    if (group === G_EFLAGS) {
      const bits = [OF, CF, ZF, CF | ZF, SF, PF][cc >> 1];
      const f = this.#src(4);
      if (bits !== undefined) return this.#invert(not, b.and(f, b.i32(bits)));
      // SF != OF: bit 7 against bit 11
      let v = b.and(b.xor(f, b.shrU(f, b.i32(4))), b.i32(SF));
      if (cc >> 1 === 7) v = b.or(v, b.and(f, b.i32(ZF)));
      return this.#invert(not, v);
    }
    const dst = this.#dst(size);
    const zero = b.like(dst, 0);
    switch (cc >> 1) {
      case 0: // O
        return this.#invert(not, this.#overflow(group, size, dst));
      case 1: // B
        return this.#below(group, size, dst, not);
      case 2: // Z
        if (group === G_SUB) {
          const first = this.#minuend(false);
          const src = this.#src(size);
          return not ? b.ne(first, src) : b.eq(first, src);
        }
        if (size === 8) return not ? b.ne(dst, zero) : b.eqz(dst);
        return not ? this.zext(size, dst) : b.eqz(this.zext(size, dst));
      case 3: // BE
        if (group === G_SUB) {
          const src = this.#src(size);
          return b.typed(not ? GT_U : LE_U, this.#minuend(false), src);
        }
        if (group === G_LOGIC) return this.condition(4 | (cc & 1));
        return this.#invert(
          not,
          b.or(this.conditionBool(2), this.conditionBool(4)),
        );
      case 4: // S
        if (size >= 4) return b.typed(not ? GE_S : LT_S, dst, zero);
        return this.#invert(not, this.#sign(size, dst));
      case 5: // P: the low byte has an even number of ones
      {
        const odd = b.and(b.op(POPCNT, b.zext8(b.low(dst))), b.i32(1));
        return not ? odd : b.eqz(odd);
      }
      case 6: // L
        if (group === G_SUB) {
          return b.typed(
            not ? GE_S : LT_S,
            this.sext(size, this.#minuend(false)),
            this.sext(size, this.#src(size)),
          );
        }
        if (group === G_LOGIC) return this.condition(8 | (cc & 1));
        return this.#invert(
          not,
          b.xor(
            this.conditionBool(8),
            this.bool(this.#overflow(group, size, dst)),
          ),
        );
      default: // LE
        if (group === G_SUB) {
          return b.typed(
            not ? GT_S : LE_S,
            this.sext(size, this.#minuend(false)),
            this.sext(size, this.#src(size)),
          );
        }
        if (group === G_LOGIC) {
          return b.typed(not ? GT_S : LE_S, this.sext(size, dst), zero);
        }
        return this.#invert(
          not,
          b.or(this.conditionBool(12), this.conditionBool(4)),
        );
    }
  }

  /** The contrary of a condition, if it is asked for. */
  #invert(not: boolean, v: Value): Value {
    return not ? this.b.eqz(v) : v;
  }

  /** CF, or its negation. */
  #below(group: number, size: number, dst: Value, not: boolean): Value {
    const b = this.b;
    const invert = (v: Value): Value => not ? b.eqz(v) : v;
    const src = this.#src(size);
    switch (group) {
      case G_ADD:
        return b.typed(not ? GE_U : LT_U, this.zext(size, dst), src);
      case G_ADC: {
        const r = this.zext(size, dst);
        return invert(
          b.or(b.ltU(r, src), b.and(this.#src2(4), b.eq(r, src))),
        );
      }
      case G_SUB:
        return b.typed(not ? GE_U : LT_U, this.#minuend(false), src);
      case G_SBB: {
        const a = this.#minuend(true);
        return invert(
          b.or(b.ltU(a, src), b.and(this.#src2(4), b.eq(a, src))),
        );
      }
      case G_LOGIC:
        return b.i32(not ? 1 : 0);
      case G_INC:
      case G_DEC:
        return invert(b.low(src));
      case G_SHL:
        return invert(this.#sign(size, src));
      case G_SAR:
        return invert(b.and(b.low(src), b.i32(1)));
      case G_IMUL:
        return invert(this.#productOverflow(size, dst));
      default: // MUL
        return invert(b.low(src));
    }
  }

  /** Whether the product of CC_SRC and CC_SRC2 does not fit. */
  #productOverflow(size: number, dst: Value): Value {
    const b = this.b;
    const x = this.#src(size), y = this.#src2(size);
    if (size === 8) {
      return b.ne(this.productHigh(true, x, y), b.shrS(dst, b.i64(63)));
    }
    if (size === 2) return b.ne(b.mul(x, y), b.sext16(dst));
    const extend = Op["i64.extend_i32_s"];
    return b.op(
      Op["i64.ne"],
      b.op(Op["i64.mul"], b.op(extend, x), b.op(extend, y)),
      b.op(extend, dst),
    );
  }

  /** The high half of the product of two i64. */
  productHigh(signed: boolean, x: Value, y: Value): Value {
    const b = this.b;
    const low = (v: Value): Value => b.and(v, b.i64(-1, 0));
    const high = (v: Value): Value => b.shrU(v, b.i64(32));
    const [xl, xh, yl, yh] = [low(x), high(x), low(y), high(y)];
    const [p, q] = [b.mul(xl, yh), b.mul(xh, yl)];
    const middle = b.add(b.add(high(b.mul(xl, yl)), low(p)), low(q));
    const r = b.add(
      b.add(b.mul(xh, yh), high(p)),
      b.add(high(q), high(middle)),
    );
    if (!signed) return r;
    const sign = (v: Value): Value => b.shrS(v, b.i64(63));
    return b.sub(b.sub(r, b.and(sign(x), y)), b.and(sign(y), x));
  }

  /** OF as a value that is 0 or not. */
  #overflow(group: number, size: number, dst: Value): Value {
    const b = this.b;
    const src = this.#src(size);
    switch (group) {
      case G_ADD:
      case G_ADC: {
        let a = this.#first;
        if (a === 0) {
          a = b.sub(dst, src);
          if (group === G_ADC) a = b.sub(a, this.#src2(size));
        }
        return this.#sign(size, b.and(b.xor(dst, a), b.xor(dst, src)));
      }
      case G_SUB:
      case G_SBB: {
        const a = this.#minuend(group === G_SBB);
        return this.#sign(size, b.and(b.xor(a, src), b.xor(a, dst)));
      }
      case G_LOGIC:
        return b.i32(0);
      case G_INC:
        if (size === 8) return b.eq(dst, b.i64(0, 0x80000000));
        return b.eq(this.zext(size, dst), b.i32(signBit(size)));
      case G_DEC:
        if (size === 8) return b.eq(dst, b.i64(-1, 0x7fffffff));
        return b.eq(this.zext(size, dst), b.i32(signBit(size) - 1));
      case G_SHL:
      case G_SAR:
        return this.#sign(size, b.xor(dst, src));
      case G_IMUL:
        return this.#productOverflow(size, dst);
      default: // MUL
        return b.low(src);
    }
  }

  /** The six flags as bits, by a helper. */
  arithFlags(): Value {
    if (this.known && this.ccOp === CC_EFLAGS) return this.#src(4);
    this.syncFlags();
    return this.b.call(CC_FLAGS);
  }
}

/** The low two bits of CC_OP for a size in bytes. */
function logOf(size: number): number {
  return size === 8 ? 3 : size >> 1;
}

function signBit(size: number): number {
  return size === 4 ? 0x80000000 | 0 : size === 2 ? 0x8000 : 0x80;
}
