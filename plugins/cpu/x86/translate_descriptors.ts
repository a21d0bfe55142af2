/**
 * Instructions about descriptors: the tables, LDTR and TR, and the questions
 * LAR, LSL, VERR, VERW and ARPL.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import type { Helper } from "../../../core/ir/builder.ts";
import { Op } from "../../../core/ir/ops.ts";
import type { Insn } from "./decode.ts";
import { define } from "./helpers.ts";
import { isCanonical } from "./long_mode.ts";
import {
  limitOf,
  loadLdt,
  loadTr,
  queryDescriptor,
  verify,
} from "./segments.ts";
import {
  LDTR,
  OFF_GDT_BASE,
  OFF_GDT_LIMIT,
  OFF_IDT_BASE,
  OFF_IDT_LIMIT,
  SCRATCH,
  SCRATCH32,
  SELECTOR,
  TR,
  ZF,
} from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import {
  checkUmip,
  needLevel0,
  needProtected,
  transfer,
  zeroExtended,
} from "./translate_privilege.ts";

const LD16 = Op["ld16u"], LD64 = Op["ld64"];
const ST16 = Op["st16"], ST32 = Op["st32"], ST64 = Op["st64"];

const SET_TABLE = define("set_table", 3, { writes: [] }, (cpu) => {
  return (which, limit, base) => {
    const idt = which !== 0;
    cpu.state[(idt ? OFF_IDT_BASE : OFF_GDT_BASE) >> 2] = base;
    cpu.state[((idt ? OFF_IDT_BASE : OFF_GDT_BASE) >> 2) + 1] = 0;
    cpu.state[(idt ? OFF_IDT_LIMIT : OFF_GDT_LIMIT) >> 2] = limit & 0xffff;
    return 0;
  };
});
const GET_TABLE = define(
  "get_table",
  1,
  { reads: [], writes: [] },
  (cpu) => (offset) => cpu.state[offset >> 2],
);

/** The same with a base of 64 bits in the scratch: #GP(0) if it is not canonical. */
const SET_TABLE_LONG = define(
  "set_table_long",
  2,
  { faults: true, reads: [SCRATCH[0]], writes: [] },
  (cpu) => (which, limit) => {
    const s = cpu.state;
    const at = SCRATCH[0].offset >> 2;
    if (!isCanonical(s[at + 1])) cpu.gp();
    const base = (which !== 0 ? OFF_IDT_BASE : OFF_GDT_BASE) >> 2;
    s[base] = s[at];
    s[base + 1] = s[at + 1];
    s[(which !== 0 ? OFF_IDT_LIMIT : OFF_GDT_LIMIT) >> 2] = limit & 0xffff;
    return 0;
  },
);

function loadTable(which: number): Translate {
  return (t, i) => {
    if (!t.isMemory) return t.ud();
    if (needLevel0(t)) return;
    const b = t.b;
    if (t.long) {
      const at = t.ea(i, 10, false);
      const limit = t.loadLinear(2, at);
      b.set(SCRATCH[0], b.load(LD64, at, 2, t.mmu));
      b.call(SET_TABLE_LONG, t.imm(which), limit);
      return;
    }
    const at = t.ea(i, 6, false);
    const limit = t.loadLinear(2, at);
    let base = t.loadLinear(4, at, 2);
    if (i.opSize === 2) base = b.and(base, t.imm(0xffffff));
    b.call(SET_TABLE, t.imm(which), limit, base);
  };
}

function storeTable(limitAt: number, baseAt: number): Translate {
  return (t, i) => {
    if (!t.isMemory) return t.ud();
    checkUmip(t);
    const b = t.b;
    const at = t.ea(i, t.long ? 10 : 6, true);
    // A word, and an aligned double word behind it (SDM volume 3, 3.5.1).
    t.checkAligned(b.add(at, b.like(at, 2)), 4);
    b.store(ST16, at, 0, b.call(GET_TABLE, t.imm(limitAt)), t.mmu);
    const lo = b.call(GET_TABLE, t.imm(baseAt));
    if (!t.long) return b.store(ST32, at, 2, lo, t.mmu);
    const hi = b.call(GET_TABLE, t.imm(baseAt + 4));
    const base = b.op(
      Op["i64.or"],
      zeroExtended(t, lo),
      b.op(Op["i64.shl"], zeroExtended(t, hi), b.i64(32)),
    );
    b.store(ST64, at, 2, base, t.mmu);
  };
}

