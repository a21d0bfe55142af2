/**
 * Control and debug registers, and what drops a page from the TLB. What changes
 * the static mode key ends its block.
 *
 * @module
 */

import type { Value } from "../../../core/ir/block.ts";
import { Op } from "../../../core/ir/ops.ts";
import {
  clearTs,
  loadMsw,
  readCr8,
  readDebug,
  writeControl,
  writeDebug,
} from "./control.ts";
import type { Insn } from "./decode.ts";
import { define } from "./helpers.ts";
import { addressAt, isCanonical } from "./long_mode.ts";
import { BASE, BASE64, CR, CR64, FS, GS, SCRATCH } from "./state.ts";
import type { Translate, Translator } from "./translate.ts";
import { readSelector, storeWord } from "./translate_descriptors.ts";
import {
  checkUmip,
  goOn,
  highWord,
  lowWord,
  needLevel0,
  next,
  transfer,
  zeroExtended,
} from "./translate_privilege.ts";

const SET_CONTROL = transfer("set_control", 3, writeControl);
/** CR8. */
const GET_CR8 = define(
  "get_cr8",
  0,
  { reads: [], writes: [] },
  (cpu) => () => readCr8(cpu),
);
const LMSW = transfer("lmsw", 1, loadMsw);
const CLTS = define(
  "clts",
  1,
  { faults: true, writes: [CR[0]] },
  (cpu) => (next) => {
    const key = cpu.key();
    clearTs(cpu);
    cpu.leaveIfChanged(key, next);
    return 0;
  },
);
const SET_DEBUG = transfer("set_debug", 3, writeDebug);
const GET_DEBUG = transfer("get_debug", 1, (cpu, n) => {
  const s = cpu.state;
  const from = readDebug(cpu, n);
  const at = SCRATCH[0].offset >> 2;
  s[at] = s[from];
  s[at + 1] = s[from + 1];
});
const INVLPG = define("invlpg", 1, { reads: [], writes: [] }, (cpu) => {
  return (address) => {
    cpu.engine.mmu.flushPage(cpu.lma ? address >>> 0 : address);
    return 0;
  };
});
/** The same for an address in the scratch; nothing for one that is not canonical. */
const INVLPG_LONG = define(
  "invlpg_long",
  0,
  { reads: [SCRATCH[0]], writes: [] },
  (cpu) => () => {
    const at = SCRATCH[0].offset >> 2;
    if (!isCanonical(cpu.state[at + 1])) return 0;
    cpu.engine.mmu.flushPage(addressAt(cpu.state, at));
    return 0;
  },
);

/** Whether there is no such control register in this mode. */
function isNoControl(t: Translator, n: number): boolean {
  return n === 1 || n > 4 && !(n === 8 && t.long);
}

/** MOV to and from control and debug registers has all bits of a register. */
function fullReg(t: Translator, r: number): Value {
  return t.reg(t.long ? 8 : 4, r);
}

function movToControl(t: Translator, i: Insn): void {
  if (isNoControl(t, i.reg)) return t.ud();
  if (needLevel0(t)) return;
  const v = fullReg(t, i.rm);
  t.syncFlags();
  t.b.call(SET_CONTROL, t.imm(i.reg), lowWord(t, v), highWord(t, v));
  t.forgetFlags();
  goOn(t);
}

function movFromControl(t: Translator, i: Insn): void {
  if (isNoControl(t, i.reg)) return t.ud();
  if (needLevel0(t)) return;
  const b = t.b;
  if (!t.long) return t.setReg(4, i.rm, b.get(CR[i.reg]));
  t.setReg(8, i.rm, control64(t, i.reg));
}

/** A control register in 64-bit mode. */
function control64(t: Translator, n: number): Value {
  if (n === 2 || n === 3) return t.b.get(CR64[n]);
  return zeroExtended(t, n === 8 ? t.b.call(GET_CR8) : t.b.get(CR[n]));
}

function movToDebug(t: Translator, i: Insn): void {
  if (i.reg > 7) return t.ud();
  if (needLevel0(t)) return;
  const v = fullReg(t, i.rm);
  t.syncFlags();
  t.b.call(SET_DEBUG, t.imm(i.reg), lowWord(t, v), highWord(t, v));
  t.forgetFlags();
  goOn(t);
}

function movFromDebug(t: Translator, i: Insn): void {
  if (i.reg > 7) return t.ud();
  if (needLevel0(t)) return;
  t.syncFlags();
  t.b.call(GET_DEBUG, t.imm(i.reg));
  t.forgetFlags();
  const v = t.b.get(SCRATCH[0]);
  if (t.long) t.setReg(8, i.rm, v);
  else t.setReg(4, i.rm, lowWord(t, v));
}

/** The functions, by the names that the instruction table uses. */
export const CONTROL_REGISTERS: Readonly<Record<string, Translate>> = {
  smsw: (t, i) => {
    checkUmip(t);
    storeWord(t, i, t.b.get(CR[0]));
  },
  lmsw: (t, i) => {
    if (needLevel0(t)) return;
    const v = readSelector(t, i);
    t.syncFlags();
    t.b.call(LMSW, v);
    t.forgetFlags();
    goOn(t);
  },
  clts: (t) => {
    if (needLevel0(t)) return;
    t.syncFlags();
    t.b.call(CLTS, next(t));
  },
  invlpg: (t, i) => {
    if (!t.isMemory) return t.ud();
    if (needLevel0(t)) return;
    const b = t.b;
    const { segment } = i;
    const offset = t.offset(i);
    if (t.long) {
      const address = segment === FS || segment === GS
        ? b.op(Op["i64.add"], b.get(BASE64[segment]), offset)
        : offset;
      b.set(SCRATCH[0], address);
      b.call(INVLPG_LONG);
    } else {
      const base = t.isFlat(segment) ? t.imm(0) : b.get(BASE[segment]);
      b.call(INVLPG, b.add(base, offset));
    }
    // The page may be the one that this code is on.
    goOn(t);
  },
  mov_to_cr: movToControl,
  mov_from_cr: movFromControl,
  mov_to_dr: movToDebug,
  mov_from_dr: movFromDebug,
};
