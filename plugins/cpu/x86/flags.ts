/**
 * Lazy condition codes: the last flag-setting operation is remembered
 * (CC_OP, CC_DST, CC_SRC, CC_SRC2 in the state) instead of the six flags.
 *
 * What the words hold, by CC_OP (see state.ts; the size is in its low 2 bits):
 * - CC_DST, the result: only its low 8, 16 or 32 bits count;
 * - CC_SRC, CC_SRC2: zero-extended.
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
import { CONDITION } from "./integer_kernel.ts";
import { Operands } from "./operands.ts";
import {
  AF,
  ARITH_FLAGS,
  CC_BITS,
  CC_DST,
  CC_EFLAGS,
  CC_LOGIC,
  CC_OP,
  CC_OVER,
  CC_OVERRIDE,
  CC_ROL,
  CC_ROR,
  CC_SRC,
  CC_SRC2,
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

/** The six arithmetic flags of the CPU whose state stands at byte `base` of `i32`. */
export function stateFlags(i32: Int32Array, base: number): number {
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
  { reads: READS, writes: [], pure: true },
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
    b.set(CC_DST, dst);
    // What the operation does not use is overwritten all the same: what was
    // there (the carry that INC keeps, got by a helper) is dead then, even if
    // the block is left by a fault before its end.
    if (src !== 0) b.set(CC_SRC, src);
    else if (this.compiled) b.set(CC_SRC, b.i32(0));
    if (src2 !== 0) b.set(CC_SRC2, src2);
    this.ccOp = op + (size >> 1);
    this.#untouched = false;
    this.#stored = false;
    this.#first = first;
  }

  /** Makes the flags those bits of `v` (others are ignored). */
  setArithFlags(v: Value): void {
    this.b.set(CC_SRC, this.b.and(v, this.b.i32(ARITH_FLAGS)));
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
    b.set(CC_OP, b.select(condition, b.i32(op + (size >> 1)), old));
    b.set(CC_DST, b.select(condition, dst, b.get(CC_DST)));
    b.set(CC_SRC, b.select(condition, src, b.get(CC_SRC)));
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
      this.b.set(CC_SRC, this.b.i32(0));
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
    let v = b.add(b.get(CC_DST), b.get(CC_SRC));
    if (withBorrow) v = b.add(v, b.get(CC_SRC2));
    return this.zext(1 << (this.ccOp & 3), v);
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
    return size === 4
      ? b.op(LT_S, v, b.i32(0))
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
    const zero = b.i32(0);
    const invert = (v: Value): Value => not ? b.eqz(v) : v;
    const kind = this.ccOp & CC_OVERRIDE;
    if (kind !== 0) {
      switch (cc >> 1) {
        case 0: // O
          return invert(this.#overOverflow(kind));
        case 1: // B
          return invert(this.#overCarry(kind));
        case 3: // BE
          return invert(
            b.or(this.bool(this.#overCarry(kind)), this.conditionBool(4)),
          );
        case 6: // L
          return invert(b.xor(
            this.conditionBool(8),
            this.bool(this.#overOverflow(kind)),
          ));
        case 7: // LE
          return invert(b.or(this.conditionBool(12), this.conditionBool(4)));
      }
    }
    if (group === G_EFLAGS) {
      const bits = [OF, CF, ZF, CF | ZF, SF, PF][cc >> 1];
      const f = b.get(CC_SRC);
      if (bits !== undefined) return invert(b.and(f, b.i32(bits)));
      // SF != OF: bit 7 against bit 11
      let v = b.and(b.xor(f, b.shrU(f, b.i32(4))), b.i32(SF));
      if (cc >> 1 === 7) v = b.or(v, b.and(f, b.i32(ZF)));
      return invert(v);
    }
    const dst = b.get(CC_DST);
    switch (cc >> 1) {
      case 0: // O
        return invert(this.#overflow(group, size, dst));
      case 1: // B
        return this.#below(group, size, dst, not);
      case 2: // Z
        if (group === G_SUB) {
          const first = this.#minuend(false);
          return b.op(not ? Op["i32.ne"] : Op["i32.eq"], first, b.get(CC_SRC));
        }
        return not ? this.zext(size, dst) : b.eqz(this.zext(size, dst));
      case 3: // BE
        if (group === G_SUB) {
          return b.op(not ? GT_U : LE_U, this.#minuend(false), b.get(CC_SRC));
        }
        if (group === G_LOGIC) return this.condition(4 | (cc & 1));
        return invert(b.or(this.conditionBool(2), this.conditionBool(4)));
      case 4: // S
        if (size === 4) return b.op(not ? GE_S : LT_S, dst, zero);
        return invert(this.#sign(size, dst));
      case 5: // P: the low byte has an even number of ones
      {
        const odd = b.and(b.op(POPCNT, b.zext8(dst)), b.i32(1));
        return not ? odd : b.eqz(odd);
      }
      case 6: // L
        if (group === G_SUB) {
          return b.op(
            not ? GE_S : LT_S,
            this.sext(size, this.#minuend(false)),
            this.sext(size, b.get(CC_SRC)),
          );
        }
        if (group === G_LOGIC) return this.condition(8 | (cc & 1));
        return invert(b.xor(
          this.conditionBool(8),
          this.bool(this.#overflow(group, size, dst)),
        ));
      default: // LE
        if (group === G_SUB) {
          return b.op(
            not ? GT_S : LE_S,
            this.sext(size, this.#minuend(false)),
            this.sext(size, b.get(CC_SRC)),
          );
        }
        if (group === G_LOGIC) {
          return b.op(not ? GT_S : LE_S, this.sext(size, dst), zero);
        }
        return invert(b.or(this.conditionBool(12), this.conditionBool(4)));
    }
  }

  /** CF, or its negation. */
  #below(group: number, size: number, dst: Value, not: boolean): Value {
    const b = this.b;
    const invert = (v: Value): Value => not ? b.eqz(v) : v;
    const src = b.get(CC_SRC);
    switch (group) {
      case G_ADD:
        return b.op(not ? GE_U : LT_U, this.zext(size, dst), src);
      case G_ADC: {
        const r = this.zext(size, dst);
        return invert(b.or(
          b.op(LT_U, r, src),
          b.and(b.get(CC_SRC2), b.eq(r, src)),
        ));
      }
      case G_SUB:
        return b.op(not ? GE_U : LT_U, this.#minuend(false), src);
      case G_SBB: {
        const a = this.#minuend(true);
        return invert(b.or(
          b.op(LT_U, a, src),
          b.and(b.get(CC_SRC2), b.eq(a, src)),
        ));
      }
      case G_LOGIC:
        return b.i32(not ? 1 : 0);
      case G_INC:
      case G_DEC:
        return invert(src);
      case G_SHL:
        return invert(this.#sign(size, src));
      case G_SAR:
        return invert(b.and(src, b.i32(1)));
      case G_IMUL:
        return invert(this.#productOverflow(size, dst));
      default: // MUL
        return invert(src);
    }
  }

  /** Whether the product of CC_SRC and CC_SRC2 does not fit. */
  #productOverflow(size: number, dst: Value): Value {
    const b = this.b;
    const x = b.get(CC_SRC), y = b.get(CC_SRC2);
    if (size === 2) return b.ne(b.mul(x, y), b.sext16(dst));
    const extend = Op["i64.extend_i32_s"];
    return b.op(
      Op["i64.ne"],
      b.op(Op["i64.mul"], b.op(extend, x), b.op(extend, y)),
      b.op(extend, dst),
    );
  }

  /** OF as a value that is 0 or not. */
  #overflow(group: number, size: number, dst: Value): Value {
    const b = this.b;
    const src = b.get(CC_SRC);
    switch (group) {
      case G_ADD:
      case G_ADC: {
        let a = this.#first;
        if (a === 0) {
          a = b.sub(dst, src);
          if (group === G_ADC) a = b.sub(a, b.get(CC_SRC2));
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
        return b.eq(this.zext(size, dst), b.i32(signBit(size)));
      case G_DEC:
        return b.eq(this.zext(size, dst), b.i32(signBit(size) - 1));
      case G_SHL:
      case G_SAR:
        return this.#sign(size, b.xor(dst, src));
      case G_IMUL:
        return this.#productOverflow(size, dst);
      default: // MUL
        return src;
    }
  }

  /** The six flags as bits, by a helper. */
  arithFlags(): Value {
    if (this.known && this.ccOp === CC_EFLAGS) return this.b.get(CC_SRC);
    this.syncFlags();
    return this.b.call(CC_FLAGS);
  }
}

function signBit(size: number): number {
  return size === 4 ? 0x80000000 | 0 : size === 2 ? 0x8000 : 0x80;
}