const LLDT = transfer("lldt", 1, (cpu, sel) => loadLdt(cpu, sel & 0xffff));
const LTR = transfer("ltr", 1, (cpu, sel) => loadTr(cpu, sel & 0xffff));

/** The selector that an instruction reads: 16 bits of memory or of a register. */
export function readSelector(t: Translator, i: Insn): Value {
  return t.isMemory ? t.load(LD16, i) : t.reg(2, i.rm);
}

function loadSystemSegment(helper: Helper): Translate {
  return (t, i) => {
    if (needProtected(t) || needLevel0(t)) return;
    const v = readSelector(t, i);
    t.syncFlags();
    t.b.call(helper, v);
    t.forgetFlags();
  };
}

function storeSystemSegment(seg: number): Translate {
  return (t, i) => {
    if (needProtected(t)) return;
    checkUmip(t);
    storeWord(t, i, t.b.get(SELECTOR[seg]));
  };
}

/** A 16-bit result: to memory as 16 bits, to a register zero-extended. */
export function storeWord(t: Translator, i: Insn, v: Value): void {
  if (t.isMemory) t.store(ST16, i, v);
  else t.setReg(Math.min(i.opSize, 4), i.rm, v);
}

/** LAR, LSL: result in scratch word 0, found or not in 1, and ZF. */
const QUERY = transfer("query_descriptor", 2, (cpu, selector, lsl) => {
  const d = queryDescriptor(cpu, selector & 0xffff, lsl !== 0);
  const at = SCRATCH32[0].offset >> 2;
  cpu.state[at + 1] = d === null ? 0 : 1;
  cpu.state[at] = d === null
    ? 0
    : lsl !== 0
    ? limitOf(d.lo, d.hi)
    : d.hi & 0xf0ff00;
  cpu.setArithFlags(cpu.arithFlags() & ~ZF | (d === null ? 0 : ZF));
});

function query(lsl: number): Translate {
  return (t, i) => {
    if (needProtected(t)) return;
    const b = t.b;
    const selector = readSelector(t, i);
    t.syncFlags();
    b.call(QUERY, selector, t.imm(lsl));
    t.forgetFlags();
    const found = b.get(SCRATCH32[1]);
    if (t.long && i.opSize !== 2) {
      // All of the register stays if nothing is found.
      const v = zeroExtended(t, b.get(SCRATCH32[0]));
      const old = t.reg(8, i.reg);
      t.setReg(8, i.reg, b.op(Op["i64.select"], v, old, found));
      return;
    }
    const old = t.reg(i.opSize, i.reg);
    t.setReg(i.opSize, i.reg, b.select(found, b.get(SCRATCH32[0]), old));
  };
}

const VERIFY = transfer("verify", 2, (cpu, selector, write) => {
  const ok = verify(cpu, selector & 0xffff, write !== 0);
  cpu.setArithFlags(cpu.arithFlags() & ~ZF | (ok ? ZF : 0));
});

function verifySegment(write: number): Translate {
  return (t, i) => {
    if (needProtected(t)) return;
    const selector = readSelector(t, i);
    t.syncFlags();
    t.b.call(VERIFY, selector, t.imm(write));
    t.forgetFlags();
  };
}

function arpl(t: Translator, i: Insn): void {
  if (needProtected(t)) return;
  const b = t.b;
  const dst = readSelector(t, i);
  const rpl = b.and(t.reg(2, i.reg), t.imm(3));
  const less = b.ltU(b.and(dst, t.imm(3)), rpl);
  const v = b.select(less, b.or(b.and(dst, t.imm(0xfffc)), rpl), dst);
  const flags = t.arithFlags();
  if (t.isMemory) t.store(ST16, i, v);
  else t.setReg(2, i.rm, v);
  t.setArithFlags(
    b.or(b.and(flags, t.imm(~ZF)), b.shl(less, t.imm(6))),
  );
}

/** The functions, by the names that the instruction table uses. */
export const DESCRIPTORS: Readonly<Record<string, Translate>> = {
  lgdt: loadTable(0),
  lidt: loadTable(1),
  sgdt: storeTable(OFF_GDT_LIMIT, OFF_GDT_BASE),
  sidt: storeTable(OFF_IDT_LIMIT, OFF_IDT_BASE),
  lldt: loadSystemSegment(LLDT),
  ltr: loadSystemSegment(LTR),
  sldt: storeSystemSegment(LDTR),
  str: storeSystemSegment(TR),
  lar: query(0),
  lsl: query(1),
  verr: verifySegment(0),
  verw: verifySegment(1),
  arpl,
};
