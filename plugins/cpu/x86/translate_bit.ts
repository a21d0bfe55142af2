/**
 * Bit tests and bit scans.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import { KIND_G } from "./insns.ts";
import { CC_LOGIC } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";

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
    const bits = b.and(offset, b.i32(8 * size - 1));
    let v: Value;
    let address: Value = 0;
    if (t.isMemory && i.row.kinds[1] === KIND_G) {
      const words = b.shrS(t.sext(size, offset), b.i32(size === 4 ? 5 : 4));
      const at = b.add(t.offset(i), b.shl(words, b.i32(size >> 1)));
      address = t.linear(
        i.segment,
        i.addrSize === 2 ? b.zext16(at) : at,
        size,
        change !== undefined,
      );
      v = t.loadLinear(size, address);
    } else v = t.read(0);
    const bit = b.and(b.shrU(v, bits), b.i32(1));
    if (change !== undefined) {
      const r = change(t, v, b.shl(b.i32(1), bits));
      if (address !== 0) t.storeLinear(size, address, r);
      else t.write(0, r);
    }
    t.setCarry(bit);
  };
}

/** BSF and BSR: a source of 0 sets ZF and leaves the destination. */
function bitScan(scan: (t: Translator, v: Value) => Value): Translate {
  return (t) => {
    const b = t.b;
    const v = t.read(1);
    t.write(0, b.select(v, scan(t, v), t.read(0)));
    t.setFlags(CC_LOGIC, t.size(0), v);
  };
}

/** Bit instructions. */
export const BIT: Readonly<Record<string, Translate>> = {
  bt: bitTest(),
  bts: bitTest((t, v, mask) => t.b.or(v, mask)),
  btr: bitTest((t, v, mask) => t.b.and(v, t.b.xor(mask, t.b.i32(-1)))),
  btc: bitTest((t, v, mask) => t.b.xor(v, mask)),
  bsf: bitScan((t, v) => t.b.op(Op["i32.ctz"], v)),
  bsr: bitScan((t, v) => t.b.sub(t.b.i32(31), t.b.op(Op["i32.clz"], v))),
};
