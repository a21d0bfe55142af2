/**
 * Bit tests and bit scans.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import { KIND_G } from "./rows.ts";
import { CC_LOGIC } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";

/** An offset cut to the address size. */
function cutAddress(t: Translator, size: number, at: Value): Value {
  const b = t.b;
  if (t.long) return size === 4 ? b.zext32(b.low(at)) : at;
  return size === 2 ? b.zext16(at) : at;
}

/**
 * BT, BTS, BTR, BTC. With a register as bit offset and an operand in memory
 * the offset is signed and reaches beyond the operand.
 */
function bitTest(
  change?: (t: Translator, v: Value, mask: Value) => Value,
): Translate {
  return (t, i) => {
    const b = t.b;
    const size = t.size(0);
    const offset = t.read(1);
    const bits = b.and(offset, b.like(offset, 8 * size - 1));
    let v: Value;
    let address: Value = 0;
    if (t.isMemory && i.row.kinds[1] === KIND_G) {
      const log = Math.log2(size);
      const words = b.shrS(t.sext(size, offset), b.i32(3 + log));
      const bytes = b.shl(words, b.i32(log));
      const at = b.add(
        t.offset(i),
        t.long && size !== 8 ? b.sext32(bytes) : bytes,
      );
      address = t.linear(
        i.segment,
        cutAddress(t, i.addrSize, at),
        size,
        change !== undefined,
      );
      v = t.loadLinear(size, address);
    } else v = t.read(0);
    const bit = b.and(b.low(b.shrU(v, bits)), b.i32(1));
    if (change !== undefined) {
      const r = change(t, v, b.shl(b.like(v, 1), bits));
      if (address !== 0) t.storeLinear(size, address, r);
      else t.write(0, r);
    }
    t.setCarry(bit);
  };
}

/** BSF and BSR: a source of 0 sets ZF and leaves the destination. */
function bitScan(scan: (t: Translator, v: Value) => Value): Translate {
  return (t, i) => {
    const b = t.b;
    const v = t.read(1);
    const size = t.size(0);
    const isThere = size === 8 ? b.ne(v, b.i64(0)) : v;
    if (t.long && size === 4) {
      // All 64 bits of it (AMD says so, and Intel's do).
      const whole = t.reg(8, i.reg);
      t.setReg(8, i.reg, b.select(isThere, b.zext32(scan(t, v)), whole));
    } else t.write(0, b.select(isThere, scan(t, v), t.read(0)));
    t.setFlags(CC_LOGIC, size, v);
  };
}

/** Bit instructions. */
export const BIT: Readonly<Record<string, Translate>> = {
  bt: bitTest(),
  bts: bitTest((t, v, mask) => t.b.or(v, mask)),
  btr: bitTest((t, v, mask) => t.b.and(v, t.b.xor(mask, t.b.like(v, -1)))),
  btc: bitTest((t, v, mask) => t.b.xor(v, mask)),
  bsf: bitScan((t, v) => t.b.typed(Op["i32.ctz"], v)),
  bsr: bitScan((t, v) => {
    const top = t.b.like(v, t.size(0) === 8 ? 63 : 31);
    return t.b.sub(top, t.b.typed(Op["i32.clz"], v));
  }),
};
