/**
 * Lazy condition codes while a block is translated (flags.ts says what they
 * are): conditions and flags in IR, from the operation that is known to have
 * set them.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import { AUX_CC_OP } from "./aux_word.ts";
import {
  condition,
  G_ADC,
  G_ADD,
  G_DEC,
  G_EFLAGS,
  G_IMUL,
  G_INC,
  G_LOGIC,
  G_SAR,
  G_SBB,
  G_SHL,
  G_SUB,
  stateFlags,
} from "./flags.ts";
import { define } from "./helpers.ts";
import { ARITHMETIC_FLAGS, CONDITION } from "./integer_kernel.ts";
import { Operands } from "./operands.ts";
import {
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
  PF,
  SF,
  ZF,
} from "./state.ts";

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
