/**
 * Decimal and ASCII adjustment. Rare: helpers that work on AX and the flags.
 *
 * @module
 */

import type { Helper } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import type { X86 } from "./cpu.ts";
import { resultFlags, setStateFlags, stateFlags } from "./flags.ts";
import { define } from "./helpers.ts";
import { DE } from "./operands.ts";
import {
  AF,
  CC_DST,
  CC_LOGIC,
  CC_OP,
  CC_OVER,
  CC_SRC,
  CC_SRC2,
  CF,
  GPR,
  OFF_GPR,
} from "./state.ts";
import type { Translate } from "./translate.ts";

const EAX = OFF_GPR >> 2;
const USES = [GPR[0], CC_OP, CC_DST, CC_SRC, CC_SRC2, CC_OVER];

function helper(
  name: string,
  adjust: (ax: number, flags: number) => number,
): Helper {
  // `adjust` gives AX | (CF and AF) << 16.
  return define(
    name,
    0,
    { reads: USES, writes: [GPR[0], CC_OP, CC_SRC] },
    (cpu: X86) => () => {
      const s = cpu.state;
      const eax = s[EAX];
      const r = adjust(eax & 0xffff, stateFlags(s, 0));
      s[EAX] = (eax & 0xffff0000) | (r & 0xffff);
      setStateFlags(s, 0, resultFlags(1, r) | (r >> 16));
      return 0;
    },
  );
}

const DAA = helper("daa", (ax, flags) => {
  const al = ax & 0xff;
  let v = al, f = 0;
  if ((al & 15) > 9 || (flags & AF) !== 0) {
    v += 6;
    f |= AF;
  }
  if (al > 0x99 || (flags & CF) !== 0) {
    v += 0x60;
    f |= CF;
  }
  return (ax & 0xff00) | (v & 0xff) | (f << 16);
});

const DAS = helper("das", (ax, flags) => {
  const al = ax & 0xff;
  let v = al, f = 0;
  if ((al & 15) > 9 || (flags & AF) !== 0) {
    if (v < 6) f |= CF;
    v -= 6;
    f |= AF;
  }
  if (al > 0x99 || (flags & CF) !== 0) {
    v -= 0x60;
    f |= CF;
  }
  return (ax & 0xff00) | (v & 0xff) | (f << 16);
});

const AAA = helper("aaa", (ax, flags) => {
  if ((ax & 15) > 9 || (flags & AF) !== 0) {
    return ((ax + 0x106) & 0xff0f) | ((AF | CF) << 16);
  }
  return ax & 0xff0f;
});

const AAS = helper("aas", (ax, flags) => {
  if ((ax & 15) > 9 || (flags & AF) !== 0) {
    return ((ax - 0x106) & 0xff0f) | ((AF | CF) << 16);
  }
  return ax & 0xff0f;
});

function adjust(h: Helper): Translate {
  return (t) => {
    t.syncFlags();
    t.b.call(h);
    t.forgetFlags();
  };
}

const aam: Translate = (t, i) => {
  const b = t.b;
  if (i.imm === 0) return t.raise(DE);
  const al = t.reg(1, 0);
  const quotient = b.op(Op["i32.div_u"], al, b.i32(i.imm));
  const rest = b.sub(al, b.mul(quotient, b.i32(i.imm)));
  t.setReg(2, 0, b.or(b.shl(quotient, b.i32(8)), rest));
  t.setFlags(CC_LOGIC, 1, rest);
};

const aad: Translate = (t, i) => {
  const b = t.b;
  const r = b.zext8(
    b.add(t.reg(1, 0), b.mul(t.reg(1, 4), b.i32(i.imm))),
  );
  t.setReg(2, 0, r);
  t.setFlags(CC_LOGIC, 1, r);
};

/** Decimal adjustment. */
export const BCD: Readonly<Record<string, Translate>> = {
  daa: adjust(DAA),
  das: adjust(DAS),
  aaa: adjust(AAA),
  aas: adjust(AAS),
  aam,
  aad,
};
