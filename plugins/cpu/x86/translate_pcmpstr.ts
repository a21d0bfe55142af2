/**
 * SSE4.2's comparisons of strings: lengths, flags and results around the helper
 * of pcmpstr.ts (SDM volume 2, 4.1 and PCMPESTRI).
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import { COMPARE_STRINGS, EXPANDED, HIGHEST, WORDS } from "./pcmpstr.ts";
import { OF, SCRATCH128, SF, XMM, ZF } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import { pattern, readWUnaligned, shuffle, zero } from "./translate_simd.ts";

/** Number of the first element that is 0, or of all. */
function lengthOf(t: Translator, v: Value, isWords: boolean): Value {
  const b = t.b;
  const zeros = isWords
    ? b.op(Op["i16x8.bitmask"], b.op(Op["i16x8.eq"], v, zero(b)))
    : b.op(Op["i8x16.bitmask"], b.op(Op["i8x16.eq"], v, zero(b)));
  return b.op(Op["i32.ctz"], b.or(zeros, b.i32(isWords ? 0x100 : 0x10000)));
}

/** The magnitude of a register's value (all 64 bits with REX.W), at most `count`. */
function lengthIn(t: Translator, register: number, count: number): Value {
  const b = t.b;
  const size = t.insn.opSize === 8 ? 8 : 4;
  const v = t.reg(size, register);
  const sign = b.shrS(v, t.constant(size, 8 * size - 1));
  const magnitude = b.sub(b.xor(v, sign), sign);
  const isShort = b.ltU(magnitude, t.constant(size, count));
  return b.select(isShort, b.low(magnitude), b.i32(count));
}

/** Bits as elements that are all ones or all zeros. */
function expand(t: Translator, bits: Value, isWords: boolean): Value {
  const b = t.b;
  const v = b.op(Op["i16x8.splat"], bits);
  if (isWords) {
    const each = [1, 2, 4, 8, 16, 32, 64, 128].flatMap((n) => [n, 0]);
    const mask = b.v128(each);
    return b.op(Op["i16x8.eq"], b.op(Op["v128.and"], v, mask), mask);
  }
  const spread = shuffle(b, v, v, [...Array(8).fill(0), ...Array(8).fill(1)]);
  const mask = pattern(b, 1, 2, 4, 8, 16, 32, 64, 128);
  return b.op(Op["i8x16.eq"], b.op(Op["v128.and"], spread, mask), mask);
}

/** `explicit`: the lengths are in EAX and EDX. `toMask`: the result is a mask in XMM0, not an index in ECX. */
function compareStrings(explicit: boolean, toMask: boolean): Translate {
  return (t, i) => {
    const b = t.b;
    const isWords = (i.imm & WORDS) !== 0;
    const count = isWords ? 8 : 16;
    const y = readWUnaligned(t, i);
    const x = b.get(XMM[i.reg]);
    const la = explicit ? lengthIn(t, 0, count) : lengthOf(t, x, isWords);
    const lb = explicit ? lengthIn(t, 2, count) : lengthOf(t, y, isWords);
    b.set(SCRATCH128[1], x);
    b.set(SCRATCH128[2], y);
    const r = b.call(COMPARE_STRINGS, b.i32(i.imm & 0x3f), la, lb);
    if (toMask) {
      const bits = (): Value => b.op(Op["i32x4.replace_lane.0"], zero(b), r);
      b.set(
        XMM[0],
        (i.imm & EXPANDED) !== 0 ? expand(t, r, isWords) : bits(),
      );
    } else {
      const highest = (): Value =>
        b.select(
          r,
          b.sub(b.i32(31), b.op(Op["i32.clz"], r)),
          b.i32(count),
        );
      const lowest = (): Value =>
        b.op(Op["i32.ctz"], b.or(r, b.i32(1 << count)));
      t.setReg(4, 1, (i.imm & HIGHEST) !== 0 ? highest() : lowest());
    }
    const flag = (v: Value, bit: number): Value => b.mul(v, b.i32(bit));
    t.setArithFlags(
      b.or(
        b.or(b.ne(r, b.i32(0)), flag(b.and(r, b.i32(1)), OF)),
        b.or(
          flag(b.ltU(lb, b.i32(count)), ZF),
          flag(b.ltU(la, b.i32(count)), SF),
        ),
      ),
    );
  };
}

/** PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM. */
export const STRING_COMPARE: Readonly<Record<string, Translate>> = {
  pcmpestri: compareStrings(true, false),
  pcmpestrm: compareStrings(true, true),
  pcmpistri: compareStrings(false, false),
  pcmpistrm: compareStrings(false, true),
};
